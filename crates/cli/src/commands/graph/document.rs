//! A view as one JSON document: what `--format json` prints, and what the page looks things up in.

use std::collections::BTreeSet;

use metaxy_store::FeatureKey;
use metaxy_store::graph::feature_plan::ParentField;
use metaxy_store::json::Json;
use metaxy_store::store::FeatureStatus;
use serde_json::{Value, json};

use super::view::{Feature, Field, Standing, View};

/// The document. Its members are described in `docs/command.md`.
pub(crate) fn document(view: &View) -> Value {
    json!({
        "project": view.project,
        "version": view.version,
        "graph": view.what,
        "store": view.store,
        "features": view.features.iter().map(feature).collect::<Vec<_>>(),
    })
}

fn feature(feature: &Feature) -> Value {
    let definition = feature.definition.as_deref();
    let spec = definition.map(|definition| &definition.spec);
    let deps = spec.map(|spec| spec.to_json().get("deps").map_or(Value::Null, plain));
    let metadata = spec.map(|spec| Json::Object(spec.metadata().clone()));
    let mut document = json!({
        "feature": feature.key.as_str(),
        "project": feature.project(),
        "in_graph": definition.is_some(),
        "external": definition.is_some_and(|definition| definition.is_external()),
        "version": feature.version,
        "definition_version": feature.definition_version,
        "code_version": feature.code_version,
        "description": spec.and_then(|spec| spec.description()),
        "metadata": metadata.map(|metadata| plain(&metadata)),
        "id_columns": spec.map(|spec| spec.id_columns()),
        "fields": feature.fields.iter().map(field).collect::<Vec<_>>(),
        "dependencies": deps.unwrap_or_else(|| json!([])),
        "dependents": keys(&feature.dependents),
        "status": Value::Null,
    });
    match &feature.standing {
        Some(Standing::Status(status)) => document["status"] = self::status(status),
        Some(Standing::Change { tone, words }) => {
            document["change"] = json!({ "tone": tone.as_str(), "words": words });
        }
        None => {}
    }
    document
}

fn field(field: &Field) -> Value {
    json!({
        "field": field.key,
        "code_version": field.code_version,
        "version": field.version,
        "parents": parents(&field.parents),
    })
}

/// Fields of other features, as a document names them.
pub(crate) fn parents(parents: &[ParentField]) -> Value {
    let named = parents.iter().map(
        |parent| json!({ "feature": parent.feature.as_str(), "field": parent.field.as_str() }),
    );
    named.collect()
}

fn status(status: &FeatureStatus) -> Value {
    json!({
        "category": status.category.as_str(),
        "samples": status.samples,
        "new": status.counts.map(|counts| counts.new),
        "stale": status.counts.map(|counts| counts.stale),
        "orphaned": status.counts.map(|counts| counts.orphaned),
        "store": status.store,
        "compared_with": status.compared_with,
        "missing_upstream": status.missing_upstream.as_ref().map(FeatureKey::as_str),
        "state": status.state.as_str(),
        "failure": status.failure,
        "waits_for": status.waits_for.iter().map(|a| a.feature.as_str()).collect::<Vec<_>>(),
    })
}

fn keys(keys: &[FeatureKey]) -> Vec<&str> {
    let sorted: BTreeSet<&str> = keys.iter().map(FeatureKey::as_str).collect();
    sorted.into_iter().collect()
}

/// The value as other documents hold it. Numbers that no 64 bits hold become text.
pub(crate) fn plain(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Int(digits) => match (digits.parse::<i64>(), digits.parse::<u64>()) {
            (Ok(number), _) => number.into(),
            (_, Ok(number)) => number.into(),
            _ => digits.as_str().into(),
        },
        Json::Float(number) => (*number).into(),
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => items.iter().map(plain).collect(),
        Json::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| (name.clone(), plain(value)));
            Value::Object(members.collect())
        }
    }
}
