//! TOML that keeps what JSON keeps: integers of any size, and floats apart from integers.
//!
//! Written as the reference writes it: keys in order, within a table plain values before tables.

use toml::de::{DeTable, DeValue};

use crate::error::{Error, ErrorKind, Result};
use crate::json::{Json, MAX_DEPTH, finite, too_deep};

/// Reads TOML. Dates and times become text.
pub(super) fn parse(text: &str) -> Result<Json> {
    let table = DeTable::parse(text).map_err(|error| {
        let message = format!("not TOML: {}", error.message());
        Error::new(ErrorKind::InvalidArgument, message).with_source(error)
    })?;
    from_table(table.into_inner(), 0)
}

/// Writes a table. It holds no null.
pub(super) fn render(value: &Json, out: &mut String) {
    if let Json::Object(members) = value {
        table(members, &mut Vec::new(), Header::None, out);
    }
}

fn from_table(table: DeTable<'_>, depth: usize) -> Result<Json> {
    let member = |(key, value): (
        toml::Spanned<std::borrow::Cow<'_, str>>,
        toml::Spanned<DeValue<'_>>,
    )| {
        Ok((
            key.into_inner().into_owned(),
            from_value(value.into_inner(), depth)?,
        ))
    };
    let members: Result<_> = table.into_iter().map(member).collect();
    members.map(Json::Object)
}

fn from_value(value: DeValue<'_>, depth: usize) -> Result<Json> {
    if depth >= MAX_DEPTH {
        return Err(too_deep());
    }
    Ok(match value {
        DeValue::String(text) => Json::String(text.into_owned()),
        DeValue::Integer(digits) => integer(digits.as_str(), digits.radix())?,
        DeValue::Float(text) => finite(text.as_str().parse().unwrap_or(f64::NAN))?,
        DeValue::Boolean(value) => Json::Bool(value),
        DeValue::Datetime(time) => Json::String(time.to_string()),
        DeValue::Array(items) => {
            let items = items
                .into_iter()
                .map(|item| from_value(item.into_inner(), depth + 1));
            Json::Array(items.collect::<Result<_>>()?)
        }
        DeValue::Table(table) => from_table(table, depth + 1)?,
    })
}

/// A TOML integer, whose digits have no separators any more.
fn integer(digits: &str, radix: u32) -> Result<Json> {
    if radix != 10 {
        return i128::from_str_radix(digits, radix)
            .map(|value| Json::Int(value.to_string()))
            .map_err(|_| Error::new(ErrorKind::InvalidArgument, "an integer is too large"));
    }
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    Ok(Json::Int(match digits {
        "-0" => "0".to_owned(),
        digits => digits.to_owned(),
    }))
}

/// How a table is announced.
#[derive(Clone, Copy, PartialEq)]
enum Header {
    None,
    Table,
    Item,
}

type Members = indexmap::IndexMap<String, Json>;

fn table<'a>(members: &'a Members, path: &mut Vec<&'a str>, header: Header, out: &mut String) {
    let mut sorted: Vec<(&str, &Json)> = members.iter().map(|(k, v)| (k.as_str(), v)).collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    let (tables, plain): (Vec<_>, Vec<_>) = sorted
        .into_iter()
        .partition(|(_, value)| as_table(value).is_some() || as_tables(value).is_some());

    // A table that only holds tables needs no header of its own.
    let announced = match header {
        Header::None => false,
        Header::Item => true,
        Header::Table => !plain.is_empty() || tables.is_empty(),
    };
    if announced {
        if !out.ends_with("\n\n") {
            out.push('\n');
        }
        let (open, close) = match header {
            Header::Item => ("[[", "]]"),
            _ => ("[", "]"),
        };
        out.push_str(open);
        for (position, part) in path.iter().enumerate() {
            out.push_str(if position == 0 { "" } else { "." });
            key(part, out);
        }
        out.push_str(close);
        out.push('\n');
    }
    for (name, value) in plain {
        key(name, out);
        out.push_str(" = ");
        inline(value, out);
        out.push('\n');
    }
    for (name, value) in tables {
        path.push(name);
        if let Some(members) = as_table(value) {
            table(members, path, Header::Table, out);
        }
        for members in as_tables(value).into_iter().flatten() {
            table(members, path, Header::Item, out);
        }
        path.pop();
    }
}

fn as_table(value: &Json) -> Option<&Members> {
    value.as_object()
}

/// The items of a list that has tables only, and some.
fn as_tables(value: &Json) -> Option<Vec<&Members>> {
    let items = value.as_array().filter(|items| !items.is_empty())?;
    items.iter().map(Json::as_object).collect()
}

fn inline(value: &Json, out: &mut String) {
    match value {
        // Nothing that is written holds one.
        Json::Null => out.push_str("\"\""),
        Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Json::Int(digits) => out.push_str(digits),
        Json::Float(value) => out.push_str(&format!("{value:?}")),
        Json::String(text) => string(text, out),
        Json::Array(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                out.push_str(if position == 0 { "" } else { ", " });
                inline(item, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (position, (name, value)) in sorted.into_iter().enumerate() {
                out.push_str(if position == 0 { "" } else { ", " });
                key(name, out);
                out.push_str(" = ");
                inline(value, out);
            }
            out.push('}');
        }
    }
}

fn key(name: &str, out: &mut String) {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(bare) {
        out.push_str(name);
    } else {
        string(name, out);
    }
}

fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0'..='\u{1f}' | '\u{7f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}
