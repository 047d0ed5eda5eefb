//! What is written and asked: `xtask/interop/scenario.json`.

use std::collections::BTreeMap;

use metaxy_store::json::Json;
use metaxy_store::{FeatureDefinition, FeatureGraph, FeatureSpec};

use super::{Outcome, described};

/// The scenario, with graphs that are whole.
pub(super) struct Scenario {
    /// The project that the stores are configured for.
    pub(super) project: String,
    graphs: BTreeMap<String, Definitions>,
    /// What one side writes.
    pub(super) write: Vec<Json>,
    /// What both are then asked.
    pub(super) ask: Vec<Json>,
    /// What one side and the other write in turns, after `write`.
    pub(super) turns: Vec<Vec<Json>>,
    /// What both are asked after each turn.
    pub(super) ask_in_turns: Vec<Json>,
    /// Turns after those, for kinds of store where the reference changes tables.
    pub(super) evolution: Evolution,
}

/// Turns that add columns to tables, and members to structs in them.
pub(super) struct Evolution {
    pub(super) turns: Vec<Vec<Json>>,
    /// What both are asked after each of them.
    pub(super) ask: Vec<Json>,
}

/// The specs of a graph, by project.
type Definitions = BTreeMap<String, Vec<Json>>;

impl Scenario {
    pub(super) fn read() -> Outcome<Self> {
        Self::parse(include_str!("../../../interop/scenario.json"))
            .map_err(|why| format!("xtask/interop/scenario.json: {why}"))
    }

    fn parse(text: &str) -> Outcome<Self> {
        let json = Json::parse(text).map_err(described)?;
        let steps = |name: &str| list(&json, name).map(<[Json]>::to_vec);
        let evolution = json.get("evolution").ok_or("there is no evolution")?;
        Ok(Self {
            project: text_of(&json, "project")?.to_owned(),
            graphs: graphs(json.get("graphs").ok_or("there are no graphs")?)?,
            write: steps("write")?,
            ask: steps("ask")?,
            turns: turns(&json)?,
            ask_in_turns: steps("ask_in_turns")?,
            evolution: Evolution {
                turns: turns(evolution)?,
                ask: list(evolution, "ask")?.to_vec(),
            },
        })
    }

    /// The scenario for a kind of store that does not keep columns of these types: nobody writes them.
    pub(super) fn without(mut self, types: &[&str]) -> Self {
        let mut left_out = Vec::new();
        let turns = self.turns.iter_mut().chain(&mut self.evolution.turns);
        for step in self
            .write
            .iter_mut()
            .chain(&mut self.ask)
            .chain(turns.flatten())
            .chain(&mut self.ask_in_turns)
            .chain(&mut self.evolution.ask)
        {
            let Json::Object(members) = step else {
                continue;
            };
            for name in ["rows", "samples"] {
                if let Some(Json::Object(frame)) = members.get_mut(name)
                    && let Some(Json::Object(columns)) = frame.get_mut("columns")
                {
                    columns.retain(|name, kind| {
                        let kept = !has_type(kind, types);
                        if !kept {
                            left_out.push(name.clone());
                        }
                        kept
                    });
                }
            }
        }
        let specs = self.graphs.values_mut().flat_map(BTreeMap::values_mut);
        for spec in specs.flatten() {
            select_without(spec, &left_out);
        }
        self
    }

    /// The graph of that name.
    pub(super) fn graph(&self, name: &str, truncation_length: usize) -> Outcome<FeatureGraph> {
        let projects = self
            .graphs
            .get(name)
            .ok_or_else(|| format!("no graph {name:?}"))?;
        let graph = FeatureGraph::new().with_truncation_length(truncation_length);
        let mut graph = graph.map_err(described)?;
        for (project, specs) in projects {
            for spec in specs {
                let key = text_of(spec, "key")?;
                let schema = [("title", Json::from(key)), ("type", Json::from("object"))];
                let spec = FeatureSpec::from_value(spec).map_err(described)?;
                let definition =
                    FeatureDefinition::new(spec, project).with_schema(Json::object(schema));
                graph.add(definition).map_err(described)?;
            }
        }
        Ok(graph)
    }

    /// The graphs as `reference.py` takes them.
    pub(super) fn graphs_json(&self) -> Json {
        Json::object(self.graphs.iter().map(|(name, projects)| {
            let projects = projects
                .iter()
                .map(|(project, specs)| (project, Json::from(specs.clone())));
            (name, Json::object(projects))
        }))
    }

    /// The ID columns of the feature that a step is about.
    pub(super) fn id_columns(&self, step: &Json) -> Vec<String> {
        let key = step.get("feature").and_then(Json::as_str);
        let mut specs = self.graphs.values().flat_map(BTreeMap::values).flatten();
        let spec = specs.find(|spec| spec.get("key").and_then(Json::as_str) == key);
        let ids = spec.and_then(|spec| spec.get("id_columns")?.as_array());
        let ids = ids.unwrap_or_default().iter();
        ids.filter_map(|id| id.as_str().map(str::to_owned))
            .collect()
    }
}

/// The turns of a list of turns, each a list of steps.
fn turns(value: &Json) -> Outcome<Vec<Vec<Json>>> {
    let turn = |turn: &Json| {
        let steps = turn.as_array().map(<[Json]>::to_vec);
        steps.ok_or_else(|| "a turn is a list".to_owned())
    };
    list(value, "turns")?.iter().map(turn).collect()
}

/// A question in words, such as `rows of video/raw with_sample_history`.
pub(super) fn title(step: &Json) -> String {
    let feature = step
        .get("feature")
        .and_then(Json::as_str)
        .unwrap_or_default();
    let mut title = match step.get("op").and_then(Json::as_str) {
        Some("read") => format!("rows of {feature}"),
        Some("resolve") => format!("increment of {feature}"),
        Some("history") => "history of pushed graphs".to_owned(),
        Some("graph") => "versions of the graph".to_owned(),
        Some("lock") => "lock file".to_owned(),
        Some("load") => "graph".to_owned(),
        Some(op) => format!("{op} {feature}"),
        None => "nothing".to_owned(),
    };
    for (name, value) in step.as_object().into_iter().flatten() {
        match (name.as_str(), value) {
            ("op" | "feature", _) => {}
            ("samples" | "rows" | "with", _) | (_, Json::Bool(true)) => {
                title += &format!(" {name}");
            }
            (name, value) => title += &format!(" {name}={}", value.to_compact()),
        }
    }
    title
}

/// A list that an object must have.
pub(super) fn list<'a>(value: &'a Json, name: &str) -> Outcome<&'a [Json]> {
    let found = value.get(name).and_then(Json::as_array);
    found.ok_or_else(|| format!("{name:?} is not a list"))
}

/// A text that an object must have.
pub(super) fn text_of<'a>(value: &'a Json, name: &str) -> Outcome<&'a str> {
    let found = value.get(name).and_then(Json::as_str);
    found.ok_or_else(|| format!("{name:?} is not a text"))
}

/// The texts of a list that an object may have.
pub(super) fn texts<'a>(value: &'a Json, name: &str) -> Vec<&'a str> {
    let found = value.get(name).and_then(Json::as_array).unwrap_or_default();
    found.iter().filter_map(Json::as_str).collect()
}

/// Whether an object says yes to `name`.
pub(super) fn flag(value: &Json, name: &str) -> bool {
    value.get(name) == Some(&Json::Bool(true))
}

/// Takes columns out of what the dependencies of a feature select.
fn select_without(spec: &mut Json, columns: &[String]) {
    let Json::Object(members) = spec else {
        return;
    };
    let Some(Json::Array(deps)) = members.get_mut("deps") else {
        return;
    };
    for dep in deps {
        if let Json::Object(dep) = dep
            && let Some(Json::Array(select)) = dep.get_mut("select")
        {
            select.retain(|name| {
                let name = name.as_str().unwrap_or_default();
                !columns.iter().any(|column| column == name)
            });
        }
    }
}

/// Whether the name of a type, such as `list<u64>`, has one of `types` in it: a word, or the beginning of a nested type.
fn has_type(kind: &Json, types: &[&str]) -> bool {
    let kind = kind.as_str().unwrap_or_default();
    if types
        .iter()
        .any(|part| part.contains('<') && kind.contains(part))
    {
        return true;
    }
    let mut words = kind.split(|letter: char| !letter.is_ascii_alphanumeric());
    words.any(|word| types.contains(&word))
}

/// Each graph with what it has from its `base`.
fn graphs(given: &Json) -> Outcome<BTreeMap<String, Definitions>> {
    let mut graphs: BTreeMap<String, Definitions> = BTreeMap::new();
    for (name, graph) in given.as_object().into_iter().flatten() {
        let mut projects = match graph.get("base").and_then(Json::as_str) {
            Some(base) => graphs
                .get(base)
                .cloned()
                .ok_or_else(|| format!("no graph {base:?}"))?,
            None => Definitions::new(),
        };
        for (project, specs) in graph.as_object().into_iter().flatten() {
            for spec in specs.as_array().unwrap_or_default() {
                let all = projects.entry(project.clone()).or_default();
                match all
                    .iter_mut()
                    .find(|known| known.get("key") == spec.get("key"))
                {
                    Some(known) => known.clone_from(spec),
                    None => all.push(spec.clone()),
                }
            }
        }
        graphs.insert(name.clone(), projects);
    }
    Ok(graphs)
}
