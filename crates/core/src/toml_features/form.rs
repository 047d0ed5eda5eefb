//! The form of one feature in a TOML file.

use indexmap::IndexMap;

use super::reference::{DEP, EXTERNAL, FEATURE, FIELD, FIELD_DEP, KeyTable, LINEAGE, MAPPING};
use crate::definition::{External, FeatureDefinition, OnVersionMismatch};
use crate::error::{Error, ErrorKind, Result};
use crate::json::Json;
use crate::key::FieldKey;
use crate::spec::read::{Reader, key_text};
use crate::spec::{
    ALL_FIELDS, FeatureDep, FeatureSpec, FieldDep, FieldDeps, FieldSpec, FieldsMapping, Lineage,
};

pub(super) fn definition(value: &Json, project: Option<&str>) -> Result<FeatureDefinition> {
    // The key is wanted for messages before the other members are looked at.
    let key = key_text(
        Reader::any(value, "feature")?.required("key")?,
        "`key` of a feature",
    )?;
    let reader = known(value, format!("feature `{key}`"), &FEATURE)?;
    reader.required("id_columns")?;
    let mut spec = FeatureSpec::new(&key, reader.strings("id_columns")?.unwrap_or_default())?;
    for dep in reader.list("deps")?.unwrap_or_default() {
        spec = spec.with_dep(feature_dep(dep, reader.place())?);
    }
    if let Some(value) = reader.get("fields") {
        spec = spec.with_fields(fields(value, reader.place())?);
    }
    for (name, value) in reader.object("metadata")?.into_iter().flatten() {
        spec = spec.with_metadata(name, value.clone());
    }
    if let Some(description) = reader.text("description")? {
        spec = spec.with_description(description);
    }
    let Some(project) = reader.text("project")?.or(project) else {
        return Err(
            invalid(format!("{}: it belongs to no project", reader.place())).with_hint(
                "set `project` in the configuration, at the top of the file, or in the feature",
            ),
        );
    };
    let mut definition = match external(&reader)? {
        Some(external) => FeatureDefinition::external(spec, project, external),
        None => FeatureDefinition::new(spec, project),
    };
    if let Some(schema) = reader.object("schema")? {
        definition = definition.with_schema(Json::Object(schema.clone()));
    }
    if let Some(path) = reader.text("class_path")? {
        definition = definition.with_class_path(path);
    }
    Ok(definition)
}

fn feature_dep(value: &Json, feature: &str) -> Result<FeatureDep> {
    let of = |key: &Json| {
        let key = key_text(key, &format!("{feature}, deps"))?;
        FeatureDep::new(key).map_err(|e| e.with_context("in", feature))
    };
    if value.as_object().is_none() {
        return of(value);
    }
    let reader = known(value, format!("{feature}, deps"), &DEP)?;
    let mut dep = of(reader.required("feature")?)?;
    let reader = reader.named(format!("{feature}, dep `{}`", dep.feature));
    dep.select = reader.strings("select")?;
    dep.rename = reader.text_map("rename")?;
    dep.filters = reader.strings("filters")?;
    dep.optional = reader.flag("optional")?.unwrap_or(false);
    if let Some(value) = reader.get("lineage") {
        dep.lineage = lineage(value, reader.place())?;
    }
    if let Some(value) = reader.get("fields_mapping") {
        dep.fields_mapping = fields_mapping(value, reader.place())?;
    }
    Ok(dep)
}

fn lineage(value: &Json, dep: &str) -> Result<Lineage> {
    let place = format!("{dep}, lineage");
    match value {
        Json::String(word) if word == "identity" => return Ok(Lineage::Identity),
        Json::String(word) if word == "aggregation" => {
            return Ok(Lineage::Aggregation { on: None });
        }
        Json::String(word) => {
            return Err(invalid(format!("{place} is {word:?}")).with_hint(
                "write \"identity\", \"aggregation\", { aggregation = [\"column\"] } or { expansion = [\"column\"] }",
            ));
        }
        _ => {}
    }
    let reader = known(value, place, &LINEAGE)?;
    let id_generation_pattern = reader.text("id_generation_pattern")?.map(str::to_owned);
    match (
        reader.strings("aggregation")?,
        reader.strings("expansion")?,
        id_generation_pattern,
    ) {
        (Some(on), None, None) => Ok(Lineage::Aggregation { on: Some(on) }),
        (None, Some(on), id_generation_pattern) => Ok(Lineage::Expansion {
            on,
            id_generation_pattern,
        }),
        _ => Err(invalid(format!(
            "{}: expected one of `aggregation` and `expansion`",
            reader.place()
        ))
        .with_hint("`id_generation_pattern` goes with `expansion` only")),
    }
}

fn fields_mapping(value: &Json, dep: &str) -> Result<FieldsMapping> {
    let place = format!("{dep}, fields_mapping");
    match value.as_str() {
        Some("default") => return Ok(FieldsMapping::default()),
        Some("all") => return Ok(FieldsMapping::All),
        Some("none") => return Ok(FieldsMapping::None),
        Some(word) => {
            return Err(invalid(format!("{place} is {word:?}")).with_hint(
                "write \"default\", \"all\", \"none\", { match_suffix = true, exclude_fields = […] } or { specific = { … } }",
            ));
        }
        None => {}
    }
    let reader = known(value, place.as_str(), &MAPPING)?;
    let located = |e: Error| e.with_context("in", &place);
    let (match_suffix, exclude) = (reader.flag("match_suffix")?, reader.keys("exclude_fields")?);
    let Some(specific) = reader.get("specific") else {
        let exclude_fields = exclude
            .unwrap_or_default()
            .iter()
            .map(FieldKey::new)
            .collect::<Result<_>>();
        return Ok(FieldsMapping::Default {
            match_suffix: match_suffix.unwrap_or(false),
            exclude_fields: exclude_fields.map_err(located)?,
        });
    };
    if match_suffix.is_some() || exclude.is_some() {
        return Err(
            invalid(format!("{place}: `specific` stands alone")).with_hint("remove the other keys")
        );
    }
    let specific = Reader::any(specific, format!("{place}, specific"))?;
    let entries = specific
        .members()
        .map(|(field, _)| Ok((field, specific.keys(field)?.unwrap_or_default())));
    FieldsMapping::specific(entries.collect::<Result<Vec<_>>>()?).map_err(located)
}

fn fields(value: &Json, feature: &str) -> Result<Vec<FieldSpec>> {
    let new = |key: &str| FieldSpec::new(key).map_err(|e| e.with_context("in", feature));
    match value {
        Json::Array(keys) => keys
            .iter()
            .map(|key| new(&key_text(key, &format!("{feature}, fields"))?))
            .collect(),
        Json::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| field(new(key)?, value, feature));
            fields.collect()
        }
        _ => Err(invalid(format!(
            "{feature}: `fields` must be a table or a list of keys, found {}",
            value.kind()
        ))
        .with_hint("write `fields = { frames = \"1\" }` or `fields = [\"frames\"]`")),
    }
}

fn field(field: FieldSpec, value: &Json, feature: &str) -> Result<FieldSpec> {
    let place = format!("{feature}, field `{}`", field.key);
    if let Some(code_version) = value.as_str() {
        return Ok(field.with_code_version(code_version));
    }
    if matches!(value, Json::Int(_) | Json::Float(_)) {
        return Err(
            invalid(format!("{place}: its code version is {}", value.kind()))
                .with_hint(format!("a code version is text: write \"{value}\"")),
        );
    }
    let reader = known(value, place, &FIELD)?;
    let field = match reader.text("code_version")? {
        Some(code_version) => field.with_code_version(code_version),
        None => field,
    };
    if let Some(Json::String(word)) = reader.get("deps") {
        return match word.as_str() {
            "all" | ALL_FIELDS => Ok(field.with_deps(FieldDeps::All)),
            _ => Err(invalid(format!("{}: `deps` is {word:?}", reader.place()))
                .with_hint("write \"all\", or a list of upstream features")),
        };
    }
    let deps = reader
        .list("deps")?
        .unwrap_or_default()
        .iter()
        .map(|dep| field_dep(dep, reader.place()));
    Ok(deps
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .fold(field, FieldSpec::with_dep))
}

fn field_dep(value: &Json, field: &str) -> Result<FieldDep> {
    let place = format!("{field}, deps");
    let located = |e: Error| e.with_context("in", field);
    if value.as_object().is_none() {
        return FieldDep::all(key_text(value, &place)?).map_err(located);
    }
    let reader = known(value, place.as_str(), &FIELD_DEP)?;
    let feature = key_text(reader.required("feature")?, &place)?;
    match reader.get("fields") {
        None => FieldDep::all(feature),
        Some(Json::String(word)) if word == "all" || word == ALL_FIELDS => FieldDep::all(feature),
        Some(_) => FieldDep::new(feature, reader.keys("fields")?.unwrap_or_default()),
    }
    .map_err(located)
}

fn external(feature: &Reader<'_>) -> Result<Option<External>> {
    let value = match feature.get("external") {
        None | Some(Json::Bool(false)) => return Ok(None),
        Some(Json::Bool(true)) => return Ok(Some(External::default())),
        Some(value) => value,
    };
    let reader = known(value, format!("{}, external", feature.place()), &EXTERNAL)?;
    let mut external = External::default();
    if let Some(versions) = reader.text_map("provenance_by_field")? {
        let versions = versions
            .into_iter()
            .map(|(field, version)| Ok((FieldKey::new(field)?, version)));
        let versions = versions.collect::<Result<IndexMap<_, _>>>();
        external.provenance_by_field =
            Some(versions.map_err(|e| e.with_context("in", reader.place()))?);
    }
    external.on_version_mismatch = match reader.text("on_version_mismatch")? {
        None | Some("warn") => OnVersionMismatch::Warn,
        Some("error") => OnVersionMismatch::Error,
        Some(other) => {
            return Err(invalid(format!(
                "{}: `on_version_mismatch` is {other:?}",
                reader.place()
            ))
            .with_hint("write \"warn\" or \"error\""));
        }
    };
    Ok(Some(external))
}

/// A table all of whose keys are in the reference.
pub(super) fn known<'a>(
    value: &'a Json,
    place: impl Into<String>,
    table: &KeyTable,
) -> Result<Reader<'a>> {
    Reader::new(value, place, &table.names())
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidDefinition, message)
}
