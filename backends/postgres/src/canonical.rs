//! Values in the one Arrow type that each kept form has on its way in and out, and back.
//!
//! | kept as | canonical type |
//! |---|---|
//! | whole numbers, floats, truth values, text, bytes | the same in Arrow |
//! | dates | `Int32`: days since 1970 |
//! | times | `Int64`: microseconds |
//! | numeric, json | `Utf8` |
//! | arrays | `List` of those |

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, ListArray, StringArray, StructArray, make_array,
    new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use metaxy_core::nested::{for_each_member, parse_json, render_json, render_texts};
use metaxy_core::{Error, ErrorKind, Result};

use crate::types::Kept;

/// The canonical type of a kept form.
pub(crate) fn canonical(kept: &Kept) -> DataType {
    match kept {
        Kept::Bool => DataType::Boolean,
        Kept::Int2 => DataType::Int16,
        Kept::Int4 | Kept::Date => DataType::Int32,
        Kept::Int8 | Kept::Time | Kept::Timestamp | Kept::Timestamptz => DataType::Int64,
        Kept::Float4 => DataType::Float32,
        Kept::Float8 => DataType::Float64,
        Kept::Text | Kept::Numeric(_) | Kept::Jsonb | Kept::Json => DataType::Utf8,
        Kept::Bytes => DataType::Binary,
        Kept::Array(item) => DataType::List(Arc::new(Field::new("item", canonical(item), true))),
    }
}

/// A column in the canonical type of its kept form.
///
/// # Errors
/// [`ErrorKind::InvalidFrame`] if a value does not fit; it names the column.
pub(crate) fn to_canonical(field: &FieldRef, array: &ArrayRef, kept: &Kept) -> Result<ArrayRef> {
    use DataType as T;
    let target = canonical(kept);
    match (array.data_type(), kept) {
        (T::Null, _) => return Ok(new_null_array(&target, array.len())),
        (T::Dictionary(_, value), _) => {
            let plain = cast(array, value)?;
            let field = Arc::new(
                field
                    .as_ref()
                    .clone()
                    .with_data_type(value.as_ref().clone()),
            );
            return to_canonical(&field, &plain, kept);
        }
        (_, Kept::Jsonb | Kept::Json) => return json(field, array),
        (T::List(item), Kept::Array(kept_item)) => {
            let list = array.as_list::<i32>();
            let named = Arc::new(item.as_ref().clone().with_name(field.name()));
            let values = to_canonical(&named, list.values(), kept_item)?;
            let T::List(item) = target else {
                return Err(misfit(field));
            };
            let list =
                ListArray::try_new(item, list.offsets().clone(), values, list.nulls().cloned());
            return Ok(Arc::new(list?));
        }
        (T::Date32, _) => return retyped(array, T::Int32),
        (T::Date64, _) => return scaled(field, array, 1_000),
        (T::Time32(_), _) => {
            let micros = cast(array, &T::Time64(TimeUnit::Microsecond))?;
            return retyped(&micros, T::Int64);
        }
        (T::Time64(_) | T::Duration(_), _) => return retyped(array, T::Int64),
        (T::Timestamp(unit, _), _) => {
            return match unit {
                TimeUnit::Second => scaled(field, array, 1_000_000),
                TimeUnit::Millisecond => scaled(field, array, 1_000),
                TimeUnit::Microsecond | TimeUnit::Nanosecond => retyped(array, T::Int64),
            };
        }
        (given, _) if given == &target => return Ok(array.clone()),
        _ => {}
    }
    cast_checked(array, &target).map_err(|source| misfit(field).with_source(source))
}

/// Canonical values as the type that a result has.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if they are not what the column should hold.
pub(crate) fn from_canonical(field: &FieldRef, array: ArrayRef, kept: &Kept) -> Result<ArrayRef> {
    use DataType as T;
    let corrupt = |source: arrow::error::ArrowError| {
        let name = field.name();
        let problem = format!(
            "column {name:?} holds a value that is no {}",
            field.data_type()
        );
        Error::new(ErrorKind::Corrupt, problem).with_source(source)
    };
    match (field.data_type(), kept) {
        (T::Null, _) => Ok(new_null_array(&T::Null, array.len())),
        (T::Dictionary(_, value), _) => {
            let plain = Arc::new(
                field
                    .as_ref()
                    .clone()
                    .with_data_type(value.as_ref().clone()),
            );
            let plain = from_canonical(&plain, array, kept)?;
            Ok(cast(&plain, field.data_type())?)
        }
        (_, Kept::Jsonb | Kept::Json) => from_json(field, array.as_string::<i32>()),
        (T::List(item), Kept::Array(kept_item)) => {
            let list = array.as_list::<i32>();
            let named = Arc::new(item.as_ref().clone().with_name(field.name()));
            let values = from_canonical(&named, list.values().clone(), kept_item)?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Ok(Arc::new(ListArray::try_new(
                item.clone(),
                offsets,
                values,
                nulls,
            )?))
        }
        (T::Date32, _) => retyped(&array, T::Date32),
        (T::Date64, _) => unscaled(&array, 1_000, T::Date64),
        (T::Time32(_), _) => {
            let micros = retyped(&array, T::Time64(TimeUnit::Microsecond))?;
            cast_checked(&micros, field.data_type()).map_err(corrupt)
        }
        (T::Time64(_) | T::Duration(_), _) => retyped(&array, field.data_type().clone()),
        (T::Timestamp(unit, _), _) => {
            let per = match unit {
                TimeUnit::Second => 1_000_000,
                TimeUnit::Millisecond => 1_000,
                TimeUnit::Microsecond | TimeUnit::Nanosecond => 1,
            };
            unscaled(&array, per, field.data_type().clone())
        }
        (given, _) if given == array.data_type() => Ok(array),
        (target, _) => cast_checked(&array, target).map_err(corrupt),
    }
}

/// A cast in which no value becomes null because it does not fit.
fn cast_checked(
    array: &ArrayRef,
    target: &DataType,
) -> std::result::Result<ArrayRef, arrow::error::ArrowError> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(array, target, &options)
}

fn misfit(field: &Field) -> Error {
    Error::new(
        ErrorKind::InvalidFrame,
        format!(
            "column {:?} is {} and has a value that a PostgreSQL store cannot keep",
            field.name(),
            field.data_type()
        ),
    )
    .with_hint("correct the value, or cast the column to another type; nothing was written")
}

/// The same numbers under another type of their size.
fn retyped(array: &ArrayRef, target: DataType) -> Result<ArrayRef> {
    Ok(make_array(
        array.to_data().into_builder().data_type(target).build()?,
    ))
}

fn scaled(field: &Field, array: &ArrayRef, factor: i64) -> Result<ArrayRef> {
    let counts = retyped(array, DataType::Int64)?;
    let counts: &Int64Array = counts.as_primitive();
    let micros = counts.try_unary::<_, arrow::datatypes::Int64Type, _>(|count| {
        count.checked_mul(factor).ok_or_else(|| misfit(field))
    });
    Ok(Arc::new(micros?))
}

fn unscaled(array: &ArrayRef, factor: i64, target: DataType) -> Result<ArrayRef> {
    let counts: &Int64Array = array.as_primitive();
    let counts: Int64Array = match factor {
        1 => counts.clone(),
        _ => counts.unary(|count| count.div_euclid(factor)),
    };
    let counts: ArrayRef = Arc::new(counts);
    retyped(&counts, target)
}

/// Nested values as JSON.
fn json(field: &FieldRef, array: &ArrayRef) -> Result<ArrayRef> {
    let texts = match array.data_type() {
        DataType::Struct(members) if are_texts(members) => render_texts(array.as_struct()),
        _ => render_json(field, array)?,
    };
    if texts.iter().flatten().any(|text| has_zero(text)) {
        return Err(zero_in(field.name()));
    }
    Ok(Arc::new(StringArray::from(texts)))
}

/// Whether a JSON text has the escape of the character zero, which `jsonb` refuses.
fn has_zero(json: &str) -> bool {
    json.match_indices("\\u0000").any(|(at, _)| {
        let before = json[..at].bytes().rev();
        before.take_while(|byte| *byte == b'\\').count() % 2 == 0
    })
}

/// What a write fails with whose text has the character zero.
pub(crate) fn zero_in(column: &str) -> Error {
    Error::new(
        ErrorKind::InvalidFrame,
        format!(
            "column {column:?} has a text with the character zero, which PostgreSQL cannot keep"
        ),
    )
    .with_hint("take the character out, or write the column as binary; nothing was written")
}

fn are_texts(members: &Fields) -> bool {
    members
        .iter()
        .all(|member| member.data_type() == &DataType::Utf8)
}

fn from_json(field: &FieldRef, texts: &StringArray) -> Result<ArrayRef> {
    match field.data_type() {
        // A column of JSON that nobody says more about.
        DataType::Utf8 => Ok(Arc::new(texts.clone())),
        DataType::Struct(members) if are_texts(members) => text_members(field, members, texts),
        _ => {
            let mut lines = String::new();
            for text in texts {
                lines.push_str(text.unwrap_or("null"));
                lines.push('\n');
            }
            parse_json(field, &lines, texts.len())
        }
    }
}

/// Structs of text from JSON, without a tree where the members are texts.
fn text_members(field: &Field, members: &Fields, texts: &StringArray) -> Result<ArrayRef> {
    if members.is_empty() {
        let nulls = texts.nulls().cloned();
        return Ok(Arc::new(StructArray::new_empty_fields(texts.len(), nulls)));
    }
    let mut columns: Vec<_> = members
        .iter()
        .map(|_| arrow::array::StringBuilder::with_capacity(texts.len(), 16 * texts.len()))
        .collect();
    let mut valid = Vec::with_capacity(texts.len());
    let mut row: Vec<Option<std::borrow::Cow<'_, str>>> = Vec::new();
    for text in texts {
        row.clear();
        row.resize(members.len(), None);
        let mut place = 0;
        let mut set = |name: &str, value: Option<std::borrow::Cow<'_, str>>| {
            // Members come in the same order in every row.
            let found = (place..members.len())
                .chain(0..place)
                .find(|at| members[*at].name() == name);
            if let Some(at) = found {
                row[at] = value.map(|value| std::borrow::Cow::Owned(value.into_owned()));
                place = (at + 1) % members.len();
            }
        };
        let mut is_null = text.is_none_or(|text| text == "null");
        if let Some(text) = text.filter(|_| !is_null)
            && !for_each_member(text, |name, value| set(&name, value))
        {
            is_null = !other_members(field, text, &mut set)?;
        }
        for (column, value) in columns.iter_mut().zip(&row) {
            column.append_option(value.as_deref());
        }
        valid.push(!is_null);
    }
    let columns = columns
        .iter_mut()
        .map(|column| Arc::new(column.finish()) as ArrayRef)
        .collect();
    let nulls = NullBuffer::from(valid);
    Ok(Arc::new(StructArray::try_new(
        members.clone(),
        columns,
        Some(nulls),
    )?))
}

/// The members of an object whose values are not all texts, as `->>` gives them; false for what is no object.
fn other_members(
    field: &Field,
    text: &str,
    set: &mut dyn FnMut(&str, Option<std::borrow::Cow<'_, str>>),
) -> Result<bool> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|source| {
        let problem = format!("column {:?} does not hold JSON", field.name());
        Error::new(ErrorKind::Corrupt, problem).with_source(source)
    })?;
    let serde_json::Value::Object(object) = value else {
        return Ok(false);
    };
    for (name, value) in object {
        let text = match value {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text),
            other => Some(other.to_string()),
        };
        set(&name, text.map(std::borrow::Cow::Owned));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_character_zero_is_found_and_its_look_alike_is_not() {
        assert!(has_zero("{\"a\":\"x\\u0000\"}"));
        assert!(!has_zero("{\"a\":\"x\\\\u0000\"}"));
        assert!(has_zero("{\"a\":\"x\\\\\\u0000\"}"));
    }
}
