//! Chains of stores of different kinds: a Delta store on a disk in front of one on S3, SQLite in front of Delta and the other way
//! round, three deep. What is read, resolved and copied is what one store would give.

use std::sync::Arc;
#[cfg(feature = "s3")]
use std::time::Duration;

use futures::executor::block_on;
use metaxy_conformance::bed::frames::{read, samples, stored};
use metaxy_conformance::bed::graphs::{feature, graph, key, pair};
use metaxy_conformance::bed::increments::{compute, resolve};
use metaxy_delta::DeltaConfig;
use metaxy_sqlite::SqliteConfig;
use metaxy_store::{
    Access, Backend, CopyOptions, DeleteOptions, ErrorKind, FeatureGraph, HashAlgorithm,
    MetadataStore, ReadOptions, col,
};
use tempfile::TempDir;

/// A kind of store.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Sqlite,
    Delta,
    #[cfg(feature = "s3")]
    DeltaOnS3,
}

/// The chains, the nearest store first.
fn chains() -> Vec<Vec<Kind>> {
    use Kind::{Delta, Sqlite};
    let mut chains = vec![
        vec![Delta, Delta],
        vec![Sqlite, Delta],
        vec![Delta, Sqlite],
        vec![Sqlite, Delta, Delta],
    ];
    #[cfg(feature = "s3")]
    {
        use Kind::DeltaOnS3;
        chains.push(vec![Delta, DeltaOnS3]);
        chains.push(vec![Sqlite, DeltaOnS3]);
        chains.push(vec![Sqlite, Delta, DeltaOnS3]);
    }
    chains
}

/// Where the stores of a test are.
struct Site {
    folder: TempDir,
    #[cfg(feature = "s3")]
    server: crate::common::s3::Server,
}

impl Site {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            #[cfg(feature = "s3")]
            server: crate::common::s3::Server::start(),
        }
    }

    fn backend(&self, kind: Kind, name: &str) -> Arc<dyn Backend> {
        let path = self.folder.path().join(name);
        match kind {
            Kind::Sqlite => Arc::new(SqliteConfig::new(path).open(Access::Write)),
            Kind::Delta => Arc::new(DeltaConfig::new(path.to_string_lossy()).open(Access::Write)),
            #[cfg(feature = "s3")]
            Kind::DeltaOnS3 => {
                let config = DeltaConfig::new(self.server.root(name));
                let config = config.with_storage_options(self.server.options());
                Arc::new(config.open(Access::Write))
            }
        }
    }

    fn store(&self, kind: Kind, name: &str, below: Option<&MetadataStore>) -> MetadataStore {
        let store = MetadataStore::builder(self.backend(kind, name));
        let store = store.with_name(name).with_graph(joined());
        let store = store.with_hash_algorithm(HashAlgorithm::Xxhash64);
        match below {
            Some(below) => store.with_fallback(below.clone()).build().unwrap(),
            None => store.build().unwrap(),
        }
    }

    /// The stores of a chain, called `store 0` (which falls back to the next one), `store 1`, …
    fn chain(&self, kinds: &[Kind]) -> Vec<MetadataStore> {
        let mut stores: Vec<MetadataStore> = Vec::new();
        for (at, kind) in kinds.iter().enumerate().rev() {
            let store = self.store(*kind, &format!("store-{at}"), stores.first());
            stores.insert(0, store);
        }
        stores
    }
}

/// Roots `a` and `c`, `b` of `a`, and `both` of the two roots.
fn joined() -> FeatureGraph {
    graph([
        feature("a", &["default"], &[]).unwrap(),
        feature("c", &["default"], &[]).unwrap(),
        feature("b", &["default"], &["a"]).unwrap(),
        feature("both", &["default"], &["a", "c"]).unwrap(),
    ])
    .unwrap()
}

async fn write(store: &MetadataStore, feature: &str, rows: &[(i64, &str)]) {
    let rows = samples(rows).unwrap();
    store.write(&key(feature).unwrap(), rows).await.unwrap();
}

async fn ids(store: &MetadataStore, feature: &str) -> Vec<i64> {
    let rows = read(store, feature, ReadOptions::default()).await.unwrap();
    rows.ids().unwrap()
}

/// Runs a check on each chain; what fails says on which.
fn on_every_chain(check: &impl AsyncFn(&Site, &[MetadataStore])) {
    for kinds in chains() {
        println!("{kinds:?}");
        let site = Site::new();
        let stores = site.chain(&kinds);
        block_on(check(&site, &stores));
    }
}

#[test]
fn a_feature_is_read_from_the_first_store_that_has_rows() {
    on_every_chain(&async |_, stores| {
        let (front, a) = (&stores[0], key("a").unwrap());
        let missing = front.read(&a, ReadOptions::default()).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::FeatureNotFound, "{missing}");
        for (at, store) in stores.iter().enumerate().rev() {
            let id = at as i64 + 1;
            write(store, "a", &[(id, "x"), (id + 10, "y")]).await;
            assert_eq!(ids(front, "a").await, [id, id + 10]);
            let (_, owner) = front
                .read_with_store(&a, ReadOptions::default())
                .await
                .unwrap();
            assert_eq!(owner.name(), store.name());
        }
        // Rows of two stores are never mixed, nor are filters lost on the way.
        let one = ReadOptions::default().with_filters([col("id").eq(11)]);
        let found = read(front, "a", one).await.unwrap();
        assert_eq!(found.ids().unwrap(), [11]);
        // Samples that were deleted here stay deleted; an emptied table hides nothing.
        let deleted = front.delete(&a, DeleteOptions::soft()).await.unwrap();
        assert_eq!(deleted, 2);
        assert_eq!(ids(front, "a").await, [0; 0]);
        front.drop_feature(&a).await.unwrap();
        assert_eq!(ids(front, "a").await, [2, 12]);
    });
}

#[test]
fn a_chain_tells_which_store_has_a_feature() {
    on_every_chain(&async |_, stores| {
        let (front, last) = (&stores[0], stores.last().unwrap());
        let (a, b) = (key("a").unwrap(), key("b").unwrap());
        write(last, "a", &[(1, "x")]).await;
        assert!(!front.has_feature(&a, false).await.unwrap());
        assert!(front.has_feature(&a, true).await.unwrap());
        assert!(!front.has_feature(&b, true).await.unwrap());
        assert!(front.find_store(&b).await.unwrap().is_none());
        let owner = front.find_store(&a).await.unwrap().unwrap();
        assert_eq!(owner.name(), last.name());
        let here = ReadOptions::default().with_local_only(true);
        let error = front.read(&a, here).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FeatureNotFound, "{error}");
        let error = front.delete(&a, DeleteOptions::soft()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FeatureNotFound, "{error}");
        assert!(error.to_string().contains(last.name()), "{error}");
    });
}

#[test]
fn a_resolve_over_a_chain_gives_what_one_store_gives() {
    on_every_chain(&async |site, stores| {
        let (front, last) = (&stores[0], stores.last().unwrap());
        let whole = site.store(Kind::Sqlite, "whole", None);
        let rows_a = [(1, "x"), (2, "x"), (3, "x")];
        let rows_c = [(2, "y"), (3, "y"), (4, "y")];
        write(last, "a", &rows_a).await;
        write(front, "c", &rows_c).await;
        write(&whole, "a", &rows_a).await;
        write(&whole, "c", &rows_c).await;
        let columns = ["id", "metaxy_provenance", "metaxy_provenance_by_field"];
        for feature in ["b", "both"] {
            let here = resolve(front, feature).await.unwrap();
            let there = resolve(&whole, feature).await.unwrap();
            let (here, there) = (here.new.lines(&columns), there.new.lines(&columns));
            assert_eq!(here.unwrap(), there.unwrap(), "{feature}");
            compute(front, feature).await.unwrap();
            compute(&whole, feature).await.unwrap();
            resolve(front, feature).await.unwrap().nothing().unwrap();
        }
        // What changes far away is stale here; what the far store has of the feature itself does not count.
        compute(last, "b").await.unwrap();
        write(last, "a", &[(1, "z"), (5, "z")]).await;
        let next = resolve(front, "b").await.unwrap();
        next.are(&[5], &[1], &[]).unwrap();
    });
}

#[test]
fn a_copy_from_the_end_of_a_chain_is_equal() {
    on_every_chain(&async |_, stores| {
        let (front, last) = (&stores[0], stores.last().unwrap());
        write(last, "a", &[(1, "x"), (2, "x")]).await;
        write(last, "a", &[(2, "y"), (3, "y")]).await;
        compute(last, "b").await.unwrap();
        let before = stored(last, "a").await.unwrap();
        let (a, b) = (key("a").unwrap(), key("b").unwrap());

        let options = CopyOptions::default()
            .with_features([a.clone(), b.clone()])
            .with_sample_history(true);
        let report = front.copy_from(last, options).await.unwrap();
        assert_eq!((report.features_copied, report.rows_copied), (2, 7));
        assert_eq!(stored(front, "a").await.unwrap(), before, "with its times");
        let same = stored(last, "b").await.unwrap();
        assert_eq!(stored(front, "b").await.unwrap(), same);
        assert_eq!(stored(last, "a").await.unwrap(), before, "the source");
        resolve(front, "b").await.unwrap().nothing().unwrap();
        let owner = front.find_store(&a).await.unwrap().unwrap();
        assert_eq!(owner.name(), front.name());
    });
}

#[test]
fn a_store_that_hashes_otherwise_is_refused_at_any_depth() {
    on_every_chain(&async |site, stores| {
        for kind in [Kind::Sqlite, Kind::Delta] {
            let other = MetadataStore::builder(site.backend(kind, "other"));
            let other = other
                .with_name("other")
                .with_graph(joined())
                .with_hash_algorithm(HashAlgorithm::Sha256)
                .with_fallback(stores[0].clone())
                .build();
            let error = other.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::HashMismatch, "{error}");
            for name in ["\"other\"", "sha256", "xxhash64"] {
                assert!(error.to_string().contains(name), "{error}");
            }
            assert!(error.hint().is_some(), "{error}");
        }
        // A graph whose hashes are longer.
        let longer = pair().unwrap().with_truncation_length(16).unwrap();
        let other = MetadataStore::builder(site.backend(Kind::Delta, "longer"))
            .with_graph(longer)
            .with_hash_algorithm(HashAlgorithm::Xxhash64)
            .with_fallback(stores[0].clone())
            .build();
        assert_eq!(other.unwrap_err().kind(), ErrorKind::HashMismatch);
        // And nothing was made on the way.
        let tables = stores[0].backend().tables().await.unwrap();
        assert_eq!(tables, [""; 0]);
    });
}

#[cfg(feature = "s3")]
#[test]
fn a_fallback_on_a_server_that_is_gone_is_no_trouble_to_what_is_local() {
    let site = Site::new();
    let gone = {
        let server = crate::common::s3::Server::start();
        let mut options = server.options();
        options.push(("max_retries".into(), "1".into()));
        DeltaConfig::new(server.root("gone"))
            .with_storage_options(options)
            .with_retry_timeout(Duration::from_millis(100))
            .open(Access::Read)
    };
    let gone = MetadataStore::builder(Arc::new(gone))
        .with_name("gone")
        .with_access(Access::Read)
        .with_graph(joined())
        .with_hash_algorithm(HashAlgorithm::Xxhash64)
        .build()
        .unwrap();
    let front = site.store(Kind::Delta, "front", Some(&gone));
    block_on(async {
        write(&front, "a", &[(1, "x")]).await;
        compute(&front, "b").await.unwrap();
        assert_eq!(ids(&front, "b").await, [1]);
        let error = front
            .read(&key("c").unwrap(), ReadOptions::default())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
        let text = error.to_string();
        assert!(
            text.contains("gone") && text.contains("feature: c"),
            "{text}"
        );
        assert!(error.hint().is_some(), "{text}");
        assert!(!text.contains(crate::common::s3::SECRET_KEY), "{text}");
    });
}
