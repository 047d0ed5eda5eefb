//! The backend: connections, and what each operation does with one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use metaxy_core::backend::append::Append;
use metaxy_core::backend::blocking;
use metaxy_core::backend::maintain::{Damage, Maintenance, MaintenanceReport, Prune};
use metaxy_core::backend::pump::Pump;
use metaxy_core::backend::{Access, Appended, Backend, Capabilities, Description, Explanation};
use metaxy_core::delete::DeleteSamples;
use metaxy_core::expr::Expr;
use metaxy_core::options::Synchronous;
use metaxy_core::plan::{Plan, Relation};
use metaxy_core::sql::quote;
use metaxy_core::{Error, ErrorKind, FeatureKey, Frame, Result};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use crate::catalog::{self, CatalogError, Known};
use crate::config::SqliteConfig;
use crate::dialect::SqliteDialect;
use crate::functions::{self, Marks};
use crate::log::Log;
use crate::place::{self, Still, Way};
use crate::{checksums, error, maintain, query, write};

/// What the engine is called.
pub(crate) const ENGINE: &str = "SQLite";

/// Bytes per page of a new file.
const PAGE_SIZE: u32 = 16_384;

/// Between two attempts to make a file a store, where SQLite itself does not wait.
const RETRY: Duration = Duration::from_millis(5);

/// How often a file is looked at anew that its writers leave meanwhile.
const ATTEMPTS: usize = 3;

/// What to do about a folder that cannot be read.
const FOLDER: &str = "check the permissions of the folders that the file is in";

/// A store in one SQLite file. Made by [`SqliteConfig::open`].
#[derive(Clone)]
pub struct SqliteBackend {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) config: SqliteConfig,
    access: Access,
    /// The file; for `:memory:` in a temporary folder.
    path: PathBuf,
    temporary: Option<std::io::Result<TempDir>>,
    /// Connections that nobody uses.
    idle: Mutex<Vec<Handle>>,
    log: Log,
}

/// A connection, the marks that its functions share, and what it knows of the file.
pub(crate) struct Handle {
    pub(crate) connection: Connection,
    pub(crate) marks: Marks,
    pub(crate) known: Known,
    /// Whether the store was opened for writing, and its file can be written to.
    pub(crate) writable: bool,
    /// What is read without locks must not change meanwhile.
    still: Option<Still>,
    /// Whether it may serve again.
    lasting: bool,
}

impl SqliteBackend {
    pub(crate) fn new(config: SqliteConfig, access: Access) -> Self {
        let (path, temporary) = if config.database == Path::new(":memory:") {
            let folder = tempfile::tempdir();
            let path = folder
                .as_ref()
                .map(|f| f.path().join("store.db"))
                .unwrap_or_default();
            (path, Some(folder))
        } else {
            (config.database.clone(), None)
        };
        Self {
            shared: Arc::new(Shared {
                config,
                access,
                path,
                temporary,
                idle: Mutex::default(),
                log: Log::default(),
            }),
        }
    }

    /// Runs `work` on a thread of its own: SQLite blocks. `None` stands for a file that does not exist (yet).
    async fn run<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Shared, Option<&mut Handle>) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T> {
        let shared = self.shared.clone();
        blocking::run(ENGINE, move || shared.with_connection(what, work)).await
    }
}

impl Shared {
    pub(crate) fn dialect(&self) -> SqliteDialect {
        SqliteDialect {
            table_prefix: self.config.table_prefix.clone(),
            ..SqliteDialect::default()
        }
    }

    /// SQLite's errors with what was done, and to which file.
    pub(crate) fn explain(&self, error: CatalogError, what: &str) -> Error {
        match error {
            CatalogError::Sqlite(error) => error::sqlite(&error, what, &self.path),
            CatalogError::Other(error) => error,
        }
    }

    pub(crate) fn with_connection<T>(
        &self,
        what: &str,
        work: impl FnOnce(&Self, Option<&mut Handle>) -> Result<T, CatalogError>,
    ) -> Result<T> {
        let mut handle = self.take()?;
        let result = work(self, handle.as_mut());
        self.settle(handle, result, what)
    }

    /// What comes of work with a connection, which may serve again if all went well.
    pub(crate) fn settle<T>(
        &self,
        handle: Option<Handle>,
        result: Result<T, CatalogError>,
        what: &str,
    ) -> Result<T> {
        let Some(handle) = handle else {
            return result.map_err(|error| self.explain(error, what));
        };
        if let Some(still) = &handle.still
            && !still.is_still()
        {
            return Err(still.disturbed());
        }
        if result.is_ok() && handle.lasting {
            self.give_back(handle);
        }
        result.map_err(|error| self.explain(error, what))
    }

    /// Does `work`, which writes, and looks after the log.
    fn written<T>(
        &self,
        handle: &mut Handle,
        work: impl FnOnce(&mut Handle) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        if !handle.writable {
            return Err(maintain::read_only(&self.path).into());
        }
        let done = work(handle)?;
        let patience = self.config.lock_timeout;
        self.log.cut_back(&handle.connection, &self.path, patience);
        Ok(done)
    }

    /// An idle connection or a new one; `None` if there is no file and none may be made.
    pub(crate) fn take(&self) -> Result<Option<Handle>> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        match idle {
            Some(handle) => Ok(Some(handle)),
            None => self.open(),
        }
    }

    fn give_back(&self, handle: Handle) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < 4 {
            idle.push(handle);
        }
    }

    fn open(&self) -> Result<Option<Handle>> {
        let path = &self.path;
        if let Some(Err(source)) = &self.temporary {
            return Err(Error::new(
                ErrorKind::CannotOpen,
                format!("no temporary folder for the store: {source}"),
            ));
        }
        let cannot = |why: &str, hint: &str| {
            Error::new(
                ErrorKind::CannotOpen,
                format!("the store {} cannot be opened: {why}", path.display()),
            )
            .with_hint(hint)
        };
        let exists = path
            .try_exists()
            .map_err(|e| cannot("its folder cannot be read", FOLDER).with_source(e))?;
        if path.is_dir() {
            return Err(cannot(
                "it is a folder",
                "the option `database` names a file",
            ));
        }
        if !exists {
            let folder = match path.parent() {
                Some(folder) if folder != Path::new("") => folder,
                _ => Path::new("."),
            };
            if !folder.is_dir() {
                return Err(cannot(
                    &format!("there is no folder {}", folder.display()),
                    "create the folder, or correct the option `database`",
                ));
            }
            if self.access == Access::Read {
                return Ok(None);
            }
        }
        let mut attempts = 0;
        loop {
            attempts += 1;
            let way = match exists {
                true => place::way_to(path)?,
                false => Way::Writable,
            };
            match self.open_as(way) {
                // Its writers have just left, and have taken their log with them.
                Err(error)
                    if way == Way::Shared
                        && error.kind() == ErrorKind::CannotOpen
                        && attempts < ATTEMPTS => {}
                outcome => return outcome.map(Some),
            }
        }
    }

    fn open_as(&self, way: Way) -> Result<Handle> {
        let path = &self.path;
        let still = match way {
            Way::Still => Some(Still::new(path)?),
            _ => None,
        };
        let create = match (self.access, way) {
            (Access::Write, Way::Writable) => OpenFlags::SQLITE_OPEN_CREATE,
            _ => OpenFlags::empty(),
        };
        let opened = checksums::layer(self.config.checksums).and_then(|layer| {
            let flags = way.flags() | create;
            let connection = Connection::open_with_flags_and_vfs(way.uri(path), flags, layer)?;
            self.configure(connection, way)
        });
        match opened {
            Ok(handle) => Ok(Handle { still, ..handle }),
            Err(error) => Err(error::sqlite(&error, "open the store", path)),
        }
    }

    /// A connection to nothing, for plans that look at frames only while there is no file.
    pub(crate) fn scratch(&self) -> Result<Handle> {
        Connection::open_in_memory()
            .and_then(|connection| Self::equip(connection, false, false))
            .map_err(|e| error::sqlite(&e, "open a temporary store", &self.path))
    }

    fn configure(&self, connection: Connection, way: Way) -> rusqlite::Result<Handle> {
        connection.busy_timeout(self.config.lock_timeout)?;
        distrust(&connection)?;
        // The first look at the file: what is no database shows here, before anything is changed.
        connection.query_row("PRAGMA schema_version", [], |row| row.get::<_, i64>(0))?;
        let writable = self.access == Access::Write && !connection.is_readonly("main")?;
        if writable {
            // Only a file that is made now takes it: scans and searches of wide rows read fewer, larger pages.
            connection.execute_batch(&format!("PRAGMA page_size = {PAGE_SIZE}"))?;
            // After that, which would take it back.
            if self.config.checksums {
                checksums::reserve(&connection)?;
            }
            let synchronous = match self.config.synchronous {
                // Nothing of it has to survive.
                _ if self.temporary.is_some() => "OFF",
                Synchronous::Normal => "NORMAL",
                _ => "FULL",
            };
            connection.execute_batch(&format!("PRAGMA synchronous = {synchronous}"))?;
            self.keep_log(&connection)?;
        }
        // A log that a large write left behind is cut back, or it would stay as long as the store.
        connection
            .execute_batch("PRAGMA cache_size = -65536; PRAGMA journal_size_limit = 16777216")?;
        if way == Way::Writable {
            place::share_log(&self.path);
        }
        if let Some(pages) = self.config.max_pages {
            connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
        }
        Self::equip(connection, writable, way != Way::Still)
    }

    /// Makes the file one with a write-ahead log, if it is none yet. SQLite refuses at once when another process writes to the file
    /// at that moment, as each of several that make the store together does: it fears that both wait for each other.
    fn keep_log(&self, connection: &Connection) -> rusqlite::Result<()> {
        let start = Instant::now();
        loop {
            let outcome = connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()));
            let busy = outcome.as_ref().is_err_and(|error| {
                error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
            });
            if !busy || start.elapsed() >= self.config.lock_timeout {
                return outcome;
            }
            std::thread::sleep(RETRY);
        }
    }

    fn equip(connection: Connection, writable: bool, lasting: bool) -> rusqlite::Result<Handle> {
        let marks = Marks::default();
        functions::register(&connection, &marks)?;
        Ok(Handle {
            connection,
            marks,
            known: Known::default(),
            writable,
            still: None,
            lasting,
        })
    }
}

/// A file is data from outside: nothing in it runs, and it is no reason to run anything.
fn distrust(connection: &Connection) -> rusqlite::Result<()> {
    for (option, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false),
        // What should be a column is never a text.
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
    ] {
        connection.set_db_config(option, on)?;
    }
    connection.execute_batch("PRAGMA cell_size_check = ON")
}

fn nothing_to_write_to() -> CatalogError {
    Error::new(
        ErrorKind::ReadOnly,
        "the store was opened for reading and does not exist yet",
    )
    .into()
}

#[async_trait]
impl Backend for SqliteBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }

    fn describe(&self) -> Description {
        Description::new(ENGINE, self.shared.config.database.display().to_string())
    }

    async fn schema(&self, table: &FeatureKey) -> Result<Option<SchemaRef>> {
        let name = self.shared.dialect().table_name(table);
        self.run("read the catalog", move |_, handle| match handle {
            None => Ok(None),
            Some(handle) => {
                // One moment for all that is looked up: another process may drop the table.
                let transaction = handle.connection.unchecked_transaction()?;
                let entry = catalog::table(&transaction, &handle.known, &name)?;
                Ok(entry.map(|entry| Arc::new(entry.schema)))
            }
        })
        .await
    }

    async fn has_rows(&self, table: &FeatureKey) -> Result<bool> {
        let name = self.shared.dialect().table_name(table);
        self.run("look for rows", move |_, handle| {
            let Some(handle) = handle else {
                return Ok(false);
            };
            let transaction = handle.connection.unchecked_transaction()?;
            if !catalog::has(&transaction, &handle.known, &name)? {
                return Ok(false);
            }
            let sql = format!("SELECT EXISTS (SELECT 1 FROM main.{})", quote(&name));
            Ok(transaction.query_row(&sql, [], |row| row.get(0))?)
        })
        .await
    }

    async fn tables(&self) -> Result<Vec<String>> {
        self.run("list the tables", |_, handle| match handle {
            None => Ok(Vec::new()),
            Some(handle) => catalog::names(&handle.connection, &handle.known),
        })
        .await
    }

    async fn append(&self, mut appends: Vec<Append>) -> Result<Appended> {
        let pump = Pump::of(appends.iter_mut().map(|append| &mut append.rows));
        let work = self.run("write", move |shared, handle| {
            let handle = handle.ok_or_else(nothing_to_write_to)?;
            shared.written(handle, |handle| write::append(shared, handle, appends))
        });
        pump.during(work).await
    }

    async fn delete(&self, table: &FeatureKey, condition: Option<&Expr>) -> Result<u64> {
        let (table, condition) = (table.clone(), condition.cloned());
        self.run("delete rows", move |shared, handle| match handle {
            None => Ok(0),
            Some(handle) => shared.written(handle, |handle| {
                write::delete(shared, handle, &table, condition.as_ref())
            }),
        })
        .await
    }

    async fn delete_samples(&self, table: &FeatureKey, samples: &DeleteSamples) -> Result<u64> {
        let (table, samples) = (table.clone(), samples.clone());
        self.run("delete samples", move |shared, handle| match handle {
            None => Ok(0),
            Some(handle) => shared.written(handle, |handle| {
                write::delete_samples(shared, handle, &table, &samples)
            }),
        })
        .await
    }

    async fn drop_table(&self, table: &FeatureKey) -> Result<bool> {
        let (table, name) = (table.clone(), self.shared.dialect().table_name(table));
        self.run("drop a table", move |shared, handle| match handle {
            None => Ok(false),
            Some(handle) => {
                shared.written(handle, |handle| write::drop_table(handle, &name, &table))
            }
        })
        .await
    }

    async fn prune(&self, table: &FeatureKey, prune: &Prune) -> Result<u64> {
        let (table, prune) = (table.clone(), prune.clone());
        self.run("remove superseded rows", move |shared, handle| {
            let Some(handle) = handle else {
                return Ok(0);
            };
            let prune_in = |handle: &mut Handle| maintain::prune(shared, handle, &table, &prune);
            match prune.dry_run {
                true => prune_in(handle),
                false => shared.written(handle, prune_in),
            }
        })
        .await
    }

    async fn maintain(&self, maintenance: &Maintenance) -> Result<MaintenanceReport> {
        let maintenance = maintenance.clone();
        self.run(
            "put the file in order",
            move |shared, handle| match handle {
                None => Ok(MaintenanceReport::default()),
                Some(handle) => maintain::maintain(handle, &shared.path, &maintenance),
            },
        )
        .await
    }

    async fn verify(&self, table: &FeatureKey) -> Result<Vec<Damage>> {
        let name = self.shared.dialect().table_name(table);
        self.run("verify a table", move |_, handle| match handle {
            None => Ok(Vec::new()),
            Some(handle) => maintain::verify(handle, &name),
        })
        .await
    }

    async fn query(&self, plan: Plan) -> Result<Frame> {
        query::run(&self.shared, plan).await
    }

    async fn explain(&self, relation: &Relation) -> Result<Explanation> {
        let relation = relation.clone();
        self.run("explain a query", move |shared, handle| match handle {
            Some(handle) => query::explain(shared, handle, &relation),
            None => query::explain(shared, &shared.scratch()?, &relation),
        })
        .await
    }
}
