//! Arrow types and DuckDB's: how each column is kept, and what it is when it is read.
//!
//! Of every Arrow type there is one that DuckDB gives back as it is, its *kept* form ([`stored_as`]). Where the two differ, the
//! table `metaxy.types` tells the type that it had.
//!
//! What has had no value yet inside of a list or a struct ([`DataType::Null`]) is kept as text, which DuckDB casts to every type: when the
//! first value comes, the column is altered to its type. A struct without members is the text `{}`, for the same reason.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, ListArray, MapArray, StringArray, StructArray,
    make_array, new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, FieldRef, Fields, IntervalMonthDayNano, IntervalUnit, TimeUnit,
};
use metaxy_core::cast::cast_checked;
use metaxy_core::sql::quote;
use metaxy_core::{Error, ErrorKind, Result};

/// The most digits of DuckDB's decimals.
const MOST_DIGITS: u8 = 38;

/// The form in which a type is kept; `None` if DuckDB cannot hold it.
pub(crate) fn stored_as(data_type: &DataType) -> Option<DataType> {
    use DataType as T;
    Some(match data_type {
        T::Boolean | T::Int8 | T::Int16 | T::Int32 | T::Int64 => data_type.clone(),
        T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64 => data_type.clone(),
        T::Float32 | T::Float64 | T::Utf8 | T::Binary | T::Date32 => data_type.clone(),
        T::Null => T::Boolean,
        T::Float16 => T::Float32,
        T::LargeUtf8 | T::Utf8View => T::Utf8,
        T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => T::Binary,
        T::Date64 => T::Timestamp(TimeUnit::Millisecond, None),
        T::Time32(_) | T::Time64(TimeUnit::Microsecond) => T::Time64(TimeUnit::Microsecond),
        // DuckDB's own times have microseconds.
        T::Time64(_) | T::Duration(_) => T::Int64,
        T::Timestamp(TimeUnit::Nanosecond, _) | T::Timestamp(_, None) => match data_type {
            T::Timestamp(unit, _) => T::Timestamp(*unit, None),
            _ => return None,
        },
        T::Timestamp(_, Some(_)) => T::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        T::Interval(IntervalUnit::MonthDayNano) => data_type.clone(),
        T::Decimal32(digits, scale)
        | T::Decimal64(digits, scale)
        | T::Decimal128(digits, scale)
        | T::Decimal256(digits, scale) => match u8::try_from(*scale) {
            Ok(places) if *digits <= MOST_DIGITS && places <= *digits => {
                T::Decimal128(*digits, *scale)
            }
            Ok(_) => T::Utf8,
            Err(_) => return None,
        },
        T::Dictionary(_, value) => stored_as(value)?,
        T::List(item) | T::LargeList(item) => T::List(child("item", item)?),
        T::FixedSizeList(item, size) if *size > 0 => T::FixedSizeList(child("item", item)?, *size),
        // DuckDB has no struct without members.
        T::Struct(members) if members.is_empty() => T::Utf8,
        T::Struct(members) => T::Struct(
            members
                .iter()
                .map(|member| child(member.name(), member))
                .collect::<Option<Fields>>()?,
        ),
        T::Map(entries, _) => {
            let T::Struct(pair) = entries.data_type() else {
                return None;
            };
            let (key, value) = (pair.first()?, pair.get(1)?);
            let key = Field::new("key", inner_as(key)?, false);
            let pair = Fields::from(vec![Arc::new(key), child("value", value)?]);
            T::Map(
                Arc::new(Field::new("entries", T::Struct(pair), false)),
                false,
            )
        }
        _ => return None,
    })
}

fn child(name: &str, field: &Field) -> Option<FieldRef> {
    Some(Arc::new(Field::new(name, inner_as(field)?, true)))
}

/// The form of a part of a nested type.
fn inner_as(field: &Field) -> Option<DataType> {
    match field.data_type() {
        DataType::Null => Some(DataType::Utf8),
        known => stored_as(known),
    }
}

/// The SQL of a type that is kept as it is.
pub(crate) fn sql_type(kept: &DataType) -> String {
    use DataType as T;
    match kept {
        T::Boolean => "BOOLEAN".into(),
        T::Int8 => "TINYINT".into(),
        T::Int16 => "SMALLINT".into(),
        T::Int32 => "INTEGER".into(),
        T::Int64 => "BIGINT".into(),
        T::UInt8 => "UTINYINT".into(),
        T::UInt16 => "USMALLINT".into(),
        T::UInt32 => "UINTEGER".into(),
        T::UInt64 => "UBIGINT".into(),
        T::Float32 => "FLOAT".into(),
        T::Float64 => "DOUBLE".into(),
        T::Binary => "BLOB".into(),
        T::Date32 => "DATE".into(),
        T::Time64(_) => "TIME".into(),
        T::Timestamp(TimeUnit::Second, _) => "TIMESTAMP_S".into(),
        T::Timestamp(TimeUnit::Millisecond, _) => "TIMESTAMP_MS".into(),
        T::Timestamp(TimeUnit::Nanosecond, _) => "TIMESTAMP_NS".into(),
        T::Timestamp(TimeUnit::Microsecond, None) => "TIMESTAMP".into(),
        T::Timestamp(TimeUnit::Microsecond, Some(_)) => "TIMESTAMP WITH TIME ZONE".into(),
        T::Interval(_) => "INTERVAL".into(),
        T::Decimal128(digits, scale) => format!("DECIMAL({digits}, {scale})"),
        T::List(item) => format!("{}[]", sql_type(item.data_type())),
        T::FixedSizeList(item, size) => format!("{}[{size}]", sql_type(item.data_type())),
        T::Struct(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|m| format!("{} {}", quote(m.name()), sql_type(m.data_type())))
                .collect();
            format!("STRUCT({})", members.join(", "))
        }
        T::Map(entries, _) => match entries.data_type() {
            T::Struct(pair) if pair.len() == 2 => format!(
                "MAP({}, {})",
                sql_type(pair[0].data_type()),
                sql_type(pair[1].data_type())
            ),
            _ => "VARCHAR".into(),
        },
        _ => "VARCHAR".into(),
    }
}

/// The type of a column of DuckDB, as our types have it: names of children are ours, and all may be null.
pub(crate) fn natural(given: &DataType) -> DataType {
    use DataType as T;
    match given {
        // An ENUM.
        T::Dictionary(..) => given.clone(),
        T::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            T::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        }
        T::List(item) | T::LargeList(item) => T::List(natural_child("item", item)),
        T::FixedSizeList(item, size) => T::FixedSizeList(natural_child("item", item), *size),
        T::Struct(members) => {
            T::Struct(members.iter().map(|m| natural_child(m.name(), m)).collect())
        }
        other => stored_as(other).unwrap_or_else(|| other.clone()),
    }
}

fn natural_child(name: &str, field: &Field) -> FieldRef {
    Arc::new(Field::new(name, natural(field.data_type()), true))
}

/// The kept form of a type.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if DuckDB cannot hold it.
pub(crate) fn kept(field: &Field) -> Result<DataType> {
    stored_as(field.data_type()).ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            format!(
                "column {:?} is {}, which a DuckDB store cannot keep",
                field.name(),
                field.data_type()
            ),
        )
        .with_hint("cast the column to another type before writing")
    })
}

/// Values in the form in which their type is kept.
///
/// # Errors
/// [`ErrorKind::InvalidFrame`] if DuckDB cannot hold a value.
pub(crate) fn to_kept(array: &ArrayRef, kept: &DataType) -> Result<ArrayRef> {
    use DataType as T;
    if array.data_type() == kept && !has_intervals(kept) {
        return Ok(array.clone());
    }
    match (array.data_type(), kept) {
        (T::Null, _) => Ok(new_null_array(kept, array.len())),
        (T::Struct(members), T::Utf8) if members.is_empty() => {
            let texts = (0..array.len()).map(|row| array.is_valid(row).then_some("{}"));
            Ok(Arc::new(texts.collect::<StringArray>()))
        }
        (T::Timestamp(TimeUnit::Nanosecond, _), _) | (T::Date64, _) => counted(array, kept),
        (T::Interval(_), _) => whole_micros(array),
        (T::Dictionary(_, value), _) => to_kept(&cast(array, value)?, kept),
        (T::Float16, _) => Ok(cast(array, kept)?),
        _ => convert(array, kept, &to_kept),
    }
}

/// Values as they were before they were kept, or as a result has them.
///
/// # Errors
/// [`ErrorKind::Internal`] if DuckDB gave something else than it was asked for, [`ErrorKind::Corrupt`] for values where none had been.
pub(crate) fn from_kept(array: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
    use DataType as T;
    if array.data_type() == target {
        return Ok(array.clone());
    }
    match (array.data_type(), target) {
        (_, T::Null) if array.logical_null_count() < array.len() => Err(Error::new(
            ErrorKind::Corrupt,
            "another program has written values into lists or structs of which no type is known",
        )
        .with_hint("take these rows out of the table, or alter the type of the column")),
        (_, T::Null) => Ok(new_null_array(&T::Null, array.len())),
        (T::Utf8, T::Struct(members)) if members.is_empty() => {
            let nulls = array.nulls().cloned();
            Ok(Arc::new(StructArray::new_empty_fields(array.len(), nulls)))
        }
        (T::Timestamp(..), T::Timestamp(TimeUnit::Nanosecond, _) | T::Date64) => {
            counted(array, target)
        }
        (_, T::Dictionary(_, value)) if !matches!(array.data_type(), T::Dictionary(..)) => {
            Ok(cast(&from_kept(array, value)?, target)?)
        }
        (T::Utf8, T::FixedSizeBinary(_)) => Ok(cast(array, target)?),
        _ => convert(array, target, &from_kept),
    }
}

/// Converts nested values part by part with `inner`, others by a cast.
fn convert(
    array: &ArrayRef,
    target: &DataType,
    inner: &dyn Fn(&ArrayRef, &DataType) -> Result<ArrayRef>,
) -> Result<ArrayRef> {
    use DataType as T;
    let nulls = array.nulls().cloned();
    Ok(match (array.data_type(), target) {
        (T::LargeList(item), T::List(_)) => {
            let list = cast(array, &T::List(item.clone()))?;
            convert(&list, target, inner)?
        }
        (T::List(_), T::LargeList(item)) => {
            let list = convert(array, &T::List(item.clone()), inner)?;
            cast(&list, target)?
        }
        (T::List(_), T::List(item)) => {
            let list = array.as_list::<i32>();
            let values = inner(list.values(), item.data_type())?;
            let offsets = list.offsets().clone();
            Arc::new(ListArray::try_new(item.clone(), offsets, values, nulls)?)
        }
        (T::FixedSizeList(..), T::FixedSizeList(item, size)) => {
            let list = array.as_fixed_size_list();
            let values = inner(list.values(), item.data_type())?;
            Arc::new(FixedSizeListArray::try_new(
                item.clone(),
                *size,
                values,
                nulls,
            )?)
        }
        (T::Struct(_), T::Struct(members)) => {
            let given = array.as_struct();
            let values = members
                .iter()
                .enumerate()
                .map(|(i, member)| {
                    // By name where names are told apart, as DuckDB does not ignore their order.
                    let value = given.column_by_name(member.name());
                    let value = value.or_else(|| given.columns().get(i));
                    match value {
                        Some(value) => inner(value, member.data_type()),
                        None => Ok(new_null_array(member.data_type(), given.len())),
                    }
                })
                .collect::<Result<Vec<_>>>()?;
            Arc::new(StructArray::try_new(members.clone(), values, nulls)?)
        }
        (T::Map(..), T::Map(entries, sorted)) => {
            let map = array.as_map();
            let pairs: ArrayRef = Arc::new(map.entries().clone());
            let T::Struct(fields) = entries.data_type() else {
                return Ok(cast(array, target)?);
            };
            let columns = pairs.as_struct().columns();
            let values = columns
                .iter()
                .zip(fields)
                .map(|(value, field)| inner(value, field.data_type()))
                .collect::<Result<Vec<_>>>()?;
            let pairs = StructArray::try_new(fields.clone(), values, None)?;
            let offsets = map.offsets().clone();
            let map = MapArray::try_new(entries.clone(), offsets, pairs, nulls, *sorted)?;
            Arc::new(map)
        }
        // Their counts are what is kept.
        (T::Duration(_) | T::Time64(TimeUnit::Nanosecond), T::Int64)
        | (T::Int64, T::Duration(_) | T::Time64(TimeUnit::Nanosecond)) => counted(array, target)?,
        _ => cast_fitting(array, target)?,
    })
}

/// A cast in which no value becomes null because it does not fit.
fn cast_fitting(array: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
    cast_checked(array, target).map_err(|source| {
        let given = array.data_type();
        Error::new(
            ErrorKind::InvalidFrame,
            format!(
                "a value of type {given} does not fit {target}, the type that DuckDB has for it"
            ),
        )
        .with_hint("correct the value, or cast the column to another type; nothing was written")
        .with_source(source)
    })
}

/// The same numbers of 64 bits under another type: a cast would shift zoned times to their zone.
fn counted(array: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
    let data = array.to_data().into_builder().data_type(target.clone());
    Ok(make_array(data.build()?))
}

fn has_intervals(data_type: &DataType) -> bool {
    has(data_type, &|part| matches!(part, DataType::Interval(_)))
}

/// Whether a type, or one that is somewhere within it, is such.
fn has(data_type: &DataType, is_such: &dyn Fn(&DataType) -> bool) -> bool {
    let within = |field: &FieldRef| has(field.data_type(), is_such);
    is_such(data_type)
        || match data_type {
            DataType::List(item) | DataType::FixedSizeList(item, _) | DataType::Map(item, _) => {
                within(item)
            }
            DataType::Struct(members) => members.iter().any(within),
            _ => false,
        }
}

/// Intervals as texts that DuckDB reads, since its crate appends those that are null as zero.
///
/// # Errors
/// [`ErrorKind::Internal`] if the values do not make an array.
pub(crate) fn intervals_as_text(array: &ArrayRef) -> Result<ArrayRef> {
    if !has_intervals(array.data_type()) {
        return Ok(array.clone());
    }
    if let Some(intervals) = array.as_primitive_opt::<arrow::datatypes::IntervalMonthDayNanoType>()
    {
        let text = |i: IntervalMonthDayNano| {
            let micros = i.nanoseconds / 1_000;
            format!("{} months {} days {micros} microseconds", i.months, i.days)
        };
        let texts = intervals.iter().map(|interval| interval.map(text));
        return Ok(Arc::new(texts.collect::<StringArray>()));
    }
    convert(array, &with_text(array.data_type()), &|inner, _| {
        intervals_as_text(inner)
    })
}

/// Lists of a fixed size whose items are lists, or hold some, with nothing below those that are null: DuckDB gives what lies there to the rows
/// that follow.
///
/// # Errors
/// [`ErrorKind::Internal`] if the values do not make an array.
pub(crate) fn nothing_below_nulls(array: &ArrayRef) -> Result<ArrayRef> {
    if !has_lists_in_fixed(array.data_type()) {
        return Ok(array.clone());
    }
    let below = |inner: &ArrayRef, _: &DataType| nothing_below_nulls(inner);
    let array = match array.nulls() {
        Some(nulls) if matches!(array.data_type(), DataType::FixedSizeList(..)) => {
            with_nulls(array, nulls)?
        }
        _ => array.clone(),
    };
    convert(&array, array.data_type(), &below)
}

/// Whether there are lists of a fixed size that hold lists.
fn has_lists_in_fixed(data_type: &DataType) -> bool {
    let is_list = |part: &DataType| matches!(part, DataType::List(_) | DataType::Map(..));
    has(data_type, &|part| match part {
        DataType::FixedSizeList(item, _) => has(item.data_type(), &is_list),
        _ => false,
    })
}

/// The array with these nulls as well, down to what lies side by side with its rows.
fn with_nulls(array: &ArrayRef, nulls: &NullBuffer) -> Result<ArrayRef> {
    let own = NullBuffer::union(array.nulls(), Some(nulls));
    Ok(match array.data_type() {
        DataType::FixedSizeList(item, size) => {
            let list = array.as_fixed_size_list();
            let each = usize::try_from(*size).unwrap_or_default();
            let values = with_nulls(list.values(), &nulls.expand(each))?;
            Arc::new(FixedSizeListArray::try_new_with_length(
                item.clone(),
                *size,
                values,
                own,
                array.len(),
            )?)
        }
        DataType::Struct(members) if !members.is_empty() => {
            let columns = array.as_struct().columns().iter();
            let columns = columns.map(|column| with_nulls(column, nulls));
            let columns = columns.collect::<Result<_>>()?;
            Arc::new(StructArray::try_new(members.clone(), columns, own)?)
        }
        _ => make_array(array.to_data().into_builder().nulls(own).build()?),
    })
}

/// The type with text in place of intervals.
fn with_text(data_type: &DataType) -> DataType {
    use DataType as T;
    let inner = |field: &FieldRef| -> FieldRef {
        let data_type = with_text(field.data_type());
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    };
    match data_type {
        T::Interval(_) => T::Utf8,
        T::List(item) => T::List(inner(item)),
        T::FixedSizeList(item, size) => T::FixedSizeList(inner(item), *size),
        T::Struct(members) => T::Struct(members.iter().map(inner).collect()),
        T::Map(entries, sorted) => T::Map(inner(entries), *sorted),
        other => other.clone(),
    }
}

/// DuckDB's intervals count microseconds.
fn whole_micros(array: &ArrayRef) -> Result<ArrayRef> {
    let intervals = array.as_primitive::<arrow::datatypes::IntervalMonthDayNanoType>();
    match intervals
        .iter()
        .flatten()
        .find(|i| i.nanoseconds % 1_000 != 0)
    {
        None => Ok(array.clone()),
        Some(interval) => Err(Error::new(
            ErrorKind::InvalidFrame,
            format!(
                "the interval {interval:?} has fractions of a microsecond, which DuckDB cannot keep"
            ),
        )
        .with_hint("round intervals to microseconds; nothing was written")),
    }
}
