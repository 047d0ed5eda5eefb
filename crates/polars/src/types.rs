//! Which Arrow types cross to Polars, and what they become there.
//!
//! Polars has fewer types than Arrow. A column crosses as the type that holds the same values, and gets its own type back on its way out:
//! text and lists have one layout, a time of day counts nanoseconds, a zoned time is UTC, a map is a list of its entries, a struct
//! without members says whether it is there, items and members that wait for their type ([`Null`](DataType::Null)) are truth values. Values of types that Polars has nothing like, such as intervals, durations in seconds,
//! decimals of more than 38 digits and unions, are [carried](is_carried) through it as bytes.

use std::sync::Arc;

use arrow::array::new_empty_array;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use arrow::row::{RowConverter, SortField};
use metaxy_core::{Error, ErrorKind, Result};

/// The type as which a column of `data_type` crosses to Polars.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if Polars has none that holds its values, and they cannot be carried as bytes.
pub(crate) fn crossing(data_type: &DataType) -> Result<DataType> {
    use DataType as T;
    Ok(match data_type {
        T::Utf8 | T::LargeUtf8 | T::Utf8View => T::Utf8View,
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => T::BinaryView,
        T::Float16 => T::Float32,
        T::Date64 | T::Timestamp(TimeUnit::Second, None) => {
            T::Timestamp(TimeUnit::Millisecond, None)
        }
        T::Timestamp(unit, zone) => {
            let unit = match unit {
                TimeUnit::Second => TimeUnit::Millisecond,
                unit => *unit,
            };
            T::Timestamp(unit, zone.as_ref().map(|_| UTC.into()))
        }
        T::Time32(_) | T::Time64(_) => T::Time64(TimeUnit::Nanosecond),
        T::Decimal32(precision, scale) | T::Decimal64(precision, scale) if *scale >= 0 => {
            T::Decimal128(*precision, *scale)
        }
        T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) => {
            T::LargeList(member(item)?)
        }
        T::Map(entries, _) => T::LargeList(member(entries)?),
        T::Struct(members) if members.is_empty() => T::Boolean,
        T::Struct(members) => T::Struct(members.iter().map(member).collect::<Result<Fields>>()?),
        T::Dictionary(_, values) => crossing(values)?,
        T::Null
        | T::Boolean
        | T::Int8
        | T::Int16
        | T::Int32
        | T::Int64
        | T::UInt8
        | T::UInt16
        | T::UInt32
        | T::UInt64
        | T::Float32
        | T::Float64
        | T::Date32
        | T::Duration(TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond) => {
            data_type.clone()
        }
        T::Decimal128(_, scale) if *scale >= 0 => data_type.clone(),
        other if can_be_carried(other) => T::BinaryView,
        other => return Err(refused(other)),
    })
}

/// Whether Polars has nothing like values of this type. They are carried as the bytes of Arrow's rows, which are equal and in order
/// where the values are.
pub(crate) fn is_carried(data_type: &DataType) -> bool {
    use DataType as T;
    match data_type {
        T::Decimal32(_, scale) | T::Decimal64(_, scale) | T::Decimal128(_, scale) => *scale < 0,
        T::Decimal256(..)
        | T::Interval(_)
        // As many milliseconds may be too many.
        | T::Duration(TimeUnit::Second)
        | T::Union(..)
        | T::RunEndEncoded(..)
        | T::ListView(_)
        | T::LargeListView(_) => true,
        _ => false,
    }
}

/// Whether the bytes of such values can be told back.
fn can_be_carried(data_type: &DataType) -> bool {
    let back = || {
        let rows = RowConverter::new(vec![SortField::new(data_type.clone())])?;
        let none = rows.convert_columns(&[new_empty_array(data_type)])?;
        rows.convert_rows(&none)
    };
    is_carried(data_type)
        && back().is_ok_and(|back| back.iter().all(|array| array.data_type() == data_type))
}

/// Frames for users have no columns of bytes that only this crate can read.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a type that Polars has nothing like.
pub(crate) fn require_likeness(schema: &Schema) -> Result<()> {
    fn carried(data_type: &DataType) -> Option<&DataType> {
        use DataType as T;
        match data_type {
            T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) | T::Map(item, _) => {
                carried(item.data_type())
            }
            T::Struct(members) => members.iter().find_map(|m| carried(m.data_type())),
            T::Dictionary(_, values) => carried(values),
            T::Duration(_) => None,
            other => is_carried(other).then_some(other),
        }
    }
    let found = schema.fields().iter().find_map(|f| carried(f.data_type()));
    found.map_or(Ok(()), |data_type| Err(refused(data_type)))
}

/// The type in which users see a column that is carried for the sake of its greatest values: durations in seconds are milliseconds.
pub(crate) fn shown_as(data_type: &DataType) -> DataType {
    use DataType as T;
    let seen = |field: &FieldRef| {
        Arc::new(
            field
                .as_ref()
                .clone()
                .with_data_type(shown_as(field.data_type())),
        )
    };
    match data_type {
        T::Duration(TimeUnit::Second) => T::Duration(TimeUnit::Millisecond),
        T::List(item) => T::List(seen(item)),
        T::LargeList(item) => T::LargeList(seen(item)),
        T::FixedSizeList(item, length) => T::FixedSizeList(seen(item), *length),
        T::Map(entries, sorted) => T::Map(seen(entries), *sorted),
        T::Struct(members) => T::Struct(members.iter().map(seen).collect()),
        T::Dictionary(keys, values) => T::Dictionary(keys.clone(), Box::new(shown_as(values))),
        other => other.clone(),
    }
}

/// The zone of all times with a zone inside Polars: whatever it is called, the count is UTC's.
pub(crate) const UTC: &str = "UTC";

fn member(field: &FieldRef) -> Result<FieldRef> {
    let data_type = match field.data_type() {
        DataType::Null => DataType::Boolean,
        known => crossing(known)?,
    };
    Ok(Arc::new(Field::new(field.name(), data_type, true)))
}

fn refused(data_type: &DataType) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("Polars has no type for values of type {data_type}"),
    )
    .with_hint("leave the column out of what is read, or use a store whose own engine knows the type (`versioning_engine = \"native\"`)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_polars_lacks_is_carried_and_not_shown() {
        let huge = DataType::Decimal256(60, 5);
        assert_eq!(crossing(&huge).unwrap(), DataType::BinaryView);
        let nested = DataType::Struct(vec![Field::new("x", huge, true)].into());
        let schema = Schema::new(vec![Field::new("outer", nested, true)]);
        let error = require_likeness(&schema).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("Decimal256"), "{error}");
        let simple = Schema::new(vec![Field::new("x", DataType::Float16, true)]);
        require_likeness(&simple).unwrap();
    }

    #[test]
    fn users_see_durations_in_seconds_as_durations() {
        let seconds = DataType::Duration(TimeUnit::Second);
        let lists = DataType::List(Arc::new(Field::new_list_field(seconds, true)));
        let item = Field::new_list_field(DataType::Duration(TimeUnit::Millisecond), true);
        assert_eq!(shown_as(&lists), DataType::List(Arc::new(item)));
        require_likeness(&Schema::new(vec![Field::new("x", lists, true)])).unwrap();
    }
}
