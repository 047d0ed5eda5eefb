//! The threads on which Delta tables are read and written.
//!
//! Clients of object stores and the Delta kernel need a tokio runtime of several threads; callers of a backend may have another
//! one, or none. So all work runs on one runtime of this process, and its results cross back to whatever polls them.

use std::future::Future;
use std::sync::OnceLock;

use metaxy_core::{Error, ErrorKind, Result};
use tokio::runtime::{Builder, Handle, Runtime};

/// The fewest threads: the kernel blocks one of them while it waits for another.
const FEWEST_THREADS: usize = 2;

/// Runs `work` on the process's own runtime; its result can be awaited anywhere. Dropping the future that this gives abandons the
/// work: it goes on to its end, and nobody hears of it.
///
/// # Errors
/// What `work` fails with; [`ErrorKind::Storage`] if no threads could be started, [`ErrorKind::Internal`] if it panicked.
pub(crate) async fn run<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let task = handle()?.spawn(work);
    task.await.unwrap_or_else(|source| {
        let problem = "a task of the Delta store died";
        Err(Error::new(ErrorKind::Internal, problem).with_source(source))
    })
}

/// Runs `work`, which may block its thread while it waits for others, on a thread that is there for that. To be called on the runtime.
///
/// # Errors
/// What `work` fails with; [`ErrorKind::Internal`] if it panicked.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let runtime = handle()?;
    let task = runtime.spawn_blocking(move || runtime.block_on(work));
    task.await.unwrap_or_else(|source| {
        let problem = "a task of the Delta store died";
        Err(Error::new(ErrorKind::Internal, problem).with_source(source))
    })
}

/// The process's own runtime.
///
/// # Errors
/// [`ErrorKind::Storage`] if its threads could not be started.
pub(crate) fn handle() -> Result<&'static Handle> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let cores = std::thread::available_parallelism().map_or(FEWEST_THREADS, usize::from);
        Builder::new_multi_thread()
            .worker_threads(cores.max(FEWEST_THREADS))
            .thread_name("metaxy-delta")
            .enable_all()
            .build()
    });
    match runtime {
        Ok(runtime) => Ok(runtime.handle()),
        Err(source) => Err(Error::new(
            ErrorKind::Storage,
            format!("the threads of the Delta store could not be started: {source}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_cross_to_any_executor() {
        let answer = futures::executor::block_on(run(async {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            Ok(7)
        }));
        assert_eq!(answer.unwrap(), 7);
    }

    #[test]
    fn a_panic_is_an_error() {
        async fn broken() -> Result<()> {
            panic!("on purpose")
        }
        let error = futures::executor::block_on(run(broken())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }

    #[test]
    fn abandoned_work_goes_on() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut work = Box::pin(run(async move {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            sender.send(()).unwrap();
            Ok(())
        }));
        let waker = futures::task::noop_waker();
        let mut context = std::task::Context::from_waker(&waker);
        assert!(work.as_mut().poll(&mut context).is_pending());
        drop(work);
        let heard = receiver.recv_timeout(std::time::Duration::from_secs(5));
        assert!(heard.is_ok());
    }
}
