//! Engines that block: each operation runs on a thread of its own, and its result crosses back.
//!
//! Dropping what [`run`] gives abandons the operation: it goes on, and nobody hears of it. Dropping the frame that [`stream`]
//! gives stops the statement that computes it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::channel::{mpsc, oneshot};
use futures::executor::block_on;
use futures::{SinkExt, Stream};

use crate::error::{Error, ErrorKind, Result};
use crate::frame::Frame;
use crate::pump::Pump;

/// Batches that may wait for whoever reads them.
const WAITING: usize = 2;

/// Runs `work` on a thread of its own; `engine` names it in errors and in the list of threads.
///
/// # Errors
/// What `work` fails with; [`ErrorKind::Storage`] if no thread could be started, [`ErrorKind::Internal`] if it panicked.
pub async fn run<T: Send + 'static>(
    engine: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = oneshot::channel();
    spawn(engine, move || {
        // Whoever asked may be gone.
        let _ = sender.send(work());
    })?;
    receiver.await.unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::Internal,
            format!("a thread of the {engine} store died"),
        ))
    })
}

/// The rows of `schema` that `work` hands to its [`Sink`] on a thread of its own, as they come. `pump` pulls the frames that the
/// work was given, while the result is read.
///
/// # Errors
/// [`ErrorKind::Storage`] if no thread could be started. What `work` fails with comes instead of the rows that are left.
pub fn stream(
    engine: &'static str,
    schema: SchemaRef,
    pump: Pump,
    work: impl FnOnce(&mut Sink) -> Result<()> + Send + 'static,
) -> Result<Frame> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let running = Running::default();
    let mut sink = Sink {
        sender,
        running: running.clone(),
    };
    spawn(engine, move || {
        // A panic, perhaps of whoever produces a frame, must not look like the end of the result.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut sink))).unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Internal,
                format!("a query of the {engine} store panicked"),
            ))
        });
        sink.stop_with(None);
        if let Err(error) = outcome {
            // Whoever asked may be gone.
            let _ = block_on(sink.sender.send(Err(error)));
        }
    })?;
    let answer = Answer {
        receiver,
        running,
        pump: Some(pump),
    };
    Ok(Frame::new(schema, answer))
}

fn spawn(engine: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new()
        .name(format!("metaxy-{}", engine.to_ascii_lowercase()))
        .spawn(work)
        .map_err(|e| Error::new(ErrorKind::Storage, "no thread could be started").with_source(e))?;
    Ok(())
}

/// Where the thread of a [`stream`] puts its rows.
pub struct Sink {
    sender: mpsc::Sender<Result<RecordBatch>>,
    running: Running,
}

impl Sink {
    /// Hands over a batch, and waits if enough are waiting.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] if nobody reads the result any more.
    pub fn send(&mut self, batch: RecordBatch) -> Result<()> {
        block_on(self.sender.send(Ok(batch)))
            .map_err(|_| Error::new(ErrorKind::Cancelled, "nobody reads the result any more"))
    }

    /// From now on, whoever loses interest in the result calls `stop`; `None`: nothing is running that could be stopped.
    pub fn stop_with(&self, stop: Option<Stop>) {
        *self
            .running
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = stop;
    }
}

/// What stops a statement.
pub type Stop = Box<dyn Fn() + Send>;

/// How to stop the statement that is running, if one is.
#[derive(Clone, Default)]
struct Running(Arc<Mutex<Option<Stop>>>);

impl Running {
    fn stop(&self) {
        let stop = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stop) = &*stop {
            stop();
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

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(pump) = &mut self.pump
            && pin!(pump).poll(context).is_ready()
        {
            self.pump = None;
        }
        Pin::new(&mut self.receiver).poll_next(context)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.receiver.close();
        self.running.stop();
    }
}
