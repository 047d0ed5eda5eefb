//! The stores of one scenario, with the graph of the moment.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use indexmap::IndexMap;
use metaxy_store::backend::Backend;
use metaxy_store::json::Json;
use metaxy_store::{
    Access, Clock, FeatureGraph, FeatureKey, HashAlgorithm, Increment, MetadataStore, ReadOptions,
    Rows,
};

use super::super::deviations::Scene;
use super::super::factory::{StoreFactory, StoreRequest};
use super::super::file::{Outcome, list, members, opt_text, size, text, texts};
use super::super::rows::{Row, Shown, rows};
use super::super::versions;
use super::externals::Externals;
use super::pushes::Pushes;

/// One store of a scenario.
struct Link {
    backend: Arc<dyn Backend>,
    algorithm: HashAlgorithm,
    fallbacks: Vec<String>,
    materialization_id: Option<String>,
}

/// The stores of a scenario, and what its steps gave.
pub(super) struct World<'a> {
    factory: &'a dyn StoreFactory,
    case: String,
    links: IndexMap<String, Link>,
    stores: HashMap<String, Outcome<MetadataStore>>,
    pub(super) project: Option<String>,
    length: usize,
    clock: Arc<AtomicI64>,
    pub(super) graph: FeatureGraph,
    /// Features that the graph does not take, and why.
    refused: HashMap<String, String>,
    /// Increments, and frames, by the step that gave them.
    pub(super) increments: HashMap<usize, Increment>,
    pub(super) frames: HashMap<usize, Rows>,
    pub(super) pushes: Pushes,
    /// The tables that were written to, by store.
    written: HashSet<(String, FeatureKey)>,
    /// Features of which a store refused a soft delete that the reference did.
    undeleted: HashSet<(String, FeatureKey)>,
    /// The step was a push that was recorded here only.
    pub(super) pushed_here: bool,
    pub(super) externals: Externals,
}

impl<'a> World<'a> {
    pub(super) async fn new(
        factory: &'a dyn StoreFactory,
        case: &str,
        scenario: &Json,
    ) -> Outcome<Self> {
        let config = scenario.get("config").unwrap_or(&Json::Null);
        let length = size(config, "hash_truncation_length")?;
        let mut links = IndexMap::new();
        for (name, store) in members(scenario, "stores") {
            let algorithm = text(store, "hash_algorithm")?
                .parse()
                .map_err(|e| format!("{e}"))?;
            let request = StoreRequest::new(format!("{case}/{name}"), algorithm, length)
                .with_layout(opt_text(store, "layout").unwrap_or("nested"));
            let link = Link {
                backend: factory.open(&request).await.map_err(|e| e.to_string())?,
                algorithm,
                fallbacks: texts(store, "fallback")
                    .into_iter()
                    .map(str::to_owned)
                    .collect(),
                materialization_id: opt_text(store, "materialization_id").map(str::to_owned),
            };
            links.insert(name.to_owned(), link);
        }
        let mut world = Self {
            factory,
            case: case.to_owned(),
            links,
            stores: HashMap::new(),
            project: None,
            length,
            clock: Arc::default(),
            graph: FeatureGraph::new(),
            refused: HashMap::new(),
            increments: HashMap::new(),
            frames: HashMap::new(),
            pushes: Pushes::default(),
            written: HashSet::new(),
            undeleted: HashSet::new(),
            pushed_here: false,
            externals: Externals::new()?,
        };
        world.configure(config);
        world.define(scenario)?;
        Ok(world)
    }

    /// Takes members of a configuration.
    pub(super) fn configure(&mut self, config: &Json) {
        if config.get("project").is_some() {
            self.project = opt_text(config, "project").map(str::to_owned);
        }
        if let Ok(length) = size(config, "hash_truncation_length") {
            self.length = length;
        }
        self.externals.configure(config);
        self.connect();
    }

    /// Replaces the graph. A feature that is refused fails in the steps that use it.
    pub(super) fn define(&mut self, given: &Json) -> Outcome {
        let graph = FeatureGraph::new().with_truncation_length(self.length);
        let mut graph = graph.map_err(|e| e.to_string())?;
        self.refused.clear();
        for spec in list(given, "features")? {
            if let Err(why) = graph.add(versions::wrap(given, spec)?) {
                self.refused
                    .insert(text(spec, "key")?.to_owned(), why.to_string());
            }
        }
        self.externals.level();
        self.take_graph(graph);
        Ok(())
    }

    /// Goes on with another graph.
    pub(super) fn take_graph(&mut self, graph: FeatureGraph) {
        self.graph = graph;
        self.connect();
    }

    /// Makes the stores anew over their backends.
    fn connect(&mut self) {
        self.stores.clear();
        let names: Vec<String> = self.links.keys().cloned().collect();
        for name in names {
            let store = self.build(&name, Access::Write);
            self.stores.insert(name, store);
        }
    }

    /// A store of the scenario, opened like this.
    pub(super) fn build(&self, name: &str, access: Access) -> Outcome<MetadataStore> {
        let link = self.link(name)?;
        let mut builder = MetadataStore::builder(link.backend.clone())
            .with_name(name)
            .with_access(access)
            .with_graph(self.graph.clone())
            .with_hash_algorithm(link.algorithm)
            .with_clock(self.clock())
            .with_project(self.project.as_deref())
            .with_materialization_id(link.materialization_id.as_deref());
        for fallback in &link.fallbacks {
            builder = builder.with_fallback(self.store(fallback)?);
        }
        builder.build().map_err(|e| e.to_string())
    }

    fn clock(&self) -> Clock {
        let time = self.clock.clone();
        Clock::from_fn(move || time.load(Ordering::Relaxed))
    }

    /// What the clock of all stores says from now on.
    pub(super) fn set_clock(&self, at: i64) {
        self.clock.store(at, Ordering::Relaxed);
    }

    fn link(&self, name: &str) -> Outcome<&Link> {
        self.links
            .get(name)
            .ok_or_else(|| format!("no store {name:?}"))
    }

    /// The store called `name`, or why it cannot be made.
    pub(super) fn store(&self, name: &str) -> Outcome<MetadataStore> {
        self.stores
            .get(name)
            .cloned()
            .unwrap_or_else(|| Err(format!("no store {name:?}")))
    }

    pub(super) fn algorithm(&self, name: &str) -> Option<HashAlgorithm> {
        Some(self.links.get(name)?.algorithm)
    }

    /// The key of a step's feature, unless the graph refused it.
    pub(super) fn feature(&self, name: &str) -> Outcome<FeatureKey> {
        match self.refused.get(name) {
            Some(why) => Err(why.clone()),
            None => FeatureKey::new(name).map_err(|e| e.to_string()),
        }
    }

    /// The store and those it falls back to, in the order in which they are asked.
    pub(super) fn chain(&self, name: &str) -> Vec<String> {
        let mut chain = vec![name.to_owned()];
        for fallback in self.links.get(name).into_iter().flat_map(|l| &l.fallbacks) {
            chain.extend(self.chain(fallback));
        }
        chain
    }

    /// What is known of a step before it is done.
    pub(super) async fn scene(&self, step: &Json) -> Scene {
        let name = opt_text(step, "store").unwrap_or_default();
        let op = opt_text(step, "op").unwrap_or_default();
        let algorithms = self.chain(name).into_iter().map(|s| self.algorithm(&s));
        let own = self.algorithm(name);
        let source = opt_text(step, "from_store");
        let projects: HashSet<&str> = self
            .graph
            .definitions()
            .map(|definition| definition.project.as_str())
            .collect();
        let mut scene = Scene {
            mixed: algorithms.into_iter().any(|algorithm| algorithm != own)
                && self.store(name).is_err(),
            other_algorithm: source.is_some_and(|source| self.algorithm(source) != own),
            unknown: op == "copy"
                && texts(step, "features")
                    .iter()
                    .any(|key| !self.graph.contains(key)),
            pushed_again: self.pushes.repeated(name),
            versionless: self.has_no_version(),
            stranger: self.is_stranger(step),
            undeleted: false,
            projects: op == "write" && self.project.is_none() && projects.len() > 1,
            emptied: false,
            ..Scene::default()
        };
        if op == "snapshots" {
            scene.pushed_elsewhere = self
                .pushed_to(name)
                .await
                .is_some_and(|owner| owner != name);
        }
        self.scene_of_externals(step, &mut scene).await;
        if let Some(Ok(feature)) = opt_text(step, "feature").map(FeatureKey::new) {
            let mut involved = self.graph.upstream(std::slice::from_ref(&feature));
            involved.push(feature);
            for feature in &involved {
                let place = (name.to_owned(), feature.clone());
                let written = self.written.contains(&place);
                scene.undeleted |= self.undeleted.contains(&place);
                let kept = self.kept(name, feature).await;
                scene.emptied |= written && kept.is_none_or(|rows| rows.is_empty());
            }
        }
        scene
    }

    /// Takes note of a soft delete that was refused.
    pub(super) fn note_undeleted(&mut self, step: &Json) {
        if let (Some("delete"), Some(store), Some(Ok(feature))) = (
            opt_text(step, "op"),
            opt_text(step, "store"),
            opt_text(step, "feature").map(FeatureKey::new),
        ) {
            self.undeleted.insert((store.to_owned(), feature));
        }
    }

    /// Takes note of what a step that was done has written.
    pub(super) fn note(&mut self, step: &Json) {
        let store = opt_text(step, "store").unwrap_or_default();
        let wrote = ["write", "write_increment", "write_frame"];
        if wrote.contains(&opt_text(step, "op").unwrap_or_default())
            && let Some(Ok(feature)) = opt_text(step, "feature").map(FeatureKey::new)
        {
            self.written.insert((store.to_owned(), feature));
        }
        if opt_text(step, "op") == Some("push") {
            let pushed = self.externals.take_pushed();
            let graph = pushed.as_ref().unwrap_or(&self.graph);
            let versions = graph.keys().filter_map(|key| {
                let version = graph.feature_version(key).ok()?;
                Some((key.as_str().to_owned(), version.to_owned()))
            });
            let versions = versions.collect();
            let here = std::mem::take(&mut self.pushed_here);
            self.pushes.note(step, here, versions);
        }
    }

    /// Every row that the store itself keeps of a feature, whatever its version and state; `None` if it cannot be read.
    pub(super) async fn kept(&self, store: &str, feature: &FeatureKey) -> Option<Vec<Row>> {
        let options = ReadOptions::default()
            .with_local_only(true)
            .with_feature_history(true)
            .with_sample_history(true)
            .with_soft_deleted(true);
        let read = self.store(store).ok()?.read(feature, options).await.ok()?;
        rows(&read.collect().await.ok()?, Shown::Asked).ok()
    }

    /// The store of the chain of `name` that should answer for a feature: the first that keeps a row of it.
    pub(super) async fn owner(&self, name: &str, feature: &FeatureKey) -> Option<String> {
        for store in self.chain(name) {
            if self
                .kept(&store, feature)
                .await
                .is_some_and(|rows| !rows.is_empty())
            {
                return Some(store);
            }
        }
        None
    }

    /// The first store of the chain to which something was pushed.
    pub(super) async fn pushed_to(&self, name: &str) -> Option<String> {
        for owner in self.chain(name) {
            let pushed = self.store(&owner).ok()?.pushed_features().await;
            if pushed.is_ok_and(|pushed| !pushed.is_empty()) {
                return Some(owner);
            }
        }
        None
    }

    /// One store without fallback stores that holds what `name` should see: each feature from its owner, `own` from `name` only.
    pub(super) async fn twin(
        &self,
        name: &str,
        own: Option<&FeatureKey>,
    ) -> Outcome<MetadataStore> {
        use metaxy_store::store::CopyOptions;
        let link = self.link(name)?;
        let request = StoreRequest::new(
            format!("{}/{name}-twin", self.case),
            link.algorithm,
            self.length,
        );
        let backend = self
            .factory
            .open(&request)
            .await
            .map_err(|e| e.to_string())?;
        let twin = MetadataStore::builder(backend)
            .with_name("twin")
            .with_graph(self.graph.clone())
            .with_hash_algorithm(link.algorithm)
            .build()
            .map_err(|e| e.to_string())?;
        for feature in self.graph.keys() {
            let owner = match own {
                Some(own) if own == feature => Some(name.to_owned()),
                _ => self.owner(name, feature).await,
            };
            let Some(owner) = owner else { continue };
            let all = CopyOptions::default()
                .with_features([feature.clone()])
                .with_append(true)
                .with_sample_history(true);
            twin.copy_from(&self.store(&owner)?, all)
                .await
                .map_err(|e| e.to_string())?;
        }
        Ok(twin)
    }
}
