//! Faults of removing rows.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use metaxy_store::backend::Backend;
use metaxy_store::delete::DeleteSamples;
use metaxy_store::plan::{Plan, Relation, Scalar, Scan};
use metaxy_store::{Expr, FeatureKey, Result, col};

use super::{Fault, mutants};

mutants! {
    Condition(everything) => "deletes_everything": "removes all rows, whatever the condition";
    Condition(nulls_too) => "deletes_null_rows": "removes rows for which the condition is null";
    Condition(all_versions) => "deletes_across_versions": "removes rows of other feature versions";
    Samples(rows) => "deletes_rows_instead_of_samples": "lets a condition see every row of a sample, and removes those that match";
    Samples(of_all_versions) => "deletes_samples_across_versions": "removes rows of samples of other feature versions";
    Samples(living) => "spares_tombstones": "removes no sample that is marked as deleted";
    Samples(null_samples_too) => "deletes_null_samples": "removes samples for which the condition is null";
    AnyRow => "deletes_samples_by_any_row": "removes a sample if any row of it meets the condition";
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

/// Changes which samples are meant, then removes them as it should.
struct Samples(fn(DeleteSamples) -> DeleteSamples);

#[async_trait]
impl Fault for Samples {
    async fn delete_samples(
        &self,
        inner: &dyn Backend,
        table: &FeatureKey,
        samples: &DeleteSamples,
    ) -> Result<u64> {
        let mut samples = self.0(samples.clone());
        if let Some(schema) = inner.schema(table).await? {
            samples.condition = samples.condition.bind(&schema)?;
        }
        inner.delete_samples(table, &samples).await
    }
}

/// Looks only at rows that match: of these the latest matches, always.
fn rows(samples: DeleteSamples) -> DeleteSamples {
    let among = samples.looked_at_where(samples.condition.clone());
    samples.with_among(among)
}

fn of_all_versions(mut samples: DeleteSamples) -> DeleteSamples {
    samples.among = None;
    samples
}

fn living(mut samples: DeleteSamples) -> DeleteSamples {
    let alive = col("metaxy_deleted_at").is_null();
    samples.condition = samples.condition.and(alive);
    samples
}

fn null_samples_too(mut samples: DeleteSamples) -> DeleteSamples {
    if let Some(condition) = nulls_too(&samples.condition) {
        samples.condition = condition;
    }
    samples
}

/// Removes what has the ID of a row that matches.
struct AnyRow;

#[async_trait]
impl Fault for AnyRow {
    async fn delete_samples(
        &self,
        inner: &dyn Backend,
        table: &FeatureKey,
        samples: &DeleteSamples,
    ) -> Result<u64> {
        let (Some(schema), [id]) = (inner.schema(table).await?, samples.id_columns.as_slice())
        else {
            return inner.delete_samples(table, samples).await;
        };
        let scan = Scan::all(table.clone());
        let matching = Relation::scan(scan, schema.clone());
        let matching = matching.filter(Scalar::Test(samples.condition.clone()))?;
        let matching = inner.query(Plan::from(matching)).await?.collect().await?;
        let mut ids = Vec::new();
        for batch in matching.batches() {
            let found = batch.column_by_name(id);
            let found = found.and_then(|ids| ids.as_primitive_opt::<Int64Type>());
            ids.extend(found.into_iter().flatten().flatten());
        }
        let rows = col(id.as_str()).is_in(ids).bind(&schema)?;
        let rows = samples.looked_at_where(rows);
        inner.delete(table, Some(&rows)).await
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

    async fn delete_samples(
        &self,
        _: &dyn Backend,
        _: &FeatureKey,
        _: &DeleteSamples,
    ) -> Result<u64> {
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
