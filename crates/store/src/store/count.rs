//! Counting rows where they are.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

use super::MetadataStore;
use super::versions::text;
use crate::clock::Micros;
use crate::columns;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Rows;
use crate::key::FeatureKey;
use crate::plan::{JoinKind, Plan, ReadOptions, ReadScope, Relation, Scan, read_current};

impl MetadataStore {
    /// How many rows a [`read`](Self::read) would give, counted where they are.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub async fn count(&self, feature: &FeatureKey, options: ReadOptions) -> Result<u64> {
        let (relation, store) = self.reading(feature, &options).await?;
        store.number_of(feature, relation).await
    }

    /// Every time at which this store's rows of the feature were written or deleted, with the feature version of those rows; in order of
    /// time, in UTC microseconds. Nothing if it has no table.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn times_of_writes(
        &self,
        feature: &FeatureKey,
    ) -> Result<Vec<(Micros, Option<String>)>> {
        let Some(schema) = self.feature_schema(feature).await? else {
            return Ok(Vec::new());
        };
        let by = [
            columns::FEATURE_VERSION,
            columns::UPDATED_AT,
            columns::DELETED_AT,
        ];
        let scan = Scan::all(feature.clone());
        let relation = Relation::scan(scan, schema).count(by.map(str::to_owned).to_vec())?;
        let rows = self.inner.backend.query(Plan::from(relation)).await;
        let rows = rows.map_err(|e| self.about(e, feature))?.collect().await?;
        let mut times = BTreeSet::new();
        for batch in rows.batches() {
            let versions = text(batch.column(0))?;
            let versions = versions.as_string::<i32>();
            let [written, deleted] = [1, 2].map(|at| {
                let array = batch.column(at);
                array.as_primitive_opt::<TimestampMicrosecondType>()
            });
            let (Some(written), Some(deleted)) = (written, deleted) else {
                return Err(broken());
            };
            for (row, (written, deleted)) in written.iter().zip(deleted).enumerate() {
                let version = versions
                    .is_valid(row)
                    .then(|| versions.value(row).to_owned());
                times.extend(deleted.or(written).map(|at| (at, version)));
            }
        }
        Ok(times.into_iter().collect())
    }

    /// How many rows of each feature version this store's table has, superseded and deleted ones included; ordered by version.
    /// Nothing if it has no table.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn rows_by_version(
        &self,
        feature: &FeatureKey,
    ) -> Result<Vec<(Option<String>, u64)>> {
        let Some(schema) = self.feature_schema(feature).await? else {
            return Ok(Vec::new());
        };
        let by = match schema.field_with_name(columns::FEATURE_VERSION) {
            Ok(_) => vec![columns::FEATURE_VERSION.to_owned()],
            Err(_) => Vec::new(),
        };
        let scan = Scan::all(feature.clone());
        let relation = Relation::scan(scan, schema).count(by);
        let mut versions = self
            .counted(relation)
            .await
            .map_err(|e| self.about(e, feature))?;
        versions.retain(|(_, rows)| *rows > 0);
        versions.sort();
        Ok(versions)
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
        let all = self.number_of(feature, samples.clone()).await?;
        let Some(other) = but_not.filter(|_| all > 0) else {
            return Ok(all);
        };
        let mut scope = ReadScope::current(other);
        // A sample that was deleted under the other version is dealt with as well.
        scope.include_soft_deleted = true;
        let both = samples.join(ids(&scope)?, id_columns.to_vec(), JoinKind::Inner)?;
        Ok(all.saturating_sub(self.number_of(feature, both).await?))
    }

    /// How many rows the relation has.
    pub(super) async fn number_of(&self, feature: &FeatureKey, relation: Relation) -> Result<u64> {
        let counted = self.counted(relation.count(Vec::new())).await;
        let counted = counted.map_err(|e| self.about(e, feature))?;
        // Without a row there is no group to count.
        Ok(counted.first().map_or(0, |(_, rows)| *rows))
    }

    /// The groups of a count over at most one column of text.
    async fn counted(&self, relation: Result<Relation>) -> Result<Vec<(Option<String>, u64)>> {
        let rows = self.inner.backend.query(Plan::from(relation?)).await?;
        groups(&rows.collect().await?)
    }
}

fn groups(rows: &Rows) -> Result<Vec<(Option<String>, u64)>> {
    let mut groups = Vec::new();
    for batch in rows.batches() {
        let numbers = batch.column_by_name("count").ok_or_else(broken)?;
        let numbers = numbers.as_primitive_opt::<Int64Type>().ok_or_else(broken)?;
        let names = batch.column_by_name(columns::FEATURE_VERSION);
        let names = names.map(text).transpose()?;
        for (row, number) in numbers.iter().enumerate() {
            let name = names.as_ref().filter(|names| names.is_valid(row));
            let name = name.map(|names| names.as_string::<i32>().value(row).to_owned());
            let number = u64::try_from(number.unwrap_or_default()).map_err(|_| broken())?;
            groups.push((name, number));
        }
    }
    Ok(groups)
}

fn broken() -> Error {
    Error::new(ErrorKind::Internal, "a count came back with other columns")
}
