//! What `metaxy write` refuses, and what it tells.

use serde_json::json;

use crate::documents::document;
use crate::support::Folder;

const FEATURES: &str = r#"[[feature]]
key = "video/raw"
id_columns = ["video"]
fields = ["audio", "frames"]

[[feature]]
key = "video/transcript"
id_columns = ["video"]
deps = [{ feature = "video/raw", select = ["path"] }]
fields = ["text"]

[[feature]]
key = "video/crop"
id_columns = ["video", "crop"]
deps = [{ feature = "video/raw", lineage = { expansion = ["video"] } }]
fields = ["boxes"]
"#;

fn project() -> Folder {
    let folder = Folder::project();
    for file in std::fs::read_dir(folder.join("features")).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    folder.write("features/all.toml", FEATURES);
    folder
}

fn raw(video: u8, audio: &str) -> String {
    let versions = json!({"audio": audio, "frames": "f"});
    json!({"video": video, "path": "p", "metaxy_provenance_by_field": versions}).to_string()
}

#[test]
fn rows_of_another_feature_are_refused() {
    let folder = project();
    let transcript = r#"{"video": 1, "crop": 1, "metaxy_provenance_by_field": {"text": "t"}}"#;
    let error = folder.fails_with(
        &["write", "video/crop", "-", "--no-require-end"],
        transcript,
        1,
    );
    for part in ["\"text\"", "row 1", "video/crop", "boxes"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let more = r#"{"video": 1, "metaxy_provenance_by_field": {"audio": "a", "frames": "f", "subtitles": "s"}}"#;
    let error = folder.fails_with(&["write", "video/raw", "-"], more, 1);
    assert!(error.contains("\"subtitles\""), "{error}");
    // A member that says nothing is none.
    let none = more.replace("\"s\"", "null");
    folder.ok_with(&["write", "video/raw", "-"], &none);
}

#[test]
fn a_field_without_a_version_is_asked_for() {
    let folder = project();
    let write = ["write", "video/raw", "-"];
    let rows = format!("{}\n{}", raw(1, "a"), raw(2, "b").replace("\"b\"", "null"));
    for rows in [rows.clone(), rows.replace("\"audio\":null,", "")] {
        let error = folder.fails_with(&write, &rows, 1);
        for part in ["\"audio\"", "row 2", "--allow-null-versions"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
    folder.fails(&["read", "video/raw"], 1);
    folder.ok_with(&[&write[..], &["--allow-null-versions"]].concat(), &rows);
    assert_eq!(folder.rows(&["read", "video/raw"]).len(), 2);
}

#[test]
fn samples_that_come_twice_and_columns_that_are_missed_are_told() {
    let folder = project();
    let rows = [raw(1, "a"), raw(2, "b"), raw(1, "c")].join("\n");
    let rows = rows.replace("\"path\":\"p\",", "");
    let said = document(&folder, &["write", "video/raw", "-"], &rows);
    assert_eq!((&said["rows"], &said["repeated"]), (&json!(3), &json!(1)));
    let missed = json!([{"column": "path", "features": ["video/transcript"]}]);
    assert_eq!(said["missed_columns"], missed);
    let said = folder.ok_with(&["write", "video/raw", "-"], &rows);
    assert!(
        said.contains("1 row has the ID of an earlier one"),
        "{said}"
    );
    assert!(
        said.contains("\"path\", which video/transcript takes"),
        "{said}"
    );
}

#[test]
fn children_of_a_step_that_died_are_not_written() {
    let folder = project();
    folder.ok_with(&["write", "video/raw", "-"], &raw(1, "a"));
    let parents = folder.ok(&["resolve", "video/crop", "--end"]);
    let (parent, end) = parents.trim_end().split_once('\n').unwrap();
    assert_eq!(end, r#"{"metaxy_end":{"rows":1}}"#);
    let child = |crop: u8| parent.replacen('{', &format!("{{\"crop\":{crop},"), 1);
    let children = [child(1), child(2)].join("\n");
    let write = ["write", "video/crop", "-"];
    let error = folder.fails_with(&write, &children, 1);
    assert!(
        error.contains("metaxy_end") && error.contains("--no-require-end"),
        "{error}"
    );
    assert_eq!(folder.status("video/crop").0[1], Some(1));
    let error = folder.fails_with(&write, &format!("{end}\n{children}"), 1);
    assert!(error.contains("line 2"), "{error}");
    let said = folder.ok_with(&write, &format!("{children}\n{end}"));
    assert!(said.contains("2 rows written"), "{said}");
    // What comes from a file, and for features of which each sample is one, is taken as it is.
    folder.write("crops.ndjson", &children);
    folder.ok(&["write", "video/crop", "crops.ndjson"]);
    let error = folder.fails(&["write", "video/crop", "crops.ndjson", "--require-end"], 1);
    assert!(error.contains("nothing was written"), "{error}");
    folder.ok(&["read", "video/crop", "--output", "crops.parquet"]);
    folder.ok(&["write", "video/crop", "crops.parquet", "--require-end"]);
    let error = folder.fails(&["resolve", "video/crop", "--end", "--output", "x.csv"], 1);
    assert!(error.contains("csv"), "{error}");
}

#[test]
fn a_parent_without_children_is_done() {
    let folder = project();
    folder.ok_with(
        &["write", "video/raw", "-"],
        &[raw(1, "a"), raw(2, "b"), raw(3, "c")].join("\n"),
    );
    let rows = folder.ok(&["resolve", "video/crop"]);
    let step = |marked: &str, others: &str| -> String {
        let rows = rows.lines().map(|row| {
            let mut row: serde_json::Value = serde_json::from_str(row).unwrap();
            match row["video"].as_u64().unwrap() {
                1 => row["crop"] = json!(7),
                2 => row[marked] = json!(true),
                _ => return String::new(),
            }
            row["boxes"] = json!(others);
            row.to_string()
        });
        rows.collect::<Vec<_>>().join("\n")
    };
    let write = ["write", "video/crop", "-", "--no-require-end"];
    let told = folder.ok_with(&write, &step("metaxy_empty", "x"));
    assert!(told.contains("2 rows written"), "{told}");
    assert!(
        told.contains("1 of them says that a parent has no children"),
        "{told}"
    );
    assert_eq!(folder.ok(&["resolve", "video/crop"]).lines().count(), 1);
    let read = folder.rows(&["read", "video/crop", "--format", "ndjson"]);
    assert_eq!(read.len(), 1, "{read:?}");
    assert!(read[0].get("metaxy_empty").is_none(), "{read:?}");

    // As CSV, alone, and with nothing in place of the child's ID.
    let rows = folder.ok(&["resolve", "video/crop", "--format", "csv"]);
    let mut lines = rows.lines();
    let head = format!("{},crop,metaxy_empty\n", lines.next().unwrap());
    let row = format!("{},,true\n", lines.next().unwrap());
    let csv = [
        "write",
        "video/crop",
        "-",
        "--samples-format",
        "csv",
        "--no-require-end",
    ];
    let report = document(&folder, &csv, &format!("{head}{row}"));
    assert_eq!(report["without_children"], json!(1), "{report}");
    assert_eq!(folder.ok(&["resolve", "video/crop"]), "");
    let error = folder.fails_with(
        &csv,
        &format!("{head}{}", row.replace("true", "perhaps")),
        1,
    );
    assert!(error.contains("metaxy_empty"), "{error}");
}
