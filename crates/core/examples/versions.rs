//! How long it takes to build a graph and compute all its versions: `cargo run --release -p metaxy-core --example versions`.

use std::time::Instant;

use metaxy_core::Result;
use metaxy_core::definition::FeatureDefinition;
use metaxy_core::graph::FeatureGraph;
use metaxy_core::spec::{FeatureDep, FeatureSpec};

fn main() -> Result<()> {
    report("chain of 2,000", chain(2_000)?)?;
    report("ladder of 60 diamonds", ladder(60)?)
}

fn report(name: &str, specs: Vec<FeatureSpec>) -> Result<()> {
    let last = specs.last().map(|spec| spec.key().clone());
    let start = Instant::now();
    let graph = FeatureGraph::from_definitions(
        specs
            .into_iter()
            .map(|spec| FeatureDefinition::new(spec, "demo")),
    )?;
    let built = start.elapsed();
    let start = Instant::now();
    if let Some(last) = last {
        graph.feature_version(last)?;
    }
    let features = start.elapsed();
    let start = Instant::now();
    std::hint::black_box(graph.project_version("demo"));
    let project = start.elapsed();
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    println!(
        "{name}: built in {:.2} ms, feature versions in {:.2} ms, project version in {:.2} ms",
        ms(built),
        ms(features),
        ms(project)
    );
    Ok(())
}

fn chain(length: usize) -> Result<Vec<FeatureSpec>> {
    (0..length)
        .map(|i| match i {
            0 => feature("f0", &[]),
            _ => feature(&format!("f{i}"), &[format!("f{}", i - 1)]),
        })
        .collect()
}

fn ladder(diamonds: usize) -> Result<Vec<FeatureSpec>> {
    let mut specs = vec![feature("n0", &[])?];
    for i in 0..diamonds {
        let (top, left, right) = (format!("n{i}"), format!("l{i}"), format!("r{i}"));
        specs.push(feature(&left, std::slice::from_ref(&top))?);
        specs.push(feature(&right, &[top])?);
        specs.push(feature(&format!("n{}", i + 1), &[left, right])?);
    }
    Ok(specs)
}

fn feature(key: &str, upstreams: &[String]) -> Result<FeatureSpec> {
    let deps: Result<Vec<_>> = upstreams.iter().map(FeatureDep::new).collect();
    Ok(FeatureSpec::new(key, ["id"])?.with_deps(deps?))
}
