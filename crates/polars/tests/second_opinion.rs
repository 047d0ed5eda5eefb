//! Every plan of the suite and of the laws' random histories, on SQLite's engine and on Polars: both give the same rows.

use std::process::ExitCode;
use std::sync::Arc;

use metaxy_conformance::{Embedded, SecondOpinion, Suite};
use metaxy_polars::on_polars;
use metaxy_sqlite::SqliteConfig;

fn main() -> ExitCode {
    Suite::main(Embedded::new("sqlite and polars", |directory, request| {
        let config = SqliteConfig::new(directory.join("store.db"));
        let sqlite = Arc::new(config.open(request.access));
        Ok(Arc::new(SecondOpinion::new(
            sqlite.clone(),
            on_polars(sqlite),
        )))
    }))
}
