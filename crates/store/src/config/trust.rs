//! Whose files are believed: those that were found and not named, in a folder that others may write to, could be anybody's.
//!
//! A configuration opens stores, runs statements (`init_sql`) and reads secrets from variables. So a file that is found by walking up
//! from the working directory has to belong to the user, or to the administrator.

use std::path::Path;

use super::env::Environment;
use crate::error::{Error, ErrorKind, Result};

/// The variable that names folders whose files are believed whoever owns them, divided as in `PATH`; `*` stands for all.
pub const TRUSTED_FOLDERS: &str = "METAXY_TRUSTED_FOLDERS";

/// Refuses a file that was found and that another user owns, unless it lies in one of the [`TRUSTED_FOLDERS`].
///
/// A link has to be the user's as well as what it leads to. Where files have no owners every file is believed.
///
/// # Errors
/// [`ErrorKind::InvalidConfig`] that names the file, its owner, and how to trust it.
pub fn require_trusted(file: &Path, environment: &Environment) -> Result<()> {
    let Some(owner) = stranger(file) else {
        return Ok(());
    };
    let folder = file.parent().unwrap_or(Path::new("/"));
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    if is_trusted(&folder, environment) {
        return Ok(());
    }
    let message = format!(
        "{} was found, and belongs to another user (number {owner}): it is not used",
        file.display()
    );
    Err(Error::new(ErrorKind::InvalidConfig, message).with_hint(format!(
        "if you trust it, name the configuration with --config-file, or its folder with {TRUSTED_FOLDERS}={}",
        folder.display()
    )))
}

fn is_trusted(folder: &Path, environment: &Environment) -> bool {
    let folders = environment.get(TRUSTED_FOLDERS).unwrap_or_default();
    std::env::split_paths(folders).any(|trusted| {
        let real = || {
            trusted
                .canonicalize()
                .is_ok_and(|real| folder.starts_with(real))
        };
        trusted == Path::new("*") || trusted.is_absolute() && real()
    })
}

/// The owner of a file that is neither the user nor the administrator.
#[cfg(unix)]
fn stranger(file: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;

    let user = user();
    // As with `sudo`: the files of whoever asked for it are his own.
    let asked = std::env::var("SUDO_UID").ok().filter(|_| user == 0);
    let asked = asked.and_then(|number| number.parse().ok());
    let link = std::fs::symlink_metadata(file);
    let found = [link, std::fs::metadata(file)];
    let mut owners = found.iter().flatten().map(MetadataExt::uid);
    owners.find(|owner| *owner != user && *owner != 0 && Some(*owner) != asked)
}

#[cfg(not(unix))]
fn stranger(_: &Path) -> Option<u32> {
    None
}

#[cfg(unix)]
#[allow(
    unsafe_code,
    reason = "the standard library does not tell who the user is"
)]
fn user() -> u32 {
    // SAFETY: it has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}
