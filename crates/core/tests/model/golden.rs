//! Replays `versions.json`: what the reference answered for many graphs.

use std::collections::{BTreeSet, HashSet};

use metaxy_core::definition::{External, FeatureDefinition};
use metaxy_core::error::{ErrorKind, Result};
use metaxy_core::graph::FeatureGraph;
use metaxy_core::json::Json;
use metaxy_core::spec::FeatureSpec;
use metaxy_core::{FeatureKey, FieldKey};

#[test]
fn specs_are_written_as_they_were_read() {
    for case in cases() {
        for spec in list(&case, "features") {
            let read = FeatureSpec::from_recorded(spec).unwrap();
            assert_eq!(
                read.to_json().to_compact(),
                spec.to_compact(),
                "{}",
                name(&case)
            );
        }
    }
}

/// A graph of recorded definitions takes what the reference takes, and gives everything the reference's versions.
#[test]
fn recorded_definitions_have_the_versions_of_the_reference() {
    for case in cases() {
        let mut graph = FeatureGraph::recorded()
            .with_truncation_length(truncation(&case))
            .unwrap();
        for spec in list(&case, "features") {
            graph
                .add(wrap(&case, FeatureSpec::from_recorded(spec).unwrap()))
                .unwrap();
        }
        compare(&case, &graph);
    }
}

/// New definitions have them as well, except those that break a rule of ours; and those are refused.
#[test]
fn new_definitions_have_the_versions_of_the_reference_or_are_refused() {
    let mut refused = 0;
    for case in cases() {
        let built = || -> Result<FeatureGraph> {
            let mut graph = FeatureGraph::new().with_truncation_length(truncation(&case))?;
            for spec in list(&case, "features") {
                graph.add(wrap(&case, FeatureSpec::from_value(spec)?))?;
            }
            Ok(graph)
        };
        match (built(), breaks_a_rule(&case)) {
            (Ok(graph), None) => compare(&case, &graph),
            (Err(error), Some(_)) => {
                assert_eq!(error.kind(), ErrorKind::InvalidDefinition);
                refused += 1;
            }
            (Ok(_), Some(why)) => panic!("{}: accepted in spite of {why}", name(&case)),
            (Err(error), None) => panic!("{}: {error}", name(&case)),
        }
    }
    assert!(refused < cases().len() / 2, "{refused} cases were refused");
}

fn compare(case: &Json, graph: &FeatureGraph) {
    let label = name(case);
    for (key, expected) in members(case, "expect") {
        let text = |member: &str| expected.get(member).and_then(Json::as_str);
        assert_eq!(
            graph.code_version(key).ok(),
            text("code_version"),
            "{label} {key}"
        );
        assert_eq!(
            graph.spec_version(key).ok(),
            text("feature_spec_version"),
            "{label} {key}"
        );
        assert_eq!(
            graph.require(key).unwrap().key().table_name(),
            text("table_name").unwrap(),
            "{label} {key}"
        );
        match text("error") {
            None => {
                assert_eq!(
                    graph.feature_version(key).ok(),
                    text("feature_version"),
                    "{label} {key}"
                );
                let fields = graph.field_versions(key).unwrap().iter();
                let fields = Json::object(
                    fields.map(|(field, version)| (field.as_str(), version.as_str().into())),
                );
                assert_eq!(
                    Some(&fields),
                    expected.get("version_by_field"),
                    "{label} {key}"
                );
            }
            Some(error) => {
                let kind = match error {
                    "MetaxyMissingFeatureDependency" => ErrorKind::FeatureNotFound,
                    _ => ErrorKind::InvalidDefinition,
                };
                let found = graph.feature_version(key).unwrap_err();
                assert_eq!(found.kind(), kind, "{label} {key}: {found}");
                assert!(found.message().contains(key.as_str()), "{found}");
                assert!(graph.check().is_err(), "{label}");
            }
        }
        if let Some(version) = definition(case, key).get("feature_definition_version") {
            assert_eq!(
                graph.definition_version(key).ok(),
                version.as_str(),
                "{label} {key}"
            );
        }
    }
    let order: Json = graph.topological().iter().map(FeatureKey::as_str).collect();
    assert_eq!(Some(&order), case.get("topological"), "{label}");
    for (key, expected) in members(case, "downstream") {
        let found: Json = graph
            .downstream(&[FeatureKey::new(key).unwrap()])
            .iter()
            .map(FeatureKey::as_str)
            .collect();
        assert_eq!(&found, expected, "{label} {key}");
    }
    for (project, expected) in members(case, "project_versions") {
        assert_eq!(
            Some(graph.project_version(project)),
            expected.as_str(),
            "{label} {project}"
        );
    }
}

/// The rule of ours that a case breaks, found without the code under test.
fn breaks_a_rule(case: &Json) -> Option<&'static str> {
    let specs = list(case, "features");
    let ids_of = |key: &str| {
        let upstream = specs.iter().find(|spec| text(spec, "key") == key)?;
        Some(
            list(upstream, "id_columns")
                .iter()
                .filter_map(Json::as_str)
                .collect::<Vec<_>>(),
        )
    };
    let tables: HashSet<String> = specs
        .iter()
        .map(|spec| text(spec, "key").replace('/', "__").replace('-', "_"))
        .collect();
    if tables.len() < specs.len() {
        return Some("equal table names");
    }
    for spec in specs {
        let fields = list(spec, "fields");
        let stored: HashSet<String> = fields
            .iter()
            .map(|field| text(field, "key").replace('/', "_"))
            .collect();
        if fields.is_empty() {
            return Some("no fields");
        }
        if stored.len() < fields.len() {
            return Some("equal struct keys");
        }
        let own: BTreeSet<&str> = list(spec, "id_columns")
            .iter()
            .filter_map(Json::as_str)
            .collect();
        let mut inputs: Vec<BTreeSet<&str>> = Vec::new();
        for dep in list(spec, "deps") {
            let Some(ids) = ids_of(text(dep, "feature")) else {
                continue;
            };
            let relationship = dep
                .get("lineage")
                .and_then(|l| l.get("relationship"))
                .unwrap();
            let on = relationship.get("on").and_then(Json::as_array);
            let rename = |id| {
                dep.get("rename")
                    .and_then(|r| r.get(id))
                    .and_then(Json::as_str)
                    .unwrap_or(id)
            };
            inputs.push(match (text(relationship, "type"), on) {
                ("1:1", _) => ids.into_iter().map(rename).collect(),
                (_, Some(on)) => on.iter().filter_map(Json::as_str).collect(),
                (_, None) => own.clone(),
            });
        }
        if let [first, rest @ ..] = inputs.as_slice()
            && !first
                .iter()
                .any(|id| rest.iter().all(|other| other.contains(id)))
        {
            return Some("upstreams without a common ID column");
        }
    }
    None
}

fn wrap(case: &Json, spec: FeatureSpec) -> FeatureDefinition {
    let wrapped = definition(case, spec.key().as_str());
    let project = text(wrapped, "project").to_owned();
    if wrapped.get("external").is_none() {
        return FeatureDefinition::new(spec, project)
            .with_schema(wrapped.get("feature_schema").unwrap().clone())
            .with_class_path(text(wrapped, "feature_class_path"));
    }
    let versions = wrapped
        .get("provenance_by_field")
        .and_then(Json::as_object)
        .into_iter()
        .flatten();
    let external = versions.fold(External::default(), |external, (field, version)| {
        external.with_provenance(FieldKey::new(field).unwrap(), version.as_str().unwrap())
    });
    FeatureDefinition::external(spec, project, external)
}

fn cases() -> Vec<Json> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../conformance/golden/versions.json"
    );
    let text = std::fs::read_to_string(path).unwrap();
    let Json::Array(cases) = Json::parse(&text).unwrap() else {
        panic!("versions.json is not a list")
    };
    assert!(!cases.is_empty());
    cases
}

fn truncation(case: &Json) -> usize {
    let config = case
        .get("config")
        .and_then(|config| config.get("hash_truncation_length"));
    config.unwrap().to_compact().parse().unwrap()
}

fn definition<'a>(case: &'a Json, key: &str) -> &'a Json {
    case.get("definitions")
        .and_then(|definitions| definitions.get(key))
        .unwrap()
}

fn name(case: &Json) -> &str {
    text(case, "name")
}

fn text<'a>(value: &'a Json, key: &str) -> &'a str {
    value.get(key).and_then(Json::as_str).unwrap()
}

fn list<'a>(value: &'a Json, key: &str) -> &'a [Json] {
    value.get(key).and_then(Json::as_array).unwrap()
}

fn members<'a>(value: &'a Json, key: &str) -> impl Iterator<Item = (&'a String, &'a Json)> {
    value.get(key).and_then(Json::as_object).unwrap().iter()
}
