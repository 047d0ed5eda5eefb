//! Frames: Arrow batches that go in and come out of a store, streamed or held in memory.

use std::pin::Pin;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use futures::{Stream, StreamExt, TryStreamExt, stream};

use crate::error::Result;

/// Batches as they come; each has the schema of the frame it belongs to.
pub type BatchStream = Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>>;

/// The bytes that the rows of a batch take, also where they are a part of a larger one.
///
/// # Errors
/// Arrow's, for a column of a type whose bytes it cannot tell.
pub fn bytes_of(batch: &RecordBatch) -> Result<usize> {
    let columns = batch.columns().iter();
    let bytes = columns.map(|column| Ok(column.to_data().get_slice_memory_size()?));
    bytes.sum()
}

/// A frame whose rows may not be in memory yet: a schema and a stream of batches.
///
/// Everything that takes rows takes `impl Into<Frame>`: a [`RecordBatch`], [`Rows`], or a stream.
pub struct Frame {
    schema: SchemaRef,
    batches: BatchStream,
}

impl Frame {
    /// A frame of batches that arrive one by one.
    pub fn new(
        schema: SchemaRef,
        batches: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
    ) -> Self {
        Self {
            schema,
            batches: Box::pin(batches),
        }
    }

    /// The columns.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows.
    #[must_use]
    pub fn into_stream(self) -> BatchStream {
        self.batches
    }

    /// The next batch, or `None` at the end.
    ///
    /// # Errors
    /// Whatever the producer of the rows failed with.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        self.batches.try_next().await
    }

    /// Waits for all rows and holds them.
    ///
    /// # Errors
    /// Whatever the producer of the rows failed with.
    pub async fn collect(self) -> Result<Rows> {
        let batches = self.batches.try_collect().await?;
        Ok(Rows {
            schema: self.schema,
            batches,
        })
    }

    /// The same rows, each batch passed through `f`, which yields batches of `schema`.
    #[must_use]
    pub fn map(
        self,
        schema: SchemaRef,
        mut f: impl FnMut(RecordBatch) -> Result<RecordBatch> + Send + 'static,
    ) -> Self {
        Self::new(
            schema,
            self.batches.map(move |batch| batch.and_then(&mut f)),
        )
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

impl From<RecordBatch> for Frame {
    fn from(batch: RecordBatch) -> Self {
        Rows::from(batch).into()
    }
}

impl From<Rows> for Frame {
    fn from(rows: Rows) -> Self {
        Self::new(rows.schema, stream::iter(rows.batches.into_iter().map(Ok)))
    }
}

impl From<&Rows> for Frame {
    fn from(rows: &Rows) -> Self {
        rows.clone().into()
    }
}

/// Rows in memory: a schema and any number of batches. Cloning is cheap.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Rows {
    /// Rows of `schema`; every batch must have it.
    #[must_use]
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { schema, batches }
    }

    /// No rows.
    #[must_use]
    pub fn empty(schema: SchemaRef) -> Self {
        Self::new(schema, Vec::new())
    }

    /// The columns.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The batches, none of them larger than the backend chose.
    #[must_use]
    pub fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// The number of rows.
    #[must_use]
    pub fn num_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.num_rows() == 0
    }

    /// All rows in one batch (a copy, unless there is just one batch).
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the batches do not have the schema.
    pub fn to_batch(&self) -> Result<RecordBatch> {
        match self.batches.as_slice() {
            [one] => Ok(one.clone()),
            many => Ok(concat_batches(&self.schema, many)?),
        }
    }
}

impl From<RecordBatch> for Rows {
    fn from(batch: RecordBatch) -> Self {
        Self {
            schema: batch.schema(),
            batches: vec![batch],
        }
    }
}
