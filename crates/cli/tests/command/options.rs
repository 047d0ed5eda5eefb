//! Options of single commands that the library has too.

use crate::support::{Folder, RAW};

#[test]
fn a_resolve_takes_filters_of_one_feature_and_of_the_target() {
    let folder = Folder::with_raw();
    let count = |arguments: &[&str]| {
        let all = [
            &["resolve", "video/transcript", "--count", "--format", "csv"],
            arguments,
        ]
        .concat();
        folder.ok(&all)
    };
    assert_eq!(count(&[]), "part,rows\nnew,2\nstale,0\norphaned,0\n");
    let one = "part,rows\nnew,1\nstale,0\norphaned,0\n";
    assert_eq!(count(&["--filter", "video/raw:seconds > 10"]), one);
    folder.ok(&["resolve", "video/transcript", "--output", "todo.ndjson"]);
    folder.ok(&["write", "video/transcript", "todo.ndjson"]);
    assert_eq!(count(&[]), "part,rows\nnew,0\nstale,0\norphaned,0\n");
    // What is stored is not looked at, in part or at all.
    assert_eq!(count(&["--target-filter", "video_id = 'v1'"]), one);
    assert_eq!(
        count(&["--skip-comparison"]),
        "part,rows\nnew,2\nstale,0\norphaned,0\n"
    );
    let said = folder.fails(
        &[
            "resolve",
            "video/transcript",
            "--count",
            "--filter",
            "video/row:seconds > 10",
        ],
        1,
    );
    assert!(said.contains("video/row"), "{said}");
}

#[test]
fn rows_are_written_with_the_times_that_they_have() {
    let folder = Folder::project();
    folder.ok_with(&["write", "video/raw", "-"], RAW);
    folder.ok(&["read", "video/raw", "--output", "raw.parquet"]);
    let times = |folder: &Folder| {
        folder.ok(&[
            "read",
            "video/raw",
            "--columns",
            "video_id,metaxy_updated_at",
            "--format",
            "csv",
        ])
    };
    let other = Folder::project();
    let file = folder.join("raw.parquet").display().to_string();
    other.ok(&[
        "write",
        "video/raw",
        &file,
        "--keep-times",
        "--keep-versions",
    ]);
    let sorted = |text: String| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(times(&other)), sorted(times(&folder)));
}

#[test]
fn a_file_of_variables_stands_beside_the_configuration() {
    let folder = Folder::project();
    let config = folder
        .text("metaxy.toml")
        .replace("\"films\"", "\"${FILMS_PROJECT}\"");
    folder.write("metaxy.toml", &config);
    folder.write(".env", "export FILMS_PROJECT='shorts'\n");
    assert!(folder.ok(&["config", "print"]).contains("shorts"));
    let mut command = folder.command(&["config", "print"]);
    let output = command.env("FILMS_PROJECT", "clips").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("clips"));
    folder.write(".env", "SECRET=1\nan odd line\n");
    let said = folder.fails(&["config", "print"], 1);
    assert!(
        said.contains(".env") && !said.contains("odd") && !said.contains("SECRET"),
        "{said}"
    );
}

#[cfg(unix)]
#[test]
fn values_that_are_no_text_are_errors() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let folder = Folder::project();
    let mut command = folder.command(&["list", "features"]);
    let output = command
        .env("METAXY_STORE", OsStr::from_bytes(b"dev\xff"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("METAXY_STORE") && said.contains("UTF-8"),
        "{said}"
    );
    let linked = Folder::with_raw();
    std::os::unix::fs::symlink("nowhere/at-all", linked.join("out.csv")).unwrap();
    let said = linked.fails(&["read", "video/raw", "--output", "out.csv"], 1);
    assert!(said.contains("link"), "{said}");
}
