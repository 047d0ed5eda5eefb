//! What can be said of a graph as a whole.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::graph::FeatureGraph;
use crate::key::FeatureKey;

/// The size and shape of a graph; see [`FeatureGraph::describe`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GraphDescription {
    /// How many features the whole graph has.
    pub total_features: usize,
    /// The projects of the whole graph, by name. There is no version of several projects together.
    pub projects: BTreeMap<String, ProjectDescription>,
    /// The project that the rest is restricted to, if it is.
    pub project: Option<String>,
    /// How many features it has, or the graph.
    pub features: usize,
    /// How many features the longest chain has that ends in one of them. Their upstreams count whatever their project; an
    /// upstream that is not in the graph counts as one. Zero if there is no feature.
    pub depth: usize,
    /// Those without dependencies, ordered by key.
    pub roots: Vec<FeatureKey>,
    /// Those that none of them depends on, ordered by key. Features of other projects may.
    pub leaves: Vec<FeatureKey>,
}

/// A project of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProjectDescription {
    /// How many features of the graph belong to it, external ones included.
    pub features: usize,
    /// The version of those that are not external ([`FeatureGraph::project_version`]).
    pub version: String,
}

impl FeatureGraph {
    /// What the graph looks like; with `project`, what the features of that project look like. Time and memory are linear in
    /// the size of the graph.
    ///
    /// ```
    /// use metaxy_core::definition::FeatureDefinition;
    /// use metaxy_core::graph::FeatureGraph;
    /// use metaxy_core::spec::{FeatureDep, FeatureSpec};
    /// let raw = FeatureSpec::new("video/raw", ["video_id"])?;
    /// let crop = FeatureSpec::new("video/crop", ["video_id"])?.with_dep(FeatureDep::new("video/raw")?);
    /// let graph = FeatureGraph::from_definitions([
    ///     FeatureDefinition::new(raw, "sources"),
    ///     FeatureDefinition::new(crop, "demo"),
    /// ])?;
    /// let demo = graph.describe(Some("demo"));
    /// assert_eq!((demo.total_features, demo.features, demo.depth), (2, 1, 2));
    /// assert!(demo.roots.is_empty());
    /// # Ok::<(), metaxy_core::Error>(())
    /// ```
    #[must_use]
    pub fn describe(&self, project: Option<&str>) -> GraphDescription {
        let mut projects: BTreeMap<String, ProjectDescription> = BTreeMap::new();
        let mut features = 0;
        let mut roots = Vec::new();
        let mut needed: HashSet<&FeatureKey> = HashSet::new();
        for definition in self.definitions() {
            match projects.get_mut(&definition.project) {
                Some(project) => project.features += 1,
                None => {
                    let described = ProjectDescription {
                        features: 1,
                        version: self.project_version(&definition.project).to_owned(),
                    };
                    projects.insert(definition.project.clone(), described);
                }
            }
            if project.is_some_and(|project| project != definition.project) {
                continue;
            }
            features += 1;
            let deps = definition.spec.deps();
            if deps.is_empty() {
                roots.push(definition.key().clone());
            }
            needed.extend(deps.iter().map(|dep| &dep.feature));
        }
        let described = || {
            let all = self.definitions();
            all.filter(|definition| project.is_none_or(|project| project == definition.project))
        };
        let mut leaves: Vec<FeatureKey> = described()
            .map(|definition| definition.key())
            .filter(|key| !needed.contains(key))
            .cloned()
            .collect();
        roots.sort_unstable();
        leaves.sort_unstable();
        let depths = self.depths();
        let depth = described().filter_map(|definition| depths.get(definition.key()));
        GraphDescription {
            total_features: self.len(),
            projects,
            project: project.map(str::to_owned),
            features,
            depth: depth.copied().max().unwrap_or_default(),
            roots,
            leaves,
        }
    }

    /// By feature: how many features the longest chain has that ends in it.
    fn depths(&self) -> HashMap<FeatureKey, usize> {
        let mut depths: HashMap<FeatureKey, usize> = HashMap::with_capacity(self.len());
        for key in self.topological() {
            let deps = self
                .get(&key)
                .map_or(&[][..], |definition| definition.spec.deps());
            // Upstreams come first, so one without a depth is not in the graph.
            let above = deps
                .iter()
                .map(|dep| depths.get(&dep.feature).copied().unwrap_or(1));
            let depth = above.max().unwrap_or_default() + 1;
            depths.insert(key, depth);
        }
        depths
    }
}
