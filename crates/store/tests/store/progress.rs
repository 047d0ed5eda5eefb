//! How much is done, and how many samples need work.

use futures::executor::block_on;
use metaxy_store::col;
use metaxy_store::prelude::*;
use metaxy_store::store::{StatusCategory, StatusOptions};

use crate::fixture::{Fixture, chained, fixture, key, raw, write};
use crate::shapes::{apply, builder, frame, lineages, numbered, resolve};

fn progress_with(store: &MetadataStore, feature: &str, options: ResolveOptions) -> Option<f64> {
    block_on(store.progress(&key(feature), options)).unwrap()
}

fn progress(store: &MetadataStore, feature: &str) -> Option<f64> {
    progress_with(store, feature, ResolveOptions::default())
}

#[test]
fn stale_counts_as_done_and_new_does_not() {
    let Fixture { store, folder: _f } = fixture();
    let missing = block_on(store.progress(&key("video/faces"), ResolveOptions::default()));
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::FeatureNotFound);

    let four = raw(&[(1, "a", "f"), (2, "a", "f"), (3, "a", "f"), (4, "a", "f")]);
    write(&store, "video/raw", four);
    assert_eq!(progress(&store, "video/faces"), Some(0.0));
    let few = ResolveOptions::default().with_global_filters([col("id").le(1)]);
    let increment = block_on(store.resolve_update(&key("video/faces"), few)).unwrap();
    block_on(store.write(&key("video/faces"), increment.new)).unwrap();
    assert_eq!(progress(&store, "video/faces"), Some(25.0));
    write(&store, "video/raw", raw(&[(1, "a", "changed")]));
    assert_eq!(resolve(&store, "video/faces").counts().stale, 1);
    assert_eq!(progress(&store, "video/faces"), Some(25.0));

    let all_new = ResolveOptions::default().with_skip_comparison(true);
    assert_eq!(progress_with(&store, "video/faces", all_new), Some(0.0));
    let one = ResolveOptions::default().with_global_filters([col("id").eq(1)]);
    assert_eq!(progress_with(&store, "video/faces", one), Some(100.0));
    let hidden = ResolveOptions::default().with_target_filters([col("id").gt(1)]);
    assert_eq!(progress_with(&store, "video/faces", hidden), Some(0.0));
    let stale = ResolveOptions::default().with_staleness_predicates([col("id").eq(1)]);
    assert_eq!(progress_with(&store, "video/faces", stale), Some(25.0));

    apply(&store, "video/faces");
    assert_eq!(progress(&store, "video/faces"), Some(100.0));
    let gone = DeleteOptions::soft().with_filters([col("id").gt(2)]);
    block_on(store.delete(&key("video/raw"), gone)).unwrap();
    assert_eq!(resolve(&store, "video/faces").counts().orphaned, 2);
    assert_eq!(progress(&store, "video/faces"), Some(100.0));
    block_on(store.delete(&key("video/raw"), DeleteOptions::soft())).unwrap();
    assert_eq!(progress(&store, "video/faces"), None, "no input");
    let samples = ResolveOptions::default().with_samples(raw(&[(1, "a", "f")]));
    assert_eq!(progress_with(&store, "video/raw", samples), None);
}

#[test]
fn groups_and_parents_are_units() {
    let folder = tempfile::tempdir().unwrap();
    let store = builder(folder.path(), "main")
        .with_graph(lineages())
        .build()
        .unwrap();
    let clips = frame(
        &[("clip", &[1, 2, 3, 4]), ("video", &[1, 1, 1, 2])],
        &["a", "b", "c", "d"],
    );
    write(&store, "clip", clips);
    write(
        &store,
        "video",
        frame(&[("video", &[1, 2, 3])], &["a", "b", "c"]),
    );
    let first = || ResolveOptions::default().with_global_filters([col("video").eq(1)]);

    // An aggregation: two groups, one of them of three rows.
    assert_eq!(progress(&store, "summary"), Some(0.0));
    let group = block_on(store.resolve_update(&key("summary"), first())).unwrap();
    block_on(store.write(&key("summary"), group.new)).unwrap();
    assert_eq!(progress(&store, "summary"), Some(50.0));

    // An expansion: one of three parents has two children.
    let parent = block_on(store.resolve_update(&key("crop"), first())).unwrap();
    for child in [1, 2] {
        block_on(store.write(&key("crop"), numbered(&parent.new, "crop", |_| child))).unwrap();
    }
    let done = progress(&store, "crop").unwrap();
    assert!((done - 100.0 / 3.0).abs() < 1e-9, "{done}");

    // Two upstreams share the video: a video is done when all its clips are.
    assert_eq!(progress(&store, "score"), Some(0.0));
    let some =
        ResolveOptions::default().with_filters(key("clip"), [col("clip").is_in([1_i64, 2, 4])]);
    let some = block_on(store.resolve_update(&key("score"), some)).unwrap();
    assert_eq!(some.counts().new, 3);
    block_on(store.write(&key("score"), some.new)).unwrap();
    assert_eq!(resolve(&store, "score").counts().new, 1);
    assert_eq!(progress(&store, "score"), Some(50.0));
    apply(&store, "score");
    assert_eq!(progress(&store, "score"), Some(100.0));
}

#[test]
fn input_comes_from_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let prod = chained(folder.path(), "prod", &[]).unwrap();
    let dev = chained(folder.path(), "dev", &[&prod]).unwrap();
    write(&prod, "video/raw", raw(&[(1, "a", "f"), (2, "a", "f")]));
    let one = ResolveOptions::default().with_global_filters([col("id").eq(1)]);
    let one = block_on(dev.resolve_update(&key("video/faces"), one)).unwrap();
    block_on(dev.write(&key("video/faces"), one.new)).unwrap();
    assert_eq!(progress(&dev, "video/faces"), Some(50.0));
}

#[test]
fn a_status_counts_samples_not_upstream_rows() {
    let folder = tempfile::tempdir().unwrap();
    let store = builder(folder.path(), "main")
        .with_graph(lineages())
        .build()
        .unwrap();
    let clips = |provenance: [&str; 4]| {
        frame(
            &[("clip", &[1, 2, 3, 4]), ("video", &[1, 1, 1, 2])],
            &provenance,
        )
    };
    write(&store, "clip", clips(["a", "b", "c", "d"]));
    let status = || block_on(store.status(&key("summary"), StatusOptions::default())).unwrap();
    assert_eq!(resolve(&store, "summary").counts().new, 4, "rows");
    assert_eq!(status().counts.unwrap().new, 2, "samples");
    apply(&store, "summary");
    assert_eq!(status().category, StatusCategory::UpToDate);
    assert_eq!(status().samples, 2);

    write(&store, "clip", clips(["a", "changed", "c", "d"]));
    let counts = status().counts.unwrap();
    assert_eq!((counts.new, counts.stale, counts.orphaned), (0, 1, 0));
    block_on(store.delete(&key("clip"), DeleteOptions::soft())).unwrap();
    let counts = status().counts.unwrap();
    assert_eq!((counts.new, counts.stale, counts.orphaned), (0, 0, 2));
}
