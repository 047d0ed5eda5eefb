//! The model: JSON, definitions, graphs, their versions and plans.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod describe;
mod diff;
mod feature_reference;
mod golden;
mod graph;
mod json;
mod plan;
mod rules;
mod toml_form;

use metaxy_core::definition::FeatureDefinition;
use metaxy_core::error::{Error, ErrorKind};
use metaxy_core::graph::FeatureGraph;
use metaxy_core::spec::{FeatureDep, FeatureSpec, FieldSpec};

fn spec(key: &str, ids: &[&str]) -> FeatureSpec {
    FeatureSpec::new(key, ids.iter().copied()).unwrap()
}

fn dep(key: &str) -> FeatureDep {
    FeatureDep::new(key).unwrap()
}

fn field(key: &str) -> FieldSpec {
    FieldSpec::new(key).unwrap()
}

fn definition(spec: FeatureSpec) -> FeatureDefinition {
    FeatureDefinition::new(spec, "demo")
}

fn graph(specs: impl IntoIterator<Item = FeatureSpec>) -> FeatureGraph {
    FeatureGraph::from_definitions(specs.into_iter().map(definition)).unwrap()
}

/// The error is of this kind, has a hint, and its message names all of these.
#[track_caller]
fn assert_names(error: &Error, kind: ErrorKind, names: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.hint().is_some(), "no hint: {error}");
    for name in names {
        assert!(
            error.to_string().contains(name),
            "{name:?} is not in: {error}"
        );
    }
}
