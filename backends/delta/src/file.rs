//! Parquet files of a table: written in bounded memory, and read.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use metaxy_core::{ErrorKind, FeatureKey, Result};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::async_reader::{
    AsyncFileReader, ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder,
};
use parquet::basic::{Compression as Codec, ZstdLevel};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use uuid::Uuid;

use crate::checksum::Checksums;
use crate::config::{Compression, WriteOptions};
use crate::convert::{from_stored, logical_schema, stored_schema, to_stored};
use crate::error::{self, is_transient};
use crate::intact::require_there;
use crate::retry::Backoff;
use crate::snapshot::{DataFile, Snapshot};
use crate::stats;
use crate::table::{DeltaInner, Table};
use crate::types::{self, StoredColumn};

/// What is larger is sent in parts.
const ONE_PUT: usize = 16 << 20;
/// Bytes of a part.
const PART: usize = 8 << 20;
/// Parts that are under way at the same time.
const PARTS_AT_ONCE: usize = 4;
/// Bytes that are read to find the footer.
const FOOTER: usize = 64 << 10;
/// Rows that are read at once.
const BATCH: usize = 65_536;

/// A file that was stored, and is in no commit yet.
#[derive(Clone)]
pub(crate) struct Staged {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    pub(crate) stats: String,
    pub(crate) checksums: Arc<Checksums>,
    /// Its bytes, if they are [held](Staging::holding).
    held: Option<Bytes>,
}

/// Writes rows to new files. They are of no table before they are committed.
pub(crate) struct Staging {
    feature: FeatureKey,
    table: Arc<Table>,
    columns: Vec<StoredColumn>,
    schema: SchemaRef,
    indexed: Vec<bool>,
    options: WriteOptions,
    id: Uuid,
    part: u64,
    writer: Option<ArrowWriter<Vec<u8>>>,
    staged: Vec<Staged>,
    backoff: std::time::Duration,
    /// Bytes of files that may still be held.
    may_hold: usize,
}

impl Staging {
    /// Files for these columns. `indexed`: how many of them get statistics, as the table property says. `part`: the number of the first.
    pub(crate) fn new(
        feature: &FeatureKey,
        table: &Arc<Table>,
        columns: Vec<StoredColumn>,
        options: &WriteOptions,
        indexed: Option<i64>,
        part: u64,
        retry_timeout: std::time::Duration,
    ) -> Self {
        Self {
            feature: feature.clone(),
            table: table.clone(),
            schema: stored_schema(&columns),
            indexed: stats::indexed(&columns, indexed),
            columns,
            options: options.clone(),
            id: Uuid::new_v4(),
            part,
            writer: None,
            staged: Vec::new(),
            backoff: retry_timeout,
            may_hold: 0,
        }
    }

    /// Files of so many bytes in all stay in memory as well, for [`read_staged`].
    pub(crate) fn holding(mut self, bytes: usize) -> Self {
        self.may_hold = bytes;
        self
    }

    /// One file, whatever its size, in the place of others of a table: with its columns, and the number `part`.
    pub(crate) fn in_place(
        inner: &DeltaInner,
        feature: &FeatureKey,
        table: &Arc<Table>,
        base: &Snapshot,
        part: u64,
    ) -> Self {
        let options = WriteOptions {
            target_file_size: u64::MAX,
            ..inner.config.write.clone()
        };
        Self::new(
            feature,
            table,
            base.columns.to_vec(),
            &options,
            base.meta.indexed(),
            part,
            inner.config.retry_timeout,
        )
    }

    /// Adds rows, with the columns as they were appended.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidFrame`](metaxy_core::ErrorKind::InvalidFrame) if Delta cannot hold a value; what the medium failed with.
    pub(crate) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let failed = |e| error::parquet(&e, "write a Parquet file", self.table.secrets());
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                // Polars knows columns of nothing but nulls by these metadata only.
                let unknown = self.columns.iter().any(|c| types::has_unknown(&c.stored));
                let options = ArrowWriterOptions::new()
                    .with_properties(properties(&self.options))
                    .with_skip_arrow_metadata(!unknown);
                let made =
                    ArrowWriter::try_new_with_options(Vec::new(), self.schema.clone(), options);
                none.insert(made.map_err(failed)?)
            }
        };
        let (feature, columns, schema) = (&self.feature, &self.columns, &self.schema);
        // Encoding takes long; others go on meanwhile.
        let size = tokio::task::block_in_place(|| {
            let stored = to_stored(feature, batch, columns, schema)?;
            writer.write(&stored).map_err(failed)?;
            Ok::<_, metaxy_core::Error>(writer.bytes_written() + writer.in_progress_size())
        })?;
        if size as u64 >= self.options.target_file_size {
            self.close().await?;
        }
        Ok(())
    }

    /// The files, all of them stored.
    pub(crate) async fn finish(&mut self) -> Result<Vec<Staged>> {
        self.close().await?;
        Ok(std::mem::take(&mut self.staged))
    }

    /// Removes what was stored, as far as that works: files that are in no commit are nobody's, and are vacuumed some day.
    pub(crate) async fn discard(mut self) {
        self.writer = None;
        discard(&self.table, &self.staged).await;
    }

    async fn close(&mut self) -> Result<()> {
        let Some(mut writer) = self.writer.take() else {
            return Ok(());
        };
        let failed = |e| error::parquet(&e, "write a Parquet file", self.table.secrets());
        let metadata = tokio::task::block_in_place(|| writer.finish()).map_err(failed)?;
        let bytes = Bytes::from(std::mem::take(writer.inner_mut()));
        let codec = match self.options.compression {
            Compression::None => "",
            Compression::Snappy => ".snappy",
            Compression::Zstd(_) => ".zstd",
        };
        let held = (bytes.len() <= self.may_hold).then(|| bytes.clone());
        self.may_hold -= held.as_ref().map_or(0, Bytes::len);
        let staged = Staged {
            held,
            path: format!("part-{:05}-{}-c000{codec}.parquet", self.part, self.id),
            bytes: bytes.len() as u64,
            checksums: Arc::new(Checksums::of(&bytes)),
            rows: u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0),
            stats: stats::of_file(&metadata, &self.columns, &self.indexed),
        };
        // Known before it is stored, so that a part of it that is there is removed.
        self.staged.push(staged.clone());
        self.part += 1;
        upload(&self.table, &staged.path, bytes, self.backoff).await
    }
}

/// Removes files that are in no commit.
pub(crate) async fn discard(table: &Table, files: &[Staged]) {
    for file in files {
        if let Err(error) = table.store.delete(&Path::from(file.path.as_str())).await
            && !matches!(error, object_store::Error::NotFound { .. })
        {
            tracing::debug!(path = %file.path, %error, "a file that is not needed could not be removed");
        }
    }
}

fn properties(options: &WriteOptions) -> WriterProperties {
    let codec = match options.compression {
        Compression::None => Codec::UNCOMPRESSED,
        Compression::Snappy => Codec::SNAPPY,
        Compression::Zstd(level) => Codec::ZSTD(ZstdLevel::try_new(level).unwrap_or_default()),
    };
    WriterProperties::builder()
        .set_compression(codec)
        .set_max_row_group_row_count(Some(options.row_group_rows.max(1)))
        .set_created_by(concat!("metaxy-delta ", env!("CARGO_PKG_VERSION")).into())
        .build()
}

/// Stores a file. Repeating it does no harm: the name is its own.
async fn upload(
    table: &Table,
    path: &str,
    bytes: Bytes,
    timeout: std::time::Duration,
) -> Result<()> {
    let path = Path::from(path);
    let mut backoff = Backoff::new(timeout);
    loop {
        let outcome = if bytes.len() <= ONE_PUT {
            table
                .store
                .put(&path, PutPayload::from(bytes.clone()))
                .await
                .map(|_| ())
        } else {
            in_parts(table, &path, &bytes).await
        };
        match outcome {
            Ok(()) => return Ok(()),
            Err(e) if is_transient(&e) && backoff.pause().await => {}
            Err(e) => return Err(table.failed(&e, "store a file")),
        }
    }
}

async fn in_parts(table: &Table, path: &Path, bytes: &Bytes) -> object_store::Result<()> {
    let mut upload = table.store.put_multipart(path).await?;
    let parts = (0..bytes.len()).step_by(PART).map(|from| {
        let part = bytes.slice(from..bytes.len().min(from + PART));
        upload.put_part(PutPayload::from(part))
    });
    let parts: Vec<_> = parts.collect();
    let sent = stream::iter(parts)
        .buffer_unordered(PARTS_AT_ONCE)
        .try_collect::<Vec<()>>()
        .await;
    let outcome = match sent {
        Ok(_) => upload.complete().await.map(|_| ()),
        Err(e) => Err(e),
    };
    if outcome.is_err() {
        // What was sent would be paid for; failing to remove it is not worth an error of its own.
        let _ = upload.abort().await;
    }
    outcome
}

/// A file in an object store. What is read of it is verified.
pub(crate) struct Source {
    store: Arc<dyn ObjectStore>,
    path: Path,
    bytes: u64,
    checksums: Option<Arc<Checksums>>,
    /// Its bytes, if they are in memory.
    held: Option<Bytes>,
}

impl Source {
    async fn ranges(&self, ranges: &[Range<u64>]) -> ParquetResult<Vec<Bytes>> {
        let early = || ParquetError::EOF(format!("{} ends early", self.path));
        let part = |bytes: &Bytes, from: u64, range: &Range<u64>| {
            let (start, end) = (range.start.checked_sub(from), range.end.checked_sub(from));
            let (start, end) = (start.ok_or_else(early)?, end.ok_or_else(early)?);
            let (start, end) = (usize::try_from(start)?, usize::try_from(end)?);
            match bytes.get(start..end) {
                Some(_) => Ok(bytes.slice(start..end)),
                None => Err(early()),
            }
        };
        if let Some(held) = &self.held {
            return ranges.iter().map(|range| part(held, 0, range)).collect();
        }
        let Some(checksums) = &self.checksums else {
            return Ok(self.store.get_ranges(&self.path, ranges).await?);
        };
        let around: Vec<Range<u64>> = ranges
            .iter()
            .map(|range| checksums.around(range, self.bytes))
            .collect();
        let found = self.store.get_ranges(&self.path, &around).await?;
        let found = found.iter().zip(&around).zip(ranges);
        found
            .map(
                |((bytes, around), range)| match checksums.hold(around.start, bytes) {
                    true => part(bytes, around.start, range),
                    false => Err(ParquetError::General(DAMAGED.into())),
                },
            )
            .collect()
    }
}

/// What is wrong with a file whose checksums are others.
pub(crate) const DAMAGED: &str = "it is not what was written";

impl AsyncFileReader for Source {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        async move {
            let found = self.ranges(std::slice::from_ref(&range)).await?;
            let mut found = found.into_iter();
            found
                .next()
                .ok_or_else(|| ParquetError::EOF("nothing was read".into()))
        }
        .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        async move { self.ranges(&ranges).await }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            let options = options.map(|options| options.metadata_options().clone());
            let bytes = self.bytes;
            let footer = ParquetMetaDataReader::new()
                .with_metadata_options(options)
                // Of small files all, with the first request.
                .with_prefetch_hint(Some(FOOTER));
            Ok(Arc::new(footer.load_and_finish(self, bytes).await?))
        }
        .boxed()
    }
}

/// A file, opened.
pub(crate) type Opened = ParquetRecordBatchStreamBuilder<Source>;

/// Opens a file: its footer is read.
pub(crate) async fn open(table: &Table, file: &DataFile) -> Result<Opened> {
    require_there(table, file)?;
    let checksums = file.checksums.clone();
    open_source(table, &file.path, file.bytes, checksums, None).await
}

async fn open_source(
    table: &Table,
    path: &str,
    bytes: u64,
    checksums: Option<Arc<Checksums>>,
    held: Option<Bytes>,
) -> Result<Opened> {
    let reader = Source {
        store: table.store.clone(),
        path: parsed(path),
        bytes,
        checksums,
        held,
    };
    // What other programs say of their Arrow types is not of interest: the log says what columns are.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let opened = ParquetRecordBatchStreamBuilder::new_with_options(reader, options).await;
    opened.map_err(|e| unreadable(&table.location, path, &e, table.secrets()))
}

/// What a file with rows cannot be read with.
fn unreadable(
    location: &str,
    path: &str,
    error: &ParquetError,
    secrets: &error::Secrets,
) -> metaxy_core::Error {
    let what = format!("read the file {path} of {location}");
    let described = error::parquet(error, &what, secrets);
    match described.kind() {
        ErrorKind::Corrupt => error::damaged(location, path, &secrets.hide(&error.to_string())),
        _ => described,
    }
}

fn parsed(path: &str) -> Path {
    Path::parse(path).unwrap_or_else(|_| Path::from(path))
}

/// The rows of a file with these columns, as they were appended, in their order.
pub(crate) async fn read(
    table: &Table,
    file: &DataFile,
    columns: &[StoredColumn],
) -> Result<Reader> {
    rows(table, &file.path, open(table, file).await?, columns)
}

/// The rows of a file that is in no commit yet.
pub(crate) async fn read_staged(
    table: &Table,
    file: &Staged,
    columns: &[StoredColumn],
) -> Result<Reader> {
    let (checksums, held) = (Some(file.checksums.clone()), file.held.clone());
    let opened = open_source(table, &file.path, file.bytes, checksums, held).await?;
    rows(table, &file.path, opened, columns)
}

fn rows(table: &Table, path: &str, opened: Opened, columns: &[StoredColumn]) -> Result<Reader> {
    let wanted = |name: &str| columns.iter().any(|column| column.field.name() == name);
    let roots = opened.parquet_schema().root_schema().get_fields().iter();
    let roots: Vec<usize> = roots
        .enumerate()
        .filter(|(_, root)| wanted(root.name()))
        .map(|(at, _)| at)
        .collect();
    let mask = ProjectionMask::roots(opened.parquet_schema(), roots);
    let rows = opened.with_projection(mask).with_batch_size(BATCH).build();
    let rows = rows.map_err(|e| error::parquet(&e, "read a file", table.secrets()))?;
    Ok(Reader {
        rows,
        columns: columns.to_vec(),
        schema: logical_schema(columns),
        location: table.location.clone(),
        path: path.to_owned(),
        secrets: table.secrets().clone(),
    })
}

/// The rows of a file.
pub(crate) struct Reader {
    rows: ParquetRecordBatchStream<Source>,
    columns: Vec<StoredColumn>,
    schema: SchemaRef,
    location: String,
    path: String,
    secrets: error::Secrets,
}

impl Reader {
    /// The next rows; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let Some(batch) = self.rows.next().await else {
            return Ok(None);
        };
        let batch = batch.map_err(|e| unreadable(&self.location, &self.path, &e, &self.secrets))?;
        let rows = from_stored(&batch, &self.columns, &self.schema);
        // Arrow says so where the file has other types than the table.
        let rows = rows.map_err(|e| match e.kind() {
            ErrorKind::Internal => error::damaged(&self.location, &self.path, e.message()),
            _ => e,
        });
        rows.map(Some)
    }
}

/// Reads all of a file that has checksums, and of others what says where their columns are.
pub(crate) async fn verify(table: &Table, file: &DataFile) -> Result<()> {
    open(table, file).await?;
    let Some(checksums) = &file.checksums else {
        return Ok(());
    };
    let mut at = 0;
    while at < file.bytes {
        let part = checksums.around(&(at..at + PART as u64), file.bytes);
        let path = parsed(&file.path);
        let read = table.store.get_range(&path, part.clone()).await;
        let bytes = read.map_err(|e| table.failed(&e, &format!("read {path}")))?;
        if bytes.is_empty() || !checksums.hold(part.start, &bytes) {
            return Err(error::damaged(&table.location, &file.path, DAMAGED));
        }
        at = part.end;
    }
    Ok(())
}

/// All bytes of a file.
pub(crate) async fn bytes(table: &Table, file: &DataFile) -> Result<Bytes> {
    let read = async { table.store.get(&parsed(&file.path)).await?.bytes().await };
    let bytes = read.await.map_err(|e| {
        let what = format!("read {} of {}", file.path, table.location);
        error::store(&e, &what, table.secrets())
    })?;
    match &file.checksums {
        Some(known) if !known.holds(&bytes) => {
            Err(error::damaged(&table.location, &file.path, DAMAGED))
        }
        _ => Ok(bytes),
    }
}
