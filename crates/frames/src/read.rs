//! Opening a frame: [`open_reader`] and what it returns.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use metaxy_core::Result;

use crate::columns::Hints;
use crate::csv::read::Dialect;
use crate::json::read::Layout;
use crate::source::Source;
use crate::{Format, csv, json, parquet};

/// The schema of a frame and the batches that are still to be read.
///
/// Iterating yields batches of that schema, of at most [`BATCH_ROWS`](crate::BATCH_ROWS) rows, until the end or the first
/// error. It can move to another thread.
pub struct FrameReader {
    schema: SchemaRef,
    batches: Batches,
    total_rows: Option<u64>,
    ended: bool,
    failed: bool,
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

impl FrameReader {
    /// A reader of `batches`, which all have `schema`.
    pub(crate) fn new(
        schema: SchemaRef,
        batches: impl Iterator<Item = Result<RecordBatch>> + Send + 'static,
    ) -> Self {
        Self {
            schema,
            batches: Box::new(batches),
            total_rows: None,
            ended: false,
            failed: false,
        }
    }

    /// The same, of which it is known how many rows it has.
    pub(crate) fn with_total_rows(mut self, rows: Option<u64>) -> Self {
        self.total_rows = rows;
        self
    }

    /// The same, of which it is known whether it says that it is whole.
    pub(crate) fn with_end(mut self, ended: bool) -> Self {
        self.ended = ended;
        self
    }

    /// Whether the frame says that it is whole: Parquet by its footer, JSON by its closing bracket, NDJSON by a last object with the member
    /// [`END`](crate::END), which is no row. CSV and TSV have nothing that says so.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// How many rows there are, where the format says so before they are read.
    #[must_use]
    pub fn total_rows(&self) -> Option<u64> {
        self.total_rows
    }

    /// A frame without rows.
    pub(crate) fn empty(schema: SchemaRef) -> Self {
        Self::new(schema, std::iter::empty())
    }

    /// Reads text or Parquet bytes that come from anywhere. `name` is what messages call the source.
    ///
    /// # Errors
    /// As [`open_reader`].
    pub fn from_read(
        bytes: impl Read + Send + 'static,
        name: &str,
        format: Format,
        options: &ReadOptions,
    ) -> Result<Self> {
        read(Source::stream(name, Box::new(bytes)), format, options)
    }

    /// The columns of every batch. All top-level columns may be null.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

impl Iterator for FrameReader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.batches.next();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

impl fmt::Debug for FrameReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameReader")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// How to read a frame.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReadOptions {
    /// The format; without it, the path's extension decides.
    pub format: Option<Format>,
    /// Types that win over inferred ones, by column name. Columns the frame lacks are not added.
    pub schema_hint: Option<SchemaRef>,
    /// What stands between the cells of CSV and TSV: a character of ASCII. Without it, what the format says, and a header that seems to
    /// have another is an error.
    pub delimiter: Option<u8>,
    /// Whether cells of CSV and TSV may stand in quotes.
    pub quotes: bool,
    /// Counts the bytes of text that have been read.
    counter: Option<Arc<AtomicU64>>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: None,
            schema_hint: None,
            delimiter: None,
            quotes: true,
            counter: None,
        }
    }
}

impl ReadOptions {
    /// Sets the format.
    #[must_use]
    pub fn with_format(mut self, format: impl Into<Option<Format>>) -> Self {
        self.format = format.into();
        self
    }

    /// Sets the schema hint.
    #[must_use]
    pub fn with_schema_hint(mut self, schema: impl Into<Option<SchemaRef>>) -> Self {
        self.schema_hint = schema.into();
        self
    }

    /// Counts the bytes of text that have been read.
    #[must_use]
    pub fn with_counter(mut self, counter: Arc<AtomicU64>) -> Self {
        self.counter = Some(counter);
        self
    }

    /// Sets what stands between the cells of CSV and TSV.
    #[must_use]
    pub fn with_delimiter(mut self, delimiter: impl Into<Option<u8>>) -> Self {
        self.delimiter = delimiter.into();
        self
    }

    /// Sets whether cells of CSV and TSV may stand in quotes.
    #[must_use]
    pub fn with_quotes(mut self, quotes: bool) -> Self {
        self.quotes = quotes;
        self
    }
}

/// Opens the frame at `path`, or on standard input for `-`.
///
/// A text file without any row reads as an empty frame of the hint's schema; without a hint it is an error, except for the
/// empty JSON array, which reads as a frame without columns.
///
/// # Errors
/// - `InvalidArgument`: neither `format` nor the extension tells the format.
/// - `Io`: the file cannot be opened or read.
/// - `InvalidFrame`: the content is not of that format, or a value does not fit its column. The same from the iterator.
pub fn open_reader(
    path: impl AsRef<Path>,
    format: Option<Format>,
    schema_hint: Option<SchemaRef>,
) -> Result<FrameReader> {
    let options = ReadOptions::default()
        .with_format(format)
        .with_schema_hint(schema_hint);
    open_reader_with(path, &options)
}

/// As [`open_reader`], with all options.
///
/// # Errors
/// As [`open_reader`].
pub fn open_reader_with(path: impl AsRef<Path>, options: &ReadOptions) -> Result<FrameReader> {
    let path = path.as_ref();
    if path.is_dir() {
        // Its name has no extension that tells a format, which is not what is wrong with it.
        Source::open(path)?;
    }
    let format = Format::choose(options.format, path, None, crate::READ_FLAG)?;
    let source = Source::open(path)?.counted(options.counter.clone());
    read(source, format, options)
}

fn read(source: Source, format: Format, options: &ReadOptions) -> Result<FrameReader> {
    let hints = Hints::new(options.schema_hint.clone());
    let dialect = |delimiter| Dialect {
        delimiter: options.delimiter.unwrap_or(delimiter),
        is_certain: options.delimiter.is_some(),
        quotes: options.quotes,
    };
    match format {
        Format::Parquet => Ok(parquet::open(source, &hints)?.with_end(true)),
        Format::Csv => csv::read::open(source, dialect(b','), &hints),
        Format::Tsv => csv::read::open(source, dialect(b'\t'), &hints),
        Format::Ndjson => json::read::open(source, Layout::Lines, &hints),
        Format::Json => json::read::open(source, Layout::Array, &hints),
    }
}
