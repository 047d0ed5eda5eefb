//! What the errors of object stores, of Delta and of Parquet mean.

use std::error::Error as StdError;
use std::io;

use deltalake::DeltaTableError;
use metaxy_core::{Error, ErrorKind};
use parquet::errors::ParquetError;

use crate::disk::{NotKept, Stray};

/// What must not be shown: the values of the storage options. Errors of clients may quote an address with a signature, or a header.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// The values that are long enough to be secrets; `true` and `1` are not.
    pub(crate) fn new<'a>(values: impl IntoIterator<Item = &'a String>) -> Self {
        let values = values.into_iter().filter(|value| value.len() >= 6);
        Self(values.cloned().collect())
    }

    /// The text without secrets, and without the queries of addresses.
    pub(crate) fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            text = text.replace(secret, "…");
        }
        without_queries(&text)
    }
}

fn without_queries(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut hiding = false;
    for (at, c) in text.char_indices() {
        let ends = c.is_whitespace() || matches!(c, '"' | '\'' | ')' | '>' | '`');
        if hiding && !ends {
            continue;
        }
        hiding = c == '?'
            && text[at + 1..]
                .split(char::is_whitespace)
                .next()
                .is_some_and(|q| q.contains('='));
        match hiding {
            true => shown.push_str("?…"),
            false => shown.push(c),
        }
    }
    shown
}

/// An error of a file or of an object store while doing `what`.
pub(crate) fn store(error: &object_store::Error, what: &str, secrets: &Secrets) -> Error {
    described(error, what, secrets)
}

/// An error of a file of this machine while doing `what`.
pub(crate) fn file(error: &io::Error, what: &str) -> Error {
    described(error, what, &Secrets::default())
}

/// An error of deltalake while doing `what`.
pub(crate) fn delta(error: &DeltaTableError, what: &str, secrets: &Secrets) -> Error {
    match error {
        DeltaTableError::ObjectStore { source } => store(source, what, secrets),
        _ => described(error, what, secrets),
    }
}

/// An error of Parquet while doing `what`.
pub(crate) fn parquet(error: &ParquetError, what: &str, secrets: &Secrets) -> Error {
    let described = described(error, what, secrets);
    match error {
        ParquetError::External(_) => described,
        _ if described.kind() == ErrorKind::Storage => Error::new(
            ErrorKind::Corrupt,
            format!(
                "the Delta store could not {what}: {}",
                secrets.hide(&error.to_string())
            ),
        ),
        _ => described,
    }
}

fn described(error: &(dyn StdError + 'static), what: &str, secrets: &Secrets) -> Error {
    let denied = || {
        Error::new(
            ErrorKind::ReadOnly,
            format!("the Delta store could not {what}: access was denied"),
        )
        .with_hint("check the permissions of the folder, or the credentials in `storage_options`")
    };
    if is_not_kept(error) {
        return Error::new(
            ErrorKind::Storage,
            format!(
                "the Delta store could not {what} for sure: it is there, but the disk failed to keep it"
            ),
        )
        .with_hint("a power cut may still lose it; check the disk, and what the table has, before writing again");
    }
    for cause in causes(error) {
        if let Some(stray) = as_stray(cause) {
            return Error::new(
                ErrorKind::Unsupported,
                format!("the Delta store does not {what}: {stray}"),
            )
            .with_hint(STRAY);
        }
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            match io.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    return denied();
                }
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    return Error::new(
                        ErrorKind::Storage,
                        format!("the Delta store could not {what}: the disk is full; nothing was written"),
                    )
                    .with_hint("free some space and try again");
                }
                _ => {}
            }
        }
        if let Some(
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. },
        ) = cause.downcast_ref::<object_store::Error>()
        {
            return denied();
        }
    }
    // The deepest cause says most; the layers above repeat it.
    let text = secrets.hide(&error.to_string());
    let told = Error::new(
        ErrorKind::Storage,
        format!("the Delta store could not {what}: {text}"),
    )
    .with_hint("try again; if it goes on, check the address and the `storage_options`");
    let mut stores = causes(error).filter_map(|cause| cause.downcast_ref::<object_store::Error>());
    let passes = stores.any(is_transient);
    told.with_retryable(passes)
}

/// What to do about a path that a table may not name.
pub(crate) const STRAY: &str = "a metaxy store reads and removes only files in the folder of the table; ask whoever wrote the table, and do not trust it before";

/// What a table fails with that names a file which it may not name.
pub(crate) fn stray(location: &str, path: &Stray) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "the Delta table {location} names a file that a metaxy store does not touch: {path}"
        ),
    )
    .with_hint(STRAY)
}

fn as_stray<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a Stray> {
    let carried = cause.downcast_ref::<io::Error>().and_then(|e| e.get_ref());
    let carried = carried.and_then(|inner| inner.downcast_ref());
    carried.or_else(|| cause.downcast_ref())
}

/// Whether a file is there, although a power cut may cost it.
pub(crate) fn is_not_kept(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(|cause| cause.is::<NotKept>())
}

/// What a table fails with of which a file is not as it was written.
pub(crate) fn damaged(location: &str, file: &str, problem: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("the file {file} of the Delta table {location} is damaged: {problem}"),
    )
    .with_hint(
        "put it back from a copy; without one, what it held is lost, and has to be written again",
    )
}

/// Whether the same request may succeed later. What the file system of this machine refuses, it refuses again.
pub(crate) fn is_transient(error: &object_store::Error) -> bool {
    match error {
        object_store::Error::Generic { store, .. } => *store != "LocalFileSystem",
        object_store::Error::JoinError { .. } => true,
        _ => false,
    }
}

fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_signatures_are_hidden() {
        let key = "AKIASECRET".to_owned();
        let secrets = Secrets::new([&key]);
        let text = "GET https://x/y?sig=abc%3D&se=1 failed: header AKIASECRET is wrong, why?";
        let shown = secrets.hide(text);
        assert_eq!(shown, "GET https://x/y?… failed: header … is wrong, why?");
    }

    #[test]
    fn what_the_disk_refuses_is_said() {
        let full = object_store::Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(io::Error::from(io::ErrorKind::StorageFull)),
        };
        let error = store(&full, "write", &Secrets::default());
        assert!(error.message().contains("disk is full"), "{error}");
        assert!(!is_transient(&full));
    }
}
