//! Replacing placeholders for other projects' features by what those projects have pushed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::{Config, FeatureSelection};
use crate::definition::{FeatureDefinition, OnVersionMismatch};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::FeatureGraph;
use crate::key::{FeatureKey, FieldKey};
use crate::setters;
use crate::store::MetadataStore;

use super::catalogue::Catalogue;

/// What a sync loads, and what it does when a version is not the expected one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncOptions {
    /// Features to load beside the external ones of the graph. Those that the graph defines itself are not loaded.
    pub selection: Option<FeatureSelection>,
    /// What to do when a loaded feature has another version than its placeholder; `None`: what the placeholder says.
    pub on_version_mismatch: Option<OnVersionMismatch>,
    /// Every mismatch is an error, whatever else is said.
    pub locked: bool,
}

impl SyncOptions {
    /// Those of a configuration: its `extra_features` and `locked`.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        Self {
            selection: config.extra_selection(),
            on_version_mismatch: None,
            locked: config.locked().unwrap_or(false),
        }
    }

    setters! { options =>
        /// Loads these features as well.
        with_selection(selection: FeatureSelection) {
            let before = options.selection.take().unwrap_or_default();
            options.selection = Some(before.union(selection));
        }
        /// Sets what to do about mismatches, in place of what placeholders say.
        with_on_version_mismatch(action: OnVersionMismatch) {
            options.on_version_mismatch = Some(action);
        }
        /// Sets whether every mismatch is an error.
        with_locked(locked: bool) {
            options.locked = locked;
        }
    }
}

/// What a sync gave. Go on with [`with_graph`](MetadataStore::with_graph).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SyncReport {
    /// The graph with what was loaded.
    pub graph: FeatureGraph,
    /// The features that came from a store, in the order of their keys.
    pub loaded: Vec<FeatureKey>,
    /// Placeholders whose version is not that of the feature in their place; a warning was logged for each.
    pub mismatches: Vec<VersionMismatch>,
    /// Features that are still external, since no store has a definition of them; a warning was logged.
    pub unresolved: Vec<FeatureKey>,
}

/// A placeholder that states, or leads to, another version than the feature has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionMismatch {
    /// The feature.
    pub feature: FeatureKey,
    /// Its version with the placeholder.
    pub expected: String,
    /// Its version as it was pushed.
    pub found: String,
    /// The fields that differ, in the order of their keys.
    pub fields: Vec<FieldMismatch>,
}

/// A field whose version is not the expected one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldMismatch {
    /// The field.
    pub field: FieldKey,
    /// Its version with the placeholder; `None` if that has no such field.
    pub expected: Option<String>,
    /// Its version as it was pushed; `None` if there is no such field.
    pub found: Option<String>,
}

impl MetadataStore {
    /// Loads the features that the graph has placeholders for, those of the options' selection, and what these depend on
    /// and the graph lacks. They come from this store or the first of its chain to which their project was pushed.
    ///
    /// Each is taken as its project pushed it last; one that the last push of its project lacks was removed, and is not
    /// found. A feature that the graph defines itself stays as it is. Nothing but the answer is changed.
    ///
    /// ```no_run
    /// # async fn example(store: metaxy_store::MetadataStore) -> metaxy_store::Result<()> {
    /// use metaxy_store::system::SyncOptions;
    /// let synced = store.sync_external(&SyncOptions::default()).await?;
    /// let store = store.with_graph(synced.graph);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidDefinition`] if a version is not that of its placeholder and this is to be an error, or if what was
    /// pushed does not fit the graph; [`ErrorKind::FeatureNotFound`] for keys and projects of the selection that no store has, and
    /// if a loaded feature depends on one that no store has; [`ErrorKind::InvalidArgument`] for an empty selection; and if a store
    /// fails.
    pub async fn sync_external(&self, options: &SyncOptions) -> Result<SyncReport> {
        let graph = self.graph();
        let external: Vec<Arc<FeatureDefinition>> = graph
            .definitions()
            .filter(|definition| definition.is_external())
            .cloned()
            .collect();
        let mut wanted: BTreeSet<FeatureKey> = external.iter().map(|d| d.key().clone()).collect();
        let mut catalogue = Catalogue::of(self);
        let defined = |key: &FeatureKey| graph.get(key).is_some_and(|d| !d.is_external());
        if let Some(selection) = &options.selection {
            let chosen = catalogue.select(selection, defined).await;
            wanted.extend(chosen.map_err(|e| e.with_context("store", self.name()))?);
        }

        let mut loaded: BTreeMap<FeatureKey, FeatureDefinition> = BTreeMap::new();
        while let Some(key) = wanted.pop_first() {
            let Some(definition) = catalogue.definition(&key).await? else {
                continue;
            };
            let deps = definition.spec.deps().iter().map(|dep| &dep.feature);
            let lacking = deps.filter(|dep| !graph.contains(dep) && !loaded.contains_key(*dep));
            wanted.extend(lacking.cloned());
            loaded.insert(key, definition);
        }

        let keys: Vec<FeatureKey> = loaded.keys().cloned().collect();
        let mut synced = graph.clone();
        synced
            .replace_all(loaded.into_values())
            .map_err(|e| e.with_context("store", self.name()))?;
        let mismatches = self.mismatches(&external, &synced, options)?;
        let unresolved: Vec<FeatureKey> = external
            .iter()
            .map(|definition| definition.key().clone())
            .filter(|key| keys.binary_search(key).is_err())
            .collect();
        for key in &unresolved {
            tracing::warn!(
                feature = %key,
                store = self.name(),
                "no definition of an external feature was found in the chain: its placeholder stays"
            );
        }
        Ok(SyncReport {
            graph: synced,
            loaded: keys,
            mismatches,
            unresolved,
        })
    }

    /// What a configuration asks to be done before samples are read or resolved: a [sync](Self::sync_external) with its
    /// `extra_features` and `locked`; or nothing, if `sync` is off.
    ///
    /// # Errors
    /// Those of the sync.
    pub async fn sync_from_config(&self, config: &Config) -> Result<SyncReport> {
        match config.sync() {
            true => self.sync_external(&SyncOptions::from_config(config)).await,
            false => Ok(SyncReport {
                graph: self.graph().clone(),
                loaded: Vec::new(),
                mismatches: Vec::new(),
                unresolved: Vec::new(),
            }),
        }
    }

    /// The placeholders that were replaced by another version. Fails if one of them may not be.
    fn mismatches(
        &self,
        external: &[Arc<FeatureDefinition>],
        synced: &FeatureGraph,
        options: &SyncOptions,
    ) -> Result<Vec<VersionMismatch>> {
        let (mut warned, mut refused) = (Vec::new(), Vec::new());
        for placeholder in external {
            let key = placeholder.key();
            if synced.require(key)?.is_external() {
                continue;
            }
            let found = synced.feature_version(key).map_err(|e| {
                e.with_hint("run `metaxy push` in the project that defines it")
                    .with_context("store", self.name())
            })?;
            // A placeholder that lacks upstreams has no version to compare with.
            let Ok(expected) = self.graph().feature_version(key) else {
                continue;
            };
            if expected == found {
                continue;
            }
            let mismatch = VersionMismatch {
                feature: key.clone(),
                expected: expected.to_owned(),
                found: found.to_owned(),
                fields: differing_fields(self.graph(), synced, key)?,
            };
            let stated = placeholder.external.as_ref().map(|e| e.on_version_mismatch);
            let action = match options.locked {
                true => OnVersionMismatch::Error,
                false => options.on_version_mismatch.or(stated).unwrap_or_default(),
            };
            match action {
                OnVersionMismatch::Warn => warned.push(mismatch),
                OnVersionMismatch::Error => refused.push(mismatch),
            }
        }
        if !refused.is_empty() {
            return Err(self.refusal(&refused));
        }
        for mismatch in &warned {
            tracing::warn!(
                feature = %mismatch.feature,
                expected = mismatch.expected,
                found = mismatch.found,
                store = self.name(),
                "an external feature has another version than its placeholder"
            );
        }
        Ok(warned)
    }

    fn refusal(&self, refused: &[VersionMismatch]) -> Error {
        let each: Vec<String> = refused.iter().map(VersionMismatch::describe).collect();
        Error::new(
            ErrorKind::InvalidDefinition,
            format!(
                "external features have other versions than their placeholders: {}",
                each.join("; ")
            ),
        )
        .with_context("store", self.name())
        .with_hint("adapt the placeholders, or run `metaxy lock` if they come from the lock file")
    }
}

impl VersionMismatch {
    fn describe(&self) -> String {
        let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "none".into());
        let fields: Vec<String> = self
            .fields
            .iter()
            .map(|field| {
                let (found, expected) = (version(&field.found), version(&field.expected));
                format!("field `{}` {found}, not {expected}", field.field)
            })
            .collect();
        format!(
            "`{}` has version {}, not {} ({})",
            self.feature,
            self.found,
            self.expected,
            fields.join(", ")
        )
    }
}

fn differing_fields(
    before: &FeatureGraph,
    after: &FeatureGraph,
    key: &FeatureKey,
) -> Result<Vec<FieldMismatch>> {
    let (before, after) = (before.field_versions(key)?, after.field_versions(key)?);
    let all: BTreeSet<&FieldKey> = before.keys().chain(after.keys()).collect();
    let fields = all.into_iter().map(|field| FieldMismatch {
        field: field.clone(),
        expected: before.get(field).cloned(),
        found: after.get(field).cloned(),
    });
    Ok(fields
        .filter(|field| field.expected != field.found)
        .collect())
}
