//! What a read holds in memory: the engine decodes whole groups of rows, several at once.

#![allow(clippy::unwrap_used, clippy::panic)] // a test panics where something is wrong

mod common;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use common::{add, batch, live};
use futures::executor::block_on;
use metaxy_delta::{DeltaConfig, Synchronous};
use metaxy_store::backend::{Access, Backend};
use metaxy_store::plan::{Plan, Relation, Scan};
use parquet::file::metadata::ParquetMetaDataReader;

#[test]
fn rows_are_stored_in_groups_of_which_some_fit_into_memory() {
    let folder = tempfile::tempdir().unwrap();
    let backend = DeltaConfig::new(folder.path().to_string_lossy())
        .with_synchronous(Synchronous::Normal)
        .open(Access::Write);
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..150_000));
    add(&backend, "a", batch(vec![("id", ids)])).unwrap();
    let table = folder.path().join("a.delta");
    let file = live(&table)[0]["path"].as_str().unwrap().to_owned();
    let file = std::fs::File::open(table.join(file)).unwrap();
    let footer = ParquetMetaDataReader::new()
        .parse_and_finish(&file)
        .unwrap();
    let rows = footer.row_groups().iter().map(|group| group.num_rows());
    assert_eq!(rows.collect::<Vec<_>>(), [65_536, 65_536, 18_928]);
}

/// Whoever takes rows slowly, or leaves after a few, holds some groups of them and the IDs, not what the engine could decode meanwhile.
#[test]
#[cfg_attr(
    not(target_os = "linux"),
    ignore = "tells the memory of a process by /proc"
)]
fn a_read_holds_a_few_groups_of_rows() {
    const ROWS: i64 = 1_200_000;
    const COLUMNS: usize = 8;
    let folder = tempfile::tempdir().unwrap();
    let backend = DeltaConfig::new(folder.path().to_string_lossy())
        .with_synchronous(Synchronous::Normal)
        .open(Access::Write);
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS));
    let texts: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..ROWS).map(|id| {
            format!("a text that is not short, and not that of another row: {id}")
        })));
    let names: Vec<String> = (0..COLUMNS).map(|at| format!("text_{at}")).collect();
    let mut columns = vec![("id", ids)];
    columns.extend(names.iter().map(|name| (name.as_str(), texts.clone())));
    add(&backend, "a", batch(columns)).unwrap();
    drop(texts);

    let key = "a".parse().unwrap();
    let schema = block_on(backend.schema(&key)).unwrap().unwrap();
    let scan = Scan {
        latest_per: Some(vec!["id".into()]),
        ..Scan::all(key)
    };
    let before = start_counting();
    let mut rows = block_on(backend.query(Plan::from(Relation::scan(scan, schema)))).unwrap();
    assert!(block_on(rows.next()).unwrap().is_some());
    // The engine has time to do more than it was asked for.
    std::thread::sleep(std::time::Duration::from_millis(500));
    drop(rows);
    let held = most_so_far() - before;
    // A group has 42 MB of texts, all have 770.
    assert!(held < 250_000, "{held} kB");
}

/// Forgets the most memory that this process has had, and tells in kB what it has.
fn start_counting() -> i64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    of_process("VmRSS:")
}

fn most_so_far() -> i64 {
    of_process("VmHWM:")
}

fn of_process(name: &str) -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
