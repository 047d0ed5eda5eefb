//! Engines that run plans for backends of other crates: option `versioning_engine`.
//!
//! A backend runs plans in its own engine. Another engine takes a backend and gives one that stores the same way and runs plans itself;
//! it is submitted as backends are ([`registry`](crate::backend::registry)).

use crate::backend::SharedBackend;
use crate::backend::registry::Descriptor;
use crate::error::{Error, ErrorKind, Result};
use crate::hash::HashAlgorithm;
use crate::options::VersioningEngine;

/// What this build knows of an engine.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct EngineDescriptor {
    /// Its name in `versioning_engine`, and in [`Descriptor::engine`].
    pub name: &'static str,
    /// The same store, whose plans run on the engine.
    pub on_engine: fn(SharedBackend) -> SharedBackend,
}

impl EngineDescriptor {
    /// An engine.
    #[must_use]
    pub const fn new(name: &'static str, on_engine: fn(SharedBackend) -> SharedBackend) -> Self {
        Self { name, on_engine }
    }
}

inventory::collect!(EngineDescriptor);

/// The name of the engine of `versioning_engine = "polars"`.
pub const POLARS: &str = "polars";

/// The store of `descriptor` with the engine that is wanted. `Auto` takes the backend's own, unless that lacks the hash algorithm and
/// Polars is there; `Native` never takes another.
///
/// # Errors
/// [`ErrorKind::InvalidConfig`] if Polars is wanted and not in this build.
pub fn select_engine(
    backend: SharedBackend,
    descriptor: &Descriptor,
    wanted: VersioningEngine,
    algorithm: HashAlgorithm,
) -> Result<SharedBackend> {
    if descriptor.engine == Some(POLARS) {
        return Ok(backend);
    }
    let polars = || inventory::iter::<EngineDescriptor>().find(|engine| engine.name == POLARS);
    match wanted {
        VersioningEngine::Native => Ok(backend),
        VersioningEngine::Auto => {
            let known = backend.capabilities().hash_algorithms;
            match polars().filter(|_| !known.contains(&algorithm)) {
                Some(engine) => Ok((engine.on_engine)(backend)),
                None => Ok(backend),
            }
        }
        VersioningEngine::Polars => match polars() {
            Some(engine) => Ok((engine.on_engine)(backend)),
            None => Err(Error::new(
                ErrorKind::InvalidConfig,
                "`versioning_engine` is \"polars\", and this build has no Polars",
            )
            .with_hint("enable the Cargo feature `polars` of metaxy-store and build again, or set it to \"native\"")),
        },
    }
}
