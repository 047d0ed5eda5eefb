//! What a read holds in memory: the engine decodes whole groups of rows, several at once.

#![allow(clippy::unwrap_used, clippy::panic)] // a test panics where something is wrong

mod common;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use common::{add, batch, live};
use metaxy_core::backend::Access;
use metaxy_delta::{DeltaConfig, Synchronous};
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
