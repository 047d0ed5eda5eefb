//! TOML text as a JSON value whose members keep the order of the text, and the lines on which features start.
//!
//! The order matters: it is the order of a feature's fields, and so part of its spec version.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Error, ErrorKind, Result};
use crate::json::{Json, MAX_DEPTH, finite, too_deep};

/// What to do about text that is not TOML.
pub const TOML_HINT: &str =
    "correct it there: text stands in quotes, names of tables in brackets, and each key once";

/// Where and why `text` is not TOML, without quoting it.
pub fn not_toml(text: &str, error: &toml::de::Error) -> String {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    let why = error.message().trim();
    format!("not valid TOML: line {line}, column {column}: {why}")
}

/// A TOML file.
pub(super) struct Document {
    /// The whole file.
    pub(super) value: Json,
    /// The line, from 1, of each element of `feature`.
    pub(super) feature_lines: Vec<usize>,
}

impl Document {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let table = DeTable::parse(text).map_err(|e| {
            Error::new(ErrorKind::InvalidConfig, not_toml(text, &e)).with_hint(TOML_HINT)
        })?;
        let features = table
            .get_ref()
            .get("feature")
            .and_then(|value| value.get_ref().as_array());
        let starts = features
            .into_iter()
            .flat_map(|items| items.iter())
            .map(|item| item.span().start);
        let feature_lines = lines(text, starts);
        Ok(Self {
            value: members(table.into_inner(), 0)?,
            feature_lines,
        })
    }
}

/// The lines of ascending positions.
fn lines(text: &str, positions: impl Iterator<Item = usize>) -> Vec<usize> {
    let (mut line, mut counted) = (1, 0);
    let mut lines = Vec::new();
    for position in positions {
        let passed = text.as_bytes().get(counted..position).unwrap_or_default();
        line += passed.iter().filter(|byte| **byte == b'\n').count();
        counted = counted.max(position);
        lines.push(line);
    }
    lines
}

fn members(table: DeTable<'_>, depth: usize) -> Result<Json> {
    let mut entries: Vec<_> = table.into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in &entries {
        if key.get_ref() == "fields" {
            check_code_versions(value.get_ref())?;
        }
    }
    let entries = entries
        .into_iter()
        .map(|(key, value)| Ok((key.into_inner().into_owned(), value_of(value, depth + 1)?)));
    Ok(Json::Object(entries.collect::<Result<_>>()?))
}

fn value_of(value: Spanned<DeValue<'_>>, depth: usize) -> Result<Json> {
    if depth > MAX_DEPTH {
        return Err(too_deep());
    }
    Ok(match value.into_inner() {
        DeValue::String(text) => Json::String(text.into_owned()),
        DeValue::Integer(n) => match i64::from_str_radix(n.as_str(), n.radix()) {
            Ok(n) => Json::from(n),
            Err(e) => return Err(number(&n.to_string(), &e)),
        },
        DeValue::Float(x) => match x.as_str().parse() {
            Ok(x) => finite(x)?,
            Err(e) => return Err(number(x.as_str(), &e)),
        },
        DeValue::Boolean(b) => Json::Bool(b),
        DeValue::Datetime(t) => Json::String(t.to_string()),
        DeValue::Array(items) => {
            let items = items.into_iter().map(|item| value_of(item, depth + 1));
            Json::Array(items.collect::<Result<_>>()?)
        }
        DeValue::Table(table) => members(table, depth)?,
    })
}

/// A code version that is written as a number is refused in the words of the file: `1.10` would be told as 1.1.
fn check_code_versions(fields: &DeValue<'_>) -> Result<()> {
    let DeValue::Table(fields) = fields else {
        return Ok(());
    };
    for (field, value) in fields.iter() {
        let version = match value.get_ref() {
            DeValue::Table(members) => members.get("code_version").map(Spanned::get_ref),
            value => Some(value),
        };
        if let Some(DeValue::Float(number)) = version {
            let (field, number) = (field.get_ref(), number.as_str());
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                format!("field `{field}`: its code version is the number {number}"),
            )
            .with_hint(format!("a code version is text: write \"{number}\"")));
        }
    }
    Ok(())
}

fn number(text: &str, why: &dyn std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::InvalidConfig,
        format!("the number {text} cannot be read: {why}"),
    )
    .with_hint("integers have 64 bits; write a larger one as text")
}
