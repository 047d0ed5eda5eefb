//! What is refused, and that the error names who is at fault.

use metaxy_core::definition::{External, FeatureDefinition};
use metaxy_core::error::ErrorKind::InvalidDefinition;
use metaxy_core::graph::FeatureGraph;
use metaxy_core::spec::{FeatureSpec, FieldDep, Lineage};

use crate::{assert_names, definition, dep, field, graph, spec};

#[test]
fn id_columns_are_checked_at_once() {
    let cases: [(&[&str], &str); 4] = [
        (&[], "ID columns"),
        (&["a", ""], "empty"),
        (&["a", "b", "a"], "`a`"),
        (&["metaxy_x"], "`metaxy_x`"),
    ];
    for (ids, culprit) in cases {
        let error = FeatureSpec::new("the/key", ids.iter().copied()).unwrap_err();
        assert_names(&error, InvalidDefinition, &["the/key", culprit]);
    }
    assert!(FeatureSpec::new("Bad", ["id"]).is_err());
}

#[test]
fn only_a_placeholder_may_leave_out_the_deps_of_its_fields() {
    let x = || FeatureSpec::new("x", ["id"]).unwrap();
    let spec = || x().with_field(field("f").with_dep(FieldDep::all("up").unwrap()));
    let mut graph = FeatureGraph::new();
    let error = graph.add(definition(spec())).unwrap_err();
    assert_names(&error, InvalidDefinition, &["`x`", "`f`", "`up`"]);
    assert!(graph.is_empty());
    let placeholder = FeatureDefinition::external(spec(), "other", External::default());
    graph.add(placeholder).unwrap();
}

#[test]
fn specs_that_are_wrong_alone_are_refused() {
    let x = || spec("x", &["id"]);
    let on = |lineage| x().with_dep(dep("up").with_lineage(lineage));
    let cases: Vec<(FeatureSpec, &[&str])> = vec![
        (x().with_fields([]), &["no fields"]),
        (
            x().with_field(field("f")).with_field(field("f")),
            &["`f`", "twice"],
        ),
        (
            x().with_field(field("a/b")).with_field(field("a_b")),
            &["`a/b`", "`a_b`"],
        ),
        (x().with_dep(dep("x")), &["itself"]),
        (
            x().with_dep(dep("up")).with_dep(dep("up")),
            &["`up`", "twice"],
        ),
        (
            x().with_dep(dep("up").with_rename("a", "metaxy_provenance")),
            &["`up`", "`a`", "metaxy_provenance"],
        ),
        (
            x().with_dep(dep("up").with_rename("metaxy_data_version", "v")),
            &["`up`", "metaxy_data_version"],
        ),
        (
            x().with_dep(dep("up").with_rename("a", "c").with_rename("b", "c")),
            &["`up`", "`a`", "`b`", "`c`"],
        ),
        (
            x().with_dep(dep("up").with_rename("a", "")),
            &["`up`", "`a`", "empty"],
        ),
        (
            x().with_dep(dep("up").with_rename("", "a")),
            &["`up`", "`a`", "empty"],
        ),
        (
            x().with_dep(dep("up").with_rename("old", "new").with_select(["old"])),
            &["`up`", "select", "`old`", "`new`"],
        ),
        (
            x().with_dep(dep("up").with_select(["a", "a"])),
            &["`up`", "select", "`a`"],
        ),
        (
            x().with_dep(dep("up").with_select(["metaxy_provenance"])),
            &["`up`", "select", "metaxy_provenance"],
        ),
        (on(Lineage::aggregation([""; 0])), &["`up`", "lineage"]),
        (
            on(Lineage::expansion(["a", "a"])),
            &["`up`", "lineage", "`a`"],
        ),
        (
            x().with_dep(
                dep("up")
                    .with_rename("a", "b")
                    .with_lineage(Lineage::aggregation(["a"])),
            ),
            &["`up`", "`a`", "`b`"],
        ),
    ];
    for (spec, names) in cases {
        let named = [&["`x`"], names].concat();
        assert_names(&spec.validate().unwrap_err(), InvalidDefinition, &named);
        assert!(FeatureSpec::from_json(&spec.to_json().to_compact()).is_err());
        let mut graph = FeatureGraph::new();
        assert_names(
            &graph.add(definition(spec)).unwrap_err(),
            InvalidDefinition,
            &named,
        );
        assert!(graph.is_empty());
    }
}

#[test]
fn renames_that_make_sense_are_accepted() {
    let swapped = dep("up")
        .with_rename("a", "b")
        .with_rename("b", "a")
        .with_select(["a", "b"]);
    let id = dep("other")
        .with_rename("id", "other_id")
        .with_lineage(Lineage::aggregation(["id"]));
    spec("x", &["id"]).with_dep(swapped).validate().unwrap();
    assert!(spec("x", &["id"]).with_dep(id).validate().is_err());
    let renamed = spec("x", &["key"]).with_dep(dep("up").with_rename("id", "key"));
    assert_eq!(
        graph([spec("up", &["id"]), renamed])
            .plan("x")
            .unwrap()
            .join_columns,
        ["key"]
    );
}

/// Definitions that only together are wrong: the last one to be added is refused, whichever it is.
#[test]
fn definitions_that_are_wrong_together_are_refused() {
    let x = || spec("x", &["id"]);
    let two = |a: metaxy_core::spec::FeatureDep, b| {
        vec![
            spec("a", &["id"]),
            spec("b", &["id"]),
            x().with_dep(a).with_dep(b),
        ]
    };
    let cases: Vec<(Vec<FeatureSpec>, &[&str])> = vec![
        (
            vec![
                spec("a", &["id"]),
                x().with_dep(dep("a").with_rename("c", "id")),
            ],
            &["`x`", "`a`", "`c`", "`id`"],
        ),
        (
            vec![
                spec("a", &["i"]),
                spec("b", &["j"]),
                x().with_dep(dep("a")).with_dep(dep("b")),
            ],
            &["`x`", "`a`", "`b`", "`i`", "`j`"],
        ),
        (
            vec![
                spec("a", &["i"]),
                spec("b", &["i"]),
                x().with_dep(dep("a"))
                    .with_dep(dep("b").with_lineage(Lineage::expansion(["k"]))),
            ],
            &["`x`", "`a`", "`b`", "`k`"],
        ),
        (
            two(
                dep("a").with_rename("u", "w"),
                dep("b").with_rename("v", "w"),
            ),
            &["`x`", "`a`", "`b`", "`w`"],
        ),
        (
            two(dep("a").with_select(["w"]), dep("b").with_select(["w"])),
            &["`x`", "`a`", "`b`", "`w`"],
        ),
        (
            vec![
                spec("a", &["id", "n"]),
                spec("b", &["id"]),
                x().with_dep(dep("a"))
                    .with_dep(dep("b").with_rename("m", "n")),
            ],
            &["`x`", "`a`", "`b`", "`n`"],
        ),
        // What they pass on without being asked for it.
        (
            vec![
                spec("a", &["id"]).with_dep(dep("r").with_select(["p", "id"])),
                spec("b", &["id"]).with_dep(dep("r").with_rename("q", "p")),
                x().with_dep(dep("a")).with_dep(dep("b")),
            ],
            &["`x`", "`a`", "`b`", "`p`"],
        ),
        (
            vec![
                spec("a", &["id"]).with_dep(dep("r").with_select(["p"])),
                spec("c", &["id"]).with_dep(dep("a")),
                spec("b", &["id"]),
                x().with_dep(dep("c")).with_dep(dep("b").with_select(["p"])),
            ],
            &["`x`", "`c`", "`b`", "`p`"],
        ),
        (
            vec![spec("x-y", &["id"]), spec("x_y", &["id"])],
            &["`x-y`", "`x_y`", "`x_y`"],
        ),
        (
            vec![
                x().with_dep(dep("a")),
                spec("a", &["id"]).with_dep(dep("b")),
                spec("b", &["id"]).with_dep(dep("x")),
            ],
            &["`x`", "`a`", "`b`"],
        ),
    ];
    for (specs, names) in cases {
        for first in 0..specs.len() {
            let mut order = specs.clone();
            order.rotate_left(first);
            let last = order.pop().unwrap();
            let mut graph = graph(order);
            let before = graph.len();
            assert_names(
                &graph.add(definition(last)).unwrap_err(),
                InvalidDefinition,
                names,
            );
            assert_eq!(graph.len(), before);
            graph.check().err().into_iter().for_each(|error| {
                assert_eq!(error.kind(), metaxy_core::ErrorKind::FeatureNotFound);
            });
        }
    }
}

#[test]
fn columns_that_are_not_kept_do_not_collide() {
    let x = spec("x", &["id"])
        .with_dep(dep("a").with_rename("u", "w").with_select(["z"]))
        .with_dep(dep("b").with_rename("v", "w"));
    graph([spec("a", &["id"]), spec("b", &["id"]), x])
        .check()
        .unwrap();
    // The finer ID column of an aggregated upstream is not kept beside a `select`.
    let x = spec("x", &["id"])
        .with_dep(dep("a").with_rename("u", "n"))
        .with_dep(
            dep("b")
                .with_select(["z"])
                .with_lineage(Lineage::aggregation(["id"])),
        );
    graph([spec("a", &["id"]), spec("b", &["id", "n"]), x])
        .check()
        .unwrap();
}

#[test]
fn columns_that_are_not_passed_on_do_not_collide() {
    let passes = |name| spec(name, &["id"]).with_dep(dep("r").with_select(["p", "id"]));
    for x in [
        spec("x", &["id"])
            .with_dep(dep("a"))
            .with_dep(dep("b").with_rename("p", "q")),
        spec("x", &["id"])
            .with_dep(dep("a").with_select(Vec::<String>::new()))
            .with_dep(dep("b")),
        spec("x", &["id"])
            .with_dep(dep("a").with_select(["p"]))
            .with_dep(dep("c")),
    ] {
        let c = spec("c", &["id"]).with_dep(dep("b").with_select(["q"]));
        let specs = [spec("r", &["id"]), passes("a"), passes("b"), c, x];
        graph(specs).check().unwrap();
    }
    // A graph of what was pushed is a fact: whether rows have the columns is seen when they are read.
    let mut recorded = metaxy_core::graph::FeatureGraph::recorded();
    let x = spec("x", &["id"]).with_dep(dep("a")).with_dep(dep("b"));
    for spec in [spec("r", &["id"]), passes("a"), passes("b"), x] {
        recorded.add(definition(spec)).unwrap();
    }
    recorded.plan("x").unwrap();
}

/// A long chain of features that pass on all they have, in either order, with a side that collides at the end.
#[test]
fn what_is_passed_on_is_followed_through_long_chains() {
    const LENGTH: usize = 3_000;
    let link = |at: usize| {
        let above = dep(&format!("f{}", at - 1));
        spec(&format!("f{at}"), &["id"]).with_dep(above)
    };
    let mut specs = vec![
        spec("f0", &["id"]).with_dep(dep("r").with_select(["p"])),
        spec("side", &["id"]).with_dep(dep("r").with_select(["p"])),
    ];
    specs.extend((1..LENGTH).map(link));
    let last = format!("f{}", LENGTH - 1);
    let x = spec("x", &["id"])
        .with_dep(dep(&last))
        .with_dep(dep("side"));
    let error = graph(specs).add(definition(x)).unwrap_err();
    assert_names(
        &error,
        InvalidDefinition,
        &["`x`", &format!("`{last}`"), "`side`", "`p`"],
    );
}

#[test]
fn keys_are_defined_once_and_not_under_the_systems() {
    let mut graph = graph([spec("a", &["id"])]);
    assert_names(
        &graph.add(definition(spec("a", &["other"]))).unwrap_err(),
        InvalidDefinition,
        &["`a`"],
    );
    let system = spec("metaxy_system/feature_versions", &["id"]);
    assert_names(
        &graph.add(definition(system)).unwrap_err(),
        InvalidDefinition,
        &["metaxy_system/feature_versions"],
    );
}

#[test]
fn recorded_definitions_are_checked_when_asked() {
    let mut graph = FeatureGraph::recorded();
    graph.add(definition(spec("a", &["i"]))).unwrap();
    graph
        .add(definition(spec("b", &["j"]).with_fields([])))
        .unwrap();
    graph
        .add(definition(
            spec("x", &["i"]).with_dep(dep("a")).with_dep(dep("b")),
        ))
        .unwrap();
    assert!(graph.feature_version("x").is_ok());
    assert_names(
        &graph.plan("x").unwrap_err(),
        InvalidDefinition,
        &["`x`", "`a`", "`b`"],
    );
    assert_eq!(graph.check_all().len(), 2);
    assert!(graph.add(definition(spec("a", &["i"]))).is_err());
    assert!(
        graph
            .replace(definition(spec("a", &["i"]).with_dep(dep("x"))))
            .is_err()
    );
}

#[test]
fn json_that_is_no_spec_is_refused_with_its_place() {
    let cases: [(&str, &[&str]); 14] = [
        (r#"[]"#, &["a list"]),
        (r#"{"id_columns": ["id"]}"#, &["`key`"]),
        (r#"{"key": "x"}"#, &["`x`", "ID columns"]),
        (r#"{"key": "X", "id_columns": ["id"]}"#, &["\"X\""]),
        (
            r#"{"key": "x", "id_columns": ["id"], "feilds": []}"#,
            &["`feilds`"],
        ),
        (
            r#"{"key": "x", "id_columns": "id"}"#,
            &["`x`", "`id_columns`"],
        ),
        (
            r#"{"key": "x", "id_columns": [1]}"#,
            &["`x`", "`id_columns`"],
        ),
        (
            r#"{"key": "x", "id_columns": ["id"], "fields": [{"key": "f", "code_version": 1}]}"#,
            &["`x`", "`f`", "code_version"],
        ),
        (
            r#"{"key": "x", "id_columns": ["id"], "fields": [{"key": "f", "deps": "ALL"}]}"#,
            &["`x`", "`f`", "deps"],
        ),
        (
            r#"{"key": "x", "id_columns": ["id"], "deps": [{"feature": "u", "renames": {}}]}"#,
            &["`x`", "`renames`"],
        ),
        (
            r#"{"key": "x", "id_columns": ["id"], "deps": [{"feature": "u", "filters": [], "sql_filters": []}]}"#,
            &["`x`", "`u`", "`filters`"],
        ),
        (
            r#"{"key": "x", "id_columns": ["id"], "deps": [{"feature": "u", "lineage": {"relationship": {"type": "2:1"}}}]}"#,
            &["`x`", "`u`", "2:1"],
        ),
        (
            r#"{"key": "x", "id_columns": ["id"], "deps": [{"feature": "u", "fields_mapping": {"mapping": {"type": "some"}}}]}"#,
            &["`x`", "`u`", "some"],
        ),
        (
            r#"{"key": "x", "id_columns": ["id"], "deps": [{"feature": "u", "lineage": {"relationship": {"type": "1:N"}}}]}"#,
            &["`x`", "`u`", "`on`"],
        ),
    ];
    for (text, names) in cases {
        let error = FeatureSpec::from_json(text).unwrap_err();
        assert_eq!(error.kind(), InvalidDefinition, "{text}");
        for name in names {
            assert!(
                error.to_string().contains(name),
                "{name} is not in: {error}"
            );
        }
    }
}

#[test]
fn optional_members_may_be_absent() {
    let short = FeatureSpec::from_json(r#"{"key": ["x", "y"], "id_columns": ["id"], "deps": ["u", {"feature": "v", "filters": ["a > 1"]}]}"#).unwrap();
    let built = spec("x/y", &["id"])
        .with_dep(dep("u"))
        .with_dep(dep("v").with_filter("a > 1"));
    assert_eq!(short, built);
    assert_eq!(
        short,
        spec("x/y", &["id"])
            .with_deps(short.deps().to_vec())
            .with_field(field("default"))
    );
    let full = r#"{"key":"x/y","id_columns":["id"],"deps":[{"feature":"u","select":null,"rename":null,"fields_mapping":{"mapping":{"type":"default","match_suffix":false,"exclude_fields":[]}},"sql_filters":null,"lineage":{"relationship":{"type":"1:1"}},"optional":false},{"feature":"v","select":null,"rename":null,"fields_mapping":{"mapping":{"type":"default","match_suffix":false,"exclude_fields":[]}},"sql_filters":["a > 1"],"lineage":{"relationship":{"type":"1:1"}},"optional":false}],"fields":[{"key":"default","code_version":"__metaxy_initial__","deps":[]}],"metadata":{},"description":null}"#;
    assert_eq!(built.to_json().to_compact(), full);
}
