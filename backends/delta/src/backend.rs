//! The backend: what each operation does, on the store's own runtime.

use std::future::Future;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use metaxy_core::backend::append::Append;
use metaxy_core::backend::maintain::{Damage, Maintenance, MaintenanceReport, Prune};
use metaxy_core::backend::pump::Pump;
use metaxy_core::backend::runtime::Threads;
use metaxy_core::backend::{Access, Appended, Backend, Capabilities, Description, Explanation};
use metaxy_core::delete::DeleteSamples;
use metaxy_core::expr::Expr;
use metaxy_core::plan::{Plan, Relation};
use metaxy_core::{Error, ErrorKind, FeatureKey, Frame, Result};

use crate::config::DeltaConfig;
use crate::table::DeltaInner;
use crate::{delete, file, maintain, prune, root, samples, scan, tables, verify, write};

/// Clients of object stores and the Delta kernel need several threads.
pub(crate) static THREADS: Threads = Threads::new("Delta", "metaxy-delta");

/// A store of Delta tables below one folder or address. Made by [`DeltaConfig::open`].
#[derive(Clone)]
pub struct DeltaBackend {
    inner: Arc<DeltaInner>,
}

impl DeltaBackend {
    pub(crate) fn new(config: DeltaConfig, access: Access) -> Self {
        Self {
            inner: Arc::new(DeltaInner::new(config, access)),
        }
    }

    async fn run<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
        &self,
        work: impl FnOnce(Arc<DeltaInner>) -> F,
    ) -> Result<T> {
        THREADS.run(work(self.inner.clone())).await
    }

    fn require_write(&self) -> Result<()> {
        if self.inner.access == Access::Write {
            return Ok(());
        }
        let place = root::shown(&self.inner.config.root);
        let problem = format!("the Delta store at {place} was opened for reading");
        Err(Error::new(ErrorKind::ReadOnly, problem).with_hint("open it for writing"))
    }
}

#[async_trait]
impl Backend for DeltaBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all().with_transactions(false)
    }

    fn describe(&self) -> Description {
        Description::new("Delta", root::shown(&self.inner.config.root))
    }

    async fn schema(&self, table: &FeatureKey) -> Result<Option<SchemaRef>> {
        let table = table.clone();
        self.run(|inner| async move {
            let snapshot = inner.snapshot(&table).await?;
            Ok(snapshot.map(|snapshot| snapshot.schema.clone()))
        })
        .await
    }

    async fn has_rows(&self, table: &FeatureKey) -> Result<bool> {
        let feature = table.clone();
        self.run(|inner| async move {
            let Some(snapshot) = inner.snapshot(&feature).await? else {
                return Ok(false);
            };
            if snapshot
                .files
                .iter()
                .any(|file| file.rows.is_some_and(|rows| rows > 0))
            {
                return Ok(true);
            }
            let table = inner.table(&feature)?;
            for file in snapshot.files.iter().filter(|file| file.rows.is_none()) {
                let opened = file::open(&table, file).await?;
                if opened.metadata().file_metadata().num_rows() > 0 {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
    }

    async fn tables(&self) -> Result<Vec<String>> {
        self.run(|inner| async move { tables::names(&inner).await })
            .await
    }

    async fn append(&self, mut appends: Vec<Append>) -> Result<Appended> {
        self.require_write()?;
        let pump = Pump::of(appends.iter_mut().map(|append| &mut append.rows));
        let work = self.run(|inner| async move {
            let mut appended = Appended::default();
            let mut all_known = true;
            for append in appends {
                let (rows, table_rows) = write::append(&inner, append).await?;
                appended.rows += rows;
                all_known &= table_rows.is_some();
                appended.table_rows = appended.table_rows.max(table_rows);
            }
            // Of an unknown number nobody knows whether it is the largest.
            appended.table_rows = appended.table_rows.filter(|_| all_known);
            Ok(appended)
        });
        pump.during(work).await
    }

    async fn delete(&self, table: &FeatureKey, condition: Option<&Expr>) -> Result<u64> {
        self.require_write()?;
        let (table, condition) = (table.clone(), condition.cloned());
        self.run(|inner| async move { delete::delete(&inner, &table, condition.as_ref()).await })
            .await
    }

    async fn delete_samples(&self, table: &FeatureKey, samples: &DeleteSamples) -> Result<u64> {
        self.require_write()?;
        let (table, samples) = (table.clone(), samples.clone());
        self.run(|inner| async move { samples::delete(&inner, &table, &samples).await })
            .await
    }

    async fn drop_table(&self, table: &FeatureKey) -> Result<bool> {
        self.require_write()?;
        let table = table.clone();
        self.run(|inner| async move { delete::drop_table(&inner, &table).await })
            .await
    }

    async fn prune(&self, table: &FeatureKey, prune: &Prune) -> Result<u64> {
        let (table, wanted) = (table.clone(), prune.clone());
        if !wanted.dry_run {
            self.require_write()?;
        }
        self.run(|inner| async move { prune::prune(&inner, &table, &wanted).await })
            .await
    }

    async fn maintain(&self, maintenance: &Maintenance) -> Result<MaintenanceReport> {
        let wanted = maintenance.clone();
        if !wanted.dry_run {
            self.require_write()?;
        }
        self.run(|inner| async move { maintain::maintain(&inner, &wanted).await })
            .await
    }

    async fn verify(&self, table: &FeatureKey) -> Result<Vec<Damage>> {
        let table = table.clone();
        self.run(|inner| async move { verify::verify(&inner, &table).await })
            .await
    }

    async fn query(&self, plan: Plan) -> Result<Frame> {
        self.run(|inner| async move { scan::query(&inner, plan).await })
            .await
    }

    async fn explain(&self, relation: &Relation) -> Result<Explanation> {
        metaxy_polars::explain(relation.clone()).await
    }
}
