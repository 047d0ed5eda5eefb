//! Text split into cells.

use std::io::BufRead;

use metaxy_core::{Error, Result};

use crate::place::Place;
use crate::source::Text;
use crate::{invalid, io_error};

/// The cells of one row.
#[derive(Debug, Default)]
pub(super) struct Record {
    text: String,
    /// Where each cell ends, and whether it stood in quotes.
    ends: Vec<(usize, bool)>,
}

impl Record {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// A cell, and whether it stood in quotes.
    pub(super) fn cell(&self, at: usize) -> (&str, bool) {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before].0);
        let (end, quoted) = self.ends[at];
        (&self.text[start..end], quoted)
    }

    /// How long the text of all cells is.
    pub(super) fn length(&self) -> usize {
        self.text.len()
    }

    /// Whether nothing stands in its line.
    fn is_blank(&self) -> bool {
        self.text.is_empty() && matches!(self.ends.as_slice(), [(_, false)])
    }
}

/// The rows of a text.
pub(super) struct Records {
    pub(super) file: String,
    text: Text,
    delimiter: u8,
    quotes: bool,
    /// How many cells each row has, once the header is known.
    columns: Option<usize>,
    /// How many rows have been read, without the header.
    rows: u64,
    /// Whether a line feed belongs to the carriage return before it.
    after_return: bool,
}

enum State {
    Start,
    Plain,
    Quoted,
    /// Behind a quote within quotes: the end, or the first of two.
    Quote,
}

impl Records {
    pub(super) fn new(file: &str, text: Text, delimiter: u8, quotes: bool) -> Self {
        Self {
            file: file.to_owned(),
            text,
            delimiter,
            quotes,
            columns: None,
            rows: 0,
            after_return: false,
        }
    }

    /// The names of the columns; none if there is no text.
    pub(super) fn header(&mut self) -> Result<Record> {
        let mut record = Record::default();
        while self.read(&mut record)? {
            if !record.is_blank() {
                self.columns = Some(record.len());
                return Ok(record);
            }
        }
        Ok(Record::default())
    }

    /// The next row; `None` at the end. Blank lines are rows only where there is one column.
    pub(super) fn next(&mut self, record: &mut Record) -> Result<Option<Place>> {
        let columns = self.columns.unwrap_or_default();
        while self.read(record)? {
            if record.is_blank() && columns != 1 {
                continue;
            }
            self.rows += 1;
            let place = Place::Row(self.rows);
            if record.len() != columns {
                return Err(invalid(
                    &self.file,
                    format!("{place} has {} cells, the header {columns}", record.len()),
                )
                .with_hint(
                    "each row has one cell per column; quote cells that hold the delimiter, or name the delimiter with --samples-delimiter",
                ));
            }
            return Ok(Some(place));
        }
        Ok(None)
    }

    /// Where the row that is being read stands.
    fn here(&self, cell: usize) -> String {
        match self.columns {
            None => format!("the header, column {}", cell + 1),
            Some(_) => format!("row {}, column {}", self.rows + 1, cell + 1),
        }
    }

    /// Reads one record; `false` at the end.
    fn read(&mut self, record: &mut Record) -> Result<bool> {
        let mut bytes = std::mem::take(&mut record.text).into_bytes();
        bytes.clear();
        record.ends.clear();
        let mut state = State::Start;
        // Whether the cell began with a quote.
        let mut quoted = false;
        let mut any = false;
        let whole = 'record: loop {
            let buffer = self
                .text
                .fill_buf()
                .map_err(|e| io_error(&self.file, "read", e))?;
            if buffer.is_empty() {
                break any;
            }
            let mut used = 0;
            for &byte in buffer {
                used += 1;
                if std::mem::take(&mut self.after_return) && byte == b'\n' {
                    continue;
                }
                any = true;
                state = match state {
                    State::Quoted => match byte {
                        b'"' => State::Quote,
                        byte => {
                            bytes.push(byte);
                            State::Quoted
                        }
                    },
                    State::Quote if byte == b'"' => {
                        bytes.push(byte);
                        State::Quoted
                    }
                    State::Start if byte == b'"' && self.quotes => {
                        quoted = true;
                        State::Quoted
                    }
                    _ if byte == self.delimiter => {
                        record.ends.push((bytes.len(), std::mem::take(&mut quoted)));
                        State::Start
                    }
                    _ if byte == b'\n' || byte == b'\r' => {
                        self.after_return = byte == b'\r';
                        self.text.consume(used);
                        break 'record true;
                    }
                    State::Quote => {
                        let cell = record.ends.len();
                        return Err(self.ambiguous(cell));
                    }
                    State::Start | State::Plain => {
                        bytes.push(byte);
                        State::Plain
                    }
                };
            }
            self.text.consume(used);
        };
        if whole {
            if let State::Quoted = state {
                return Err(invalid(
                    &self.file,
                    format!("the quote that opens {} is never closed", self.here(record.ends.len())),
                )
                .with_hint("the file may be cut off; if quotes are part of the text, read it with --samples-quotes none"));
            }
            record.ends.push((bytes.len(), quoted));
        }
        // Halves of a character in two cells would be one in the text of both.
        let text = String::from_utf8(bytes).ok();
        let text = text.filter(|text| {
            record
                .ends
                .iter()
                .all(|(end, _)| text.is_char_boundary(*end))
        });
        record.text = text.ok_or_else(|| {
            let here = self.here(0);
            let about = here.split(',').next().unwrap_or_default();
            invalid(&self.file, format!("{about} is no UTF-8 text"))
                .with_hint("write the file as UTF-8, such as `iconv -f LATIN1 -t UTF-8 FILE`")
        })?;
        Ok(whole)
    }

    fn ambiguous(&self, cell: usize) -> Error {
        invalid(
            &self.file,
            format!("text follows the closing quote of {}", self.here(cell)),
        )
        .with_hint(
            "within quotes a quote is written twice, not behind a backslash; if quotes are part of the text, read the file with --samples-quotes none",
        )
    }
}
