//! Writing a frame: [`FrameWriter`].

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Fields, IntervalUnit, Schema, SchemaRef};
use metaxy_core::{Error, ErrorKind, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression as ParquetCodec, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::csv::write as csv;
use crate::json::write::{NoText, objects};
use crate::sink::{Out, Sink};
use crate::{END, Format, invalid, io_error};

/// The most encoded data that a Parquet row group collects in memory, in bytes.
const ROW_GROUP_BYTES: usize = 64 * 1024 * 1024;

/// Writes the batches of one frame to a file or to standard output.
///
/// A file appears, or takes the place of an older one, when [`FrameWriter::finish`] returns: until then the rows stand in a
/// temporary file beside it, which is removed when the writer is dropped. Times are written as RFC 3339 in UTC with
/// microseconds (nanoseconds where the column counts them); a time without zone is taken as UTC.
pub struct FrameWriter {
    schema: SchemaRef,
    rows: u64,
    /// A write failed: the frame cannot be completed any more.
    failed: bool,
    encoder: Encoder,
    sink: Sink,
}

enum Encoder {
    Parquet(Box<ArrowWriter<Out>>),
    Text(Text),
}

/// A format that is text.
struct Text {
    out: Out,
    layout: Layout,
    /// Whether something was written that comes before the rows, or between them.
    started: bool,
}

#[derive(Clone, Copy)]
enum Layout {
    Delimited(csv::Dialect),
    /// Whether the last line says that it is the last.
    Lines {
        end: bool,
    },
    Array,
}

impl Text {
    fn rows(&mut self, batch: &RecordBatch, name: &str) -> Result<()> {
        let Self {
            out,
            layout,
            started,
        } = self;
        // The first failure of the medium; nothing is tried after it.
        let mut written = Ok(());
        let mut push = |before: &str, text: &str, after: &str| {
            for part in [before, text, after] {
                if written.is_ok() {
                    written = out.write_all(part.as_bytes());
                }
            }
        };
        let told = match layout {
            Layout::Delimited(dialect) => {
                if !std::mem::replace(started, true) {
                    push("", &csv::header(&batch.schema(), *dialect), "");
                }
                csv::rows(batch, *dialect, |row| push("", row, ""))
            }
            Layout::Lines { .. } => objects(batch, |row| push("", row, "\n")),
            Layout::Array => objects(batch, |row| {
                let before = if std::mem::replace(started, true) {
                    ","
                } else {
                    "["
                };
                push(before, row, "");
            }),
        };
        told.map_err(|(column, why)| no_text(name, batch, column, &why))?;
        written.map_err(|e| io_error(name, "write", e))
    }

    fn finish(mut self, schema: &SchemaRef, rows: u64, name: &str) -> Result<Out> {
        let end = match self.layout {
            Layout::Lines { end: true } => format!("{{{END:?}:{{\"rows\":{rows}}}}}\n"),
            Layout::Delimited(dialect) if !self.started => csv::header(schema, dialect),
            Layout::Array if self.started => "]\n".to_owned(),
            Layout::Array => "[]\n".to_owned(),
            _ => String::new(),
        };
        let written = self.out.write_all(end.as_bytes());
        written.map_err(|e| io_error(name, "write", e))?;
        Ok(self.out)
    }
}

/// That a column cannot be written as text.
pub(crate) fn no_text(name: &str, batch: &RecordBatch, column: usize, why: &NoText) -> Error {
    let schema = batch.schema();
    let field = schema.field(column);
    let (field, data_type) = (field.name(), field.data_type());
    match why {
        NoText::Type => Error::new(
            ErrorKind::Unsupported,
            format!("cannot write {name}: column '{field}' of type {data_type} has no text form"),
        )
        .with_hint("write Parquet, or leave the column out"),
        NoText::Row(row) => Error::new(
            ErrorKind::InvalidFrame,
            format!(
                "cannot write {name}: the value of column '{field}' in row {} of a batch is no {data_type}",
                row + 1
            ),
        )
        .with_hint("write Parquet, which keeps it as it is, or correct the value"),
    }
}

/// How the pages of a Parquet file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// Snappy: quick, and read by everything.
    #[default]
    Snappy,
    /// Gzip, level 6.
    Gzip,
    /// Brotli, level 1.
    Brotli,
    /// LZ4, as raw blocks.
    Lz4,
    /// Zstandard, level 1.
    Zstd,
}

impl Compression {
    /// Every compression.
    pub const ALL: [Self; 6] = [
        Self::None,
        Self::Snappy,
        Self::Gzip,
        Self::Brotli,
        Self::Lz4,
        Self::Zstd,
    ];

    /// The name that `--compression` takes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Snappy => "snappy",
            Self::Gzip => "gzip",
            Self::Brotli => "brotli",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    fn codec(self) -> ParquetCodec {
        match self {
            Self::None => ParquetCodec::UNCOMPRESSED,
            Self::Snappy => ParquetCodec::SNAPPY,
            Self::Gzip => ParquetCodec::GZIP(GzipLevel::default()),
            Self::Brotli => ParquetCodec::BROTLI(BrotliLevel::default()),
            Self::Lz4 => ParquetCodec::LZ4_RAW,
            Self::Zstd => ParquetCodec::ZSTD(ZstdLevel::default()),
        }
    }
}

impl FromStr for Compression {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|one| one.name() == name).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("'{name}' is no known compression"),
            )
            .with_hint(format!(
                "choose one of {}",
                Self::ALL.map(Self::name).join(", ")
            ))
        })
    }
}

/// How a frame is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WriteOptions {
    /// The format; without it the path's extension decides, and standard output gets NDJSON.
    pub format: Option<Format>,
    /// The compression of Parquet, [`Compression::Snappy`] by default. An error for other formats.
    pub compression: Option<Compression>,
    /// Whether the end says that the rows are all ([`FrameReader::is_ended`](crate::FrameReader::is_ended)). An error for CSV and TSV, which
    /// have nothing to say so with.
    pub end: bool,
    /// Whether cells of CSV and TSV that a spreadsheet would take for a formula get an apostrophe in front: those that begin with `=`, `+`,
    /// `-`, `@`, a tab or a carriage return and are no number. They are not read back as they were. Nothing in other formats.
    pub guard_cells: bool,
}

impl WriteOptions {
    /// Sets whether cells that a spreadsheet would take for a formula are guarded.
    #[must_use]
    pub fn with_guard_cells(mut self, guard_cells: bool) -> Self {
        self.guard_cells = guard_cells;
        self
    }

    /// Sets the format.
    #[must_use]
    pub fn with_format(mut self, format: Option<Format>) -> Self {
        self.format = format;
        self
    }

    /// Sets whether the end says that the rows are all.
    #[must_use]
    pub fn with_end(mut self, end: bool) -> Self {
        self.end = end;
        self
    }

    /// Sets the compression.
    #[must_use]
    pub fn with_compression(mut self, compression: Option<Compression>) -> Self {
        self.compression = compression;
        self
    }
}

/// The options that are a format alone.
impl From<Option<Format>> for WriteOptions {
    fn from(format: Option<Format>) -> Self {
        Self::default().with_format(format)
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finished {
    /// Rows handed to the writer.
    pub rows: u64,
    /// Whether the reader of a pipe went away before the end, as `| head` does. This is no failure: a command that sees it
    /// ends quietly and successfully.
    pub pipe_closed: bool,
}

impl FrameWriter {
    /// Prepares to write a frame of `schema` to `path`, or to standard output for `-`.
    ///
    /// `options` may be a format alone.
    ///
    /// # Errors
    /// - `InvalidArgument`: neither the options nor the extension tell the format, or it has no compression.
    /// - `Io`: the folder does not exist or cannot be written.
    /// - `Unsupported`: the format cannot hold one of the columns. Some types show this only when they are written.
    pub fn create(
        path: impl AsRef<Path>,
        options: impl Into<WriteOptions>,
        schema: SchemaRef,
    ) -> Result<Self> {
        let path = path.as_ref();
        let options = options.into();
        let otherwise = crate::is_dash(path).then_some(Format::Ndjson);
        let format = Format::choose(options.format, path, otherwise, crate::WRITE_FLAG)?;
        if options.compression.is_some() && format != Format::Parquet {
            let error = format!("{format} has no compression of its own");
            return Err(Error::new(ErrorKind::InvalidArgument, error)
                .with_hint("write Parquet, or compress what is written"));
        }
        if options.end && matches!(format, Format::Csv | Format::Tsv) {
            let error = format!("{format} has nothing that says that its rows are all");
            return Err(Error::new(ErrorKind::InvalidArgument, error)
                .with_hint("write NDJSON, JSON or Parquet"));
        }
        let (sink, out) = Sink::open(path)?;
        Self::new(sink, out, format, options, schema)
    }

    /// Writes to anything. `name` is what messages call it.
    ///
    /// # Errors
    /// As [`FrameWriter::create`].
    pub fn to_write(
        to: impl Write + Send + 'static,
        name: &str,
        format: Format,
        schema: SchemaRef,
    ) -> Result<Self> {
        let (sink, out) = Sink::direct(name, Box::new(to));
        Self::new(sink, out, format, WriteOptions::default(), schema)
    }

    fn new(
        sink: Sink,
        out: Out,
        format: Format,
        options: WriteOptions,
        schema: SchemaRef,
    ) -> Result<Self> {
        let delimited = |delimiter| {
            Layout::Delimited(csv::Dialect {
                delimiter,
                guard: options.guard_cells,
            })
        };
        let encoder = match format {
            Format::Parquet => {
                for field in schema.fields() {
                    if !in_parquet(field.data_type()) {
                        let (name, data_type) = (field.name(), field.data_type());
                        let error = format!(
                            "cannot write {}: Parquet has no form of column '{name}' of type {data_type}",
                            sink.name
                        );
                        return Err(Error::new(ErrorKind::Unsupported, error)
                            .with_hint("choose another format, or leave the column out"));
                    }
                }
                let properties = WriterProperties::builder()
                    .set_compression(options.compression.unwrap_or_default().codec())
                    .build();
                let writer = ArrowWriter::try_new(out, nullable(&schema), Some(properties))
                    .map_err(|source| {
                        Error::new(ErrorKind::Unsupported, format!("{}: {source}", sink.name))
                            .with_hint("choose another format")
                            .with_source(source)
                    })?;
                Encoder::Parquet(Box::new(writer))
            }
            Format::Csv => Self::text(out, delimited(b',')),
            Format::Tsv => Self::text(out, delimited(b'\t')),
            Format::Ndjson => Self::text(out, Layout::Lines { end: options.end }),
            Format::Json => Self::text(out, Layout::Array),
        };
        Ok(Self {
            schema,
            rows: 0,
            failed: false,
            encoder,
            sink,
        })
    }

    fn text(out: Out, layout: Layout) -> Encoder {
        Encoder::Text(Text {
            out,
            layout,
            started: false,
        })
    }

    /// Adds the rows of `batch`, whose columns are those of the schema.
    ///
    /// # Errors
    /// - `InvalidFrame`: the batch has other columns.
    /// - `Unsupported`: a column has no form in this format.
    /// - `Io`: writing failed. A closed pipe is no error: see [`FrameWriter::pipe_closed`].
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let name = &self.sink.name;
        let same = self.schema.fields().len() == batch.num_columns()
            && (self.schema.fields().iter())
                .zip(batch.schema_ref().fields())
                .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type());
        if !same {
            let message = "a batch has other columns than the frame it is written to";
            return Err(
                invalid(name, message).with_hint("all batches of one frame have one schema")
            );
        }
        if self.sink.is_closed() {
            return Ok(());
        }
        let written = self.encode(batch);
        self.failed |= written.is_err();
        self.rows += batch.num_rows() as u64;
        written
    }

    fn encode(&mut self, batch: &RecordBatch) -> Result<()> {
        let name = &self.sink.name;
        match &mut self.encoder {
            Encoder::Parquet(writer) => {
                writer.write(batch).map_err(|e| parquet_failed(name, e))?;
                if writer.in_progress_size() > ROW_GROUP_BYTES {
                    writer.flush().map_err(|e| parquet_failed(name, e))?;
                }
                Ok(())
            }
            Encoder::Text(text) => text.rows(batch, name),
        }
    }

    /// Whether the reader of a pipe has gone away. What is written from then on is dropped, so the caller may stop.
    #[must_use]
    pub fn pipe_closed(&self) -> bool {
        self.sink.is_closed()
    }

    /// Completes the frame and puts the file in its place.
    ///
    /// # Errors
    /// `Io`: writing failed; the place then holds what it held before.
    pub fn finish(self) -> Result<Finished> {
        let name = &self.sink.name;
        if self.failed {
            return Err(Error::new(
                ErrorKind::Io,
                format!("cannot complete {name}: an earlier batch failed"),
            ));
        }
        let out = match self.encoder {
            Encoder::Parquet(writer) => writer.into_inner().map_err(|e| parquet_failed(name, e))?,
            Encoder::Text(text) => text.finish(&self.schema, self.rows, name)?,
        };
        Ok(Finished {
            rows: self.rows,
            pipe_closed: self.sink.commit(out)?,
        })
    }
}

impl fmt::Debug for FrameWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameWriter")
            .field("to", &self.sink.name)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

/// Whether values of a type can be written to Parquet.
fn in_parquet(data_type: &DataType) -> bool {
    match data_type {
        DataType::Interval(IntervalUnit::MonthDayNano)
        | DataType::Union(..)
        | DataType::RunEndEncoded(..) => false,
        DataType::Dictionary(_, value) => in_parquet(value),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => in_parquet(item.data_type()),
        // Parquet has no group without members.
        DataType::Struct(members) => {
            !members.is_empty() && members.iter().all(|member| in_parquet(member.data_type()))
        }
        _ => true,
    }
}

/// The schema with every column nullable. A store's schema may promise what the batches of an outer join do not keep.
fn nullable(schema: &SchemaRef) -> SchemaRef {
    let fields: Fields = schema
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn parquet_failed(name: &str, source: parquet::errors::ParquetError) -> Error {
    use parquet::errors::ParquetError::{ArrowError, NYI};
    let kind = match source {
        ArrowError(_) | NYI(_) => ErrorKind::Unsupported,
        _ => ErrorKind::Io,
    };
    Error::new(kind, format!("cannot write {name}: {source}")).with_source(source)
}
