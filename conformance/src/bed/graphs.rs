//! Small graphs.

use metaxy_store::spec::FieldDep;
use metaxy_store::{
    FeatureDefinition, FeatureDep, FeatureGraph, FeatureKey, FeatureSpec, FieldSpec, Result,
};

/// The project of every feature that is given none.
pub const PROJECT: &str = "demo";

/// A feature key.
///
/// # Errors
/// If it is none.
pub fn key(text: &str) -> Result<FeatureKey> {
    FeatureKey::new(text)
}

/// A graph of these features, of [`PROJECT`].
///
/// # Errors
/// If they are no graph.
pub fn graph(specs: impl IntoIterator<Item = FeatureSpec>) -> Result<FeatureGraph> {
    let definitions = specs.into_iter();
    FeatureGraph::from_definitions(definitions.map(|spec| FeatureDefinition::new(spec, PROJECT)))
}

/// A feature identified by `id`, with these fields, of code version 1, that depend on everything upstream.
///
/// # Errors
/// If a name is not well-formed.
pub fn feature(name: &str, fields: &[&str], deps: &[&str]) -> Result<FeatureSpec> {
    let mut spec = FeatureSpec::new(name, ["id"])?;
    for field in fields {
        spec = spec.with_field(FieldSpec::new(*field)?.with_code_version("1"));
    }
    for dep in deps {
        spec = spec.with_dep(FeatureDep::new(*dep)?);
    }
    Ok(spec)
}

/// A field of code version 1 that depends on these fields of one upstream.
///
/// # Errors
/// If a name is not well-formed.
pub fn field(name: &str, upstream: &str, fields: &[&str]) -> Result<FieldSpec> {
    let dep = FieldDep::new(upstream, fields.iter().copied())?;
    Ok(FieldSpec::new(name)?.with_code_version("1").with_dep(dep))
}

/// `video/raw` with sound and pictures; `video/transcript` depends on the sound, `video/faces` on the pictures.
///
/// # Errors
/// None.
pub fn video() -> Result<FeatureGraph> {
    graph([
        feature("video/raw", &["audio", "frames"], &[])?,
        feature("video/transcript", &[], &["video/raw"])?.with_field(field(
            "text",
            "video/raw",
            &["audio"],
        )?),
        feature("video/faces", &[], &["video/raw"])?.with_field(field(
            "boxes",
            "video/raw",
            &["frames"],
        )?),
    ])
}

/// A root `a` with the field `default`, and `b`, which depends on it.
///
/// # Errors
/// None.
pub fn pair() -> Result<FeatureGraph> {
    graph([
        feature("a", &["default"], &[])?,
        feature("b", &["default"], &["a"])?,
    ])
}

/// The features of [`pair`], whose fields have these code versions.
///
/// # Errors
/// None for texts that are not empty.
pub fn pair_of(a: &str, b: &str) -> Result<FeatureGraph> {
    let code = |version: &str| -> Result<FieldSpec> {
        Ok(FieldSpec::new("default")?.with_code_version(version))
    };
    graph([
        feature("a", &[], &[])?.with_field(code(a)?),
        feature("b", &[], &["a"])?.with_field(code(b)?),
    ])
}
