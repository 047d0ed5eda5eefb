//! Putting a store in order, and removing the history of samples.

use std::collections::{BTreeSet, HashSet};
use std::num::NonZeroU64;
use std::time::Duration;

use super::{MetadataStore, requires};
use crate::backend::maintain::{MaintainAction, Maintenance, Prune, Superseded};
use crate::columns;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::col;
use crate::key::FeatureKey;
use crate::plan::{Plan, Relation, Scan};
use crate::setters;
use crate::system::{PushedFeature, snapshots_of};

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
    /// Remove the rows of feature versions that none of the last so many pushed graphs has. The version that the graph has now stays in
    /// any case, and so do rows of no version.
    pub old_versions: Option<NonZeroU64>,
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
        /// Removes the rows of feature versions that none of the last `pushes` pushed graphs has.
        with_old_versions(pushes: NonZeroU64) {
            options.old_versions = Some(pushes);
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
    /// The old feature versions whose rows were removed, by feature in order.
    pub old_versions: Vec<OldVersion>,
    /// The features of which no version was removed, though versions were to be: which are old is not known, or not to be relied on.
    pub versions_left: Vec<(FeatureKey, VersionsLeft)>,
    /// What the backend did to put the storage in order.
    pub actions: Vec<MaintainAction>,
}

/// A feature version that no recent graph has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OldVersion {
    /// The feature.
    pub feature: FeatureKey,
    /// The version.
    pub version: String,
    /// How many rows it had, superseded ones and tombstones included.
    pub rows: u64,
}

/// Why all versions of a feature stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VersionsLeft {
    /// No graph that was pushed has the feature.
    NeverPushed,
    /// It has no rows of the version that the graph has now: what depends on it waits for them, and a fallback store stays hidden.
    NotComputed,
}

impl MaintainReport {
    /// How many rows of old feature versions were removed, of all features.
    #[must_use]
    pub fn rows_of_old_versions(&self) -> u64 {
        self.old_versions.iter().map(|old| old.rows).sum()
    }

    /// How many superseded rows were removed, of all features.
    #[must_use]
    pub fn rows_pruned(&self) -> u64 {
        self.pruned.iter().map(|(_, rows)| rows).sum()
    }

    fn rows_removed(&self) -> u64 {
        self.rows_pruned() + self.rows_of_old_versions()
    }
}

impl MetadataStore {
    /// Puts the storage in order, after the removal of superseded rows if [`keep`](MaintainOptions::keep) or
    /// [`older_than`](MaintainOptions::older_than) asks for it, and of old feature versions if
    /// [`old_versions`](MaintainOptions::old_versions) does. Only this store is touched, not what it falls back to.
    ///
    /// Reads of any feature version that stays give what they gave, increments too, and nothing that was deleted comes back
    /// (`semantics.md` §5). Where samples over all versions are read, those that only an old version had are gone with it.
    /// What removed rows were needed for gives less: the sample history, and reads as of an earlier time. Samples of every feature
    /// version are told apart by the ID columns that the graph has now; where a version that was pushed had others and still has rows,
    /// nothing is removed. Of versions that were never pushed nobody knows.
    ///
    /// Versions are old if none of the last graphs that were pushed to this store has them, of whatever
    /// project; what such a graph needs of other projects counts as well. A feature that no pushed
    /// graph has, or without a row of its current version, keeps all of its versions. In a dry run a row of an old version may count as a
    /// superseded one as well.
    ///
    /// Each feature's rows are removed in one step. What was done before a failure stays done.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if both limits are given, or a feature that is external, or if old versions are to be removed and
    /// nothing was ever pushed to this store; [`ErrorKind::FeatureNotFound`] for
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
        let removes = superseded.is_some() || options.old_versions.is_some();
        let mut features = Vec::new();
        let mut pushed = Vec::new();
        if removes {
            requires::prune(&self.inner)?;
            features = self.features_to_prune(&options).await?;
            pushed = self.pushed_features().await?;
        }
        if let Some(pushes) = options.old_versions {
            let recent = self.recent_versions(&pushed, pushes).await?;
            self.remove_old_versions(&features, &pushed, &recent, options.dry_run, &mut report)
                .await?;
        }
        if let Some(superseded) = superseded {
            self.require_known_ids(&features, &pushed).await?;
            for feature in features {
                let rows = self.prune(&feature, superseded, options.dry_run).await;
                let rows = rows.map_err(|e| {
                    self.about(e, &feature)
                        .with_context("rows removed before", report.rows_removed())
                })?;
                report.pruned.push((feature, rows));
            }
        }
        let mut maintenance = Maintenance::default()
            .with_tables(options.features.unwrap_or_default())
            .with_dry_run(options.dry_run);
        maintenance.retention = options.retention;
        let maintained = self.inner.backend.maintain(&maintenance).await;
        let maintained = maintained.map_err(|e| {
            let error = e.with_context("store", self.name());
            match report.rows_removed() {
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
    async fn require_known_ids(
        &self,
        features: &[FeatureKey],
        pushed: &[PushedFeature],
    ) -> Result<()> {
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
            feature_version: Some(version.to_owned()),
            ..Scan::all(feature.clone())
        };
        let rows = Relation::stored(scan, schema)?.limit(1);
        let rows = self.inner.backend.query(Plan::from(rows)).await?;
        Ok(!rows.collect().await?.is_empty())
    }

    /// The feature versions of the graphs that were pushed last, of each project so many, and those of other projects that these graphs
    /// were pushed with.
    async fn recent_versions(
        &self,
        pushed: &[PushedFeature],
        pushes: NonZeroU64,
    ) -> Result<HashSet<(FeatureKey, String)>> {
        if pushed.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "no graph was ever pushed to the store, so no feature version is known to be old",
            )
            .with_context("store", self.name())
            .with_hint("run `metaxy push` first; nothing was removed"));
        }
        let pushes = usize::try_from(pushes.get()).unwrap_or(usize::MAX);
        let projects: BTreeSet<&str> = pushed.iter().map(|one| one.project.as_str()).collect();
        let mut recent = HashSet::new();
        for project in projects {
            for graph in snapshots_of(pushed, Some(project), self.name())
                .into_iter()
                .take(pushes)
            {
                let rows = || {
                    pushed.iter().filter(|one| {
                        one.project == project && one.project_version == graph.project_version
                    })
                };
                recent.extend(
                    rows().map(|one| (one.feature_key.clone(), one.feature_version.clone())),
                );
                let Some(last) = rows().next_back() else {
                    continue;
                };
                let whole = self.pushed_graph(pushed, last, last.recorded_at).await?;
                for feature in whole.topological() {
                    let version = whole.feature_version(&feature)?.to_owned();
                    recent.insert((feature, version));
                }
            }
        }
        Ok(recent)
    }

    /// Removes the rows of versions that are not recent, feature by feature.
    async fn remove_old_versions(
        &self,
        features: &[FeatureKey],
        pushed: &[PushedFeature],
        recent: &HashSet<(FeatureKey, String)>,
        dry_run: bool,
        report: &mut MaintainReport,
    ) -> Result<()> {
        for feature in features {
            let current = self.graph.feature_version(feature)?;
            let stored = self.rows_by_version(feature).await?;
            let is_old = |version: &str| {
                version != current && !recent.contains(&(feature.clone(), version.to_owned()))
            };
            let old: Vec<OldVersion> = stored
                .iter()
                .filter_map(|(version, rows)| Some((version.as_deref()?, *rows)))
                .filter(|(version, _)| is_old(version))
                .map(|(version, rows)| OldVersion {
                    feature: feature.clone(),
                    version: version.to_owned(),
                    rows,
                })
                .collect();
            if old.is_empty() {
                continue;
            }
            let left = match () {
                () if !pushed.iter().any(|one| one.feature_key == *feature) => {
                    Some(VersionsLeft::NeverPushed)
                }
                () if !stored
                    .iter()
                    .any(|(version, _)| version.as_deref() == Some(current)) =>
                {
                    Some(VersionsLeft::NotComputed)
                }
                () => None,
            };
            if let Some(why) = left {
                report.versions_left.push((feature.clone(), why));
                continue;
            }
            if !dry_run {
                let removed = self.remove_versions(feature, &old).await;
                removed.map_err(|e| {
                    self.about(e, feature)
                        .with_context("rows removed before", report.rows_removed())
                })?;
            }
            report.old_versions.extend(old);
        }
        Ok(())
    }

    async fn remove_versions(&self, feature: &FeatureKey, old: &[OldVersion]) -> Result<()> {
        let Some(schema) = self.inner.backend.schema(feature).await? else {
            return Ok(());
        };
        let versions = old.iter().map(|old| old.version.as_str());
        let rows = col(columns::FEATURE_VERSION)
            .is_in(versions)
            .bind(&schema)?;
        self.inner.backend.delete(feature, Some(&rows)).await?;
        Ok(())
    }

    async fn prune(
        &self,
        feature: &FeatureKey,
        superseded: Superseded,
        dry_run: bool,
    ) -> Result<u64> {
        let prune = Prune::default()
            .with_id_columns(self.graph.require(feature)?.spec.id_columns())
            .with_superseded(superseded)
            .with_dry_run(dry_run);
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
