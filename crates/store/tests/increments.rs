//! The main job through the public interface, on a real SQLite file.

#![allow(clippy::unwrap_used)] // a test panics where something is wrong

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field};
use futures::executor::block_on;
use metaxy_store::plan::Part;
use metaxy_store::prelude::*;

fn key(text: &str) -> FeatureKey {
    FeatureKey::new(text).unwrap()
}

/// `video/raw` with sound and pictures; transcripts depend on the sound, faces on the pictures.
fn graph() -> FeatureGraph {
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

fn raw(rows: &[(i64, &str, &str)]) -> RecordBatch {
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

struct Fixture {
    store: MetadataStore,
    folder: tempfile::TempDir,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let backend = SqliteConfig::new(folder.path().join("store.db")).open(Access::Write);
    let store = MetadataStore::builder(Arc::new(backend))
        .with_graph(graph())
        .build()
        .unwrap();
    Fixture { store, folder }
}

fn ids(rows: &Rows) -> Vec<i64> {
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
