//! `metaxy describe`: a feature and the graph.

use serde_json::{Value, json};

use crate::documents::{document, documented};
use crate::support::{Folder, RAW};

const FEATURES: &str = r#"
[[feature]]
key = "clip"
id_columns = ["video", "start"]
fields = ["audio", "frames"]

[[feature]]
key = "summary"
id_columns = ["video"]
description = "What a video is about."
deps = [{ feature = "clip", lineage = { aggregation = ["video"] }, rename = { length = "seconds" }, select = ["seconds"], filters = ["seconds > 3"] }]

[feature.fields]
text = { code_version = "7", deps = [{ feature = "clip", fields = ["audio"] }] }

[feature.metadata]
owner = "vision"

[[feature]]
key = "graph"
id_columns = ["video"]
deps = ["summary", { feature = "clip", lineage = "aggregation", fields_mapping = { specific = { default = ["frames"] } }, optional = true }]
"#;

fn clips() -> Folder {
    let folder = Folder::project();
    folder.write("features/example.toml", FEATURES);
    folder
}

#[test]
fn a_feature_with_all_that_its_definition_says() {
    let folder = clips();
    let said = documented(
        &folder,
        "metaxy describe feature",
        &["describe", "summary"],
        "",
    );
    assert_eq!(said["identified_by"], json!(["video"]));
    assert_eq!(
        said["fields"][0],
        json!({
            "field": "text", "code_version": "7", "version": said["fields"][0]["version"],
            "depends_on": [{"feature": "clip", "fields": ["audio"]}]
        })
    );
    let dep = &said["depends_on"][0];
    assert_eq!(
        dep["lineage"],
        json!({"relationship": {"type": "N:1", "on": ["video"]}})
    );
    assert_eq!(dep["rename"], json!({"length": "seconds"}));
    assert_eq!(
        (&said["upstream"], &said["downstream"], &said["metadata"]),
        (
            &json!(["clip"]),
            &json!(["graph"]),
            &json!({"owner": "vision"})
        )
    );
    assert_eq!(said["stored"], Value::Null);
    assert_eq!(
        document(&folder, &["describe", "feature", "summary"], ""),
        said
    );

    let plain = folder.ok(&["describe", "summary"]);
    for words in [
        "What a video is about.",
        "identified by   video",
        "owner           \"vision\"",
        "clip: audio",
        "N:1 on video",
        "columns seconds; length as seconds; where seconds > 3",
        "It has never been written.",
    ] {
        assert!(plain.contains(words), "{words}: {plain}");
    }
    // A feature of that name needs the longer form.
    let plain = folder.ok(&["describe", "feature", "graph"]);
    assert!(
        plain.contains("optional; fields default from frames"),
        "{plain}"
    );
    assert!(folder.ok(&["describe", "graph"]).contains("longest chain"));
}

#[test]
fn what_is_stored_of_a_feature() {
    let folder = Folder::with_raw();
    folder.ok(&["push"]);
    folder.ok_with(&["write", "video/raw", "-"], &RAW.replace("a1", "a9"));
    let features = folder.text("features/example.toml");
    folder.write(
        "features/example.toml",
        &features.replace(r#"["audio", "frames"]"#, r#"{ audio = "2", frames = "1" }"#),
    );
    folder.ok_with(&["write", "video/raw", "-"], RAW.lines().next().unwrap());
    let said = documented(
        &folder,
        "metaxy describe feature",
        &["describe", "video/raw"],
        "",
    );
    let stored = &said["stored"];
    assert_eq!(
        (&stored["samples"], &stored["rows"]),
        (&json!(1), &json!(5))
    );
    let versions = stored["versions"].as_array().unwrap();
    assert_eq!(
        (
            &versions[0]["current"],
            &versions[0]["rows"],
            &versions[0]["version"]
        ),
        (&json!(true), &json!(1), &said["version"])
    );
    assert_eq!(versions[0]["pushed_at"], Value::Null);
    assert_eq!(
        (&versions[1]["current"], &versions[1]["rows"]),
        (&json!(false), &json!(4))
    );
    assert!(versions[1]["pushed_at"].as_str().unwrap().ends_with('Z'));
    let columns = stored["columns"].as_array().unwrap();
    assert!(columns.contains(&json!({"column": "seconds", "type": "Int64", "system": false})));

    let plain = folder.ok(&["describe", "video/raw"]);
    assert!(plain.contains("has 1 sample in 5 rows."), "{plain}");
    assert!(plain.contains("seconds    Int64\n"), "{plain}");
    assert!(plain.contains("columns of the system"), "{plain}");
}

#[test]
fn the_graph_now_and_as_it_was_pushed() {
    let folder = Folder::project();
    let now = documented(&folder, "metaxy describe graph", &["describe", "graph"], "");
    assert_eq!((&now["features"], &now["depth"]), (&json!(2), &json!(2)));
    assert_eq!(now["roots"], json!(["video/raw"]));
    let version = now["projects"][0]["version"].as_str().unwrap();
    let error = folder.fails(&["describe", "graph", version], 1);
    assert!(
        error.contains("there is no version") && error.contains("hint:"),
        "{error}"
    );

    folder.ok(&["push"]);
    folder.write("features/example.toml", FEATURES);
    assert_eq!(document(&folder, &["describe", "graph"], "")["features"], 3);
    for given in [version, &version[..8]] {
        assert_eq!(document(&folder, &["describe", "graph", given], ""), now);
    }
    let error = folder.fails(&["describe", "graph", &format!("{}x", &version[..19])], 1);
    assert!(
        error.contains(&format!("hint: did you mean {version}?")),
        "{error}"
    );
    let of = document(&folder, &["--project", "other", "describe", "graph"], "");
    assert_eq!(
        (&of["project"], &of["features"]),
        (&json!("other"), &json!(3))
    );
}

#[test]
fn what_is_not_there() {
    let folder = Folder::project();
    let error = folder.fails(&["describe", "video/rew"], 1);
    assert!(error.contains("hint: did you mean `video/raw`?"), "{error}");
    folder.fails(&["describe"], 2);
    folder.fails(&["describe", "video/raw", "--format", "csv"], 2);
}
