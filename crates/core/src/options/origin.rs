//! Where a setting came from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};

/// Where a setting came from, for error messages and for commands that show a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A configuration file: its absolute path.
    File(Arc<Path>),
    /// An environment variable: its name.
    Env(Arc<str>),
    /// An explicit argument of the program.
    Argument,
    /// Nothing says it; the built-in value applies.
    Default,
}

impl Origin {
    /// The file that says it, when a file does.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            _ => None,
        }
    }

    /// Adds this origin to the context of an error.
    #[must_use]
    pub fn attach(&self, error: Error) -> Error {
        match self {
            Self::File(path) => error.with_context("file", path.display()),
            Self::Env(name) => error.with_context("variable", name),
            Self::Argument => error.with_context("given by", "argument"),
            Self::Default => error,
        }
    }

    /// An error about the key at `path`: `problem` continues the sentence.
    #[must_use]
    pub fn invalid(&self, path: &str, problem: impl fmt::Display) -> Error {
        self.attach(Error::new(
            ErrorKind::InvalidConfig,
            format!("`{path}` {problem}"),
        ))
    }
}

/// `file /project/metaxy.toml`, `environment variable METAXY_STORE`, `argument` or `default`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Argument => f.write_str("argument"),
            Self::Default => f.write_str("default"),
        }
    }
}
