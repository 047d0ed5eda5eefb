//! Frames that stop half-way, so that something else happens in the middle of a write.

use std::time::Duration;

use arrow::array::RecordBatch;
use futures::channel::oneshot;
use futures::{StreamExt, stream};
use metaxy_store::{Error, ErrorKind, Frame};

/// Holds back the rest of a frame.
pub struct Gate {
    reached: oneshot::Receiver<()>,
    open: oneshot::Sender<()>,
}

impl Gate {
    /// A frame of `first` and, once the gate is opened or dropped, `rest`, which has the same columns.
    #[must_use]
    pub fn between(first: RecordBatch, rest: RecordBatch) -> (Frame, Self) {
        let (reach, reached) = oneshot::channel();
        let (open, opened) = oneshot::channel::<()>();
        let schema = first.schema();
        let rest = stream::once(async move {
            // Whoever waits may be gone.
            let _ = reach.send(());
            let _ = opened.await;
            Ok(rest)
        });
        // Batches may be asked for ahead: when the rest is, the first has been taken.
        let nothing = first.slice(0, 0);
        let ahead = [nothing.clone(), nothing.clone(), nothing];
        let batches = stream::iter([first].into_iter().chain(ahead).map(Ok)).chain(rest);
        (Frame::new(schema, batches), Self { reached, open })
    }

    /// Waits until somebody asks for the rest, or never will.
    pub async fn reached(&mut self) {
        let _ = (&mut self.reached).await;
    }

    /// Lets the rest through.
    pub fn open(self) {
        let _ = self.open.send(());
    }
}

/// A frame that yields `first` and then fails.
#[must_use]
pub fn failing_after(first: RecordBatch) -> Frame {
    let failure = Error::new(ErrorKind::Io, "the producer of the rows failed");
    Frame::new(first.schema(), stream::iter([Ok(first), Err(failure)]))
}

/// A frame whose rows come a moment later, by a timer of the runtime that the caller is in.
#[must_use]
pub fn by_timer(rows: RecordBatch) -> Frame {
    let schema = rows.schema();
    let batches = stream::once(async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(rows)
    });
    Frame::new(schema, batches)
}
