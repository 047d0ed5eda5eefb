//! Frames as JSON that loses nothing, and back: the form of `xtask/interop/values.py`, which says what it is.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Float64Array, Int64Array, ListArray,
    RecordBatch, RecordBatchOptions, StringArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Float64Type, Int64Type, Schema, TimeUnit};
use metaxy_store::Rows;
use metaxy_store::json::Json;

use super::Outcome;

/// Types whose name says it all.
const PLAIN: &[(&str, DataType)] = &[
    ("i8", DataType::Int8),
    ("i16", DataType::Int16),
    ("i32", DataType::Int32),
    ("i64", DataType::Int64),
    ("u8", DataType::UInt8),
    ("u16", DataType::UInt16),
    ("u32", DataType::UInt32),
    ("u64", DataType::UInt64),
    ("f32", DataType::Float32),
    ("f64", DataType::Float64),
    ("bool", DataType::Boolean),
    ("text", DataType::Utf8),
    ("binary", DataType::Binary),
    ("date", DataType::Date32),
    ("time", DataType::Time64(TimeUnit::Microsecond)),
    (
        "timestamp",
        DataType::Timestamp(TimeUnit::Microsecond, None),
    ),
    ("null", DataType::Null),
];

/// The rows as JSON, with the columns that `shown` wants.
pub(super) fn described(rows: &Rows, shown: impl Fn(&str) -> bool) -> Outcome<Json> {
    let fields = rows.schema().fields();
    let names: Vec<(usize, &str)> = fields
        .iter()
        .enumerate()
        .map(|(at, field)| (at, field.name().as_str()))
        .filter(|(_, name)| shown(name))
        .collect();
    let columns = names
        .iter()
        .map(|(at, name)| (*name, Json::from(name_of(fields[*at].data_type()))));
    let columns = Json::object(columns);
    let mut out = Vec::with_capacity(rows.num_rows());
    for batch in rows.batches() {
        let mut members: Vec<Vec<(&str, Json)>> = vec![Vec::new(); batch.num_rows()];
        for (at, name) in &names {
            let cells = cells(batch.column(*at)).map_err(|why| format!("column {name}: {why}"))?;
            for (row, cell) in members.iter_mut().zip(cells) {
                row.push((name, cell));
            }
        }
        out.extend(members.into_iter().map(Json::object));
    }
    Ok(Json::object([
        ("columns", columns),
        ("rows", Json::from(out)),
    ]))
}

/// The frame that JSON describes.
pub(super) fn frame(given: &Json) -> Outcome<RecordBatch> {
    let columns = given.get("columns").and_then(Json::as_object);
    let rows = given.get("rows").and_then(Json::as_array);
    let (Some(columns), Some(rows)) = (columns, rows) else {
        return Err("a frame has columns and rows".into());
    };
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for (name, kind) in columns {
        let kind = type_of(kind.as_str().unwrap_or_default())?;
        let cells: Vec<&Json> = rows
            .iter()
            .map(|row| row.get(name).unwrap_or(&Json::Null))
            .collect();
        let array = column(&kind, &cells).map_err(|why| format!("column {name}: {why}"))?;
        fields.push(Field::new(name, kind, true));
        arrays.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(|e| e.to_string())
}

/// The type of that name.
pub(super) fn type_of(text: &str) -> Outcome<DataType> {
    if let Some((_, plain)) = PLAIN.iter().find(|(name, _)| *name == text) {
        return Ok(plain.clone());
    }
    let unknown = || format!("unknown type {text:?}");
    if text == "instant" {
        let zone = Some("UTC".into());
        return Ok(DataType::Timestamp(TimeUnit::Microsecond, zone));
    }
    if let Some(inner) = inside(text, "decimal(", ')') {
        let (precision, scale) = inner.split_once(',').ok_or_else(unknown)?;
        let precision = precision.parse().map_err(|_| unknown())?;
        return Ok(DataType::Decimal128(
            precision,
            scale.parse().map_err(|_| unknown())?,
        ));
    }
    if let Some(inner) = inside(text, "list<", '>') {
        return Ok(DataType::new_list(type_of(inner)?, true));
    }
    let members = inside(text, "struct<", '>').ok_or_else(unknown)?;
    let mut fields = Vec::new();
    for member in split_members(members) {
        let (name, kind) = member.split_once(':').ok_or_else(unknown)?;
        fields.push(Field::new(name, type_of(kind)?, true));
    }
    Ok(DataType::Struct(fields.into()))
}

/// An array of `kind`.
pub(super) fn column(kind: &DataType, given: &[&Json]) -> Outcome<ArrayRef> {
    let misfit = |cell: &Json| format!("{} does not fit {}", cell.to_compact(), name_of(kind));
    let strings = |of: &dyn Fn(&Json) -> Option<String>| -> Outcome<ArrayRef> {
        let array: StringArray = each(given, of, misfit)?.into_iter().collect();
        cast_strictly(&(Arc::new(array) as ArrayRef), kind)
    };
    Ok(match kind {
        DataType::Null => arrow::array::new_null_array(kind, given.len()),
        DataType::Boolean => {
            let array: BooleanArray = each(given, boolean, misfit)?.into_iter().collect();
            Arc::new(array)
        }
        DataType::Utf8 => strings(&|cell| cell.as_str().map(str::to_owned))?,
        kind if kind.is_integer() => strings(&digits)?,
        DataType::Float32 | DataType::Float64 => {
            let array: Float64Array = each(given, float, misfit)?.into_iter().collect();
            cast_strictly(&(Arc::new(array) as ArrayRef), kind)?
        }
        DataType::Date32 => strings(&|cell| tagged(cell, "date")?.as_str().map(str::to_owned))?,
        DataType::Decimal128(..) => {
            strings(&|cell| tagged(cell, "decimal")?.as_str().map(str::to_owned))?
        }
        DataType::Binary => {
            let bytes = each(
                given,
                |cell| from_hex(tagged(cell, "binary")?.as_str()?),
                misfit,
            )?;
            Arc::new(BinaryArray::from_iter(bytes))
        }
        DataType::Time64(_) | DataType::Timestamp(..) => {
            let tag = name_of(kind);
            let micros = |cell: &Json| digits(tagged(cell, &tag)?)?.parse::<i64>().ok();
            let array: Int64Array = each(given, micros, misfit)?.into_iter().collect();
            cast_strictly(&(Arc::new(array) as ArrayRef), kind)?
        }
        DataType::List(item) => {
            let lists = each(given, |cell| cell.as_array().map(<[Json]>::to_vec), misfit)?;
            let lengths = lists.iter().map(|list| list.as_ref().map_or(0, Vec::len));
            let offsets = OffsetBuffer::from_lengths(lengths);
            let items: Vec<&Json> = lists.iter().flatten().flatten().collect();
            let items = column(item.data_type(), &items)?;
            let valid: NullBuffer = lists.iter().map(Option::is_some).collect();
            let array = ListArray::try_new(item.clone(), offsets, items, Some(valid));
            Arc::new(array.map_err(|e| e.to_string())?)
        }
        DataType::Struct(fields) => structs(fields, given)?,
        other => return Err(format!("columns of type {other} are not made")),
    })
}

/// The cells of an array.
pub(super) fn cells(array: &ArrayRef) -> Outcome<Vec<Json>> {
    let to = |kind: &DataType| cast_strictly(array, kind);
    let texts = |wrap: &dyn Fn(&str) -> Json| -> Outcome<Vec<Json>> {
        let texts = to(&DataType::Utf8)?;
        let texts = texts.as_string::<i32>().iter();
        Ok(texts.map(|cell| cell.map_or(Json::Null, wrap)).collect())
    };
    Ok(match array.data_type() {
        DataType::Null => vec![Json::Null; array.len()],
        DataType::Boolean => {
            let cells = array.as_boolean().iter();
            cells
                .map(|cell| cell.map_or(Json::Null, Json::from))
                .collect()
        }
        kind if kind.is_integer() => texts(&|digits| Json::Int(digits.to_owned()))?,
        kind if kind.is_floating() => {
            let cells = to(&DataType::Float64)?;
            let cells = cells.as_primitive::<Float64Type>().iter();
            cells
                .map(|cell| cell.map_or(Json::Null, shown_float))
                .collect()
        }
        DataType::Decimal128(..) | DataType::Decimal256(..) => {
            texts(&|text| tag("decimal", Json::from(text)))?
        }
        DataType::Date32 | DataType::Date64 => texts(&|text| tag("date", Json::from(text)))?,
        DataType::Time32(unit) | DataType::Time64(unit) => moments(array, "time", *unit)?,
        DataType::Timestamp(unit, None) => moments(array, "timestamp", *unit)?,
        DataType::Timestamp(unit, Some(_)) => moments(array, "instant", *unit)?,
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => {
            let bytes = to(&DataType::Binary)?;
            let bytes = bytes.as_binary::<i32>().iter();
            let shown = |bytes: &[u8]| tag("binary", Json::from(to_hex(bytes)));
            bytes.map(|cell| cell.map_or(Json::Null, shown)).collect()
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            let lists = to(&DataType::List(item.clone()))?;
            let lists = lists.as_list::<i32>().iter();
            let mut out = Vec::new();
            for list in lists {
                out.push(match list {
                    Some(list) => Json::from(cells(&list)?),
                    None => Json::Null,
                });
            }
            out
        }
        DataType::Struct(fields) => {
            let array = array.as_struct();
            let mut members = Vec::new();
            for (field, member) in fields.iter().zip(array.columns()) {
                members.push((field.name(), cells(member)?));
            }
            let row = |row: usize| {
                let members = members
                    .iter()
                    .map(|(name, cells)| (name.as_str(), cells[row].clone()));
                if array.is_valid(row) {
                    Json::object(members)
                } else {
                    Json::Null
                }
            };
            (0..array.len()).map(row).collect()
        }
        DataType::Dictionary(_, inner) => cells(&to(inner)?)?,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            texts(&|text| Json::from(text))?
        }
        other => return Err(format!("values of type {other} are not shown")),
    })
}

/// The name of a type; types of the same values have one name.
fn name_of(kind: &DataType) -> String {
    if let Some((name, _)) = PLAIN.iter().find(|(_, plain)| plain == kind) {
        return (*name).to_owned();
    }
    match kind {
        DataType::LargeUtf8 | DataType::Utf8View => "text".into(),
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "binary".into()
        }
        DataType::Date64 => "date".into(),
        DataType::Time32(_) | DataType::Time64(_) => "time".into(),
        DataType::Timestamp(_, None) => "timestamp".into(),
        DataType::Timestamp(_, Some(_)) => "instant".into(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            format!("decimal({precision},{scale})")
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            format!("list<{}>", name_of(item.data_type()))
        }
        DataType::Struct(fields) => {
            let member =
                |field: &Arc<Field>| format!("{}:{}", field.name(), name_of(field.data_type()));
            let members: Vec<String> = fields.iter().map(member).collect();
            format!("struct<{}>", members.join(","))
        }
        DataType::Dictionary(_, inner) => name_of(inner),
        other => other.to_string(),
    }
}

fn structs(fields: &Fields, given: &[&Json]) -> Outcome<ArrayRef> {
    let mut arrays = Vec::new();
    for field in fields {
        let cells: Vec<&Json> = given
            .iter()
            .map(|cell| cell.get(field.name()).unwrap_or(&Json::Null))
            .collect();
        arrays.push(column(field.data_type(), &cells)?);
    }
    let valid: NullBuffer = given.iter().map(|cell| !cell.is_null()).collect();
    let array = StructArray::try_new_with_length(fields.clone(), arrays, Some(valid), given.len());
    Ok(Arc::new(array.map_err(|e| e.to_string())?))
}

/// Casts that would make a value null fail instead.
fn cast_strictly(array: &ArrayRef, to: &DataType) -> Outcome<ArrayRef> {
    let out = cast(array, to).map_err(|e| e.to_string())?;
    match out.logical_null_count() == array.logical_null_count() {
        true => Ok(out),
        false => Err(format!(
            "a value of type {} is no {}",
            array.data_type(),
            name_of(to)
        )),
    }
}

/// Points in time in microseconds or, where that is too coarse, in nanoseconds.
fn moments(array: &ArrayRef, key: &str, unit: TimeUnit) -> Outcome<Vec<Json>> {
    let nanos = match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    // 32-bit times are cast by way of 32-bit integers.
    let numbers = match array.data_type() {
        DataType::Time32(_) => {
            cast_strictly(&cast_strictly(array, &DataType::Int32)?, &DataType::Int64)?
        }
        _ => cast_strictly(array, &DataType::Int64)?,
    };
    let shown = |value: i64| {
        let value = i128::from(value) * nanos;
        match value % 1_000 {
            0 => tag(key, Json::Int((value / 1_000).to_string())),
            _ => Json::object([
                (key, Json::Int(value.to_string())),
                ("unit", Json::from("ns")),
            ]),
        }
    };
    let cells = numbers.as_primitive::<Int64Type>().iter();
    Ok(cells.map(|cell| cell.map_or(Json::Null, shown)).collect())
}

/// Every cell as `read` reads it, nulls kept.
fn each<T>(
    given: &[&Json],
    read: impl Fn(&Json) -> Option<T>,
    misfit: impl Fn(&Json) -> String,
) -> Outcome<Vec<Option<T>>> {
    let one = |cell: &&Json| match cell {
        Json::Null => Ok(None),
        cell => read(cell).map(Some).ok_or_else(|| misfit(cell)),
    };
    given.iter().map(one).collect()
}

fn boolean(cell: &Json) -> Option<bool> {
    match cell {
        Json::Bool(value) => Some(*value),
        _ => None,
    }
}

fn digits(cell: &Json) -> Option<String> {
    match cell {
        Json::Int(digits) => Some(digits.clone()),
        _ => None,
    }
}

fn float(cell: &Json) -> Option<f64> {
    match cell {
        Json::Float(value) => Some(*value),
        Json::Int(digits) => digits.parse().ok(),
        other => tagged(other, "float")?.as_str()?.parse().ok(),
    }
}

fn shown_float(value: f64) -> Json {
    let name = match value {
        value if value.is_finite() => return Json::Float(value),
        value if value.is_nan() => "nan",
        value if value > 0.0 => "inf",
        _ => "-inf",
    };
    tag("float", Json::from(name))
}

fn tag(key: &str, value: Json) -> Json {
    Json::object([(key, value)])
}

fn tagged<'a>(cell: &'a Json, key: &str) -> Option<&'a Json> {
    cell.get(key)
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(pair).collect()
}

fn inside<'a>(text: &'a str, open: &str, close: char) -> Option<&'a str> {
    text.strip_prefix(open)?.strip_suffix(close)
}

/// `a:T,b:list<U>` split at the commas that are not inside brackets.
fn split_members(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut members) = (0_i32, 0, Vec::new());
    for (at, letter) in text.char_indices() {
        match letter {
            '<' | '(' => depth += 1,
            '>' | ')' => depth -= 1,
            ',' if depth == 0 => {
                members.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !text.is_empty() {
        members.push(&text[start..]);
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every type of value that the scenario writes comes back as it went.
    #[test]
    fn frames_come_back_as_they_went() {
        let scenario = include_str!("../../../interop/scenario.json");
        let scenario = Json::parse(scenario).unwrap();
        let mut frames = 0;
        for step in scenario.get("write").and_then(Json::as_array).unwrap() {
            let Some(given) = step.get("rows") else {
                continue;
            };
            let batch = frame(given).unwrap();
            let shown = described(&Rows::from(batch), |_| true).unwrap();
            assert_eq!(shown.get("columns"), given.get("columns"));
            let given = given.get("rows").and_then(Json::as_array).unwrap();
            let shown = shown.get("rows").and_then(Json::as_array).unwrap();
            assert_eq!(given.len(), shown.len());
            for (given, shown) in given.iter().zip(shown) {
                for (name, cell) in shown.as_object().unwrap() {
                    let given = given.get(name).unwrap_or(&Json::Null);
                    assert_eq!(
                        cell.to_python_dumps(true),
                        given.to_python_dumps(true),
                        "{name}"
                    );
                }
            }
            frames += 1;
        }
        assert!(frames > 3);
    }

    #[test]
    fn a_value_that_does_not_fit_is_an_error() {
        for (kind, cell) in [
            ("i8", "128"),
            ("u64", "-1"),
            ("date", "\"2024-01-01\""),
            ("text", "1"),
        ] {
            let given =
                format!("{{\"columns\": {{\"c\": \"{kind}\"}}, \"rows\": [{{\"c\": {cell}}}]}}");
            let given = Json::parse(&given).unwrap();
            assert!(frame(&given).unwrap_err().contains("column c"), "{kind}");
        }
    }
}
