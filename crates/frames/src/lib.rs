//! Frames in files: Parquet, CSV, TSV, NDJSON and JSON, read and written batch by batch.
//!
//! Memory stays constant whatever the size of a file: readers yield batches of at most [`BATCH_ROWS`] rows, writers pass them on. A text
//! is read twice, once for the types of its columns and once for their values; what passes by once, such as standard input, is put into
//! an unnamed temporary file first.
//!
//! **What goes in comes out.** What is written is read back as it was, for every type that a format can say; another is refused with the
//! column's name. Nothing is rounded, cut or nulled to make it fit: a value that does not fit is an error that names its row and column.
//!
//! **Types.** Parquet carries its own. For text the type of a column is, in this order: the one of the schema hint, the fixed one of a
//! system column (`semantics.md` §4), the one that all its values have. In JSON text stays text; numbers become 64-bit integers, 64-bit
//! floats if those print every number back, and decimals otherwise. In CSV a column holds numbers only if each of its cells is what would
//! be printed back: `007`, `1.10` and `12e4` make it text, and so do `1` and `1.5` in one column. `true` and `false` are recognised. Times
//! are recognised by hint or system column only.
//!
//! | type | text |
//! |---|---|
//! | floats that are not finite | `NaN`, `inf`, `-inf`; in JSON as text |
//! | decimals | all digits of the scale: `1.50` |
//! | bytes | hexadecimal digits |
//! | times | RFC 3339 in UTC: `2024-05-01T12:00:00.000000Z`; years beyond four digits have a sign |
//! | durations, intervals | ISO 8601: `PT1.5S`, `P1M2DT3.5S` |
//! | maps | objects; if a key is no text or occurs twice, lists of `{"key": …, "value": …}` |
//!
//! **By-field columns** (`metaxy_provenance_by_field`, `metaxy_data_version_by_field`) are always structs of text. JSON and NDJSON hold an
//! object, whose numbers and booleans become text as they are written. CSV holds one column per member, named
//! `metaxy_provenance_by_field.audio`; all members empty means a null struct. Parquet holds a struct or a map of text; bytes become
//! hexadecimal digits.
//!
//! **Null.** NDJSON and JSON write every key, null included. In CSV an empty cell is null, and an empty text is `""`.

mod build;
mod columns;
mod csv;
mod fit;
mod json;
mod parquet;
mod place;
mod read;
mod scalar;
mod shape;
mod sink;
mod source;
pub mod terminal;
#[cfg(test)]
mod tests;
mod values;
mod write;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use metaxy_core::{Error, ErrorKind, Result};

pub use read::{FrameReader, ReadOptions, open_reader, open_reader_with};
pub use sink::write_whole;
pub use values::values;
pub use write::{Compression, Finished, FrameWriter, WriteOptions};

/// The member of the object that ends NDJSON: `{"metaxy_end": {"rows": 3}}`. A step that passes its rows on passes it on too.
pub const END: &str = "metaxy_end";

/// The most rows a reader puts into one batch.
pub const BATCH_ROWS: usize = 8192;

/// The most text that goes into one batch, whatever the rows.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

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
    #[must_use]
    pub fn names(separator: &str) -> String {
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
