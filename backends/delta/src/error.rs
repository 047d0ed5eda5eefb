//! What the errors of object stores, of Delta and of Parquet mean.

use std::error::Error as StdError;
use std::io;

use deltalake::DeltaTableError;
use metaxy_core::{Error, ErrorKind};
use parquet::errors::ParquetError;

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
    for cause in causes(error) {
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
    Error::new(
        ErrorKind::Storage,
        format!("the Delta store could not {what}: {text}"),
    )
    .with_hint("try again; if it goes on, check the address and the `storage_options`")
}

/// Whether the same request may succeed later. What the file system of this machine refuses, it refuses again.
pub(crate) fn is_transient(error: &object_store::Error) -> bool {
    match error {
        object_store::Error::Generic { store, .. } => *store != "LocalFileSystem",
        object_store::Error::JoinError { .. } => true,
        _ => false,
    }
}

/// Whether an error of deltalake comes from a request that may succeed later.
pub(crate) fn is_transient_delta(error: &DeltaTableError) -> bool {
    causes(error).any(|cause| cause.downcast_ref().is_some_and(is_transient))
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
