//! The store of a new project: of those that this build has, the one that asks for least.

use metaxy_store::backend::registry::Registry;
use metaxy_store::{Error, ErrorKind, Result};

/// A store to begin with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Starter {
    /// Its type, as a configuration names it.
    backend: &'static str,
    /// Where it is, for people, with the same `{path}`.
    place: &'static str,
    /// Its own options; `{path}` stands for a path without extension, relative to the configuration.
    options: &'static str,
    /// Whether it needs nothing but a path.
    pub(crate) in_files: bool,
}

/// Those that there are, the first that a build has being taken.
const STARTERS: &[Starter] = &[
    Starter {
        backend: "sqlite",
        place: "a SQLite store in {path}.db",
        options: "# Relative to this file.\ndatabase = \"{path}.db\"",
        in_files: true,
    },
    Starter {
        backend: "duckdb",
        place: "a DuckDB store in {path}.duckdb",
        options: "# Relative to this file.\ndatabase = \"{path}.duckdb\"",
        in_files: true,
    },
    Starter {
        backend: "delta",
        place: "Delta tables in {path}",
        options: "# Relative to this file; or s3://, az://, gs://.\nroot_path = \"{path}\"",
        in_files: true,
    },
    Starter {
        backend: "postgres",
        place: "a schema of the PostgreSQL database that DATABASE_URL names",
        options: "connection_string = \"${DATABASE_URL}\"\nschema = \"metaxy\"",
        in_files: false,
    },
];

impl Starter {
    /// The store to begin with in this build.
    ///
    /// # Errors
    /// `UnknownBackend` if the build has none of them.
    pub(crate) fn of_this_build() -> Result<Self> {
        let registry = Registry::linked()?;
        let mut there = STARTERS
            .iter()
            .filter(|starter| registry.resolve(starter.backend).is_ok());
        there.next().copied().ok_or_else(|| {
            Error::new(
                ErrorKind::UnknownBackend,
                "this build has no store to begin with",
            )
            .with_hint("build it with the Cargo feature `sqlite`, or write metaxy.toml by hand")
        })
    }

    /// The lines of its table in a configuration, for a store at `path`.
    pub(crate) fn settings(&self, path: &str) -> String {
        let options = self.options.replace("{path}", path);
        let backend = self.backend;
        format!("type = \"{backend}\"\n{options}\nhash_algorithm = \"xxhash64\"")
    }

    /// Where it is, for people.
    pub(crate) fn place(&self, path: &str) -> String {
        self.place.replace("{path}", path)
    }
}
