//! Arrow types and Delta's: how each column is kept, and what it is when it is read.
//!
//! Every Arrow type has a *stored* form, an Arrow type that Delta has a type of its own for and that loses nothing. Every Delta type
//! has a *natural* Arrow type. Where a column's type is not the natural one of its stored form, the column's metadata in the Delta
//! schema tell the type that it had, under [`ARROW_TYPE`]; other programs leave them alone.
//!
//! What has had no value yet ([`DataType::Null`]: items of empty lists, members that were always null) is `string` in the Delta schema, and
//! in Parquet a column of nulls, which has every type: when the first value comes, a new schema names its type, and files that are there
//! stay as they are. A struct without members has one of this kind, [`NO_MEMBER`], as neither Delta nor Parquet has such structs.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, IntervalUnit, Schema, TimeUnit};
use metaxy_core::backend::append::stamp_type;
use metaxy_core::{Error, ErrorKind, FeatureKey, Result};
use serde_json::{Value, json};

/// The key in a Delta field's metadata: the Arrow type of the column, as JSON.
pub(crate) const ARROW_TYPE: &str = "metaxy.arrow_type";

/// The member of a struct that has none. It is always null.
const NO_MEMBER: &str = "metaxy_no_member";

/// The most digits of Delta's decimals.
const MOST_DIGITS: u8 = 38;

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredColumn {
    /// Name and type as they were appended.
    pub(crate) field: Field,
    /// The type in the Parquet files, as this backend writes them. Other writers may give lists and maps other names of children, and the
    /// type of [`read_as`] to what is Null here.
    pub(crate) stored: DataType,
}

impl StoredColumn {
    /// How a column that is appended is kept.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if Delta cannot hold it.
    pub(crate) fn of(field: &Field) -> Result<Self> {
        let stored = stored_as(field.data_type()).ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                format!(
                    "column {:?} is {}, which a Delta store cannot keep",
                    field.name(),
                    field.data_type()
                ),
            )
            .with_hint("cast the column to another type before writing")
        })?;
        Ok(Self {
            field: Field::new(field.name(), field.data_type().clone(), true),
            stored,
        })
    }

    /// All columns of a schema.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] that names the first column that Delta cannot hold.
    pub(crate) fn all(schema: &Schema) -> Result<Vec<Self>> {
        schema
            .fields()
            .iter()
            .map(|field| Self::of(field))
            .collect()
    }
}

/// The form in which a type is stored; `None` if Delta cannot hold it.
pub(crate) fn stored_as(data_type: &DataType) -> Option<DataType> {
    use DataType as T;
    Some(match data_type {
        T::Boolean | T::Int8 | T::Int16 | T::Int32 | T::Int64 => data_type.clone(),
        T::Float32 | T::Float64 | T::Utf8 | T::Binary | T::Date32 => data_type.clone(),
        T::Null => T::Null,
        T::Float16 => T::Float32,
        T::UInt8 => T::Int16,
        T::UInt16 => T::Int32,
        T::UInt32 => T::Int64,
        T::UInt64 => T::Decimal128(20, 0),
        T::LargeUtf8 | T::Utf8View => T::Utf8,
        T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => T::Binary,
        T::Time32(_) | T::Interval(IntervalUnit::YearMonth) => T::Int32,
        T::Date64 | T::Time64(_) | T::Duration(_) => T::Int64,
        T::Timestamp(TimeUnit::Nanosecond, _) => T::Int64,
        T::Timestamp(_, None) => T::Timestamp(TimeUnit::Microsecond, None),
        T::Timestamp(_, Some(_)) => stamp_type(),
        T::Interval(unit) => T::Struct(interval_parts(*unit)),
        T::Decimal32(digits, scale)
        | T::Decimal64(digits, scale)
        | T::Decimal128(digits, scale)
        | T::Decimal256(digits, scale) => match u8::try_from(*scale) {
            Ok(places) if *digits <= MOST_DIGITS && places <= *digits => {
                T::Decimal128(*digits, *scale)
            }
            // All its digits as text.
            Ok(_) => T::Utf8,
            Err(_) => return None,
        },
        T::Dictionary(_, value) => stored_as(value)?,
        T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) => {
            T::List(child("item", item)?)
        }
        T::Struct(members) if members.is_empty() => {
            T::Struct(vec![Field::new(NO_MEMBER, T::Null, true)].into())
        }
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
            map_of(
                stored_as(key.data_type())?,
                stored_as(value.data_type())?,
                "key_value",
            )
        }
        _ => return None,
    })
}

fn child(name: &str, field: &Field) -> Option<FieldRef> {
    let stored = stored_as(field.data_type())?;
    Some(Arc::new(Field::new(name, stored, true)))
}

fn interval_parts(unit: IntervalUnit) -> Fields {
    let parts: &[(&str, DataType)] = match unit {
        IntervalUnit::YearMonth => &[("months", DataType::Int32)],
        IntervalUnit::DayTime => &[("days", DataType::Int32), ("milliseconds", DataType::Int32)],
        IntervalUnit::MonthDayNano => &[
            ("months", DataType::Int32),
            ("days", DataType::Int32),
            ("nanoseconds", DataType::Int64),
        ],
    };
    parts
        .iter()
        .map(|(name, part)| Field::new(*name, part.clone(), true))
        .collect()
}

fn map_of(key: DataType, value: DataType, entries: &str) -> DataType {
    let pair = Fields::from(vec![
        Field::new("key", key, false),
        Field::new("value", value, true),
    ]);
    let entries = Field::new(entries, DataType::Struct(pair), false);
    DataType::Map(Arc::new(entries), false)
}

/// The type of a column of which nothing more is known than how it is stored.
pub(crate) fn natural(stored: &DataType) -> DataType {
    use DataType as T;
    match stored {
        T::List(item) => T::List(Arc::new(Field::new(
            "item",
            natural(item.data_type()),
            true,
        ))),
        T::Struct(members) => T::Struct(
            members
                .iter()
                .map(|m| Field::new(m.name(), natural(m.data_type()), true))
                .collect(),
        ),
        T::Map(entries, _) => match entries.data_type() {
            T::Struct(pair) if pair.len() == 2 => map_of(
                natural(pair[0].data_type()),
                natural(pair[1].data_type()),
                "entries",
            ),
            _ => stored.clone(),
        },
        other => other.clone(),
    }
}

/// The type of a stored form in the Delta schema: what has had no value yet is text.
pub(crate) fn read_as(stored: &DataType) -> DataType {
    use DataType as T;
    let inner = |field: &FieldRef| {
        let data_type = read_as(field.data_type());
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    };
    match stored {
        T::Null => T::Utf8,
        T::List(item) => T::List(inner(item)),
        T::Struct(members) => T::Struct(members.iter().map(inner).collect()),
        T::Map(entries, sorted) => T::Map(inner(entries), *sorted),
        other => other.clone(),
    }
}

/// Whether something in the type has had no value yet.
pub(crate) fn has_unknown(stored: &DataType) -> bool {
    match stored {
        DataType::Null => true,
        DataType::List(item) | DataType::Map(item, _) => has_unknown(item.data_type()),
        DataType::Struct(members) => members.iter().any(|m| has_unknown(m.data_type())),
        _ => false,
    }
}

/// The type that a column was given, as far as it still fits what is stored: another program may have added members to a struct, or
/// have written another column under the name.
fn reconcile(given: &DataType, stored: &DataType) -> DataType {
    use DataType as T;
    if stored_as(given).is_some_and(|form| read_as(&form) == *stored) {
        return given.clone();
    }
    match (given, stored) {
        (T::Struct(known), T::Struct(members)) if !known.is_empty() => T::Struct(
            members
                .iter()
                .map(|member| {
                    let known = known.iter().find(|k| k.name() == member.name());
                    let data_type = match known {
                        Some(known) => reconcile(known.data_type(), member.data_type()),
                        None => natural(member.data_type()),
                    };
                    Field::new(member.name(), data_type, true)
                })
                .collect(),
        ),
        (T::List(known), T::List(item)) => {
            let data_type = reconcile(known.data_type(), item.data_type());
            T::List(Arc::new(Field::new("item", data_type, true)))
        }
        _ => natural(stored),
    }
}

/// The columns of a Delta schema, given as its JSON text.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if it is no Delta schema, [`ErrorKind::Unsupported`] for a type that this version does not know.
pub(crate) fn columns(schema: &Value) -> Result<Vec<StoredColumn>> {
    let fields = schema.get("fields").and_then(Value::as_array);
    let fields = fields.ok_or_else(|| corrupt("it has no list of fields"))?;
    fields.iter().map(column).collect()
}

fn column(field: &Value) -> Result<StoredColumn> {
    let name = name_of(field)?;
    let stored = from_delta(field.get("type").unwrap_or(&Value::Null), name)?;
    let given = field
        .get("metadata")
        .and_then(|metadata| metadata.get(ARROW_TYPE))
        .and_then(Value::as_str)
        .and_then(|text| serde_json::from_str(text).ok());
    let logical = match given {
        Some(given) => reconcile(&given, &stored),
        None => natural(&stored),
    };
    // The schema calls text what has had no value yet.
    let own = stored_as(&logical).filter(|own| has_unknown(own) && read_as(own) == stored);
    Ok(StoredColumn {
        field: Field::new(name, logical, true),
        stored: own.unwrap_or(stored),
    })
}

fn name_of(field: &Value) -> Result<&str> {
    let name = field.get("name").and_then(Value::as_str);
    name.ok_or_else(|| corrupt("it has a field without a name"))
}

fn corrupt(what: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("the schema of the Delta table cannot be read: {what}"),
    )
}

/// A type of Delta as the Arrow type of its values.
fn from_delta(data_type: &Value, column: &str) -> Result<DataType> {
    use DataType as T;
    let unknown = || {
        Error::new(
            ErrorKind::Unsupported,
            format!(
                "column {column:?} of the Delta table has the type {data_type}, which is not supported"
            ),
        )
    };
    if let Some(name) = data_type.as_str() {
        return Ok(match name {
            "boolean" => T::Boolean,
            "byte" => T::Int8,
            "short" => T::Int16,
            "integer" => T::Int32,
            "long" => T::Int64,
            "float" => T::Float32,
            "double" => T::Float64,
            "string" => T::Utf8,
            "binary" => T::Binary,
            "date" => T::Date32,
            "timestamp" => stamp_type(),
            "timestamp_ntz" => T::Timestamp(TimeUnit::Microsecond, None),
            "decimal" => T::Decimal128(10, 0),
            decimal => {
                let inside = decimal
                    .strip_prefix("decimal(")
                    .and_then(|d| d.strip_suffix(')'));
                let (digits, scale) = inside.and_then(|d| d.split_once(',')).ok_or_else(unknown)?;
                let digits = digits.trim().parse().map_err(|_| unknown())?;
                let scale = scale.trim().parse().map_err(|_| unknown())?;
                T::Decimal128(digits, scale)
            }
        });
    }
    let inner = |key: &str| from_delta(data_type.get(key).unwrap_or(&Value::Null), column);
    match data_type.get("type").and_then(Value::as_str) {
        Some("array") => Ok(T::List(Arc::new(Field::new(
            "item",
            inner("elementType")?,
            true,
        )))),
        Some("map") => Ok(map_of(inner("keyType")?, inner("valueType")?, "key_value")),
        Some("struct") => {
            let members = data_type.get("fields").and_then(Value::as_array);
            let members = members.ok_or_else(unknown)?.iter().map(|member| {
                let inner = from_delta(member.get("type").unwrap_or(&Value::Null), column)?;
                Ok(Field::new(name_of(member)?, inner, true))
            });
            Ok(T::Struct(members.collect::<Result<_>>()?))
        }
        _ => Err(unknown()),
    }
}

/// The Delta type of a stored form.
fn to_delta(stored: &DataType) -> Value {
    use DataType as T;
    match stored {
        T::Boolean => "boolean".into(),
        T::Int8 => "byte".into(),
        T::Int16 => "short".into(),
        T::Int32 => "integer".into(),
        T::Int64 => "long".into(),
        T::Float32 => "float".into(),
        T::Float64 => "double".into(),
        T::Binary => "binary".into(),
        T::Date32 => "date".into(),
        T::Timestamp(_, Some(_)) => "timestamp".into(),
        T::Timestamp(_, None) => "timestamp_ntz".into(),
        T::Decimal128(digits, scale) => format!("decimal({digits},{scale})").into(),
        T::List(item) => json!({
            "type": "array",
            "elementType": to_delta(item.data_type()),
            "containsNull": true,
        }),
        T::Struct(members) => {
            let fields = members.iter().map(|m| {
                json!({"name": m.name(), "type": to_delta(m.data_type()), "nullable": true, "metadata": {}})
            });
            json!({"type": "struct", "fields": fields.collect::<Vec<_>>()})
        }
        T::Map(entries, _) => match entries.data_type() {
            T::Struct(pair) if pair.len() == 2 => json!({
                "type": "map",
                "keyType": to_delta(pair[0].data_type()),
                "valueType": to_delta(pair[1].data_type()),
                "valueContainsNull": true,
            }),
            _ => "string".into(),
        },
        _ => "string".into(),
    }
}

/// The Delta schema of a table with these columns. What an earlier schema says of columns that stay as they are is kept, their
/// comments for instance.
pub(crate) fn delta_schema(columns: &[StoredColumn], earlier: Option<&Value>) -> Value {
    let known: HashMap<&str, &Value> = earlier
        .and_then(|schema| schema.get("fields")?.as_array())
        .into_iter()
        .flatten()
        .filter_map(|field| Some((field.get("name")?.as_str()?, field)))
        .collect();
    let fields = columns.iter().map(|wanted| {
        let known = known.get(wanted.field.name().as_str()).copied();
        match known {
            Some(known) if self::column(known).is_ok_and(|found| found == *wanted) => known.clone(),
            known => delta_field(wanted, known),
        }
    });
    json!({"type": "struct", "fields": fields.collect::<Vec<_>>()})
}

fn delta_field(column: &StoredColumn, earlier: Option<&Value>) -> Value {
    let metadata = earlier.and_then(|field| field.get("metadata")?.as_object());
    let mut metadata = metadata.cloned().unwrap_or_default();
    metadata.remove(ARROW_TYPE);
    if natural(&read_as(&column.stored)) != *column.field.data_type()
        && let Ok(text) = serde_json::to_string(column.field.data_type())
    {
        metadata.insert(ARROW_TYPE.into(), text.into());
    }
    json!({
        "name": column.field.name(),
        "type": to_delta(&column.stored),
        "nullable": true,
        "metadata": metadata,
    })
}

/// Whether a column has times without a zone somewhere, which a table must declare in its protocol.
pub(crate) fn has_local_times(stored: &DataType) -> bool {
    match stored {
        DataType::Timestamp(_, None) => true,
        DataType::List(item) | DataType::Map(item, _) => has_local_times(item.data_type()),
        DataType::Struct(members) => members.iter().any(|m| has_local_times(m.data_type())),
        _ => false,
    }
}

/// Delta ignores the case of names.
///
/// # Errors
/// [`ErrorKind::InvalidFrame`] that names two columns, or two members of a struct, that differ in case only.
pub(crate) fn tell_apart(schema: &Schema, feature: &FeatureKey) -> Result<()> {
    unique(schema.fields(), "columns", feature)
}

fn unique(fields: &Fields, what: &str, feature: &FeatureKey) -> Result<()> {
    let mut seen = HashMap::new();
    for field in fields {
        if let Some(other) = seen.insert(field.name().to_lowercase(), field.name()) {
            return Err(Error::new(
                ErrorKind::InvalidFrame,
                format!(
                    "Delta cannot tell the {what} {other:?} and {:?} of feature {feature} apart",
                    field.name()
                ),
            )
            .with_hint("rename one of them; nothing was written"));
        }
        let mut data_type = field.data_type();
        while let DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _) = data_type
        {
            data_type = item.data_type();
        }
        if let DataType::Struct(members) = data_type {
            unique(members, "members", feature)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(data_type: DataType) -> Field {
        Field::new("x", data_type, true)
    }

    fn round(data_type: DataType) -> DataType {
        let columns = [StoredColumn::of(&field(data_type)).unwrap()];
        let schema = delta_schema(&columns, None);
        let read = super::columns(&schema).unwrap();
        assert_eq!(read[0].stored, columns[0].stored);
        read[0].field.data_type().clone()
    }

    fn list(item: DataType) -> DataType {
        DataType::List(Arc::new(Field::new("item", item, true)))
    }

    #[test]
    fn every_type_comes_back() {
        use DataType as T;
        let simple = [
            T::Boolean,
            T::Int8,
            T::UInt8,
            T::UInt16,
            T::UInt32,
            T::UInt64,
            T::Float16,
            T::Utf8,
            T::FixedSizeBinary(3),
            T::Date64,
            T::Time32(TimeUnit::Second),
            T::Time64(TimeUnit::Nanosecond),
            T::Duration(TimeUnit::Millisecond),
            T::Struct(Fields::empty()),
            list(T::Null),
            T::Struct(vec![Field::new("a", T::Null, true)].into()),
            T::Timestamp(TimeUnit::Second, None),
            T::Timestamp(TimeUnit::Nanosecond, Some("Europe/Berlin".into())),
            T::Timestamp(TimeUnit::Microsecond, Some("+02:00".into())),
            T::Decimal128(10, 3),
            T::Decimal256(60, 3),
            T::Interval(IntervalUnit::MonthDayNano),
            T::Dictionary(Box::new(T::Int32), Box::new(T::Utf8)),
            stamp_type(),
        ];
        for data_type in simple {
            assert_eq!(round(data_type.clone()), data_type);
            assert_eq!(round(list(data_type.clone())), list(data_type.clone()));
            let nested = T::Struct(vec![field(data_type)].into());
            assert_eq!(round(nested.clone()), nested);
        }
    }

    #[test]
    fn what_delta_has_needs_no_note() {
        let columns = [
            StoredColumn::of(&field(list(DataType::Utf8))).unwrap(),
            StoredColumn::of(&field(stamp_type())).unwrap(),
        ];
        assert!(
            !delta_schema(&columns, None)
                .to_string()
                .contains(ARROW_TYPE)
        );
    }

    #[test]
    fn members_that_others_add_are_natural() {
        let ours = DataType::Struct(vec![Field::new("a", DataType::UInt8, true)].into());
        let mut schema = delta_schema(&[StoredColumn::of(&field(ours)).unwrap()], None);
        let members = schema["fields"][0]["type"]["fields"]
            .as_array_mut()
            .unwrap();
        members.push(json!({"name": "b", "type": "long", "nullable": true, "metadata": {}}));
        let read = super::columns(&schema).unwrap();
        let expected = DataType::Struct(
            vec![
                Field::new("a", DataType::UInt8, true),
                Field::new("b", DataType::Int64, true),
            ]
            .into(),
        );
        assert_eq!(read[0].field.data_type(), &expected);
    }

    #[test]
    fn names_that_differ_in_case_are_refused() {
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("ID", DataType::Int64, true),
        ]);
        let error = tell_apart(&schema, &FeatureKey::new("a").unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidFrame);
    }
}
