//! Frames from golden rows: typed columns, as a user would hand them in.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions,
    StringArray, StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields, Schema};
use metaxy_store::json::Json;

use super::file::{Outcome, list, members};

/// The frame that `value` describes with `columns` and `rows` (`FORMAT.md`, increments.json).
pub(super) fn frame(value: &Json) -> Outcome<RecordBatch> {
    let rows: Vec<&Json> = list(value, "rows")?.iter().collect();
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (name, kind) in members(value, "columns") {
        let cells: Vec<&Json> = rows
            .iter()
            .map(|row| row.get(name).unwrap_or(&Json::Null))
            .collect();
        let column = column(kind, &cells).map_err(|why| format!("column {name:?}: {why}"))?;
        fields.push(Field::new(name, column.data_type().clone(), true));
        columns.push(column);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .map_err(|e| e.to_string())
}

fn column(kind: &Json, cells: &[&Json]) -> Outcome<ArrayRef> {
    if let Some(names) = kind.get("struct").and_then(Json::as_array) {
        let names: Vec<&str> = names.iter().filter_map(Json::as_str).collect();
        return structs(&names, cells);
    }
    Ok(match kind.as_str() {
        Some("int") => Arc::new(each(cells, int)?.into_iter().collect::<Int64Array>()),
        Some("float") => Arc::new(each(cells, float)?.into_iter().collect::<Float64Array>()),
        Some("bool") => Arc::new(each(cells, bool)?.into_iter().collect::<BooleanArray>()),
        Some("string") => Arc::new(each(cells, string)?.into_iter().collect::<StringArray>()),
        _ => return Err(format!("unknown type {kind}")),
    })
}

/// A struct of text. A member that is absent is null.
fn structs(names: &[&str], cells: &[&Json]) -> Outcome<ArrayRef> {
    let fields: Fields = names
        .iter()
        .map(|name| Field::new(*name, DataType::Utf8, true))
        .collect();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for name in names {
        let values: Vec<&Json> = cells
            .iter()
            .map(|cell| cell.get(name).unwrap_or(&Json::Null))
            .collect();
        arrays.push(Arc::new(
            each(&values, string)?.into_iter().collect::<StringArray>(),
        ));
    }
    let nulls: NullBuffer = cells.iter().map(|cell| !cell.is_null()).collect();
    let array = StructArray::try_new_with_length(fields, arrays, Some(nulls), cells.len());
    Ok(Arc::new(array.map_err(|e| e.to_string())?))
}

/// Every cell read by `read`, nulls kept.
fn each<'a, T>(
    cells: &[&'a Json],
    read: impl Fn(&'a Json) -> Option<T>,
) -> Outcome<Vec<Option<T>>> {
    let one = |cell: &&'a Json| match cell {
        Json::Null => Ok(None),
        cell => read(cell)
            .map(Some)
            .ok_or_else(|| format!("{cell} does not fit")),
    };
    cells.iter().map(one).collect()
}

fn int(cell: &Json) -> Option<i64> {
    match cell {
        Json::Int(digits) => digits.parse().ok(),
        _ => None,
    }
}

fn float(cell: &Json) -> Option<f64> {
    match cell {
        Json::Float(value) => Some(*value),
        Json::Int(digits) => digits.parse().ok(),
        _ => None,
    }
}

fn bool(cell: &Json) -> Option<bool> {
    match cell {
        Json::Bool(value) => Some(*value),
        _ => None,
    }
}

fn string(cell: &Json) -> Option<&str> {
    cell.as_str()
}
