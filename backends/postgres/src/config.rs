//! What can be configured.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use metaxy_core::backend::registry::OpenRequest;
use metaxy_core::backend::{Access, Backend};
use metaxy_core::options::{LOCK_TIMEOUT, OptionDoc, TABLE_PREFIX};
use metaxy_core::{Error, ErrorKind, Result};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::PostgresBackend;

/// Whether a connection is encrypted, and what is checked of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tls {
    /// Not encrypted.
    Disable,
    /// Encrypted if the server insists on it.
    Allow,
    /// Encrypted if the server can.
    Prefer,
    /// Encrypted; the server's certificate is not checked.
    Require,
    /// Encrypted, and the certificate is signed by somebody who is trusted.
    VerifyCa,
    /// Encrypted, and the certificate is signed for this host by somebody who is trusted.
    VerifyFull,
}

impl Tls {
    /// The words of the option `tls`, which are libpq's.
    const WORDS: [(&'static str, Self); 6] = [
        ("disable", Self::Disable),
        ("allow", Self::Allow),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    fn mode(self) -> PgSslMode {
        match self {
            Self::Disable => PgSslMode::Disable,
            Self::Allow => PgSslMode::Allow,
            Self::Prefer => PgSslMode::Prefer,
            Self::Require => PgSslMode::Require,
            Self::VerifyCa => PgSslMode::VerifyCa,
            Self::VerifyFull => PgSslMode::VerifyFull,
        }
    }
}

/// Where a PostgreSQL store is, and how it is used.
#[derive(Clone)]
#[non_exhaustive]
pub struct PostgresConfig {
    connect: PgConnectOptions,
    /// What nothing may show.
    secrets: Vec<String>,
    /// The schema of the tables; made by the first write if it is missing. `None`: the first of the role's `search_path` that exists.
    pub schema: Option<String>,
    /// What the names of feature tables start with.
    pub table_prefix: String,
    /// The most connections that are open at a time, two at least.
    pub pool_size: u32,
    /// How long a connection is waited for: a new one, or one of the pool.
    pub connect_timeout: Duration,
    /// How long a statement may take; zero: as long as it needs.
    pub statement_timeout: Duration,
    /// How long a writer waits for another.
    pub lock_timeout: Duration,
    /// The memory, in MiB, that the server may use for each sort and each table of hashes of a query.
    pub work_memory: u32,
    /// Whether policies of row security may hide rows. They are expressions of a table's owner that run with the rights of whoever reads, and
    /// rows that are hidden look like samples that are missing.
    pub row_security: bool,
    /// Whether a table of another role may have what runs with the rights of whoever uses it: triggers, rules, checks, computed columns,
    /// indexes of expressions, partitions, types.
    pub code_of_others: bool,
}

impl PostgresConfig {
    /// The store in the database of a connection string, such as `postgresql://user:password@host:5432/database`; the other options as
    /// documented at the fields: no prefix, 8 connections, 10 seconds to connect, no limit for statements, 30 seconds for locks, 64 MiB,
    /// nothing of others that runs.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if it is none. The error does not show it.
    pub fn new(connection_string: &str) -> Result<Self> {
        let (scheme, _) = connection_string.split_once("://").unwrap_or_default();
        if !matches!(scheme, "postgres" | "postgresql") {
            return Err(no_connection_string(
                "it does not begin with `postgresql://`",
            ));
        }
        let mut url = url::Url::parse(connection_string)
            .map_err(|_| no_connection_string("it cannot be taken apart"))?;
        let pairs = url.query_pairs();
        let pairs: Vec<(String, String)> = pairs.map(|(k, v)| (k.into(), v.into())).collect();
        let (known, unknown): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(k, _)| is_known(k));
        let mut secrets: Vec<String> = url.password().map(str::to_owned).into_iter().collect();
        secrets.extend(url.password().map(decoded));
        let queried = known.iter().chain(&unknown);
        let queried = queried.filter(|(key, _)| key.contains("password"));
        secrets.extend(queried.map(|(_, value)| value.clone()));
        // The driver would log what it does not know, with its value.
        for (name, _) in &unknown {
            tracing::warn!(
                parameter = name,
                "a parameter of the connection string is not known, and ignored"
            );
        }
        match known.is_empty() {
            true => url.set_query(None),
            false => {
                url.query_pairs_mut().clear().extend_pairs(known);
            }
        }
        let connect = PgConnectOptions::from_str(url.as_str())
            .map_err(|_| no_connection_string("it cannot be taken apart"))?;
        Ok(Self::with_connection(connect, secrets))
    }

    /// The store that parameters tell, by the names that libpq has for them: `host`, `port`, `database` (or `dbname`), `user`, `password`,
    /// `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `application_name`, `options`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for other names and for values that are none. The error shows no value.
    pub fn from_params(params: &BTreeMap<String, String>) -> Result<Self> {
        let mut connect = PgConnectOptions::new();
        let mut secrets = Vec::new();
        let mut schema = None;
        for (name, value) in params {
            let invalid = |why: &str| {
                let problem = format!("the connection parameter `{name}` {why}");
                Error::new(ErrorKind::InvalidConfig, problem)
            };
            connect = match name.as_str() {
                "host" if value.starts_with('/') => connect.socket(value),
                "host" => connect.host(value),
                "port" => connect.port(value.parse().map_err(|_| invalid("is no port"))?),
                "database" | "dbname" => connect.database(value),
                "user" | "username" => connect.username(value),
                "password" => {
                    secrets.push(value.clone());
                    connect.password(value)
                }
                "schema" => {
                    schema = Some(value.clone());
                    connect
                }
                "sslmode" => {
                    let mode = PgSslMode::from_str(value);
                    connect.ssl_mode(mode.map_err(|_| invalid("is none of libpq's words"))?)
                }
                "sslrootcert" => connect.ssl_root_cert(value),
                "sslcert" => connect.ssl_client_cert(value),
                "sslkey" => connect.ssl_client_key(value),
                "application_name" => connect.application_name(value),
                "options" => connect.options(server_options(value)),
                "autocommit" => connect,
                _ => {
                    return Err(invalid("is not known").with_hint(
                        "known are host, port, database, user, password, schema, sslmode, sslrootcert, sslcert, sslkey, application_name, options",
                    ));
                }
            };
        }
        let mut config = Self::with_connection(connect, secrets);
        config.schema = schema;
        Ok(config)
    }

    fn with_connection(connect: PgConnectOptions, secrets: Vec<String>) -> Self {
        let connect = match connect.get_application_name() {
            Some(_) => connect,
            None => connect.application_name("metaxy"),
        };
        // The driver would warn of each statement that takes longer than a second, which a large table or another writer makes it do.
        // What is run is told by events of this crate.
        let connect = connect.disable_statement_logging();
        Self {
            connect,
            secrets: secrets
                .into_iter()
                .filter(|secret| !secret.is_empty())
                .collect(),
            schema: None,
            table_prefix: String::new(),
            pool_size: 8,
            connect_timeout: Duration::from_secs(10),
            statement_timeout: Duration::ZERO,
            lock_timeout: Duration::from_secs(30),
            work_memory: 64,
            row_security: false,
            code_of_others: false,
        }
    }

    /// The schema of the tables.
    #[must_use]
    pub fn with_schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// What the names of feature tables start with.
    #[must_use]
    pub fn with_table_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.table_prefix = prefix.into();
        self
    }

    /// The most connections that are open at a time, two at least: a write may take its rows from a query of the same store.
    #[must_use]
    pub fn with_pool_size(mut self, connections: u32) -> Self {
        self.pool_size = connections.max(2);
        self
    }

    /// How long a connection is waited for.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a statement may take; zero: as long as it needs.
    #[must_use]
    pub fn with_statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout;
        self
    }

    /// How long a writer waits for another.
    #[must_use]
    pub fn with_lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// The memory, in MiB, that the server may use for each sort and each table of hashes of a query.
    #[must_use]
    pub fn with_work_memory(mut self, mebibytes: u32) -> Self {
        self.work_memory = mebibytes.max(1);
        self
    }

    /// Whether policies of row security may hide rows.
    #[must_use]
    pub fn with_row_security(mut self, allowed: bool) -> Self {
        self.row_security = allowed;
        self
    }

    /// Whether a table of another role may have what runs with the rights of whoever uses it.
    #[must_use]
    pub fn with_code_of_others(mut self, allowed: bool) -> Self {
        self.code_of_others = allowed;
        self
    }

    /// Whether connections are encrypted, in place of what the connection string says.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.connect = self.connect.ssl_mode(tls.mode());
        self
    }

    /// The file of the certificates by which the server is known.
    #[must_use]
    pub fn with_tls_root_certificate(mut self, file: impl Into<PathBuf>) -> Self {
        self.connect = self.connect.ssl_root_cert(file.into());
        self
    }

    /// The store itself. The server is asked when it is first needed.
    #[must_use]
    pub fn open(self, access: Access) -> PostgresBackend {
        PostgresBackend::new(self, access)
    }

    pub(crate) fn connect(&self) -> &PgConnectOptions {
        &self.connect
    }

    /// Where it is, without secrets: host, port, database, schema and prefix.
    pub(crate) fn location(&self) -> String {
        let host = match self.connect.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => self.connect.get_host().to_owned(),
        };
        let database = self.connect.get_database();
        let database = database.unwrap_or_else(|| self.connect.get_username());
        let mut location = format!("{host}:{}/{database}", self.connect.get_port());
        if let Some(schema) = &self.schema {
            location.push_str(&format!(", schema {schema}"));
        }
        if !self.table_prefix.is_empty() {
            location.push_str(&format!(", prefix {}", self.table_prefix));
        }
        location
    }

    /// The text without secrets.
    pub(crate) fn hide(&self, text: &str) -> String {
        let hidden = |text: String, secret: &String| text.replace(secret.as_str(), "…");
        // What is too short to be a secret is a part of other words.
        let secrets = self.secrets.iter().filter(|secret| secret.len() >= 4);
        secrets.fold(text.to_owned(), hidden)
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("location", &self.location())
            .field("pool_size", &self.pool_size)
            .field("connect_timeout", &self.connect_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .field("lock_timeout", &self.lock_timeout)
            .field("work_memory", &self.work_memory)
            .finish_non_exhaustive()
    }
}

/// Parameters of a connection string that the driver knows.
fn is_known(parameter: &str) -> bool {
    const KNOWN: &[&str] = &[
        "sslmode",
        "ssl-mode",
        "sslrootcert",
        "ssl-root-cert",
        "ssl-ca",
        "sslcert",
        "ssl-cert",
        "sslkey",
        "ssl-key",
        "statement-cache-capacity",
        "host",
        "hostaddr",
        "port",
        "dbname",
        "user",
        "password",
        "application_name",
        "options",
    ];
    KNOWN.contains(&parameter) || parameter.starts_with("options[")
}

/// A part of an address without its percent signs.
fn decoded(part: &str) -> String {
    let pair = format!("p={}", part.replace('+', "%2B"));
    let mut pairs = url::form_urlencoded::parse(pair.as_bytes());
    pairs
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

/// Settings of the server, written as libpq takes them: `-c name=value -c name=value`.
fn server_options(text: &str) -> Vec<(String, String)> {
    let words = text.split("-c").map(str::trim);
    let pairs = words.filter_map(|word| word.split_once('='));
    pairs
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

fn no_connection_string(why: &str) -> Error {
    Error::new(
        ErrorKind::InvalidConfig,
        format!("the option `connection_string` is no address of a PostgreSQL database: {why}"),
    )
    .with_hint("write it as `postgresql://user:password@host:5432/database`")
}

/// The options that [`open`] takes, in words.
pub(crate) const OPTIONS: &[OptionDoc] = &[
    OptionDoc::new(
        "connection_string",
        "text",
        "required, or `connection_params`",
        "The database: `postgresql://user:password@host:5432/database`. It counts where both are given.",
    ),
    OptionDoc::new(
        "connection_params",
        "table of texts",
        "",
        "The same in parts, by the names that libpq has for them: `host`, `port`, `database` (or `dbname`), `user`, `password`, `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `application_name`, `options`.",
    ),
    OptionDoc::new(
        "schema",
        "text",
        "the first of the role's `search_path` that exists",
        "The schema of the tables; made by the first write if it is missing.",
    ),
    TABLE_PREFIX,
    OptionDoc::new(
        "pool_size",
        "whole number",
        "8",
        "The most connections that are open at a time, 2 at least.",
    ),
    OptionDoc::new(
        "connect_timeout",
        "duration",
        "\"10s\"",
        "How long a connection is waited for: a new one, or one of the pool.",
    ),
    OptionDoc::new(
        "statement_timeout",
        "duration",
        "0",
        "How long a statement may take; 0: as long as it needs.",
    ),
    LOCK_TIMEOUT,
    OptionDoc::new(
        "work_memory",
        "whole number",
        "64",
        "The memory, in MiB, that the server may use for each sort and each table of hashes of a query.",
    ),
    OptionDoc::new(
        "row_security",
        "truth value",
        "false",
        "Whether policies of row security may hide rows. They are expressions of a table's owner that run with the rights of whoever reads, and rows that are hidden look like samples that are missing; without it they are an error.",
    ),
    OptionDoc::new(
        "code_of_others",
        "truth value",
        "false",
        "Whether a table of another role may have what runs with the rights of whoever uses it: triggers, rules, checks, computed columns, indexes of expressions, partitions, types.",
    ),
    OptionDoc::new(
        "tls",
        "one of libpq's words",
        "that of the connection string",
        "Whether connections are encrypted: `disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`.",
    ),
    OptionDoc::new(
        "tls_root_certificate",
        "path",
        "",
        "The file of the certificates by which the server is known.",
    ),
    OptionDoc::new(
        "auto_cast_struct_for_jsonb",
        "truth value",
        "",
        "Of the Python package: accepted and ignored. Structs are always kept as JSON, and read as the structs that they were.",
    ),
];

/// Opens the store that a configuration describes.
pub(crate) fn open(request: OpenRequest) -> Result<Arc<dyn Backend>> {
    let access = request.access;
    let mut options = request.options;
    let address = options.opt_string("connection_string")?;
    let params = options.opt_string_map("connection_params")?;
    let mut config = match (address, params) {
        // As the reference has it, the string counts where both are given.
        (Some(address), _) => {
            PostgresConfig::new(&address).map_err(|e| e.with_context("store", options.store()))?
        }
        (None, Some(params)) => PostgresConfig::from_params(&params)
            .map_err(|e| e.with_context("store", options.store()))?,
        (None, None) => {
            return Err(options
                .invalid(
                    "connection_string",
                    "is missing, and so is `connection_params`",
                )
                .with_hint(
                    "write `connection_string = \"postgresql://user:password@host:5432/database\"`",
                ));
        }
    };
    if let Some(schema) = options.opt_string("schema")? {
        config.schema = Some(schema);
    }
    if let Some(prefix) = options.opt_string("table_prefix")? {
        config.table_prefix = prefix;
    }
    if let Some(connections) = options.opt_u64("pool_size")? {
        config.pool_size = u32::try_from(connections)
            .ok()
            .filter(|connections| *connections > 1)
            .ok_or_else(|| options.invalid("pool_size", "must be from 2 to 4294967295"))?;
    }
    if let Some(timeout) = options.opt_duration("connect_timeout")? {
        config.connect_timeout = timeout;
    }
    if let Some(timeout) = options.opt_duration("statement_timeout")? {
        config.statement_timeout = timeout;
    }
    if let Some(timeout) = options.opt_duration("lock_timeout")? {
        config.lock_timeout = timeout;
    }
    if let Some(mebibytes) = options.opt_u64("work_memory")? {
        config.work_memory = u32::try_from(mebibytes)
            .ok()
            .filter(|mebibytes| (1..=2_097_151).contains(mebibytes))
            .ok_or_else(|| options.invalid("work_memory", "must be from 1 to 2097151 (MiB)"))?;
    }
    if let Some(allowed) = options.opt_bool("row_security")? {
        config.row_security = allowed;
    }
    if let Some(allowed) = options.opt_bool("code_of_others")? {
        config.code_of_others = allowed;
    }
    let words = Tls::WORDS.map(|(word, _)| word);
    if let Some(choice) = options.opt_choice("tls", &words)?
        && let Some((_, tls)) = Tls::WORDS.iter().find(|(word, _)| *word == choice)
    {
        config = config.with_tls(*tls);
    }
    if let Some(file) = options.opt_string("tls_root_certificate")? {
        config = config.with_tls_root_certificate(file);
    }
    // Structs are always kept as JSON, and read as the structs that they were.
    options.ignore(&["auto_cast_struct_for_jsonb"]);
    options.finish()?;
    Ok(Arc::new(config.open(access)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_the_password() {
        let config = PostgresConfig::new("postgresql://me:hunter22@db.example:5433/prod").unwrap();
        let config = config.with_schema("team").with_table_prefix("m_");
        assert_eq!(
            config.location(),
            "db.example:5433/prod, schema team, prefix m_"
        );
        let shown = format!("{config:?}");
        assert!(!shown.contains("hunter22"), "{shown}");
        assert_eq!(config.hide("no entry for hunter22"), "no entry for …");
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_shown() {
        for bad in [
            "mysql://me:hunter22@h/d",
            "hunter22",
            "postgresql://me:hunter22@h:port/d",
        ] {
            let error = PostgresConfig::new(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert!(!format!("{error:?}").contains("hunter22"), "{error:?}");
        }
    }

    #[test]
    fn a_password_is_hidden_as_it_is_and_as_it_is_written() {
        let url =
            "postgresql://me:p%40ss+w%2Frd@h/d?sslmode=disable&sslpassword=horse-battery&odd=1";
        let config = PostgresConfig::new(url).unwrap();
        for secret in ["p%40ss+w%2Frd", "p@ss+w/rd", "horse-battery"] {
            assert_eq!(config.hide(&format!("no {secret}.")), "no ….", "{secret}");
        }
        assert!(is_known("sslmode") && is_known("options[search_path]"));
        assert!(!is_known("sslpassword") && !is_known("odd"));
    }

    #[test]
    fn settings_of_the_server_are_taken_apart() {
        let options = server_options("-c statement_timeout=5s -c search_path=a,b");
        let expected = [("statement_timeout", "5s"), ("search_path", "a,b")];
        assert_eq!(options, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }
}
