//! Faults of opening, and of what a backend says of itself and its tables.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use metaxy_store::backend::{Backend, Capabilities, Description};
use metaxy_store::plan::{Node, Plan, Scalar};
use metaxy_store::{Access, Error, ErrorKind, Expr, FeatureKey, Frame, Result};

use super::{Fault, for_reading, mutants};
use crate::factory::StoreRequest;

mutants! {
    Forgetful => "forgets_on_opening": "is empty whenever it is opened";
    AlwaysWrites => "ignores_access": "writes although it was opened for reading";
    Leaky => "leaks_a_secret": "shows the password of its server";
    LacksAHash => "claims_a_hash": "claims a hash algorithm that it does not have";
    NoDelete => "claims_hard_deletes": "claims hard deletes and refuses them";
    Modest => "denies_hard_deletes": "denies hard deletes and does them";
    ShortNames => "cuts_table_names": "cuts the names of tables to twelve characters";
    NeverRows => "never_has_rows": "says that a table with rows has none";
    AlwaysRows => "emptied_tables_have_rows": "says that an emptied table has rows";
    Unsorted => "lists_tables_unsorted": "lists tables in any order";
    HidesATable => "hides_tables": "leaves the first table out of the list";
    LastColumn => "forgets_a_column": "says that a table lacks its last column";
}

/// Another store each time.
struct Forgetful;

impl Fault for Forgetful {
    fn opening(&self, mut request: StoreRequest, nth: usize) -> StoreRequest {
        request.case = format!("{}#{nth}", request.case);
        request
    }
}

/// Opened for writing, always.
struct AlwaysWrites;

impl Fault for AlwaysWrites {
    fn opening(&self, request: StoreRequest, _: usize) -> StoreRequest {
        match for_reading(&request) {
            true => request.with_access(Access::Write),
            false => request,
        }
    }
}

/// Shows a password.
struct Leaky;

impl Fault for Leaky {
    fn describe(&self, description: Description) -> Description {
        let location = "postgres://metaxy:hunter2@localhost/samples";
        Description::new(description.kind, location)
    }
}

/// Refuses plans with one of the algorithms it claims: the last.
struct LacksAHash;

#[async_trait]
impl Fault for LacksAHash {
    async fn query(&self, inner: &dyn Backend, plan: Plan) -> Result<Frame> {
        let absent = inner.capabilities().hash_algorithms.last().copied();
        let mut known = true;
        plan.relation.rewrite(&mut |step| {
            if let Node::Project { columns, .. } = step.node() {
                known &= !columns.iter().any(|(_, value)| {
                    matches!(value, Scalar::Hash { spec, .. } if Some(spec.algorithm) == absent)
                });
            }
            Ok(step)
        })?;
        match known {
            true => inner.query(plan).await,
            false => Err(Error::new(ErrorKind::Unsupported, "there is no such hash")),
        }
    }
}

/// Refuses what it claims.
struct NoDelete;

#[async_trait]
impl Fault for NoDelete {
    async fn delete(&self, _: &dyn Backend, _: &FeatureKey, _: Option<&Expr>) -> Result<u64> {
        Err(Error::new(ErrorKind::Unsupported, "rows cannot be removed"))
    }
}

/// Denies what it does.
struct Modest;

impl Fault for Modest {
    fn capabilities(&self, capabilities: Capabilities) -> Capabilities {
        capabilities.with_hard_delete(false)
    }
}

/// Tables whose names begin alike are one.
struct ShortNames;

impl Fault for ShortNames {
    fn table(&self, table: &FeatureKey) -> FeatureKey {
        let name = table.as_str();
        let short = name.get(..12).unwrap_or(name).trim_end_matches(['/', '_']);
        match name.starts_with("metaxy-system") {
            true => table.clone(),
            false => FeatureKey::new(short).unwrap_or_else(|_| table.clone()),
        }
    }
}

/// Nothing anywhere.
struct NeverRows;

#[async_trait]
impl Fault for NeverRows {
    async fn has_rows(&self, _: &dyn Backend, _: &FeatureKey) -> Result<bool> {
        Ok(false)
    }
}

/// A table is enough.
struct AlwaysRows;

#[async_trait]
impl Fault for AlwaysRows {
    async fn has_rows(&self, inner: &dyn Backend, table: &FeatureKey) -> Result<bool> {
        Ok(inner.schema(table).await?.is_some())
    }
}

/// Backwards.
struct Unsorted;

#[async_trait]
impl Fault for Unsorted {
    async fn tables(&self, inner: &dyn Backend) -> Result<Vec<String>> {
        let tables = inner.tables().await?;
        Ok(tables.into_iter().rev().collect())
    }
}

/// One less.
struct HidesATable;

#[async_trait]
impl Fault for HidesATable {
    async fn tables(&self, inner: &dyn Backend) -> Result<Vec<String>> {
        let tables = inner.tables().await?;
        Ok(tables.into_iter().skip(1).collect())
    }
}

/// A column less.
struct LastColumn;

#[async_trait]
impl Fault for LastColumn {
    async fn schema(&self, inner: &dyn Backend, table: &FeatureKey) -> Result<Option<SchemaRef>> {
        let schema = inner.schema(table).await?;
        Ok(schema.map(|schema| {
            let fields = schema.fields();
            let kept = fields.len().saturating_sub(1);
            Arc::new(Schema::new(
                fields.iter().take(kept).cloned().collect::<Vec<_>>(),
            ))
        }))
    }
}
