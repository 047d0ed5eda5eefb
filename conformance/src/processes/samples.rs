//! The graph, the store in a folder, and rows that tell which write they belong to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field};
use futures::executor::block_on;
use metaxy_store::backend::Backend;
use metaxy_store::{
    Access, FeatureDefinition, FeatureDep, FeatureGraph, FeatureKey, FeatureSpec, FieldSpec,
    MetadataStore, ReadOptions, Rows,
};

use super::watch::Watch;

/// How many processes have a feature, and so a table, of their own ([`own`]).
pub const OWN: i64 = 6;

/// The number of the first writer that writes the samples of others again.
pub const OVERWRITING: i64 = 500;

/// Opens the store of a folder.
pub type Open = fn(&Path, Access) -> Arc<dyn Backend>;

/// Which write a row belongs to: the writer, and the number of its write.
pub type Mark = (i64, i64);

/// A folder with a store.
#[derive(Debug, Clone)]
pub struct Place {
    folder: PathBuf,
    open: Open,
}

impl Place {
    /// The store that `open` opens in `folder`.
    pub fn new(folder: impl Into<PathBuf>, open: Open) -> Self {
        Self {
            folder: folder.into(),
            open,
        }
    }

    /// The folder, where the processes leave their signs too.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The store of a folder below this one's.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        Self::new(self.folder.join(name), self.open)
    }

    /// The store, which knows the features of this module.
    #[must_use]
    pub fn store(&self, access: Access) -> MetadataStore {
        store((self.open)(&self.folder, access), access)
    }

    /// What somebody who comes afterwards finds must be right too: writes of `rows` rows each.
    #[must_use]
    pub fn look(&self, rows: i64) -> Watch {
        let mut watch = Watch::new(rows);
        watch.look(&self.store(Access::Read), &self.folder);
        assert!(watch.violations().is_empty(), "{:#?}", watch.violations());
        watch
    }

    /// The rows of [`raw`] that are current.
    #[must_use]
    pub fn current(&self) -> Rows {
        self.read(ReadOptions::default())
    }

    /// How many rows of [`raw`] are stored, replaced ones too.
    #[must_use]
    pub fn stored_rows(&self) -> i64 {
        let all = ReadOptions::default().with_sample_history(true);
        self.read(all).num_rows() as i64
    }

    fn read(&self, options: ReadOptions) -> Rows {
        let store = self.store(Access::Read);
        block_on(async { store.read(&raw(), options).await?.collect().await }).unwrap()
    }
}

/// A store that knows the features of this module.
#[must_use]
pub fn store(backend: Arc<dyn Backend>, access: Access) -> MetadataStore {
    MetadataStore::builder(backend)
        .with_access(access)
        .with_graph(graph())
        .build()
        .unwrap()
}

/// The feature that all processes write.
#[must_use]
pub fn raw() -> FeatureKey {
    FeatureKey::new("shared/raw").unwrap()
}

/// What is computed from it.
#[must_use]
pub fn derived() -> FeatureKey {
    FeatureKey::new("shared/derived").unwrap()
}

/// The feature that only this process writes.
#[must_use]
pub fn own(process: i64) -> FeatureKey {
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

/// Whether others write the samples of this write too.
#[must_use]
pub fn overwrites((writer, _): &Mark) -> bool {
    *writer >= OVERWRITING
}

/// The samples of a write: its own, or those that all overwriting writers write, again and again.
fn ids_of((writer, batch): Mark, rows: i64) -> Vec<i64> {
    if overwrites(&(writer, batch)) {
        return (1..=rows).map(|i| -i).collect();
    }
    let first = (writer * 1_000_000 + batch) * 1_000_000;
    (first..first + rows).collect()
}

/// Rows of a write, and further user columns.
#[must_use]
pub fn samples((writer, batch): Mark, rows: i64, further: Vec<(String, ArrayRef)>) -> RecordBatch {
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
#[must_use]
pub fn member(name: &str, text: &str, rows: usize) -> ArrayRef {
    let texts = StringArray::from_iter_values(std::iter::repeat_n(text, rows));
    Arc::new(StructArray::from(vec![(
        Arc::new(Field::new(name, DataType::Utf8, true)),
        Arc::new(texts) as ArrayRef,
    )]))
}
