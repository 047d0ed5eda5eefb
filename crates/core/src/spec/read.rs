//! Reading objects of known members, with errors that say where.

use indexmap::IndexMap;

use crate::error::{Error, ErrorKind, Result, nearest};
use crate::json::Json;

/// A JSON object being read, and what it is, for messages.
pub struct Reader<'a> {
    place: String,
    members: &'a IndexMap<String, Json>,
}

impl<'a> Reader<'a> {
    /// An object all of whose members are among `known`.
    pub fn new(value: &'a Json, place: impl Into<String>, known: &[&str]) -> Result<Self> {
        let reader = Self::any(value, place)?;
        match reader
            .members
            .keys()
            .find(|key| !known.contains(&key.as_str()))
        {
            None => Ok(reader),
            Some(unknown) => {
                let hint = match nearest(unknown, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known keys: {}", known.join(", ")),
                };
                Err(invalid(format!("{}: unknown key `{unknown}`", reader.place)).with_hint(hint))
            }
        }
    }

    /// An object of any members.
    pub fn any(value: &'a Json, place: impl Into<String>) -> Result<Self> {
        let place = place.into();
        match value.as_object() {
            Some(members) => Ok(Self { place, members }),
            None => Err(invalid(format!(
                "{place}: expected a table of keys and values, found {}",
                value.kind()
            ))),
        }
    }

    /// The same object under a better name.
    pub fn named(self, place: String) -> Self {
        Self { place, ..self }
    }

    pub fn place(&self) -> &str {
        &self.place
    }

    pub fn members(&self) -> impl Iterator<Item = (&'a str, &'a Json)> {
        self.members
            .iter()
            .map(|(key, value)| (key.as_str(), value))
    }

    /// The member, if it is there, null or not.
    pub fn get(&self, key: &str) -> Option<&'a Json> {
        self.members.get(key)
    }

    pub fn required(&self, key: &str) -> Result<&'a Json> {
        self.get(key).ok_or_else(|| {
            invalid(format!("{}: `{key}` is missing", self.place)).with_hint(format!("add `{key}`"))
        })
    }

    /// A list; null and absent are `None`, here and below.
    pub fn list(&self, key: &str) -> Result<Option<&'a [Json]>> {
        self.typed(key, "a list", Json::as_array)
    }

    pub fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.typed(key, "a string", Json::as_str)
    }

    pub fn object(&self, key: &str) -> Result<Option<&'a IndexMap<String, Json>>> {
        self.typed(key, "a table", Json::as_object)
    }

    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.typed(key, "true or false", |value| match value {
            Json::Bool(b) => Some(*b),
            _ => None,
        })
    }

    pub fn strings(&self, key: &str) -> Result<Option<Vec<String>>> {
        self.typed(key, "a list of strings", |value| {
            let items = value.as_array()?.iter();
            items.map(|item| item.as_str().map(str::to_owned)).collect()
        })
    }

    /// The texts of keys, each written as text or as a list of parts.
    pub fn keys(&self, key: &str) -> Result<Option<Vec<String>>> {
        let items = self.list(key)?;
        items
            .map(|items| {
                items
                    .iter()
                    .map(|item| key_text(item, &self.place))
                    .collect()
            })
            .transpose()
    }

    pub fn text_map(&self, key: &str) -> Result<Option<IndexMap<String, String>>> {
        self.typed(key, "a table of strings", |value| {
            let members = value.as_object()?.iter();
            members
                .map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())))
                .collect()
        })
    }

    pub fn wrong(&self, key: &str, expected: &str, found: &Json) -> Error {
        let found = match found {
            Json::Array(_) if expected.starts_with("a list") => "a list of other things",
            Json::Object(_) if expected.starts_with("a table") => "a table of other things",
            _ => found.kind(),
        };
        invalid(format!(
            "{}: `{key}` must be {expected}, found {found}",
            self.place
        ))
    }

    fn typed<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'a Json) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.get(key) {
            None | Some(Json::Null) => Ok(None),
            Some(value) => read(value)
                .map(Some)
                .ok_or_else(|| self.wrong(key, expected, value)),
        }
    }
}

/// The text of a key that is written as text or as a list of parts.
pub fn key_text(value: &Json, place: &str) -> Result<String> {
    let parts = |items: &[Json]| -> Option<String> {
        let parts: Option<Vec<&str>> = items
            .iter()
            .map(|part| part.as_str().filter(|p| !p.contains('/')))
            .collect();
        parts.map(|parts| parts.join("/"))
    };
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Array(items) => parts(items),
        _ => None,
    }
    .ok_or_else(|| {
        invalid(format!(
            "{place}: expected a key such as \"a/b\", found {}",
            value.kind()
        ))
    })
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidDefinition, message)
}
