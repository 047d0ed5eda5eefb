//! Nested columns as JSON text.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, ArrowPrimitiveType, AsArray, Int64Array, PrimitiveArray,
    StructArray, make_array, new_empty_array,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, FieldRef, Float16Type, Float32Type, Float64Type, Int64Type, IntervalUnit,
    TimeUnit,
};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
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

/// Whether values of this type are read back from JSON as what they were.
///
/// What JSON has no form for is written as a count, as text, or as bytes in hexadecimal digits ([`render_json`]). That leaves maps whose keys
/// are no texts, decimals that end before the point, and types with several layouts at once.
#[must_use]
pub fn json_holds(data_type: &DataType) -> bool {
    use DataType as T;
    match data_type {
        T::Null | T::Boolean | T::Utf8 | T::LargeUtf8 | T::Utf8View => true,
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => true,
        T::Date32 | T::Date64 | T::Time32(_) | T::Time64(_) => true,
        T::Timestamp(..) | T::Duration(_) | T::Interval(_) => true,
        T::Decimal32(_, scale)
        | T::Decimal64(_, scale)
        | T::Decimal128(_, scale)
        | T::Decimal256(_, scale) => *scale >= 0,
        T::Dictionary(_, value) => json_holds(value),
        T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) => {
            json_holds(item.data_type())
        }
        T::Struct(members) => members.iter().all(|m| json_holds(m.data_type())),
        T::Map(entries, _) => match entries.data_type() {
            T::Struct(pair) if pair.len() == 2 => {
                pair[0].data_type() == &T::Utf8 && json_holds(pair[1].data_type())
            }
            _ => false,
        },
        other => other.is_integer() || other.is_floating(),
    }
}

/// The values of any column that JSON can hold ([`json_holds`]), one text per row.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for types that it cannot hold.
pub fn render_json(field: &FieldRef, array: &ArrayRef) -> Result<Vec<Option<String>>> {
    if !json_holds(array.data_type()) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "column {:?} is {}, of which JSON keeps no values",
                field.name(),
                array.data_type()
            ),
        )
        .with_hint("cast the column to another type before writing"));
    }
    let options = EncoderOptions::default()
        .with_explicit_nulls(true)
        .with_encoder_factory(Arc::new(Exact));
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
/// as well: databases that parse JSON take it for zero. Dates and times before the year 1 and after 9999 are counts, as not all readers
/// understand their texts.
#[derive(Debug)]
struct Exact;

struct FloatEncoder<T: ArrowPrimitiveType>(PrimitiveArray<T>);

/// Texts of dates or times, and their counts.
struct TimeEncoder<'a>(ArrayFormatter<'a>, Int64Array, i64);

impl EncoderFactory for Exact {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            DataType::Date32 => {
                let days = array.as_primitive::<Date32Type>();
                let days = days.unary::<_, Int64Type>(i64::from);
                Box::new(TimeEncoder(shown(array)?, days, 1))
            }
            DataType::Timestamp(unit, None) => {
                let counts = array.to_data().into_builder().data_type(DataType::Int64);
                let counts = Int64Array::from(counts.build()?);
                Box::new(TimeEncoder(shown(array)?, counts, per_day(*unit)))
            }
            DataType::Float16 => {
                Box::new(FloatEncoder(array.as_primitive::<Float16Type>().clone()))
            }
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

fn shown(array: &dyn Array) -> Result<ArrayFormatter<'_>, ArrowError> {
    ArrayFormatter::try_new(array, &FormatOptions::new().with_display_error(false))
}

fn per_day(unit: TimeUnit) -> i64 {
    const SECONDS: i64 = 86_400;
    match unit {
        TimeUnit::Second => SECONDS,
        TimeUnit::Millisecond => SECONDS * 1_000,
        TimeUnit::Microsecond => SECONDS * 1_000_000,
        TimeUnit::Nanosecond => SECONDS * 1_000_000_000,
    }
}

/// The days since 1970 of the years 1 to 9999.
const PLAIN_DAYS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;

impl Encoder for TimeEncoder<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let Self(texts, counts, per_day) = self;
        let count = counts.value(row);
        let text = match PLAIN_DAYS.contains(&count.div_euclid(*per_day)) {
            true => texts.value(row).try_to_string().ok(),
            false => None,
        };
        let json = match text {
            Some(text) => format!("\"{text}\""),
            None => count.to_string(),
        };
        out.extend_from_slice(json.as_bytes());
    }
}

/// The type under which JSON holds a column: moments with a zone are counts, as text would need tables of zones, and so is what no reader
/// has a text for. Words of a dictionary are words.
fn json_type(data_type: &DataType) -> DataType {
    use DataType as T;
    let inner = |field: &FieldRef| {
        let data_type = json_type(field.data_type());
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    };
    match data_type {
        T::Timestamp(_, Some(_)) | T::Date64 | T::Duration(_) => T::Int64,
        T::Interval(IntervalUnit::YearMonth) => T::Int32,
        T::Interval(IntervalUnit::DayTime) => T::Int64,
        T::Interval(IntervalUnit::MonthDayNano) => T::FixedSizeBinary(16),
        T::Dictionary(_, value) => json_type(value),
        T::Struct(members) => T::Struct(members.iter().map(inner).collect()),
        T::List(item) => T::List(inner(item)),
        T::LargeList(item) => T::LargeList(inner(item)),
        T::FixedSizeList(item, length) => T::FixedSizeList(inner(item), *length),
        T::Map(entry, sorted) => T::Map(inner(entry), *sorted),
        other => other.clone(),
    }
}

/// The array under another type of the same layout, such as a [`json_type`], or with the words of a dictionary in their places.
fn retyped(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    fn data_of(data: ArrayData, to: &DataType) -> Result<ArrayData> {
        use DataType as T;
        if data.data_type() == to {
            return Ok(data);
        }
        match (data.data_type(), to) {
            (T::Dictionary(_, value), _) => {
                let words = cast(&make_array(data.clone()), value)?;
                return data_of(words.to_data(), to);
            }
            (_, T::Dictionary(_, value)) => {
                let words = make_array(data_of(data, value)?);
                return Ok(cast(&words, to)?.to_data());
            }
            _ => {}
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
        Ok(data.child_data(children).align_buffers(true).build()?)
    }
    Ok(make_array(data_of(array.to_data(), to)?))
}
