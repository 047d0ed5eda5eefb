//! What is drawn of a graph: its features, or those around some of them, with versions and how they stand.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use metaxy_store::definition::FeatureDefinition;
use metaxy_store::graph::feature_plan::ParentField;
use metaxy_store::store::{FeatureState, FeatureStatus, StatusCategory};
use metaxy_store::{FeatureGraph, FeatureKey, Result};

/// A graph as it is drawn.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// The project, if it is only one.
    pub(crate) project: Option<String>,
    /// The project's version.
    pub(crate) version: Option<String>,
    /// What is drawn, for people: `current`, or which pushed graph.
    pub(crate) what: String,
    /// The store that rows were counted in.
    pub(crate) store: Option<String>,
    /// Each after what it depends on.
    pub(crate) features: Vec<Feature>,
    /// Pairs of positions: a feature, and one that depends on it.
    pub(crate) edges: Vec<Edge>,
}

/// A feature of a [`View`].
#[derive(Debug)]
pub(crate) struct Feature {
    pub(crate) key: FeatureKey,
    /// `None` if another feature depends on it, but the graph does not have it.
    pub(crate) definition: Option<Arc<FeatureDefinition>>,
    /// Its version, unless what it depends on is unknown; and those of its definition and code.
    pub(crate) version: Option<String>,
    pub(crate) definition_version: Option<String>,
    pub(crate) code_version: Option<String>,
    pub(crate) fields: Vec<Field>,
    /// All that depend on it, drawn or not.
    pub(crate) dependents: Vec<FeatureKey>,
    pub(crate) standing: Option<Standing>,
}

/// A field of a [`Feature`].
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) key: String,
    pub(crate) code_version: String,
    pub(crate) version: Option<String>,
    pub(crate) parents: Vec<ParentField>,
}

/// A dependency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Edge {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) optional: bool,
}

/// What is said of a feature besides its definition.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "there is one of each feature")]
pub(crate) enum Standing {
    /// How it stands in a store.
    Status(FeatureStatus),
    /// What became of it between two graphs, and what is to be done.
    Change { tone: Tone, words: String },
}

/// How something is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tone {
    /// Nothing to be said.
    Plain,
    /// Up to date, or added.
    Good,
    /// New samples, or changed by what is upstream.
    New,
    /// Stale samples, or changed.
    Stale,
    /// Orphaned samples, or removed.
    Orphaned,
    /// Nothing is there yet.
    Missing,
}

impl Tone {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Good => "good",
            Self::New => "new",
            Self::Stale => "stale",
            Self::Orphaned => "orphaned",
            Self::Missing => "missing",
        }
    }
}

impl Standing {
    pub(crate) fn tone(&self) -> Tone {
        let status = match self {
            Self::Change { tone, .. } => return *tone,
            Self::Status(status) => status,
        };
        match (status.category, status.counts) {
            (StatusCategory::Missing | StatusCategory::UpstreamMissing, _) => Tone::Missing,
            (StatusCategory::Failed, _) => Tone::Orphaned,
            (_, Some(counts)) if counts.stale > 0 => Tone::Stale,
            (_, Some(counts)) if counts.new > 0 => Tone::New,
            (_, Some(counts)) if counts.orphaned > 0 => Tone::Orphaned,
            _ if status.state == FeatureState::Waits => Tone::New,
            _ if status.other_versions.is_some() => Tone::Stale,
            (StatusCategory::UpToDate, _) => Tone::Good,
            _ => Tone::Plain,
        }
    }

    /// It in a few words each.
    pub(crate) fn words(&self) -> Vec<(Tone, String)> {
        let status = match self {
            Self::Change { tone, words } => return vec![(*tone, words.clone())],
            Self::Status(status) => status,
        };
        let samples = match status.samples {
            1 => "1 sample".to_owned(),
            n => format!("{} samples", grouped(n)),
        };
        let counts = status.counts.unwrap_or_default();
        let mut words = vec![match status.category {
            StatusCategory::UpstreamMissing => (Tone::Missing, "upstream missing".to_owned()),
            StatusCategory::Missing => (Tone::Missing, "never written".to_owned()),
            StatusCategory::Failed => (Tone::Orphaned, "cannot be compared".to_owned()),
            _ => (Tone::Plain, samples),
        }];
        if status.category == StatusCategory::UpToDate {
            words.push((Tone::Good, "up to date".to_owned()));
        }
        let waits = status.category != StatusCategory::UpstreamMissing;
        if status.state == FeatureState::Waits && waits {
            words.push((Tone::New, waits_for(status)));
        }
        if let (StatusCategory::Root, Some(samples)) = (status.category, status.other_versions) {
            let words_of_root = format!("{} under other versions", grouped(samples));
            words.push((Tone::Stale, words_of_root));
        }
        let parts = [
            (Tone::New, counts.new),
            (Tone::Stale, counts.stale),
            (Tone::Orphaned, counts.orphaned),
        ];
        for (tone, number) in parts.into_iter().filter(|(_, number)| *number > 0) {
            words.push((tone, format!("{} {}", grouped(number), tone.as_str())));
        }
        words
    }
}

fn waits_for(status: &FeatureStatus) -> String {
    match status.waits_for.first() {
        Some(first) => format!("waits for {}", first.feature),
        None => "waits for what is upstream".to_owned(),
    }
}

/// Digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Which features are drawn.
#[derive(Debug, Default)]
pub(crate) struct Focus {
    /// These and what is around them; all if there are none.
    pub(crate) features: Vec<FeatureKey>,
    /// How many steps upstream.
    pub(crate) upstream: Option<usize>,
    /// How many steps downstream.
    pub(crate) downstream: Option<usize>,
}

impl View {
    /// The features of a graph, also those that others depend on and that the graph does not have.
    pub(crate) fn new(graph: &FeatureGraph, focus: &Focus, what: String) -> Result<Self> {
        let shown = focus.shown(graph)?;
        let mut features: Vec<Feature> = Vec::new();
        let mut unknown = BTreeSet::new();
        for key in graph.topological() {
            for dep in graph.require(&key)?.spec.deps() {
                if !graph.contains(&dep.feature) && unknown.insert(dep.feature.clone()) {
                    features.push(Feature::unknown(graph, &dep.feature));
                }
            }
            features.push(Feature::new(graph, &key)?);
        }
        features.retain(|feature| {
            shown
                .as_ref()
                .is_none_or(|shown| shown.contains(&feature.key))
        });
        let projects: BTreeMap<&str, &FeatureDefinition> = features
            .iter()
            .filter_map(|feature| feature.definition.as_deref())
            .filter(|definition| !definition.is_external())
            .map(|definition| (definition.project.as_str(), definition))
            .collect();
        let project = match projects.len() {
            1 => projects.keys().next().map(|project| (*project).to_owned()),
            _ => None,
        };
        let mut view = Self {
            version: project
                .as_deref()
                .map(|project| graph.project_version(project).to_owned()),
            project,
            what,
            store: None,
            edges: Vec::new(),
            features,
        };
        view.edges = view.dependencies();
        Ok(view)
    }

    /// Adds the features that are not there yet.
    pub(crate) fn add(&mut self, features: impl IntoIterator<Item = Feature>) {
        let own = self.features.iter().enumerate();
        let mut known: HashMap<FeatureKey, usize> =
            own.map(|(at, feature)| (feature.key.clone(), at)).collect();
        for feature in features {
            match known.get(&feature.key).map(|&at| &mut self.features[at]) {
                // One that is only referred to is known now.
                Some(own) if own.definition.is_none() => *own = feature,
                Some(_) => {}
                None => {
                    known.insert(feature.key.clone(), self.features.len());
                    self.features.push(feature);
                }
            }
        }
        self.edges = self.dependencies();
    }

    fn dependencies(&self) -> Vec<Edge> {
        let at: HashMap<&FeatureKey, usize> = self
            .features
            .iter()
            .enumerate()
            .map(|(at, feature)| (&feature.key, at))
            .collect();
        let mut edges = Vec::new();
        for (to, feature) in self.features.iter().enumerate() {
            for dep in feature
                .definition
                .iter()
                .flat_map(|definition| definition.spec.deps())
            {
                let Some(&from) = at.get(&dep.feature) else {
                    continue;
                };
                // A recorded graph may name an upstream twice.
                let mut of_it = edges.iter().rev().take_while(|e: &&Edge| e.to == to);
                if !of_it.any(|e| e.from == from) {
                    edges.push(Edge {
                        from,
                        to,
                        optional: dep.optional,
                    });
                }
            }
        }
        edges
    }

    /// The edges as pairs.
    pub(crate) fn pairs(&self) -> Vec<(usize, usize)> {
        self.edges.iter().map(|edge| (edge.from, edge.to)).collect()
    }

    /// Whether features of several projects are drawn.
    pub(crate) fn several_projects(&self) -> bool {
        let mut projects = self.features.iter().filter_map(Feature::project);
        let first = projects.next();
        projects.any(|project| Some(project) != first)
    }

    /// What the drawing is called.
    pub(crate) fn title(&self) -> String {
        match &self.project {
            Some(project) => project.clone(),
            None => "Features".to_owned(),
        }
    }
}

impl Feature {
    fn new(graph: &FeatureGraph, key: &FeatureKey) -> Result<Self> {
        let definition = graph.require(key)?;
        let versions = graph.field_versions(key).ok();
        let plan = graph.plan(key).ok();
        let fields = definition.spec.fields().iter().map(|field| Field {
            key: field.key.as_str().to_owned(),
            code_version: field.code_version.clone(),
            version: versions.and_then(|versions| versions.get(&field.key).cloned()),
            parents: plan
                .as_ref()
                .and_then(|plan| plan.parents.get(&field.key).cloned())
                .unwrap_or_default(),
        });
        Ok(Self {
            key: key.clone(),
            version: graph.feature_version(key).ok().map(str::to_owned),
            definition_version: graph.definition_version(key).ok().map(str::to_owned),
            code_version: graph.code_version(key).ok().map(str::to_owned),
            fields: fields.collect(),
            dependents: graph.dependents(key),
            standing: None,
            definition: Some(definition.clone()),
        })
    }

    fn unknown(graph: &FeatureGraph, key: &FeatureKey) -> Self {
        Self {
            key: key.clone(),
            definition: None,
            version: None,
            definition_version: None,
            code_version: None,
            fields: Vec::new(),
            dependents: graph.dependents(key),
            standing: None,
        }
    }

    pub(crate) fn project(&self) -> Option<&str> {
        Some(self.definition.as_ref()?.project.as_str())
    }

    /// Whether this graph only refers to it.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.definition
            .as_ref()
            .is_none_or(|definition| definition.is_external())
    }

    pub(crate) fn tone(&self) -> Tone {
        match &self.standing {
            Some(standing) => standing.tone(),
            None => Tone::Plain,
        }
    }
}

impl Focus {
    /// The features that are drawn; `None` for all.
    fn shown(&self, graph: &FeatureGraph) -> Result<Option<BTreeSet<FeatureKey>>> {
        if self.features.is_empty() {
            return Ok(None);
        }
        for key in &self.features {
            graph.require(key)?;
        }
        let above = |key: &FeatureKey| match graph.get(key) {
            Some(definition) => definition
                .spec
                .deps()
                .iter()
                .map(|dep| dep.feature.clone())
                .collect(),
            None => Vec::new(),
        };
        let below = |key: &FeatureKey| graph.dependents(key);
        let mut shown = within(&self.features, self.upstream, above);
        shown.extend(within(&self.features, self.downstream, below));
        Ok(Some(shown))
    }
}

/// What `next` leads to in at most so many steps, with the start.
fn within(
    start: &[FeatureKey],
    steps: Option<usize>,
    next: impl Fn(&FeatureKey) -> Vec<FeatureKey>,
) -> BTreeSet<FeatureKey> {
    let mut reached: BTreeSet<FeatureKey> = start.iter().cloned().collect();
    let mut pending: VecDeque<(FeatureKey, usize)> =
        start.iter().cloned().map(|key| (key, 0)).collect();
    while let Some((key, depth)) = pending.pop_front() {
        if steps.is_some_and(|steps| depth >= steps) {
            continue;
        }
        for further in next(&key) {
            if reached.insert(further.clone()) {
                pending.push_back((further, depth + 1));
            }
        }
    }
    reached
}
