//! Parents that were written as done without children (`semantics.md` §15).

use std::num::NonZeroU64;

use arrow::array::{ArrayRef, AsArray, NullArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use indexmap::IndexMap;
use metaxy_store::spec::Lineage;
use metaxy_store::store::{CopyOptions, MaintainOptions, RebaseCounts, RebaseOptions};
use metaxy_store::{
    DeleteOptions, ErrorKind, FeatureDep, FeatureGraph, FeatureSpec, FieldSpec, MetadataStore,
    ReadOptions, ResolveOptions, Result, WriteOptions, col,
};

use crate::bed::TestBed;
use crate::bed::frames::{bools, everything, ints, keyed, read, texts, with_column};
use crate::bed::graphs::{graph, key};
use crate::bed::increments::{Parts, compute, resolve, resolve_with};
use crate::cases::rebase::known_history;
use crate::outcome::{Outcome, check, check_eq, names, refused};

cases! { "childless":
    are_done,
    are_stale_once_their_provenance_changes,
    are_no_samples,
    are_orphans_of_nobody,
    are_not_done_once_their_children_were_deleted,
    replace_the_children_of_before,
    are_copied,
    are_rebased,
    outlast_maintenance,
    are_found_in_a_fallback_store,
    need_a_feature_that_has_children,
    need_the_ids_of_their_parent,
    need_children_whose_type_is_known,
}

const EMPTY: &str = "metaxy_empty";

/// Videos, their crops, and what is made of each crop.
fn crops(code: &str) -> Result<FeatureGraph> {
    let field = FieldSpec::new("default")?.with_code_version(code);
    let dep = FeatureDep::new("video")?.with_lineage(Lineage::expansion(["video"]));
    let crop = FeatureSpec::new("crop", ["video", "crop"])?;
    let label = FeatureSpec::new("label", ["video", "crop"])?;
    graph([
        FeatureSpec::new("video", ["video"])?,
        crop.with_field(field).with_dep(dep),
        label.with_dep(FeatureDep::new("crop")?),
    ])
}

async fn write_videos(store: &MetadataStore, rows: &[(i64, &str)]) -> Outcome {
    let (ids, versions): (Vec<i64>, Vec<&str>) = rows.iter().copied().unzip();
    let rows = keyed(&[("video", &ids)], &versions)?;
    store.write(&key("video")?, rows).await?;
    Ok(())
}

/// Writes what a step makes of the parents that are new or stale: `children` of each, and a mark where there are none.
async fn step(store: &MetadataStore, children: impl Fn(i64) -> Vec<i64>) -> Outcome {
    let work = resolve(store, "crop").await?;
    for part in [&work.new, &work.stale] {
        for row in 0..part.len() {
            let parent = part.batch().slice(row, 1);
            let video = parent.column_by_name("video");
            let video = video.and_then(|ids| ids.as_primitive_opt::<Int64Type>());
            let found = children(video.map_or(0, |ids| ids.value(0)));
            let rows = match found.as_slice() {
                [] => empty(&parent, ints([None]))?,
                found => {
                    let of_each: Vec<RecordBatch> = found.iter().map(|_| parent.clone()).collect();
                    let rows = arrow::compute::concat_batches(&parent.schema(), &of_each)?;
                    with_column(&rows, "crop", ints(found.iter().copied()))?
                }
            };
            store.write(&key("crop")?, rows).await?;
        }
    }
    Ok(())
}

/// The row of a parent without children.
fn empty(parent: &RecordBatch, crop: ArrayRef) -> Result<RecordBatch> {
    let row = with_column(parent, "crop", crop)?;
    with_column(&row, EMPTY, bools(vec![true; parent.num_rows()]))
}

/// Video 1 has two crops, and 2 has none.
async fn two_videos(store: &MetadataStore) -> Outcome {
    write_videos(store, &[(1, "a"), (2, "b")]).await?;
    step(store, |video| if video == 1 { vec![1, 2] } else { vec![] }).await
}

async fn children(store: &MetadataStore) -> Outcome<Vec<String>> {
    let rows = read(store, "crop", ReadOptions::default()).await?;
    rows.lines(&["video", "crop"])
}

fn parents(parts: &Parts) -> Outcome<[Vec<String>; 3]> {
    Ok([
        parts.new.lines(&["video"])?,
        parts.stale.lines(&["video"])?,
        match parts.orphaned.is_empty() {
            true => Vec::new(),
            false => parts.orphaned.lines(&["video", "crop"])?,
        },
    ])
}

/// What is new, stale and orphaned.
async fn are(store: &MetadataStore, expected: [&[&str]; 3]) -> Outcome {
    let found = parents(&resolve(store, "crop").await?)?;
    let expected = expected.map(|part| part.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
    check_eq(found, expected, "new, stale and orphaned")
}

/// A parent that was looked at and has no children is not computed again (§15).
pub async fn are_done(bed: &TestBed) -> Outcome {
    let store = bed.store(crops("1")?).await?;
    two_videos(&store).await?;
    are(&store, [&[], &[], &[]]).await?;
    write_videos(&store, &[(3, "c"), (4, "d")]).await?;
    are(&store, [&["3", "4"], &[], &[]]).await?;
    step(&store, |_| vec![]).await?;
    are(&store, [&[], &[], &[]]).await?;
    check_eq(children(&store).await?, ["1 1", "1 2"], "the children")?;
    let crop = key("crop")?;
    let lazy = store.resolve_lazy(&crop, ResolveOptions::default()).await?;
    let counts = lazy.counts().await?;
    check_eq(
        (counts.new, counts.stale, counts.orphaned),
        (0, 0, 0),
        "counts",
    )
}

/// It is done until its provenance changes, and then children are like any others (§15).
pub async fn are_stale_once_their_provenance_changes(bed: &TestBed) -> Outcome {
    let store = bed.store(crops("1")?).await?;
    two_videos(&store).await?;
    for (version, found, expected) in [
        ("c", vec![7], vec!["1 1", "1 2", "2 7"]),
        ("b", vec![], vec!["1 1", "1 2", "2 7"]),
        ("d", vec![8, 9], vec!["1 1", "1 2", "2 7", "2 8", "2 9"]),
    ] {
        write_videos(&store, &[(2, version)]).await?;
        let work = resolve(&store, "crop").await?;
        check_eq(work.stale.lines(&["video"])?, ["2"], "stale parents")?;
        step(&store, |_| found.clone()).await?;
        let work = resolve(&store, "crop").await?;
        check(
            work.new.is_empty() && work.stale.is_empty(),
            "nothing to compute",
        )?;
        check_eq(children(&store).await?, expected, "the children")?;
    }
    Ok(())
}

/// No read and no count sees them, and what depends on the feature does not either (§15).
pub async fn are_no_samples(bed: &TestBed) -> Outcome {
    let store = bed.store(crops("1")?).await?;
    two_videos(&store).await?;
    let options = [
        ReadOptions::default(),
        ReadOptions::default().with_soft_deleted(true),
        ReadOptions::default().with_sample_history(true),
        ReadOptions::default().with_feature_history(true),
        everything(),
    ];
    for options in options {
        let rows = read(&store, "crop", options.clone()).await?;
        check_eq(rows.lines(&["video", "crop"])?, ["1 1", "1 2"], "the rows")?;
        check(!rows.columns().contains(&EMPTY.to_owned()), "no mark")?;
        check_eq(store.count(&key("crop")?, options).await?, 2, "the count")?;
    }
    let marks = ReadOptions::default().with_columns([EMPTY]);
    refused(
        store.read(&key("crop")?, marks).await,
        ErrorKind::InvalidArgument,
    )?;
    let work = resolve(&store, "label").await?;
    check_eq(work.new.lines(&["video", "crop"])?, ["1 1", "1 2"], "work")?;
    compute(&store, "label").await?;
    // Marks that mark nothing make no such row.
    let rows = read(&store, "crop", ReadOptions::default()).await?;
    let rows = with_column(rows.batch(), EMPTY, bools([false, false]))?;
    store.write(&key("crop")?, rows).await?;
    check_eq(children(&store).await?, ["1 1", "1 2"], "the children")?;
    are(&store, [&[], &[], &[]]).await
}

/// A parent that is gone leaves nothing to delete, and is done if it comes back as it was (§6, §15).
pub async fn are_orphans_of_nobody(bed: &TestBed) -> Outcome {
    let store = bed.store(crops("1")?).await?;
    two_videos(&store).await?;
    let all = DeleteOptions::soft();
    store.delete(&key("video")?, all).await?;
    are(&store, [&[], &[], &["1 1", "1 2"]]).await?;
    let orphans = resolve(&store, "crop").await?.orphaned;
    check(!orphans.columns().contains(&EMPTY.to_owned()), "no mark")?;
    check_eq(
        store
            .delete_rows(&key("crop")?, orphans.batch().clone())
            .await?,
        2,
        "deleted",
    )?;
    are(&store, [&[], &[], &[]]).await?;
    write_videos(&store, &[(1, "a"), (2, "b")]).await?;
    are(&store, [&["1"], &[], &[]]).await
}

/// The row does not count any more once children were written after it, also if these are deleted (§15).
pub async fn are_not_done_once_their_children_were_deleted(bed: &TestBed) -> Outcome {
    let store = bed.store(crops("1")?).await?;
    write_videos(&store, &[(1, "a"), (2, "b")]).await?;
    let parent = resolve(&store, "crop").await?.new;
    let second = parent.batch().slice(1, 1);
    step(&store, |video| if video == 1 { vec![1] } else { vec![] }).await?;
    let child = with_column(&second, "crop", ints([5]))?;
    store.write(&key("crop")?, child).await?;
    are(&store, [&[], &[], &[]]).await?;
    let gone = DeleteOptions::soft().with_filters([col("crop").eq(5)]);
    check_eq(store.delete(&key("crop")?, gone).await?, 1, "deleted")?;
    are(&store, [&["2"], &[], &[]]).await?;
    // What is deleted for good goes with all that is known of its parent.
    step(&store, |_| vec![]).await?;
    are(&store, [&[], &[], &[]]).await?;
    if store.capabilities().hard_delete {
        let gone = DeleteOptions::hard().with_filters([col("video").eq(2)]);
        store.delete(&key("crop")?, gone).await?;
        are(&store, [&["2"], &[], &[]]).await?;
    }
    Ok(())
}

/// Children that a parent had before are orphaned, and may be deleted (§6, §15).
pub async fn replace_the_children_of_before(bed: &TestBed) -> Outcome {
    let store = bed.store(crops("1")?).await?;
    two_videos(&store).await?;
    write_videos(&store, &[(1, "changed")]).await?;
    step(&store, |_| vec![]).await?;
    are(&store, [&[], &[], &["1 1", "1 2"]]).await?;
    let orphans = resolve(&store, "crop").await?.orphaned;
    let crop = key("crop")?;
    store.delete_rows(&crop, orphans.batch().clone()).await?;
    are(&store, [&[], &[], &[]]).await?;
    check(children(&store).await?.is_empty(), "no children")
}

/// They go along with a copy, once (§15).
pub async fn are_copied(bed: &TestBed) -> Outcome {
    let from = bed.builder("from").await?.with_graph(crops("1")?).build()?;
    let to = bed.builder("to").await?.with_graph(crops("1")?).build()?;
    two_videos(&from).await?;
    for round in 0..2 {
        let report = to.copy_from(&from, CopyOptions::default()).await?;
        check_eq(report.rows_copied, if round == 0 { 5 } else { 0 }, "rows")?;
        are(&to, [&[], &[], &[]]).await?;
        check_eq(children(&to).await?, ["1 1", "1 2"], "the children")?;
    }
    Ok(())
}

/// They are carried over to another version as the rows that they are (§15).
pub async fn are_rebased(bed: &TestBed) -> Outcome {
    let store = bed.store(crops("1")?).await?;
    two_videos(&store).await?;
    store.push_graph(None, &IndexMap::new()).await?;
    write_videos(&store, &[(3, "c")]).await?;
    step(&store, |_| vec![]).await?;
    write_videos(&store, &[(3, "changed")]).await?;
    let old = store.graph().feature_version(&key("crop")?)?.to_owned();
    let store = store.with_graph(crops("2")?);
    let old = ReadOptions::default()
        .with_feature_history(true)
        .with_feature_version(old)
        .with_childless(true);
    let rows = store.read(&key("crop")?, old).await?;
    let crop = key("crop")?;
    let rebased = store.rebase(&crop, rows, RebaseOptions::default()).await;
    let rebased = known_history(rebased)?;
    let RebaseCounts {
        current,
        stale,
        orphaned,
        left_out,
        ..
    } = rebased.counts;
    check_eq([current, stale, orphaned, left_out], [3, 1, 0, 0], "counts")?;
    let keep = WriteOptions::default().with_preserve_feature_version(true);
    store.write_with(&key("crop")?, rebased.rows, keep).await?;
    are(&store, [&[], &["3"], &[]]).await?;
    check_eq(children(&store).await?, ["1 1", "1 2"], "the children")
}

/// Maintenance changes no answer (§5, §15).
pub async fn outlast_maintenance(bed: &TestBed) -> Outcome {
    let store = bed.store(crops("1")?).await?;
    two_videos(&store).await?;
    if store.capabilities().hard_delete {
        let keep = MaintainOptions::default().with_keep(NonZeroU64::MIN);
        store.maintain(keep).await?;
    }
    are(&store, [&[], &[], &[]]).await
}

/// Where a store compares with those that it falls back to, what they say of parents counts (§8, §15).
pub async fn are_found_in_a_fallback_store(bed: &TestBed) -> Outcome {
    let far = bed.builder("far").await?.with_graph(crops("1")?).build()?;
    two_videos(&far).await?;
    let near = bed.builder("near").await?.with_graph(crops("1")?);
    let near = near.with_fallback(far).build()?;
    let options = ResolveOptions::default().with_compare_with_fallback(true);
    resolve_with(&near, "crop", options).await?.nothing()
}

/// A feature whose samples are no children has no parents without (§15).
pub async fn need_a_feature_that_has_children(bed: &TestBed) -> Outcome {
    let store = bed.store(crops("1")?).await?;
    let rows = with_column(&keyed(&[("video", &[1])], &["a"])?, EMPTY, bools([true]))?;
    let error = refused(
        store.write(&key("video")?, rows).await,
        ErrorKind::InvalidFrame,
    )?;
    names(&error, &[EMPTY, "video"])?;
    // What marks nothing is nothing.
    let rows = with_column(&keyed(&[("video", &[1])], &["a"])?, EMPTY, bools([None]))?;
    store.write(&key("video")?, rows).await?;
    let rows = read(&store, "video", ReadOptions::default()).await?;
    check(!rows.columns().contains(&EMPTY.to_owned()), "no mark")
}

/// Which parent has no children has to be said, and a row that is not marked needs all IDs (§4, §15).
pub async fn need_the_ids_of_their_parent(bed: &TestBed) -> Outcome {
    let store = bed.store(crops("1")?).await?;
    two_videos(&store).await?;
    write_videos(&store, &[(3, "c")]).await?;
    let crop = key("crop")?;
    let parent = resolve(&store, "crop").await?.new;
    let row = empty(parent.batch(), ints([None]))?;
    let nobody = with_column(&row, "video", ints([None]))?;
    let error = refused(store.write(&crop, nobody).await, ErrorKind::InvalidFrame)?;
    names(&error, &["video", "crop"])?;
    let unmarked = with_column(&row, EMPTY, bools([false]))?;
    let error = refused(store.write(&crop, unmarked).await, ErrorKind::InvalidFrame)?;
    names(&error, &["crop"])?;
    let strange = with_column(&row, EMPTY, ints([1]))?;
    let error = refused(store.write(&crop, strange).await, ErrorKind::InvalidFrame)?;
    names(&error, &[EMPTY])?;
    let strange = with_column(&row, EMPTY, texts(["perhaps"]))?;
    refused(store.write(&crop, strange).await, ErrorKind::InvalidFrame)?;
    are(&store, [&["3"], &[], &[]]).await
}

/// The first row of a table tells the types of its IDs; a value in a marked row tells nothing else (§4, §15).
pub async fn need_children_whose_type_is_known(bed: &TestBed) -> Outcome {
    let store = bed.store(crops("1")?).await?;
    write_videos(&store, &[(1, "a"), (2, "b")]).await?;
    let crop = key("crop")?;
    let parents = resolve(&store, "crop").await?.new;
    let nulls: ArrayRef = std::sync::Arc::new(NullArray::new(2));
    let rows = empty(parents.batch(), nulls)?;
    let error = refused(store.write(&crop, rows).await, ErrorKind::InvalidFrame)?;
    names(&error, &["crop"])?;
    let without = with_column(parents.batch(), EMPTY, bools([true, true]))?;
    refused(
        store.write(&crop, without.clone()).await,
        ErrorKind::InvalidFrame,
    )?;
    let first = empty(parents.batch(), ints([7, 7]))?;
    let first = filter_record_batch(&first, &vec![true, false].into())?;
    store.write(&crop, first).await?;
    are(&store, [&["2"], &[], &[]]).await?;
    store.write(&crop, without).await?;
    are(&store, [&[], &[], &[]]).await?;
    let rows = read(&store, "crop", everything()).await?;
    check(rows.is_empty(), "no children")
}
