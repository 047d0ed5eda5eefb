//! Hosts: engines without a file, to which files are attached.
//!
//! DuckDB takes ten milliseconds to start, as it makes its thousands of functions; to attach a file takes half of one. So
//! a process keeps what it has started, one host for each file with its settings and extensions.
//!
//! A host is shut once the settings, extensions and statements of the configuration are in it: from then on it opens that file and no other,
//! loads nothing, and takes no setting. So whatever a file brings with it reaches nothing outside.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::Schema;
use duckdb::Connection;
use metaxy_core::sql::{literal_text, quote};
use metaxy_core::{Error, ErrorKind, Result};

use crate::config::{DuckDbConfig, Extension, MEMORY};
use crate::engine::canonical;
use crate::error::Failure;
use crate::exit;
use crate::functions;
use crate::raw::{Database, Settings};
use crate::spill;

/// An engine in memory.
pub(crate) struct Host {
    /// Tells it from the others of this process.
    number: u64,
    database: Database,
    /// The file that it may open.
    path: PathBuf,
    settings: BTreeMap<String, String>,
    extensions: Vec<Extension>,
}

/// Those that are kept, the one that was asked for last at the end.
static HOSTS: Mutex<Vec<Arc<Host>>> = Mutex::new(Vec::new());

/// So many are kept where nobody uses them.
const MOST_HOSTS: usize = 8;

impl Host {
    /// The host for a file, or for the databases in memory, with these settings and extensions.
    pub(crate) fn of(config: &DuckDbConfig, path: &Path) -> Result<Arc<Self>> {
        // Dropped when the list is free again: to end one takes a while.
        let mut ended = Vec::new();
        let mut hosts = HOSTS.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |host: &Arc<Host>| {
            host.path == path
                && host.settings == config.settings
                && host.extensions == config.extensions
        };
        if let Some(known) = hosts.iter().position(fits) {
            let host = hosts.remove(known);
            hosts.push(host.clone());
            return Ok(host);
        }
        if hosts.len() >= MOST_HOSTS {
            let is_free = |host: &mut Arc<Host>| Arc::strong_count(host) == 1;
            ended.extend(hosts.extract_if(.., is_free).take(1));
        }
        let database = start(config, path).map_err(|e| e.explain("start", &config.database))?;
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let host = Arc::new(Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            database,
            path: path.to_owned(),
            settings: config.settings.clone(),
            extensions: config.extensions.clone(),
        });
        hosts.push(host.clone());
        drop(hosts);
        drop(ended);
        Ok(host)
    }

    /// The file that it may open.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the columns of a table that have a default.
    pub(crate) fn defaults(&self, database: &str, table: &str) -> Result<Vec<String>, Failure> {
        self.database.defaults(database, table)
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
    let connection = Host::of(config, &canonical(&config.database))?.connect();
    connection.map_err(|e| Failure::from(e).explain("connect", Path::new(MEMORY)))
}

/// Starts an engine with our functions, the settings and the extensions, and shuts it.
fn start(config: &DuckDbConfig, path: &Path) -> Result<Database, Failure> {
    exit::wait_at_exit();
    let database = Database::in_memory(&settings(config)?)?;
    let connection = database.connect()?;
    functions::register(&connection)?;
    for extension in &config.extensions {
        load(&connection, &config.database, extension)?;
    }
    connection.execute_batch(&shut(path))?;
    Ok(database)
}

/// The settings of which a store takes care itself, and the value that they have.
const SHUT: [(&str, &str); 2] = [
    ("enable_external_access", "false"),
    ("lock_configuration", "true"),
];

/// The statements that shut an engine, but for one file and its log. The folder of what is put aside stays open to it.
fn shut(path: &Path) -> String {
    let mut statements = String::new();
    if path != Path::new(MEMORY)
        && let Some(text) = path.to_str()
    {
        let ends = ["", ".wal", ".wal.checkpoint", ".wal.recovery"];
        // DuckDB has the log of a file with a question mark before that.
        let (before, after) = text.split_at(text.find('?').unwrap_or(text.len()));
        let paths = ends.map(|end| literal_text(&format!("{before}{end}{after}")));
        statements.push_str(&format!("SET allowed_paths = [{}]; ", paths.join(", ")));
    }
    for (name, value) in SHUT {
        statements.push_str(&format!("SET {name} = {value}; "));
    }
    statements
}

fn settings(config: &DuckDbConfig) -> Result<Settings, Failure> {
    let file = config.database.display();
    let mut settings = Settings::new()?;
    // Batches come as they are ready; what has an order has a column for it.
    settings.set("preserve_insertion_order", "false")?;
    let aside = spill::folder().and_then(Path::to_str);
    settings.set("temp_directory", aside.unwrap_or_default())?;
    for (name, value) in &config.settings {
        let lower = name.to_ascii_lowercase();
        if let Some((_, shut)) = SHUT.iter().find(|(name, _)| *name == lower) {
            if !value.eq_ignore_ascii_case(shut) {
                let problem = format!(
                    "the setting {name:?} of the store in {file} is always {shut}: it was made by others, perhaps, and reaches no other file"
                );
                return Err(Error::new(ErrorKind::InvalidConfig, problem)
                    .with_hint("take it out of the option `config`; `init_sql` of the option `extensions` is run before")
                    .into());
            }
            continue;
        }
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
    for (number, statement) in init_sql.iter().enumerate() {
        connection.execute_batch(statement).map_err(|e| {
            // Not its text: it may hold a secret.
            let number = number + 1;
            let hint =
                format!("correct statement {number} of `init_sql` in the option `extensions`");
            cannot("set up", hint, e)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_brings_reaches_nothing_outside() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().canonicalize().unwrap().join(name);
        std::fs::write(path("secret.txt"), "secret").unwrap();
        Connection::open(path("other.duckdb")).unwrap();
        let config = DuckDbConfig::new(path("store.duckdb"));
        let host = Host::of(&config, &path("store.duckdb")).unwrap();
        let attached = host.attach(&path("store.duckdb"), "here", &config, false);
        let attached = attached.map_err(|e| e.explain("attach", Path::new("here")));
        let attached = attached.unwrap();
        let connection = attached.connect().unwrap();
        connection
            .execute_batch("CREATE TABLE here.t AS SELECT 1 AS x; CHECKPOINT here; INSERT INTO here.t VALUES (2)")
            .unwrap();
        let (secret, other, made) = (path("secret.txt"), path("other.duckdb"), path("made.csv"));
        let (secret, other, made) = (secret.display(), other.display(), made.display());
        let statements = [
            format!("SELECT content FROM read_text('{secret}')"),
            format!("SELECT * FROM read_csv('{secret}')"),
            format!("SELECT * FROM glob('{}/*')", folder.path().display()),
            format!("ATTACH '{other}' AS other"),
            format!("COPY here.t TO '{made}'"),
        ];
        let fixed = [
            "INSTALL spatial",
            "LOAD '/nowhere/json.duckdb_extension'",
            "SET threads = 1",
            "SET enable_external_access = true",
            "SET allowed_paths = ['/etc/passwd']",
            "SET temp_directory = '/tmp'",
            "RESET lock_configuration",
        ];
        for statement in statements.iter().map(String::as_str).chain(fixed) {
            let done = connection.execute_batch(statement);
            assert!(done.is_err(), "{statement} was run");
        }
        assert!(!path("made.csv").exists());
    }

    #[test]
    fn hosts_that_nobody_uses_are_ended() {
        let of = |number: usize| {
            let path = PathBuf::from(format!("/nowhere/{number}.duckdb"));
            Host::of(&DuckDbConfig::new(&path), &path).unwrap()
        };
        let used = of(0);
        for number in 1..=3 * MOST_HOSTS {
            of(number);
        }
        let hosts = HOSTS.lock().unwrap();
        // Tests beside this one use some.
        assert!(hosts.len() <= 2 * MOST_HOSTS, "{}", hosts.len());
        assert!(hosts.iter().any(|host| Arc::ptr_eq(host, &used)));
    }
}
