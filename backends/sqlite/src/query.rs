//! Running plans: one statement, in one read transaction, on a thread of its own.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::channel::mpsc;
use futures::executor::block_on;
use futures::{SinkExt, Stream};
use metaxy_core::plan::{Plan, Relation};
use metaxy_core::pump::Pump;
use metaxy_core::sql::{column_at, quote, render};
use metaxy_core::{Error, ErrorKind, Frame, Result};
use rusqlite::InterruptHandle;

use crate::backend::{Handle, Shared};
use crate::catalog::{self, CatalogError};
use crate::codec::{Decoder, column_type};
use crate::dialect::{SqliteDialect, frame_name};
use crate::write::insert_batch;

/// Rows per batch of a result.
const BATCH: usize = 8192;

/// Batches that may wait for whoever reads them.
const WAITING: usize = 2;

type Sender = mpsc::Sender<Result<RecordBatch>>;

/// Runs a plan. Its rows arrive while the statement runs.
pub(crate) async fn run(shared: &Arc<Shared>, mut plan: Plan) -> Result<Frame> {
    let pump = Some(Pump::of(&mut plan.frames));
    let schema = plan.relation.schema().clone();
    let (mut sender, receiver) = mpsc::channel(WAITING);
    let running = Running::default();
    let (shared, here) = (shared.clone(), running.clone());
    let work = move || {
        let run = || {
            shared.take().and_then(|found| {
                // No file: no table to scan, but perhaps frames.
                let (mut handle, stored) = match found {
                    Some(handle) => (handle, true),
                    None => (shared.scratch()?, false),
                };
                here.set(Some(handle.connection.get_interrupt_handle()));
                let outcome = answer(&shared, &mut handle, plan, &mut sender);
                // From here on the connection may be in other hands.
                here.set(None);
                if outcome.is_ok() && stored {
                    shared.give_back(handle);
                }
                outcome.map_err(|error| shared.explain(error, "answer a query"))
            })
        };
        // A panic, perhaps of whoever produces a frame, must not look like the end of the result.
        let outcome = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
            here.set(None);
            Err(Error::new(
                ErrorKind::Internal,
                "a query of the SQLite store panicked",
            ))
        });
        if let Err(error) = outcome {
            // Whoever asked may be gone.
            let _ = block_on(sender.send(Err(error)));
        }
    };
    std::thread::Builder::new()
        .name("metaxy-sqlite".into())
        .spawn(work)
        .map_err(|e| Error::new(ErrorKind::Storage, "no thread could be started").with_source(e))?;
    let answer = Answer {
        receiver,
        running,
        pump,
    };
    Ok(Frame::new(schema, answer))
}

/// How to stop the statement that is running, if one is.
#[derive(Clone, Default)]
struct Running(Arc<Mutex<Option<InterruptHandle>>>);

impl Running {
    fn set(&self, handle: Option<InterruptHandle>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = handle;
    }

    fn interrupt(&self) {
        let handle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = &*handle {
            handle.interrupt();
        }
    }
}

/// The batches of a running statement; dropping it stops the statement.
struct Answer {
    receiver: mpsc::Receiver<Result<RecordBatch>>,
    running: Running,
    /// Pulls the frames that the plan was given.
    pump: Option<Pump>,
}

impl Stream for Answer {
    type Item = Result<RecordBatch>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        if let Some(pump) = &mut self.pump
            && pin!(pump).poll(context).is_ready()
        {
            self.pump = None;
        }
        std::pin::Pin::new(&mut self.receiver).poll_next(context)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.receiver.close();
        self.running.interrupt();
    }
}

fn answer(
    shared: &Shared,
    handle: &mut Handle,
    plan: Plan,
    sender: &mut Sender,
) -> Result<(), CatalogError> {
    let transaction = handle.connection.unchecked_transaction()?;
    let mut dialect = shared.dialect();
    look_up(&transaction, &plan.relation, &mut dialect)?;
    let frames = plan.frames.len();
    load_frames(&transaction, plan.frames)?;
    let sql = render(&plan.relation, &dialect)?;
    handle.marks.clear();
    stream(&transaction, &sql, plan.relation.schema(), sender)?;
    for position in 0..frames {
        transaction.execute_batch(&format!("DROP TABLE temp.{}", quote(&frame_name(position))))?;
    }
    transaction.commit()?;
    Ok(())
}

/// Makes sure that the tables of the plan are still there, and tells the dialect which of its scans have nothing to replace.
fn look_up(
    connection: &rusqlite::Connection,
    relation: &Relation,
    dialect: &mut SqliteDialect,
) -> Result<(), CatalogError> {
    let mut scans = Vec::new();
    relation.scans(&mut |scan| scans.push(scan));
    for scan in scans {
        let name = dialect.table_name(&scan.table);
        if !catalog::has(connection, &name)? {
            return Err(Error::new(
                ErrorKind::TableNotFound,
                format!(
                    "the table of feature {} is gone: another process dropped it meanwhile",
                    scan.table
                ),
            )
            .with_hint("try again, to be told what is there now")
            .into());
        }
        let (Some(version), Some(ids)) = (&scan.feature_version, &scan.latest_per) else {
            continue;
        };
        if catalog::written_once(connection, &name, version, ids)? == Some(true) {
            let key = (name, version.clone(), ids.clone());
            dialect.written_once.insert(key);
        }
    }
    Ok(())
}

/// Frames become temporary tables of the connection.
fn load_frames(connection: &rusqlite::Connection, frames: Vec<Frame>) -> Result<(), CatalogError> {
    for (position, mut frame) in frames.into_iter().enumerate() {
        let name = frame_name(position);
        let schema = frame.schema().clone();
        let definitions = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(i, field)| Ok(format!("{} {}", column_at(i), column_type(field)?)))
            .collect::<Result<Vec<_>>>()?;
        connection.execute_batch(&format!(
            "DROP TABLE IF EXISTS temp.{0}; CREATE TEMP TABLE {0} ({1}) STRICT",
            quote(&name),
            definitions.join(", ")
        ))?;
        let places = vec!["?"; schema.fields().len()].join(", ");
        let sql = format!("INSERT INTO temp.{} VALUES ({places})", quote(&name));
        let mut insert = connection.prepare(&sql)?;
        while let Some(batch) = block_on(frame.next())? {
            insert_batch(&mut insert, &batch)?;
        }
    }
    Ok(())
}

fn stream(
    connection: &rusqlite::Connection,
    sql: &str,
    schema: &SchemaRef,
    sender: &mut Sender,
) -> Result<(), CatalogError> {
    let mut statement = connection.prepare(sql).map_err(|source| {
        CatalogError::Other(
            Error::new(ErrorKind::Internal, format!("SQLite refused a plan: {sql}"))
                .with_source(source),
        )
    })?;
    let mut decoders = schema
        .fields()
        .iter()
        .map(Decoder::new)
        .collect::<Result<Vec<_>>>()?;
    let mut rows = statement.raw_query();
    let mut waiting = 0;
    loop {
        let row = rows.next()?;
        if let Some(row) = row {
            for (i, decoder) in decoders.iter_mut().enumerate() {
                decoder.push(row.get_ref(i)?)?;
            }
            waiting += 1;
        }
        let last = row.is_none();
        if waiting == BATCH || (last && waiting > 0) {
            let arrays = decoders
                .iter_mut()
                .map(Decoder::finish)
                .collect::<Result<Vec<_>>>()?;
            let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(waiting));
            let batch = RecordBatch::try_new_with_options(schema.clone(), arrays, &options)
                .map_err(Error::from)?;
            waiting = 0;
            if block_on(sender.send(Ok(batch))).is_err() {
                return Err(
                    Error::new(ErrorKind::Cancelled, "nobody reads the result any more").into(),
                );
            }
        }
        if last {
            return Ok(());
        }
    }
}
