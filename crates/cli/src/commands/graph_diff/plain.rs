//! A difference as text.

use metaxy_store::json::Json;
use metaxy_store::spec::INITIAL_CODE_VERSION;

use super::Difference;
use super::changes::{Change, FieldChange, Kind, Pair, names};
use super::drawing::tone;
use crate::commands::graph::Ink;
use crate::screen::{Style, count, short};

pub(super) fn text(difference: &Difference, style: Style) -> String {
    let project = difference
        .to
        .project
        .as_ref()
        .or(difference.from.project.as_ref());
    let mut text = match project {
        Some(project) => format!("{}: ", style.bold(project)),
        None => String::new(),
    };
    let (from, to) = (difference.from.words(), difference.to.words());
    text.push_str(&format!("{from} → {to}\n"));
    if difference.changes.is_empty() {
        let features = count(difference.unchanged as u64, "feature");
        text.push_str(&format!("Nothing has changed: {features}.\n"));
        return text;
    }
    for change in &difference.changes {
        text.push('\n');
        feature(&mut text, change, style);
    }
    text.push_str(&format!("\n{}\n", difference.summary()));
    text
}

fn feature(text: &mut String, change: &Change, style: Style) {
    let kind = Ink::Tone(tone(change.kind)).paint(style, change.kind.as_str());
    let name = style.bold(&change.key);
    text.push_str(&format!("{kind} {name}  {}", versions(&change.version)));
    match (change.kind, change.samples) {
        (Kind::Added, _) | (_, None) => {}
        (Kind::Removed, Some(0)) | (Kind::Affected | Kind::Changed, Some(0)) => {}
        (Kind::Removed, Some(left)) => {
            text.push_str(&format!("  {} left", count(left, "sample")));
        }
        (_, Some(new)) => text.push_str(&format!("  {} new", count(new, "sample"))),
    }
    text.push('\n');
    let mut line = |what: String| text.push_str(&format!("  {what}\n"));
    if let (Some(old), Some(new)) = &change.id_columns
        && old != new
    {
        line(format!(
            "identified by: {} → {}",
            old.join(", "),
            new.join(", ")
        ));
    }
    // All fields of a feature that came or went did so as well, and what is upstream affects them all alike.
    if change.kind == Kind::Changed {
        for field in &change.fields {
            line(self::field(field));
        }
    }
    for dependency in &change.dependencies {
        let (kind, feature) = (dependency.kind.as_str(), &dependency.feature);
        if dependency.members.is_empty() {
            line(format!("dependency {kind}: {feature}"));
        }
        for member in &dependency.members {
            let values = (value(&member.values.0), value(&member.values.1));
            line(format!(
                "dependency {feature}: {} {} → {}",
                member.name, values.0, values.1
            ));
        }
    }
    for member in &change.members {
        let values = (value(&member.values.0), value(&member.values.1));
        line(format!("{}: {} → {}", member.name, values.0, values.1));
    }
    if change.schema_changed {
        line("the schema of its columns".to_owned());
    }
}

fn field(field: &FieldChange) -> String {
    let key = &field.key;
    let mut parts = Vec::new();
    match (&field.code_version.0, &field.code_version.1) {
        (Some(old), Some(new)) if old != new => {
            parts.push(format!("code {} → {}", code(old), code(new)));
        }
        _ => {}
    }
    let (old, new) = (names(&field.parents.0), names(&field.parents.1));
    if field.kind == Kind::Changed {
        parts.extend(new.difference(&old).map(|parent| format!("+ {parent}")));
        parts.extend(old.difference(&new).map(|parent| format!("- {parent}")));
    }
    match (field.kind, parts.is_empty()) {
        (Kind::Affected, _) => format!("field {key}: affected by what is upstream"),
        (kind, true) => format!("field {kind}: {key}", kind = kind.as_str()),
        (_, false) => format!("field {key}: {}", parts.join(", ")),
    }
}

fn code(version: &str) -> &str {
    if version == INITIAL_CODE_VERSION {
        "none"
    } else {
        version
    }
}

fn versions((from, to): &Pair<Option<String>>) -> String {
    match (from, to) {
        (Some(from), Some(to)) if from == to => short(to).to_owned(),
        (Some(from), Some(to)) => format!("{} → {}", short(from), short(to)),
        (Some(only), None) | (None, Some(only)) => short(only).to_owned(),
        (None, None) => String::new(),
    }
}

/// A value in a line.
fn value(value: &Json) -> String {
    match value {
        Json::Null => "none".to_owned(),
        Json::String(text) => format!("{text:?}"),
        other => other.to_compact(),
    }
}
