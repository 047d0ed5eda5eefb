//! Seeds the wide graph of the reference's benchmark in a SQLite store and resolves its leaf.
//!
//! ```text
//! cargo run --release -p metaxy-store --example wide -- seed DIR ROWS new|stale|same
//! cargo run --release -p metaxy-store --example wide -- resolve DIR
//! ```
//!
//! `seed` leaves a `metaxy.toml` and a pushed graph in DIR, so that the command can resolve it too.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field};
use futures::executor::block_on;
use metaxy_store::Result;
use metaxy_store::prelude::*;

const ROOT_FIELDS: [&str; 4] = ["audio", "frames", "optical_flow", "embedding"];
const BATCH: i64 = 10_000;

fn graph() -> Result<FeatureGraph> {
    let mut graph = FeatureGraph::new();
    let feature = |key: &str, fields: &[&str], deps: &[&str]| -> Result<FeatureDefinition> {
        let mut spec = FeatureSpec::new(key, ["sample_uid"])?;
        for field in fields {
            spec = spec.with_field(FieldSpec::new(*field)?.with_code_version("1"));
        }
        for dep in deps {
            spec = spec.with_dep(FeatureDep::new(*dep)?);
        }
        Ok(FeatureDefinition::new(spec, "bench"))
    };
    let roots = ["bench/wide_root_0", "bench/wide_root_1"];
    for root in roots {
        graph.add(feature(root, &ROOT_FIELDS, &[])?)?;
    }
    graph.add(feature(
        "bench/wide_leaf",
        &["prediction_a", "prediction_b"],
        &roots,
    )?)?;
    Ok(graph)
}

/// Samples `range` of a root; `bumped` ones, a tenth, have another audio version.
fn rows(root: u64, range: std::ops::Range<i64>, only_bumped: bool) -> Result<RecordBatch> {
    let mix = |id: i64, field: usize| {
        let x = (id as u64 * 4 + field as u64 + root * 0x9e37).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (x ^ (x >> 29)) % (1 << 20)
    };
    let ids: Vec<i64> = range
        .filter(|id| !only_bumped || mix(*id, 9) % 10 == 0)
        .collect();
    let members = ROOT_FIELDS.iter().enumerate().map(|(i, name)| {
        let suffix = if only_bumped && i == 0 { "_bumped" } else { "" };
        let values = ids
            .iter()
            .map(|id| format!("{}{}{suffix}", &name[..1], mix(*id, i)));
        let values: ArrayRef = Arc::new(StringArray::from_iter_values(values));
        (Arc::new(Field::new(*name, DataType::Utf8, true)), values)
    });
    let by_field: ArrayRef = Arc::new(StructArray::from(members.collect::<Vec<_>>()));
    let ids: ArrayRef = Arc::new(Int64Array::from(ids));
    Ok(RecordBatch::try_from_iter([
        ("sample_uid", ids),
        ("metaxy_provenance_by_field", by_field),
    ])?)
}

fn frame(root: u64, n: i64, only_bumped: bool) -> Result<Frame> {
    let schema = rows(root, 0..1, false)?.schema();
    let starts = (0..n).step_by(BATCH as usize);
    let batches = starts.map(move |start| rows(root, start..(start + BATCH).min(n), only_bumped));
    Ok(Frame::new(schema, futures::stream::iter(batches)))
}

fn open(folder: &Path, access: Access) -> Result<MetadataStore> {
    let backend = SqliteConfig::new(folder.join("store.db")).open(access);
    MetadataStore::builder(Arc::new(backend))
        .with_name("bench")
        .with_graph(graph()?)
        .with_access(access)
        .build()
}

fn seed(folder: &Path, n: i64, phase: &str) -> std::result::Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    let store = open(folder, Access::Write)?;
    let key = |text: &str| FeatureKey::new(text);
    let started = Instant::now();
    for root in 0..2 {
        block_on(store.write(
            &key(&format!("bench/wide_root_{root}"))?,
            frame(root, n, false)?,
        ))?;
    }
    println!("{} rows written in {:.2?}", 2 * n, started.elapsed());
    let leaf = key("bench/wide_leaf")?;
    if phase != "new" {
        let increment = block_on(store.resolve_update(&leaf, ResolveOptions::default()))?;
        block_on(store.write(&leaf, increment.new))?;
    }
    if phase == "stale" {
        block_on(store.write(&key("bench/wide_root_0")?, frame(0, n, true)?))?;
    }
    block_on(store.push_graph(Some("bench"), &Default::default()))?;
    std::fs::write(
        folder.join("metaxy.toml"),
        format!(
            "project = \"bench\"\nstore = \"bench\"\n\n[stores.bench]\ntype = \"sqlite\"\ndatabase = {:?}\n",
            folder.canonicalize()?.join("store.db")
        ),
    )?;
    Ok(())
}

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["seed", folder, n, phase] => seed(Path::new(folder), n.parse()?, phase),
        ["resolve", folder] => {
            let started = Instant::now();
            let store = open(Path::new(folder), Access::Read)?;
            let leaf = FeatureKey::new("bench/wide_leaf")?;
            let counts = block_on(store.resolve_update(&leaf, ResolveOptions::default()))?.counts();
            println!("{counts:?} in {:.2?}", started.elapsed());
            Ok(())
        }
        _ => Err("usage: wide seed DIR ROWS new|stale|same | wide resolve DIR".into()),
    }
}
