//! Reading NDJSON and JSON arrays: once for the types of all columns, and once for their values.

use std::io::BufRead;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use indexmap::{IndexMap, IndexSet};
use metaxy_core::{Error, Result};

use super::parse::{Broken, Members, Value, parse};
use crate::build::{self, Structs};
use crate::columns::{Hints, by_field_type, is_by_field};
use crate::place::Place;
use crate::read::FrameReader;
use crate::scalar::read::Misfit;
use crate::shape::{Growth, entry};
use crate::source::{Source, Text, TextFile};
use crate::{BATCH_BYTES, BATCH_ROWS, END, invalid, io_error};

/// How the rows of a text follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One object per line. Blank lines are skipped.
    Lines,
    /// One array of objects.
    Array,
}

/// Opens a text with rows.
pub(crate) fn open(source: Source, layout: Layout, hints: &Hints) -> Result<FrameReader> {
    let file = source.into_text()?;
    let mut columns = Columns::new(hints);
    let mut rows = Rows::new(&file.name, file.first_pass()?, layout);
    let mut number = 0;
    while let Some((place, members)) = rows.next()? {
        columns.add(&file.name, place, &members)?;
        number += 1;
    }
    let ended = rows.ended || layout == Layout::Array;
    if number == 0 {
        let schema = match (hints.schema(), ended) {
            (Some(schema), _) => schema.clone(),
            (None, true) => SchemaRef::new(Schema::empty()),
            (None, false) => {
                return Err(invalid(&file.name, "the file has no rows").with_hint(
                    "without a row and without a known table there are no columns to read",
                ));
            }
        };
        return Ok(FrameReader::empty(schema).with_end(ended));
    }
    let schema = columns.schema(&file.name)?;
    let batches = Batches::new(&file, layout, schema.clone())?;
    let reader = FrameReader::new(schema, batches).with_end(ended);
    Ok(reader.with_total_rows(Some(number)))
}

/// What is known of the columns of a text.
struct Columns<'h> {
    hints: &'h Hints,
    known: IndexMap<String, Known>,
}

enum Known {
    Members(IndexSet<String>),
    /// The type that is given, and what values have beyond it.
    Type(DataType, Growth),
}

impl Known {
    /// What is known of a column before its values.
    fn first(name: &str, hints: &Hints) -> Self {
        if is_by_field(name) {
            return Self::Members(hints.members(name));
        }
        let data_type = hints.column(name).unwrap_or(DataType::Null);
        let growth = Growth::of(&data_type);
        Self::Type(data_type, growth)
    }
}

impl<'h> Columns<'h> {
    fn new(hints: &'h Hints) -> Self {
        Self {
            hints,
            known: IndexMap::new(),
        }
    }

    fn add(&mut self, file: &str, place: Place, members: &Members<'_>) -> Result<()> {
        for (i, (name, value)) in members.iter().enumerate() {
            let hints = self.hints;
            let known = entry(&mut self.known, i, name, || Known::first(name, hints));
            match (known, value) {
                (Known::Members(members), Value::Object(object)) => {
                    note_members(members, object);
                }
                (Known::Type(_, growth), value) => growth.add(value).map_err(|clash| {
                    let mut path = vec![name.as_ref()];
                    path.extend(clash.path.iter().map(String::as_str));
                    let path = path.join(".");
                    invalid(file, format!("{place}, column '{path}': {clash}")).with_hint(
                        "a column holds one type; put numbers into quotes where others are text",
                    )
                })?,
                _ => {}
            }
        }
        Ok(())
    }

    fn schema(self, file: &str) -> Result<SchemaRef> {
        let fields = self.known.into_iter().map(|(name, known)| {
            let unknown = |why: String| {
                invalid(file, format!("column '{name}': {why}"))
                    .with_hint("write such numbers as text, or give the column its type in the table it is written to")
            };
            let data_type = match known {
                Known::Members(members) => by_field_type(members.iter().map(String::as_str)),
                Known::Type(known, growth) => growth.data_type(&known).map_err(unknown)?,
            };
            Ok(Field::new(name, data_type, true))
        });
        Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?)))
    }
}

/// Adds the names of members that are not known yet.
pub(crate) fn note_members(known: &mut IndexSet<String>, object: &Members<'_>) {
    for (name, _) in object {
        if !known.contains(name.as_ref()) {
            known.insert(name.clone().into_owned());
        }
    }
}

/// The values of a text, batch by batch.
struct Batches {
    rows: Rows,
    schema: SchemaRef,
    columns: Structs,
}

impl Batches {
    fn new(file: &TextFile, layout: Layout, schema: SchemaRef) -> Result<Self> {
        let columns = schema.fields().iter().map(|field| match field.data_type() {
            DataType::Struct(members) if is_by_field(field.name()) => Ok(build::by_field(members)),
            other => build::column(other),
        });
        let columns = columns.collect::<Result<Vec<_>>>();
        let columns = columns.map_err(|error| error.with_context("file", &file.name))?;
        let fields: Fields = schema.fields().clone();
        Ok(Self {
            rows: Rows::new(&file.name, file.last_pass()?, layout),
            columns: Structs::of(columns, &fields),
            schema,
        })
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let (mut rows, mut bytes) = (0, 0);
        while rows < BATCH_ROWS && bytes < BATCH_BYTES {
            let Some((place, members)) = self.rows.next()? else {
                break;
            };
            let fit = self.columns.members(&members);
            rows += 1;
            if let Err(misfit) = fit {
                drop(members);
                return Err(refused(&self.rows.file, place, &misfit));
            }
            drop(members);
            bytes += self.rows.length();
        }
        if rows == 0 {
            return Ok(None);
        }
        let (columns, rows, _) = self.columns.take()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        Ok(Some(batch))
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().transpose()
    }
}

/// The error of a value that does not fit; its path begins with the column.
pub(crate) fn refused(file: &str, place: Place, misfit: &Misfit) -> Error {
    let mut path = String::new();
    for step in &misfit.path {
        if !path.is_empty() && !step.starts_with('[') {
            path.push('.');
        }
        path.push_str(step);
    }
    invalid(
        file,
        format!("{place}, column '{path}': {}", misfit.message),
    )
    .with_hint(misfit.hint)
}

/// The rows of a text, one after the other.
struct Rows {
    file: String,
    text: Text,
    layout: Layout,
    line: u64,
    item: u64,
    state: State,
    /// Whether an object said that the rows are all.
    ended: bool,
    /// The text of the row that was read last.
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// The opening bracket is still to come.
    Before,
    /// An element is to come.
    Inside,
    /// The closing bracket was read.
    After,
}

impl Rows {
    fn new(file: &str, text: Text, layout: Layout) -> Self {
        Self {
            file: file.to_owned(),
            text,
            layout,
            line: 0,
            item: 0,
            state: State::Before,
            ended: false,
            bytes: Vec::new(),
        }
    }

    /// How long the text of the last row is.
    fn length(&self) -> usize {
        self.bytes.len()
    }

    fn next(&mut self) -> Result<Option<(Place, Members<'_>)>> {
        let place = loop {
            let place = match self.layout {
                Layout::Lines => self.next_line()?,
                Layout::Array => self.next_item()?,
            };
            let Some(place) = place else {
                return Ok(None);
            };
            if self.is_end() {
                self.ended = true;
                continue;
            }
            if self.ended {
                let about = format!("{place} is a row after the end that {END:?} says");
                return Err(invalid(&self.file, about)
                    .with_hint("a step passes that object on as the last of its output"));
            }
            break place;
        };
        let text = std::str::from_utf8(&self.bytes).map_err(|_| {
            invalid(&self.file, format!("{place} is no UTF-8 text"))
                .with_hint("write the file as UTF-8")
        })?;
        match parse(text) {
            Ok(Value::Object(members)) => Ok(Some((place, members))),
            Ok(_) => Err(self.no_object(place, &format!("{place} is no JSON object"), None)),
            Err(Broken { message, hint, at }) => {
                let about = match text.trim_start().starts_with('{') {
                    true => format!(
                        "{place} is no JSON: {message} at character {}",
                        text[..at].chars().count() + 1
                    ),
                    false => format!("{place} is no JSON object: {message}"),
                };
                Err(self.no_object(place, &about, hint))
            }
        }
    }

    /// Whether the object that was read ends the rows.
    fn is_end(&self) -> bool {
        let Ok(text) = std::str::from_utf8(&self.bytes) else {
            return false;
        };
        text.contains(END)
            && matches!(parse(text), Ok(Value::Object(members)) if members.iter().any(|(name, _)| name == END))
    }

    fn no_object(&self, place: Place, about: &str, hint: Option<&'static str>) -> Error {
        let first = self.bytes.trim_ascii_start().first();
        let hint = hint.unwrap_or(match (place, first) {
            (Place::Line(_), Some(b'[')) => {
                "if the file is one array of objects, use --samples-format json"
            }
            (Place::Line(_), Some(b'{')) => "NDJSON has one whole object per line",
            (Place::Line(1), _) => {
                "each line is an object such as {\"id\": 1}; other formats need --samples-format"
            }
            _ => "each row is an object such as {\"id\": 1}",
        });
        invalid(&self.file, about).with_hint(hint)
    }

    fn next_line(&mut self) -> Result<Option<Place>> {
        loop {
            self.bytes.clear();
            let read = self.text.read_until(b'\n', &mut self.bytes);
            if read.map_err(|e| io_error(&self.file, "read", e))? == 0 {
                return Ok(None);
            }
            self.line += 1;
            if !self.bytes.trim_ascii().is_empty() {
                return Ok(Some(Place::Line(self.line)));
            }
        }
    }

    fn next_item(&mut self) -> Result<Option<Place>> {
        if self.state == State::Before {
            self.line = 1;
            self.enter()?;
        }
        if self.state == State::Inside && self.peek()? == Some(b']') && self.item == 0 {
            self.text.consume(1);
            self.state = State::After;
        }
        if self.state == State::After {
            return match self.peek()? {
                None => Ok(None),
                Some(_) => Err(self.broken("text follows the end of the array")),
            };
        }
        self.item += 1;
        self.peek()?;
        let place = Place::Item(self.item, self.line);
        self.element()?;
        Ok(Some(place))
    }

    /// Reads the opening bracket.
    fn enter(&mut self) -> Result<()> {
        match self.peek()? {
            None => {
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
        Ok(())
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

    /// Takes the text of one element, up to the comma or bracket that ends it, which is consumed.
    fn element(&mut self) -> Result<()> {
        self.bytes.clear();
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
            self.bytes.extend_from_slice(&buffer[..own]);
            self.text.consume(used);
            if let Some(byte) = end {
                if byte == b']' {
                    self.state = State::After;
                }
                return Ok(());
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
