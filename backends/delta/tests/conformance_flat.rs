//! What the layout can change of the suite, on Delta tables in one folder: `cargo test -p metaxy-delta --test conformance_flat`.

use std::process::ExitCode;
use std::sync::Arc;

use metaxy_conformance::{Embedded, Part, Suite};
use metaxy_delta::{DeltaConfig, Layout};

fn main() -> ExitCode {
    let stores = Embedded::new("delta-flat", |directory, request| {
        let config = DeltaConfig::new(directory.to_string_lossy()).with_layout(Layout::Flat);
        Ok(Arc::new(config.open(request.access)))
    });
    let stores = match stores {
        Ok(stores) => stores.with_settings("metaxy_delta::DeltaBackend", |directory| {
            format!("root_path = '{}'\nlayout = 'flat'", directory.display())
        }),
        Err(error) => {
            eprintln!("the stores cannot be made: {error}");
            return ExitCode::FAILURE;
        }
    };
    Suite::new(Arc::new(stores))
        .with_part(Part::Storage)
        .run_as_main()
}
