//! What has changed between two pushed versions of a project.

use indexmap::IndexMap;
use metaxy_store::graph::{DiffStatus, FieldDiff};
use metaxy_store::{ErrorKind, FeatureGraph, MetadataStore};

use super::sync::of;
use crate::bed::TestBed;
use crate::bed::graphs::PROJECT;
use crate::outcome::{Outcome, check, check_eq, names, refused};

cases! { "diff":
    names_what_was_added_removed_and_changed,
    refuses_a_version_that_was_never_pushed,
}

async fn push(store: &MetadataStore, graph: &FeatureGraph) -> Outcome<String> {
    let store = store.with_graph(graph.clone());
    let pushed = store.push_graph(Some(PROJECT), &IndexMap::new()).await?;
    Ok(pushed.project_version)
}

/// Features that only one of the versions has, and those that have another definition, each with the version of either side; what
/// changed only because of an upstream has a field that differs. The other way round it is reversed.
pub async fn names_what_was_added_removed_and_changed(bed: &TestBed) -> Outcome {
    let old = FeatureGraph::from_definitions([
        of(PROJECT, "a", "1", &[])?,
        of(PROJECT, "b", "1", &["a"])?,
        of(PROJECT, "gone", "1", &[])?,
        of(PROJECT, "same", "1", &[])?,
    ])?;
    let new = FeatureGraph::from_definitions([
        of(PROJECT, "a", "2", &[])?,
        of(PROJECT, "b", "1", &["a"])?,
        of(PROJECT, "come", "1", &["b"])?,
        of(PROJECT, "same", "1", &[])?,
    ])?;
    let store = bed.store(FeatureGraph::new()).await?;
    let (first, second) = (push(&store, &old).await?, push(&store, &new).await?);
    let diff = store.diff(&first, &second, None).await?;
    let mut nodes: Vec<_> = diff
        .nodes()
        .map(|n| (n.key().as_str(), n.status()))
        .collect();
    nodes.sort_by_key(|node| node.0);
    check_eq(
        nodes,
        [
            ("a", DiffStatus::Changed),
            ("b", DiffStatus::Unchanged),
            ("come", DiffStatus::Added),
            ("gone", DiffStatus::Removed),
            ("same", DiffStatus::Unchanged),
        ],
        "what became of each",
    )?;
    for node in diff.nodes() {
        let key = node.key();
        for (side, graph) in [(node.before(), &old), (node.after(), &new)] {
            let found = side.map(|facts| facts.version.as_str());
            let expected = match graph.contains(key) {
                true => Some(graph.feature_version(key)?),
                false => None,
            };
            check_eq(found, expected, key)?;
        }
        let differs = matches!(node.fields().as_slice(), [FieldDiff::Changed { .. }]);
        let expected = ["a", "b"].contains(&key.as_str());
        check_eq(differs, expected, format!("a field of {key} differs"))?;
    }
    let back = store.diff(&second, &first, Some(PROJECT)).await?;
    let added: Vec<&str> = back.added().map(|facts| facts.key.as_str()).collect();
    let removed: Vec<&str> = back.removed().map(|facts| facts.key.as_str()).collect();
    check_eq((added, removed), (vec!["gone"], vec!["come"]), "back")?;
    let nothing = store.diff(&first, &first, None).await?;
    check(!nothing.has_changes(), "a version and itself")
}

/// A version, or a version of a project, that was never pushed is refused, with those that were.
pub async fn refuses_a_version_that_was_never_pushed(bed: &TestBed) -> Outcome {
    let graph = FeatureGraph::from_definitions([of(PROJECT, "a", "1", &[])?])?;
    let store = bed.store(FeatureGraph::new()).await?;
    let none = store.diff("12345678", "12345678", None).await;
    let error = refused(none, ErrorKind::InvalidArgument)?;
    names(&error, &["12345678", "main", "push"])?;
    let pushed = push(&store, &graph).await?;
    for (from, to) in [(pushed.as_str(), "nowhere"), ("nowhere", &pushed)] {
        let unknown = store.diff(from, to, None).await;
        let error = refused(unknown, ErrorKind::InvalidArgument)?;
        names(&error, &["nowhere", "main", &pushed])?;
    }
    let other = store.diff(&pushed, &pushed, Some("nobody")).await;
    let error = refused(other, ErrorKind::InvalidArgument)?;
    names(&error, &["nobody", "main"])?;
    check_eq(store.pushed_features().await?.len(), 1, "what is recorded")
}
