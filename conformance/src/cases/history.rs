//! What is current when definitions change (`semantics.md` §3, §5).

use metaxy_store::{DeleteOptions, FeatureGraph, MetadataStore, ReadOptions, Result, col};

use crate::bed::TestBed;
use crate::bed::frames::{everything, read, samples};
use crate::bed::graphs::{feature, graph, key};
use crate::outcome::{Outcome, check, check_eq};

cases! { "history":
    an_old_definition_finds_its_samples_again,
    a_sample_keeps_a_row_per_version,
    the_latest_over_versions_may_be_of_an_old_one,
    a_tombstone_hides_its_own_version_only,
    a_tombstone_is_the_latest_over_versions,
    a_version_that_was_never_written_is_empty,
    another_project_version_changes_nothing,
    rows_carry_the_versions_they_were_written_under,
    rows_and_samples_are_counted_by_version,
}

/// After v1, v2 and v1 again the samples of v1 are current, and writes continue them (§5).
pub async fn an_old_definition_finds_its_samples_again(bed: &TestBed) -> Outcome {
    let v1 = bed.store(version("1")?).await?;
    let v2 = v1.with_graph(version("2")?);
    write(&v1, &[(1, "one"), (2, "one")]).await?;
    write(&v2, &[(1, "two")]).await?;
    let again = v2.with_graph(version("1")?);
    check_eq(current(&again).await?, ["1 one", "2 one"], "back at v1")?;
    check_eq(current(&v2).await?, ["1 two"], "at v2")?;
    write(&again, &[(2, "one again"), (3, "one again")]).await?;
    let expected = ["1 one", "2 one again", "3 one again"];
    check_eq(current(&v1).await?, expected, "after another write")?;
    check_eq(current(&v2).await?, ["1 two"], "still at v2")
}

/// A sample whose latest row is another version's keeps its own row in each version (§5).
pub async fn a_sample_keeps_a_row_per_version(bed: &TestBed) -> Outcome {
    let stores = versions(bed, ["1", "2", "3"]).await?;
    for (store, word) in stores.iter().zip(["one", "two", "three"]) {
        write(store, &[(1, "old"), (2, word)]).await?;
        write(store, &[(1, word)]).await?;
    }
    for (store, word) in stores.iter().zip(["one", "two", "three"]) {
        let expected = [format!("1 {word}"), format!("2 {word}")];
        check_eq(current(store).await?, expected, "each version's")?;
    }
    check_eq(
        read(&stores[0], "a", everything()).await?.len(),
        9,
        "all rows",
    )
}

/// Over all versions the latest row counts, of whatever version it is: time decides, not the order of definitions (§5).
pub async fn the_latest_over_versions_may_be_of_an_old_one(bed: &TestBed) -> Outcome {
    let [v1, v2, v3] = versions(bed, ["1", "2", "3"]).await?;
    write(&v3, &[(1, "three"), (2, "three"), (3, "three")]).await?;
    write(&v2, &[(2, "two"), (3, "two")]).await?;
    write(&v1, &[(3, "one")]).await?;
    let all = || ReadOptions::default().with_feature_history(true);
    let rows = read(&v2, "a", all()).await?;
    let expected = ["1 three", "2 two", "3 one"];
    check_eq(rows.lines(&SEEN)?, expected, "the samples")?;
    let expected = [
        v3.graph().feature_version("a")?,
        v2.graph().feature_version("a")?,
        v1.graph().feature_version("a")?,
    ];
    check_eq(
        rows.words("metaxy_feature_version")?,
        expected,
        "their versions",
    )?;
    let rows = read(&v2, "a", all().with_sample_history(true)).await?;
    let expected = ["1 three", "2 three", "2 two", "3 one", "3 three", "3 two"];
    check_eq(rows.lines(&SEEN)?, expected, "all rows")
}

/// What a store has under each version is counted, and what a change of the version leaves to be computed again.
pub async fn rows_and_samples_are_counted_by_version(bed: &TestBed) -> Outcome {
    let [v1, v2] = versions(bed, ["1", "2"]).await?;
    let [old, new] = [
        v1.graph().feature_version("a")?,
        v2.graph().feature_version("a")?,
    ];
    let (feature, ids) = (
        key("a")?,
        v1.graph().require("a")?.spec.id_columns().to_vec(),
    );
    let samples = async |version: &str, but_not: Option<&str>| {
        v1.samples_of_version(&feature, &ids, version, but_not)
            .await
    };
    check_eq(samples(old, None).await?, 0, "before any write")?;
    check(
        v1.rows_by_version(&feature).await?.is_empty(),
        "before any write",
    )?;
    write(&v1, &[(1, "one"), (2, "one"), (3, "one"), (4, "one")]).await?;
    write(&v1, &[(1, "one again")]).await?;
    write(&v2, &[(2, "two")]).await?;
    let gone = DeleteOptions::soft().with_filters([col("id").eq(4)]);
    v1.delete(&feature, gone).await?;
    let rows = v2.rows_by_version(&feature).await?;
    let mut expected = vec![(Some(old.to_owned()), 6), (Some(new.to_owned()), 1)];
    expected.sort();
    check_eq(rows, expected, "rows")?;
    check_eq(samples(old, None).await?, 3, "samples of v1")?;
    check_eq(samples(new, None).await?, 1, "samples of v2")?;
    check_eq(samples(old, Some(new)).await?, 2, "of v1 and not of v2")?;
    check_eq(samples(new, Some(old)).await?, 0, "of v2 and not of v1")?;
    check_eq(samples("nothing", Some(old)).await?, 0, "of no version")
}

/// A sample deleted under one version is still there under another (§5).
pub async fn a_tombstone_hides_its_own_version_only(bed: &TestBed) -> Outcome {
    let [v1, v2] = versions(bed, ["1", "2"]).await?;
    write(&v1, &[(1, "one"), (2, "one")]).await?;
    write(&v2, &[(1, "two"), (2, "two")]).await?;
    let first = DeleteOptions::soft().with_filters([col("id").eq(1)]);
    v2.delete(&key("a")?, first).await?;
    check_eq(current(&v2).await?, ["2 two"], "where it was deleted")?;
    check_eq(current(&v1).await?, ["1 one", "2 one"], "elsewhere")
}

/// Over all versions, a sample whose latest row is a tombstone is deleted (§5).
pub async fn a_tombstone_is_the_latest_over_versions(bed: &TestBed) -> Outcome {
    let [v1, v2] = versions(bed, ["1", "2"]).await?;
    write(&v1, &[(1, "one"), (2, "one")]).await?;
    write(&v2, &[(1, "two")]).await?;
    let first = DeleteOptions::soft().with_filters([col("id").eq(1)]);
    v2.delete(&key("a")?, first).await?;
    let all = ReadOptions::default().with_feature_history(true);
    let rows = read(&v1, "a", all.clone()).await?;
    check_eq(rows.lines(&SEEN)?, ["2 one"], "the living")?;
    let rows = read(&v1, "a", all.with_soft_deleted(true)).await?;
    check_eq(rows.lines(&SEEN)?, ["1 two", "2 one"], "with the deleted")
}

/// Under a new definition a stored feature has no samples yet (§5).
pub async fn a_version_that_was_never_written_is_empty(bed: &TestBed) -> Outcome {
    let [v1, v2] = versions(bed, ["1", "2"]).await?;
    write(&v1, &[(1, "one")]).await?;
    check(current(&v2).await?.is_empty(), "samples of a new version")?;
    let deleted = v2.delete(&key("a")?, DeleteOptions::soft()).await?;
    check_eq(deleted, 0, "deleted under it")?;
    check_eq(current(&v1).await?, ["1 one"], "the old version's")
}

/// A change elsewhere in the project changes the project version, and no feature's samples (§3, §5).
pub async fn another_project_version_changes_nothing(bed: &TestBed) -> Outcome {
    let with = |deps: &[&str]| {
        graph([
            feature("a", &["default"], &[])?,
            feature("other", &["default"], deps)?,
        ])
    };
    let before = bed.store(with(&[])?).await?;
    let after = before.with_graph(with(&["a"])?);
    let project = |store: &MetadataStore| store.graph().project_version("demo").to_owned();
    check(project(&before) != project(&after), "one project version")?;
    write(&before, &[(1, "x"), (2, "x")]).await?;
    write(&after, &[(2, "y")]).await?;
    for store in [&before, &after] {
        check_eq(current(store).await?, ["1 x", "2 y"], "the samples")?;
    }
    let rows = read(&after, "a", ReadOptions::default()).await?;
    let expected = [project(&before), project(&after)];
    check_eq(
        rows.words("metaxy_project_version")?,
        expected,
        "the project versions of the rows",
    )
}

/// Each row says under which version of the feature and the project it was written (§5).
pub async fn rows_carry_the_versions_they_were_written_under(bed: &TestBed) -> Outcome {
    let stores = versions(bed, ["1", "2"]).await?;
    let mut expected = Vec::new();
    for (store, id) in stores.iter().zip(1..) {
        write(store, &[(id, "x")]).await?;
        let graph = store.graph();
        let feature = graph.feature_version("a")?;
        expected.push(format!("{id} {feature} {}", graph.project_version("demo")));
    }
    let columns = ["id", "metaxy_feature_version", "metaxy_project_version"];
    let rows = read(&stores[0], "a", everything()).await?;
    check_eq(rows.lines(&columns)?, expected, "the versions")
}

const SEEN: [&str; 2] = ["id", "metaxy_provenance_by_field.default"];

/// A root `a` whose one field has this code version.
fn version(code: &str) -> Result<FeatureGraph> {
    let field = metaxy_store::FieldSpec::new("default")?.with_code_version(code);
    graph([feature("a", &[], &[])?.with_field(field)])
}

/// One store under several versions of `a`.
async fn versions<const N: usize>(bed: &TestBed, codes: [&str; N]) -> Outcome<[MetadataStore; N]> {
    let store = bed.store(FeatureGraph::new()).await?;
    let graphs = codes.map(version);
    let mut stores = std::array::from_fn(|_| store.clone());
    for (slot, graph) in stores.iter_mut().zip(graphs) {
        *slot = store.with_graph(graph?);
    }
    Ok(stores)
}

async fn write(store: &MetadataStore, rows: &[(i64, &str)]) -> Outcome {
    store.write(&key("a")?, samples(rows)?).await?;
    Ok(())
}

async fn current(store: &MetadataStore) -> Outcome<Vec<String>> {
    read(store, "a", ReadOptions::default()).await?.lines(&SEEN)
}
