//! Batches as PostgreSQL's binary form of COPY.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
};
use metaxy_core::{Error, ErrorKind, Result};

use crate::canonical::{to_canonical, zero_in};
use crate::types::{Kept, kept};

/// What comes before the rows.
pub(crate) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What comes after the rows.
pub(crate) const TRAILER: &[u8] = &[0xff, 0xff];

/// Days from 1970 to 2000, from which PostgreSQL counts.
pub(crate) const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
pub(crate) const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * DAY;
const DAY: i64 = 86_400_000_000;

/// 24 November 4714 BC and 1 January 294277, in days from 2000: what PostgreSQL's times reach.
const FIRST_DAY: i64 = -2_451_545;
const LAST_TIME_DAY: i64 = 106_751_983 - EPOCH_DAYS as i64;
/// The last day of its dates.
const LAST_DAY: i64 = 2_145_031_948;

/// Appends the rows of a batch to `out`.
///
/// # Errors
/// [`ErrorKind::InvalidFrame`] if PostgreSQL cannot hold a value, and [`ErrorKind::Unsupported`] if it cannot hold a type; both name the
/// column.
pub(crate) fn encode(batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
    let schema = batch.schema();
    let columns = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, array)| {
            let kept = kept(field)?;
            let array = to_canonical(field, array, &kept)?;
            Column::new(field.name(), &array, &kept)
        })
        .collect::<Result<Vec<_>>>()?;
    let count = i16::try_from(columns.len()).map_err(|_| {
        let problem = format!(
            "a table of {} columns is more than PostgreSQL has",
            columns.len()
        );
        Error::new(ErrorKind::Unsupported, problem)
    })?;
    for row in 0..batch.num_rows() {
        out.extend_from_slice(&count.to_be_bytes());
        for column in &columns {
            column.write(row, out);
        }
    }
    Ok(())
}

/// The values of a column, which were found to fit.
enum Column {
    Bool(BooleanArray),
    Int2(Int16Array),
    Int4(Int32Array),
    Int8(Int64Array),
    Float4(Float32Array),
    Float8(Float64Array),
    Text(StringArray),
    Bytes(BinaryArray),
    /// The version of the form, then the text.
    Jsonb(StringArray),
    Numeric(StringArray),
    List(ListArray, Box<Column>, u32),
}

impl Column {
    fn new(name: &str, array: &ArrayRef, kept: &Kept) -> Result<Self> {
        Ok(match kept {
            Kept::Bool => Self::Bool(array.as_boolean().clone()),
            Kept::Int2 => Self::Int2(array.as_primitive().clone()),
            Kept::Int4 => Self::Int4(array.as_primitive().clone()),
            Kept::Int8 => Self::Int8(array.as_primitive().clone()),
            Kept::Float4 => Self::Float4(array.as_primitive().clone()),
            Kept::Float8 => Self::Float8(array.as_primitive().clone()),
            Kept::Text | Kept::Json => {
                let texts = array.as_string::<i32>();
                if texts.value_data().contains(&0)
                    && texts.iter().flatten().any(|t| t.contains('\0'))
                {
                    return Err(zero_in(name));
                }
                Self::Text(texts.clone())
            }
            Kept::Bytes => Self::Bytes(array.as_binary().clone()),
            Kept::Jsonb => Self::Jsonb(array.as_string().clone()),
            Kept::Numeric(_) => Self::Numeric(array.as_string().clone()),
            Kept::Date => {
                let days: &Int32Array = array.as_primitive();
                let shifted = days.try_unary::<_, arrow::datatypes::Int32Type, _>(|days| {
                    let shifted = i64::from(days) - i64::from(EPOCH_DAYS);
                    let fits = (FIRST_DAY..=LAST_DAY).contains(&shifted);
                    let shifted = i32::try_from(shifted).ok().filter(|_| fits);
                    shifted.ok_or_else(|| out_of_range(name, "date"))
                });
                Self::Int4(shifted?)
            }
            Kept::Time => {
                let micros: &Int64Array = array.as_primitive();
                if micros.iter().flatten().any(|at| !(0..=DAY).contains(&at)) {
                    return Err(out_of_range(name, "time of day"));
                }
                Self::Int8(micros.clone())
            }
            Kept::Timestamp | Kept::Timestamptz => {
                let micros: &Int64Array = array.as_primitive();
                let shifted = micros.try_unary::<_, arrow::datatypes::Int64Type, _>(|micros| {
                    let shifted = micros.checked_sub(EPOCH_MICROS);
                    let reach = FIRST_DAY * DAY..=LAST_TIME_DAY * DAY;
                    let shifted = shifted.filter(|shifted| reach.contains(shifted));
                    shifted.ok_or_else(|| out_of_range(name, "time"))
                });
                Self::Int8(shifted?)
            }
            Kept::Array(item) => {
                let list = array.as_list::<i32>();
                let values = Self::new(name, list.values(), item)?;
                Self::List(list.clone(), Box::new(values), item.oid())
            }
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Bool(array) => array.is_null(row),
            Self::Int2(array) => array.is_null(row),
            Self::Int4(array) => array.is_null(row),
            Self::Int8(array) => array.is_null(row),
            Self::Float4(array) => array.is_null(row),
            Self::Float8(array) => array.is_null(row),
            Self::Text(array) | Self::Jsonb(array) | Self::Numeric(array) => array.is_null(row),
            Self::Bytes(array) => array.is_null(row),
            Self::List(array, ..) => array.is_null(row),
        }
    }

    /// Appends the length of a value, and the value.
    #[inline]
    fn write(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(&(-1_i32).to_be_bytes());
            return;
        }
        match self {
            Self::Bool(array) => sized(out, &[u8::from(array.value(row))]),
            Self::Int2(array) => sized(out, &array.value(row).to_be_bytes()),
            Self::Int4(array) => sized(out, &array.value(row).to_be_bytes()),
            Self::Int8(array) => sized(out, &array.value(row).to_be_bytes()),
            Self::Float4(array) => sized(out, &array.value(row).to_bits().to_be_bytes()),
            Self::Float8(array) => sized(out, &array.value(row).to_bits().to_be_bytes()),
            Self::Text(array) => sized(out, array.value(row).as_bytes()),
            Self::Bytes(array) => sized(out, array.value(row)),
            Self::Jsonb(array) => within(out, |out| {
                out.push(1);
                out.extend_from_slice(array.value(row).as_bytes());
            }),
            Self::Numeric(array) => within(out, |out| numeric(array.value(row), out)),
            Self::List(array, values, oid) => within(out, |out| {
                let (start, end) = (array.value_offsets()[row], array.value_offsets()[row + 1]);
                let items = start as usize..end as usize;
                let nulls = items.clone().any(|item| values.is_null(item));
                let dimensions = i32::from(!items.is_empty());
                for word in [dimensions, i32::from(nulls), *oid as i32] {
                    out.extend_from_slice(&word.to_be_bytes());
                }
                if dimensions == 1 {
                    for word in [end - start, 1] {
                        out.extend_from_slice(&word.to_be_bytes());
                    }
                }
                for item in items {
                    values.write(item, out);
                }
            }),
        }
    }
}

fn sized(out: &mut Vec<u8>, value: &[u8]) {
    // No value of an Arrow array with offsets of 32 bits is longer.
    out.extend_from_slice(&(value.len() as i32).to_be_bytes());
    out.extend_from_slice(value);
}

/// The length of what `write` appends, and that.
fn within(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = (out.len() - at - 4) as i32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// A decimal number as PostgreSQL sends it: digits to the base of 10,000.
fn numeric(text: &str, out: &mut Vec<u8>) {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let whole = whole.trim_start_matches('0');
    let groups = whole.len().div_ceil(4);
    let mut padded = "0".repeat(groups * 4 - whole.len());
    padded.push_str(whole);
    padded.push_str(places);
    padded.push_str(&"0".repeat((4 - places.len() % 4) % 4));
    let mut digits: Vec<i16> = padded
        .as_bytes()
        .chunks(4)
        .map(|group| {
            group
                .iter()
                .fold(0, |sum, digit| sum * 10 + i16::from(digit - b'0'))
        })
        .collect();
    let mut weight = groups as i16 - 1;
    while digits.last() == Some(&0) {
        digits.pop();
    }
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    digits.drain(..zeros);
    weight -= zeros as i16;
    if digits.is_empty() {
        weight = 0;
    }
    let sign: u16 = if negative && !digits.is_empty() {
        0x4000
    } else {
        0
    };
    out.extend_from_slice(&(digits.len() as i16).to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&(places.len() as i16).to_be_bytes());
    for digit in digits {
        out.extend_from_slice(&digit.to_be_bytes());
    }
}

fn out_of_range(column: &str, what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidFrame,
        format!("column {column:?} has a {what} that is out of PostgreSQL's range"),
    )
    .with_hint("correct the value, or write it as a number; nothing was written")
}
