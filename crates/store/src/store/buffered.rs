//! Writing in few large pieces what arrives in many small ones.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::future::BoxFuture;
use indexmap::IndexMap;

use super::multi::dependents_first;
use super::{MetadataStore, WriteOptions};
use crate::backend::append::require_ids;
use crate::calendar::require_shown;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::{Frame, Rows, bytes_of};
use crate::key::FeatureKey;
use crate::setters;

/// When a [`BufferedWriter`] writes. The default: 100,000 rows, 64 MiB or two seconds, whichever comes first.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BufferOptions {
    /// As soon as this many rows wait.
    pub max_rows: Option<usize>,
    /// As soon as the rows that wait take this many bytes of memory.
    pub max_bytes: Option<usize>,
    /// As soon as a row has waited this long. Looked at in every call, not in between.
    pub interval: Option<Duration>,
    /// How rows are written.
    pub write: WriteOptions,
}

impl Default for BufferOptions {
    fn default() -> Self {
        Self {
            max_rows: Some(100_000),
            max_bytes: Some(64 << 20),
            interval: Some(Duration::from_secs(2)),
            write: WriteOptions::default(),
        }
    }
}

impl BufferOptions {
    setters! { options =>
        /// Writes as soon as this many rows wait; `None`: however many.
        with_max_rows(rows: impl Into<Option<usize>>) {
            options.max_rows = rows.into();
        }
        /// Writes as soon as the rows that wait take this many bytes; `None`: however large they are.
        with_max_bytes(bytes: impl Into<Option<usize>>) {
            options.max_bytes = bytes.into();
        }
        /// Writes as soon as a row has waited this long; `None`: however long.
        with_interval(interval: impl Into<Option<Duration>>) {
            options.interval = interval.into();
        }
        /// How rows are written.
        with_write(write: WriteOptions) {
            options.write = write;
        }
    }
}

/// Collects rows of any features and writes them in few large pieces, with [`MetadataStore::write_multi`].
///
/// [`put`](Self::put) takes rows and, when enough wait, writes them; [`close`](Self::close) writes the rest. There is no thread
/// and no task behind it: everything happens inside calls, so a job that pauses calls
/// [`flush_if_due`](Self::flush_if_due) now and then.
///
/// # What is certain
/// - A `put` that fails has taken none of its rows; one that succeeds has taken all. When writing fails inside a `put`, the next
///   call says so.
/// - Rows that could not be written are kept. They are tried again by the next write, and
///   [`take_unwritten`](Self::take_unwritten) hands them out.
/// - No row is written twice: a write whose caller went away is waited for by the next call. Where the backend has no
///   transactions over several tables, each feature is a write of its own.
/// - A writer that is dropped with rows that were not written logs an error that says how many.
pub struct BufferedWriter {
    store: MetadataStore,
    options: BufferOptions,
    /// By feature, in the order in which they came; a run ends where the columns change.
    pending: IndexMap<FeatureKey, VecDeque<Run>>,
    oldest: Option<Instant>,
    in_flight: Option<Round>,
    failed: Option<Error>,
    written: IndexMap<FeatureKey, u64>,
    closed: bool,
}

/// Rows of one feature with the same columns.
struct Run {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

/// A write of the first runs of some features.
struct Round {
    features: Vec<FeatureKey>,
    outcome: BoxFuture<'static, Result<()>>,
}

impl BufferedWriter {
    /// A writer to `store`.
    #[must_use]
    pub fn new(store: MetadataStore, options: BufferOptions) -> Self {
        Self {
            store,
            options,
            pending: IndexMap::new(),
            oldest: None,
            in_flight: None,
            failed: None,
            written: IndexMap::new(),
            closed: false,
        }
    }

    /// Takes rows of a feature, and writes what waits if it is time to.
    ///
    /// # Errors
    /// None of the rows are taken then: those of [`MetadataStore::write`] where they show in the rows themselves, what an earlier
    /// write failed with, and [`ErrorKind::InvalidArgument`] after [`close`](Self::close).
    pub async fn put(&mut self, feature: &FeatureKey, rows: impl Into<Frame> + Send) -> Result<()> {
        self.ready()?;
        let rows = checked(&self.store, &self.options.write, feature, rows.into()).await;
        let rows = rows.map_err(|e| self.store.about(e, feature))?;
        self.settle().await?;
        self.take(feature, &rows)?;
        if self.is_due()
            && let Err(error) = self.write_all().await
        {
            self.failed = Some(error);
        }
        Ok(())
    }

    /// Writes what waits, if it is time to.
    ///
    /// # Errors
    /// What this or an earlier write failed with; the rows are kept.
    pub async fn flush_if_due(&mut self) -> Result<()> {
        self.ready()?;
        self.settle().await?;
        match self.is_due() {
            true => self.write_all().await,
            false => Ok(()),
        }
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// What the write failed with; the rows are kept. An earlier failure is forgotten: its rows are among those that are tried.
    pub async fn flush(&mut self) -> Result<()> {
        self.failed = None;
        self.write_all().await
    }

    /// Writes what waits and ends the writer; returns how many rows of each feature were written in all.
    ///
    /// # Errors
    /// As [`flush`](Self::flush); the writer is not closed then.
    pub async fn close(&mut self) -> Result<IndexMap<FeatureKey, u64>> {
        self.flush().await?;
        self.closed = true;
        Ok(self.written.clone())
    }

    /// Hands out all rows that were not written, by feature in the order in which they came, and forgets them.
    pub async fn take_unwritten(&mut self) -> Vec<(FeatureKey, Rows)> {
        // Whatever is under way may still succeed; if it does not, its rows are among those handed out.
        let _ = self.settle().await;
        self.failed = None;
        self.oldest = None;
        let pending = std::mem::take(&mut self.pending);
        let runs = pending
            .into_iter()
            .flat_map(|(feature, runs)| runs.into_iter().map(move |run| (feature.clone(), run)));
        runs.map(|(feature, run)| (feature, Rows::new(run.schema, run.batches)))
            .collect()
    }

    /// How many rows were taken but not written so far.
    #[must_use]
    pub fn unwritten_rows(&self) -> usize {
        self.pending.values().flatten().map(|run| run.rows).sum()
    }

    /// How many rows of each feature were written so far.
    #[must_use]
    pub fn written_rows(&self) -> &IndexMap<FeatureKey, u64> {
        &self.written
    }

    fn ready(&mut self) -> Result<()> {
        if self.closed {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "the buffered writer to store {:?} was closed",
                    self.store.name()
                ),
            )
            .with_hint("make another one"));
        }
        self.failed.take().map_or(Ok(()), Err)
    }

    fn take(&mut self, feature: &FeatureKey, rows: &Rows) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let bytes: usize = rows.batches().iter().map(bytes_of).sum::<Result<_>>()?;
        self.oldest.get_or_insert_with(Instant::now);
        let runs = self.pending.entry(feature.clone()).or_default();
        let count = rows.num_rows();
        match runs.back_mut().filter(|run| run.schema == *rows.schema()) {
            Some(run) => {
                run.batches.extend(rows.batches().iter().cloned());
                run.rows += count;
                run.bytes += bytes;
            }
            None => runs.push_back(Run {
                schema: rows.schema().clone(),
                batches: rows.batches().to_vec(),
                rows: count,
                bytes,
            }),
        }
        Ok(())
    }

    fn is_due(&self) -> bool {
        let runs = || self.pending.values().flatten();
        let waited = |interval| self.oldest.is_some_and(|since| since.elapsed() >= interval);
        let rows: usize = runs().map(|run| run.rows).sum();
        rows > 0
            && (self.options.max_rows.is_some_and(|most| rows >= most)
                || self
                    .options
                    .max_bytes
                    .is_some_and(|most| runs().map(|run| run.bytes).sum::<usize>() >= most)
                || self.options.interval.is_some_and(waited))
    }

    /// Writes round after round until nothing waits.
    async fn write_all(&mut self) -> Result<()> {
        loop {
            self.settle().await?;
            if self.pending.is_empty() {
                self.oldest = None;
                return Ok(());
            }
            self.in_flight = Some(self.start());
        }
    }

    /// Starts to write the first run of every feature; or, where that would not be one transaction, of one.
    fn start(&self) -> Round {
        let mut features: Vec<FeatureKey> = self.pending.keys().cloned().collect();
        if !self.store.capabilities().transactions {
            features = dependents_first(self.store.graph(), self.pending.keys());
            features.truncate(1);
        }
        let first = |feature: &FeatureKey| {
            let run = self.pending.get(feature).and_then(VecDeque::front)?;
            let rows = Rows::new(run.schema.clone(), run.batches.clone());
            Some((feature.clone(), Frame::from(rows)))
        };
        let writes: Vec<_> = features.iter().filter_map(first).collect();
        let (store, options) = (self.store.clone(), self.options.write.clone());
        Round {
            features,
            outcome: Box::pin(async move { store.write_multi(writes, options).await.map(drop) }),
        }
    }

    /// Waits for the round that is under way, if there is one; what it wrote no longer waits.
    async fn settle(&mut self) -> Result<()> {
        let Some(round) = &mut self.in_flight else {
            return Ok(());
        };
        let outcome = round.outcome.as_mut().await;
        let Some(round) = self.in_flight.take() else {
            return Ok(());
        };
        outcome.map_err(|error| {
            error
                .with_context("store", self.store.name())
                .with_context("rows kept", self.unwritten_rows())
                .with_hint(
                    "the rows are kept: `flush` tries again, `take_unwritten` hands them out",
                )
        })?;
        for feature in round.features {
            let Some(runs) = self.pending.get_mut(&feature) else {
                continue;
            };
            let rows = runs.pop_front().map_or(0, |run| run.rows);
            if runs.is_empty() {
                self.pending.shift_remove(&feature);
            }
            *self.written.entry(feature).or_default() += rows as u64;
        }
        Ok(())
    }
}

/// The rows, if a write would take them.
async fn checked(
    store: &MetadataStore,
    options: &WriteOptions,
    feature: &FeatureKey,
    rows: Frame,
) -> Result<Rows> {
    store.require_write("be written to")?;
    let rows = store.with_childless(feature, rows).await?;
    let nothing = Frame::from(Rows::empty(rows.schema().clone()));
    let ids = store.append(feature, nothing, options)?.id_columns;
    store.require_matching_ids(feature, rows.schema()).await?;
    let rows = rows.collect().await?;
    let mut before = 0;
    for batch in rows.batches() {
        require_ids(feature, &ids, batch)?;
        require_shown(feature, batch, before)?;
        before += batch.num_rows() as u64;
    }
    Ok(rows)
}

impl Drop for BufferedWriter {
    fn drop(&mut self) {
        let rows = self.unwritten_rows();
        if rows > 0 {
            let features: Vec<&str> = self.pending.keys().map(FeatureKey::as_str).collect();
            tracing::error!(
                store = self.store.name(),
                features = features.join(", "),
                rows,
                "a buffered writer was dropped without being closed: {rows} rows are lost"
            );
        }
    }
}

impl fmt::Debug for BufferedWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferedWriter")
            .field("store", &self.store.name())
            .field("options", &self.options)
            .field("unwritten_rows", &self.unwritten_rows())
            .field("written_rows", &self.written)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
