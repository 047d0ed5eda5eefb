//! What is known of the columns of a feature before a file with its samples is read.
//!
//! Text formats do not say what `7` or `2024-01-31` is. A column gets the type that it is stored with; before the first
//! write, the type with which upstream hands it on. Of other columns the feature's JSON schema says whether they hold text, numbers or
//! truth values.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use indexmap::IndexSet;
use metaxy_store::json::Json;
use metaxy_store::plan::Part;
use metaxy_store::{FeatureKey, MetadataStore, ResolveOptions, Result, columns};

use metaxy_frames::Format;

/// The types that the columns of `feature` must have, as far as they are known.
pub(super) async fn schema(
    store: &MetadataStore,
    feature: &FeatureKey,
    format: Option<Format>,
) -> Result<Option<SchemaRef>> {
    let definition = store.graph().require(feature)?;
    let spec = &definition.spec;
    let known = match store.find_store(feature).await? {
        Some(owner) => owner.feature_schema(feature).await?,
        // Parquet has types of its own.
        None if format == Some(Format::Parquet) => None,
        None => expected(store, feature).await,
    };
    let mut fields: Vec<Field> = known
        .iter()
        .flat_map(|schema| schema.fields())
        .map(|field| field.as_ref().clone())
        .collect();
    for field in declared(&definition.feature_schema) {
        if !fields.iter().any(|known| known.name() == field.name()) {
            fields.push(field);
        }
    }
    let mut struct_keys: Vec<String> = spec.fields().iter().map(|f| f.key.struct_key()).collect();
    struct_keys.sort();
    for name in [columns::PROVENANCE_BY_FIELD, columns::DATA_VERSION_BY_FIELD] {
        let position = fields.iter().position(|field| field.name() == name);
        let stored = position.map(|at| fields.remove(at));
        let stored = stored.as_ref().map(Field::data_type);
        fields.push(by_field(name, stored, &struct_keys));
    }
    Ok(Some(Arc::new(Schema::new(fields))))
}

/// The columns that a resolve would give. That nothing can be resolved yet is no failure here.
async fn expected(store: &MetadataStore, feature: &FeatureKey) -> Option<SchemaRef> {
    if store.graph().require(feature).ok()?.spec.deps().is_empty() {
        return None;
    }
    let increment = store
        .resolve_lazy(feature, ResolveOptions::default())
        .await
        .ok()?;
    Some(increment.plan().schema(Part::New).clone())
}

/// The columns of a JSON schema whose type is plain.
fn declared(schema: &Json) -> Vec<Field> {
    let properties = schema.get("properties").and_then(Json::as_object);
    let columns = properties
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| {
            let data_type = plain_type(value)?;
            Some(Field::new(name, data_type, true))
        });
    columns
        .filter(|column| !columns::is_system(column.name()))
        .collect()
}

/// The type that a JSON schema stands for, or one with `null` as the other choice. A format, such as that of a date, makes text something
/// else, and which of several types it is, a schema does not say.
fn plain_type(schema: &Json) -> Option<DataType> {
    if let Some(choices) = schema.get("anyOf").and_then(Json::as_array) {
        let is_null = |choice: &&Json| choice.get("type").and_then(Json::as_str) == Some("null");
        let (nulls, others): (Vec<&Json>, Vec<&Json>) = choices.iter().partition(is_null);
        return match (nulls.as_slice(), others.as_slice()) {
            ([_], [other]) => plain_type(other),
            _ => None,
        };
    }
    match (schema.get("format"), schema.get("type")?.as_str()?) {
        (None, "string") => Some(DataType::Utf8),
        (None, "integer") => Some(DataType::Int64),
        (None, "number") => Some(DataType::Float64),
        (None, "boolean") => Some(DataType::Boolean),
        _ => None,
    }
}

/// A by-field column with the stored members and those of the feature's fields.
fn by_field(name: &str, stored: Option<&DataType>, struct_keys: &[String]) -> Field {
    let mut members: IndexSet<&str> = IndexSet::new();
    if let Some(DataType::Struct(fields)) = stored {
        members.extend(fields.iter().map(|field| field.name().as_str()));
    }
    members.extend(struct_keys.iter().map(String::as_str));
    let members: Fields = members
        .into_iter()
        .map(|member| Field::new(member, DataType::Utf8, true))
        .collect();
    Field::new(name, DataType::Struct(members), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_types_of_a_json_schema_are_known() {
        let schema = Json::parse(
            r#"{"properties": {
                "isbn": {"type": "string"},
                "pages": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                "price": {"type": "number"},
                "out_of_print": {"type": "boolean"},
                "printed": {"type": "string", "format": "date"},
                "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
                "tags": {"items": {"type": "string"}, "type": "array"},
                "anything": {},
                "metaxy_created_at": {"type": "string"}
            }}"#,
        );
        let known: Vec<String> = declared(&schema.unwrap())
            .iter()
            .map(|column| format!("{} {}", column.name(), column.data_type()))
            .collect();
        assert_eq!(
            known,
            [
                "isbn Utf8",
                "pages Int64",
                "price Float64",
                "out_of_print Boolean"
            ]
        );
        assert!(declared(&Json::Null).is_empty());
    }
}
