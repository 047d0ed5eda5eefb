//! The latest row of each sample, however often its samples were written, and by whom.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use futures::executor::block_on;
use metaxy_duckdb::DuckDbBackend;
use metaxy_store::plan::{Relation, Scan};
use metaxy_store::{Access, Backend, Frame};

use crate::common::{append_of, memory, open, query, sql, table};

/// So many samples that the table is looked at before its rows are grouped.
const MANY: i64 = 60_000;

/// The latest row of each sample that these columns identify.
fn latest_rows(backend: &DuckDbBackend, ids: &[&str]) -> RecordBatch {
    let schema = block_on(backend.schema(&table())).unwrap().unwrap();
    let scan = Scan {
        table: table(),
        feature_version: None,
        as_of: None,
        latest_per: Some(ids.iter().map(|id| (*id).to_owned()).collect()),
    };
    let rows = query(backend, Relation::scan(scan, schema)).unwrap();
    rows.to_batch().unwrap()
}

/// The latest row of each sample but the one `without`: its `v` by its `id`.
fn latest_but(backend: &DuckDbBackend, without: Option<i64>) -> HashMap<i64, String> {
    let batch = latest_rows(backend, &["id"]);
    let ids = batch["id"].as_primitive::<Int64Type>().values().to_vec();
    let values = batch["v"].as_string::<i32>();
    let rows = ids.into_iter().zip(values);
    let rows = rows.filter(|(id, _)| Some(*id) != without);
    let rows: Vec<_> = rows.map(|(id, v)| (id, v.unwrap().to_owned())).collect();
    let number = rows.len();
    let latest: HashMap<_, _> = rows.into_iter().collect();
    assert_eq!(latest.len(), number, "each sample once");
    latest
}

/// All of them.
fn latest(backend: &DuckDbBackend) -> HashMap<i64, String> {
    latest_but(backend, None)
}

fn rows(ids: impl IntoIterator<Item = i64>, value: &str) -> Frame {
    let ids = Int64Array::from_iter_values(ids);
    let values = StringArray::from_iter_values(ids.values().iter().map(|_| value));
    let columns: [(&str, ArrayRef); 2] = [("id", Arc::new(ids)), ("v", Arc::new(values))];
    RecordBatch::try_from_iter(columns).unwrap().into()
}

fn write(backend: &DuckDbBackend, ids: impl IntoIterator<Item = i64>, value: &str) {
    block_on(backend.append(vec![append_of(rows(ids, value))])).unwrap();
}

/// How many samples have each value.
fn counts(latest: &HashMap<i64, String>) -> Vec<(&str, usize)> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for value in latest.values() {
        *counts.entry(value).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable();
    counts
}

#[test]
fn samples_that_are_written_again_count_once() {
    for few in [100, MANY] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder.path().join("store.duckdb"), Access::Write);
        let few_count = usize::try_from(few).unwrap();
        write(&store, 0..few, "first");
        assert_eq!(counts(&latest(&store)), [("first", few_count)]);
        // Some of them, then some of those and others.
        write(&store, (0..few).step_by(10), "second");
        let tenth = few_count / 10;
        assert_eq!(
            counts(&latest(&store)),
            [("first", few_count - tenth), ("second", tenth)]
        );
        write(&store, (0..few).step_by(20), "third");
        write(&store, few..few + 10, "new");
        assert_eq!(
            counts(&latest(&store)),
            [
                ("first", few_count - tenth),
                ("new", 10),
                ("second", tenth / 2),
                ("third", tenth / 2)
            ]
        );
        // Two columns identify a sample, and with the second all rows differ.
        let both = latest_rows(&store, &["id", "v"]);
        assert_eq!(both.num_rows(), few_count + tenth + tenth / 2 + 10);
    }
}

#[test]
fn a_row_that_is_stored_later_but_stamped_earlier_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.duckdb");
    write(&open(&path, Access::Write), 0..MANY, "first");
    insert(&path, "id < 100", "late", "- 86400");
    insert(&path, "id BETWEEN 100 AND 199", "later", "+ 86400");
    insert(&path, "id = 300", "without", "+ NULL");
    let store = open(&path, Access::Read);
    let schema = block_on(store.schema(&table())).unwrap().unwrap();
    assert!(schema.field_with_name("metaxy_updated_at").is_ok());
    // The one that has a row without a stamp may have two.
    let latest = latest_but(&store, Some(300));
    assert_eq!(latest.get(&50).unwrap(), "first");
    assert_eq!(latest.get(&150).unwrap(), "later");
    assert_eq!(latest.get(&250).unwrap(), "first");
}

/// Another program copies rows, with another value and another stamp.
fn insert(path: &Path, which: &str, value: &str, shift: &str) {
    sql(
        path,
        &format!(
            "INSERT INTO a__b SELECT * REPLACE ('{value}' AS v, to_timestamp(epoch_us(metaxy_updated_at) / 1e6 {shift}) AS metaxy_updated_at)
             FROM a__b WHERE {which}"
        ),
    );
}

#[test]
fn what_another_program_did_to_a_closed_file_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.duckdb");
    let read = || latest(&open(&path, Access::Read));
    write(&open(&path, Access::Write), 0..200, "first");
    // What is known of a file that has just changed is not kept.
    let settle = || std::thread::sleep(Duration::from_millis(2_100));
    settle();
    assert_eq!(counts(&read()), [("first", 200)]);
    assert_eq!(counts(&read()), [("first", 200)], "as it was left");

    insert(&path, "id < 50", "second", "+ 86400");
    assert_eq!(counts(&read()), [("first", 150), ("second", 50)]);
    settle();
    assert_eq!(counts(&read()), [("first", 150), ("second", 50)]);

    // What stands in the log only.
    sql(
        &path,
        "PRAGMA disable_checkpoint_on_shutdown; PRAGMA wal_autocheckpoint = '1TB'; DELETE FROM a__b WHERE v = 'second'",
    );
    assert_eq!(counts(&read()), [("first", 200)]);

    sql(
        &path,
        "ALTER TABLE a__b ADD COLUMN extra INTEGER; CREATE TABLE a__c AS FROM a__b",
    );
    let store = open(&path, Access::Read);
    let schema = block_on(store.schema(&table())).unwrap().unwrap();
    assert!(schema.field_with_name("extra").is_ok());
    assert!(block_on(store.tables()).unwrap().contains(&"a__c".into()));
    drop(store);

    settle();
    assert_eq!(counts(&read()), [("first", 200)]);
    // Another file in its place.
    let other = folder.path().join("other.duckdb");
    write(&open(&other, Access::Write), 0..300, "other");
    std::fs::rename(&other, &path).unwrap();
    assert_eq!(counts(&read()), [("other", 300)]);

    sql(&path, "DROP TABLE a__b");
    let store = open(&path, Access::Read);
    assert_eq!(block_on(store.schema(&table())).unwrap(), None);
}

#[test]
fn reads_beside_writes_see_each_sample_once() {
    // Each time a table that was written once is written again.
    for _ in 0..60 {
        let store = memory();
        write(&store, 0..500, "first");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        assert!(latest(&store).len() >= 500);
                    }
                });
            }
            // Some again, and one that lies beyond the others.
            write(&store, (0..500).chain([900]), "again");
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(counts(&latest(&store)), [("again", 501)]);
    }
}
