//! Power cuts: `cargo test -p metaxy-delta --test power`. See [`metaxy_conformance::power`].

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use metaxy_conformance::power::PowerCuts;
use metaxy_delta::DeltaConfig;
use metaxy_store::{Access, Backend};

fn open(folder: &Path, access: Access) -> Arc<dyn Backend> {
    Arc::new(DeltaConfig::new(folder.join("store").to_string_lossy()).open(access))
}

fn main() -> ExitCode {
    PowerCuts::new("delta", open).run_as_main()
}
