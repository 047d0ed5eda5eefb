//! Rows carried over to another version of their feature.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field};
use futures::executor::block_on;
use indexmap::IndexMap;
use metaxy_store::prelude::*;
use metaxy_store::store::RebaseOptions;
use metaxy_store::{Result, col};

use crate::fixture::{graph, key, raw, read, texts, write};
use crate::shapes::{
    apply, at, builder, child, frame, lineages, numbered, resolve, with_column, without_column,
};

const RAW: &str = "video/raw";
const FACES: &str = "video/faces";

/// The graph with this code version of the faces.
fn faces(code: &str) -> FeatureGraph {
    let mut graph = graph();
    let spec = FeatureSpec::new(FACES, ["id"])
        .unwrap()
        .with_dep(FeatureDep::new(RAW).unwrap())
        .with_field(
            FieldSpec::new("boxes")
                .unwrap()
                .with_code_version(code)
                .with_dep(FieldDep::new(RAW, ["frames"]).unwrap()),
        );
    graph.replace(FeatureDefinition::new(spec, "demo")).unwrap();
    graph
}

fn store(folder: &Path, graph: FeatureGraph, seconds: i64) -> MetadataStore {
    builder(folder, "main")
        .with_graph(graph)
        .with_clock(at(seconds))
        .build()
        .unwrap()
}

fn rebase(
    store: &MetadataStore,
    feature: &str,
    rows: impl Into<Frame> + Send,
    options: RebaseOptions,
) -> Result<Rows> {
    Ok(block_on(store.rebase(&key(feature), rows, options))?.rows)
}

fn history(store: &MetadataStore, feature: &str) -> Rows {
    read(
        store,
        feature,
        ReadOptions::default().with_feature_history(true),
    )
    .unwrap()
}

fn keep() -> WriteOptions {
    WriteOptions::default().with_preserve_feature_version(true)
}

fn push(store: &MetadataStore, project: Option<&str>) {
    block_on(store.push_graph(project, &IndexMap::new())).unwrap();
}

/// The text of a column of integers or text, in the order of the rows.
fn column(rows: &Rows, name: &str) -> Vec<Option<String>> {
    let batch = rows.to_batch().unwrap();
    let array = arrow::compute::cast(batch.column_by_name(name).unwrap(), &DataType::Utf8).unwrap();
    let texts = array.as_string::<i32>();
    texts.iter().map(|t| t.map(str::to_owned)).collect()
}

#[test]
fn a_rebase_saves_the_work_of_a_change_that_changes_no_result() {
    let folder = tempfile::tempdir().unwrap();
    let old = store(folder.path(), faces("1"), 10);
    write(
        &old,
        RAW,
        raw(&[(1, "a", "f1"), (2, "a", "f2"), (3, "a", "f3")]),
    );
    apply(&old, FACES);
    let new = store(folder.path(), faces("2"), 20);
    assert_eq!(resolve(&new, FACES).counts().new, 3);
    let gone = DeleteOptions::soft().with_filters([col("id").eq(3)]);
    block_on(new.delete(&key(RAW), gone)).unwrap();

    let before = history(&new, FACES);
    let rebased = rebase(&new, FACES, before.clone(), RebaseOptions::default()).unwrap();
    assert_eq!(
        texts(&rebased, "id").len(),
        3,
        "what upstream lost is carried over as well"
    );
    assert_eq!(texts(&rebased, "metaxy_data_version"), [None, None, None]);
    let batch = rebased.to_batch().unwrap();
    let data = batch
        .column_by_name("metaxy_data_version_by_field")
        .unwrap();
    assert_eq!(data.null_count(), 3);
    let expected = resolve(&new, FACES).new;
    assert_eq!(
        texts(&rebased, "metaxy_provenance")[..2],
        texts(&expected, "metaxy_provenance")
    );
    let version = new.graph().feature_version(FACES).unwrap().to_owned();
    assert_eq!(texts(&rebased, "metaxy_feature_version")[0], Some(version));
    let project = new.graph().project_version("demo").to_owned();
    assert_eq!(texts(&rebased, "metaxy_project_version")[0], Some(project));

    block_on(new.write_with(&key(FACES), rebased, keep())).unwrap();
    let left = resolve(&new, FACES).counts();
    assert_eq!((left.new, left.stale, left.orphaned), (0, 0, 1));
    let rows = read(&new, FACES, ReadOptions::default()).unwrap();
    assert_eq!(
        texts(&rows, "metaxy_data_version"),
        texts(&rows, "metaxy_provenance")
    );
    let created = texts(&rows, "metaxy_created_at");
    assert_eq!(created, texts(&before, "metaxy_created_at"));
    assert_eq!(texts(&rows, "path"), texts(&before, "path"));
}

#[test]
fn data_versions_of_the_user_stay() {
    let folder = tempfile::tempdir().unwrap();
    let old = store(folder.path(), faces("1"), 10);
    write(&old, RAW, raw(&[(1, "a", "f1"), (2, "a", "f2")]));
    let rows = resolve(&old, FACES).new.to_batch().unwrap();
    let by_field = rows.column_by_name("metaxy_data_version_by_field").unwrap();
    let ids = rows.column_by_name("id").unwrap();
    let one = ids.as_primitive::<arrow::datatypes::Int64Type>().values()[0] == 1;
    let values = match one {
        true => vec![Some("mine"), None],
        false => vec![None, Some("mine")],
    };
    let valid = arrow::buffer::NullBuffer::from_iter(values.iter().map(Option::is_some));
    let member: ArrayRef = Arc::new(StringArray::from(values));
    let given = StructArray::new(
        by_field.as_struct().fields().clone(),
        vec![member],
        Some(valid),
    );
    let rows = with_column(&rows, "metaxy_data_version_by_field", Arc::new(given));
    let rows = without_column(&rows, "metaxy_data_version");
    block_on(old.write(&key(FACES), rows)).unwrap();
    let before = history(&old, FACES);

    let new = store(folder.path(), faces("2"), 20);
    let rebased = rebase(&new, FACES, before.clone(), RebaseOptions::default()).unwrap();
    let data = texts(&rebased, "metaxy_data_version");
    assert_eq!(data[0], texts(&before, "metaxy_data_version")[0]);
    assert!(data[0].is_some() && data[1].is_none());
    block_on(new.write_with(&key(FACES), rebased, keep())).unwrap();
    let after = read(&new, FACES, ReadOptions::default()).unwrap();
    assert_eq!(texts(&after, "metaxy_data_version")[0], data[0]);
    assert_ne!(
        texts(&after, "metaxy_provenance")[0],
        texts(&before, "metaxy_provenance")[0]
    );
}

#[test]
fn a_new_field_gets_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let old = store(folder.path(), faces("1"), 10);
    write(&old, RAW, raw(&[(1, "a", "f1")]));
    apply(&old, FACES);
    let mut graph = graph();
    let spec = FeatureSpec::new(FACES, ["id"])
        .unwrap()
        .with_dep(FeatureDep::new(RAW).unwrap())
        .with_field(FieldSpec::new("boxes").unwrap())
        .with_field(FieldSpec::new("age").unwrap());
    graph.replace(FeatureDefinition::new(spec, "demo")).unwrap();
    let new = store(folder.path(), graph, 20);
    let rows = history(&new, FACES);
    let rebased = rebase(&new, FACES, rows, RebaseOptions::default()).unwrap();
    block_on(new.write_with(&key(FACES), rebased, keep())).unwrap();
    assert!(resolve(&new, FACES).is_empty());
    let rows = read(&new, FACES, ReadOptions::default()).unwrap();
    let versions = texts(&rows, "metaxy_data_version");
    assert_eq!(versions, texts(&rows, "metaxy_provenance"));
    assert!(versions[0].is_some());
    let batch = rows.to_batch().unwrap();
    let data = batch
        .column_by_name("metaxy_data_version_by_field")
        .unwrap();
    let age = data.as_struct().column_by_name("age").unwrap();
    assert_eq!(age.null_count(), 0);
}

#[test]
fn a_pushed_version_can_be_the_target() {
    let folder = tempfile::tempdir().unwrap();
    let first = store(folder.path(), faces("1"), 10);
    write(&first, RAW, raw(&[(1, "a", "f1")]));
    apply(&first, FACES);
    push(&first, None);
    let second = store(folder.path(), faces("2"), 20);
    push(&second, None);
    let now = store(folder.path(), faces("3"), 30);
    let rows = || history(&now, FACES);
    let to = |version: &str| RebaseOptions::default().with_to_feature_version(version);
    let version = |store: &MetadataStore| store.graph().feature_version(FACES).unwrap().to_owned();

    let rebased = rebase(&now, FACES, rows(), to(&version(&second))).unwrap();
    assert_eq!(
        texts(&rebased, "metaxy_provenance"),
        texts(&resolve(&second, FACES).new, "metaxy_provenance")
    );
    let project = second.graph().project_version("demo").to_owned();
    assert_eq!(texts(&rebased, "metaxy_project_version"), [Some(project)]);
    assert_eq!(
        texts(&rebased, "metaxy_feature_version"),
        [Some(version(&second))]
    );
    // To the version it has: the same provenance. The current one needs no push.
    let same = rebase(&now, FACES, rows(), to(&version(&first))).unwrap();
    assert_eq!(
        texts(&same, "metaxy_provenance"),
        texts(&rows(), "metaxy_provenance")
    );
    assert!(rebase(&now, FACES, rows(), to(&version(&now))).is_ok());

    let of_another = first.graph().feature_version(RAW).unwrap().to_owned();
    for bad in ["nosuchversion", of_another.as_str()] {
        let error = rebase(&now, FACES, rows(), to(bad)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(
            error.to_string().contains(bad) && error.hint().is_some(),
            "{error}"
        );
    }
}

/// `video/raw` belongs to another project.
fn foreign(raw_code: &str, faces_code: &str) -> FeatureGraph {
    let raw = FeatureSpec::new(RAW, ["id"])
        .unwrap()
        .with_field(FieldSpec::new("audio").unwrap())
        .with_field(
            FieldSpec::new("frames")
                .unwrap()
                .with_code_version(raw_code),
        );
    let faces = faces(faces_code).remove(FACES).unwrap();
    FeatureGraph::from_definitions([
        FeatureDefinition::new(raw, "media"),
        FeatureDefinition::new(faces.spec.clone(), "demo"),
    ])
    .unwrap()
}

#[test]
fn a_snapshot_finds_the_foreign_features_it_was_pushed_with() {
    let folder = tempfile::tempdir().unwrap();
    let first = store(folder.path(), foreign("1", "1"), 10);
    write(&first, RAW, raw(&[(1, "a", "f1")]));
    apply(&first, FACES);
    push(&first, Some("media"));
    push(&first, Some("demo"));
    // The other project moves on, and ours is pushed again: the same project version, another feature version.
    let second = store(folder.path(), foreign("2", "1"), 20);
    push(&second, Some("media"));
    push(&second, Some("demo"));
    write(&second, RAW, raw(&[(1, "a", "f1")]));
    let now = store(folder.path(), foreign("2", "2"), 30);
    for target in [&first, &second] {
        let version = target.graph().feature_version(FACES).unwrap();
        let options = RebaseOptions::default().with_to_feature_version(version);
        let rebased = rebase(&now, FACES, history(&now, FACES), options).unwrap();
        let skip = ResolveOptions::default().with_skip_comparison(true);
        let expected = block_on(target.resolve_update(&key(FACES), skip)).unwrap();
        assert_eq!(
            texts(&rebased, "metaxy_provenance"),
            texts(&expected.new, "metaxy_provenance")
        );
    }
}

#[test]
fn rows_carry_the_version_of_the_configured_project() {
    let folder = tempfile::tempdir().unwrap();
    let graph = foreign("1", "1");
    let versions = ["media", "demo"].map(|p| graph.project_version(p).to_owned());
    for (project, expected) in [(Some("media"), &versions[0]), (None, &versions[1])] {
        let store = builder(folder.path(), project.unwrap_or("none"))
            .with_graph(graph.clone())
            .with_project(project)
            .build()
            .unwrap();
        write(&store, RAW, raw(&[(1, "a", "f1")]));
        apply(&store, FACES);
        let rows = history(&store, FACES);
        let rebased = rebase(&store, FACES, rows.clone(), RebaseOptions::default()).unwrap();
        for rows in [rows, rebased] {
            let version = texts(&rows, "metaxy_project_version");
            assert_eq!(version, [Some(expected.clone())]);
        }
    }
}

#[test]
fn groups_stay_one_row_and_children_follow_their_parent() {
    let folder = tempfile::tempdir().unwrap();
    let old = store(folder.path(), lineages(), 10);
    let clips = frame(
        &[("clip", &[1, 2, 3, 4]), ("video", &[1, 1, 1, 2])],
        &["a", "b", "c", "d"],
    );
    write(&old, "clip", clips);
    write(&old, "video", frame(&[("video", &[1, 2])], &["a", "b"]));
    apply(&old, "summary");
    let parents = resolve(&old, "crop").new;
    for child in [1, 2] {
        block_on(old.write(&key("crop"), numbered(&parents, "crop", |_| child))).unwrap();
    }

    let mut graph = lineages();
    let changed = FieldSpec::new("default").unwrap().with_code_version("2");
    for (feature, ids, on) in [
        (
            "summary",
            vec!["video"],
            ("clip", Lineage::aggregation(["video"])),
        ),
        (
            "crop",
            vec!["video", "crop"],
            ("video", Lineage::expansion(["video"])),
        ),
    ] {
        let spec = child(feature, &ids, &[on]).with_field(changed.clone());
        graph.replace(FeatureDefinition::new(spec, "demo")).unwrap();
    }
    let new = store(folder.path(), graph, 20);
    for (feature, rows) in [("summary", 2), ("crop", 4)] {
        let before = history(&new, feature);
        assert_eq!(before.num_rows(), rows);
        let rebased = rebase(&new, feature, before, RebaseOptions::default()).unwrap();
        assert_eq!(rebased.num_rows(), rows, "{feature}");
        let mut distinct = column(&rebased, "metaxy_provenance");
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), 2, "one per video");
        block_on(new.write_with(&key(feature), rebased, keep())).unwrap();
        assert!(resolve(&new, feature).is_empty(), "{feature}");
    }
}

#[test]
fn upstream_comes_from_the_chain_and_pushes_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let prod = builder(folder.path(), "prod")
        .with_graph(faces("1"))
        .build()
        .unwrap();
    write(&prod, RAW, raw(&[(1, "a", "f1")]));
    push(&prod, None);
    let dev = builder(folder.path(), "dev")
        .with_graph(faces("1"))
        .with_fallback(prod)
        .build()
        .unwrap();
    apply(&dev, FACES);
    let dev = dev.with_graph(faces("2"));
    let rows = history(&dev, FACES);
    let rebased = rebase(&dev, FACES, rows.clone(), RebaseOptions::default()).unwrap();
    assert_eq!(rebased.num_rows(), 1);
    let pushed = faces("1").feature_version(FACES).unwrap().to_owned();
    let options = RebaseOptions::default().with_to_feature_version(pushed);
    let error = rebase(&dev, FACES, rows, options).unwrap_err();
    assert!(error.to_string().contains("\"dev\""), "{error}");
}

#[test]
fn roots_and_incomplete_frames_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), faces("1"), 10);
    write(&store, RAW, raw(&[(1, "a", "f1")]));
    apply(&store, FACES);
    let error = rebase(&store, RAW, history(&store, RAW), RebaseOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let whole: RecordBatch = history(&store, FACES).to_batch().unwrap();
    for name in ["id", "metaxy_provenance", "metaxy_data_version_by_field"] {
        let lacking = without_column(&whole, name);
        let error = rebase(&store, FACES, lacking, RebaseOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidFrame);
        assert!(error.to_string().contains(name), "{error}");
    }
    let member = Arc::new(Field::new("boxes", DataType::Int64, true));
    let numbers: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![1]));
    let odd: ArrayRef = Arc::new(StructArray::from(vec![(member, numbers)]));
    let odd = with_column(&whole, "metaxy_data_version_by_field", odd);
    let error = rebase(&store, FACES, odd, RebaseOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFrame);
    // What is orphaned is carried over, and stays so.
    block_on(store.delete(&key(RAW), DeleteOptions::soft())).unwrap();
    let orphaned = rebase(&store, FACES, whole, RebaseOptions::default()).unwrap();
    assert_eq!(texts(&orphaned, "id").len(), 1);
}
