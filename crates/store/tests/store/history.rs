//! Pushed graphs and the status of features.

use futures::executor::block_on;
use indexmap::IndexMap;
use metaxy_store::prelude::*;
use metaxy_store::store::{StatusCategory, StatusOptions};
use metaxy_store::{Expr, col};

use crate::fixture::{Fixture, fixture, graph, key, raw, write};

fn changed() -> FeatureGraph {
    let mut graph = graph();
    let spec = FeatureSpec::new("video/faces", ["id"])
        .unwrap()
        .with_dep(FeatureDep::new("video/raw").unwrap())
        .with_field(FieldSpec::new("boxes").unwrap().with_code_version("2"));
    graph.replace(FeatureDefinition::new(spec, "demo")).unwrap();
    graph
}

fn push(store: &MetadataStore, tags: &[(&str, &str)]) -> metaxy_store::system::PushReport {
    let tags: IndexMap<String, String> = tags
        .iter()
        .map(|(k, v)| ((*k).into(), (*v).into()))
        .collect();
    block_on(store.push_graph(None, &tags)).unwrap()
}

#[test]
fn the_last_push_is_the_newest_even_of_an_old_graph() {
    let Fixture {
        store: first,
        folder: _folder,
    } = fixture();
    let second = first.with_graph(changed());
    let v1 = push(&first, &[]);
    assert!(!v1.already_pushed && v1.changed_features.is_empty());
    assert!(push(&first, &[]).already_pushed);
    let v2 = push(&second, &[]);
    assert_eq!(v2.changed_features, [key("video/faces")]);
    assert!(
        v2.updated_features.is_empty(),
        "the version of the project changed as well"
    );
    assert!(!push(&first, &[]).already_pushed);

    let snapshots = block_on(first.snapshots(Some("demo"))).unwrap();
    let versions: Vec<&str> = snapshots
        .iter()
        .map(|s| s.project_version.as_str())
        .collect();
    assert_eq!(
        versions,
        [v1.project_version.as_str(), v2.project_version.as_str()]
    );
    assert!(snapshots.iter().all(|s| s.features == 3));
    let latest = block_on(first.latest_project_version(None)).unwrap();
    assert_eq!(latest.as_deref(), Some(v1.project_version.as_str()));

    let loaded = block_on(first.load_graph(Some(&v2.project_version), None))
        .unwrap()
        .unwrap();
    for feature in second.graph().keys() {
        assert_eq!(
            loaded.feature_version(feature).unwrap(),
            second.graph().feature_version(feature).unwrap()
        );
        assert_eq!(
            loaded.definition_version(feature).unwrap(),
            second.graph().definition_version(feature).unwrap()
        );
    }
    assert!(
        block_on(first.load_graph(Some("nowhere"), None))
            .unwrap()
            .is_none()
    );
}

#[test]
fn new_tags_of_an_unchanged_graph_are_kept() {
    let Fixture {
        store,
        folder: _folder,
    } = fixture();
    push(&store, &[]);
    assert!(push(&store, &[("release", "1.0")]).already_pushed);
    let snapshots = block_on(store.snapshots(None)).unwrap();
    assert_eq!(snapshots.len(), 1);
    assert!(
        snapshots[0].tags.contains("\"release\": \"1.0\""),
        "{}",
        snapshots[0].tags
    );
    let rows = block_on(store.pushed_features()).unwrap().len();
    push(&store, &[("release", "1.0")]);
    assert_eq!(
        block_on(store.pushed_features()).unwrap().len(),
        rows,
        "nothing new, nothing written"
    );
}

#[test]
fn a_status_says_what_is_to_be_done() {
    let Fixture {
        store,
        folder: _folder,
    } = fixture();
    let status =
        |feature: &str| block_on(store.status(&key(feature), StatusOptions::default())).unwrap();
    assert_eq!(status("video/raw").category, StatusCategory::Missing);
    let faces = status("video/faces");
    assert_eq!(faces.category, StatusCategory::UpstreamMissing);
    assert_eq!(faces.missing_upstream, Some(key("video/raw")));

    write(&store, "video/raw", raw(&[(1, "a", "f"), (2, "a", "f")]));
    let root = status("video/raw");
    assert_eq!((root.category, root.samples), (StatusCategory::Root, 2));
    let faces = status("video/faces");
    assert_eq!(
        (faces.category, faces.counts.unwrap().new),
        (StatusCategory::Missing, 2)
    );
    let increment =
        block_on(store.resolve_update(&key("video/faces"), ResolveOptions::default())).unwrap();
    block_on(store.write(&key("video/faces"), increment.new)).unwrap();
    assert_eq!(status("video/faces").category, StatusCategory::UpToDate);
    write(&store, "video/raw", raw(&[(1, "a", "changed")]));
    let faces = status("video/faces");
    assert_eq!(
        (faces.category, faces.samples),
        (StatusCategory::NeedsUpdate, 2)
    );
    assert_eq!(faces.counts.unwrap().stale, 1);
}

#[test]
fn a_project_without_features_cannot_be_pushed() {
    let Fixture {
        store,
        folder: _folder,
    } = fixture();
    let error = block_on(store.push_graph(Some("dmeo"), &IndexMap::new())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(
        error.to_string().contains("\"dmeo\"") && error.hint().unwrap().contains("demo"),
        "{error}"
    );
    assert!(block_on(store.pushed_features()).unwrap().is_empty());
}

#[test]
fn samples_are_counted_by_version() {
    let Fixture {
        store: first,
        folder: _folder,
    } = fixture();
    let second = first.with_graph(changed());
    let faces = key("video/faces");
    let [old, new] = [&first, &second].map(|store| store.graph().feature_version(&faces).unwrap());
    let ids = ["id".to_owned()];
    let samples = |version: &str, but_not: Option<&str>| {
        block_on(first.samples_of_version(&faces, &ids, version, but_not)).unwrap()
    };
    assert_eq!(samples(old, None), 0, "there is no table");
    assert!(block_on(first.rows_by_version(&faces)).unwrap().is_empty());

    write(
        &first,
        "video/raw",
        raw(&[(1, "a", "f"), (2, "a", "f"), (3, "a", "f")]),
    );
    let fill = |store: &MetadataStore, filter: Expr| {
        let options = ResolveOptions::default().with_global_filters([filter]);
        let increment = block_on(store.resolve_update(&faces, options)).unwrap();
        block_on(store.write(&faces, increment.new)).unwrap();
    };
    fill(&first, col("id").gt(0_i64));
    // One more row of a sample that is there already.
    write(&first, "video/raw", raw(&[(1, "a", "other")]));
    let increment = block_on(first.resolve_update(&faces, ResolveOptions::default())).unwrap();
    block_on(first.write(&faces, increment.stale)).unwrap();
    assert_eq!(samples(old, Some(new)), 3);

    fill(&second, col("id").eq(2_i64));
    let rows = block_on(first.rows_by_version(&faces)).unwrap();
    let mut expected = vec![(Some(old.to_owned()), 4), (Some(new.to_owned()), 1)];
    expected.sort();
    assert_eq!(rows, expected);
    assert_eq!((samples(old, None), samples(new, None)), (3, 1));
    assert_eq!((samples(old, Some(new)), samples(new, Some(old))), (2, 0));

    // A sample that was deleted needs nothing.
    let delete = DeleteOptions::default().with_filters([col("id").eq(3_i64)]);
    block_on(first.delete(&faces, delete)).unwrap();
    assert_eq!(samples(old, Some(new)), 1);
    let other = ["nothing".to_owned()];
    let none = block_on(first.samples_of_version(&faces, &other, old, None)).unwrap();
    assert_eq!(
        none, 0,
        "nothing can be stored under columns that are not there"
    );
}
