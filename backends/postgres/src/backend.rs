//! The backend: what each operation does, on the store's own runtime.

use std::future::Future;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use metaxy_core::backend::append::Append;
use metaxy_core::backend::maintain::{Maintenance, MaintenanceReport, Prune};
use metaxy_core::backend::pump::Pump;
use metaxy_core::backend::runtime::Threads;
use metaxy_core::backend::{Access, Appended, Backend, Capabilities, Description, Explanation};
use metaxy_core::delete::DeleteSamples;
use metaxy_core::expr::Expr;
use metaxy_core::plan::{Plan, Relation};
use metaxy_core::{Error, ErrorKind, FeatureKey, Frame, Result};

use crate::config::PostgresConfig;
use crate::dialect::PostgresDialect;
use crate::error::Failure;
use crate::names::Names;
use crate::session::{Session, Sessions};
use crate::{catalog, maintain, query, write};

/// What the engine is called.
pub(crate) const ENGINE: &str = "PostgreSQL";

/// Connections belong to the runtime that they were opened on.
pub(crate) static THREADS: Threads = Threads::new(ENGINE, "metaxy-postgres");

/// A store in a PostgreSQL database. Made by [`PostgresConfig::open`].
#[derive(Clone)]
pub struct PostgresBackend {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) config: PostgresConfig,
    access: Access,
    sessions: Sessions,
}

impl PostgresBackend {
    pub(crate) fn new(config: PostgresConfig, access: Access) -> Self {
        Self {
            shared: Arc::new(Shared {
                config,
                access,
                sessions: Sessions::default(),
            }),
        }
    }

    /// Does `work` on the store's own runtime; `what` says in errors what it was to do.
    async fn run<T: Send + 'static, F>(
        &self,
        what: &'static str,
        work: impl FnOnce(Arc<Shared>) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let shared = self.shared.clone();
        let work = work(shared.clone());
        THREADS
            .run(async move { work.await.map_err(|failure| shared.explain(failure, what)) })
            .await
    }
}

impl Shared {
    /// A connection that nobody else uses.
    pub(crate) async fn session(&self) -> Result<Session, Failure> {
        self.sessions.take(&self.config).await
    }

    /// Where the tables are. A session knows it that was set up.
    pub(crate) fn names(&self, _: &Session) -> Result<Names, Failure> {
        let schema = self.sessions.schema(&self.config)?;
        Ok(Names {
            schema: schema.to_owned(),
            prefix: self.config.table_prefix.clone(),
            code_of_others: self.config.code_of_others,
        })
    }

    /// The dialect for one statement.
    pub(crate) fn dialect(&self, session: &Session) -> Result<PostgresDialect, Failure> {
        Ok(PostgresDialect::new(self.names(session)?))
    }

    /// The server's errors with what was done, and where.
    pub(crate) fn explain(&self, failure: Failure, what: &str) -> Error {
        failure.explain(what, &self.config)
    }

    fn require_write(&self) -> Result<()> {
        if self.access == Access::Write {
            return Ok(());
        }
        let place = self.config.location();
        let problem = format!("the {ENGINE} store at {place} was opened for reading");
        Err(Error::new(ErrorKind::ReadOnly, problem).with_hint("open it for writing"))
    }
}

#[async_trait]
impl Backend for PostgresBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }

    fn describe(&self) -> Description {
        Description::new(ENGINE, self.shared.config.location())
    }

    async fn schema(&self, table: &FeatureKey) -> Result<Option<SchemaRef>> {
        let table = table.clone();
        self.run("read the catalog", |shared| async move {
            let mut session = shared.session().await?;
            let names = shared.names(&session)?;
            let found = match catalog::table(&mut session, &names, &names.table(&table)).await {
                // It was dropped between two looks.
                Err(failure) if failure.is_undefined_table() => None,
                found => found?,
            };
            session.release();
            Ok(found.map(|found| found.schema))
        })
        .await
    }

    async fn has_rows(&self, table: &FeatureKey) -> Result<bool> {
        let table = table.clone();
        self.run("look for rows", |shared| async move {
            let mut session = shared.session().await?;
            let names = shared.names(&session)?;
            let found = match catalog::has_rows(&mut session, &names, &names.table(&table)).await {
                // It was dropped between two looks.
                Err(failure) if failure.is_undefined_table() => false,
                found => found?,
            };
            session.release();
            Ok(found)
        })
        .await
    }

    async fn tables(&self) -> Result<Vec<String>> {
        self.run("list the tables", |shared| async move {
            let mut session = shared.session().await?;
            let names = shared.names(&session)?;
            let found = catalog::names(&mut session, &names).await?;
            session.release();
            Ok(found)
        })
        .await
    }

    async fn append(&self, mut appends: Vec<Append>) -> Result<Appended> {
        self.shared.require_write()?;
        let pump = Pump::of(appends.iter_mut().map(|append| &mut append.rows));
        let work = self.run("write", |shared| async move {
            write::append(&shared, appends).await
        });
        pump.during(work).await
    }

    async fn delete(&self, table: &FeatureKey, condition: Option<&Expr>) -> Result<u64> {
        self.shared.require_write()?;
        let (table, condition) = (table.clone(), condition.cloned());
        self.run("delete rows", |shared| async move {
            write::delete(&shared, &table, condition.as_ref()).await
        })
        .await
    }

    async fn delete_samples(&self, table: &FeatureKey, samples: &DeleteSamples) -> Result<u64> {
        self.shared.require_write()?;
        let (table, samples) = (table.clone(), samples.clone());
        self.run("delete samples", |shared| async move {
            write::delete_samples(&shared, &table, &samples).await
        })
        .await
    }

    async fn drop_table(&self, table: &FeatureKey) -> Result<bool> {
        self.shared.require_write()?;
        let table = table.clone();
        self.run("drop a table", |shared| async move {
            write::drop_table(&shared, &table).await
        })
        .await
    }

    async fn prune(&self, table: &FeatureKey, prune: &Prune) -> Result<u64> {
        let (table, wanted) = (table.clone(), prune.clone());
        if !wanted.dry_run {
            self.shared.require_write()?;
        }
        self.run("remove superseded rows", |shared| async move {
            maintain::prune(&shared, &table, &wanted).await
        })
        .await
    }

    async fn maintain(&self, maintenance: &Maintenance) -> Result<MaintenanceReport> {
        let wanted = maintenance.clone();
        if !wanted.dry_run {
            self.shared.require_write()?;
        }
        self.run("put the tables in order", |shared| async move {
            maintain::maintain(&shared, &wanted).await
        })
        .await
    }

    async fn query(&self, plan: Plan) -> Result<Frame> {
        query::run(&self.shared, plan).await
    }

    async fn explain(&self, relation: &Relation) -> Result<Explanation> {
        let relation = relation.clone();
        self.run("explain a query", |shared| async move {
            query::explain(&shared, &relation).await
        })
        .await
    }
}
