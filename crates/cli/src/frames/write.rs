//! Writing a frame: [`FrameWriter`].

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Fields, Schema, SchemaRef};
use arrow::json::writer::{
    EncoderOptions, JsonArray, LineDelimited, Writer as JsonWriter, WriterBuilder,
};
use metaxy_core::{Error, ErrorKind, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression as ParquetCodec, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::render::{for_csv, for_json, nested_options, time_format};
use super::sink::{Out, Sink};
use super::{Format, invalid};

/// The most encoded data that a Parquet row group collects in memory, in bytes.
const ROW_GROUP_BYTES: usize = 64 * 1024 * 1024;

/// Writes the batches of one frame to a file or to standard output.
///
/// A file appears, or takes the place of an older one, when [`FrameWriter::finish`] returns: until then the rows stand in a
/// temporary file beside it, which is removed when the writer is dropped. Times are written as RFC 3339 in UTC with
/// microseconds (nanoseconds if a column has them); a time without zone is taken as UTC.
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
    Delimited(Box<arrow::csv::Writer<Out>>, EncoderOptions, bool),
    Ndjson(JsonWriter<Out, LineDelimited>),
    Json(JsonWriter<Out, JsonArray>),
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
}

impl WriteOptions {
    /// Sets the format.
    #[must_use]
    pub fn with_format(mut self, format: Option<Format>) -> Self {
        self.format = format;
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
        let otherwise = super::is_dash(path).then_some(Format::Ndjson);
        let format = Format::choose(options.format, path, otherwise, super::WRITE_FLAG)?;
        if options.compression.is_some() && format != Format::Parquet {
            let error = format!("{format} has no compression of its own");
            return Err(Error::new(ErrorKind::InvalidArgument, error)
                .with_hint("write Parquet, or compress what is written"));
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
        let times = time_format(&schema);
        let json = || {
            WriterBuilder::new()
                .with_explicit_nulls(true)
                .with_timestamp_format(times.clone())
        };
        let encoder = match format {
            Format::Parquet => {
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
            Format::Csv | Format::Tsv => {
                let writer = arrow::csv::WriterBuilder::new()
                    .with_delimiter(if format == Format::Tsv { b'\t' } else { b',' })
                    .with_timestamp_format(times.clone())
                    .build(out);
                Encoder::Delimited(Box::new(writer), nested_options(&times), false)
            }
            Format::Ndjson => Encoder::Ndjson(json().build(out)),
            Format::Json => Encoder::Json(json().build(out)),
        };
        Ok(Self {
            schema,
            rows: 0,
            failed: false,
            encoder,
            sink,
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
            Encoder::Delimited(writer, nested, started) => {
                *started = true;
                writer
                    .write(&for_csv(batch, nested)?)
                    .map_err(|e| failed(name, e))
            }
            Encoder::Ndjson(writer) => writer.write(&for_json(batch)?).map_err(|e| failed(name, e)),
            Encoder::Json(writer) => writer.write(&for_json(batch)?).map_err(|e| failed(name, e)),
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
    pub fn finish(mut self) -> Result<Finished> {
        if let Encoder::Delimited(_, _, false) = &self.encoder {
            // The header, which Arrow writes with the first batch.
            self.write(&RecordBatch::new_empty(self.schema.clone()))?;
        }
        let name = &self.sink.name;
        if self.failed {
            return Err(Error::new(
                ErrorKind::Io,
                format!("cannot complete {name}: an earlier batch failed"),
            ));
        }
        let out = match self.encoder {
            Encoder::Parquet(writer) => writer.into_inner().map_err(|e| parquet_failed(name, e))?,
            Encoder::Delimited(writer, ..) => writer.into_inner(),
            Encoder::Ndjson(mut writer) => {
                writer.finish().map_err(|e| failed(name, e))?;
                writer.into_inner()
            }
            Encoder::Json(mut writer) => {
                writer.finish().map_err(|e| failed(name, e))?;
                let mut out = writer.into_inner();
                out.write_all(b"\n")?;
                out
            }
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

/// The schema with every column nullable. A store's schema may promise what the batches of an outer join do not keep.
fn nullable(schema: &SchemaRef) -> SchemaRef {
    let fields: Fields = schema
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// Arrow's text writers fail when the medium does, or when a type has no text form.
fn failed(name: &str, source: arrow::error::ArrowError) -> Error {
    use arrow::error::ArrowError::{CsvError, IoError};
    match source {
        IoError(message, source) => {
            Error::new(ErrorKind::Io, format!("cannot write {name}: {message}")).with_source(source)
        }
        // The CSV writer hands on failures of the medium as text.
        CsvError(message) => Error::new(ErrorKind::Io, format!("cannot write {name}: {message}")),
        other => Error::new(
            ErrorKind::Unsupported,
            format!("cannot write {name}: {other}"),
        )
        .with_hint("write Parquet, or leave the column out")
        .with_source(other),
    }
}

fn parquet_failed(name: &str, source: parquet::errors::ParquetError) -> Error {
    use parquet::errors::ParquetError::{ArrowError, NYI};
    let kind = match source {
        ArrowError(_) | NYI(_) => ErrorKind::Unsupported,
        _ => ErrorKind::Io,
    };
    Error::new(kind, format!("cannot write {name}: {source}")).with_source(source)
}
