//! What a write keeps, sets and refuses (`semantics.md` §4, §5).

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field};
use futures::executor::block_on;
use metaxy_store::clock::Micros;
use metaxy_store::prelude::*;
use metaxy_store::{Clock, col};

use crate::fixture::{Fixture, fixture, graph, ids, key, raw, read, texts, write};

const RAW: &str = "video/raw";

fn at(seconds: Micros) -> Clock {
    Clock::from_fn(move || seconds * 1_000_000)
}

fn store_with(folder: &std::path::Path, clock: Clock) -> MetadataStore {
    let backend = SqliteConfig::new(folder.join("store.db")).open(Access::Write);
    MetadataStore::builder(Arc::new(backend))
        .with_graph(graph())
        .with_clock(clock)
        .build()
        .unwrap()
}

#[test]
fn a_later_write_wins_whatever_its_clock_says() {
    let folder = tempfile::tempdir().unwrap();
    let ahead = store_with(folder.path(), at(1_000_000));
    let behind = store_with(folder.path(), at(5));
    write(&ahead, RAW, raw(&[(1, "first", "f")]));
    write(&behind, RAW, raw(&[(1, "second", "f"), (2, "b", "f")]));
    let rows = read(&behind, RAW, ReadOptions::default()).unwrap();
    let provenance = texts(&rows, "metaxy_provenance");
    let alone = fixture();
    write(&alone.store, RAW, raw(&[(1, "second", "f"), (2, "b", "f")]));
    let expected = read(&alone.store, RAW, ReadOptions::default()).unwrap();
    assert_eq!(provenance, texts(&expected, "metaxy_provenance"));
    // Just after the latest stamp of the table.
    assert_eq!(
        texts(&rows, "metaxy_updated_at")[0].as_deref(),
        Some("1970-01-12T13:46:40.000001")
    );

    // So do tombstones, and writes after them.
    let gone = DeleteOptions::soft().with_filters([col("id").eq(1)]);
    block_on(behind.delete(&key(RAW), gone)).unwrap();
    assert_eq!(
        ids(&read(&ahead, RAW, ReadOptions::default()).unwrap()),
        [2]
    );
    write(&behind, RAW, raw(&[(1, "third", "f")]));
    assert_eq!(
        ids(&read(&ahead, RAW, ReadOptions::default()).unwrap()),
        [1, 2]
    );
}

#[test]
fn of_an_id_twice_in_one_write_the_last_row_wins() {
    let Fixture {
        store,
        folder: _folder,
    } = fixture();
    write(
        &store,
        RAW,
        raw(&[(1, "old", "f"), (2, "x", "f"), (1, "new", "f")]),
    );
    let rows = read(&store, RAW, ReadOptions::default()).unwrap();
    let Fixture {
        store: other,
        folder: _other,
    } = fixture();
    write(&other, RAW, raw(&[(1, "new", "f"), (2, "x", "f")]));
    let expected = read(&other, RAW, ReadOptions::default()).unwrap();
    assert_eq!(
        texts(&rows, "metaxy_provenance"),
        texts(&expected, "metaxy_provenance")
    );
    let all = read(
        &store,
        RAW,
        ReadOptions::default().with_sample_history(true),
    )
    .unwrap();
    assert_eq!(ids(&all), [1, 1, 2]);
}

#[test]
fn the_system_columns_are_the_stores_to_set() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(folder.path(), at(10));
    let given = raw(&[(1, "a", "f")]);
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
    let mut columns: Vec<(String, ArrayRef)> = given
        .schema()
        .fields()
        .iter()
        .zip(given.columns())
        .map(|(f, a)| (f.name().clone(), a.clone()))
        .collect();
    for name in [
        "metaxy_feature_version",
        "metaxy_project_version",
        "metaxy_materialization_id",
    ] {
        columns.push((name.into(), text("mine")));
    }
    let frame = RecordBatch::try_from_iter(columns).unwrap();
    let run = WriteOptions::default().with_materialization_id("run-7");
    block_on(store.write_with(&key(RAW), frame.clone(), run)).unwrap();
    let rows = read(&store, RAW, ReadOptions::default()).unwrap();
    let version = store.graph().feature_version(RAW).unwrap().to_owned();
    assert_eq!(texts(&rows, "metaxy_feature_version"), [Some(version)]);
    assert_eq!(
        texts(&rows, "metaxy_materialization_id"),
        [Some("run-7".into())]
    );
    assert_eq!(
        texts(&rows, "metaxy_created_at"),
        [Some("1970-01-01T00:00:10".into())]
    );

    let keep = WriteOptions::default().with_preserve_feature_version(true);
    block_on(store.write_with(&key(RAW), frame, keep)).unwrap();
    let of_mine = ReadOptions::default()
        .with_feature_history(true)
        .with_feature_version("mine");
    assert_eq!(ids(&read(&store, RAW, of_mine).unwrap()), [1]);
}

#[test]
fn writing_what_was_read_keeps_the_creation_time() {
    let folder = tempfile::tempdir().unwrap();
    write(
        &store_with(folder.path(), at(10)),
        RAW,
        raw(&[(1, "a", "f")]),
    );
    let later = store_with(folder.path(), at(20));
    let rows = read(&later, RAW, ReadOptions::default()).unwrap();
    block_on(later.write(&key(RAW), rows)).unwrap();
    let rows = read(&later, RAW, ReadOptions::default()).unwrap();
    assert_eq!(
        texts(&rows, "metaxy_created_at"),
        [Some("1970-01-01T00:00:10".into())]
    );
    assert_eq!(
        texts(&rows, "metaxy_updated_at"),
        [Some("1970-01-01T00:00:20".into())]
    );
    let before = ReadOptions::default().with_as_of(15_000_000);
    let then = read(&later, RAW, before).unwrap();
    assert_eq!(
        texts(&then, "metaxy_updated_at"),
        [Some("1970-01-01T00:00:10".into())]
    );
}

#[test]
fn what_is_missing_or_does_not_fit_is_refused() {
    let Fixture {
        store,
        folder: _folder,
    } = fixture();
    let good = raw(&[(1, "a", "f")]);
    let without = |name: &str| {
        let index = good.schema().index_of(name).unwrap();
        let mut batch = good.clone();
        batch.remove_column(index);
        batch
    };
    let with = |name: &str, array: ArrayRef| {
        let kept = good.schema();
        let columns = kept
            .fields()
            .iter()
            .zip(good.columns())
            .filter(|(f, _)| f.name() != name);
        let columns = columns.map(|(f, a)| (f.name().clone(), a.clone()));
        RecordBatch::try_from_iter(columns.chain([(name.to_owned(), array)])).unwrap()
    };
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let one_member: ArrayRef = Arc::new(StructArray::from(vec![(
        Arc::new(Field::new("audio", DataType::Utf8, true)),
        text.clone(),
    )]));
    let no_id: ArrayRef = Arc::new(Int64Array::from(vec![None]));
    let cases = [
        (without("id"), "id"),
        (with("id", no_id), "id"),
        (
            without("metaxy_provenance_by_field"),
            "metaxy_provenance_by_field",
        ),
        (with("metaxy_provenance_by_field", text.clone()), "Utf8"),
        (with("metaxy_provenance_by_field", one_member), "frames"),
        (
            with("metaxy_data_version", text),
            "metaxy_data_version_by_field",
        ),
    ];
    for (batch, culprit) in cases {
        let error = block_on(store.write(&key(RAW), batch)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidFrame, "{error}");
        assert!(
            error.to_string().contains(culprit) && error.to_string().contains(RAW),
            "{error}"
        );
        assert!(error.hint().is_some(), "{error}");
    }
    assert!(
        block_on(store.feature_schema(&key(RAW))).unwrap().is_none(),
        "nothing was written"
    );

    let error = block_on(store.write(&key("video/rew"), good)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FeatureNotFound);
    assert!(
        format!("{error} {:?}", error.hint()).contains("video/raw"),
        "{error}"
    );
}

#[test]
fn without_leave_to_make_tables_the_statement_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let backend = SqliteConfig::new(folder.path().join("store.db")).open(Access::Write);
    let store = MetadataStore::builder(Arc::new(backend))
        .with_graph(graph())
        .with_auto_create_tables(false)
        .build()
        .unwrap();
    let error = block_on(store.write(&key(RAW), raw(&[(1, "a", "f")]))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TableNotFound);
    assert!(
        error.hint().unwrap().contains(
            "CREATE TABLE \"video__raw\" (\"metaxy.row\" INTEGER PRIMARY KEY, \"id\" INTEGER"
        ),
        "{error}"
    );
}
