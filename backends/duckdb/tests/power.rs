//! Power cuts: `cargo test -p metaxy-duckdb --test power`. See [`metaxy_conformance::power`].

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use metaxy_conformance::power::PowerCuts;
use metaxy_duckdb::DuckDbConfig;
use metaxy_store::{Access, Backend};

fn open(folder: &Path, access: Access) -> Arc<dyn Backend> {
    Arc::new(DuckDbConfig::new(folder.join("store.duckdb")).open(access))
}

fn main() -> ExitCode {
    PowerCuts::new("duckdb", open).run_as_main()
}
