//! The parts of a file's content: code, prose and outline.

mod definitions;
mod language;
mod split;

use std::fs::File;
use std::hash::Hasher;
use std::io::{Read, Seek};
use std::path::Path;

use metaxy_store::{Error, ErrorKind, Result};
use twox_hash::XxHash64;

pub use definitions::Definition;
pub(super) use language::{Language, language};

/// Files beyond this many bytes are not taken apart.
const MAX_TEXT: u64 = 1024 * 1024;

/// A file taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Document {
    /// The size of the file.
    pub bytes: u64,
    /// The number of lines; zero for what is not text.
    pub lines: u64,
    /// Lines without comments, indentation and trailing white space, none blank; of running text, its code blocks.
    pub code: Vec<String>,
    /// The words of comments or running text, in lower case.
    pub prose: Vec<String>,
    /// Definitions and headings.
    pub outline: Vec<Definition>,
    /// The hash of all bytes, for what is not taken apart.
    opaque: Option<u64>,
}

/// A file's size and the hashes of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) bytes: i64,
    pub(super) lines: i64,
    pub(super) code: u64,
    pub(super) prose: u64,
    pub(super) outline: u64,
}

impl Document {
    /// Reads and takes apart the file at `path`. What is not UTF-8 text, or larger than 1 MiB, stays whole.
    ///
    /// # Errors
    /// `Io` when it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = |source: std::io::Error| {
            Error::new(
                ErrorKind::Io,
                format!("cannot read '{}': {source}", path.display()),
            )
            .with_source(source)
        };
        let mut file = File::open(path).map_err(failed)?;
        let mut content = Vec::new();
        (&mut file)
            .take(MAX_TEXT + 1)
            .read_to_end(&mut content)
            .map_err(failed)?;
        if content.len() as u64 <= MAX_TEXT {
            return Ok(Self::parse(path, &content));
        }
        file.rewind().map_err(failed)?;
        let mut hash = XxHash64::with_seed(0);
        let mut bytes = 0;
        loop {
            match file.read(&mut content).map_err(failed)? {
                0 => break,
                read => {
                    hash.write(&content[..read]);
                    bytes += read as u64;
                }
            }
        }
        Ok(Self::whole(bytes, hash.finish()))
    }

    /// Takes `content` apart; `path` tells its language.
    #[must_use]
    pub fn parse(path: &Path, content: &[u8]) -> Self {
        match std::str::from_utf8(content) {
            Ok(text) if !content.contains(&0) => {
                let language = language(path);
                let parts = split::split(text, language);
                Self {
                    bytes: content.len() as u64,
                    lines: text.lines().count() as u64,
                    outline: definitions::find(text, &parts, language),
                    code: parts.code().map(str::to_owned).collect(),
                    prose: parts.words().collect(),
                    opaque: None,
                }
            }
            _ => {
                let mut hash = XxHash64::with_seed(0);
                hash.write(content);
                Self::whole(content.len() as u64, hash.finish())
            }
        }
    }

    fn whole(bytes: u64, hash: u64) -> Self {
        Self {
            bytes,
            lines: 0,
            code: Vec::new(),
            prose: Vec::new(),
            outline: Vec::new(),
            opaque: Some(hash),
        }
    }

    pub(super) fn summary(&self) -> Summary {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Summary {
            bytes: whole(self.bytes),
            lines: whole(self.lines),
            code: self.opaque.unwrap_or_else(|| hash(&self.code)),
            prose: hash(&self.prose),
            outline: hash(self.outline.iter().map(|definition| &definition.line)),
        }
    }
}

/// The extension in lower case; empty without one.
pub(super) fn extension(path: &Path) -> String {
    path.extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or("")
        .to_ascii_lowercase()
}

/// xxhash64 of the texts, each ended by a line end.
fn hash<'a>(texts: impl IntoIterator<Item = &'a String>) -> u64 {
    let mut hash = XxHash64::with_seed(0);
    for text in texts {
        hash.write(text.as_bytes());
        hash.write(b"\n");
    }
    hash.finish()
}
