//! Copying features from another store (`semantics.md` §5, §10).

use std::fmt;
use std::sync::Arc;

use futures::{StreamExt, stream};
use indexmap::IndexMap;

use super::{MetadataStore, WriteOptions};
use crate::clock::Micros;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::Expr;
use crate::frame::Frame;
use crate::key::FeatureKey;
use crate::options::setters;
use crate::plan::{Plan, ReadScope, read_current};

/// What a copy takes. The default is the latest row of every sample, over all feature versions, of all features.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CopyOptions {
    /// These features, in this order. `None`: those of the configured project in the order of the graph, or, where no project is
    /// configured, all of the graph.
    pub features: Option<Vec<FeatureKey>>,
    /// Conditions on the rows of single features; seen after deduplication. Those of features that are not copied are ignored.
    pub filters: IndexMap<FeatureKey, Vec<Expr>>,
    /// Conditions on the rows of every feature.
    pub global_filters: Vec<Expr>,
    /// Rows of all feature versions instead of the current one; so by default. It does not multiply rows: without sample
    /// history each sample has one, the latest over all versions.
    pub with_feature_history: bool,
    /// Every row of each sample, and soft deletes, with their times. Otherwise a copy is a write: it takes the latest row of each
    /// living sample and stamps it anew.
    pub with_sample_history: bool,
    /// Stamp the rows with exactly this time, in UTC microseconds: a replay. Rows that come with their times keep them.
    pub at: Option<Micros>,
    /// Who is told of the rows as they pass by.
    pub watcher: Option<RowWatcher>,
}

/// Somebody who is told how many rows of a feature have just passed by, such as a progress bar.
#[derive(Clone)]
pub struct RowWatcher(Arc<Seen>);

type Seen = dyn Fn(&FeatureKey, u64) + Send + Sync;

impl RowWatcher {
    /// Calls `seen` with the feature and the number of rows of each batch.
    pub fn new(seen: impl Fn(&FeatureKey, u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(seen))
    }

    fn watch(self, feature: &FeatureKey, rows: Frame) -> Frame {
        let (feature, schema) = (feature.clone(), rows.schema().clone());
        rows.map(schema, move |batch| {
            (self.0)(&feature, batch.num_rows() as u64);
            Ok(batch)
        })
    }
}

impl fmt::Debug for RowWatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowWatcher")
    }
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            features: None,
            filters: IndexMap::new(),
            global_filters: Vec::new(),
            with_feature_history: true,
            with_sample_history: false,
            at: None,
            watcher: None,
        }
    }
}

impl CopyOptions {
    setters! { options =>
        /// Only these features, in this order.
        with_features(features: impl IntoIterator<Item = FeatureKey>) {
            options.features = Some(features.into_iter().collect());
        }
        /// Only rows of `feature` for which these hold.
        with_filters(feature: FeatureKey, filters: impl IntoIterator<Item = Expr>) {
            options.filters.entry(feature).or_default().extend(filters);
        }
        /// Only rows, of every feature, for which these hold.
        with_global_filters(filters: impl IntoIterator<Item = Expr>) {
            options.global_filters.extend(filters);
        }
        /// Rows of all feature versions, or of the current one.
        with_feature_history(all: bool) {
            options.with_feature_history = all;
        }
        /// Every row of each sample, with its times.
        with_sample_history(all: bool) {
            options.with_sample_history = all;
        }
        /// Stamps the rows with exactly this time, in UTC microseconds.
        with_at(at: Micros) {
            options.at = Some(at);
        }
        /// Tells `watcher` of the rows as they pass by.
        with_watcher(watcher: RowWatcher) {
            options.watcher = Some(watcher);
        }
    }
}

/// What a copy did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CopyReport {
    /// Features of which rows were copied.
    pub features_copied: u64,
    /// Rows that were copied.
    pub rows_copied: u64,
    /// The features that were copied, with the number of rows of each, in order.
    pub features: Vec<(FeatureKey, u64)>,
    /// Features that the source does not have, or of which it has no such rows.
    pub skipped: Vec<FeatureKey>,
}

impl MetadataStore {
    /// Copies features from `source` into this store, one after the other, without holding more than a few batches.
    ///
    /// Hashes, feature and project versions and `metaxy_created_at` stay as they are; the materialization id becomes this
    /// store's. Only `source` itself is read, not what it falls back to, and rows are read as this store's graph defines
    /// the features. Each feature is copied whole or not at all; what was copied before a failure stays.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`] if this store is not open for writing; [`ErrorKind::InvalidArgument`] if `source` is this store;
    /// [`ErrorKind::HashMismatch`] if it hashes otherwise; [`ErrorKind::FeatureNotFound`] for a feature that is not in this store's
    /// graph (nothing is copied then); [`ErrorKind::InvalidFilter`] if a filter does not fit.
    pub async fn copy_from(
        &self,
        source: &MetadataStore,
        options: CopyOptions,
    ) -> Result<CopyReport> {
        self.require_write("be copied into")?;
        self.can_copy_from(source)?;
        let features = self.features_to_copy(&options)?;
        let mut report = CopyReport::default();
        for feature in features {
            let copied = self.copy_feature(source, &feature, &options).await;
            let rows = copied.map_err(|e| {
                e.with_context("feature", &feature)
                    .with_context("source", source.name())
                    .with_context("store", self.name())
                    .with_context("features copied before", report.features_copied)
            })?;
            if rows == 0 {
                report.skipped.push(feature);
                continue;
            }
            report.features_copied += 1;
            report.rows_copied += rows;
            report.features.push((feature, rows));
        }
        Ok(report)
    }

    async fn copy_feature(
        &self,
        source: &MetadataStore,
        feature: &FeatureKey,
        options: &CopyOptions,
    ) -> Result<u64> {
        let Some(schema) = source.inner.backend.schema(feature).await? else {
            return Ok(0);
        };
        let scope = ReadScope {
            feature_version: match options.with_feature_history {
                true => None,
                false => Some(self.graph.feature_version(feature)?.to_owned()),
            },
            sample_history: options.with_sample_history,
            include_soft_deleted: options.with_sample_history,
            as_of: None,
        };
        let ids = self.graph.require(feature)?.spec.id_columns();
        let own = options.filters.get(feature).into_iter().flatten();
        let filters: Vec<Expr> = options.global_filters.iter().chain(own).cloned().collect();
        let relation = read_current(feature, &schema, ids, &scope, &filters)?;
        let rows = source.inner.backend.query(Plan::from(relation)).await?;
        // Without rows no table is made either.
        let Some(rows) = unless_empty(rows).await? else {
            return Ok(0);
        };
        let rows = match &options.watcher {
            Some(watcher) => watcher.clone().watch(feature, rows),
            None => rows,
        };
        let write = WriteOptions {
            preserve_feature_version: true,
            preserve_times: options.with_sample_history,
            at: options.at,
            ..WriteOptions::default()
        };
        let append = self.append(feature, rows, &write)?;
        let appended = self.inner.backend.append(vec![append]).await?;
        self.warn_of_weak_hash(appended, feature.as_str());
        Ok(appended.rows)
    }

    /// Whether `source` can be copied into this store; [`copy_from`](Self::copy_from) asks this first.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if `source` is this store; [`ErrorKind::HashMismatch`] if it hashes otherwise.
    pub fn can_copy_from(&self, source: &MetadataStore) -> Result<()> {
        let backends = [&self.inner.backend, &source.inner.backend];
        let [here, there] = backends.map(|backend| Arc::as_ptr(backend).cast::<()>());
        // One configuration names a store once; a store that was never named says nothing by its name.
        let named_alike = self.name() == source.name() && self.name() != super::builder::UNNAMED;
        if here == there || (named_alike && self.describe() == source.describe()) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("store {:?} cannot be copied into itself", self.name()),
            )
            .with_hint("name another store as the source or the destination"));
        }
        if self.hash() == source.hash() {
            return Ok(());
        }
        let show = |store: &Self| {
            let hash = store.hash();
            format!(
                "{:?} hashes with {} cut to {} characters",
                store.name(),
                hash.algorithm,
                hash.length
            )
        };
        Err(Error::new(
            ErrorKind::HashMismatch,
            format!(
                "store {} and the source {}: everything copied would be stale",
                show(self),
                show(source)
            ),
        )
        .with_hint("give both one `hash_algorithm` and one `hash_truncation_length`, or compute the features anew"))
    }

    fn features_to_copy(&self, options: &CopyOptions) -> Result<Vec<FeatureKey>> {
        if let Some(features) = &options.features {
            for feature in features {
                let known = self.graph.require(feature);
                known.map_err(|e| self.about(e, feature))?;
            }
            return Ok(features.clone());
        }
        let ours = |project: &str| self.project().is_none_or(|own| own == project);
        Ok(self
            .graph
            .definitions()
            .filter(|definition| ours(&definition.project))
            .map(|definition| definition.key().clone())
            .collect())
    }
}

/// The same rows, or `None` if there are none.
async fn unless_empty(mut rows: Frame) -> Result<Option<Frame>> {
    while let Some(batch) = rows.next().await? {
        if batch.num_rows() > 0 {
            let schema = rows.schema().clone();
            let first = stream::iter([Ok(batch)]);
            return Ok(Some(Frame::new(schema, first.chain(rows.into_stream()))));
        }
    }
    Ok(None)
}
