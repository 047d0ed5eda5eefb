//! What a feature depends on, and what depends on it, as a tree.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::definition::FeatureDefinition;
use crate::error::Result;
use crate::graph::FeatureGraph;
use crate::key::FeatureKey;
use crate::setters;

/// How far [`FeatureGraph::dependencies_of`] and [`FeatureGraph::dependents_of`] look. The default is one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelativesOptions {
    /// Whether to give the tree of all further ones as well.
    pub recursive: bool,
    /// How many steps the tree goes at most; `None` for all. Without `recursive` it has no meaning.
    pub max_depth: Option<usize>,
}

impl RelativesOptions {
    setters! { options =>
        /// Whether to give the tree of all further ones as well.
        with_recursive(recursive: bool) {
            options.recursive = recursive;
        }
        /// Sets how many steps the tree goes at most.
        with_max_depth(max_depth: impl Into<Option<usize>>) {
            options.max_depth = max_depth.into();
        }
    }
}

/// What a feature depends on, or what depends on it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Relatives {
    /// Those one step away. Dependencies are in the order of the spec, dependents ordered by key.
    pub direct: Vec<FeatureKey>,
    /// The feature with all that can be reached from it, if asked for.
    pub tree: Option<FeatureTree>,
}

impl FeatureGraph {
    /// What a feature depends on. Branches of the tree are in the order of the specs; upstreams that are not in the graph
    /// have none.
    ///
    /// ```
    /// # use metaxy_core::definition::FeatureDefinition;
    /// # use metaxy_core::spec::{FeatureDep, FeatureSpec};
    /// use metaxy_core::graph::{FeatureGraph, RelativesOptions};
    /// # let raw = FeatureSpec::new("raw", ["id"])?;
    /// # let crop = FeatureSpec::new("crop", ["id"])?.with_dep(FeatureDep::new("raw")?);
    /// # let faces = FeatureSpec::new("faces", ["id"])?.with_dep(FeatureDep::new("crop")?).with_dep(FeatureDep::new("raw")?);
    /// # let graph = FeatureGraph::from_definitions([raw, crop, faces].map(|spec| FeatureDefinition::new(spec, "demo")))?;
    /// let all = RelativesOptions::default().with_recursive(true);
    /// let faces = graph.dependencies_of("faces", all)?;
    /// let tree = faces.tree.as_ref().unwrap();
    /// let lines: Vec<String> = tree.walk().map(|node| format!("{}{}", "  ".repeat(node.depth()), node.feature())).collect();
    /// assert_eq!(lines, ["faces", "  crop", "    raw", "  raw"]);
    /// # Ok::<(), metaxy_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::FeatureNotFound`](crate::ErrorKind::FeatureNotFound) when the feature is not in the graph.
    pub fn dependencies_of(
        &self,
        key: impl AsRef<str>,
        options: RelativesOptions,
    ) -> Result<Relatives> {
        let start = self.require(key)?.key();
        let next = |key: &FeatureKey| {
            let spec = self.get(key).map(|definition| &definition.spec);
            let deps = spec.map_or(&[][..], |spec| spec.deps());
            deps.iter().map(|dep| dep.feature.clone()).collect()
        };
        Ok(Relatives {
            direct: next(start),
            tree: options
                .recursive
                .then(|| FeatureTree::grow(self, start, options.max_depth, next)),
        })
    }

    /// What depends on a feature. Branches of the tree are in the order in which features were added to the graph.
    ///
    /// A feature that is not in the graph can be asked for if another names it as a dependency: this tells who lacks it.
    ///
    /// # Errors
    /// [`ErrorKind::FeatureNotFound`](crate::ErrorKind::FeatureNotFound) when the graph does not know the feature.
    pub fn dependents_of(
        &self,
        key: impl AsRef<str>,
        options: RelativesOptions,
    ) -> Result<Relatives> {
        let mut direct = self.dependents(&key);
        let start = match self.require(&key) {
            Ok(definition) => definition.key().clone(),
            Err(_) if !direct.is_empty() => FeatureKey::new(&key)?,
            Err(error) => return Err(error),
        };
        direct.sort_unstable();
        Ok(Relatives {
            direct,
            tree: options.recursive.then(|| {
                FeatureTree::grow(self, &start, options.max_depth, |key| self.dependents(key))
            }),
        })
    }
}

/// A feature, what is one step away from it, and so on.
///
/// A feature that can be reached on several ways hangs in the tree once for each of them, with its whole branch: so the tree of
/// a few dozen features can have more nodes than memory holds. The reference builds all of them. Here the tree is
/// kept as one entry per feature, and nodes are made when they are looked at: [`walk`](Self::walk) enters the branch of
/// each feature once, and [`TreeNode::children`] gives everything to those who want it. Graphs have no cycles, so every
/// branch ends.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureTree {
    /// The root first.
    entries: Vec<Entry>,
    max_depth: Option<usize>,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    feature: FeatureKey,
    definition: Option<Arc<FeatureDefinition>>,
    /// Positions of those one step further. None where no node of the feature shows them.
    next: Vec<usize>,
}

impl FeatureTree {
    /// The feature that was asked for.
    #[must_use]
    pub fn root(&self) -> TreeNode<'_> {
        TreeNode {
            tree: self,
            position: 0,
            depth: 0,
            repeated: false,
        }
    }

    /// Every feature of the tree but the root, once each.
    #[must_use]
    pub fn features(&self) -> BTreeSet<&FeatureKey> {
        let further = self.entries.iter().skip(1);
        further.map(|entry| &entry.feature).collect()
    }

    /// The nodes, each before what hangs on it. A branch that has been shown is not entered again: its node is
    /// [repeated](TreeNode::is_repeated). Linear in the number of features and dependencies, unless a depth is given; then a
    /// branch is entered again where more of it is to be seen.
    #[must_use]
    pub fn walk(&self) -> Walk<'_> {
        Walk {
            tree: self,
            pending: vec![(0, 0)],
            shown: vec![None; self.entries.len()],
        }
    }

    /// What `next` leads to from `start`, nearest first.
    fn grow(
        graph: &FeatureGraph,
        start: &FeatureKey,
        max_depth: Option<usize>,
        next: impl Fn(&FeatureKey) -> Vec<FeatureKey>,
    ) -> Self {
        let entry = |feature: &FeatureKey| Entry {
            feature: feature.clone(),
            definition: graph.get(feature).cloned(),
            next: Vec::new(),
        };
        let mut entries = vec![entry(start)];
        let mut depths = vec![0];
        let mut positions = HashMap::from([(start.clone(), 0)]);
        let mut at = 0;
        while at < entries.len() {
            let depth: usize = depths[at];
            if max_depth.is_none_or(|max| depth < max) {
                let mut found = Vec::new();
                for feature in next(&entries[at].feature) {
                    let position = *positions.entry(feature).or_insert_with_key(|feature| {
                        entries.push(entry(feature));
                        depths.push(depth + 1);
                        entries.len() - 1
                    });
                    found.push(position);
                }
                entries[at].next = found;
            }
            at += 1;
        }
        Self { entries, max_depth }
    }
}

/// A place in a [`FeatureTree`].
#[derive(Debug, Clone, Copy)]
pub struct TreeNode<'a> {
    tree: &'a FeatureTree,
    position: usize,
    depth: usize,
    repeated: bool,
}

impl<'a> TreeNode<'a> {
    /// The feature.
    #[must_use]
    pub fn feature(&self) -> &'a FeatureKey {
        &self.entry().feature
    }

    /// Its definition, if it is in the graph.
    #[must_use]
    pub fn definition(&self) -> Option<&'a FeatureDefinition> {
        self.entry().definition.as_deref()
    }

    /// Its project, if it is in the graph.
    #[must_use]
    pub fn project(&self) -> Option<&'a str> {
        Some(self.definition()?.project.as_str())
    }

    /// How many steps it is away from the root on this way.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Whether the tree goes no further because of [`RelativesOptions::max_depth`]; there may be nothing further.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.tree.max_depth.is_some_and(|max| self.depth >= max)
    }

    /// Whether its branch was shown earlier in the [walk](FeatureTree::walk) that gave it. Not if nothing hangs on it.
    #[must_use]
    pub fn is_repeated(&self) -> bool {
        self.repeated
    }

    /// What hangs on it.
    pub fn children(&self) -> impl ExactSizeIterator<Item = TreeNode<'a>> + use<'a> {
        let (tree, depth) = (self.tree, self.depth + 1);
        let next = match self.is_truncated() {
            true => &[][..],
            false => &self.entry().next,
        };
        next.iter().map(move |position| TreeNode {
            tree,
            position: *position,
            depth,
            repeated: false,
        })
    }

    fn entry(&self) -> &'a Entry {
        &self.tree.entries[self.position]
    }
}

/// The nodes of a tree; see [`FeatureTree::walk`].
#[derive(Debug, Clone)]
pub struct Walk<'a> {
    tree: &'a FeatureTree,
    /// Position and depth of nodes that are still to be given, the next one last.
    pending: Vec<(usize, usize)>,
    /// The least depth at which the branch of an entry was entered.
    shown: Vec<Option<usize>>,
}

impl<'a> Iterator for Walk<'a> {
    type Item = TreeNode<'a>;

    fn next(&mut self) -> Option<TreeNode<'a>> {
        let (position, depth) = self.pending.pop()?;
        let mut node = TreeNode {
            tree: self.tree,
            position,
            depth,
            repeated: false,
        };
        let further = node.children();
        if further.len() == 0 {
            return Some(node);
        }
        // Without a limit no node shows more of a branch than another.
        let seen = self.shown[position];
        node.repeated = seen.is_some_and(|seen| self.tree.max_depth.is_none() || seen <= depth);
        if !node.repeated {
            self.shown[position] = Some(depth);
            let first = self.pending.len();
            self.pending
                .extend(further.map(|child| (child.position, child.depth)));
            self.pending[first..].reverse();
        }
        Some(node)
    }
}
