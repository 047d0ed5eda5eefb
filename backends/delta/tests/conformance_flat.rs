//! The suite on Delta tables in one folder: `cargo test -p metaxy-delta --test conformance_flat`.

use std::process::ExitCode;
use std::sync::Arc;

use metaxy_conformance::{Embedded, Suite};
use metaxy_delta::{DeltaConfig, Layout};

fn main() -> ExitCode {
    let stores = Embedded::new("delta-flat", |directory, request| {
        let config = DeltaConfig::new(directory.to_string_lossy()).with_layout(Layout::Flat);
        Ok(Arc::new(config.open(request.access)))
    });
    Suite::main(stores.map(|stores| {
        stores.with_settings("metaxy_delta::DeltaBackend", |directory| {
            format!("root_path = '{}'\nlayout = 'flat'", directory.display())
        })
    }))
}
