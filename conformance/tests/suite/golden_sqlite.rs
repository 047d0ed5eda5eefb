//! The committed golden vectors on SQLite, and that wrong vectors are noticed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use metaxy_conformance::golden::{Embedded, Report, replay};
use metaxy_store::Access;
use metaxy_store::json::Json;
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
fn a_changed_operation_fails() {
    let changed = tempfile::tempdir().unwrap();
    let ops = std::fs::read_to_string(committed().join("ops.json")).unwrap();
    let Json::Array(scenarios) = Json::parse(&ops).unwrap() else {
        panic!("no scenarios");
    };
    let (right, wrong) = (r#""features_copied":3"#, r#""features_copied":4"#);
    let mut scenarios = scenarios.iter().map(Json::to_compact);
    let scenario = scenarios.find(|text| text.contains(right)).unwrap();
    let scenario = format!("[{}]", scenario.replacen(right, wrong, 1));
    std::fs::write(changed.path().join("ops.json"), scenario).unwrap();
    let report = replayed(changed.path());
    assert_eq!(report.failures.len(), 1, "{report}");
    let failure = &report.failures[0];
    assert!(failure.case.starts_with("ops/"), "{report}");
    assert!(failure.lines[0].contains("features_copied"), "{report}");
}

/// A marker of the reference where it does what this library does.
#[test]
fn a_stale_deviation_of_an_operation_fails() {
    let report = replayed_operations(
        r#"[{"op": "has_feature", "store": "main", "feature": "a", "check_fallback": true,
             "ref_bug": "has_feature_fallback_closed", "expect": false}]"#,
    );
    assert_eq!(report.failures.len(), 1, "{report}");
    assert!(report.to_string().contains("stale entry"), "{report}");
}

/// A marker does not excuse a wrong answer.
#[test]
fn a_marked_operation_is_checked() {
    let report = replayed_operations(
        r#"[{"op": "has_feature", "store": "main", "feature": "a", "check_fallback": true,
             "ref_bug": "has_feature_fallback_closed", "expect": true}]"#,
    );
    assert_eq!(report.passed, 0, "{report}");
    let report = replayed_operations(
        r#"[{"op": "status", "store": "main", "feature": "a",
             "ref_bug": "status_without_upstream", "expect_error": true, "error_type": "E"}]"#,
    );
    assert_eq!((report.passed, report.differ), (0, 0), "{report}");
}

#[test]
fn an_unknown_operation_leaves_out_its_scenario() {
    let report = replayed_operations(
        r#"[{"op": "has_feature", "store": "main", "feature": "a", "check_fallback": false,
             "expect": true}, {"op": "teleport", "store": "main"}]"#,
    );
    assert!(report.failures.is_empty(), "{report}");
    assert!(!report.is_success(), "{report}");
    assert!(report.to_string().contains("needs teleport"), "{report}");
}

#[test]
fn nothing_replayed_is_no_success() {
    let empty = tempfile::tempdir().unwrap();
    let report = replayed(empty.path());
    assert!(!report.is_success(), "{report}");
    assert!(report.failures.is_empty(), "{report}");
}

/// These steps on one empty store with one root feature `a`.
fn replayed_operations(steps: &str) -> Report {
    let scenario = format!(
        r#"[{{"name": "made-up", "tags": [],
            "config": {{"project": "p", "hash_truncation_length": 8}},
            "stores": {{"main": {{"fallback": [], "hash_algorithm": "md5", "layout": "flat"}}}},
            "features": [{{"key": "a", "id_columns": ["id"], "deps": [],
                "fields": [{{"key": "default", "code_version": "1", "deps": []}}],
                "metadata": {{}}, "description": null}}],
            "definitions": {{"a": {{"project": "p", "feature_class_path": "p.a",
                "feature_schema": {{}}}}}},
            "steps": {steps}}}]"#
    );
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ops.json"), scenario).unwrap();
    replayed(dir.path())
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
