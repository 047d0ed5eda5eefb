//! Rows of JSON values brought to the types of a schema, strictly: [`RowDecoder`].
//!
//! Arrow's JSON decoder builds the arrays, but it would cut `1.5` to `1` for an integer column, parse text as a number and
//! name no row in its errors. So each value is checked here first; what passes is exact.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::kernels::cast_utils::{Parser, string_to_datetime};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Field, FieldRef, Fields, Schema, SchemaRef,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
};
use arrow::json::ReaderBuilder;
use indexmap::IndexMap;
use metaxy_core::cast::cast_whole;
use metaxy_core::{Error, Result};
use serde_json::{Map, Value};

use super::columns::{is_by_field, retype, zoneless};
use super::invalid;

/// A row as parsed.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) place: Place,
    pub(super) cells: Map<String, Value>,
}

/// Where a row stands in its file, counted from one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// A line of NDJSON.
    Line(u64),
    /// An element of a JSON array and the line it starts on.
    Item(u64, u64),
    /// A row of CSV; the header is not counted.
    Row(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Item(item, line) => write!(f, "item {item} (line {line})"),
            Self::Row(row) => write!(f, "row {row}"),
        }
    }
}

/// Turns rows into batches of one schema.
#[derive(Debug)]
pub(super) struct RowDecoder {
    file: String,
    schema: SchemaRef,
    decoded: SchemaRef,
    columns: IndexMap<String, DataType>,
    inferred_from: usize,
}

impl RowDecoder {
    /// A decoder for rows of `file`, whose types come from its first `inferred_from` rows.
    pub(super) fn new(
        file: &str,
        columns: IndexMap<String, DataType>,
        inferred_from: usize,
    ) -> Self {
        let fields = |change: fn(&DataType) -> DataType| -> Fields {
            columns
                .iter()
                .map(|(name, data_type)| Field::new(name, change(data_type), true))
                .collect()
        };
        Self {
            file: file.to_owned(),
            schema: Arc::new(Schema::new(fields(DataType::clone))),
            decoded: Arc::new(Schema::new(fields(decodable))),
            columns,
            inferred_from,
        }
    }

    pub(super) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// A batch of `rows`, in their order. Columns that a row lacks are null.
    pub(super) fn batch(&self, mut rows: Vec<Row>) -> Result<RecordBatch> {
        for row in &mut rows {
            self.check(row)?;
        }
        let cells: Vec<Map<String, Value>> = rows
            .iter_mut()
            .map(|row| std::mem::take(&mut row.cells))
            .collect();
        let decoded = self.decode(&cells).map_err(|whole| {
            // What the checks above let pass is refused by Arrow: look for the row.
            let culprit = rows.iter().zip(&cells).find_map(|(row, cells)| {
                Some((row.place, self.decode(std::slice::from_ref(cells)).err()?))
            });
            match culprit {
                Some((place, error)) => invalid(&self.file, format!("{place}: {error}")),
                None => invalid(&self.file, whole),
            }
        })?;
        let arrays = decoded
            .iter()
            .zip(self.schema.fields())
            .map(|(array, field)| encode(array, field))
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(
            self.schema.clone(),
            arrays,
            &options,
        )?)
    }

    fn check(&self, row: &mut Row) -> Result<()> {
        let place = row.place;
        for (name, value) in &mut row.cells {
            let Some(data_type) = self.columns.get(name) else {
                return Err(self.unknown(place, name));
            };
            let checked = match is_by_field(name) {
                true => by_field(value),
                false => Ok(()),
            };
            checked
                .and_then(|()| conform(value, data_type, true))
                .map_err(|misfit| self.misfit(place, name, &misfit))?;
        }
        Ok(())
    }

    fn unknown(&self, place: Place, name: &str) -> Error {
        invalid(
            &self.file,
            format!(
                "{place} has a column '{name}' that the first {} rows lack",
                self.inferred_from
            ),
        )
        .with_hint("give the first row every key, with null where there is no value")
    }

    fn misfit(&self, place: Place, column: &str, misfit: &Misfit) -> Error {
        let mut path = column.to_owned();
        for step in &misfit.path {
            if !step.starts_with('[') {
                path.push('.');
            }
            path.push_str(step);
        }
        invalid(
            &self.file,
            format!("{place}, column '{path}': {}", misfit.message),
        )
        .with_hint(misfit.hint)
    }

    fn decode(&self, cells: &[Map<String, Value>]) -> std::result::Result<Vec<ArrayRef>, String> {
        if self.columns.is_empty() {
            return Ok(Vec::new());
        }
        let decode = || {
            let mut decoder = ReaderBuilder::new(self.decoded.clone())
                .with_batch_size(cells.len())
                .build_decoder()?;
            decoder.serialize(cells)?;
            decoder.flush()
        };
        match decode() {
            Ok(Some(batch)) => Ok(batch.columns().to_vec()),
            Ok(None) => Ok(RecordBatch::new_empty(self.decoded.clone())
                .columns()
                .to_vec()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The type in which Arrow's decoder builds a column of `data_type`.
fn decodable(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, value) => zoneless(value),
        other => zoneless(other),
    }
}

/// A decoded array in the type of its column.
fn encode(array: &ArrayRef, field: &FieldRef) -> Result<ArrayRef> {
    match field.data_type() {
        dictionary @ DataType::Dictionary(_, value) => {
            Ok(cast_whole(&retype(array, value)?, dictionary)?)
        }
        data_type => retype(array, data_type),
    }
}

/// Why a value does not fit, and where inside its column.
struct Misfit {
    path: Vec<String>,
    message: String,
    hint: &'static str,
}

type Fit = std::result::Result<(), Misfit>;

const HINT_TYPE: &str =
    "correct the value, or give the column another type in the table it is written to";
const HINT_LATER: &str =
    "types come from the first rows unless the table is known: show every kind of value there";

fn refuse(message: impl Into<String>, hint: &'static str) -> Fit {
    Err(Misfit {
        path: Vec::new(),
        message: message.into(),
        hint,
    })
}

fn inside(fit: Fit, step: impl FnOnce() -> String) -> Fit {
    fit.map_err(|mut misfit| {
        misfit.path.insert(0, step());
        misfit
    })
}

/// Checks that `value` is one of `data_type` exactly, and spells it as Arrow's decoder wants it.
fn conform(value: &mut Value, data_type: &DataType, nullable: bool) -> Fit {
    if value.is_null() {
        return match nullable {
            true => Ok(()),
            false => refuse("null, where a value is required", HINT_TYPE),
        };
    }
    match (data_type, &mut *value) {
        (DataType::Null, _) => refuse(
            format!(
                "{} in a column that is null in all rows before",
                show(value)
            ),
            HINT_LATER,
        ),
        (DataType::Boolean, Value::Bool(_)) => Ok(()),
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, Value::String(_)) => Ok(()),
        (integer, Value::Number(_)) if integer.is_integer() => conform_integer(value, integer),
        (float, Value::Number(number)) if float.is_floating() => match exact_float(number) {
            true => Ok(()),
            false => refuse(
                format!("{number} is too large to be kept exactly as {float}"),
                HINT_TYPE,
            ),
        },
        (decimal, Value::Number(number)) if is_decimal(decimal) => {
            *value = Value::String(number.to_string());
            conform_decimal(value, decimal)
        }
        (decimal, Value::String(_)) if is_decimal(decimal) => conform_decimal(value, decimal),
        (DataType::Timestamp(unit, _), Value::String(text)) => conform_time(text, *unit),
        (temporal, Value::String(text)) if temporal.is_temporal() => match parses(temporal, text) {
            true => Ok(()),
            false => refuse(format!("'{text}' is no {temporal}"), HINT_TYPE),
        },
        (
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_),
            Value::String(_),
        ) => Ok(()),
        (
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _),
            Value::Array(values),
        ) => values.iter_mut().enumerate().try_for_each(|(i, value)| {
            let fit = conform(value, item.data_type(), item.is_nullable());
            inside(fit, || format!("[{i}]"))
        }),
        (DataType::Struct(fields), Value::Object(members)) => conform_struct(members, fields),
        (DataType::Map(entries, _), Value::Object(members)) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                members.iter_mut().try_for_each(|(name, value)| {
                    let fit = conform(value, pair[1].data_type(), pair[1].is_nullable());
                    inside(fit, || name.clone())
                })
            }
            _ => Ok(()),
        },
        (DataType::Dictionary(_, inner), _) => conform(value, inner, nullable),
        _ => refuse(format!("{} is no {data_type}", show(value)), HINT_TYPE),
    }
}

fn conform_struct(members: &mut Map<String, Value>, fields: &Fields) -> Fit {
    for (name, value) in members.iter_mut() {
        let fit = match fields.find(name) {
            Some((_, field)) => conform(value, field.data_type(), field.is_nullable()),
            None => refuse("the column has no such member", HINT_LATER),
        };
        inside(fit, || name.clone())?;
    }
    let missing = fields
        .iter()
        .find(|field| !field.is_nullable() && !members.contains_key(field.name()));
    match missing {
        Some(field) => inside(
            refuse("missing, where a value is required", HINT_TYPE),
            || field.name().clone(),
        ),
        None => Ok(()),
    }
}

/// Whole numbers of the type's range. `2.0` is whole.
fn conform_integer(value: &mut Value, data_type: &DataType) -> Fit {
    let Value::Number(number) = &*value else {
        return Ok(());
    };
    let whole = match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(whole), _, _) => Some(i128::from(whole)),
        (_, Some(whole), _) => Some(i128::from(whole)),
        (_, _, Some(float)) if float.fract() == 0.0 && float.abs() < MAX_EXACT => {
            Some(float as i128)
        }
        _ => None,
    };
    let fits = whole.filter(|whole| {
        let (low, high) = match data_type {
            DataType::Int8 => (i128::from(i8::MIN), i128::from(i8::MAX)),
            DataType::Int16 => (i128::from(i16::MIN), i128::from(i16::MAX)),
            DataType::Int32 => (i128::from(i32::MIN), i128::from(i32::MAX)),
            DataType::UInt8 => (0, i128::from(u8::MAX)),
            DataType::UInt16 => (0, i128::from(u16::MAX)),
            DataType::UInt32 => (0, i128::from(u32::MAX)),
            DataType::UInt64 => (0, i128::from(u64::MAX)),
            _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
        };
        (low..=high).contains(whole)
    });
    match fits {
        Some(whole) => {
            *value = match i64::try_from(whole) {
                Ok(whole) => Value::from(whole),
                Err(_) => Value::from(whole as u64),
            };
            Ok(())
        }
        None => refuse(format!("{number} is no {data_type}"), HINT_TYPE),
    }
}

/// Below this, every whole number is a 64-bit float.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

fn exact_float(number: &serde_json::Number) -> bool {
    match (number.as_i64(), number.as_u64()) {
        (Some(whole), _) => (whole as f64) as i128 == i128::from(whole),
        (None, Some(whole)) => (whole as f64) as i128 == i128::from(whole),
        (None, None) => true,
    }
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..)
    )
}

/// Arrow's decoder rounds digits beyond the scale away; such a number is refused here.
fn conform_decimal(value: &Value, data_type: &DataType) -> Fit {
    let (DataType::Decimal32(_, scale)
    | DataType::Decimal64(_, scale)
    | DataType::Decimal128(_, scale)
    | DataType::Decimal256(_, scale)) = data_type
    else {
        return Ok(());
    };
    let text = value.as_str().unwrap_or_default();
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().unwrap_or(i64::MIN / 2)),
        None => (text, 0),
    };
    let fraction = mantissa
        .split_once('.')
        .map_or("", |(_, fraction)| fraction);
    let digits = i64::try_from(fraction.trim_end_matches('0').len()).unwrap_or(i64::MAX / 2);
    match digits.saturating_sub(exponent) <= i64::from((*scale).max(0)) {
        true => Ok(()),
        false => refuse(
            format!("{text} has more digits than {data_type}"),
            HINT_TYPE,
        ),
    }
}

/// A time in RFC 3339; without an offset it is UTC.
fn conform_time(text: &str, unit: TimeUnit) -> Fit {
    let Ok(time) = string_to_datetime(&chrono::Utc, text) else {
        return refuse(
            format!("'{text}' is no time"),
            "write times as RFC 3339, such as 2024-05-01T12:00:00Z",
        );
    };
    let step = match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    match time.timestamp_subsec_nanos() % step == 0 {
        true => Ok(()),
        false => refuse(
            format!("'{text}' is finer than the column, which counts {unit:?}s"),
            HINT_TYPE,
        ),
    }
}

/// Whether Arrow's decoder reads `text` as a date or time of day. Durations and intervals have no spelling.
fn parses(data_type: &DataType, text: &str) -> bool {
    match data_type {
        DataType::Date32 => Date32Type::parse(text).is_some(),
        DataType::Date64 => Date64Type::parse(text).is_some(),
        DataType::Time32(TimeUnit::Second) => Time32SecondType::parse(text).is_some(),
        DataType::Time32(_) => Time32MillisecondType::parse(text).is_some(),
        DataType::Time64(TimeUnit::Microsecond) => Time64MicrosecondType::parse(text).is_some(),
        DataType::Time64(_) => Time64NanosecondType::parse(text).is_some(),
        _ => false,
    }
}

/// Turns the members of a by-field value into text.
fn by_field(value: &mut Value) -> Fit {
    let members = match value {
        Value::Null => return Ok(()),
        Value::Object(members) => members,
        other => {
            return refuse(
                format!("{} is no object of field to text", show(other)),
                BY_FIELD,
            );
        }
    };
    for (name, member) in members.iter_mut() {
        let text = match &*member {
            Value::Null | Value::String(_) => continue,
            Value::Bool(yes) => yes.to_string(),
            // A whole number beyond 64 bits has lost digits in parsing: two hashes could become one.
            Value::Number(number)
                if number.is_f64() && number.as_f64().is_some_and(|n| n.abs() >= MAX_EXACT) =>
            {
                let fit = refuse(
                    format!("{number} is too large for a JSON number"),
                    "put it into quotes",
                );
                return inside(fit, || name.clone());
            }
            Value::Number(number) => number.to_string(),
            other => {
                return inside(
                    refuse(format!("{} is no text", show(other)), BY_FIELD),
                    || name.clone(),
                );
            }
        };
        *member = Value::String(text);
    }
    Ok(())
}

const BY_FIELD: &str = "write an object such as {\"audio\": \"8f3a\", \"frames\": \"11c0\"}";

/// `value` as JSON, cut to what a message bears.
fn show(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
