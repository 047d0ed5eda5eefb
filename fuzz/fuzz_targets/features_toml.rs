//! Definitions in TOML: features that are accepted have versions and plans, or say why not, and are the same as JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metaxy_store::graph::{GraphDiff, RelativesOptions};
use metaxy_store::toml_features::parse_features;
use metaxy_store::{FeatureGraph, FeatureSpec};

fuzz_target!(|text: &str| {
    let Ok(definitions) = parse_features(text, "features.toml", Some("demo")) else {
        return;
    };
    let mut graph = FeatureGraph::new();
    let mut as_json = FeatureGraph::new();
    for definition in definitions {
        let mut same = definition.clone();
        same.spec = FeatureSpec::from_value(&definition.spec.to_json()).expect("a valid spec");
        assert_eq!(same, definition);
        assert_eq!(graph.add(definition).is_ok(), as_json.add(same).is_ok());
    }
    for key in graph.keys() {
        assert_eq!(
            graph.feature_version(key).ok(),
            as_json.feature_version(key).ok()
        );
        assert_eq!(
            graph.definition_version(key).ok(),
            as_json.definition_version(key).ok()
        );
        let _ = graph.plan(key);
        let _ = graph.dependencies_of(key, RelativesOptions::default());
        let _ = graph.dependents_of(key, RelativesOptions::default());
    }
    let _ = graph.check_all();
    let _ = graph.describe(Some("demo"));
    assert_eq!(graph.topological().len(), graph.len());
    if let Ok(difference) = GraphDiff::between(&graph, &as_json) {
        assert!(!difference.has_changes());
    }
});
