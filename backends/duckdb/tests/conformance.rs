//! The suite on DuckDB: `cargo test -p metaxy-duckdb --test conformance`.

use std::process::ExitCode;
use std::sync::Arc;

use metaxy_conformance::{Embedded, Suite};
use metaxy_duckdb::DuckDbConfig;

fn main() -> ExitCode {
    let stores = Embedded::new("duckdb", |directory, request| {
        let config = DuckDbConfig::new(directory.join("store.duckdb"));
        Ok(Arc::new(config.open(request.access)))
    });
    Suite::main(stores.map(|stores| {
        stores.with_settings("metaxy_duckdb::DuckDbBackend", |directory| {
            let database = directory.join("store.duckdb");
            format!("database = '{}'", database.display())
        })
    }))
}
