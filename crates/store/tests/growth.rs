//! The work of every store with every engine grows as its rows, filters and features do: `cargo test -p metaxy-store --all-features --test growth`.
//! See [`metaxy_conformance::growth`].

#![allow(clippy::unwrap_used, unsafe_code)] // a test panics where something is wrong; what is counted is counted in C, too
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::cell::RefCell;
use std::ffi::{c_int, c_uint, c_void};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};

use metaxy_conformance::cluster::Cluster;
use metaxy_conformance::growth::{Counter, Open, check};
use metaxy_store::Access;
use metaxy_store::backend::Backend;
use metaxy_store::delta::DeltaConfig;
use metaxy_store::duckdb::DuckDbConfig;
use metaxy_store::polars::on_polars;
use metaxy_store::postgres::PostgresConfig;
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

/// The database of the folder, whose address is in it. It is made with the first store, and logs the plan of each statement with its rows.
fn postgres(server: &Cluster, folder: &Path, access: Access) -> Arc<dyn Backend> {
    let address = folder.join("address");
    let url = std::fs::read_to_string(&address).unwrap_or_else(|_| {
        let url = server.database("growth").unwrap();
        let settings = [
            "session_preload_libraries = 'auto_explain'",
            "auto_explain.log_min_duration = 0",
            "auto_explain.log_analyze = on",
            "auto_explain.log_timing = off",
            "auto_explain.log_format = json",
            // Each worker would tell its own part once more.
            "max_parallel_workers_per_gather = 0",
        ];
        let name = url.rsplit('/').next().unwrap();
        // An extension's settings are known where it is loaded.
        let mut statements = vec!["LOAD 'auto_explain'".to_owned()];
        statements.extend(settings.map(|it| format!("ALTER DATABASE \"{name}\" SET {it}")));
        server.sql(server.url(), &statements.join("; ")).unwrap();
        std::fs::write(&address, &url).unwrap();
        url
    });
    let config = PostgresConfig::new(&url).unwrap();
    Arc::new(config.with_pool_size(2).open(access))
}

/// Rows that the nodes of plans have given or left out, of all statements of a server that have ended.
struct PlannedRows {
    log: File,
    line: String,
    rows: u64,
    /// How often the node was run of which lines are read.
    runs: u64,
    /// How many rows it gave each time.
    each: u64,
}

impl PlannedRows {
    fn of(server: &Cluster) -> Self {
        Self {
            log: File::open(server.log().unwrap()).unwrap(),
            line: String::new(),
            rows: 0,
            runs: 0,
            each: 0,
        }
    }

    /// Reads what has been logged since.
    fn read(&mut self) -> u64 {
        let mut text = Vec::new();
        self.log.read_to_end(&mut text).unwrap();
        for piece in String::from_utf8_lossy(&text).split_inclusive('\n') {
            self.line.push_str(piece);
            if piece.ends_with('\n') {
                let line = std::mem::take(&mut self.line);
                self.add(line.trim());
            }
        }
        self.rows
    }

    /// A line of a plan: a member of a node, such as `"Actual Rows": 3,`. What a node gave stands before how often it was run, and that
    /// before what it left out.
    fn add(&mut self, line: &str) {
        let Some((name, value)) = line.trim_end_matches(',').split_once("\": ") else {
            return;
        };
        let number = || -> u64 { value.parse::<f64>().unwrap().ceil() as u64 };
        match name.trim_start_matches('"') {
            "Actual Rows" => self.each = number(),
            "Actual Loops" => {
                self.runs = number();
                self.rows += self.each * self.runs;
            }
            removed if removed.starts_with("Rows Removed by") => self.rows += number() * self.runs,
            _ => {}
        }
    }
}

/// A server of its own, whose log is read.
fn grows_on_postgres(wrap: fn(Arc<dyn Backend>) -> Arc<dyn Backend>) {
    let server = Cluster::start().unwrap();
    let open = |folder: &Path, access| wrap(postgres(&server, folder, access));
    let rows = RefCell::new(PlannedRows::of(&server));
    let read = move || rows.borrow_mut().read();
    grows_with_it(&open, vec![Counter::new("rows of plans", read)]);
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

#[test]
fn on_postgres() {
    grows_on_postgres(|store| store);
}

#[test]
fn on_postgres_with_polars() {
    grows_on_postgres(on_polars);
}
