//! Fields of a feature and what they depend on.

use crate::error::{Error, ErrorKind, Result};
use crate::json::Json;
use crate::key::{FeatureKey, FieldKey};
use crate::spec::field_keys;
use crate::spec::read::{Reader, key_text};

/// The code version of a field that names none.
pub const INITIAL_CODE_VERSION: &str = "__metaxy_initial__";

/// The key of the one field that a feature has that names none.
pub const DEFAULT_FIELD: &str = "default";

/// How the JSON form says "every field".
pub const ALL_FIELDS: &str = "__METAXY_ALL_DEP__";

/// A field of a feature: a part of its data that has a version of its own.
///
/// ```
/// use metaxy_core::spec::{FieldDep, FieldSpec};
/// let audio = FieldSpec::new("audio")?
///     .with_code_version("2")
///     .with_dep(FieldDep::new("video/raw", ["audio"])?);
/// # Ok::<(), metaxy_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldSpec {
    /// The field's key.
    pub key: FieldKey,
    /// Any text; another text gives the field, and what depends on it, another version.
    pub code_version: String,
    /// The upstream fields it depends on.
    pub deps: FieldDeps,
}

/// Which upstream fields a field depends on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum FieldDeps {
    /// Those that the [mappings](crate::spec::FieldsMapping) of the feature's dependencies give.
    #[default]
    None,
    /// Every field of every upstream.
    All,
    /// These, and no others.
    List(Vec<FieldDep>),
}

/// Fields of one upstream feature that a field depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldDep {
    /// An upstream feature, which must be a dependency of the feature.
    pub feature: FeatureKey,
    /// Which of its fields.
    pub fields: FieldSelection,
}

/// Some fields of a feature, or all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum FieldSelection {
    /// Every field.
    #[default]
    All,
    /// These fields.
    Only(Vec<FieldKey>),
}

impl FieldSpec {
    /// A field with the initial code version, whose dependencies the mappings decide.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidDefinition`] when the key is malformed.
    pub fn new(key: impl AsRef<str>) -> Result<Self> {
        Ok(Self {
            key: FieldKey::new(key)?,
            code_version: INITIAL_CODE_VERSION.to_owned(),
            deps: FieldDeps::None,
        })
    }

    /// Sets the code version.
    #[must_use]
    pub fn with_code_version(mut self, code_version: impl Into<String>) -> Self {
        self.code_version = code_version.into();
        self
    }

    /// Sets what the field depends on.
    #[must_use]
    pub fn with_deps(mut self, deps: FieldDeps) -> Self {
        self.deps = deps;
        self
    }

    /// Adds upstream fields; from then on the mappings no longer count for this field.
    #[must_use]
    pub fn with_dep(mut self, dep: FieldDep) -> Self {
        match &mut self.deps {
            FieldDeps::List(deps) => deps.push(dep),
            deps => *deps = FieldDeps::List(vec![dep]),
        }
        self
    }

    pub(super) fn read(value: &Json, feature: &str) -> Result<Self> {
        if value.as_str().is_some() {
            return Self::new(key_text(value, feature)?).map_err(|e| e.with_context("in", feature));
        }
        let reader = Reader::new(
            value,
            format!("{feature}, field"),
            &["key", "code_version", "deps"],
        )?;
        let key = reader
            .get("key")
            .map(|key| key_text(key, reader.place()))
            .transpose()?;
        let mut field = Self::new(key.as_deref().unwrap_or(DEFAULT_FIELD))
            .map_err(|e| e.with_context("in", feature))?;
        let reader = reader.named(format!("{feature}, field `{}`", field.key));
        if let Some(code_version) = reader.text("code_version")? {
            field.code_version = code_version.to_owned();
        }
        field.deps = match reader.get("deps") {
            Some(Json::String(word)) if word == ALL_FIELDS => FieldDeps::All,
            _ => match reader.list("deps")?.unwrap_or_default() {
                [] => FieldDeps::None,
                deps => FieldDeps::List(
                    deps.iter()
                        .map(|dep| FieldDep::read(dep, reader.place()))
                        .collect::<Result<_>>()?,
                ),
            },
        };
        Ok(field)
    }

    pub(super) fn to_json(&self) -> Json {
        let deps = match &self.deps {
            FieldDeps::None => Json::Array(Vec::new()),
            FieldDeps::All => ALL_FIELDS.into(),
            FieldDeps::List(deps) => deps.iter().map(FieldDep::to_json).collect(),
        };
        Json::object([
            ("key", self.key.as_str().into()),
            ("code_version", self.code_version.clone().into()),
            ("deps", deps),
        ])
    }
}

impl FieldDep {
    /// These fields of `feature`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidDefinition`] when a key is malformed.
    pub fn new<F: AsRef<str>>(
        feature: impl AsRef<str>,
        fields: impl IntoIterator<Item = F>,
    ) -> Result<Self> {
        Ok(Self {
            feature: FeatureKey::new(feature)?,
            fields: FieldSelection::Only(field_keys(fields)?),
        })
    }

    /// Every field of `feature`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidDefinition`] when the key is malformed.
    pub fn all(feature: impl AsRef<str>) -> Result<Self> {
        Ok(Self {
            feature: FeatureKey::new(feature)?,
            fields: FieldSelection::All,
        })
    }

    fn read(value: &Json, field: &str) -> Result<Self> {
        let reader = Reader::new(value, format!("{field}, deps"), &["feature", "fields"])?;
        let feature = key_text(reader.required("feature")?, reader.place())?;
        let dep = match reader.get("fields") {
            None => Self::all(feature),
            Some(Json::String(word)) if word == ALL_FIELDS => Self::all(feature),
            Some(Json::String(word)) => {
                return Err(Error::new(
                    ErrorKind::InvalidDefinition,
                    format!("{}: `fields` is {word:?}", reader.place()),
                )
                .with_hint(format!("give a list of field keys, or {ALL_FIELDS:?}")));
            }
            Some(_) => Self::new(feature, reader.keys("fields")?.unwrap_or_default()),
        };
        dep.map_err(|e| e.with_context("in", field))
    }

    fn to_json(&self) -> Json {
        let fields = match &self.fields {
            FieldSelection::All => ALL_FIELDS.into(),
            FieldSelection::Only(keys) => keys.iter().map(FieldKey::as_str).collect(),
        };
        Json::object([
            ("feature", self.feature.as_str().into()),
            ("fields", fields),
        ])
    }
}
