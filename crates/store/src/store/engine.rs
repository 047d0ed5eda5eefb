//! The engine that runs the plans of a store: option `versioning_engine`. A backend runs them in its own; Polars takes a backend and gives one
//! that stores the same way and runs plans itself.

use crate::backend::SharedBackend;
use crate::backend::registry::{Descriptor, POLARS};
use crate::config::VersioningEngine;
use crate::error::{Error, ErrorKind, Result};
use crate::hash::HashAlgorithm;

/// The same store, whose plans run on Polars, if that is in this build.
const ON_POLARS: Option<fn(SharedBackend) -> SharedBackend> = {
    #[cfg(feature = "polars")]
    {
        Some(metaxy_polars::on_polars)
    }
    #[cfg(not(feature = "polars"))]
    {
        None
    }
};

/// The store of `descriptor` with the engine that is wanted. `Auto` takes the backend's own, unless that lacks the hash algorithm and
/// Polars is there; `Native` never takes another.
///
/// # Errors
/// [`ErrorKind::InvalidConfig`] if Polars is wanted and not in this build.
pub(super) fn select_engine(
    backend: SharedBackend,
    descriptor: &Descriptor,
    wanted: VersioningEngine,
    algorithm: HashAlgorithm,
) -> Result<SharedBackend> {
    if descriptor.engine == Some(POLARS) {
        return Ok(backend);
    }
    match wanted {
        VersioningEngine::Native => Ok(backend),
        VersioningEngine::Polars => match ON_POLARS {
            Some(on_polars) => Ok(on_polars(backend)),
            None => Err(Error::new(
                ErrorKind::InvalidConfig,
                "`versioning_engine` is \"polars\", and this build has no Polars",
            )
            .with_hint("enable the Cargo feature `polars` of metaxy-store and build again, or set it to \"native\"")),
        },
        // `Auto`.
        _ => {
            let known = backend.capabilities().hash_algorithms;
            match ON_POLARS.filter(|_| !known.contains(&algorithm)) {
                Some(on_polars) => Ok(on_polars(backend)),
                None => Ok(backend),
            }
        }
    }
}
