//! The work of every embedded store with every engine grows as its rows, filters and features do: `cargo test -p metaxy-store --all-features --test growth`.
//! See [`metaxy_conformance::growth`].

#![allow(clippy::unwrap_used, unsafe_code)] // a test panics where something is wrong; what is counted is counted in C, too
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::ffi::{c_int, c_uint, c_void};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};

use metaxy_conformance::growth::{Counter, Open, check};
use metaxy_store::Access;
use metaxy_store::backend::Backend;
use metaxy_store::delta::DeltaConfig;
use metaxy_store::duckdb::DuckDbConfig;
use metaxy_store::polars::on_polars;
use metaxy_store::sqlite::{SqliteConfig, Synchronous};
use rusqlite::ffi;

metaxy_conformance::count_allocations!();

/// Steps of SQLite's machine, of all statements that have ended.
static STEPS: AtomicU64 = AtomicU64::new(0);

/// Each new connection of this process tells its steps.
fn count_steps() {
    unsafe extern "C" fn ended(
        _: c_uint,
        _: *mut c_void,
        statement: *mut c_void,
        _: *mut c_void,
    ) -> c_int {
        let counter = ffi::SQLITE_STMTSTATUS_VM_STEP;
        // SAFETY: SQLite gives the statement that has ended.
        let steps = unsafe { ffi::sqlite3_stmt_status(statement.cast(), counter, 1) };
        STEPS.fetch_add(u64::try_from(steps).unwrap_or_default(), Ordering::Relaxed);
        0
    }
    unsafe extern "C" fn opened(
        database: *mut ffi::sqlite3,
        _: *mut *mut std::ffi::c_char,
        _: *const ffi::sqlite3_api_routines,
    ) -> c_int {
        // SAFETY: SQLite gives the connection that has been opened.
        unsafe {
            ffi::sqlite3_trace_v2(
                database,
                ffi::SQLITE_TRACE_PROFILE,
                Some(ended),
                std::ptr::null_mut(),
            )
        }
    }
    static ONCE: Once = Once::new();
    // SAFETY: the function is as SQLite calls it.
    ONCE.call_once(|| unsafe {
        assert_eq!(ffi::sqlite3_auto_extension(Some(opened)), ffi::SQLITE_OK);
    });
}

/// One after the other: counters count for the whole program.
fn grows_with_it(open: Open<'_>, counters: Vec<Counter>) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut all = vec![Counter::new("bytes allocated", allocated)];
    all.extend(counters);
    println!("{}", check(open, &all));
}

fn sqlite(folder: &Path, access: Access) -> Arc<dyn Backend> {
    let config = SqliteConfig::new(folder.join("store.db"));
    Arc::new(config.with_synchronous(Synchronous::Normal).open(access))
}

fn duckdb(folder: &Path, access: Access) -> Arc<dyn Backend> {
    Arc::new(DuckDbConfig::new(folder.join("store.duckdb")).open(access))
}

fn delta(folder: &Path, access: Access) -> Arc<dyn Backend> {
    let config = DeltaConfig::new(folder.to_string_lossy());
    Arc::new(config.with_synchronous(Synchronous::Normal).open(access))
}

#[test]
fn on_sqlite() {
    count_steps();
    let steps = || STEPS.load(Ordering::Relaxed);
    grows_with_it(&sqlite, vec![Counter::new("steps", steps)]);
}

#[test]
fn on_sqlite_with_polars() {
    count_steps();
    let steps = || STEPS.load(Ordering::Relaxed);
    let open = |folder: &Path, access| on_polars(sqlite(folder, access));
    grows_with_it(&open, vec![Counter::new("steps", steps)]);
}

#[test]
fn on_duckdb() {
    grows_with_it(&duckdb, Vec::new());
}

#[test]
fn on_duckdb_with_polars() {
    let open = |folder: &Path, access| on_polars(duckdb(folder, access));
    grows_with_it(&open, Vec::new());
}

#[test]
fn on_delta() {
    grows_with_it(&delta, Vec::new());
}
