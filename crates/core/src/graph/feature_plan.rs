//! What the store needs to know of one feature and its upstreams: what to join, on what, and which field depends on which.

use std::collections::HashSet;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::definition::FeatureDefinition;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::FeatureGraph;
use crate::graph::parents::Parents;
use crate::hash::{HashPart, Nulls, joined};
use crate::key::{FeatureKey, FieldKey};
use crate::spec::{FeatureDep, FeatureSpec, Lineage};

/// A feature, its upstreams, and how they fit together (`semantics.md` §2). Made by [`FeatureGraph::plan`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FeaturePlan {
    /// The feature.
    pub definition: Arc<FeatureDefinition>,
    /// Its upstreams, in the order of the spec.
    pub deps: Vec<PlannedDep>,
    /// By field, in the order of the spec: the upstream fields it depends on, in the order in which they are hashed. Empty lists
    /// for a root feature.
    pub parents: IndexMap<FieldKey, Vec<ParentField>>,
    /// The columns that upstreams are joined on: the input ID columns that all of them have, in the order of the first.
    /// For a root feature its ID columns.
    pub join_columns: Vec<String>,
    /// The columns that identify a row and match it with stored rows: all input ID columns; those that are ID columns
    /// of the feature first, in their order. For a root feature its ID columns.
    pub identity_columns: Vec<String>,
}

/// One upstream of a planned feature.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PlannedDep {
    /// The dependency as the spec states it.
    pub dep: FeatureDep,
    /// The upstream.
    pub definition: Arc<FeatureDefinition>,
    /// The upstream's ID columns by their new names, in the order of its spec.
    pub id_columns: Vec<String>,
    /// The columns that identify what this upstream contributes, after lineage: the same (identity), the group (aggregation), or
    /// the upstream row (expansion).
    pub input_id_columns: Vec<String>,
}

/// A field of an upstream that a field depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParentField {
    /// The upstream feature.
    pub feature: FeatureKey,
    /// Its field.
    pub field: FieldKey,
    /// The position of the upstream among the feature's dependencies.
    pub dep: usize,
}

impl FeaturePlan {
    pub(crate) fn new(graph: &FeatureGraph, definition: &Arc<FeatureDefinition>) -> Result<Self> {
        let spec = &definition.spec;
        let mut deps = Vec::with_capacity(spec.deps().len());
        for dep in spec.deps() {
            let upstream = graph
                .get(&dep.feature)
                .ok_or_else(|| graph.missing_upstream(spec.key(), &dep.feature))?;
            deps.push(PlannedDep {
                dep: dep.clone(),
                definition: upstream.clone(),
                id_columns: renamed_id_columns(dep, &upstream.spec),
                input_id_columns: input_id_columns(spec, dep, &upstream.spec),
            });
        }
        let resolver = Parents::new(spec, deps.iter().map(|dep| &dep.definition.spec).collect());
        let parents = spec
            .fields()
            .iter()
            .map(|field| Ok((field.key.clone(), resolver.of(field)?)));
        let parents = parents.collect::<Result<_>>()?;
        let (join_columns, identity_columns) = match deps.is_empty() {
            true => (spec.id_columns().to_vec(), spec.id_columns().to_vec()),
            false => (intersection(&deps), union(spec, &deps)),
        };
        Ok(Self {
            definition: definition.clone(),
            deps,
            parents,
            join_columns,
            identity_columns,
        })
    }

    /// The feature's key.
    #[must_use]
    pub fn key(&self) -> &FeatureKey {
        self.definition.key()
    }

    /// The feature's spec.
    #[must_use]
    pub fn spec(&self) -> &FeatureSpec {
        &self.definition.spec
    }

    /// Whether the feature has no upstream.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.deps.is_empty()
    }

    /// The upstreams without which there is no sample, in order, with their positions.
    pub fn required(&self) -> impl Iterator<Item = (usize, &PlannedDep)> {
        self.deps
            .iter()
            .enumerate()
            .filter(|(_, dep)| !dep.dep.optional)
    }

    /// The upstreams that a sample can do without, in order, with their positions.
    pub fn optional(&self) -> impl Iterator<Item = (usize, &PlannedDep)> {
        self.deps
            .iter()
            .enumerate()
            .filter(|(_, dep)| dep.dep.optional)
    }

    /// The upstream fields that `field` depends on, in the order in which they are hashed.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] when the feature has no such field.
    pub fn parents_of(&self, field: &FieldKey) -> Result<&[ParentField]> {
        self.parents.get(field).map(Vec::as_slice).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("feature `{}` has no field `{field}`", self.key()),
            )
        })
    }

    /// What the provenance of a sample is hashed from (`semantics.md` §4): a recipe for each field, in the order of the members of the
    /// versions by field; the provenance is that of all of them [together](hashed_together). Plans and frames follow it alike.
    ///
    /// # Errors
    /// As [`parents_of`](Self::parents_of).
    pub fn recipe(&self) -> Result<Vec<FieldRecipe>> {
        let mut fields: Vec<_> = self.spec().fields().iter().collect();
        fields.sort_by_key(|field| field.key.struct_key());
        let recipes = fields.into_iter().map(|field| {
            let text = |text: String| HashPart::Text(text);
            let mut parts = vec![
                text(field.key.to_string()),
                text(field.code_version.clone()),
            ];
            for parent in self.parents_of(&field.key)? {
                let version = UpstreamVersion {
                    dep: parent.dep,
                    member: parent.field.struct_key(),
                };
                let nulls = match self.deps[parent.dep].dep.optional {
                    true => Nulls::Empty,
                    false => Nulls::Propagate,
                };
                parts.extend([text(parent.qualified()), HashPart::Value(version, nulls)]);
            }
            Ok(FieldRecipe {
                member: field.key.struct_key(),
                parts: joined(parts),
            })
        });
        recipes.collect()
    }
}

/// The version of a field of an upstream, as a [recipe](FeaturePlan::recipe) names it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpstreamVersion {
    /// The position of the upstream among the feature's dependencies.
    pub dep: usize,
    /// The member of its versions by field.
    pub member: String,
}

/// What the version of a field is hashed from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FieldRecipe {
    /// The member of the versions by field.
    pub member: String,
    /// The parts of the text that is hashed.
    pub parts: Vec<HashPart<UpstreamVersion>>,
}

/// What a version of several fields is hashed from: their versions, in this order. It is null if one of them is.
pub fn hashed_together<V>(versions: impl IntoIterator<Item = V>) -> Vec<HashPart<V>> {
    let versions = versions.into_iter();
    joined(versions.map(|version| HashPart::Value(version, Nulls::Propagate)))
}

impl ParentField {
    /// `feature/key.field/key`, which is how the field enters hashes and by which parents are ordered.
    #[must_use]
    pub fn qualified(&self) -> String {
        format!("{}.{}", self.feature, self.field)
    }
}

/// The upstream's ID columns by the names that `dep` gives them.
pub(crate) fn renamed_id_columns(dep: &FeatureDep, upstream: &FeatureSpec) -> Vec<String> {
    upstream
        .id_columns()
        .iter()
        .map(|column| dep.renamed(column).to_owned())
        .collect()
}

/// The columns that identify what an upstream contributes, after lineage.
pub(crate) fn input_id_columns(
    spec: &FeatureSpec,
    dep: &FeatureDep,
    upstream: &FeatureSpec,
) -> Vec<String> {
    match &dep.lineage {
        Lineage::Identity => renamed_id_columns(dep, upstream),
        Lineage::Aggregation { on } => on.as_deref().unwrap_or(spec.id_columns()).to_vec(),
        Lineage::Expansion { on, .. } => on.clone(),
    }
}

fn intersection(deps: &[PlannedDep]) -> Vec<String> {
    let [first, rest @ ..] = deps else {
        return Vec::new();
    };
    let common = |column: &&String| rest.iter().all(|dep| dep.input_id_columns.contains(column));
    first
        .input_id_columns
        .iter()
        .filter(common)
        .cloned()
        .collect()
}

fn union(spec: &FeatureSpec, deps: &[PlannedDep]) -> Vec<String> {
    let inputs = || deps.iter().flat_map(|dep| &dep.input_id_columns);
    let present: HashSet<&String> = inputs().collect();
    let own = spec
        .id_columns()
        .iter()
        .filter(|column| present.contains(column));
    let mut seen = HashSet::new();
    own.chain(inputs())
        .filter(|column| seen.insert(*column))
        .cloned()
        .collect()
}
