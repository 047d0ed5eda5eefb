//! What the tests share: stores on a server, and small frames.

#![allow(dead_code, unreachable_pub)] // each test takes what it needs

pub mod listener;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Int64Type};
use futures::executor::block_on;
use metaxy_conformance::cluster::Cluster;
use metaxy_postgres::{PostgresBackend, PostgresConfig};
use metaxy_store::backend::append::{Append, Stamp, Times};
use metaxy_store::plan::{Plan, Relation, Scan};
use metaxy_store::{Access, Backend, Error, FeatureKey};

pub fn cluster() -> &'static Cluster {
    Cluster::shared().unwrap()
}

/// A store in a database of its own, and the address of that.
pub fn store(about: &str) -> (PostgresBackend, String) {
    let url = cluster().database(about).unwrap();
    (open(&url), url)
}

pub fn open(url: &str) -> PostgresBackend {
    PostgresConfig::new(url).unwrap().open(Access::Write)
}

pub fn key(name: &str) -> FeatureKey {
    FeatureKey::new(name).unwrap()
}

/// Samples with a note, and the versions of their feature's one field.
pub fn notes(rows: &[(i64, &str)]) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1)));
    let member = Arc::new(Field::new("default", DataType::Utf8, true));
    let versions: ArrayRef = Arc::new(StructArray::from(vec![(member, texts.clone())]));
    let columns = [
        ("id", ids),
        ("note", texts),
        ("metaxy_provenance_by_field", versions),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

pub fn appended(table: &str, rows: RecordBatch, times: Times) -> Append {
    Append {
        table: key(table),
        id_columns: vec!["id".into()],
        rows: rows.into(),
        times,
        create: true,
    }
}

/// Writes samples at the clock's time.
pub fn write(backend: &dyn Backend, table: &str, rows: &[(i64, &str)]) -> Result<(), Error> {
    let times = Times::Write(Stamp::AfterAll(1_772_366_400_000_000));
    block_on(backend.append(vec![appended(table, notes(rows), times)])).map(drop)
}

pub fn rows(backend: &dyn Backend, table: &str, latest: bool) -> Result<Vec<String>, Error> {
    let schema = block_on(backend.schema(&key(table)))?.unwrap();
    let scan = Scan {
        table: key(table),
        feature_version: None,
        as_of: None,
        latest_per: latest.then(|| vec!["id".into()]),
    };
    let plan = Plan::from(Relation::scan(scan, schema));
    let rows = block_on(async { backend.query(plan).await?.collect().await })?.to_batch()?;
    let ids = rows
        .column_by_name("id")
        .unwrap()
        .as_primitive::<Int64Type>();
    let notes = rows.column_by_name("note").unwrap().as_string::<i32>();
    let mut lines: Vec<String> = (0..rows.num_rows())
        .map(|row| format!("{} {}", ids.value(row), notes.value(row)))
        .collect();
    lines.sort();
    Ok(lines)
}
