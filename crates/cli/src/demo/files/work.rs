//! A copy of a folder to work on, and real edits in it. The user's own folder is only read.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use metaxy_store::{Error, ErrorKind, Result};

use super::Skipped;
use super::parts::{Document, Language, language};
use super::walk::{Found, walk};

/// Marks a folder as a copy that may be edited. Its name is hidden, so it is not indexed.
const MARK: &str = ".metaxy-demo";

/// A copy of the files of a folder, made by [`WorkCopy::create`]. Edits are made through it only, so they cannot reach the
/// original.
#[derive(Debug)]
#[non_exhaustive]
pub struct WorkCopy {
    /// Where the copy is.
    pub folder: PathBuf,
    /// How many files were copied.
    pub files: usize,
    /// Their size together.
    pub bytes: u64,
    /// Files that were left out, and why.
    pub skipped: Vec<Skipped>,
    /// Whether the original holds more files than were asked for.
    pub capped: bool,
}

/// How much to copy.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CopyOptions {
    /// The most files looked at. Default 2,000.
    pub max_files: usize,
    /// Larger files, in bytes, are left out. Default 256 KiB.
    pub max_file_bytes: u64,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            max_files: 2_000,
            max_file_bytes: 256 * 1024,
        }
    }
}

impl CopyOptions {
    /// Sets the most files looked at.
    #[must_use]
    pub fn with_max_files(mut self, files: usize) -> Self {
        self.max_files = files;
        self
    }

    /// Sets the size in bytes beyond which a file is left out.
    #[must_use]
    pub fn with_max_file_bytes(mut self, bytes: u64) -> Self {
        self.max_file_bytes = bytes;
        self
    }
}

/// How many edits of each kind to make; fewer are made where too few files allow them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ChangeOptions {
    /// Files that get one more comment: `prose` changes. Default 3.
    pub comments: usize,
    /// Files in which one definition gets another name: `code` and `outline` change. Default 1.
    pub definitions: usize,
    /// Files that are removed. Default 1.
    pub deletions: usize,
    /// Files that are added. Default 1.
    pub additions: usize,
}

impl Default for ChangeOptions {
    fn default() -> Self {
        Self {
            comments: 3,
            definitions: 1,
            deletions: 1,
            additions: 1,
        }
    }
}

impl ChangeOptions {
    /// Sets how many files get a comment.
    #[must_use]
    pub fn with_comments(mut self, files: usize) -> Self {
        self.comments = files;
        self
    }

    /// Sets in how many files a definition is renamed.
    #[must_use]
    pub fn with_definitions(mut self, files: usize) -> Self {
        self.definitions = files;
        self
    }

    /// Sets how many files are removed.
    #[must_use]
    pub fn with_deletions(mut self, files: usize) -> Self {
        self.deletions = files;
        self
    }

    /// Sets how many files are added.
    #[must_use]
    pub fn with_additions(mut self, files: usize) -> Self {
        self.additions = files;
        self
    }
}

/// An edit that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The file, relative to the folder, with `/`.
    pub path: String,
    /// What was done to it.
    pub kind: ChangeKind,
}

/// A kind of edit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeKind {
    /// A comment was appended.
    Commented,
    /// A definition was renamed.
    Renamed {
        /// Its name before.
        from: String,
        /// Its name now.
        to: String,
    },
    /// The file was removed.
    Deleted,
    /// The file is new.
    Added,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.kind {
            ChangeKind::Commented => write!(f, "{path}: a comment added"),
            ChangeKind::Renamed { from, to } => write!(f, "{path}: {from} renamed to {to}"),
            ChangeKind::Deleted => write!(f, "{path}: deleted"),
            ChangeKind::Added => write!(f, "{path}: new"),
        }
    }
}

impl WorkCopy {
    /// Copies the files under `original` that [`index`](super::index) would take into the new or empty folder `to`.
    ///
    /// # Errors
    /// - `InvalidArgument`: `original` is no folder, or `to` holds files already or is around `original`.
    /// - `Io`: `to` cannot be written.
    pub fn create(original: &Path, to: &Path, options: &CopyOptions) -> Result<Self> {
        let occupied =
            fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) || to.is_file();
        if occupied {
            let message = format!("'{}' holds files already", to.display());
            return Err(Error::new(ErrorKind::InvalidArgument, message)
                .with_hint("name a new or empty folder"));
        }
        fs::create_dir_all(to).map_err(|e| failed("create", to, e))?;
        // As the walk will see it, if it lies inside the original.
        let inside = match (original.canonicalize(), to.canonicalize()) {
            (Ok(outer), Ok(inner)) => inner
                .strip_prefix(&outer)
                .ok()
                .map(|below| original.join(below)),
            _ => None,
        };
        let walk = walk(original, inside.as_deref(), options.max_files)?;
        let mut copy = Self {
            folder: to.to_owned(),
            files: 0,
            bytes: 0,
            skipped: walk.skipped,
            capped: walk.capped,
        };
        write(
            &to.join(MARK),
            b"A copy made by `metaxy demo`. It can be deleted.\n",
        )?;
        for file in walk.files {
            if file.bytes > options.max_file_bytes {
                copy.skip(
                    file.relative,
                    format!("it is larger than {} bytes", options.max_file_bytes),
                );
                continue;
            }
            // Content only: a read-only original gives a file that can be edited.
            match fs::read(&file.path) {
                Ok(content) => {
                    let target = to.join(&file.relative);
                    if let Some(parent) = target.parent() {
                        fs::create_dir_all(parent).map_err(|e| failed("create", parent, e))?;
                    }
                    write(&target, &content)?;
                    copy.files += 1;
                    copy.bytes += content.len() as u64;
                }
                Err(error) => copy.skip(file.relative, error.to_string()),
            }
        }
        Ok(copy)
    }

    /// Whether `folder` is a copy made by [`WorkCopy::create`].
    #[must_use]
    pub fn is_copy(folder: &Path) -> bool {
        folder.join(MARK).is_file()
    }

    /// Makes edits in the copy, the same ones each time for the same files: comments spread evenly over the files that can
    /// have one, then a renamed definition, then the removal of the last untouched file, then a new file. No file gets two.
    /// Repeating it edits further.
    ///
    /// # Errors
    /// - `InvalidArgument`: the folder is not one that [`WorkCopy::create`] made.
    /// - `Io`: a file cannot be written.
    pub fn change(&self, options: &ChangeOptions) -> Result<Vec<Change>> {
        if !Self::is_copy(&self.folder) {
            let message = format!(
                "'{}' is no copy made for a demonstration",
                self.folder.display()
            );
            return Err(Error::new(ErrorKind::InvalidArgument, message)
                .with_hint("edits are made in copies only"));
        }
        let files = walk(&self.folder, None, usize::MAX)?.files;
        let mut changes = Changes {
            files: &files,
            touched: HashSet::new(),
            made: Vec::new(),
        };
        changes.edit(options.comments, commented)?;
        changes.edit(options.definitions, renamed)?;
        changes.delete(options.deletions)?;
        self.add(options.additions, &mut changes.made)?;
        Ok(changes.made)
    }

    fn add(&self, count: usize, made: &mut Vec<Change>) -> Result<()> {
        let mut number = 0;
        for _ in 0..count {
            let name = loop {
                number += 1;
                let name = format!("metaxy_demo_{number}.md");
                if !self.folder.join(&name).exists() {
                    break name;
                }
            };
            let text = format!(
                "# A new file, number {number}\n\nIt was not there when the folder was first indexed.\n"
            );
            write(&self.folder.join(&name), text.as_bytes())?;
            made.push(Change {
                path: name,
                kind: ChangeKind::Added,
            });
        }
        Ok(())
    }

    fn skip(&mut self, path: String, reason: String) {
        self.skipped.push(Skipped { path, reason });
    }
}

struct Changes<'a> {
    files: &'a [Found],
    touched: HashSet<&'a str>,
    made: Vec<Change>,
}

type Edit = fn(&Path, &str, &'static Language) -> Option<(String, ChangeKind)>;

impl<'a> Changes<'a> {
    /// Applies `edit` to `count` files that it fits, spread evenly: of as many stretches as there are edits, to the first
    /// in each.
    fn edit(&mut self, count: usize, edit: Edit) -> Result<()> {
        for i in 0..count {
            let start = self.files.len() * i / count;
            // Half a stretch on, so that different kinds of edits meet different files.
            let start = start + self.files.len() / (2 * count);
            let order = self.files.iter().cycle().skip(start).take(self.files.len());
            for file in order {
                if self.touched.contains(file.relative.as_str()) {
                    continue;
                }
                let Ok(text) = fs::read_to_string(&file.path) else {
                    continue;
                };
                if let Some((text, kind)) = edit(&file.path, &text, language(&file.path)) {
                    write(&file.path, text.as_bytes())?;
                    self.record(file, kind);
                    break;
                }
            }
        }
        Ok(())
    }

    fn delete(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            let untouched = |file: &&Found| !self.touched.contains(file.relative.as_str());
            let Some(file) = self.files.iter().rev().find(untouched) else {
                break;
            };
            fs::remove_file(&file.path).map_err(|e| failed("delete", &file.path, e))?;
            self.record(file, ChangeKind::Deleted);
        }
        Ok(())
    }

    fn record(&mut self, file: &'a Found, kind: ChangeKind) {
        self.touched.insert(&file.relative);
        self.made.push(Change {
            path: file.relative.clone(),
            kind,
        });
    }
}

/// One more comment at the end, if that changes the prose and nothing else.
fn commented(path: &Path, text: &str, language: &'static Language) -> Option<(String, ChangeKind)> {
    let comment = language.comment("Reviewed during the demonstration.")?;
    let line_end = if text.ends_with('\n') { "" } else { "\n" };
    let edited = format!("{text}{line_end}{comment}\n");
    let before = Document::parse(path, text.as_bytes()).summary();
    let after = Document::parse(path, edited.as_bytes()).summary();
    let alone =
        before.prose != after.prose && before.code == after.code && before.outline == after.outline;
    alone.then_some((edited, ChangeKind::Commented))
}

/// Another name for the first definition where that changes code and outline and nothing else.
fn renamed(path: &Path, text: &str, language: &'static Language) -> Option<(String, ChangeKind)> {
    if !language.is_code() {
        return None;
    }
    let document = Document::parse(path, text.as_bytes());
    let before = document.summary();
    document.outline.iter().find_map(|definition| {
        let from = &definition.name;
        let plain = from.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let to = format!("{from}_v2");
        let edited: String = text
            .split_inclusive('\n')
            .enumerate()
            .map(|(number, line)| match number == definition.number {
                true => line.replacen(from.as_str(), &to, 1),
                false => line.to_owned(),
            })
            .collect();
        let after = Document::parse(path, edited.as_bytes());
        let shown = after
            .outline
            .iter()
            .any(|d| d.number == definition.number && d.name == to);
        let after = after.summary();
        let alone = before.code != after.code
            && before.outline != after.outline
            && before.prose == after.prose;
        (plain && shown && alone).then(|| {
            let kind = ChangeKind::Renamed {
                from: from.clone(),
                to,
            };
            (edited, kind)
        })
    })
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    fs::write(path, content).map_err(|e| failed("write", path, e))
}

fn failed(doing: &str, path: &Path, source: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        format!("cannot {doing} '{}': {source}", path.display()),
    )
    .with_source(source)
}
