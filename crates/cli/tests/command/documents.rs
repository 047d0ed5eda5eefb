//! `--format json`: one document each, as `docs/command.md` says.

use serde_json::{Value, json};

use crate::documented::assert_shape;
use crate::support::{Folder, RAW};

/// The document that a run prints.
pub(crate) fn document(folder: &Folder, args: &[&str], input: &str) -> Value {
    let text = folder.ok_with(&[args, &["--format", "json"]].concat(), input);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{args:?}: {e}: {text}"))
}

/// The document that a run prints, checked against the section of its command.
pub(crate) fn documented(folder: &Folder, command: &str, args: &[&str], input: &str) -> Value {
    let document = document(folder, args, input);
    assert_shape(command, 0, &document);
    document
}

#[test]
fn of_init() {
    let folder = Folder::empty();
    let said = documented(&folder, "metaxy init", &["init", "--project", "films"], "");
    assert_eq!(said["project"], "films");
    for file in said["files"].as_array().unwrap() {
        assert!(folder.join(file.as_str().unwrap()).exists(), "{file}");
    }
    let plain = Folder::empty().ok(&["init", "--project", "films", "--format", "plain"]);
    assert!(plain.starts_with("Project films starts in"), "{plain}");
}

#[test]
fn of_write_and_delete() {
    let folder = Folder::project();
    let said = documented(&folder, "metaxy write", &["write", "video/raw", "-"], RAW);
    assert_eq!(
        said,
        json!({"feature": "video/raw", "store": "dev", "rows": 2, "repeated": 0, "without_children": 0, "orphaned_left_out": 0, "missed_columns": []})
    );
    let one = [
        "delete",
        "video/raw",
        "--filter",
        "video_id = 'v1'",
        "--yes",
    ];
    let said = documented(&folder, "metaxy delete", &one, "");
    assert_eq!(
        said,
        json!({"feature": "video/raw", "store": "dev", "hard": false, "matched": 1, "share": 0.5, "deleted": 1})
    );
    let said = document(&folder, &one, "");
    assert_eq!((&said["matched"], &said["deleted"]), (&json!(0), &json!(0)));
    let all = ["delete", "video/raw", "--all", "--hard", "--yes"];
    let said = document(&folder, &[&all[..], &["--max-share", "1"]].concat(), "");
    // The marked one is chosen too, and is no part of what is read.
    assert_eq!((&said["matched"], &said["share"]), (&json!(2), &json!(1.0)));
    assert_eq!((&said["hard"], &said["deleted"]), (&json!(true), &json!(3)));
}

#[test]
fn of_counts() {
    let folder = Folder::with_raw();
    let count = ["resolve", "video/transcript", "--count"];
    let said = documented(&folder, "metaxy resolve", &count, "");
    assert_eq!(
        (&said["new"], &said["stale"], &said["orphaned"]),
        (&json!(2), &json!(0), &json!(0))
    );
    let plain = folder.ok(&[&count[..], &["--format", "plain"]].concat());
    assert!(
        plain.starts_with("part       rows\nnew           2\n"),
        "{plain}"
    );
    let rows = folder.rows(&[&count[..], &["--format", "ndjson"]].concat());
    assert_eq!(rows[0], json!({"part": "new", "rows": 2}));
}

#[test]
fn of_push() {
    let folder = Folder::project();
    let push = ["push", "--tag", "commit=4f1c"];
    let said = documented(&folder, "metaxy push", &push, "");
    assert_eq!(
        (&said["already_pushed"], &said["features"], &said["tags"]),
        (&json!(false), &json!(2), &json!({"commit": "4f1c"}))
    );
    let again = document(&folder, &push, "");
    assert_eq!(again["already_pushed"], true);
    assert_eq!(again["project_version"], said["project_version"]);
    let features = folder.text("features/example.toml");
    folder.write(
        "features/example.toml",
        &features.replace("code_version = \"1\"", "code_version = \"2\""),
    );
    let changed = document(&folder, &["push"], "");
    assert_eq!(changed["changed_features"], json!(["video/transcript"]));
}

#[test]
fn of_lists() {
    let folder = Folder::with_raw();
    let said = documented(&folder, "metaxy list features", &["list", "features"], "");
    assert_eq!(said[1]["depends_on"], json!(["video/raw"]));
    let csv = folder.ok(&["list", "features", "--format", "csv"]);
    assert!(
        csv.contains("video/raw") && csv.contains("\"audio, frames\""),
        "{csv}"
    );
    let said = documented(&folder, "metaxy list stores", &["list", "stores"], "");
    assert_eq!(
        (&said[0]["store"], &said[0]["default"]),
        (&json!("dev"), &json!(true))
    );
    let maintain = ["maintain", "--keep", "1", "--dry-run"];
    let said = documented(&folder, "metaxy maintain", &maintain, "");
    assert_eq!(said[0]["action"], "prune");
}

#[test]
fn backends_are_listed_without_a_project() {
    let folder = Folder::empty();
    folder.write("metaxy.toml", "this is no configuration");
    let said = documented(&folder, "metaxy list backends", &["list", "backends"], "");
    let find = |name: &str| {
        let all = said.as_array().unwrap();
        all.iter()
            .find(|row| row["backend"] == name)
            .unwrap()
            .clone()
    };
    let sqlite = find("sqlite");
    assert_eq!(
        (
            &sqlite["in_this_build"],
            &sqlite["type_path"],
            &sqlite["engine"]
        ),
        (
            &json!(cfg!(feature = "sqlite")),
            &json!("metaxy_sqlite::SqliteBackend"),
            &match cfg!(feature = "sqlite") {
                true => json!("sqlite"),
                false => Value::Null,
            }
        )
    );
    // What this build lacks depends on its features; each backend is there once, with the feature that brings it.
    for name in ["delta", "duckdb", "postgres"] {
        let backend = find(name);
        assert_eq!(backend["cargo_feature"], name);
        assert!(
            !backend["aliases"].as_array().unwrap().is_empty(),
            "{backend}"
        );
    }
    let plain = folder.ok(&["list", "backends"]);
    let summary = plain.contains("one SQLite file, embedded");
    assert_eq!(summary, cfg!(feature = "sqlite"), "{plain}");
}

#[test]
#[cfg_attr(
    not(any(feature = "sqlite", feature = "duckdb", feature = "delta")),
    ignore = "a demonstration needs a store in files"
)]
fn of_a_demonstration() {
    let folder = Folder::empty();
    for name in ["a", "b", "c"] {
        folder.write(
            &format!("src/{name}.rs"),
            &format!("/// Text of {name}.\nstruct {name};\n"),
        );
    }
    let said = documented(
        &folder,
        "metaxy demo",
        &["demo", "src", "--work", "work"],
        "",
    );
    assert_eq!(said["first_run"]["computed"], 9);
    assert_eq!(said["runs"].as_array().unwrap().len(), 4);
    let again = documented(&folder, "metaxy demo", &["demo", "--work", "work"], "");
    assert_eq!(
        (&again["first_run"], &again["runs"]),
        (&Value::Null, &json!([]))
    );
}
