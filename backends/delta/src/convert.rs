//! Values on their way into Parquet files and back.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int64Array, IntervalDayTimeArray,
    IntervalMonthDayNanoArray, ListArray, MapArray, RecordBatch, StructArray, make_array,
    new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Int32Type, Int64Type, IntervalDayTime, IntervalDayTimeType, IntervalMonthDayNano,
    IntervalMonthDayNanoType, IntervalUnit, Schema, SchemaRef, TimeUnit,
};
use arrow::error::ArrowError;
use metaxy_core::backend::append::value_misfit;
use metaxy_core::cast::cast_checked;
use metaxy_core::{FeatureKey, Result};

use crate::types::{StoredColumn, read_as};

/// The schema of the Parquet files of a table.
pub(crate) fn stored_schema(columns: &[StoredColumn]) -> SchemaRef {
    let fields = columns
        .iter()
        .map(|column| column.field.clone().with_data_type(column.stored.clone()));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The schema of the rows of a table.
pub(crate) fn logical_schema(columns: &[StoredColumn]) -> SchemaRef {
    let fields = columns.iter().map(|column| column.field.clone());
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// A batch with the columns of a table, as it is written to a Parquet file.
///
/// # Errors
/// [`ErrorKind::InvalidFrame`](metaxy_core::ErrorKind::InvalidFrame) that names the column if Delta cannot hold a value.
pub(crate) fn to_stored(
    table: &FeatureKey,
    batch: &RecordBatch,
    columns: &[StoredColumn],
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let arrays = columns
        .iter()
        .zip(batch.columns())
        .map(|(column, array)| {
            stored_values(array, &column.stored).map_err(|error| {
                let delta = format!("{} in Delta", column.stored);
                value_misfit(table, column.field.name(), delta, array.data_type())
                    .with_source(error)
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema.clone(), arrays)?)
}

/// A batch of a Parquet file with the columns of the table, as they were appended. Columns and members that the file lacks are null.
///
/// # Errors
/// [`ErrorKind::Internal`](metaxy_core::ErrorKind::Internal) if the file holds something else than the table's schema says.
pub(crate) fn from_stored(
    batch: &RecordBatch,
    columns: &[StoredColumn],
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let arrays = columns
        .iter()
        .map(|column| {
            let logical = column.field.data_type();
            match batch.column_by_name(column.field.name()) {
                Some(array) => {
                    let fitted = fitted(array, &read_as(&column.stored))?;
                    Ok(logical_values(&fitted, logical)?)
                }
                None => Ok(new_null_array(logical, batch.num_rows())),
            }
        })
        .collect::<Result<Vec<_>>>()?;
    let rows = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        schema.clone(),
        arrays,
        &rows,
    )?)
}

type Converted = Result<ArrayRef, ArrowError>;

/// Values in the form in which their type is stored.
pub(crate) fn stored_values(array: &ArrayRef, stored: &DataType) -> Converted {
    use DataType as T;
    if array.data_type() == stored {
        return Ok(array.clone());
    }
    match (array.data_type(), stored) {
        (T::Null, _) => Ok(new_null_array(stored, array.len())),
        (T::Interval(IntervalUnit::DayTime | IntervalUnit::MonthDayNano), _) => {
            parts_of(array, stored)
        }
        (T::Timestamp(..), T::Timestamp(..)) => micros(array, stored),
        (given, T::Int32 | T::Int64) if is_counted(given) => counted(array, stored),
        (T::Dictionary(_, value), _) => stored_values(&cast(array, value)?, stored),
        _ => convert(array, stored, &stored_values),
    }
}

/// Values as they were before they were stored.
pub(crate) fn logical_values(array: &ArrayRef, logical: &DataType) -> Converted {
    use DataType as T;
    if array.data_type() == logical {
        return Ok(array.clone());
    }
    match (array.data_type(), logical) {
        (T::Null, _) => Ok(new_null_array(logical, array.len())),
        (_, T::Null) if array.logical_null_count() < array.len() => {
            Err(ArrowError::CastError(format!(
                "there are values of type {} where none had been, written by another program",
                array.data_type()
            )))
        }
        (_, T::Null) => Ok(new_null_array(&T::Null, array.len())),
        (T::Struct(_), T::Interval(unit)) => interval_of(array.as_struct(), *unit),
        (T::Timestamp(..), T::Timestamp(unit, _)) => in_unit(array, *unit, logical),
        (T::Int32 | T::Int64, wanted) if is_counted(wanted) => counted(array, logical),
        (_, T::Dictionary(_, value)) if !matches!(array.data_type(), T::Dictionary(..)) => {
            cast(&logical_values(array, value)?, logical)
        }
        _ => convert(array, logical, &logical_values),
    }
}

/// What a file holds, in the form in which this backend would have stored it: other writers name children otherwise, and a column
/// may have become wider since.
fn fitted(array: &ArrayRef, stored: &DataType) -> Converted {
    use DataType as T;
    if array.data_type() == stored {
        return Ok(array.clone());
    }
    match (array.data_type(), stored) {
        (T::Null, _) => Ok(new_null_array(stored, array.len())),
        (T::Timestamp(TimeUnit::Microsecond, _), T::Timestamp(..)) => counted(array, stored),
        (T::Timestamp(..), T::Timestamp(..)) => {
            let micros = cast(array, &T::Timestamp(TimeUnit::Microsecond, None))?;
            counted(&micros, stored)
        }
        _ => convert(array, stored, &fitted),
    }
}

/// Types whose values are integers of the size in which they are stored.
fn is_counted(data_type: &DataType) -> bool {
    use DataType as T;
    matches!(
        data_type,
        T::Date64
            | T::Time32(_)
            | T::Time64(_)
            | T::Duration(_)
            | T::Timestamp(..)
            | T::Interval(IntervalUnit::YearMonth)
    )
}

/// The same numbers under another type: a cast would shift zoned times to their zone.
fn counted(array: &ArrayRef, target: &DataType) -> Converted {
    let data = array.to_data().into_builder().data_type(target.clone());
    Ok(make_array(data.build()?))
}

/// Times of any unit as microseconds, each of which must fit.
fn micros(array: &ArrayRef, stored: &DataType) -> Converted {
    let factor = match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => 1_000_000,
        DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000,
        _ => return counted(array, stored),
    };
    let counts = counted(array, &DataType::Int64)?;
    let scaled: Int64Array = counts.as_primitive::<Int64Type>().try_unary(|count| {
        count
            .checked_mul(factor)
            .ok_or_else(|| ArrowError::ComputeError(format!("{count} is beyond all microseconds")))
    })?;
    counted(&(Arc::new(scaled) as ArrayRef), stored)
}

fn in_unit(array: &ArrayRef, unit: TimeUnit, logical: &DataType) -> Converted {
    let factor = match unit {
        TimeUnit::Second => 1_000_000,
        TimeUnit::Millisecond => 1_000,
        _ => return counted(array, logical),
    };
    let counts = counted(array, &DataType::Int64)?;
    let scaled: Int64Array = counts
        .as_primitive::<Int64Type>()
        .unary(|count| count.div_euclid(factor));
    counted(&(Arc::new(scaled) as ArrayRef), logical)
}

fn parts_of(array: &ArrayRef, stored: &DataType) -> Converted {
    let DataType::Struct(fields) = stored else {
        return cast(array, stored);
    };
    let parts: Vec<ArrayRef> = if let Some(values) = array.as_primitive_opt::<IntervalDayTimeType>()
    {
        vec![
            Arc::new(values.unary::<_, Int32Type>(|v| v.days)),
            Arc::new(values.unary::<_, Int32Type>(|v| v.milliseconds)),
        ]
    } else {
        let values = array.as_primitive::<IntervalMonthDayNanoType>();
        vec![
            Arc::new(values.unary::<_, Int32Type>(|v| v.months)),
            Arc::new(values.unary::<_, Int32Type>(|v| v.days)),
            Arc::new(values.unary::<_, Int64Type>(|v| v.nanoseconds)),
        ]
    };
    let nulls = array.nulls().cloned();
    Ok(Arc::new(StructArray::try_new(
        fields.clone(),
        parts,
        nulls,
    )?))
}

fn interval_of(parts: &StructArray, unit: IntervalUnit) -> Converted {
    let small = |name: &str| -> Int32Array {
        let part = parts.column_by_name(name);
        part.and_then(|part| part.as_primitive_opt::<Int32Type>())
            .cloned()
            .unwrap_or_else(|| Int32Array::new_null(parts.len()))
    };
    let rows = (0..parts.len()).map(|row| parts.is_valid(row).then_some(row));
    Ok(match unit {
        IntervalUnit::DayTime => {
            let (days, millis) = (small("days"), small("milliseconds"));
            let values = rows
                .map(|row| row.map(|row| IntervalDayTime::new(days.value(row), millis.value(row))));
            Arc::new(values.collect::<IntervalDayTimeArray>())
        }
        IntervalUnit::YearMonth => counted(
            &(Arc::new(small("months")) as ArrayRef),
            &DataType::Interval(unit),
        )?,
        IntervalUnit::MonthDayNano => {
            let (months, days) = (small("months"), small("days"));
            let nanos = parts.column_by_name("nanoseconds");
            let nanos = nanos
                .and_then(|part| part.as_primitive_opt::<Int64Type>())
                .cloned();
            let nanos = nanos.unwrap_or_else(|| Int64Array::new_null(parts.len()));
            let value = |row| {
                IntervalMonthDayNano::new(months.value(row), days.value(row), nanos.value(row))
            };
            let values = rows.map(|row| row.map(value));
            Arc::new(values.collect::<IntervalMonthDayNanoArray>())
        }
    })
}

/// Converts nested values part by part with `inner`, others by a cast in which no value becomes null because it does not fit.
fn convert(
    array: &ArrayRef,
    target: &DataType,
    inner: &dyn Fn(&ArrayRef, &DataType) -> Converted,
) -> Converted {
    use DataType as T;
    let nulls = array.nulls().cloned();
    Ok(match (array.data_type(), target) {
        (T::LargeList(item) | T::FixedSizeList(item, _), T::List(_)) => {
            convert(&cast(array, &T::List(item.clone()))?, target, inner)?
        }
        (T::List(_), T::LargeList(item) | T::FixedSizeList(item, _)) => {
            cast(&convert(array, &T::List(item.clone()), inner)?, target)?
        }
        (T::List(_), T::List(item)) => {
            let list = array.as_list::<i32>();
            let values = inner(list.values(), item.data_type())?;
            let offsets = list.offsets().clone();
            Arc::new(ListArray::try_new(item.clone(), offsets, values, nulls)?)
        }
        (T::Struct(_), T::Struct(members)) => {
            let given = array.as_struct();
            let values = members
                .iter()
                .map(|member| match given.column_by_name(member.name()) {
                    Some(value) => inner(value, member.data_type()),
                    None => Ok(new_null_array(member.data_type(), given.len())),
                })
                .collect::<Result<Vec<_>, _>>()?;
            let (members, rows) = (members.clone(), given.len());
            let structs = StructArray::try_new_with_length(members, values, nulls, rows)?;
            Arc::new(structs)
        }
        (T::Map(..), T::Map(entries, sorted)) => {
            let map = array.as_map();
            let T::Struct(fields) = entries.data_type() else {
                return cast(array, target);
            };
            let pairs = map.entries().columns().iter().zip(fields);
            let values = pairs
                .map(|(value, field)| inner(value, field.data_type()))
                .collect::<Result<Vec<_>, _>>()?;
            let pairs = StructArray::try_new(fields.clone(), values, None)?;
            let offsets = map.offsets().clone();
            Arc::new(MapArray::try_new(
                entries.clone(),
                offsets,
                pairs,
                nulls,
                *sorted,
            )?)
        }
        _ => cast_checked(array, target)?,
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::*;
    use arrow::datatypes::{Field, Fields};

    use super::*;
    use crate::types::stored_as;

    #[allow(
        clippy::needless_pass_by_value,
        reason = "arrays are made where it is called"
    )]
    fn survives(array: ArrayRef) {
        let stored_type = stored_as(array.data_type()).unwrap();
        let stored = stored_values(&array, &stored_type).unwrap();
        assert_eq!(stored.data_type(), &stored_type);
        let back = fitted(&stored, &read_as(&stored_type)).unwrap();
        let back = logical_values(&back, array.data_type()).unwrap();
        assert_eq!(&back, &array, "{}", array.data_type());
    }

    #[test]
    fn values_survive() {
        let zoned = TimestampNanosecondArray::from(vec![Some(i64::MIN), None, Some(7)])
            .with_timezone("Europe/Berlin");
        let simple: Vec<ArrayRef> = vec![
            Arc::new(UInt64Array::from(vec![Some(u64::MAX), None, Some(0)])),
            Arc::new(UInt8Array::from(vec![Some(255), None, Some(0)])),
            Arc::new(Float16Array::from(vec![Some(half_of(1.5)), None, None])),
            Arc::new(Time32MillisecondArray::from(vec![Some(1), None, Some(5)])),
            Arc::new(DurationSecondArray::from(vec![
                Some(i64::MAX),
                None,
                Some(-1),
            ])),
            Arc::new(Date64Array::from(vec![Some(1), None, Some(86_400_001)])),
            Arc::new(TimestampSecondArray::from(vec![Some(-1), None, Some(9)])),
            Arc::new(zoned),
            Arc::new(NullArray::new(3)),
            Arc::new(IntervalMonthDayNanoArray::from(vec![
                Some(IntervalMonthDayNano::new(1, -2, 3)),
                None,
                Some(IntervalMonthDayNano::new(0, 0, i64::MIN)),
            ])),
            Arc::new(IntervalDayTimeArray::from(vec![
                Some(IntervalDayTime::new(1, -2)),
                None,
                None,
            ])),
            Arc::new(
                FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                    vec![Some([1_u8, 2]), None, Some([3, 4])].into_iter(),
                    2,
                )
                .unwrap(),
            ),
            Arc::new(DictionaryArray::<Int32Type>::from_iter([
                Some("a"),
                None,
                Some("b"),
            ])),
            Arc::new(StructArray::new_empty_fields(
                3,
                Some(vec![true, false, true].into()),
            )),
        ];
        for array in simple {
            survives(array.clone());
            let field = Field::new("m", array.data_type().clone(), true);
            let fields = Fields::from(vec![field]);
            let nulls = Some(vec![true, true, false].into());
            let nested = StructArray::try_new(fields, vec![array.clone()], nulls).unwrap();
            survives(Arc::new(nested));
            let item = Arc::new(Field::new("item", array.data_type().clone(), true));
            let offsets = arrow::buffer::OffsetBuffer::from_lengths([2, 0, 1]);
            let nulls = Some(vec![true, false, true].into());
            survives(Arc::new(
                ListArray::try_new(item.clone(), offsets, array.clone(), nulls).unwrap(),
            ));
            survives(Arc::new(
                FixedSizeListArray::try_new(item, 3, array, None).unwrap(),
            ));
        }
    }

    fn half_of(value: f32) -> <arrow::datatypes::Float16Type as ArrowPrimitiveType>::Native {
        let array = cast(&Float32Array::from(vec![value]), &DataType::Float16).unwrap();
        array
            .as_primitive::<arrow::datatypes::Float16Type>()
            .value(0)
    }

    #[test]
    fn times_beyond_microseconds_are_refused() {
        let array: ArrayRef = Arc::new(TimestampSecondArray::from(vec![i64::MAX]));
        let stored = stored_as(array.data_type()).unwrap();
        assert!(stored_values(&array, &stored).is_err());
    }
}
