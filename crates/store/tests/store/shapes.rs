//! Graphs of every lineage, frames for them, and a backend that can be told to fail.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, SchemaRef};
use async_trait::async_trait;
use futures::executor::block_on;
use metaxy_store::Backend;
use metaxy_store::backend::append::Append;
use metaxy_store::backend::maintain::{Damage, Maintenance, MaintenanceReport, Prune};
use metaxy_store::backend::{Appended, Capabilities, Description};
use metaxy_store::clock::Micros;
use metaxy_store::delete::DeleteSamples;
use metaxy_store::plan::Plan;
use metaxy_store::prelude::*;
use metaxy_store::{Clock, Expr, Result};

use crate::fixture::key;

pub(crate) fn at(seconds: Micros) -> Clock {
    Clock::from_fn(move || seconds * 1_000_000)
}

pub(crate) fn builder(folder: &Path, name: &str) -> metaxy_store::store::StoreBuilder {
    let backend = SqliteConfig::new(folder.join(format!("{name}.db"))).open(Access::Write);
    MetadataStore::builder(Arc::new(backend)).with_name(name)
}

pub(crate) fn graph_of(specs: impl IntoIterator<Item = FeatureSpec>) -> FeatureGraph {
    let definitions = specs
        .into_iter()
        .map(|spec| FeatureDefinition::new(spec, "demo"));
    FeatureGraph::from_definitions(definitions).unwrap()
}

pub(crate) fn root(feature: &str, ids: &[&str]) -> FeatureSpec {
    FeatureSpec::new(feature, ids.iter().copied()).unwrap()
}

pub(crate) fn child(feature: &str, ids: &[&str], deps: &[(&str, Lineage)]) -> FeatureSpec {
    let deps = deps
        .iter()
        .map(|(on, lineage)| FeatureDep::new(on).unwrap().with_lineage(lineage.clone()));
    root(feature, ids).with_deps(deps)
}

/// Clips make summaries of videos; videos make crops; scores are told by two upstreams with different IDs.
pub(crate) fn lineages() -> FeatureGraph {
    graph_of([
        root("clip", &["clip", "video"]),
        root("video", &["video"]),
        child(
            "summary",
            &["video"],
            &[("clip", Lineage::aggregation(["video"]))],
        ),
        child(
            "crop",
            &["video", "crop"],
            &[("video", Lineage::expansion(["video"]))],
        ),
        child(
            "score",
            &["video", "clip"],
            &[("video", Lineage::Identity), ("clip", Lineage::Identity)],
        ),
    ])
}

/// Integer columns, and the provenance of the field `default`.
pub(crate) fn frame(columns: &[(&str, &[i64])], provenance: &[&str]) -> RecordBatch {
    let member = Arc::new(Field::new("default", DataType::Utf8, true));
    let values: ArrayRef = Arc::new(StringArray::from(provenance.to_vec()));
    let by_field: ArrayRef = Arc::new(StructArray::from(vec![(member, values)]));
    let columns = columns.iter().map(|(name, values)| {
        (
            *name,
            Arc::new(Int64Array::from(values.to_vec())) as ArrayRef,
        )
    });
    RecordBatch::try_from_iter(columns.chain([("metaxy_provenance_by_field", by_field)])).unwrap()
}

/// The batch with one column more, or another in its place.
pub(crate) fn with_column(batch: &RecordBatch, name: &str, array: ArrayRef) -> RecordBatch {
    let schema = batch.schema();
    let kept = schema.fields().iter().zip(batch.columns());
    let kept = kept.filter(|(field, _)| field.name() != name);
    let kept = kept.map(|(field, array)| (field.name().clone(), array.clone()));
    RecordBatch::try_from_iter(kept.chain([(name.to_owned(), array)])).unwrap()
}

pub(crate) fn without_column(batch: &RecordBatch, name: &str) -> RecordBatch {
    let mut batch = batch.clone();
    batch.remove_column(batch.schema().index_of(name).unwrap());
    batch
}

/// The increment, as one batch with a further column of integers, as a step of a pipeline makes it.
pub(crate) fn numbered(rows: &Rows, name: &str, values: impl Fn(usize) -> i64) -> RecordBatch {
    let batch = rows.to_batch().unwrap();
    let numbers = (0..batch.num_rows()).map(values);
    with_column(
        &batch,
        name,
        Arc::new(Int64Array::from_iter_values(numbers)),
    )
}

pub(crate) fn resolve(store: &MetadataStore, feature: &str) -> Increment {
    block_on(store.resolve_update(&key(feature), ResolveOptions::default())).unwrap()
}

pub(crate) fn apply(store: &MetadataStore, feature: &str) {
    let rows = resolve(store, feature).new_and_stale();
    block_on(store.write(&key(feature), rows)).unwrap();
}

/// A SQLite store that notes what is appended, and fails or waits on demand.
pub(crate) struct Observed {
    inner: Arc<dyn Backend>,
    pub(crate) transactions: bool,
    pub(crate) failing: AtomicBool,
    pub(crate) slow: AtomicBool,
    pub(crate) calls: Mutex<Vec<Vec<String>>>,
}

impl Observed {
    pub(crate) fn new(folder: &Path, transactions: bool) -> Arc<Self> {
        let backend = SqliteConfig::new(folder.join("observed.db")).open(Access::Write);
        Arc::new(Self {
            inner: Arc::new(backend),
            transactions,
            failing: AtomicBool::new(false),
            slow: AtomicBool::new(false),
            calls: Mutex::default(),
        })
    }

    pub(crate) fn calls(&self) -> Vec<Vec<String>> {
        self.calls.lock().unwrap().clone()
    }
}

#[async_trait]
impl Backend for Observed {
    fn capabilities(&self) -> Capabilities {
        let inner = self.inner.capabilities();
        inner.with_transactions(self.transactions)
    }

    fn describe(&self) -> Description {
        self.inner.describe()
    }

    async fn schema(&self, table: &FeatureKey) -> Result<Option<SchemaRef>> {
        self.inner.schema(table).await
    }

    async fn has_rows(&self, table: &FeatureKey) -> Result<bool> {
        self.inner.has_rows(table).await
    }

    async fn tables(&self) -> Result<Vec<String>> {
        self.inner.tables().await
    }

    async fn append(&self, appends: Vec<Append>) -> Result<Appended> {
        let tables = appends.iter().map(|append| append.table.to_string());
        self.calls.lock().unwrap().push(tables.collect());
        if self.failing.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Storage, "the disk is full"));
        }
        let appended = self.inner.append(appends).await;
        if self.slow.swap(false, Ordering::Relaxed) {
            // Done, but whoever asked does not hear of it at once.
            let mut asked = false;
            futures::future::poll_fn(|context| {
                context.waker().wake_by_ref();
                match std::mem::replace(&mut asked, true) {
                    true => std::task::Poll::Ready(()),
                    false => std::task::Poll::Pending,
                }
            })
            .await;
        }
        appended
    }

    async fn delete(&self, table: &FeatureKey, condition: Option<&Expr>) -> Result<u64> {
        self.inner.delete(table, condition).await
    }

    async fn delete_samples(&self, table: &FeatureKey, samples: &DeleteSamples) -> Result<u64> {
        self.inner.delete_samples(table, samples).await
    }

    async fn drop_table(&self, table: &FeatureKey) -> Result<bool> {
        self.inner.drop_table(table).await
    }

    async fn prune(&self, table: &FeatureKey, prune: &Prune) -> Result<u64> {
        self.inner.prune(table, prune).await
    }

    async fn maintain(&self, maintenance: &Maintenance) -> Result<MaintenanceReport> {
        self.inner.maintain(maintenance).await
    }

    async fn verify(&self, table: &FeatureKey) -> Result<Vec<Damage>> {
        self.inner.verify(table).await
    }

    async fn query(&self, plan: Plan) -> Result<Frame> {
        self.inner.query(plan).await
    }
}
