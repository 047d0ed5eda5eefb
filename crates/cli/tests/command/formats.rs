//! Every command's rows survive every format.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::Folder;

const FORMATS: [&str; 5] = ["parquet", "csv", "tsv", "ndjson", "json"];

/// IDs that look like numbers, times, numbers, text with all that CSV quotes, and nulls.
const SAMPLES: &str = r#"{"video_id": "12", "size": 5, "ratio": 0.5, "title": "a, \"b\"\nc", "ok": true, "metaxy_provenance_by_field": {"audio": "1", "frames": "007"}}
{"video_id": "34", "size": null, "ratio": 2.0, "title": null, "ok": false, "metaxy_provenance_by_field": {"audio": "2", "frames": "x"}}
"#;

/// The rows by ID, without what each write stamps anew.
fn by_id(rows: Vec<Value>) -> BTreeMap<String, Value> {
    rows.into_iter()
        .map(|mut row| {
            let members = row.as_object_mut().unwrap();
            members.remove("metaxy_updated_at");
            (members["video_id"].as_str().unwrap().to_owned(), row)
        })
        .collect()
}

#[test]
fn rows_go_out_and_in_again() {
    let reference = Folder::project();
    reference.ok_with(&["write", "video/raw", "-"], SAMPLES);
    let expected = by_id(reference.rows(&["read", "video/raw"]));
    assert_eq!(expected["12"]["size"], 5);
    assert_eq!(
        expected["12"]["metaxy_provenance_by_field"]["frames"],
        "007"
    );
    for format in FORMATS {
        let folder = Folder::project();
        folder.ok_with(&["write", "video/raw", "-"], SAMPLES);
        let created = by_id(folder.rows(&["read", "video/raw"]));

        // The first write of a feature: its types are those that upstream hands on.
        let todo = format!("todo.{format}");
        let said = folder.ok(&["resolve", "video/transcript", "--output", &todo]);
        assert_eq!(said, format!("{todo}: 2 rows (2 new, 0 stale)\n"));
        folder.ok(&["write", "video/transcript", &todo]);
        folder.assert_up_to_date("video/transcript", 2);

        // What a read gives is what a write takes.
        let all = format!("all.{format}");
        folder.ok(&["read", "video/raw", "--output", &all]);
        folder.ok(&["write", "video/raw", &all]);
        assert_eq!(
            by_id(folder.rows(&["read", "video/raw"])),
            created,
            "{format}"
        );
        folder.assert_up_to_date("video/transcript", 2);

        // And it says what it said to begin with.
        for (id, row) in &created {
            for column in [
                "size",
                "ratio",
                "title",
                "ok",
                "metaxy_provenance",
                "metaxy_provenance_by_field",
            ] {
                assert_eq!(row[column], expected[id][column], "{format} {id} {column}");
            }
        }
    }
}

#[test]
fn standard_input_and_output_take_any_format() {
    let folder = Folder::project();
    folder.ok_with(&["write", "video/raw", "-"], SAMPLES);
    let csv = folder.ok(&[
        "read",
        "video/raw",
        "--format",
        "csv",
        "--columns",
        "video_id,title",
    ]);
    assert_eq!(csv, "video_id,title\n12,\"a, \"\"b\"\"\nc\"\n34,\n");
    let csv = folder.ok(&["read", "video/raw", "--format", "csv"]);
    let said = folder.ok_with(
        &["write", "video/raw", "-", "--samples-format", "csv"],
        &csv,
    );
    assert!(said.contains("2 rows"), "{said}");
    let json = folder.ok(&["list", "features", "--format", "json"]);
    let features: Vec<Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(features[1]["depends_on"], serde_json::json!(["video/raw"]));
    assert_eq!(features[1]["version"].as_str().unwrap().len(), 20);
    // Nothing to do is a file without rows, which a write takes too.
    let todo = folder.ok(&["resolve", "video/transcript"]);
    folder.ok_with(&["write", "video/transcript", "-"], &todo);
    let nothing = folder.ok(&["resolve", "video/transcript"]);
    assert_eq!(nothing, "");
    let said = folder.ok_with(&["write", "video/transcript", "-"], &nothing);
    assert!(said.contains("0 rows"), "{said}");
}

#[test]
fn a_schema_says_what_text_in_a_file_is() {
    let folder = Folder::empty();
    folder.ok(&["init", "--project", "films"]);
    folder.write(
        "features/example.toml",
        r#"
[[feature]]
key = "book"
id_columns = ["isbn"]
schema = { properties = { isbn = { type = "string" }, price = { anyOf = [{ type = "number" }, { type = "null" }] } } }
"#,
    );
    let rows = "isbn,price,pages,metaxy_provenance_by_field.default\n007,3,120,a\n008,,90,b\n";
    folder.ok_with(&["write", "book", "-", "--samples-format", "csv"], rows);
    let error = folder.fails(&["write", "book", "-", "--format", "csv"], 2);
    assert!(error.contains("`--samples-format csv`"), "{error}");
    // Once it is written, the table says it.
    let more = "isbn,price,pages,metaxy_provenance_by_field.default\n009,2.5,80,c\n";
    folder.ok_with(&["write", "book", "-", "--samples-format", "csv"], more);
    let mut read: Vec<String> = folder
        .rows(&["read", "book", "--columns", "isbn,price,pages"])
        .iter()
        .map(ToString::to_string)
        .collect();
    read.sort();
    assert_eq!(
        read,
        [
            r#"{"isbn":"007","price":3.0,"pages":120}"#,
            r#"{"isbn":"008","price":null,"pages":90}"#,
            r#"{"isbn":"009","price":2.5,"pages":80}"#,
        ]
    );
    let wrong =
        r#"{"isbn": "1", "price": "cheap", "metaxy_provenance_by_field": {"default": "d"}}"#;
    let output = folder.run(&["write", "book", "-"], wrong);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && error.contains("'price'"),
        "{error}"
    );
}
