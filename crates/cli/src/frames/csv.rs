//! Reading CSV and TSV. Arrow splits the text into columns of text; each is then brought to its type.

use std::collections::HashSet;
use std::io::BufRead;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, NullArray, RecordBatch, RecordBatchOptions,
    StringArray, StructArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format as Layout;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use indexmap::{IndexMap, IndexSet};
use metaxy_core::{Error, Result};
use serde_json::{Map, Value};

use super::columns::{Hints, by_field_type, is_by_field, split_flattened};
use super::conform::{Place, Row, RowDecoder};
use super::infer::{Cells, boolean};
use super::json::INFER_BYTES;
use super::read::FrameReader;
use super::source::{Source, Text};
use super::{BATCH_ROWS, invalid, io_error};

/// Reads rows under a header line. Every row has as many cells as the header; an empty cell is null.
pub(super) fn open(
    source: Source,
    delimiter: u8,
    hints: &Hints,
    infer_rows: usize,
) -> Result<FrameReader> {
    let (file, mut text) = source.into_text()?;
    let headers = header(&mut text, &file, delimiter)?;
    if headers.is_empty() {
        return hints
            .schema()
            .cloned()
            .map(FrameReader::empty)
            .ok_or_else(|| {
                invalid(&file, "the file is empty").with_hint("the first line names the columns")
            });
    }
    check_headers(&headers, &file)?;
    let mut cells = text_batches(text, &file, delimiter, &headers)?;

    let mut first = Vec::new();
    let (mut rows, mut held) = (0, 0);
    while rows < infer_rows && held < INFER_BYTES {
        let Some(batch) = cells.next().transpose()? else {
            break;
        };
        rows += batch.num_rows();
        held += batch.get_array_memory_size();
        first.push(batch);
    }
    if first.is_empty() && hints.schema().is_none() {
        return Err(
            invalid(&file, "the file has a header but no rows").with_hint(
                "without a row and without a known table the types of its columns are unknown",
            ),
        );
    }
    let table = Table::plan(file, &headers, &first, hints, rows)?;
    let schema = table.schema.clone();
    let mut done = 0;
    let batches = first.into_iter().map(Ok).chain(cells).map(move |batch| {
        let batch = batch?;
        let typed = table.batch(&batch, done)?;
        done += batch.num_rows() as u64;
        Ok(typed)
    });
    Ok(FrameReader::new(schema, batches))
}

/// The names in the header line, without one when there is no text. A quoted name may hold line ends.
fn header(text: &mut Text, file: &str, delimiter: u8) -> Result<Vec<String>> {
    let mut bytes = Vec::new();
    loop {
        let read = text
            .read_until(b'\n', &mut bytes)
            .map_err(|e| io_error(file, "read", e))?;
        let quotes = bytes.iter().filter(|byte| **byte == b'"').count();
        if read == 0 || (quotes % 2 == 0 && !bytes.trim_ascii().is_empty()) {
            break;
        }
    }
    if bytes.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let (schema, _) = Layout::default()
        .with_header(true)
        .with_delimiter(delimiter)
        .infer_schema(bytes.as_slice(), Some(0))
        .map_err(|e| invalid(file, format!("the header line cannot be read: {e}")))?;
    Ok(schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect())
}

fn check_headers(headers: &[String], file: &str) -> Result<()> {
    let mut seen = HashSet::new();
    for (i, name) in headers.iter().enumerate() {
        if name.is_empty() {
            return Err(invalid(file, format!("column {} has no name", i + 1))
                .with_hint("the first line names every column; an index column needs a name too"));
        }
        let whole = split_flattened(name).map_or(name.as_str(), |(column, _)| column);
        let twice = !seen.insert(name.as_str())
            || (whole != name && headers.iter().any(|other| other == whole));
        if twice {
            return Err(invalid(file, format!("column '{name}' occurs twice"))
                .with_hint("name each column once"));
        }
    }
    Ok(())
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// The rows after the header, all columns as text.
fn text_batches(text: Text, file: &str, delimiter: u8, headers: &[String]) -> Result<Batches> {
    let fields: Fields = headers
        .iter()
        .map(|name| Field::new(name, DataType::Utf8, true))
        .collect();
    let reader = ReaderBuilder::new(Arc::new(Schema::new(fields)))
        .with_delimiter(delimiter)
        .with_batch_size(BATCH_ROWS)
        .build_buffered(text)?;
    let file = file.to_owned();
    Ok(Box::new(reader.map(move |batch| {
        batch.map_err(|error| {
            // The header was read before, so what Arrow counts as lines are rows.
            let message = error.to_string().replace("for line ", "in row ");
            invalid(&file, message)
                .with_hint("each row has one cell per column; quote cells that hold the delimiter")
        })
    })))
}

/// How the text columns of a file become the columns of the frame.
struct Table {
    file: String,
    schema: SchemaRef,
    columns: Vec<Column>,
}

enum Column {
    /// One column of text, in a type that a cell spells.
    Plain(usize, DataType),
    /// One column of text whose cells are parsed as JSON values of that type.
    Parsed(usize, RowDecoder),
    /// Flattened members of a by-field column.
    Members(Vec<usize>, Fields),
}

impl Table {
    fn plan(
        file: String,
        headers: &[String],
        first: &[RecordBatch],
        hints: &Hints,
        rows: usize,
    ) -> Result<Self> {
        let mut members: IndexMap<&str, Vec<(usize, &str)>> = IndexMap::new();
        for (i, name) in headers.iter().enumerate() {
            if let Some((column, member)) = split_flattened(name) {
                members.entry(column).or_default().push((i, member));
            }
        }
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        for (i, name) in headers.iter().enumerate() {
            if let Some((column, _)) = split_flattened(name) {
                // The struct takes the place of its first member.
                let Some(members) = members.shift_remove(column) else {
                    continue;
                };
                let data_type = by_field_type(members.iter().map(|(_, member)| *member));
                fields.push(Field::new(column, data_type.clone(), true));
                if let DataType::Struct(inner) = data_type {
                    columns.push(Column::Members(
                        members.into_iter().map(|(i, _)| i).collect(),
                        inner,
                    ));
                }
                continue;
            }
            let data_type = if is_by_field(name) {
                by_field_type(
                    json_members(first, i, hints.members(name))
                        .iter()
                        .map(String::as_str),
                )
            } else {
                hints.column(name).unwrap_or_else(|| inferred(first, i))
            };
            fields.push(Field::new(name, data_type.clone(), true));
            columns.push(match is_plain(&data_type) {
                true => Column::Plain(i, data_type),
                false => {
                    let column = IndexMap::from([(name.clone(), data_type)]);
                    Column::Parsed(i, RowDecoder::new(&file, column, rows))
                }
            });
        }
        Ok(Self {
            file,
            schema: Arc::new(Schema::new(fields)),
            columns,
        })
    }

    /// `cells` in the types of the frame; `done` rows came before.
    fn batch(&self, cells: &RecordBatch, done: u64) -> Result<RecordBatch> {
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (column, field) in self.columns.iter().zip(self.schema.fields()) {
            arrays.push(match column {
                Column::Plain(i, data_type) => {
                    let text = text_column(cells, *i);
                    plain(text, data_type).map_err(|row| self.misfit(text, row, done, field))?
                }
                Column::Parsed(i, decoder) => {
                    self.parsed(text_column(cells, *i), decoder, done, field)?
                }
                Column::Members(members, fields) => by_field(
                    members.iter().map(|i| cells.column(*i).clone()).collect(),
                    fields,
                )?,
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(cells.num_rows()));
        Ok(RecordBatch::try_new_with_options(
            self.schema.clone(),
            arrays,
            &options,
        )?)
    }

    fn parsed(
        &self,
        cells: &StringArray,
        decoder: &RowDecoder,
        done: u64,
        field: &Field,
    ) -> Result<ArrayRef> {
        let nested = field.data_type().is_nested();
        let rows = cells
            .iter()
            .enumerate()
            .map(|(i, cell)| {
                let value = match cell {
                    None => Value::Null,
                    Some(cell) if nested => serde_json::from_str(cell)
                        .map_err(|_| self.misfit(cells, i, done, field))?,
                    Some(cell) => Value::from(cell),
                };
                Ok(Row {
                    place: Place::Row(done + i as u64 + 1),
                    cells: Map::from_iter([(field.name().clone(), value)]),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(decoder.batch(rows)?.column(0).clone())
    }

    fn misfit(&self, cells: &StringArray, row: usize, done: u64, field: &Field) -> Error {
        let cell: String = cells.value(row).chars().take(40).collect();
        let (what, hint) = match field.data_type() {
            DataType::Null => (
                "stands in a column that is empty in all rows before".to_owned(),
                "types come from the first rows unless the table is known: give an earlier row a value",
            ),
            nested if nested.is_nested() => (
                "is no JSON value".to_owned(),
                "nested values are written as JSON",
            ),
            other => (
                format!("is no {other}"),
                "correct the value; an unknown column gets its type from the first rows",
            ),
        };
        let place = Place::Row(done + row as u64 + 1);
        invalid(
            &self.file,
            format!("{place}, column '{}': '{cell}' {what}", field.name()),
        )
        .with_hint(hint)
    }
}

/// The type of column `i` by the rows read first.
fn inferred(first: &[RecordBatch], i: usize) -> DataType {
    let mut seen = Cells::default();
    for batch in first {
        seen.add(text_column(batch, i));
    }
    seen.data_type()
}

/// The members of a by-field column that is written as one column of JSON objects.
fn json_members(
    first: &[RecordBatch],
    i: usize,
    mut members: IndexSet<String>,
) -> IndexSet<String> {
    for cell in first
        .iter()
        .flat_map(|batch| text_column(batch, i))
        .flatten()
    {
        if let Ok(Value::Object(object)) = serde_json::from_str(cell) {
            members.extend(object.into_iter().map(|(name, _)| name));
        }
    }
    members
}

/// All columns of these batches are text.
fn text_column(batch: &RecordBatch, i: usize) -> &StringArray {
    batch.column(i).as_string::<i32>()
}

/// Whether [`plain`] handles the type; the others are parsed as JSON values.
fn is_plain(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_text(value),
        DataType::Null | DataType::Boolean => true,
        other => is_text(other) || other.is_integer() || other.is_floating(),
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

/// Text in the type that its cells spell, or the first row that does not spell it.
fn plain(text: &StringArray, data_type: &DataType) -> Result<ArrayRef, usize> {
    let array: ArrayRef = match data_type {
        DataType::Null => Arc::new(NullArray::new(text.len())),
        DataType::Boolean => Arc::new(
            text.iter()
                .map(|cell| cell.and_then(boolean))
                .collect::<BooleanArray>(),
        ),
        DataType::Utf8 => return Ok(Arc::new(text.clone())),
        other => {
            // Cells that do not spell the type become null, which shows below.
            let options = CastOptions {
                safe: true,
                ..CastOptions::default()
            };
            cast_with_options(text, other, &options).map_err(|_| 0_usize)?
        }
    };
    match (0..text.len())
        .find(|row| text.is_valid(*row) && (array.is_null(*row) || data_type.is_null()))
    {
        Some(row) => Err(row),
        None => Ok(array),
    }
}

/// A struct of the members; null where all of them are.
fn by_field(members: Vec<ArrayRef>, fields: &Fields) -> Result<ArrayRef> {
    let rows = members.first().map_or(0, |member| member.len());
    let valid = BooleanBuffer::collect_bool(rows, |row| {
        members.iter().any(|member| member.is_valid(row))
    });
    Ok(Arc::new(StructArray::try_new(
        fields.clone(),
        members,
        Some(NullBuffer::new(valid)),
    )?))
}
