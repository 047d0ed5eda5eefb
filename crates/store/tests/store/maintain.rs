//! Maintenance: what a failure tells, and features of other projects.

use std::num::NonZeroU64;

use futures::executor::block_on;
use metaxy_store::definition::External;
use metaxy_store::prelude::*;
use metaxy_store::{Backend, MaintainOptions};

use crate::fixture::{key, raw};
use crate::shapes::{builder, graph_of, root};

fn keep_one() -> MaintainOptions {
    MaintainOptions::default().with_keep(NonZeroU64::MIN)
}

#[test]
fn what_tells_external_samples_apart_is_not_known() {
    let folder = tempfile::tempdir().unwrap();
    let fields = ["audio", "frames"].map(|name| FieldSpec::new(name).unwrap());
    let spec = |ids: &[&str]| {
        let [audio, frames] = fields.clone();
        root("video/raw", ids).with_field(audio).with_field(frames)
    };
    let owner = builder(folder.path(), "main")
        .with_graph(graph_of([spec(&["id"])]))
        .build()
        .unwrap();
    for version in ["x", "y"] {
        let rows = raw(&[(1, version, version), (2, version, version)]);
        block_on(owner.write(&key("video/raw"), rows)).unwrap();
    }
    let placeholder = FeatureDefinition::external(spec(&["id"]), "other", External::default());
    let other = owner.with_graph(FeatureGraph::from_definitions([placeholder]).unwrap());
    let all = block_on(other.maintain(keep_one())).unwrap();
    assert_eq!(all.pruned, []);
    let named = keep_one().with_features([key("video/raw")]);
    let error = block_on(other.maintain(named)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(
        error.to_string().contains("video/raw is external"),
        "{error}"
    );
    let report = block_on(owner.maintain(keep_one())).unwrap();
    assert_eq!(report.pruned, [(key("video/raw"), 2)]);
}

#[test]
fn rows_that_are_gone_are_told_where_the_rest_fails() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("main.db");
    let timeout = std::time::Duration::from_millis(50);
    let backend = SqliteConfig::new(&path)
        .with_lock_timeout(timeout)
        .open(Access::Write);
    let store = MetadataStore::builder(std::sync::Arc::new(backend.clone()))
        .with_name("main")
        .with_graph(graph_of([root("a", &["id"])]))
        .build()
        .unwrap();
    for version in ["x", "y"] {
        let rows = crate::shapes::frame(&[("id", &[1, 2])], &[version; 2]);
        block_on(store.write(&key("a"), rows)).unwrap();
    }
    // A read that goes on keeps the log from being written back, not rows from being removed.
    let many: Vec<i64> = (10..40_000).collect();
    let rows = crate::shapes::frame(&[("id", &many)], &vec!["x"; many.len()]);
    block_on(store.write(&key("a"), rows)).unwrap();
    let mut reading = block_on(store.read(&key("a"), ReadOptions::default())).unwrap();
    assert!(block_on(reading.next()).unwrap().is_some());
    let error = block_on(store.maintain(keep_one())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    assert!(error.to_string().contains("rows removed: 2"), "{error}");
    drop(reading);
    assert!(block_on(backend.has_rows(&key("a"))).unwrap());
}

#[test]
fn versions_with_other_ids_keep_their_history() {
    let folder = tempfile::tempdir().unwrap();
    let fields = ["audio", "frames"].map(|name| FieldSpec::new(name).unwrap());
    let spec = |ids: &[&str], code: &str| {
        let [audio, frames] = fields.clone();
        root("video/raw", ids)
            .with_field(audio.with_code_version(code))
            .with_field(frames)
    };
    let finer = builder(folder.path(), "main")
        .with_graph(graph_of([spec(&["id", "path"], "1")]))
        .build()
        .unwrap();
    block_on(finer.push_graph(Some("demo"), &Default::default())).unwrap();
    let rows = raw(&[(1, "x", "x"), (2, "x", "x")]);
    block_on(finer.write(&key("video/raw"), rows)).unwrap();
    // By one ID column of two, both rows of the first version could be one sample's.
    let coarser = finer.with_graph(graph_of([spec(&["id"], "2")]));
    for version in ["x", "y"] {
        let rows = raw(&[(1, version, version)]);
        block_on(coarser.write(&key("video/raw"), rows)).unwrap();
    }
    let error = block_on(coarser.maintain(keep_one())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("[\"id\", \"path\"]"), "{error}");
    // Where no row of that version is left, there is nothing to lose.
    block_on(finer.delete(&key("video/raw"), DeleteOptions::hard())).unwrap();
    let report = block_on(coarser.maintain(keep_one())).unwrap();
    assert_eq!(report.pruned, [(key("video/raw"), 1)]);
}
