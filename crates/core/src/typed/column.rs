//! Types of columns, and the JSON schema that says the same.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};

use crate::backend::append::stamp_type;
use crate::json::Json;

/// A Rust type that is the type of a column. `#[derive(ColumnType)]` makes a nested struct one.
///
/// | Rust | Arrow |
/// |---|---|
/// | `bool`, `i8`…`i64`, `u8`…`u64`, `f32`, `f64` | the same |
/// | `String`, `char` | `Utf8` |
/// | `Option<T>` | that of `T`, may be null |
/// | `Vec<T>` | `List` |
/// | `Box<T>` | that of `T` |
/// | `chrono::DateTime<Utc>` | `Timestamp`, microseconds, UTC |
/// | `chrono::NaiveDateTime`, `NaiveDate`, `NaiveTime` | `Timestamp` in microseconds without zone, `Date32`, `Time64` in microseconds |
///
/// Types of chrono need its feature `serde`. Another type is a column when it says which one its serde form fits; an enum without
/// data, for one, is text:
///
/// ```
/// use metaxy_core::typed::{ColumnType, DataType};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// enum Codec { H264, Av1 }
///
/// impl ColumnType for Codec {
///     fn data_type() -> DataType {
///         DataType::Utf8
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the type of a column",
    note = "for a nested struct: `#[derive(ColumnType)]`"
)]
pub trait ColumnType {
    /// Whether the column may be null.
    const NULLABLE: bool = false;

    /// The type of the column.
    fn data_type() -> DataType;
}

/// The column `name` of the type `T`.
#[must_use]
pub fn column<T: ColumnType>(name: &str) -> Field {
    Field::new(name, T::data_type(), T::NULLABLE)
}

/// A schema of these columns.
#[must_use]
pub fn schema_of(columns: impl IntoIterator<Item = Field>) -> SchemaRef {
    Arc::new(Schema::new(columns.into_iter().collect::<Vec<_>>()))
}

/// The type of a nested struct with these members.
#[must_use]
pub fn struct_of(members: impl IntoIterator<Item = Field>) -> DataType {
    DataType::Struct(members.into_iter().collect())
}

/// The JSON schema of rows with these columns: an object named `title` with a property per column, in their order. A column that may
/// be null is not required, and `anyOf` its type and `null`. System columns are no part of it.
///
/// ```
/// use arrow::datatypes::{DataType, Field, Schema};
/// use metaxy_core::typed::json_schema;
/// let columns = Schema::new(vec![
///     Field::new("id", DataType::Int64, false),
///     Field::new("path", DataType::Utf8, true),
/// ]);
/// assert_eq!(
///     json_schema("Video", &columns).to_compact(),
///     r#"{"properties":{"id":{"type":"integer"},"path":{"anyOf":[{"type":"string"},{"type":"null"}]}},"required":["id"],"title":"Video","type":"object"}"#,
/// );
/// ```
#[must_use]
pub fn json_schema(title: &str, columns: &Schema) -> Json {
    object(Some(title), columns.fields().iter().map(Arc::as_ref))
}

fn object<'a>(title: Option<&str>, columns: impl Iterator<Item = &'a Field> + Clone) -> Json {
    let properties = columns.clone().map(|c| (c.name().as_str(), value(c)));
    let required = columns.filter(|c| !c.is_nullable());
    let mut members = vec![
        ("properties", Json::object(properties)),
        ("required", required.map(|c| c.name().as_str()).collect()),
    ];
    members.extend(title.map(|title| ("title", Json::from(title))));
    members.push(("type", "object".into()));
    Json::object(members)
}

fn value(column: &Field) -> Json {
    let of = typed(column.data_type());
    match column.is_nullable() {
        false => of,
        true => Json::object([("anyOf", vec![of, named("null")].into())]),
    }
}

fn typed(data_type: &DataType) -> Json {
    let format = |format: &str| {
        Json::object([
            ("format", Json::from(format)),
            ("type", Json::from("string")),
        ])
    };
    match data_type {
        DataType::Null => named("null"),
        DataType::Boolean => named("boolean"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => named("string"),
        DataType::Timestamp(..) => format("date-time"),
        DataType::Date32 | DataType::Date64 => format("date"),
        DataType::Time32(_) | DataType::Time64(_) => format("time"),
        DataType::Duration(_) => format("duration"),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => {
            Json::object([("items", value(item)), ("type", "array".into())])
        }
        DataType::Struct(members) => object(None, members.iter().map(Arc::as_ref)),
        DataType::Dictionary(_, values) => typed(values),
        other if other.is_integer() => named("integer"),
        other if other.is_numeric() => named("number"),
        // Whatever else there is can be anything.
        _ => Json::Object(Default::default()),
    }
}

fn named(name: &str) -> Json {
    Json::object([("type", Json::from(name))])
}

macro_rules! columns {
    ($($rust:ty => $arrow:expr;)*) => {$(
        impl ColumnType for $rust {
            fn data_type() -> DataType {
                $arrow
            }
        }
    )*};
}
columns! {
    bool => DataType::Boolean;
    i8 => DataType::Int8;
    i16 => DataType::Int16;
    i32 => DataType::Int32;
    i64 => DataType::Int64;
    u8 => DataType::UInt8;
    u16 => DataType::UInt16;
    u32 => DataType::UInt32;
    u64 => DataType::UInt64;
    f32 => DataType::Float32;
    f64 => DataType::Float64;
    char => DataType::Utf8;
    String => DataType::Utf8;
    DateTime<Utc> => stamp_type();
    NaiveDateTime => DataType::Timestamp(TimeUnit::Microsecond, None);
    NaiveDate => DataType::Date32;
    NaiveTime => DataType::Time64(TimeUnit::Microsecond);
}

impl<T: ColumnType> ColumnType for Option<T> {
    const NULLABLE: bool = true;

    fn data_type() -> DataType {
        T::data_type()
    }
}

impl<T: ColumnType> ColumnType for Vec<T> {
    fn data_type() -> DataType {
        DataType::List(Arc::new(column::<T>("item")))
    }
}

impl<T: ColumnType> ColumnType for Box<T> {
    const NULLABLE: bool = T::NULLABLE;

    fn data_type() -> DataType {
        T::data_type()
    }
}
