//! The end of a process in which an engine may still be at work: for a result that nobody reads any more, or to let a file go.
//!
//! The C++ library then takes its constants apart while other threads use them, and a process that had done everything well would end
//! with a crash.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Once, OnceLock};
use std::time::Duration;

use metaxy_core::backend::blocking;

use crate::backend::ENGINE;
use crate::spill;

/// How long the end of a process waits for threads inside the engine. A statement that nobody reads is stopped at once; a commit goes on.
#[cfg(unix)]
const PATIENCE: Duration = Duration::from_secs(5);

/// Has the end of the process wait for who is inside the engine, and what was put aside removed.
///
/// Constants that the library makes after this call go before the wait, and it makes them when it first needs them. So this is called
/// when an operation begins, and says it anew the first times.
#[cfg(unix)]
#[allow(unsafe_code)]
pub(crate) fn wait_at_exit() {
    unsafe extern "C" {
        fn atexit(callback: extern "C" fn()) -> std::ffi::c_int;
    }
    /// So often: the C library keeps each.
    const TIMES: u32 = 32;
    static TOLD: AtomicU32 = AtomicU32::new(0);
    static PROCESS: OnceLock<u32> = OnceLock::new();
    static END: Once = Once::new();
    extern "C" fn end() {
        // A process that was forked from this one has none of its threads, and ends before it.
        if PROCESS.get() == Some(&std::process::id()) {
            END.call_once(|| {
                blocking::close(ENGINE, PATIENCE);
                spill::remove();
            });
        }
    }
    PROCESS.get_or_init(std::process::id);
    if TOLD.load(Ordering::Relaxed) < TIMES && TOLD.fetch_add(1, Ordering::Relaxed) < TIMES {
        // SAFETY: the function of the C library takes one that has no arguments, which is there for as long as the process. If it cannot
        // take it, nobody is waited for, and a later process removes the folder.
        let _ = unsafe { atexit(end) };
    }
}

#[cfg(not(unix))]
pub(crate) fn wait_at_exit() {}
