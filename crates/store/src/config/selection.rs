//! A selection of features of a store.

use toml::Value;

use super::value::{self, as_written, kind};
use crate::error::{Result, nearest};
use crate::key::FeatureKey;

use super::Origin;

/// What a selection is made of.
pub(super) const MEMBERS: [&str; 3] = ["projects", "keys", "all"];

/// Selects features of a store: those of some projects plus some named ones, or all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeatureSelection {
    /// Every feature of these projects.
    pub projects: Vec<String>,
    /// These features.
    pub keys: Vec<FeatureKey>,
    /// Every feature of the store.
    pub all: bool,
}

impl FeatureSelection {
    /// Every feature of the store.
    #[must_use]
    pub fn all() -> Self {
        Self {
            all: true,
            ..Self::default()
        }
    }

    /// Adds every feature of these projects.
    #[must_use]
    pub fn with_projects<S: Into<String>>(mut self, projects: impl IntoIterator<Item = S>) -> Self {
        self.projects.extend(projects.into_iter().map(Into::into));
        self
    }

    /// Adds these features.
    #[must_use]
    pub fn with_keys(mut self, keys: impl IntoIterator<Item = FeatureKey>) -> Self {
        self.keys.extend(keys);
        self
    }

    /// What either selects.
    #[must_use]
    pub fn union(mut self, other: Self) -> Self {
        self.all |= other.all;
        for project in other.projects {
            if !self.projects.contains(&project) {
                self.projects.push(project);
            }
        }
        for key in other.keys {
            if !self.keys.contains(&key) {
                self.keys.push(key);
            }
        }
        self
    }

    /// Whether it selects nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.all && self.projects.is_empty() && self.keys.is_empty()
    }

    /// Reads one entry of `extra_features`.
    pub(super) fn parse(value: Value, path: &str, origin: &Origin) -> Result<Self> {
        let table = value::table(value).map_err(|found| {
            origin
                .invalid(
                    path,
                    format_args!("must be a table, found {}", kind(&found)),
                )
                .with_hint("write it as in: extra_features = [{ projects = [\"…\"] }]")
        })?;
        let mut selection = Self::default();
        for (member, value) in table {
            let path = format!("{path}.{member}");
            let expected = |what: &str, found: &Value| {
                origin
                    .invalid(&path, format_args!("must be {what}, found {}", kind(found)))
                    .with_hint(as_written(&member, what))
            };
            match member.as_str() {
                "projects" => {
                    selection.projects =
                        value::strings(value).map_err(|v| expected("a list of strings", &v))?;
                }
                "keys" => {
                    let keys = value::array(value).map_err(|v| expected("a list of keys", &v))?;
                    for key in keys {
                        selection.keys.push(parse_key(key, &path, origin)?);
                    }
                }
                "all" => {
                    selection.all =
                        value::boolean(&value).ok_or_else(|| expected("a boolean", &value))?;
                }
                _ => {
                    let error = origin.invalid(&path, "is not known");
                    return Err(match nearest(&member, MEMBERS) {
                        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                        None => error.with_hint("a selection has `projects`, `keys` and `all`"),
                    });
                }
            }
        }
        if selection.is_empty() {
            return Err(origin
                .invalid(path, "selects nothing")
                .with_hint("give `projects`, `keys` or `all = true`"));
        }
        Ok(selection)
    }
}

/// A key as text, or as the list of its parts.
fn parse_key(value: Value, path: &str, origin: &Origin) -> Result<FeatureKey> {
    let text = match value {
        Value::String(text) => text,
        parts => match value::strings(parts) {
            Ok(parts) => parts.join("/"),
            Err(found) => {
                return Err(origin
                    .invalid(
                        path,
                        format_args!("must hold feature keys, found {}", kind(&found)),
                    )
                    .with_hint("write keys as in: keys = [\"video/raw\"]"));
            }
        },
    };
    FeatureKey::new(&text).map_err(|error| {
        origin
            .invalid(
                path,
                format_args!("holds {text:?}, which is not a feature key"),
            )
            .with_source(error)
    })
}
