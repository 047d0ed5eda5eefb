//! Rows of features on their way from and to files.

mod childless;
mod first;
mod hints;
mod ids;
mod parts;
mod repeated;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, SchemaRef};
use metaxy_store::backend::blocking;
use metaxy_store::backend::pump::Pump;
use metaxy_store::error::nearest;
use metaxy_store::{Error, ErrorKind, FeatureKey, Frame, MetadataStore, Result, columns};

use crate::args::{Layout, Output, Reading};
use crate::progress::{Progress, Total};
use crate::screen::Screen;
use metaxy_frames::{Finished, Format, FrameWriter, ReadOptions, WriteOptions, open_reader_with};

pub(crate) use childless::WithoutChildren;
pub(crate) use first::{FirstRows, Tally};
pub(crate) use ids::with_ids;
pub(crate) use parts::{ORPHANED, PART_COLUMN, Parts};
pub(crate) use repeated::Repeated;

/// Where the rows of a command go.
pub(crate) enum Destination {
    /// A person looks at the first of them.
    Screen,
    /// All of them go to a file or, for `-`, to standard output.
    File(PathBuf, WriteOptions),
}

impl Destination {
    pub(crate) fn choose(output: Output, screen: &Screen) -> Result<Self> {
        let format = match output.format {
            Some(Layout::Frame(format)) => Some(format),
            Some(Layout::Plain) | None => None,
        };
        let options = WriteOptions::from(format)
            .with_compression(output.compression)
            .with_guard_cells(output.guard_cells);
        let plain = output.format == Some(Layout::Plain);
        // What is compressed is not looked at.
        let looked_at =
            (plain || screen.terminal && format.is_none()) && output.compression.is_none();
        match output.output {
            Some(path) if plain => Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("'{}' cannot be written as plain", path.display()),
            )
            .with_hint(format!(
                "plain is for people to look at; a file takes {}",
                Format::names(", ")
            ))),
            Some(path) => Ok(Self::File(path, options)),
            None if looked_at => Ok(Self::Screen),
            None => Ok(Self::File(PathBuf::from("-"), options)),
        }
    }

    /// What to call the file in a summary; `None` if standard output is taken by the rows themselves.
    pub(crate) fn file_name(path: &Path) -> Option<String> {
        (path != Path::new("-")).then(|| path.display().to_string())
    }
}

/// Writes the batches of a frame as they come. Stops early when nobody reads any more.
pub(crate) async fn save(rows: Frame, path: &Path, options: WriteOptions) -> Result<Finished> {
    // Rows that a person sees passing by need no other sign of life.
    let to_terminal = path == Path::new("-") && io::stdout().is_terminal();
    let progress = (!to_terminal).then(|| Progress::new("reading", Total::Unknown));
    let mut rows = match &progress {
        Some(progress) => progress.watch(rows),
        None => rows,
    };
    let mut writer = FrameWriter::create(path, options, rows.schema().clone())?;
    while !writer.pipe_closed()
        && let Some(batch) = rows.next().await?
    {
        writer.write(&batch)?;
    }
    writer.finish()
}

/// Samples from a file, for a write or a resolve.
pub(crate) struct Incoming {
    pub(crate) rows: Frame,
    /// How much there is to read.
    pub(crate) total: Total,
    /// Whether the file says that it is whole.
    pub(crate) ended: bool,
    orphaned: Arc<AtomicU64>,
}

impl Incoming {
    /// Opens the samples of `feature` at `path`; `-` is standard input, which is NDJSON unless something else is said.
    pub(crate) async fn open(
        store: &MetadataStore,
        feature: &FeatureKey,
        path: &Path,
        reading: &Reading,
    ) -> Result<Self> {
        let dash = (path == Path::new("-")).then_some(Format::Ndjson);
        let options = reading.options(dash);
        let format = options.format.or_else(|| Format::of_path(path));
        let hint = hints::schema(store, feature, format).await?;
        let options = options.with_schema_hint(hint);
        let (rows, total, ended) = read_apart(path, options).await?;
        let schema = rows.schema().clone();
        let about = |e: Error| e.with_context("file", path.display());
        require_ids(store, feature, &schema).map_err(about)?;
        require_versions(store, feature, &schema).map_err(about)?;
        let mut incoming = Self::without_parts(rows);
        incoming.total = total;
        incoming.ended = ended;
        Ok(incoming)
    }

    /// How many orphaned rows were left out so far.
    pub(crate) fn orphaned(&self) -> impl Fn() -> u64 + use<> {
        let orphaned = self.orphaned.clone();
        move || orphaned.load(Ordering::Relaxed)
    }

    /// The rows without the column that names their part, and without orphaned rows: those are no samples that should be
    /// there.
    fn without_parts(rows: Frame) -> Self {
        let orphaned = Arc::new(AtomicU64::new(0));
        let Ok(index) = rows.schema().index_of(PART_COLUMN) else {
            return Self {
                rows,
                total: Total::Unknown,
                ended: false,
                orphaned,
            };
        };
        let keep: Vec<usize> = (0..rows.schema().fields().len())
            .filter(|i| *i != index)
            .collect();
        let schema = match rows.schema().project(&keep) {
            Ok(schema) => Arc::new(schema),
            Err(_) => rows.schema().clone(),
        };
        let left_out = orphaned.clone();
        let rows = rows.map(schema, move |batch| {
            let part = cast(batch.column(index), &DataType::Utf8)?;
            let part = part.as_string::<i32>();
            let kept: BooleanArray = (0..part.len())
                .map(|row| Some(part.is_null(row) || part.value(row) != ORPHANED))
                .collect();
            let rest = batch.num_rows() - kept.true_count();
            left_out.fetch_add(rest as u64, Ordering::Relaxed);
            Ok(filter_record_batch(&batch.project(&keep)?, &kept)?)
        });
        Self {
            rows,
            total: Total::Unknown,
            ended: false,
            orphaned,
        }
    }
}

/// The rows of a file, which is read on a thread of its own: a pipe may stay silent for long, and an interrupt must be heard
/// meanwhile. With them, how much there is to read, and whether the file says that it is whole.
async fn read_apart(path: &Path, options: ReadOptions) -> Result<(Frame, Total, bool)> {
    const NAME: &str = "input";
    let counter = Arc::new(AtomicU64::new(0));
    let options = options.with_counter(counter.clone());
    let file = path.to_owned();
    let reader = blocking::run(NAME, move || open_reader_with(file, &options)).await?;
    let total = match (reader.total_rows(), std::fs::metadata(path)) {
        (Some(rows), _) => Total::Rows(rows),
        (None, Ok(file)) if file.is_file() => Total::Bytes(file.len(), counter),
        _ => Total::Unknown,
    };
    let (schema, ended) = (reader.schema(), reader.is_ended());
    let rows = blocking::stream(NAME, schema, Pump::of([]), move |sink| {
        for batch in reader {
            sink.send(batch?)?;
        }
        Ok(())
    });
    Ok((rows?, total, ended))
}

/// Says early, and in terms of files, that samples come without what identifies them.
fn require_ids(store: &MetadataStore, feature: &FeatureKey, schema: &SchemaRef) -> Result<()> {
    let ids = store.graph().require(feature)?.spec.id_columns();
    // Where nothing is known of a feature, an empty file has no columns at all.
    let Some(missing) = ids.iter().find(|id| schema.field_with_name(id).is_err()) else {
        return Ok(());
    };
    // Which upstream columns identify a sample is the store's to say.
    let own = store.graph().plan(feature)?.is_root();
    if !own || schema.fields().is_empty() {
        return Ok(());
    }
    let error = Error::new(
        ErrorKind::InvalidFrame,
        format!("the samples of feature {feature} have no ID column {missing:?}"),
    );
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let others = names
        .iter()
        .copied()
        .filter(|name| !ids.iter().any(|id| id == name));
    Err(match nearest(missing, others) {
        Some(near) => error.with_hint(format!("rename the column {near:?}, if that is it")),
        None => error.with_hint(format!("the columns are {}", names.join(", "))),
    })
}

/// Says early, and in terms of files, that samples come without versions.
fn require_versions(store: &MetadataStore, feature: &FeatureKey, schema: &SchemaRef) -> Result<()> {
    let column = columns::PROVENANCE_BY_FIELD;
    if schema.field_with_name(column).is_ok() {
        return Ok(());
    }
    let definition = store.graph().require(feature)?;
    let fields: Vec<String> = definition
        .spec
        .fields()
        .iter()
        .map(|field| field.key.struct_key())
        .collect();
    let members: Vec<String> = fields.iter().map(|f| format!("{f:?}: \"…\"")).collect();
    let flat: Vec<String> = fields.iter().map(|f| format!("{column}.{f}")).collect();
    Err(Error::new(
        ErrorKind::InvalidFrame,
        format!("the samples of feature {feature} say nothing of their versions: there is no column {column:?}"),
    )
    .with_hint(format!(
        "give each row a hash or version of each field: in JSON \"{column}\": {{{}}}, in CSV the columns {}",
        members.join(", "),
        flat.join(", ")
    )))
}

/// The first `most` rows of a frame, and whether there are more.
pub(crate) async fn first(mut rows: Frame, most: usize) -> Result<(Vec<RecordBatch>, bool)> {
    let mut batches = Vec::new();
    let mut room = most;
    while let Some(batch) = rows.next().await? {
        let taken = batch.num_rows().min(room);
        if taken > 0 {
            batches.push(batch.slice(0, taken));
        }
        room -= taken;
        if batch.num_rows() > taken {
            return Ok((batches, true));
        }
    }
    Ok((batches, false))
}
