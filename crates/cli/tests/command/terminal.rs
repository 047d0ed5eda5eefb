//! Where text of strangers meets a terminal it does not steer it; pipes and files get what there is.

use std::process::Output;

use crate::support::{Folder, metaxy};

const TEXT: &str = "\u{1b}]0;mine\u{7}\u{1b}[31mred\u{202e}";

/// A feature whose description, and a sample whose title, would steer a terminal.
fn hostile() -> Folder {
    let folder = Folder::with_raw();
    let feature = r#"
[[feature]]
key = "video/hostile"
id_columns = ["video_id"]
fields = ["a"]
description = "\u001b]0;mine\u0007\u001b[31mred\u202e"
"#;
    folder.write("features/hostile.toml", feature);
    let sample = format!(
        "{{\"video_id\": \"1\", \"title\": {}, \"metaxy_provenance_by_field\": {{\"a\": \"1\"}}}}\n",
        serde_json::Value::from(TEXT)
    );
    folder.ok_with(&["write", "video/hostile", "-"], &sample);
    folder
}

/// What a terminal gets.
fn on_terminal(folder: &Folder, args: &str) -> String {
    let line = format!("'{}' {args}", metaxy());
    let mut command = folder.program("script");
    let Output { status, stdout, .. } = command
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .output()
        .unwrap();
    assert!(status.code().is_some());
    String::from_utf8(stdout).unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn what_comes_out_of_a_store_does_not_steer_a_terminal() {
    let folder = hostile();
    let steers = |said: &str| {
        ["\u{1b}]", "\u{7}", "\u{1b}[31m", "\u{202e}"]
            .iter()
            .any(|part| said.contains(part))
    };
    for args in [
        "describe video/hostile",
        "read video/hostile",
        "read video/hostile --format ndjson",
        "read video/hostile --format csv",
        "read video/hostile --filter \"title = '$(printf '\\033]0;x\\007')'\"",
        "read \"$(printf 'video/\\033]0;x\\007')\"",
        "graph render",
        "list features",
        "status",
    ] {
        let said = on_terminal(&folder, args);
        assert!(!steers(&said), "{args}: {said:?}");
    }
    let said = on_terminal(&folder, "describe video/hostile");
    assert!(
        said.contains("\\u{1b}]0;mine\\u{7}\\u{1b}[31mred\\u{202e}"),
        "{said:?}"
    );
    // Our own colours are there.
    assert!(on_terminal(&folder, "read nothing").contains("\u{1b}[1;31merror:\u{1b}[0m"));
    // A pipe gets what there is.
    let csv = folder.ok(&[
        "read",
        "video/hostile",
        "--format",
        "csv",
        "--columns",
        "title",
    ]);
    assert_eq!(csv, format!("title\n{TEXT}\n"));
}

#[test]
fn cells_are_guarded_for_spreadsheets_if_asked() {
    let folder = Folder::with_raw();
    let sample =
        r#"{"video_id": "=1+1", "metaxy_provenance_by_field": {"audio": "1", "frames": "1"}}"#;
    folder.ok_with(&["write", "video/raw", "-"], sample);
    let read = [
        "read",
        "video/raw",
        "--filter",
        "video_id LIKE '=%'",
        "--columns",
        "video_id",
        "--format",
        "csv",
    ];
    assert_eq!(folder.ok(&read), "video_id\n=1+1\n");
    assert_eq!(
        folder.ok(&[&read[..], &["--guard-cells"]].concat()),
        "video_id\n'=1+1\n"
    );
}
