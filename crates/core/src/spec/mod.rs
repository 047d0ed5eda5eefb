//! What a feature is: its key, ID columns, upstream features and fields (`semantics.md` §2).

pub(crate) mod check;
mod dep;
mod field;
mod lineage;
mod mapping;
#[doc(hidden)]
pub mod read;

use indexmap::IndexMap;

use crate::error::Result;
use crate::json::Json;
use crate::key::{FeatureKey, FieldKey};

pub use dep::FeatureDep;
pub use field::{
    ALL_FIELDS, DEFAULT_FIELD, FieldDep, FieldDeps, FieldSelection, FieldSpec, INITIAL_CODE_VERSION,
};
pub use lineage::Lineage;
pub use mapping::FieldsMapping;

use read::{Reader, key_text};

/// The definition of a feature, apart from the project and the schema of its columns.
///
/// ```
/// use metaxy_core::spec::{FeatureDep, FeatureSpec, FieldSpec, Lineage};
///
/// let crop = FeatureSpec::new("video/crop", ["video_id"])?
///     .with_dep(FeatureDep::new("video/raw")?.with_rename("path", "raw_path"))
///     .with_dep(FeatureDep::new("audio/chunk")?.with_lineage(Lineage::aggregation(["video_id"])))
///     .with_field(FieldSpec::new("frames")?.with_code_version("2"))
///     .with_field(FieldSpec::new("audio")?)
///     .with_description("Faces cut out of the raw video.");
/// crop.validate()?;
/// assert_eq!(FeatureSpec::from_json(&crop.to_json().to_compact())?, crop);
/// # Ok::<(), metaxy_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct FeatureSpec {
    key: FeatureKey,
    id_columns: Vec<String>,
    deps: Vec<FeatureDep>,
    fields: Vec<FieldSpec>,
    /// Whether `fields` is what the user named, or the one field that a feature has otherwise.
    fields_named: bool,
    metadata: IndexMap<String, Json>,
    description: Option<String>,
}

impl FeatureSpec {
    /// A root feature with the one field `default`, for the other parts to be added.
    ///
    /// # Errors
    /// [`InvalidDefinition`](crate::ErrorKind::InvalidDefinition) when the key is malformed, or the ID columns are none, empty,
    /// repeated or named like system columns.
    pub fn new<C: Into<String>>(
        key: impl AsRef<str>,
        id_columns: impl IntoIterator<Item = C>,
    ) -> Result<Self> {
        let key = FeatureKey::new(key)?;
        let id_columns: Vec<String> = id_columns.into_iter().map(Into::into).collect();
        check::id_columns(&key, &id_columns)?;
        Self::unchecked(key, id_columns)
    }

    /// Adds an upstream feature.
    #[must_use]
    pub fn with_dep(mut self, dep: FeatureDep) -> Self {
        self.deps.push(dep);
        self
    }

    /// Adds upstream features.
    #[must_use]
    pub fn with_deps(mut self, deps: impl IntoIterator<Item = FeatureDep>) -> Self {
        self.deps.extend(deps);
        self
    }

    /// Adds a field. The first one takes the place of `default`.
    #[must_use]
    pub fn with_field(self, field: FieldSpec) -> Self {
        self.with_fields([field])
    }

    /// Adds fields. The first ones take the place of `default`.
    #[must_use]
    pub fn with_fields(mut self, fields: impl IntoIterator<Item = FieldSpec>) -> Self {
        if !self.fields_named {
            self.fields.clear();
            self.fields_named = true;
        }
        self.fields.extend(fields);
        self
    }

    /// Attaches a value under `name`. It is part of the spec version, not of the feature version.
    #[must_use]
    pub fn with_metadata(mut self, name: impl Into<String>, value: impl Into<Json>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }

    /// Says what the feature is, for people. It is part of the spec version, not of the feature version.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// The feature's key.
    #[must_use]
    pub fn key(&self) -> &FeatureKey {
        &self.key
    }

    /// The columns that identify a sample.
    #[must_use]
    pub fn id_columns(&self) -> &[String] {
        &self.id_columns
    }

    /// The upstream features, in the order in which they were named.
    #[must_use]
    pub fn deps(&self) -> &[FeatureDep] {
        &self.deps
    }

    /// The dependency on `feature`, if there is one.
    #[must_use]
    pub fn dep(&self, feature: &str) -> Option<&FeatureDep> {
        self.deps.iter().find(|dep| dep.feature.as_str() == feature)
    }

    /// The fields, in the order in which they were named.
    #[must_use]
    pub fn fields(&self) -> &[FieldSpec] {
        &self.fields
    }

    /// The field `key`, if there is one.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&FieldSpec> {
        self.fields.iter().find(|field| field.key.as_str() == key)
    }

    /// Whatever the user attached.
    #[must_use]
    pub fn metadata(&self) -> &IndexMap<String, Json> {
        &self.metadata
    }

    /// What the feature is, for people.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Whether the feature has no upstream, so that its samples come from the user.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.deps.is_empty()
    }

    /// Checks what can be said of this spec alone (`semantics.md` §1, §2, §10). What concerns its upstreams is checked by
    /// the [graph](crate::graph::FeatureGraph), and so is the text of filters.
    ///
    /// # Errors
    /// [`InvalidDefinition`](crate::ErrorKind::InvalidDefinition) that names the feature and what is wrong with it.
    pub fn validate(&self) -> Result<()> {
        check::spec(self)
    }

    /// Reads the form that [`to_json`](Self::to_json) writes, which is the reference's, and validates it. Optional members may
    /// be absent; `filters` and `sql_filters` are the same.
    ///
    /// # Errors
    /// [`InvalidDefinition`](crate::ErrorKind::InvalidDefinition) that names the feature and the member, or
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) when the text is not JSON.
    pub fn from_json(text: &str) -> Result<Self> {
        Self::from_value(&Json::parse(text)?)
    }

    /// As [`from_json`](Self::from_json), of a value.
    ///
    /// # Errors
    /// Those of `from_json`.
    pub fn from_value(value: &Json) -> Result<Self> {
        let spec = Self::from_recorded(value)?;
        spec.validate()?;
        Ok(spec)
    }

    /// Reads a spec that some program recorded earlier: the form must be right, but it may break a rule that the
    /// reference did not have, such as a spec without fields. See [`FeatureGraph::recorded`](crate::graph::FeatureGraph::recorded).
    ///
    /// # Errors
    /// [`InvalidDefinition`](crate::ErrorKind::InvalidDefinition) that names the feature and the member.
    pub fn from_recorded(value: &Json) -> Result<Self> {
        const KNOWN: &[&str] = &[
            "key",
            "id_columns",
            "deps",
            "fields",
            "metadata",
            "description",
        ];
        let anonymous = Reader::new(value, "feature spec", KNOWN)?;
        let key = FeatureKey::new(key_text(
            anonymous.required("key")?,
            "key of a feature spec",
        )?)?;
        let reader = anonymous.named(format!("feature `{key}`"));
        let mut spec = Self::unchecked(key, reader.strings("id_columns")?.unwrap_or_default())?;
        for dep in reader.list("deps")?.unwrap_or_default() {
            spec.deps.push(FeatureDep::read(dep, reader.place())?);
        }
        if let Some(fields) = reader.list("fields")? {
            let fields = fields
                .iter()
                .map(|field| FieldSpec::read(field, reader.place()));
            spec = spec.with_fields(fields.collect::<Result<Vec<_>>>()?);
        }
        spec.metadata = reader.object("metadata")?.cloned().unwrap_or_default();
        spec.description = reader.text("description")?.map(str::to_owned);
        Ok(spec)
    }

    /// The reference's JSON form, every member present, in its order.
    #[must_use]
    pub fn to_json(&self) -> Json {
        Json::object([
            ("key", self.key.as_str().into()),
            ("id_columns", self.id_columns.clone().into()),
            ("deps", self.deps.iter().map(FeatureDep::to_json).collect()),
            (
                "fields",
                self.fields.iter().map(FieldSpec::to_json).collect(),
            ),
            ("metadata", Json::Object(self.metadata.clone())),
            ("description", self.description.clone().into()),
        ])
    }

    fn unchecked(key: FeatureKey, id_columns: Vec<String>) -> Result<Self> {
        Ok(Self {
            key,
            id_columns,
            deps: Vec::new(),
            fields: vec![FieldSpec::new(DEFAULT_FIELD)?],
            fields_named: false,
            metadata: IndexMap::new(),
            description: None,
        })
    }
}

/// Equal when every part of the definition is, whether the field `default` was named or not.
impl PartialEq for FeatureSpec {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
            && self.id_columns == other.id_columns
            && self.deps == other.deps
            && self.fields == other.fields
            && self.metadata == other.metadata
            && self.description == other.description
    }
}

fn field_keys(keys: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Vec<FieldKey>> {
    keys.into_iter().map(FieldKey::new).collect()
}
