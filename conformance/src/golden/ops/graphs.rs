//! Facts of graphs, and differences between pushed ones.

use std::collections::{BTreeMap, BTreeSet};

use metaxy_store::MetadataStore;
use metaxy_store::graph::{
    DiffNode, FeatureFacts, FieldDiff, FieldFacts, GraphDiff, RelativesOptions, TreeNode,
};
use metaxy_store::json::Json;

use super::super::arguments::shown;
use super::super::file::{Outcome, flag, opt_text, size, text};
use super::answer::Answer;
use super::world::World;

impl World<'_> {
    /// Does a step that asks only the graph; `None` if it is not one.
    pub(super) fn of_graph(&self, step: &Json) -> Option<Outcome<Answer>> {
        let answer = match opt_text(step, "op")? {
            "describe" => Ok(self.describe(opt_text(step, "project"))),
            "dependencies" => self.relatives(step, &DEPENDENCIES),
            "dependents" => self.relatives(step, &DEPENDENTS),
            _ => return None,
        };
        Some(answer.map(Answer::value))
    }

    /// The project whose version stands for that of the graph, if there is one.
    fn main_project(&self) -> Option<&str> {
        let own = self.graph.definitions().filter(|d| !d.is_external());
        let own: BTreeSet<&str> = own.map(|d| d.project.as_str()).collect();
        let only = own.first().copied().filter(|_| own.len() == 1);
        self.project.as_deref().or(only)
    }

    /// Whether the graph has no version as a whole.
    pub(super) fn has_no_version(&self) -> bool {
        self.main_project().is_none()
    }

    fn describe(&self, project: Option<&str>) -> Json {
        let found = self.graph.describe(project);
        let version = self.main_project().map(|p| self.graph.project_version(p));
        let projects = found
            .projects
            .iter()
            .map(|(name, project)| (name.as_str(), Json::from(project.features)));
        let mut members = vec![
            ("metaxy_project_version", Json::from(version)),
            ("total_features", Json::from(found.total_features)),
            ("graph_depth", Json::from(found.depth)),
            ("root_features", keys(&found.roots)),
            ("leaf_features", keys(&found.leaves)),
            ("projects", Json::object(projects)),
        ];
        if project.is_some() {
            members.push(("filtered_features", Json::from(found.features)));
            members.push(("filter_project", Json::from(found.project)));
        }
        Json::object(members)
    }

    /// A description without a version: every feature is counted, in its project.
    pub(super) fn described(&self, found: &Answer) -> Outcome {
        let found = found.value.as_ref().ok_or("there is no description")?;
        let mut projects: BTreeMap<&str, usize> = BTreeMap::new();
        for definition in self.graph.definitions() {
            *projects.entry(&definition.project).or_default() += 1;
        }
        let projects = projects.into_iter().map(|(name, n)| (name, Json::from(n)));
        let expected = [
            ("metaxy_project_version", Json::Null),
            ("total_features", Json::from(self.graph.len())),
            ("projects", Json::object(projects)),
        ];
        for (name, expected) in expected {
            if found.get(name) != Some(&expected) {
                return Err(format!("{name} is not {}", expected.to_compact()));
            }
        }
        Ok(())
    }

    /// Whether nothing in the graph has to do with the feature of a step.
    pub(super) fn is_stranger(&self, step: &Json) -> bool {
        opt_text(step, "feature")
            .is_some_and(|key| !self.graph.contains(key) && self.graph.dependents(key).is_empty())
    }

    fn relatives(&self, step: &Json, direction: &Direction) -> Outcome<Json> {
        let feature = self.feature(text(step, "feature")?)?;
        let options = RelativesOptions::default()
            .with_recursive(flag(step, "recursive"))
            .with_max_depth(size(step, "max_depth").ok());
        let found = match direction.upstream {
            true => self.graph.dependencies_of(&feature, options),
            false => self.graph.dependents_of(&feature, options),
        };
        let found = found.map_err(shown)?;
        let mut members = vec![(direction.direct, keys(&found.direct))];
        if let Some(tree) = &found.tree {
            members.push((direction.tree, branch(tree.root(), direction)));
            members.push((direction.all, keys(tree.features())));
        }
        Ok(Json::object(members))
    }

    /// What has changed between two pushed versions.
    pub(super) async fn diff(&self, store: &MetadataStore, step: &Json) -> Outcome<Answer> {
        let (from, to) = (text(step, "from_version")?, text(step, "to_version")?);
        let diff = store.diff(from, to, opt_text(step, "project")).await;
        let diff = diff.map_err(shown)?;
        let merged = match opt_text(step, "focus") {
            None => diff.clone(),
            Some(focus) => diff
                .around(focus, size(step, "up").ok(), size(step, "down").ok())
                .map_err(shown)?,
        };
        Ok(Answer::value(Json::object([
            ("has_changes", Json::from(diff.has_changes())),
            ("added", diff.added().map(of_feature).collect()),
            ("removed", diff.removed().map(of_feature).collect()),
            ("changed", diff.changed().map(of_change).collect()),
            ("merged", of_merged(&merged)),
        ])))
    }

    /// A diff of what depends on other projects shows every feature as it was recorded.
    pub(super) async fn diffed(&self, step: &Json, found: &Answer) -> Outcome {
        let store = self.store(text(step, "store")?)?;
        let project = opt_text(step, "project");
        let pushed = store.pushed_features().await.map_err(shown)?;
        let recorded = |version: &str| -> BTreeMap<&str, _> {
            pushed
                .iter()
                .filter(|f| f.project_version == version)
                .filter(|f| project.is_none_or(|project| project == f.project))
                .map(|f| (f.feature_key.as_str(), f))
                .collect()
        };
        let before = recorded(text(step, "from_version")?);
        let after = recorded(text(step, "to_version")?);
        let found = found.value.as_ref().ok_or("there is no diff")?;
        let merged = found.get("merged").and_then(|merged| merged.get("nodes"));
        let merged = merged.ok_or("there is no merged graph")?;
        let all: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
        for key in all {
            let (before, after) = (before.get(key), after.get(key));
            let status = match (before, after) {
                (None, _) => "added",
                (_, None) => "removed",
                (Some(b), Some(a)) if b.definition_version != a.definition_version => "changed",
                _ => "unchanged",
            };
            let Some(node) = merged.get(key) else {
                match step.get("focus").is_some_and(|focus| !focus.is_null()) {
                    true => continue,
                    false => return Err(format!("{key} is not in the merged graph")),
                }
            };
            let expected = [
                ("status", Json::from(status)),
                (
                    "old_version",
                    Json::from(before.map(|f| f.feature_version.as_str())),
                ),
                (
                    "new_version",
                    Json::from(after.map(|f| f.feature_version.as_str())),
                ),
            ];
            for (name, expected) in expected {
                if node.get(name) != Some(&expected) {
                    return Err(format!("{name} of {key} is not {}", expected.to_compact()));
                }
            }
        }
        Ok(())
    }
}

/// Upstream or downstream, as golden files name it.
struct Direction {
    upstream: bool,
    direct: &'static str,
    tree: &'static str,
    all: &'static str,
    branches: &'static str,
}

const DEPENDENCIES: Direction = Direction {
    upstream: true,
    direct: "direct_dependencies",
    tree: "dependency_tree",
    all: "all_dependencies",
    branches: "dependencies",
};

const DEPENDENTS: Direction = Direction {
    upstream: false,
    direct: "direct_dependents",
    tree: "dependent_tree",
    all: "all_dependents",
    branches: "dependents",
};

fn branch(node: TreeNode<'_>, direction: &Direction) -> Json {
    let key = ("key", Json::from(node.feature().as_str()));
    if node.is_truncated() {
        return Json::object([key, ("truncated", Json::from(true))]);
    }
    let branches: Json = node
        .children()
        .map(|node| branch(node, direction))
        .collect();
    let mut members = vec![key];
    // A feature without dependencies shows no project there (95).
    if !(direction.upstream && node.children().len() == 0) {
        members.push(("project", Json::from(node.project())));
    }
    members.push((direction.branches, branches));
    Json::object(members)
}

fn of_feature(feature: &FeatureFacts) -> Json {
    let mut fields: Vec<&FieldFacts> = feature.fields.iter().collect();
    fields.sort_by_key(|field| &field.key);
    let fields = fields.into_iter().map(|field| {
        Json::object([
            ("key", Json::from(field.key.as_str())),
            ("version", Json::from(field.version.as_str())),
            ("code_version", Json::from(field.code_version.as_str())),
        ])
    });
    Json::object([
        ("key", Json::from(feature.key.as_str())),
        ("version", Json::from(feature.version.as_str())),
        ("fields", fields.collect()),
        ("dependencies", keys(&feature.dependencies)),
    ])
}

fn of_change(node: &DiffNode) -> Json {
    let fields = node.fields();
    let part = |of: fn(FieldDiff<'_>) -> Option<Json>| -> Json {
        fields.iter().filter_map(|field| of(*field)).collect()
    };
    Json::object([
        ("key", Json::from(node.key().as_str())),
        ("old_version", version(node.before())),
        ("new_version", version(node.after())),
        (
            "added_fields",
            part(|field| match field {
                FieldDiff::Added(after) => Some(of_field(None, Some(after))),
                _ => None,
            }),
        ),
        (
            "removed_fields",
            part(|field| match field {
                FieldDiff::Removed(before) => Some(of_field(Some(before), None)),
                _ => None,
            }),
        ),
        (
            "changed_fields",
            part(|field| match field {
                FieldDiff::Changed { before, after } => Some(of_field(Some(before), Some(after))),
                _ => None,
            }),
        ),
    ])
}

fn of_field(before: Option<&FieldFacts>, after: Option<&FieldFacts>) -> Json {
    let key = before.or(after).map(|field| field.key.as_str());
    let version =
        |field: Option<&FieldFacts>| Json::from(field.map(|field| field.version.as_str()));
    Json::object([
        ("key", Json::from(key)),
        ("old_version", version(before)),
        ("new_version", version(after)),
    ])
}

fn of_merged(diff: &GraphDiff) -> Json {
    let nodes = diff.nodes().map(|node| {
        let feature = node.feature();
        let fields = feature.fields.iter();
        let fields = fields.map(|f| (f.key.as_str(), Json::from(f.version.as_str())));
        let members = Json::object([
            ("status", Json::from(node.status().as_str())),
            ("old_version", version(node.before())),
            ("new_version", version(node.after())),
            ("fields", Json::object(fields)),
            ("dependencies", keys(&feature.dependencies)),
        ]);
        (feature.key.as_str(), members)
    });
    let edges: BTreeSet<_> = diff.edges().collect();
    let edges = edges.into_iter().map(|(upstream, dependent)| {
        Json::object([
            ("from", Json::from(upstream.as_str())),
            ("to", Json::from(dependent.as_str())),
        ])
    });
    Json::object([("nodes", Json::object(nodes)), ("edges", edges.collect())])
}

fn version(feature: Option<&FeatureFacts>) -> Json {
    Json::from(feature.map(|feature| feature.version.as_str()))
}

fn keys<'a>(keys: impl IntoIterator<Item = &'a metaxy_store::FeatureKey>) -> Json {
    keys.into_iter().map(|key| key.as_str()).collect()
}
