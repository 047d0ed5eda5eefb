//! The main job: new, stale, orphaned.

use std::sync::Arc;

use futures::executor::block_on;
use metaxy_store::col;
use metaxy_store::plan::Part;
use metaxy_store::prelude::*;

use crate::fixture::{Fixture, fixture, graph, ids, key, raw};

fn resolve(store: &MetadataStore, feature: &str) -> Increment {
    block_on(store.resolve_update(&key(feature), ResolveOptions::default())).unwrap()
}

fn apply(store: &MetadataStore, feature: &str) {
    let increment = resolve(store, feature);
    block_on(store.write(&key(feature), increment.new_and_stale())).unwrap();
}

#[test]
fn only_what_depends_on_the_change_is_stale() {
    let Fixture { store, folder } = fixture();
    block_on(store.write(
        &key("video/raw"),
        raw(&[(1, "a1", "f1"), (2, "a2", "f2"), (3, "a3", "f3")]),
    ))
    .unwrap();

    let increment = resolve(&store, "video/transcript");
    assert_eq!(ids(&increment.new), [1, 2, 3]);
    assert!(increment.stale.is_empty() && increment.orphaned.is_empty());
    apply(&store, "video/transcript");
    apply(&store, "video/faces");
    assert!(resolve(&store, "video/transcript").is_empty());
    assert!(resolve(&store, "video/faces").is_empty());

    // The sound of video 2 changes, video 4 arrives, video 1 goes.
    block_on(store.write(
        &key("video/raw"),
        raw(&[(2, "changed", "f2"), (4, "a4", "f4")]),
    ))
    .unwrap();
    let gone = DeleteOptions::soft().with_filters([col("id").eq(1)]);
    assert_eq!(block_on(store.delete(&key("video/raw"), gone)).unwrap(), 1);

    let transcript = resolve(&store, "video/transcript");
    assert_eq!(ids(&transcript.new), [4]);
    assert_eq!(ids(&transcript.stale), [2]);
    assert_eq!(ids(&transcript.orphaned), [1]);
    let faces = resolve(&store, "video/faces");
    assert_eq!(
        (ids(&faces.new), ids(&faces.stale), ids(&faces.orphaned)),
        (vec![4], vec![], vec![1])
    );

    let counts = block_on(async {
        let lazy = store
            .resolve_lazy(&key("video/transcript"), ResolveOptions::default())
            .await?;
        assert!(
            lazy.plan()
                .schema(Part::New)
                .field_with_name("path")
                .is_ok()
        );
        lazy.counts().await
    })
    .unwrap();
    assert_eq!(counts, transcript.counts());

    // Writing what is new and stale and deleting what is orphaned leaves nothing to do.
    apply(&store, "video/faces");
    let deleted = block_on(store.delete_rows(&key("video/faces"), faces.orphaned)).unwrap();
    assert_eq!(deleted, 1);
    assert!(resolve(&store, "video/faces").is_empty());

    // Another process sees the same.
    let backend = SqliteConfig::new(folder.path().join("store.db")).open(Access::Read);
    let reader = MetadataStore::builder(Arc::new(backend))
        .with_graph(graph())
        .with_access(Access::Read)
        .build()
        .unwrap();
    assert_eq!(
        resolve(&reader, "video/transcript").counts(),
        transcript.counts()
    );
    let refused = block_on(reader.write(&key("video/raw"), raw(&[(9, "a", "f")]))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnly);
}

#[test]
fn columns_of_two_upstreams_may_differ_in_case_only() {
    let root = |name: &str| {
        let spec = FeatureSpec::new(name, ["id"]).unwrap();
        FeatureDefinition::new(
            spec.with_field(FieldSpec::new("audio").unwrap())
                .with_field(FieldSpec::new("frames").unwrap()),
            "demo",
        )
    };
    let both = FeatureSpec::new("both", ["id"])
        .unwrap()
        .with_dep(FeatureDep::new("a").unwrap().with_rename("path", "Path"))
        .with_dep(FeatureDep::new("b").unwrap());
    let graph = FeatureGraph::from_definitions([
        root("a"),
        root("b"),
        FeatureDefinition::new(both, "demo"),
    ])
    .unwrap();
    let Fixture {
        store,
        folder: _folder,
    } = fixture();
    let store = store.with_graph(graph);
    block_on(store.write(&key("a"), raw(&[(1, "x", "y")]))).unwrap();
    block_on(store.write(&key("b"), raw(&[(1, "x", "y")]))).unwrap();
    // Told apart by the second column: the rows of `b` have another path.
    let increment = resolve(&store, "both");
    let names: Vec<&str> = increment
        .new
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().as_str())
        .collect();
    assert_eq!(names[..3], ["id", "Path", "path"]);
    assert_eq!(
        crate::fixture::texts(&increment.new, "Path"),
        [Some("1.mp4".into())]
    );
}

#[test]
fn a_result_that_is_not_read_to_its_end_harms_nobody() {
    let Fixture {
        store,
        folder: _folder,
    } = fixture();
    let rows: Vec<(i64, &str, &str)> = (0..20_000).map(|id| (id, "a", "f")).collect();
    block_on(store.write(&key("video/raw"), raw(&rows))).unwrap();
    for _ in 0..5 {
        let mut frame = block_on(store.read(&key("video/raw"), ReadOptions::default())).unwrap();
        assert!(block_on(frame.next()).unwrap().is_some());
        drop(frame);
        assert_eq!(resolve(&store, "video/faces").new.num_rows(), 20_000);
    }
}

#[test]
fn a_frame_that_promises_no_nulls_can_be_compared() {
    let Fixture {
        store,
        folder: _folder,
    } = fixture();
    let strict = |batch: arrow::array::RecordBatch| {
        let fields = batch
            .schema()
            .fields()
            .iter()
            .map(|f| f.as_ref().clone().with_nullable(false))
            .collect::<Vec<_>>();
        let schema = Arc::new(arrow::datatypes::Schema::new(fields));
        arrow::array::RecordBatch::try_new(schema, batch.columns().to_vec()).unwrap()
    };
    block_on(store.write(
        &key("video/raw"),
        strict(raw(&[(1, "a", "f"), (2, "a", "f")])),
    ))
    .unwrap();
    let samples =
        ResolveOptions::default().with_samples(strict(raw(&[(2, "b", "f"), (3, "a", "f")])));
    let increment = block_on(store.resolve_update(&key("video/raw"), samples)).unwrap();
    assert_eq!(
        (
            ids(&increment.new),
            ids(&increment.stale),
            ids(&increment.orphaned)
        ),
        (vec![3], vec![2], vec![1])
    );
}

#[test]
fn without_a_comparison_the_stored_columns_do_not_matter() {
    let Fixture {
        store,
        folder: _folder,
    } = fixture();
    block_on(store.write(&key("video/raw"), raw(&[(1, "a", "f"), (2, "a", "f")]))).unwrap();
    apply(&store, "video/faces");
    let options = || ResolveOptions::default().with_target_filters([col("elsewhere").eq(1)]);
    let error = block_on(store.resolve_update(&key("video/faces"), options())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFilter);
    let skipped = options().with_skip_comparison(true);
    let increment = block_on(store.resolve_update(&key("video/faces"), skipped)).unwrap();
    assert_eq!(ids(&increment.new), [1, 2]);
}

#[test]
fn a_field_that_upstream_was_never_written_with_is_named() {
    let Fixture {
        store,
        folder: _folder,
    } = fixture();
    block_on(store.write(&key("video/raw"), raw(&[(1, "a", "f")]))).unwrap();
    let mut graph = graph();
    let raw_spec = FeatureSpec::new("video/raw", ["id"]).unwrap();
    let fields = ["audio", "frames", "depth"].map(|name| FieldSpec::new(name).unwrap());
    let raw_spec = fields.into_iter().fold(raw_spec, FeatureSpec::with_field);
    graph
        .replace(FeatureDefinition::new(raw_spec, "demo"))
        .unwrap();
    let faces = FeatureSpec::new("video/faces", ["id"])
        .unwrap()
        .with_dep(FeatureDep::new("video/raw").unwrap());
    graph
        .replace(FeatureDefinition::new(faces, "demo"))
        .unwrap();
    let store = store.with_graph(graph);
    let error =
        block_on(store.resolve_update(&key("video/faces"), ResolveOptions::default())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFrame);
    assert!(
        error.to_string().contains("\"depth\"") && error.hint().unwrap().contains("video/raw"),
        "{error}"
    );
    // What does not ask for it goes on: nothing upstream is of the current version.
    let transcript =
        block_on(store.resolve_update(&key("video/transcript"), ResolveOptions::default()))
            .unwrap();
    assert!(transcript.is_empty());
}
