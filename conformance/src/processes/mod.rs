//! One store, many processes: what a test of a backend needs to hold it to that, on one machine.
//!
//! The test runs its own binary again, once per process. Each process plays one of the [roles] on the store of a
//! folder, and they tell each other by files in that folder what they did. [`Watch`] says what whoever reads must find,
//! whoever writes: whole writes, each stamped later than those before it.
//!
//! A backend's test has one test that the processes run, and others that start them:
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//! use metaxy_conformance::processes::{Place, Process, finish_all, play};
//! use metaxy_store::Access;
//! use metaxy_store::backend::Backend;
//! use metaxy_store::sqlite::SqliteConfig;
//!
//! fn open(folder: &Path, access: Access) -> Arc<dyn Backend> {
//!     Arc::new(SqliteConfig::new(folder.join("store.db")).open(access))
//! }
//!
//! // #[test]
//! // #[ignore = "what the other tests start as processes of their own"]
//! fn a_process_of_the_others() {
//!     play(open);
//! }
//!
//! // #[test]
//! fn writers_wait_for_each_other() {
//!     let folder = tempfile::tempdir().unwrap();
//!     let place = Place::new(folder.path(), open);
//!     let writers = (0..4).map(|writer| Process::start(folder.path(), format!("writer {writer} 20 50")));
//!     finish_all(writers.collect());
//!     assert_eq!(place.look(50).seen().len(), 4 * 20);
//! }
//! ```
//!
//! The sizes of a test can be set from outside: [`size`].
//!
//! | variable | meaning |
//! |---|---|
//! | `METAXY_PROCESSES_WRITERS` | processes that write |
//! | `METAXY_PROCESSES_WRITES` | writes of each of them |
//! | `METAXY_PROCESSES_ROWS` | rows of each write |
//! | `METAXY_PROCESSES_READERS` | processes that read and resolve in a loop |
//! | `METAXY_PROCESSES_OVERWRITERS` | how many of the writers write the same samples, again and again |
//!
//! Everything here panics where something is wrong: it is for tests only.

#![allow(clippy::unwrap_used, clippy::panic)] // as said above

mod process;
pub mod roles;
mod samples;
pub mod scenes;
mod watch;

pub use process::{
    FOLDER, PROCESS_TEST, Process, ROLE, acknowledged, acknowledged_of, await_signal, finish_all,
    is_signalled, report, signal, wait_until,
};
pub use roles::play;
pub use samples::{
    Mark, OVERWRITING, OWN, Open, Place, derived, member, overwrites, own, raw, samples, store,
};
pub use watch::Watch;

/// A size that may be set from outside, as `METAXY_PROCESSES_{name}`.
///
/// # Panics
/// If the variable is set to something else than a number.
#[must_use]
pub fn size(name: &str, default: i64) -> i64 {
    let name = format!("METAXY_PROCESSES_{name}");
    match std::env::var(&name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text:?}")),
        Err(_) => default,
    }
}
