//! Keys of features and fields (`semantics.md` §1).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// The key of a feature, written `video/crop`: a non-empty list of parts.
///
/// The first part is `[a-z_][a-z0-9_-]*`, later ones are `[a-z0-9_][a-z0-9_-]*`; none contains `__`.
///
/// Keys order by their text; [`parts`](Self::parts) gives the order by parts that project versions use.
///
/// ```
/// use metaxy_core::FeatureKey;
/// let key: FeatureKey = "video/face-crop".parse()?;
/// assert_eq!(key.table_name(), "video__face_crop");
/// assert_eq!(key.column_suffix(), "__video_face-crop");
/// assert!("video//crop".parse::<FeatureKey>().is_err());
/// # Ok::<(), metaxy_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FeatureKey(Arc<str>);

/// The key of a field of a feature, such as `audio` or `faces/left`. The rules are those of [`FeatureKey`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FieldKey(Arc<str>);

impl FeatureKey {
    /// Parses `a/b/c`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidDefinition`] that names the part at fault.
    pub fn new(text: impl AsRef<str>) -> Result<Self> {
        check(text.as_ref(), "feature key")?;
        Ok(Self(text.as_ref().into()))
    }

    /// The key of the system table `name`, such as `metaxy-system/feature_versions`.
    #[must_use]
    pub fn system(name: &str) -> Self {
        Self(format!("metaxy-system/{name}").into())
    }

    /// The name of the feature's table: parts joined with `__`, `-` replaced by `_`.
    #[must_use]
    pub fn table_name(&self) -> String {
        self.0.replace('-', "_").replace('/', "__")
    }

    /// What is appended to a column that comes from this feature: `__` and the parts joined with `_`.
    #[must_use]
    pub fn column_suffix(&self) -> String {
        format!("__{}", self.0.replace('/', "_"))
    }
}

impl FieldKey {
    /// Parses `a/b/c`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidDefinition`] that names the part at fault.
    pub fn new(text: impl AsRef<str>) -> Result<Self> {
        check(text.as_ref(), "field key")?;
        Ok(Self(text.as_ref().into()))
    }

    /// The name of the field inside the `*_by_field` columns: parts joined with `_`, hyphens kept.
    #[must_use]
    pub fn struct_key(&self) -> String {
        self.0.replace('/', "_")
    }

    /// Whether the parts of this key end with all parts of `suffix`.
    #[must_use]
    pub fn ends_with(&self, suffix: &Self) -> bool {
        self.0
            .strip_suffix(suffix.as_str())
            .is_some_and(|head| head.is_empty() || head.ends_with('/'))
    }
}

fn check(text: &str, what: &str) -> Result<()> {
    let refuse = |why: String| {
        Err(
            Error::new(ErrorKind::InvalidDefinition, format!("{text:?} is not a {what}: {why}")).with_hint(
                "a key is parts joined with `/`; a part has lower-case letters, digits, `_` and `-`, and the first part starts with a letter or `_`",
            ),
        )
    };
    if text.is_empty() {
        return refuse("it is empty".into());
    }
    for (i, part) in text.split('/').enumerate() {
        let Some(first) = part.chars().next() else {
            return refuse("it has an empty part".into());
        };
        if !(first.is_ascii_lowercase() || first == '_' || (i > 0 && first.is_ascii_digit())) {
            return refuse(format!("part {part:?} starts with {first:?}"));
        }
        if let Some(bad) = part
            .chars()
            .find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_' || *c == '-'))
        {
            return refuse(format!("part {part:?} contains {bad:?}"));
        }
        if part.contains("__") {
            return refuse(format!("part {part:?} contains a double underscore"));
        }
    }
    Ok(())
}

macro_rules! key_impls {
    ($($key:ident),*) => {$(
        impl $key {
            /// The key as text, `a/b/c`.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The parts, in order.
            pub fn parts(&self) -> impl Iterator<Item = &str> {
                self.0.split('/')
            }
        }

        impl fmt::Display for $key {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $key {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl AsRef<str> for $key {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $key {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $key {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $key {
            type Error = Error;
            fn try_from(text: String) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $key {
            type Error = Error;
            fn try_from(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl From<$key> for String {
            fn from(key: $key) -> Self {
                key.0.to_string()
            }
        }
    )*};
}
key_impls!(FeatureKey, FieldKey);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_not_a_key() {
        for bad in [
            "", "/", "a/", "/a", "A", "1a", "a__b", "a\n", "a b", "-a", "a/-b", "é", "a/b__c",
            "a.b",
        ] {
            let error = FeatureKey::new(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidDefinition, "{bad:?}");
            assert!(FieldKey::new(bad).is_err(), "{bad:?}");
        }
        for good in [
            "a",
            "_",
            "a-b/0c",
            "_a/_b",
            "a_/-".strip_suffix("/-").unwrap(),
            "a/0",
        ] {
            assert!(FeatureKey::new(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn suffixes_match_whole_parts() {
        let key = FieldKey::new("raw/audio").unwrap();
        assert!(key.ends_with(&FieldKey::new("audio").unwrap()));
        assert!(key.ends_with(&key));
        assert!(
            !FieldKey::new("raw-audio")
                .unwrap()
                .ends_with(&FieldKey::new("audio").unwrap())
        );
    }
}
