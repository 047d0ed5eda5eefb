//! A writer that is killed in the middle of a write leaves the table as it was or complete.
//!
//! The test runs this binary again as the writer, kills it at a different moment each time, and looks at what is there.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field};
use futures::executor::block_on;
use metaxy_store::Result;
use metaxy_store::prelude::*;

const WRITER: &str = "METAXY_TEST_WRITER";
const ROWS: i64 = 40_000;
const BATCH: i64 = 2_000;

fn key() -> FeatureKey {
    FeatureKey::new("crash/rows").unwrap()
}

fn open(folder: &Path) -> MetadataStore {
    let spec = FeatureSpec::new("crash/rows", ["id"])
        .unwrap()
        .with_field(FieldSpec::new("content").unwrap());
    let graph = FeatureGraph::from_definitions([FeatureDefinition::new(spec, "test")]).unwrap();
    let backend = SqliteConfig::new(folder.join("store.db")).open(Access::Write);
    MetadataStore::builder(Arc::new(backend))
        .with_graph(graph)
        .build()
        .unwrap()
}

fn batch(start: i64) -> RecordBatch {
    let ids = start..start + BATCH;
    let versions: ArrayRef = Arc::new(StringArray::from_iter_values(
        ids.clone().map(|i| i.to_string()),
    ));
    let by_field: ArrayRef = Arc::new(StructArray::from(vec![(
        Arc::new(Field::new("content", DataType::Utf8, true)),
        versions,
    )]));
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    RecordBatch::try_from_iter([("id", ids), ("metaxy_provenance_by_field", by_field)]).unwrap()
}

fn write_all(store: &MetadataStore) -> Result<()> {
    let batches = (0..ROWS)
        .step_by(BATCH as usize)
        .map(|start| Ok(batch(start)));
    let frame = Frame::new(batch(0).schema(), futures::stream::iter(batches));
    block_on(store.write(&key(), frame)).map(|_| ())
}

fn rows(store: &MetadataStore) -> usize {
    let history = ReadOptions::default().with_sample_history(true);
    block_on(async { store.read(&key(), history).await?.collect().await })
        .unwrap()
        .num_rows()
}

#[test]
fn a_killed_writer_leaves_all_or_nothing() {
    if let Ok(folder) = std::env::var(WRITER) {
        write_all(&open(Path::new(&folder))).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    write_all(&store).unwrap();
    let mut before = rows(&store);
    let mut killed = 0;
    for round in 0..8_u64 {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::a_killed_writer_leaves_all_or_nothing"])
            .env(WRITER, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(30 + 60 * round));
        // On Unix this is SIGKILL.
        writer.kill().unwrap();
        let finished = writer.wait().unwrap().success();
        let after = rows(&store);
        let whole = before + ROWS as usize;
        assert!(
            after == whole || (after == before && !finished),
            "{before} rows became {after}"
        );
        killed += usize::from(!finished);
        before = after;
    }
    assert!(killed > 0, "no writer was killed in time");
    write_all(&store).unwrap();
    assert_eq!(rows(&store), before + ROWS as usize);
}
