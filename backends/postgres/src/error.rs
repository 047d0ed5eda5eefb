//! What PostgreSQL's errors mean.

use metaxy_core::{Error, ErrorKind};

use crate::config::PostgresConfig;

/// Why something could not be done: the server's word, or ours.
#[derive(Debug)]
pub(crate) enum Failure {
    Sqlx(sqlx::Error),
    Other(Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Sqlx(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Failure {
    /// The server's code, if it answered with an error.
    pub(crate) fn code(&self) -> Option<String> {
        match self {
            Self::Sqlx(error) => code(error),
            Self::Other(_) => None,
        }
    }

    /// Whether a table that was there a moment ago is not any more.
    pub(crate) fn is_undefined_table(&self) -> bool {
        self.code().is_some_and(|code| code == "42P01")
    }

    /// Whether the connection was lost, so that nobody knows what became of the last statement.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self, Self::Sqlx(error) if is_lost(error))
    }

    /// The error, with what was done and where.
    pub(crate) fn explain(self, what: &str, config: &PostgresConfig) -> Error {
        match self {
            Self::Other(error) => error,
            Self::Sqlx(error) => described(&error, what, config),
        }
    }
}

fn code(error: &sqlx::Error) -> Option<String> {
    match error {
        sqlx::Error::Database(error) => error.code().map(|code| code.into_owned()),
        _ => None,
    }
}

/// Whether the connection was lost.
pub(crate) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(_) => code(error).is_some_and(|code| ends(&code)),
        sqlx::Error::Io(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed => true,
        _ => false,
    }
}

/// Whether the server ends the connection with this error.
fn ends(code: &str) -> bool {
    matches!(code, "57P01" | "57P02" | "57P03" | "57P05") || code.starts_with("08")
}

/// The text is the server's, and not its source, which may show what was sent to it.
fn described(error: &sqlx::Error, what: &str, config: &PostgresConfig) -> Error {
    let place = config.location();
    if let sqlx::Error::PoolTimedOut = error {
        return Error::new(
            ErrorKind::Storage,
            format!(
                "the PostgreSQL store at {place} gave no connection within {:?}",
                config.connect_timeout
            ),
        )
        .with_hint("check that the server runs and takes connections at this address; if all connections of the pool are in use, raise `pool_size` or `connect_timeout`")
        .with_retryable(true);
    }
    let text = match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    };
    let text = config.hide(&text);
    let refused = || format!("the PostgreSQL store at {place} could not {what}: {text}");
    match code(error).as_deref() {
        Some("42501") if text.contains("row-level security") => Error::new(ErrorKind::Unsupported, refused())
            .with_hint("a policy of row security would hide rows, which look like samples that are missing, and runs with your rights: ask the owner of the table to take it away, or set the option `row_security = true`"),
        Some("42501") => Error::new(ErrorKind::ReadOnly, refused())
            .with_hint("ask the owner of the table or the schema to grant this right"),
        Some("25006") => Error::new(ErrorKind::ReadOnly, refused())
            .with_hint("the server or the session is read-only; connect to the primary server"),
        Some("55P03") => Error::new(
            ErrorKind::Locked,
            format!("another process holds what the PostgreSQL store at {place} needed to {what}"),
        )
        .with_hint("try again, or raise the option `lock_timeout`; nothing was written"),
        Some("54000") if text.contains("index row") => Error::new(ErrorKind::InvalidFrame, refused())
            .with_hint("an index of PostgreSQL takes some 2,700 bytes of a row: shorten the IDs, or drop the index; nothing was written"),
        Some("54000" | "54011") => Error::new(ErrorKind::InvalidFrame, refused())
            .with_hint("PostgreSQL keeps 1,600 columns in a table, 8,160 bytes in a row (a long text or a list counts as 18), and 1,664 columns in an answer: write fewer columns, or make two features of it; nothing was written"),
        Some("40001" | "40P01") => Error::new(ErrorKind::Conflict, refused()).with_hint("try again"),
        Some("57014") => Error::new(ErrorKind::Storage, refused())
            .with_hint("raise the option `statement_timeout` if the time ran out")
            .with_retryable(true),
        Some("53100" | "53200") => Error::new(ErrorKind::Storage, refused())
            .with_hint("free some space on the server and try again; nothing was written"),
        Some("53300") => Error::new(ErrorKind::Storage, refused())
            .with_hint("lower the option `pool_size`, or raise the server's `max_connections`")
            .with_retryable(true),
        Some(code) if code.starts_with("28") => Error::new(ErrorKind::CannotOpen, refused())
            .with_hint("check the user and the password of the connection"),
        Some("XX001" | "XX002") => Error::new(ErrorKind::Corrupt, refused())
            .with_hint("pages of the server's files are broken: `pg_amcheck` tells which; restore them from a backup, or rebuild an index by `REINDEX`"),
        Some("3D000") => Error::new(ErrorKind::CannotOpen, refused())
            .with_hint("create the database, or correct the connection"),
        Some(code) if code.starts_with("22") || code.starts_with("23") => {
            Error::new(ErrorKind::InvalidFrame, refused())
                .with_hint("correct the value, or write it under another name; nothing was written")
        }
        _ if is_lost(error) => Error::new(
            ErrorKind::Storage,
            format!("the connection to the PostgreSQL store at {place} was lost while it was to {what}: {text}"),
        )
        .with_hint("try again; what was not acknowledged was not written")
        .with_retryable(true),
        _ => match error {
            sqlx::Error::Configuration(_) | sqlx::Error::Tls(_) => {
                Error::new(ErrorKind::CannotOpen, refused()).with_hint("check the options of the connection")
            }
            _ => Error::new(ErrorKind::Storage, refused()),
        },
    }
}
