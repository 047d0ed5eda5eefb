//! Arrow values as SQLite values, and back.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::builder::{
    BinaryBuilder, BooleanBuilder, Decimal128Builder, Float64Builder, Int64Builder, StringBuilder,
    UInt64Builder,
};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, StructArray,
    UInt64Array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use arrow::error::ArrowError;
use metaxy_core::nested::{for_each_member, json_holds, parse_json, render_json, render_texts};
use metaxy_core::{Error, ErrorKind, Result};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use serde_json::value::RawValue;

/// Decimals of at most this many digits are kept as (scaled) integers, which SQLite compares.
pub(crate) const INTEGER_DIGITS: u8 = 18;

/// The bytes that stand for NaN, which SQLite has not: a blob is greater than every number, as NaN is.
const NAN: &[u8] = b"NaN";

/// How a column is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Boolean,
    Integer,
    Unsigned,
    Float,
    Text,
    Blob,
    /// An integer, scaled.
    Decimal,
    /// The digits of the scaled integer as text.
    LongDecimal,
    /// A struct whose members are texts, as JSON.
    Texts,
    /// Anything else that JSON can hold.
    Json,
}

fn kind(data_type: &DataType) -> Option<Kind> {
    use DataType as T;
    Some(match data_type {
        T::Boolean => Kind::Boolean,
        T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 => {
            Kind::Integer
        }
        T::Date32 | T::Date64 | T::Time32(_) | T::Time64(_) | T::Timestamp(..) | T::Duration(_) => {
            Kind::Integer
        }
        T::UInt64 => Kind::Unsigned,
        T::Float16 | T::Float32 | T::Float64 => Kind::Float,
        T::Utf8 | T::LargeUtf8 | T::Utf8View => Kind::Text,
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => Kind::Blob,
        T::Decimal32(..) | T::Decimal64(..) => Kind::Decimal,
        T::Decimal128(digits, _) if *digits <= INTEGER_DIGITS => Kind::Decimal,
        T::Decimal128(..) => Kind::LongDecimal,
        T::Dictionary(_, value) => kind(value)?,
        T::Struct(members) if members.iter().all(|m| m.data_type() == &T::Utf8) => Kind::Texts,
        nested if nested.is_nested() && json_holds(nested) => Kind::Json,
        _ => return None,
    })
}

/// The declared type of a column in a STRICT table.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for types that SQLite cannot hold.
pub(crate) fn column_type(field: &Field) -> Result<&'static str> {
    Ok(
        match kind(field.data_type()).ok_or_else(|| unsupported(field))? {
            Kind::Boolean | Kind::Integer | Kind::Unsigned | Kind::Decimal => "INTEGER",
            // Floats share their column with NaN.
            Kind::Float => "ANY",
            Kind::Text | Kind::LongDecimal | Kind::Texts | Kind::Json => "TEXT",
            Kind::Blob => "BLOB",
        },
    )
}

/// Refuses what no column can be: a schema that was stored is data from outside, and Arrow relies on what types promise.
///
/// # Errors
/// [`ErrorKind::Corrupt`], naming the column.
pub(crate) fn check_types(schema: &Schema) -> Result<()> {
    let mut seen = HashSet::new();
    for field in schema.fields() {
        let problem = match is_possible(field.data_type()) {
            false => format!(
                "column {:?} has an impossible type, {}",
                field.name(),
                field.data_type()
            ),
            true if seen.insert(field.name()) => continue,
            true => format!("column {:?} is there twice", field.name()),
        };
        return Err(Error::new(ErrorKind::Corrupt, problem));
    }
    Ok(())
}

fn is_possible(data_type: &DataType) -> bool {
    use DataType as T;
    let fits = |digits: u8, scale: i8, most: u8| {
        (1..=most).contains(&digits)
            && scale.unsigned_abs() <= if scale < 0 { most } else { digits }
    };
    match data_type {
        T::Decimal32(digits, scale) => fits(*digits, *scale, 9),
        T::Decimal64(digits, scale) => fits(*digits, *scale, 18),
        T::Decimal128(digits, scale) => fits(*digits, *scale, 38),
        T::Decimal256(digits, scale) => fits(*digits, *scale, 76),
        T::FixedSizeBinary(length) => *length >= 0,
        T::FixedSizeList(item, length) => *length >= 0 && is_possible(item.data_type()),
        T::List(item) | T::LargeList(item) => is_possible(item.data_type()),
        T::Struct(members) => {
            let mut seen = HashSet::new();
            members
                .iter()
                .all(|m| seen.insert(m.name()) && is_possible(m.data_type()))
        }
        T::Map(entries, _) => match entries.data_type() {
            T::Struct(pair) => pair.len() == 2 && pair.iter().all(|m| is_possible(m.data_type())),
            _ => false,
        },
        T::Dictionary(key, value) => key.is_dictionary_key_type() && is_possible(value),
        T::Time32(unit) => matches!(unit, TimeUnit::Second | TimeUnit::Millisecond),
        T::Time64(unit) => matches!(unit, TimeUnit::Microsecond | TimeUnit::Nanosecond),
        _ => true,
    }
}

fn unsupported(field: &Field) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "column {:?} is {}, which a SQLite store cannot keep",
            field.name(),
            field.data_type()
        ),
    )
    .with_hint("cast the column to another type before writing")
}

/// A column of a batch, ready to be bound row by row.
pub(crate) enum Encoded {
    Boolean(BooleanArray),
    Integer(Int64Array),
    Unsigned(UInt64Array, String),
    Float(Float64Array),
    Text(ArrayRef),
    Blob(ArrayRef),
    LongDecimal(Decimal128Array),
    /// One text per row.
    Rendered(Vec<Option<String>>),
}

impl Encoded {
    /// # Errors
    /// [`ErrorKind::Unsupported`] for types that SQLite cannot hold.
    pub(crate) fn new(field: &FieldRef, array: &ArrayRef) -> Result<Self> {
        let array = match array.data_type() {
            DataType::Dictionary(_, value) => &cast(array, value)?,
            _ => array,
        };
        Ok(
            match kind(array.data_type()).ok_or_else(|| unsupported(field))? {
                Kind::Boolean => Self::Boolean(array.as_boolean().clone()),
                Kind::Integer => Self::Integer(integers(array)?),
                Kind::Unsigned => {
                    Self::Unsigned(array.as_primitive().clone(), field.name().clone())
                }
                Kind::Float => Self::Float(cast(array, &DataType::Float64)?.as_primitive().clone()),
                Kind::Text => Self::Text(cast(array, &DataType::Utf8)?),
                Kind::Blob => Self::Blob(cast(array, &DataType::Binary)?),
                Kind::Decimal => {
                    let wide = cast(array, &DataType::Decimal128(38, scale(array.data_type())))?;
                    let digits = wide.as_primitive::<arrow::datatypes::Decimal128Type>();
                    Self::Integer(
                        digits
                            .iter()
                            .map(|d| d.and_then(|d| i64::try_from(d).ok()))
                            .collect(),
                    )
                }
                Kind::LongDecimal => Self::LongDecimal(array.as_primitive().clone()),
                Kind::Texts => Self::Rendered(render_texts(array.as_struct())),
                Kind::Json => Self::Rendered(render_json(field, array)?),
            },
        )
    }

    /// The value of a row.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidFrame`] for an unsigned integer that SQLite cannot hold.
    pub(crate) fn value(&self, row: usize) -> Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Boolean(a) if a.is_valid(row) => {
                ToSqlOutput::Owned(Value::Integer(i64::from(a.value(row))))
            }
            Self::Integer(a) if a.is_valid(row) => ToSqlOutput::Owned(Value::Integer(a.value(row))),
            Self::Unsigned(a, name) if a.is_valid(row) => match i64::try_from(a.value(row)) {
                Ok(value) => ToSqlOutput::Owned(Value::Integer(value)),
                Err(_) => {
                    return Err(Error::new(
                        ErrorKind::InvalidFrame,
                        format!(
                            "column {name:?} holds {}, more than SQLite's integers reach",
                            a.value(row)
                        ),
                    )
                    .with_hint("store it as text or as a signed integer"));
                }
            },
            Self::Float(a) if a.is_valid(row) => match a.value(row) {
                nan if nan.is_nan() => ToSqlOutput::Borrowed(ValueRef::Blob(NAN)),
                value => ToSqlOutput::Owned(Value::Real(value)),
            },
            Self::Text(a) if a.is_valid(row) => {
                ToSqlOutput::Borrowed(ValueRef::Text(a.as_string::<i32>().value(row).as_bytes()))
            }
            Self::Blob(a) if a.is_valid(row) => {
                ToSqlOutput::Borrowed(ValueRef::Blob(a.as_binary::<i32>().value(row)))
            }
            Self::LongDecimal(a) if a.is_valid(row) => {
                ToSqlOutput::Owned(Value::Text(a.value(row).to_string()))
            }
            Self::Rendered(texts) => match &texts[row] {
                Some(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
                None => ToSqlOutput::Owned(Value::Null),
            },
            _ => ToSqlOutput::Owned(Value::Null),
        })
    }
}

fn integers(array: &ArrayRef) -> Result<Int64Array> {
    use DataType as T;
    // Times keep their unit: the number is what counts.
    let array = match array.data_type() {
        T::Date32 | T::Time32(_) => cast(array, &T::Int32)?,
        T::Date64 | T::Time64(_) | T::Timestamp(..) | T::Duration(_) => {
            let data = array.to_data().into_builder().data_type(T::Int64).build()?;
            arrow::array::make_array(data)
        }
        _ => array.clone(),
    };
    Ok(cast(&array, &T::Int64)?.as_primitive().clone())
}

fn scale(data_type: &DataType) -> i8 {
    match data_type {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale) => *scale,
        _ => 0,
    }
}

/// Collects the values of one column of a result.
pub(crate) struct Decoder {
    field: FieldRef,
    values: Values,
}

enum Values {
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    Unsigned(UInt64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    Blob(BinaryBuilder),
    Decimal(Decimal128Builder),
    Texts(Vec<StringBuilder>, Fields, Vec<bool>),
    Json(String, Vec<bool>),
}

impl Values {
    fn push_null(&mut self) {
        match self {
            Self::Boolean(b) => b.append_null(),
            Self::Integer(b) => b.append_null(),
            Self::Unsigned(b) => b.append_null(),
            Self::Float(b) => b.append_null(),
            Self::Text(b) => b.append_null(),
            Self::Blob(b) => b.append_null(),
            Self::Decimal(b) => b.append_null(),
            Self::Texts(builders, _, valid) => {
                builders.iter_mut().for_each(StringBuilder::append_null);
                valid.push(false);
            }
            Self::Json(json, valid) => {
                json.push_str("null\n");
                valid.push(false);
            }
        }
    }
}

impl Decoder {
    /// # Errors
    /// [`ErrorKind::Unsupported`] for types that SQLite cannot hold.
    pub(crate) fn new(field: &FieldRef) -> Result<Self> {
        let values = match kind(field.data_type()).ok_or_else(|| unsupported(field))? {
            Kind::Boolean => Values::Boolean(BooleanBuilder::new()),
            Kind::Integer => Values::Integer(Int64Builder::new()),
            Kind::Unsigned => Values::Unsigned(UInt64Builder::new()),
            Kind::Float => Values::Float(Float64Builder::new()),
            Kind::Text => Values::Text(StringBuilder::new()),
            Kind::Blob => Values::Blob(BinaryBuilder::new()),
            Kind::Decimal | Kind::LongDecimal => Values::Decimal(Decimal128Builder::new()),
            Kind::Texts => {
                let DataType::Struct(members) = field.data_type() else {
                    return Err(unsupported(field));
                };
                let builders = members.iter().map(|_| StringBuilder::new()).collect();
                Values::Texts(builders, members.clone(), Vec::new())
            }
            Kind::Json => Values::Json(String::new(), Vec::new()),
        };
        Ok(Self {
            field: field.clone(),
            values,
        })
    }

    /// Adds a value.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it is not what the column should hold.
    pub(crate) fn push(&mut self, value: ValueRef<'_>) -> Result<()> {
        if value == ValueRef::Null {
            self.values.push_null();
            return Ok(());
        }
        let ok = match (&mut self.values, value) {
            (Values::Boolean(b), ValueRef::Integer(v)) => {
                b.append_value(v != 0);
                true
            }
            (Values::Integer(b), ValueRef::Integer(v)) => {
                b.append_value(v);
                true
            }
            (Values::Unsigned(b), ValueRef::Integer(v)) => {
                let value = u64::try_from(v);
                b.append_option(value.ok());
                value.is_ok()
            }
            (Values::Float(b), ValueRef::Real(v)) => {
                b.append_value(v);
                true
            }
            (Values::Float(b), ValueRef::Blob(bytes)) => {
                b.append_value(f64::NAN);
                bytes == NAN
            }
            (Values::Text(b), ValueRef::Text(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => {
                    b.append_value(text);
                    true
                }
                Err(_) => false,
            },
            (Values::Blob(b), ValueRef::Blob(bytes)) => {
                b.append_value(bytes);
                true
            }
            (Values::Decimal(b), ValueRef::Integer(v)) => {
                b.append_value(v.into());
                true
            }
            (Values::Decimal(b), ValueRef::Text(bytes)) => {
                let value = std::str::from_utf8(bytes).ok().and_then(|t| t.parse().ok());
                b.append_option(value);
                value.is_some()
            }
            (Values::Texts(builders, members, valid), value) => {
                push_texts(builders, members, valid, value)
            }
            (Values::Json(json, valid), ValueRef::Text(bytes)) => {
                // One value: another would be that of the next row.
                match std::str::from_utf8(bytes) {
                    Ok(text) if serde_json::from_str::<&RawValue>(text).is_ok() => {
                        json.push_str(text);
                        json.push('\n');
                        valid.push(true);
                        true
                    }
                    _ => false,
                }
            }
            _ => false,
        };
        if ok {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Corrupt,
            format!(
                "column {:?} holds a value of type {} where it should be {}",
                self.field.name(),
                value.data_type(),
                self.field.data_type()
            ),
        ))
    }

    /// The values so far as an array of the column's type; the decoder is empty again.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if JSON is not what the column should hold.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef> {
        let array: ArrayRef = match &mut self.values {
            Values::Boolean(b) => Arc::new(b.finish()),
            Values::Integer(b) => Arc::new(b.finish()),
            Values::Unsigned(b) => Arc::new(b.finish()),
            Values::Float(b) => Arc::new(b.finish()),
            Values::Text(b) => Arc::new(b.finish()),
            Values::Blob(b) => Arc::new(b.finish()),
            Values::Decimal(b) => {
                let scale = scale(value_type(self.field.data_type()));
                Arc::new(b.finish().with_precision_and_scale(38, scale)?)
            }
            Values::Texts(builders, members, valid) => {
                let nulls = NullBuffer::from(std::mem::take(valid));
                if members.is_empty() {
                    Arc::new(StructArray::new_empty_fields(nulls.len(), Some(nulls)))
                } else {
                    let arrays = builders
                        .iter_mut()
                        .map(|b| Arc::new(b.finish()) as ArrayRef)
                        .collect();
                    Arc::new(StructArray::try_new(members.clone(), arrays, Some(nulls))?)
                }
            }
            Values::Json(json, valid) => {
                let (json, valid) = (std::mem::take(json), std::mem::take(valid));
                parse_json(&self.field, &json, valid.len())?
            }
        };
        restore(&array, self.field.data_type()).map_err(|source| {
            let (name, wanted) = (self.field.name(), self.field.data_type());
            Error::new(
                ErrorKind::Corrupt,
                format!("column {name:?} holds a value that is no {wanted}"),
            )
            .with_source(source)
        })
    }
}

fn push_texts(
    builders: &mut [StringBuilder],
    members: &Fields,
    valid: &mut Vec<bool>,
    value: ValueRef<'_>,
) -> bool {
    let rows = valid.len();
    let ok = match value {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).is_ok_and(|json| {
            for_each_member(json, |name, value| {
                let index = members.iter().position(|m| m.name() == name.as_ref());
                // A name that stands twice counts once.
                if let Some(builder) = index.map(|i| &mut builders[i])
                    && arrow::array::builder::ArrayBuilder::len(builder) == rows
                {
                    builder.append_option(value);
                }
            })
        }),
        _ => false,
    };
    for builder in builders.iter_mut() {
        if arrow::array::builder::ArrayBuilder::len(builder) == rows {
            builder.append_null();
        }
    }
    valid.push(true);
    ok
}

fn value_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, value) => value,
        other => other,
    }
}

/// The array as the column's own type. A value that it has not is refused, never a null.
fn restore(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    use DataType as T;
    if array.data_type() == data_type {
        return Ok(array.clone());
    }
    if let T::Dictionary(_, value) = data_type {
        return exactly(&restore(array, value)?, data_type);
    }
    match (array.data_type(), data_type) {
        (T::Int64, T::Date32 | T::Time32(_)) => relabelled(&exactly(array, &T::Int32)?, data_type),
        (T::Int64, T::Date64 | T::Time64(_) | T::Timestamp(..) | T::Duration(_)) => {
            relabelled(array, data_type)
        }
        _ => exactly(array, data_type),
    }
}

fn relabelled(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    let data = array.to_data().into_builder().data_type(data_type.clone());
    Ok(arrow::array::make_array(data.build()?))
}

fn exactly(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(array, data_type, &options)
}
