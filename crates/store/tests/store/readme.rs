//! What the README shows in Rust, word for word. `crates/cli/tests/command/texts.rs` compares the two.

use std::env;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::executor::block_on;
use metaxy_conformance::{Embedded, Suite};
use metaxy_store::Result;
use metaxy_store::prelude::*;
use metaxy_store::sqlite::SqliteBackend;

use crate::fixture;

/// Set in the process that runs the program.
const PROGRAM: &str = "PROGRAM_OF_THE_README";

/// The program names its database relative to the working directory: it runs in a process and a folder of its own.
#[test]
fn the_program_runs() {
    if env::var_os(PROGRAM).is_some() {
        block_on(program(videos())).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "readme::the_program_runs", "--nocapture"])
        .env(PROGRAM, "1")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    let counts = "Counts { new: 2, stale: 0, orphaned: 0 }";
    assert!(printed.contains(counts), "{printed}");
    assert!(folder.path().join("samples.db").exists());
}

#[rustfmt::skip] // as the README has it
async fn program(videos: RecordBatch) -> Result<()> {
    use std::sync::Arc;

    use metaxy_store::prelude::*;

    let mut graph = FeatureGraph::new();
    graph.add(FeatureDefinition::new(
        FeatureSpec::new("video/raw", ["video_id"])?
            .with_field(FieldSpec::new("audio")?)
            .with_field(FieldSpec::new("frames")?),
        "demo",
    ))?;
    graph.add(FeatureDefinition::new(
        FeatureSpec::new("video/transcript", ["video_id"])?
            .with_dep(FeatureDep::new("video/raw")?)
            .with_field(FieldSpec::new("text")?.with_dep(FieldDep::new("video/raw", ["audio"])?)),
        "demo",
    ))?;

    let backend = SqliteConfig::new("samples.db").open(Access::Write);
    let store = MetadataStore::builder(Arc::new(backend)).with_graph(graph).build()?;

    let raw = FeatureKey::new("video/raw")?;
    store.write(&raw, videos).await?;              // a RecordBatch: video_id, and what identifies sound and frames

    let transcript = FeatureKey::new("video/transcript")?;
    let increment = store.resolve_update(&transcript, ResolveOptions::default()).await?;
    println!("{:?}", increment.counts());          // new, stale, orphaned
    store.write(&transcript, increment.new_and_stale()).await?;

    let left = store.resolve_update(&transcript, ResolveOptions::default()).await?;
    assert!(left.is_empty());
    Ok(())
}

/// Two videos.
fn videos() -> RecordBatch {
    let rows = fixture::raw(&[(1, "a1", "f1"), (2, "a2", "f2")]);
    let names = ["video_id", "path", "metaxy_provenance_by_field"];
    RecordBatch::try_from_iter(names.into_iter().zip(rows.columns().iter().cloned())).unwrap()
}

/// A backend of one's own.
struct MyStore;

impl MyStore {
    fn open(folder: &Path, access: Access) -> SqliteBackend {
        SqliteConfig::new(folder.join("mine.db")).open(access)
    }
}

#[rustfmt::skip] // as the README has it
#[allow(dead_code)] // the suite takes minutes; a few cases of it are run below
fn main() -> std::process::ExitCode {
    let stores = Embedded::new("mine", |path, request| Ok(Arc::new(MyStore::open(path, request.access))));
    Suite::main(stores)
}

/// The cases whose lines the README shows pass.
#[test]
fn a_backend_of_your_own_passes() {
    let page = include_str!("../../../../README.md");
    let shown = page
        .split("$ cargo test --test conformance\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let cases: Vec<&str> = shown
        .lines()
        .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... ok"))
        .collect();
    assert_eq!(cases.len(), 2, "{shown}");
    let stores = Embedded::new("mine", |path, request| {
        Ok(Arc::new(MyStore::open(path, request.access)))
    });
    let report = Suite::new(Arc::new(stores.unwrap()))
        .with_only(&cases)
        .run();
    assert_eq!(
        (report.passed(), report.is_success()),
        (2, true),
        "{report}"
    );
}
