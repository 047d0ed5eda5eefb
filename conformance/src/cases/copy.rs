//! Copies from one store to another (`semantics.md` §5, §10).

use metaxy_store::store::{CopyOptions, CopyReport};
use metaxy_store::{
    DeleteOptions, ErrorKind, FeatureDefinition, FeatureGraph, MetadataStore, ReadOptions, Result,
    col,
};

use crate::bed::TestBed;
use crate::bed::frames::{everything, read, samples, stored};
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
    leaves_deleted_samples_behind,
    refuses_another_hash,
    refuses_an_unknown_feature,
    refuses_the_store_itself,
    skips_a_feature_without_rows,
    marks_rows_with_the_run_of_the_destination,
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

/// A copy is a write: hashes, versions and creation times stay as they are, the stamp is new (§10 (64)).
pub async fn keeps_rows_versions_and_created_at(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    let began = bed.clock().peek();
    let report = copy(&to, &from, only_a()?).await?;
    check_eq(report.features, [(key("a")?, 2)], "what was copied")?;
    check_eq((report.features_copied, report.rows_copied), (1, 2), "sums")?;
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
    ] {
        check_eq(here.words(column)?, there.words(column)?, column)?;
    }
    let stamps = here.times("metaxy_updated_at")?;
    check(
        stamps.iter().all(|stamp| *stamp >= Some(began)),
        format!("stamps of the copy: {stamps:?}, begun at {began}"),
    )
}

/// What was computed from copied samples and copied along is current in the destination (§4, §6).
pub async fn leaves_nothing_to_compute(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    compute(&from, "b").await?;
    let report = copy(&to, &from, CopyOptions::default()).await?;
    let expected = [(key("a")?, 2), (key("b")?, 2)];
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
    check_eq(report.rows_copied, 2, "rows")?;
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
    check_eq(rows.ids()?, [1, 2], "the samples")?;
    check_eq(rows.words(VERSION)?, ["x", "y"], "their versions")
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

/// Samples that are deleted in the source are not copied, so they do not come back (§10 (65)).
pub async fn leaves_deleted_samples_behind(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    copy(&to, &from, only_a()?).await?;
    let rows = read(&to, "a", everything()).await?;
    check_eq(rows.ids()?, [1, 2], "every row of the copy")
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

/// Copied rows carry the run of the store they are copied to, not that of the source.
pub async fn marks_rows_with_the_run_of_the_destination(bed: &TestBed) -> Outcome {
    let builder = bed.builder("from").await?.with_graph(pair()?);
    let from = builder.with_materialization_id(Some("there")).build()?;
    from.write(&key("a")?, samples(&[(1, "x")])?).await?;
    let builder = bed.builder("to").await?.with_graph(pair()?);
    let to = builder.with_materialization_id(Some("here")).build()?;
    copy(&to, &from, only_a()?).await?;
    let rows = read(&to, "a", ReadOptions::default()).await?;
    let run = rows.words("metaxy_materialization_id")?;
    check_eq(run, ["here"], "the run")
}

/// A second copy appends its rows once more; samples and creation times stay what they are (§5).
pub async fn appends_again_when_repeated(bed: &TestBed) -> Outcome {
    let [from, to] = stores(bed).await?;
    copy(&to, &from, only_a()?).await?;
    let first = read(&to, "a", ReadOptions::default()).await?;
    copy(&to, &from, only_a()?).await?;
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
    check_eq(report.features, [(key("a")?, 2)], "by name")
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
