//! Files of Arrow batches, and the lock.

use std::fs::{File, TryLockError};
use std::io::BufReader;
use std::path::Path;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use metaxy_store::backend::append::conform_batch;
use metaxy_store::backend::maintain::Footprint;
use metaxy_store::{Error, ErrorKind, FeatureKey, Result, Rows};

use crate::manifest::{DataFile, Table, failed};

/// Writes a file that is on disk before this returns.
pub(crate) struct Writer {
    file: FileWriter<File>,
    rows: u64,
}

impl Writer {
    pub(crate) fn create(path: &Path, schema: &SchemaRef) -> Result<Self> {
        let file = File::create(path).map_err(|e| failed(path, "cannot be made", e))?;
        let file = FileWriter::try_new(file, schema).map_err(not_written)?;
        Ok(Self { file, rows: 0 })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        self.file.write(batch).map_err(not_written)
    }

    pub(crate) fn finish(mut self, name: String) -> Result<DataFile> {
        self.file.finish().map_err(not_written)?;
        let file = self.file.into_inner().map_err(not_written)?;
        file.sync_all()?;
        Ok(DataFile {
            name,
            rows: self.rows,
        })
    }
}

/// The columns of a table: those of its last file.
pub(crate) fn schema(folder: &Path, table: &Table) -> Result<Option<SchemaRef>> {
    let last = table.files.last();
    last.map(|file| Ok(open(&folder.join(&file.name))?.schema()))
        .transpose()
}

/// All rows of a table, in the order in which they were stored, with the columns it has now.
pub(crate) fn read(folder: &Path, feature: &FeatureKey, table: &Table) -> Result<Option<Rows>> {
    let Some(schema) = schema(folder, table)? else {
        return Ok(None);
    };
    let mut batches = Vec::new();
    for file in &table.files {
        for batch in open(&folder.join(&file.name))? {
            let batch = batch.map_err(not_read)?;
            batches.push(conform_batch(feature, &batch, &schema)?);
        }
    }
    Ok(Some(Rows::new(schema, batches)))
}

/// What the files of a table take.
pub(crate) fn footprint(folder: &Path, table: &Table) -> Result<Footprint> {
    let mut bytes = 0;
    for file in &table.files {
        bytes += std::fs::metadata(folder.join(&file.name))?.len();
    }
    Ok(Footprint::files(table.files.len() as u64, bytes))
}

/// The lock that a writer holds: a file in the store's folder, locked as long as this lives.
pub(crate) struct Lock(#[allow(dead_code, reason = "closing the file releases it")] File);

impl Lock {
    pub(crate) fn take(folder: &Path, timeout: Duration) -> Result<Self> {
        let path = folder.join("lock");
        let open = File::options().create(true).append(true).open(&path);
        let file = open.map_err(|e| failed(&path, "cannot be made", e))?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) if start.elapsed() < timeout => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(TryLockError::WouldBlock) => {
                    let message = format!(
                        "somebody else has been writing to {} for {timeout:?}",
                        folder.display()
                    );
                    return Err(Error::new(ErrorKind::Locked, message)
                        .with_hint("try again later, or set a longer `lock_timeout`"));
                }
                Err(TryLockError::Error(e)) => return Err(failed(&path, "cannot be locked", e)),
            }
        }
    }
}

fn open(path: &Path) -> Result<FileReader<BufReader<File>>> {
    let file = File::open(path).map_err(|e| failed(path, "cannot be read", e))?;
    FileReader::try_new_buffered(file, None).map_err(not_read)
}

fn not_read(source: ArrowError) -> Error {
    Error::new(ErrorKind::Corrupt, "a file of the store is damaged").with_source(source)
}

fn not_written(source: ArrowError) -> Error {
    Error::new(ErrorKind::Storage, "a file of the store cannot be written").with_source(source)
}
