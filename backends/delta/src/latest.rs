//! The greatest stamp that a table has, which the next write must come after.
//!
//! Statistics in the log have milliseconds, so they tell the greatest stamp only roughly. Mostly that is enough: the writer's clock is
//! later. Where it is not, the footers of the few files that may have the greatest stamp tell it exactly.

use arrow::array::AsArray;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use futures::{StreamExt, TryStreamExt, stream};
use metaxy_core::Result;
use metaxy_core::backend::append::{Stamp, Times};
use metaxy_core::clock::Micros;
use metaxy_core::columns::{DELETED_AT, UPDATED_AT};
use metaxy_core::expr::Value;
use parquet::file::statistics::Statistics;

use crate::file::{self, Opened};
use crate::snapshot::{DataFile, Snapshot};
use crate::table::Table;
use crate::types::StoredColumn;

/// Files that are looked into at the same time.
const AT_ONCE: usize = 8;

/// By how much a statistic may be below the greatest stamp, as [`DataFile::stat`] corrects it.
const ROUNDED: Micros = 999;

/// A stamp that is not below any of the table's, and is the greatest of them where the write's own time is not later.
pub(crate) async fn latest(
    table: &Table,
    snapshot: &Snapshot,
    times: Times,
) -> Result<Option<Micros>> {
    let (Times::Write(Stamp::AfterAll(now)) | Times::Tombstone(Stamp::AfterAll(now))) = times
    else {
        return Ok(None);
    };
    let stamps = snapshot.columns.iter().filter(|column| {
        [UPDATED_AT, DELETED_AT].contains(&column.field.name().as_str())
            && matches!(
                column.field.data_type(),
                DataType::Timestamp(TimeUnit::Microsecond, _)
            )
    });
    let stamps: Vec<StoredColumn> = stamps.cloned().collect();
    if stamps.is_empty() {
        return Ok(None);
    }
    let bounds: Vec<(&DataFile, Bound)> = snapshot
        .files
        .iter()
        .filter(|file| file.rows != Some(0))
        .map(|file| (file, Bound::of(file, &stamps)))
        .collect();
    let upper = bounds.iter().map(|(_, bound)| bound.upper()).max();
    match upper {
        None => return Ok(None),
        Some(upper) if upper < now => return Ok(Some(upper)),
        Some(_) => {}
    }
    let lower = bounds.iter().filter_map(|(_, bound)| bound.lower()).max();
    let near = bounds
        .into_iter()
        .filter(|(_, bound)| bound.upper() >= lower.unwrap_or(Micros::MIN))
        .map(|(file, _)| file);
    let looks: Vec<_> = near.map(|file| exact(table, file, &stamps)).collect();
    let found: Vec<Option<Micros>> = stream::iter(looks)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().max())
}

/// Between what the greatest stamp of a file lies.
#[derive(Clone, Copy)]
enum Bound {
    Unknown,
    NoStamp,
    Exact(Micros),
    /// At this time or up to [`ROUNDED`] earlier.
    About(Micros),
}

impl Bound {
    fn of(file: &DataFile, stamps: &[StoredColumn]) -> Self {
        match file.latest().get() {
            Some(Some(stamp)) => return Self::Exact(*stamp),
            Some(None) => return Self::NoStamp,
            None => {}
        }
        let mut greatest = None;
        for column in stamps {
            let Some(stat) = file.stat(column.field.name()) else {
                return Self::Unknown;
            };
            match stat.max {
                Some(Value::Timestamp(stamp)) => greatest = greatest.max(Some(stamp)),
                _ if stat.nulls.is_some() && stat.nulls == file.rows => {}
                _ => return Self::Unknown,
            }
        }
        greatest.map_or(Self::NoStamp, Self::About)
    }

    fn upper(self) -> Micros {
        match self {
            Self::Unknown => Micros::MAX,
            Self::NoStamp => Micros::MIN,
            Self::Exact(stamp) | Self::About(stamp) => stamp,
        }
    }

    fn lower(self) -> Option<Micros> {
        match self {
            Self::Unknown | Self::NoStamp => None,
            Self::Exact(stamp) => Some(stamp),
            Self::About(stamp) => Some(stamp.saturating_sub(ROUNDED)),
        }
    }
}

/// The greatest stamp of a file; it is looked for once.
async fn exact(table: &Table, file: &DataFile, stamps: &[StoredColumn]) -> Result<Option<Micros>> {
    if let Some(known) = file.latest().get() {
        return Ok(*known);
    }
    let opened = file::open(table, file).await?;
    let found = match of_footer(&opened, stamps) {
        Some(found) => found,
        None => of_rows(table, file, stamps).await?,
    };
    Ok(*file.latest().get_or_init(|| found))
}

/// `None`: the footer does not tell.
fn of_footer(opened: &Opened, stamps: &[StoredColumn]) -> Option<Option<Micros>> {
    let mut greatest = None;
    for column in stamps {
        let name = column.field.name();
        let Ok(field) = opened.schema().field_with_name(name) else {
            continue;
        };
        if !matches!(
            field.data_type(),
            DataType::Timestamp(TimeUnit::Microsecond, _)
        ) {
            return None;
        }
        let leaves = opened.parquet_schema().columns().iter();
        let at = leaves
            .enumerate()
            .find(|(_, leaf)| leaf.path().parts() == std::slice::from_ref(name));
        let (at, _) = at?;
        for group in opened.metadata().row_groups() {
            let Some(Statistics::Int64(values)) = group.column(at).statistics() else {
                return None;
            };
            match values.max_opt() {
                Some(stamp) => greatest = greatest.max(Some(*stamp)),
                None if values.null_count_opt() == u64::try_from(group.num_rows()).ok() => {}
                None => return None,
            }
        }
    }
    Some(greatest)
}

async fn of_rows(
    table: &Table,
    file: &DataFile,
    stamps: &[StoredColumn],
) -> Result<Option<Micros>> {
    let mut rows = file::read(table, file, stamps).await?;
    let mut greatest = None;
    while let Some(batch) = rows.next().await? {
        for column in batch.columns() {
            let stamps = column.as_primitive_opt::<TimestampMicrosecondType>();
            greatest = greatest.max(stamps.and_then(arrow::compute::max));
        }
    }
    Ok(greatest)
}
