//! Files that the engine reads by itself. It follows links and verifies nothing; so they are looked at before.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use metaxy_core::Result;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaDataReader};

use crate::checksum::{Checksums, hold_at};
use crate::error;
use crate::file::DAMAGED;
use crate::snapshot::DataFile;
use crate::table::Table;

/// Files that are no larger are verified as a whole.
const SMALL: u64 = 1 << 20;

/// What a Parquet file ends with: how long its footer is, and a mark.
const END: u64 = 8;

/// Makes sure that a file of a disk of this machine is in its table's folder, and has its size. A file that is gone is no error: whoever reads
/// it says so.
///
/// # Errors
/// [`ErrorKind::Unsupported`](metaxy_core::ErrorKind::Unsupported) if it is elsewhere, or no file; [`ErrorKind::Corrupt`](metaxy_core::ErrorKind::Corrupt)
/// if it is damaged.
pub(crate) fn require_there(table: &Table, file: &DataFile) -> Result<()> {
    opened(table, file).map(drop)
}

/// The same, and that these columns are as they were written.
///
/// # Errors
/// As [`require_there`].
pub(crate) fn require_intact(
    table: &Table,
    file: &DataFile,
    is_read: impl Fn(&str) -> bool,
) -> Result<()> {
    let Some(mut opened) = opened(table, file)? else {
        return Ok(());
    };
    let Some(checksums) = &file.checksums else {
        return Ok(());
    };
    let damaged = |problem: &str| Err(error::damaged(&table.location, &file.path, problem));
    match holds(checksums, &mut opened, file.bytes, is_read) {
        Ok(true) => Ok(()),
        Ok(false) => damaged(DAMAGED),
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => damaged("it ends early"),
        Err(e) => Err(error::file(&e, &format!("read the file {}", file.location))),
    }
}

/// `None`: it is gone, or not on a disk of this machine.
fn opened(table: &Table, file: &DataFile) -> Result<Option<File>> {
    let Some(disk) = &table.disk else {
        return Ok(None);
    };
    let place = Path::new(&file.location);
    let inside = disk.require_inside(place);
    inside.map_err(|e| table.failed(&e, &format!("read the file {}", file.path)))?;
    let opened = File::open(place).and_then(|opened| Ok((opened.metadata()?.len(), opened)));
    let (bytes, opened) = match opened {
        Ok(found) => found,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(error::file(&e, &format!("read the file {}", file.location))),
    };
    let damaged = |problem: &str| Err(error::damaged(&table.location, &file.path, problem));
    match (bytes, &file.checksums) {
        (0, _) => damaged("it is empty"),
        (bytes, _) if bytes < file.bytes => damaged("it ends early"),
        (bytes, Some(known)) if bytes != file.bytes || !known.fit(bytes) => damaged(DAMAGED),
        _ => Ok(Some(opened)),
    }
}

fn holds(
    checksums: &Checksums,
    opened: &mut File,
    bytes: u64,
    is_read: impl Fn(&str) -> bool,
) -> io::Result<bool> {
    if bytes <= SMALL {
        return hold_at(checksums, opened, bytes, std::iter::once(0..bytes));
    }
    let Some(footer) = footer(checksums, opened, bytes)? else {
        return Ok(false);
    };
    let parsed = ParquetMetaDataReader::new().parse_and_finish(&*opened);
    let parsed = parsed.map_err(io::Error::other)?;
    let groups = parsed.row_groups().iter();
    let chunks = groups.flat_map(|group| group.columns());
    let chunks = chunks.filter(|chunk| {
        let root = chunk.column_path().parts().first();
        root.is_some_and(|root| is_read(root))
    });
    let ranges = chunks.map(range).chain([footer]);
    let ranges = ranges.filter(|range| range.end <= bytes && range.start <= range.end);
    hold_at(checksums, opened, bytes, ranges.collect::<Vec<_>>())
}

/// Where the footer is; `None` if it is not what was written.
fn footer(checksums: &Checksums, opened: &mut File, bytes: u64) -> io::Result<Option<Range<u64>>> {
    let start = bytes.saturating_sub(END);
    if !hold_at(checksums, opened, bytes, std::iter::once(start..bytes))? {
        return Ok(None);
    }
    let mut length = [0; 4];
    opened.seek(SeekFrom::Start(start))?;
    opened.read_exact(&mut length)?;
    let footer = start.saturating_sub(u32::from_le_bytes(length).into())..bytes;
    let holds = hold_at(checksums, opened, bytes, [footer.clone()])?;
    Ok(holds.then_some(footer))
}

/// Where a column of a row group is.
fn range(chunk: &ColumnChunkMetaData) -> Range<u64> {
    let number = |number: i64| u64::try_from(number).unwrap_or(0);
    let data = number(chunk.data_page_offset());
    let dictionary = chunk.dictionary_page_offset().map(number);
    let start = dictionary.filter(|at| *at > 0).unwrap_or(data).min(data);
    start..start.saturating_add(number(chunk.compressed_size()))
}
