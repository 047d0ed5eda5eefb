//! A difference as one JSON document. Its members are described in `docs/command.md`.

use serde_json::{Map, Value, json};

use super::Difference;
use super::changes::{Change, DependencyChange, FieldChange, Kind, Member, Pair};
use super::sides::Side;
use crate::commands::graph::{parents, plain};
use crate::screen::moment;

pub(super) fn document(difference: &Difference) -> Value {
    let (new, removed) = difference.samples();
    let counted = |number: u64| difference.counted.then_some(number);
    let of = |kind: Kind| difference.of_kind(kind).count();
    json!({
        "store": difference.store,
        "project": difference.to.project.as_ref().or(difference.from.project.as_ref()),
        "from": side(&difference.from),
        "to": side(&difference.to),
        "counts": {
            "added": of(Kind::Added),
            "removed": of(Kind::Removed),
            "changed": of(Kind::Changed),
            "affected": of(Kind::Affected),
            "unchanged": difference.unchanged,
            "new_samples": counted(new),
            "removed_samples": counted(removed),
        },
        "features": difference.changes.iter().map(change).collect::<Vec<_>>(),
    })
}

fn side(side: &Side) -> Value {
    json!({
        "version": side.version,
        "current": side.pushed.is_none(),
        "store": side.pushed.as_ref().map(|snapshot| snapshot.store.as_str()),
        "pushed_at": side.pushed.as_ref().map(|snapshot| moment(snapshot.recorded_at)),
    })
}

fn change(change: &Change) -> Value {
    let is_removed = change.kind == Kind::Removed;
    json!({
        "feature": change.key.as_str(),
        "project": change.project,
        "change": change.kind.as_str(),
        "version": pair(&change.version),
        "definition_version": pair(&change.definition_version),
        "id_columns": pair(&change.id_columns),
        "fields": change.fields.iter().map(field).collect::<Vec<_>>(),
        "dependencies": change.dependencies.iter().map(dependency).collect::<Vec<_>>(),
        "members": members(&change.members),
        "schema_changed": change.schema_changed,
        "new_samples": change.samples.filter(|_| !is_removed),
        "removed_samples": change.samples.filter(|_| is_removed),
    })
}

fn field(field: &FieldChange) -> Value {
    json!({
        "field": field.key.as_str(),
        "change": field.kind.as_str(),
        "version": pair(&field.version),
        "code_version": pair(&field.code_version),
        "parents": { "from": parents(&field.parents.0), "to": parents(&field.parents.1) },
    })
}

fn dependency(dependency: &DependencyChange) -> Value {
    json!({
        "feature": dependency.feature.as_str(),
        "change": dependency.kind.as_str(),
        "members": members(&dependency.members),
    })
}

fn members(members: &[Member]) -> Value {
    let members = members.iter().map(|member| {
        let (from, to) = (plain(&member.values.0), plain(&member.values.1));
        (member.name.clone(), json!({ "from": from, "to": to }))
    });
    Value::Object(members.collect::<Map<_, _>>())
}

fn pair<T: Clone + Into<Value>>((from, to): &Pair<Option<T>>) -> Value {
    let value = |side: &Option<T>| side.clone().map_or(Value::Null, Into::into);
    json!({ "from": value(from), "to": value(to) })
}
