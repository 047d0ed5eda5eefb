//! Which Arrow types cross to Polars, and what they become there.
//!
//! Polars has fewer types than Arrow. A column crosses as the type that holds the same values, and gets its own type back on its way out:
//! text and lists have one layout, a time of day counts nanoseconds, a zoned time is UTC, a map is a list of its entries.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use metaxy_core::{Error, ErrorKind, Result};

/// The type as which a column of `data_type` crosses to Polars.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if Polars has none that holds its values.
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
        T::Duration(TimeUnit::Second) => T::Duration(TimeUnit::Millisecond),
        T::Decimal32(precision, scale) | T::Decimal64(precision, scale) => {
            T::Decimal128(*precision, *scale)
        }
        T::Decimal128(_, scale) if *scale < 0 => return Err(refused(data_type)),
        T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) => {
            T::LargeList(member(item)?)
        }
        T::Map(entries, _) => T::LargeList(member(entries)?),
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
        | T::Duration(_)
        | T::Decimal128(..) => data_type.clone(),
        other => return Err(refused(other)),
    })
}

/// The zone of all times with a zone inside Polars: whatever it is called, the count is UTC's.
pub(crate) const UTC: &str = "UTC";

fn member(field: &FieldRef) -> Result<FieldRef> {
    let data_type = crossing(field.data_type())?;
    Ok(Arc::new(Field::new(field.name(), data_type, true)))
}

fn refused(data_type: &DataType) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("the Polars engine has no type for columns of type {data_type}"),
    )
    .with_hint("leave the column out of what is read, or use a store whose own engine knows the type (`versioning_engine = \"native\"`)")
}
