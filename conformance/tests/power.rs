//! Power cuts find a store that does not sync.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use metaxy_conformance::outcome::Stop;
use metaxy_conformance::power::{self, Cuts, PowerCuts};
use metaxy_store::Access;
use metaxy_store::backend::Backend;
use metaxy_store::sqlite::{SqliteConfig, Synchronous};

/// Its last writes are synced with the next maintenance only.
fn not_synced(folder: &Path, access: Access) -> Arc<dyn Backend> {
    let config = SqliteConfig::new(folder.join("store.db"));
    Arc::new(config.with_synchronous(Synchronous::Normal).open(access))
}

fn main() -> ExitCode {
    let cuts = PowerCuts::new("not synced", not_synced).with_writes(4);
    power::play(&[cuts]);
    let trials = vec![Trial::ignorable_test(
        "a_store_that_does_not_sync_loses_writes",
        move || caught(cuts.cut(), "not there"),
    )];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn caught(cuts: Result<Cuts, Stop>, by: &str) -> Result<Completion, Failed> {
    match cuts {
        Ok(cuts) if cuts.wrong.iter().any(|wrong| wrong.contains(by)) => {
            println!("{cuts}");
            Ok(Completion::Completed)
        }
        Ok(cuts) => Err(format!("it was not noticed: {cuts}").into()),
        Err(Stop::Missing(what) | Stop::Ignored(what)) => Ok(Completion::ignored_with(what)),
        Err(stop) => Err(stop.to_string().into()),
    }
}
