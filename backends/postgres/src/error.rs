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
            Self::Sqlx(sqlx::Error::Database(error)) => error.code().map(|code| code.into_owned()),
            _ => None,
        }
    }

    /// Whether the connection was lost, so that nobody knows what became of the last statement.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::Sqlx(sqlx::Error::Database(_)) => self.code().is_some_and(|code| ends(&code)),
            Self::Sqlx(
                sqlx::Error::Io(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed,
            ) => true,
            _ => false,
        }
    }

    /// The error, with what was done and where.
    pub(crate) fn explain(self, what: &str, config: &PostgresConfig) -> Error {
        match self {
            Self::Other(error) => error,
            Self::Sqlx(error) => described(error, what, config),
        }
    }
}

/// Whether the server ends the connection with this error.
fn ends(code: &str) -> bool {
    matches!(code, "57P01" | "57P02" | "57P03" | "57P05") || code.starts_with("08")
}

fn described(error: sqlx::Error, what: &str, config: &PostgresConfig) -> Error {
    let place = config.location();
    let failure = Failure::Sqlx(error);
    let code = failure.code();
    let lost = failure.is_lost();
    let Failure::Sqlx(error) = failure else {
        return Error::new(ErrorKind::Internal, "an error without a source");
    };
    if let sqlx::Error::PoolTimedOut = &error {
        return Error::new(
            ErrorKind::Storage,
            format!(
                "the PostgreSQL store at {place} gave no connection within {:?}",
                config.connect_timeout
            ),
        )
        .with_hint("check that the server runs and takes connections at this address; if all connections of the pool are in use, raise `pool_size` or `connect_timeout`");
    }
    let text = match &error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    };
    let text = config.hide(&text);
    let new = |kind, problem: String| Error::new(kind, problem);
    let refused = || format!("the PostgreSQL store at {place} could not {what}: {text}");
    let described = match code.as_deref() {
        Some("42501") => new(ErrorKind::ReadOnly, refused())
            .with_hint("ask the owner of the table or the schema to grant this right"),
        Some("25006") => new(ErrorKind::ReadOnly, refused())
            .with_hint("the server or the session is read-only; connect to the primary server"),
        Some("55P03") => new(
            ErrorKind::Locked,
            format!("another process holds what the PostgreSQL store at {place} needed to {what}"),
        )
        .with_hint("try again, or raise the option `lock_timeout`; nothing was written"),
        Some("40001" | "40P01") => new(ErrorKind::Conflict, refused()).with_hint("try again"),
        Some("57014") => new(ErrorKind::Storage, refused())
            .with_hint("raise the option `statement_timeout` if the time ran out"),
        Some("53100" | "53200") => new(ErrorKind::Storage, refused())
            .with_hint("free some space on the server and try again; nothing was written"),
        Some("53300") => new(ErrorKind::Storage, refused())
            .with_hint("lower the option `pool_size`, or raise the server's `max_connections`"),
        Some(code) if code.starts_with("28") => new(ErrorKind::CannotOpen, refused())
            .with_hint("check the user and the password of the connection"),
        Some("3D000") => new(ErrorKind::CannotOpen, refused())
            .with_hint("create the database, or correct the connection"),
        Some(code) if code.starts_with("22") || code.starts_with("23") => {
            new(ErrorKind::InvalidFrame, refused())
                .with_hint("correct the value, or write it under another name; nothing was written")
        }
        _ if lost => new(
            ErrorKind::Storage,
            format!("the connection to the PostgreSQL store at {place} was lost while it was to {what}: {text}"),
        )
        .with_hint("try again; what was not acknowledged was not written"),
        _ => match &error {
            sqlx::Error::Configuration(_) | sqlx::Error::Tls(_) => {
                new(ErrorKind::CannotOpen, refused()).with_hint("check the options of the connection")
            }
            _ => new(ErrorKind::Storage, refused()),
        },
    };
    // The text above is the server's; its source may show what was sent to it.
    described
}
