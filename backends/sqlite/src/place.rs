//! What may be done where the file is: written to, read beside writers, or only read as it lies there.

use std::ffi::{CString, OsString};
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use metaxy_core::{Error, ErrorKind};
use rusqlite::OpenFlags;

use crate::checksums;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// With a log of its own. Readers do so as well: then the last who leaves takes the log and its index away.
    Writable,
    /// Read-only, with the log and the index that its writers keep.
    Shared,
    /// Read-only, and nothing else is opened: there is no log. See [`Still`].
    Still,
    /// Read-only, as SQLite does it: what a write left half done has to be undone first, and it says so.
    Interrupted,
}

/// How the file at `path`, which exists, can be opened.
///
/// # Errors
/// [`ErrorKind::CannotOpen`] if it has a log that cannot be read without writing to its folder.
pub(crate) fn way_to(path: &Path) -> Result<Way, Error> {
    let [log, index, journal] = ["-wal", "-shm", "-journal"].map(|end| beside(path, end));
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let all = |paths: &[&Path]| paths.iter().all(|path| is_writable(path));
    if is_writable(path) && (is_writable(folder) || all(&[&log, &index])) {
        return Ok(Way::Writable);
    }
    if bytes(&journal) > 0 {
        return Ok(Way::Interrupted);
    }
    match (log.exists(), index.exists()) {
        (true, true) => Ok(Way::Shared),
        (true, false) if bytes(&log) > 0 => Err(Error::new(
            ErrorKind::CannotOpen,
            format!(
                "the last writes of the store in {} are still in {}, which cannot be read without writing to its folder",
                path.display(),
                log.display()
            ),
        )
        .with_hint("open the store once where it can be written to, such as with `metaxy maintain`, or copy both files to such a place")),
        _ => Ok(Way::Still),
    }
}

/// The file's name with `end` appended.
pub(crate) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

/// Bytes of a file; 0 if there is none.
pub(crate) fn bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

fn is_writable(path: &Path) -> bool {
    CString::new(path.as_os_str().as_encoded_bytes())
        .is_ok_and(|path| checksums::is_writable(&path))
}

impl Way {
    pub(crate) fn flags(self) -> OpenFlags {
        let access = match self {
            Self::Writable => OpenFlags::SQLITE_OPEN_READ_WRITE,
            _ => OpenFlags::SQLITE_OPEN_READ_ONLY,
        };
        access | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX
    }

    /// The file as SQLite takes it.
    pub(crate) fn uri(self, path: &Path) -> String {
        let mut uri = String::from("file:");
        for byte in path.as_os_str().as_encoded_bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                    uri.push(char::from(*byte));
                }
                _ => uri.push_str(&format!("%{byte:02x}")),
            }
        }
        uri.push_str(match self {
            Self::Writable | Self::Interrupted => "",
            Self::Shared => "?readonly_shm=1",
            Self::Still => "?immutable=1",
        });
        uri
    }
}

/// A file that is read without locks, since whoever reads may not write anything beside it. Its owner may: then what was read is no one
/// state of the store, and is thrown away.
#[derive(Debug)]
pub(crate) struct Still {
    path: PathBuf,
    seen: (u64, SystemTime),
}

/// File systems tell times apart that are so far from each other.
const TICK: Duration = Duration::from_millis(20);

impl Still {
    /// Before the file is opened.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let mut seen = seen(&std::fs::metadata(path)?)?;
        // A write of this very moment could leave the same time.
        if seen.1.elapsed().is_ok_and(|age| age < TICK) {
            std::thread::sleep(TICK);
            seen = self::seen(&std::fs::metadata(path)?)?;
        }
        Ok(Self {
            path: path.to_owned(),
            seen,
        })
    }

    /// Whether nobody has written to the file since.
    pub(crate) fn is_still(&self) -> bool {
        std::fs::metadata(&self.path)
            .and_then(|now| seen(&now))
            .is_ok_and(|now| now == self.seen)
    }

    /// What a read fails with if somebody has.
    pub(crate) fn disturbed(&self) -> Error {
        Error::new(
            ErrorKind::Conflict,
            format!(
                "the store in {} was written to while it was read",
                self.path.display()
            ),
        )
        .with_hint("try again; who may write to the file and its folder reads beside writers")
    }
}

fn seen(file: &Metadata) -> io::Result<(u64, SystemTime)> {
    Ok((file.len(), file.modified()?))
}

/// Gives the log and its index, if this process has just made them, the group of the file: who may write to the file may write to them.
/// SQLite gives them its mode, and its owner where it may.
#[cfg(unix)]
pub(crate) fn share_log(path: &Path) {
    use std::os::unix::fs::{MetadataExt, lchown};
    let Ok(file) = std::fs::metadata(path) else {
        return;
    };
    for end in ["-wal", "-shm"] {
        let other = beside(path, end);
        if std::fs::symlink_metadata(&other).is_ok_and(|other| other.gid() != file.gid()) {
            // Of another user's files, or to a group that this user is not of, it cannot be done, and need not.
            let _ = lchown(&other, None, Some(file.gid()));
        }
    }
}

#[cfg(not(unix))]
pub(crate) fn share_log(_: &Path) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_instructions() {
        let uri = Way::Still.uri(Path::new("/a b/c?mode=memory#d%20é'.db"));
        assert_eq!(
            uri,
            "file:/a%20b/c%3fmode%3dmemory%23d%2520%c3%a9%27.db?immutable=1"
        );
        assert_eq!(Way::Writable.uri(Path::new("store.db")), "file:store.db");
    }
}
