//! The files under a folder, in a stable order.

use std::path::{Path, PathBuf};

use metaxy_store::{Error, ErrorKind, Result};
use walkdir::{DirEntry, WalkDir};

use super::Skipped;

/// Folders that hold what tools made, by name. Hidden ones are left out anyway.
const PRODUCTS: [&str; 5] = [
    "target",
    "node_modules",
    "__pycache__",
    "venv",
    "site-packages",
];

pub(super) struct Walk {
    pub(super) files: Vec<Found>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) capped: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// Below the folder, with `/`.
    pub(super) relative: String,
    pub(super) bytes: u64,
}

/// At most `max_files` regular, non-empty files under `folder`, sorted folder by folder. `except` is not entered.
pub(super) fn walk(folder: &Path, except: Option<&Path>, max_files: usize) -> Result<Walk> {
    if !folder.is_dir() {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("'{}' is not a folder", folder.display()),
        )
        .with_hint("name a folder with files, such as a source tree"));
    }
    let mut walk = Walk {
        files: Vec::new(),
        skipped: Vec::new(),
        capped: false,
    };
    let entries = WalkDir::new(folder)
        .follow_links(false)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| wanted(entry) && except.is_none_or(|except| entry.path() != except));
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = error.path().unwrap_or(folder);
                let reason = error
                    .io_error()
                    .map_or_else(|| error.to_string(), ToString::to_string);
                walk.skip(folder, path, reason);
                continue;
            }
        };
        if !entry.file_type().is_file() {
            continue;
        }
        let Some(relative) = relative(folder, entry.path()) else {
            walk.skip(folder, entry.path(), "its name is not Unicode");
            continue;
        };
        let bytes = match entry.metadata() {
            Ok(metadata) => metadata.len(),
            Err(error) => {
                walk.skip(folder, entry.path(), error.to_string());
                continue;
            }
        };
        if bytes == 0 {
            walk.skip(folder, entry.path(), "it is empty");
            continue;
        }
        if walk.files.len() == max_files {
            walk.capped = true;
            break;
        }
        walk.files.push(Found {
            path: entry.into_path(),
            relative,
            bytes,
        });
    }
    Ok(walk)
}

impl Walk {
    pub(super) fn skip(&mut self, folder: &Path, path: &Path, reason: impl Into<String>) {
        let path = path.strip_prefix(folder).unwrap_or(path);
        self.skipped.push(Skipped {
            path: path.to_string_lossy().into_owned(),
            reason: reason.into(),
        });
    }
}

fn wanted(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    entry.depth() == 0
        || !(name.starts_with('.')
            || entry.file_type().is_dir() && PRODUCTS.contains(&name.as_ref()))
}

fn relative(folder: &Path, path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path
        .strip_prefix(folder)
        .ok()?
        .components()
        .map(|part| part.as_os_str().to_str())
        .collect();
    Some(parts?.join("/"))
}
