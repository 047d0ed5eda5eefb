//! The folder of a demonstration: a copy of the files, a configuration, features and a store.

use std::fs;
use std::path::{Path, PathBuf};

use metaxy_store::config::{ConfigLoader, Environment};
use metaxy_store::{Config, Error, ErrorKind, Result};
use tempfile::TempDir;

use super::files::work::{CopyOptions, WorkCopy};
use crate::starter::Starter;

/// A folder that is laid out as a project:
///
/// ```text
/// files/          the copy
/// features.toml   what is computed from it
/// metaxy.toml     where the store is
/// demo.db         the store, if that is a SQLite file
/// ```
#[derive(Debug)]
pub(crate) struct DemoFolder {
    /// Where it is, from the root.
    pub(crate) path: PathBuf,
    /// Removes a temporary folder unless it is [kept](Self::keep).
    temporary: Option<TempDir>,
}

impl DemoFolder {
    /// The folder of an earlier demonstration at `path`, if there is one.
    pub(crate) fn existing(path: &Path) -> Result<Option<Self>> {
        let known = WorkCopy::is_copy(&path.join("files"));
        if !(known && path.join("metaxy.toml").is_file()) {
            return Ok(None);
        }
        Ok(Some(Self {
            path: path.canonicalize().map_err(|e| failed("open", path, e))?,
            temporary: None,
        }))
    }

    /// Copies the files of `original` to `path`, or to a new temporary folder, and lays out the project around them.
    pub(crate) fn create(
        original: &Path,
        path: Option<&Path>,
        options: &CopyOptions,
    ) -> Result<(Self, WorkCopy)> {
        let starter = Starter::of_this_build()?;
        if !starter.in_files {
            let message = "the demonstration needs a store that is a file or a folder, and this build has none";
            return Err(Error::new(ErrorKind::Unsupported, message)
                .with_hint("build it with the Cargo feature `sqlite`"));
        }
        if !original.is_dir() {
            let what = match original.exists() {
                true => "is not a folder",
                false => "does not exist",
            };
            let message = format!("'{}' {what}", original.display());
            return Err(Error::new(ErrorKind::InvalidArgument, message)
                .with_hint("name a folder with files, such as a source tree: metaxy demo DIR"));
        }
        let mut folder = Self::new(path)?;
        folder.path = folder
            .path
            .canonicalize()
            .map_err(|e| failed("open", &folder.path, e))?;
        let copy = WorkCopy::create(original, &folder.files(), options)?;
        if copy.files == 0 {
            // So that the folder can be named again.
            let _ = fs::remove_dir_all(folder.files());
            return Err(nothing_in(original));
        }
        let settings = starter.settings("demo");
        folder.write(
            "metaxy.toml",
            &include_str!("metaxy.toml").replace("{settings}", &settings),
        )?;
        folder.write("features.toml", include_str!("features.toml"))?;
        Ok((folder, copy))
    }

    /// Leaves a temporary folder where it is.
    pub(crate) fn keep(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            // The path is known already.
            let _ = temporary.keep();
        }
    }

    /// The copy of the files.
    pub(crate) fn files(&self) -> PathBuf {
        self.path.join("files")
    }

    /// The configuration file.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.path.join("metaxy.toml")
    }

    /// The configuration. The user's environment variables mean other projects.
    pub(crate) fn config(&self) -> Result<Config> {
        ConfigLoader::new()
            .with_file(self.config_file())
            .with_environment(Environment::empty())
            .load()
    }

    fn new(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            let mut builder = tempfile::Builder::new();
            builder.prefix("metaxy-demo-");
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                builder.permissions(fs::Permissions::from_mode(0o700));
            }
            let temporary = builder
                .tempdir()
                .map_err(|e| failed("create a folder in", &std::env::temp_dir(), e))?;
            return Ok(Self {
                path: temporary.path().to_owned(),
                temporary: Some(temporary),
            });
        };
        let occupied = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
        if occupied || path.is_file() {
            let message = format!(
                "'{}' holds files that are of no demonstration",
                path.display()
            );
            return Err(Error::new(ErrorKind::InvalidArgument, message)
                .with_hint("name a new or empty folder, or one of an earlier demonstration"));
        }
        fs::create_dir_all(path).map_err(|e| failed("create", path, e))?;
        Ok(Self {
            path: path.to_owned(),
            temporary: None,
        })
    }

    fn write(&self, name: &str, content: &str) -> Result<()> {
        let path = self.path.join(name);
        fs::write(&path, content).map_err(|e| failed("write", &path, e))
    }
}

fn nothing_in(original: &Path) -> Error {
    let message = format!(
        "there are no files in '{}' to show anything on",
        original.display()
    );
    Error::new(ErrorKind::InvalidArgument, message).with_hint(
        "name a folder with some text, such as a source tree; hidden, empty and large files are left out",
    )
}

fn failed(doing: &str, path: &Path, source: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        format!("cannot {doing} '{}': {source}", path.display()),
    )
    .with_source(source)
}
