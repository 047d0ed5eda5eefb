//! Engines that are asynchronous: their clients need a tokio runtime of several threads, and belong to the one that they were made on. Callers of
//! a backend may have another runtime, or none. So all work of an engine runs on one runtime of this process, and its results cross back to
//! whatever polls them. The counterpart for engines that block is [`blocking`](crate::backend::blocking).

use std::future::Future;
use std::io;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind, Result};

/// The fewest threads: one works while another waits.
const FEWEST: usize = 2;

/// The threads of an engine, started when they are first needed.
///
/// ```
/// use metaxy_core::backend::runtime::Threads;
/// static THREADS: Threads = Threads::new("Folder", "metaxy-folder");
/// let answer = futures::executor::block_on(THREADS.run(async { Ok(7) }))?;
/// assert_eq!(answer, 7);
/// # Ok::<(), metaxy_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Threads {
    engine: &'static str,
    name: &'static str,
    runtime: OnceLock<io::Result<Runtime>>,
}

impl Threads {
    /// The threads of `engine`, as errors call it; in the list of threads each has this name.
    #[must_use]
    pub const fn new(engine: &'static str, name: &'static str) -> Self {
        Self {
            engine,
            name,
            runtime: OnceLock::new(),
        }
    }

    /// Runs `work`; its result can be awaited anywhere. Dropping the future that this gives abandons the work: it goes on to its end, and
    /// nobody hears of it.
    ///
    /// # Errors
    /// What `work` fails with; [`ErrorKind::Storage`] if no threads could be started, [`ErrorKind::Internal`] if it panicked.
    pub async fn run<T: Send + 'static>(
        &'static self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.done(self.handle()?.spawn(work)).await
    }

    /// Runs `work`, which may block its thread while it waits for others, on a thread that is there for that.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_blocking<T: Send + 'static>(
        &'static self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let runtime = self.handle()?;
        self.done(runtime.spawn_blocking(move || runtime.block_on(work)))
            .await
    }

    /// The runtime itself.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] if its threads could not be started.
    pub fn handle(&'static self) -> Result<&'static Handle> {
        let runtime = self.runtime.get_or_init(|| {
            let cores = std::thread::available_parallelism().map_or(FEWEST, usize::from);
            Builder::new_multi_thread()
                .worker_threads(cores.max(FEWEST))
                .thread_name(self.name)
                .enable_all()
                .build()
        });
        let engine = self.engine;
        runtime.as_ref().map(Runtime::handle).map_err(|source| {
            let problem =
                format!("the threads of the {engine} store could not be started: {source}");
            Error::new(ErrorKind::Storage, problem)
        })
    }

    async fn done<T>(&self, task: JoinHandle<Result<T>>) -> Result<T> {
        task.await.unwrap_or_else(|source| {
            let problem = format!("a task of the {} store died", self.engine);
            Err(Error::new(ErrorKind::Internal, problem).with_source(source))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static THREADS: Threads = Threads::new("Test", "metaxy-test");

    #[test]
    fn results_cross_to_any_executor() {
        let answer = futures::executor::block_on(THREADS.run(async {
            tokio::task::yield_now().await;
            Ok(7)
        }));
        assert_eq!(answer.unwrap(), 7);
    }

    #[test]
    fn a_panic_is_an_error() {
        async fn broken() -> Result<()> {
            panic!("on purpose")
        }
        for error in [
            futures::executor::block_on(THREADS.run(broken())).unwrap_err(),
            futures::executor::block_on(THREADS.run_blocking(broken())).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Internal);
        }
    }

    #[test]
    fn abandoned_work_goes_on() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut work = Box::pin(THREADS.run(async move {
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
