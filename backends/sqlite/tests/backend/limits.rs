//! What is larger than a statement of SQLite's may be: it is divided, or refused with one sentence.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use futures::executor::block_on;
use metaxy_conformance::processes::member;
use metaxy_sqlite::{SqliteConfig, Synchronous};
use metaxy_store::{
    Access, Error, ErrorKind, FeatureDefinition, FeatureDep, FeatureGraph, FeatureKey, FeatureSpec,
    FieldSpec, Increment, MetadataStore, ReadOptions, ResolveOptions,
};
use tempfile::TempDir;

const ROWS: i64 = 8;

/// Roots, and a leaf of all of them.
struct Site {
    _folder: TempDir,
    store: MetadataStore,
}

fn key(root: usize) -> String {
    format!("wide/r{root}")
}

fn leaf() -> FeatureKey {
    FeatureKey::new("wide/leaf").unwrap()
}

impl Site {
    fn new(roots: usize, dep: impl Fn(usize) -> FeatureDep) -> Self {
        let spec = |key: &str| {
            let spec = FeatureSpec::new(key, ["id"]).unwrap();
            spec.with_field(FieldSpec::new("content").unwrap())
        };
        let mut specs: Vec<_> = (0..roots).map(|root| spec(&key(root))).collect();
        let leaf = spec(leaf().as_str());
        specs.push((0..roots).fold(leaf, |leaf, root| leaf.with_dep(dep(root))));
        let definitions = specs
            .into_iter()
            .map(|spec| FeatureDefinition::new(spec, "test"));
        let folder = tempfile::tempdir().unwrap();
        // What a power failure would lose is not tested here.
        let config = SqliteConfig::new(folder.path().join("store.db"));
        let config = config.with_synchronous(Synchronous::Normal);
        let backend = config.open(Access::Write);
        let store = MetadataStore::builder(Arc::new(backend))
            .with_access(Access::Write)
            .with_graph(FeatureGraph::from_definitions(definitions).unwrap())
            .build()
            .unwrap();
        Self {
            _folder: folder,
            store,
        }
    }

    /// Writes samples with so many columns beside those that all have.
    fn write(&self, feature: &FeatureKey, columns: usize, version: &str) -> Result<(), Error> {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS));
        let named = |i: usize| (format!("{}_{i}", feature.table_name()), numbers.clone());
        let mut all = vec![("id".to_owned(), numbers.clone())];
        all.extend((0..columns).map(named));
        let versions = member("content", version, ROWS as usize);
        all.push(("metaxy_provenance_by_field".into(), versions));
        block_on(
            self.store
                .write(feature, RecordBatch::try_from_iter(all).unwrap()),
        )
        .map(drop)
    }

    fn write_root(&self, root: usize, columns: usize, version: &str) {
        self.write(&key(root).parse().unwrap(), columns, version)
            .unwrap();
    }

    fn resolve(&self) -> Result<Increment, Error> {
        block_on(
            self.store
                .resolve_update(&leaf(), ResolveOptions::default()),
        )
    }

    fn compute(&self) {
        let rows = self.resolve().unwrap().new.to_batch().unwrap();
        block_on(self.store.write(&leaf(), rows)).unwrap();
    }
}

fn counts(increment: &Increment) -> [usize; 3] {
    [&increment.new, &increment.stale, &increment.orphaned].map(|rows| rows.num_rows())
}

#[test]
fn seventy_upstreams_are_joined() {
    let rows = ROWS as usize;
    type Kind = (&'static str, fn(FeatureDep, usize) -> FeatureDep);
    let kinds: [Kind; 2] = [
        ("required", |dep, _| dep),
        ("half of them optional", |dep, root| match root % 2 {
            0 => dep,
            _ => dep.optional(),
        }),
    ];
    for (name, kind) in kinds {
        let site = Site::new(70, |root| kind(FeatureDep::new(key(root)).unwrap(), root));
        (0..70).for_each(|root| site.write_root(root, 1, "1"));
        assert_eq!(counts(&site.resolve().unwrap()), [rows, 0, 0], "{name}");
        site.compute();
        assert_eq!(counts(&site.resolve().unwrap()), [0, 0, 0], "{name}");
        site.write_root(69, 1, "2");
        assert_eq!(counts(&site.resolve().unwrap()), [0, rows, 0], "{name}");
    }
}

#[test]
fn expected_and_stored_columns_may_be_more_than_a_result_has() {
    let site = Site::new(1, |root| FeatureDep::new(key(root)).unwrap());
    site.write_root(0, 1_100, "1");
    let rows = ROWS as usize;
    site.compute();
    assert_eq!(counts(&site.resolve().unwrap()), [0, 0, 0]);
    site.write_root(0, 1_100, "2");
    let stale = site.resolve().unwrap().stale.to_batch().unwrap();
    assert_eq!(stale.num_rows(), rows);
    assert!(stale.num_columns() > 1_100);
    assert!(
        stale
            .columns()
            .iter()
            .all(|column| column.null_count() == 0),
        "all are there"
    );

    let gone = metaxy_store::DeleteOptions::hard();
    block_on(site.store.delete(&key(0).parse().unwrap(), gone)).unwrap();
    let orphaned = site.resolve().unwrap();
    assert_eq!(counts(&orphaned), [0, 0, rows]);
    let orphaned = orphaned.orphaned.to_batch().unwrap();
    let column = orphaned.column_by_name("wide__r0_1099").unwrap();
    assert_eq!(column.null_count(), 0, "what is stored is there");
}

#[test]
fn what_is_too_wide_is_refused_in_a_sentence() {
    let site = Site::new(2, |root| FeatureDep::new(key(root)).unwrap());
    (0..2).for_each(|root| site.write_root(root, 1_100, "1"));
    let too_wide = site.write(&leaf(), 3_000, "1").unwrap_err();
    let resolved = site.resolve().unwrap_err();
    for (error, words) in [
        (too_wide, ["1999", "wide/leaf"]),
        (resolved, ["too many columns", "store.db"]),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
        let whole = format!("{error:?}");
        assert!(whole.len() < 1_000 && !whole.contains("SELECT"), "{whole}");
        assert!(words.iter().all(|word| whole.contains(word)), "{whole}");
        assert!(error.hint().is_some(), "{whole}");
    }
    // Some of the columns are read, of however many.
    let some = ReadOptions::default().with_columns(["id", "wide__r0_7"]);
    let rows = block_on(async {
        let root = key(0).parse()?;
        site.store.read(&root, some).await?.collect().await
    });
    assert_eq!(rows.unwrap().num_rows() as i64, ROWS);
}
