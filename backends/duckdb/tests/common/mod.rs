//! What several of these tests do: appends and reads of one table, and other programs' statements.

#![allow(dead_code)] // no test uses all of it

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use duckdb::Connection;
use futures::executor::block_on;
use metaxy_duckdb::{DuckDbBackend, DuckDbConfig};
use metaxy_store::backend::append::{Append, Stamp, Times};
use metaxy_store::expr::Expr;
use metaxy_store::plan::{Plan, Relation, Scalar, Scan};
use metaxy_store::{Access, Backend, Error, FeatureKey, Frame, Rows};

pub(crate) fn open(path: &Path, access: Access) -> DuckDbBackend {
    DuckDbConfig::new(path).open(access)
}

pub(crate) fn memory() -> DuckDbBackend {
    DuckDbConfig::new(":memory:").open(Access::Write)
}

/// The feature of all tests; its table is `a__b`.
pub(crate) fn table() -> FeatureKey {
    FeatureKey::new("a/b").unwrap()
}

pub(crate) fn batch(rows: i64) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..rows).map(|i| format!("value {i}")),
    ));
    RecordBatch::try_from_iter([("id", ids), ("v", texts)]).unwrap()
}

/// Rows of one column.
pub(crate) fn column(name: &str, values: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([(name, values)]).unwrap()
}

/// Rows that are stamped as a write stamps them.
pub(crate) fn append_of(rows: Frame) -> Append {
    Append {
        table: table(),
        id_columns: vec!["id".into()],
        rows,
        times: Times::Write(Stamp::AfterAll(1)),
        create: true,
    }
}

pub(crate) fn write(backend: &DuckDbBackend, rows: i64) -> Result<u64, Error> {
    block_on(backend.append(vec![append_of(batch(rows).into())])).map(|a| a.rows)
}

/// Rows as they are, without stamps.
pub(crate) fn append(backend: &DuckDbBackend, rows: RecordBatch) -> Result<(), Error> {
    let append = Append {
        table: table(),
        id_columns: vec![],
        rows: rows.into(),
        times: Times::Keep,
        create: true,
    };
    block_on(backend.append(vec![append])).map(|_| ())
}

/// All rows of the table.
pub(crate) fn scan(backend: &DuckDbBackend) -> Result<Option<Relation>, Error> {
    let schema = block_on(backend.schema(&table()))?;
    let scan = Scan {
        table: table(),
        feature_version: None,
        as_of: None,
        latest_per: None,
    };
    Ok(schema.map(|schema| Relation::scan(scan, schema)))
}

pub(crate) fn query(backend: &DuckDbBackend, plan: impl Into<Plan>) -> Result<Rows, Error> {
    let plan = plan.into();
    block_on(async { backend.query(plan).await?.collect().await })
}

pub(crate) fn read(backend: &DuckDbBackend) -> Result<RecordBatch, Error> {
    let relation = scan(backend)?.expect("there is a table");
    query(backend, relation)?.to_batch()
}

pub(crate) fn read_where(backend: &DuckDbBackend, filter: &Expr) -> Result<RecordBatch, Error> {
    let relation = scan(backend)?.expect("there is a table");
    let condition = Scalar::Test(filter.bind(relation.schema())?);
    query(backend, relation.filter(condition)?)?.to_batch()
}

pub(crate) fn stored_rows(backend: &DuckDbBackend) -> usize {
    match scan(backend).unwrap() {
        Some(relation) => query(backend, relation).unwrap().num_rows(),
        None => 0,
    }
}

/// What another program does to a file, which no store of this process may have open.
pub(crate) fn sql(path: &Path, statements: &str) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(statements).unwrap();
}

/// A number that another program finds in a file.
pub(crate) fn number(path: &Path, statement: &str) -> i64 {
    let connection = Connection::open(path).unwrap();
    connection
        .query_row(statement, [], |row| row.get(0))
        .unwrap()
}
