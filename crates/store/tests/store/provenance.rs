//! Provenance of rows that the caller joined.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use futures::executor::block_on;
use metaxy_store::prelude::*;
use metaxy_store::{Result, col};

use crate::fixture::{key, read, texts, write};
use crate::shapes::{builder, child, frame, graph_of, root, with_column, without_column};

const SAME: Lineage = Lineage::Identity;
const HD: &str = "metaxy_data_version_by_field__video_raw-hd";
const SOUND: &str = "metaxy_data_version_by_field__sound";

fn store(folder: &std::path::Path) -> MetadataStore {
    let optional = FeatureDep::new("sound").unwrap().optional();
    let graph = graph_of([
        root("video/raw-hd", &["id"]),
        root("sound", &["id"]),
        child("faces", &["id"], &[("video/raw-hd", SAME), ("sound", SAME)]),
        child("words", &["id"], &[("video/raw-hd", SAME)]).with_dep(optional),
    ]);
    builder(folder, "main").with_graph(graph).build().unwrap()
}

/// What a user's own join of both upstreams gives.
fn joined(store: &MetadataStore) -> RecordBatch {
    let versions = |feature: &str| {
        let rows = read(store, feature, ReadOptions::default()).unwrap();
        let batch = rows.to_batch().unwrap();
        (
            batch.column_by_name("id").unwrap().clone(),
            batch
                .column_by_name("metaxy_data_version_by_field")
                .unwrap()
                .clone(),
        )
    };
    let ((ids, hd), (same, sound)) = (versions("video/raw-hd"), versions("sound"));
    assert_eq!(&ids, &same);
    let note: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ids.len() as i64));
    RecordBatch::try_from_iter([("id", ids), ("note", note), (HD, hd), (SOUND, sound)]).unwrap()
}

fn compute(store: &MetadataStore, feature: &str, rows: RecordBatch) -> Result<Rows> {
    let frame = store.compute_provenance(&key(feature), rows)?;
    block_on(frame.collect())
}

#[test]
fn it_is_what_the_store_computes_itself() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    write(
        &store,
        "video/raw-hd",
        frame(&[("id", &[1, 2])], &["v1", "v2"]),
    );
    write(&store, "sound", frame(&[("id", &[1, 2])], &["s1", "s2"]));
    let computed = compute(&store, "faces", joined(&store)).unwrap();
    let own = crate::shapes::resolve(&store, "faces");
    for column in ["metaxy_provenance", "metaxy_data_version"] {
        assert_eq!(texts(&computed, column), texts(&own.new, column));
    }
    let names: Vec<String> = computed
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    assert_eq!(
        names,
        [
            "id",
            "note",
            HD,
            SOUND,
            "metaxy_provenance_by_field",
            "metaxy_provenance",
            "metaxy_data_version_by_field",
            "metaxy_data_version"
        ]
    );

    let samples = ResolveOptions::default().with_samples(computed.clone());
    let increment = block_on(store.resolve_update(&key("faces"), samples)).unwrap();
    assert_eq!(increment.counts().new, 2);
    block_on(store.write(&key("faces"), increment.new)).unwrap();
    assert!(crate::shapes::resolve(&store, "faces").is_empty());
    // The upstream columns are stored like any other.
    let stored = read(&store, "faces", ReadOptions::default()).unwrap();
    assert!(stored.schema().field_with_name(HD).is_ok());

    // What the frame had of its own versions does not count.
    let again = compute(&store, "faces", computed.to_batch().unwrap()).unwrap();
    assert_eq!(again, computed);
}

#[test]
fn a_missing_optional_upstream_counts_as_empty_and_a_null_is_null() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    write(
        &store,
        "video/raw-hd",
        frame(&[("id", &[1, 2])], &["v1", "v2"]),
    );
    write(&store, "sound", frame(&[("id", &[1, 2])], &["s1", "s2"]));
    let rows = joined(&store);
    let sound = rows.column_by_name(SOUND).unwrap();
    let none = arrow::array::new_null_array(sound.data_type(), 1);
    let half = arrow::compute::concat(&[&sound.slice(0, 1), &none]).unwrap();
    let rows = with_column(&rows, SOUND, half);

    let words = compute(&store, "words", rows.clone()).unwrap();
    let gone = DeleteOptions::soft().with_filters([col("id").eq(2)]);
    block_on(store.delete(&key("sound"), gone)).unwrap();
    let own = crate::shapes::resolve(&store, "words");
    assert_eq!(
        texts(&words, "metaxy_provenance"),
        texts(&own.new, "metaxy_provenance")
    );
    let faces = compute(&store, "faces", rows).unwrap();
    assert_eq!(
        texts(&faces, "metaxy_provenance").iter().flatten().count(),
        1
    );
}

#[test]
fn a_root_hashes_its_code_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let rows = without_column(
        &frame(&[("id", &[1, 2])], &["", ""]),
        "metaxy_provenance_by_field",
    );
    let rows = compute(&store, "sound", rows).unwrap();
    let batch = rows.to_batch().unwrap();
    let by_field = batch.column_by_name("metaxy_provenance_by_field").unwrap();
    let default = by_field.as_struct().column(0).as_string::<i32>();
    assert!(default.is_valid(0) && default.value(0) == default.value(1));
}

#[test]
fn what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    write(&store, "video/raw-hd", frame(&[("id", &[1])], &["v1"]));
    write(&store, "sound", frame(&[("id", &[1])], &["s1"]));
    let rows = joined(&store);
    let ids = rows.column_by_name("id").unwrap().clone();
    let other = frame(&[("id", &[1])], &["x"]);
    let other = other.column_by_name("metaxy_provenance_by_field").unwrap();
    let renamed: ArrayRef = Arc::new(arrow::array::StructArray::from(vec![(
        Arc::new(arrow::datatypes::Field::new(
            "other",
            arrow::datatypes::DataType::Utf8,
            true,
        )),
        other.as_struct().column(0).clone(),
    )]));
    for (bad, culprit) in [
        (without_column(&rows, SOUND), SOUND),
        (with_column(&rows, HD, ids), "Int64"),
        (with_column(&rows, HD, renamed), "\"default\""),
    ] {
        let error = compute(&store, "words", bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidFrame, "{error}");
        assert!(error.to_string().contains(culprit), "{error}");
        assert!(
            error.to_string().contains("words") && error.hint().is_some(),
            "{error}"
        );
    }
}
