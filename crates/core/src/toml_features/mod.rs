//! Features written in TOML files, so that pipelines in any language can define them.
//!
//! ```toml
//! project = "demo"                       # for all features of the file; a feature may name its own
//!
//! [[feature]]
//! key = "video/raw"
//! id_columns = ["video_id"]
//! fields = ["frames", "audio"]           # short: keys alone
//!
//! [[feature]]
//! key = "video/crop"
//! id_columns = ["video_id"]
//! description = "Faces cut out of the raw video."
//! deps = [
//!     "video/raw",                       # short: the key alone
//!     { feature = "audio/chunk", rename = { path = "chunk_path" }, select = ["chunk_path"], filters = ["size > 3"], lineage = { aggregation = ["video_id"] }, optional = true },
//! ]
//!
//! [feature.fields]
//! frames = "2"                           # the code version
//! audio = { code_version = "1", deps = [{ feature = "video/raw", fields = ["audio"] }, "audio/chunk"] }
//! "faces/left" = {}                      # the initial code version
//!
//! [feature.metadata]
//! owner = "vision"
//! ```
//!
//! A feature has the same versions as the same feature made with the builders.
//!
//! [`TABLES`] has every key, with an example. The chapter of the guide on feature files and [`json_schema`], which editors read, are made from
//! it.

mod form;
mod reference;
mod schema;
mod source;

pub use reference::{KeyDoc, KeyForm, KeyRule, KeyTable, TABLES, UPSTREAM};
pub use schema::json_schema;
pub use source::{TOML_HINT, not_toml};

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::definition::FeatureDefinition;
use crate::error::{Error, ErrorKind, Result};
use crate::key::FeatureKey;

/// Reads the features of one TOML file's text. `origin` is the file's name, for messages; `project` is the project of
/// features that name none.
///
/// ```
/// use metaxy_core::toml_features::parse_features;
/// let text = r#"
///     [[feature]]
///     key = "video/raw"
///     id_columns = ["video_id"]
///     fields = { frames = "1", audio = "1" }
/// "#;
/// let features = parse_features(text, "features.toml", Some("demo"))?;
/// assert_eq!(features[0].spec.fields()[1].key.as_str(), "audio");
/// # Ok::<(), metaxy_core::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::InvalidConfig`] when the text is not TOML, [`ErrorKind::InvalidDefinition`] that names file, line, feature and key
/// when a feature is wrong.
pub fn parse_features(
    text: &str,
    origin: &str,
    project: Option<&str>,
) -> Result<Vec<FeatureDefinition>> {
    Ok(located(text, origin, project)?
        .into_iter()
        .map(|(definition, _)| definition)
        .collect())
}

/// Reads the features of all files that match `globs`, relative to the directory `base`. Files are read in the order of their
/// paths, each once.
///
/// # Errors
/// Those of [`parse_features`]; [`ErrorKind::InvalidConfig`] for a glob that is malformed or matches no file;
/// [`ErrorKind::InvalidDefinition`] that names both places when a feature is defined twice;
/// [`ErrorKind::Io`] when a file cannot be read.
pub fn read_features<G: AsRef<str>>(
    base: &Path,
    globs: impl IntoIterator<Item = G>,
    project: Option<&str>,
) -> Result<Vec<FeatureDefinition>> {
    let mut definitions = Vec::new();
    let mut places: HashMap<FeatureKey, String> = HashMap::new();
    for path in files(base, globs)? {
        let origin = path
            .strip_prefix(base)
            .unwrap_or(&path)
            .display()
            .to_string();
        let text = std::fs::read_to_string(&path)
            .map_err(|e| Error::from(e).with_context("file", path.display()))?;
        for (definition, line) in located(&text, &origin, project)? {
            let key = definition.key().clone();
            let place = format!("{origin}:{line}");
            if let Some(first) = places.insert(key.clone(), place.clone()) {
                return Err(Error::new(
                    ErrorKind::InvalidDefinition,
                    format!("feature `{key}` is defined in {first} and again in {place}"),
                )
                .with_hint("remove one of them"));
            }
            definitions.push(definition);
        }
    }
    Ok(definitions)
}

/// What to do about a key of a feature that has another form than any that is known.
const FORMS_HINT: &str =
    "correct it there; the chapter \"Feature files\" of the guide shows every key with an example";

/// Definitions with the lines on which they start.
fn located(
    text: &str,
    origin: &str,
    project: Option<&str>,
) -> Result<Vec<(FeatureDefinition, usize)>> {
    let document = source::Document::parse(text).map_err(|e| e.with_context("file", origin))?;
    let top = form::known(&document.value, "the file", &reference::FILE)
        .map_err(|e| e.with_context("file", origin))?;
    let own = top
        .text("project")
        .map_err(|e| e.with_context("file", origin))?;
    let features = top.list("feature").map_err(|e| {
        e.with_hint("write each feature as a [[feature]] table, with two brackets")
            .with_context("file", origin)
    })?;
    let lines = document
        .feature_lines
        .iter()
        .copied()
        .chain(std::iter::repeat(1));
    let read = features
        .unwrap_or_default()
        .iter()
        .zip(lines)
        .map(|(feature, line)| {
            let definition = form::definition(feature, own.or(project))
                .and_then(|definition| definition.validate().map(|()| definition))
                .map_err(|e| {
                    e.with_context("file", format!("{origin}:{line}"))
                        .with_hint(FORMS_HINT)
                })?;
            Ok((definition, line))
        });
    read.collect()
}

/// The files that match, sorted.
fn files<G: AsRef<str>>(
    base: &Path,
    globs: impl IntoIterator<Item = G>,
) -> Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    for pattern in globs {
        let pattern = pattern.as_ref();
        // Joining keeps an absolute pattern as it is; what is special in the directory's own name is not a pattern.
        let full = Path::new(&glob::Pattern::escape(&base.to_string_lossy())).join(pattern);
        let matches = glob::glob(&full.to_string_lossy()).map_err(|e| {
            Error::new(
                ErrorKind::InvalidConfig,
                format!("the glob {pattern:?} of feature files is malformed: {e}"),
            )
            .with_source(e)
            .with_hint("`*` matches within a directory, `**` across them, `[*]` an asterisk")
        })?;
        let mut found = false;
        for path in matches {
            let path = path.map_err(|e| {
                Error::new(ErrorKind::Io, e.to_string()).with_context("glob", pattern)
            })?;
            if path.is_file() {
                found = true;
                files.insert(path);
            }
        }
        if !found {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                format!(
                    "the glob {pattern:?} of feature files matches no file in {}",
                    base.display()
                ),
            )
            .with_hint(
                "correct the glob, or leave it out; it is relative to the configuration file",
            ));
        }
    }
    Ok(files)
}
