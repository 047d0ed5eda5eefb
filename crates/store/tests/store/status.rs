//! The status of a feature: what is counted, where, and under which conditions.

use futures::executor::block_on;
use metaxy_store::col;
use metaxy_store::prelude::*;
use metaxy_store::store::{FeatureStatus, StatusCategory, StatusOptions};

use crate::fixture::{chained, key, raw, write};
use crate::shapes::{apply, builder, frame, lineages, resolve};

fn status(store: &MetadataStore, feature: &str, options: StatusOptions) -> FeatureStatus {
    block_on(store.status(&key(feature), options)).unwrap()
}

/// New, stale and orphaned.
fn counts(status: &FeatureStatus) -> [u64; 3] {
    let counts = status.counts.unwrap();
    [counts.new, counts.stale, counts.orphaned]
}

fn default() -> StatusOptions {
    StatusOptions::default()
}

/// Three transcripts of three videos, in one store.
fn transcripts(folder: &std::path::Path) -> MetadataStore {
    let store = chained(folder, "main", &[]).unwrap();
    write(
        &store,
        "video/raw",
        raw(&[(1, "a", "f"), (2, "b", "f"), (3, "c", "f")]),
    );
    apply(&store, "video/transcript");
    store
}

#[test]
fn target_filters_concern_the_feature_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = transcripts(folder.path());
    let only = |ids: &[i64]| [col("id").is_in(ids.iter().copied())];
    let all = status(&store, "video/transcript", default().with_progress(true));
    assert_eq!((all.samples, counts(&all)), (3, [0, 0, 0]));
    assert_eq!(all.category, StatusCategory::UpToDate);
    assert_eq!(all.progress, Some(100.0));

    let target = default()
        .with_target_filters(only(&[1, 2]))
        .with_progress(true);
    let target = status(&store, "video/transcript", target);
    assert_eq!((target.samples, counts(&target)), (2, [1, 0, 0]));
    assert_eq!(target.category, StatusCategory::NeedsUpdate);
    let progress = target.progress.unwrap();
    assert!((progress - 200.0 / 3.0).abs() < 1e-9, "{progress}");

    let both = default()
        .with_target_filters(only(&[1, 2]))
        .with_global_filters(only(&[2, 3]))
        .with_progress(true);
    let both = status(&store, "video/transcript", both);
    assert_eq!((both.samples, counts(&both)), (1, [1, 0, 0]));
    assert_eq!(both.progress, Some(50.0));

    let root = default().with_target_filters(only(&[3]));
    assert_eq!(status(&store, "video/raw", root).samples, 1);
}

#[test]
fn staleness_predicates_make_samples_stale_and_undo_no_progress() {
    let folder = tempfile::tempdir().unwrap();
    let store = transcripts(folder.path());
    let given = default()
        .with_staleness_predicates([col("id").eq(1), col("id").gt(2)])
        .with_progress(true);
    let given = status(&store, "video/transcript", given);
    assert_eq!(counts(&given), [0, 2, 0]);
    assert_eq!(given.category, StatusCategory::NeedsUpdate);
    assert_eq!(given.progress, Some(100.0));

    let unknown = default().with_staleness_predicates([col("nowhere").eq(1)]);
    let error = block_on(store.status(&key("video/transcript"), unknown)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFilter);
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[test]
fn progress_is_computed_only_where_it_is_asked_for_and_known() {
    let folder = tempfile::tempdir().unwrap();
    let store = transcripts(folder.path());
    let asked = || default().with_progress(true);
    assert_eq!(status(&store, "video/transcript", default()).progress, None);
    assert_eq!(status(&store, "video/raw", asked()).progress, None);
    let missing = status(&store, "video/faces", asked());
    assert_eq!(missing.category, StatusCategory::Missing);
    assert_eq!((missing.progress, counts(&missing)), (Some(0.0), [3, 0, 0]));

    let nobody = [col("id").gt(3)];
    let nothing = asked().with_global_filters(nobody);
    let nothing = status(&store, "video/transcript", nothing);
    assert_eq!((nothing.progress, nothing.samples), (None, 0));
    assert_eq!(nothing.category, StatusCategory::UpToDate);

    let empty = chained(folder.path(), "empty", &[]).unwrap();
    let waits = status(&empty, "video/transcript", asked());
    assert_eq!(waits.category, StatusCategory::UpstreamMissing);
    assert_eq!(waits.missing_upstream, Some(key("video/raw")));
    assert_eq!((waits.progress, waits.counts), (None, None));
}

#[test]
fn without_fallback_stores_the_feature_is_this_stores_and_its_input_the_chains() {
    let folder = tempfile::tempdir().unwrap();
    let prod = transcripts(folder.path());
    let dev = chained(folder.path(), "dev", &[&prod]).unwrap();
    let here = || default().with_use_fallback(false).with_progress(true);

    let chain = status(&dev, "video/transcript", default());
    assert_eq!((chain.samples, chain.store.as_deref()), (3, Some("main")));
    assert_eq!(chain.category, StatusCategory::NeedsUpdate);
    let local = status(&dev, "video/transcript", here());
    assert_eq!((local.samples, local.store.as_deref()), (0, None));
    assert_eq!(local.category, StatusCategory::Missing);
    assert_eq!((counts(&local), local.progress), ([3, 0, 0], Some(0.0)));

    let root = status(&dev, "video/raw", here());
    assert_eq!((root.category, root.samples), (StatusCategory::Missing, 0));
    apply(&dev, "video/transcript");
    let local = status(&dev, "video/transcript", here());
    assert_eq!((local.samples, local.store.as_deref()), (3, Some("dev")));
    assert_eq!(local.category, StatusCategory::UpToDate);
}

#[test]
fn samples_are_counted_under_filters_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = builder(folder.path(), "main")
        .with_graph(lineages())
        .build()
        .unwrap();
    let clips = frame(
        &[("clip", &[1, 2, 3, 4]), ("video", &[1, 1, 2, 2])],
        &["a", "b", "c", "d"],
    );
    write(&store, "clip", clips);
    apply(&store, "summary");
    let first = || default().with_target_filters([col("video").eq(1)]);
    let options = first().with_staleness_predicates([col("video").eq(1)]);
    let found = status(&store, "summary", options.with_progress(true));
    assert_eq!(resolve(&store, "summary").counts().new, 0);
    assert_eq!((found.samples, counts(&found)), (1, [1, 1, 0]));
    assert_eq!(found.progress, Some(50.0));
}
