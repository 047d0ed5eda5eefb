use std::fs;

use metaxy_core::definition::{External, FeatureDefinition, OnVersionMismatch};
use metaxy_core::error::ErrorKind;
use metaxy_core::graph::FeatureGraph;
use metaxy_core::json::Json;
use metaxy_core::spec::{FieldDep, FieldDeps, FieldsMapping, Lineage};
use metaxy_core::toml_features::{parse_features, read_features};

use crate::{assert_names, dep, field, spec};

const TEXT: &str = r#"
project = "demo"

[[feature]]
key = "video/raw"
id_columns = ["video_id"]
fields = ["frames", "audio"]

[[feature]]
key = "audio/chunk"
id_columns = ["video_id", "n"]
deps = [{ feature = "video/raw", lineage = { expansion = ["video_id"], id_generation_pattern = "hash" }, fields_mapping = { match_suffix = true, exclude_fields = ["frames"] } }]
schema = { type = "object", properties = { n = { type = "integer" } } }
class_path = "demo.Chunk"

[[feature]]
key = "video/crop"
id_columns = ["video_id"]
description = "Faces"
deps = [
    "video/raw",
    { feature = "audio/chunk", rename = { path = "p" }, select = ["p"], filters = ["p > 1"], lineage = { aggregation = ["video_id"] }, optional = true, fields_mapping = "none" },
    { feature = "far", lineage = "aggregation", fields_mapping = { specific = { zoom = ["a/b"] } } },
]
[feature.fields]
zoom = "2"
audio = { code_version = "1", deps = [{ feature = "video/raw", fields = ["audio"] }, "audio/chunk"] }
"all/of" = { deps = "all" }
plain = {}
[feature.metadata]
owner = "vision"
since = 2024-05-01
weights = [1, 0.5]

[[feature]]
key = "far"
id_columns = ["video_id", "m"]
project = "other"
external = { provenance_by_field = { default = "v" }, on_version_mismatch = "error" }
"#;

#[test]
fn a_feature_in_toml_equals_one_that_is_built() {
    let schema =
        Json::parse(r#"{"type": "object", "properties": {"n": {"type": "integer"}}}"#).unwrap();
    let mapping = FieldsMapping::Default {
        match_suffix: true,
        exclude_fields: vec![field("frames").key],
    };
    let expansion = Lineage::Expansion {
        on: vec!["video_id".into()],
        id_generation_pattern: Some("hash".into()),
    };
    let chunk = dep("video/raw")
        .with_lineage(expansion)
        .with_fields_mapping(mapping);
    let crop = spec("video/crop", &["video_id"])
        .with_description("Faces")
        .with_dep(dep("video/raw"))
        .with_dep(
            dep("audio/chunk")
                .with_rename("path", "p")
                .with_select(["p"])
                .with_filter("p > 1")
                .with_lineage(Lineage::aggregation(["video_id"]))
                .with_fields_mapping(FieldsMapping::None)
                .optional(),
        )
        .with_dep(
            dep("far")
                .with_lineage(Lineage::Aggregation { on: None })
                .with_fields_mapping(FieldsMapping::specific([("zoom", ["a/b"])]).unwrap()),
        )
        .with_field(field("zoom").with_code_version("2"))
        .with_field(
            field("audio")
                .with_code_version("1")
                .with_dep(FieldDep::new("video/raw", ["audio"]).unwrap())
                .with_dep(FieldDep::all("audio/chunk").unwrap()),
        )
        .with_field(field("all/of").with_deps(FieldDeps::All))
        .with_field(field("plain"))
        .with_metadata("owner", "vision")
        .with_metadata("since", "2024-05-01")
        .with_metadata("weights", Json::parse("[1, 0.5]").unwrap());
    let external = External::default()
        .with_provenance(field("default").key, "v")
        .with_on_version_mismatch(OnVersionMismatch::Error);
    let built = vec![
        FeatureDefinition::new(
            spec("video/raw", &["video_id"]).with_fields(["frames", "audio"].map(field)),
            "demo",
        ),
        FeatureDefinition::new(
            spec("audio/chunk", &["video_id", "n"]).with_dep(chunk),
            "demo",
        )
        .with_schema(schema)
        .with_class_path("demo.Chunk"),
        FeatureDefinition::new(crop, "demo"),
        FeatureDefinition::external(spec("far", &["video_id", "m"]), "other", external),
    ];
    let read = parse_features(TEXT, "features.toml", None).unwrap();
    assert_eq!(read, built);
    let versions = |definitions: Vec<FeatureDefinition>| {
        let graph = FeatureGraph::from_definitions(definitions).unwrap();
        let of = |key| {
            [
                graph.feature_version(key).unwrap(),
                graph.definition_version(key).unwrap(),
            ]
            .map(str::to_owned)
        };
        (
            ["video/raw", "audio/chunk", "video/crop"].map(of),
            graph.project_version("demo").to_owned(),
        )
    };
    assert_eq!(versions(read), versions(built));
}

#[test]
fn what_is_wrong_is_named_with_file_line_and_feature() {
    let feature =
        |rest: &str| format!("\n[[feature]]\nkey = \"x\"\nid_columns = [\"id\"]\n{rest}\n");
    let cases: Vec<(String, &[&str], &str)> = vec![
        (feature("colour = 1"), &["f.toml:2", "`x`", "`colour`"], ""),
        (
            feature("feilds = {}"),
            &["f.toml:2", "`x`", "`feilds`"],
            "`fields`",
        ),
        (
            feature("deps = [{ feature = \"u\", renames = {} }]"),
            &["f.toml:2", "`x`", "`renames`"],
            "`rename`",
        ),
        (
            feature("deps = [{ feature = \"u\", lineage = \"agregation\" }]"),
            &["`x`", "`u`", "agregation"],
            "aggregation",
        ),
        (
            feature("deps = [{ feature = \"u\", lineage = { agregation = [\"a\"] } }]"),
            &["`x`", "`u`", "`agregation`"],
            "`aggregation`",
        ),
        (
            feature("deps = [{ feature = \"u\", fields_mapping = \"al\" }]"),
            &["`x`", "`u`", "al"],
            "all",
        ),
        (
            feature("deps = [\"u\", \"u\"]"),
            &["f.toml:2", "`x`", "`u`"],
            "",
        ),
        (feature("fields = { f = 1 }"), &["`x`", "`f`"], "\"1\""),
        (
            feature("fields = { f = { version = \"1\" } }"),
            &["`x`", "`f`", "`version`"],
            "code_version",
        ),
        (feature("fields = { F = \"1\" }"), &["`x`", "\"F\""], ""),
        (feature("fields = {}"), &["`x`", "no fields"], ""),
        (
            format!("{}{}", feature(""), feature("deps = [\"x\"]")),
            &["f.toml:7", "`x`", "itself"],
            "",
        ),
        (
            "[[feature]]\nid_columns = [\"id\"]".into(),
            &["f.toml:1", "`key`"],
            "",
        ),
        (
            "[[feature]]\nkey = \"x\"".into(),
            &["f.toml:1", "`x`", "`id_columns`"],
            "",
        ),
        (
            "[feature]\nkey = \"x\"".into(),
            &["f.toml", "`feature`"],
            "[[feature]]",
        ),
        (
            "[[features]]\nkey = \"x\"".into(),
            &["f.toml", "`features`"],
            "`feature`",
        ),
    ];
    for (text, names, hint) in cases {
        let error = parse_features(&text, "f.toml", Some("demo")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidDefinition, "{error}");
        for name in names {
            assert!(
                error.to_string().contains(name),
                "{name} is not in: {error}"
            );
        }
        assert!(
            error.hint().unwrap_or_default().contains(hint),
            "{error}, hint: {:?}",
            error.hint()
        );
    }
    assert_names(
        &parse_features(&feature(""), "f.toml", None).unwrap_err(),
        ErrorKind::InvalidDefinition,
        &["f.toml:2", "`x`", "project"],
    );
    let error = parse_features("a = ", "f.toml", None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.to_string().contains("f.toml"));
}

#[test]
fn files_are_read_in_the_order_of_their_paths() {
    let dir = tempfile::Builder::new()
        .prefix("odd [name]*")
        .tempdir()
        .unwrap();
    let base = dir.path();
    let write = |name: &str, key: &str| {
        fs::write(
            base.join(name),
            format!("[[feature]]\nkey = \"{key}\"\nid_columns = [\"id\"]"),
        )
        .unwrap();
    };
    fs::create_dir(base.join("more")).unwrap();
    write("b.toml", "b");
    write("a.toml", "z");
    write("more/c.toml", "c");
    let keys = |globs: &[&str]| {
        let read = read_features(base, globs, Some("demo"));
        read.map(|all| all.iter().map(|d| d.key().to_string()).collect::<Vec<_>>())
    };
    assert_eq!(
        keys(&["more/*.toml", "*.toml", "b.toml"]).unwrap(),
        ["z", "b", "c"]
    );
    assert_eq!(keys(&["**/*.toml"]).unwrap(), ["z", "b", "c"]);
    assert_names(
        &keys(&["a.toml", "none/*.toml"]).unwrap_err(),
        ErrorKind::InvalidConfig,
        &["none/*.toml"],
    );
    assert_eq!(
        keys(&["a***"]).unwrap_err().kind(),
        ErrorKind::InvalidConfig
    );
    write("more/d.toml", "b");
    assert_names(
        &keys(&["**/*.toml"]).unwrap_err(),
        ErrorKind::InvalidDefinition,
        &["`b`", "b.toml:1", "more/d.toml:1"],
    );
}
