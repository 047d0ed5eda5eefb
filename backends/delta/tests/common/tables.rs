//! Rows for tables, and what lies in their folders.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use futures::executor::block_on;
use metaxy_store::backend::append::{Append, Stamp, Times};
use metaxy_store::{Backend, FeatureKey, Frame, Result};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

/// A time that rows are stamped with.
pub(crate) const NOON: i64 = 1_772_366_400_000_000;

pub(crate) fn key(text: &str) -> FeatureKey {
    FeatureKey::new(text).unwrap()
}

pub(crate) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

pub(crate) fn notes(rows: &[(i64, &str)]) -> RecordBatch {
    batch(vec![
        (
            "id",
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.0))),
        ),
        (
            "note",
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.1))),
        ),
    ])
}

pub(crate) fn at(table: &str, rows: impl Into<Frame>, stamp: Stamp) -> Append {
    Append {
        table: key(table),
        id_columns: vec!["id".into()],
        rows: rows.into(),
        times: Times::Write(stamp),
        create: true,
    }
}

pub(crate) fn add(backend: &impl Backend, table: &str, rows: impl Into<Frame>) -> Result<u64> {
    let append = at(table, rows, Stamp::AfterAll(NOON));
    Ok(block_on(backend.append(vec![append]))?.rows)
}

/// The lines of all commits of a table.
pub(crate) fn commits(table: &Path) -> Vec<Vec<Value>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(table.join("_delta_log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    let lines = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    files.iter().map(lines).collect()
}

/// The files of a table in the order of their modification times, as the log tells.
pub(crate) fn live(table: &Path) -> Vec<Value> {
    let mut files: Vec<Value> = Vec::new();
    for line in commits(table).into_iter().flatten() {
        if let Some(add) = line.get("add") {
            files.push(add.clone());
        }
        if let Some(remove) = line.get("remove") {
            files.retain(|file| file["path"] != remove["path"]);
        }
    }
    files.sort_by_key(|file| (file["modificationTime"].as_i64(), file["path"].to_string()));
    files
}

/// The rows of a table, in storage order.
pub(crate) fn rows(table: &Path) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    for file in live(table) {
        let file = std::fs::File::open(table.join(file["path"].as_str().unwrap())).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .unwrap()
            .build()
            .unwrap();
        batches.extend(reader.map(|batch| batch.unwrap()));
    }
    batches
}

/// Ids and notes of a table, in storage order.
pub(crate) fn lines(table: &Path) -> Vec<String> {
    use arrow::array::AsArray;
    let mut lines = Vec::new();
    for batch in rows(table) {
        let ids = batch.column_by_name("id").unwrap();
        let ids = ids.as_primitive::<arrow::datatypes::Int64Type>();
        let notes = batch.column_by_name("note").unwrap().as_string::<i32>();
        for row in 0..batch.num_rows() {
            lines.push(format!("{} {}", ids.value(row), notes.value(row)));
        }
    }
    lines
}

/// The stamps of a table, in storage order.
pub(crate) fn stamps(table: &Path) -> Vec<i64> {
    use arrow::array::AsArray;
    let stamp = |batch: &RecordBatch| {
        let stamps = batch.column_by_name("metaxy_updated_at").unwrap();
        let stamps = stamps.as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
        stamps.values().to_vec()
    };
    rows(table).iter().flat_map(stamp).collect()
}
