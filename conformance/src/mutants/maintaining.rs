//! Faults of maintenance.

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use async_trait::async_trait;
use metaxy_store::backend::Backend;
use metaxy_store::backend::maintain::{Maintenance, MaintenanceReport, Prune, Superseded};
use metaxy_store::plan::{Plan, Relation, Scan};
use metaxy_store::{Expr, FeatureKey, Result, col};

use super::{Fault, mutants};

mutants! {
    LatestToo => "prunes_the_latest": "removes the latest row too if it is old enough";
    AcrossVersions => "prunes_across_versions": "ranks the rows of all feature versions together";
    NeverDry => "prunes_in_a_dry_run": "removes rows when it is asked only to count them";
    Reluctant => "prunes_nothing": "says how many rows it would remove, and leaves them";
    Careless => "maintains_away_a_table": "drops a table when it puts the storage in order";
}

/// What is old goes, and what is not among the rows to keep.
struct LatestToo;

#[async_trait]
impl Fault for LatestToo {
    async fn prune(&self, inner: &dyn Backend, table: &FeatureKey, prune: &Prune) -> Result<u64> {
        let pruned = inner.prune(table, prune).await?;
        let (Superseded::Before(at), Some(schema), false) =
            (prune.superseded, inner.schema(table).await?, prune.dry_run)
        else {
            return Ok(pruned);
        };
        let old = before(at).bind(&schema)?;
        Ok(pruned + inner.delete(table, Some(&old)).await?)
    }
}

/// Was written and deleted before.
fn before(at: i64) -> Expr {
    let written = col("metaxy_updated_at").lt(metaxy_store::expr::Value::Timestamp(at));
    let deleted = col("metaxy_deleted_at").lt(metaxy_store::expr::Value::Timestamp(at));
    written.and(col("metaxy_deleted_at").is_null().or(deleted))
}

/// Removes the rows of other versions than that of the latest row over all, which is later.
struct AcrossVersions;

#[async_trait]
impl Fault for AcrossVersions {
    async fn prune(&self, inner: &dyn Backend, table: &FeatureKey, prune: &Prune) -> Result<u64> {
        let pruned = inner.prune(table, prune).await?;
        let ([id], Some(schema), false) = (
            prune.id_columns.as_slice(),
            inner.schema(table).await?,
            prune.dry_run,
        ) else {
            return Ok(pruned);
        };
        let scan = Scan {
            table: table.clone(),
            feature_version: None,
            as_of: None,
            latest_per: Some(prune.id_columns.clone()),
        };
        let latest = Relation::scan(scan, schema.clone());
        let latest = inner.query(Plan::from(latest)).await?.collect().await?;
        let mut removed = pruned;
        for batch in latest.batches() {
            let ids = batch.column_by_name(id);
            let ids = ids.and_then(|ids| ids.as_primitive_opt::<Int64Type>());
            let stamps = batch.column_by_name("metaxy_updated_at");
            let stamps = stamps.and_then(|at| at.as_primitive_opt::<TimestampMicrosecondType>());
            let versions = batch.column_by_name("metaxy_feature_version");
            let versions = versions.and_then(|versions| versions.as_string_opt::<i32>());
            let (Some(ids), Some(stamps), Some(versions)) = (ids, stamps, versions) else {
                continue;
            };
            let rows = ids.iter().zip(stamps).zip(versions);
            for ((sample, at), version) in rows {
                let (Some(sample), Some(at), Some(version)) = (sample, at, version) else {
                    continue;
                };
                let others = col("metaxy_feature_version").ne(version);
                let earlier = col(id.as_str()).eq(sample).and(others).and(before(at));
                let earlier = earlier.bind(&schema)?;
                removed += inner.delete(table, Some(&earlier)).await?;
            }
        }
        Ok(removed)
    }
}

/// Always does it.
struct NeverDry;

#[async_trait]
impl Fault for NeverDry {
    async fn prune(&self, inner: &dyn Backend, table: &FeatureKey, prune: &Prune) -> Result<u64> {
        inner.prune(table, &prune.clone().with_dry_run(false)).await
    }
}

/// Never does it.
struct Reluctant;

#[async_trait]
impl Fault for Reluctant {
    async fn prune(&self, inner: &dyn Backend, table: &FeatureKey, prune: &Prune) -> Result<u64> {
        inner.prune(table, &prune.clone().with_dry_run(true)).await
    }
}

/// One table less.
struct Careless;

#[async_trait]
impl Fault for Careless {
    async fn maintain(
        &self,
        inner: &dyn Backend,
        maintenance: &Maintenance,
    ) -> Result<MaintenanceReport> {
        if let (Some(table), false) = (maintenance.tables.first(), maintenance.dry_run) {
            inner.drop_table(table).await?;
        }
        inner.maintain(maintenance).await
    }
}
