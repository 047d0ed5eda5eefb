//! What a read holds does not grow with the rows of a table, but for their IDs.

#![allow(unsafe_code)] // an allocator that counts
#![allow(clippy::unwrap_used, clippy::panic)] // a test panics where something is wrong

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};

use arrow::array::{ArrayRef, Int64Array, StringArray};
use common::{add, batch, key, live};
use futures::executor::block_on;
use metaxy_core::Backend;
use metaxy_core::backend::Access;
use metaxy_core::plan::{Plan, Relation, Scan};
use metaxy_delta::{DeltaBackend, DeltaConfig, Synchronous, WriteOptions};
use parquet::file::metadata::ParquetMetaDataReader;

struct Counting;

static HELD: AtomicIsize = AtomicIsize::new(0);
static MOST: AtomicIsize = AtomicIsize::new(0);

fn count(bytes: isize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(held, Ordering::Relaxed);
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Bytes of each row's text.
const TEXT: usize = 400;

fn written(folder: &Path, rows: i64) -> DeltaBackend {
    let options = WriteOptions::default()
        .with_row_group_rows(5_000)
        .with_target_file_size(8 << 20);
    let backend = DeltaConfig::new(folder.to_string_lossy())
        .with_synchronous(Synchronous::Normal)
        .with_write_options(options)
        .open(Access::Write);
    for from in (0..rows).step_by(20_000) {
        let ids = from..from + 20_000;
        // Of texts that compress, there would be little to hold.
        let mut dice = fastrand::Rng::with_seed(from as u64);
        let texts = ids.clone().map(|_| {
            let text = (0..TEXT).map(|_| dice.alphanumeric());
            text.collect::<String>()
        });
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("note", Arc::new(StringArray::from_iter_values(texts))),
            ("id", Arc::new(Int64Array::from_iter_values(ids))),
        ];
        add(&backend, "a", batch(columns)).unwrap();
    }
    backend
}

/// The most bytes that are held while all rows are read.
fn held(backend: &DeltaBackend, rows: i64) -> isize {
    let schema = block_on(backend.schema(&key("a"))).unwrap().unwrap();
    let scan = Scan {
        latest_per: Some(vec!["id".into()]),
        ..Scan::all(key("a"))
    };
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let plan = Plan::from(Relation::scan(scan, schema));
    let mut frame = block_on(backend.query(plan)).unwrap();
    let mut read = 0;
    while let Some(batch) = block_on(frame.next()).unwrap() {
        read += batch.num_rows();
    }
    assert_eq!(read as i64, rows);
    MOST.load(Ordering::Relaxed) - before
}

#[test]
fn what_a_read_holds_grows_with_ids_only() {
    let mut most = Vec::new();
    let sizes = [60_000_i64, 240_000];
    for rows in sizes {
        let folder = tempfile::tempdir().unwrap();
        let backend = written(folder.path(), rows);
        held(&backend, rows);
        most.push(held(&backend, rows));
    }
    let grown = (most[1] - most[0]) / (sizes[1] - sizes[0]) as isize;
    println!("held at most: {most:?} bytes; {grown} bytes for each further row");
    assert!(grown < 100, "{most:?}: {grown} bytes for each further row");
}

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
