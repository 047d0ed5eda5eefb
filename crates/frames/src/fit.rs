//! Typed columns brought to another type without losing anything.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait, StructArray};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, FieldRef, Fields};
use metaxy_core::{Error, Result};

use crate::columns::{retype, zoneless};

/// Why a column cannot have the wanted type.
pub(crate) enum Misfit {
    /// No value of the one type is a value of the other.
    Types,
    /// The value in this row of the array would change.
    Row(usize),
    /// Arrow failed.
    Failed(Error),
}

impl From<Error> for Misfit {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The type that a column gets whose own type is `own`, where `wanted` is known. Members of structs are told apart by their names,
/// at any depth: those that are wanted and missing stay missing, others are kept.
pub(crate) fn target(own: &DataType, wanted: &DataType) -> DataType {
    use DataType as T;
    let inner = |own: &FieldRef, wanted: &FieldRef| -> FieldRef {
        let data_type = target(own.data_type(), wanted.data_type());
        Arc::new(
            own.as_ref()
                .clone()
                .with_data_type(data_type)
                .with_nullable(true),
        )
    };
    match (own, wanted) {
        (own, T::Null) => own.clone(),
        (T::Struct(own), T::Struct(wanted)) => T::Struct(
            own.iter()
                .map(|member| match wanted.find(member.name()) {
                    Some((_, known)) => inner(member, known),
                    None => member.clone(),
                })
                .collect(),
        ),
        (T::List(own), T::List(wanted)) => T::List(inner(own, wanted)),
        (T::LargeList(own), T::List(wanted) | T::LargeList(wanted)) => {
            T::LargeList(inner(own, wanted))
        }
        (T::FixedSizeList(own, size), T::FixedSizeList(wanted, other)) if size == other => {
            T::FixedSizeList(inner(own, wanted), *size)
        }
        // What has no members of its own becomes what is wanted, or fails.
        (T::Struct(_), _) | (_, T::Struct(_)) => own.clone(),
        _ => wanted.clone(),
    }
}

/// `array` as `to`. A value fits if casting it there and back gives the same value: `5` as a 64-bit integer does, `1.5`
/// does not, and neither does a time of nanoseconds in a column of microseconds.
pub(crate) fn fit(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, Misfit> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    match (array.data_type(), to) {
        (DataType::Struct(_), DataType::Struct(members)) => fit_struct(array.as_struct(), members),
        (DataType::List(_), DataType::List(item)) => fit_list(array.as_list::<i32>(), item),
        (DataType::LargeList(_), DataType::LargeList(item)) => {
            fit_list(array.as_list::<i64>(), item)
        }
        _ => fit_plain(array, to),
    }
}

fn fit_struct(array: &StructArray, members: &Fields) -> Result<ArrayRef, Misfit> {
    let mut columns = Vec::with_capacity(members.len());
    for member in members {
        let column = array.column_by_name(member.name()).ok_or(Misfit::Types)?;
        // What lies under a null struct is no value.
        let column = match array.nulls().filter(|nulls| nulls.null_count() > 0) {
            Some(nulls) => {
                let null = arrow::array::BooleanArray::new(!nulls.inner(), None);
                arrow::compute::nullif(column, &null).map_err(|e| Misfit::Failed(e.into()))?
            }
            None => column.clone(),
        };
        columns.push(fit(&column, member.data_type())?);
    }
    let array = StructArray::try_new_with_length(
        members.clone(),
        columns,
        array.nulls().cloned(),
        array.len(),
    );
    Ok(Arc::new(array.map_err(|e| Misfit::Failed(e.into()))?))
}

fn fit_list<O: OffsetSizeTrait>(
    array: &GenericListArray<O>,
    item: &FieldRef,
) -> Result<ArrayRef, Misfit> {
    let offsets = array.value_offsets();
    let (start, end) = match (offsets.first(), offsets.last()) {
        (Some(start), Some(end)) => (start.as_usize(), end.as_usize()),
        _ => (0, 0),
    };
    // Only the items that a row has.
    let used = array.values().slice(start, end - start);
    let values = fit(&used, item.data_type()).map_err(|misfit| match misfit {
        Misfit::Row(at) => {
            let row = offsets.partition_point(|offset| offset.as_usize() <= start + at);
            Misfit::Row(row.saturating_sub(1))
        }
        other => other,
    })?;
    let lengths = offsets
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_usize());
    let offsets = arrow::buffer::OffsetBuffer::<O>::from_lengths(lengths);
    let item = Arc::new(item.as_ref().clone().with_nullable(true));
    let list = GenericListArray::<O>::try_new(item, offsets, values, array.nulls().cloned());
    Ok(Arc::new(list.map_err(|e| Misfit::Failed(e.into()))?))
}

fn fit_plain(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, Misfit> {
    // Zones only say how times are shown.
    let (from, plain) = (zoneless(array.data_type()), zoneless(to));
    let array = retype(array, &from)?;
    let there = match from == plain {
        true => array,
        false if !comparable(&from, &plain) => return Err(Misfit::Types),
        false => cast_exact(&array, &from, &plain)?,
    };
    Ok(retype(&there, to)?)
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
