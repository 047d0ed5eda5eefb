//! The suite on SQLite with Polars as its engine: `cargo test -p metaxy-polars --test conformance`.

use std::process::ExitCode;
use std::sync::Arc;

use metaxy_conformance::{Embedded, Suite};
use metaxy_polars::on_polars;
use metaxy_sqlite::SqliteConfig;

fn main() -> ExitCode {
    Suite::main(Embedded::new("sqlite on polars", |directory, request| {
        let config = SqliteConfig::new(directory.join("store.db"));
        Ok(on_polars(Arc::new(config.open(request.access))))
    }))
}
