//! A feature's spec with what surrounds it: project, schema, and whether it is ours.

use indexmap::IndexMap;

use crate::error::{Error, ErrorKind, Result};
use crate::json::Json;
use crate::key::{FeatureKey, FieldKey};
use crate::spec::FeatureSpec;

/// A feature as a graph holds it.
///
/// ```
/// use metaxy_core::definition::FeatureDefinition;
/// use metaxy_core::spec::FeatureSpec;
/// let raw = FeatureDefinition::new(FeatureSpec::new("video/raw", ["video_id"])?, "demo");
/// assert_eq!(raw.feature_class_path, "demo.video.raw");
/// # Ok::<(), metaxy_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FeatureDefinition {
    /// The spec.
    pub spec: FeatureSpec,
    /// The project that the feature belongs to. Not empty.
    pub project: String,
    /// The JSON schema of the feature's columns, an object. `{}` where none is known.
    pub feature_schema: Json,
    /// Where the definition lives in code, as a dotted path. Empty for external features.
    pub feature_class_path: String,
    /// Set when another project defines the feature and this is a placeholder.
    pub external: Option<External>,
}

/// What a placeholder for another project's feature says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct External {
    /// Versions of fields that stand for the computed ones, so that the feature's own upstreams need not be known.
    pub provenance_by_field: Option<IndexMap<FieldKey, String>>,
    /// What to do when the definition that takes the placeholder's place has another version.
    pub on_version_mismatch: OnVersionMismatch,
}

/// What to do when a definition has another version than its placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnVersionMismatch {
    /// Log a warning.
    #[default]
    Warn,
    /// Fail.
    Error,
}

impl FeatureDefinition {
    /// A feature of `project`, with an empty schema and a class path made of project and key.
    pub fn new(spec: FeatureSpec, project: impl Into<String>) -> Self {
        let project = project.into();
        let feature_class_path = format!("{project}.{}", spec.key().as_str().replace('/', "."));
        Self {
            spec,
            project,
            feature_schema: Json::Object(IndexMap::new()),
            feature_class_path,
            external: None,
        }
    }

    /// A placeholder for a feature that `project` defines elsewhere.
    pub fn external(spec: FeatureSpec, project: impl Into<String>, external: External) -> Self {
        Self {
            external: Some(external),
            feature_class_path: String::new(),
            ..Self::new(spec, project)
        }
    }

    /// Sets the JSON schema of the feature's columns. It is part of the definition version.
    #[must_use]
    pub fn with_schema(mut self, schema: Json) -> Self {
        self.feature_schema = schema;
        self
    }

    /// Sets where the definition lives in code.
    #[must_use]
    pub fn with_class_path(mut self, path: impl Into<String>) -> Self {
        self.feature_class_path = path.into();
        self
    }

    /// The feature's key.
    #[must_use]
    pub fn key(&self) -> &FeatureKey {
        self.spec.key()
    }

    /// Whether this is a placeholder for another project's feature.
    #[must_use]
    pub fn is_external(&self) -> bool {
        self.external.is_some()
    }

    /// The version that a placeholder states for `field`, if it does.
    #[must_use]
    pub fn stated_version(&self, field: &FieldKey) -> Option<&str> {
        let stated = self.external.as_ref()?.provenance_by_field.as_ref()?;
        stated.get(field).map(String::as_str)
    }

    /// Checks what can be said of this definition alone.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidDefinition`] that names the feature.
    pub fn validate(&self) -> Result<()> {
        let refuse = |why: &str, hint: &str| {
            Err(Error::new(
                ErrorKind::InvalidDefinition,
                format!("feature `{}`: {why}", self.key()),
            )
            .with_hint(hint))
        };
        if self.project.is_empty() {
            return refuse(
                "its project has no name",
                "name the project that the feature belongs to",
            );
        }
        if self.feature_schema.as_object().is_none() {
            return refuse(
                "its schema is not a JSON object",
                "give a JSON schema, or leave it out",
            );
        }
        self.spec.validate()?;
        match self.external {
            Some(_) => Ok(()),
            None => crate::spec::check::roots_depend_on_nothing(&self.spec),
        }
    }
}

impl External {
    /// States the version of a field, in place of the computed one.
    #[must_use]
    pub fn with_provenance(mut self, field: FieldKey, version: impl Into<String>) -> Self {
        self.provenance_by_field
            .get_or_insert_default()
            .insert(field, version.into());
        self
    }

    /// Sets what to do when the real definition has another version.
    #[must_use]
    pub fn with_on_version_mismatch(mut self, action: OnVersionMismatch) -> Self {
        self.on_version_mismatch = action;
        self
    }
}
