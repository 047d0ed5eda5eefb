//! What maintenance does to the file and its log, and what it does when others are in the way.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use futures::executor::block_on;
use metaxy_sqlite::{SqliteBackend, SqliteConfig};
use metaxy_store::backend::append::{Append, Stamp, Times};
use metaxy_store::backend::maintain::{MaintainAction, Maintenance, Prune};
use metaxy_store::{Access, Backend, ErrorKind, FeatureKey};
use rusqlite::Connection;

const ROWS: i64 = 2_000;

fn table() -> FeatureKey {
    FeatureKey::new("a/b").unwrap()
}

/// Writes the same samples again.
fn write(backend: &SqliteBackend) {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS));
    let texts = (0..ROWS).map(|i| format!("{i} ").repeat(100));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    let batch = RecordBatch::try_from_iter([("id", ids), ("v", texts)]).unwrap();
    let append = Append {
        table: table(),
        id_columns: vec!["id".into()],
        rows: batch.into(),
        times: Times::Write(Stamp::AfterAll(1)),
        create: true,
    };
    block_on(backend.append(vec![append])).unwrap();
}

fn open(path: &Path, timeout: Duration) -> SqliteBackend {
    let config = SqliteConfig::new(path).with_lock_timeout(timeout);
    config.open(Access::Write)
}

fn prune(backend: &SqliteBackend) -> u64 {
    let prune = Prune::default().with_id_columns(["id"]);
    block_on(backend.prune(&table(), &prune)).unwrap()
}

fn actions(backend: &SqliteBackend, dry_run: bool) -> [MaintainAction; 3] {
    let maintenance = Maintenance::default().with_dry_run(dry_run);
    let maintained = block_on(backend.maintain(&maintenance)).unwrap();
    maintained.actions.try_into().unwrap()
}

fn bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

#[test]
fn the_file_becomes_as_small_as_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let log = folder.path().join("store.db-wal");
    let backend = open(&path, Duration::from_secs(30));
    for _ in 0..5 {
        write(&backend);
    }
    assert_eq!(prune(&backend), 4 * ROWS as u64);
    let before = (bytes(&path), bytes(&log));
    assert!(before.1 > 0, "there is a log");

    let [checkpoint, optimise, vacuum] = actions(&backend, true);
    let names = [checkpoint.name, optimise.name, vacuum.name];
    assert_eq!(names, ["checkpoint", "optimise", "vacuum"]);
    assert_eq!(checkpoint.before.bytes, Some(before.1));
    assert_eq!(checkpoint.after.bytes, Some(0));
    let (all, expected) = (vacuum.before.bytes.unwrap(), vacuum.after.bytes.unwrap());
    assert!(expected < all / 2, "{expected} of {all}");
    assert_eq!((bytes(&path), bytes(&log)), before, "nothing was changed");

    let [checkpoint, _, vacuum] = actions(&backend, false);
    assert_eq!(checkpoint.after.bytes, Some(0));
    assert_eq!(vacuum.before.bytes, Some(all));
    assert_eq!(vacuum.after.bytes, Some(bytes(&path)));
    assert!(bytes(&path) <= expected + all / 10, "{}", bytes(&path));
    assert_eq!(bytes(&log), 0, "the log is empty");

    let reader = SqliteConfig::new(&path).open(Access::Read);
    assert!(block_on(reader.has_rows(&table())).unwrap());
    write(&backend);
    assert_eq!(prune(&backend), ROWS as u64, "writes go on");
}

#[test]
fn whoever_is_in_the_way_is_waited_for_but_not_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let timeout = Duration::from_millis(200);
    let backend = open(&path, timeout);
    write(&backend);
    let other = Connection::open(&path).unwrap();
    for (begin, end) in [
        ("BEGIN IMMEDIATE", "ROLLBACK"),
        ("BEGIN; SELECT COUNT(*) FROM \"a__b\"", "COMMIT"),
    ] {
        other.execute_batch(begin).unwrap();
        write_if(&backend, begin);
        let start = Instant::now();
        let error = block_on(backend.maintain(&Maintenance::default())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked, "{begin}: {error}");
        assert!(error.hint().is_some(), "{error}");
        assert!(start.elapsed() < 20 * timeout, "{:?}", start.elapsed());
        other.execute_batch(end).unwrap();
    }
    actions(&backend, false);
}

/// Beside a reader others write, so that there is a log that the reader does not see.
fn write_if(backend: &SqliteBackend, begin: &str) {
    if !begin.contains("IMMEDIATE") {
        write(backend);
    }
}

#[test]
fn a_file_of_somebody_else_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    let other = Connection::open(&path).unwrap();
    let fill = "PRAGMA page_size = 4096; CREATE TABLE a__b (id INTEGER, v TEXT);
        INSERT INTO a__b VALUES (1, 'x'), (1, 'y')";
    other.execute_batch(fill).unwrap();
    let backend = open(&path, Duration::from_secs(1));
    let maintained = block_on(backend.maintain(&Maintenance::default())).unwrap();
    assert_eq!(maintained.actions, []);
    for dry_run in [true, false] {
        let prune = Prune::default()
            .with_id_columns(["id"])
            .with_dry_run(dry_run);
        let error = block_on(backend.prune(&table(), &prune)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CannotOpen, "{error}");
    }
    let rows: i64 = other
        .query_row("SELECT COUNT(*) FROM a__b", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 2);
}
