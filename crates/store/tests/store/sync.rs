//! External features: placeholders that a sync replaces, here and through the chain, by what other projects have pushed.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use futures::executor::block_on;
use indexmap::IndexMap;
use metaxy_store::Result;
use metaxy_store::backend::append::{Append, Times};
use metaxy_store::clock::LAST;
use metaxy_store::config::{ConfigLoader, Environment, FeatureSelection};
use metaxy_store::definition::{External, OnVersionMismatch};
use metaxy_store::prelude::*;
use metaxy_store::system::{
    PushOptions, PushedFeature, SyncOptions, SyncReport, feature_versions_key,
};

use crate::fixture::{chained, key};

/// A feature of `project` over these upstreams.
pub(crate) fn feature(
    name: &str,
    project: &str,
    code: &str,
    upstream: &[&str],
) -> FeatureDefinition {
    let mut spec = FeatureSpec::new(name, ["id"])
        .unwrap()
        .with_field(FieldSpec::new("value").unwrap().with_code_version(code));
    for dep in upstream {
        spec = spec.with_dep(FeatureDep::new(dep).unwrap());
    }
    FeatureDefinition::new(spec, project)
}

/// A placeholder that says nothing of its upstreams.
pub(crate) fn placeholder(name: &str, project: &str, version: Option<&str>) -> FeatureDefinition {
    let spec = feature(name, project, "1", &[]).spec;
    let mut external = External::default();
    if let Some(version) = version {
        external = external.with_provenance(FieldKey::new("value").unwrap(), version);
    }
    FeatureDefinition::external(spec, project, external)
}

pub(crate) fn graph(features: impl IntoIterator<Item = FeatureDefinition>) -> FeatureGraph {
    FeatureGraph::from_definitions(features).unwrap()
}

/// `up/a` and what is made of it, and `up/c` by itself.
pub(crate) fn upstream(code: &str) -> FeatureGraph {
    graph([
        feature("up/a", "up", code, &[]),
        feature("up/b", "up", "1", &["up/a"]),
        feature("up/c", "up", "1", &[]),
    ])
}

/// A project that knows `up/b` as a placeholder.
pub(crate) fn mine(version: Option<&str>) -> FeatureGraph {
    graph([
        placeholder("up/b", "up", version),
        feature("mine/x", "mine", "1", &["up/b"]),
    ])
}

pub(crate) fn push(store: &MetadataStore, project: &str, graph: FeatureGraph) {
    block_on(
        store
            .with_graph(graph)
            .push_graph(Some(project), &IndexMap::new()),
    )
    .unwrap();
}

/// The row in which a feature was pushed last.
pub(crate) fn pushed(store: &MetadataStore, name: &str) -> PushedFeature {
    let rows = block_on(store.pushed_features()).unwrap();
    let row = rows.into_iter().rfind(|row| row.feature_key == key(name));
    row.unwrap()
}

/// Adds rows to what was pushed, as another program might.
pub(crate) fn record(store: &MetadataStore, rows: &[PushedFeature]) {
    append_rows(store, pushed_one_after_the_other(rows));
}

fn append_rows(store: &MetadataStore, rows: RecordBatch) {
    let append = Append {
        table: feature_versions_key(),
        id_columns: Vec::new(),
        rows: Frame::from(rows),
        times: Times::Keep,
        create: true,
    };
    block_on(store.backend().append(vec![append])).unwrap();
}

fn sync(store: &MetadataStore, options: &SyncOptions) -> Result<SyncReport> {
    block_on(store.sync_external(options))
}

fn keys(names: &[&str]) -> Vec<FeatureKey> {
    names.iter().map(|name| key(name)).collect()
}

fn select(names: &[&str]) -> SyncOptions {
    SyncOptions::default().with_selection(FeatureSelection::default().with_keys(keys(names)))
}

fn empty_store() -> (tempfile::TempDir, MetadataStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = chained(folder.path(), "dev", &[]).unwrap();
    (folder, store)
}

#[test]
fn a_placeholder_gives_way_to_what_was_pushed() {
    let (_folder, store) = empty_store();
    push(&store, "up", upstream("1"));
    let store = store.with_graph(mine(Some("other")));
    let before = store.graph().feature_version("mine/x").unwrap().to_owned();

    let synced = sync(&store, &SyncOptions::default()).unwrap();
    assert_eq!(
        synced.loaded,
        keys(&["up/a", "up/b"]),
        "with what it depends on"
    );
    assert!(synced.unresolved.is_empty());
    let expected = upstream("1");
    for name in ["up/a", "up/b"] {
        assert!(!synced.graph.require(name).unwrap().is_external());
        assert_eq!(
            synced.graph.feature_version(name).unwrap(),
            expected.feature_version(name).unwrap()
        );
    }
    assert_ne!(synced.graph.feature_version("mine/x").unwrap(), before);
    let [mismatch] = synced.mismatches.as_slice() else {
        panic!("{:?}", synced.mismatches)
    };
    assert_eq!(mismatch.feature, key("up/b"));
    assert_eq!(mismatch.found, expected.feature_version("up/b").unwrap());
    let [field] = mismatch.fields.as_slice() else {
        panic!("{:?}", mismatch.fields)
    };
    assert_eq!(field.expected.as_deref(), Some("other"));
    assert_eq!(
        field.found.as_ref(),
        expected.field_versions("up/b").unwrap().values().next()
    );

    assert_eq!(
        store.graph().feature_version("mine/x").unwrap(),
        before,
        "the store's own graph is a value of its own"
    );
    let again = sync(&store.with_graph(synced.graph), &SyncOptions::default()).unwrap();
    assert!(again.loaded.is_empty() && again.mismatches.is_empty());
}

#[test]
fn equal_versions_are_no_mismatch_even_when_locked() {
    let (_folder, store) = empty_store();
    push(&store, "up", upstream("1"));
    let version = upstream("1").field_versions("up/b").unwrap()[0].clone();
    let store = store.with_graph(mine(Some(&version)));
    let synced = sync(&store, &SyncOptions::default().with_locked(true)).unwrap();
    assert!(synced.mismatches.is_empty());
}

#[test]
fn the_definition_the_argument_and_the_lock_decide_in_turn() {
    let (_folder, store) = empty_store();
    push(&store, "up", upstream("1"));
    let (warn, error) = (OnVersionMismatch::Warn, OnVersionMismatch::Error);
    let options = SyncOptions::default;
    for (stated, options, fails) in [
        (warn, options(), false),
        (error, options(), true),
        (error, options().with_on_version_mismatch(warn), false),
        (warn, options().with_on_version_mismatch(error), true),
        (
            warn,
            options().with_on_version_mismatch(warn).with_locked(true),
            true,
        ),
    ] {
        let mut graph = mine(Some("other"));
        let mut external = graph.require("up/b").unwrap().as_ref().clone();
        external.external = external
            .external
            .map(|e| e.with_on_version_mismatch(stated));
        graph.replace(external).unwrap();
        let store = store.with_graph(graph);
        // The second time is like the first.
        for _ in 0..2 {
            let synced = sync(&store, &options);
            assert_eq!(synced.is_err(), fails, "{stated:?} {options:?}");
            if let Err(error) = synced {
                assert_eq!(error.kind(), ErrorKind::InvalidDefinition);
                let text = error.to_string();
                let told = ["`up/b`", "dev", "other"];
                assert!(told.iter().all(|part| text.contains(part)), "{text}");
            }
        }
        assert!(store.graph().require("up/b").unwrap().is_external());
    }
}

#[test]
fn what_no_store_has_stays_a_placeholder() {
    let (_folder, store) = empty_store();
    let store = store.with_graph(mine(None));
    for options in [
        SyncOptions::default(),
        SyncOptions::default().with_locked(true),
    ] {
        let synced = sync(&store, &options).unwrap();
        assert_eq!(synced.unresolved, keys(&["up/b"]));
        assert!(synced.loaded.is_empty());
    }
}

#[test]
fn the_last_push_counts_and_what_it_lacks_was_removed() {
    let (_folder, store) = empty_store();
    push(&store, "up", upstream("1"));
    push(&store, "up", upstream("2"));
    let mine = store.with_graph(mine(None));
    let synced = sync(&mine, &SyncOptions::default()).unwrap();
    assert_eq!(
        synced.graph.feature_version("up/b").unwrap(),
        upstream("2").feature_version("up/b").unwrap()
    );

    let mut fewer = upstream("2");
    fewer.remove("up/b").unwrap();
    push(&store, "up", fewer);
    let synced = sync(&mine, &SyncOptions::default()).unwrap();
    assert_eq!(synced.unresolved, keys(&["up/b"]));
    assert!(synced.loaded.is_empty());
    let error = sync(&mine, &select(&["up/b"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FeatureNotFound);

    push(&store, "up", upstream("1"));
    let synced = sync(&mine, &SyncOptions::default()).unwrap();
    assert_eq!(
        synced.graph.feature_version("up/b").unwrap(),
        upstream("1").feature_version("up/b").unwrap(),
        "an old version that is pushed again is the newest"
    );
}

#[test]
fn selections_load_more_and_must_be_known() {
    let (_folder, store) = empty_store();
    push(&store, "up", upstream("1"));
    push(&store, "side", graph([feature("side/s", "side", "1", &[])]));
    let own = store.with_graph(graph([feature("mine/y", "mine", "1", &[])]));
    let loaded = |options: &SyncOptions| sync(&own, options).map(|synced| synced.loaded);

    assert!(loaded(&SyncOptions::default()).unwrap().is_empty());
    assert_eq!(loaded(&select(&["up/b"])).unwrap(), keys(&["up/a", "up/b"]));
    let selection = FeatureSelection::default;
    let with = |selection| SyncOptions::default().with_selection(selection);
    assert_eq!(
        loaded(&with(selection().with_projects(["side"]))).unwrap(),
        keys(&["side/s"])
    );
    assert_eq!(
        loaded(&with(FeatureSelection::all())).unwrap(),
        keys(&["side/s", "up/a", "up/b", "up/c"])
    );
    assert!(
        loaded(&select(&["mine/y"])).unwrap().is_empty(),
        "what the graph defines is known without a store"
    );

    for (options, kind, told) in [
        (select(&["up/bb"]), ErrorKind::FeatureNotFound, "up/bb"),
        (
            with(selection().with_projects(["sid"])),
            ErrorKind::FeatureNotFound,
            "\"sid\"",
        ),
        (
            with(selection()),
            ErrorKind::InvalidArgument,
            "selects nothing",
        ),
    ] {
        let error = sync(&own, &options).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(told), "{error}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn the_chain_is_looked_through_and_a_nearer_store_answers_for_its_projects() {
    let folder = tempfile::tempdir().unwrap();
    let far = chained(folder.path(), "far", &[]).unwrap();
    let prod = chained(folder.path(), "prod", &[&far]).unwrap();
    let dev = chained(folder.path(), "dev", &[&prod]).unwrap();
    push(&far, "up", upstream("1"));
    let mine = dev.with_graph(mine(None));
    let version = |synced: &SyncReport| synced.graph.feature_version("up/b").unwrap().to_owned();
    let synced = sync(&mine, &SyncOptions::default()).unwrap();
    assert_eq!(synced.loaded, keys(&["up/a", "up/b"]));
    assert_eq!(
        version(&synced),
        upstream("1").feature_version("up/b").unwrap()
    );

    push(&prod, "up", upstream("2"));
    push(&far, "up", upstream("3"));
    let synced = sync(&mine, &SyncOptions::default()).unwrap();
    assert_eq!(
        version(&synced),
        upstream("2").feature_version("up/b").unwrap(),
        "rows of two stores are not mixed"
    );
    push(&prod, "up", graph([feature("up/a", "up", "2", &[])]));
    let synced = sync(&mine, &SyncOptions::default()).unwrap();
    assert_eq!(
        synced.unresolved,
        keys(&["up/b"]),
        "removed from the nearer store"
    );
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let (_folder, store) = empty_store();
    // `up/a` is in another project that was never pushed.
    push(&store, "up", {
        let mut graph = upstream("1");
        let mut foreign = graph.require("up/a").unwrap().as_ref().clone();
        foreign.project = "elsewhere".into();
        graph.replace(foreign).unwrap();
        graph
    });
    let store = store.with_graph(mine(None));
    let error = sync(&store, &SyncOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FeatureNotFound);
    assert!(error.to_string().contains("up/a"), "{error}");

    // The same table name as a feature of the graph.
    push(
        &store,
        "clash",
        graph([feature("mine-x", "clash", "1", &[])]),
    );
    let store = store.with_graph(graph([feature("mine_x", "mine", "1", &[])]));
    let error = sync(&store, &select(&["mine-x"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidDefinition);
    assert_eq!(store.graph().len(), 1);
}

#[test]
fn a_push_records_the_versions_after_a_sync_and_only_what_the_project_defines() {
    let (_folder, store) = empty_store();
    push(&store, "up", upstream("1"));
    let mut graph = mine(Some("other"));
    // A part of the project itself that is defined elsewhere.
    graph.add(placeholder("mine/part", "mine", None)).unwrap();
    let store = store.with_graph(graph);
    let pushed = block_on(store.push_graph(Some("mine"), &IndexMap::new())).unwrap();
    assert_eq!(
        pushed.project_version,
        store.graph().project_version("mine")
    );
    assert!(store.graph().require("up/b").unwrap().is_external());

    let recorded = block_on(store.pushed_features()).unwrap();
    let mine: Vec<_> = recorded.iter().filter(|f| f.project == "mine").collect();
    assert_eq!(mine.len(), 1);
    let synced = sync(&store, &SyncOptions::default()).unwrap();
    assert_eq!(
        mine[0].feature_version,
        synced.graph.feature_version("mine/x").unwrap()
    );

    push(&store, "up", upstream("2"));
    let again = block_on(store.push_graph(Some("mine"), &IndexMap::new())).unwrap();
    assert!(!again.already_pushed, "a version changed upstream");
    assert_eq!(again.updated_features, keys(&["mine/x"]));
}

#[test]
fn projects_of_one_store_are_kept_apart() {
    let (_folder, store) = empty_store();
    let side = |code| {
        graph([
            feature("side/s", "side", code, &["up/c"]),
            feature("up/c", "up", "1", &[]),
        ])
    };
    push(&store, "up", upstream("1"));
    push(&store, "side", side("1"));
    push(&store, "up", upstream("2"));
    push(&store, "side", side("2"));

    let count = |project| block_on(store.snapshots(project)).unwrap().len();
    assert_eq!(
        (count(Some("up")), count(Some("side")), count(None)),
        (2, 2, 4)
    );
    let latest = |project| block_on(store.latest_project_version(Some(project))).unwrap();
    assert_eq!(
        latest("up").as_deref(),
        Some(upstream("2").project_version("up"))
    );
    assert_eq!(
        latest("side").as_deref(),
        Some(side("2").project_version("side"))
    );
    let loaded = block_on(store.load_graph(None, Some("up")))
        .unwrap()
        .unwrap();
    assert_eq!(
        loaded.keys().cloned().collect::<Vec<_>>(),
        keys(&["up/a", "up/b", "up/c"])
    );
    let loaded = block_on(store.load_graph(None, Some("side")))
        .unwrap()
        .unwrap();
    let mut names: Vec<_> = loaded.keys().cloned().collect();
    names.sort();
    assert_eq!(names, keys(&["side/s", "up/c"]), "with what it depends on");

    // A push of one removes nothing of the other.
    push(&store, "side", graph([feature("side/t", "side", "1", &[])]));
    let synced = sync(&store.with_graph(mine(None)), &SyncOptions::default()).unwrap();
    assert_eq!(synced.loaded, keys(&["up/a", "up/b"]));
    let all = SyncOptions::default().with_selection(FeatureSelection::all());
    let synced = sync(&store.with_graph(FeatureGraph::new()), &all).unwrap();
    assert_eq!(synced.loaded, keys(&["side/t", "up/a", "up/b", "up/c"]));
}

#[test]
fn a_configuration_says_what_to_sync() {
    let folder = tempfile::tempdir().unwrap();
    let config = |more: &str| {
        let text = format!(
            "project = \"mine\"\n{more}\n[stores.dev]\ntype = \"sqlite\"\ndatabase = \"dev.db\"\n"
        );
        std::fs::write(folder.path().join("metaxy.toml"), text).unwrap();
        ConfigLoader::new()
            .with_start_dir(folder.path())
            .with_environment(Environment::empty())
            .load()
            .unwrap()
    };
    let plain = config("");
    let store =
        MetadataStore::from_config(&plain, None, Access::Write, &mine(Some("other"))).unwrap();
    push(&store, "up", upstream("1"));
    let loaded = |config: &Config| block_on(store.sync_from_config(config)).map(|s| s.loaded);
    assert_eq!(loaded(&plain).unwrap(), keys(&["up/a", "up/b"]));
    assert!(loaded(&config("sync = false")).unwrap().is_empty());
    assert!(loaded(&config("locked = true")).is_err());
    let extra = config("extra_features = [{ keys = [\"up/c\"] }, { projects = [\"up\"] }]");
    assert_eq!(loaded(&extra).unwrap(), keys(&["up/a", "up/b", "up/c"]));
    let unknown = config("extra_features = [{ projects = [\"nowhere\"] }]");
    let error = loaded(&unknown).unwrap_err();
    assert!(error.to_string().contains("\"nowhere\""), "{error}");
}

/// The reference stamps each row of a push with a time of its own.
#[test]
fn rows_of_one_push_may_have_several_times() {
    let (_first, first) = empty_store();
    push(&first, "up", upstream("1"));
    let rows = block_on(first.pushed_features()).unwrap();
    let (_folder, store) = empty_store();
    append_rows(&store, pushed_one_after_the_other(&rows));

    let synced = sync(&store.with_graph(mine(None)), &SyncOptions::default()).unwrap();
    assert_eq!(synced.loaded, keys(&["up/a", "up/b"]));
    let store = store.with_graph(upstream("1"));
    let pushed = block_on(store.push_graph(Some("up"), &IndexMap::new())).unwrap();
    assert!(pushed.already_pushed);
    let loaded = block_on(store.load_graph(None, Some("up")))
        .unwrap()
        .unwrap();
    assert_eq!(loaded.len(), 3);
}

fn pushed_one_after_the_other(rows: &[PushedFeature]) -> RecordBatch {
    let times: Vec<i64> = (0..rows.len() as i64)
        .map(|row| 4_000_000_000_000_000 + row)
        .collect();
    pushed_at(rows, &times)
}

fn pushed_at(rows: &[PushedFeature], times: &[i64]) -> RecordBatch {
    let text = |of: fn(&PushedFeature) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
    };
    let times: TimestampMicrosecondArray = times.iter().map(|time| Some(*time)).collect();
    let never: TimestampMicrosecondArray = rows.iter().map(|_| None::<i64>).collect();
    RecordBatch::try_from_iter_with_nullable([
        ("project", text(|r| &r.project), true),
        ("feature_key", text(|r| r.feature_key.as_str()), true),
        ("metaxy_feature_version", text(|r| &r.feature_version), true),
        (
            "metaxy_definition_version",
            text(|r| &r.definition_version),
            true,
        ),
        ("recorded_at", Arc::new(times), true),
        ("feature_spec", text(|r| &r.feature_spec), true),
        ("feature_schema", text(|r| &r.feature_schema), true),
        ("feature_class_path", text(|r| &r.feature_class_path), true),
        ("metaxy_project_version", text(|r| &r.project_version), true),
        ("tags", text(|r| &r.tags), true),
        ("deleted_at", Arc::new(never), true),
    ])
    .unwrap()
}

#[test]
fn a_locked_push_records_nothing_of_other_versions() {
    let (_folder, store) = empty_store();
    push(&store, "up", upstream("1"));
    let store = store.with_graph(mine(Some("other")));
    let options = PushOptions::default()
        .with_project("mine")
        .with_tag("by", "ci");
    let locked = options
        .clone()
        .with_sync(SyncOptions::default().with_locked(true));
    let error = block_on(store.push_graph_with(&locked)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidDefinition);
    assert!(block_on(store.snapshots(Some("mine"))).unwrap().is_empty());
    block_on(store.push_graph_with(&options)).unwrap();
    let pushed = block_on(store.snapshots(Some("mine"))).unwrap();
    assert!(pushed[0].tags.contains("\"by\": \"ci\""), "{pushed:?}");
}

#[test]
fn the_tag_of_the_program_is_not_the_users() {
    let (_folder, store) = empty_store();
    let store = store.with_graph(upstream("1"));
    let options = PushOptions::default().with_tag("metaxy", "mine");
    let error = block_on(store.push_graph_with(&options)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(block_on(store.snapshots(None)).unwrap().is_empty());
}

#[test]
fn a_push_at_the_end_of_time_is_a_push() {
    let (_folder, store) = empty_store();
    push(&store, "up", upstream("1"));
    let mut row = pushed(&store, "up/c");
    row.project = "late".to_owned();
    let rows = pushed_at(&[row], &[LAST]);
    append_rows(&store, rows);
    push(&store, "up", upstream("2"));
    assert_eq!(pushed(&store, "up/a").recorded_at, LAST);
}

#[test]
fn an_unreadable_key_stops_nobody() {
    let (_folder, store) = empty_store();
    push(&store, "up", upstream("1"));
    let rows = [pushed(&store, "up/c"), pushed(&store, "up/c")];
    let batch = pushed_one_after_the_other(&rows);
    let odd: ArrayRef = Arc::new(StringArray::from(vec![Some("//"), None]));
    let at = batch.schema().index_of("feature_key").unwrap();
    let mut columns = batch.columns().to_vec();
    columns[at] = odd;
    append_rows(
        &store,
        RecordBatch::try_new(batch.schema(), columns).unwrap(),
    );

    assert_eq!(block_on(store.pushed_features()).unwrap().len(), 3);
    let synced = sync(&store.with_graph(mine(None)), &SyncOptions::default()).unwrap();
    assert_eq!(synced.loaded, keys(&["up/a", "up/b"]));
}

#[test]
fn a_pushed_graph_finds_upstreams_through_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let far = chained(folder.path(), "far", &[]).unwrap();
    let side = chained(folder.path(), "side", &[&far]).unwrap();
    let other = chained(folder.path(), "other", &[]).unwrap();
    let near = chained(folder.path(), "near", &[&side, &other]).unwrap();
    push(&far, "up", upstream("1"));
    // It is asked after what the first fallback falls back to.
    push(&other, "up", upstream("9"));
    let store = near.with_graph(mine(None));
    let before = block_on(store.push_graph(Some("mine"), &IndexMap::new())).unwrap();
    let loaded = block_on(store.load_graph(None, Some("mine")))
        .unwrap()
        .unwrap();
    assert_eq!(
        loaded.feature_version("mine/x").unwrap(),
        pushed(&store, "mine/x").feature_version
    );
    assert_eq!(
        loaded.feature_version("up/b").unwrap(),
        upstream("1").feature_version("up/b").unwrap()
    );
    let version = before.project_version;
    let diff = block_on(store.diff(&version, &version, None)).unwrap();
    assert_eq!(diff.nodes().len(), 3);
}
