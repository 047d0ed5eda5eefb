//! The graph, the store in a folder, and rows that tell which write they belong to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field};
use metaxy_core::{
    Access, FeatureDefinition, FeatureDep, FeatureGraph, FeatureKey, FeatureSpec, FieldSpec,
    MetadataStore,
};
use metaxy_sqlite::SqliteConfig;

/// How many processes have a feature, and so a table, of their own.
pub(crate) const OWN: i64 = 6;

/// The feature that all processes write.
pub(crate) fn raw() -> FeatureKey {
    FeatureKey::new("shared/raw").unwrap()
}

/// What is computed from it.
pub(crate) fn derived() -> FeatureKey {
    FeatureKey::new("shared/derived").unwrap()
}

/// The feature that only this process writes.
pub(crate) fn own(process: i64) -> FeatureKey {
    FeatureKey::new(format!("own/p{process}")).unwrap()
}

fn graph() -> FeatureGraph {
    let root = |key: FeatureKey| {
        FeatureSpec::new(key.as_str(), ["id"])
            .unwrap()
            .with_field(FieldSpec::new("content").unwrap())
    };
    let mut specs: Vec<FeatureSpec> = (0..OWN).map(|process| root(own(process))).collect();
    specs.push(root(raw()));
    specs.push(
        FeatureSpec::new(derived().as_str(), ["id"])
            .unwrap()
            .with_dep(FeatureDep::new(raw().as_str()).unwrap()),
    );
    let definitions = specs
        .into_iter()
        .map(|spec| FeatureDefinition::new(spec, "test"));
    FeatureGraph::from_definitions(definitions).unwrap()
}

/// The file of the store in a folder.
pub(crate) fn file(folder: &Path) -> PathBuf {
    folder.join("store.db")
}

pub(crate) fn open(file: &Path, access: Access) -> MetadataStore {
    store(SqliteConfig::new(file), access)
}

pub(crate) fn store(config: SqliteConfig, access: Access) -> MetadataStore {
    MetadataStore::builder(Arc::new(config.open(access)))
        .with_access(access)
        .with_graph(graph())
        .build()
        .unwrap()
}

/// Which write a row belongs to: the writer, and the number of its write.
pub(crate) type Mark = (i64, i64);

/// The number of the first writer that writes the samples of others again.
pub(crate) const OVERWRITING: i64 = 500;

/// Whether others write the samples of this write too.
pub(crate) fn overwrites((writer, _): &Mark) -> bool {
    *writer >= OVERWRITING
}

/// The samples of a write: its own, or those that all overwriting writers write, again and again.
pub(crate) fn ids_of((writer, batch): Mark, rows: i64) -> Vec<i64> {
    if overwrites(&(writer, batch)) {
        return (1..=rows).map(|i| -i).collect();
    }
    let first = (writer * 1_000_000 + batch) * 1_000;
    (first..first + rows).collect()
}

/// Rows of a write, and further user columns.
pub(crate) fn samples(
    (writer, batch): Mark,
    rows: i64,
    further: Vec<(String, ArrayRef)>,
) -> RecordBatch {
    let ids = ids_of((writer, batch), rows);
    let rows = ids.len();
    let same = |value: i64| -> ArrayRef { Arc::new(Int64Array::from_value(value, rows)) };
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("id".into(), Arc::new(Int64Array::from(ids))),
        ("writer".into(), same(writer)),
        ("batch".into(), same(batch)),
        (
            "metaxy_provenance_by_field".into(),
            member("content", &format!("{writer}/{batch}"), rows),
        ),
    ];
    columns.extend(further);
    RecordBatch::try_from_iter(columns).unwrap()
}

/// A struct with one member, the same text in every row.
pub(crate) fn member(name: &str, text: &str, rows: usize) -> ArrayRef {
    let texts = StringArray::from_iter_values(std::iter::repeat_n(text, rows));
    Arc::new(StructArray::from(vec![(
        Arc::new(Field::new(name, DataType::Utf8, true)),
        Arc::new(texts) as ArrayRef,
    )]))
}
