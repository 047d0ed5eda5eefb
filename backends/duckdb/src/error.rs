//! What DuckDB's errors mean.

use std::path::Path;

use metaxy_core::{Error, ErrorKind};

/// Why something could not be done: DuckDB's word, or ours.
pub(crate) enum Failure {
    DuckDb(duckdb::Error),
    Other(Error),
}

impl From<duckdb::Error> for Failure {
    fn from(error: duckdb::Error) -> Self {
        Self::DuckDb(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Failure {
    /// The error, with what was done and to which file.
    pub(crate) fn explain(self, what: &str, path: &Path) -> Error {
        match self {
            Self::DuckDb(error) => duckdb(error, what, path),
            Self::Other(error) if error.kind() == ErrorKind::Corrupt => {
                error.with_context("file", path.display())
            }
            Self::Other(error) => error,
        }
    }

    /// Whether a file could not be opened because another process holds it.
    pub(crate) fn is_locked(&self) -> bool {
        match self {
            Self::DuckDb(error) => is_locked(error),
            Self::Other(_) => false,
        }
    }

    /// Whether a file that was to be opened is none of DuckDB's.
    pub(crate) fn is_no_database(&self) -> bool {
        match self {
            Self::DuckDb(error) => message(error).contains(NO_DATABASE),
            Self::Other(_) => false,
        }
    }

    /// Whether the engine cannot go on after this.
    pub(crate) fn is_fatal(&self) -> bool {
        match self {
            Self::DuckDb(error) => message(error).contains("database has been invalidated"),
            Self::Other(_) => false,
        }
    }
}

/// Whether a statement is none that could be run.
pub(crate) fn is_refusal(error: &duckdb::Error) -> bool {
    let message = message(error);
    let kinds = ["Parser Error", "Binder Error", "Catalog Error"];
    kinds.iter().any(|kind| message.starts_with(kind))
}

fn is_locked(error: &duckdb::Error) -> bool {
    let message = message(error);
    // The other way round, this process has not quite let it go.
    message.contains("Could not set lock on file") || message.contains(IN_USE)
}

/// Whether the log cannot be written because of a transaction that is not over.
pub(crate) fn is_unfinished(error: &duckdb::Error) -> bool {
    message(error).contains("Cannot CHECKPOINT")
}

const NO_DATABASE: &str = "not a valid DuckDB database file";

/// A database of this process that is detached while something still uses it.
const IN_USE: &str = "Unique file handle conflict";

/// The process that holds the file, in DuckDB's words.
fn holder(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("Conflicting lock is held in ")?;
    Some(
        rest.split(". ")
            .next()
            .unwrap_or(rest)
            .trim_end_matches('.'),
    )
}

fn message(error: &duckdb::Error) -> String {
    match error {
        duckdb::Error::DuckDBFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    }
}

/// An error of DuckDB while doing `what` with the file at `path`.
pub(crate) fn duckdb(error: duckdb::Error, what: &str, path: &Path) -> Error {
    let file = path.display();
    let text = message(&error);
    let says = |part: &str| text.contains(part);
    let described = if is_locked(&error) {
        let somebody = match says(IN_USE) {
            true => "this process",
            false => "another process",
        };
        let who = holder(&text).unwrap_or(somebody);
        Error::new(
            ErrorKind::Locked,
            format!("the store in {file} is held by {who}"),
        )
        .with_hint("one process writes a DuckDB file at a time: wait for it to end, or raise the option `lock_timeout`")
    } else if is_unfinished(&error) {
        Error::new(
            ErrorKind::Locked,
            format!("the log of the store in {file} cannot be written while a read of this process is not finished"),
        )
        .with_hint("read results to their end, or raise the option `lock_timeout`")
    } else if says(NO_DATABASE) {
        Error::new(
            ErrorKind::CannotOpen,
            format!("{file} is not a DuckDB database, so it cannot be opened as a store"),
        )
        .with_hint("check the option `database`; the file was not touched")
    } else if says("newer DuckDB version") || says("newer version of DuckDB") {
        Error::new(
            ErrorKind::CannotOpen,
            format!("the store in {file} was made by a newer DuckDB than the one built in"),
        )
        .with_hint(
            "make it with the option `storage_version` of this version, or use a newer metaxy",
        )
    } else if says("INTERRUPT") {
        Error::new(ErrorKind::Cancelled, "the query was cancelled")
    } else if says("Out of Memory") || says("could not allocate block") {
        Error::new(
            ErrorKind::Storage,
            format!(
                "DuckDB had not enough memory to {what} in {file}: {}",
                first_line(&text)
            ),
        )
        .with_hint("raise the setting `memory_limit`, or set `temp_directory` to a disk with room")
    } else if says("No space left on device") {
        Error::new(
            ErrorKind::Storage,
            format!("the disk that holds the store in {file} is full; nothing was written"),
        )
        .with_hint("free some space and try again")
    } else if says("Permission denied") || says("read-only mode") || says("Read-only file system") {
        Error::new(
            ErrorKind::ReadOnly,
            format!("the store in {file} cannot be written to"),
        )
        .with_hint("check the permissions of the file and of its folder")
    } else if [
        "Corrupt",
        "corrupt",
        "checksum",
        "Invalid unicode",
        "Serialization Error",
    ]
    .iter()
    .any(|word| says(word))
    {
        Error::new(
            ErrorKind::Corrupt,
            format!("the store in {file} is damaged: {}", first_line(&text)),
        )
        .with_hint("restore it from a backup")
    } else if says("unrecognized configuration parameter") || says("not recognized:") {
        Error::new(
            ErrorKind::InvalidConfig,
            format!(
                "DuckDB does not know a setting of the store in {file}: {}",
                first_line(&text)
            ),
        )
        .with_hint("correct the option `config`")
    } else if says("Conflict") && says("TransactionContext") {
        Error::new(
            ErrorKind::Conflict,
            format!("another write changed the store in {file} meanwhile; nothing was written"),
        )
        .with_hint("try again")
    } else {
        Error::new(
            ErrorKind::Storage,
            format!("DuckDB could not {what} in {file}: {}", first_line(&text)),
        )
    };
    described.with_source(error)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text)
}
