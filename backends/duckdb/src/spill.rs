//! Where the engines of this process put what their memory does not hold: a folder that nobody else can look into.
//!
//! DuckDB itself would take `.tmp` of the working directory, also where somebody has put a link there.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

/// What the names of such folders start with; the rest is chance.
const PREFIX: &str = "metaxy-duckdb-";

/// The file in such a folder that its process has locked for as long as it lives.
const OWNER: &str = "owner";

/// A folder that is younger may be about to be locked.
const YOUNG: Duration = Duration::from_secs(60);

/// A folder of this process.
struct Folder {
    path: PathBuf,
    /// Locked until the end of the process.
    _owner: File,
}

static FOLDER: OnceLock<Option<Folder>> = OnceLock::new();

/// The folder, made when it is first asked for and removed when the process ends; `None` if none can be made, where nothing is put aside.
pub(crate) fn folder() -> Option<&'static Path> {
    let folder = FOLDER.get_or_init(|| make().ok());
    folder.as_ref().map(|folder| folder.path.as_path())
}

fn make() -> io::Result<Folder> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).rand_bytes(16);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o700));
    }
    let folder = builder.tempdir()?;
    let owner = File::create_new(folder.path().join(OWNER))?;
    owner.try_lock()?;
    let path = folder.keep();
    // Those of processes that were killed. Nobody waits for it.
    let own = path.clone();
    let sweep = std::thread::Builder::new().name("metaxy-duckdb-sweep".into());
    drop(sweep.spawn(move || sweep_beside(&own)));
    Ok(Folder {
        path,
        _owner: owner,
    })
}

/// Removes folders of this user beside `own` whose processes are gone.
#[cfg(unix)]
fn sweep_beside(own: &Path) {
    use std::os::unix::fs::MetadataExt;
    let (Some(parent), Ok(mine)) = (own.parent(), own.metadata()) else {
        return;
    };
    let Ok(entries) = parent.read_dir() else {
        return;
    };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let path = entry.path();
        // A link is none of these.
        let is_ours = path.symlink_metadata().is_ok_and(|found| {
            let age = found.modified().ok().and_then(|at| at.elapsed().ok());
            found.is_dir() && found.uid() == mine.uid() && age.is_some_and(|age| age > YOUNG)
        });
        if is_ours
            && let Ok(owner) = File::open(path.join(OWNER))
            && owner.try_lock().is_ok()
        {
            // What cannot be removed stays, and is as private as before.
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

#[cfg(not(unix))]
fn sweep_beside(_: &Path) {}

/// Removes the folder, when the process ends.
pub(crate) fn remove() {
    if let Some(Some(folder)) = FOLDER.get() {
        let _ = std::fs::remove_dir_all(&folder.path);
    }
}
