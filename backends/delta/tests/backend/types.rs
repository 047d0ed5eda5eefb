//! Types survive: what is appended is what the schema gives, whatever Delta has of its own.

use std::path::Path;
use std::sync::Arc;

use crate::common::{add, batch, commits, key};
use arrow::array::*;
use arrow::datatypes::{DataType, Field, Int32Type, TimeUnit};
use futures::executor::block_on;
use metaxy_delta::{DeltaBackend, DeltaConfig};
use metaxy_store::backend::Access;
use metaxy_store::{Backend, ErrorKind};
use serde_json::Value;

fn open(folder: &Path) -> DeltaBackend {
    DeltaConfig::new(folder.to_string_lossy()).open(Access::Write)
}

fn ids() -> (&'static str, ArrayRef) {
    ("id", Arc::new(Int64Array::from(vec![1, 2])))
}

#[test]
fn the_schema_is_what_was_appended() {
    let folder = tempfile::tempdir().unwrap();
    let list = ListArray::from_iter_primitive::<arrow::datatypes::UInt16Type, _, _>([
        Some(vec![Some(1), None]),
        None,
    ]);
    let given = batch(vec![
        ids(),
        ("u8", Arc::new(UInt8Array::from(vec![Some(255), None]))),
        (
            "u64",
            Arc::new(UInt64Array::from(vec![Some(u64::MAX), None])),
        ),
        (
            "time",
            Arc::new(Time64NanosecondArray::from(vec![Some(5), None])),
        ),
        (
            "wait",
            Arc::new(DurationMicrosecondArray::from(vec![Some(5), None])),
        ),
        (
            "nanos",
            Arc::new(TimestampNanosecondArray::from(vec![Some(5), None]).with_timezone("UTC")),
        ),
        (
            "local",
            Arc::new(TimestampMicrosecondArray::from(vec![Some(5), None])),
        ),
        (
            "berlin",
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(5), None]).with_timezone("Europe/Berlin"),
            ),
        ),
        (
            "kind",
            Arc::new(DictionaryArray::<Int32Type>::from_iter([Some("x"), None])),
        ),
        ("list", Arc::new(list)),
    ]);
    add(&open(folder.path()), "a", given.clone()).unwrap();
    for backend in [open(folder.path()), open(folder.path())] {
        let schema = block_on(backend.schema(&key("a"))).unwrap().unwrap();
        for field in given.schema().fields() {
            let found = schema.field_with_name(field.name()).unwrap();
            assert_eq!(found.data_type(), field.data_type(), "{}", field.name());
        }
        // Again, into the table that exists.
        add(&backend, "a", given.clone()).unwrap();
    }
    let schema = block_on(open(folder.path()).schema(&key("a")))
        .unwrap()
        .unwrap();
    let some = metaxy_store::col("u64").eq(u64::MAX).bind(&schema).unwrap();
    let removed = block_on(open(folder.path()).delete(&key("a"), Some(&some))).unwrap();
    assert_eq!(removed, 3, "read back, compared and rewritten");
}

fn actions(table: &Path, name: &str) -> Vec<Value> {
    let lines = commits(table).into_iter().flatten();
    lines.filter_map(|line| line.get(name).cloned()).collect()
}

#[test]
fn local_times_are_declared() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path());
    add(&backend, "a", batch(vec![ids()])).unwrap();
    let local = TimestampMicrosecondArray::from(vec![Some(5), None]);
    add(
        &backend,
        "a",
        batch(vec![ids(), ("local", Arc::new(local))]),
    )
    .unwrap();
    let protocols = actions(&folder.path().join("a.delta"), "protocol");
    assert_eq!(protocols.len(), 2);
    assert_eq!(protocols[0]["minReaderVersion"], 1);
    assert_eq!(protocols[1]["minReaderVersion"], 3);
    assert_eq!(protocols[1]["minWriterVersion"], 7);
    assert_eq!(protocols[1]["readerFeatures"][0], "timestampNtz");
}

#[test]
fn structs_grow_and_misfits_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path());
    let with = |members: &[&str]| {
        let fields: Vec<Field> = members
            .iter()
            .map(|m| Field::new(*m, DataType::Utf8, true))
            .collect();
        let texts = members
            .iter()
            .map(|m| Arc::new(StringArray::from(vec![*m, *m])) as ArrayRef);
        let by_field = StructArray::new(fields.into(), texts.collect(), None);
        batch(vec![
            ids(),
            ("metaxy_provenance_by_field", Arc::new(by_field)),
        ])
    };
    add(&backend, "a", with(&["one"])).unwrap();
    add(&backend, "a", with(&["two"])).unwrap();
    let schema = block_on(backend.schema(&key("a"))).unwrap().unwrap();
    let DataType::Struct(members) = schema.field(1).data_type() else {
        panic!("{schema:?}")
    };
    assert_eq!(
        members.iter().map(|m| m.name()).collect::<Vec<_>>(),
        ["one", "two"]
    );
    let texts = batch(vec![("id", Arc::new(StringArray::from(vec!["x"])))]);
    let error = add(&backend, "a", texts).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFrame);
    assert_eq!(
        commits(&folder.path().join("a.delta")).len(),
        3,
        "one for the member that is new"
    );
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path());
    let odd = Decimal128Array::from(vec![1, 2])
        .with_precision_and_scale(5, -2)
        .unwrap();
    let error = add(&backend, "a", batch(vec![ids(), ("odd", Arc::new(odd))])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("\"odd\""), "{error}");
    let far = TimestampSecondArray::from(vec![i64::MAX, 0]);
    let error = add(&backend, "a", batch(vec![ids(), ("far", Arc::new(far))])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFrame);
    assert!(error.message().contains("\"far\""), "{error}");
    let clash = batch(vec![ids(), ("ID", Arc::new(Int64Array::from(vec![1, 2])))]);
    assert_eq!(
        add(&backend, "a", clash).unwrap_err().kind(),
        ErrorKind::InvalidFrame
    );
    assert!(block_on(backend.schema(&key("a"))).unwrap().is_none());
}

#[test]
fn a_unit_of_time_is_one_of_four() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path());
    for (name, unit) in [
        ("s", TimeUnit::Second),
        ("ms", TimeUnit::Millisecond),
        ("us", TimeUnit::Microsecond),
        ("ns", TimeUnit::Nanosecond),
    ] {
        let wanted = DataType::Timestamp(unit, Some("UTC".into()));
        let counts: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let times = arrow::compute::cast(&counts, &wanted).unwrap();
        add(&backend, "a", batch(vec![ids(), (name, times)])).unwrap();
        let schema = block_on(backend.schema(&key("a"))).unwrap().unwrap();
        assert_eq!(schema.field_with_name(name).unwrap().data_type(), &wanted);
    }
}
