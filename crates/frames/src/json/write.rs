//! Columns as JSON text.

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, FieldRef};

use crate::scalar::print::{Kind, Printer};

/// Why a column has no JSON text.
#[derive(Debug)]
pub(crate) enum NoText {
    /// No value of its type has one.
    Type,
    /// The value in this row is none of its type.
    Row(usize),
}

impl NoText {
    /// The same of a value that has this one as a part.
    pub(crate) fn within(self, row: usize) -> Self {
        match self {
            Self::Type => Self::Type,
            Self::Row(_) => Self::Row(row),
        }
    }
}

/// The values of a column, each to be appended to a text.
pub(crate) struct Encoder<'a> {
    nulls: Option<NullBuffer>,
    node: Node<'a>,
}

enum Node<'a> {
    Null,
    Scalar(Printer<'a>),
    /// From where to where the items of a row stand among all items.
    List(Box<dyn Fn(usize) -> (usize, usize) + 'a>, Box<Encoder<'a>>),
    /// Each member behind its key, such as `"a":`.
    Struct(Vec<(String, Encoder<'a>)>),
    Map {
        offsets: &'a [i32],
        keys: Box<Encoder<'a>>,
        values: Box<Encoder<'a>>,
        /// Whether keys are text: then a map is an object.
        is_object: bool,
    },
    Dictionary(Box<dyn Fn(usize) -> usize + 'a>, Box<Encoder<'a>>),
}

impl<'a> Encoder<'a> {
    /// The encoder of a column.
    ///
    /// # Errors
    /// [`NoText::Type`] if its type has no JSON text.
    pub(crate) fn of(array: &'a dyn Array) -> Result<Self, NoText> {
        use DataType as T;
        let boxed = |array: &'a ArrayRef| Self::of(array.as_ref()).map(Box::new);
        let node = match array.data_type() {
            T::Null => Node::Null,
            T::List(_) => list::<i32>(array)?,
            T::LargeList(_) => list::<i64>(array)?,
            T::ListView(_) => list_view::<i32>(array)?,
            T::LargeListView(_) => list_view::<i64>(array)?,
            T::FixedSizeList(_, size) => {
                let list = array.as_fixed_size_list();
                let size = usize::try_from(*size).unwrap_or_default();
                let range = move |row: usize| (row * size, (row + 1) * size);
                Node::List(Box::new(range), boxed(list.values())?)
            }
            T::Struct(members) => {
                let columns = array.as_struct().columns();
                let encoders = members
                    .iter()
                    .zip(columns)
                    .map(|(member, column)| Ok((key(member), Self::of(column.as_ref())?)));
                Node::Struct(encoders.collect::<Result<_, NoText>>()?)
            }
            T::Map(..) => {
                let map = array.as_map();
                Node::Map {
                    offsets: map.value_offsets(),
                    is_object: is_text(map.keys().data_type()),
                    keys: boxed(map.keys())?,
                    values: boxed(map.values())?,
                }
            }
            T::Dictionary(..) => {
                let dictionary = array.as_any_dictionary();
                match dictionary.values().is_empty() {
                    true => Node::Null,
                    false => {
                        let keys = dictionary.normalized_keys();
                        let values = boxed(dictionary.values())?;
                        Node::Dictionary(Box::new(move |row| keys[row]), values)
                    }
                }
            }
            _ => Node::Scalar(Printer::of(array).ok_or(NoText::Type)?),
        };
        Ok(Self {
            nulls: array.nulls().cloned(),
            node,
        })
    }

    /// Whether a row has no value.
    pub(crate) fn is_null(&self, row: usize) -> bool {
        let own = self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        own || match &self.node {
            Node::Null => true,
            Node::Dictionary(key, values) => values.is_null(key(row)),
            _ => false,
        }
    }

    /// Appends the value of a row.
    pub(crate) fn push(&self, row: usize, out: &mut String) -> Result<(), NoText> {
        if self.is_null(row) {
            out.push_str("null");
            return Ok(());
        }
        match &self.node {
            Node::Null => out.push_str("null"),
            Node::Scalar(printer) => push_scalar(printer, row, out).ok_or(NoText::Row(row))?,
            Node::Dictionary(key, values) => {
                values.push(key(row), out).map_err(|e| e.within(row))?;
            }
            Node::List(range, items) => {
                let (start, end) = range(row);
                out.push('[');
                for item in start..end {
                    if item > start {
                        out.push(',');
                    }
                    items.push(item, out).map_err(|e| e.within(row))?;
                }
                out.push(']');
            }
            Node::Struct(members) => {
                out.push('{');
                for (i, (key, member)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    out.push_str(key);
                    member.push(row, out)?;
                }
                out.push('}');
            }
            Node::Map {
                offsets,
                keys,
                values,
                is_object,
            } => {
                let entries = offsets[row] as usize..offsets[row + 1] as usize;
                let object = *is_object && distinct(keys, entries.clone())?;
                out.push(if object { '{' } else { '[' });
                for entry in entries.clone() {
                    if entry > entries.start {
                        out.push(',');
                    }
                    if !object {
                        out.push_str("{\"key\":");
                    }
                    keys.push(entry, out).map_err(|e| e.within(row))?;
                    out.push_str(if object { ":" } else { ",\"value\":" });
                    values.push(entry, out).map_err(|e| e.within(row))?;
                    if !object {
                        out.push('}');
                    }
                }
                out.push(if object { '}' } else { ']' });
            }
        }
        Ok(())
    }
}

fn list<O: OffsetSizeTrait>(array: &dyn Array) -> Result<Node<'_>, NoText> {
    let list = array.as_list::<O>();
    let offsets = list.value_offsets();
    let range = |row: usize| (offsets[row].as_usize(), offsets[row + 1].as_usize());
    let items = Encoder::of(list.values().as_ref())?;
    Ok(Node::List(Box::new(range), Box::new(items)))
}

fn list_view<O: OffsetSizeTrait>(array: &dyn Array) -> Result<Node<'_>, NoText> {
    let list = array.as_list_view::<O>();
    let (starts, sizes) = (list.value_offsets(), list.value_sizes());
    let range = |row: usize| {
        let start = starts[row].as_usize();
        (start, start + sizes[row].as_usize())
    };
    let items = Encoder::of(list.values().as_ref())?;
    Ok(Node::List(Box::new(range), Box::new(items)))
}

/// Whether no key occurs twice: an object cannot say such a map.
fn distinct(keys: &Encoder<'_>, entries: std::ops::Range<usize>) -> Result<bool, NoText> {
    let mut seen = std::collections::HashSet::new();
    for entry in entries {
        let mut key = String::new();
        keys.push(entry, &mut key)?;
        if !seen.insert(key) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_text(value),
        other => other.is_string(),
    }
}

fn push_scalar(printer: &Printer<'_>, row: usize, out: &mut String) -> Option<()> {
    match printer.kind {
        Kind::Bare => (printer.print)(row, out),
        Kind::Plain => {
            out.push('"');
            (printer.print)(row, out)?;
            out.push('"');
            Some(())
        }
        Kind::Float => {
            let start = out.len();
            (printer.print)(row, out)?;
            // JSON has no number for what is not finite.
            if out[start..].ends_with(['N', 'f']) {
                out.insert(start, '"');
                out.push('"');
            }
            Some(())
        }
        Kind::Text => {
            let start = out.len();
            (printer.print)(row, out)?;
            // Few texts have something to be escaped.
            match out.as_bytes()[start..]
                .iter()
                .any(|byte| escape(*byte).is_some())
            {
                true => {
                    let text = out.split_off(start);
                    push_text(out, &text);
                }
                false => {
                    out.insert(start, '"');
                    out.push('"');
                }
            }
            Some(())
        }
    }
}

/// The key of a member, with its colon.
fn key(field: &FieldRef) -> String {
    let mut key = String::new();
    push_text(&mut key, field.name());
    key.push(':');
    key
}

/// What stands in a text for a byte that cannot; empty for its number.
fn escape(byte: u8) -> Option<&'static str> {
    Some(match byte {
        b'"' => "\\\"",
        b'\\' => "\\\\",
        b'\n' => "\\n",
        b'\r' => "\\r",
        b'\t' => "\\t",
        0x8 => "\\b",
        0xc => "\\f",
        0..=0x1f => "",
        _ => return None,
    })
}

/// Appends a text in quotes.
pub(crate) fn push_text(out: &mut String, text: &str) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let Some(escaped) = escape(byte) else {
            continue;
        };
        out.push_str(&text[from..at]);
        match escaped {
            "" => out.push_str(&format!("\\u{byte:04x}")),
            escaped => out.push_str(escaped),
        }
        from = at + 1;
    }
    out.push_str(&text[from..]);
    out.push('"');
}

/// The rows of a batch as objects, each handed to `row` as text. The error names the column.
pub(crate) fn objects(
    batch: &RecordBatch,
    mut row: impl FnMut(&str),
) -> Result<(), (usize, NoText)> {
    let schema = batch.schema();
    let encoders = batch.columns().iter().zip(schema.fields()).enumerate();
    let encoders = encoders
        .map(|(at, (column, field))| {
            let encoder = Encoder::of(column.as_ref()).map_err(|error| (at, error))?;
            Ok((key(field), encoder))
        })
        .collect::<Result<Vec<_>, (usize, NoText)>>()?;
    let mut text = String::new();
    for at in 0..batch.num_rows() {
        text.clear();
        text.push('{');
        for (i, (key, encoder)) in encoders.iter().enumerate() {
            if i > 0 {
                text.push(',');
            }
            text.push_str(key);
            encoder.push(at, &mut text).map_err(|error| (i, error))?;
        }
        text.push('}');
        row(&text);
    }
    Ok(())
}
