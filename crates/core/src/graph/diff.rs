//! What has changed between two graphs.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result, nearest};
use crate::graph::FeatureGraph;
use crate::key::{FeatureKey, FieldKey};

/// Two graphs, feature by feature: their union, with what became of each feature.
///
/// A feature has changed if its definition has, even when its version has not. A feature whose version changed only because
/// of an upstream is unchanged, with different versions (`golden/FORMAT-ops.md`, rule *Diff* and finding 96). Features are
/// always ordered by key.
///
/// ```
/// # use metaxy_core::definition::FeatureDefinition;
/// # use metaxy_core::spec::{FeatureDep, FeatureSpec, FieldSpec};
/// use metaxy_core::graph::{FeatureGraph, GraphDiff};
/// let graph = |code: &str| {
///     let raw = FeatureSpec::new("raw", ["id"])?.with_field(FieldSpec::new("audio")?.with_code_version(code));
///     let text = FeatureSpec::new("text", ["id"])?.with_dep(FeatureDep::new("raw")?);
///     FeatureGraph::from_definitions([raw, text].map(|spec| FeatureDefinition::new(spec, "demo")))
/// };
/// let diff = GraphDiff::between(&graph("1")?, &graph("2")?)?;
/// let changed: Vec<_> = diff.changed().map(|node| node.key().as_str()).collect();
/// assert_eq!(changed, ["raw"]);
/// let text = diff.get("text").unwrap();
/// assert_ne!(text.before().unwrap().version, text.after().unwrap().version);
/// # Ok::<(), metaxy_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphDiff {
    nodes: BTreeMap<FeatureKey, DiffNode>,
}

impl GraphDiff {
    /// What has to happen to `from` to make it `to`.
    ///
    /// # Errors
    /// Those of [`FeatureGraph::feature_version`], for any feature of either graph.
    pub fn between(from: &FeatureGraph, to: &FeatureGraph) -> Result<Self> {
        let mut nodes = BTreeMap::new();
        for key in from.keys() {
            let before = FeatureFacts::of(from, key)?;
            let node = match to.contains(key) {
                false => DiffNode::Removed(before),
                true => {
                    let after = FeatureFacts::of(to, key)?;
                    match before.definition_version == after.definition_version {
                        true => DiffNode::Unchanged { before, after },
                        false => DiffNode::Changed { before, after },
                    }
                }
            };
            nodes.insert(key.clone(), node);
        }
        for key in to.keys().filter(|key| !from.contains(key)) {
            nodes.insert(key.clone(), DiffNode::Added(FeatureFacts::of(to, key)?));
        }
        Ok(Self { nodes })
    }

    /// Whether a feature was added, removed or changed.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.nodes()
            .any(|node| node.status() != DiffStatus::Unchanged)
    }

    /// Every feature of either graph.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &DiffNode> {
        self.nodes.values()
    }

    /// What became of one feature; `None` if neither graph has it.
    #[must_use]
    pub fn get(&self, key: impl AsRef<str>) -> Option<&DiffNode> {
        self.nodes.get(key.as_ref())
    }

    /// The features that only the new graph has.
    pub fn added(&self) -> impl Iterator<Item = &FeatureFacts> {
        self.nodes().filter_map(|node| match node {
            DiffNode::Added(after) => Some(&**after),
            _ => None,
        })
    }

    /// The features that only the old graph has.
    pub fn removed(&self) -> impl Iterator<Item = &FeatureFacts> {
        self.nodes().filter_map(|node| match node {
            DiffNode::Removed(before) => Some(&**before),
            _ => None,
        })
    }

    /// The features that have another definition.
    pub fn changed(&self) -> impl Iterator<Item = &DiffNode> {
        self.nodes()
            .filter(|node| node.status() == DiffStatus::Changed)
    }

    /// What depends on what, each as (upstream, dependent): as in the new graph, and for removed features as in the old
    /// one. In the order of the dependents, then of their specs.
    pub fn edges(&self) -> impl Iterator<Item = (&FeatureKey, &FeatureKey)> {
        self.nodes.iter().flat_map(|(key, node)| {
            let upstreams = node.feature().dependencies.iter();
            upstreams
                .filter(|upstream| self.nodes.contains_key(*upstream))
                .map(move |upstream| (upstream, key))
        })
    }

    /// The part around `focus`: what can be reached from it along the [edges](Self::edges) in at most `up` steps to
    /// upstreams, and in at most `down` to dependents. `None` is no limit.
    ///
    /// # Errors
    /// [`ErrorKind::FeatureNotFound`] when neither graph has the feature.
    pub fn around(
        &self,
        focus: impl AsRef<str>,
        up: Option<usize>,
        down: Option<usize>,
    ) -> Result<Self> {
        let Some((focus, _)) = self.nodes.get_key_value(focus.as_ref()) else {
            return Err(self.unknown(focus.as_ref()));
        };
        let mut above: HashMap<&FeatureKey, Vec<&FeatureKey>> = HashMap::new();
        let mut below: HashMap<&FeatureKey, Vec<&FeatureKey>> = HashMap::new();
        for (upstream, dependent) in self.edges() {
            above.entry(dependent).or_default().push(upstream);
            below.entry(upstream).or_default().push(dependent);
        }
        let mut kept = within(focus, &above, up);
        kept.extend(within(focus, &below, down));
        let nodes = self.nodes.iter().filter(|(key, _)| kept.contains(key));
        Ok(Self {
            nodes: nodes
                .map(|(key, node)| (key.clone(), node.clone()))
                .collect(),
        })
    }

    fn unknown(&self, key: &str) -> Error {
        let error = Error::new(
            ErrorKind::FeatureNotFound,
            format!("feature `{key}` is in neither of the two graphs"),
        );
        error.with_hint(
            match nearest(key, self.nodes.keys().map(FeatureKey::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("they have {} features together", self.nodes.len()),
            },
        )
    }
}

/// What became of a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiffNode {
    /// Only the new graph has it.
    Added(Arc<FeatureFacts>),
    /// Only the old graph has it.
    Removed(Arc<FeatureFacts>),
    /// Both have it, with different definitions.
    Changed {
        /// As in the old graph.
        before: Arc<FeatureFacts>,
        /// As in the new graph.
        after: Arc<FeatureFacts>,
    },
    /// Both have it, with one definition. Its versions may differ because of an upstream.
    Unchanged {
        /// As in the old graph.
        before: Arc<FeatureFacts>,
        /// As in the new graph.
        after: Arc<FeatureFacts>,
    },
}

impl DiffNode {
    /// The key of the feature.
    #[must_use]
    pub fn key(&self) -> &FeatureKey {
        &self.feature().key
    }

    /// What became of it, in a word.
    #[must_use]
    pub fn status(&self) -> DiffStatus {
        match self {
            Self::Added(_) => DiffStatus::Added,
            Self::Removed(_) => DiffStatus::Removed,
            Self::Changed { .. } => DiffStatus::Changed,
            Self::Unchanged { .. } => DiffStatus::Unchanged,
        }
    }

    /// The feature as in the old graph, if that has it.
    #[must_use]
    pub fn before(&self) -> Option<&FeatureFacts> {
        match self {
            Self::Added(_) => None,
            Self::Removed(before)
            | Self::Changed { before, .. }
            | Self::Unchanged { before, .. } => Some(before),
        }
    }

    /// The feature as in the new graph, if that has it.
    #[must_use]
    pub fn after(&self) -> Option<&FeatureFacts> {
        match self {
            Self::Removed(_) => None,
            Self::Added(after) | Self::Changed { after, .. } | Self::Unchanged { after, .. } => {
                Some(after)
            }
        }
    }

    /// The feature as in the new graph, or, if that has it no more, as in the old one.
    #[must_use]
    pub fn feature(&self) -> &FeatureFacts {
        match self {
            Self::Added(facts)
            | Self::Removed(facts)
            | Self::Changed { after: facts, .. }
            | Self::Unchanged { after: facts, .. } => facts,
        }
    }

    /// The fields that differ, ordered by key; of an added or removed feature all. A field whose version changed because
    /// of an upstream differs, too.
    #[must_use]
    pub fn fields(&self) -> Vec<FieldDiff<'_>> {
        let (before, after) = (by_key(self.before()), by_key(self.after()));
        let keys: BTreeSet<&FieldKey> = before.keys().chain(after.keys()).copied().collect();
        keys.into_iter()
            .filter_map(|key| match (before.get(key), after.get(key)) {
                (None, Some(after)) => Some(FieldDiff::Added(after)),
                (Some(before), None) => Some(FieldDiff::Removed(before)),
                (Some(before), Some(after)) if before.version != after.version => {
                    Some(FieldDiff::Changed { before, after })
                }
                _ => None,
            })
            .collect()
    }
}

/// What became of a feature, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DiffStatus {
    /// Only the new graph has it.
    Added,
    /// Only the old graph has it.
    Removed,
    /// Its definition is another.
    Changed,
    /// Its definition is the same.
    Unchanged,
}

impl DiffStatus {
    /// The word for it, as scripts see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
        }
    }
}

/// A field that differs between two graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldDiff<'a> {
    /// Only the new feature has it.
    Added(&'a FieldFacts),
    /// Only the old feature has it.
    Removed(&'a FieldFacts),
    /// Both have it, with different versions.
    Changed {
        /// As in the old graph.
        before: &'a FieldFacts,
        /// As in the new graph.
        after: &'a FieldFacts,
    },
}

/// A feature as one of the graphs has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeatureFacts {
    /// Its key.
    pub key: FeatureKey,
    /// The project that it belongs to.
    pub project: String,
    /// Its feature version.
    pub version: String,
    /// The version of its definition.
    pub definition_version: String,
    /// The version of the code of its fields. The reference has none here (finding 94).
    pub code_version: String,
    /// Its fields, in the order of the spec.
    pub fields: Vec<FieldFacts>,
    /// The features that it depends on, in the order of the spec.
    pub dependencies: Vec<FeatureKey>,
}

/// A field as one of the graphs has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldFacts {
    /// Its key.
    pub key: FieldKey,
    /// Its version.
    pub version: String,
    /// The version of its code, as the spec states it.
    pub code_version: String,
}

impl FeatureFacts {
    fn of(graph: &FeatureGraph, key: &FeatureKey) -> Result<Arc<Self>> {
        let definition = graph.require(key)?;
        let spec = &definition.spec;
        let versions = graph.field_versions(key)?;
        let fields = spec.fields().iter().map(|field| FieldFacts {
            key: field.key.clone(),
            version: versions.get(&field.key).cloned().unwrap_or_default(),
            code_version: field.code_version.clone(),
        });
        Ok(Arc::new(Self {
            key: key.clone(),
            project: definition.project.clone(),
            version: graph.feature_version(key)?.to_owned(),
            definition_version: graph.definition_version(key)?.to_owned(),
            code_version: graph.code_version(key)?.to_owned(),
            fields: fields.collect(),
            dependencies: spec.deps().iter().map(|dep| dep.feature.clone()).collect(),
        }))
    }
}

fn by_key(feature: Option<&FeatureFacts>) -> BTreeMap<&FieldKey, &FieldFacts> {
    let fields = feature.map_or(&[][..], |feature| &feature.fields);
    fields.iter().map(|field| (&field.key, field)).collect()
}

/// What `next` leads to from `start` in at most so many steps, nearest first; with the start.
fn within<'a>(
    start: &'a FeatureKey,
    next: &HashMap<&'a FeatureKey, Vec<&'a FeatureKey>>,
    steps: Option<usize>,
) -> BTreeSet<&'a FeatureKey> {
    let mut reached = BTreeSet::from([start]);
    let mut pending = VecDeque::from([(start, 0)]);
    while let Some((key, depth)) = pending.pop_front() {
        if steps.is_some_and(|steps| depth >= steps) {
            continue;
        }
        for further in next.get(key).into_iter().flatten() {
            if reached.insert(further) {
                pending.push_back((further, depth + 1));
            }
        }
    }
    reached
}
