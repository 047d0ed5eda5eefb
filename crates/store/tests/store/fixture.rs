//! A small graph, its rows, and stores on real files.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field};
use futures::executor::block_on;
use metaxy_store::Result;
use metaxy_store::prelude::*;

pub(crate) fn key(text: &str) -> FeatureKey {
    FeatureKey::new(text).unwrap()
}

/// `video/raw` with sound and pictures; transcripts depend on the sound, faces on the pictures.
pub(crate) fn graph() -> FeatureGraph {
    let feature = |spec: FeatureSpec| FeatureDefinition::new(spec, "demo");
    FeatureGraph::from_definitions([
        feature(
            FeatureSpec::new("video/raw", ["id"])
                .unwrap()
                .with_field(FieldSpec::new("audio").unwrap())
                .with_field(FieldSpec::new("frames").unwrap()),
        ),
        feature(
            FeatureSpec::new("video/transcript", ["id"])
                .unwrap()
                .with_dep(FeatureDep::new("video/raw").unwrap())
                .with_field(
                    FieldSpec::new("text")
                        .unwrap()
                        .with_dep(FieldDep::new("video/raw", ["audio"]).unwrap()),
                ),
        ),
        feature(
            FeatureSpec::new("video/faces", ["id"])
                .unwrap()
                .with_dep(FeatureDep::new("video/raw").unwrap())
                .with_field(
                    FieldSpec::new("boxes")
                        .unwrap()
                        .with_dep(FieldDep::new("video/raw", ["frames"]).unwrap()),
                ),
        ),
    ])
    .unwrap()
}

pub(crate) fn raw(rows: &[(i64, &str, &str)]) -> RecordBatch {
    let text = |f: fn(&(i64, &str, &str)) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(f)))
    };
    let member = |name: &str| Arc::new(Field::new(name, DataType::Utf8, true));
    let by_field = StructArray::from(vec![
        (member("audio"), text(|r| r.1.to_owned())),
        (member("frames"), text(|r| r.2.to_owned())),
    ]);
    RecordBatch::try_from_iter([
        (
            "id",
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.0))) as ArrayRef,
        ),
        ("path", text(|r| format!("{}.mp4", r.0))),
        ("metaxy_provenance_by_field", Arc::new(by_field)),
    ])
    .unwrap()
}

pub(crate) struct Fixture {
    pub(crate) store: MetadataStore,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let backend = SqliteConfig::new(folder.path().join("store.db")).open(Access::Write);
    let store = MetadataStore::builder(Arc::new(backend))
        .with_graph(graph())
        .build()
        .unwrap();
    Fixture { store, folder }
}

pub(crate) fn ids(rows: &Rows) -> Vec<i64> {
    let mut ids: Vec<i64> = rows
        .batches()
        .iter()
        .flat_map(|b| {
            let ids = b.column_by_name("id").unwrap();
            ids.as_primitive::<arrow::datatypes::Int64Type>()
                .values()
                .to_vec()
        })
        .collect();
    ids.sort_unstable();
    ids
}

/// A store in `folder` under this name, over `fallbacks`.
pub(crate) fn chained(
    folder: &std::path::Path,
    name: &str,
    fallbacks: &[&MetadataStore],
) -> Result<MetadataStore> {
    let backend = SqliteConfig::new(folder.join(format!("{name}.db"))).open(Access::Write);
    let mut builder = MetadataStore::builder(Arc::new(backend))
        .with_name(name)
        .with_graph(graph());
    for fallback in fallbacks {
        builder = builder.with_fallback((*fallback).clone());
    }
    builder.build()
}

pub(crate) fn read(store: &MetadataStore, feature: &str, options: ReadOptions) -> Result<Rows> {
    block_on(async { store.read(&key(feature), options).await?.collect().await })
}

pub(crate) fn write(store: &MetadataStore, feature: &str, rows: RecordBatch) {
    block_on(store.write(&key(feature), rows)).unwrap();
}

/// The text of a column, row by row, in the order of the IDs.
pub(crate) fn texts(rows: &Rows, column: &str) -> Vec<Option<String>> {
    let batch = rows.to_batch().unwrap();
    let ids = batch.column_by_name("id").unwrap();
    let ids = ids.as_primitive::<arrow::datatypes::Int64Type>();
    let mut values = batch.column_by_name(column).unwrap().clone();
    if let DataType::Timestamp(unit, Some(_)) = values.data_type() {
        let naive = DataType::Timestamp(*unit, None);
        let data = values.to_data().into_builder().data_type(naive);
        values = arrow::array::make_array(data.build().unwrap());
    }
    let values = arrow::compute::cast(&values, &DataType::Utf8).unwrap();
    let values = values.as_string::<i32>();
    let mut pairs: Vec<_> = ids
        .values()
        .iter()
        .zip(values)
        .map(|(id, value)| (*id, value.map(str::to_owned)))
        .collect();
    pairs.sort();
    pairs.into_iter().map(|(_, value)| value).collect()
}
