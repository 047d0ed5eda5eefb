//! The TOML feature files that a configuration names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glob::Pattern;

use super::Origin;
use crate::error::{Error, ErrorKind, Result};

/// One entry of `features`: a path or glob, relative to the directory of the file that names it (or, from the
/// environment or an argument, to the directory from which the configuration was loaded).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureGlob {
    pattern: String,
    base_dir: Arc<Path>,
    origin: Origin,
}

impl FeatureGlob {
    /// Checks the pattern; what it matches is looked up by [`files`](Self::files).
    pub(super) fn new(pattern: String, start_dir: &Arc<Path>, origin: &Origin) -> Result<Self> {
        if pattern.is_empty() {
            return Err(origin
                .invalid("features", "holds an empty path")
                .with_hint("name files as in: features = [\"features/*.toml\"]"));
        }
        Pattern::new(&pattern).map_err(|error| {
            origin
                .invalid(
                    "features",
                    format_args!("holds {pattern:?}, which is not a glob: {}", error.msg),
                )
                .with_hint("`*` matches within a directory, `**` across them, `[*]` an asterisk")
        })?;
        let base_dir = match origin.file().and_then(Path::parent) {
            Some(directory) => directory.into(),
            None => Arc::clone(start_dir),
        };
        Ok(Self {
            pattern,
            base_dir,
            origin: origin.clone(),
        })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The directory that a relative pattern starts from.
    #[must_use]
    pub fn base_dir(&self) -> &Path {
        &self.base_dir
    }

    /// Who named it.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The files that match, by name. A glob that matches none gives an empty list.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for a path without wildcards that is no file; [`ErrorKind::Io`] for a directory that
    /// cannot be read.
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        let mut found = BTreeSet::new();
        let mut directory = false;
        for path in glob::glob(&self.absolute()?).map_err(|error| self.refuse(error.msg))? {
            let path = path.map_err(|error| {
                let message = format!(
                    "cannot look for feature files in {}",
                    error.path().display()
                );
                self.origin
                    .attach(Error::new(ErrorKind::Io, message).with_source(error))
            })?;
            if path.is_file() {
                found.insert(path.canonicalize().unwrap_or(path));
            } else {
                directory = true;
            }
        }
        if found.is_empty() {
            if directory {
                return Err(self.refuse("a directory").with_hint(format!(
                    "name files, such as {:?}",
                    format!("{}/*.toml", self.pattern.trim_end_matches('/'))
                )));
            }
            if !self.pattern.contains(['*', '?', '[']) {
                return Err(self.refuse("not a file").with_hint(format!(
                    "the path is relative to {}",
                    self.base_dir.display()
                )));
            }
        }
        Ok(found.into_iter().collect())
    }

    fn refuse(&self, what: &str) -> Error {
        self.origin.invalid(
            "features",
            format_args!("names {:?}, which is {what}", self.pattern),
        )
    }

    /// The pattern from the root, with the base directory taken literally.
    fn absolute(&self) -> Result<String> {
        if Path::new(&self.pattern).is_absolute() {
            return Ok(self.pattern.clone());
        }
        let Some(base) = self.base_dir.to_str() else {
            return Err(self.refuse("below a directory whose name is not Unicode"));
        };
        Ok(format!("{}/{}", Pattern::escape(base), self.pattern))
    }
}
