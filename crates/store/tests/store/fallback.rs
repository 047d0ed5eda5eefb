//! Chains of stores (`semantics.md` §7).

use futures::executor::block_on;
use metaxy_store::prelude::*;

use crate::fixture::{chained, ids, key, raw, read, write};

const RAW: &str = "video/raw";
const TRANSCRIPT: &str = "video/transcript";

#[test]
fn a_feature_is_read_whole_from_the_first_store_that_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let archive = chained(folder.path(), "archive", &[]).unwrap();
    let prod = chained(folder.path(), "prod", &[&archive]).unwrap();
    let dev = chained(folder.path(), "dev", &[&prod]).unwrap();
    write(&archive, RAW, raw(&[(1, "a", "f"), (2, "a", "f")]));

    assert_eq!(
        ids(&read(&dev, RAW, ReadOptions::default()).unwrap()),
        [1, 2],
        "two links away"
    );
    let local = ReadOptions::default().with_local_only(true);
    assert_eq!(
        read(&dev, RAW, local).unwrap_err().kind(),
        ErrorKind::FeatureNotFound
    );
    assert!(block_on(dev.has_feature(&key(RAW), true)).unwrap());
    assert!(!block_on(dev.has_feature(&key(RAW), false)).unwrap());
    let (_, owner) = block_on(dev.read_with_store(&key(RAW), ReadOptions::default())).unwrap();
    assert_eq!(owner.name(), "archive");

    // Upstream comes from the chain, results go here; what another store has of the feature itself does not count.
    let increment =
        block_on(prod.resolve_update(&key(TRANSCRIPT), ResolveOptions::default())).unwrap();
    block_on(prod.write(&key(TRANSCRIPT), increment.new)).unwrap();
    let increment =
        block_on(dev.resolve_update(&key(TRANSCRIPT), ResolveOptions::default())).unwrap();
    assert_eq!(ids(&increment.new), [1, 2]);
    block_on(dev.write(&key(TRANSCRIPT), increment.new)).unwrap();
    assert!(
        block_on(dev.resolve_update(&key(TRANSCRIPT), ResolveOptions::default()))
            .unwrap()
            .is_empty()
    );
    assert!(!block_on(archive.has_feature(&key(TRANSCRIPT), false)).unwrap());

    // Rows of two stores are never mixed.
    write(&prod, RAW, raw(&[(3, "a", "f")]));
    assert_eq!(ids(&read(&dev, RAW, ReadOptions::default()).unwrap()), [3]);
}

#[test]
fn an_emptied_table_does_not_hide_a_fallback_but_tombstones_do() {
    let folder = tempfile::tempdir().unwrap();
    let prod = chained(folder.path(), "prod", &[]).unwrap();
    let dev = chained(folder.path(), "dev", &[&prod]).unwrap();
    write(&prod, RAW, raw(&[(1, "a", "f")]));
    write(&dev, RAW, raw(&[(2, "a", "f")]));

    block_on(dev.delete(&key(RAW), DeleteOptions::soft())).unwrap();
    assert!(
        read(&dev, RAW, ReadOptions::default()).unwrap().is_empty(),
        "deleted here is deleted"
    );
    assert_eq!(
        block_on(dev.delete(&key(RAW), DeleteOptions::hard())).unwrap(),
        2
    );
    assert_eq!(ids(&read(&dev, RAW, ReadOptions::default()).unwrap()), [1]);
    assert!(block_on(dev.drop_feature(&key(RAW))).unwrap());
    assert!(!block_on(dev.drop_feature(&key(RAW))).unwrap());
    assert_eq!(ids(&read(&dev, RAW, ReadOptions::default()).unwrap()), [1]);
}

#[test]
fn what_only_a_fallback_has_cannot_be_deleted_here() {
    let folder = tempfile::tempdir().unwrap();
    let prod = chained(folder.path(), "prod", &[]).unwrap();
    let dev = chained(folder.path(), "dev", &[&prod]).unwrap();
    write(&prod, RAW, raw(&[(1, "a", "f")]));
    let error = block_on(dev.delete(&key(RAW), DeleteOptions::soft())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FeatureNotFound);
    assert!(
        error.to_string().contains("\"prod\"") && error.hint().unwrap().contains("copy"),
        "{error}"
    );
    assert_eq!(ids(&read(&dev, RAW, ReadOptions::default()).unwrap()), [1]);
    assert_eq!(
        block_on(dev.delete(&key(RAW), DeleteOptions::hard())).unwrap(),
        0
    );
}

#[test]
fn a_chain_has_one_hash_algorithm_at_any_depth() {
    let folder = tempfile::tempdir().unwrap();
    let backend = SqliteConfig::new(folder.path().join("far.db")).open(Access::Read);
    let far = MetadataStore::builder(std::sync::Arc::new(backend))
        .with_name("far")
        .with_hash_algorithm(HashAlgorithm::Md5)
        .build()
        .unwrap();
    let error = chained(folder.path(), "near", &[&far]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HashMismatch);
    assert!(
        ["\"near\"", "\"far\"", "xxhash32", "md5"]
            .iter()
            .all(|part| error.to_string().contains(part)),
        "{error}"
    );
}

#[test]
fn a_configured_chain_opens_what_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(
        folder.path().join("metaxy.toml"),
        format!(
            "project = \"demo\"\n\
             [stores.dev]\ntype = \"metaxy_sqlite::SqliteBackend\"\ndatabase = '{}'\nfallback_stores = [\"prod\"]\n\
             [stores.prod]\ntype = \"sqlite\"\n[stores.prod.config]\ndatabase = '{}'\n",
            path("dev.db"),
            path("prod.db")
        ),
    )
    .unwrap();
    let config = metaxy_store::config::ConfigLoader::new()
        .with_start_dir(folder.path())
        .with_environment(metaxy_store::config::Environment::empty())
        .load()
        .unwrap();
    let graph = crate::fixture::graph();
    let prod = MetadataStore::from_config(&config, Some("prod"), Access::Write, &graph).unwrap();
    write(&prod, RAW, raw(&[(1, "a", "f")]));
    let dev = MetadataStore::from_config(&config, None, Access::Write, &graph).unwrap();
    assert_eq!((dev.name(), dev.project()), ("dev", Some("demo")));
    assert_eq!(ids(&read(&dev, RAW, ReadOptions::default()).unwrap()), [1]);
    let behind = dev.fallbacks().next().unwrap();
    let error = block_on(behind.write(&key(RAW), raw(&[(2, "a", "f")]))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
}
