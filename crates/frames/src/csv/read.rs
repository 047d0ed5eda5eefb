//! Reading CSV and TSV: once for the types of all columns, and once for their values.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StructArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use indexmap::{IndexMap, IndexSet};
use metaxy_core::Result;

use super::records::{Record, Records};
use crate::build::{self, Column};
use crate::columns::{Hints, by_field_type, is_by_field, split_flattened};
use crate::json::parse::{Value, parse};
use crate::json::read::{note_members, refused};
use crate::read::FrameReader;
use crate::scalar::read::{Fit, inside};
use crate::shape::{Cells, Growth};
use crate::source::{Source, TextFile};
use crate::{BATCH_BYTES, BATCH_ROWS, invalid};

/// How cells are told apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialect {
    pub(crate) delimiter: u8,
    /// Whether somebody said so: otherwise a file that seems to have another is refused.
    pub(crate) is_certain: bool,
    /// Whether a cell may stand in quotes.
    pub(crate) quotes: bool,
}

/// Reads rows under a header line. Every row has as many cells as the header; an empty cell without quotes is null.
pub(crate) fn open(source: Source, dialect: Dialect, hints: &Hints) -> Result<FrameReader> {
    let file = source.into_text()?;
    let records = |text| Records::new(&file.name, text, dialect.delimiter, dialect.quotes);
    let mut first = records(file.first_pass()?);
    let header = first.header()?;
    if header.len() == 0 {
        let schema = hints.schema().cloned().map(FrameReader::empty);
        return schema.ok_or_else(|| {
            invalid(&file.name, "the file is empty").with_hint("the first line names the columns")
        });
    }
    let names = names(&header, &file.name, dialect)?;
    let mut seen: Vec<Seen> = names.iter().map(|name| Seen::new(name, hints)).collect();
    let mut record = Record::default();
    let mut rows = 0;
    while first.next(&mut record)?.is_some() {
        for (at, seen) in seen.iter_mut().enumerate() {
            let (cell, quoted) = record.cell(at);
            seen.add(cell, quoted);
        }
        rows += 1;
    }
    if rows == 0 && hints.schema().is_none() {
        return Err(
            invalid(&file.name, "the file has a header but no rows").with_hint(
                "without a row and without a known table the types of its columns are unknown",
            ),
        );
    }
    let table = Table::plan(&file, &names, seen, dialect)?;
    let schema = table.schema.clone();
    Ok(FrameReader::new(schema, table).with_total_rows(Some(rows)))
}

/// The names in the header line.
fn names(header: &Record, file: &str, dialect: Dialect) -> Result<Vec<String>> {
    let names: Vec<String> = (0..header.len())
        .map(|at| header.cell(at).0.to_owned())
        .collect();
    if let [name] = names.as_slice()
        && !dialect.is_certain
        && !header.cell(0).1
        && let Some(other) = name.chars().find(|c| matches!(c, ',' | ';' | '\t' | '|'))
    {
        let shown = if other == '\t' {
            "tab".to_owned()
        } else {
            other.to_string()
        };
        return Err(invalid(
            file,
            format!("the header has one column, {name:?}: its delimiter seems to be {other:?}"),
        )
        .with_hint(format!(
            "name the delimiter with --samples-delimiter '{shown}', or put the name into quotes if it is one"
        )));
    }
    let mut seen = HashSet::new();
    for (i, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(invalid(file, format!("column {} has no name", i + 1))
                .with_hint("the first line names every column; an index column needs a name too"));
        }
        if name.contains('\0') {
            return Err(invalid(file, format!("the name of column {} has zero bytes", i + 1))
                .with_hint("if the text is UTF-16, write it as UTF-8, such as `iconv -f UTF-16 -t UTF-8 FILE`"));
        }
        let whole = split_flattened(name).map_or(name.as_str(), |(column, _)| column);
        let twice = !seen.insert(name.as_str())
            || (whole != name && names.iter().any(|other| other == whole));
        if twice {
            return Err(invalid(file, format!("column '{name}' occurs twice"))
                .with_hint("name each column once"));
        }
    }
    Ok(names)
}

/// What is known of a column.
enum Seen {
    /// The type that is given, with the members that its JSON values have beyond it.
    Type(DataType, Growth),
    /// What cells spell, and whether one is an empty text.
    Cells(Cells, bool),
    /// The members of a by-field column that holds JSON objects.
    Members(IndexSet<String>),
    /// A member of a by-field column.
    Member,
}

impl Seen {
    fn new(name: &str, hints: &Hints) -> Self {
        if split_flattened(name).is_some() {
            return Self::Member;
        }
        if is_by_field(name) {
            return Self::Members(hints.members(name));
        }
        match hints.column(name) {
            Some(data_type) => {
                let growth = Growth::of(&data_type);
                Self::Type(data_type, growth)
            }
            None => Self::Cells(Cells::default(), false),
        }
    }

    fn add(&mut self, cell: &str, quoted: bool) {
        match self {
            Self::Cells(cells, has_empty) => {
                cells.add(cell);
                *has_empty |= quoted && cell.is_empty();
            }
            Self::Members(members) => {
                if let Ok(Value::Object(object)) = parse(cell) {
                    note_members(members, &object);
                }
            }
            // What cannot be read is told when its value is needed.
            Self::Type(_, Growth::Settled) | Self::Member => {}
            Self::Type(_, growth) => {
                if let Ok(value) = parse(cell) {
                    let _ = growth.add(&value);
                }
            }
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Type(known, growth) => growth.data_type(&known).unwrap_or(known),
            Self::Cells(cells, has_empty) => match cells.data_type() {
                DataType::Null if has_empty => DataType::Utf8,
                data_type => data_type,
            },
            Self::Members(members) => by_field_type(members.iter().map(String::as_str)),
            Self::Member => DataType::Utf8,
        }
    }
}

/// How the cells of a file become the columns of the frame.
struct Table {
    schema: SchemaRef,
    records: Records,
    record: Record,
    /// One for each column of the file.
    cells: Vec<Cell>,
    /// For each column of the frame, the columns of the file that it is made of.
    parts: Vec<Part>,
}

struct Cell {
    name: String,
    column: Box<dyn Column>,
    /// Whether an empty cell in quotes is a value.
    empty: bool,
}

enum Part {
    Whole(usize),
    /// Flattened members of a by-field column.
    Members(Vec<usize>, Fields),
}

impl Table {
    fn plan(file: &TextFile, names: &[String], seen: Vec<Seen>, dialect: Dialect) -> Result<Self> {
        let mut members: IndexMap<&str, Vec<(usize, &str)>> = IndexMap::new();
        for (i, name) in names.iter().enumerate() {
            if let Some((column, member)) = split_flattened(name) {
                members.entry(column).or_default().push((i, member));
            }
        }
        let (mut fields, mut parts, mut cells) = (Vec::new(), Vec::new(), Vec::new());
        for (i, (name, seen)) in names.iter().zip(seen).enumerate() {
            let data_type = seen.data_type();
            let column = match &data_type {
                DataType::Struct(members) if is_by_field(name) => build::by_field(members),
                other => {
                    build::column(other).map_err(|error| error.with_context("file", &file.name))?
                }
            };
            cells.push(Cell {
                name: name.clone(),
                column,
                empty: is_text_or_bytes(&data_type),
            });
            match split_flattened(name) {
                None => {
                    parts.push(Part::Whole(i));
                    fields.push(Field::new(name, data_type, true));
                }
                // The struct takes the place of its first member.
                Some((column, _)) => {
                    if let Some(members) = members.shift_remove(column)
                        && let all @ DataType::Struct(_) =
                            by_field_type(members.iter().map(|(_, member)| *member))
                    {
                        let of = members.into_iter().map(|(i, _)| i).collect();
                        if let DataType::Struct(inner) = &all {
                            parts.push(Part::Members(of, inner.clone()));
                        }
                        fields.push(Field::new(column, all, true));
                    }
                }
            }
        }
        let mut records = Records::new(
            &file.name,
            file.last_pass()?,
            dialect.delimiter,
            dialect.quotes,
        );
        records.header()?;
        Ok(Self {
            schema: Arc::new(Schema::new(fields)),
            records,
            record: Record::default(),
            cells,
            parts,
        })
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let (mut rows, mut bytes) = (0, 0);
        while rows < BATCH_ROWS && bytes < BATCH_BYTES {
            let Some(place) = self.records.next(&mut self.record)? else {
                break;
            };
            for (at, cell) in self.cells.iter_mut().enumerate() {
                let (text, quoted) = self.record.cell(at);
                let fit = cell.add(text, quoted);
                inside(fit, || cell.name.clone())
                    .map_err(|misfit| refused(&self.records.file, place, &misfit))?;
            }
            rows += 1;
            bytes += self.record.length();
        }
        if rows == 0 {
            return Ok(None);
        }
        let arrays = self.cells.iter_mut().map(|cell| cell.column.finish());
        let arrays = arrays.collect::<Result<Vec<ArrayRef>>>()?;
        let columns = self.parts.iter().map(|part| match part {
            Part::Whole(at) => Ok(arrays[*at].clone()),
            Part::Members(of, fields) => {
                let members = of.iter().map(|at| arrays[*at].clone()).collect();
                by_field(members, fields)
            }
        });
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok(Some(RecordBatch::try_new_with_options(
            self.schema.clone(),
            columns,
            &options,
        )?))
    }
}

impl Iterator for Table {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().transpose()
    }
}

impl Cell {
    fn add(&mut self, text: &str, quoted: bool) -> Fit {
        match text {
            "" if !(quoted && self.empty) => {
                self.column.null();
                Ok(())
            }
            text => self.column.cell(text),
        }
    }
}

fn is_text_or_bytes(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_text_or_bytes(value),
        DataType::FixedSizeBinary(size) => *size == 0,
        other => other.is_string() || other.is_binary(),
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
