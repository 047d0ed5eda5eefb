//! The threads on which the store talks to servers.
//!
//! Connections belong to the runtime that they were opened on, and callers of a backend may have another one, or none. So all work runs
//! on one runtime of this process, and its results cross back to whatever polls them.

use std::future::Future;
use std::sync::OnceLock;

use metaxy_core::{Error, ErrorKind, Result};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::backend::ENGINE;

/// The fewest threads: one decodes rows while another receives them.
const FEWEST_THREADS: usize = 2;

/// Runs `work` on the process's own runtime; its result can be awaited anywhere. Dropping the future that this gives abandons the
/// work: it goes on to its end, and nobody hears of it.
///
/// # Errors
/// What `work` fails with; [`ErrorKind::Storage`] if no threads could be started, [`ErrorKind::Internal`] if it panicked.
pub(crate) async fn run<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    handle()?.spawn(work).await.unwrap_or_else(|source| {
        let problem = format!("a task of the {ENGINE} store died");
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
            .thread_name("metaxy-postgres")
            .enable_all()
            .build()
    });
    let failed = |source| {
        let problem = format!("the threads of the {ENGINE} store could not be started: {source}");
        Error::new(ErrorKind::Storage, problem)
    };
    runtime.as_ref().map(Runtime::handle).map_err(failed)
}
