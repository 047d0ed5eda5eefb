//! A feature's dependency on another.

use indexmap::IndexMap;

use crate::error::{Error, ErrorKind, Result};
use crate::json::Json;
use crate::key::FeatureKey;
use crate::spec::read::{Reader, key_text};
use crate::spec::{FieldsMapping, Lineage};

/// An upstream feature and how its rows enter the feature that depends on it (`semantics.md` §2).
///
/// ```
/// use metaxy_core::spec::{FeatureDep, FieldsMapping, Lineage};
/// let dep = FeatureDep::new("audio/raw")?
///     .with_rename("path", "audio_path")
///     .with_select(["audio_path"])
///     .with_filter("size > 3")
///     .with_fields_mapping(FieldsMapping::All)
///     .with_lineage(Lineage::aggregation(["video_id"]))
///     .optional();
/// # Ok::<(), metaxy_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeatureDep {
    /// The upstream feature.
    pub feature: FeatureKey,
    /// The columns to keep, by their names after renaming, besides those that are always needed. `None`: all columns.
    pub select: Option<Vec<String>>,
    /// New names of columns, by their old ones. Applied before everything else.
    pub rename: Option<IndexMap<String, String>>,
    /// Which upstream fields a field depends on that names none itself.
    pub fields_mapping: FieldsMapping,
    /// SQL conditions that upstream rows must meet, in terms of the new names.
    pub filters: Option<Vec<String>>,
    /// How upstream rows map to rows of the feature.
    pub lineage: Lineage,
    /// Whether a sample can exist without a row of this upstream.
    pub optional: bool,
}

impl FeatureDep {
    /// A required dependency: all columns, all rows, one row each.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidDefinition`] when the key is malformed.
    pub fn new(feature: impl AsRef<str>) -> Result<Self> {
        Ok(Self::of(FeatureKey::new(feature)?))
    }

    /// Keeps only these columns, besides those that are always needed. Names are those after renaming.
    #[must_use]
    pub fn with_select<C: Into<String>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.select = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Gives the column `old` the name `new`.
    #[must_use]
    pub fn with_rename(mut self, old: impl Into<String>, new: impl Into<String>) -> Self {
        self.rename
            .get_or_insert_default()
            .insert(old.into(), new.into());
        self
    }

    /// Sets which upstream fields a field depends on that names none itself.
    #[must_use]
    pub fn with_fields_mapping(mut self, mapping: FieldsMapping) -> Self {
        self.fields_mapping = mapping;
        self
    }

    /// Adds a SQL condition that upstream rows must meet, in terms of the new names.
    #[must_use]
    pub fn with_filter(mut self, sql: impl Into<String>) -> Self {
        self.filters.get_or_insert_default().push(sql.into());
        self
    }

    /// Sets how upstream rows map to rows of the feature.
    #[must_use]
    pub fn with_lineage(mut self, lineage: Lineage) -> Self {
        self.lineage = lineage;
        self
    }

    /// Lets samples exist without a row of this upstream.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// What the upstream's column `name` is called in the feature.
    #[must_use]
    pub fn renamed<'a>(&'a self, name: &'a str) -> &'a str {
        self.rename
            .as_ref()
            .and_then(|r| r.get(name))
            .map_or(name, String::as_str)
    }

    pub(crate) fn of(feature: FeatureKey) -> Self {
        Self {
            feature,
            select: None,
            rename: None,
            fields_mapping: FieldsMapping::default(),
            filters: None,
            lineage: Lineage::Identity,
            optional: false,
        }
    }

    pub(super) fn read(value: &Json, feature: &str) -> Result<Self> {
        let of = |key: &Json| {
            Self::new(key_text(key, &format!("{feature}, deps"))?)
                .map_err(|e| e.with_context("in", feature))
        };
        if value.as_object().is_none() {
            return of(value);
        }
        const KNOWN: &[&str] = &[
            "feature",
            "select",
            "rename",
            "fields_mapping",
            "sql_filters",
            "filters",
            "lineage",
            "optional",
        ];
        let reader = Reader::new(value, format!("{feature}, deps"), KNOWN)?;
        let mut dep = of(reader.required("feature")?)?;
        let reader = reader.named(format!("{feature}, dep `{}`", dep.feature));
        dep.select = reader.strings("select")?;
        dep.rename = reader.text_map("rename")?;
        if let Some(mapping) = reader.get("fields_mapping") {
            dep.fields_mapping = FieldsMapping::read(mapping, reader.place())?;
        }
        if reader.get("filters").is_some() && reader.get("sql_filters").is_some() {
            return Err(Error::new(
                ErrorKind::InvalidDefinition,
                format!(
                    "{}: `filters` and `sql_filters` are both given",
                    reader.place()
                ),
            )
            .with_hint("they are one thing under two names; keep one"));
        }
        dep.filters = reader
            .strings("filters")?
            .or(reader.strings("sql_filters")?);
        if let Some(lineage) = reader.get("lineage") {
            dep.lineage = Lineage::read(lineage, reader.place())?;
        }
        dep.optional = reader.flag("optional")?.unwrap_or(false);
        Ok(dep)
    }

    pub(super) fn to_json(&self) -> Json {
        let rename = self
            .rename
            .as_ref()
            .map(|names| Json::object(names.iter().map(|(old, new)| (old, new.as_str().into()))));
        Json::object([
            ("feature", self.feature.as_str().into()),
            ("select", self.select.clone().into()),
            ("rename", rename.into()),
            ("fields_mapping", self.fields_mapping.to_json()),
            ("sql_filters", self.filters.clone().into()),
            ("lineage", self.lineage.to_json()),
            ("optional", self.optional.into()),
        ])
    }
}
