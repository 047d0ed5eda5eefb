//! `metaxy maintain`: the history of samples, and the storage.

use crate::documented::assert_shape;
use crate::support::{Folder, RAW};

/// A project whose root feature was written three times.
fn written_thrice() -> Folder {
    let folder = Folder::with_raw();
    for version in ["a8", "a9"] {
        folder.ok_with(&["write", "video/raw", "-"], &RAW.replace("a1", version));
    }
    folder
}

/// How many rows are stored.
fn stored(folder: &Folder) -> usize {
    let all = ["read", "video/raw", "--with-sample-history"];
    folder.rows(&all).len()
}

#[test]
#[cfg_attr(not(feature = "sqlite"), ignore = "what it expects is SQLite's")]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let folder = written_thrice();
    assert_eq!(stored(&folder), 6);
    let said = folder.ok(&["maintain", "--keep", "1", "--dry-run"]);
    assert!(
        said.contains("prune video/raw: 4 superseded rows would be removed"),
        "{said}"
    );
    assert!(said.contains("\nvacuum: "), "{said}");
    assert_eq!(stored(&folder), 6);
    let young = folder.ok(&["maintain", "--older-than", "30d", "--dry-run"]);
    assert!(young.contains("0 superseded rows"), "{young}");
    let none = folder.ok(&["maintain", "--dry-run"]);
    assert!(!none.contains("prune"), "{none}");
}

#[test]
#[cfg_attr(not(feature = "sqlite"), ignore = "what it expects is SQLite's")]
fn the_history_goes_and_the_samples_stay() {
    let folder = written_thrice();
    let samples = folder.rows(&["read", "video/raw"]).len();
    let said = folder.ok(&["maintain", "video/raw", "--keep", "2", "--yes"]);
    assert!(
        said.contains("prune video/raw: 2 superseded rows removed"),
        "{said}"
    );
    assert!(said.contains("checkpoint: "), "{said}");
    assert_eq!(stored(&folder), 4);
    let said = folder.ok(&["maintain", "--older-than", "0s", "-y"]);
    assert!(said.contains("2 superseded rows removed"), "{said}");
    assert_eq!(stored(&folder), samples);
    assert_eq!(folder.rows(&["read", "video/raw"]).len(), samples);
    let said = folder.ok(&["maintain", "--yes"]);
    assert!(!said.contains("prune") && said.contains("vacuum"), "{said}");
}

#[test]
#[cfg_attr(not(feature = "sqlite"), ignore = "what it expects is SQLite's")]
fn scripts_get_a_frame() {
    let folder = written_thrice();
    let rows = folder.rows(&["maintain", "--keep", "1", "--dry-run", "--format", "ndjson"]);
    assert_eq!(rows[0]["action"], "prune");
    assert_eq!(rows[0]["table"], "video/raw");
    assert_eq!(rows[0]["rows_removed"], 4);
    let vacuum = rows.iter().find(|row| row["action"] == "vacuum").unwrap();
    assert!(vacuum["bytes_before"].as_u64() > Some(0), "{vacuum}");
    let done = folder.rows(&["maintain", "--keep", "1", "--yes", "--format", "ndjson"]);
    assert_eq!(done[0]["rows_removed"], 4);
}

/// A project with three versions of its transcript, all written and the last two pushed.
fn of_three_versions() -> Folder {
    let folder = Folder::with_raw();
    let features = folder.text("features/example.toml");
    for code in ["1", "2", "3"] {
        let own = format!("code_version = \"{code}\"");
        let changed = features.replace("code_version = \"1\"", &own);
        folder.write("features/example.toml", &changed);
        let todo = folder.ok(&["resolve", "video/transcript"]);
        folder.ok_with(&["write", "video/transcript", "-"], &todo);
        if code != "1" {
            folder.ok(&["push"]);
        }
    }
    folder
}

#[test]
fn old_versions_go_that_no_recent_push_has() {
    let folder = of_three_versions();
    let read = ["read", "video/transcript", "--format", "ndjson"];
    let before = folder.ok(&read);
    let old = ["maintain", "--old-versions", "2"];
    let said = folder.ok(&[&old[..], &["--dry-run"]].concat());
    assert!(
        said.contains("prune video/transcript: 2 rows of version ")
            && said.contains(" would be removed"),
        "{said}"
    );
    let error = folder.fails(&old, 1);
    assert!(
        error.contains("remove 2 rows of old versions and put store dev"),
        "{error}"
    );
    let done = folder.rows(&[&old[..], &["--yes", "--format", "ndjson"]].concat());
    assert_eq!(done[0]["action"], "prune");
    assert_eq!(done[0]["table"], "video/transcript");
    assert_eq!(done[0]["rows_removed"], 2);
    assert!(done[0]["version"].is_string(), "{}", done[0]);
    let said = folder.ok(&[&old[..], &["--dry-run"]].concat());
    assert!(!said.contains("of version"), "{said}");
    let said = folder.ok(&["maintain", "--old-versions", "1", "--yes"]);
    assert!(said.contains("2 rows of version "), "{said}");
    assert_eq!(folder.ok(&read), before);
    folder.assert_up_to_date("video/transcript", 2);
    folder.fails(&["maintain", "--old-versions", "0"], 2);
}

#[test]
fn versions_are_not_old_before_a_push() {
    let folder = written_thrice();
    let error = folder.fails(&["maintain", "--old-versions", "1", "--yes"], 1);
    assert!(
        error.contains("no graph was ever pushed") && error.contains("hint: run `metaxy push`"),
        "{error}"
    );
}

#[test]
fn nothing_is_done_that_nobody_agreed_to() {
    let folder = written_thrice();
    let error = folder.fails(&["maintain", "--keep", "1"], 1);
    assert!(
        error.contains("remove 4 superseded rows and put store dev in order")
            && error.contains("hint: add --yes"),
        "{error}"
    );
    assert_eq!(stored(&folder), 6);
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let folder = written_thrice();
    for args in [
        &["maintain", "--keep", "0"][..],
        &["maintain", "--keep", "1", "--older-than", "1d"],
        &["maintain", "--older-than", "soon"],
        &["maintain", "--retention", "7"],
    ] {
        folder.fails(args, 2);
    }
    let error = folder.fails(&["maintain", "video/row", "--yes"], 1);
    assert!(error.contains("video/row"), "{error}");
    assert_eq!(stored(&folder), 6);
}

#[test]
fn a_store_that_does_not_exist_is_not_made_to_look_at_it() {
    let folder = Folder::project();
    let said = folder.ok(&["maintain", "--keep", "1", "--dry-run"]);
    assert_eq!(said, "There is nothing to do.\n");
    let files = |folder: &Folder| std::fs::read_dir(folder.path()).unwrap().count();
    let before = files(&Folder::project());
    assert_eq!(files(&folder), before);
}

#[test]
fn a_sound_store_is_said_to_be_sound() {
    let folder = written_thrice();
    let said = folder.ok(&["maintain", "--verify"]);
    assert!(said.contains("sound video/raw: 6 rows\n"), "{said}");
    let document = folder.ok(&["maintain", "--verify", "--format", "json"]);
    assert_shape(
        "metaxy maintain",
        1,
        &serde_json::from_str(&document).unwrap(),
    );
    let rows = folder.rows(&["maintain", "--verify", "video/raw", "--format", "ndjson"]);
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (&rows[0]["table"], &rows[0]["state"], &rows[0]["rows"]),
        (&"video/raw".into(), &"sound".into(), &6.into())
    );
    let said = folder.fails(&["maintain", "--verify", "--keep", "1"], 2);
    assert!(said.contains("--keep"), "{said}");
}

#[test]
#[cfg_attr(not(feature = "sqlite"), ignore = "what it breaks is SQLite's")]
fn a_damaged_store_is_told_with_what_is_damaged() {
    let folder = written_thrice();
    let file = folder.join(".metaxy/dev.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xff);
    std::fs::write(&file, bytes).unwrap();
    let output = folder.run(&["maintain", "--verify"], "");
    assert_eq!(output.status.code(), Some(1));
    let [told, said] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(told.contains("DAMAGED video/raw: "), "{told}");
    assert!(
        said.contains("tables are damaged: video/raw") && said.contains("hint: "),
        "{said}"
    );
}
