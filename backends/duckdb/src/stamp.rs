//! Whether a file is the one that was seen before.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::catalog::Cache;
use crate::engine::HEADERS;

/// What tells one state of a file that is open here, so that nobody else can write to it, from every other: DuckDB counts its
/// checkpoints in the headers, and what was committed since then has made the log longer.
#[derive(PartialEq, Eq)]
struct Stamp {
    file: Node,
    headers: Vec<u8>,
    log: Option<Node>,
}

/// What the file system knows of a file: where it is, how long it is, and when it and its entry changed.
type Node = [i128; 5];

/// Files, how they were, and what is known of their catalogs.
type Files = HashMap<PathBuf, (Stamp, Arc<Cache>)>;

/// The files that were seen last.
static SEEN: Mutex<Option<Files>> = Mutex::new(None);

/// More files than this are forgotten.
const MOST_FILES: usize = 100;

/// What is known of the catalog of a file that has just been opened: what was known when it was open last, if nothing has happened
/// to it since.
pub(crate) fn cache_of(path: &Path) -> Arc<Cache> {
    let Some(stamp) = Stamp::of(path) else {
        return Arc::default();
    };
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = seen.get_or_insert_default();
    if let Some((known, cache)) = seen.get(path)
        && *known == stamp
    {
        return cache.clone();
    }
    if seen.len() >= MOST_FILES {
        seen.clear();
    }
    let cache = Arc::new(Cache::default());
    seen.insert(path.to_owned(), (stamp, cache.clone()));
    cache
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let mut file = File::open(path).ok()?;
        let mut headers = Vec::new();
        file.by_ref().take(HEADERS).read_to_end(&mut headers).ok()?;
        let mut log = path.as_os_str().to_owned();
        log.push(".wal");
        Some(Self {
            file: node(&file.metadata().ok()?)?,
            headers,
            log: match std::fs::metadata(&log) {
                Ok(log) => Some(node(&log)?),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(_) => return None,
            },
        })
    }
}

#[cfg(unix)]
fn node(file: &Metadata) -> Option<Node> {
    use std::os::unix::fs::MetadataExt;
    let nanoseconds =
        |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    Some([
        file.dev().into(),
        file.ino().into(),
        file.len().into(),
        nanoseconds(file.mtime(), file.mtime_nsec()),
        nanoseconds(file.ctime(), file.ctime_nsec()),
    ])
}

/// Elsewhere no file is known again.
#[cfg(not(unix))]
fn node(_: &Metadata) -> Option<Node> {
    None
}
