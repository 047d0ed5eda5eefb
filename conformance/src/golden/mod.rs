//! Replays what the reference answered against a backend.
//!
//! A directory of golden vectors has the files that `golden/FORMAT.md` describes; this crate's `golden/` is one. Other sets,
//! with other names, data and graphs, are replayed by the same code: nothing here knows the names of a set. Where this
//! library differs from the reference on purpose, [`deviations`] says so, and the replay checks that it does.

mod arguments;
pub mod deviations;

mod file;
mod filters;
mod frame;
mod hashes;
mod increments;
mod ops;
mod report;
mod rows;
mod stores;
mod versions;

use std::path::Path;

pub use crate::factory::{Embedded, StoreFactory, StoreRequest};

use crate::factory;
pub use report::{Failure, Report};

use deviations::Tally;

/// A kind of vectors: one file of a golden set, and what lies beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Its name, as in `--only`.
    pub name: &'static str,
    /// Where it lies in the directory.
    pub path: &'static str,
    replay: Replay,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replay {
    Versions,
    Hashes,
    Filters,
    Increments,
    Ops,
    Stores,
}

/// Every kind, in the order in which they are replayed.
pub const KINDS: [Kind; 6] = [
    Kind::new("versions", "versions.json", Replay::Versions),
    Kind::new("hashes", "hashes.json", Replay::Hashes),
    Kind::new("filters", "filters.json", Replay::Filters),
    Kind::new("increments", "increments.json", Replay::Increments),
    Kind::new("ops", "ops.json", Replay::Ops),
    Kind::new("stores", "stores/expect.json", Replay::Stores),
];

impl Kind {
    const fn new(name: &'static str, path: &'static str, replay: Replay) -> Self {
        Self { name, path, replay }
    }

    /// The kind called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        KINDS.into_iter().find(|kind| kind.name == name)
    }
}

/// Replays the kinds `only` (all, if there are none) of the golden set in `dir` against stores from `factory`.
///
/// Nothing is an error of the call: what cannot be read or does not match is a failure of the report.
///
/// ```no_run
/// use std::path::Path;
/// use std::sync::Arc;
/// use metaxy_conformance::golden;
///
/// # fn main() -> metaxy_store::Result<()> {
/// let factory = golden::Embedded::new("sqlite", |directory, _| {
///     let config = metaxy_store::sqlite::SqliteConfig::new(directory.join("store.db"));
///     Ok(Arc::new(config.open(metaxy_store::Access::Write)))
/// })?;
/// let report = futures::executor::block_on(golden::replay(&factory, Path::new("golden"), &[]));
/// assert!(report.is_success(), "{report}");
/// # Ok(())
/// # }
/// ```
pub async fn replay(factory: &dyn StoreFactory, dir: &Path, only: &[Kind]) -> Report {
    replay_with_progress(factory, dir, only, &mut |_| {}).await
}

/// As [`replay`]; `started` is called with each kind before it is replayed.
pub async fn replay_with_progress(
    factory: &dyn StoreFactory,
    dir: &Path,
    only: &[Kind],
    started: &mut (dyn FnMut(Kind) + Send),
) -> Report {
    let mut report = Report::default();
    let mut tally = Tally::default();
    for kind in KINDS {
        if !only.is_empty() && !only.contains(&kind) {
            continue;
        }
        let path = dir.join(kind.path);
        if !path.exists() {
            if only.is_empty() {
                report.note(format!("{}: no {} in this set", kind.name, kind.path));
            } else {
                report.fail(
                    kind.name,
                    vec![format!("{} does not exist", path.display())],
                );
            }
            continue;
        }
        if kind.replay == Replay::Stores && !stores::apply_to(factory) {
            report.note(format!(
                "{}: not applicable: needs a Delta store",
                kind.name
            ));
            continue;
        }
        started(kind);
        let content = match file::read(&path) {
            Ok(content) => content,
            Err(why) => {
                report.fail(kind.name, vec![why]);
                continue;
            }
        };
        let replayed = match kind.replay {
            Replay::Versions => versions::replay(&content, &mut report),
            Replay::Hashes => hashes::replay(factory, &content, &mut report).await,
            Replay::Filters => filters::replay(factory, &content, &mut report, &mut tally).await,
            Replay::Increments => {
                increments::replay(factory, &content, &mut report, &mut tally).await
            }
            Replay::Ops => ops::replay(factory, &content, &mut report, &mut tally).await,
            Replay::Stores => {
                let stores = path.parent().unwrap_or(dir);
                stores::replay(factory, &content, stores, &mut report).await
            }
        };
        if let Err(why) = replayed {
            report.fail(kind.name, vec![why]);
        }
    }
    tally.settle(&mut report);
    report
}
