//! What the stores of a chain know of pushed features.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::FeatureSelection;
use crate::definition::FeatureDefinition;
use crate::error::{Error, ErrorKind, Result, nearest};
use crate::key::FeatureKey;
use crate::store::MetadataStore;

use super::push::latest_snapshot;
use super::record::PushedFeature;

/// The features that are pushed to a chain of stores, each in its most recent row.
///
/// A store answers for every project that was pushed to it; those that fall back to it do not mix their rows with its own
/// (`semantics.md` §7). Stores are read when the ones before them did not have what was asked for.
pub(super) struct Catalogue {
    /// Stores not read yet; the next one is the last.
    pending: Vec<MetadataStore>,
    /// Projects that a store has answered for.
    projects: BTreeSet<String>,
    live: BTreeMap<FeatureKey, PushedFeature>,
}

/// Why a feature cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// No store of the chain has it, or it was removed.
    NotPushed,
    /// It is this project's, which is left out.
    Excluded(String),
    /// What this project pushed is no definition; a warning was logged.
    Unreadable(String),
}

impl Catalogue {
    pub(super) fn of(store: &MetadataStore) -> Self {
        Self {
            pending: vec![store.clone()],
            projects: BTreeSet::new(),
            live: BTreeMap::new(),
        }
    }

    /// The row of a feature; `None` if no store has it, or if it was removed.
    pub(super) async fn find(&mut self, key: &FeatureKey) -> Result<Option<&PushedFeature>> {
        while !self.live.contains_key(key) && self.read_next().await? {}
        Ok(self.live.get(key))
    }

    /// The definition of a feature. One that cannot be read is not there; a warning is logged.
    pub(super) async fn definition(
        &mut self,
        key: &FeatureKey,
    ) -> Result<Option<FeatureDefinition>> {
        let Some(row) = self.find(key).await? else {
            return Ok(None);
        };
        match row.definition() {
            Ok(definition) => Ok(Some(definition)),
            Err(error) => {
                tracing::warn!(feature = %key, project = row.project, "{error}; it is left out");
                Ok(None)
            }
        }
    }

    /// The keys that a selection names.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if it is empty, [`ErrorKind::FeatureNotFound`] if a project or a key is not there, unless
    /// `known` has the key.
    pub(super) async fn select(
        &mut self,
        selection: &FeatureSelection,
        known: impl Fn(&FeatureKey) -> bool,
    ) -> Result<BTreeSet<FeatureKey>> {
        if selection.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "the selection of features selects nothing",
            )
            .with_hint("name projects or keys, or select all"));
        }
        let mut keys = BTreeSet::new();
        let mut unknown = Vec::new();
        for key in &selection.keys {
            if known(key) {
                continue;
            }
            match self.find(key).await? {
                Some(_) => keys.extend([key.clone()]),
                None => unknown.push((key.clone(), Why::NotPushed)),
            }
        }
        if !unknown.is_empty() {
            return Err(self.missing(&unknown));
        }
        if selection.all || !selection.projects.is_empty() {
            while self.read_next().await? {}
        }
        for project in &selection.projects {
            if !self.projects.contains(project) {
                return Err(self.unknown_project(project));
            }
        }
        let chosen = |row: &PushedFeature| {
            (selection.all || selection.projects.contains(&row.project)) && !known(&row.feature_key)
        };
        let rows = self.live.values().filter(|row| chosen(row));
        keys.extend(rows.map(|row| row.feature_key.clone()));
        Ok(keys)
    }

    /// The error of features that cannot be had, at least one.
    pub(super) fn missing(&self, keys: &[(FeatureKey, Why)]) -> Error {
        let (mut not_pushed, mut reasons, mut hints) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (key, why) in keys {
            match why {
                Why::NotPushed => not_pushed.push(format!("`{key}`")),
                Why::Excluded(project) => {
                    reasons.push(format!(
                        "`{key}` was pushed by project {project:?}, whose features are excluded"
                    ));
                    hints.insert(format!("define it in project {project:?}"));
                }
                Why::Unreadable(project) => {
                    reasons.push(format!(
                        "what project {project:?} pushed of `{key}` cannot be read"
                    ));
                    // A push of the same versions records nothing, unless its tags are new.
                    hints.insert(format!(
                        "run `metaxy push --tag repaired=yes` in project {project:?} to record it anew"
                    ));
                }
            }
        }
        if !not_pushed.is_empty() {
            reasons.insert(0, format!(
                "no project has pushed {} to the store or one it falls back to, or it was removed since",
                not_pushed.join(", ")
            ));
            hints.insert(self.near(keys));
        }
        let hints: Vec<String> = hints.into_iter().collect();
        Error::new(ErrorKind::FeatureNotFound, reasons.join("; ")).with_hint(hints.join("; "))
    }

    /// What to do about the first feature that was not pushed.
    fn near(&self, keys: &[(FeatureKey, Why)]) -> String {
        let asked = |known: &FeatureKey| keys.iter().any(|(key, _)| key == known);
        let known = self.live.keys().filter(|known| !asked(known));
        let known: Vec<&str> = known.map(FeatureKey::as_str).collect();
        let first = keys.iter().find(|(_, why)| *why == Why::NotPushed);
        match first.and_then(|(key, _)| nearest(key.as_str(), known)) {
            Some(near) => {
                format!("did you mean `{near}`? If not, run `metaxy push` in its project")
            }
            None => "run `metaxy push` in the project that defines it".to_owned(),
        }
    }

    fn unknown_project(&self, project: &str) -> Error {
        let known: Vec<&str> = self.projects.iter().map(String::as_str).collect();
        Error::new(
            ErrorKind::FeatureNotFound,
            format!("no features of project {project:?} were pushed to the store or one it falls back to"),
        )
        .with_hint(match known.as_slice() {
            [] => "run `metaxy push` in that project".to_owned(),
            known => match nearest(project, known.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("features were pushed of {}", known.join(", ")),
            },
        })
    }

    /// Reads one more store, depth first; `false` if there is none.
    async fn read_next(&mut self) -> Result<bool> {
        let Some(store) = self.pending.pop() else {
            return Ok(false);
        };
        let mut next: Vec<_> = store.fallbacks().collect();
        next.reverse();
        self.pending.extend(next);

        let history = store.pushed_features().await?;
        let here: BTreeSet<&str> = history.iter().map(|row| row.project.as_str()).collect();
        let mut live: BTreeMap<FeatureKey, PushedFeature> = BTreeMap::new();
        for project in here {
            if !self.projects.insert(project.to_owned()) {
                continue;
            }
            for row in latest_snapshot(&history, project) {
                let newer = live
                    .get(&row.feature_key)
                    .is_none_or(|other| other.recorded_at < row.recorded_at);
                if row.deleted_at.is_none() && newer {
                    live.insert(row.feature_key.clone(), row.clone());
                }
            }
        }
        for (key, row) in live {
            self.live.entry(key).or_insert(row);
        }
        Ok(true)
    }
}
