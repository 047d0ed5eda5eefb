//! `metaxy maintain`: the history of samples, and the storage.

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
