//! Where a row stands in its file.

use std::fmt;

/// Counted from one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
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
