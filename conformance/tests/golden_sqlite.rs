//! The committed golden vectors on SQLite, and that wrong vectors are noticed.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use metaxy_conformance::golden::{Embedded, Report, replay};
use metaxy_store::Access;
use metaxy_store::sqlite::{SqliteConfig, Synchronous};

#[test]
fn golden_vectors() {
    let report = replayed(&committed());
    assert!(report.is_success(), "{report}");
    assert!(report.differ < report.passed / 4, "{report}");
}

#[test]
fn a_changed_vector_fails() {
    let changed = tempfile::tempdir().unwrap();
    let hashes = std::fs::read_to_string(committed().join("hashes.json")).unwrap();
    // "d41d8cd9…" is the MD5 of the empty text.
    let hashes = hashes.replacen("d41d8cd98f00b204", "d41d8cd98f00b205", 1);
    std::fs::write(changed.path().join("hashes.json"), hashes).unwrap();
    let report = replayed(changed.path());
    assert!(!report.is_success(), "{report}");
    assert_eq!(report.failures.len(), 1, "{report}");
    assert!(
        report.failures[0].case.starts_with("hashes/md5-"),
        "{report}"
    );
}

/// An entry of the list of deviations that makes no difference any more.
#[test]
fn a_stale_deviation_fails() {
    let changed = tempfile::tempdir().unwrap();
    let filters = r#"{"table": {"id": "i", "columns": {"i": "int"}, "rows": [{"i": 1}, {"i": 2}]},
        "cases": [{"filter": "i = 1", "rows": [1], "quirk": "truthy-int"}]}"#;
    std::fs::write(changed.path().join("filters.json"), filters).unwrap();
    let report = replayed(changed.path());
    assert!(!report.is_success(), "{report}");
    assert!(report.to_string().contains("stale entry"), "{report}");
}

#[test]
fn nothing_replayed_is_no_success() {
    let empty = tempfile::tempdir().unwrap();
    let report = replayed(empty.path());
    assert!(!report.is_success(), "{report}");
    assert!(report.failures.is_empty(), "{report}");
}

fn replayed(dir: &Path) -> Report {
    let factory = Embedded::new("sqlite", |directory, _| {
        let config = SqliteConfig::new(directory.join("golden.db"));
        let config = config.with_synchronous(Synchronous::Normal);
        Ok(Arc::new(config.open(Access::Write)))
    });
    futures::executor::block_on(replay(&factory.unwrap(), dir, &[]))
}

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}
