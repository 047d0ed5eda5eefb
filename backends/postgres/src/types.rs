//! Arrow types and PostgreSQL's: how each column is kept, and what it is when it is read.
//!
//! Of every Arrow type there is one that a column of PostgreSQL gives back as it is ([`natural`]). Where the two differ, a comment on the
//! column tells the type that it had.
//!
//! Lists of what has had no value yet ([`DataType::Null`]) are arrays of `boolean`, all of whose items are null. When the first value comes,
//! the column is altered to the type that this needs ([`Kept::altered`]). Other nested values are JSON, which has no types.

use arrow::datatypes::{DataType, Field, TimeUnit};
use metaxy_core::backend::append::stamp_type;
use metaxy_core::nested::json_holds;
use metaxy_core::{Error, ErrorKind, Result};

/// The most digits of a `numeric` that is declared with a number of them.
const MOST_DIGITS: u8 = 76;

/// How a column is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kept {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Text,
    Bytes,
    Date,
    Time,
    /// Microseconds without a zone.
    Timestamp,
    /// Microseconds, UTC.
    Timestamptz,
    /// Digits and places, where they are fixed.
    Numeric(Option<(u8, u8)>),
    /// Nested values.
    Jsonb,
    /// Maps: `jsonb` would drop keys that are there twice.
    Json,
    Array(Box<Kept>),
}

impl Kept {
    /// How a type is kept; `None` if PostgreSQL cannot hold it.
    pub(crate) fn of(data_type: &DataType) -> Option<Self> {
        use DataType as T;
        Some(match data_type {
            T::Boolean | T::Null => Self::Bool,
            T::Int8 | T::Int16 | T::UInt8 => Self::Int2,
            T::Int32 | T::UInt16 => Self::Int4,
            T::Int64 | T::UInt32 => Self::Int8,
            T::UInt64 => Self::Numeric(Some((20, 0))),
            T::Float16 | T::Float32 => Self::Float4,
            T::Float64 => Self::Float8,
            T::Utf8 | T::LargeUtf8 | T::Utf8View => Self::Text,
            T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => Self::Bytes,
            T::Date32 => Self::Date,
            T::Date64 => Self::Timestamp,
            T::Time32(_) | T::Time64(TimeUnit::Microsecond) => Self::Time,
            // PostgreSQL's own times have microseconds.
            T::Time64(_) | T::Duration(_) | T::Timestamp(TimeUnit::Nanosecond, _) => Self::Int8,
            T::Timestamp(_, None) => Self::Timestamp,
            T::Timestamp(_, Some(_)) => Self::Timestamptz,
            T::Decimal32(digits, scale)
            | T::Decimal64(digits, scale)
            | T::Decimal128(digits, scale)
            | T::Decimal256(digits, scale) => match u8::try_from(*scale) {
                Ok(places) if places <= *digits && *digits <= MOST_DIGITS => {
                    Self::Numeric(Some((*digits, places)))
                }
                Ok(_) => Self::Numeric(None),
                // What is cut off before the point would have to be told apart from zeros.
                Err(_) => return None,
            },
            T::Dictionary(_, value) => Self::of(value)?,
            T::List(item) => match Self::of(item.data_type())? {
                Self::Array(_) | Self::Jsonb | Self::Json => Self::json(data_type)?,
                item => Self::Array(Box::new(item)),
            },
            nested if nested.is_nested() => Self::json(nested)?,
            _ => return None,
        })
    }

    /// The kind of JSON that a nested type is kept as.
    fn json(nested: &DataType) -> Option<Self> {
        json_holds(nested).then(|| match has_maps(nested) {
            true => Self::Json,
            false => Self::Jsonb,
        })
    }

    /// The SQL of the type, as the reference declares it where it has one.
    pub(crate) fn sql(&self) -> String {
        match self {
            Self::Bool => "boolean".into(),
            Self::Int2 => "smallint".into(),
            Self::Int4 => "integer".into(),
            Self::Int8 => "bigint".into(),
            Self::Float4 => "real".into(),
            Self::Float8 => "double precision".into(),
            Self::Text => "varchar".into(),
            Self::Bytes => "bytea".into(),
            Self::Date => "date".into(),
            Self::Time => "time".into(),
            Self::Timestamp => "timestamp".into(),
            Self::Timestamptz => "timestamptz".into(),
            Self::Numeric(None) => "numeric".into(),
            Self::Numeric(Some((digits, places))) => format!("numeric({digits},{places})"),
            Self::Jsonb => "jsonb".into(),
            Self::Json => "json".into(),
            Self::Array(item) => format!("{}[]", item.sql()),
        }
    }

    /// The values of a column `column` that is kept so as `other`, in SQL; `None` if they cannot become that without loss. Arrays become
    /// others only where their items are null.
    pub(crate) fn altered(&self, other: &Self, column: &str) -> Option<String> {
        let sql = other.sql();
        match (self, other) {
            (Self::Array(item), Self::Array(_)) if **item == Self::Bool => {
                Some(format!("{column}::text::{sql}"))
            }
            (Self::Array(_), Self::Jsonb) => Some(format!("to_jsonb({column})")),
            (Self::Array(_), Self::Json) => Some(format!("to_json({column})")),
            (Self::Jsonb, Self::Json) => Some(format!("{column}::json")),
            _ => None,
        }
    }

    /// The number of the type as an item of arrays.
    pub(crate) fn oid(&self) -> u32 {
        match self {
            Self::Bool => 16,
            Self::Int2 => 21,
            Self::Int4 => 23,
            Self::Int8 => 20,
            Self::Float4 => 700,
            Self::Float8 => 701,
            Self::Text => 1043,
            Self::Bytes => 17,
            Self::Date => 1082,
            Self::Time => 1083,
            Self::Timestamp => 1114,
            Self::Timestamptz => 1184,
            Self::Numeric(_) => 1700,
            Self::Json => 114,
            Self::Jsonb | Self::Array(_) => 3802,
        }
    }
}

/// How a column is kept.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if PostgreSQL cannot hold it.
pub(crate) fn kept(field: &Field) -> Result<Kept> {
    Kept::of(field.data_type()).ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            format!(
                "column {:?} is {}, which a PostgreSQL store cannot keep",
                field.name(),
                field.data_type()
            ),
        )
        .with_hint("cast the column to another type before writing")
    })
}

fn has_maps(data_type: &DataType) -> bool {
    use DataType as T;
    match data_type {
        T::Map(..) => true,
        T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) => {
            has_maps(item.data_type())
        }
        T::Struct(members) => members.iter().any(|member| has_maps(member.data_type())),
        _ => false,
    }
}

/// What a column of PostgreSQL is, as the catalog tells its type (`format_type`); `None` for a type that is read as its text.
pub(crate) fn natural(declared: &str) -> Option<DataType> {
    if let Some(item) = declared.strip_suffix("[]") {
        let item = natural(item)?;
        return (!matches!(item, DataType::List(_)))
            .then(|| DataType::List(std::sync::Arc::new(Field::new("item", item, true))));
    }
    let (name, modifier) = match (declared.find('('), declared.find(')')) {
        (Some(open), Some(close)) if open < close => (
            format!("{}{}", &declared[..open], &declared[close + 1..]),
            Some(&declared[open + 1..close]),
        ),
        _ => (declared.to_owned(), None),
    };
    Some(match name.as_str() {
        "boolean" => DataType::Boolean,
        "smallint" => DataType::Int16,
        "integer" => DataType::Int32,
        "bigint" => DataType::Int64,
        "real" => DataType::Float32,
        "double precision" => DataType::Float64,
        "text" | "character varying" => DataType::Utf8,
        "bytea" => DataType::Binary,
        "date" => DataType::Date32,
        "time without time zone" => DataType::Time64(TimeUnit::Microsecond),
        "timestamp without time zone" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamp with time zone" => stamp_type(),
        "numeric" => {
            let (digits, places) = modifier?.split_once(',')?;
            let (digits, places): (u8, u8) = (digits.parse().ok()?, places.parse().ok()?);
            match digits {
                1..=38 if places <= digits => {
                    DataType::Decimal128(digits, i8::try_from(places).ok()?)
                }
                39..=MOST_DIGITS if places <= digits => {
                    DataType::Decimal256(digits, i8::try_from(places).ok()?)
                }
                _ => return None,
            }
        }
        _ => return None,
    })
}

/// Whether the catalog's type is one in which JSON is kept.
pub(crate) fn is_json(declared: &str) -> bool {
    matches!(declared, "json" | "jsonb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_reference_declares_is_known() {
        let known = |declared| natural(declared).map(|found| found.to_string());
        assert_eq!(known("character varying").as_deref(), Some("Utf8"));
        assert_eq!(
            known("timestamp(6) with time zone"),
            natural("timestamp with time zone").map(|t| t.to_string())
        );
        assert_eq!(
            natural("timestamp(3) without time zone"),
            Some(DataType::Timestamp(TimeUnit::Microsecond, None))
        );
        assert_eq!(natural("numeric(10,2)"), Some(DataType::Decimal128(10, 2)));
        assert_eq!(natural("numeric"), None);
        assert_eq!(natural("uuid"), None);
        assert!(
            matches!(natural("bigint[]"), Some(DataType::List(item)) if item.data_type() == &DataType::Int64)
        );
    }

    #[test]
    fn what_is_kept_comes_back_as_it_is_or_is_noted() {
        for data_type in [
            DataType::Int64,
            DataType::Utf8,
            DataType::Boolean,
            DataType::Date32,
            DataType::Decimal128(12, 3),
        ] {
            let kept = Kept::of(&data_type).unwrap();
            let declared = match kept.sql().as_str() {
                "varchar" => "character varying".to_owned(),
                other => other.to_owned(),
            };
            assert_eq!(natural(&declared), Some(data_type));
        }
    }
}
