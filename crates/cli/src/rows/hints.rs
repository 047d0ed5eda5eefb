//! What is known of the columns of a feature before a file with its samples is read.
//!
//! Text formats do not say what `7` or `2024-01-31` is. A column gets the type that it is stored with; before the first
//! write, the type with which upstream hands it on.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use indexmap::IndexSet;
use metaxy_core::plan::Part;
use metaxy_core::{FeatureKey, MetadataStore, ResolveOptions, Result, columns};

use crate::frames::Format;

/// The types that the columns of `feature` must have, as far as they are known.
pub(super) async fn schema(
    store: &MetadataStore,
    feature: &FeatureKey,
    format: Option<Format>,
) -> Result<Option<SchemaRef>> {
    let spec = &store.graph().require(feature)?.spec;
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
