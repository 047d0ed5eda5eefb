//! Reading a type out of a TOML value. Text that spells the type is accepted too: environment variables and `${NAME}`
//! have nothing but text.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::Value;

use super::redact::{is_secret_key, redact};

/// The type of a value, with its article: `a string`.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a float",
        Value::Boolean(_) => "a boolean",
        Value::Datetime(_) => "a date or time",
        Value::Array(_) => "an array",
        Value::Table(_) => "a table",
    }
}

/// A value as an error shows it under `key`: with its text when it has one and is no secret.
pub fn shown(key: &str, value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Table(_) | Value::Datetime(_) => kind(value).to_owned(),
        _ if is_secret_key(key) => kind(value).to_owned(),
        Value::String(text) => format!("{:?}", redact(key, text)),
        scalar => format!("{} ({scalar})", kind(scalar)),
    }
}

/// A boolean, or text such as `true`, `no`, `1`, `off`.
pub fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Boolean(flag) => Some(*flag),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
            "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// How a value of the expected kind is written, for hints.
pub fn as_written(key: &str, expected: &str) -> String {
    let value = match expected {
        _ if expected.starts_with("a string") => "\"…\"",
        _ if expected.starts_with("a boolean") => "true",
        _ if expected.starts_with("a whole number") => "20",
        _ if expected.starts_with("a duration") => "\"30s\"",
        _ if expected.starts_with("a list of selections") => "[{ projects = [\"…\"] }]",
        _ if expected.starts_with("a list") => "[\"…\"]",
        _ => "{ … }",
    };
    format!("write it as in: {key} = {value}")
}

/// A whole number that is not negative.
pub fn unsigned(value: &Value) -> Option<u64> {
    match value {
        Value::Integer(number) => u64::try_from(*number).ok(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A number of seconds, or text with a unit: `500ms`, `30s`, `1.5m`, `2h`, `1d`.
pub fn duration(value: &Value) -> Option<Duration> {
    const UNITS: &[(&str, f64)] = &[
        ("us", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
        ("d", 86_400.0),
    ];
    match value {
        Value::Integer(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
        Value::Float(seconds) => Duration::try_from_secs_f64(*seconds).ok(),
        Value::String(text) => {
            let text = text.trim();
            let split = text
                .find(|c: char| !(c.is_ascii_digit() || c == '.'))
                .unwrap_or(text.len());
            let (number, unit) = text.split_at(split);
            let unit = unit.trim();
            let factor = if unit.is_empty() {
                1.0
            } else {
                UNITS.iter().find(|(name, _)| *name == unit)?.1
            };
            Duration::try_from_secs_f64(number.parse::<f64>().ok()? * factor).ok()
        }
        _ => None,
    }
}

/// An array, or text that is a JSON array.
pub fn array(value: Value) -> Result<Vec<Value>, Value> {
    match value {
        Value::Array(items) => Ok(items),
        Value::String(text) => match json(&text) {
            Some(Value::Array(items)) => Ok(items),
            _ => Err(Value::String(text)),
        },
        other => Err(other),
    }
}

/// An array of strings, or text: a JSON array, else a list of this one string.
pub fn strings(value: Value) -> Result<Vec<String>, Value> {
    let items = match array(value) {
        Ok(items) => items,
        Err(Value::String(text)) => return Ok(vec![text]),
        Err(other) => return Err(other),
    };
    items
        .into_iter()
        .map(|item| match item {
            Value::String(text) => Ok(text),
            other => Err(other),
        })
        .collect()
}

/// A table, or text that is a JSON object.
pub fn table(value: Value) -> Result<toml::Table, Value> {
    match value {
        Value::Table(table) => Ok(table),
        Value::String(text) => match json(&text) {
            Some(Value::Table(table)) => Ok(table),
            _ => Err(Value::String(text)),
        },
        other => Err(other),
    }
}

/// A table of scalars, each rendered as text. The error is the key and the value that is none.
pub fn texts(table: toml::Table) -> Result<BTreeMap<String, String>, (String, Value)> {
    table
        .into_iter()
        .map(|(key, value)| match text(&value) {
            Some(text) => Ok((key, text)),
            None => Err((key, value)),
        })
        .collect()
}

/// A scalar as text.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        Value::Datetime(time) => Some(time.to_string()),
        Value::Array(_) | Value::Table(_) => None,
    }
}

/// JSON text as a TOML value. Nulls are left out: TOML has none, and an absent option means the same.
pub fn json(text: &str) -> Option<Value> {
    fn convert(value: serde_json::Value) -> Option<Value> {
        Some(match value {
            serde_json::Value::Null => return None,
            serde_json::Value::Bool(flag) => Value::Boolean(flag),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(integer) => Value::Integer(integer),
                None => Value::Float(number.as_f64()?),
            },
            serde_json::Value::String(text) => Value::String(text),
            serde_json::Value::Array(items) => {
                Value::Array(items.into_iter().filter_map(convert).collect())
            }
            serde_json::Value::Object(members) => Value::Table(
                members
                    .into_iter()
                    .filter_map(|(key, value)| Some((key, convert(value)?)))
                    .collect(),
            ),
        })
    }
    // The parser bounds the depth of nesting, and with it that of the conversion.
    convert(serde_json::from_str(text).ok()?)
}
