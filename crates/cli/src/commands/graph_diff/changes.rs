//! What has changed in one feature.

use std::collections::BTreeSet;

use metaxy_store::graph::feature_plan::ParentField;
use metaxy_store::graph::{DiffNode, DiffStatus, FieldDiff};
use metaxy_store::json::Json;
use metaxy_store::{FeatureGraph, FeatureKey, FeatureSpec, FieldKey};

/// Something as it was, and as it is.
pub(super) type Pair<T> = (T, T);

/// What became of a feature, a field or a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Added,
    Removed,
    /// Its definition is another.
    Changed,
    /// Its definition is the same, its version is not: something upstream has changed.
    Affected,
}

/// A feature that is not what it was.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) key: FeatureKey,
    pub(super) project: String,
    pub(super) kind: Kind,
    pub(super) version: Pair<Option<String>>,
    pub(super) definition_version: Pair<Option<String>>,
    pub(super) id_columns: Pair<Option<Vec<String>>>,
    pub(super) fields: Vec<FieldChange>,
    pub(super) dependencies: Vec<DependencyChange>,
    /// Other members of the definition that differ: the project, the description, metadata.
    pub(super) members: Vec<Member>,
    /// Whether the schema of its columns is another.
    pub(super) schema_changed: bool,
    /// Samples under the old version: of a removed feature all, otherwise those that are not under the new one.
    pub(super) samples: Option<u64>,
}

/// A field that is not what it was.
#[derive(Debug)]
pub(super) struct FieldChange {
    pub(super) key: FieldKey,
    pub(super) kind: Kind,
    pub(super) version: Pair<Option<String>>,
    pub(super) code_version: Pair<Option<String>>,
    pub(super) parents: Pair<Vec<ParentField>>,
}

/// A dependency that is not what it was.
#[derive(Debug)]
pub(super) struct DependencyChange {
    pub(super) feature: FeatureKey,
    pub(super) kind: Kind,
    /// What of it differs, if both have it.
    pub(super) members: Vec<Member>,
}

/// A named value that differs.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) values: Pair<Json>,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Affected => "affected",
        }
    }
}

impl Change {
    /// `None` if neither the feature's definition nor its version differs.
    pub(super) fn of(node: &DiffNode, from: &FeatureGraph, to: &FeatureGraph) -> Option<Self> {
        let (before, after) = (node.before(), node.after());
        let kind = match node.status() {
            DiffStatus::Added => Kind::Added,
            DiffStatus::Removed => Kind::Removed,
            DiffStatus::Changed => Kind::Changed,
            DiffStatus::Unchanged if before.map(|b| &b.version) != after.map(|a| &a.version) => {
                Kind::Affected
            }
            DiffStatus::Unchanged => return None,
        };
        let key = node.key();
        let definitions = (from.get(key), to.get(key));
        let specs = (
            definitions.0.map(|d| &d.spec),
            definitions.1.map(|d| &d.spec),
        );
        let parents = (parents(from, key), parents(to, key));
        let ids = |spec: Option<&FeatureSpec>| spec.map(|spec| spec.id_columns().to_vec());
        let mut change = Self {
            key: key.clone(),
            project: node.feature().project.clone(),
            kind,
            version: (
                before.map(|b| b.version.clone()),
                after.map(|a| a.version.clone()),
            ),
            definition_version: (
                before.map(|b| b.definition_version.clone()),
                after.map(|a| a.definition_version.clone()),
            ),
            id_columns: (ids(specs.0), ids(specs.1)),
            fields: node
                .fields()
                .iter()
                .map(|field| FieldChange::of(field, &parents))
                .collect(),
            dependencies: Vec::new(),
            members: Vec::new(),
            schema_changed: false,
            samples: None,
        };
        if let ((Some(old), Some(new)), (Some(before), Some(after))) = (specs, definitions) {
            change.dependencies = dependencies(old, new);
            let projects = (
                before.project.as_str().into(),
                after.project.as_str().into(),
            );
            let (old, new) = (old.to_json(), new.to_json());
            change
                .members
                .extend(member("project", projects.0, projects.1));
            for name in ["description", "metadata"] {
                let value = |spec: &Json| spec.get(name).cloned().unwrap_or_default();
                change
                    .members
                    .extend(member(name, value(&old), value(&new)));
            }
            change.schema_changed = before.feature_schema != after.feature_schema;
        }
        Some(change)
    }
}

impl FieldChange {
    fn of(field: &FieldDiff<'_>, parents: &Pair<Parents>) -> Self {
        let (before, after) = match *field {
            FieldDiff::Added(after) => (None, Some(after)),
            FieldDiff::Removed(before) => (Some(before), None),
            FieldDiff::Changed { before, after } => (Some(before), Some(after)),
        };
        let key = match *field {
            FieldDiff::Added(one)
            | FieldDiff::Removed(one)
            | FieldDiff::Changed { after: one, .. } => &one.key,
        };
        let of = |all: &Parents| {
            let own = all.iter().find(|(field, _)| field == key);
            own.map_or_else(Vec::new, |(_, parents)| parents.clone())
        };
        let parents = (of(&parents.0), of(&parents.1));
        let code_version = (
            before.map(|b| b.code_version.clone()),
            after.map(|a| a.code_version.clone()),
        );
        let kind = match (before, after) {
            (None, _) => Kind::Added,
            (_, None) => Kind::Removed,
            _ if code_version.0 != code_version.1 || names(&parents.0) != names(&parents.1) => {
                Kind::Changed
            }
            _ => Kind::Affected,
        };
        Self {
            key: key.clone(),
            kind,
            version: (
                before.map(|b| b.version.clone()),
                after.map(|a| a.version.clone()),
            ),
            code_version,
            parents,
        }
    }
}

/// Of each field the upstream fields that it depends on.
type Parents = Vec<(FieldKey, Vec<ParentField>)>;

fn parents(graph: &FeatureGraph, key: &FeatureKey) -> Parents {
    let plan = graph.plan(key).ok();
    plan.map_or_else(Vec::new, |plan| plan.parents.into_iter().collect())
}

/// The parents by name: their places among the dependencies do not matter.
pub(super) fn names(parents: &[ParentField]) -> BTreeSet<String> {
    parents.iter().map(ParentField::qualified).collect()
}

fn dependencies(old: &FeatureSpec, new: &FeatureSpec) -> Vec<DependencyChange> {
    let [before, after] = [old, new].map(|spec| {
        let json = spec.to_json();
        let deps = json
            .get("deps")
            .and_then(Json::as_array)
            .unwrap_or_default();
        let keys = spec.deps().iter().map(|dep| dep.feature.clone());
        keys.zip(deps.iter().cloned())
            .collect::<Vec<(FeatureKey, Json)>>()
    });
    let keys: BTreeSet<&FeatureKey> = before.iter().chain(&after).map(|(key, _)| key).collect();
    let find = |deps: &[(FeatureKey, Json)], key: &FeatureKey| {
        let found = deps.iter().find(|(other, _)| other == key);
        found.map(|(_, dep)| dep.clone())
    };
    let changes = keys.into_iter().filter_map(|key| {
        let (kind, members) = match (find(&before, key), find(&after, key)) {
            (None, _) => (Kind::Added, Vec::new()),
            (_, None) => (Kind::Removed, Vec::new()),
            (Some(old), Some(new)) => (Kind::Changed, members(&old, &new)),
        };
        let differs = kind != Kind::Changed || !members.is_empty();
        differs.then(|| DependencyChange {
            feature: key.clone(),
            kind,
            members,
        })
    });
    changes.collect()
}

/// The members of two objects that differ.
fn members(old: &Json, new: &Json) -> Vec<Member> {
    let names = [old, new].into_iter().filter_map(Json::as_object);
    let names: BTreeSet<&String> = names.flat_map(|members| members.keys()).collect();
    let value = |of: &Json, name: &str| of.get(name).cloned().unwrap_or_default();
    let differing = names
        .into_iter()
        .filter_map(|name| member(name, value(old, name), value(new, name)));
    differing.collect()
}

fn member(name: &str, old: Json, new: Json) -> Option<Member> {
    (old != new).then(|| Member {
        name: name.to_owned(),
        values: (old, new),
    })
}
