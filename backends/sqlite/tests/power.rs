//! Power cuts: `cargo test -p metaxy-sqlite --test power`. See [`metaxy_conformance::power`].

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use metaxy_conformance::power::PowerCuts;
use metaxy_sqlite::SqliteConfig;
use metaxy_store::{Access, Backend};

fn open(folder: &Path, access: Access) -> Arc<dyn Backend> {
    Arc::new(SqliteConfig::new(folder.join("store.db")).open(access))
}

fn main() -> ExitCode {
    PowerCuts::new("sqlite", open).run_as_main()
}
