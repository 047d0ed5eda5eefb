//! The floor: the cheapest query that a person who knows the tables would write for the same work, in the same engine.

#[cfg(feature = "duckdb")]
mod duckdb;

use metaxy_store::FeatureGraph;

use super::directory::Directory;
use super::turn::Held;

/// Opens the engine, runs the query, closes the engine, and holds the rows.
pub(super) type Floor = fn(&Directory, &FeatureGraph) -> Result<Box<dyn Held>, String>;

/// The floors of this build, by backend.
const FLOORS: &[(&str, Floor)] = &[
    #[cfg(feature = "duckdb")]
    ("duckdb", duckdb::resolve),
];

/// The floor of a backend.
pub(super) fn of(backend: &str) -> Result<Floor, String> {
    let found = FLOORS.iter().find(|(known, _)| *known == backend);
    found
        .map(|(_, floor)| *floor)
        .ok_or_else(|| format!("there is no floor for {backend}"))
}

/// Whether a backend has a floor.
pub(super) fn exists(backend: &str) -> bool {
    of(backend).is_ok()
}
