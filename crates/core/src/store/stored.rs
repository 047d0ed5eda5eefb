//! What a store holds of a feature, version by version.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};

use super::MetadataStore;
use crate::columns;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Rows;
use crate::key::FeatureKey;
use crate::plan::{JoinKind, Plan, ReadScope, Relation, Scan, read_current};

impl MetadataStore {
    /// How many rows of a feature this store has under each feature version: every row ever written that is still there,
    /// superseded ones and tombstones included. Fallback stores do not count.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn rows_by_version(&self, feature: &FeatureKey) -> Result<BTreeMap<String, u64>> {
        let Some(schema) = self.feature_schema(feature).await? else {
            return Ok(BTreeMap::new());
        };
        let scan = Scan {
            table: feature.clone(),
            feature_version: None,
            as_of: None,
            latest_per: None,
        };
        let counted = Relation::scan(scan, schema).count(vec![columns::FEATURE_VERSION.into()])?;
        let mut rows = BTreeMap::new();
        for batch in self.counted(feature, counted).await?.batches() {
            let versions = cast(batch.column(0), &DataType::Utf8)?;
            let versions = versions.as_string::<i32>();
            for (row, number) in numbers(batch.column(1))?.into_iter().enumerate() {
                // Rows that some other program wrote without a version belong to none.
                let version = if versions.is_valid(row) {
                    versions.value(row)
                } else {
                    ""
                };
                *rows.entry(version.to_owned()).or_default() += number;
            }
        }
        Ok(rows)
    }

    /// How many samples of a feature this store has under feature version `version`, identified by `id_columns`: the latest row
    /// of each under that version, without soft-deleted ones. With `but_not`, only those that have no row under that other version:
    /// what a change from `version` to `but_not` leaves to be computed again. Fallback stores do not count.
    ///
    /// The feature need not be in the graph, and the versions need not be what the graph makes of it.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn samples_of_version(
        &self,
        feature: &FeatureKey,
        id_columns: &[String],
        version: &str,
        but_not: Option<&str>,
    ) -> Result<u64> {
        let Some(schema) = self.feature_schema(feature).await? else {
            return Ok(0);
        };
        if id_columns
            .iter()
            .any(|id| schema.field_with_name(id).is_err())
        {
            return Ok(0);
        }
        let ids = |scope: &ReadScope| -> Result<Relation> {
            let rows = read_current(feature, &schema, id_columns, scope, &[])?;
            rows.select(id_columns.iter().map(String::as_str))
        };
        let samples = ids(&ReadScope::current(version))?;
        let all = self.count(feature, samples.clone()).await?;
        let Some(other) = but_not.filter(|_| all > 0) else {
            return Ok(all);
        };
        let mut scope = ReadScope::current(other);
        // A sample that was deleted under the other version is dealt with as well.
        scope.include_soft_deleted = true;
        let both = samples.join(ids(&scope)?, id_columns.to_vec(), JoinKind::Inner)?;
        Ok(all.saturating_sub(self.count(feature, both).await?))
    }

    /// How many rows the relation has.
    pub(super) async fn count(&self, feature: &FeatureKey, relation: Relation) -> Result<u64> {
        let rows = self.counted(feature, relation.count(Vec::new())?).await?;
        let mut total = 0;
        for batch in rows.batches() {
            total += numbers(batch.column(0))?.into_iter().sum::<u64>();
        }
        Ok(total)
    }

    async fn counted(&self, feature: &FeatureKey, relation: Relation) -> Result<Rows> {
        let rows = self.backend().query(Plan::from(relation)).await;
        let rows = rows.map_err(|e| self.about(e, feature))?;
        rows.collect().await.map_err(|e| self.about(e, feature))
    }
}

fn numbers(column: &dyn Array) -> Result<Vec<u64>> {
    let broken = || Error::new(ErrorKind::Internal, "a count that is no number");
    let column = column.as_primitive_opt::<Int64Type>().ok_or_else(broken)?;
    column
        .values()
        .iter()
        .map(|number| u64::try_from(*number).map_err(|_| broken()))
        .collect()
}
