//! Replays `versions.json`: versions of the definitions of many graphs. Needs no store.

use metaxy_store::definition::{External, FeatureDefinition, OnVersionMismatch};
use metaxy_store::json::Json;
use metaxy_store::spec::FeatureSpec;
use metaxy_store::{ErrorKind, FeatureGraph, FeatureKey, FieldKey, Result};

use super::file::{Outcome, cases, flag, list, members, opt_text, size, text};
use super::report::Report;

pub(super) fn replay(content: &Json, report: &mut Report) -> Outcome {
    for case in cases(content)? {
        let name = format!("versions/{}", opt_text(case, "name").unwrap_or("?"));
        let mut found = Mismatches::default();
        if let Err(why) = compare(case, &mut found) {
            found.0.push(why);
        }
        report.count(name, found.0, false);
    }
    Ok(())
}

/// What a case is wrong about.
#[derive(Default)]
struct Mismatches(Vec<String>);

impl Mismatches {
    /// Notes `what` if it is not what the reference has.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "what is compared is made for it"
    )]
    fn check<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, expected: T, found: T) {
        if expected != found {
            self.0
                .push(format!("{what}: expected {expected:?}, found {found:?}"));
        }
    }
}

fn compare(case: &Json, found: &mut Mismatches) -> Outcome {
    let graph = graph(case)?;
    for (key, expected) in members(case, "expect") {
        compare_feature(case, &graph, key, expected, found)?;
    }
    let order: Json = graph.topological().iter().map(FeatureKey::as_str).collect();
    found.check("topological order", case.get("topological"), Some(&order));
    for (key, expected) in members(case, "downstream") {
        let key = FeatureKey::new(key).map_err(|e| e.to_string())?;
        let downstream: Json = graph
            .downstream(std::slice::from_ref(&key))
            .iter()
            .map(FeatureKey::as_str)
            .collect();
        found.check(&format!("downstream of {key}"), expected, &downstream);
    }
    for (project, expected) in members(case, "project_versions") {
        let version = graph.project_version(project);
        found.check(
            &format!("version of project {project}"),
            expected.as_str(),
            Some(version),
        );
    }
    Ok(())
}

fn compare_feature(
    case: &Json,
    graph: &FeatureGraph,
    key: &str,
    expected: &Json,
    found: &mut Mismatches,
) -> Outcome {
    let wanted = |name: &str| opt_text(expected, name).map(str::to_owned);
    let given = |version: Result<&str>| version.ok().map(str::to_owned);
    found.check(
        &format!("{key}: code version"),
        wanted("code_version"),
        given(graph.code_version(key)),
    );
    found.check(
        &format!("{key}: spec version"),
        wanted("feature_spec_version"),
        given(graph.spec_version(key)),
    );
    let feature = graph.require(key).map_err(|e| e.to_string())?;
    found.check(
        &format!("{key}: table name"),
        wanted("table_name"),
        Some(feature.key().table_name()),
    );
    if let Some(version) = definition(case, key).get("feature_definition_version") {
        let here = graph.definition_version(key).ok();
        found.check(
            &format!("{key}: definition version"),
            version.as_str(),
            here,
        );
    }
    let Some(error) = opt_text(expected, "error") else {
        found.check(
            &format!("{key}: feature version"),
            wanted("feature_version"),
            given(graph.feature_version(key)),
        );
        let fields = graph
            .field_versions(key)
            .map_err(|e| format!("{key}: {e}"))?;
        let fields = Json::object(
            fields
                .iter()
                .map(|(field, version)| (field.as_str(), version.as_str().into())),
        );
        found.check(
            &format!("{key}: field versions"),
            expected.get("version_by_field"),
            Some(&fields),
        );
        return Ok(());
    };
    let kind = match error {
        "MetaxyMissingFeatureDependency" => ErrorKind::FeatureNotFound,
        _ => ErrorKind::InvalidDefinition,
    };
    match graph.feature_version(key) {
        Ok(version) => found.0.push(format!(
            "{key}: has version {version}, where the reference fails ({error})"
        )),
        Err(here) => found.check(&format!("{key}: kind of error"), kind, here.kind()),
    }
    Ok(())
}

/// The graph of a case. It accepts what the reference accepts.
fn graph(case: &Json) -> Outcome<FeatureGraph> {
    let length = size(
        case.get("config").unwrap_or(&Json::Null),
        "hash_truncation_length",
    )?;
    let graph = FeatureGraph::recorded().with_truncation_length(length);
    let mut graph = graph.map_err(|e| e.to_string())?;
    for spec in list(case, "features")? {
        let definition = wrap(case, spec)?;
        let key = definition.key().clone();
        graph.add(definition).map_err(|e| format!("{key}: {e}"))?;
    }
    Ok(graph)
}

/// A spec with the rest of its definition, which `case` has among its `definitions`.
pub(super) fn wrap(case: &Json, spec: &Json) -> Outcome<FeatureDefinition> {
    let spec = FeatureSpec::from_recorded(spec).map_err(|e| e.to_string())?;
    let wrapped = definition(case, spec.key().as_str());
    let project = text(wrapped, "project")?;
    if !flag(wrapped, "external") {
        let schema = wrapped.get("feature_schema").cloned().unwrap_or_default();
        let path = opt_text(wrapped, "feature_class_path").unwrap_or_default();
        return Ok(FeatureDefinition::new(spec, project)
            .with_schema(schema)
            .with_class_path(path));
    }
    let on_mismatch = match opt_text(wrapped, "on_version_mismatch") {
        Some("error") => OnVersionMismatch::Error,
        _ => OnVersionMismatch::Warn,
    };
    let mut external = External::default().with_on_version_mismatch(on_mismatch);
    for (field, version) in members(wrapped, "provenance_by_field") {
        let field = FieldKey::new(field).map_err(|e| e.to_string())?;
        external = external.with_provenance(field, version.as_str().unwrap_or_default());
    }
    Ok(FeatureDefinition::external(spec, project, external))
}

fn definition<'a>(case: &'a Json, key: &str) -> &'a Json {
    let definition = case
        .get("definitions")
        .and_then(|definitions| definitions.get(key));
    definition.unwrap_or(&Json::Null)
}
