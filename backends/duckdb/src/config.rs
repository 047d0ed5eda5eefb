//! What can be configured.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use metaxy_core::backend::registry::OpenRequest;
use metaxy_core::backend::{Access, Backend};
use metaxy_core::options::{OptionDoc, REQUIRED, StoreOptions, TABLE_PREFIX};
use metaxy_core::{Error, ErrorKind, Result};

use crate::DuckDbBackend;

/// The name that stands for a database in memory.
pub(crate) const MEMORY: &str = ":memory:";

/// What the Python package downloads for its hashes; here they are built in.
const HASHES: &str = "hashfuncs";

/// Addresses that DuckDB opens with extensions, which this store has not.
const REMOTE: &[&str] = &[
    "md:",
    "motherduck:",
    "s3://",
    "gs://",
    "gcs://",
    "r2://",
    "http://",
    "https://",
    "ducklake:",
];

/// An extension that is loaded when a database is opened. It must be installed already: nothing is downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extension {
    /// Its name, or the path of its file.
    pub name: String,
    /// Statements that are run in the engine once it is loaded, before a file is opened.
    pub init_sql: Vec<String>,
}

impl Extension {
    /// The extension of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            init_sql: Vec::new(),
        }
    }

    /// Statements that are run in the engine once it is loaded, before a file is opened.
    #[must_use]
    pub fn with_init_sql(
        mut self,
        statements: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.init_sql = statements.into_iter().map(Into::into).collect();
        self
    }
}

/// Where a DuckDB store is, and how it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DuckDbConfig {
    /// The file; in a configuration file relative to its folder, otherwise to the working directory. `:memory:` is a database that
    /// is gone with the store.
    pub database: PathBuf,
    /// DuckDB's settings, such as `memory_limit` or `threads`.
    pub settings: BTreeMap<String, String>,
    /// What is loaded.
    pub extensions: Vec<Extension>,
    /// What the names of feature tables start with.
    pub table_prefix: String,
    /// The DuckDB version that shall be able to read a file that is made now, such as `v1.0.0`; `None`: this one, 2.0. A file
    /// that exists keeps its own.
    pub storage_version: Option<String>,
    /// How long to wait for a file that another process holds, and for a write of this process.
    pub lock_timeout: Duration,
}

impl DuckDbConfig {
    /// The store in the file `database`; the other options as documented at the fields: nothing set, no prefix, 30 seconds.
    pub fn new(database: impl AsRef<Path>) -> Self {
        Self {
            database: database.as_ref().to_owned(),
            settings: BTreeMap::new(),
            extensions: Vec::new(),
            table_prefix: String::new(),
            storage_version: None,
            lock_timeout: Duration::from_secs(30),
        }
    }

    /// Sets one of DuckDB's settings.
    #[must_use]
    pub fn with_setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// Loads an extension as well.
    #[must_use]
    pub fn with_extension(mut self, extension: Extension) -> Self {
        self.extensions.push(extension);
        self
    }

    /// What the names of feature tables start with.
    #[must_use]
    pub fn with_table_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.table_prefix = prefix.into();
        self
    }

    /// The DuckDB version that shall be able to read a file that is made now.
    #[must_use]
    pub fn with_storage_version(mut self, version: impl Into<String>) -> Self {
        self.storage_version = Some(version.into());
        self
    }

    /// How long to wait for a file that another process holds.
    #[must_use]
    pub fn with_lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// The store itself. The file is opened when it is first needed.
    #[must_use]
    pub fn open(self, access: Access) -> DuckDbBackend {
        DuckDbBackend::new(self, access)
    }

    pub(crate) fn in_memory(&self) -> bool {
        self.database == Path::new(MEMORY)
    }
}

/// The options that [`open`] takes, in words.
pub(crate) const OPTIONS: &[OptionDoc] = &[
    OptionDoc::new(
        "database",
        "path",
        REQUIRED,
        "The file, relative to the configuration file. `:memory:` is a database that is gone with the store.",
    ),
    OptionDoc::new(
        "config",
        "table",
        "{}",
        "DuckDB's own settings, such as `memory_limit` and `threads`.",
    ),
    OptionDoc::new(
        "extensions",
        "list",
        "[]",
        "Extensions to load, by name or as `{ name, repository, init_sql }`. They must be installed: nothing is downloaded.",
    ),
    TABLE_PREFIX,
    OptionDoc::new(
        "storage_version",
        "text",
        "",
        "The oldest DuckDB that shall read a file that is made now, such as `v1.0.0`; without it this one, 2.0. A file that exists keeps its own.",
    ),
    OptionDoc::new(
        "lock_timeout",
        "duration",
        "\"30s\"",
        "How long to wait for a file that another process holds, and for a write of this process.",
    ),
    OptionDoc::new(
        "ducklake",
        "table",
        "",
        "Refused: DuckLake catalogues are not supported.",
    ),
];

/// Opens the store that a configuration describes.
pub(crate) fn open(request: OpenRequest) -> Result<Arc<dyn Backend>> {
    let access = request.access;
    let mut options = request.options;
    let database = options.string("database")?;
    if let Some(remote) = REMOTE.iter().find(|prefix| database.starts_with(**prefix)) {
        return Err(options.invalid(
            "database",
            format!("names `{remote}…`, which is not a file; this store keeps files, and loads nothing from a network"),
        ));
    }
    if options.opt_value("ducklake").is_some() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "DuckLake catalogues are not supported",
        )
        .with_context("option", "ducklake")
        .with_hint("use a DuckDB file, a Delta store or Postgres"));
    }
    let mut config = DuckDbConfig::new(database);
    if !config.in_memory()
        && let Some(folder) = &request.base_dir
    {
        // An absolute path stays as it is.
        config.database = folder.join(&config.database);
    }
    config.extensions = extensions(&mut options)?;
    if let Some(prefix) = options.opt_string("table_prefix")? {
        config.table_prefix = prefix;
    }
    config.storage_version = options.opt_string("storage_version")?;
    if let Some(timeout) = options.opt_duration("lock_timeout")? {
        config.lock_timeout = timeout;
    }
    config.settings = settings(&mut options)?;
    options.finish()?;
    Ok(Arc::new(config.open(access)))
}

/// Settings may be texts, as the Python package has them, or plain numbers and truth values.
fn settings(options: &mut StoreOptions) -> Result<BTreeMap<String, String>> {
    let mut settings = BTreeMap::new();
    for (name, value) in options.engine_settings()? {
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => {
                value.to_string()
            }
            _ => {
                return Err(options.invalid(
                    "config",
                    format!("has the setting {name:?}, which is no text, number or truth value"),
                ));
            }
        };
        settings.insert(name, text);
    }
    Ok(settings)
}

/// Names, or tables of `name`, `repository` and `init_sql` as the Python package has them.
fn extensions(options: &mut StoreOptions) -> Result<Vec<Extension>> {
    let list = match options.opt_value("extensions") {
        None => return Ok(Vec::new()),
        Some(toml::Value::Array(list)) => list,
        Some(_) => return Err(options.invalid("extensions", "is not a list")),
    };
    let mut extensions = Vec::new();
    for entry in list {
        let extension = match entry {
            toml::Value::String(name) => Extension::new(name),
            toml::Value::Table(table) => from_table(options, table)?,
            _ => {
                let problem = "has an entry that is neither a name nor a table with `name`";
                return Err(options.invalid("extensions", problem));
            }
        };
        if extension.name != HASHES {
            extensions.push(extension);
        }
    }
    Ok(extensions)
}

fn from_table(options: &StoreOptions, table: toml::Table) -> Result<Extension> {
    let mut name = None;
    let mut statements = Vec::new();
    for (key, value) in table {
        match (key.as_str(), value) {
            ("name", toml::Value::String(text)) => name = Some(text),
            // Where it would be downloaded from.
            ("repository", toml::Value::String(_)) => {}
            ("init_sql", toml::Value::Array(list)) if list.iter().all(toml::Value::is_str) => {
                let texts = list.iter().filter_map(toml::Value::as_str);
                statements = texts.map(str::to_owned).collect();
            }
            _ => {
                let problem = format!(
                    "has an entry whose {key:?} is unknown or has the wrong type; an extension has `name`, `repository` and `init_sql` (a list of texts)"
                );
                return Err(options.invalid("extensions", problem));
            }
        }
    }
    let name =
        name.ok_or_else(|| options.invalid("extensions", "has an extension without `name`"))?;
    Ok(Extension::new(name).with_init_sql(statements))
}
