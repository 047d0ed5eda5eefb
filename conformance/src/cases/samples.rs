//! Samples that the caller gives: those of root features, and others (`semantics.md` §6).

use arrow::array::RecordBatch;
use metaxy_store::{ErrorKind, MetadataStore, ResolveOptions, Rows, col};

use crate::bed::TestBed;
use crate::bed::frames::{by_field, ints, samples, stored, texts, videos, with_column};
use crate::bed::graphs::{key, pair, video};
use crate::bed::increments::{Parts, compute, hashed, resolve, resolve_with};
use crate::outcome::{Outcome, check_eq, names, refused};

cases! {
    "samples":
    are_needed_by_a_root,
    of_a_root_are_new_stale_or_orphaned,
    carry_further_columns,
    of_a_child_stand_for_its_upstream,
    are_hashed_by_their_fields,
    are_filtered_as_stored_rows_are,
    need_their_ids,
}

/// A root is not resolved without samples: the error says so (§6).
pub async fn are_needed_by_a_root(bed: &TestBed) -> Outcome {
    let store = bed.store(video()?).await?;
    let raw = key("video/raw")?;
    for _ in 0..2 {
        let resolved = store.resolve_update(&raw, ResolveOptions::default()).await;
        let error = refused(resolved, ErrorKind::InvalidArgument)?;
        names(&error, &["video/raw", "samples"])?;
        store.write(&raw, videos(&[(1, "a", "f")])?).await?;
    }
    Ok(())
}

/// Given samples are compared with those that the root has (§6).
pub async fn of_a_root_are_new_stale_or_orphaned(bed: &TestBed) -> Outcome {
    let store = bed.store(video()?).await?;
    let raw = key("video/raw")?;
    let first = videos(&[(1, "a1", "f1"), (2, "a2", "f2"), (3, "a3", "f3")])?;
    given(&store, "video/raw", first.clone())
        .await?
        .are(&[1, 2, 3], &[], &[])?;
    store.write(&raw, first.clone()).await?;
    given(&store, "video/raw", first).await?.nothing()?;
    let second = videos(&[(2, "a2", "changed"), (3, "a3", "f3"), (4, "a4", "f4")])?;
    let parts = given(&store, "video/raw", second.clone()).await?;
    parts.are(&[4], &[2], &[1])?;
    check_eq(
        parts.stale.words("metaxy_provenance_by_field.frames")?,
        ["changed"],
        "the version of the pictures",
    )?;
    check_eq(
        parts.stale.words("metaxy_provenance")?,
        [hashed(&store, "a2|changed")?],
        "the version of the sample",
    )?;
    let samples = ResolveOptions::default().with_samples(second.clone());
    let increment = store.resolve_update(&raw, samples).await?;
    store.write(&raw, increment.new_and_stale()).await?;
    store.delete_rows(&raw, increment.orphaned).await?;
    given(&store, "video/raw", second).await?.nothing()
}

/// Columns of the samples come back with new and stale ones, in whatever batches they were given (§6).
pub async fn carry_further_columns(bed: &TestBed) -> Outcome {
    let store = bed.store(video()?).await?;
    let rows = videos(&[(1, "a", "f"), (2, "a", "f")])?;
    store.write(&key("video/raw")?, rows).await?;
    let rows = videos(&[(1, "a", "f"), (2, "b", "f"), (3, "a", "f"), (4, "a", "f")])?;
    let rows = with_column(&rows, "size", ints([10, 20, 30, 40]))?;
    let rows = with_column(&rows, "it's \"odd\"", texts(["i", "j", "k", "l"]))?;
    let batches: Vec<RecordBatch> = (0..4).map(|row| rows.slice(row, 1)).collect();
    let samples = Rows::new(rows.schema(), batches);
    let options = ResolveOptions::default().with_samples(samples);
    let parts = resolve_with(&store, "video/raw", options).await?;
    let columns = ["id", "path", "size", "it's \"odd\""];
    check_eq(
        parts.new.lines(&columns)?,
        ["3 3.mp4 30 k", "4 4.mp4 40 l"],
        "new samples",
    )?;
    check_eq(
        parts.stale.lines(&columns)?,
        ["2 2.mp4 20 j"],
        "stale samples",
    )
}

/// Samples of a feature with upstream stand in its place: what upstream has does not count (§6).
pub async fn of_a_child_stand_for_its_upstream(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    store
        .write(&key("a")?, samples(&[(1, "x"), (2, "x")])?)
        .await?;
    compute(&store, "b").await?;
    let before = stored(&store, "b").await?;
    let parts = given(&store, "b", samples(&[(2, "own"), (7, "own")])?).await?;
    parts.are(&[7], &[2], &[1])?;
    check_eq(
        parts.new.words("metaxy_provenance_by_field.default")?,
        ["own"],
        "the version given",
    )?;
    check_eq(stored(&store, "b").await?, before, "what is stored")?;
    resolve(&store, "b").await?.nothing()
}

/// What decides is the version of each field; a version of the whole sample that does not belong to them does not (§4, §6).
pub async fn are_hashed_by_their_fields(bed: &TestBed) -> Outcome {
    let store = bed.store(video()?).await?;
    let rows = videos(&[(1, "a", "f"), (2, "a", "f")])?;
    store.write(&key("video/raw")?, rows.clone()).await?;
    let wrong = with_column(&rows, "metaxy_provenance", texts(["made", "up"]))?;
    given(&store, "video/raw", wrong).await?.nothing()?;
    // Moving a text from one field to the other is a change.
    let moved = with_column(
        &rows,
        "metaxy_provenance_by_field",
        by_field(&[("frames", &["f", "a"]), ("audio", &["a", "f"])])?,
    )?;
    given(&store, "video/raw", moved).await?.are(&[], &[2], &[])
}

/// Filters of the target choose among samples and stored rows alike (§6).
pub async fn are_filtered_as_stored_rows_are(bed: &TestBed) -> Outcome {
    let store = bed.store(video()?).await?;
    let rows = videos(&[(1, "a", "f"), (2, "a", "f"), (3, "a", "f")])?;
    store.write(&key("video/raw")?, rows).await?;
    let rows = videos(&[(3, "b", "f"), (4, "a", "f"), (5, "a", "f")])?;
    let filter = || [col("id").gt(1).and(col("id").lt(5))];
    let options = || ResolveOptions::default().with_samples(rows.clone());
    for options in [
        options().with_target_filters(filter()),
        options().with_global_filters(filter()),
        options().with_filters(key("video/raw")?, filter()),
    ] {
        resolve_with(&store, "video/raw", options)
            .await?
            .are(&[4], &[3], &[2])?;
    }
    Ok(())
}

/// Samples without an ID, or with a null one, are refused (§6, §10).
pub async fn need_their_ids(bed: &TestBed) -> Outcome {
    let store = bed.store(video()?).await?;
    let raw = key("video/raw")?;
    store.write(&raw, videos(&[(1, "a", "f")])?).await?;
    let rows = videos(&[(1, "a", "f"), (2, "a", "f")])?;
    let null = with_column(&rows, "id", ints([Some(1), None]))?;
    let mut missing = rows.clone();
    missing.remove_column(0);
    for bad in [null, missing] {
        let options = ResolveOptions::default().with_samples(bad);
        let resolved = store.resolve_update(&raw, options).await;
        let error = refused(resolved, ErrorKind::InvalidFrame)?;
        names(&error, &["video/raw", "\"id\""])?;
    }
    given(&store, "video/raw", rows).await?.are(&[2], &[], &[])
}

async fn given(store: &MetadataStore, feature: &str, rows: RecordBatch) -> Outcome<Parts> {
    let options = ResolveOptions::default().with_samples(rows);
    resolve_with(store, feature, options).await
}
