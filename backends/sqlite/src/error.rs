//! What SQLite's errors mean.

use std::path::Path;

use metaxy_core::{Error, ErrorKind};
use rusqlite::ErrorCode;

/// An error of SQLite while doing `what` with the file at `path`.
pub(crate) fn sqlite(error: rusqlite::Error, what: &str, path: &Path) -> Error {
    let file = path.display();
    let code = error.sqlite_error_code();
    let described = match code {
        Some(ErrorCode::NotADatabase) => Error::new(
            ErrorKind::CannotOpen,
            format!("{file} is not a SQLite database, so it cannot be opened as a store"),
        )
        .with_hint("check the option `database`; the file was not touched"),
        Some(ErrorCode::DatabaseCorrupt) => Error::new(
            ErrorKind::Corrupt,
            format!("the store in {file} is damaged"),
        )
        .with_hint("restore it from a backup, or rescue what is left with `sqlite3 FILE .recover`"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::new(
            ErrorKind::Locked,
            format!("another process is writing to the store in {file}"),
        )
        .with_hint("try again, or raise the option `lock_timeout`"),
        Some(ErrorCode::DiskFull) => Error::new(
            ErrorKind::Storage,
            format!("the disk that holds the store in {file} is full; nothing was written"),
        )
        .with_hint("free some space and try again"),
        Some(ErrorCode::ReadOnly) => Error::new(
            ErrorKind::ReadOnly,
            format!("the store in {file} cannot be written to"),
        )
        .with_hint("check the permissions of the file and of its folder"),
        Some(ErrorCode::CannotOpen) => Error::new(
            ErrorKind::CannotOpen,
            format!("the store in {file} cannot be opened"),
        )
        .with_hint("check that it is a file, and the permissions of the file and of its folder"),
        Some(ErrorCode::SystemIoFailure) => Error::new(
            ErrorKind::Storage,
            format!("reading or writing the store in {file} failed"),
        ),
        Some(ErrorCode::OperationInterrupted) => {
            Error::new(ErrorKind::Cancelled, "the query was cancelled")
        }
        _ => Error::new(
            ErrorKind::Storage,
            format!("SQLite could not {what} in {file}: {error}"),
        ),
    };
    described.with_source(error)
}
