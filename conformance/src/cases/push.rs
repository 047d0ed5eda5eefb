//! Pushed graphs (`semantics.md` §8, §10).

use indexmap::IndexMap;
use metaxy_store::{
    ErrorKind, FeatureDefinition, FeatureGraph, FeatureSpec, MetadataStore, Result,
};

use crate::bed::TestBed;
use crate::bed::graphs::{PROJECT, feature, key, pair, pair_of};
use crate::outcome::{Outcome, Stop, check, check_eq, names, refused};

cases! { "push":
    records_a_first_push,
    records_an_unchanged_graph_once,
    names_what_changed,
    records_new_tags,
    counts_a_version_pushed_again_as_the_newest,
    keeps_projects_apart,
    lists_snapshots_newest_first,
    loads_a_graph_with_equal_versions,
    loads_upstreams_of_other_projects,
    records_changes_of_other_projects,
    refuses_a_project_that_cannot_be_told,
    refuses_a_project_without_features,
}

fn tags(pairs: &[(&str, &str)]) -> IndexMap<String, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// The versions of the project of these graphs, pushed in turn.
async fn push_all(store: &MetadataStore, graphs: &[FeatureGraph]) -> Outcome<Vec<String>> {
    let mut versions = Vec::new();
    for graph in graphs {
        let store = store.with_graph(graph.clone());
        let pushed = store.push_graph(None, &IndexMap::new()).await?;
        check(!pushed.already_pushed, "something to record")?;
        versions.push(pushed.project_version);
    }
    Ok(versions)
}

/// Features of two projects: `a` of `media`, and `b`, which depends on it, of `demo`.
fn two_projects(a_code: &str) -> Result<FeatureGraph> {
    let of = |name: &str| -> Result<FeatureSpec> {
        let graph = pair_of(a_code, "1")?;
        Ok(graph.require(name)?.spec.clone())
    };
    FeatureGraph::from_definitions([
        FeatureDefinition::new(of("a")?, "media"),
        FeatureDefinition::new(of("b")?, PROJECT),
    ])
}

/// A first push records each feature with its versions and the tags (§8).
pub async fn records_a_first_push(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    check_eq(store.pushed_features().await?.len(), 0, "pushed before")?;
    check_eq(store.snapshots(None).await?.len(), 0, "snapshots before")?;
    let began = bed.clock().peek();
    let pushed = store.push_graph(None, &tags(&[("by", "ci")])).await?;
    let version = store.graph().project_version(PROJECT).to_owned();
    check_eq(pushed.project.as_str(), PROJECT, "the project")?;
    check_eq(&pushed.project_version, &version, "its version")?;
    check(!pushed.already_pushed, "it is new")?;
    check_eq(pushed.changed_features.len(), 0, "features that changed")?;
    let mut recorded = store.pushed_features().await?;
    recorded.sort_by(|x, y| x.feature_key.cmp(&y.feature_key));
    let keys: Vec<&str> = recorded.iter().map(|f| f.feature_key.as_str()).collect();
    check_eq(keys, ["a", "b"], "the features")?;
    for row in &recorded {
        let (graph, key) = (store.graph(), &row.feature_key);
        check_eq(
            row.feature_version.as_str(),
            graph.feature_version(key)?,
            key,
        )?;
        let definition = graph.definition_version(key)?;
        check_eq(row.definition_version.as_str(), definition, key)?;
        check_eq(&row.project_version, &version, key)?;
        check(row.recorded_at >= began, format!("{key} is recorded now"))?;
        check(row.tags.contains("\"by\""), format!("tags: {}", row.tags))?;
        check_eq(&row.definition()?.spec, &graph.require(key)?.spec, key)?;
    }
    Ok(())
}

/// What was pushed last is not recorded again (§10).
pub async fn records_an_unchanged_graph_once(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let first = store.push_graph(None, &IndexMap::new()).await?;
    let before = store.pushed_features().await?;
    let again = store.push_graph(None, &IndexMap::new()).await?;
    check(again.already_pushed, "it is known")?;
    check_eq(again.project_version, first.project_version, "the version")?;
    check_eq(again.changed_features.len(), 0, "features that changed")?;
    check_eq(store.pushed_features().await?, before, "what is recorded")
}

/// A changed code version makes a new version of the project, and the features whose version changed are named.
pub async fn names_what_changed(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let first = store.push_graph(None, &IndexMap::new()).await?;
    for (graph, changed) in [
        (pair_of("1", "2")?, vec![key("b")?]),
        (pair_of("2", "2")?, vec![key("a")?, key("b")?]),
    ] {
        let pushed = store.with_graph(graph);
        let pushed = pushed.push_graph(None, &IndexMap::new()).await?;
        check(!pushed.already_pushed, "it is new")?;
        check(
            pushed.project_version != first.project_version,
            "another version",
        )?;
        let mut found = pushed.changed_features;
        found.sort();
        check_eq(found, changed, "features that changed")?;
    }
    Ok(())
}

/// New tags on an unchanged graph are recorded, and are those of the snapshot from then on (§10 (83)).
pub async fn records_new_tags(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    store.push_graph(None, &tags(&[("release", "one")])).await?;
    let pushed = store.push_graph(None, &tags(&[("release", "two")])).await?;
    check(pushed.already_pushed, "the graph is known")?;
    let snapshots = store.snapshots(None).await?;
    check_eq(snapshots.len(), 1, "snapshots")?;
    check(
        snapshots[0].tags.contains("two"),
        format!("tags: {}", snapshots[0].tags),
    )?;
    check_eq(snapshots[0].features, 2, "features of the snapshot")
}

/// Of the pushes of one version, another, and the first again, the third is the newest; features are counted once
/// (§10 (47), (84)).
pub async fn counts_a_version_pushed_again_as_the_newest(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let graphs = [pair()?, pair_of("1", "2")?, pair()?];
    let versions = push_all(&store, &graphs).await?;
    check_eq(&versions[0], &versions[2], "the version that came back")?;
    let latest = store.latest_project_version(Some(PROJECT)).await?;
    check_eq(latest.as_ref(), Some(&versions[0]), "the latest version")?;
    let snapshots = store.snapshots(Some(PROJECT)).await?;
    let found: Vec<_> = snapshots
        .iter()
        .map(|s| (s.project_version.clone(), s.features))
        .collect();
    let expected = [(versions[0].clone(), 2), (versions[1].clone(), 2)];
    check_eq(found, expected, "snapshots, newest first")
}

/// Each project has its own history, latest version and graph.
pub async fn keeps_projects_apart(bed: &TestBed) -> Outcome {
    let store = bed.store(two_projects("1")?).await?;
    let media = store.push_graph(Some("media"), &IndexMap::new()).await?;
    let demo = store.push_graph(Some(PROJECT), &IndexMap::new()).await?;
    check(!demo.already_pushed, "the second project is new")?;
    for pushed in [&media, &demo] {
        let project = Some(pushed.project.as_str());
        let snapshots = store.snapshots(project).await?;
        check_eq(snapshots.len(), 1, "snapshots of the project")?;
        check_eq(snapshots[0].features, 1, "its features")?;
        let latest = store.latest_project_version(project).await?;
        check_eq(latest.as_ref(), Some(&pushed.project_version), "latest")?;
    }
    check_eq(store.snapshots(None).await?.len(), 2, "all snapshots")?;
    let none = store.latest_project_version(Some("nobody")).await?;
    check_eq(none, None, "the latest version of an unknown project")
}

/// Snapshots come newest first, each with the time of its last push.
pub async fn lists_snapshots_newest_first(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let graphs = [pair()?, pair_of("2", "1")?, pair_of("3", "1")?];
    let mut versions = push_all(&store, &graphs).await?;
    versions.reverse();
    let snapshots = store.snapshots(None).await?;
    let found: Vec<_> = snapshots.iter().map(|s| &s.project_version).collect();
    check_eq(found, versions.iter().collect::<Vec<_>>(), "the versions")?;
    let times: Vec<_> = snapshots.iter().map(|s| s.recorded_at).collect();
    check(
        times.windows(2).all(|pair| pair[0] > pair[1]),
        format!("times {times:?}"),
    )?;
    let latest = store.latest_project_version(None).await?;
    check_eq(latest.as_ref(), versions.first(), "the latest version")
}

/// A graph that is loaded again, the latest or an older one, has the versions it was pushed with (§2, §3).
pub async fn loads_a_graph_with_equal_versions(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let graphs = [pair()?, pair_of("2", "1")?];
    let versions = push_all(&store, &graphs).await?;
    for (wanted, expected) in [
        (Some(versions[0].as_str()), &graphs[0]),
        (Some(versions[1].as_str()), &graphs[1]),
        (None, &graphs[1]),
    ] {
        let loaded = store.load_graph(wanted, None).await?;
        let loaded = loaded.ok_or_else(|| Stop::failed("no graph was loaded"))?;
        for feature in ["a", "b"] {
            let found = loaded.feature_version(feature)?;
            check_eq(found, expected.feature_version(feature)?, feature)?;
        }
        let version = expected.project_version(PROJECT);
        check_eq(loaded.project_version(PROJECT), version, "the project's")?;
    }
    let none = store.load_graph(Some("nosuchversion"), None).await?;
    check(none.is_none(), "no graph of an unknown version")
}

/// A loaded graph has the features of other projects that it needs, as they were when it was pushed (§10 (71)).
pub async fn loads_upstreams_of_other_projects(bed: &TestBed) -> Outcome {
    let store = bed.store(two_projects("1")?).await?;
    for project in ["media", PROJECT] {
        store.push_graph(Some(project), &IndexMap::new()).await?;
    }
    let newer = store.with_graph(two_projects("2")?);
    newer.push_graph(Some("media"), &IndexMap::new()).await?;
    let loaded = store.load_graph(None, Some(PROJECT)).await?;
    let loaded = loaded.ok_or_else(|| Stop::failed("no graph was loaded"))?;
    for feature in ["a", "b"] {
        let expected = store.graph().feature_version(feature)?;
        check_eq(loaded.feature_version(feature)?, expected, feature)?;
    }
    check_eq(loaded.require("a")?.project.as_str(), "media", "of a")
}

/// A push records features whose version changed only because another project did (§10 (81)).
pub async fn records_changes_of_other_projects(bed: &TestBed) -> Outcome {
    let store = bed.store(two_projects("1")?).await?;
    let first = store.push_graph(Some(PROJECT), &IndexMap::new()).await?;
    let newer = store.with_graph(two_projects("2")?);
    let pushed = newer.push_graph(Some(PROJECT), &IndexMap::new()).await?;
    check_eq(pushed.project_version, first.project_version, "the version")?;
    check(!pushed.already_pushed, "there was something to record")?;
    check_eq(pushed.updated_features, [key("b")?], "what was updated")?;
    let recorded = store.pushed_features().await?;
    let last = recorded.iter().rfind(|f| f.feature_key.as_str() == "b");
    let last = last.map(|f| f.feature_version.as_str());
    check_eq(last, Some(newer.graph().feature_version("b")?), "recorded")
}

/// Where the graph has several projects and none is configured or named, a push is refused; the configured one is taken
/// (§10 (85)).
pub async fn refuses_a_project_that_cannot_be_told(bed: &TestBed) -> Outcome {
    let store = bed.store(two_projects("1")?).await?;
    let pushed = store.push_graph(None, &IndexMap::new()).await;
    let error = refused(pushed, ErrorKind::InvalidArgument)?;
    names(&error, &["2 projects", "project"])?;
    check_eq(store.pushed_features().await?.len(), 0, "what is recorded")?;
    let builder = bed.builder("main").await?.with_graph(two_projects("1")?);
    let configured = builder.with_project(Some("media")).build()?;
    let pushed = configured.push_graph(None, &IndexMap::new()).await?;
    check_eq(pushed.project.as_str(), "media", "the configured project")
}

/// A project of which the graph has no feature is refused; those that it has are named.
pub async fn refuses_a_project_without_features(bed: &TestBed) -> Outcome {
    let mut graph = pair()?;
    let other = FeatureDefinition::new(feature("c", &["default"], &[])?, "media");
    graph.add(other)?;
    let store = bed.store(graph).await?;
    let pushed = store.push_graph(Some("nobody"), &IndexMap::new()).await;
    let error = refused(pushed, ErrorKind::InvalidArgument)?;
    names(&error, &["nobody", PROJECT, "media"])?;
    check_eq(store.pushed_features().await?.len(), 0, "what is recorded")
}
