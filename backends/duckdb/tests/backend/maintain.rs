//! What maintenance does to the file and its log.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use futures::executor::block_on;
use metaxy_duckdb::{DuckDbBackend, DuckDbConfig};
use metaxy_store::backend::append::{Append, Stamp, Times};
use metaxy_store::backend::maintain::{Maintenance, MaintenanceReport, Prune};
use metaxy_store::plan::{Plan, Relation, Scan};
use metaxy_store::{Access, Backend, ErrorKind, FeatureKey, Frame, Result};

const ROWS: i64 = 50_000;

fn table() -> FeatureKey {
    FeatureKey::new("a/b").unwrap()
}

/// Writes the same samples again.
fn write(backend: &DuckDbBackend) {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS));
    let texts = (0..ROWS).map(|i| format!("{:x}", i * 7_919_777_777));
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

fn open(path: &Path) -> DuckDbBackend {
    let config = DuckDbConfig::new(path).with_lock_timeout(Duration::from_secs(5));
    config.open(Access::Write)
}

/// The latest row of every sample.
fn latest(backend: &DuckDbBackend) -> Frame {
    let schema = block_on(backend.schema(&table())).unwrap().unwrap();
    let scan = Scan {
        table: table(),
        feature_version: None,
        as_of: None,
        latest_per: Some(vec!["id".into()]),
    };
    block_on(backend.query(Plan::from(Relation::scan(scan, schema)))).unwrap()
}

fn samples(frame: Frame) -> usize {
    block_on(frame.collect()).unwrap().num_rows()
}

fn prune(backend: &DuckDbBackend) -> Result<u64> {
    let prune = Prune::default().with_id_columns(["id"]);
    block_on(backend.prune(&table(), &prune))
}

fn maintain(backend: &DuckDbBackend, dry_run: bool) -> Result<MaintenanceReport> {
    block_on(backend.maintain(&Maintenance::default().with_dry_run(dry_run)))
}

#[test]
fn the_log_is_written_into_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.duckdb");
    let log = folder.path().join("store.duckdb.wal");
    let backend = open(&path);
    for _ in 0..4 {
        write(&backend);
    }
    assert_eq!(prune(&backend).unwrap(), 3 * ROWS as u64);
    let named = |maintained: &MaintenanceReport| -> Vec<(&str, Option<String>)> {
        let actions = maintained.actions.iter();
        actions.map(|a| (a.name, a.table.clone())).collect()
    };
    let expected = [("optimise", Some("a__b".to_owned())), ("checkpoint", None)];
    let dry = maintain(&backend, true).unwrap();
    assert_eq!(named(&dry), expected);
    let done = maintain(&backend, false).unwrap();
    assert_eq!(named(&done), expected);
    let checkpoint = &done.actions[1];
    assert!(checkpoint.before.bytes > Some(0));
    let now = std::fs::metadata(&path).unwrap().len();
    assert_eq!(checkpoint.after.bytes, Some(now));
    assert!(!log.exists(), "there is no log any more");
    assert_eq!(samples(latest(&backend)), ROWS as usize);
    write(&backend);
    assert_eq!(samples(latest(&backend)), ROWS as usize);
    assert_eq!(prune(&backend).unwrap(), ROWS as u64);
    assert_eq!(samples(latest(&open(&path))), ROWS as usize);
}

#[test]
fn a_result_that_is_being_read_stays_whole() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(&folder.path().join("store.duckdb"));
    write(&backend);
    write(&backend);
    let mut reading = latest(&backend);
    let first = block_on(reading.next()).unwrap().unwrap().num_rows();
    assert_eq!(prune(&backend).unwrap(), ROWS as u64);
    if let Err(error) = maintain(&backend, false) {
        assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
        assert!(error.hint().is_some(), "{error}");
    }
    assert_eq!(first + samples(reading), ROWS as usize);
    maintain(&backend, false).unwrap();
    assert_eq!(samples(latest(&backend)), ROWS as usize);
}

#[test]
fn a_database_in_memory_has_no_size() {
    let backend = DuckDbConfig::new(":memory:").open(Access::Write);
    write(&backend);
    let done = maintain(&backend, false).unwrap();
    assert!(
        done.actions
            .iter()
            .all(|action| action.before.bytes.is_none())
    );
    assert_eq!(samples(latest(&backend)), ROWS as usize);
}
