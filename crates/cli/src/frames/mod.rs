//! Frames of the command line: Parquet, CSV, NDJSON and JSON, read and written batch by batch.
//!
//! Memory stays constant whatever the size of a file: readers yield batches of at most [`BATCH_ROWS`] rows, writers pass
//! them on. Only the rows that types are inferred from ([`ReadOptions::infer_rows`]) are held at once.
//!
//! **Types.** Parquet carries its own. For the other formats the type of a column is, in this order: the one of the
//! schema hint, the fixed one of a system column (`semantics.md` §4), the one inferred. A value that does not fit is an
//! error naming the row and the column; nothing is rounded, cut or nulled to make it fit. In JSON text stays text; in CSV
//! `true`/`false`, whole numbers without leading zeros and decimal numbers are recognised, all else is text. Times are
//! recognised by hint or system column only.
//!
//! **By-field columns** (`metaxy_provenance_by_field`, `metaxy_data_version_by_field`) are always structs of text. JSON and
//! NDJSON hold an object, whose numbers and booleans become text. CSV holds one column per member, named
//! `metaxy_provenance_by_field.audio`; all members empty means a null struct. Parquet holds a struct or a map of text.
//!
//! **Null.** NDJSON and JSON write every key, null included. CSV writes an empty cell, so there an empty text reads back as
//! null.

mod columns;
mod conform;
mod csv;
mod fit;
mod infer;
mod json;
mod parquet;
mod read;
mod render;
mod sink;
mod source;
#[cfg(test)]
mod tests;
mod values;
mod write;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use metaxy_core::{Error, ErrorKind, Result};

pub use read::{FrameReader, ReadOptions, open_reader, open_reader_with};
pub(crate) use sink::write_whole;
pub(crate) use values::values;
pub use write::{Compression, Finished, FrameWriter, WriteOptions};

/// The most rows a reader puts into one batch.
pub const BATCH_ROWS: usize = 8192;

/// How a frame is laid out in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Apache Parquet: `.parquet`, `.pq`.
    Parquet,
    /// Comma-separated values with a header line: `.csv`.
    Csv,
    /// Tab-separated values with a header line: `.tsv`. All that is said about CSV holds.
    Tsv,
    /// One JSON object per line: `.ndjson`, `.jsonl`.
    Ndjson,
    /// One JSON array of objects: `.json`.
    Json,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [
        Self::Parquet,
        Self::Csv,
        Self::Tsv,
        Self::Ndjson,
        Self::Json,
    ];

    /// The name that `--format` and `--samples-format` take.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Ndjson => "ndjson",
            Self::Json => "json",
        }
    }

    /// The format that the extension of `path` stands for, if it stands for one. Case does not matter.
    #[must_use]
    pub fn of_path(path: &Path) -> Option<Self> {
        Self::of_extension(path.extension()?.to_str()?)
    }

    /// The names of all formats, with `separator` between them.
    pub(crate) fn names(separator: &str) -> String {
        Self::ALL.map(Self::name).join(separator)
    }

    fn of_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "parquet" | "pq" => Some(Self::Parquet),
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// `given`, or the format of the path's extension, or `otherwise`; `flag` is what gives one.
    fn choose(
        given: Option<Self>,
        path: &Path,
        otherwise: Option<Self>,
        flag: &str,
    ) -> Result<Self> {
        given
            .or_else(|| Self::of_path(path))
            .or(otherwise)
            .ok_or_else(|| {
                let what = if is_dash(path) {
                    "standard input has no extension that tells its format".to_owned()
                } else {
                    format!(
                        "the extension of '{}' stands for no known format",
                        path.display()
                    )
                };
                Error::new(ErrorKind::InvalidArgument, what)
                    .with_hint(format!("add {flag} {}", Self::names("|")))
            })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads the name of a format, or one of its extensions.
impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::of_extension(name).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("'{name}' is no known format"),
            )
            .with_hint(format!("choose one of {}", Self::names(", ")))
        })
    }
}

/// The argument that names the format of what is read.
const READ_FLAG: &str = "--samples-format";
/// The argument that names the format of what is written.
const WRITE_FLAG: &str = "--format";

/// Whether `path` stands for standard input or output.
fn is_dash(path: &Path) -> bool {
    path == Path::new("-")
}

/// An error about the content of `file`.
fn invalid(file: &str, message: impl fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidFrame, format!("{file}: {message}"))
}

/// An error of reading or writing `file`.
fn io_error(file: &str, doing: &str, source: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("cannot {doing} {file}: {source}")).with_source(source)
}
