//! What a case works with: stores of its own, a clock that it sets, and small graphs and frames.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use metaxy_store::backend::{Backend, Capabilities};
use metaxy_store::clock::Micros;
use metaxy_store::store::StoreBuilder;
use metaxy_store::{Access, Clock, FeatureGraph, HashAlgorithm, MetadataStore, Result};

use crate::factory::{Settings, StoreFactory, StoreRequest};

pub mod frames;
pub mod gate;
pub mod graphs;
pub mod increments;
pub mod observed;

/// What a case works with.
pub struct TestBed {
    stores: Arc<dyn StoreFactory>,
    case: &'static str,
    clock: TestClock,
    algorithm: Option<HashAlgorithm>,
}

impl TestBed {
    /// A bed for the case of this name, on stores from `stores`: to call a case by itself.
    #[must_use]
    pub fn new(stores: Arc<dyn StoreFactory>, case: &'static str) -> Self {
        Self {
            stores,
            case,
            clock: TestClock::default(),
            algorithm: None,
        }
    }

    /// With this algorithm in the case's stores, which the backend has to have.
    #[must_use]
    pub fn with_algorithm(mut self, algorithm: Option<HashAlgorithm>) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// The case's store, over `graph`, for writing. The same store each time.
    ///
    /// # Errors
    /// If the backend cannot be opened.
    pub async fn store(&self, graph: FeatureGraph) -> Result<MetadataStore> {
        self.builder("main").await?.with_graph(graph).build()
    }

    /// A store of the case, over no graph yet, with the case's [`clock`](Self::clock). The same store each time for the same name.
    ///
    /// # Errors
    /// If the backend cannot be opened.
    pub async fn builder(&self, store: &str) -> Result<StoreBuilder> {
        let backend = self.backend(store, Access::Write).await?;
        Ok(self.over(backend).with_name(store))
    }

    /// A store called `main` over a backend that the case has opened or wrapped, with the case's clock and an algorithm that the
    /// backend has.
    #[must_use]
    pub fn over(&self, backend: Arc<dyn Backend>) -> StoreBuilder {
        let algorithm = self.algorithm(&backend.capabilities());
        MetadataStore::builder(backend)
            .with_name("main")
            .with_clock(self.clock.clock())
            .with_hash_algorithm(algorithm)
    }

    /// The backend of a store of the case, opened anew, as another process would open it.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub async fn backend(&self, store: &str, access: Access) -> Result<Arc<dyn Backend>> {
        self.stores.open(&self.request(store, access)).await
    }

    /// Says that a store of the case is done with: for cases that make many.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub async fn discard(&self, store: &str) -> Result<()> {
        self.stores
            .discard(&self.request(store, Access::Write))
            .await
    }

    /// How a configuration describes a store of the case, if it can.
    #[must_use]
    pub fn settings(&self, store: &str) -> Option<Settings> {
        self.stores.settings(&self.request(store, Access::Write))
    }

    /// Texts that nothing may show.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        self.stores.secrets()
    }

    /// The clock of the case's stores.
    #[must_use]
    pub fn clock(&self) -> &TestClock {
        &self.clock
    }

    /// The one that is wanted; otherwise xxhash64 where the backend has it, else the first that it has.
    fn algorithm(&self, capabilities: &Capabilities) -> HashAlgorithm {
        let all = capabilities.hash_algorithms;
        if let Some(wanted) = self.algorithm {
            return wanted;
        }
        match all.contains(&HashAlgorithm::Xxhash64) {
            true => HashAlgorithm::Xxhash64,
            false => all.first().copied().unwrap_or_default(),
        }
    }

    fn request(&self, store: &str, access: Access) -> StoreRequest {
        let name = format!("{}/{store}", self.case);
        StoreRequest::new(name, HashAlgorithm::default(), 8).with_access(access)
    }
}

/// A clock that a case sets. Each look at it is a millisecond later, so that what happens in turn has stamps in turn.
#[derive(Debug, Clone)]
pub struct TestClock(Arc<AtomicI64>);

impl TestClock {
    /// Sets what it says next, in UTC microseconds.
    pub fn set(&self, at: Micros) {
        self.0.store(at, Ordering::Relaxed);
    }

    /// What it would say next, in UTC microseconds.
    #[must_use]
    pub fn peek(&self) -> Micros {
        self.0.load(Ordering::Relaxed)
    }

    /// The clock as a store takes it.
    #[must_use]
    pub fn clock(&self) -> Clock {
        let next = self.0.clone();
        Clock::from_fn(move || next.fetch_add(1_000, Ordering::Relaxed))
    }
}

/// Starts on 1 March 2026, at noon.
impl Default for TestClock {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(1_772_366_400_000_000)))
    }
}
