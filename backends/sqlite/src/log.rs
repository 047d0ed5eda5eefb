//! The write-ahead log, kept from growing.
//!
//! SQLite starts its log again when a write finds that nobody reads from it. Where reads overlap all the time no write ever does.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::place;

/// Bytes of the log beyond which a write tries to empty it.
const LARGE: u64 = 64 << 20;

/// How long an attempt waits for reads to end. No other write goes on meanwhile.
const PATIENCE: Duration = Duration::from_millis(100);

/// From a failed attempt to the next: beside a long read, writes would wait for nothing.
const PAUSE: Duration = Duration::from_secs(1);

/// When a log was last found in use.
#[derive(Debug, Default)]
pub(crate) struct Log {
    in_use: Mutex<Option<Instant>>,
}

impl Log {
    /// Empties the log of the file at `path` after a write, if it is large and all who read from it soon leave. New reads are not
    /// held up: they begin with the file itself. Failing is no harm, and the next write tries again.
    pub(crate) fn cut_back(&self, connection: &Connection, path: &Path, lock_timeout: Duration) {
        let large = bytes(path) > LARGE;
        if !large || self.rests() {
            return;
        }
        if connection.busy_timeout(PATIENCE).is_err() {
            return;
        }
        let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        let failed = busy.unwrap_or(true);
        *self.in_use.lock().unwrap_or_else(PoisonError::into_inner) = failed.then(Instant::now);
        // It cannot fail where the other did not.
        let _ = connection.busy_timeout(lock_timeout);
    }

    fn rests(&self) -> bool {
        let in_use = *self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.is_some_and(|at| at.elapsed() < PAUSE)
    }
}

/// Bytes of the log of the file at `path`.
pub(crate) fn bytes(path: &Path) -> u64 {
    place::bytes(&place::beside(path, "-wal"))
}
