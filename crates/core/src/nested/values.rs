//! Nested columns as JSON text.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, StructArray,
    new_empty_array,
};
use arrow::datatypes::{DataType, FieldRef, Float32Type, Float64Type};
use arrow::error::ArrowError;
use arrow_json::writer::{Encoder, EncoderFactory, NullableEncoder, make_encoder};
use arrow_json::{EncoderOptions, ReaderBuilder};

use super::texts::push_string;
use crate::error::{Error, ErrorKind, Result};

/// Structs whose members are texts, one object per row.
#[must_use]
pub fn render_texts(array: &StructArray) -> Vec<Option<String>> {
    let members: Vec<_> = array
        .fields()
        .iter()
        .zip(array.columns())
        .map(|(field, values)| (field.name().as_str(), values.as_string::<i32>()))
        .collect();
    (0..array.len())
        .map(|row| {
            if array.is_null(row) {
                return None;
            }
            let mut json = String::with_capacity(32 * members.len());
            json.push('{');
            for (i, (name, values)) in members.iter().enumerate() {
                if i > 0 {
                    json.push(',');
                }
                push_string(&mut json, name);
                json.push(':');
                if values.is_null(row) {
                    json.push_str("null");
                } else {
                    push_string(&mut json, values.value(row));
                }
            }
            json.push('}');
            Some(json)
        })
        .collect()
}

/// The values of any column that JSON can hold, one text per row.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for types that it cannot hold.
pub fn render_json(field: &FieldRef, array: &ArrayRef) -> Result<Vec<Option<String>>> {
    let options = EncoderOptions::default()
        .with_explicit_nulls(true)
        .with_encoder_factory(Arc::new(ExactFloats));
    let array = retyped(array, &json_type(array.data_type()))?;
    let field = Arc::new(
        field
            .as_ref()
            .clone()
            .with_data_type(array.data_type().clone()),
    );
    let mut encoder = make_encoder(&field, array.as_ref(), &options)?;
    (0..array.len())
        .map(|row| {
            if array.is_null(row) {
                return Ok(None);
            }
            let mut json = Vec::new();
            encoder.encode(row, &mut json);
            String::from_utf8(json).map(Some).map_err(|source| {
                Error::new(
                    ErrorKind::Internal,
                    format!("column {:?} has no JSON", field.name()),
                )
                .with_source(source)
            })
        })
        .collect()
}

/// The values of a column from `rows` lines of JSON, one value each.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if that is not what they are.
pub fn parse_json(field: &FieldRef, json: &str, rows: usize) -> Result<ArrayRef> {
    if rows == 0 {
        return Ok(new_empty_array(field.data_type()));
    }
    let stored_type = field.data_type();
    let field = field.as_ref().clone().with_nullable(true);
    let field = Arc::new(field.with_data_type(json_type(stored_type)));
    let damaged = |source: arrow::error::ArrowError| {
        Error::new(
            ErrorKind::Corrupt,
            format!("column {:?} does not hold what it should", field.name()),
        )
        .with_source(source)
    };
    let mut decoder = ReaderBuilder::new_with_field(field.clone())
        .with_batch_size(rows)
        .build_decoder()
        .map_err(damaged)?;
    decoder.decode(json.as_bytes()).map_err(damaged)?;
    match decoder.flush().map_err(damaged)? {
        Some(batch) if batch.num_rows() == rows => retyped(batch.column(0), stored_type),
        _ => Err(Error::new(
            ErrorKind::Corrupt,
            format!("column {:?} has fewer values than rows", field.name()),
        )),
    }
}

/// Writes NaN and the infinities as text, which reads back as them; JSON has no such numbers, and null is another value. Negative zero
/// as well: databases that parse JSON take it for zero.
#[derive(Debug)]
struct ExactFloats;

struct FloatEncoder<T: ArrowPrimitiveType>(PrimitiveArray<T>);

impl EncoderFactory for ExactFloats {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder> = match array.data_type() {
            DataType::Float32 => {
                Box::new(FloatEncoder(array.as_primitive::<Float32Type>().clone()))
            }
            DataType::Float64 => {
                Box::new(FloatEncoder(array.as_primitive::<Float64Type>().clone()))
            }
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

impl<T: ArrowPrimitiveType<Native: Into<f64> + std::fmt::Debug>> Encoder for FloatEncoder<T> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let value = self.0.value(row);
        let number: f64 = value.into();
        // The shortest digits that read back as the same number, of its own width.
        let is_zero = number == 0.0 && number.is_sign_negative();
        let text = match number.is_finite() && !is_zero {
            true => format!("{value:?}"),
            false => format!("\"{value:?}\""),
        };
        out.extend_from_slice(text.as_bytes());
    }
}

/// The type under which JSON holds a column: moments with a zone are counts, as text would need tables of zones.
fn json_type(data_type: &DataType) -> DataType {
    use DataType as T;
    let inner = |field: &FieldRef| {
        let data_type = json_type(field.data_type());
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    };
    match data_type {
        T::Timestamp(_, Some(_)) => T::Int64,
        T::Struct(members) => T::Struct(members.iter().map(inner).collect()),
        T::List(item) => T::List(inner(item)),
        T::LargeList(item) => T::LargeList(inner(item)),
        T::FixedSizeList(item, length) => T::FixedSizeList(inner(item), *length),
        T::Map(entry, sorted) => T::Map(inner(entry), *sorted),
        other => other.clone(),
    }
}

/// The array under another type of the same layout, such as a [`json_type`].
fn retyped(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    fn data_of(data: ArrayData, to: &DataType) -> Result<ArrayData> {
        use DataType as T;
        if data.data_type() == to {
            return Ok(data);
        }
        let inner: Vec<&FieldRef> = match to {
            T::Struct(members) => members.iter().collect(),
            T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) | T::Map(item, _) => {
                vec![item]
            }
            _ => Vec::new(),
        };
        let children = data.child_data().iter().zip(inner);
        let children = children
            .map(|(child, field)| data_of(child.clone(), field.data_type()))
            .collect::<Result<_>>()?;
        let data = data.into_builder().data_type(to.clone());
        Ok(data.child_data(children).build()?)
    }
    Ok(arrow::array::make_array(data_of(array.to_data(), to)?))
}
