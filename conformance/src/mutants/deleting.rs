//! Faults of removing rows.

use async_trait::async_trait;
use metaxy_store::backend::Backend;
use metaxy_store::{Expr, FeatureKey, Result, col};

use super::{Fault, mutants};

mutants! {
    Condition(everything) => "deletes_everything": "removes all rows, whatever the condition";
    Condition(nulls_too) => "deletes_null_rows": "removes rows for which the condition is null";
    Condition(all_versions) => "deletes_across_versions": "removes rows of other feature versions";
    Pretend => "deletes_nothing": "says that rows are removed, and leaves them";
    Miscount => "miscounts_deletes": "says that no rows were removed";
    KeepTables => "keeps_dropped_tables": "says that a table is dropped, and leaves it";
    DropEmptied => "drops_emptied_tables": "forgets a table's columns once it has no rows";
}

/// Changes the condition, then deletes as it should.
struct Condition(fn(&Expr) -> Option<Expr>);

#[async_trait]
impl Fault for Condition {
    async fn delete(
        &self,
        inner: &dyn Backend,
        table: &FeatureKey,
        condition: Option<&Expr>,
    ) -> Result<u64> {
        let condition = match (condition.and_then(self.0), inner.schema(table).await?) {
            (Some(condition), Some(schema)) => Some(condition.bind(&schema)?),
            _ => None,
        };
        inner.delete(table, condition.as_ref()).await
    }
}

fn everything(_: &Expr) -> Option<Expr> {
    None
}

fn nulls_too(condition: &Expr) -> Option<Expr> {
    let columns = condition.columns().into_iter().map(str::to_owned);
    let null = columns.map(|name| col(name).is_null());
    Some(null.fold(condition.clone(), Expr::or))
}

/// Without what it says of the feature version.
fn all_versions(condition: &Expr) -> Option<Expr> {
    let about_version = |expr: &Expr| expr.columns().contains("metaxy_feature_version");
    if !about_version(condition) {
        return Some(condition.clone());
    }
    let rest = condition.children().iter();
    Expr::and_all(rest.filter(|expr| !about_version(expr)).cloned())
}

/// Does nothing.
struct Pretend;

#[async_trait]
impl Fault for Pretend {
    async fn delete(&self, _: &dyn Backend, _: &FeatureKey, _: Option<&Expr>) -> Result<u64> {
        Ok(1)
    }
}

/// Tells another number.
struct Miscount;

#[async_trait]
impl Fault for Miscount {
    async fn delete(
        &self,
        inner: &dyn Backend,
        table: &FeatureKey,
        condition: Option<&Expr>,
    ) -> Result<u64> {
        inner.delete(table, condition).await.map(|_| 0)
    }
}

/// Leaves tables that it says it dropped.
struct KeepTables;

#[async_trait]
impl Fault for KeepTables {
    async fn drop_table(&self, inner: &dyn Backend, table: &FeatureKey) -> Result<bool> {
        Ok(inner.schema(table).await?.is_some())
    }
}

/// Drops a table with its last row.
struct DropEmptied;

#[async_trait]
impl Fault for DropEmptied {
    async fn delete(
        &self,
        inner: &dyn Backend,
        table: &FeatureKey,
        condition: Option<&Expr>,
    ) -> Result<u64> {
        let deleted = inner.delete(table, condition).await?;
        if !inner.has_rows(table).await? {
            inner.drop_table(table).await?;
        }
        Ok(deleted)
    }
}
