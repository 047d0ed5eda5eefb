//! Times that no clock and no calendar shows: refused when they are written, as nothing could say later what they are.
//!
//! | type | what is taken |
//! |---|---|
//! | times of day | from 0 to one unit before 24 hours; a leap second is none |
//! | dates, timestamps | the years from -262143 to 262142; with a zone a day less at both ends, for its offset |
//!
//! Durations have no calendar: each is kept as the count that it is.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, Int64Array, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Int64Type, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit,
};
use chrono::NaiveDateTime;

use crate::error::{Error, ErrorKind, Result};
use crate::key::FeatureKey;

const DAY: i64 = 86_400;

/// A value that nothing shows.
struct Beyond {
    row: usize,
    value: i64,
    data_type: DataType,
}

/// Looks at all dates, times and durations of a batch, at any depth. `before`: the rows of the write that came before it.
///
/// # Errors
/// [`ErrorKind::InvalidFrame`] that names the column and the row.
pub fn require_shown(table: &FeatureKey, batch: &RecordBatch, before: u64) -> Result<()> {
    let schema = batch.schema();
    for (field, array) in schema.fields().iter().zip(batch.columns()) {
        let Some(beyond) = first_beyond(array) else {
            continue;
        };
        let Beyond {
            row,
            value,
            data_type,
        } = beyond;
        let what = match data_type {
            DataType::Time32(_) | DataType::Time64(_) => "no time of day",
            _ => "in no year that a calendar shows",
        };
        let row = before + row as u64 + 1;
        return Err(Error::new(
            ErrorKind::InvalidFrame,
            format!(
                "column {:?} of feature {table} has {value} in row {row}, which as {data_type} is {what}",
                field.name()
            ),
        )
        .with_hint("correct the value, or write the column as a number; nothing was written"));
    }
    Ok(())
}

fn first_beyond(array: &ArrayRef) -> Option<Beyond> {
    use DataType as T;
    match array.data_type() {
        T::Time32(TimeUnit::Second) => of::<Time32SecondType>(array, 0, DAY - 1),
        T::Time32(_) => of::<Time32MillisecondType>(array, 0, DAY * 1_000 - 1),
        T::Time64(TimeUnit::Microsecond) => {
            of::<Time64MicrosecondType>(array, 0, DAY * 1_000_000 - 1)
        }
        T::Time64(_) => of::<Time64NanosecondType>(array, 0, DAY * 1_000_000_000 - 1),
        T::Date32 => {
            let (first, last) = seconds();
            of::<Date32Type>(array, first.div_euclid(DAY), last.div_euclid(DAY))
        }
        T::Date64 => {
            let (first, last) = seconds();
            of::<Date64Type>(array, first * 1_000, last * 1_000 + 999)
        }
        T::Timestamp(unit, zone) => {
            let (first, last) = seconds();
            let room = if zone.is_some() { DAY } else { 0 };
            let per = match unit {
                TimeUnit::Second => 1,
                TimeUnit::Millisecond => 1_000,
                TimeUnit::Microsecond => 1_000_000,
                // They do not reach so far.
                TimeUnit::Nanosecond => return None,
            };
            let (first, last) = (first + room, last - room);
            beyond(array, &counts(array)?, first * per, last * per + per - 1)
        }
        T::Dictionary(..) => {
            let words = array.as_any_dictionary();
            let found = first_beyond(words.values())?;
            let used = words.normalized_keys();
            let row = (0..array.len()).find(|row| array.is_valid(*row) && used[*row] == found.row);
            row.map(|row| Beyond { row, ..found })
        }
        T::Struct(_) => {
            let rows = array.as_struct();
            rows.columns().iter().find_map(|member| {
                let member = match rows.nulls() {
                    None => member.clone(),
                    Some(_) => masked(member, array)?,
                };
                first_beyond(&member)
            })
        }
        T::List(_) => {
            let list = array.as_list::<i32>();
            let (start, end) = (list.offsets().first()?, list.offsets().last()?);
            let (start, end) = (*start as usize, *end as usize);
            let found = first_beyond(&list.values().slice(start, end - start))?;
            let item = start + found.row;
            let ends = list.offsets().iter().skip(1);
            let row = ends.take_while(|end| **end as usize <= item).count();
            Some(Beyond { row, ..found })
        }
        T::FixedSizeList(_, length) => {
            let found = first_beyond(array.as_fixed_size_list().values())?;
            let row = found.row / usize::try_from(*length).ok()?.max(1);
            Some(Beyond { row, ..found })
        }
        T::Map(..) => {
            let map = array.as_map();
            let entries = map.entries().columns().iter();
            let found = entries.clone().find_map(first_beyond)?;
            let ends = map.offsets().iter().skip(1);
            let row = ends.take_while(|end| **end as usize <= found.row).count();
            Some(Beyond { row, ..found })
        }
        _ => None,
    }
}

/// The seconds of the first and the last moment of the calendar.
fn seconds() -> (i64, i64) {
    let (first, last) = (NaiveDateTime::MIN.and_utc(), NaiveDateTime::MAX.and_utc());
    (first.timestamp(), last.timestamp())
}

/// The values of a member where its struct is there.
fn masked(member: &ArrayRef, rows: &ArrayRef) -> Option<ArrayRef> {
    let absent = arrow::compute::is_null(rows).ok()?;
    match member.data_type().is_nested() {
        true => Some(member.clone()),
        false => arrow::compute::nullif(member, &absent).ok(),
    }
}

/// The counts of a timestamp column.
fn counts(array: &ArrayRef) -> Option<Int64Array> {
    let data = array.to_data().into_builder().data_type(DataType::Int64);
    Some(Int64Array::from(data.build().ok()?))
}

fn of<T: ArrowPrimitiveType<Native: Into<i64>>>(
    array: &ArrayRef,
    first: i64,
    last: i64,
) -> Option<Beyond> {
    let values = array.as_primitive::<T>();
    let counts = values.unary::<_, Int64Type>(Into::into);
    beyond(array, &counts, first, last)
}

fn beyond(array: &ArrayRef, counts: &Int64Array, first: i64, last: i64) -> Option<Beyond> {
    let fits = |value: i64| (first..=last).contains(&value);
    if fits(min(counts)?) && fits(max(counts)?) {
        return None;
    }
    let mut values = counts.iter().enumerate();
    values.find_map(|(row, value)| {
        let value = value.filter(|value| !fits(*value))?;
        let data_type = array.data_type().clone();
        Some(Beyond {
            row,
            value,
            data_type,
        })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ListArray, RecordBatch, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    };
    use arrow::buffer::{NullBuffer, OffsetBuffer};
    use arrow::datatypes::Field;

    use super::*;

    fn refusal(array: ArrayRef) -> Option<String> {
        let batch = RecordBatch::try_from_iter_with_nullable([("x", array, true)]).unwrap();
        let table = FeatureKey::new("a").unwrap();
        let refused = require_shown(&table, &batch, 10).err();
        refused.map(|error| error.to_string())
    }

    #[test]
    fn the_row_is_told_at_any_depth() {
        let times = vec![Some(0), None, Some(86_399_999_999), Some(86_400_000_000)];
        let times: ArrayRef = Arc::new(Time64MicrosecondArray::from(times));
        assert_eq!(refusal(times.slice(0, 3)), None);
        let said = refusal(times.clone()).unwrap();
        assert!(said.contains("in row 14"), "{said}");
        let item = Arc::new(Field::new("item", times.data_type().clone(), true));
        let offsets = OffsetBuffer::from_lengths([1, 0, 2, 1]);
        let lists: ArrayRef = Arc::new(ListArray::new(item, offsets, times.clone(), None));
        let said = refusal(lists.slice(1, 3)).unwrap();
        assert!(said.contains("in row 13"), "{said}");
        assert_eq!(refusal(lists.slice(0, 3)), None);
        let member = Arc::new(Field::new("m", times.data_type().clone(), true));
        let valid = NullBuffer::from(vec![true, true, true, false]);
        let absent = StructArray::new(vec![member].into(), vec![times], Some(valid));
        assert_eq!(refusal(Arc::new(absent)), None);
    }

    #[test]
    fn years_of_a_calendar_are_taken() {
        let (first, last) = seconds();
        let micros =
            |values: Vec<i64>| Arc::new(TimestampMicrosecondArray::from(values)) as ArrayRef;
        assert_eq!(
            refusal(micros(vec![first * 1_000_000, last * 1_000_000 + 999_999])),
            None
        );
        for value in [
            i64::MIN,
            first * 1_000_000 - 1,
            (last + 1) * 1_000_000,
            i64::MAX,
        ] {
            let said = refusal(micros(vec![0, value])).unwrap();
            assert!(said.contains("in row 12"), "{said}");
        }
    }
}
