//! Files of samples.

use super::Case;

const VERSIONS: &str = r#""metaxy_provenance_by_field": {"audio": "1", "frames": "1"}"#;

pub(super) fn cases() -> Vec<Case> {
    // The content of a file of that name, which is written.
    let file = |path: &'static str, content: &[u8], says: &[&'static str]| {
        Case::new(&["write", "video/raw", path], says).with_file(path, content)
    };
    let line =
        |text: &str, says: &[&'static str]| file("r.ndjson", format!("{text}\n").as_bytes(), says);
    // An object with versions, and with more.
    let row = |more: &str, says: &[&'static str]| line(&format!("{{{more}, {VERSIONS}}}"), says);
    let csv = |text: &str, says: &[&'static str]| {
        let names = "video_id,metaxy_provenance_by_field.audio,metaxy_provenance_by_field.frames\n";
        file("r.csv", format!("{names}{text}").as_bytes(), says)
    };
    let one = format!("{{\"video_id\": \"a\", {VERSIONS}}}");
    let mut piped = Case::new(
        &["write", "video/raw", "-"],
        &[
            "standard input: line 1 is no JSON object",
            "--samples-format",
        ],
    );
    piped.input = "video_id,x\na,1\n";
    vec![
        line(
            "{\"video_id\": \"a\"}",
            &[
                "say nothing of their versions",
                "r.ndjson",
                "in CSV the columns",
            ],
        ),
        row(
            "\"vide_id\": \"a\"",
            &["no ID column \"video_id\"", "rename the column \"vide_id\""],
        ),
        row(
            "\"name\": \"a\"",
            &["no ID column \"video_id\"", "the columns are name, "],
        ),
        row(
            "\"video_id\": null",
            &["\"video_id\" of feature video/raw is null in 1 rows"],
        ),
        row(
            "\"video_id\": \"a\", \"seconds\": \"long\"",
            &["line 1, column 'seconds': \"long\" is no Int64"],
        ),
        row(
            "\"video_id\": \"a\", \"seconds\": 1.5",
            &["column 'seconds'"],
        ),
        row(
            "\"video_id\": \"a\", \"metaxy_data_version\": \"x\"",
            &["without \"metaxy_data_version_by_field\""],
        ),
        row(
            "\"video_id\": \"a\", \"metaxy_created_at\": \"yesterday\"",
            &["'yesterday' is no time", "RFC 3339"],
        ),
        line(
            "{\"video_id\": \"a\", \"metaxy_provenance_by_field\": \"x\"}",
            &["\"x\" is no object of field to text"],
        ),
        line(
            &format!("{one}\n{{\"video_id\": {{\"x\": 1}}, {VERSIONS}}}"),
            &["line 2, column 'video_id'"],
        ),
        line(
            &format!(
                "{{\"video_id\": \"a\", \"x\": 1, {VERSIONS}}}\n{{\"video_id\": \"b\", \"x\": {{\"y\": 1}}, {VERSIONS}}}"
            ),
            &["line 2, column 'x': it holds an object here and a number"],
        ),
        line(
            "{\"video_id\": \"a\", ",
            &["line 1 is no JSON", "one whole object per line"],
        ),
        line("3", &["line 1 is no JSON object"]),
        line(&format!("[{one}]"), &["--samples-format json"]),
        line(&"[".repeat(5_000), &["'r.ndjson': line 1"]),
        file(
            "r.json",
            format!("{one}\n{one}\n").as_bytes(),
            &["--samples-format ndjson"],
        ),
        file(
            "r.json",
            format!("[{one}").as_bytes(),
            &["the array is not closed"],
        ),
        file("r.json", b"\"x\"", &["this is no array of objects"]),
        csv("a,1\n", &["row 1 has 2 cells, the header 3"]),
        csv("\"a,1,2\n", &["'r.csv'"]),
        file(
            "r.csv",
            b"video_id,video_id\na,b\n",
            &["column 'video_id' occurs twice"],
        ),
        file(
            "r.parquet",
            b"PAR1 nothing",
            &["'r.parquet': this is no whole Parquet file"],
        ),
        file("r.parquet", b"", &["'r.parquet'"]),
        file("r.csv", b"PAR1", &["this is a Parquet file"]),
        file(
            "r.xml",
            b"<x/>",
            &[
                "'r.xml' stands for no known format",
                "--samples-format parquet|csv",
            ],
        ),
        file(
            "r.ndjson",
            b"\x1f\x8b\x08\x00",
            &["the file is compressed", "gzip -dc"],
        ),
        file(
            "r.ndjson",
            b"{\"video_id\": \"\xff\xfe\"}\n",
            &["line 1 is no UTF-8 text"],
        ),
        piped,
        Case::new(
            &["write", "video/raw", "absent.csv"],
            &["cannot open 'absent.csv'", "check the path"],
        ),
        Case::new(
            &["write", "video/raw", "features"],
            &["cannot read 'features': it is a folder"],
        ),
        Case::new(
            &["resolve", "video/raw", "--samples", "absent.csv"],
            &["cannot open 'absent.csv'"],
        ),
    ]
}
