//! What stands where in a lock file.
//!
//! `features.<key>.info` has the versions, `features.<key>.data` the definition: the spec as tables without null members, the
//! schema as JSON text. TOML has no null; in metadata, where one may mean something, it is a table of its own.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use crate::definition::FeatureDefinition;
use crate::error::{Error, ErrorKind, Result};
use crate::json::Json;
use crate::key::{FeatureKey, FieldKey};
use crate::spec::FeatureSpec;
use crate::spec::read::Reader;

use super::{LockFile, LockedFeature};

/// The one member of a table that stands for a null in metadata.
const NULL: &str = "__metaxy_null__";

const METADATA: &str = "metadata";

pub(super) fn json(file: &LockFile) -> Json {
    let features = file
        .features
        .iter()
        .map(|(key, locked)| (key.as_str(), feature_json(locked)));
    Json::object([("features", Json::object(features))])
}

pub(super) fn read(file: &Json) -> Result<LockFile> {
    let reader = Reader::new(file, "the file", &["features"])?;
    reader.required("features")?;
    let mut features = BTreeMap::new();
    for (key, value) in reader.object("features")?.into_iter().flatten() {
        let key = FeatureKey::new(key)?;
        let locked = read_feature(&key, value)?;
        features.insert(key, locked);
    }
    Ok(LockFile { features })
}

fn feature_json(locked: &LockedFeature) -> Json {
    let definition = &locked.definition;
    let mut data = vec![
        ("spec", spec_json(&definition.spec)),
        (
            "feature_schema",
            Json::from(definition.feature_schema.to_compact()),
        ),
        ("project", Json::from(definition.project.as_str())),
    ];
    if !definition.feature_class_path.is_empty() {
        let path = Json::from(definition.feature_class_path.as_str());
        data.push(("feature_class_path", path));
    }
    let fields = locked
        .version_by_field
        .iter()
        .map(|(field, version)| (field.as_str(), Json::from(version.as_str())));
    let info = Json::object([
        ("version", Json::from(locked.version.as_str())),
        ("version_by_field", Json::object(fields)),
        (
            "definition_version",
            Json::from(locked.definition_version.as_str()),
        ),
    ]);
    Json::object([("data", Json::object(data)), ("info", info)])
}

fn spec_json(spec: &FeatureSpec) -> Json {
    let Json::Object(members) = spec.to_json() else {
        return Json::Null;
    };
    let members = members.into_iter().filter(|(_, value)| !value.is_null());
    Json::object(members.map(|(name, value)| {
        let value = match name == METADATA {
            true => with_marked_nulls(value),
            false => without_nulls(value),
        };
        (name, value)
    }))
}

fn read_feature(key: &FeatureKey, value: &Json) -> Result<LockedFeature> {
    let place = |part: &str| format!("feature `{key}`{part}");
    let reader = Reader::new(value, place(""), &["info", "data"])?;
    let info = Reader::new(
        reader.required("info")?,
        place(", info"),
        &["version", "version_by_field", "definition_version"],
    )?;
    let data = Reader::new(
        reader.required("data")?,
        place(", data"),
        &["spec", "feature_schema", "feature_class_path", "project"],
    )?;
    info.required("version_by_field")?;
    let fields: Result<IndexMap<FieldKey, String>> = info
        .text_map("version_by_field")?
        .unwrap_or_default()
        .into_iter()
        .map(|(field, version)| Ok((FieldKey::new(field)?, version)))
        .collect();
    Ok(LockedFeature {
        version: required_text(&info, "version")?.to_owned(),
        version_by_field: fields?,
        definition_version: required_text(&info, "definition_version")?.to_owned(),
        definition: definition(key, &data)?,
    })
}

fn definition(key: &FeatureKey, data: &Reader<'_>) -> Result<FeatureDefinition> {
    let mut spec = data.required("spec")?.clone();
    if let Json::Object(members) = &mut spec
        && let Some(metadata) = members.get_mut(METADATA)
    {
        *metadata = with_nulls(std::mem::take(metadata));
    }
    let spec = FeatureSpec::from_recorded(&spec)?;
    if spec.key() != key {
        let message = format!("{}: its spec is that of `{}`", data.place(), spec.key());
        return Err(Error::new(ErrorKind::InvalidDefinition, message));
    }
    let schema = match data.required("feature_schema")? {
        Json::String(text) => Json::parse(text)?,
        table => table.clone(),
    };
    let project = required_text(data, "project")?;
    if project.is_empty() || schema.as_object().is_none() {
        let message = format!(
            "{}: `project` must not be empty, and `feature_schema` must be a JSON object",
            data.place()
        );
        return Err(Error::new(ErrorKind::InvalidDefinition, message));
    }
    let path = data.text("feature_class_path")?.unwrap_or_default();
    Ok(FeatureDefinition::new(spec, project)
        .with_schema(schema)
        .with_class_path(path))
}

fn required_text<'a>(reader: &Reader<'a>, name: &str) -> Result<&'a str> {
    let value = reader.required(name)?;
    value
        .as_str()
        .ok_or_else(|| reader.wrong(name, "a string", value))
}

fn without_nulls(value: Json) -> Json {
    map(value, &|value| match value {
        Json::Object(mut members) => {
            members.retain(|_, value| !value.is_null());
            Json::Object(members)
        }
        value => value,
    })
}

fn with_marked_nulls(value: Json) -> Json {
    map(value, &|value| match value {
        Json::Null => Json::object([(NULL, Json::Bool(true))]),
        value => value,
    })
}

fn with_nulls(value: Json) -> Json {
    map(value, &|value| match &value {
        Json::Object(members) if members.len() == 1 && members.contains_key(NULL) => Json::Null,
        _ => value,
    })
}

/// Changes a value and those in it, the inner ones first. Nesting is bounded where JSON and TOML are read.
fn map(value: Json, change: &impl Fn(Json) -> Json) -> Json {
    change(match value {
        Json::Array(items) => items.into_iter().map(|item| map(item, change)).collect(),
        Json::Object(members) => Json::object(
            members
                .into_iter()
                .map(|(name, value)| (name, map(value, change))),
        ),
        plain => plain,
    })
}
