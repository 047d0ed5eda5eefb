//! What a backend does not support is refused here, in one place, before anything is read or changed.

use super::Inner;
use crate::error::{Error, ErrorKind, Result};

/// Refuses a store that hashes as its backend cannot.
///
/// # Errors
/// [`ErrorKind::Unsupported`] that names the store, the algorithm and those that there are.
pub(super) fn hash_algorithm(store: &Inner) -> Result<()> {
    let known = store.backend.capabilities().hash_algorithms;
    if known.contains(&store.algorithm) {
        return Ok(());
    }
    let names: Vec<&str> = known.iter().map(|known| known.as_str()).collect();
    let what = format!("hash with {}", store.algorithm);
    Err(refusal(store, &what).with_hint(match names.as_slice() {
        [] => "it computes no hashes at all: use another kind of store".to_owned(),
        names => format!("set `hash_algorithm` to one of {}", names.join(", ")),
    }))
}

/// Refuses to remove rows where that is impossible.
///
/// # Errors
/// [`ErrorKind::Unsupported`] that names the store.
pub(super) fn hard_delete(store: &Inner) -> Result<()> {
    match store.backend.capabilities().hard_delete {
        true => Ok(()),
        false => Err(refusal(store, "remove rows for good")
            .with_hint("delete softly: the samples are gone from every read; nothing was deleted")),
    }
}

/// Refuses to remove the history of samples where rows cannot be removed.
///
/// # Errors
/// [`ErrorKind::Unsupported`] that names the store.
pub(super) fn prune(store: &Inner) -> Result<()> {
    match store.backend.capabilities().hard_delete {
        true => Ok(()),
        false => Err(
            refusal(store, "remove superseded rows").with_hint(
                "leave out what says which rows go: the storage is put in order all the same; nothing was removed",
            ),
        ),
    }
}

/// Refuses to read a table as it was where that is impossible.
///
/// # Errors
/// [`ErrorKind::Unsupported`] that names the store.
pub(super) fn as_of(store: &Inner) -> Result<()> {
    match store.backend.capabilities().as_of {
        true => Ok(()),
        false => Err(refusal(store, "read a table as of a time")
            .with_hint("read with sample history, and filter by metaxy_updated_at")),
    }
}

fn refusal(store: &Inner, what: &str) -> Error {
    let kind = store.backend.describe().kind;
    Error::new(
        ErrorKind::Unsupported,
        format!("store {:?} ({kind}) cannot {what}", store.name),
    )
    .with_context("store", &store.name)
}
