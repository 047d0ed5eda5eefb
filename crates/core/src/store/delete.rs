//! Soft and hard deletes (`semantics.md` §5).

use futures::{StreamExt, stream};

use super::write::with_texts;
use super::{MetadataStore, support};
use crate::append::{Append, Times};
use crate::clock::Micros;
use crate::columns;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Expr, col, lit};
use crate::frame::Frame;
use crate::key::FeatureKey;
use crate::options::setters;
use crate::plan::{Plan, ReadScope, read_current};

/// What a delete removes. The default is a soft delete of every current sample.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct DeleteOptions {
    /// Conditions that all hold for the rows that are deleted. They see the columns that a read sees.
    pub filters: Vec<Expr>,
    /// Remove the rows for good instead of marking the samples as deleted.
    pub hard: bool,
    /// Rows of all feature versions instead of the current one.
    pub with_feature_history: bool,
    /// For a soft delete: every row of each sample instead of the latest.
    pub with_sample_history: bool,
    /// Stamp the tombstones with exactly this time, in UTC microseconds: a replay.
    pub at: Option<Micros>,
}

impl DeleteOptions {
    /// Samples are marked as deleted; writing them again brings them back.
    #[must_use]
    pub fn soft() -> Self {
        Self::default()
    }

    /// Rows are removed for good.
    #[must_use]
    pub fn hard() -> Self {
        Self {
            hard: true,
            ..Self::default()
        }
    }

    setters! { options =>
        /// Only rows for which these hold.
        with_filters(filters: impl IntoIterator<Item = Expr>) {
            options.filters.extend(filters);
        }
        /// Rows of all feature versions.
        with_feature_history(all: bool) {
            options.with_feature_history = all;
        }
        /// Every row of each sample.
        with_sample_history(all: bool) {
            options.with_sample_history = all;
        }
        /// Stamps the tombstones with exactly this time, in UTC microseconds.
        with_at(at: Micros) {
            options.at = Some(at);
        }
    }
}

impl MetadataStore {
    /// Deletes samples of a feature in this store; returns how many rows were marked or removed.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`] if the store is not open for writing; [`ErrorKind::InvalidFilter`] if a filter does not fit; for a
    /// hard delete [`ErrorKind::Unsupported`] if the backend cannot remove rows; for a
    /// soft delete [`ErrorKind::FeatureNotFound`] if this store does not have the feature (a hard delete of nothing is fine).
    pub async fn delete(&self, feature: &FeatureKey, options: DeleteOptions) -> Result<u64> {
        self.require_write("delete samples")?;
        let deleted = if options.hard {
            self.delete_hard(feature, &options).await
        } else {
            self.delete_soft(feature, &options).await
        };
        deleted.map_err(|e| self.about(e, feature))
    }

    /// Marks samples as deleted: those of `rows`, which carry the stored columns, such as the orphaned part of an increment or what
    /// a read gave. Returns how many were marked. Without a row there is nothing to do, whatever the columns: before the first write
    /// of a feature its increment has no stored columns to show.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`] if the store is not open for writing; [`ErrorKind::InvalidFrame`] if the rows lack the ID columns or
    /// the system columns of stored rows; [`ErrorKind::FeatureNotFound`] if only a store that this one falls back to has the feature.
    pub async fn delete_rows(&self, feature: &FeatureKey, rows: impl Into<Frame>) -> Result<u64> {
        self.require_write("delete samples")?;
        let ids = self.graph.require(feature)?.spec.id_columns().to_vec();
        let Some(rows) = unless_empty(rows.into())
            .await
            .map_err(|e| self.about(e, feature))?
        else {
            return Ok(0);
        };
        let system = [
            columns::FEATURE_VERSION,
            columns::CREATED_AT,
            columns::UPDATED_AT,
        ];
        for name in ids.iter().map(String::as_str).chain(system) {
            if rows.schema().field_with_name(name).is_err() {
                return Err(Error::new(
                    ErrorKind::InvalidFrame,
                    format!("the rows of feature {feature} that are to be deleted have no column {name:?}"),
                )
                .with_hint("pass the orphaned part of an increment, or rows that were read with all columns"));
            }
        }
        // Orphans can be those of a fallback store that the feature was compared with.
        if !self.has_feature_here(feature).await?
            && let Some(owner) = self.find_store(feature).await?
        {
            return Err(self.about(self.lives_elsewhere(feature, &owner), feature));
        }
        let marked = self.tombstones(feature, ids, rows, None).await;
        marked.map_err(|e| self.about(e, feature))
    }

    async fn delete_hard(&self, feature: &FeatureKey, options: &DeleteOptions) -> Result<u64> {
        let version = self.graph.feature_version(feature)?;
        support::hard_delete(&self.inner)?;
        let Some(schema) = self.inner.backend.schema(feature).await? else {
            return Ok(0);
        };
        let mut conditions = Vec::new();
        if !options.with_feature_history {
            conditions.push(col(columns::FEATURE_VERSION).eq(lit(version)));
        }
        conditions.extend(options.filters.iter().cloned());
        let condition = match Expr::and_all(conditions) {
            Some(condition) => Some(condition.bind(&schema)?),
            None => None,
        };
        self.inner.backend.delete(feature, condition.as_ref()).await
    }

    async fn delete_soft(&self, feature: &FeatureKey, options: &DeleteOptions) -> Result<u64> {
        let version = self.graph.feature_version(feature)?;
        let definition = self.graph.require(feature)?;
        let ids = definition.spec.id_columns();
        if !self.has_feature_here(feature).await?
            && let Some(owner) = self.find_store(feature).await?
        {
            return Err(self.lives_elsewhere(feature, &owner));
        }
        let schema = self.inner.backend.schema(feature).await?;
        let schema = schema.ok_or_else(|| self.never_written(feature))?;
        let scope = ReadScope {
            feature_version: (!options.with_feature_history).then(|| version.to_owned()),
            sample_history: options.with_sample_history,
            include_soft_deleted: false,
            as_of: None,
        };
        let relation = read_current(feature, &schema, ids, &scope, &options.filters)?;
        let rows = self.inner.backend.query(Plan::from(relation)).await?;
        self.tombstones(feature, ids.to_vec(), rows, options.at)
            .await
    }

    /// Appends the rows again, marked as deleted by this store's run.
    async fn tombstones(
        &self,
        feature: &FeatureKey,
        id_columns: Vec<String>,
        rows: Frame,
        at: Option<Micros>,
    ) -> Result<u64> {
        let run = self.inner.materialization_id.clone();
        let append = Append {
            table: feature.clone(),
            id_columns,
            rows: with_texts(rows, vec![(columns::MATERIALIZATION_ID, run)]),
            times: Times::Tombstone(self.stamp(at)),
            create: false,
        };
        Ok(self.inner.backend.append(vec![append]).await?.rows)
    }

    fn lives_elsewhere(&self, feature: &FeatureKey, owner: &Self) -> Error {
        Error::new(
            ErrorKind::FeatureNotFound,
            format!(
                "feature {feature} lives in store {:?}, not in {:?}, so its samples cannot be deleted here",
                owner.name(),
                self.name()
            ),
        )
        .with_hint("copy the feature to this store first, or delete in the store that has it")
    }
}

/// The frame, unless it has no rows.
async fn unless_empty(mut rows: Frame) -> Result<Option<Frame>> {
    while let Some(batch) = rows.next().await? {
        if batch.num_rows() > 0 {
            let schema = rows.schema().clone();
            let all = stream::iter([Ok(batch)]).chain(rows.into_stream());
            return Ok(Some(Frame::new(schema, all)));
        }
    }
    Ok(None)
}
