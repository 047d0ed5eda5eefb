//! What a feature's samples need (`semantics.md` §6).

use arrow::array::{RecordBatch, UInt32Array};
use futures::StreamExt;
use metaxy_store::{
    DeleteOptions, Error, ErrorKind, FeatureDep, FeatureSpec, FieldSpec, Frame, MetadataStore,
    ReadOptions, ResolveOptions, Result, Rows, col,
};

use crate::bed::TestBed;
use crate::bed::frames::{Table, by_field, read, samples, stored, texts, videos, with_column};
use crate::bed::graphs::{feature, field, graph, key, pair, video};
use crate::bed::increments::{Parts, apply, compute, hashed, resolve, resolve_with};
use crate::outcome::{Outcome, Stop, check, check_eq, names, refused};

cases! {
    "increments":
    is_all_new_at_first,
    is_empty_once_written,
    tells_new_stale_and_orphaned,
    orphans_what_was_removed_for_good,
    is_emptied_by_applying_it,
    follows_the_fields_that_changed,
    carries_the_versions_of_each_field,
    passes_along_a_chain,
    joins_the_arms_of_a_diamond,
    joins_three_upstreams,
    needs_its_required_upstream,
    is_empty_where_upstream_is,
    skips_the_comparison,
    streams_and_counts_as_it_collects,
    compares_null_provenance_as_a_value,
    does_not_depend_on_how_rows_came,
    ignores_rows_of_another_version,
    takes_upstream_rows_of_the_current_version,
    has_the_columns_of_upstream_and_the_versions,
    orphans_whole_stored_rows,
    is_right_for_many_samples,
}

/// Of a feature that was never written every expected sample is new (§6).
pub async fn is_all_new_at_first(bed: &TestBed) -> Outcome {
    let store = written(bed).await?;
    let parts = resolve(&store, "video/transcript").await?;
    parts.are(&[1, 2, 3], &[], &[])?;
    check_eq(
        parts.new.words("path")?,
        ["1.mp4", "2.mp4", "3.mp4"],
        "their paths",
    )
}

/// What was written is not asked for again, however often one resolves (§6).
pub async fn is_empty_once_written(bed: &TestBed) -> Outcome {
    let store = written(bed).await?;
    let first = resolve(&store, "video/transcript").await?;
    let second = resolve(&store, "video/transcript").await?;
    let versions = ["id", "metaxy_provenance"];
    check_eq(
        second.new.lines(&versions)?,
        first.new.lines(&versions)?,
        "a second resolve",
    )?;
    compute(&store, "video/transcript").await?;
    for _ in 0..2 {
        resolve(&store, "video/transcript").await?.nothing()?;
    }
    Ok(())
}

/// A sample that changed upstream is stale, one that came is new, one that went is orphaned; the others are in no part (§6).
pub async fn tells_new_stale_and_orphaned(bed: &TestBed) -> Outcome {
    let store = written(bed).await?;
    compute(&store, "video/transcript").await?;
    change(&store).await?;
    let parts = resolve(&store, "video/transcript").await?;
    parts.are(&[4], &[2], &[1])?;
    let text = "text|1|video/raw.audio|";
    for (part, sound) in [(&parts.new, "a4"), (&parts.stale, "changed")] {
        check_eq(
            part.words("metaxy_provenance_by_field.text")?,
            [hashed(&store, &format!("{text}{sound}"))?],
            "the version of the text",
        )?;
    }
    Ok(())
}

/// A sample that upstream lost for good is orphaned (§6).
pub async fn orphans_what_was_removed_for_good(bed: &TestBed) -> Outcome {
    let store = written(bed).await?;
    if !store.capabilities().hard_delete {
        return Err(Stop::ignored("rows cannot be removed here"));
    }
    compute(&store, "video/faces").await?;
    let gone = DeleteOptions::hard().with_filters([col("id").is_in([1, 3])]);
    store.delete(&key("video/raw")?, gone).await?;
    resolve(&store, "video/faces").await?.are(&[], &[], &[1, 3])
}

/// Writing what is new and stale and deleting what is orphaned leaves nothing to do (§6).
pub async fn is_emptied_by_applying_it(bed: &TestBed) -> Outcome {
    let store = written(bed).await?;
    apply(&store, "video/transcript").await?;
    change(&store).await?;
    apply(&store, "video/transcript").await?;
    resolve(&store, "video/transcript").await?.nothing()?;
    let rows = read(&store, "video/transcript", ReadOptions::default()).await?;
    check_eq(rows.ids()?, [2, 3, 4], "the samples")
}

/// A change of one upstream field is seen by those that depend on it, and by no others (§6).
pub async fn follows_the_fields_that_changed(bed: &TestBed) -> Outcome {
    let store = written(bed).await?;
    compute(&store, "video/transcript").await?;
    compute(&store, "video/faces").await?;
    let raw = key("video/raw")?;
    store.write(&raw, videos(&[(2, "other", "f2")])?).await?;
    let transcript = resolve(&store, "video/transcript").await?;
    transcript.are(&[], &[2], &[])?;
    resolve(&store, "video/faces").await?.nothing()?;
    store.write(&raw, videos(&[(3, "a3", "other")])?).await?;
    let faces = resolve(&store, "video/faces").await?;
    faces.are(&[], &[3], &[])?;
    let transcript = resolve(&store, "video/transcript").await?;
    transcript.are(&[], &[2], &[])
}

/// Of a stale sample only the fields whose upstream changed have another version (§4, §6).
pub async fn carries_the_versions_of_each_field(bed: &TestBed) -> Outcome {
    let both = feature("both", &[], &["video/raw"])?
        .with_field(field("text", "video/raw", &["audio"])?)
        .with_field(field("boxes", "video/raw", &["frames"])?);
    let raw = feature("video/raw", &["audio", "frames"], &[])?;
    let store = bed.store(graph([raw, both])?).await?;
    let raw = key("video/raw")?;
    store.write(&raw, videos(&[(1, "a1", "f1")])?).await?;
    let versions = async |table: &Table| -> Outcome<[String; 3]> {
        let boxes = table.words("metaxy_provenance_by_field.boxes")?;
        let text = table.words("metaxy_provenance_by_field.text")?;
        let whole = table.words("metaxy_provenance")?;
        Ok([boxes.concat(), text.concat(), whole.concat()])
    };
    let boxes = hashed(&store, "boxes|1|video/raw.frames|f1")?;
    for sound in ["a1", "a2"] {
        store.write(&raw, videos(&[(1, sound, "f1")])?).await?;
        let parts = resolve(&store, "both").await?;
        let part = match sound {
            "a1" => &parts.new,
            _ => &parts.stale,
        };
        let text = hashed(&store, &format!("text|1|video/raw.audio|{sound}"))?;
        let whole = hashed(&store, &format!("{boxes}|{text}"))?;
        check_eq(
            versions(part).await?,
            [boxes.clone(), text, whole],
            "versions of boxes, text and both",
        )?;
        compute(&store, "both").await?;
    }
    Ok(())
}

/// A change goes down a chain step by step, as each feature is written (§6).
pub async fn passes_along_a_chain(bed: &TestBed) -> Outcome {
    let specs = [
        feature("a", &["default"], &[])?,
        feature("b", &["default"], &["a"])?,
        feature("c", &["default"], &["b"])?,
    ];
    let store = bed.store(graph(specs)?).await?;
    store
        .write(&key("a")?, samples(&[(1, "x"), (2, "y")])?)
        .await?;
    compute(&store, "b").await?;
    compute(&store, "c").await?;
    store.write(&key("a")?, samples(&[(2, "z")])?).await?;
    resolve(&store, "c").await?.nothing()?;
    compute(&store, "b").await?;
    let parts = resolve(&store, "c").await?;
    parts.are(&[], &[2], &[])?;
    let b = hashed(&store, "default|1|a.default|z")?;
    let c = hashed(&store, &format!("default|1|b.default|{b}"))?;
    check_eq(
        parts.stale.words("metaxy_provenance_by_field.default")?,
        [c],
        "the version at the end",
    )?;
    compute(&store, "c").await?;
    resolve(&store, "c").await?.nothing()
}

/// Two features of one root meet again in a third, which has the samples of both (§2, §6).
pub async fn joins_the_arms_of_a_diamond(bed: &TestBed) -> Outcome {
    let select = |name| Ok::<_, Error>(FeatureDep::new(name)?.with_select(Vec::<String>::new()));
    let specs = [
        feature("video/raw", &["audio", "frames"], &[])?,
        feature("left", &[], &["video/raw"])?.with_field(field(
            "default",
            "video/raw",
            &["audio"],
        )?),
        feature("right", &[], &["video/raw"])?.with_field(field(
            "default",
            "video/raw",
            &["frames"],
        )?),
        feature("end", &["default"], &[])?
            .with_dep(select("left")?)
            .with_dep(select("right")?),
    ];
    let store = bed.store(graph(specs)?).await?;
    store.write(&key("video/raw")?, all_videos()?).await?;
    compute(&store, "left").await?;
    let right = store
        .resolve_update(&key("right")?, ResolveOptions::default())
        .await?;
    store.write(&key("right")?, right.new).await?;
    compute(&store, "end").await?;
    change(&store).await?;
    apply(&store, "left").await?;
    // The left arm has lost 1 and won 4; the right one has not moved.
    let parts = resolve(&store, "end").await?;
    parts.are(&[], &[2], &[1])?;
    let left = hashed(&store, "default|1|video/raw.audio|changed")?;
    let right = hashed(&store, "default|1|video/raw.frames|f2")?;
    let end = hashed(
        &store,
        &format!("default|1|left.default|{left}|right.default|{right}"),
    )?;
    check_eq(
        parts.stale.words("metaxy_provenance_by_field.default")?,
        [end],
        "the version at the end",
    )?;
    apply(&store, "right").await?;
    resolve(&store, "end").await?.are(&[4], &[2], &[1])?;
    apply(&store, "end").await?;
    resolve(&store, "end").await?.nothing()
}

/// Three upstreams are joined on their IDs: a sample is one that all have (§2, §10).
pub async fn joins_three_upstreams(bed: &TestBed) -> Outcome {
    let specs = [
        feature("a", &["default"], &[])?,
        feature("b", &["default"], &[])?,
        feature("c", &["default"], &[])?,
        feature("d", &["default"], &["c", "a", "b"])?,
    ];
    let store = bed.store(graph(specs)?).await?;
    for (name, ids) in [("a", [1, 2, 3]), ("b", [2, 3, 4]), ("c", [3, 2, 5])] {
        let rows = ids.map(|id| (id, format!("{name}{id}")));
        let rows: Vec<(i64, &str)> = rows.iter().map(|(id, v)| (*id, v.as_str())).collect();
        let rows = samples(&rows)?;
        let note = texts([name; 3]);
        let rows = with_column(&rows, &format!("note_{name}"), note)?;
        store.write(&key(name)?, rows).await?;
    }
    let parts = resolve(&store, "d").await?;
    parts.are(&[2, 3], &[], &[])?;
    let version = |id| {
        let text = format!("default|1|a.default|a{id}|b.default|b{id}|c.default|c{id}");
        hashed(&store, &text)
    };
    check_eq(
        parts.new.words("metaxy_provenance_by_field.default")?,
        [version(2)?, version(3)?],
        "the versions",
    )?;
    check_eq(
        parts.new.lines(&["note_a", "note_b", "note_c"])?,
        ["a b c", "a b c"],
        "the notes",
    )?;
    compute(&store, "d").await?;
    store.write(&key("b")?, samples(&[(3, "other")])?).await?;
    resolve(&store, "d").await?.are(&[], &[3], &[])
}

/// A required upstream that was never written is an error that names it, and nothing is written (§6).
pub async fn needs_its_required_upstream(bed: &TestBed) -> Outcome {
    let store = bed.store(video()?).await?;
    let faces = key("video/faces")?;
    let resolved = store
        .resolve_update(&faces, ResolveOptions::default())
        .await;
    let error = refused(resolved, ErrorKind::FeatureNotFound)?;
    names(&error, &["video/faces", "video/raw", "main"])?;
    check_eq(store.backend().tables().await?.len(), 0, "tables")
}

/// An upstream all of whose samples are gone asks for nothing, and orphans what was made of them (§6).
pub async fn is_empty_where_upstream_is(bed: &TestBed) -> Outcome {
    let store = written(bed).await?;
    store
        .delete(&key("video/raw")?, DeleteOptions::soft())
        .await?;
    resolve(&store, "video/faces").await?.nothing()?;
    store.write(&key("video/raw")?, all_videos()?).await?;
    compute(&store, "video/faces").await?;
    store
        .delete(&key("video/raw")?, DeleteOptions::soft())
        .await?;
    resolve(&store, "video/faces")
        .await?
        .are(&[], &[], &[1, 2, 3])
}

/// Without a comparison every expected sample is new, and nothing is stale or orphaned (§6).
pub async fn skips_the_comparison(bed: &TestBed) -> Outcome {
    let store = written(bed).await?;
    compute(&store, "video/transcript").await?;
    change(&store).await?;
    let skip = || ResolveOptions::default().with_skip_comparison(true);
    let parts = resolve_with(&store, "video/transcript", skip()).await?;
    parts.are(&[2, 3, 4], &[], &[])?;
    check_eq(
        parts.new.words("metaxy_provenance_by_field.text")?,
        ["changed", "a3", "a4"]
            .iter()
            .map(|sound| hashed(&store, &format!("text|1|video/raw.audio|{sound}")))
            .collect::<Outcome<Vec<_>>>()?,
        "the versions",
    )?;
    let stale = skip().with_staleness_predicates([col("id").ge(0)]);
    resolve_with(&store, "video/transcript", stale)
        .await?
        .are(&[2, 3, 4], &[], &[])
}

/// An increment that is not collected streams the same parts, and counts them; each sample is in one part (§6).
pub async fn streams_and_counts_as_it_collects(bed: &TestBed) -> Outcome {
    let store = written(bed).await?;
    compute(&store, "video/transcript").await?;
    change(&store).await?;
    let transcript = key("video/transcript")?;
    let lazy = async || {
        store
            .resolve_lazy(&transcript, ResolveOptions::default())
            .await
    };
    let collected = Parts::of(lazy().await?.collect().await?).await?;
    let mut stream = lazy().await?.stream().await?;
    let mut streamed = [Vec::new(), Vec::new(), Vec::new()];
    while let Some(split) = stream.next().await {
        let split = split?;
        for (ids, batch) in streamed
            .iter_mut()
            .zip([split.new, split.stale, split.orphaned])
        {
            ids.extend(Table::of(batch).await?.ids()?);
        }
    }
    let [new, stale, orphaned] = streamed;
    collected.are(&new, &stale, &orphaned)?;
    collected.are(&[4], &[2], &[1])?;
    check_eq(lazy().await?.counts().await?, collected.counts(), "rows")?;
    check_eq(
        lazy().await?.sample_counts().await?,
        collected.counts(),
        "samples",
    )
}

/// Null to null is unchanged, null to a value and a value to null is stale (§10, 17).
pub async fn compares_null_provenance_as_a_value(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    let row = |version: Option<&str>| -> Result<RecordBatch> {
        let versions = by_field(&[("default", &[version, Some("same")])])?;
        let rows = samples(&[(1, ""), (2, "")])?;
        with_column(&rows, "metaxy_provenance_by_field", versions)
    };
    store.write(&a, row(None)?).await?;
    let parts = resolve(&store, "b").await?;
    parts.are(&[1, 2], &[], &[])?;
    check_eq(
        parts.new.texts("metaxy_provenance")?.first(),
        Some(&None),
        "the provenance that rests on null",
    )?;
    compute(&store, "b").await?;
    resolve(&store, "b").await?.nothing()?;
    for version in [Some("value"), None] {
        store.write(&a, row(version)?).await?;
        resolve(&store, "b").await?.are(&[], &[1], &[])?;
        compute(&store, "b").await?;
        resolve(&store, "b").await?.nothing()?;
    }
    Ok(())
}

/// The order of rows, the size of batches and the number of writes change nothing (§6).
pub async fn does_not_depend_on_how_rows_came(bed: &TestBed) -> Outcome {
    let rows = all_videos()?;
    let pick = |order: &[u32]| -> Outcome<RecordBatch> {
        arrow::compute::take_record_batch(&rows, &UInt32Array::from(order.to_vec()))
            .map_err(|e| Stop::failed(e.to_string()))
    };
    let one = |i: u32| pick(&[i]);
    let batches = |list: Vec<RecordBatch>| Rows::new(rows.schema(), list);
    let ways: [(&str, Vec<Rows>); 4] = [
        ("at once", vec![rows.clone().into()]),
        ("backwards", vec![pick(&[2, 1, 0])?.into()]),
        (
            "in batches, some of them empty",
            vec![batches(vec![one(1)?, pick(&[])?, one(2)?, one(0)?])],
        ),
        (
            "in several writes",
            vec![one(2)?.into(), one(0)?.into(), one(1)?.into()],
        ),
    ];
    let mut first = None;
    for (i, (way, writes)) in ways.into_iter().enumerate() {
        let builder = bed.builder(&format!("store{i}")).await?;
        let store = builder.with_graph(video()?).build()?;
        for write in writes {
            store.write(&key("video/raw")?, Frame::from(write)).await?;
        }
        compute(&store, "video/transcript").await?;
        change(&store).await?;
        let parts = resolve(&store, "video/transcript").await?;
        let columns = ["id", "path", "metaxy_provenance"];
        let found = (
            parts.new.lines(&columns)?,
            parts.stale.lines(&columns)?,
            parts.orphaned.lines(&columns)?,
        );
        check_eq(&found, first.get_or_insert(found.clone()), way)?;
    }
    Ok(())
}

/// Rows that were written under another version of the feature are not compared: its samples are new (§5, §6).
pub async fn ignores_rows_of_another_version(bed: &TestBed) -> Outcome {
    let store = written(bed).await?;
    compute(&store, "video/faces").await?;
    let newer = store.with_graph(graph(with_code("video/faces", "boxes", "2")?)?);
    resolve(&newer, "video/faces")
        .await?
        .are(&[1, 2, 3], &[], &[])?;
    resolve(&newer, "video/transcript")
        .await?
        .are(&[1, 2, 3], &[], &[])?;
    compute(&newer, "video/faces").await?;
    resolve(&newer, "video/faces").await?.nothing()?;
    // The older version has its rows still.
    resolve(&store, "video/faces").await?.nothing()
}

/// Upstream rows of an older version do not count until they are written under the current one (§5, §6).
pub async fn takes_upstream_rows_of_the_current_version(bed: &TestBed) -> Outcome {
    let store = written(bed).await?;
    compute(&store, "video/faces").await?;
    // Faces do not depend on the sound, so their own version stays.
    let newer = store.with_graph(graph(with_code("video/raw", "audio", "2")?)?);
    resolve(&newer, "video/faces").await?.nothing()?;
    newer
        .write(
            &key("video/raw")?,
            videos(&[(1, "a1", "f1"), (2, "a2", "other")])?,
        )
        .await?;
    resolve(&newer, "video/faces").await?.are(&[], &[2], &[3])?;
    resolve(&store, "video/faces").await?.nothing()
}

/// New and stale rows have the upstream's user columns and the four version columns: no other system column of an upstream (§6).
pub async fn has_the_columns_of_upstream_and_the_versions(bed: &TestBed) -> Outcome {
    let store = written(bed).await?;
    let mut expected = vec![
        "id",
        "metaxy_data_version",
        "metaxy_data_version_by_field",
        "metaxy_provenance",
        "metaxy_provenance_by_field",
        "path",
    ];
    let sorted = |table: &Table| {
        let mut columns = table.columns();
        columns.sort();
        columns
    };
    let parts = resolve(&store, "video/faces").await?;
    check_eq(sorted(&parts.new), &expected[..], "columns of new rows")?;
    check_eq(sorted(&parts.stale), &expected[..], "columns of stale rows")?;
    check_eq(
        parts
            .new
            .lines(&["metaxy_data_version", "metaxy_data_version_by_field.boxes"])?,
        parts
            .new
            .lines(&["metaxy_provenance", "metaxy_provenance_by_field.boxes"])?,
        "data versions, which are the provenance",
    )?;
    // A column that comes later upstream comes along.
    let more = with_column(&videos(&[(4, "a4", "f4")])?, "length", texts(["4 s"]))?;
    store.write(&key("video/raw")?, more).await?;
    let parts = resolve(&store, "video/faces").await?;
    expected.insert(1, "length");
    check_eq(sorted(&parts.new), &expected[..], "columns of new rows")?;
    check_eq(
        parts.new.lines(&["id", "length"])?,
        ["1 -", "2 -", "3 -", "4 4 s"],
        "the column that came later",
    )
}

/// Orphaned rows are the stored ones, with all their columns (§6).
pub async fn orphans_whole_stored_rows(bed: &TestBed) -> Outcome {
    let store = written(bed).await?;
    let faces = key("video/faces")?;
    let increment = store
        .resolve_update(&faces, ResolveOptions::default())
        .await?;
    let rows = Table::of(increment.new).await?;
    let rows = with_column(rows.batch(), "found", texts(["x", "y", "z"]))?;
    store.write(&faces, rows).await?;
    let before = read(&store, "video/faces", ReadOptions::default()).await?;
    let gone = DeleteOptions::soft().with_filters([col("id").gt(1)]);
    store.delete(&key("video/raw")?, gone).await?;
    let parts = resolve(&store, "video/faces").await?;
    check_eq(parts.orphaned.columns(), before.columns(), "the columns")?;
    let columns = before.columns();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    check_eq(
        parts.orphaned.lines(&columns)?,
        before.lines(&columns)?[1..].to_vec(),
        "the rows",
    )
}

/// Thousands of samples, over several batches and writes, each land in the part where they belong (§6).
pub async fn is_right_for_many_samples(bed: &TestBed) -> Outcome {
    const MANY: i64 = 5_000;
    let store = bed.store(pair()?).await?;
    let write = async |ids: Vec<i64>, version: &str| -> Outcome {
        let rows: Vec<(i64, String)> = ids
            .into_iter()
            .map(|id| (id, format!("{version}{id}")))
            .collect();
        let rows: Vec<(i64, &str)> = rows.iter().map(|(id, v)| (*id, v.as_str())).collect();
        let batches: Vec<RecordBatch> = rows.chunks(1_024).map(samples).collect::<Result<_>>()?;
        let Some(first) = batches.first() else {
            return Err(Stop::failed("no rows"));
        };
        let rows = Rows::new(first.schema(), batches);
        store.write(&key("a")?, rows).await?;
        Ok(())
    };
    write((0..MANY).collect(), "v").await?;
    compute(&store, "b").await?;
    resolve(&store, "b").await?.nothing()?;
    write((0..MANY).filter(|id| id % 7 == 3).collect(), "changed").await?;
    write((MANY..MANY + 1_500).collect(), "v").await?;
    let gone = DeleteOptions::soft().with_filters([col("id").lt(1_100)]);
    store.delete(&key("a")?, gone).await?;
    let parts = resolve(&store, "b").await?;
    let stale: Vec<i64> = (1_100..MANY).filter(|id| id % 7 == 3).collect();
    let new: Vec<i64> = (MANY..MANY + 1_500).collect();
    let orphaned: Vec<i64> = (0..1_100).collect();
    check(parts.new.ids()? == new, "the new samples are others")?;
    check(parts.stale.ids()? == stale, "the stale samples are others")?;
    check(
        parts.orphaned.ids()? == orphaned,
        "the orphaned samples are others",
    )?;
    let versions = parts.stale.words("metaxy_provenance_by_field.default")?;
    for (id, version) in stale.iter().zip(versions) {
        let text = format!("default|1|a.default|changed{id}");
        check_eq(version, hashed(&store, &text)?, "a version")?;
    }
    apply(&store, "b").await?;
    resolve(&store, "b").await?.nothing()?;
    check_eq(
        stored(&store, "b").await?.len(),
        (MANY as usize) + new.len() + stale.len() + orphaned.len(),
        "rows in the table",
    )
}

/// A store of [`video`] with three videos.
async fn written(bed: &TestBed) -> Outcome<MetadataStore> {
    let store = bed.store(video()?).await?;
    store.write(&key("video/raw")?, all_videos()?).await?;
    Ok(store)
}

fn all_videos() -> Result<RecordBatch> {
    videos(&[(1, "a1", "f1"), (2, "a2", "f2"), (3, "a3", "f3")])
}

/// Video 1 goes, the sound of video 2 changes, video 4 comes.
async fn change(store: &MetadataStore) -> Outcome {
    let raw = key("video/raw")?;
    let rows = videos(&[(2, "changed", "f2"), (4, "a4", "f4")])?;
    store.write(&raw, rows).await?;
    let gone = DeleteOptions::soft().with_filters([col("id").eq(1)]);
    store.delete(&raw, gone).await?;
    Ok(())
}

/// The features of [`video`] with another code version of one field.
fn with_code(name: &str, field: &str, code_version: &str) -> Result<Vec<FeatureSpec>> {
    let graph = video()?;
    let specs = graph.definitions().map(|definition| {
        let spec = &definition.spec;
        if spec.key().as_str() != name {
            return Ok(spec.clone());
        }
        let fields = spec.fields().iter().cloned().map(|mut spec: FieldSpec| {
            if spec.key.as_str() == field {
                spec = spec.with_code_version(code_version);
            }
            spec
        });
        let ids = spec.id_columns().iter().cloned();
        let changed = FeatureSpec::new(spec.key().as_str(), ids)?;
        Ok(changed
            .with_deps(spec.deps().iter().cloned())
            .with_fields(fields))
    });
    specs.collect()
}
