//! Rows as canonical JSON, and multisets of them.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use chrono::DateTime;
use indexmap::IndexMap;
use metaxy_store::Rows;
use metaxy_store::columns;
use metaxy_store::json::Json;

use super::file::Outcome;

/// The columns of versions, which every row of a result has.
pub(super) const VERSIONS: [&str; 4] = [
    columns::PROVENANCE,
    columns::PROVENANCE_BY_FIELD,
    columns::DATA_VERSION,
    columns::DATA_VERSION_BY_FIELD,
];

/// A row of a result: its columns by name.
pub(super) type Row = IndexMap<String, Json>;

/// Which columns of a result are compared.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown {
    /// Those of an increment: user columns and the four versions.
    Increment,
    /// Those of a read: the feature version as well, and whether a row is deleted if asked for.
    Read { deleted: bool },
    /// All of them, as they were asked for by name.
    Asked,
}

/// What a row says about soft deletion where that is asked for.
const DELETED: &str = "__deleted__";

/// The rows with the columns that are compared.
pub(super) fn rows(rows: &Rows, shown: Shown) -> Outcome<Vec<Row>> {
    rows_with(rows, shown, &[])
}

/// The rows with the columns that are compared, and the system columns `also`.
pub(super) fn rows_with(rows: &Rows, shown: Shown, also: &[&str]) -> Outcome<Vec<Row>> {
    let mut out = Vec::with_capacity(rows.num_rows());
    for batch in rows.batches() {
        batch_rows(batch, shown, also, &mut out)?;
    }
    Ok(out)
}

fn batch_rows(batch: &RecordBatch, shown: Shown, also: &[&str], out: &mut Vec<Row>) -> Outcome {
    let start = out.len();
    out.resize_with(start + batch.num_rows(), Row::new);
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let name = field.name();
        if let (Shown::Read { deleted: true }, columns::DELETED_AT) = (shown, name.as_str()) {
            for (row, cells) in out[start..].iter_mut().enumerate() {
                cells.insert(DELETED.into(), Json::Bool(column.is_valid(row)));
            }
        }
        if !is_shown(name, shown) && !also.contains(&name.as_str()) {
            continue;
        }
        let cells = cells(column).map_err(|why| format!("column {name:?}: {why}"))?;
        for (row, cell) in out[start..].iter_mut().zip(cells) {
            row.insert(name.clone(), cell);
        }
    }
    Ok(())
}

fn is_shown(name: &str, shown: Shown) -> bool {
    let hidden = name.starts_with(columns::SYSTEM_PREFIX) || name.starts_with("__");
    match shown {
        Shown::Asked => true,
        Shown::Read { .. } if name == columns::FEATURE_VERSION => true,
        Shown::Increment | Shown::Read { .. } => !hidden || VERSIONS.contains(&name),
    }
}

fn cells(column: &ArrayRef) -> Outcome<Vec<Json>> {
    let plain = |to: &DataType| cast(column, to).map_err(|e| e.to_string());
    let data_type = column.data_type();
    Ok(if data_type.is_integer() {
        let array = plain(&DataType::Int64)?;
        array
            .as_primitive::<Int64Type>()
            .iter()
            .map(|v| v.map_or(Json::Null, Json::from))
            .collect()
    } else if data_type.is_floating() {
        let array = plain(&DataType::Float64)?;
        array
            .as_primitive::<Float64Type>()
            .iter()
            .map(|v| v.map_or(Json::Null, Json::Float))
            .collect()
    } else if let DataType::Boolean = data_type {
        column
            .as_boolean()
            .iter()
            .map(|v| v.map_or(Json::Null, Json::Bool))
            .collect()
    } else if let DataType::Timestamp(..) = data_type {
        let array = plain(&DataType::Timestamp(TimeUnit::Microsecond, None))?;
        array
            .as_primitive::<TimestampMicrosecondType>()
            .iter()
            .map(|v| v.map_or(Json::Null, |micros| Json::from(time(micros))))
            .collect()
    } else if let DataType::Null = data_type {
        vec![Json::Null; column.len()]
    } else if let DataType::Struct(fields) = data_type {
        let array = column.as_struct();
        let mut members = Vec::new();
        for (field, member) in fields.iter().zip(array.columns()) {
            members.push((field.name(), cells(member)?));
        }
        (0..array.len())
            .map(|row| match array.is_valid(row) {
                true => Json::object(
                    members
                        .iter()
                        .map(|(name, cells)| (name.as_str(), cells[row].clone())),
                ),
                false => Json::Null,
            })
            .collect()
    } else {
        let array = plain(&DataType::Utf8)?;
        array
            .as_string::<i32>()
            .iter()
            .map(|v| v.map_or(Json::Null, Json::from))
            .collect()
    })
}

/// A time as golden files have it.
pub(super) fn time(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros)
        .map(|time| time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string())
        .unwrap_or_default()
}

/// The rows of a golden file.
pub(super) fn golden(rows: &[Json]) -> Outcome<Vec<Row>> {
    let row = |row: &Json| {
        row.as_object()
            .cloned()
            .ok_or_else(|| format!("{row} is not a row"))
    };
    rows.iter().map(row).collect()
}

/// The rows without these columns.
pub(super) fn without(mut rows: Vec<Row>, dropped: &[&str]) -> Vec<Row> {
    for row in &mut rows {
        row.retain(|name, _| !dropped.contains(&name.as_str()));
    }
    rows
}

/// The rows, each only once.
pub(super) fn distinct(rows: Vec<Row>) -> Vec<Row> {
    let mut seen = std::collections::HashSet::new();
    rows.into_iter()
        .filter(|row| seen.insert(canonical(row)))
        .collect()
}

/// What two multisets of rows do not share.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Difference {
    /// Rows of the reference that are not here.
    pub(super) missing: Vec<Row>,
    /// Rows that are here only.
    pub(super) unexpected: Vec<Row>,
}

impl Difference {
    /// Compares what is expected with what was found.
    pub(super) fn between(expected: &[Row], found: &[Row]) -> Self {
        let mut counts: BTreeMap<String, (&Row, i64)> = BTreeMap::new();
        for (rows, one) in [(expected, 1), (found, -1)] {
            for row in rows {
                counts.entry(canonical(row)).or_insert((row, 0)).1 += one;
            }
        }
        let mut difference = Self::default();
        for (row, count) in counts.into_values() {
            let repeated = usize::try_from(count.abs()).unwrap_or_default();
            let side = if count > 0 {
                &mut difference.missing
            } else {
                &mut difference.unexpected
            };
            side.extend(std::iter::repeat_n(row.clone(), repeated));
        }
        difference
    }

    pub(super) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty()
    }

    /// The row here that is most like the first missing one, and the columns in which they differ.
    fn nearest(&self) -> Option<(&Row, &Row, Vec<String>)> {
        let missing = self.missing.first()?;
        let differing = |row: &Row| -> Vec<String> {
            let extra = row.keys().filter(|name| !missing.contains_key(*name));
            let names = missing
                .keys()
                .filter(|name| row.get(*name) != missing.get(*name));
            names.chain(extra).cloned().collect()
        };
        let nearest = self.unexpected.iter().map(|row| (row, differing(row)));
        let (row, names) = nearest.min_by_key(|(_, names)| names.len())?;
        (names.len() * 2 <= missing.len()).then_some((missing, row, names))
    }
}

/// Shows one row of each side and counts the others; of two rows that are nearly the same, the columns that differ.
impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some((missing, found, names)) = self.nearest() {
            let part = |row: &Row| -> String {
                let cells = names
                    .iter()
                    .filter_map(|name| Some((name.clone(), row.get(name)?.clone())));
                shortened(&canonical(&cells.collect()))
            };
            write!(f, " expected {}, found {}", part(missing), part(found))?;
            write!(f, " in {}", shortened(&canonical(missing)))?;
            return write!(
                f,
                " ({} missing, {} unexpected)",
                self.missing.len(),
                self.unexpected.len()
            );
        }
        for (side, rows) in [("missing", &self.missing), ("unexpected", &self.unexpected)] {
            if let [first, rest @ ..] = rows.as_slice() {
                write!(f, " {side} {}", shortened(&canonical(first)))?;
                if !rest.is_empty() {
                    write!(f, " and {} more", rest.len())?;
                }
            }
        }
        Ok(())
    }
}

/// Text of a row that fits a line.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 300;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The row as text in which equal rows are equal: keys sorted, floats by value.
pub(super) fn canonical(row: &Row) -> String {
    Json::Object(
        row.iter()
            .map(|(name, cell)| (name.clone(), by_value(cell)))
            .collect(),
    )
    .to_python_dumps(true)
}

fn by_value(cell: &Json) -> Json {
    match cell {
        Json::Float(value) if *value == 0.0 => Json::Float(0.0),
        cell => cell.clone(),
    }
}
