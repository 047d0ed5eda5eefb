//! Putting a store in order, and removing the history of samples.

use std::collections::HashSet;
use std::num::NonZeroU64;
use std::time::Duration;

use super::{MetadataStore, support};
use crate::error::{Error, ErrorKind, Result};
use crate::key::FeatureKey;
use crate::maintain::{MaintainAction, Maintenance, Prune, Superseded};
use crate::options::setters;
use crate::plan::{Plan, Relation, Scan};

/// What maintenance does. The default puts the storage of the whole store in order and removes no row.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct MaintainOptions {
    /// Only these features. `None`: the whole store is put in order, and rows are removed of all features of the graph that have a
    /// table in this store, except external ones, whose ID columns only their own project knows for sure.
    pub features: Option<Vec<FeatureKey>>,
    /// Remove rows so that of each sample and feature version only so many are left: the latest ones.
    pub keep: Option<NonZeroU64>,
    /// Remove superseded rows that were written longer ago than this. The latest row of each sample and feature version stays,
    /// however old.
    pub older_than: Option<Duration>,
    /// How long files that are no longer part of a table are kept, for reads that began before. `None`: as long as the backend
    /// does by default. Files are not rows: this removes no history.
    pub retention: Option<Duration>,
    /// Change nothing, and report what would be done.
    pub dry_run: bool,
}

impl MaintainOptions {
    setters! { options =>
        /// Only these features.
        with_features(features: impl IntoIterator<Item = FeatureKey>) {
            options.features = Some(features.into_iter().collect());
        }
        /// Removes all but the latest `rows` rows of each sample and feature version.
        with_keep(rows: NonZeroU64) {
            options.keep = Some(rows);
        }
        /// Removes superseded rows that were written longer ago than this.
        with_older_than(age: Duration) {
            options.older_than = Some(age);
        }
        /// How long files that are no longer part of a table are kept.
        with_retention(retention: Duration) {
            options.retention = Some(retention);
        }
        /// Changes nothing.
        with_dry_run(dry_run: bool) {
            options.dry_run = dry_run;
        }
    }
}

/// What maintenance did, or in a dry run would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MaintainReport {
    /// The features that were searched for superseded rows, with the number of rows that were removed, in order.
    pub pruned: Vec<(FeatureKey, u64)>,
    /// What the backend did to put the storage in order.
    pub actions: Vec<MaintainAction>,
}

impl MaintainReport {
    /// How many rows were removed, of all features.
    #[must_use]
    pub fn rows_pruned(&self) -> u64 {
        self.pruned.iter().map(|(_, rows)| rows).sum()
    }
}

impl MetadataStore {
    /// Puts the storage in order, after the removal of superseded rows if [`keep`](MaintainOptions::keep) or
    /// [`older_than`](MaintainOptions::older_than) asks for it. Only this store is touched, not what it falls back to.
    ///
    /// Reads of any feature version give what they gave, increments too, and nothing that was deleted comes back (`semantics.md` §5).
    /// What removed rows were needed for gives less: the sample history, and reads as of an earlier time. Samples of every feature
    /// version are told apart by the ID columns that the graph has now; where a version that was pushed had others and still has rows,
    /// nothing is removed. Of versions that were never pushed nobody knows.
    ///
    /// Each feature's rows are removed in one step. What was done before a failure stays done.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if both limits are given, or a feature that is external; [`ErrorKind::FeatureNotFound`] for
    /// a feature that is not in the graph (nothing is done then); [`ErrorKind::Unsupported`] if rows are to be removed and the
    /// backend cannot; [`ErrorKind::ReadOnly`] if the store is not open for writing, except in a dry run; [`ErrorKind::Locked`] if
    /// somebody else keeps the store busy.
    pub async fn maintain(&self, options: MaintainOptions) -> Result<MaintainReport> {
        if !options.dry_run {
            self.require_write("be maintained")?;
        }
        let superseded = self.superseded(&options)?;
        for feature in options.features.iter().flatten() {
            self.graph
                .require(feature)
                .map_err(|e| self.about(e, feature))?;
        }
        let mut report = MaintainReport::default();
        if let Some(superseded) = superseded {
            support::prune(&self.inner)?;
            let features = self.features_to_prune(&options).await?;
            self.require_known_ids(&features).await?;
            for feature in features {
                let rows = self.prune(&feature, superseded, options.dry_run).await;
                let rows = rows.map_err(|e| {
                    self.about(e, &feature)
                        .with_context("rows removed before", report.rows_pruned())
                })?;
                report.pruned.push((feature, rows));
            }
        }
        let maintenance = Maintenance {
            tables: options.features.unwrap_or_default(),
            retention: options.retention,
            dry_run: options.dry_run,
        };
        let maintained = self.inner.backend.maintain(&maintenance).await;
        let maintained = maintained.map_err(|e| {
            let error = e.with_context("store", self.name());
            match report.rows_pruned() {
                rows if rows > 0 && !options.dry_run => error.with_context("rows removed", rows),
                _ => error,
            }
        })?;
        report.actions = maintained.actions;
        Ok(report)
    }

    /// Which rows go, if any.
    fn superseded(&self, options: &MaintainOptions) -> Result<Option<Superseded>> {
        match (options.keep, options.older_than) {
            (Some(_), Some(_)) => Err(Error::new(
                ErrorKind::InvalidArgument,
                "superseded rows are to be removed both by their number and by their age",
            )
            .with_context("store", self.name())
            .with_hint("give one of `keep` and `older_than`; nothing was removed")),
            (Some(rows), None) => Ok(Some(Superseded::Beyond(rows))),
            (None, Some(age)) => {
                let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
                Ok(Some(Superseded::Before(self.now().saturating_sub(age))))
            }
            (None, None) => Ok(None),
        }
    }

    /// The features whose rows are removed, in order.
    async fn features_to_prune(&self, options: &MaintainOptions) -> Result<Vec<FeatureKey>> {
        if let Some(features) = &options.features {
            for feature in features {
                if self.graph.require(feature)?.is_external() {
                    return Err(self.known_elsewhere(feature));
                }
            }
            return Ok(features.clone());
        }
        let mut found = Vec::new();
        for feature in self.graph.topological() {
            let external = self.graph.require(&feature)?.is_external();
            if !external && self.feature_schema(&feature).await?.is_some() {
                found.push(feature);
            }
        }
        Ok(found)
    }

    /// Refuses features of which rows of a version are stored whose samples other columns tell apart: by too few columns, rows of
    /// different samples would be taken for one sample's history.
    async fn require_known_ids(&self, features: &[FeatureKey]) -> Result<()> {
        let pushed = match features.is_empty() {
            true => Vec::new(),
            false => self.pushed_features().await?,
        };
        for feature in features {
            let own = self.graph.require(feature)?.spec.id_columns();
            let mut checked = HashSet::new();
            let theirs = pushed.iter().filter(|one| one.feature_key == *feature);
            for one in theirs.filter(|one| checked.insert(one.feature_version.clone())) {
                let definition = one.definition()?;
                let ids = definition.spec.id_columns();
                let is_same = ids.len() == own.len() && ids.iter().all(|id| own.contains(id));
                if !is_same && self.has_version(feature, &one.feature_version).await? {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        format!(
                            "feature {feature} has rows of version {}, whose samples are told apart by {ids:?} and not by {own:?}; none of its rows was removed",
                            one.feature_version
                        ),
                    )
                    .with_context("store", self.name())
                    .with_hint("delete the rows of that version for good, under its own graph, or leave the feature out"));
                }
            }
        }
        Ok(())
    }

    /// Whether rows of a feature version are stored.
    async fn has_version(&self, feature: &FeatureKey, version: &str) -> Result<bool> {
        let Some(schema) = self.inner.backend.schema(feature).await? else {
            return Ok(false);
        };
        let scan = Scan {
            table: feature.clone(),
            feature_version: Some(version.to_owned()),
            as_of: None,
            latest_per: None,
        };
        let rows = Relation::scan(scan, schema).limit(1);
        let rows = self.inner.backend.query(Plan::from(rows)).await?;
        Ok(!rows.collect().await?.is_empty())
    }

    async fn prune(
        &self,
        feature: &FeatureKey,
        superseded: Superseded,
        dry_run: bool,
    ) -> Result<u64> {
        let prune = Prune {
            id_columns: self.graph.require(feature)?.spec.id_columns().to_vec(),
            superseded,
            dry_run,
        };
        self.inner.backend.prune(feature, &prune).await
    }

    fn known_elsewhere(&self, feature: &FeatureKey) -> Error {
        Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "feature {feature} is external, so what tells its samples apart is not known for sure, and none of its rows is removed"
            ),
        )
        .with_context("store", self.name())
        .with_hint("maintain it from its own project, or sync its definition first")
    }
}
