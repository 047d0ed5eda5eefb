//! [`MetadataStore`]: what users call.

mod buffered;
mod builder;
mod childless;
mod copy;
mod count;
mod delete;
mod diff;
mod engine;
mod fallback;
mod ids;
mod increment;
mod maintain;
mod merge;
mod multi;
mod progress;
mod provenance;
mod read;
mod rebase;
mod requires;
mod resolve;
mod standing;
mod status;
mod survey;
mod verify;
mod versions;
mod write;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::datatypes::SchemaRef;

pub use buffered::{BufferOptions, BufferedWriter};
pub use builder::StoreBuilder;
pub use copy::{CopyOptions, CopyReport, RowWatcher};
pub use delete::{DeleteOptions, Reach};
pub use increment::{Counts, Increment, LazyIncrement};
pub use maintain::{MaintainOptions, MaintainReport, OldVersion, VersionsLeft};
pub use rebase::{RebaseCounts, RebaseOptions, Rebased};
pub use resolve::ResolveOptions;
pub use status::{Awaited, FeatureState, FeatureStatus, StatusCategory, StatusOptions};
pub use survey::Survey;
pub use verify::{VerifiedTable, VerifyReport};
pub use write::WriteOptions;

use crate::backend::{Access, Backend, Capabilities, Description};
use crate::clock::Clock;
use crate::config::FallbackBy;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::FeatureGraph;
use crate::graph::feature_plan::FeaturePlan;
use crate::key::FeatureKey;
use crate::plan::HashSpec;

/// A store of the samples of a graph's features.
///
/// It is a backend together with a graph and the rules of `semantics.md`: it knows which rows are current, what an upstream
/// change makes stale, and where to look when this store does not have a feature. Cloning is cheap; clones are the same store.
///
/// Nothing is opened before it is needed. Every failing method leaves the store as it was.
#[derive(Clone)]
pub struct MetadataStore {
    inner: Arc<Inner>,
    graph: FeatureGraph,
}

struct Inner {
    name: String,
    backend: Arc<dyn Backend>,
    access: Access,
    algorithm: crate::hash::HashAlgorithm,
    fallbacks: Vec<MetadataStore>,
    compare_with_fallback: bool,
    fallback_by: FallbackBy,
    clock: Clock,
    project: Option<String>,
    materialization_id: Option<String>,
    auto_create_tables: bool,
    warned_of_weak_hash: AtomicBool,
    matching_ids: ids::MatchingIds,
}

impl MetadataStore {
    /// A store over `backend`; see [`StoreBuilder`] for what can be set.
    pub fn builder(backend: Arc<dyn Backend>) -> StoreBuilder {
        StoreBuilder::new(backend)
    }

    /// The store's name, as in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The graph whose features it holds.
    #[must_use]
    pub fn graph(&self) -> &FeatureGraph {
        &self.graph
    }

    /// The same store under another graph. Fallback stores follow.
    #[must_use]
    pub fn with_graph(&self, graph: FeatureGraph) -> Self {
        Self {
            inner: self.inner.clone(),
            graph,
        }
    }

    /// The project whose graphs are pushed, if one is configured.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        self.inner.project.as_deref()
    }

    /// What it was opened for.
    #[must_use]
    pub fn access(&self) -> Access {
        self.inner.access
    }

    /// How sample versions are hashed.
    #[must_use]
    pub fn hash(&self) -> HashSpec {
        HashSpec {
            algorithm: self.inner.algorithm,
            length: self.graph.truncation_length(),
        }
    }

    /// The stores that are asked when this one does not have a feature, in order.
    pub fn fallbacks(&self) -> impl Iterator<Item = MetadataStore> {
        self.inner
            .fallbacks
            .iter()
            .map(|store| store.with_graph(self.graph.clone()))
    }

    /// What kind of store it is, and where.
    #[must_use]
    pub fn describe(&self) -> Description {
        self.inner.backend.describe()
    }

    /// What its backend can do.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.inner.backend.capabilities()
    }

    /// The backend itself.
    #[must_use]
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.inner.backend
    }

    /// The columns of a feature's table in this store, `None` if it has none.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn feature_schema(&self, feature: &FeatureKey) -> Result<Option<SchemaRef>> {
        self.inner
            .backend
            .schema(feature)
            .await
            .map_err(|e| self.about(e, feature))
    }

    /// Whether this store, or with `check_fallbacks` one of its chain, has the feature: a table with at least one row of whatever
    /// version (`semantics.md` §7).
    ///
    /// # Errors
    /// If a store of the chain cannot be read.
    pub async fn has_feature(&self, feature: &FeatureKey, check_fallbacks: bool) -> Result<bool> {
        if check_fallbacks {
            return Ok(self.find_store(feature).await?.is_some());
        }
        self.has_feature_here(feature).await
    }

    /// Removes a feature's table with all its rows, of every version; returns whether there was one.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`] if the store is not open for writing, and if the backend fails or the table is somebody else's.
    pub async fn drop_feature(&self, feature: &FeatureKey) -> Result<bool> {
        self.require_write("drop a feature")?;
        self.inner
            .backend
            .drop_table(feature)
            .await
            .map_err(|e| self.about(e, feature))
    }

    async fn has_feature_here(&self, feature: &FeatureKey) -> Result<bool> {
        self.inner
            .backend
            .has_rows(feature)
            .await
            .map_err(|e| self.about(e, feature))
    }

    /// Appends to a system table.
    pub(crate) async fn append_system(&self, append: crate::backend::append::Append) -> Result<()> {
        self.require_write("be written to")?;
        let table = append.table.clone();
        let appended = self.inner.backend.append(vec![append]).await;
        appended.map(|_| ()).map_err(|e| self.about(e, &table))
    }

    /// What the store's clock says.
    pub(crate) fn now(&self) -> crate::clock::Micros {
        self.inner.clock.now()
    }

    fn plan(&self, feature: &FeatureKey) -> Result<FeaturePlan> {
        self.graph
            .plan(feature)
            .map_err(|e| e.with_context("store", self.name()))
    }

    fn require_write(&self, what: &str) -> Result<()> {
        if self.inner.access == Access::Write {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::ReadOnly,
            format!(
                "store {:?} was opened for reading, so it cannot {what}",
                self.name()
            ),
        )
        .with_hint("open it with Access::Write"))
    }

    /// Names the feature and the store in an error of the backend.
    fn about(&self, error: Error, feature: &FeatureKey) -> Error {
        error
            .with_context("feature", feature)
            .with_context("store", self.name())
    }
}

impl fmt::Debug for MetadataStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataStore")
            .field("name", &self.inner.name)
            .field("backend", &self.inner.backend.describe())
            .field("access", &self.inner.access)
            .field("hash", &self.hash())
            .field("fallbacks", &self.inner.fallbacks)
            .finish_non_exhaustive()
    }
}
