//! Typed columns brought to another type without losing anything.

use arrow::array::{Array, ArrayRef};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::DataType;
use metaxy_core::{Error, Result};

use super::columns::{retype, zoneless};

/// Why a column cannot have the wanted type.
pub(super) enum Misfit {
    /// No value of the one type is a value of the other.
    Types,
    /// The value in this row of the array would change.
    Row(usize),
    /// Arrow failed.
    Failed(Error),
}

/// `array` as `to`. A value fits if casting it there and back gives the same value: `5` as a 64-bit integer does, `1.5`
/// does not, and neither does a time of nanoseconds in a column of microseconds.
pub(super) fn fit(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, Misfit> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    // Zones only say how times are shown.
    let (from, plain) = (zoneless(array.data_type()), zoneless(to));
    let array = retype(array, &from).map_err(Misfit::Failed)?;
    let there = match from == plain {
        true => array,
        false if !comparable(&from, &plain) => return Err(Misfit::Types),
        false => cast_exact(&array, &from, &plain)?,
    };
    retype(&there, to).map_err(Misfit::Failed)
}

fn cast_exact(array: &ArrayRef, from: &DataType, to: &DataType) -> Result<ArrayRef, Misfit> {
    // Values that do not fit become null, so the row can be told.
    let options = CastOptions {
        safe: true,
        ..CastOptions::default()
    };
    let failed = |error: arrow::error::ArrowError| Misfit::Failed(error.into());
    let there = cast_with_options(array, to, &options).map_err(failed)?;
    if *from == DataType::Null {
        return Ok(there);
    }
    let back = cast_with_options(&there, from, &options).map_err(failed)?;
    if back.as_ref() == array.as_ref() {
        return Ok(there);
    }
    let changed =
        (0..array.len()).find(|row| back.slice(*row, 1).as_ref() != array.slice(*row, 1).as_ref());
    match changed {
        Some(row) => Err(Misfit::Row(row)),
        None => Ok(there),
    }
}

/// Whether casting keeps the meaning: numbers stay numbers, text stays text, times stay times.
fn comparable(from: &DataType, to: &DataType) -> bool {
    let family = |data_type: &DataType| match data_type {
        DataType::Dictionary(_, value) => family(value),
        other => family(other),
    };
    let kind = family(from);
    (kind == Family::Null || (kind == family(to) && kind != Family::Other))
        && can_cast_types(from, to)
        && can_cast_types(to, from)
}

#[derive(PartialEq)]
enum Family {
    Null,
    Number,
    Text,
    Bytes,
    Time,
    Nested,
    Other,
}

fn family(data_type: &DataType) -> Family {
    match data_type {
        DataType::Null => Family::Null,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Family::Text,
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => Family::Bytes,
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Family::Time,
        number if number.is_numeric() => Family::Number,
        nested if nested.is_nested() => Family::Nested,
        _ => Family::Other,
    }
}
