//! Differences between graphs.

use metaxy_core::error::ErrorKind;
use metaxy_core::graph::{DiffStatus, FeatureFacts, FeatureGraph, FieldDiff, GraphDiff};
use metaxy_core::{FeatureKey, FeatureSpec};

use crate::{assert_names, dep, field, graph, spec};

fn derived(key: &str, of: &[&str]) -> FeatureSpec {
    spec(key, &["id"]).with_deps(of.iter().map(|key| dep(key)))
}

fn between(from: &FeatureGraph, to: &FeatureGraph) -> GraphDiff {
    GraphDiff::between(from, to).unwrap()
}

fn keys(facts: impl IntoIterator<Item = &'static str>) -> Vec<FeatureKey> {
    let key = |text| FeatureKey::new(text).unwrap();
    facts.into_iter().map(key).collect()
}

fn nodes(diff: &GraphDiff) -> Vec<(&str, DiffStatus)> {
    let node = |node: &'_ metaxy_core::graph::DiffNode| node.status();
    diff.nodes().map(|n| (n.key().as_str(), node(n))).collect()
}

/// `raw` ← `crop` ← `faces`, and `sound` besides.
fn old() -> FeatureGraph {
    let raw = spec("raw", &["id"]).with_fields([
        field("audio").with_code_version("1"),
        field("frames").with_code_version("1"),
    ]);
    graph([
        raw,
        derived("crop", &["raw"]),
        derived("faces", &["crop"]),
        derived("sound", &["raw"]),
    ])
}

/// `raw` with other fields, `sound` gone, and `text` new.
fn new() -> FeatureGraph {
    let raw = spec("raw", &["id"]).with_fields([
        field("frames").with_code_version("2"),
        field("meta").with_code_version("1"),
    ]);
    graph([
        derived("text", &["crop", "raw"]),
        raw,
        derived("crop", &["raw"]),
        derived("faces", &["crop"]),
    ])
}

#[test]
fn features_are_added_removed_and_changed() {
    let (old, new) = (old(), new());
    let diff = between(&old, &new);
    assert!(diff.has_changes());
    let names = |facts: Vec<&FeatureFacts>| -> Vec<String> {
        facts.iter().map(|f| f.key.to_string()).collect()
    };
    assert_eq!(names(diff.added().collect()), ["text"]);
    assert_eq!(names(diff.removed().collect()), ["sound"]);
    let text = diff.added().next().unwrap();
    assert_eq!(text.version, new.feature_version("text").unwrap());
    assert_eq!(text.dependencies, keys(["crop", "raw"]));
    assert_eq!(text.project, "demo");

    let changed: Vec<_> = diff.changed().collect();
    assert_eq!(changed.len(), 1);
    let raw = changed[0];
    assert_eq!(
        raw.before().unwrap().version,
        old.feature_version("raw").unwrap()
    );
    assert_eq!(
        raw.after().unwrap().code_version,
        new.code_version("raw").unwrap()
    );
    let fields = raw.fields();
    let [
        FieldDiff::Removed(audio),
        FieldDiff::Changed { before, after },
        FieldDiff::Added(meta),
    ] = fields.as_slice()
    else {
        panic!("{fields:?}");
    };
    assert_eq!((audio.key.as_str(), meta.key.as_str()), ("audio", "meta"));
    assert_eq!(
        (before.code_version.as_str(), after.code_version.as_str()),
        ("1", "2")
    );
    assert_ne!(before.version, after.version);

    // The other way round everything is turned round.
    let back = between(&new, &old);
    assert_eq!(names(back.added().collect()), ["sound"]);
    assert_eq!(names(back.removed().collect()), ["text"]);
    assert!(!between(&old, &old).has_changes());
}

#[test]
fn a_version_that_changes_with_its_upstream_alone_is_no_change() {
    let diff = between(&old(), &new());
    let crop = diff.get("crop").unwrap();
    assert_eq!(crop.status(), DiffStatus::Unchanged);
    assert_ne!(
        crop.before().unwrap().version,
        crop.after().unwrap().version
    );
    // A description changes the definition and no version.
    let described = || graph([spec("raw", &["id"]).with_description("what a camera saw")]);
    let diff = between(&graph([spec("raw", &["id"])]), &described());
    let raw = diff.get("raw").unwrap();
    assert_eq!(raw.status(), DiffStatus::Changed);
    assert_eq!(raw.before().unwrap().version, raw.after().unwrap().version);
    assert!(raw.fields().is_empty());
}

#[test]
fn the_union_has_the_edges_of_the_new_graph_and_of_what_is_gone() {
    let diff = between(&old(), &new());
    assert_eq!(
        nodes(&diff),
        [
            ("crop", DiffStatus::Unchanged),
            ("faces", DiffStatus::Unchanged),
            ("raw", DiffStatus::Changed),
            ("sound", DiffStatus::Removed),
            ("text", DiffStatus::Added),
        ]
    );
    let edges: Vec<_> = diff.edges().map(|(u, d)| format!("{u} {d}")).collect();
    assert_eq!(
        edges,
        [
            "raw crop",
            "crop faces",
            "raw sound",
            "crop text",
            "raw text"
        ]
    );
}

#[test]
fn a_neighbourhood_counts_steps_up_and_down() {
    let diff = between(&old(), &new());
    let around = |up, down| {
        let part = diff.around("crop", up, down).unwrap();
        nodes(&part)
            .iter()
            .map(|n| n.0)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(around(None, None), "crop faces raw text");
    assert_eq!(around(Some(0), Some(0)), "crop");
    assert_eq!(around(Some(1), Some(0)), "crop raw");
    assert_eq!(around(Some(0), Some(1)), "crop faces text");
    let raw = diff.around("raw", None, Some(1)).unwrap();
    assert_eq!(nodes(&raw).len(), 4, "all but faces");
    assert_eq!(raw.edges().count(), 4);

    let error = diff.around("crob", None, None).unwrap_err();
    assert_names(&error, ErrorKind::FeatureNotFound, &["crob"]);
    assert_eq!(error.hint(), Some("did you mean `crop`?"));
}

#[test]
fn the_shortest_way_decides() {
    // `d` is three steps up from `a` by `b` and `c`, and two by `c`.
    let graph = graph([
        derived("d", &[]),
        derived("c", &["d"]),
        derived("b", &["c"]),
        derived("a", &["b", "c"]),
    ]);
    let diff = between(&graph, &graph);
    let two = diff.around("a", Some(2), None).unwrap();
    assert_eq!(two.nodes().len(), 4);
    assert_eq!(diff.around("a", Some(1), None).unwrap().nodes().len(), 3);
}

#[test]
fn a_feature_without_a_version_cannot_be_compared() {
    let lost = graph([derived("a", &["lost"])]);
    let error = GraphDiff::between(&FeatureGraph::new(), &lost).unwrap_err();
    assert_names(&error, ErrorKind::FeatureNotFound, &["`a`", "`lost`"]);
}
