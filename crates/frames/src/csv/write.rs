//! Columns as CSV: by-field structs flattened, other nested values as JSON text.

use arrow::array::{Array, AsArray, RecordBatch, StructArray};
use arrow::datatypes::{DataType, Fields, Schema};

use crate::columns::{flattened, is_by_field};
use crate::json::write::{Encoder, NoText};
use crate::scalar::print::Printer;

/// How cells are told apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialect {
    pub(crate) delimiter: u8,
    /// Whether a cell that a spreadsheet would take for a formula gets an apostrophe in front.
    pub(crate) guard: bool,
}

/// One column of the text.
struct Cells<'a> {
    /// The struct that it is a member of: null where that is.
    parent: Option<&'a StructArray>,
    values: Values<'a>,
}

enum Values<'a> {
    Plain(&'a dyn Array, Printer<'a>),
    Keys(Vec<usize>, Box<Cells<'a>>),
    Json(Encoder<'a>),
}

/// The names of the columns.
pub(crate) fn header(schema: &Schema, dialect: Dialect) -> String {
    let mut names = Vec::new();
    for field in schema.fields() {
        match field.data_type() {
            DataType::Struct(members) if is_flattened(field.name(), members) => {
                names.extend(
                    members
                        .iter()
                        .map(|member| flattened(field.name(), member.name())),
                );
            }
            _ => names.push(field.name().clone()),
        }
    }
    let mut line = String::new();
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            line.push(char::from(dialect.delimiter));
        }
        // A name that a reader could take for several, or for a byte order mark, is quoted as well.
        let start = line.len();
        line.push_str(name);
        quote_from(&mut line, start, |c| {
            matches!(c, ',' | ';' | '\t' | '|' | '\u{feff}') || c.is_control()
        });
        if dialect.guard {
            guard_from(&mut line, start);
        }
    }
    line.push('\n');
    line
}

/// Whether a struct is written as one column per member. One without members would be no column at all.
fn is_flattened(name: &str, members: &Fields) -> bool {
    is_by_field(name) && !members.is_empty()
}

/// The rows of a batch, each handed to `row` with its line end. The error names the column.
pub(crate) fn rows(
    batch: &RecordBatch,
    Dialect { delimiter, guard }: Dialect,
    mut row: impl FnMut(&str),
) -> Result<(), (usize, NoText)> {
    let schema = batch.schema();
    let mut columns = Vec::new();
    for (i, (field, array)) in schema.fields().iter().zip(batch.columns()).enumerate() {
        match field.data_type() {
            DataType::Struct(members) if is_flattened(field.name(), members) => {
                let parent = array.as_struct();
                for member in parent.columns() {
                    let cells =
                        Cells::of(member.as_ref(), Some(parent)).map_err(|error| (i, error))?;
                    columns.push((i, cells));
                }
            }
            _ => columns.push((
                i,
                Cells::of(array.as_ref(), None).map_err(|error| (i, error))?,
            )),
        }
    }
    let mut line = String::new();
    for at in 0..batch.num_rows() {
        line.clear();
        for (position, (i, cells)) in columns.iter().enumerate() {
            if position > 0 {
                line.push(char::from(delimiter));
            }
            let start = line.len();
            cells
                .push(at, delimiter, &mut line)
                .map_err(|error| (*i, error))?;
            if guard {
                guard_from(&mut line, start);
            }
        }
        line.push('\n');
        row(&line);
    }
    Ok(())
}

impl<'a> Cells<'a> {
    fn of(array: &'a dyn Array, parent: Option<&'a StructArray>) -> Result<Self, NoText> {
        let values = match array.data_type() {
            DataType::Dictionary(_, value) if !value.is_nested() => {
                let dictionary = array.as_any_dictionary();
                let values = Self::of(dictionary.values().as_ref(), None)?;
                let keys = match dictionary.values().is_empty() {
                    true => vec![usize::MAX; array.len()],
                    false => dictionary.normalized_keys(),
                };
                // Whether the key is null is told by the array itself.
                return Ok(Self {
                    parent,
                    values: Values::Keys(masked(keys, array), Box::new(values)),
                });
            }
            _ => match Printer::of(array) {
                Some(printer) => Values::Plain(array, printer),
                None => Values::Json(Encoder::of(array)?),
            },
        };
        Ok(Self { parent, values })
    }

    fn push(&self, row: usize, delimiter: u8, line: &mut String) -> Result<(), NoText> {
        if self.parent.is_some_and(|parent| parent.is_null(row)) {
            return Ok(());
        }
        let special = |c: char| c == char::from(delimiter);
        match &self.values {
            Values::Plain(array, _) if array.is_null(row) => {}
            Values::Plain(_, printer) => {
                let start = line.len();
                (printer.print)(row, line).ok_or(NoText::Row(row))?;
                quote_from(line, start, special);
            }
            Values::Keys(keys, values) => match keys[row] {
                usize::MAX => {}
                key => {
                    let pushed = values.push(key, delimiter, line);
                    pushed.map_err(|error| error.within(row))?;
                }
            },
            Values::Json(encoder) if encoder.is_null(row) => {}
            Values::Json(encoder) => {
                let start = line.len();
                encoder.push(row, line)?;
                quote_from(line, start, special);
            }
        }
        Ok(())
    }
}

/// The keys, and `usize::MAX` for rows without one.
fn masked(mut keys: Vec<usize>, array: &dyn Array) -> Vec<usize> {
    for (row, key) in keys.iter_mut().enumerate() {
        if array.is_null(row) {
            *key = usize::MAX;
        }
    }
    keys
}

/// Puts the cell that begins here into quotes where it would be read as something else without them.
fn quote_from(line: &mut String, start: usize, special: impl Fn(char) -> bool) {
    let cell = &line[start..];
    if cell.is_empty() || cell.contains(|c| matches!(c, '"' | '\r' | '\n') || special(c)) {
        let cell = cell.replace('"', "\"\"");
        line.truncate(start);
        line.push('"');
        line.push_str(&cell);
        line.push('"');
    }
}

/// Puts an apostrophe in front of the cell that begins here if a spreadsheet would take it for a formula.
fn guard_from(line: &mut String, start: usize) {
    let start = start + usize::from(line[start..].starts_with('"'));
    let cell = &line[start..];
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula && cell.parse::<f64>().is_err() {
        line.insert(start, '\'');
    }
}
