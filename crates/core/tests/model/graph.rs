use metaxy_core::FeatureKey;
use metaxy_core::definition::{External, FeatureDefinition};
use metaxy_core::error::ErrorKind;
use metaxy_core::graph::FeatureGraph;
use metaxy_core::spec::{FeatureSpec, FieldDep, FieldsMapping};

use crate::{assert_names, definition, dep, field, graph, spec};

#[test]
fn the_order_of_adding_changes_no_version() {
    let specs = || {
        vec![
            spec("a", &["id"]),
            derived("b", &["a"]),
            derived("c", &["a", "b"]),
        ]
    };
    let (forward, backward) = (graph(specs()), graph(specs().into_iter().rev()));
    for key in ["a", "b", "c"] {
        assert_eq!(
            forward.feature_version(key).unwrap(),
            backward.feature_version(key).unwrap()
        );
    }
    assert_eq!(
        forward.project_version("demo"),
        backward.project_version("demo")
    );
    assert_eq!(texts(&forward.topological()), ["a", "b", "c"]);
    assert_eq!(texts(&forward.upstream(&[key("c")])), ["a", "b"]);
    assert_eq!(texts(&backward.dependents("a")), ["c", "b"]);
    assert_eq!(
        texts(&backward.keys().cloned().collect::<Vec<_>>()),
        ["c", "b", "a"]
    );
}

#[test]
fn an_unknown_upstream_is_an_error_of_what_needs_it() {
    let mut graph = graph([
        spec("video/raw", &["id"]),
        derived("crop", &["video/rav"]),
        derived("faces", &["crop"]),
    ]);
    assert!(graph.feature_version("video/raw").is_ok());
    let error = graph.feature_version("crop").unwrap_err();
    assert_names(&error, ErrorKind::FeatureNotFound, &["crop", "video/rav"]);
    assert!(error.hint().unwrap().contains("`video/raw`"));
    assert_names(
        &graph.field_versions("faces").unwrap_err(),
        ErrorKind::FeatureNotFound,
        &["faces", "crop", "video/rav"],
    );
    assert_names(
        &graph.plan("crop").unwrap_err(),
        ErrorKind::FeatureNotFound,
        &["crop", "video/rav"],
    );
    // What concerns the definition alone is still known.
    assert!(graph.definition_version("crop").is_ok());
    assert_eq!(graph.check_all().len(), 1);

    graph.add(definition(spec("video/rav", &["id"]))).unwrap();
    assert!(graph.feature_version("faces").is_ok());
    graph.check().unwrap();
}

#[test]
fn a_field_without_upstream_spoils_only_what_uses_it() {
    let half = derived("half", &["a"]).with_fields([
        field("good").with_dep(FieldDep::all("a").unwrap()),
        field("bad").with_dep(FieldDep::new("a", ["defalt"]).unwrap()),
    ]);
    let user = |key: &str, of: &str| {
        derived(key, &["half"])
            .with_field(field("x").with_dep(FieldDep::new("half", [of]).unwrap()))
    };
    let graph = graph([
        spec("a", &["id"]),
        half,
        user("fine", "good"),
        user("spoilt", "bad"),
    ]);
    let error = graph.feature_version("half").unwrap_err();
    assert_names(
        &error,
        ErrorKind::InvalidDefinition,
        &["half", "bad", "defalt", "`a`"],
    );
    assert_eq!(error.hint(), Some("did you mean `default`?"));
    assert!(graph.feature_version("fine").is_ok());
    assert_names(
        &graph.feature_version("spoilt").unwrap_err(),
        ErrorKind::InvalidDefinition,
        &["spoilt", "half", "bad"],
    );
    assert_eq!(graph.check_all().len(), 1);
}

#[test]
fn a_mapping_that_gives_nothing_is_an_error_that_says_so() {
    let none = spec("b", &["id"]).with_dep(dep("a").with_fields_mapping(FieldsMapping::None));
    let graph = graph([spec("a", &["id"]), none]);
    assert_names(
        &graph.feature_version("b").unwrap_err(),
        ErrorKind::InvalidDefinition,
        &["`b`", "`default`"],
    );
    assert!(graph.plan("b").is_err());
}

#[test]
fn a_failed_change_leaves_the_graph_as_it_was() {
    let mut graph = graph([spec("a", &["id"]), derived("b", &["a"])]);
    let before = (
        graph.feature_version("b").unwrap().to_owned(),
        texts(&graph.topological()),
    );
    assert!(graph.add(definition(derived("a", &["b"]))).is_err());
    assert!(graph.replace(definition(derived("a", &["b"]))).is_err());
    assert!(
        graph
            .replace(definition(spec("a", &["other"]).with_fields([])))
            .is_err()
    );
    assert!(
        graph
            .replace_all([
                definition(spec("c", &["id"])),
                definition(spec("a_", &["id"])),
                definition(spec("a-", &["id"]))
            ])
            .is_err()
    );
    assert_eq!(
        (
            graph.feature_version("b").unwrap().to_owned(),
            texts(&graph.topological())
        ),
        before
    );
    assert_eq!(texts(&graph.dependents("a")), ["b"]);
    assert_eq!(texts(&graph.downstream(&[key("a")])), ["b"]);
    // What was taken back can be added.
    graph.add(definition(spec("a_", &["id"]))).unwrap();
}

#[test]
fn clones_do_not_change_with_the_original() {
    let mut graph = graph([spec("a", &["id"]), derived("b", &["a"])]);
    let copy = graph.clone();
    let old = copy.feature_version("b").unwrap().to_owned();
    let changed = spec("a", &["id"]).with_field(field("default").with_code_version("2"));
    let replaced = graph.replace(definition(changed)).unwrap();
    assert_eq!(replaced.unwrap().spec, spec("a", &["id"]));
    assert_eq!(copy.feature_version("b").unwrap(), old);
    assert_ne!(graph.feature_version("b").unwrap(), old);
    graph.remove("a").unwrap();
    assert_eq!(texts(&graph.keys().cloned().collect::<Vec<_>>()), ["b"]);
    assert_names(
        &graph.remove("a").unwrap_err(),
        ErrorKind::FeatureNotFound,
        &["`a`"],
    );
    assert!(graph.feature_version("b").is_err());
    assert_eq!(texts(&graph.downstream(&[key("a")])), ["b"]);
}

#[test]
fn several_definitions_change_together() {
    let mut graph = graph([
        spec("a", &["id"]),
        spec("b", &["id"]),
        derived("c", &["a", "b"]),
    ]);
    // Each alone would leave `c` without a common ID column.
    assert!(graph.replace(definition(spec("a", &["k"]))).is_err());
    graph
        .replace_all([definition(spec("a", &["k"])), definition(spec("b", &["k"]))])
        .unwrap();
    assert_eq!(graph.plan("c").unwrap().join_columns, ["k"]);
}

#[test]
fn external_features_stand_in_for_others() {
    let placeholder = External::default().with_provenance(field("default").key, "stated");
    let mut graph = FeatureGraph::new();
    // Its own upstream is not known, which is what the stated version is for.
    graph
        .add(FeatureDefinition::external(
            derived("up", &["far"]),
            "other",
            placeholder,
        ))
        .unwrap();
    graph.add(definition(derived("mine", &["up"]))).unwrap();
    assert!(graph.feature_version("mine").is_ok());
    assert_eq!(graph.project_version("other"), "empty");
    assert_ne!(graph.project_version("demo"), "empty");
    let error = graph.add(definition(spec("up", &["id"]))).unwrap_err();
    assert!(error.hint().unwrap().contains("replace"), "{error}");
}

#[test]
fn versions_have_at_least_eight_characters() {
    assert_names(
        &FeatureGraph::new().with_truncation_length(7).unwrap_err(),
        ErrorKind::InvalidArgument,
        &["7"],
    );
    let short = graph([spec("a", &["id"])]);
    let long = short.clone().with_truncation_length(64).unwrap();
    assert_eq!(short.feature_version("a").unwrap().len(), 8);
    assert_eq!(long.feature_version("a").unwrap().len(), 64);
    assert_eq!(long.spec_version("a").unwrap().len(), 64);
    assert_eq!(
        &long.spec_version("a").unwrap()[..8],
        short.spec_version("a").unwrap()
    );
}

#[test]
fn long_chains_have_versions() {
    let name = |i: usize| format!("f{i:04}");
    let chain: Vec<FeatureSpec> = (0..2_000)
        .map(|i| {
            if i == 0 {
                spec(&name(0), &["id"])
            } else {
                derived(&name(i), &[&name(i - 1)])
            }
        })
        .collect();
    let forward = graph(chain.iter().cloned());
    let mut backward = graph(chain.into_iter().rev());
    let last = name(1_999);
    assert_eq!(
        forward.feature_version(&last).unwrap(),
        backward.feature_version(&last).unwrap()
    );
    assert_eq!(forward.topological().len(), 2_000);
    assert_eq!(forward.downstream(&[key("f0000")]).len(), 1_999);
    assert_eq!(forward.upstream(&[key(&last)]).len(), 1_999);
    forward.check().unwrap();
    // An error at the start reaches the end, and a circle around everything is found.
    let error = backward
        .replace(definition(derived("f0000", &[&last])))
        .unwrap_err();
    assert_names(&error, ErrorKind::InvalidDefinition, &["f0000", "f1999"]);
    backward.remove("f0000").unwrap();
    assert_names(
        &backward.feature_version(&last).unwrap_err(),
        ErrorKind::FeatureNotFound,
        &["f1999", "f0001", "f0000"],
    );
}

/// Following every path would take 2^60 steps.
#[test]
fn ladders_of_diamonds_have_versions() {
    let mut specs = vec![spec("n0", &["id"])];
    for i in 0..60 {
        let (from, left, right) = (format!("n{i}"), format!("l{i}"), format!("r{i}"));
        specs.push(derived(&left, &[&from]));
        specs.push(derived(&right, &[&from]));
        specs.push(derived(&format!("n{}", i + 1), &[&left, &right]));
    }
    let graph = graph(specs);
    assert_eq!(graph.feature_version("n60").unwrap().len(), 8);
    assert_eq!(graph.downstream(&[key("n0")]).len(), 180);
    graph.check().unwrap();
}

fn derived(key: &str, upstreams: &[&str]) -> FeatureSpec {
    spec(key, &["id"]).with_deps(upstreams.iter().map(|upstream| dep(upstream)))
}

fn key(text: &str) -> FeatureKey {
    FeatureKey::new(text).unwrap()
}

fn texts(keys: &[FeatureKey]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}
