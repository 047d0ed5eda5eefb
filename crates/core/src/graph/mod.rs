//! The graph of features: an explicit value that knows every definition and what follows from them together.

mod describe;
mod diff;
pub mod feature_plan;
mod order;
mod parents;
mod rules;
mod tree;
pub mod version;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, OnceLock};

use indexmap::IndexMap;

pub use describe::{GraphDescription, ProjectDescription};
pub use diff::{DiffNode, DiffStatus, FeatureFacts, FieldDiff, FieldFacts, GraphDiff};
pub use tree::{FeatureTree, Relatives, RelativesOptions, TreeNode, Walk};

use crate::definition::FeatureDefinition;
use crate::error::{Error, ErrorKind, Result, nearest};
use crate::graph::feature_plan::FeaturePlan;
use crate::graph::version::{LocalVersions, Versions};
use crate::key::FeatureKey;
use rules::PassedOn;

/// Versions are cut to this many characters unless the graph says otherwise; fewer are not allowed.
pub const DEFAULT_TRUNCATION_LENGTH: usize = 8;

/// Features and how they depend on each other, in the order in which they were added.
///
/// Cloning is cheap, and a clone does not change with the original. Versions are computed when first asked for and kept
/// until the graph changes; their functions are [`feature_version`](Self::feature_version) and its neighbours.
///
/// Features may be added in any order: an upstream that is not there yet is an error of what is computed from the feature, not of
/// adding it. Everything else that two definitions can disagree on is an error as soon as both are there.
///
/// ```
/// use metaxy_core::definition::FeatureDefinition;
/// use metaxy_core::graph::FeatureGraph;
/// use metaxy_core::spec::{FeatureDep, FeatureSpec};
///
/// let mut graph = FeatureGraph::new();
/// let raw = FeatureSpec::new("video/raw", ["video_id"])?;
/// let crop = FeatureSpec::new("video/crop", ["video_id"])?.with_dep(FeatureDep::new("video/raw")?);
/// graph.add(FeatureDefinition::new(raw, "demo"))?;
/// graph.add(FeatureDefinition::new(crop, "demo"))?;
/// assert_eq!(graph.feature_version("video/crop")?, "66f55eef");
/// assert!(graph.feature_version("video/corp").unwrap_err().hint().unwrap().contains("video/crop"));
/// # Ok::<(), metaxy_core::Error>(())
/// ```
#[derive(Clone)]
pub struct FeatureGraph {
    inner: Arc<Inner>,
}

#[derive(Default)]
pub(crate) struct Inner {
    entries: IndexMap<FeatureKey, Entry>,
    /// By feature, known or not: those that name it as a dependency.
    dependents: HashMap<FeatureKey, HashSet<FeatureKey>>,
    /// By table name: whose it is. More than one only in a graph of recorded definitions.
    tables: HashMap<String, Vec<FeatureKey>>,
    pub(crate) truncation_length: usize,
    recorded: bool,
    pub(crate) versions: OnceLock<Versions>,
    pub(crate) projects: OnceLock<HashMap<String, String>>,
}

#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) definition: Arc<FeatureDefinition>,
    /// Versions that depend on this definition alone: they survive changes elsewhere in the graph.
    pub(crate) local: Arc<OnceLock<LocalVersions>>,
}

impl FeatureGraph {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                truncation_length: DEFAULT_TRUNCATION_LENGTH,
                ..Inner::default()
            }),
        }
    }

    /// An empty graph for definitions that some program recorded earlier and that are facts by now, such as a pushed
    /// snapshot. Adding accepts what the reference accepts, and gives it the versions that the reference gives it; the rules that
    /// go beyond are checked by [`check`](Self::check), and by [`plan`](Self::plan) for the feature it is asked for.
    /// Cycles and repeated keys are errors here too.
    #[must_use]
    pub fn recorded() -> Self {
        let inner = Inner {
            recorded: true,
            truncation_length: DEFAULT_TRUNCATION_LENGTH,
            ..Inner::default()
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// A graph of these definitions.
    ///
    /// # Errors
    /// Those of [`add`](Self::add).
    pub fn from_definitions(
        definitions: impl IntoIterator<Item = FeatureDefinition>,
    ) -> Result<Self> {
        let mut graph = Self::new();
        graph.add_all(definitions)?;
        Ok(graph)
    }

    /// Sets how many characters of each hash a version keeps.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for fewer than 8.
    pub fn with_truncation_length(mut self, length: usize) -> Result<Self> {
        if length < DEFAULT_TRUNCATION_LENGTH {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("versions cannot be cut to {length} characters"),
            )
            .with_hint("give a truncation length of at least 8"));
        }
        let inner = Arc::make_mut(&mut self.inner);
        inner.truncation_length = length;
        inner.forget();
        for entry in inner.entries.values_mut() {
            entry.local = Arc::default();
        }
        Ok(self)
    }

    /// How many characters of each hash a version keeps.
    #[must_use]
    pub fn truncation_length(&self) -> usize {
        self.inner.truncation_length
    }

    /// Adds a feature at the end.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidDefinition`], with the graph unchanged, when the key is there already, the table name is another
    /// feature's, the definition breaks a rule by itself or together with a feature that is there, or a cycle closes.
    pub fn add(&mut self, definition: FeatureDefinition) -> Result<()> {
        self.add_all([definition])
    }

    /// [Adds](Self::add) several features at the end in one step: only the outcome has to be right. To add many one by one takes longer,
    /// as each is checked with all that is above it.
    ///
    /// # Errors
    /// As [`add`](Self::add), with the graph unchanged.
    pub fn add_all(
        &mut self,
        definitions: impl IntoIterator<Item = FeatureDefinition>,
    ) -> Result<()> {
        let definitions: Vec<FeatureDefinition> = definitions.into_iter().collect();
        let mut keys = HashMap::with_capacity(definitions.len());
        for definition in &definitions {
            let key = definition.key();
            let there = self.get(key).map(|there| &**there);
            if let Some(there) = there.or(keys.insert(key, definition)) {
                return Err(defined_twice(there));
            }
        }
        self.apply(definitions).map(drop)
    }

    /// Puts a definition in the place of the one with the same key, or at the end if there is none. Returns the old one.
    ///
    /// # Errors
    /// As [`add`](Self::add), with the graph unchanged.
    pub fn replace(
        &mut self,
        definition: FeatureDefinition,
    ) -> Result<Option<Arc<FeatureDefinition>>> {
        Ok(self.apply(vec![definition])?.pop().flatten())
    }

    /// [Replaces](Self::replace) several definitions in one step: only the outcome has to be right. Of a key
    /// that is given twice the last definition counts.
    ///
    /// # Errors
    /// As [`add`](Self::add), with the graph unchanged.
    pub fn replace_all(
        &mut self,
        definitions: impl IntoIterator<Item = FeatureDefinition>,
    ) -> Result<()> {
        self.apply(definitions.into_iter().collect()).map(drop)
    }

    /// Takes a feature out and returns it. Features that depend on it stay, and lack an upstream then.
    ///
    /// # Errors
    /// [`ErrorKind::FeatureNotFound`].
    pub fn remove(&mut self, key: impl AsRef<str>) -> Result<Arc<FeatureDefinition>> {
        self.require(&key)?;
        let inner = Arc::make_mut(&mut self.inner);
        inner.forget();
        inner
            .take(key.as_ref())
            .ok_or_else(|| Error::new(ErrorKind::Internal, "a feature vanished from its graph"))
    }

    /// The definition of `key`, if it is in the graph.
    #[must_use]
    pub fn get(&self, key: impl AsRef<str>) -> Option<&Arc<FeatureDefinition>> {
        self.inner
            .entries
            .get(key.as_ref())
            .map(|entry| &entry.definition)
    }

    /// The definition of `key`.
    ///
    /// # Errors
    /// [`ErrorKind::FeatureNotFound`], with the nearest key as hint.
    pub fn require(&self, key: impl AsRef<str>) -> Result<&Arc<FeatureDefinition>> {
        self.entry(key.as_ref()).map(|entry| &entry.definition)
    }

    /// Whether `key` is in the graph.
    #[must_use]
    pub fn contains(&self, key: impl AsRef<str>) -> bool {
        self.inner.entries.contains_key(key.as_ref())
    }

    /// The definitions, in the order in which they were added.
    pub fn definitions(
        &self,
    ) -> impl DoubleEndedIterator<Item = &Arc<FeatureDefinition>> + ExactSizeIterator {
        self.inner.entries.values().map(|entry| &entry.definition)
    }

    /// The keys, in the order in which they were added.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &FeatureKey> + ExactSizeIterator {
        self.inner.entries.keys()
    }

    /// The number of features.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.entries.len()
    }

    /// Whether there is no feature.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.entries.is_empty()
    }

    /// All features, each after its upstreams: depth-first, in alphabetical order where there is a choice.
    #[must_use]
    pub fn topological(&self) -> Vec<FeatureKey> {
        self.keys_at(self.inner.topological())
    }

    /// The features that depend on any of `sources`, directly or not, each after its upstreams; without the sources. Sources
    /// that are not in the graph count too.
    #[must_use]
    pub fn downstream(&self, sources: &[FeatureKey]) -> Vec<FeatureKey> {
        self.keys_at(self.inner.downstream(sources))
    }

    /// The features that any of `targets` depends on, directly or not, each after its upstreams; without the targets.
    /// Upstreams that are not in the graph are left out.
    #[must_use]
    pub fn upstream(&self, targets: &[FeatureKey]) -> Vec<FeatureKey> {
        self.keys_at(self.inner.upstream(targets))
    }

    /// The features that name `key` as a dependency, in the order in which they were added.
    #[must_use]
    pub fn dependents(&self, key: impl AsRef<str>) -> Vec<FeatureKey> {
        self.keys_at(self.inner.dependents(key.as_ref()))
    }

    /// What the store needs to know to bring `key` up to date.
    ///
    /// # Errors
    /// [`ErrorKind::FeatureNotFound`] when the feature or one of its upstreams is not in the graph, and
    /// [`ErrorKind::InvalidDefinition`] when a field depends on nothing or on what does not exist.
    pub fn plan(&self, key: impl AsRef<str>) -> Result<FeaturePlan> {
        let definition = self.require(key)?;
        if self.inner.recorded {
            definition.validate()?;
            self.inner.across(&definition.spec, &mut PassedOn::new())?;
        }
        FeaturePlan::new(self, definition)
    }

    /// Verifies the whole graph.
    ///
    /// # Errors
    /// The first of [`check_all`](Self::check_all).
    pub fn check(&self) -> Result<()> {
        self.check_all().into_iter().next().map_or(Ok(()), Err)
    }

    /// Everything that is wrong with the graph: broken rules, unknown upstreams, fields without upstream. A feature that merely
    /// depends on one that is at fault is not listed.
    #[must_use]
    pub fn check_all(&self) -> Vec<Error> {
        let mut errors = Vec::new();
        let mut passed_on = PassedOn::new();
        for (key, entry) in &self.inner.entries {
            let definition = &entry.definition;
            if let Err(error) = self
                .inner
                .check_entry(key, definition, false, &mut passed_on)
            {
                errors.push(error);
            } else if let Some(error) = self.own_version_error(key) {
                errors.push(error);
            }
        }
        errors
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    pub(crate) fn entry(&self, key: &str) -> Result<&Entry> {
        self.inner.entries.get(key).ok_or_else(|| {
            let error = Error::new(
                ErrorKind::FeatureNotFound,
                format!("feature `{key}` is not in the graph"),
            );
            error.with_hint(match self.near(key) {
                Some(near) => format!("did you mean `{near}`?"),
                None if self.is_empty() => {
                    "the graph is empty: add feature definitions first".to_owned()
                }
                None => format!(
                    "the graph has {} features, none of a similar name",
                    self.len()
                ),
            })
        })
    }

    /// The error of what is computed from `feature`, whose upstream is not there.
    pub(crate) fn missing_upstream(&self, feature: &FeatureKey, upstream: &FeatureKey) -> Error {
        Error::new(
            ErrorKind::FeatureNotFound,
            format!("feature `{feature}` depends on `{upstream}`, which is not in the graph"),
        )
        .with_hint(
            match self
                .near(upstream.as_str())
                .filter(|near| *near != feature.as_str())
            {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add `{upstream}` to the graph, or correct the dependency"),
            },
        )
    }

    fn near(&self, key: &str) -> Option<&str> {
        nearest(key, self.keys().map(FeatureKey::as_str))
    }

    fn keys_at(&self, positions: Vec<usize>) -> Vec<FeatureKey> {
        let key = |position| {
            self.inner
                .entries
                .get_index(position)
                .map(|(key, _)| key.clone())
        };
        positions.into_iter().filter_map(key).collect()
    }

    /// Puts definitions in, checks the outcome, and takes them out again if it is not right.
    fn apply(
        &mut self,
        definitions: Vec<FeatureDefinition>,
    ) -> Result<Vec<Option<Arc<FeatureDefinition>>>> {
        let inner = Arc::make_mut(&mut self.inner);
        inner.forget();
        let mut undo = Vec::with_capacity(definitions.len());
        for definition in definitions {
            undo.push((definition.key().clone(), inner.put(Arc::new(definition))));
        }
        let checked = match undo.as_slice() {
            [(key, _)] => inner.check_change(key),
            _ => inner.check_every(),
        };
        if let Err(error) = checked {
            for (key, old) in undo.into_iter().rev() {
                match old {
                    Some(old) => drop(inner.put(old)),
                    None => drop(inner.take(key.as_str())),
                }
            }
            return Err(error);
        }
        Ok(undo.into_iter().map(|(_, old)| old).collect())
    }
}

impl Default for FeatureGraph {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FeatureGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FeatureGraph ")?;
        f.debug_list().entries(self.keys()).finish()
    }
}

impl Inner {
    pub(crate) fn entries(&self) -> &IndexMap<FeatureKey, Entry> {
        &self.entries
    }

    fn put(&mut self, definition: Arc<FeatureDefinition>) -> Option<Arc<FeatureDefinition>> {
        let key = definition.key().clone();
        if let Some(old) = self.entries.get(&key).map(|entry| entry.definition.clone()) {
            self.unlink(&old);
        }
        self.tables
            .entry(key.table_name())
            .or_default()
            .push(key.clone());
        for dep in definition.spec.deps() {
            self.dependents
                .entry(dep.feature.clone())
                .or_default()
                .insert(key.clone());
        }
        let entry = Entry {
            definition,
            local: Arc::default(),
        };
        self.entries
            .insert(key, entry)
            .map(|entry| entry.definition)
    }

    fn take(&mut self, key: &str) -> Option<Arc<FeatureDefinition>> {
        let definition = self.entries.shift_remove(key)?.definition;
        self.unlink(&definition);
        Some(definition)
    }

    /// Removes what `put` noted besides the definition itself.
    fn unlink(&mut self, definition: &FeatureDefinition) {
        let key = definition.key();
        if let Some(owners) = self.tables.get_mut(&key.table_name()) {
            owners.retain(|owner| owner != key);
        }
        for dep in definition.spec.deps() {
            if let Some(dependents) = self.dependents.get_mut(&dep.feature) {
                dependents.remove(key);
            }
        }
    }

    fn forget(&mut self) {
        self.versions = OnceLock::new();
        self.projects = OnceLock::new();
    }

    /// Checks every feature, after several were put in.
    fn check_every(&self) -> Result<()> {
        // To look for a circle at each takes as long as all that is above it.
        let has_circle = self.has_circle();
        let mut passed_on = PassedOn::new();
        for (key, entry) in &self.entries {
            self.check_entry(key, &entry.definition, self.recorded, &mut passed_on)?;
            if has_circle {
                self.check_cycle(key)?;
            }
        }
        Ok(())
    }

    /// Checks `key` after it was put in, and those that depend on it.
    fn check_change(&self, key: &FeatureKey) -> Result<()> {
        let Some(entry) = self.entries.get(key) else {
            return Ok(());
        };
        let mut passed_on = PassedOn::new();
        self.check_entry(key, &entry.definition, self.recorded, &mut passed_on)?;
        self.check_cycle(key)?;
        if !self.recorded {
            for dependent in self.dependents(key.as_str()) {
                if let Some((_, entry)) = self.entries.get_index(dependent) {
                    self.across(&entry.definition.spec, &mut passed_on)?;
                }
            }
            self.passed_on_below(key)?;
        }
        Ok(())
    }

    /// Checks one definition by itself and with those around it.
    fn check_entry<'a>(
        &'a self,
        key: &FeatureKey,
        definition: &'a FeatureDefinition,
        recorded: bool,
        passed_on: &mut PassedOn<'a>,
    ) -> Result<()> {
        if recorded {
            return Ok(());
        }
        definition.validate()?;
        self.check_table(key)?;
        self.across(&definition.spec, passed_on)
    }
}

/// A copy computes its versions anew: it is about to change.
impl Clone for Inner {
    fn clone(&self) -> Self {
        Self {
            entries: self.entries.clone(),
            dependents: self.dependents.clone(),
            tables: self.tables.clone(),
            truncation_length: self.truncation_length,
            recorded: self.recorded,
            versions: OnceLock::new(),
            projects: OnceLock::new(),
        }
    }
}

/// The error of adding another definition of what is `there`.
fn defined_twice(there: &FeatureDefinition) -> Error {
    let hint = match there.is_external() {
        true => {
            "it is there as an external feature: use `replace` to put the real definition in its place"
        }
        false => "every key is defined once: rename one, or use `replace`",
    };
    invalid(format!("feature `{}` is in the graph already", there.key())).with_hint(hint)
}

/// Checks the text of a filter of a dependency.
fn check_filter(sql: &str) -> Result<()> {
    crate::expr::Expr::parse(sql).map(|_| ())
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidDefinition, message)
}
