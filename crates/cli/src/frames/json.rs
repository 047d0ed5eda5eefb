//! Reading NDJSON and JSON arrays.

use std::io::BufRead;

use arrow::datatypes::{DataType, SchemaRef};
use indexmap::{IndexMap, IndexSet};
use metaxy_core::{Error, Result};
use serde_json::{Map, Value};

use super::columns::{Hints, by_field_type, is_by_field};
use super::conform::{Place, Row, RowDecoder};
use super::infer::Shape;
use super::read::FrameReader;
use super::source::{Source, Text};
use super::{BATCH_ROWS, invalid, io_error};

/// The most text that is held to infer types from.
pub(super) const INFER_BYTES: usize = 64 * 1024 * 1024;
/// The most text that goes into one batch.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// Reads one object per line. Blank lines are skipped.
pub(super) fn open_lines(source: Source, hints: &Hints, infer_rows: usize) -> Result<FrameReader> {
    let (file, text) = source.into_text()?;
    let rows = Lines {
        file: file.clone(),
        text,
        line: 0,
    };
    let empty = || {
        invalid(&file, "the file has no rows")
            .with_hint("without a row and without a known table there are no columns to read")
    };
    match read(rows, &file, hints, infer_rows)? {
        Some(reader) => Ok(reader),
        None => hints
            .schema()
            .cloned()
            .map(FrameReader::empty)
            .ok_or_else(empty),
    }
}

/// Reads one array of objects, element by element.
pub(super) fn open_array(source: Source, hints: &Hints, infer_rows: usize) -> Result<FrameReader> {
    let (file, text) = source.into_text()?;
    let rows = Items {
        file: file.clone(),
        text,
        line: 1,
        item: 0,
        state: State::Before,
    };
    Ok(match read(rows, &file, hints, infer_rows)? {
        Some(reader) => reader,
        None => FrameReader::empty(hints.schema().cloned().unwrap_or_else(no_columns)),
    })
}

fn no_columns() -> SchemaRef {
    SchemaRef::new(arrow::datatypes::Schema::empty())
}

/// A parsed row and the length of its text.
type Sized = (Row, usize);

/// A reader of `rows`; `None` when there are none.
fn read(
    mut rows: impl Iterator<Item = Result<Sized>> + Send + 'static,
    file: &str,
    hints: &Hints,
    infer_rows: usize,
) -> Result<Option<FrameReader>> {
    let mut first = Vec::new();
    let mut held = 0;
    while first.len() < infer_rows && held < INFER_BYTES {
        let Some(row) = rows.next().transpose()? else {
            break;
        };
        held += row.1;
        first.push(row);
    }
    if first.is_empty() {
        return Ok(None);
    }
    let columns = infer(first.iter().map(|(row, _)| row), file, hints)?;
    let decoder = RowDecoder::new(file, columns, first.len());
    let schema = decoder.schema();
    let mut rows = first.into_iter().map(Ok).chain(rows).fuse();
    let batches = std::iter::from_fn(move || {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < BATCH_ROWS && bytes < BATCH_BYTES {
            match rows.next() {
                Some(Ok((row, length))) => {
                    bytes += length;
                    batch.push(row);
                }
                Some(Err(error)) => return Some(Err(error)),
                None => break,
            }
        }
        (!batch.is_empty()).then(|| decoder.batch(batch))
    });
    Ok(Some(FrameReader::new(schema, batches)))
}

/// The columns of `rows` in the order of their first appearance, with their types.
fn infer<'a>(
    rows: impl Iterator<Item = &'a Row>,
    file: &str,
    hints: &Hints,
) -> Result<IndexMap<String, DataType>> {
    enum Known {
        Type(DataType),
        Members(IndexSet<String>),
        Shape(Shape),
    }
    let mut columns: IndexMap<String, Known> = IndexMap::new();
    for row in rows {
        for (name, value) in &row.cells {
            if !columns.contains_key(name) {
                let known = match hints.column(name) {
                    Some(data_type) => Known::Type(data_type),
                    None if is_by_field(name) => Known::Members(hints.members(name)),
                    None => Known::Shape(Shape::default()),
                };
                columns.insert(name.clone(), known);
            }
            match (columns.get_mut(name), value) {
                (Some(Known::Members(members)), Value::Object(object)) => {
                    for member in object.keys() {
                        if !members.contains(member) {
                            members.insert(member.clone());
                        }
                    }
                }
                (Some(Known::Shape(shape)), value) => shape.add(value).map_err(|clash| {
                    let mut path = vec![name.clone()];
                    path.extend(clash.path.iter().cloned());
                    let path = path.join(".");
                    invalid(file, format!("{}, column '{path}': {clash}", row.place)).with_hint(
                        "a column holds one type; put numbers into quotes where others are text",
                    )
                })?,
                _ => {}
            }
        }
    }
    Ok(columns
        .into_iter()
        .map(|(name, known)| {
            let data_type = match known {
                Known::Type(data_type) => data_type,
                Known::Members(members) => by_field_type(members.iter().map(String::as_str)),
                Known::Shape(shape) => shape.data_type(),
            };
            (name, data_type)
        })
        .collect())
}

/// Rows of NDJSON.
struct Lines {
    file: String,
    text: Text,
    line: u64,
}

impl Iterator for Lines {
    type Item = Result<Sized>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            match self.text.read_until(b'\n', &mut bytes) {
                Ok(0) => return None,
                Ok(_) => self.line += 1,
                Err(error) => return Some(Err(io_error(&self.file, "read", error))),
            }
            if !bytes.trim_ascii().is_empty() {
                let place = Place::Line(self.line);
                return Some(parse(&self.file, place, &bytes).map(|row| (row, bytes.len())));
            }
        }
    }
}

/// Rows of a JSON array.
struct Items {
    file: String,
    text: Text,
    line: u64,
    item: u64,
    state: State,
}

#[derive(PartialEq)]
enum State {
    /// The opening bracket is still to come.
    Before,
    /// An element is to come.
    Inside,
    /// The closing bracket was read.
    After,
}

impl Iterator for Items {
    type Item = Result<Sized>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

impl Items {
    fn step(&mut self) -> Result<Option<Sized>> {
        if self.state == State::Before && !self.enter()? {
            return Ok(None);
        }
        if self.state == State::After {
            return match self.peek()? {
                None => Ok(None),
                Some(_) => Err(self.broken("text follows the end of the array")),
            };
        }
        match self.peek()? {
            Some(b']') if self.item == 0 => {
                self.text.consume(1);
                self.state = State::After;
                return self.step();
            }
            _ => self.item += 1,
        }
        let place = Place::Item(self.item, self.line);
        let bytes = self.element()?;
        parse(&self.file, place, &bytes).map(|row| Some((row, bytes.len())))
    }

    /// Reads the opening bracket; `false` when there is no text at all.
    fn enter(&mut self) -> Result<bool> {
        match self.peek()? {
            None => {
                self.state = State::After;
                return Err(self
                    .broken("the file is empty")
                    .with_hint("an empty frame is written []"));
            }
            Some(b'[') => self.text.consume(1),
            Some(b'{') => {
                return Err(self
                    .broken("this is an object, not an array of objects")
                    .with_hint("if there is one object per line, use --samples-format ndjson"));
            }
            Some(_) => {
                return Err(self
                    .broken("this is no array of objects")
                    .with_hint("a JSON file holds rows as in [{\"id\": 1}]"));
            }
        }
        self.state = State::Inside;
        Ok(true)
    }

    /// The next byte that is no white space, not consumed.
    fn peek(&mut self) -> Result<Option<u8>> {
        loop {
            let buffer = fill(&mut self.text, &self.file)?;
            let Some(&byte) = buffer.first() else {
                return Ok(None);
            };
            if !byte.is_ascii_whitespace() {
                return Ok(Some(byte));
            }
            self.line += u64::from(byte == b'\n');
            self.text.consume(1);
        }
    }

    /// The text of one element, up to the comma or bracket that ends it, which is consumed.
    fn element(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let (mut depth, mut quoted, mut escaped) = (0_u64, false, false);
        loop {
            let buffer = fill(&mut self.text, &self.file)?;
            if buffer.is_empty() {
                return Err(self
                    .broken("the array is not closed")
                    .with_hint("the file may be cut off"));
            }
            let mut end = None;
            let mut used = 0;
            for &byte in buffer {
                used += 1;
                self.line += u64::from(byte == b'\n');
                if quoted {
                    quoted = escaped || byte != b'"';
                    escaped = !escaped && byte == b'\\';
                    continue;
                }
                match byte {
                    b'"' => quoted = true,
                    b'{' | b'[' => depth += 1,
                    b',' | b']' if depth == 0 => {
                        end = Some(byte);
                        break;
                    }
                    b'}' | b']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
            }
            let own = used - usize::from(end.is_some());
            bytes.extend_from_slice(&buffer[..own]);
            self.text.consume(used);
            if let Some(byte) = end {
                if byte == b']' {
                    self.state = State::After;
                }
                return Ok(bytes);
            }
        }
    }

    fn broken(&self, message: &str) -> Error {
        invalid(&self.file, format!("line {}: {message}", self.line))
    }
}

fn fill<'a>(text: &'a mut Text, file: &str) -> Result<&'a [u8]> {
    text.fill_buf().map_err(|e| io_error(file, "read", e))
}

/// Parses the text of one row. serde_json bounds the depth.
fn parse(file: &str, place: Place, bytes: &[u8]) -> Result<Row> {
    match serde_json::from_slice::<Map<String, Value>>(bytes) {
        Ok(cells) => Ok(Row { place, cells }),
        Err(error) => {
            let start = bytes.trim_ascii_start();
            let message = match start.first() {
                Some(b'{') => format!("{place} is no JSON: {error}"),
                _ => format!("{place} is no JSON object"),
            };
            Err(
                invalid(file, message).with_hint(match (place, start.first()) {
                    (Place::Line(_), Some(b'[')) => {
                        "if the file is one array of objects, use --samples-format json"
                    }
                    (Place::Line(_), Some(b'{')) => "NDJSON has one whole object per line",
                    (Place::Line(1), _) => {
                        "each line is an object such as {\"id\": 1}; other formats need --samples-format"
                    }
                    _ => "each row is an object such as {\"id\": 1}",
                }),
            )
        }
    }
}
