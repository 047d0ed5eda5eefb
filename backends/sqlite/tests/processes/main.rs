//! One file, many processes: whoever reads sees whole writes only, whoever writes waits for the others, and nobody fails.
//!
//! The tests run this binary again, as writers, readers and others ([`metaxy_conformance::processes`]). The sizes of
//! `readers_see_whole_writes_while_others_write` can be set:
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `METAXY_PROCESSES_WRITERS` | processes that write | 4 |
//! | `METAXY_PROCESSES_WRITES` | writes of each of them | 20 |
//! | `METAXY_PROCESSES_ROWS` | rows of each write | 50 |
//! | `METAXY_PROCESSES_READERS` | processes that read and resolve in a loop | 2 |
//! | `METAXY_PROCESSES_OVERWRITERS` | how many of the writers write the same samples, again and again | a quarter of them |
//!
//! What the store is held to, 80,000 rows of 8 writers in front of 4 readers:
//!
//! ```sh
//! METAXY_PROCESSES_WRITERS=8 METAXY_PROCESSES_WRITES=200 METAXY_PROCESSES_READERS=4 \
//!     cargo test -p metaxy-sqlite --test processes readers_see -- --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::panic)] // a test panics where something is wrong

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use futures::executor::block_on;
use metaxy_conformance::processes::scenes::{
    Crowd, assert_killed_in_time, assert_made_at_once, assert_missing_store_is_told,
    assert_reads_are_left, assert_whole_or_dropped,
};
use metaxy_conformance::processes::{
    self, OWN, Place, Process, Watch, acknowledged_of, await_signal, finish_all, is_signalled,
    member, own, raw, samples, signal, wait_until,
};
use metaxy_sqlite::SqliteConfig;
use metaxy_store::{Access, Backend, DeleteOptions, ErrorKind, MetadataStore};

#[test]
#[ignore = "what the other tests start as processes of their own"]
fn a_process_of_the_others() {
    processes::play(open_backend);
}

fn open_backend(folder: &Path, access: Access) -> Arc<dyn Backend> {
    Arc::new(SqliteConfig::new(file(folder)).open(access))
}

fn file(folder: &Path) -> PathBuf {
    folder.join("store.db")
}

fn place(folder: &Path) -> Place {
    Place::new(folder, open_backend)
}

fn store(config: SqliteConfig, access: Access) -> MetadataStore {
    processes::store(Arc::new(config.open(access)), access)
}

#[test]
fn readers_see_whole_writes_while_others_write() {
    let folder = tempfile::tempdir().unwrap();
    Crowd::sized(4, 20, 50, 2, 4).meet(&place(folder.path()));
    check_integrity(&file(folder.path()));
}

#[test]
fn a_killed_writer_leaves_whole_writes_and_stops_nobody() {
    let rows = 50;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // 50 rows of 2 MB are more than the cache of a connection holds: half of the write is in the log when the writer dies.
    let stuck = Process::start(folder, format!("stuck 100 {rows} 2000000"));
    await_signal(folder, "stuck");
    // Rows are asked for while those before them are stored.
    wait_until("half of the write in the log", || {
        std::fs::metadata(folder.join("store.db-wal")).is_ok_and(|log| log.len() > 10_000_000)
    });
    let others: Vec<Process> = (0..2)
        .map(|writer| Process::start(folder, format!("writer {writer} 20 {rows}")))
        .collect();
    let reader = Process::start(folder, format!("reader 0 {rows}"));
    assert!(!stuck.kill().success());

    // And at any moment of writes that follow each other without a pause.
    let victims = 101..105;
    for victim in victims.clone() {
        let process = Process::start(folder, format!("writer {victim} 999999 {rows}"));
        wait_until("the victim's first writes", || {
            acknowledged_of(folder, victim) >= 2
        });
        std::thread::sleep(Duration::from_millis(3 * (victim as u64 - 100)));
        assert!(!process.kill().success());
    }
    finish_all(others);
    signal(folder, "done");
    reader.finish();

    let watch = look(folder, rows);
    let seen = |writer| watch.writes_of(writer);
    assert_eq!(seen(100), 0, "the write that was never finished");
    assert_eq!((seen(0), seen(1)), (20, 20));
    assert_killed_in_time(&watch, folder, victims);
    assert_eq!(
        place(folder).stored_rows(),
        watch.seen().len() as i64 * rows
    );
    Process::start(folder, format!("writer 7 1 {rows}")).finish();
    look(folder, rows);
}

#[test]
fn processes_that_make_the_store_at_once_all_succeed() {
    let rounds = 40;
    let folder = tempfile::tempdir().unwrap();
    assert_made_at_once(&place(folder.path()), OWN, rounds, 5);
    for round in 0..rounds {
        check_integrity(&file(&folder.path().join(format!("store-{round}"))));
    }
}

#[test]
fn who_makes_the_store_waits_for_others_at_the_file() {
    let reading = "BEGIN; SELECT count(*) FROM notes";
    let making = "BEGIN IMMEDIATE; INSERT INTO notes VALUES (1)";
    for begin in [reading, making, "BEGIN EXCLUSIVE"] {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path());
        // The file is no store yet, so it has no log beside which readers and a writer get along.
        let other = rusqlite::Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE notes (x)").unwrap();
        other.execute_batch(begin).unwrap();
        let rows = || samples((1, 0), 5, Vec::new());
        let patience = Duration::from_millis(100);
        let hasty = SqliteConfig::new(&path).with_lock_timeout(patience);
        let hasty = store(hasty, Access::Write);
        let start = Instant::now();
        let error = block_on(hasty.write(&raw(), rows())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked, "{begin}: {error}");
        assert!(start.elapsed() >= patience, "{begin}: it did not wait");

        let patient = place(folder.path()).store(Access::Write);
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| block_on(patient.write(&raw(), rows())));
            std::thread::sleep(Duration::from_millis(200));
            other.execute_batch("COMMIT").unwrap();
            let written = writing.join().unwrap();
            assert_eq!(written.unwrap_or_else(|e| panic!("{begin}: {e}")).rows, 5);
        });
    }
}

#[test]
fn columns_are_added_while_others_write() {
    let (writes, rows) = (12, 20);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let reader = Process::start(folder, format!("reader 0 {rows}"));
    let worker = Process::start(folder, "worker");
    let mut writing: Vec<Process> = (0..2)
        .map(|writer| Process::start(folder, format!("writer {writer} {writes} {rows}")))
        .collect();
    writing.push(Process::start(folder, format!("widener 2 {writes} {rows}")));
    finish_all(writing);
    signal(folder, "done");
    finish_all(vec![worker, reader]);

    look(folder, rows);
    let found = place(folder).current().to_batch().unwrap();
    assert_eq!(found.num_rows() as i64, 3 * writes * rows);
    let numbers = |name: &str| found.column_by_name(name).unwrap().clone();
    let (writer, batch) = (numbers("writer"), numbers("batch"));
    let more = numbers("more");
    for added in 0..writes {
        let extra = numbers(&format!("extra_{added}"));
        let inner = more
            .as_struct()
            .column_by_name(&format!("m{added}"))
            .unwrap();
        for row in 0..found.num_rows() {
            let of = |column: &dyn Array| column.as_primitive::<Int64Type>().value(row);
            let its_own = of(&writer) == 2 && of(&batch) == added;
            assert_eq!(extra.is_valid(row), its_own, "extra_{added} in row {row}");
            assert_eq!(
                more.is_valid(row) && inner.is_valid(row),
                its_own,
                "m{added} in row {row}"
            );
        }
    }
}

#[test]
fn a_process_may_end_in_the_middle_of_a_read() {
    let folder = tempfile::tempdir().unwrap();
    assert_reads_are_left(&place(folder.path()), 12);
}

#[test]
fn a_reader_of_a_missing_store_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    assert_missing_store_is_told(&place(folder.path()));
}

#[test]
fn who_cannot_get_the_lock_is_told_so_and_writes_nothing() {
    let rows = 10;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    Process::start(folder, format!("writer 0 2 {rows}")).finish();
    let stuck = Process::start(folder, format!("stuck 1 {rows} 10"));
    await_signal(folder, "stuck");

    let timeout = Duration::from_millis(150);
    let config = SqliteConfig::new(file(folder)).with_lock_timeout(timeout);
    let hasty = store(config, Access::Write);
    let wide = || {
        let further = vec![("surplus".into(), member("x", "y", 5))];
        samples((2, 0), 5, further)
    };
    let before = block_on(hasty.feature_schema(&raw())).unwrap();
    let refused = |what: &str, result: metaxy_store::Result<()>, start: Instant| {
        let error = result.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Locked, "{what}: {error}");
        let hint = error.hint().unwrap_or_default();
        assert!(hint.contains("lock_timeout"), "{what}: {hint}");
        assert!(start.elapsed() >= timeout, "{what} did not wait");
    };
    let start = Instant::now();
    let written = block_on(hasty.write(&raw(), wide()));
    refused("write", written.map(|_| ()), start);
    let start = Instant::now();
    let both = vec![(raw(), wide().into()), (own(0), wide().into())];
    let written = block_on(hasty.write_multi(both, Default::default()));
    refused("write_multi", written.map(|_| ()), start);
    let start = Instant::now();
    let deleted = block_on(hasty.delete(&raw(), DeleteOptions::default()));
    refused("delete", deleted.map(|_| ()), start);
    let start = Instant::now();
    let dropped = block_on(hasty.drop_feature(&raw()));
    refused("drop_feature", dropped.map(|_| ()), start);

    // Readers do not wait, and nothing of all that is there.
    assert_eq!(place(folder).stored_rows(), 2 * rows);
    assert_eq!(block_on(hasty.feature_schema(&raw())).unwrap(), before);
    assert_eq!(block_on(hasty.feature_schema(&own(0))).unwrap(), None);
    assert!(!is_signalled(folder, "release"));

    signal(folder, "release");
    stuck.finish();
    block_on(hasty.write(&raw(), wide())).unwrap();
    assert_eq!(place(folder).stored_rows(), 3 * rows + 5);
    check_integrity(&file(folder));
}

#[test]
fn who_reads_a_table_while_it_is_dropped_gets_it_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, none) = assert_whole_or_dropped(&place(folder.path()), 150, 5);
    assert!(whole > 0 && none > 0, "{whole} reads of {none}");
}

/// What somebody who comes afterwards finds must be right too.
fn look(folder: &Path, rows: i64) -> Watch {
    check_integrity(&file(folder));
    place(folder).look(rows)
}

fn check_integrity(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let text = |sql: &str| -> String { connection.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(text("PRAGMA integrity_check"), "ok");
    assert_eq!(text("PRAGMA journal_mode"), "wal");
}
