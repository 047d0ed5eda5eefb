//! Rows that are stored on a thread of their own, and produced where the caller is.
//!
//! A backend whose engine blocks works on a thread. The frames that it is given belong to the caller: they may need the caller's
//! runtime (its timers, its connections), and the caller may lose interest while they are computed. So they are polled by
//! the caller's task, and their batches cross to the thread through a channel.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use futures::channel::mpsc;
use futures::future::{Either, join_all, select};
use futures::{StreamExt, stream};

use crate::error::{Error, ErrorKind, Result};
use crate::frame::{BatchStream, Frame};

/// Batches that may wait for the thread.
const WAITING: usize = 1;

/// Pulls the rows of frames, whose other ends are read elsewhere. It does so while it is polled; dropped, those who read get an
/// error of kind [`ErrorKind::Cancelled`] in place of the rows that are left.
///
/// ```
/// use metaxy_core::frame::{Frame, Rows};
/// use metaxy_core::backend::pump::Pump;
/// # use std::sync::Arc;
/// # use arrow::datatypes::Schema;
/// # let rows = Rows::empty(Arc::new(Schema::empty()));
/// # futures::executor::block_on(async {
/// let mut frame = Frame::from(rows);
/// let pump = Pump::of([&mut frame]);
/// let (sender, done) = futures::channel::oneshot::channel();
/// std::thread::spawn(move || sender.send(futures::executor::block_on(frame.collect())));
/// let collected = pump.during(done).await;
/// # assert!(collected.is_ok_and(|rows| rows.is_ok()));
/// # });
/// ```
#[must_use = "nothing is pulled unless it is polled"]
pub struct Pump(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Pump {
    /// Puts the other ends in the places of these frames.
    pub fn of<'a>(frames: impl IntoIterator<Item = &'a mut Frame>) -> Self {
        let pulled: Vec<_> = frames
            .into_iter()
            .map(|frame| {
                let (sender, receiver) = mpsc::channel(WAITING);
                let schema = frame.schema().clone();
                let rows = std::mem::replace(frame, Frame::new(schema, arriving(receiver)));
                pull(rows.into_stream(), sender)
            })
            .collect();
        Self(Box::pin(async move {
            join_all(pulled).await;
        }))
    }

    /// Pulls the rows until `work`, which reads them elsewhere, is done.
    pub async fn during<T>(self, work: impl Future<Output = T>) -> T {
        match select(pin!(work), self).await {
            Either::Left((done, _)) => done,
            Either::Right(((), work)) => work.await,
        }
    }
}

impl Future for Pump {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}

/// What crosses: batches and failures, then `None`. Without it, the end of the channel is not the end of the rows.
type Parcel = Option<Result<RecordBatch>>;

async fn pull(mut rows: BatchStream, mut sender: mpsc::Sender<Parcel>) {
    loop {
        let next = rows.next().await;
        let last = next.is_none();
        // Whoever reads may have seen enough.
        if poll_fn(|context| sender.poll_ready(context)).await.is_err()
            || sender.start_send(next).is_err()
            || last
        {
            return;
        }
    }
}

fn arriving(receiver: mpsc::Receiver<Parcel>) -> impl futures::Stream<Item = Result<RecordBatch>> {
    stream::unfold(Some(receiver), |receiver| async {
        let mut receiver = receiver?;
        match receiver.next().await {
            Some(Some(batch)) => Some((batch, Some(receiver))),
            Some(None) => None,
            None => Some((Err(given_up()), None)),
        }
    })
}

fn given_up() -> Error {
    Error::new(
        ErrorKind::Cancelled,
        "whoever wanted the rows has gone; nothing was written",
    )
}
