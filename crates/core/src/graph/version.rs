//! Versions of definitions, which need no store (`semantics.md` §3).
//!
//! All are SHA-256 in lower-case hex, cut to the graph's truncation length at every level. Each is computed once per graph
//! value, in one pass over the features with upstreams first.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use sha2::{Digest, Sha256};

use crate::definition::FeatureDefinition;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::parents::Parents;
use crate::graph::{FeatureGraph, Inner};
use crate::key::{FeatureKey, FieldKey};

/// The project version of a project without features.
pub const EMPTY_PROJECT: &str = "empty";

impl FeatureGraph {
    /// The version of a feature: of its fields, their code, and everything upstream of them.
    ///
    /// # Errors
    /// [`ErrorKind::FeatureNotFound`] when the feature or an upstream is not in the graph,
    /// [`ErrorKind::InvalidDefinition`] when a field depends on nothing or on what does not exist, here or upstream. Other
    /// features of the graph keep their versions.
    pub fn feature_version(&self, key: impl AsRef<str>) -> Result<&str> {
        self.computed(key.as_ref())
            .map(|computed| computed.feature.as_str())
    }

    /// The versions of a feature's fields, in the order of its spec.
    ///
    /// # Errors
    /// Those of [`feature_version`](Self::feature_version).
    pub fn field_versions(&self, key: impl AsRef<str>) -> Result<&IndexMap<FieldKey, String>> {
        self.computed(key.as_ref()).map(|computed| &computed.fields)
    }

    /// The version of the code versions of a feature's fields alone.
    ///
    /// # Errors
    /// [`ErrorKind::FeatureNotFound`] when the feature is not in the graph.
    pub fn code_version(&self, key: impl AsRef<str>) -> Result<&str> {
        self.local(key.as_ref()).map(|local| local.code.as_str())
    }

    /// The version of everything that a feature's spec says.
    ///
    /// # Errors
    /// [`ErrorKind::FeatureNotFound`] when the feature is not in the graph.
    pub fn spec_version(&self, key: impl AsRef<str>) -> Result<&str> {
        self.local(key.as_ref()).map(|local| local.spec.as_str())
    }

    /// The version of a feature's spec and schema. That of a placeholder for another project's feature says nothing of that feature.
    ///
    /// # Errors
    /// [`ErrorKind::FeatureNotFound`] when the feature is not in the graph.
    pub fn definition_version(&self, key: impl AsRef<str>) -> Result<&str> {
        self.local(key.as_ref())
            .map(|local| local.definition.as_str())
    }

    /// The version of all definitions of `project` that are not external; [`EMPTY_PROJECT`] if there are none.
    #[must_use]
    pub fn project_version(&self, project: &str) -> &str {
        let inner = self.inner();
        let versions = inner.projects.get_or_init(|| project_versions(inner));
        versions.get(project).map_or(EMPTY_PROJECT, String::as_str)
    }

    /// Why `key` has no version, unless the reason lies upstream.
    pub(crate) fn own_version_error(&self, key: &FeatureKey) -> Option<Error> {
        match self.versions().get(key)? {
            Err(failure) if failure.feature == *key => Some(failure.to_error(self, key)),
            _ => None,
        }
    }

    fn computed(&self, key: &str) -> Result<&Computed> {
        self.entry(key)?;
        match self.versions().get_key_value(key) {
            Some((_, Ok(computed))) => Ok(computed),
            Some((key, Err(failure))) => Err(failure.to_error(self, key)),
            None => Err(Error::new(
                ErrorKind::Internal,
                format!("feature `{key}` was left out of its graph's versions"),
            )),
        }
    }

    fn versions(&self) -> &Versions {
        self.inner().versions.get_or_init(|| compute(self))
    }

    fn local(&self, key: &str) -> Result<&LocalVersions> {
        let entry = self.entry(key)?;
        let length = self.truncation_length();
        Ok(entry
            .local
            .get_or_init(|| LocalVersions::of(&entry.definition, length)))
    }
}

/// By feature: its versions, or why it has none.
pub(crate) type Versions = HashMap<FeatureKey, Result<Computed, Arc<Failure>>>;

/// What a feature's upstreams have a part in.
pub(crate) struct Computed {
    feature: String,
    fields: IndexMap<FieldKey, String>,
}

/// What depends on one definition alone.
pub(crate) struct LocalVersions {
    code: String,
    spec: String,
    definition: String,
}

/// Why a feature, and what depends on it, has no version.
pub(crate) struct Failure {
    feature: FeatureKey,
    why: Why,
}

enum Why {
    /// An upstream is not in the graph.
    Missing(FeatureKey),
    Invalid {
        message: String,
        hint: Option<String>,
    },
}

impl Failure {
    fn invalid(feature: &FeatureKey, error: &Error) -> Arc<Self> {
        let (message, hint) = (error.message().to_owned(), error.hint().map(str::to_owned));
        Arc::new(Self {
            feature: feature.clone(),
            why: Why::Invalid { message, hint },
        })
    }

    fn missing(feature: &FeatureKey, upstream: &FeatureKey) -> Arc<Self> {
        Arc::new(Self {
            feature: feature.clone(),
            why: Why::Missing(upstream.clone()),
        })
    }

    /// The error of asking for a version of `asked`, which is the feature at fault or downstream of it.
    fn to_error(&self, graph: &FeatureGraph, asked: &FeatureKey) -> Error {
        let (error, hint) = match &self.why {
            Why::Missing(upstream) => (graph.missing_upstream(&self.feature, upstream), None),
            Why::Invalid { message, hint } => (
                Error::new(ErrorKind::InvalidDefinition, message),
                hint.clone(),
            ),
        };
        let hint = hint.or(error.hint().map(str::to_owned));
        let error = match *asked == self.feature {
            true => error,
            false => Error::new(
                error.kind(),
                format!(
                    "feature `{asked}` has no version because of its upstream: {}",
                    error.message()
                ),
            ),
        };
        hint.into_iter().fold(error, Error::with_hint)
    }
}

impl LocalVersions {
    fn of(definition: &FeatureDefinition, length: usize) -> Self {
        let mut fields: Vec<_> = definition.spec.fields().iter().collect();
        fields.sort_by(|a, b| a.key.cmp(&b.key));
        let code = hash(
            fields
                .iter()
                .flat_map(|field| [field.key.as_str(), &field.code_version]),
            length,
        );
        let spec = hash([definition.spec.to_json().to_python_dumps(true)], length);
        let schema = definition.feature_schema.to_python_dumps(true);
        let definition = hash([spec.as_str(), &schema], length);
        Self {
            code,
            spec,
            definition,
        }
    }
}

/// By field: its version, or why it has none.
type FieldVersions<'a> = HashMap<&'a FieldKey, Result<String, Arc<Failure>>>;

fn compute(graph: &FeatureGraph) -> Versions {
    let inner = graph.inner();
    let mut by_field: HashMap<FeatureKey, FieldVersions<'_>> = HashMap::with_capacity(graph.len());
    let mut versions = Versions::with_capacity(graph.len());
    for key in graph.topological() {
        let Some(definition) = inner.entries().get(&key).map(|entry| &*entry.definition) else {
            continue;
        };
        let (fields, feature) = of_feature(inner, definition, &by_field);
        by_field.insert(key.clone(), fields);
        versions.insert(key, feature);
    }
    versions
}

fn of_feature<'a>(
    inner: &'a Inner,
    definition: &'a FeatureDefinition,
    by_field: &HashMap<FeatureKey, FieldVersions<'a>>,
) -> (FieldVersions<'a>, Result<Computed, Arc<Failure>>) {
    let spec = &definition.spec;
    let mut upstreams = Vec::with_capacity(spec.deps().len());
    let mut missing = None;
    for dep in spec.deps() {
        match inner.entries().get(&dep.feature) {
            Some(entry) => upstreams.push(&entry.definition.spec),
            None if missing.is_none() => missing = Some(Failure::missing(spec.key(), &dep.feature)),
            None => {}
        }
    }
    let resolver = match &missing {
        Some(failure) => Err(failure.clone()),
        None => Ok(Parents::new(spec, upstreams)),
    };
    let of_field = |field: &'a crate::spec::FieldSpec| -> Result<String, Arc<Failure>> {
        if let Some(stated) = definition.stated_version(&field.key) {
            return Ok(stated.to_owned());
        }
        let resolver = resolver.as_ref().map_err(Arc::clone)?;
        let parents = resolver
            .of(field)
            .map_err(|error| Failure::invalid(spec.key(), &error))?;
        let mut hasher = Sha256::new();
        for part in [
            spec.key().as_str(),
            ".",
            field.key.as_str(),
            &field.code_version,
        ] {
            hasher.update(part);
        }
        for parent in &parents {
            if let Some(version) = by_field
                .get(&parent.feature)
                .and_then(|fields| fields.get(&parent.field))
            {
                hasher.update(version.as_ref().map_err(Arc::clone)?);
            }
        }
        Ok(finish(hasher, inner.truncation_length))
    };
    let fields: Vec<(&FieldKey, _)> = spec
        .fields()
        .iter()
        .map(|field| (&field.key, of_field(field)))
        .collect();
    let feature = match missing {
        Some(failure) => Err(failure),
        None => combine(&fields, inner.truncation_length),
    };
    (fields.into_iter().collect(), feature)
}

fn combine(
    fields: &[(&FieldKey, Result<String, Arc<Failure>>)],
    length: usize,
) -> Result<Computed, Arc<Failure>> {
    let mut by_field = IndexMap::with_capacity(fields.len());
    for (field, version) in fields {
        by_field.insert(
            (*field).clone(),
            version.as_ref().map_err(Arc::clone)?.clone(),
        );
    }
    let mut sorted: Vec<_> = by_field.iter().collect();
    sorted.sort_unstable();
    let feature = hash(
        sorted
            .into_iter()
            .flat_map(|(field, version)| [field.as_str(), version]),
        length,
    );
    Ok(Computed {
        feature,
        fields: by_field,
    })
}

fn project_versions(inner: &Inner) -> HashMap<String, String> {
    let length = inner.truncation_length;
    let mut projects: HashMap<&str, Vec<_>> = HashMap::new();
    for (key, entry) in inner
        .entries()
        .iter()
        .filter(|(_, entry)| !entry.definition.is_external())
    {
        projects
            .entry(&entry.definition.project)
            .or_default()
            .push((key, entry));
    }
    let version = |(project, mut features): (&str, Vec<(&FeatureKey, &crate::graph::Entry)>)| {
        // By parts, not by text: `a/b` comes before `a-b`.
        features.sort_by(|(a, _), (b, _)| a.parts().cmp(b.parts()));
        let parts = features.into_iter().flat_map(|(key, entry)| {
            let local = entry
                .local
                .get_or_init(|| LocalVersions::of(&entry.definition, length));
            [key.as_str(), &local.definition]
        });
        (project.to_owned(), hash(parts, length))
    };
    projects.into_iter().map(version).collect()
}

/// SHA-256 of the parts, one after the other without separators.
fn hash(parts: impl IntoIterator<Item = impl AsRef<[u8]>>, length: usize) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    finish(hasher, length)
}

fn finish(hasher: Sha256, length: usize) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digest = hasher.finalize();
    let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .take(length)
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}
