//! Facts of graphs: their shape, and what is up and down from a feature.

use metaxy_core::FeatureKey;
use metaxy_core::definition::{External, FeatureDefinition};
use metaxy_core::error::ErrorKind;
use metaxy_core::graph::{FeatureGraph, FeatureTree, Relatives, RelativesOptions, TreeNode};

use crate::{assert_names, dep, graph, spec};

fn derived(key: &str, of: &[&str]) -> metaxy_core::FeatureSpec {
    spec(key, &["id"]).with_deps(of.iter().map(|key| dep(key)))
}

fn texts<'a>(keys: impl IntoIterator<Item = &'a FeatureKey>) -> Vec<&'a str> {
    keys.into_iter().map(FeatureKey::as_str).collect()
}

/// The graph of two projects that most tests look at; `lost` is not in it.
fn projects() -> FeatureGraph {
    FeatureGraph::from_definitions([
        FeatureDefinition::new(derived("z/raw", &[]), "sources"),
        FeatureDefinition::new(derived("crop", &["z/raw"]), "sources"),
        FeatureDefinition::new(derived("b", &["crop", "z/raw"]), "demo"),
        FeatureDefinition::new(derived("a", &["z/raw", "b"]), "demo"),
        FeatureDefinition::new(derived("alone", &["lost"]), "demo"),
    ])
    .unwrap()
}

fn all() -> RelativesOptions {
    RelativesOptions::default().with_recursive(true)
}

fn tree(relatives: &Relatives) -> &FeatureTree {
    relatives.tree.as_ref().unwrap()
}

/// The walk as lines: indented, truncated nodes with a `…`, repeated ones with a `^`.
fn lines(tree: &FeatureTree) -> Vec<String> {
    let line = |node: TreeNode<'_>| {
        let mark = match (node.is_truncated(), node.is_repeated()) {
            (true, _) => "…",
            (_, true) => "^",
            _ => "",
        };
        format!("{}{}{mark}", " ".repeat(node.depth()), node.feature())
    };
    tree.walk().map(line).collect()
}

#[test]
fn a_description_tells_size_depth_and_ends() {
    let graph = projects();
    let whole = graph.describe(None);
    assert_eq!((whole.total_features, whole.features), (5, 5));
    assert_eq!(whole.depth, 4);
    assert_eq!(texts(&whole.roots), ["z/raw"]);
    assert_eq!(texts(&whole.leaves), ["a", "alone"]);
    assert_eq!(whole.project, None);
    assert_eq!(whole.projects["demo"].features, 3);
    assert_eq!(
        whole.projects["sources"].version,
        graph.project_version("sources")
    );

    // Leaves are relative to the features of the project; depth is not.
    let sources = graph.describe(Some("sources"));
    assert_eq!((sources.total_features, sources.features), (5, 2));
    assert_eq!((sources.depth, texts(&sources.leaves)), (2, vec!["crop"]));
    let demo = graph.describe(Some("demo"));
    assert_eq!((demo.depth, demo.roots.len()), (4, 0));
    let nothing = graph.describe(Some("demos"));
    assert_eq!((nothing.features, nothing.depth), (0, 0));
    assert_eq!(nothing.projects, whole.projects);
    assert_eq!(FeatureGraph::new().describe(None).depth, 0);
}

#[test]
fn an_unknown_upstream_counts_as_one_feature_of_a_chain() {
    assert_eq!(graph([derived("alone", &["lost"])]).describe(None).depth, 2);
}

#[test]
fn dependencies_are_in_spec_order_and_dependents_in_graph_order() {
    let graph = projects();
    let one = graph
        .dependencies_of("a", RelativesOptions::default())
        .unwrap();
    assert_eq!(texts(&one.direct), ["z/raw", "b"]);
    assert!(one.tree.is_none());
    let up = graph.dependencies_of("a", all()).unwrap();
    assert_eq!(
        lines(tree(&up)),
        ["a", " z/raw", " b", "  crop", "   z/raw", "  z/raw"]
    );
    assert_eq!(texts(tree(&up).features()), ["b", "crop", "z/raw"]);

    let down = graph.dependents_of("z/raw", all()).unwrap();
    assert_eq!(texts(&down.direct), ["a", "b", "crop"]);
    assert_eq!(
        lines(tree(&down)),
        ["z/raw", " crop", "  b", "   a", " b^", " a"]
    );
    let root = tree(&down).root();
    assert_eq!((root.project(), root.depth()), (Some("sources"), 0));
    // The branch that the walk left out is there for those who ask.
    let again = root.children().nth(1).unwrap();
    assert_eq!(again.children().next().unwrap().feature().as_str(), "a");
}

#[test]
fn a_tree_can_be_cut() {
    let graph = projects();
    let cut = |depth| {
        let relatives = graph.dependencies_of("a", all().with_max_depth(depth));
        let relatives = relatives.unwrap();
        let tree = tree(&relatives);
        let features = texts(tree.features()).join(" ");
        (lines(tree).join("/"), features)
    };
    assert_eq!(cut(0), ("a…".to_owned(), String::new()));
    assert_eq!(cut(1), ("a/ z/raw…/ b…".to_owned(), "b z/raw".to_owned()));
    let (two, features) = cut(2);
    assert_eq!(two, "a/ z/raw/ b/  crop…/  z/raw…");
    assert_eq!(features, "b crop z/raw");
}

#[test]
fn a_walk_of_a_cut_tree_enters_a_branch_again_where_more_of_it_is_to_be_seen() {
    // `m` comes first at depth 2, where nothing of it is shown, and then at depth 1.
    let graph = graph([
        derived("r", &[]),
        derived("m", &["r"]),
        derived("n", &["m"]),
        derived("o", &["n", "m"]),
    ]);
    let three = graph.dependencies_of("o", all().with_max_depth(3)).unwrap();
    assert_eq!(
        lines(tree(&three)),
        ["o", " n", "  m", "   r…", " m", "  r"]
    );
}

#[test]
fn unknown_features_are_errors_unless_somebody_names_them() {
    let graph = projects();
    for asked in [
        graph.dependencies_of("crob", all()),
        graph.dependents_of("crob", all()),
    ] {
        let error = asked.unwrap_err();
        assert_names(&error, ErrorKind::FeatureNotFound, &["crob"]);
        assert!(error.hint().unwrap().contains("crop"));
    }
    assert!(graph.dependencies_of("lost", all()).is_err());
    let lost = graph.dependents_of("lost", all()).unwrap();
    assert_eq!(texts(&lost.direct), ["alone"]);
    assert_eq!(tree(&lost).root().project(), None);
    let alone = graph.dependencies_of("alone", all()).unwrap();
    let upstream = tree(&alone).root().children().next().unwrap();
    assert_eq!(
        (upstream.definition(), upstream.children().len()),
        (None, 0)
    );
}

#[test]
fn a_long_chain_is_no_problem() {
    const LONG: usize = 100_000;
    let name = |n: usize| format!("f{n}");
    let mut chain = FeatureGraph::recorded();
    for n in 0..LONG {
        let spec = match n {
            0 => derived("f0", &[]),
            n => derived(&name(n), &[&name(n - 1)]),
        };
        // Placeholders are not part of a project version, which takes its time.
        let placeholder = FeatureDefinition::external(spec, "demo", External::default());
        chain.add(placeholder).unwrap();
    }
    let facts = chain.describe(None);
    assert_eq!(
        (facts.depth, facts.roots.len(), facts.leaves.len()),
        (LONG, 1, 1)
    );
    let up = chain.dependencies_of(name(LONG - 1), all()).unwrap();
    assert_eq!(tree(&up).walk().last().unwrap().depth(), LONG - 1);
    let down = chain.dependents_of("f0", all()).unwrap();
    assert_eq!(tree(&down).features().len(), LONG - 1);
}

#[test]
fn diamonds_do_not_explode() {
    // Sixty diamonds on top of each other: 2^60 ways lead down.
    let mut specs = vec![derived("j0", &[])];
    for n in 1..=60 {
        let below = format!("j{}", n - 1);
        let (left, right) = (format!("l{n}"), format!("r{n}"));
        specs.push(derived(&left, &[&below]));
        specs.push(derived(&right, &[&below]));
        specs.push(derived(&format!("j{n}"), &[&left, &right]));
    }
    let graph = graph(specs);
    assert_eq!(graph.describe(None).depth, 121);
    for found in [
        graph.dependencies_of("j60", all()).unwrap(),
        graph.dependents_of("j0", all()).unwrap(),
        graph
            .dependencies_of("j60", all().with_max_depth(120))
            .unwrap(),
    ] {
        let tree = tree(&found);
        assert_eq!(tree.features().len(), 180);
        assert_eq!(tree.walk().count(), 241);
        assert_eq!(tree.walk().filter(|node| node.is_repeated()).count(), 59);
    }
}
