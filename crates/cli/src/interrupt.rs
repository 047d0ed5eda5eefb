//! Ctrl-C, and the signal with which others ask a process to end.
//!
//! The work is dropped, which leaves everything of what it was about or nothing: rows are appended in one transaction or one commit,
//! files are written beside their place. Should the work not give up the thread, because it waits for a pipe that nobody reads, the
//! process ends all the same, a little later or with the second signal.

use std::future::Future;
use std::thread;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{Either, select};
use metaxy_store::{Error, ErrorKind, Result};

/// How long the work has to clean up.
const PATIENCE: Duration = Duration::from_secs(5);

/// A signal that ends the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// What a supervisor sends.
    #[cfg(unix)]
    Terminate,
}

impl Signal {
    /// The exit code that shells have for it.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            #[cfg(unix)]
            Self::Terminate => 143,
        }
    }
}

/// What `work` gives, or the signal that came first; the work is dropped then.
pub(crate) async fn unless_interrupted<T>(work: impl Future<Output = T>) -> Result<T, Signal> {
    let (sender, signalled) = oneshot::channel();
    // Without a thread that listens a signal ends the process as it always does.
    if watch(sender).is_err() {
        return Ok(work.await);
    }
    let work = std::pin::pin!(work);
    match select(work, signalled).await {
        Either::Left((done, _)) => Ok(done),
        Either::Right((Ok(signal), _)) => Err(signal),
        Either::Right((Err(_), work)) => Ok(work.await),
    }
}

/// Listens on a thread of its own: the work may keep its own busy.
fn watch(sender: oneshot::Sender<Signal>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (ready, listening) = std::sync::mpsc::channel();
    let listener = move || {
        runtime.block_on(async {
            let listening = listen();
            let started = listening.is_ok();
            let _ = ready.send(started);
            let Ok(mut signals) = listening else {
                return;
            };
            let signal = signals.next().await;
            let _ = sender.send(signal);
            let _ = tokio::time::timeout(PATIENCE, signals.next()).await;
            std::process::exit(signal.code().into());
        });
    };
    thread::Builder::new()
        .name("metaxy-signals".into())
        .spawn(listener)?;
    match listening.recv() {
        Ok(true) => Ok(()),
        _ => Err(Error::new(ErrorKind::Io, "signals cannot be heard")),
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
fn listen() -> std::io::Result<Signals> {
    use tokio::signal::unix::{SignalKind, signal};
    Ok(Signals {
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
    })
}

#[cfg(unix)]
impl Signals {
    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
fn listen() -> std::io::Result<Signals> {
    Ok(Signals(tokio::signal::windows::ctrl_c()?))
}

#[cfg(windows)]
impl Signals {
    async fn next(&mut self) -> Signal {
        self.0.recv().await;
        Signal::Interrupt
    }
}
