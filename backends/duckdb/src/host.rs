//! Hosts: engines without a file, to which files are attached.
//!
//! DuckDB takes ten milliseconds to start, as it makes its thousands of functions; to attach a file takes half of one. So
//! a process keeps what it has started, one host for each set of settings and extensions.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::Schema;
use duckdb::Connection;
use metaxy_core::sql::{literal_text, quote};
use metaxy_core::{Error, ErrorKind, Result};

use crate::config::{DuckDbConfig, Extension, MEMORY};
use crate::error::Failure;
use crate::functions;
use crate::raw::{Database, Settings};

/// An engine in memory.
pub(crate) struct Host {
    /// Tells it from the others of this process.
    number: u64,
    database: Database,
    settings: BTreeMap<String, String>,
    extensions: Vec<Extension>,
}

static HOSTS: Mutex<Vec<Arc<Host>>> = Mutex::new(Vec::new());

impl Host {
    /// The host with these settings and extensions.
    pub(crate) fn of(config: &DuckDbConfig) -> Result<Arc<Self>> {
        let mut hosts = HOSTS.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |host: &&Arc<Host>| {
            host.settings == config.settings && host.extensions == config.extensions
        };
        if let Some(host) = hosts.iter().find(fits) {
            return Ok(host.clone());
        }
        let database = start(config).map_err(|e| e.explain("start", &config.database))?;
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let host = Arc::new(Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            database,
            settings: config.settings.clone(),
            extensions: config.extensions.clone(),
        });
        hosts.push(host.clone());
        Ok(host)
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn connect(&self) -> duckdb::Result<Connection> {
        self.database.connect()
    }

    /// The committed columns of a table as DuckDB has them, `None` if there is none of that name.
    pub(crate) fn columns(&self, database: &str, table: &str) -> Result<Option<Schema>, Failure> {
        self.database.columns(database, table)
    }

    /// The rows of a statement as texts, in memory; for a few small ones. What was committed is seen.
    pub(crate) fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Failure> {
        self.database.rows(sql)
    }

    /// Attaches a file, which is made if there is none, or a new database in memory.
    pub(crate) fn attach(
        self: Arc<Self>,
        path: &Path,
        name: &str,
        config: &DuckDbConfig,
        read_only: bool,
    ) -> Result<Attached, Failure> {
        let Some(text) = path.to_str() else {
            let problem = format!("the path {} is not UTF-8", path.display());
            return Err(Error::new(ErrorKind::CannotOpen, problem)
                .with_hint("name the file in UTF-8")
                .into());
        };
        let mut options = vec!["TYPE duckdb".to_owned()];
        if read_only {
            options.push("READ_ONLY".into());
        }
        if let Some(version) = &config.storage_version
            && (config.in_memory() || !path.exists())
        {
            options.push(format!("STORAGE_VERSION {}", literal_text(version)));
        }
        let sql = format!(
            "ATTACH {} AS {} ({})",
            literal_text(text),
            quote(name),
            options.join(", ")
        );
        self.connect()?.execute_batch(&sql).map_err(|e| {
            match (&config.storage_version, e.to_string()) {
                (Some(version), text) if text.contains("not a known DuckDB version") => {
                    let file = path.display();
                    let problem = format!(
                        "DuckDB knows no storage version {version:?} for the store in {file}"
                    );
                    wrong(problem, "correct the option `storage_version`", e).into()
                }
                _ => Failure::from(e),
            }
        })?;
        Ok(Attached {
            host: self,
            name: name.to_owned(),
        })
    }
}

/// A database that is attached; dropped, it is written out and detached.
pub(crate) struct Attached {
    host: Arc<Host>,
    name: String,
}

impl Attached {
    /// A connection for one operation.
    pub(crate) fn connect(&self) -> duckdb::Result<Connection> {
        self.host.connect()
    }

    /// What it is attached to.
    pub(crate) fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// The next database is attached to another host.
    pub(crate) fn give_up_host(&self) {
        let mut hosts = HOSTS.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.retain(|host| !Arc::ptr_eq(host, &self.host));
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // If it cannot be detached, the file stays held until the process ends, and what was committed is in its log.
        if let Ok(connection) = self.host.connect() {
            let _ = connection.execute_batch(&format!("DETACH {}", quote(&self.name)));
        }
    }
}

/// A connection without a file, for plans that look at frames only while there is none.
pub(crate) fn scratch(config: &DuckDbConfig) -> Result<Connection> {
    let connection = Host::of(config)?.connect();
    connection.map_err(|e| Failure::from(e).explain("connect", Path::new(MEMORY)))
}

/// Starts an engine with the settings, the extensions and our functions.
fn start(config: &DuckDbConfig) -> Result<Database, Failure> {
    let database = Database::in_memory(&settings(config)?)?;
    let connection = database.connect()?;
    for extension in &config.extensions {
        load(&connection, &config.database, extension)?;
    }
    functions::register(&connection)?;
    Ok(database)
}

fn settings(config: &DuckDbConfig) -> Result<Settings, Failure> {
    let file = config.database.display();
    let mut settings = Settings::new()?;
    // Batches come as they are ready; what has an order has a column for it.
    settings.set("preserve_insertion_order", "false")?;
    for (name, value) in &config.settings {
        settings.set(name, value).map_err(|e| {
            let problem = format!(
                "DuckDB does not take {value:?} for the setting {name:?} of the store in {file}"
            );
            wrong(problem, "correct the option `config`", e)
        })?;
    }
    // Nothing is ever downloaded, also not because a statement names a function that an extension would have.
    settings.set("autoinstall_known_extensions", "false")?;
    settings.set("autoload_known_extensions", "false")?;
    Ok(settings)
}

fn wrong(problem: String, hint: &str, source: duckdb::Error) -> Error {
    Error::new(ErrorKind::InvalidConfig, problem)
        .with_hint(hint)
        .with_source(source)
}

fn load(connection: &Connection, path: &Path, extension: &Extension) -> Result<(), Error> {
    let Extension { name, init_sql } = extension;
    let cannot = |what: &str, hint: String, source: duckdb::Error| {
        let text = source.to_string();
        let why = text.lines().next().unwrap_or_default();
        let problem = format!(
            "the extension {name:?} of the store in {} cannot be {what}: {why}",
            path.display()
        );
        Error::new(ErrorKind::CannotOpen, problem)
            .with_hint(hint)
            .with_source(source)
    };
    let sql = format!("LOAD {}", metaxy_core::sql::literal_text(name));
    connection.execute_batch(&sql).map_err(|e| {
        let hint = format!(
            "nothing is downloaded here: run `INSTALL {name}` in a DuckDB of the same version, or take it out of the option `extensions`"
        );
        cannot("loaded", hint, e)
    })?;
    for statement in init_sql {
        connection.execute_batch(statement).map_err(|e| {
            let hint = format!("correct `init_sql` in the option `extensions`: {statement}");
            cannot("set up", hint, e)
        })?;
    }
    Ok(())
}
