//! The store of metaxy for teams: a schema of a PostgreSQL database.

mod backend;
mod canonical;
mod catalog;
mod commit;
mod config;
mod decode;
mod dialect;
mod encode;
mod error;
mod frames;
mod maintain;
mod names;
mod order;
mod query;
mod residue;
mod rights;
mod runtime;
mod session;
mod split;
mod types;
mod write;

pub use backend::PostgresBackend;
pub use config::{PostgresConfig, Tls};

use metaxy_core::registry::Descriptor;

/// The type path under which a configuration names this store.
pub const TYPE_PATH: &str = "metaxy_postgres::PostgresBackend";

/// What the registry knows of this store.
pub const DESCRIPTOR: Descriptor = Descriptor::new("postgres", TYPE_PATH, config::open)
    .with_aliases(metaxy_core::registry::POSTGRES_PATHS)
    .with_cargo_feature("postgres")
    .with_summary("a schema of a PostgreSQL database; many processes may share it");

metaxy_core::registry::submit! { DESCRIPTOR }
