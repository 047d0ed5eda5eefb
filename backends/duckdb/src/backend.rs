//! The backend: what each operation does with a connection.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use metaxy_core::backend::append::Append;
use metaxy_core::backend::blocking;
use metaxy_core::backend::maintain::{Maintenance, MaintenanceReport, Prune};
use metaxy_core::backend::pump::Pump;
use metaxy_core::backend::{Access, Appended, Backend, Capabilities, Description, Explanation};
use metaxy_core::delete::DeleteSamples;
use metaxy_core::expr::Expr;
use metaxy_core::plan::{Plan, Relation};
use metaxy_core::{Error, ErrorKind, FeatureKey, Frame, Result};

use crate::config::DuckDbConfig;
use crate::dialect::{self, DuckDbDialect};
use crate::engine::{Engine, Lease, Need};
use crate::error::Failure;
use crate::strange::Use;
use crate::{catalog, maintain, query, write};

/// What the engine is called.
pub(crate) const ENGINE: &str = "DuckDB";

/// A store in one DuckDB file. Made by [`DuckDbConfig::open`].
#[derive(Clone)]
pub struct DuckDbBackend {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) config: DuckDbConfig,
    access: Access,
    engine: Arc<Engine>,
}

impl DuckDbBackend {
    pub(crate) fn new(config: DuckDbConfig, access: Access) -> Self {
        let engine = Engine::of(&config);
        Self {
            shared: Arc::new(Shared {
                config,
                access,
                engine,
            }),
        }
    }

    /// Runs `work` on a thread of its own: DuckDB blocks. Without a file to read from, the result is the default.
    async fn read<T: Default + Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Shared, &Lease) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let shared = self.shared.clone();
        blocking::run(ENGINE, move || match shared.lease(Need::Read)? {
            None => Ok(T::default()),
            Some(lease) => {
                let outcome = work(&shared, &lease);
                shared.explain(&lease, outcome, what)
            }
        })
        .await
    }

    /// The same for work that changes something.
    async fn change<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Shared, &Lease) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let shared = self.shared.clone();
        blocking::run(ENGINE, move || {
            let lease = match shared.access {
                Access::Read => return Err(shared.read_only()),
                Access::Write => shared
                    .lease(Need::Write)?
                    .ok_or_else(|| shared.read_only())?,
            };
            let outcome = work(&shared, &lease);
            shared.explain(&lease, outcome, what)
        })
        .await
    }
}

impl Shared {
    pub(crate) fn dialect(&self, lease: &Lease) -> DuckDbDialect {
        DuckDbDialect {
            table_prefix: self.config.table_prefix.clone(),
            database: lease.session().database.to_owned(),
            ..DuckDbDialect::default()
        }
    }

    fn table_name(&self, table: &FeatureKey) -> String {
        dialect::table_name(&self.config.table_prefix, table)
    }

    /// The names of all feature tables, sorted.
    fn tables(&self, lease: &Lease) -> Result<Vec<String>, Failure> {
        let names = lease.cache().names(lease.session())?;
        let ours = |name: &&String| {
            name.starts_with(&self.config.table_prefix) && !catalog::is_internal(name)
        };
        Ok(names.iter().filter(ours).cloned().collect())
    }

    pub(crate) fn lease(&self, need: Need) -> Result<Option<Lease>> {
        self.engine.lease(&self.config, self.access, need)
    }

    /// DuckDB's errors with what was done, and to which file.
    pub(crate) fn explain<T>(
        &self,
        lease: &Lease,
        outcome: Result<T, Failure>,
        what: &str,
    ) -> Result<T> {
        outcome.map_err(|failure| {
            if failure.is_fatal() {
                lease.give_up_engine();
            }
            failure.explain(what, &self.config.database)
        })
    }

    fn read_only(&self) -> Error {
        Error::new(
            ErrorKind::ReadOnly,
            format!(
                "the store in {} was opened for reading",
                self.config.database.display()
            ),
        )
        .with_hint("open it for writing")
    }
}

#[async_trait]
impl Backend for DuckDbBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }

    fn describe(&self) -> Description {
        Description::new(ENGINE, self.shared.config.database.display().to_string())
    }

    async fn schema(&self, table: &FeatureKey) -> Result<Option<SchemaRef>> {
        let name = self.shared.table_name(table);
        self.read("read the catalog", move |_, lease| {
            lease.cache().table(lease.session(), &name)
        })
        .await
    }

    async fn has_rows(&self, table: &FeatureKey) -> Result<bool> {
        let name = self.shared.table_name(table);
        self.read("look for rows", move |_, lease| {
            let session = lease.session();
            if !lease.cache().names(session)?.contains(&name) {
                return Ok(false);
            }
            session.require_plain(&name, Use::Read)?;
            let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", session.name(&name));
            Ok(session.connection.query_row(&sql, [], |row| row.get(0))?)
        })
        .await
    }

    async fn tables(&self) -> Result<Vec<String>> {
        self.read("list the tables", |shared, lease| shared.tables(lease))
            .await
    }

    async fn append(&self, mut appends: Vec<Append>) -> Result<Appended> {
        let pump = Pump::of(appends.iter_mut().map(|append| &mut append.rows));
        let work = self.change("write", move |shared, lease| {
            write::append(&shared.dialect(lease), lease.session(), appends)
        });
        pump.during(work).await
    }

    async fn delete(&self, table: &FeatureKey, condition: Option<&Expr>) -> Result<u64> {
        let (table, condition) = (table.clone(), condition.cloned());
        self.change("delete rows", move |shared, lease| {
            let dialect = shared.dialect(lease);
            write::delete(&dialect, lease.session(), &table, condition.as_ref())
        })
        .await
    }

    async fn delete_samples(&self, table: &FeatureKey, samples: &DeleteSamples) -> Result<u64> {
        let (table, samples) = (table.clone(), samples.clone());
        self.change("delete samples", move |shared, lease| {
            let dialect = shared.dialect(lease);
            maintain::delete_samples(&dialect, lease.session(), &table, &samples)
        })
        .await
    }

    async fn drop_table(&self, table: &FeatureKey) -> Result<bool> {
        let (table, name) = (table.clone(), self.shared.table_name(table));
        self.change("drop a table", move |_, lease| {
            write::drop_table(lease.session(), &name, &table)
        })
        .await
    }

    async fn prune(&self, table: &FeatureKey, prune: &Prune) -> Result<u64> {
        const WHAT: &str = "remove superseded rows";
        let (table, prune) = (table.clone(), prune.clone());
        let dry_run = prune.dry_run;
        let work = move |shared: &Shared, lease: &Lease| {
            maintain::prune(&shared.dialect(lease), lease.session(), &table, &prune)
        };
        match dry_run {
            true => self.read(WHAT, work).await,
            false => self.change(WHAT, work).await,
        }
    }

    async fn maintain(&self, maintenance: &Maintenance) -> Result<MaintenanceReport> {
        const WHAT: &str = "put the file in order";
        let maintenance = maintenance.clone();
        let dry_run = maintenance.dry_run;
        let work = move |shared: &Shared, lease: &Lease| {
            let mut tables = shared.tables(lease)?;
            if !maintenance.tables.is_empty() {
                let wanted = maintenance.tables.iter();
                let wanted: Vec<String> = wanted.map(|table| shared.table_name(table)).collect();
                tables.retain(|table| wanted.contains(table));
            }
            let config = &shared.config;
            let file = (!config.in_memory()).then_some(config.database.as_path());
            let patience = config.lock_timeout;
            maintain::maintain(lease.session(), &tables, file, &maintenance, patience)
        };
        match dry_run {
            true => self.read(WHAT, work).await,
            false => self.change(WHAT, work).await,
        }
    }

    async fn query(&self, plan: Plan) -> Result<Frame> {
        query::run(&self.shared, plan).await
    }

    async fn explain(&self, relation: &Relation) -> Result<Explanation> {
        let (shared, relation) = (self.shared.clone(), relation.clone());
        blocking::run(ENGINE, move || query::explain(&shared, &relation)).await
    }
}
