//! The suite on a server, with one algorithm.

use std::process::ExitCode;
use std::sync::Arc;

use metaxy_conformance::Suite;
use metaxy_conformance::cluster::Schemas;
use metaxy_postgres::PostgresConfig;
use metaxy_store::HashAlgorithm;

pub(crate) fn run(algorithm: HashAlgorithm, part: impl FnOnce(Suite) -> Suite) -> ExitCode {
    let stores = Schemas::new(
        "postgres",
        metaxy_postgres::TYPE_PATH,
        |url, schema, request| {
            let config = PostgresConfig::new(url)?
                .with_schema(schema)
                .with_pool_size(4);
            Ok(Arc::new(config.open(request.access)))
        },
    );
    match stores {
        Ok(stores) => {
            let suite = Suite::new(Arc::new(stores)).with_algorithm(algorithm);
            part(suite).run_as_main()
        }
        Err(error) => {
            eprintln!("the stores cannot be made: {error}");
            ExitCode::FAILURE
        }
    }
}
