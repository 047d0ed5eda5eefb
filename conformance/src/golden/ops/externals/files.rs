//! Lock files as text, and what changed from one to another.

use std::collections::BTreeMap;

use metaxy_store::json::Json;
use metaxy_store::system::{LockChange, LockReport};

use super::super::super::arguments::shown;
use super::super::super::file::{Outcome, members, opt_text};

pub(super) fn result(report: &LockReport) -> Json {
    let changes = |changes: &[LockChange]| -> Json {
        let change = |change: &LockChange| {
            Json::object([
                ("project", Json::from(change.project.as_str())),
                ("key", Json::from(change.feature.as_str())),
                ("version", Json::from(change.version.as_str())),
            ])
        };
        changes.iter().map(change).collect()
    };
    let updated = report.updated.iter().map(|update| {
        Json::object([
            ("project", Json::from(update.project.as_str())),
            ("key", Json::from(update.feature.as_str())),
            ("old_version", Json::from(update.old_version.as_str())),
            ("new_version", Json::from(update.new_version.as_str())),
            ("metadata_only", Json::from(update.metadata_only)),
        ])
    });
    Json::object([
        ("added", changes(&report.added)),
        ("updated", updated.collect()),
        ("removed", changes(&report.removed)),
        ("unchanged_count", Json::from(report.unchanged)),
    ])
}

/// What changed from one lock file to another.
pub(super) fn difference(old: &Json, new: &Json) -> Json {
    let features = |file: &Json| -> BTreeMap<String, Json> {
        let features = members(file, "features");
        features
            .map(|(key, locked)| (key.to_owned(), locked.clone()))
            .collect()
    };
    let (old, new) = (features(old), features(new));
    let project = |locked: &Json| {
        let project = locked.get("data").and_then(|data| data.get("project"));
        project.cloned().unwrap_or_default()
    };
    let version = |locked: &Json| Json::from(info(locked, "version"));
    let lacking = |from: &BTreeMap<String, Json>, other: &BTreeMap<String, Json>| -> Json {
        let gone = from.iter().filter(|(key, _)| !other.contains_key(*key));
        gone.map(|(key, locked)| {
            Json::object([
                ("project", project(locked)),
                ("key", Json::from(key.as_str())),
                ("version", version(locked)),
            ])
        })
        .collect()
    };
    let mut updated: Vec<Json> = Vec::new();
    let mut unchanged = 0_usize;
    for (key, now) in &new {
        let Some(before) = old.get(key) else { continue };
        if before.get("info") == now.get("info") {
            unchanged += 1;
            continue;
        }
        updated.push(Json::object([
            ("project", project(now)),
            ("key", Json::from(key.as_str())),
            ("old_version", version(before)),
            ("new_version", version(now)),
            ("metadata_only", Json::from(version(before) == version(now))),
        ]));
    }
    Json::object([
        ("added", lacking(&new, &old)),
        ("updated", Json::Array(updated)),
        ("removed", lacking(&old, &new)),
        ("unchanged_count", Json::from(unchanged)),
    ])
}

pub(super) fn info<'a>(locked: &'a Json, name: &str) -> Option<&'a str> {
    opt_text(locked.get("info")?, name)
}

/// TOML as JSON.
pub(super) fn parsed(text: &str) -> Outcome<Json> {
    let table: toml::Table = text.parse().map_err(|e| format!("not TOML: {e}"))?;
    Json::from_toml(toml::Value::Table(table)).map_err(shown)
}
