//! What SQLite's errors mean.

use std::path::Path;

use metaxy_core::{Error, ErrorKind};
use rusqlite::{ErrorCode, ffi};

use crate::checksums::{Fault, take_fault};
use crate::functions::STORED;

/// An error of SQLite while doing `what` with the file at `path`.
pub(crate) fn sqlite(error: &rusqlite::Error, what: &str, path: &Path) -> Error {
    let file = path.display();
    let cause = cause(error);
    let code = match error {
        rusqlite::Error::SqliteFailure(code, _) => Some(code),
        rusqlite::Error::SqlInputError { error: code, .. } => Some(code),
        _ => None,
    };
    let described = match code.map(|code| code.code) {
        Some(ErrorCode::SystemIoFailure) if code.is_some_and(|code| code.extended_code == ffi::SQLITE_IOERR_DATA) => {
            broken_page(path)
        }
        Some(_) if cause.contains(STORED) => Error::new(
            ErrorKind::Corrupt,
            format!("the store in {file} holds what it should not: {cause}"),
        ),
        Some(_) if cause.contains("unsafe use of ") || cause.starts_with("metaxy_") => Error::new(
            ErrorKind::Corrupt,
            format!("something in the store in {file} calls a function that it may not call"),
        )
        .with_hint("somebody has changed the file by other means than metaxy: restore it from a backup"),
        Some(ErrorCode::Unknown | ErrorCode::TooBig) if is_limit(&cause) => Error::new(
            ErrorKind::Unsupported,
            format!("SQLite could not {what} in {file}: {cause}, which is a limit of SQLite"),
        )
        .with_hint("ask for fewer columns, filters or upstreams at once; the guide's table of limits says how many"),
        None if is_of_other_type(error) => Error::new(
            ErrorKind::Corrupt,
            format!("the store in {file} holds a value of another type than it should"),
        ),
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
            format!("SQLite could not {what} in {file}: {cause}"),
        ),
    };
    described.with_source(cause)
}

/// What SQLite said, without the statement that it said it of.
fn cause(error: &rusqlite::Error) -> String {
    let text = match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Characters of a text of SQLite's that are shown: it may hold whatever a statement or a file holds.
const LONGEST: usize = 300;

/// Whether a statement was too large.
fn is_limit(cause: &str) -> bool {
    [
        "too many ",
        "too large",
        "too big",
        "at most ",
        "nested too deep",
        "parser stack overflow",
    ]
    .iter()
    .any(|limit| cause.contains(limit))
}

/// Whether the catalog, whose tables say what they hold, holds something else.
fn is_of_other_type(error: &rusqlite::Error) -> bool {
    use rusqlite::Error as E;
    matches!(
        error,
        E::InvalidColumnType(..)
            | E::FromSqlConversionFailure(..)
            | E::IntegralValueOutOfRange(..)
            | E::Utf8Error(..)
    )
}

fn broken_page(path: &Path) -> Error {
    let file = path.display();
    let what = match take_fault() {
        Some(Fault::Page(number)) => format!("page {number} of the store in {file} does"),
        Some(Fault::Log(at)) => {
            format!("the page at byte {at} of the log of the store in {file}, {file}-wal, does")
        }
        None => format!("a page of the store in {file} does"),
    };
    Error::new(
        ErrorKind::Corrupt,
        format!("{what} not match its checksum"),
    )
    .with_hint("the disk has changed it: restore the store from a backup, or rescue what is left with the option `checksums = false`. If a program wrote to the file that does not know checksums, as the `sqlite3` shell, run `metaxy maintain` once with that option")
}
