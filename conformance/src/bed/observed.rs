//! A backend that notes what is asked of it, and fails on demand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use metaxy_store::backend::append::Append;
use metaxy_store::backend::maintain::{Damage, Maintenance, MaintenanceReport, Prune};
use metaxy_store::backend::{Appended, Backend, Capabilities, Description};
use metaxy_store::delete::DeleteSamples;
use metaxy_store::plan::Plan;
use metaxy_store::{Error, ErrorKind, Expr, FeatureKey, Frame, Result};

/// A backend around another: it notes the calls, and fails while it is told to.
pub struct Observed {
    inner: Arc<dyn Backend>,
    failure: Mutex<Option<ErrorKind>>,
    calls: AtomicUsize,
    appends: Mutex<Vec<Vec<String>>>,
}

impl Observed {
    /// A backend that does what `inner` does.
    #[must_use]
    pub fn new(inner: Arc<dyn Backend>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            failure: Mutex::default(),
            calls: AtomicUsize::new(0),
            appends: Mutex::default(),
        })
    }

    /// From now on every call fails in this way; `None`: none does.
    pub fn fail(&self, how: impl Into<Option<ErrorKind>>) {
        *held(&self.failure) = how.into();
    }

    /// How often anything was asked of it, apart from what it is and what it can do.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// The tables of each append that was done, in order.
    #[must_use]
    pub fn appends(&self) -> Vec<Vec<String>> {
        held(&self.appends).clone()
    }

    fn called(&self) -> Result<()> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match *held(&self.failure) {
            Some(kind) => Err(Error::new(kind, "the backend was told to fail")),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Backend for Observed {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn describe(&self) -> Description {
        self.inner.describe()
    }

    async fn schema(&self, table: &FeatureKey) -> Result<Option<SchemaRef>> {
        self.called()?;
        self.inner.schema(table).await
    }

    async fn has_rows(&self, table: &FeatureKey) -> Result<bool> {
        self.called()?;
        self.inner.has_rows(table).await
    }

    async fn tables(&self) -> Result<Vec<String>> {
        self.called()?;
        self.inner.tables().await
    }

    async fn append(&self, appends: Vec<Append>) -> Result<Appended> {
        self.called()?;
        let tables = appends.iter().map(|append| append.table.to_string());
        let tables: Vec<String> = tables.collect();
        let appended = self.inner.append(appends).await?;
        held(&self.appends).push(tables);
        Ok(appended)
    }

    async fn delete(&self, table: &FeatureKey, condition: Option<&Expr>) -> Result<u64> {
        self.called()?;
        self.inner.delete(table, condition).await
    }

    async fn delete_samples(&self, table: &FeatureKey, samples: &DeleteSamples) -> Result<u64> {
        self.called()?;
        self.inner.delete_samples(table, samples).await
    }

    async fn drop_table(&self, table: &FeatureKey) -> Result<bool> {
        self.called()?;
        self.inner.drop_table(table).await
    }

    async fn prune(&self, table: &FeatureKey, prune: &Prune) -> Result<u64> {
        self.called()?;
        self.inner.prune(table, prune).await
    }

    async fn maintain(&self, maintenance: &Maintenance) -> Result<MaintenanceReport> {
        self.called()?;
        self.inner.maintain(maintenance).await
    }

    async fn verify(&self, table: &FeatureKey) -> Result<Vec<Damage>> {
        self.called()?;
        self.inner.verify(table).await
    }

    async fn query(&self, plan: Plan) -> Result<Frame> {
        self.called()?;
        self.inner.query(plan).await
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
