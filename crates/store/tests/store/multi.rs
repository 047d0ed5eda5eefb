//! Writing several features at once.

use futures::executor::block_on;
use metaxy_store::prelude::*;

use crate::fixture::key;
use crate::shapes::{Observed, builder, child, frame, graph_of, root, without_column};

const SAME: Lineage = Lineage::Identity;

/// `z` makes `m` makes `a`; `b` stands alone.
fn chain() -> FeatureGraph {
    graph_of([
        root("z", &["id"]),
        child("m", &["id"], &[("z", SAME)]),
        child("a", &["id"], &[("m", SAME)]),
        root("b", &["id"]),
    ])
}

fn writes(features: &[&str]) -> Vec<(FeatureKey, Frame)> {
    let one = |feature: &&str| (key(feature), frame(&[("id", &[1])], &["p"]).into());
    features.iter().map(one).collect()
}

fn texts(order: &[FeatureKey]) -> Vec<&str> {
    order.iter().map(FeatureKey::as_str).collect()
}

#[test]
fn dependents_are_written_before_their_dependencies_in_one_append() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Observed::new(folder.path(), true);
    let store = MetadataStore::builder(backend.clone())
        .with_graph(chain())
        .build()
        .unwrap();
    let write = |features: &[&str]| {
        block_on(store.write_multi(writes(features), WriteOptions::default())).unwrap()
    };
    assert_eq!(texts(&write(&["z", "m", "a", "b"])), ["b", "a", "m", "z"]);
    // Also where the feature between them is left out: alphabetically `a` would come after `z`.
    assert_eq!(texts(&write(&["z", "a"])), ["a", "z"]);
    assert_eq!(texts(&write(&["a", "z"])), ["a", "z"]);
    assert!(write(&[]).is_empty());
    let calls = backend.calls();
    assert_eq!(
        calls,
        [vec!["b", "a", "m", "z"], vec!["a", "z"], vec!["a", "z"]]
    );
}

#[test]
fn one_invalid_frame_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = builder(folder.path(), "main")
        .with_graph(chain())
        .build()
        .unwrap();
    let good = || frame(&[("id", &[1])], &["p"]);
    let lacking = without_column(&good(), "metaxy_provenance_by_field");
    let null_id = {
        let ids = arrow::array::Int64Array::from(vec![None]);
        crate::shapes::with_column(&good(), "id", std::sync::Arc::new(ids))
    };
    for bad in [lacking, null_id] {
        let writes = vec![
            (key("a"), good().into()),
            (key("m"), good().into()),
            (key("z"), bad.into()),
        ];
        let error = block_on(store.write_multi(writes, WriteOptions::default())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidFrame, "{error}");
        assert!(error.to_string().contains("feature z"), "{error}");
        for feature in ["a", "m", "z"] {
            assert!(!block_on(store.has_feature(&key(feature), false)).unwrap());
        }
    }
    let unknown = block_on(store.write_multi(writes(&["a", "nope"]), WriteOptions::default()));
    assert_eq!(unknown.unwrap_err().kind(), ErrorKind::FeatureNotFound);
    let twice = block_on(store.write_multi(writes(&["a", "a"]), WriteOptions::default()));
    assert_eq!(twice.unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert!(!block_on(store.has_feature(&key("a"), false)).unwrap());
}

#[test]
fn the_options_hold_for_every_feature() {
    let folder = tempfile::tempdir().unwrap();
    let store = builder(folder.path(), "main")
        .with_graph(chain())
        .with_materialization_id(Some("store"))
        .build()
        .unwrap();
    let options = WriteOptions::default()
        .with_materialization_id("run-1")
        .with_at(5_000_000);
    block_on(store.write_multi(writes(&["a", "z"]), options)).unwrap();
    for feature in ["a", "z"] {
        let rows = crate::fixture::read(&store, feature, ReadOptions::default()).unwrap();
        let run = crate::fixture::texts(&rows, "metaxy_materialization_id");
        assert_eq!(run, [Some("run-1".into())]);
        let written = crate::fixture::texts(&rows, "metaxy_updated_at");
        assert_eq!(written, [Some("1970-01-01T00:00:05".into())]);
    }
}

#[test]
fn every_operation_can_run_on_another_thread() {
    fn send<T: Send>(_: &T) {}
    let folder = tempfile::tempdir().unwrap();
    let store = builder(folder.path(), "main").build().unwrap();
    let (feature, rows) = (key("a"), || frame(&[("id", &[1])], &["p"]));
    send(&store.write_multi(Vec::new(), WriteOptions::default()));
    send(&store.copy_from(&store, metaxy_store::store::CopyOptions::default()));
    send(&store.rebase(
        &feature,
        rows(),
        metaxy_store::store::RebaseOptions::default(),
    ));
    send(&store.progress(&feature, ResolveOptions::default()));
    let options = metaxy_store::store::BufferOptions::default();
    let mut writer = metaxy_store::store::BufferedWriter::new(store, options);
    send(&writer.put(&feature, rows()));
    send(&writer.close());
    send(&writer);
}
