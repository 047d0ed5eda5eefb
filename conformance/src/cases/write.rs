//! Writing samples (`semantics.md` §4, §5).

mod names;
mod versions;
mod whole;

use arrow::array::RecordBatch;
use metaxy_store::spec::FeatureSpec;
use metaxy_store::{ErrorKind, FieldSpec, Frame, MetadataStore, ReadOptions, Rows, WriteOptions};

use crate::bed::TestBed;
use crate::bed::frames::{
    by_field, everything, frame, ints, read, samples, stored, texts, times, videos, with_column,
};
use crate::bed::graphs::{graph, key, pair, video};
use crate::outcome::{Outcome, check, check_eq, names, refused};

pub use names::{
    column_names_are_taken_literally, composite_ids_identify_together,
    long_column_names_are_kept_apart_or_refused,
    names_that_differ_by_case_are_told_apart_or_refused, refuses_reserved_column_names,
    refuses_two_columns_of_one_name, text_ids_are_taken_literally,
};
pub use versions::{
    an_empty_frame_may_lack_types, derives_the_provenance_of_a_root, hashes_a_given_data_version,
    keeps_a_given_provenance, keeps_both_provenance_columns_of_a_dependent,
    keeps_the_creation_time_that_is_given, keeps_versions_when_asked,
    refuses_a_data_version_without_its_fields, refuses_fields_without_a_version_where_asked,
    refuses_provenance_that_is_no_struct, refuses_provenance_that_lacks_a_field,
    refuses_rows_without_provenance, refuses_versions_of_what_is_no_field,
    sets_versions_and_times_itself, stray_system_columns_do_no_harm,
};
pub use whole::{
    a_dropped_write_frees_the_store, a_dropped_write_leaves_all_or_nothing,
    a_failed_first_write_leaves_nothing, a_failed_producer_leaves_nothing,
    refuses_to_make_a_table_without_leave, refuses_to_write_when_opened_for_reading,
};

cases! { "write":
    overwrites_same_key,
    keeps_every_write_as_history,
    the_last_row_of_an_id_counts,
    the_latest_stamp_of_many_rows_counts,
    batches_of_one_frame_are_one_write,
    many_small_writes_are_as_one,
    an_empty_frame_adds_nothing,
    says_how_many_rows_were_added,
    refuses_a_null_id,
    refuses_a_missing_id_column,
    refuses_an_unknown_feature,
    derives_the_provenance_of_a_root,
    keeps_a_given_provenance,
    keeps_both_provenance_columns_of_a_dependent,
    refuses_rows_without_provenance,
    refuses_provenance_that_lacks_a_field,
    refuses_versions_of_what_is_no_field,
    refuses_fields_without_a_version_where_asked,
    an_empty_frame_may_lack_types,
    refuses_provenance_that_is_no_struct,
    hashes_a_given_data_version,
    refuses_a_data_version_without_its_fields,
    sets_versions_and_times_itself,
    keeps_the_creation_time_that_is_given,
    keeps_versions_when_asked,
    refuses_reserved_column_names,
    refuses_two_columns_of_one_name,
    stray_system_columns_do_no_harm,
    a_failed_producer_leaves_nothing,
    a_failed_first_write_leaves_nothing,
    a_dropped_write_leaves_all_or_nothing,
    a_dropped_write_frees_the_store,
    refuses_to_write_when_opened_for_reading,
    refuses_to_make_a_table_without_leave,
    composite_ids_identify_together,
    text_ids_are_taken_literally,
    column_names_are_taken_literally,
    names_that_differ_by_case_are_told_apart_or_refused,
    long_column_names_are_kept_apart_or_refused,
}

/// Of two writes of one ID the later counts (§5).
pub async fn overwrites_same_key(bed: &TestBed) -> Outcome {
    let store = bed.store(video()?).await?;
    let raw = key("video/raw")?;
    store
        .write(&raw, videos(&[(1, "a", "f"), (2, "b", "f")])?)
        .await?;
    store.write(&raw, videos(&[(1, "c", "f")])?).await?;
    let rows = read(&store, "video/raw", ReadOptions::default()).await?;
    check_eq(rows.ids()?, [1, 2], "the samples")?;
    let audio = rows.words("metaxy_provenance_by_field.audio")?;
    check_eq(audio, ["c", "b"], "their sound")
}

/// A write changes no row: five writes of a sample are five rows of its history, and the last counts (§5).
pub async fn keeps_every_write_as_history(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    for version in ["v1", "v2", "v3", "v4", "v5"] {
        store
            .write(&key("a")?, samples(&[(1, version), (2, "same")])?)
            .await?;
    }
    check_eq(
        versions(&store, ReadOptions::default()).await?,
        ["1 v5", "2 same"],
        "the current samples",
    )?;
    let history = ReadOptions::default().with_sample_history(true);
    let expected = [
        "1 v1", "1 v2", "1 v3", "1 v4", "1 v5", "2 same", "2 same", "2 same", "2 same", "2 same",
    ];
    check_eq(
        versions(&store, history).await?,
        expected,
        "the history of both",
    )
}

/// Of an ID that occurs more than once in a write, the last row counts, within a batch and across batches (§5).
pub async fn the_last_row_of_an_id_counts(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let one = samples(&[(1, "first"), (2, "only"), (1, "last")])?;
    store.write(&key("a")?, one).await?;
    let current = versions(&store, ReadOptions::default()).await?;
    check_eq(current, ["1 last", "2 only"], "twice in one batch")?;

    let batches = [
        samples(&[(3, "z"), (4, "only")])?,
        samples(&[(3, "y")])?,
        samples(&[(3, "a"), (3, "b")])?,
    ];
    store.write(&key("a")?, several(&batches)).await?;
    let current = versions(&store, ReadOptions::default()).await?;
    let expected = ["1 last", "2 only", "3 b", "4 only"];
    check_eq(current, expected, "in several batches")?;
    check_eq(
        read(&store, "a", everything()).await?.len(),
        8,
        "all rows are kept",
    )
}

/// Of many rows that come with their times the one with the latest counts, in whatever order they are stored (§5).
pub async fn the_latest_stamp_of_many_rows_counts(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let start = bed.clock().peek();
    // 40 samples, 7 rows of each; a stride that is coprime to their number shuffles them.
    let order = (0..280).map(|i| i * 99 % 280);
    let rows: Vec<(i64, i64)> = order.map(|i| (i / 7, i % 7)).collect();
    let words: Vec<String> = rows.iter().map(|(_, age)| format!("age{age}")).collect();
    let labelled: Vec<(i64, &str)> = rows
        .iter()
        .zip(&words)
        .map(|((id, _), word)| (*id, word.as_str()))
        .collect();
    let stamps = rows.iter().map(|(id, age)| start + id + age * 1_000_000);
    let batch = with_column(&samples(&labelled)?, "metaxy_updated_at", times(stamps))?;
    let keep = WriteOptions::default().with_preserve_times(true);
    store.write_with(&key("a")?, batch, keep).await?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    check_eq(rows.ids()?, (0..40).collect::<Vec<_>>(), "the samples")?;
    let ages = rows.words("metaxy_provenance_by_field.default")?;
    check(
        ages.iter().all(|age| age == "age6"),
        format!("an older row counts: {ages:?}"),
    )
}

/// The batches of a frame are one write: one stamp, also with an empty batch among them (§5).
pub async fn batches_of_one_frame_are_one_write(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let batches = [
        samples(&[(1, "a"), (2, "b")])?,
        samples(&[])?,
        samples(&[(3, "c")])?,
    ];
    store.write(&key("a")?, several(&batches)).await?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    check_eq(
        rows.lines(&["id", "metaxy_provenance_by_field.default"])?,
        ["1 a", "2 b", "3 c"],
        "the samples",
    )?;
    let stamps = rows.times("metaxy_updated_at")?;
    check(
        stamps.iter().all(|at| at.is_some() && *at == stamps[0]),
        format!("the stamps differ: {stamps:?}"),
    )
}

/// Many writes of one row each store what one write of all rows stores, apart from the times (§5).
pub async fn many_small_writes_are_as_one(bed: &TestBed) -> Outcome {
    let rows: Vec<(i64, String)> = (0..24).map(|id| (id, format!("v{id}"))).collect();
    let rows: Vec<(i64, &str)> = rows.iter().map(|(id, v)| (*id, v.as_str())).collect();
    let small = bed.store(pair()?).await?;
    for row in &rows {
        small.write(&key("a")?, samples(&[*row])?).await?;
    }
    let big = bed.builder("big").await?.with_graph(pair()?).build()?;
    big.write(&key("a")?, samples(&rows)?).await?;
    let columns = [
        "id",
        "metaxy_provenance_by_field.default",
        "metaxy_provenance",
        "metaxy_data_version_by_field.default",
        "metaxy_data_version",
        "metaxy_feature_version",
        "metaxy_project_version",
        "metaxy_deleted_at",
        "metaxy_materialization_id",
    ];
    let found = read(&small, "a", everything()).await?.lines(&columns)?;
    let expected = read(&big, "a", everything()).await?.lines(&columns)?;
    check_eq(expected.len(), 24, "the rows of one write")?;
    check_eq(found, expected, "the rows of many writes")
}

/// A frame without rows changes nothing: before the first write the store still has no such feature, afterwards all is as it was
/// (§5).
pub async fn an_empty_frame_adds_nothing(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    store.write(&a, samples(&[])?).await?;
    store.write(&a, Rows::empty(samples(&[])?.schema())).await?;
    check(
        !store.has_feature(&a, false).await?,
        "nothing was written, but the store has the feature",
    )?;
    check_eq(stored(&store, "a").await?.len(), 0, "rows")?;

    store.write(&a, samples(&[(1, "a")])?).await?;
    let before = stored(&store, "a").await?;
    store.write(&a, samples(&[])?).await?;
    check_eq(stored(&store, "a").await?, before, "what is stored")
}

/// A write tells how many rows it added (§5).
pub async fn says_how_many_rows_were_added(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let batches = [samples(&[(1, "a"), (2, "a")])?, samples(&[(1, "b")])?];
    let added = store.write(&key("a")?, several(&batches)).await?;
    check_eq(added.rows, 3, "added at first")?;
    let added = store.write(&key("a")?, samples(&[(1, "a")])?).await?;
    check_eq(added.rows, 1, "added then")?;
    let added = store.write(&key("a")?, samples(&[])?).await?;
    check_eq(added.rows, 0, "added by an empty frame")
}

/// A null ID, be it in the last batch, is refused, and nothing of the frame is written (§10).
pub async fn refuses_a_null_id(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let good = samples(&[(1, "a"), (2, "a")])?;
    store.write(&key("a")?, good.clone()).await?;
    let bad = with_column(&good, "id", ints([Some(3), None]))?;
    for rows in [Frame::from(bad.clone()), several(&[good.clone(), bad])] {
        refused_rows(&store, "a", rows, &["\"id\"", "feature a", "main"]).await?;
    }
    Ok(())
}

/// A frame without an ID column is refused (§10).
pub async fn refuses_a_missing_id_column(bed: &TestBed) -> Outcome {
    let store = bed.store(visits()?).await?;
    let good = visit(&["ann"], &[1])?;
    store.write(&key("visit")?, good.clone()).await?;
    let schema = good.schema();
    let columns = schema.fields().iter().zip(good.columns());
    let rest = columns
        .filter(|(field, _)| field.name() != "day")
        .map(|(field, array)| (field.name().as_str(), array.clone()));
    refused_rows(&store, "visit", frame(rest)?, &["\"day\"", "visit", "main"]).await?;
    let bad = with_column(&good, "day", ints([None]))?;
    refused_rows(&store, "visit", bad, &["\"day\"", "visit", "main"]).await
}

/// A feature that is not in the graph cannot be written; the nearest known one is named (§5).
pub async fn refuses_an_unknown_feature(bed: &TestBed) -> Outcome {
    let store = bed.store(video()?).await?;
    let unknown = key("video/rew")?;
    let rows = videos(&[(1, "a", "f")])?;
    let error = refused(
        store.write(&unknown, rows).await,
        ErrorKind::FeatureNotFound,
    )?;
    names(&error, &["video/rew", "video/raw", "main"])?;
    check(
        store.feature_schema(&unknown).await?.is_none(),
        "a table was made",
    )
}

/// ID and version of each row of `a`.
async fn versions(store: &MetadataStore, options: ReadOptions) -> Outcome<Vec<String>> {
    let rows = read(store, "a", options).await?;
    rows.lines(&["id", "metaxy_provenance_by_field.default"])
}

/// Rows that are refused as an invalid frame, with an error that names all of `words`; what is stored stays.
async fn refused_rows(
    store: &MetadataStore,
    feature: &str,
    rows: impl Into<Frame>,
    words: &[&str],
) -> Outcome {
    let before = stored(store, feature).await?;
    let result = store.write(&key(feature)?, rows).await;
    let error = refused(result, ErrorKind::InvalidFrame)?;
    names(&error, words)?;
    let had = !before.is_empty();
    check_eq(stored(store, feature).await?, before, "what is stored")?;
    let has = store.has_feature(&key(feature)?, false).await?;
    check_eq(has, had, "whether the store has the feature")
}

/// A frame of several batches.
fn several(batches: &[RecordBatch]) -> Frame {
    let schema = batches[0].schema();
    Rows::new(schema, batches.to_vec()).into()
}

/// A graph of `visit`, identified by `who` and `day`.
fn visits() -> Outcome<metaxy_store::FeatureGraph> {
    let spec = FeatureSpec::new("visit", ["who", "day"])?.with_field(FieldSpec::new("default")?);
    Ok(graph([spec])?)
}

fn visit(who: &[&str], day: &[i64]) -> Outcome<RecordBatch> {
    let versions = vec!["v"; who.len()];
    Ok(frame([
        ("who", texts(who.iter().copied())),
        ("day", ints(day.iter().copied())),
        (
            "metaxy_provenance_by_field",
            by_field(&[("default", &versions)])?,
        ),
    ])?)
}
