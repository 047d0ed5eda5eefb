//! Specs as JSON: what is read is written as JSON that reads as the same, and has the same versions.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metaxy_store::json::Json;
use metaxy_store::{FeatureDefinition, FeatureGraph, FeatureSpec, Result};

fuzz_target!(|text: &str| {
    let Ok(json) = Json::parse(text) else {
        return;
    };
    for written in [json.to_compact(), json.to_python_dumps(true)] {
        let again = Json::parse(&written);
        assert!(
            matches!(&again, Ok(again) if *again == json),
            "{json:?} is written as {written}: {again:?}"
        );
    }

    if let Ok(spec) = FeatureSpec::from_value(&json) {
        let written = spec.to_json();
        let again = FeatureSpec::from_value(&written).expect("what was valid is");
        assert_eq!(again, spec, "written as {written}");
        assert_eq!(versions(again).ok(), versions(spec).ok(), "of {written}");
    }
    if let Ok(spec) = FeatureSpec::from_recorded(&json) {
        let again = FeatureSpec::from_recorded(&spec.to_json()).expect("what was recorded is");
        assert_eq!(again, spec, "recorded as {}", spec.to_json());
        let key = spec.key().clone();
        let mut graph = FeatureGraph::recorded();
        if graph.add(FeatureDefinition::new(spec, "demo")).is_ok() {
            let _ = graph.feature_version(&key);
            let _ = graph.definition_version(&key);
            let _ = graph.plan(&key);
            let _ = graph.check_all();
        }
    }
});

/// The versions of a feature alone in a graph.
fn versions(spec: FeatureSpec) -> Result<[String; 3]> {
    let key = spec.key().clone();
    let mut graph = FeatureGraph::new();
    graph.add(FeatureDefinition::new(spec, "demo"))?;
    let _ = graph.plan(&key);
    Ok([
        graph.feature_version(&key)?.to_owned(),
        graph.code_version(&key)?.to_owned(),
        graph.definition_version(&key)?.to_owned(),
    ])
}
