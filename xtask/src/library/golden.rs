//! `cargo xtask golden`: golden vectors against a store.

use std::path::{Path, PathBuf};

use clap::Args;
use futures::executor::block_on;
use metaxy_conformance::golden::{KINDS, Kind, replay_with_progress};

use super::stores;
use crate::rebuild::Build;
use crate::root;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The directory of the vectors [default: the committed ones].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The store to replay against.
    #[arg(long, value_name = "NAME", default_value = "sqlite")]
    store: String,
    /// Replay these kinds only, such as `versions,increments`.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    only: Vec<String>,
}

/// Replays, prints the report, and says whether all is well.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let only: Result<Vec<Kind>, String> = arguments.only.iter().map(|name| kind(name)).collect();
    let dir = arguments.dir.clone().unwrap_or_else(committed);
    let build = Build {
        release: false,
        stores: &[&arguments.store],
    };
    if !build.is_this() {
        return build.run_again();
    }
    replay(&arguments.store, &dir, &only?)
}

/// The vectors of the workspace.
fn committed() -> PathBuf {
    root().join("conformance").join("golden")
}

fn replay(store: &str, dir: &Path, only: &[Kind]) -> Result<bool, String> {
    let factory = stores::factory(store)?;
    let report = block_on(replay_with_progress(&*factory, dir, only, &mut |kind| {
        eprintln!("replaying {} on {store}", kind.name);
    }));
    println!("{report}");
    Ok(report.is_success())
}

fn kind(name: &str) -> Result<Kind, String> {
    Kind::named(name).ok_or_else(|| {
        let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        format!(
            "no kind of vectors {name:?}; known are {}",
            known.join(", ")
        )
    })
}
