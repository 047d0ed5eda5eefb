//! The suite on SQLite: `cargo test -p metaxy-sqlite --test conformance`.

use std::process::ExitCode;
use std::sync::Arc;

use metaxy_conformance::{Embedded, Suite};
use metaxy_sqlite::{SqliteConfig, Synchronous};

fn main() -> ExitCode {
    let stores = Embedded::new("sqlite", |directory, request| {
        // What a power failure would lose is not tested here.
        let config = SqliteConfig::new(directory.join("store.db"));
        let config = config.with_synchronous(Synchronous::Normal);
        Ok(Arc::new(config.open(request.access)))
    });
    Suite::main(stores.map(|stores| {
        stores.with_settings("metaxy_sqlite::SqliteBackend", |directory| {
            format!("database = '{}'", directory.join("store.db").display())
        })
    }))
}
