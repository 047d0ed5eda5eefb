//! Whether a file is as it was when it was open before.
//!
//! The file system tells: the file must not be opened for it, since to close it again would give up the lock that DuckDB has on it.

use std::collections::HashMap;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::catalog::Cache;

/// What tells one state of a database from every later one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: Node,
    /// What was committed since the last checkpoint stands in the log.
    log: Option<Node>,
}

/// Where a file is, how long it is, and when it and its entry changed, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Node {
    place: (u64, u64),
    bytes: u64,
    changed: [i128; 2],
}

/// A file that changes twice within this may have the same times after both.
const TICK: Duration = Duration::from_secs(2);

/// More files than this are forgotten.
const MOST_FILES: usize = 1_000;

/// Files and the hosts they were attached to, how they were, and what is known of their catalogs.
type Files = HashMap<(PathBuf, u64), (Stamp, Arc<Cache>)>;

/// The files that were seen last.
static SEEN: Mutex<Option<Files>> = Mutex::new(None);

/// What is known of the catalog of a file that is open here, so that nobody else can write to it: what was known when it was open
/// before, if nothing has happened to it since. The settings of a host, known by its number, have a part in it.
pub(crate) fn cache_of(path: &Path, host: u64) -> Arc<Cache> {
    let Some(stamp) = Stamp::of(path).filter(Stamp::is_settled) else {
        return Arc::default();
    };
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = seen.get_or_insert_default();
    let key = (path.to_owned(), host);
    if let Some((known, cache)) = seen.get(&key)
        && *known == stamp
    {
        return cache.clone();
    }
    if seen.len() >= MOST_FILES {
        seen.clear();
    }
    let cache = Arc::new(Cache::default());
    seen.insert(key, (stamp, cache.clone()));
    cache
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        // DuckDB keeps the log of such a file elsewhere.
        if path.to_string_lossy().contains('?') {
            return None;
        }
        let mut log = path.as_os_str().to_owned();
        log.push(".wal");
        Some(Self {
            file: Node::of(&std::fs::metadata(path).ok()?)?,
            log: match std::fs::metadata(&log) {
                Ok(log) => Some(Node::of(&log)?),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(_) => return None,
            },
        })
    }

    /// Whether a change from now on would give it another stamp.
    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let Ok(Ok(now)) = now.map(|now| i128::try_from(now.as_nanos())) else {
            return false;
        };
        let tick = TICK.as_nanos() as i128;
        let nodes = [Some(self.file), self.log].into_iter().flatten();
        nodes
            .flat_map(|node| node.changed)
            .all(|changed| changed + tick < now)
    }
}

impl Node {
    #[cfg(unix)]
    fn of(file: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let nanoseconds =
            |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Some(Self {
            place: (file.dev(), file.ino()),
            bytes: file.len(),
            changed: [
                nanoseconds(file.mtime(), file.mtime_nsec()),
                nanoseconds(file.ctime(), file.ctime_nsec()),
            ],
        })
    }

    /// Elsewhere no file is known again.
    #[cfg(not(unix))]
    fn of(_: &Metadata) -> Option<Self> {
        None
    }
}
