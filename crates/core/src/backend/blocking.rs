//! Engines that block: each operation runs on a thread of its own, and its result crosses back.
//!
//! Dropping what [`run`] gives abandons the operation: it goes on, and nobody hears of it. Dropping the frame that [`stream`]
//! gives stops the statement that computes it.
//!
//! A process may end while abandoned operations go on. Engines in C++ are taken apart then; [`close`] waits for who is inside.

use std::collections::HashMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::channel::{mpsc, oneshot};
use futures::executor::block_on;
use futures::{SinkExt, Stream};

use crate::backend::pump::Pump;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Frame;

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
        engine,
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

fn spawn(engine: &'static str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new()
        .name(format!("metaxy-{}", engine.to_ascii_lowercase()))
        .spawn(move || {
            let _inside = enter(engine);
            work();
        })
        .map_err(|e| Error::new(ErrorKind::Storage, "no thread could be started").with_source(e))?;
    Ok(())
}

/// Where the thread of a [`stream`] puts its rows.
pub struct Sink {
    engine: &'static str,
    sender: mpsc::Sender<Result<RecordBatch>>,
    running: Running,
}

impl Sink {
    /// Hands over a batch, and waits if enough are waiting.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] if nobody reads the result any more.
    pub fn send(&mut self, batch: RecordBatch) -> Result<()> {
        // A thread that waits for its reader is not inside the engine.
        let outside = Outside::new(self.engine);
        let sent = block_on(self.sender.send(Ok(batch)));
        drop(outside);
        sent.map_err(|_| Error::new(ErrorKind::Cancelled, "nobody reads the result any more"))
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

/// The threads inside one engine.
#[derive(Default)]
struct Threads {
    inside: usize,
    closed: bool,
}

/// By engine, and what tells that one of them came out.
static ENGINES: LazyLock<(Mutex<HashMap<&'static str, Threads>>, Condvar)> =
    LazyLock::new(Default::default);

fn engines() -> MutexGuard<'static, HashMap<&'static str, Threads>> {
    ENGINES.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread is inside an engine for as long as it holds this: [`close`] waits for it. Threads of [`run`] and [`stream`] are inside by
/// themselves, but for the time in which they wait for whoever reads their result.
#[derive(Debug)]
#[must_use = "the thread is inside until this is dropped"]
pub struct Inside(&'static str);

impl Drop for Inside {
    fn drop(&mut self) {
        leave(self.0);
    }
}

/// The thread is outside of an engine until this is dropped.
struct Outside(&'static str);

impl Outside {
    fn new(engine: &'static str) -> Self {
        leave(engine);
        Self(engine)
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        std::mem::forget(enter(self.0));
    }
}

/// Enters an engine. If it is closed, this waits for the end of the process.
pub fn enter(engine: &'static str) -> Inside {
    let mut engines = engines();
    while engines.entry(engine).or_default().closed {
        engines = (ENGINES.1.wait(engines)).unwrap_or_else(PoisonError::into_inner);
    }
    engines.entry(engine).or_default().inside += 1;
    Inside(engine)
}

fn leave(engine: &'static str) {
    engines().entry(engine).or_default().inside -= 1;
    ENGINES.1.notify_all();
}

/// Lets no thread into `engine` any more, and waits `at_most` so long until those inside have come out. For the end of a process, before
/// an engine is taken apart. Gives whether nobody is inside.
pub fn close(engine: &'static str, at_most: Duration) -> bool {
    engines().entry(engine).or_default().closed = true;
    let busy = |engines: &mut HashMap<_, Threads>| {
        engines
            .get(engine)
            .is_some_and(|threads| threads.inside > 0)
    };
    let waited = ENGINES.1.wait_timeout_while(engines(), at_most, busy);
    !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{channel, sync_channel};

    use arrow::datatypes::Schema;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_closed_engine_waits_for_who_is_inside_and_lets_nobody_in() {
        const ENGINE: &str = "Closed";
        let (go, may_go) = sync_channel::<()>(0);
        let work = run(ENGINE, move || {
            may_go.recv().unwrap();
            Ok(())
        });
        let mut work = pin!(work);
        let waker = futures::task::noop_waker();
        assert!(
            work.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        // The thread enters by itself, at some time.
        while engines()
            .get(ENGINE)
            .is_none_or(|threads| threads.inside == 0)
        {
            std::thread::yield_now();
        }
        assert!(!close(ENGINE, Duration::ZERO));
        go.send(()).unwrap();
        assert!(close(ENGINE, LONG));
        block_on(work).unwrap();
        let (entered, has_entered) = channel();
        std::thread::spawn(move || entered.send(enter(ENGINE)));
        assert!(has_entered.recv_timeout(Duration::from_millis(50)).is_err());
    }

    #[test]
    fn who_waits_for_a_reader_is_not_inside() {
        const ENGINE: &str = "Waiting";
        let schema = Arc::new(Schema::empty());
        let batch = RecordBatch::new_empty(schema.clone());
        let mut frame = stream(ENGINE, schema, Pump::of(&mut Vec::new()), move |sink| {
            loop {
                sink.send(batch.clone())?;
            }
        })
        .unwrap();
        assert!(block_on(frame.next()).unwrap().is_some());
        assert!(close(ENGINE, LONG));
    }
}
