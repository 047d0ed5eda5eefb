use metaxy_core::graph::feature_plan::FeaturePlan;
use metaxy_core::spec::{FieldDeps, FieldsMapping, Lineage};

use crate::{dep, field, graph, spec};

#[test]
fn a_root_is_identified_by_its_id_columns() {
    let plan = graph([spec("a", &["y", "x"])]).plan("a").unwrap();
    assert!(plan.is_root());
    assert_eq!(plan.join_columns, ["y", "x"]);
    assert_eq!(plan.identity_columns, ["y", "x"]);
    assert_eq!(parents(&plan, "default"), "");
}

#[test]
fn upstreams_are_joined_on_the_intersection_and_rows_identified_by_the_union() {
    let t = spec("t", &["z", "y", "x"])
        .with_dep(dep("a").with_rename("id", "x"))
        .with_dep(dep("b"))
        .with_dep(
            dep("c")
                .with_lineage(Lineage::aggregation(["x"]))
                .optional(),
        );
    let graph = graph([
        spec("a", &["id", "k"]),
        spec("b", &["y", "x"]),
        spec("c", &["n"]),
        t,
    ]);
    let plan = graph.plan("t").unwrap();
    assert_eq!(plan.join_columns, ["x"]);
    assert_eq!(plan.identity_columns, ["y", "x", "k"]);
    assert_eq!(plan.deps[0].id_columns, ["x", "k"]);
    assert_eq!(plan.deps[2].id_columns, ["n"]);
    assert_eq!(plan.deps[2].input_id_columns, ["x"]);
    assert_eq!(plan.required().map(|(i, _)| i).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(plan.optional().map(|(i, _)| i).collect::<Vec<_>>(), [2]);
}

#[test]
fn lineage_decides_the_input_id_columns() {
    let up = || spec("up", &["g", "n"]);
    let plan = |lineage| {
        graph([
            up(),
            spec("t", &["g", "m"]).with_dep(dep("up").with_lineage(lineage)),
        ])
        .plan("t")
        .unwrap()
    };
    assert_eq!(plan(Lineage::Identity).identity_columns, ["g", "n"]);
    assert_eq!(
        plan(Lineage::Aggregation { on: None }).identity_columns,
        ["g", "m"]
    );
    assert_eq!(plan(Lineage::aggregation(["g"])).identity_columns, ["g"]);
    assert_eq!(
        plan(Lineage::expansion(["n", "g"])).identity_columns,
        ["g", "n"]
    );
}

#[test]
fn parents_are_ordered_by_their_qualified_names() {
    let fields = ["a/b", "a-b", "a"].map(field);
    let up = |key: &str| spec(key, &["id"]).with_fields(fields.clone());
    let t = spec("t", &["id"])
        .with_deps(["u/v", "u-v", "u"].map(dep))
        .with_field(field("all").with_deps(FieldDeps::All))
        .with_field(field("a"));
    let plan = graph([up("u"), up("u/v"), up("u-v"), t]).plan("t").unwrap();
    assert_eq!(
        parents(&plan, "all"),
        "1:u-v.a 1:u-v.a-b 1:u-v.a/b 2:u.a 2:u.a-b 2:u.a/b 0:u/v.a 0:u/v.a-b 0:u/v.a/b"
    );
    assert_eq!(parents(&plan, "a"), "1:u-v.a 2:u.a 0:u/v.a");
}

#[test]
fn mappings_decide_for_fields_that_name_nothing() {
    let cases = [
        (FieldsMapping::default(), "0:u.x", "0:u.p/x 0:u.q 0:u.x"),
        (
            FieldsMapping::suffix(),
            "0:u.p/x 0:u.x",
            "0:u.p/x 0:u.q 0:u.x",
        ),
        (
            FieldsMapping::excluding(["x"]).unwrap(),
            "0:u.p/x 0:u.q",
            "0:u.p/x 0:u.q",
        ),
        (
            FieldsMapping::specific([("x", ["q", "nope"]), ("y", ["x", "q"])]).unwrap(),
            "0:u.q",
            "0:u.q 0:u.x",
        ),
        (
            FieldsMapping::All,
            "0:u.p/x 0:u.q 0:u.x",
            "0:u.p/x 0:u.q 0:u.x",
        ),
    ];
    for (mapping, x, y) in cases {
        let u = spec("u", &["id"]).with_fields(["x", "p/x", "q"].map(field));
        let t = spec("t", &["id"])
            .with_dep(dep("u").with_fields_mapping(mapping.clone()))
            .with_fields(["x", "y"].map(field));
        let plan = graph([u, t]).plan("t").unwrap();
        assert_eq!(
            (parents(&plan, "x").as_str(), parents(&plan, "y").as_str()),
            (x, y),
            "{mapping:?}"
        );
    }
}

fn parents(plan: &FeaturePlan, of: &str) -> String {
    let parents = plan.parents_of(&field(of).key).unwrap().iter();
    parents
        .map(|parent| format!("{}:{}", parent.dep, parent.qualified()))
        .collect::<Vec<_>>()
        .join(" ")
}
