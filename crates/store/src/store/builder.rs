//! Building a store: its backend, its graph, its chain.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::engine;
use super::{Inner, MetadataStore, requires};
use crate::backend::registry::Registry;
use crate::backend::{Access, Backend};
use crate::clock::Clock;
use crate::config::{Config, FallbackBy};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::FeatureGraph;
use crate::hash::HashAlgorithm;

/// The name of a store that was given none.
pub(super) const UNNAMED: &str = "default";

/// What a [`MetadataStore`] is made of.
pub struct StoreBuilder {
    inner: Inner,
    graph: FeatureGraph,
}

impl StoreBuilder {
    pub(super) fn new(backend: Arc<dyn Backend>) -> Self {
        Self {
            inner: Inner {
                name: UNNAMED.into(),
                backend,
                access: Access::Write,
                algorithm: HashAlgorithm::default(),
                fallbacks: Vec::new(),
                compare_with_fallback: false,
                fallback_by: FallbackBy::default(),
                clock: Clock::system(),
                project: None,
                materialization_id: None,
                auto_create_tables: true,
                warned_of_weak_hash: AtomicBool::new(false),
                matching_ids: super::ids::MatchingIds::default(),
            },
            graph: FeatureGraph::default(),
        }
    }

    /// The store's name in messages; otherwise `default`.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.inner.name = name.into();
        self
    }

    /// The features that it holds; otherwise none. The graph also says how many characters of a hash are kept.
    #[must_use]
    pub fn with_graph(mut self, graph: FeatureGraph) -> Self {
        self.graph = graph;
        self
    }

    /// What it is opened for; otherwise writing. The backend must have been opened for as much.
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        self.inner.access = access;
        self
    }

    /// How samples are hashed; otherwise as the reference does, with xxhash32.
    #[must_use]
    pub fn with_hash_algorithm(mut self, algorithm: HashAlgorithm) -> Self {
        self.inner.algorithm = algorithm;
        self
    }

    /// One more store to ask for features that this one does not have. Nothing is ever written to it.
    #[must_use]
    pub fn with_fallback(mut self, store: MetadataStore) -> Self {
        self.inner.fallbacks.push(store);
        self
    }

    /// Whether a resolve compares with what the chain has of the feature; otherwise with what this store alone has. Then only that is new
    /// or stale which differs from the store that a [`read`](MetadataStore::read) would read.
    #[must_use]
    pub fn with_compare_with_fallback(mut self, compare: bool) -> Self {
        self.inner.compare_with_fallback = compare;
        self
    }

    /// When this store's rows hide those of the stores that it falls back to; otherwise always.
    #[must_use]
    pub fn with_fallback_by(mut self, fallback_by: FallbackBy) -> Self {
        self.inner.fallback_by = fallback_by;
        self
    }

    /// What tells the time of writes; otherwise this machine's clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.inner.clock = clock;
        self
    }

    /// The project whose graphs are pushed.
    #[must_use]
    pub fn with_project(mut self, project: Option<impl Into<String>>) -> Self {
        self.inner.project = project.map(Into::into);
        self
    }

    /// The run of an orchestrator that writes are marked with.
    #[must_use]
    pub fn with_materialization_id(mut self, id: Option<impl Into<String>>) -> Self {
        self.inner.materialization_id = id.map(Into::into);
        self
    }

    /// Whether a write makes the table of a feature that has none; otherwise yes.
    #[must_use]
    pub fn with_auto_create_tables(mut self, create: bool) -> Self {
        self.inner.auto_create_tables = create;
        self
    }

    /// The store.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the backend does not have the hash algorithm; [`ErrorKind::HashMismatch`] if a store of the
    /// chain, at any depth, hashes otherwise than this one, or has a graph whose hashes are cut otherwise; the message names both.
    pub fn build(self) -> Result<MetadataStore> {
        requires::hash_algorithm(&self.inner)?;
        let mut pending: Vec<&MetadataStore> = self.inner.fallbacks.iter().collect();
        while let Some(store) = pending.pop() {
            self.check_fallback(store)?;
            pending.extend(store.inner.fallbacks.iter());
        }
        Ok(MetadataStore {
            inner: Arc::new(self.inner),
            graph: self.graph,
        })
    }

    fn check_fallback(&self, store: &MetadataStore) -> Result<()> {
        let mismatch = |here: String, there: String, hint: &str| {
            let names = [&self.inner.name, &store.inner.name];
            Err(Error::new(
                ErrorKind::HashMismatch,
                format!(
                    "store {:?} hashes with {here} and its fallback store {:?} with {there}",
                    names[0], names[1]
                ),
            )
            .with_hint(hint))
        };
        let (ours, theirs) = (self.inner.algorithm, store.inner.algorithm);
        if ours != theirs {
            return mismatch(
                ours.to_string(),
                theirs.to_string(),
                "set one `hash_algorithm` for all stores of a chain",
            );
        }
        // A store without features follows whatever graph it is read under.
        let lengths = [&self.graph, &store.graph].map(FeatureGraph::truncation_length);
        if lengths[0] == lengths[1] || self.graph.is_empty() || store.graph.is_empty() {
            return Ok(());
        }
        let [here, there] = lengths.map(|length| format!("{ours} cut to {length} characters"));
        mismatch(
            here,
            there,
            "set one `hash_truncation_length` for all stores of a chain",
        )
    }
}

impl MetadataStore {
    /// The store `name` of a configuration (`None`: its default store) with its whole chain. Fallback stores are opened for reading.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] and [`ErrorKind::UnknownBackend`] where the configuration is wrong,
    /// [`ErrorKind::HashMismatch`] if the chain mixes hash algorithms.
    pub fn from_config(
        config: &Config,
        name: Option<&str>,
        access: Access,
        graph: &FeatureGraph,
    ) -> Result<Self> {
        let name = name.unwrap_or_else(|| config.default_store());
        // Unknown names and cycles are found before anything is opened.
        config.chain(name)?;
        Self::from_config_link(config, name, access, graph)
    }

    fn from_config_link(
        config: &Config,
        name: &str,
        access: Access,
        graph: &FeatureGraph,
    ) -> Result<Self> {
        let store = config.store(name)?;
        let request = config.open_request(store, access)?;
        let common = request.common.clone();
        let auto_create = request.auto_create_tables();
        let algorithm = match &common.hash_algorithm {
            Some(text) => text.parse().map_err(|e: Error| {
                Error::new(ErrorKind::InvalidConfig, e.message().to_owned())
                    .with_hint(e.hint().unwrap_or_default().to_owned())
                    .with_context("store", name)
            })?,
            None => HashAlgorithm::default(),
        };
        let registry = Registry::linked()?;
        let descriptor = store.descriptor(registry)?;
        let engine = common.versioning_engine;
        let backend = (descriptor.open)(request)
            .and_then(|backend| engine::select_engine(backend, descriptor, engine, algorithm))
            .map_err(|e| e.with_context("store", name))?;
        let mut builder = Self::builder(backend)
            .with_name(name)
            .with_graph(graph.clone())
            .with_access(access)
            .with_hash_algorithm(algorithm)
            .with_project(config.project())
            .with_materialization_id(common.materialization_id.clone())
            .with_auto_create_tables(auto_create)
            .with_compare_with_fallback(common.compare_with_fallback)
            .with_fallback_by(common.fallback_by);
        for fallback in &common.fallback_stores {
            builder = builder.with_fallback(Self::from_config_link(
                config,
                fallback,
                Access::Read,
                graph,
            )?);
        }
        builder.build()
    }
}
