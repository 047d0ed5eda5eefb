//! A project from its first file on.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::support::{Folder, RAW};

const TRANSCRIPT: &str = "video/transcript";

#[test]
fn from_init_to_up_to_date() {
    let folder = Folder::project();
    assert!(folder.text("metaxy.toml").contains("project = \"films\""));
    let features = folder.ok(&["list", "features"]);
    assert!(features.contains("video/transcript"), "{features}");
    assert_eq!(folder.status("video/raw").1, "missing");
    assert_eq!(folder.status(TRANSCRIPT).1, "upstream_missing");

    let written = folder.ok_with(&["write", "video/raw", "-"], RAW);
    assert_eq!(written, "video/raw: 2 rows written to store dev\n");
    assert_eq!(folder.status("video/raw").1, "root_feature");
    assert_eq!(folder.status(TRANSCRIPT).0, [0, 2, 0, 0].map(Some));

    // What resolve prints into a pipe is what write takes.
    let todo = folder.ok(&["resolve", TRANSCRIPT]);
    assert!(
        todo.lines()
            .all(|line| line.contains(r#""metaxy_part":"new""#)),
        "{todo}"
    );
    folder.ok_with(&["write", TRANSCRIPT, "-"], &todo);
    folder.assert_up_to_date(TRANSCRIPT, 2);
    let rows = folder.rows(&["read", TRANSCRIPT, "--columns", "seconds,video_id"]);
    let mut seen: Vec<String> = rows.iter().map(ToString::to_string).collect();
    seen.sort();
    assert_eq!(
        seen,
        [
            r#"{"seconds":12,"video_id":"v1"}"#,
            r#"{"seconds":8,"video_id":"007"}"#
        ]
    );

    // Other pictures do not matter to a transcript, another sound does.
    folder.ok_with(&["write", "video/raw", "-"], &RAW.replace("f1", "f9"));
    folder.assert_up_to_date(TRANSCRIPT, 2);
    folder.ok_with(&["write", "video/raw", "-"], &RAW.replace("a1", "a9"));
    assert_eq!(
        folder.status(TRANSCRIPT),
        ([2, 0, 1, 0].map(Some), "needs_update".to_owned())
    );
    assert_eq!(
        folder.ok(&["resolve", TRANSCRIPT, "--count", "--format", "csv"]),
        "part,rows\nnew,0\nstale,1\norphaned,0\n"
    );
    let human = folder.ok(&["status"]);
    assert!(
        human.contains("compute 1") && !human.contains('\x1b'),
        "{human}"
    );
}

#[test]
fn init_overwrites_nothing() {
    let folder = Folder::project();
    folder.write("features/example.toml", "# mine");
    let error = folder.fails(&["init"], 1);
    assert!(error.contains("metaxy.toml' exists already"), "{error}");
    assert_eq!(folder.text("features/example.toml"), "# mine");

    let other = Folder::empty();
    other.write("features/example.toml", "# mine");
    other.fails(&["init"], 1);
    assert!(!other.join("metaxy.toml").exists());
    let said = other.ok(&["init", "a new project"]);
    assert!(said.contains("cd 'a new project'"), "{said}");
    assert!(
        other
            .text("a new project/metaxy.toml")
            .contains("project = \"a-new-project\"")
    );
}

#[test]
fn orphaned_samples_are_left_out_of_a_write_and_deleted() {
    let folder = Folder::with_raw();
    let todo = folder.ok(&["resolve", TRANSCRIPT]);
    folder.ok_with(&["write", TRANSCRIPT, "-"], &todo);
    folder.ok(&[
        "delete",
        "video/raw",
        "--filter",
        "video_id = 'v1'",
        "--yes",
    ]);
    let new = RAW.lines().next().unwrap().replace("v1", "v3");
    folder.ok_with(&["write", "video/raw", "-"], &new);
    assert_eq!(folder.status(TRANSCRIPT).0, [2, 1, 0, 1].map(Some));

    let orphaned = folder.rows(&["resolve", TRANSCRIPT, "--part", "orphaned"]);
    assert_eq!(orphaned.len(), 1);
    assert!(
        orphaned[0].get("metaxy_part").is_none(),
        "one part needs no name"
    );
    assert_eq!(orphaned[0]["video_id"], "v1");
    for format in ["ndjson", "csv", "parquet", "json"] {
        let file = format!("all.{format}");
        let said = folder.ok(&["resolve", TRANSCRIPT, "--part", "all", "--output", &file]);
        assert_eq!(
            said,
            format!("{file}: 2 rows (1 new, 0 stale, 1 orphaned)\n")
        );
    }
    let said = folder.ok(&["write", TRANSCRIPT, "all.csv"]);
    assert!(
        said.contains("1 row written") && said.contains("1 orphaned row left out"),
        "{said}"
    );
    assert_eq!(folder.status(TRANSCRIPT).0, [3, 0, 0, 1].map(Some));
    let said = folder.ok(&["delete", TRANSCRIPT, "--orphaned", "--yes"]);
    assert_eq!(said, "video/transcript: 1 sample deleted\n");
    folder.assert_up_to_date(TRANSCRIPT, 2);
    let said = folder.ok(&["delete", TRANSCRIPT, "--orphaned", "--yes"]);
    assert!(said.contains("0 samples match"), "{said}");
}

#[test]
fn a_root_feature_is_compared_with_samples() {
    let folder = Folder::with_raw();
    let samples = RAW.replace("f1", "f9").replace("007", "v2");
    folder.write("files.ndjson", &samples);
    let args = [
        "resolve",
        "video/raw",
        "--samples",
        "files.ndjson",
        "--part",
        "all",
    ];
    let mut parts: Vec<String> = folder
        .rows(&args)
        .iter()
        .map(|row| format!("{} {}", row["video_id"], row["metaxy_part"]))
        .collect();
    parts.sort();
    assert_eq!(
        parts,
        [r#""007" "orphaned""#, r#""v1" "stale""#, r#""v2" "new""#]
    );
    let todo = folder.ok(&args);
    folder.ok_with(&["write", "video/raw", "-"], &todo);
    let delete = [
        "delete",
        "video/raw",
        "--orphaned",
        "--samples",
        "files.ndjson",
        "-y",
    ];
    folder.ok(&delete);
    assert_eq!(folder.rows(&args).len(), 0);
}

#[test]
fn deletes_ask_and_can_be_undone_or_not() {
    let folder = Folder::with_raw();
    let one = ["delete", "video/raw", "--filter", "seconds > 10"];
    let error = folder.fails(&one, 1);
    assert!(
        error.contains("would mark 1 sample of video/raw") && error.contains("--yes"),
        "{error}"
    );
    assert_eq!(folder.rows(&["read", "video/raw"]).len(), 2);
    folder.ok(&[&one[..], &["--yes"]].concat());
    assert_eq!(folder.rows(&["read", "video/raw"]).len(), 1);
    assert_eq!(
        folder
            .rows(&["read", "video/raw", "--include-deleted"])
            .len(),
        2
    );
    folder.ok_with(&["write", "video/raw", "-"], RAW);
    assert_eq!(folder.rows(&["read", "video/raw"]).len(), 2);
    // Two writes of two samples, and a tombstone.
    let every = [
        "read",
        "video/raw",
        "--with-sample-history",
        "--include-deleted",
    ];
    assert_eq!(folder.rows(&every).len(), 5);
    let all = ["delete", "video/raw", "--all", "--hard", "--yes"];
    let said = folder.ok(&[&all[..], &["--max-share", "1"]].concat());
    assert_eq!(said, "video/raw: 5 rows removed for good\n");
    let said = folder.ok(&all);
    assert!(said.contains("nothing was deleted"), "{said}");
    folder.fails(&["delete", "video/raw", "--yes"], 2);
}

#[test]
fn reads_look_back() {
    let folder = Folder::with_raw();
    let before = folder.rows(&["read", "video/raw", "--filter", "video_id = 'v1'"]);
    let then = before[0]["metaxy_updated_at"].as_str().unwrap();
    folder.ok_with(&["write", "video/raw", "-"], &RAW.replace("12", "13"));
    let seconds = |args: &[&str]| -> Vec<u64> {
        let args = [&["read", "video/raw", "--filter", "video_id = 'v1'"], args].concat();
        folder
            .rows(&args)
            .iter()
            .map(|row| row["seconds"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(seconds(&[]), [13]);
    assert_eq!(seconds(&["--as-of", then]), [12]);
    assert_eq!(
        seconds(&["--with-sample-history", "--filter", "seconds < 13"]),
        [12]
    );
    assert_eq!(folder.rows(&["read", "video/raw", "--limit", "1"]).len(), 1);

    let version = before[0]["metaxy_feature_version"]
        .as_str()
        .unwrap()
        .to_owned();
    let features = folder.text("features/example.toml");
    folder.write(
        "features/example.toml",
        &features.replace(r#"["audio", "frames"]"#, r#"{ audio = "2", frames = "1" }"#),
    );
    let read = folder.run(&["read", "video/raw"], "");
    assert!(read.stdout.is_empty(), "another version");
    assert_eq!(
        folder
            .rows(&["read", "video/raw", "--with-feature-history"])
            .len(),
        2
    );
    assert_eq!(
        folder
            .rows(&["read", "video/raw", "--feature-version", &version])
            .len(),
        2
    );
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = Folder::project();
    let rows: String = (0..20_000)
        .map(|i| format!("{{\"video_id\": \"v{i}\", \"metaxy_provenance_by_field\": {{\"audio\": \"a{i}\", \"frames\": \"f\"}}}}\n"))
        .collect();
    folder.ok_with(&["write", "video/raw", "-"], &rows);
    for args in [["read", "video/raw"], ["resolve", TRANSCRIPT]] {
        let mut child = folder
            .command(&args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        out.read_line(&mut first).unwrap();
        drop(out);
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{args:?}: {}\n{told}",
            output.status
        );
        assert!(first.contains("video_id"), "{first}");
        assert_eq!(told, "", "{args:?}");
    }
}

#[test]
fn filters_and_conditions_narrow_a_resolve() {
    let folder = Folder::with_raw();
    let ids = |args: &[&str]| -> Vec<String> {
        let rows = folder.rows(&[&["resolve", TRANSCRIPT], args].concat());
        rows.iter()
            .map(|row| row["video_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(&["--filter", "seconds > 10"]), ["v1"]);
    let todo = folder.ok(&["resolve", TRANSCRIPT]);
    folder.ok_with(&["write", TRANSCRIPT, "-"], &todo);
    assert_eq!(ids(&[]), [""; 0]);
    assert_eq!(ids(&["--stale-if", "seconds < 10"]), ["007"]);
    assert_eq!(folder.status(TRANSCRIPT).0[0], Some(2));
    let filtered = folder.rows(&[
        "status",
        TRANSCRIPT,
        "--filter",
        "seconds > 10",
        "--format",
        "ndjson",
    ]);
    assert_eq!(filtered[0]["samples"], 1);
}
