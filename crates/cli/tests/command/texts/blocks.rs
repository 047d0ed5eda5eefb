//! The blocks of the pages.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

pub(super) const README: &str = "README.md";
pub(super) const GUIDE: &str = "crates/store/guide";
pub(super) const COMMAND: &str = "docs/command.md";

/// What stands between two fences.
pub(super) struct Block {
    /// The page, from the root of the repository.
    pub(super) page: String,
    /// The line of the first fence.
    line: usize,
    /// What stands behind the first fence. In the guide nothing is Rust.
    pub(super) language: String,
    /// What is between the fences, with a line break at the end.
    pub(super) text: String,
}

impl Block {
    /// The blocks of all pages, in their order.
    pub(super) fn all() -> Vec<Self> {
        let guide = fs::read_dir(root().join(GUIDE)).unwrap();
        let mut pages: Vec<String> = guide
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|name| format!("{GUIDE}/{name}"))
            .collect();
        pages.extend([README, COMMAND].map(str::to_owned));
        pages.sort();
        pages.iter().flat_map(|page| Self::of(page)).collect()
    }

    /// The blocks of a page.
    fn of(page: &str) -> Vec<Self> {
        let mut blocks = Vec::new();
        let mut open: Option<Self> = None;
        for (index, line) in read(page).lines().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            open = match (open, fence) {
                (None, None) => None,
                (None, Some(language)) => Some(Self {
                    page: page.to_owned(),
                    line: index + 1,
                    language: language.trim().to_owned(),
                    text: String::new(),
                }),
                (Some(mut block), None) => {
                    block.text += line;
                    block.text.push('\n');
                    Some(block)
                }
                (Some(block), Some(_)) => {
                    blocks.push(block);
                    None
                }
            };
        }
        assert!(open.is_none(), "{page}: a block has no end");
        blocks
    }

    /// Its lines without indentation, and without those that are empty.
    pub(super) fn lines(&self) -> Vec<&str> {
        lines(&self.text)
    }
}

/// Where it is.
impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} [{}]", self.page, self.line, self.language)
    }
}

/// The lines of a text, or of a doc comment, without indentation, and without those that are empty.
pub(super) fn lines(text: &str) -> Vec<&str> {
    text.lines()
        .map(|line| line.trim().trim_start_matches("///").trim())
        .filter(|line| !line.is_empty())
        .collect()
}

/// A file of the repository.
pub(super) fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
