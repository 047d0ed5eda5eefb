//! Columns of every type survive a round trip; names and values are just names and values.

use std::sync::Arc;

use arrow::array::*;
use arrow::compute::cast;
use arrow::datatypes::*;
use futures::executor::block_on;
use metaxy_sqlite::{SqliteBackend, SqliteConfig};
use metaxy_store::backend::append::{Append, Times};
use metaxy_store::expr::{Expr, col};
use metaxy_store::plan::{Plan, Relation, Scalar, Scan};
use metaxy_store::{Access, Backend, Error, ErrorKind, FeatureKey};

fn backend() -> SqliteBackend {
    SqliteConfig::new(":memory:").open(Access::Write)
}

fn table() -> FeatureKey {
    FeatureKey::new("t").unwrap()
}

fn append(backend: &SqliteBackend, rows: RecordBatch) -> Result<(), Error> {
    let append = Append {
        table: table(),
        id_columns: vec![],
        rows: rows.into(),
        times: Times::Keep,
        create: true,
    };
    block_on(backend.append(vec![append])).map(|_| ())
}

fn read(backend: &SqliteBackend, filter: Option<Expr>) -> Result<RecordBatch, Error> {
    let schema = block_on(backend.schema(&table()))?.unwrap();
    let scan = Scan {
        table: table(),
        feature_version: None,
        as_of: None,
        latest_per: None,
    };
    let mut relation = Relation::scan(scan, schema.clone());
    if let Some(filter) = filter {
        relation = relation.filter(Scalar::Test(filter.bind(&schema)?))?;
    }
    block_on(async { backend.query(Plan::from(relation)).await?.collect().await })?.to_batch()
}

fn columns() -> Vec<(&'static str, ArrayRef)> {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(0), Some(1), None, Some(100)]));
    let to = |t: DataType| cast(&numbers, &t).unwrap();
    let small = |t: DataType| {
        let i: ArrayRef = Arc::new(Int32Array::from(vec![Some(0), Some(1), None, Some(100)]));
        cast(&i, &t).unwrap()
    };
    let text = StringArray::from(vec![
        Some("a'b"),
        Some(""),
        None,
        Some("日本\0\"; DROP TABLE t; --"),
    ]);
    let mut list = ListBuilder::new(StringBuilder::new());
    list.append_value([Some("x"), None]);
    list.append_value([] as [Option<&str>; 0]);
    list.append_null();
    list.append_value([Some("\"quoted\"")]);
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for row in 0..4 {
        if row != 1 {
            map.keys().append_value(format!("k{row}"));
            map.values().append_value(row);
        }
        map.append(row != 2).unwrap();
    }
    let nested = StructArray::from(vec![
        (
            Arc::new(Field::new("n", DataType::Int64, true)),
            numbers.clone(),
        ),
        (
            Arc::new(Field::new("by field", DataType::Utf8, true)),
            Arc::new(text.clone()) as ArrayRef,
        ),
    ]);
    vec![
        (
            "bool",
            Arc::new(BooleanArray::from(vec![
                Some(true),
                Some(false),
                None,
                Some(true),
            ])),
        ),
        ("i8", to(DataType::Int8)),
        ("i16", to(DataType::Int16)),
        ("i32", to(DataType::Int32)),
        (
            "i64",
            Arc::new(Int64Array::from(vec![
                Some(i64::MIN),
                Some(i64::MAX),
                None,
                Some(0),
            ])),
        ),
        ("u8", to(DataType::UInt8)),
        ("u16", to(DataType::UInt16)),
        ("u32", to(DataType::UInt32)),
        ("u64", to(DataType::UInt64)),
        ("f32", to(DataType::Float32)),
        (
            "f64",
            Arc::new(Float64Array::from(vec![
                Some(f64::NAN),
                Some(-0.5),
                None,
                Some(f64::INFINITY),
            ])),
        ),
        ("utf8", Arc::new(text.clone())),
        (
            "binary",
            Arc::new(BinaryArray::from(vec![
                Some(b"\0\xff".as_ref()),
                Some(b""),
                None,
                Some(b"x"),
            ])),
        ),
        ("date32", small(DataType::Date32)),
        ("date64", to(DataType::Date64)),
        ("time32", small(DataType::Time32(TimeUnit::Second))),
        ("time64", to(DataType::Time64(TimeUnit::Nanosecond))),
        ("ts_s", to(DataType::Timestamp(TimeUnit::Second, None))),
        (
            "ts_ms",
            to(DataType::Timestamp(
                TimeUnit::Millisecond,
                Some("+02:00".into()),
            )),
        ),
        (
            "ts_us",
            to(DataType::Timestamp(
                TimeUnit::Microsecond,
                Some("UTC".into()),
            )),
        ),
        ("ts_ns", to(DataType::Timestamp(TimeUnit::Nanosecond, None))),
        ("duration", to(DataType::Duration(TimeUnit::Millisecond))),
        ("decimal", to(DataType::Decimal128(10, 2))),
        ("long_decimal", to(DataType::Decimal128(38, 10))),
        (
            "enum",
            cast(
                &text,
                &DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            )
            .unwrap(),
        ),
        ("list", Arc::new(list.finish())),
        ("map", Arc::new(map.finish())),
        ("struct", Arc::new(nested)),
    ]
}

#[test]
fn every_type_survives() {
    let backend = backend();
    let written = RecordBatch::try_from_iter(columns()).unwrap();
    append(&backend, written.clone()).unwrap();
    let back = read(&backend, None).unwrap();
    for (field, array) in written.schema().fields().iter().zip(written.columns()) {
        let stored = back.column_by_name(field.name()).unwrap();
        assert_eq!(stored.data_type(), field.data_type(), "{}", field.name());
        let same = match field.name().as_str() {
            // NaN is not equal to itself, so compare the bits.
            "f64" => {
                let bits = |a: &ArrayRef| -> Vec<_> {
                    a.as_primitive::<Float64Type>()
                        .iter()
                        .map(|v| v.map(f64::to_bits))
                        .collect()
                };
                bits(stored) == bits(array)
            }
            _ => stored.as_ref() == array.as_ref(),
        };
        assert!(same, "{}: {stored:?} instead of {array:?}", field.name());
    }
}

/// The database means by a filter what the evaluator means, on every column that can be compared.
#[test]
fn filters_mean_what_they_say() {
    let backend = backend();
    let rows = RecordBatch::try_from_iter(columns()).unwrap();
    append(&backend, rows.clone()).unwrap();
    let filters = [
        "i64 = -9223372036854775808",
        "i64 >= 9223372036854775807",
        "i64 < 9223372036854775808",
        "u64 > 0.5",
        "f64 > 1e300",
        "f64 >= -0.5 AND f64 < 1",
        "f64 = f64",
        "f32 IN (1, 100.0)",
        "utf8 = 'a''b' OR utf8 = ''",
        "utf8 >= '日'",
        "NOT bool",
        "bool IS NOT TRUE",
        "date32 > '1970-01-01'",
        "date64 = '1970-01-01'",
        "ts_s >= '1970-01-01 00:00:01'",
        "ts_ms < '1970-01-01 00:00:00.100'",
        "ts_us = '1970-01-01 00:00:00.0001'",
        "ts_ns > '1970-01-01'",
        "ts_s > ts_ms",
        "decimal > 0.5",
        "decimal IN (1, 100.00)",
        "enum = ''",
        "enum IS NULL",
        "list IS NOT NULL",
        "struct IS NULL",
        "u8 NOT IN (1, NULL)",
    ];
    for text in filters {
        let filter = Expr::parse(text).unwrap();
        let bound = filter.bind(&rows.schema()).unwrap();
        let expected = bound
            .evaluate(&rows)
            .unwrap()
            .iter()
            .filter(|p| *p == Some(true))
            .count();
        let found = read(&backend, Some(filter)).map(|b| b.num_rows());
        assert_eq!(found.unwrap_or(usize::MAX), expected, "{text}");
    }
}

#[test]
fn names_and_values_are_no_sql() {
    let backend = backend();
    let names = [
        "a\"b",
        "x'; DROP TABLE t; --",
        "select",
        "[brackets]",
        "`tick`",
        "日本",
        "a.b",
        "semi;colon",
        "rowid",
        "_rowid_",
        "oid",
        "?1",
        ":p",
    ];
    let column = |name: &&str| -> ArrayRef {
        Arc::new(StringArray::from(vec![format!("{name}' OR '1'='1")]))
    };
    let rows = RecordBatch::try_from_iter(names.iter().map(|n| (*n, column(n)))).unwrap();
    append(&backend, rows.clone()).unwrap();
    assert_eq!(read(&backend, None).unwrap().columns(), rows.columns());
    for name in names {
        let value = format!("{name}' OR '1'='1");
        let hit = read(&backend, Some(col(name).eq(value.as_str()))).unwrap();
        assert_eq!(hit.num_rows(), 1, "{name}");
        let miss = read(&backend, Some(col(name).eq("' OR '1'='1"))).unwrap();
        assert_eq!(miss.num_rows(), 0, "{name}");
    }
}

#[test]
fn columns_named_like_constants_are_columns() {
    let backend = backend();
    let bools = |values: Vec<bool>| -> ArrayRef { Arc::new(BooleanArray::from(values)) };
    let rows = RecordBatch::try_from_iter([
        ("true", bools(vec![false, true])),
        ("FALSE", bools(vec![true, false])),
        ("null", bools(vec![true, true])),
        ("current_time", bools(vec![false, false])),
    ])
    .unwrap();
    append(&backend, rows).unwrap();
    for (filter, hits) in [
        ("\"true\" = TRUE", 1),
        ("\"true\" IS TRUE", 1),
        ("\"true\" IS NOT TRUE", 1),
        ("\"FALSE\" = FALSE", 1),
        ("\"FALSE\" IN (FALSE)", 1),
        ("\"null\" IS NULL", 0),
        ("\"current_time\" OR FALSE", 0),
    ] {
        let rows = read(&backend, Some(Expr::parse(filter).unwrap())).unwrap();
        assert_eq!(rows.num_rows(), hits, "{filter}");
    }
}

#[test]
fn names_that_differ_in_case_only_are_refused() {
    let backend = backend();
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let rows =
        RecordBatch::try_from_iter([("Path", text.clone()), ("path", text.clone())]).unwrap();
    let error = append(&backend, rows).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFrame);
    assert!(
        error.to_string().contains("\"Path\" and \"path\""),
        "{error}"
    );
    let one = RecordBatch::try_from_iter([("Path", text.clone())]).unwrap();
    append(&backend, one).unwrap();
    let other = RecordBatch::try_from_iter([("path", text)]).unwrap();
    assert!(append(&backend, other).is_err());
    assert_eq!(read(&backend, None).unwrap().num_columns(), 1);
}

#[test]
fn what_does_not_fit_is_refused_whole() {
    let backend = backend();
    let ints = |v: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(v)) };
    append(
        &backend,
        RecordBatch::try_from_iter([("n", ints(vec![1]))]).unwrap(),
    )
    .unwrap();

    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let error = append(
        &backend,
        RecordBatch::try_from_iter([("n", texts.clone())]).unwrap(),
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFrame);
    assert!(
        ["\"n\"", "Int64", "Utf8"]
            .iter()
            .all(|part| error.to_string().contains(part)),
        "{error}"
    );

    let huge: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX]));
    let error = append(&backend, RecordBatch::try_from_iter([("u", huge)]).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFrame);
    assert!(
        error.to_string().contains("18446744073709551615"),
        "{error}"
    );

    // A column of nulls takes the table's type, or waits until it has one; a narrower integer fits; a new column is added.
    let nulls: ArrayRef = Arc::new(NullArray::new(1));
    let rows = RecordBatch::try_from_iter([("n", nulls.clone()), ("later", nulls)]).unwrap();
    append(&backend, rows).unwrap();
    let small: ArrayRef = Arc::new(Int8Array::from(vec![7]));
    append(
        &backend,
        RecordBatch::try_from_iter([("n", small), ("later", texts)]).unwrap(),
    )
    .unwrap();
    let all = read(&backend, None).unwrap();
    let expected: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(7)]));
    assert_eq!(all.column_by_name("n").unwrap().as_ref(), expected.as_ref());
    assert_eq!(all.column_by_name("later").unwrap().null_count(), 2);
    assert_eq!(all.num_columns(), 2);
}
