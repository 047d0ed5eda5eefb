//! Every command's rows survive every format.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field};
use metaxy_frames::{Format, FrameWriter};
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

/// The moments of [`zoned`], as every text format shows them.
const MOMENTS: [&str; 3] = [
    "2024-03-31T00:59:59.000001Z",
    "2024-03-31T01:00:00.000000Z",
    "1969-12-31T23:59:59.999999Z",
];

/// A Parquet file with moments in a zone that has summer time: two of them on either side of its beginning.
fn zoned(folder: &Folder, zone: &str) -> &'static str {
    let moments = [1_711_846_799_000_001, 1_711_846_800_000_000, -1];
    let moments = TimestampMicrosecondArray::from(moments.to_vec()).with_timezone(zone);
    let text = |values: [&str; 3]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let member = |name: &str| Arc::new(Field::new(name, DataType::Utf8, true));
    let versions = StructArray::from(vec![
        (member("audio"), text(["a", "b", "c"])),
        (member("frames"), text(["a", "b", "c"])),
    ]);
    let batch = RecordBatch::try_from_iter([
        ("video_id", text(["v1", "v2", "v3"])),
        ("shot_at", Arc::new(moments) as ArrayRef),
        ("metaxy_provenance_by_field", Arc::new(versions) as ArrayRef),
    ])
    .unwrap();
    let path = folder.join("zoned.parquet");
    let mut writer = FrameWriter::create(path, Some(Format::Parquet), batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    "zoned.parquet"
}

#[test]
fn times_of_any_zone_are_shown_in_every_format() {
    for zone in ["Europe/Berlin", "UTC", "+05:30"] {
        let folder = Folder::project();
        folder.ok(&["write", "video/raw", zoned(&folder, zone)]);
        let read = [
            "read",
            "video/raw",
            "--columns",
            "video_id,shot_at,metaxy_created_at",
        ];
        for format in FORMATS {
            let file = format!("read.{format}");
            folder.ok(&[&read[..], &["--output", &file]].concat());
            // Parquet is no text: what it holds is seen by writing it again.
            if format != "parquet" {
                let text = folder.text(&file);
                for moment in MOMENTS {
                    assert!(text.contains(moment), "{zone} {format}: {text}");
                }
            }
            let all = format!("all.{format}");
            folder.ok(&["read", "video/raw", "--output", &all]);
            folder.ok(&["write", "video/raw", &all]);
        }
        // As on a terminal.
        let plain = folder.ok(&[&read[..], &["--format", "plain"]].concat());
        assert!(plain.contains("2024-03-31"), "{zone}: {plain}");
        assert!(!plain.contains("rror"), "{zone}: {plain}");
        // A filter compares moments, wherever their zone is.
        let filter = "shot_at >= '2024-03-31T03:00:00+02:00'";
        let later = folder.rows(&["read", "video/raw", "--filter", filter]);
        assert_eq!(later.len(), 1, "{zone}");
        assert_eq!(later[0]["video_id"], "v2");
    }
}

#[test]
fn parquet_of_every_codec_goes_out_and_in() {
    let codecs = ["none", "snappy", "gzip", "brotli", "lz4", "zstd"];
    let folder = Folder::project();
    folder.ok_with(&["write", "video/raw", "-"], SAMPLES);
    let rows = by_id(folder.rows(&["read", "video/raw"]));
    for codec in codecs {
        let file = format!("{codec}.parquet");
        let read = [
            "read",
            "video/raw",
            "--output",
            &file,
            "--compression",
            codec,
        ];
        folder.ok(&read);
        assert_eq!(codec_of(&folder, &file), codec);
        folder.ok(&["write", "video/raw", &file]);
        assert_eq!(by_id(folder.rows(&["read", "video/raw"])), rows, "{codec}");
        let todo = format!("todo-{codec}.parquet");
        let resolve = ["resolve", "video/transcript", "--output", &todo];
        folder.ok(&[&resolve[..], &["--compression", codec]].concat());
        assert_eq!(codec_of(&folder, &todo), codec);
    }
    let error = folder.fails(&["read", "video/raw", "--compression", "lzo"], 2);
    assert!(error.contains("brotli"), "{error}");
    let csv = [
        "read",
        "video/raw",
        "--output",
        "x.csv",
        "--compression",
        "gzip",
    ];
    let error = folder.fails(&csv, 1);
    assert!(error.contains("csv has no compression"), "{error}");
    assert!(!folder.join("x.csv").exists());
}

/// The codec of a Parquet file's first column, as its footer says.
fn codec_of(folder: &Folder, file: &str) -> &'static str {
    use parquet::basic::Compression;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let file = std::fs::File::open(folder.join(file)).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    match reader.metadata().row_group(0).column(0).compression() {
        Compression::UNCOMPRESSED => "none",
        Compression::SNAPPY => "snappy",
        Compression::GZIP(_) => "gzip",
        Compression::BROTLI(_) => "brotli",
        Compression::LZ4_RAW => "lz4",
        Compression::ZSTD(_) => "zstd",
        other => panic!("{other:?}"),
    }
}
