//! A table in parts, of which one is read at a time.
//!
//! Polars decodes ahead: of one scan it holds sixteen row groups or more, however slowly its rows are taken. A scan of a part holds no more
//! than the part.

use std::fs::File;

use metaxy_core::Result;
use polars::io::mmap::MmapBytesReader;
use polars::prelude as pl;

use crate::error::failed;
use crate::files::{ParquetFile, ParquetTable};

/// Files that are read together, or some rows of one.
pub(crate) struct Part<'a> {
    pub(crate) files: &'a [ParquetFile],
    /// The first row and how many.
    pub(crate) rows: Option<(usize, usize)>,
}

/// Rows of a part, for each thread that decodes them.
const ROWS: u64 = 1 << 16;

/// The parts of a table on this machine, in order; those of object stores wait for each request, and are read as one. How many rows a file
/// has may be what a stranger says, who can say anything.
pub(crate) fn parts_of(table: &ParquetTable) -> Result<Vec<Part<'_>>> {
    let most = table.part_rows.unwrap_or_else(|| {
        let threads = std::thread::available_parallelism().map_or(2, |n| n.get().max(2));
        ROWS * threads as u64
    });
    let is_long = |rows: u64| rows / 2 > most;
    let all = |rows: &[u64]| rows.iter().copied().fold(0, u64::saturating_add);
    let files = |files| Part { files, rows: None };
    let rows = match &table.rows {
        Some(rows)
            if is_long(all(rows))
                && rows.len() == table.files.len()
                && table.files.iter().all(ParquetFile::is_here) =>
        {
            rows
        }
        _ => return Ok(vec![files(&table.files)]),
    };
    let mut parts = Vec::new();
    let (mut start, mut together) = (0, 0_u64);
    for (at, count) in rows.iter().enumerate() {
        let is_long = is_long(*count);
        together = together.saturating_add(*count);
        if start < at && (is_long || together > most) {
            parts.push(files(&table.files[start..at]));
            (start, together) = (at, *count);
        }
        if is_long {
            let some = whole_groups(&table.files[at], most)?.into_iter();
            parts.extend(some.map(|rows| Part {
                files: &table.files[at..=at],
                rows: Some(rows),
            }));
            (start, together) = (at + 1, 0);
        }
    }
    if start < table.files.len() {
        parts.push(files(&table.files[start..]));
    }
    // Files that have no rows at all, whatever is said of them, are no parts.
    match parts.is_empty() {
        true => Ok(vec![files(&table.files)]),
        false => Ok(parts),
    }
}

/// The rows of a file in whole row groups, at least so many at a time: to read a part of a group takes as long as to read it.
fn whole_groups(file: &ParquetFile, least: u64) -> Result<Vec<(usize, usize)>> {
    let counts: Vec<usize> = match file {
        ParquetFile::At(place) => {
            let file = File::open(place).map_err(|e| failed(e.into()))?;
            groups(file)?
        }
        ParquetFile::Held(bytes) => groups(std::io::Cursor::new(bytes.as_slice()))?,
    };
    let mut parts = Vec::new();
    let (mut first, mut count) = (0, 0);
    let last = counts.len().saturating_sub(1);
    for (at, rows) in counts.into_iter().enumerate() {
        count += rows;
        if count as u64 >= least || at == last {
            parts.push((first, count));
            (first, count) = (first + count, 0);
        }
    }
    Ok(parts)
}

/// How many rows each row group has.
fn groups(file: impl MmapBytesReader) -> Result<Vec<usize>> {
    let mut reader = <pl::ParquetReader<_> as pl::SerReader<_>>::new(file);
    let parsed = reader.get_metadata().map_err(failed)?;
    Ok(parsed
        .row_groups
        .iter()
        .map(|group| group.num_rows())
        .collect())
}
