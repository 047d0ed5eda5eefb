//! What can be wrong with the file: every case is a clear error and leaves nothing half-made.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use futures::StreamExt;
use futures::executor::block_on;
use metaxy_sqlite::{SqliteBackend, SqliteConfig};
use metaxy_store::backend::append::{Append, Stamp, Times};
use metaxy_store::plan::{Plan, Relation, Scan};
use metaxy_store::{Access, Backend, Error, ErrorKind, FeatureKey, Frame};

fn table() -> FeatureKey {
    FeatureKey::new("a/b").unwrap()
}

fn batch(rows: i64) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..rows).map(|i| format!("value {i}")),
    ));
    RecordBatch::try_from_iter([("id", ids), ("v", texts)]).unwrap()
}

fn append_of(rows: Frame) -> Append {
    Append {
        table: table(),
        id_columns: vec!["id".into()],
        rows,
        times: Times::Write(Stamp::AfterAll(1)),
        create: true,
    }
}

fn write(backend: &SqliteBackend, rows: i64) -> Result<u64, Error> {
    block_on(backend.append(vec![append_of(batch(rows).into())])).map(|a| a.rows)
}

fn stored_rows(backend: &SqliteBackend) -> usize {
    let Some(schema) = block_on(backend.schema(&table())).unwrap() else {
        return 0;
    };
    let scan = Scan {
        table: table(),
        feature_version: None,
        as_of: None,
        latest_per: None,
    };
    let plan = Plan::from(Relation::scan(scan, schema));
    block_on(async { backend.query(plan).await?.collect().await })
        .unwrap()
        .num_rows()
}

fn open(path: &Path, access: Access) -> SqliteBackend {
    SqliteConfig::new(path).open(access)
}

#[test]
fn a_file_that_is_no_database_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let text = "these are notes, not samples ".repeat(100);
    std::fs::write(&path, &text).unwrap();
    for access in [Access::Read, Access::Write] {
        let error = block_on(open(&path, access).schema(&table())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CannotOpen, "{error}");
        assert!(
            error.to_string().contains("notes.txt") && error.hint().is_some(),
            "{error}"
        );
    }
    assert!(write(&open(&path, Access::Write), 1).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_and_a_missing_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = write(&open(folder.path(), Access::Write), 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CannotOpen);
    assert!(error.to_string().contains("is a folder"), "{error}");

    let nowhere = folder.path().join("missing/store.db");
    for access in [Access::Read, Access::Write] {
        let error = block_on(open(&nowhere, access).tables()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CannotOpen);
        assert!(error.to_string().contains("there is no folder"), "{error}");
    }
    assert!(!nowhere.parent().unwrap().exists());
}

#[test]
fn reading_what_does_not_exist_yet_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let reader = open(&path, Access::Read);
    assert_eq!(block_on(reader.schema(&table())).unwrap(), None);
    assert!(!block_on(reader.has_rows(&table())).unwrap());
    assert_eq!(write(&reader, 1).unwrap_err().kind(), ErrorKind::ReadOnly);
    assert!(!path.exists());

    write(&open(&path, Access::Write), 3).unwrap();
    assert_eq!(stored_rows(&reader), 3, "it is there now");
    assert_eq!(write(&reader, 1).unwrap_err().kind(), ErrorKind::ReadOnly);
}

#[test]
fn a_table_of_somebody_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute_batch("CREATE TABLE a__b (x); INSERT INTO a__b VALUES (1)")
        .unwrap();
    let left_alone = || {
        let backend = open(&path, Access::Write);
        for error in [
            write(&backend, 1).unwrap_err(),
            block_on(backend.delete(&table(), None)).unwrap_err(),
            block_on(backend.drop_table(&table())).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::CannotOpen, "{error}");
            assert!(
                error.to_string().contains("a__b")
                    && error.hint().unwrap().contains("table_prefix"),
                "{error}"
            );
        }
    };
    left_alone();
    let prefixed = SqliteConfig::new(&path)
        .with_table_prefix("m_")
        .open(Access::Write);
    write(&prefixed, 2).unwrap();
    assert_eq!(stored_rows(&prefixed), 2);
    // Also beside tables of metaxy's.
    left_alone();
    let rows: i64 = other
        .query_row("SELECT count(*) FROM a__b", [], |r| r.get(0))
        .unwrap();
    assert_eq!(rows, 1);
}

#[test]
fn a_store_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    // Otherwise the page that is written here would not match its checksum.
    let config = SqliteConfig::new(&path).with_checksums(false);
    let open = || config.clone().open(Access::Write);
    write(&open(), 1).unwrap();
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA user_version = 99")
        .unwrap();
    let error = write(&open(), 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("newer"), "{error}");
}

#[test]
fn who_waits_too_long_for_another_writer_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    write(&open(&path, Access::Write), 1).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let hasty = SqliteConfig::new(&path)
        .with_lock_timeout(Duration::from_millis(20))
        .open(Access::Write);
    let error = write(&hasty, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert_eq!(stored_rows(&hasty), 1, "readers do not wait");
    other.execute_batch("ROLLBACK").unwrap();
    write(&hasty, 1).unwrap();
}

#[test]
fn a_full_disk_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    // A file system of its own would need rights that a test has not: a limit on the file's size is the same to SQLite.
    let path = folder.path().join("store.db");
    let backend = SqliteConfig::new(&path)
        .with_max_pages(40)
        .open(Access::Write);
    write(&backend, 10).unwrap();
    let error = write(&backend, 100_000).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
    assert!(
        error.to_string().contains("full") && error.to_string().contains("nothing was written"),
        "{error}"
    );
    assert_eq!(stored_rows(&backend), 10);
    write(&backend, 10).unwrap();
    assert_eq!(stored_rows(&backend), 20);
}

#[test]
fn rows_that_fail_half_way_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let backend = open(&path, Access::Write);
    let broken = Error::new(ErrorKind::Io, "the producer failed");
    let rows = futures::stream::iter([Ok(batch(20_000)), Err(broken)]);
    let frame = Frame::new(batch(0).schema(), rows);
    let error = block_on(backend.append(vec![append_of(frame)])).unwrap_err();
    assert_eq!(error.message(), "the producer failed");
    assert_eq!(block_on(backend.tables()).unwrap(), Vec::<String>::new());

    let null: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    let rows = RecordBatch::try_from_iter([("id", null)]).unwrap();
    let error = block_on(backend.append(vec![append_of(rows.into())])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFrame);
    assert!(error.to_string().contains("\"id\""), "{error}");
    assert_eq!(stored_rows(&backend), 0);
}

#[test]
fn a_write_that_nobody_waits_for_is_undone_or_whole() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(&folder.path().join("store.db"), Access::Write);
    let (mut sender, receiver) = futures::channel::mpsc::channel(1);
    let append = append_of(Frame::new(batch(0).schema(), receiver));
    let mut write = backend.append(vec![append]);
    assert!(futures::FutureExt::now_or_never(&mut write).is_none());
    sender.try_send(Ok(batch(5))).unwrap();
    drop(write);
    // The producer goes on, but there is nobody to acknowledge to.
    drop(sender);
    write_after(&backend);
}

/// Waits for the abandoned write: the next one has to.
fn write_after(backend: &SqliteBackend) {
    write(backend, 7).unwrap();
    assert_eq!(stored_rows(backend), 7);
}

#[test]
fn the_log_does_not_outlast_the_reads_that_keep_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let log = || {
        std::fs::metadata(folder.path().join("store.db-wal"))
            .unwrap()
            .len()
    };
    let backend = open(&path, Access::Write);
    write(&backend, 1).unwrap();
    let reader = || {
        let reader = rusqlite::Connection::open(&path).unwrap();
        reader
            .execute_batch("BEGIN; SELECT count(*) FROM a__b")
            .unwrap();
        reader
    };

    // Beside one long read the log grows, and no write fails for that.
    let long = reader();
    while log() <= 80 << 20 {
        write(&backend, 50_000).unwrap();
    }
    // Two readers of whom one is always there: the next begins before the last one ends.
    let (turn, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let relay = |own: usize| {
        while !done.load(Ordering::Relaxed) {
            let _read = reader();
            turn.fetch_add(1, Ordering::Relaxed);
            while turn.load(Ordering::Relaxed) % 2 != own && !done.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let cut = std::thread::scope(|scope| {
        let others = [0, 1].map(|own| scope.spawn(move || relay(own)));
        while turn.load(Ordering::Relaxed) < 2 {
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(long);
        let until = Instant::now() + Duration::from_secs(15);
        while log() > 64 << 20 && Instant::now() < until {
            write(&backend, 10).unwrap();
        }
        let cut = log();
        done.store(true, Ordering::Relaxed);
        for other in others {
            other.join().unwrap();
        }
        cut
    });
    assert!(cut < 64 << 20, "the log still has {cut} bytes");
    assert_eq!(stored_rows(&backend) % 10, 1, "nothing is lost");
}

#[test]
fn a_memory_store_is_gone_with_its_backend() {
    let first = SqliteConfig::new(":memory:").open(Access::Write);
    write(&first, 3).unwrap();
    assert_eq!(stored_rows(&first), 3);
    let second = SqliteConfig::new(":memory:").open(Access::Write);
    assert_eq!(stored_rows(&second), 0);
}

#[test]
fn a_panic_of_a_producer_reaches_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(&folder.path().join("store.db"), Access::Write);
    write(&backend, 3).unwrap();
    let schema = batch(0).schema();
    let rows = futures::stream::iter([0])
        .map(|_| -> Result<RecordBatch, Error> { panic!("no rows today") });
    let plan = Plan {
        relation: Relation::frame(0, schema.clone()),
        frames: vec![Frame::new(schema, rows)],
    };
    // The frame is polled where its owner is: the panic is not an end of the result, nor one of the store.
    let query = || block_on(async { backend.query(plan).await?.collect().await });
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(query));
    assert!(result.is_err());
    assert_eq!(stored_rows(&backend), 3);
}
