//! A JSON value that keeps what Python keeps: integers of any size, floats apart from integers, the order of keys.
//!
//! Definition versions are hashes of JSON text as Python's `json.dumps` writes it (`semantics.md` §3), so both reading and
//! writing have to be exact.

use std::fmt;

use indexmap::IndexMap;
use serde::de::{MapAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::error::{Error, ErrorKind, Result};

/// How deeply arrays and objects may nest in text that is read.
pub const MAX_DEPTH: usize = 128;

/// A JSON value.
///
/// ```
/// use metaxy_core::json::Json;
/// let value = Json::parse(r#"{"n": 1180591620717411303424, "é": [1e16, -0]}"#)?;
/// assert_eq!(value.to_python_dumps(true), r#"{"n": 1180591620717411303424, "\u00e9": [1e+16, 0]}"#);
/// assert_eq!(value.to_compact(), r#"{"n":1180591620717411303424,"é":[1e+16,0]}"#);
/// # Ok::<(), metaxy_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Json {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer of any size: decimal digits, `-` before a negative one, no leading zero. Prefer `Json::from(5)`.
    Int(String),
    /// A number that was written with a fraction or an exponent. Finite.
    Float(f64),
    /// Text.
    String(String),
    /// A list.
    Array(Vec<Json>),
    /// Members in the order in which they were written. Equality ignores the order.
    Object(IndexMap<String, Json>),
}

impl Json {
    /// Reads JSON text. Integers are exact; of a member that is written twice the last value counts.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] when the text is not JSON, nests more than [`MAX_DEPTH`] levels, or has a number that no
    /// 64-bit float can hold.
    pub fn parse(text: &str) -> Result<Self> {
        let raw = serde_json::from_str::<&RawValue>(text).map_err(|e| not_json(&e))?;
        read(raw, 0)
    }

    /// Converts a TOML value. Dates and times become text.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a float that is not finite, which JSON cannot hold, and for more than [`MAX_DEPTH`] levels.
    pub fn from_toml(value: toml::Value) -> Result<Self> {
        from_toml(value, 0)
    }

    /// The text that Python's `json.dumps(value, sort_keys=…)` gives: `, ` and `: ` between items, ASCII only, floats as by `repr`.
    /// Keys are sorted by code point.
    #[must_use]
    pub fn to_python_dumps(&self, sort_keys: bool) -> String {
        let mut out = String::new();
        write_python(self, sort_keys, &mut out);
        out
    }

    /// JSON text without blanks; only what must be escaped is.
    #[must_use]
    pub fn to_compact(&self) -> String {
        self.to_string()
    }

    /// The member `key`, if this is an object that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_object()?.get(key)
    }

    /// The text, if this is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The items, if this is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The members, if this is an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&IndexMap<String, Self>> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Whether this is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// What kind of value it is, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a float",
            Self::String(_) => "a string",
            Self::Array(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// An object of the given members, in order.
    pub fn object<K: Into<String>>(members: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Object(members.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }
}

/// Compact JSON text.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

macro_rules! from_integers {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Json {
            fn from(value: $integer) -> Self {
                Self::Int(value.to_string())
            }
        }
    )*};
}
from_integers!(i32, i64, u32, u64, usize);

impl From<&str> for Json {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for Json {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Json {
    fn from(items: Vec<T>) -> Self {
        items.into_iter().collect()
    }
}

/// `None` is null.
impl<T: Into<Self>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Self>> FromIterator<T> for Json {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(b) => Self::Bool(b),
            Value::Number(n) if n.is_f64() => n.as_f64().map_or(Self::Null, Self::Float),
            Value::Number(n) => Self::Int(n.to_string()),
            Value::String(s) => Self::String(s),
            Value::Array(items) => items.into_iter().collect(),
            Value::Object(members) => {
                Self::object(members.into_iter().map(|(k, v)| (k, Self::from(v))))
            }
        }
    }
}

/// Integers beyond 64 bits become the nearest float: `serde_json::Value` cannot hold them.
impl From<Json> for serde_json::Value {
    fn from(value: Json) -> Self {
        match value {
            Json::Null => Self::Null,
            Json::Bool(b) => Self::Bool(b),
            Json::Int(digits) => match (digits.parse::<i64>(), digits.parse::<u64>()) {
                (Ok(n), _) => n.into(),
                (_, Ok(n)) => n.into(),
                _ => digits.parse::<f64>().map_or(Self::Null, Self::from),
            },
            Json::Float(x) => x.into(),
            Json::String(s) => Self::String(s),
            Json::Array(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            Json::Object(members) => Self::Object(
                members
                    .into_iter()
                    .map(|(k, v)| (k, Self::from(v)))
                    .collect(),
            ),
        }
    }
}

/// Integers beyond 64 bits are exact in `serde_json`'s text; other formats may refuse them.
impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(b) => serializer.serialize_bool(*b),
            Self::Int(digits) => match (digits.parse::<i64>(), digits.parse::<u64>()) {
                (Ok(n), _) => serializer.serialize_i64(n),
                (_, Ok(n)) => serializer.serialize_u64(n),
                _ => RawValue::from_string(digits.clone())
                    .map_err(serde::ser::Error::custom)?
                    .serialize(serializer),
            },
            Self::Float(x) => serializer.serialize_f64(*x),
            Self::String(s) => serializer.serialize_str(s),
            Self::Array(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (key, value) in members {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

// Reading. serde_json would round big integers, so values are taken apart level by level as raw text, and numbers read here.

fn read(raw: &RawValue, depth: usize) -> Result<Json> {
    let text = raw.get().trim();
    let nested = |depth: usize| match depth < MAX_DEPTH {
        true => Ok(depth + 1),
        false => Err(too_deep()),
    };
    Ok(match text.as_bytes().first() {
        Some(b'{') => {
            let depth = nested(depth)?;
            let Members(members) = serde_json::from_str(text).map_err(|e| not_json(&e))?;
            let mut object = IndexMap::with_capacity(members.len());
            for (key, value) in members {
                object.insert(key, read(value, depth)?);
            }
            Json::Object(object)
        }
        Some(b'[') => {
            let depth = nested(depth)?;
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|e| not_json(&e))?;
            Json::Array(
                items
                    .into_iter()
                    .map(|item| read(item, depth))
                    .collect::<Result<_>>()?,
            )
        }
        Some(b'"') => Json::String(serde_json::from_str(text).map_err(|e| not_json(&e))?),
        Some(b't' | b'f') => Json::Bool(text == "true"),
        Some(b'n') => Json::Null,
        _ => read_number(text)?,
    })
}

/// A number whose text is known to be JSON.
fn read_number(text: &str) -> Result<Json> {
    if !text.contains(['.', 'e', 'E']) {
        // The only integer that JSON writes in two ways.
        return Ok(Json::Int(if text == "-0" { "0" } else { text }.to_owned()));
    }
    match text.parse::<f64>() {
        Ok(x) if x.is_finite() => Ok(Json::Float(x)),
        _ => Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "the number {} does not fit a 64-bit float",
                text.chars().take(40).collect::<String>()
            ),
        )),
    }
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

fn from_toml(value: toml::Value, depth: usize) -> Result<Json> {
    if depth > MAX_DEPTH {
        return Err(too_deep());
    }
    Ok(match value {
        toml::Value::String(s) => Json::String(s),
        toml::Value::Integer(n) => Json::from(n),
        toml::Value::Float(x) => finite(x)?,
        toml::Value::Boolean(b) => Json::Bool(b),
        toml::Value::Datetime(t) => Json::String(t.to_string()),
        toml::Value::Array(items) => Json::Array(
            items
                .into_iter()
                .map(|v| from_toml(v, depth + 1))
                .collect::<Result<_>>()?,
        ),
        toml::Value::Table(table) => Json::Object(
            table
                .into_iter()
                .map(|(k, v)| Ok((k, from_toml(v, depth + 1)?)))
                .collect::<Result<_>>()?,
        ),
    })
}

/// `x` as JSON, unless it is infinite or not a number.
pub fn finite(x: f64) -> Result<Json> {
    match x.is_finite() {
        true => Ok(Json::Float(x)),
        false => Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("JSON cannot hold the number {x}"),
        )
        .with_hint("write it as text, or leave it out")),
    }
}

/// The error for a value that nests more than [`MAX_DEPTH`] levels deep.
#[must_use]
pub fn too_deep() -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        format!("the value nests more than {MAX_DEPTH} levels deep"),
    )
}

fn not_json(source: &serde_json::Error) -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        format!("not valid JSON: {source}"),
    )
}

// Writing, as Python does.

fn write_python(value: &Json, sort_keys: bool, out: &mut String) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Json::Int(digits) => out.push_str(digits),
        Json::Float(x) => write_float(*x, out),
        Json::String(s) => write_ascii(s, out),
        Json::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                write_python(item, sort_keys, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            if sort_keys {
                // UTF-8 orders as code points do.
                members.sort_unstable_by_key(|(key, _)| *key);
            }
            out.push('{');
            for (i, (key, value)) in members.into_iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                write_ascii(key, out);
                out.push_str(": ");
                write_python(value, sort_keys, out);
            }
            out.push('}');
        }
    }
}

/// A string with everything but printable ASCII escaped; beyond the basic plane as a pair of surrogates.
fn write_ascii(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}

/// The shortest digits that read back as `x`, with an exponent below 1e-4 and from 1e16 on, as Python's `repr`.
fn write_float(x: f64, out: &mut String) {
    let scientific = format!("{x:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        // Not a finite number; Python's names for them.
        out.push_str(if x.is_nan() {
            "NaN"
        } else if x > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        });
        return;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = x.to_string();
        out.push_str(&plain);
        if !plain.contains('.') {
            out.push_str(".0");
        }
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        out.push_str(&format!("{digits}e{sign}{:02}", exponent.abs()));
    }
}
