//! Statistics of files: what the log tells of a file's values, and what it is told of a file that was written.

use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use metaxy_core::columns;
use metaxy_core::expr::Value;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescriptor;
use serde_json::{Map, Value as Json};

use crate::types::StoredColumn;

/// Columns whose statistics are written where the table does not say otherwise, as Delta has it.
const INDEXED: i64 = 32;

/// Writers cut texts in different ways, some of them below the greatest; none cuts one shorter than this.
const WHOLE_TEXT: usize = 32;

/// What is known of a column's values in one file. Values are bounds: all are at or above `min` and at or below `max`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ColumnStat {
    /// Nothing is less; `None`: not known, or there are only nulls.
    pub(crate) min: Option<Value>,
    /// Nothing is greater; `None`: not known, or there are only nulls. Times are up to 999 µs later than the log says, since it has
    /// milliseconds. Never known for floating-point numbers, which may be NaN.
    pub(crate) max: Option<Value>,
    /// How many are null.
    pub(crate) nulls: Option<u64>,
}

/// The statistics of a file as the log has them: text, read when somebody asks.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    text: Option<String>,
    parsed: OnceLock<Option<Map<String, Json>>>,
}

impl Stats {
    pub(crate) fn new(text: Option<String>) -> Self {
        Self {
            text,
            parsed: OnceLock::new(),
        }
    }

    /// The rows of the file, without reading all of the text.
    pub(crate) fn rows(&self) -> Option<u64> {
        // Inside a text of the statistics the quotes would be escaped.
        let text = self.text.as_deref()?;
        let (_, rest) = text.split_once("\"numRecords\":")?;
        let digits = rest.trim_start();
        let end = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        digits[..end].parse().ok()
    }

    /// What is known of a column.
    pub(crate) fn of(&self, column: &StoredColumn) -> Option<ColumnStat> {
        let parsed = self
            .parsed
            .get_or_init(|| serde_json::from_str(self.text.as_deref()?).ok());
        let parsed = parsed.as_ref()?;
        let name = column.field.name();
        let found = |part: &str| parsed.get(part)?.get(name);
        let stat = ColumnStat {
            min: found("minValues")
                .and_then(|value| bound(value, column.field.data_type(), End::Min)),
            max: found("maxValues")
                .and_then(|value| bound(value, column.field.data_type(), End::Max)),
            nulls: found("nullCount").and_then(Json::as_u64),
        };
        let unknown = stat.min.is_none() && stat.max.is_none() && stat.nulls.is_none();
        (!unknown).then_some(stat)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    Min,
    Max,
}

/// A bound of a column of this type.
fn bound(value: &Json, data_type: &DataType, end: End) -> Option<Value> {
    use DataType as T;
    match data_type {
        T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64 => {
            integer(value).map(Value::Int)
        }
        // NaN is greater than every number, and statistics leave it out.
        T::Float64 if end == End::Min => value.as_f64().map(Value::Float),
        // Writers give the shortest digits that mean the number among those of 32 bits; among those of 64 they may mean a greater one.
        T::Float32 if end == End::Min => value.as_f64().map(|x| Value::Float((x as f32).into())),
        T::Utf8 | T::LargeUtf8 | T::Utf8View => {
            let text = value.as_str()?;
            let whole = end == End::Min || text.chars().count() < WHOLE_TEXT;
            whole.then(|| Value::Text(text.to_owned()))
        }
        T::Dictionary(_, inner) => bound(value, inner, end),
        T::Date32 => {
            let date = NaiveDate::parse_from_str(value.as_str()?, "%Y-%m-%d").ok()?;
            let days = date.signed_duration_since(NaiveDate::default()).num_days();
            i32::try_from(days).ok().map(Value::Date)
        }
        // Kept as their counts.
        T::Timestamp(TimeUnit::Nanosecond, _) => {
            let nanos = i64::try_from(integer(value)?).ok()?;
            let micros = nanos.div_euclid(1_000) + i64::from(end == End::Max);
            Some(Value::Timestamp(micros))
        }
        T::Timestamp(..) => moment(value.as_str()?, end).map(Value::Timestamp),
        _ => None,
    }
}

fn integer(value: &Json) -> Option<i128> {
    match (value.as_i64(), value.as_u64()) {
        (Some(n), _) => Some(n.into()),
        (_, Some(n)) => Some(n.into()),
        _ => None,
    }
}

/// Microseconds of a time as statistics write it; a greatest one as late as it may have been.
fn moment(text: &str, end: End) -> Option<i64> {
    let micros = match DateTime::parse_from_rfc3339(text) {
        Ok(time) => time.timestamp_micros(),
        Err(_) => {
            let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
                .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f"));
            time.ok()?.and_utc().timestamp_micros()
        }
    };
    let cut = end == End::Max && micros % 1_000 == 0;
    micros.checked_add(if cut { 999 } else { 0 })
}

/// Which columns get statistics: the first ones, as the table property `delta.dataSkippingNumIndexedCols` says, and the system's.
pub(crate) fn indexed(columns: &[StoredColumn], property: Option<i64>) -> Vec<bool> {
    let first = match property.unwrap_or(INDEXED) {
        all if all < 0 => usize::MAX,
        first => usize::try_from(first).unwrap_or(usize::MAX),
    };
    let wanted = |(at, column): (usize, &StoredColumn)| {
        at < first || columns::is_system(column.field.name())
    };
    columns.iter().enumerate().map(wanted).collect()
}

/// The statistics of a file that was written, as the log has them.
pub(crate) fn of_file(
    file: &ParquetMetaData,
    columns: &[StoredColumn],
    indexed: &[bool],
) -> String {
    let mut of = Collected::default();
    let schema = file.file_metadata().schema_descr();
    for (at, leaf) in schema.columns().iter().enumerate() {
        let parts = leaf.path().parts();
        let column = columns
            .iter()
            .position(|c| Some(c.field.name()) == parts.first());
        let Some(column) = column.filter(|column| indexed.get(*column) == Some(&true)) else {
            continue;
        };
        let Some(leaf_type) = member_type(&columns[column].stored, &parts[1..]) else {
            continue;
        };
        let chunks: Option<Vec<&Statistics>> = file
            .row_groups()
            .iter()
            .map(|group| group.column(at).statistics())
            .collect();
        if let Some(chunks) = chunks {
            of.leaf(parts, leaf, leaf_type, &chunks);
        }
    }
    let rows = file.file_metadata().num_rows();
    serde_json::json!({
        "numRecords": rows,
        "minValues": of.min,
        "maxValues": of.max,
        "nullCount": of.nulls,
    })
    .to_string()
}

/// The type of a member of a struct; `None` inside lists and maps, of which there are no statistics.
fn member_type<'a>(data_type: &'a DataType, path: &[String]) -> Option<&'a DataType> {
    match (data_type, path) {
        (DataType::List(_) | DataType::Map(..), _) => None,
        (DataType::Struct(members), [first, rest @ ..]) => {
            let member = members.iter().find(|member| member.name() == first)?;
            member_type(member.data_type(), rest)
        }
        (other, []) => Some(other),
        _ => None,
    }
}

#[derive(Default)]
struct Collected {
    min: Map<String, Json>,
    max: Map<String, Json>,
    nulls: Map<String, Json>,
}

impl Collected {
    fn leaf(
        &mut self,
        path: &[String],
        leaf: &Arc<ColumnDescriptor>,
        data_type: &DataType,
        chunks: &[&Statistics],
    ) {
        let nulls: Option<u64> = chunks.iter().map(|chunk| chunk.null_count_opt()).sum();
        if let Some(nulls) = nulls
            && leaf.max_rep_level() == 0
        {
            put(&mut self.nulls, path, nulls.into());
        }
        let values = |end: End| {
            let found = chunks.iter().filter_map(|chunk| extreme(chunk, end));
            found.reduce(|a, b| {
                if a.precedes(&b) == (end == End::Min) {
                    a
                } else {
                    b
                }
            })
        };
        for (end, into) in [(End::Min, &mut self.min), (End::Max, &mut self.max)] {
            if let Some(value) = values(end).and_then(|value| value.json(data_type)) {
                put(into, path, value);
            }
        }
    }
}

fn put(into: &mut Map<String, Json>, path: &[String], value: Json) {
    match path {
        [] => {}
        [name] => {
            into.insert(name.clone(), value);
        }
        [name, rest @ ..] => {
            let inner = into
                .entry(name.clone())
                .or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// A least or greatest value as Parquet has it.
enum Extreme {
    Int(i128),
    Float(f64),
    Text(String),
}

impl Extreme {
    fn precedes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a <= b,
            (Self::Float(a), Self::Float(b)) => a <= b,
            (Self::Text(a), Self::Text(b)) => a <= b,
            _ => true,
        }
    }

    fn json(&self, data_type: &DataType) -> Option<Json> {
        use DataType as T;
        match (self, data_type) {
            (Self::Int(n), T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Decimal128(_, 0)) => {
                // Other numbers would be rounded.
                let small = i64::try_from(*n).map(Json::from);
                small.or_else(|_| u64::try_from(*n).map(Json::from)).ok()
            }
            (Self::Int(days), T::Date32) => {
                let date = NaiveDate::default()
                    .checked_add_signed(chrono::Duration::try_days(i64::try_from(*days).ok()?)?)?;
                Some(date.format("%Y-%m-%d").to_string().into())
            }
            (Self::Int(micros), T::Timestamp(_, zone)) => {
                let millis = i64::try_from(*micros).ok()?.div_euclid(1_000);
                let time = DateTime::from_timestamp_millis(millis)?;
                let format = match zone {
                    Some(_) => "%Y-%m-%dT%H:%M:%S%.3fZ",
                    None => "%Y-%m-%dT%H:%M:%S%.3f",
                };
                Some(time.format(format).to_string().into())
            }
            (Self::Float(x), T::Float32 | T::Float64) if x.is_finite() => Some((*x).into()),
            (Self::Text(text), T::Utf8) => Some(text.as_str().into()),
            _ => None,
        }
    }
}

fn extreme(chunk: &Statistics, end: End) -> Option<Extreme> {
    let min = end == End::Min;
    Some(match chunk {
        Statistics::Int32(v) => {
            Extreme::Int((*if min { v.min_opt() } else { v.max_opt() }?).into())
        }
        Statistics::Int64(v) => {
            Extreme::Int((*if min { v.min_opt() } else { v.max_opt() }?).into())
        }
        Statistics::Float(v) => {
            Extreme::Float((*if min { v.min_opt() } else { v.max_opt() }?).into())
        }
        Statistics::Double(v) => Extreme::Float(*if min { v.min_opt() } else { v.max_opt() }?),
        Statistics::ByteArray(v) => {
            let bytes = if min {
                v.min_bytes_opt()
            } else {
                v.max_bytes_opt()
            }?;
            Extreme::Text(std::str::from_utf8(bytes).ok()?.to_owned())
        }
        Statistics::FixedLenByteArray(v) => {
            let bytes = if min {
                v.min_bytes_opt()
            } else {
                v.max_bytes_opt()
            }?;
            if bytes.is_empty() || bytes.len() > 16 {
                return None;
            }
            let filler = if bytes[0] & 0x80 == 0 { 0 } else { 0xff };
            let mut wide = [filler; 16];
            wide[16 - bytes.len()..].copy_from_slice(bytes);
            Extreme::Int(i128::from_be_bytes(wide))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;
    use metaxy_core::backend::append::stamp_type;

    use super::*;

    fn stat(text: &str, data_type: DataType) -> Option<ColumnStat> {
        let column = StoredColumn::of(&Field::new("x", data_type, true)).unwrap();
        Stats::new(Some(text.to_owned())).of(&column)
    }

    #[test]
    fn bounds_hold_what_was_cut() {
        let text = r#"{"numRecords":4,"minValues":{"x":"2024-01-01T00:00:07.554Z"},"maxValues":{"x":"2024-01-01T00:00:07.554Z"},"nullCount":{"x":1}}"#;
        let found = stat(text, stamp_type()).unwrap();
        let at = 1_704_067_207_554_000;
        assert_eq!(found.min, Some(Value::Timestamp(at)));
        assert_eq!(found.max, Some(Value::Timestamp(at + 999)));
        assert_eq!(found.nulls, Some(1));
        assert_eq!(Stats::new(Some(text.into())).rows(), Some(4));
        let long = "x".repeat(32);
        let text = format!(r#"{{"minValues":{{"x":"{long}"}},"maxValues":{{"x":"{long}"}}}}"#);
        let found = stat(&text, DataType::Utf8).unwrap();
        assert_eq!(found.max, None);
        assert_eq!(found.min, Some(Value::Text(long)));
    }

    #[test]
    fn digits_of_small_floats_are_those_of_small_floats() {
        let least = |text: &str| stat(text, DataType::Float32).unwrap().min;
        // The nearest of 32 bits is less than 0.7, and greater than 0.1.
        for float in [0.7_f32, 0.1] {
            let text = format!(r#"{{"minValues":{{"x":{float}}}}}"#);
            assert_eq!(least(&text), Some(Value::Float(float.into())));
        }
    }

    #[test]
    fn nan_leaves_no_greatest_float() {
        let text = r#"{"minValues":{"x":0.5},"maxValues":{"x":1.5}}"#;
        let found = stat(text, DataType::Float64).unwrap();
        assert_eq!((found.min, found.max), (Some(Value::Float(0.5)), None));
    }

    #[test]
    fn unknown_and_damaged_statistics_tell_nothing() {
        assert_eq!(stat("{}", DataType::Int64), None);
        assert_eq!(stat("{\"minV", DataType::Int64), None);
        assert_eq!(Stats::new(None).rows(), None);
        assert_eq!(Stats::new(Some("{}".into())).rows(), None);
    }

    #[test]
    fn the_systems_columns_are_always_indexed() {
        let mut columns: Vec<StoredColumn> = (0..40)
            .map(|n| StoredColumn::of(&Field::new(format!("c{n}"), DataType::Int64, true)).unwrap())
            .collect();
        columns
            .push(StoredColumn::of(&Field::new(columns::UPDATED_AT, stamp_type(), true)).unwrap());
        let found = indexed(&columns, None);
        assert_eq!(found.iter().filter(|yes| **yes).count(), 33);
        assert!(found[40]);
        assert!(indexed(&columns, Some(-1)).iter().all(|yes| *yes));
    }
}
