//! The suite on Delta tables in nested folders: `cargo test -p metaxy-delta --test conformance`.

use std::process::ExitCode;
use std::sync::Arc;

use metaxy_conformance::{Embedded, Suite};
use metaxy_delta::DeltaConfig;

fn main() -> ExitCode {
    let stores = Embedded::new("delta", |directory, request| {
        let config = DeltaConfig::new(directory.to_string_lossy());
        Ok(Arc::new(config.open(request.access)))
    });
    Suite::main(stores.map(|stores| {
        stores.with_settings("metaxy_delta::DeltaBackend", |directory| {
            format!("root_path = '{}'", directory.display())
        })
    }))
}
