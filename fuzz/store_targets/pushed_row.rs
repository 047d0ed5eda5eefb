//! A row of the pushed graphs that says whatever comes in: whoever loads graphs from the store, or takes a feature of it for one of another
//! project, gets an answer or an error. The values of the row are apart by bytes 255; what is empty or missing is as it was.
#![no_main]

use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use futures::executor::block_on;
use indexmap::IndexMap;
use libfuzzer_sys::fuzz_target;
use metaxy_conformance::{hostile, processes};
use metaxy_store::backend::Backend;
use metaxy_store::definition::External;
use metaxy_store::sqlite::{SqliteConfig, Synchronous};
use metaxy_store::store::StatusOptions;
use metaxy_store::system::SyncOptions;
use metaxy_store::{
    Access, FeatureDefinition, FeatureGraph, FeatureSpec, FieldSpec, MetadataStore, Result,
};
use tempfile::TempDir;

/// The columns of the row, in the order of the values.
const COLUMNS: [&str; 9] = [
    "feature_spec",
    "feature_schema",
    "feature_key",
    "project",
    "metaxy_project_version",
    "metaxy_feature_version",
    "metaxy_definition_version",
    "feature_class_path",
    "tags",
];

const TABLE: &str = "metaxy_system__feature_versions";

/// The row of the feature that the project takes.
const ROW: &str = "\"metaxy.row\" = (SELECT max(\"metaxy.row\") FROM metaxy_system__feature_versions WHERE feature_key = 'shared/raw')";

struct Made {
    _folder: TempDir,
    stranger: rusqlite::Connection,
    /// Which row it is, and what it says at first.
    row: i64,
    values: Vec<String>,
    store: MetadataStore,
}

fn config(folder: &Path) -> SqliteConfig {
    let config = SqliteConfig::new(folder.join("store.db")).with_checksums(false);
    config.with_synchronous(Synchronous::Normal)
}

/// A store to which a graph was pushed, and a project that takes one of its features for an upstream of its own.
fn made() -> Result<Made> {
    let folder = tempfile::tempdir()?;
    let writer: Arc<dyn Backend> = Arc::new(config(folder.path()).open(Access::Write));
    let pushing = processes::store(writer, Access::Write);
    block_on(pushing.push_graph(None, &IndexMap::new()))?;
    let stranger = rusqlite::Connection::open(folder.path().join("store.db")).expect("it is one");
    let sql = format!(
        "SELECT \"metaxy.row\", {} FROM {TABLE} WHERE {ROW}",
        COLUMNS.join(", ")
    );
    let read = stranger.query_row(&sql, [], |row| {
        let values: rusqlite::Result<Vec<String>> =
            (1..=COLUMNS.len()).map(|column| row.get(column)).collect();
        Ok((row.get(0)?, values?))
    });
    let (row, values) = read.expect("a graph was pushed");
    let root = |key: &str| -> Result<FeatureSpec> {
        Ok(FeatureSpec::new(key, ["id"])?.with_field(FieldSpec::new("content")?))
    };
    let mut graph = FeatureGraph::new();
    let external = External::default();
    graph.add(FeatureDefinition::external(
        root("shared/raw")?,
        "test",
        external,
    ))?;
    graph.add(FeatureDefinition::new(root("mine/own")?, "mine"))?;
    let reader: Arc<dyn Backend> = Arc::new(config(folder.path()).open(Access::Read));
    let reader = MetadataStore::builder(reader).with_access(Access::Read);
    Ok(Made {
        store: reader.with_graph(graph).build()?,
        _folder: folder,
        stranger,
        row,
        values,
    })
}

static MADE: LazyLock<Mutex<Made>> = LazyLock::new(|| Mutex::new(made().expect("it can be made")));

fuzz_target!(|input: &[u8]| {
    let made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut given = input.split(|byte| *byte == 255);
    let values = made.values.iter().map(|first| match given.next() {
        None | Some([]) => first.into(),
        Some(given) => String::from_utf8_lossy(given),
    });
    let sets = COLUMNS.map(|column| format!("{column} = ?")).join(", ");
    let sql = format!(
        "UPDATE {TABLE} SET {sets} WHERE \"metaxy.row\" = {}",
        made.row
    );
    let update = made.stranger.prepare(&sql);
    let done = update.and_then(|mut update| update.execute(rusqlite::params_from_iter(values)));
    assert_eq!(done.expect("nobody else writes"), 1);

    let told = |step: &str, done: Result<()>| {
        if let Err(error) = done {
            hostile::require_told_well(step, &error);
        }
    };
    let store = &made.store;
    told("history", block_on(store.pushed_in_chain()).map(drop));
    told("snapshots", block_on(store.snapshots(None)).map(drop));
    let loaded = block_on(store.load_graph(None, None));
    for graph in loaded.iter().flatten() {
        let store = store.with_graph(graph.clone());
        let keys = graph.topological();
        for key in &keys {
            let _ = graph.plan(key);
            let _ = graph.definition_version(key);
        }
        let _ = graph.check_all();
        let mut survey = store.survey(keys.clone(), StatusOptions::default());
        for key in keys {
            told("status", block_on(survey.status(&key)).map(drop));
        }
    }
    told("load", loaded.map(drop));
    for locked in [false, true] {
        let options = SyncOptions::default().with_locked(locked);
        told("sync", block_on(store.sync_external(&options)).map(drop));
    }
});
