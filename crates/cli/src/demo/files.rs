//! Real files as samples: what `metaxy demo [DIR]` versions.
//!
//! Each file of a folder is a sample of a root feature with three fields, each a hash of one part of the content:
//!
//! | field | part | changes with |
//! |---|---|---|
//! | `code` | lines without comments, blank lines and indentation | statements, settings, data |
//! | `prose` | words of comments and of running text | documentation |
//! | `outline` | lines that define an item or head a section | names, signatures, headings |
//!
//! So an edit of a comment changes `prose` alone, an edit of a function's body `code` alone, and a new signature `code` and
//! `outline`; moving blank lines about changes nothing. A feature that depends on `prose` then need not be computed again
//! when only code changed: such features are in [`steps`]. [`work`] makes edits of these kinds in a copy.
//!
//! Which text is a comment is told by the file's extension, line by line. That is good enough to be useful on any source
//! tree and no more: it is a demonstration, not a parser. Files that are not text, or are large, have all of their bytes in
//! `code`.

pub mod parts;
pub mod steps;
#[cfg(test)]
mod tests;
mod walk;
pub mod work;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Schema};
use metaxy_store::{Result, columns};

use parts::Document;

/// The fields of a file, in the order of the by-field column's members.
pub const FIELDS: [&str; 3] = ["code", "outline", "prose"];

/// What indexing a folder found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Index {
    /// One row per file, in a stable order: `path` (text, the ID: relative to the folder, with `/`), `extension` (text,
    /// lower case, empty if there is none), `bytes` and `lines` (64-bit integers; no lines for what is not text) and
    /// `metaxy_provenance_by_field` with the members [`FIELDS`]: xxhash64 as decimal text.
    pub files: RecordBatch,
    /// Files and folders that were passed over, and why.
    pub skipped: Vec<Skipped>,
    /// Whether the folder holds more files than were asked for.
    pub capped: bool,
}

/// Something that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// Where it is, relative to the folder.
    pub path: String,
    /// Why it was passed over.
    pub reason: String,
}

/// How to index a folder.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct IndexOptions {
    /// The most files taken; the walk stops there. Default 5,000.
    pub max_files: usize,
}

impl Default for IndexOptions {
    fn default() -> Self {
        Self { max_files: 5_000 }
    }
}

impl IndexOptions {
    /// Sets the most files taken.
    #[must_use]
    pub fn with_max_files(mut self, files: usize) -> Self {
        self.max_files = files;
        self
    }
}

/// Indexes the files under `folder`.
///
/// Hidden files and folders, symbolic links and folders of build products (`target`, `node_modules`, …) are left out
/// silently; empty and unreadable files are left out and listed. One file is in memory at a time.
///
/// # Errors
/// `InvalidArgument` when `folder` is not a folder.
pub fn index(folder: impl AsRef<Path>, options: &IndexOptions) -> Result<Index> {
    let walk = walk::walk(folder.as_ref(), None, options.max_files)?;
    let mut skipped = walk.skipped;
    let mut rows = Vec::with_capacity(walk.files.len());
    for file in walk.files {
        match Document::read(&file.path) {
            Ok(document) => rows.push((file, document.summary())),
            Err(error) => skipped.push(Skipped {
                path: file.relative,
                reason: error.message().to_owned(),
            }),
        }
    }

    let text = |value: &dyn Fn(usize) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..rows.len()).map(value)))
    };
    let number = |value: &dyn Fn(usize) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values((0..rows.len()).map(value)))
    };
    let members = Schema::new(
        FIELDS
            .map(|field| Field::new(field, DataType::Utf8, true))
            .to_vec(),
    )
    .fields;
    let hashes = vec![
        text(&|row| rows[row].1.code.to_string()),
        text(&|row| rows[row].1.outline.to_string()),
        text(&|row| rows[row].1.prose.to_string()),
    ];
    let hashes = StructArray::try_new_with_length(members, hashes, None, rows.len())?;
    let files = RecordBatch::try_from_iter_with_nullable([
        ("path", text(&|row| rows[row].0.relative.clone()), true),
        (
            "extension",
            text(&|row| parts::extension(&rows[row].0.path)),
            true,
        ),
        ("bytes", number(&|row| rows[row].1.bytes), true),
        ("lines", number(&|row| rows[row].1.lines), true),
        (
            columns::PROVENANCE_BY_FIELD,
            Arc::new(hashes) as ArrayRef,
            true,
        ),
    ])?;
    Ok(Index {
        files,
        skipped,
        capped: walk.capped,
    })
}
