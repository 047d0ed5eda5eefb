//! Which upstream fields a field depends on when it names none itself.

use indexmap::IndexMap;

use crate::error::{Error, ErrorKind, Result};
use crate::json::Json;
use crate::key::FieldKey;
use crate::spec::field_keys;
use crate::spec::read::{Reader, key_text};

/// Which fields of one upstream a field depends on when it names none itself (`semantics.md` §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldsMapping {
    /// Fields of the same key; if there are none, all fields.
    Default {
        /// Whether upstream keys that end with the parts of the field's key match too.
        match_suffix: bool,
        /// Upstream fields that never match.
        exclude_fields: Vec<FieldKey>,
    },
    /// Those listed under the field's key, as far as the upstream has them.
    Specific(IndexMap<FieldKey, Vec<FieldKey>>),
    /// Every field.
    All,
    /// No field.
    None,
}

impl FieldsMapping {
    /// Fields of the same key or of a key that ends with its parts; if there are none, all fields.
    #[must_use]
    pub fn suffix() -> Self {
        Self::Default {
            match_suffix: true,
            exclude_fields: Vec::new(),
        }
    }

    /// As the default, but never the fields `exclude`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidDefinition`] when a key is malformed.
    pub fn excluding<F: AsRef<str>>(exclude: impl IntoIterator<Item = F>) -> Result<Self> {
        Ok(Self::Default {
            match_suffix: false,
            exclude_fields: field_keys(exclude)?,
        })
    }

    /// The upstream fields of each field.
    ///
    /// ```
    /// use metaxy_core::spec::FieldsMapping;
    /// let mapping = FieldsMapping::specific([("frames", ["video"]), ("audio", ["sound"])])?;
    /// # Ok::<(), metaxy_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidDefinition`] when a key is malformed.
    pub fn specific<K: AsRef<str>, F: AsRef<str>, U: IntoIterator<Item = F>>(
        mapping: impl IntoIterator<Item = (K, U)>,
    ) -> Result<Self> {
        let entries = mapping
            .into_iter()
            .map(|(field, upstream)| Ok((FieldKey::new(field)?, field_keys(upstream)?)));
        Ok(Self::Specific(entries.collect::<Result<_>>()?))
    }

    pub(super) fn read(value: &Json, dep: &str) -> Result<Self> {
        let place = format!("{dep}, fields_mapping");
        let outer = Reader::new(value, place.as_str(), &["mapping"])?;
        let inner = outer.required("mapping")?;
        let known: &[&str] = match inner.get("type").and_then(Json::as_str) {
            Some("default") => &["type", "match_suffix", "exclude_fields"],
            Some("specific") => &["type", "mapping"],
            _ => &["type"],
        };
        let reader = Reader::new(inner, place.as_str(), known)?;
        let located = |e: Error| e.with_context("in", &place);
        match reader.text("type")? {
            Some("default") => Ok(Self::Default {
                match_suffix: reader.flag("match_suffix")?.unwrap_or(false),
                exclude_fields: field_keys(reader.keys("exclude_fields")?.unwrap_or_default())
                    .map_err(located)?,
            }),
            Some("specific") => {
                let mapping =
                    Reader::any(reader.required("mapping")?, format!("{place}, mapping"))?;
                let entries = mapping.members().map(|(field, upstream)| {
                    let upstream = match upstream.as_array() {
                        Some(keys) => keys
                            .iter()
                            .map(|key| key_text(key, mapping.place()))
                            .collect::<Result<Vec<_>>>()?,
                        None => return Err(mapping.wrong(field, "a list of field keys", upstream)),
                    };
                    Ok((field, upstream))
                });
                Self::specific(entries.collect::<Result<Vec<_>>>()?).map_err(located)
            }
            Some("all") => Ok(Self::All),
            Some("none") => Ok(Self::None),
            other => Err(Error::new(
                ErrorKind::InvalidDefinition,
                format!("{place}: the type is {:?}", other.unwrap_or_default()),
            )
            .with_hint("it is \"default\", \"specific\", \"all\" or \"none\"")),
        }
    }

    pub(super) fn to_json(&self) -> Json {
        let mapping = match self {
            Self::Default {
                match_suffix,
                exclude_fields,
            } => Json::object([
                ("type", "default".into()),
                ("match_suffix", (*match_suffix).into()),
                (
                    "exclude_fields",
                    exclude_fields.iter().map(FieldKey::as_str).collect(),
                ),
            ]),
            Self::Specific(mapping) => Json::object([
                ("type", Json::from("specific")),
                (
                    "mapping",
                    Json::object(
                        mapping
                            .iter()
                            .map(|(field, upstream)| (field.as_str(), parts_of_set(upstream))),
                    ),
                ),
            ]),
            Self::All => Json::object([("type", Json::from("all"))]),
            Self::None => Json::object([("type", Json::from("none"))]),
        };
        Json::object([("mapping", mapping)])
    }
}

impl Default for FieldsMapping {
    fn default() -> Self {
        Self::Default {
            match_suffix: false,
            exclude_fields: Vec::new(),
        }
    }
}

/// The reference keeps a set here and writes its keys as lists of parts, ordered by them.
fn parts_of_set(keys: &[FieldKey]) -> Json {
    let mut keys: Vec<Vec<&str>> = keys.iter().map(|key| key.parts().collect()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter().collect()
}
