//! Bringing a lock file up to date with what other projects have pushed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::config::{Config, FeatureSelection};
use crate::definition::FeatureDefinition;
use crate::error::{Error, ErrorKind, Result};
use crate::key::FeatureKey;
use crate::setters;
use crate::store::MetadataStore;

use super::super::catalogue::{Catalogue, Why};
use super::{LockFile, LockedFeature};

/// What goes into a lock file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockOptions {
    /// Features to lock beside those that the graph depends on. Those that the graph defines itself are not locked.
    pub selection: Option<FeatureSelection>,
    /// A project whose features do not count as pushed: the one that the file is for.
    pub exclude_project: Option<String>,
}

impl LockOptions {
    /// Those of a configuration: its `extra_features`, without its project.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        Self {
            selection: config.extra_selection(),
            exclude_project: config.project().map(str::to_owned),
        }
    }

    setters! { options =>
        /// Locks these features as well.
        with_selection(selection: FeatureSelection) {
            let before = options.selection.take().unwrap_or_default();
            options.selection = Some(before.union(selection));
        }
        /// Leaves out what `project` has pushed.
        with_exclude_project(project: impl Into<String>) {
            options.exclude_project = Some(project.into());
        }
    }
}

/// What locking changed in a file. The lists are in the order of the keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LockReport {
    /// Features that the file did not have.
    pub added: Vec<LockChange>,
    /// Features whose definition or version the file had otherwise.
    pub updated: Vec<LockUpdate>,
    /// Features that are not needed any more.
    pub removed: Vec<LockChange>,
    /// How many features the file had like this.
    pub unchanged: usize,
    /// Whether the file was written: something has changed, or there was no lock file.
    pub written: bool,
}

/// A feature that came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockChange {
    /// The feature.
    pub feature: FeatureKey,
    /// Its project.
    pub project: String,
    /// Its feature version.
    pub version: String,
}

/// A feature that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockUpdate {
    /// The feature.
    pub feature: FeatureKey,
    /// Its project.
    pub project: String,
    /// The feature version that the file had.
    pub old_version: String,
    /// Its feature version.
    pub new_version: String,
    /// The versions are equal: what changed says nothing about samples.
    pub metadata_only: bool,
}

impl LockReport {
    /// Whether a feature was added, updated or removed.
    #[must_use]
    pub fn changed(&self) -> bool {
        !(self.added.is_empty() && self.updated.is_empty() && self.removed.is_empty())
    }

    fn between(old: &LockFile, new: &LockFile) -> Self {
        let change = |(key, locked): (&FeatureKey, &LockedFeature)| LockChange {
            feature: key.clone(),
            project: locked.definition.project.clone(),
            version: locked.version.clone(),
        };
        let lacks = |file: &LockFile, key: &FeatureKey| !file.features.contains_key(key);
        let added = new.features.iter().filter(|(key, _)| lacks(old, key));
        let removed = old.features.iter().filter(|(key, _)| lacks(new, key));
        let mut report = Self {
            added: added.map(change).collect(),
            removed: removed.map(change).collect(),
            ..Self::default()
        };
        for (key, locked) in &new.features {
            let Some(before) = old.features.get(key) else {
                continue;
            };
            if before.version == locked.version
                && before.definition_version == locked.definition_version
            {
                report.unchanged += 1;
                continue;
            }
            report.updated.push(LockUpdate {
                feature: key.clone(),
                project: locked.definition.project.clone(),
                old_version: before.version.clone(),
                new_version: locked.version.clone(),
                metadata_only: before.version == locked.version,
            });
        }
        report
    }
}

impl MetadataStore {
    /// Brings the lock file at `path` up to date: see [`locked_features`](Self::locked_features) for what it holds then. It
    /// is written only if something in it has changed. A file that is no lock file is replaced, and a warning logged.
    ///
    /// # Errors
    /// Those of `locked_features` and of [`LockFile::write`]. The file is as it was then.
    pub async fn lock(&self, path: impl AsRef<Path>, options: &LockOptions) -> Result<LockReport> {
        let path = path.as_ref();
        let new = self.locked_features(options).await?;
        let old = match LockFile::read(path) {
            Ok(old) => old,
            Err(error) if error.kind() == ErrorKind::InvalidDefinition => {
                tracing::warn!(file = %path.display(), "{error}; it is replaced");
                None
            }
            Err(error) => return Err(error),
        };
        let mut report = LockReport::between(&old.clone().unwrap_or_default(), &new);
        report.written = old.is_none() || report.changed();
        if report.written {
            new.write(path)?;
        }
        Ok(report)
    }

    /// What a lock file for the graph holds: the features that its own ones depend on and it does not define, those of the
    /// options' selection, and what these depend on. They are looked for as [a sync](Self::sync_external) does.
    ///
    /// The graph must be the one that the project defines: features that a sync has loaded count as its own.
    ///
    /// # Errors
    /// [`ErrorKind::FeatureNotFound`] if a feature, or a project of the selection, is in no store of the chain, was removed, or is
    /// the excluded project's, or if what was pushed of one cannot be read; [`ErrorKind::InvalidDefinition`] if a feature was pushed with another version than it has now;
    /// [`ErrorKind::InvalidArgument`] for an empty selection; and if a store fails.
    pub async fn locked_features(&self, options: &LockOptions) -> Result<LockFile> {
        let graph = self.graph();
        let defined = |key: &FeatureKey| graph.get(key).is_some_and(|d| !d.is_external());
        let own = graph.definitions().filter(|d| !d.is_external());
        let mut wanted: BTreeSet<FeatureKey> = own
            .flat_map(|definition| definition.spec.deps())
            .map(|dep| dep.feature.clone())
            .filter(|key| !defined(key))
            .collect();
        let mut catalogue = Catalogue::of(self);
        let named = |error: Error| error.with_context("store", self.name());
        let excluded = |project: &str| options.exclude_project.as_deref() == Some(project);
        if let Some(selection) = &options.selection {
            for key in catalogue.select(selection, defined).await.map_err(named)? {
                let row = catalogue.find(&key).await?;
                // A key that is asked for by name is an error below; the rest is merely left out.
                if selection.keys.contains(&key) || row.is_some_and(|r| !excluded(&r.project)) {
                    wanted.insert(key);
                }
            }
        }

        let mut definitions: BTreeMap<FeatureKey, FeatureDefinition> = BTreeMap::new();
        let mut stored = BTreeMap::new();
        let mut missing = Vec::new();
        while let Some(key) = wanted.pop_first() {
            let Some(row) = catalogue.find(&key).await? else {
                missing.push((key, Why::NotPushed));
                continue;
            };
            if excluded(&row.project) {
                missing.push((key, Why::Excluded(row.project.clone())));
                continue;
            }
            let (project, version) = (row.project.clone(), row.feature_version.clone());
            let Some(definition) = catalogue.definition(&key).await? else {
                missing.push((key, Why::Unreadable(project)));
                continue;
            };
            let deps = definition.spec.deps().iter().map(|dep| &dep.feature);
            let more = deps.filter(|dep| !defined(dep) && !definitions.contains_key(*dep));
            let told = |dep: &FeatureKey| missing.iter().any(|(key, _)| key == dep);
            wanted.extend(more.filter(|dep| !told(dep)).cloned());
            definitions.insert(key.clone(), definition);
            stored.insert(key, version);
        }
        if !missing.is_empty() {
            return Err(named(catalogue.missing(&missing)));
        }
        self.computed(definitions, &stored)
    }

    /// The definitions with their versions in the graph, which must be those that they were pushed with.
    fn computed(
        &self,
        definitions: BTreeMap<FeatureKey, FeatureDefinition>,
        stored: &BTreeMap<FeatureKey, String>,
    ) -> Result<LockFile> {
        let mut graph = self.graph().clone();
        graph
            .replace_all(definitions.values().cloned())
            .map_err(|e| e.with_context("store", self.name()))?;
        let mut file = LockFile::default();
        for (key, definition) in definitions {
            let version = graph.feature_version(&key)?;
            if stored.get(&key).is_some_and(|stored| stored != version) {
                let stored = stored.get(&key).map(String::as_str).unwrap_or_default();
                return Err(Error::new(
                    ErrorKind::InvalidDefinition,
                    format!(
                        "feature `{key}` was pushed with version {stored}, but with what it depends on now it has version {version}"
                    ),
                )
                .with_context("store", self.name())
                .with_hint(format!(
                    "run `metaxy push` in project {:?}, so that the new version is recorded",
                    definition.project
                )));
            }
            let locked = LockedFeature {
                version: version.to_owned(),
                version_by_field: graph.field_versions(&key)?.clone(),
                definition_version: graph.definition_version(&key)?.to_owned(),
                definition,
            };
            file.features.insert(key, locked);
        }
        Ok(file)
    }
}
