//! Copies from one store to another.

use std::path::Path;

use futures::executor::block_on;
use metaxy_store::col;
use metaxy_store::prelude::*;
use metaxy_store::store::{CopyOptions, CopyReport};

use crate::fixture::{graph, ids, key, raw, read, texts, write};
use crate::shapes::{apply, at, builder};

const RAW: &str = "video/raw";
const FACES: &str = "video/faces";

fn store(folder: &Path, name: &str, seconds: i64) -> MetadataStore {
    builder(folder, name)
        .with_graph(graph())
        .with_clock(at(seconds))
        .build()
        .unwrap()
}

fn copy(to: &MetadataStore, from: &MetadataStore, options: CopyOptions) -> CopyReport {
    block_on(to.copy_from(from, options)).unwrap()
}

fn everything() -> ReadOptions {
    ReadOptions::default()
        .with_feature_history(true)
        .with_sample_history(true)
        .with_soft_deleted(true)
}

/// Videos 1 to 3, of which 2 was written twice and 3 is deleted.
fn source(folder: &Path) -> MetadataStore {
    write(
        &store(folder, "src", 10),
        RAW,
        raw(&[(1, "a", "f"), (2, "a", "f"), (3, "a", "f")]),
    );
    write(&store(folder, "src", 20), RAW, raw(&[(2, "changed", "f")]));
    let source = store(folder, "src", 30);
    let gone = DeleteOptions::soft().with_filters([col("id").eq(3)]);
    block_on(source.delete(&key(RAW), gone)).unwrap();
    source
}

#[test]
fn an_appending_copy_is_a_write_of_the_current_samples() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path());
    apply(&source, FACES);
    let dest = builder(folder.path(), "dst")
        .with_graph(graph())
        .with_clock(at(100))
        .with_materialization_id(Some("copying"))
        .build()
        .unwrap();
    let report = copy(&dest, &source, CopyOptions::default().with_append(true));
    assert_eq!((report.features_copied, report.rows_copied), (2, 4));
    assert_eq!(report.features, [(key(RAW), 2), (key(FACES), 2)]);
    assert_eq!(report.skipped, [key("video/transcript")]);

    let (there, here) = (
        read(&source, RAW, ReadOptions::default()).unwrap(),
        read(&dest, RAW, ReadOptions::default()).unwrap(),
    );
    assert_eq!(ids(&here), [1, 2]);
    for column in [
        "path",
        "metaxy_provenance",
        "metaxy_data_version",
        "metaxy_feature_version",
        "metaxy_project_version",
        "metaxy_created_at",
    ] {
        assert_eq!(texts(&here, column), texts(&there, column), "{column}");
    }
    let stamp = Some("1970-01-01T00:01:40".to_owned());
    assert_eq!(texts(&here, "metaxy_updated_at"), [stamp.clone(), stamp]);
    assert_eq!(
        texts(&here, "metaxy_materialization_id")[0].as_deref(),
        Some("copying")
    );
    assert!(crate::shapes::resolve(&dest, FACES).is_empty());

    // Once more: rows are appended, samples stay what they are.
    let options = CopyOptions::default().with_append(true);
    let again = copy(&dest, &source, options.with_at(7_000_000));
    assert_eq!(again.rows_copied, 4);
    let all = read(&dest, RAW, everything()).unwrap();
    assert_eq!(ids(&all), [1, 1, 2, 2]);
    assert!(texts(&all, "metaxy_updated_at").contains(&Some("1970-01-01T00:00:07".into())));
}

#[test]
fn with_sample_history_times_and_tombstones_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path());
    let dest = store(folder.path(), "dst", 100);
    let options = CopyOptions::default().with_sample_history(true);
    assert_eq!(copy(&dest, &source, options).rows_copied, 5);
    assert_eq!(
        ids(&read(&dest, RAW, ReadOptions::default()).unwrap()),
        [1, 2]
    );
    let (there, here) = (
        read(&source, RAW, everything()).unwrap(),
        read(&dest, RAW, everything()).unwrap(),
    );
    for column in [
        "metaxy_provenance",
        "metaxy_created_at",
        "metaxy_updated_at",
        "metaxy_deleted_at",
    ] {
        let (mut a, mut b) = (texts(&there, column), texts(&here, column));
        a.sort();
        b.sort();
        assert_eq!(a, b, "{column}");
    }
    // The latest row of video 2 is the latest here as well, and a later write wins over both.
    let current = ReadOptions::default().with_filters([col("id").eq(2)]);
    assert_eq!(
        texts(
            &read(&dest, RAW, current.clone()).unwrap(),
            "metaxy_provenance"
        ),
        texts(&read(&source, RAW, current).unwrap(), "metaxy_provenance")
    );
    let behind = store(folder.path(), "dst", 5);
    write(&behind, RAW, raw(&[(3, "back", "f")]));
    assert_eq!(
        ids(&read(&dest, RAW, ReadOptions::default()).unwrap()),
        [1, 2, 3]
    );
}

#[test]
fn feature_history_takes_the_latest_row_over_all_versions() {
    let folder = tempfile::tempdir().unwrap();
    let old = source(folder.path());
    let mut graph = graph();
    let spec = FeatureSpec::new(RAW, ["id"])
        .unwrap()
        .with_field(FieldSpec::new("audio").unwrap().with_code_version("2"))
        .with_field(FieldSpec::new("frames").unwrap());
    graph.replace(FeatureDefinition::new(spec, "demo")).unwrap();
    let source = old.with_graph(graph.clone());
    write(&source, RAW, raw(&[(1, "new", "f")]));

    let all = store(folder.path(), "all", 100).with_graph(graph.clone());
    let raw_only = || CopyOptions::default().with_features([key(RAW)]);
    assert_eq!(copy(&all, &source, raw_only()).rows_copied, 3);
    assert_eq!(ids(&read(&all, RAW, ReadOptions::default()).unwrap()), [1]);
    let history = ReadOptions::default().with_feature_history(true);
    assert_eq!(ids(&read(&all, RAW, history).unwrap()), [1, 2]);

    let current = store(folder.path(), "current", 100).with_graph(graph);
    let options = raw_only().with_feature_history(false);
    assert_eq!(copy(&current, &source, options).rows_copied, 1);
}

#[test]
fn filters_and_the_project_choose() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path());
    apply(&source, FACES);
    let dest = store(folder.path(), "dst", 100);
    let options = CopyOptions::default()
        .with_global_filters([col("id").le(2)])
        .with_filters(key(RAW), [col("id").eq(1)])
        .with_filters(key("no/such"), [col("id").eq(9)]);
    let report = copy(&dest, &source, options);
    assert_eq!(report.features, [(key(RAW), 1), (key(FACES), 2)]);

    // No rows: not counted, and no table.
    let other = store(folder.path(), "other", 100);
    let none = CopyOptions::default().with_global_filters([col("id").gt(9)]);
    let report = copy(&other, &source, none);
    assert_eq!((report.features_copied, report.rows_copied), (0, 0));
    assert!(block_on(other.feature_schema(&key(RAW))).unwrap().is_none());
    let nothing = CopyOptions::default().with_features([]);
    assert_eq!(copy(&other, &source, nothing), CopyReport::default());

    // Features of another project are copied when they are named.
    let mut graph = graph();
    let definition = graph.remove(FACES).unwrap();
    let foreign = FeatureDefinition::new(definition.spec.clone(), "elsewhere");
    graph.add(foreign).unwrap();
    let project = builder(folder.path(), "project")
        .with_graph(graph)
        .with_project(Some("demo"))
        .build()
        .unwrap();
    let report = copy(&project, &source, CopyOptions::default());
    assert_eq!(report.features, [(key(RAW), 3)]);
    let named = CopyOptions::default().with_features([key(FACES)]);
    assert_eq!(copy(&project, &source, named).features_copied, 1);
}

#[test]
fn the_source_is_read_without_its_fallbacks() {
    let folder = tempfile::tempdir().unwrap();
    let archive = source(folder.path());
    let front = builder(folder.path(), "front")
        .with_graph(graph())
        .with_fallback(archive)
        .build()
        .unwrap();
    let dest = store(folder.path(), "dst", 100);
    let report = copy(&dest, &front, CopyOptions::default());
    assert_eq!((report.features_copied, report.skipped.len()), (0, 3));
}

#[test]
fn a_failure_stops_the_copy_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path());
    apply(&source, FACES);
    let dest = store(folder.path(), "dst", 100);
    let options = CopyOptions::default().with_filters(key(FACES), [col("nope").eq(1)]);
    let error = block_on(dest.copy_from(&source, options)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFilter);
    let text = error.to_string();
    assert!(text.contains(FACES) && text.contains("src"), "{text}");
    assert!(block_on(dest.has_feature(&key(RAW), false)).unwrap());
    assert!(!block_on(dest.has_feature(&key(FACES), false)).unwrap());
}

#[test]
fn what_would_make_no_sense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path());
    let refused = |to: &MetadataStore, from: &MetadataStore, options: CopyOptions| {
        block_on(to.copy_from(from, options)).unwrap_err()
    };
    let dest = store(folder.path(), "dst", 100);
    let unknown = CopyOptions::default().with_features([key(RAW), key("video/rew")]);
    let error = refused(&dest, &source, unknown);
    assert_eq!(error.kind(), ErrorKind::FeatureNotFound);
    assert!(!block_on(dest.has_feature(&key(RAW), false)).unwrap());

    let other = builder(folder.path(), "md5")
        .with_graph(graph())
        .with_hash_algorithm(HashAlgorithm::Md5)
        .build()
        .unwrap();
    let longer = dest.with_graph(graph().with_truncation_length(12).unwrap());
    for (to, what) in [(&other, "md5"), (&longer, "12")] {
        let error = refused(to, &source, CopyOptions::default());
        assert_eq!(error.kind(), ErrorKind::HashMismatch);
        assert!(error.to_string().contains(what), "{error}");
    }
    let same = store(folder.path(), "src", 100);
    for this in [&source.with_graph(graph()), &same] {
        let error = refused(&source, this, CopyOptions::default());
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
    let reader = builder(folder.path(), "dst")
        .with_graph(graph())
        .with_access(Access::Read)
        .build()
        .unwrap();
    let error = refused(&reader, &source, CopyOptions::default());
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
}

#[test]
fn many_batches_are_copied() {
    let folder = tempfile::tempdir().unwrap();
    let source = store(folder.path(), "src", 10);
    let rows: Vec<(i64, &str, &str)> = (0..30_000).map(|id| (id, "a", "f")).collect();
    write(&source, RAW, raw(&rows));
    let dest = store(folder.path(), "dst", 100);
    assert_eq!(
        copy(&dest, &source, CopyOptions::default()).rows_copied,
        30_000
    );
    assert_eq!(
        ids(&read(&dest, RAW, ReadOptions::default()).unwrap()).len(),
        30_000
    );
}
