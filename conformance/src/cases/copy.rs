//! Copies from one store to another (`semantics.md` §5, §10, §15).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array};
use metaxy_store::store::{CopyOptions, CopyReport};
use metaxy_store::{
    Access, DeleteOptions, ErrorKind, FeatureDefinition, FeatureGraph, MetadataStore, ReadOptions,
    Result, WriteOptions, col,
};

use crate::bed::TestBed;
use crate::bed::frames::{Table, everything, ints, read, samples, stored, texts, with_column};
use crate::bed::graphs::{feature, key, pair, pair_of};
use crate::bed::increments::{compute, resolve};
use crate::outcome::{Outcome, Stop, check, check_eq, names, refused};

cases! { "copy":
    keeps_rows_versions_and_created_at,
    leaves_nothing_to_compute,
    filters_one_feature_and_all,
    takes_the_latest_row_over_all_versions,
    takes_the_current_version_only,
    keeps_times_and_tombstones_with_sample_history,
    carries_deletions,
    twice_is_once,
    leaves_what_is_newer,
    takes_what_is_newer,
    makes_stores_agree_that_copy_from_each_other,
    makes_stores_agree_that_wrote_at_the_same_moment,
    keeps_the_order_of_one_write,
    chooses_samples_by_their_current_rows,
    knows_rows_by_ids_of_other_types,
    adds_columns_that_come_later,
    shows_what_would_be_copied,
    takes_pushed_graphs_along,
    refuses_another_hash,
    refuses_an_unknown_feature,
    refuses_the_store_itself,
    skips_a_feature_without_rows,
    keeps_the_run_of_each_row,
    can_append_as_a_write_does,
    appends_again_when_repeated,
    takes_the_features_of_the_project,
    reads_the_source_without_its_fallbacks,
}

const VERSION: &str = "metaxy_provenance_by_field.default";

/// A store `from` with samples 1 to 3 of `a`, of which 2 was written twice and 3 is deleted, and an empty store `to`.
async fn stores(bed: &TestBed) -> Outcome<[MetadataStore; 2]> {
    let (from, to) = (bed.builder("from").await?, bed.builder("to").await?);
    let from = from.with_graph(pair()?).build()?;
    let to = to.with_graph(pair()?).build()?;
    let a = key("a")?;
    let rows = samples(&[(1, "x"), (2, "x"), (3, "x")])?;
    from.write(&a, rows).await?;
    from.write(&a, samples(&[(2, "y")])?).await?;
    let three = DeleteOptions::soft().with_filters([col("id").eq(3)]);
    check_eq(from.delete(&a, three).await?, 1, "deleted")?;
    Ok([from, to])
}

async fn copy(
    to: &MetadataStore,
    from: &MetadataStore,
    options: CopyOptions,
) -> Outcome<CopyReport> {
    Ok(to.copy_from(from, options).await?)
}

fn only_a() -> Result<CopyOptions> {
    Ok(CopyOptions::default().with_features([key("a")?]))
}

/// Hashes, versions and times stay as they are (§15).
pub async fn keeps_rows_versions_and_created_at(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    let report = copy(&to, &from, only_a()?).await?;
    check_eq(report.features, [(key("a")?, 3)], "what was copied")?;
    check_eq((report.features_copied, report.rows_copied), (1, 3), "sums")?;
    let there = read(&from, "a", ReadOptions::default()).await?;
    let here = read(&to, "a", ReadOptions::default()).await?;
    check_eq(here.ids()?, [1, 2], "the samples")?;
    check_eq(here.words(VERSION)?, ["x", "y"], "their versions")?;
    for column in [
        "metaxy_provenance",
        "metaxy_data_version",
        "metaxy_data_version_by_field.default",
        "metaxy_feature_version",
        "metaxy_project_version",
        "metaxy_created_at",
        "metaxy_updated_at",
    ] {
        check_eq(here.words(column)?, there.words(column)?, column)?;
    }
    Ok(())
}

/// What was computed from copied samples and copied along is current in the destination (§4, §6).
pub async fn leaves_nothing_to_compute(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    compute(&from, "b").await?;
    let report = copy(&to, &from, CopyOptions::default()).await?;
    let expected = [(key("a")?, 3), (key("b")?, 2)];
    check_eq(report.features, expected, "what was copied")?;
    resolve(&to, "b").await?.nothing()
}

/// Filters of one feature and of all hold together; those of features that are not copied do not matter.
pub async fn filters_one_feature_and_all(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    let a = key("a")?;
    from.write(&a, samples(&[(4, "x"), (5, "x")])?).await?;
    compute(&from, "b").await?;
    let options = CopyOptions::default()
        .with_global_filters([col("id").le(4)])
        .with_filters(a, [col("id").ne(2)])
        .with_filters(key("nope")?, [col("nope").eq(1)]);
    copy(&to, &from, options).await?;
    let ids = async |feature| read(&to, feature, ReadOptions::default()).await?.ids();
    check_eq(ids("a").await?, [1, 4], "samples of a")?;
    check_eq(ids("b").await?, [1, 2, 4], "samples of b")
}

/// By default rows of all feature versions are looked at, and each sample's latest is taken, with its version (§10 (66) of
/// the reference's list).
pub async fn takes_the_latest_row_over_all_versions(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    let (old, new) = (pair()?, pair_of("2", "1")?);
    let newer = from.with_graph(new.clone());
    newer.write(&key("a")?, samples(&[(1, "z")])?).await?;
    let report = copy(&to.with_graph(new.clone()), &newer, only_a()?).await?;
    check_eq(report.rows_copied, 3, "rows")?;
    let version =
        |graph: &FeatureGraph| -> Result<String> { Ok(graph.feature_version("a")?.to_owned()) };
    let history = ReadOptions::default().with_feature_history(true);
    let rows = read(&to, "a", history).await?;
    check_eq(rows.ids()?, [1, 2], "the samples")?;
    check_eq(rows.words(VERSION)?, ["z", "y"], "their versions")?;
    let expected: Vec<String> = vec![version(&new)?, version(&old)?];
    let found = rows.words("metaxy_feature_version")?;
    check_eq(found, expected, "their feature versions")
}

/// Without feature history only rows of the current version are taken.
pub async fn takes_the_current_version_only(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    let newer = from.with_graph(pair_of("2", "1")?);
    newer.write(&key("a")?, samples(&[(1, "z")])?).await?;
    let options = only_a()?.with_feature_history(false);
    copy(&to, &from, options).await?;
    let rows = read(&to, "a", everything()).await?;
    check_eq(rows.ids()?, [1, 2, 3], "the samples")?;
    check_eq(rows.words(VERSION)?, ["x", "y", "x"], "their versions")
}

/// With sample history every row comes with its times, tombstones included: the copy reads as the source does (§10 (64), (65)).
pub async fn keeps_times_and_tombstones_with_sample_history(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    let options = only_a()?.with_sample_history(true);
    check_eq(copy(&to, &from, options).await?.rows_copied, 5, "rows")?;
    let columns = [
        "id",
        "metaxy_provenance",
        "metaxy_feature_version",
        "metaxy_created_at",
        "metaxy_updated_at",
        "metaxy_deleted_at",
    ];
    for options in [everything(), ReadOptions::default()] {
        let there = read(&from, "a", options.clone()).await?.lines(&columns)?;
        let here = read(&to, "a", options).await?.lines(&columns)?;
        check_eq(here, there, "the rows")?;
    }
    let rows = read(&to, "a", ReadOptions::default()).await?;
    check_eq(rows.words(VERSION)?, ["x", "y"], "the latest versions")
}

/// Every row of `a` in a store: ID, version, feature version, and times.
async fn rows_of_a(store: &MetadataStore, options: ReadOptions) -> Outcome<Vec<String>> {
    let columns = [
        "id",
        "metaxy_provenance",
        "metaxy_data_version",
        "metaxy_feature_version",
        "metaxy_created_at",
        "metaxy_updated_at",
        "metaxy_deleted_at",
    ];
    read(store, "a", options).await?.lines(&columns)
}

/// The latest row of each sample, over all versions, tombstones included.
fn latest() -> ReadOptions {
    ReadOptions::default()
        .with_feature_history(true)
        .with_soft_deleted(true)
}

/// A sample that was deleted in the source is deleted in the destination, and one that was written again is back (§15).
pub async fn carries_deletions(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    let a = key("a")?;
    let ids = async || read(&to, "a", ReadOptions::default()).await?.ids();
    for history in [false, true] {
        let options = || Ok::<_, Stop>(only_a()?.with_sample_history(history));
        from.write(&a, samples(&[(1, "x"), (2, "x")])?).await?;
        copy(&to, &from, options()?).await?;
        check_eq(ids().await?, [1, 2], "what is there")?;
        let one = DeleteOptions::soft().with_filters([col("id").eq(1)]);
        check_eq(from.delete(&a, one).await?, 1, "deleted in the source")?;
        copy(&to, &from, options()?).await?;
        check_eq(ids().await?, [2], "after the deletion was copied")?;
        from.write(&a, samples(&[(1, "again")])?).await?;
        copy(&to, &from, options()?).await?;
        check_eq(ids().await?, [1, 2], "after it was written again")?;
    }
    Ok(())
}

/// A copy done twice is a copy done once, whichever rows it takes; the report says what was there (§15).
pub async fn twice_is_once(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    for (options, rows, before) in [
        (only_a()?, 3, 0),
        (only_a()?, 0, 3),
        (only_a()?.with_feature_history(false), 0, 3),
        (only_a()?.with_sample_history(true), 2, 3),
        (only_a()?.with_sample_history(true), 0, 5),
        (only_a()?, 0, 3),
    ] {
        let stored_before = stored(&to, "a").await?;
        let report = copy(&to, &from, options).await?;
        let found = (report.rows_copied, report.rows_present);
        check_eq(
            found,
            (rows, before),
            "rows that were copied, and were there",
        )?;
        check_eq(report.skipped.len(), 0, "features that were skipped")?;
        if rows == 0 {
            check_eq(report.features.len(), 0, "features that were copied")?;
            check_eq(stored(&to, "a").await?, stored_before, "every row")?;
        }
    }
    let [here, there] = [&to, &from].map(|store| rows_of_a(store, everything()));
    check_eq(here.await?, there.await?, "every row")
}

/// What the destination has written or deleted later stays as it is (§15).
pub async fn leaves_what_is_newer(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    let a = key("a")?;
    copy(&to, &from, only_a()?).await?;
    to.write(&a, samples(&[(1, "new"), (3, "back")])?).await?;
    let two = DeleteOptions::soft().with_filters([col("id").eq(2)]);
    check_eq(to.delete(&a, two).await?, 1, "deleted here")?;
    let before = rows_of_a(&to, ReadOptions::default()).await?;
    for history in [false, true] {
        let options = only_a()?.with_sample_history(history);
        copy(&to, &from, options).await?;
        let rows = read(&to, "a", ReadOptions::default()).await?;
        check_eq(rows.words(VERSION)?, ["new", "back"], "versions of 1 and 3")?;
        let rows = rows_of_a(&to, ReadOptions::default()).await?;
        check_eq(rows, before.clone(), "the samples")?;
    }
    Ok(())
}

/// What the source has written later wins over what is there, also if the destination's clock is ahead (§15).
pub async fn takes_what_is_newer(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    let a = key("a")?;
    to.write(&a, samples(&[(1, "old"), (4, "own")])?).await?;
    from.write(&a, samples(&[(1, "new")])?).await?;
    let report = copy(&to, &from, only_a()?).await?;
    check_eq(report.rows_copied, 3, "rows")?;
    let rows = read(&to, "a", ReadOptions::default()).await?;
    check_eq(rows.ids()?, [1, 2, 4], "the samples")?;
    check_eq(rows.words(VERSION)?, ["new", "y", "own"], "their versions")
}

/// Two stores that write, delete and copy from each other in turns have the same samples (§15).
pub async fn makes_stores_agree_that_copy_from_each_other(bed: &TestBed) -> Outcome {
    let [one, other] = stores(bed).await?;
    let a = key("a")?;
    for (history, word) in [(false, "p"), (true, "q")] {
        let options = || Ok::<_, Stop>(only_a()?.with_sample_history(history));
        one.write(&a, samples(&[(1, word), (5, word)])?).await?;
        other.write(&a, samples(&[(1, "o"), (6, word)])?).await?;
        copy(&one, &other, options()?).await?;
        let five = DeleteOptions::soft().with_filters([col("id").eq(5)]);
        one.delete(&a, five).await?;
        copy(&other, &one, options()?).await?;
        let six = DeleteOptions::soft().with_filters([col("id").eq(6)]);
        check_eq(other.delete(&a, six).await?, 1, "deleted in the other")?;
        copy(&one, &other, options()?).await?;
        let [here, there] = [&one, &other].map(|store| rows_of_a(store, latest()));
        check_eq(here.await?, there.await?, "the samples of both")?;
        let rows = read(&one, "a", ReadOptions::default()).await?;
        check_eq(rows.ids()?, [1, 2], "what is alive")?;
        check_eq(rows.words(VERSION)?, ["o", "y"], "their versions")?;
    }
    Ok(())
}

/// Of what two stores wrote in one microsecond, the same wins in both, whichever copies first; once more changes nothing (§15).
pub async fn makes_stores_agree_that_wrote_at_the_same_moment(bed: &TestBed) -> Outcome {
    let a = key("a")?;
    let at = WriteOptions::default().with_at(bed.clock().peek());
    for first in [0, 1] {
        let mut both = Vec::new();
        for (name, word) in [("p", "here"), ("q", "there")] {
            let builder = bed.builder(&format!("{name}{first}")).await?;
            let store = builder.with_graph(pair()?).build()?;
            let rows = samples(&[(1, word), (2, "same")])?;
            store.write_with(&a, rows, at.clone()).await?;
            both.push(store);
        }
        let (one, other) = (&both[first], &both[1 - first]);
        copy(one, other, only_a()?).await?;
        copy(other, one, only_a()?).await?;
        let [here, there] = [one, other].map(|store| rows_of_a(store, ReadOptions::default()));
        check_eq(here.await?, there.await?, "the samples of both")?;
        for (to, from) in [(one, other), (other, one)] {
            let report = copy(to, from, only_a()?.with_sample_history(true)).await?;
            check_eq(report.rows_copied, 0, "rows that were copied again")?;
        }
    }
    Ok(())
}

/// Rows of one write in which IDs repeat have one time. They are copied in their order, of which the last row counts, and not again (§5, §15).
pub async fn keeps_the_order_of_one_write(bed: &TestBed) -> Outcome {
    const ROWS: i64 = 600;
    let [from, to] = stores(bed).await?;
    let a = key("a")?;
    // One ID in every second row, and others in pairs, of very different lengths.
    let ids = |row: i64| if row % 2 == 0 { 7 } else { 100 + row % 150 };
    let versions: Vec<String> = (0..ROWS).map(|row| format!("v{row}")).collect();
    let rows: Vec<(i64, &str)> = (0..ROWS)
        .zip(&versions)
        .map(|(row, version)| (ids(row), version.as_str()))
        .collect();
    let lengths = (0..ROWS).map(|row| (row * 7919 % 13 * 90) as usize);
    let texts_of: Vec<String> = lengths.map(|length| "t".repeat(length)).collect();
    let frame = with_column(
        &samples(&rows)?,
        "text",
        texts(texts_of.iter().map(String::as_str)),
    )?;
    from.write(&a, frame).await?;
    let in_order = async |store: &MetadataStore| -> Outcome<BTreeMap<i64, Vec<String>>> {
        let all = ReadOptions::default().with_sample_history(true);
        let all = all.with_filters([col("id").ge(7)]);
        let rows = store.read(&key("a")?, all).await?.collect().await?;
        let mut found: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for batch in rows.batches() {
            let table = Table::unsorted(batch.clone());
            for (id, version) in table.ids()?.into_iter().zip(table.words(VERSION)?) {
                found.entry(id).or_default().push(version);
            }
        }
        Ok(found)
    };
    let mut written: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for (id, version) in rows {
        written.entry(id).or_default().push(version.to_owned());
    }
    check_eq(
        in_order(&from).await?,
        written.clone(),
        "the rows as written",
    )?;
    let history = || Ok::<_, Stop>(only_a()?.with_sample_history(true));
    check_eq(copy(&to, &from, history()?).await?.rows_copied, 605, "rows")?;
    check_eq(
        copy(&to, &from, history()?).await?.rows_copied,
        0,
        "once more",
    )?;
    check_eq(in_order(&to).await?, written.clone(), "the rows as copied")?;
    // And into a store that has the last of them already.
    let late = bed.builder("late").await?.with_graph(pair()?).build()?;
    copy(&late, &from, only_a()?).await?;
    copy(&late, &from, history()?).await?;
    for store in [&from, &to, &late] {
        let rows = read(store, "a", ReadOptions::default()).await?;
        let seven = rows.ids()?.iter().position(|id| *id == 7);
        let last = seven.map(|at| rows.words(VERSION).map(|words| words[at].clone()));
        check_eq(
            last.transpose()?.as_deref(),
            Some("v598"),
            "the row that counts",
        )?;
    }
    Ok(())
}

/// A filter is seen by the current row of each sample; with sample history all rows of those samples are copied (§15).
pub async fn chooses_samples_by_their_current_rows(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    let sized = |rows: &[(i64, &str)], size: i64| -> Result<_> {
        let sizes = ints(rows.iter().map(|_| size));
        with_column(&samples(rows)?, "size", sizes)
    };
    let a = key("a")?;
    from.write(&a, sized(&[(1, "p"), (2, "p")], 5)?).await?;
    from.write(&a, sized(&[(2, "q"), (4, "q")], 50)?).await?;
    let options = only_a()?.with_filters(a.clone(), [col("size").eq(5)]);
    let report = copy(&to, &from, options.clone().with_sample_history(true)).await?;
    check_eq(report.rows_copied, 2, "the rows of sample 1")?;
    let rows = read(&to, "a", everything()).await?;
    check_eq(rows.ids()?, [1, 1], "the samples")?;
    let larger = only_a()?.with_filters(a, [col("size").eq(50)]);
    let report = copy(&to, &from, larger.with_sample_history(true)).await?;
    check_eq(report.rows_copied, 5, "the rows of samples 2 and 4")?;
    let rows = read(&to, "a", ReadOptions::default()).await?;
    check_eq(
        rows.words(VERSION)?,
        ["p", "q", "q"],
        "the current versions",
    )?;
    check_eq(copy(&to, &from, options).await?.rows_copied, 0, "once more")
}

/// A row is known by its IDs, whatever integer or text type a store keeps them in (§15).
pub async fn knows_rows_by_ids_of_other_types(bed: &TestBed) -> Outcome {
    let [_, to] = stores(bed).await?;
    let a = key("a")?;
    let narrow: ArrayRef = Arc::new(Int32Array::from(vec![9]));
    let rows = with_column(&samples(&[(9, "x")])?, "id", narrow)?;
    let builder = bed.builder("narrow").await?.with_graph(pair()?);
    let narrow = builder.build()?;
    narrow.write(&a, rows).await?;
    to.write(&a, samples(&[(8, "x")])?).await?;
    for (times, rows) in [(1, 1), (2, 0)] {
        let report = copy(&to, &narrow, only_a()?).await?;
        check_eq(report.rows_copied, rows, format!("rows, copy {times}"))?;
    }
    let rows = read(&to, "a", ReadOptions::default()).await?;
    check_eq(rows.ids()?, [8, 9], "the samples")?;
    // Those of another type are refused as in a write; nothing is copied.
    let builder = bed.builder("texts").await?.with_graph(pair()?);
    let other = builder.build()?;
    let rows = with_column(&samples(&[(9, "x")])?, "id", texts(["nine"]))?;
    other.write(&a, rows).await?;
    let before = stored(&to, "a").await?;
    let error = refused(
        to.copy_from(&other, only_a()?).await,
        ErrorKind::InvalidFrame,
    )?;
    names(&error, &["\"id\"", "feature: a", "texts"])?;
    check_eq(stored(&to, "a").await?, before, "every row")
}

/// Columns that the source got later come with their rows; rows that are there stay as they are (§5, §15).
pub async fn adds_columns_that_come_later(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    copy(&to, &from, only_a()?).await?;
    let rows = with_column(&samples(&[(4, "z")])?, "note", texts(["new"]))?;
    from.write(&key("a")?, rows).await?;
    let report = copy(&to, &from, only_a()?).await?;
    check_eq((report.rows_copied, report.rows_present), (1, 3), "rows")?;
    let rows = read(&to, "a", ReadOptions::default()).await?;
    let notes = rows.texts("note")?;
    check_eq(
        notes,
        [None, None, Some("new".to_owned())],
        "the new column",
    )
}

/// A dry run counts what would be copied and what is there, and changes nothing; the destination may be open for reading.
pub async fn shows_what_would_be_copied(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    from.push_graph(None, &Default::default()).await?;
    let reader = bed.over(bed.backend("to", Access::Read).await?);
    let reader = reader.with_name("to").with_access(Access::Read);
    let reader = reader.with_graph(pair()?).build()?;
    let dry = || Ok::<_, Stop>(only_a()?.with_dry_run(true).with_graphs(true));
    let found = copy(&reader, &from, dry()?).await?;
    check_eq((found.rows_copied, found.rows_present), (3, 0), "rows")?;
    check_eq(found.graphs_copied, 1, "graphs")?;
    check_eq(
        to.backend().tables().await?.len(),
        0,
        "tables that were made",
    )?;
    copy(&to, &from, only_a()?.with_graphs(true)).await?;
    let before = stored(&to, "a").await?;
    let history = dry()?.with_sample_history(true);
    let found = copy(&reader, &from, history).await?;
    check_eq((found.rows_copied, found.rows_present), (2, 3), "rows")?;
    check_eq(found.graphs_copied, 0, "graphs")?;
    let appended = copy(&reader, &from, dry()?.with_append(true)).await?;
    check_eq(
        (appended.rows_copied, appended.rows_present),
        (2, 0),
        "rows",
    )?;
    check_eq(stored(&to, "a").await?, before, "every row")
}

/// The graphs that were pushed to the source come along where that is asked for, with their times, and once (§15).
pub async fn takes_pushed_graphs_along(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    from.push_graph(None, &Default::default()).await?;
    let newer = from.with_graph(pair_of("2", "1")?);
    newer.push_graph(None, &Default::default()).await?;
    copy(&to, &from, only_a()?).await?;
    check_eq(
        to.snapshots(None).await?.len(),
        0,
        "graphs without the option",
    )?;
    for (graphs, what) in [(2, "graphs"), (0, "graphs that were there")] {
        let report = copy(&to, &from, only_a()?.with_graphs(true)).await?;
        check_eq(report.graphs_copied, graphs, what)?;
        let rows = to.pushed_features().await?;
        check_eq(rows, from.pushed_features().await?, "what was recorded")?;
    }
    // What the destination pushes itself is added to them, and found in turn.
    let own = to.with_graph(pair_of("3", "1")?);
    check(
        !own.push_graph(None, &Default::default())
            .await?
            .already_pushed,
        "a third graph",
    )?;
    check_eq(
        to.snapshots(None).await?.len(),
        3,
        "graphs of the destination",
    )?;
    let report = copy(&from, &to, only_a()?.with_graphs(true)).await?;
    check_eq(report.graphs_copied, 1, "graphs that go back")
}

/// A source that hashes otherwise, or cuts hashes otherwise, is refused: everything copied would be stale (§10 (67)).
pub async fn refuses_another_hash(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    let longer = to.with_graph(pair()?.with_truncation_length(16)?);
    let error = refused(
        longer.copy_from(&from, only_a()?).await,
        ErrorKind::HashMismatch,
    )?;
    names(
        &error,
        &["\"to\"", "\"from\"", "16 characters", "8 characters"],
    )?;
    let ours = to.hash().algorithm;
    let all = to.capabilities().hash_algorithms;
    if let Some(other) = all.iter().find(|algorithm| **algorithm != ours) {
        let builder = bed.builder("to").await?.with_graph(pair()?);
        let other_store = builder.with_hash_algorithm(*other).build()?;
        let error = refused(
            other_store.copy_from(&from, only_a()?).await,
            ErrorKind::HashMismatch,
        )?;
        names(
            &error,
            &["\"to\"", "\"from\"", other.as_str(), ours.as_str()],
        )?;
    }
    check_eq(
        to.backend().tables().await?.len(),
        0,
        "tables that were made",
    )
}

/// A feature that the graph does not have is an error, and nothing is copied (§10 (68)).
pub async fn refuses_an_unknown_feature(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    for history in [true, false] {
        let options = CopyOptions::default()
            .with_features([key("a")?, key("nope")?])
            .with_feature_history(history);
        let error = refused(
            to.copy_from(&from, options).await,
            ErrorKind::FeatureNotFound,
        )?;
        names(&error, &["nope"])?;
    }
    check_eq(stored(&to, "a").await?.len(), 0, "rows that were copied")
}

/// A store is not copied into itself, also not through another handle.
pub async fn refuses_the_store_itself(bed: &TestBed) -> Outcome {
    let [from, _] = stores(bed).await?;
    let before = stored(&from, "a").await?;
    let again = bed.builder("from").await?.with_graph(pair()?).build()?;
    for source in [&from, &again] {
        let copied = from.copy_from(source, only_a()?).await;
        let error = refused(copied, ErrorKind::InvalidArgument)?;
        names(&error, &["from"])?;
    }
    check_eq(stored(&from, "a").await?, before, "what is stored")
}

/// A feature of which the source has no rows, or none that the filters let through, is skipped; no table is made.
pub async fn skips_a_feature_without_rows(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    let options = CopyOptions::default().with_filters(key("a")?, [col("id").gt(9)]);
    let report = copy(&to, &from, options).await?;
    check_eq(report.skipped, [key("a")?, key("b")?], "what was skipped")?;
    check_eq(report.features_copied, 0, "features that were copied")?;
    check_eq(
        to.backend().tables().await?.len(),
        0,
        "tables that were made",
    )
}

/// A row keeps the run that wrote it, whatever the run of the store is that it comes to (§15).
pub async fn keeps_the_run_of_each_row(bed: &TestBed) -> Outcome {
    let builder = bed.builder("from").await?.with_graph(pair()?);
    let from = builder.with_materialization_id(Some("there")).build()?;
    from.write(&key("a")?, samples(&[(1, "x")])?).await?;
    let builder = bed.builder("to").await?.with_graph(pair()?);
    let to = builder.with_materialization_id(Some("here")).build()?;
    copy(&to, &from, only_a()?).await?;
    let rows = read(&to, "a", ReadOptions::default()).await?;
    check_eq(
        rows.words("metaxy_materialization_id")?,
        ["there"],
        "the run",
    )
}

/// Appending, a copy is a write: the stamp is new, and deleted samples stay behind (§10 (65)).
pub async fn can_append_as_a_write_does(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    let began = bed.clock().peek();
    let report = copy(&to, &from, only_a()?.with_append(true)).await?;
    check_eq(report.features, [(key("a")?, 2)], "what was copied")?;
    let rows = read(&to, "a", everything()).await?;
    check_eq(rows.ids()?, [1, 2], "every row of the copy")?;
    let stamps = rows.times("metaxy_updated_at")?;
    check(
        stamps.iter().all(|stamp| *stamp >= Some(began)),
        format!("stamps of the copy: {stamps:?}, begun at {began}"),
    )
}

/// Appending, a second copy adds its rows once more; samples and creation times stay what they are (§5).
pub async fn appends_again_when_repeated(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    copy(&to, &from, only_a()?.with_append(true)).await?;
    let first = read(&to, "a", ReadOptions::default()).await?;
    copy(&to, &from, only_a()?.with_append(true)).await?;
    let rows = read(&to, "a", ReadOptions::default()).await?;
    check_eq(rows.ids()?, [1, 2], "the samples")?;
    for column in [VERSION, "metaxy_created_at"] {
        check_eq(rows.words(column)?, first.words(column)?, column)?;
    }
    let (then, now) = (
        first.times("metaxy_updated_at")?,
        rows.times("metaxy_updated_at")?,
    );
    check(then < now, format!("stamps {then:?}, then {now:?}"))?;
    check_eq(stored(&to, "a").await?.len(), 4, "rows")
}

/// Without a list the features of the configured project are copied; those of another when they are named.
pub async fn takes_the_features_of_the_project(bed: &TestBed) -> Outcome {
    let [from, _] = stores(bed).await?;
    compute(&from, "b").await?;
    let definitions = [
        FeatureDefinition::new(feature("a", &["default"], &[])?, "elsewhere"),
        FeatureDefinition::new(feature("b", &["default"], &["a"])?, "demo"),
    ];
    let builder = bed.builder("to").await?.with_project(Some("demo"));
    let to = builder
        .with_graph(FeatureGraph::from_definitions(definitions)?)
        .build()?;
    let report = copy(&to, &from, CopyOptions::default()).await?;
    check_eq(report.features, [(key("b")?, 2)], "of the project")?;
    let report = copy(&to, &from, only_a()?).await?;
    check_eq(report.features, [(key("a")?, 3)], "by name")
}

/// Only the source itself is read, not what it falls back to (§7).
pub async fn reads_the_source_without_its_fallbacks(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    let builder = bed.builder("front").await?.with_graph(pair()?);
    let front = builder.with_fallback(from).build()?;
    if !front.has_feature(&key("a")?, true).await? {
        return Err(Stop::failed("the chain does not have the feature"));
    }
    let report = copy(&to, &front, CopyOptions::default()).await?;
    check_eq(report.skipped.len(), 2, "features that were skipped")?;
    check_eq(
        to.backend().tables().await?.len(),
        0,
        "tables that were made",
    )
}
