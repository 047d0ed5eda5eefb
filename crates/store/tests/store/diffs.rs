//! What has changed between pushed graphs.

use futures::executor::block_on;
use indexmap::IndexMap;
use metaxy_store::Result;
use metaxy_store::graph::{DiffStatus, GraphDiff};
use metaxy_store::prelude::*;

use crate::fixture::{Fixture, fixture, key};

/// `source/raw` of one project, with this code, and `demo/text` of another that depends on it.
fn projects(code: &str) -> FeatureGraph {
    let raw = FeatureSpec::new("source/raw", ["id"])
        .unwrap()
        .with_field(FieldSpec::new("audio").unwrap().with_code_version(code));
    let text = FeatureSpec::new("demo/text", ["id"])
        .unwrap()
        .with_dep(FeatureDep::new("source/raw").unwrap());
    FeatureGraph::from_definitions([
        FeatureDefinition::new(raw, "sources"),
        FeatureDefinition::new(text, "demo"),
    ])
    .unwrap()
}

fn push(store: &MetadataStore, project: &str) -> String {
    let pushed = block_on(store.push_graph(Some(project), &IndexMap::new()));
    pushed.unwrap().project_version
}

fn diff(store: &MetadataStore, from: &str, to: &str) -> Result<GraphDiff> {
    block_on(store.diff(from, to, None))
}

#[test]
fn pushed_versions_are_compared() {
    let Fixture {
        store,
        folder: _folder,
    } = fixture();
    let first = push(&store, "demo");
    let mut graph = store.graph().clone();
    graph.remove("video/faces").unwrap();
    let text = FeatureSpec::new("text", ["id"])
        .unwrap()
        .with_dep(FeatureDep::new("video/transcript").unwrap());
    graph.add(FeatureDefinition::new(text, "demo")).unwrap();
    let second = push(&store.with_graph(graph), "demo");

    let found = diff(&store, &first, &second).unwrap();
    let added: Vec<_> = found.added().map(|feature| &feature.key).collect();
    let removed: Vec<_> = found.removed().map(|feature| &feature.key).collect();
    assert_eq!(
        (added, removed),
        (vec![&key("text")], vec![&key("video/faces")])
    );
    assert_eq!(found.changed().count(), 0);
    assert!(!diff(&store, &first, &first).unwrap().has_changes());
}

#[test]
fn upstreams_of_other_projects_are_part_of_it() {
    let Fixture {
        store,
        folder: _folder,
    } = fixture();
    let graphs = ["1", "2"].map(|code| store.with_graph(projects(code)));
    push(&graphs[0], "sources");
    let before = push(&graphs[0], "demo");
    let same = diff(&store, &before, &before).unwrap();
    assert_eq!(same.nodes().len(), 2);
    assert!(!same.has_changes());
    let text = same.get("demo/text").unwrap().feature();
    let version = graphs[0].graph().feature_version("demo/text").unwrap();
    assert_eq!(text.version, version);

    // Another version of the other project makes no other version of this one.
    push(&graphs[1], "sources");
    assert_eq!(push(&graphs[1], "demo"), before);
    let mut described = graphs[1].graph().clone();
    let mut text = described.require("demo/text").unwrap().as_ref().clone();
    text.spec = text.spec.with_description("what is said");
    described.replace(text).unwrap();
    let after = push(&store.with_graph(described), "demo");
    let found = block_on(store.diff(&before, &after, Some("demo"))).unwrap();
    assert_eq!(
        found.get("demo/text").unwrap().status(),
        DiffStatus::Changed
    );
    let raw = found.get("source/raw").unwrap();
    assert_eq!(raw.feature().project, "sources");
    assert_eq!(
        raw.after().unwrap().version,
        graphs[1].graph().feature_version("source/raw").unwrap()
    );
}

#[test]
fn versions_that_were_never_pushed_are_errors() {
    let Fixture {
        store,
        folder: _folder,
    } = fixture();
    let nothing = diff(&store, "12345678", "12345678").unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::InvalidArgument);
    assert!(nothing.hint().unwrap().contains("push"));

    let pushed = push(&store, "demo");
    let error = diff(&store, &pushed, "nowhere").unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
    assert!(error.hint().unwrap().contains(&pushed), "{error:?}");
    let other = block_on(store.diff(&pushed, &pushed, Some("other")));
    assert!(other.unwrap_err().to_string().contains("other"));
}
