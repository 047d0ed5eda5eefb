//! Every plan of the suite and of the laws' random histories, on DuckDB's engine and on Polars: both give the same rows.

use std::process::ExitCode;
use std::sync::Arc;

use metaxy_conformance::{Embedded, SecondOpinion, Suite};
use metaxy_store::duckdb::DuckDbConfig;
use metaxy_store::polars::on_polars;

fn main() -> ExitCode {
    Suite::main(Embedded::new("duckdb and polars", |directory, request| {
        let config = DuckDbConfig::new(directory.join("store.duckdb"));
        let duckdb = Arc::new(config.open(request.access));
        Ok(Arc::new(SecondOpinion::new(
            duckdb.clone(),
            on_polars(duckdb),
        )))
    }))
}
