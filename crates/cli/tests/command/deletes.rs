//! `metaxy delete`: what a filter sees, and how much may go.

use serde_json::json;

use crate::documents::document;
use crate::support::{Folder, RAW};

/// A sample of so many seconds.
fn sample(number: u8, seconds: u8) -> String {
    let one = RAW.lines().next().unwrap();
    let own = one.replace("\"v1\"", &format!("\"v{number}\""));
    own.replace("\"seconds\": 12", &format!("\"seconds\": {seconds}"))
}

/// A project whose root feature has four samples, of 1, 2, 3 and 4 seconds.
fn four() -> Folder {
    let folder = Folder::project();
    let samples: Vec<String> = (1..=4).map(|n| sample(n, n)).collect();
    folder.ok_with(&["write", "video/raw", "-"], &samples.join("\n"));
    folder
}

fn samples(folder: &Folder) -> usize {
    folder.rows(&["read", "video/raw"]).len()
}

fn delete<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["delete", "video/raw", "--yes"], more].concat()
}

#[test]
fn an_empty_index_does_not_delete_everything() {
    let folder = four();
    folder.write("index.ndjson", "");
    for hard in [&[][..], &["--hard"]] {
        let orphaned = delete(&[&["--samples", "index.ndjson", "--orphaned"], hard].concat());
        let error = folder.fails(&orphaned, 1);
        assert!(
            error.contains("4 of 4 samples of video/raw") && error.contains("more than half"),
            "{error}"
        );
        assert!(
            error.contains("hint:") && error.contains("--max-share 1"),
            "{error}"
        );
        let far = [&orphaned[..], &["--max-share", "0.9"]].concat();
        let error = folder.fails(&far, 1);
        assert!(error.contains("more than the share 0.9"), "{error}");
        assert_eq!(samples(&folder), 4);
    }
    let orphaned = [
        "--samples",
        "index.ndjson",
        "--orphaned",
        "--max-share",
        "1",
    ];
    let said = document(&folder, &delete(&orphaned), "");
    assert_eq!(
        said,
        json!({"feature": "video/raw", "store": "dev", "hard": false, "matched": 4, "share": 1.0, "deleted": 4})
    );
    assert_eq!(samples(&folder), 0);
}

#[test]
fn more_than_half_needs_more_than_yes() {
    let folder = four();
    for hard in [&[][..], &["--hard"]] {
        for most in [&["--all"][..], &["--filter", "seconds > 1"]] {
            let args = delete(&[most, hard].concat());
            let error = folder.fails(&args, 1);
            assert!(error.contains("of 4 samples of video/raw"), "{error}");
        }
        let less = delete(&[&["--filter", "seconds > 2", "--max-share", "0.4"], hard].concat());
        folder.fails(&less, 1);
        let none = delete(&[&["--filter", "seconds > 9"], hard].concat());
        assert!(folder.ok(&none).contains("0 samples match"));
    }
    assert_eq!(samples(&folder), 4);
    // Just half is not more than half; three quarters are what is allowed.
    let said = document(&folder, &delete(&["--filter", "seconds > 2"]), "");
    assert_eq!((&said["share"], &said["deleted"]), (&json!(0.5), &json!(2)));
    assert_eq!(samples(&folder), 2);
    let folder = four();
    let most = ["--filter", "seconds > 1", "--max-share", "0.75"];
    folder.ok(&delete(&most));
    assert_eq!(samples(&folder), 1);
    // A share is a share, also of few.
    folder.fails(&delete(&["--all"]), 1);
    for share in ["2", "-1", "half", "NaN"] {
        folder.fails(&delete(&["--all", "--max-share", share]), 2);
    }
}

#[test]
fn a_hard_delete_brings_nothing_back() {
    let folder = four();
    folder.ok_with(&["write", "video/raw", "-"], &sample(1, 50));
    let old = folder.ok(&delete(&["--hard", "--filter", "seconds = 1"]));
    assert!(old.contains("0 samples match"), "{old}");
    let said = document(
        &folder,
        &delete(&["--hard", "--filter", "seconds = 50"]),
        "",
    );
    assert_eq!((&said["matched"], &said["deleted"]), (&json!(1), &json!(2)));
    assert_eq!(samples(&folder), 3);
    folder.ok(&delete(&["--filter", "seconds = 2"]));
    let marked = ["--hard", "--filter", "metaxy_deleted_at IS NOT NULL"];
    let said = document(&folder, &delete(&marked), "");
    assert_eq!(
        (&said["matched"], &said["share"], &said["deleted"]),
        (&json!(1), &json!(0.0), &json!(2))
    );
    assert_eq!(samples(&folder), 2);
}
