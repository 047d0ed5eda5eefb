//! Removing superseded rows ([`Prune`]).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use arrow::row::{RowConverter, SortField};
use metaxy_core::backend::Access;
use metaxy_core::backend::maintain::{Prune, Superseded};
use metaxy_core::columns::{DELETED_AT, FEATURE_VERSION, UPDATED_AT};
use metaxy_core::{FeatureKey, Result};

use crate::delete::{self, Change, rewrite};
use crate::file::{self, Staged};
use crate::log::{Commit, commit_conflict};
use crate::snapshot::Snapshot;
use crate::table::{DeltaInner, Table};
use crate::types::StoredColumn;

/// The stamp of a row, and where it is: the number of its file, and its own in the file. The later of two rows is the greater.
pub(crate) type Place = (i64, u32, u32);

/// Removes superseded rows of a table; returns how many, or how many it would remove.
pub(crate) async fn prune(inner: &DeltaInner, feature: &FeatureKey, prune: &Prune) -> Result<u64> {
    let table = inner.table(feature)?;
    let mut backoff = inner.backoff();
    loop {
        let base = match prune.dry_run || inner.access == Access::Read {
            true => inner.snapshot(feature).await?,
            false => delete::writable(inner, &table, feature).await?,
        };
        let Some(base) = base else { return Ok(0) };
        let Some(columns) = Columns::of(&base, prune) else {
            return Ok(0);
        };
        let goes = superseded(&table, &base, &columns, prune.superseded).await?;
        let count = goes.iter().map(|rows| rows.len() as u64).sum();
        if count == 0 || prune.dry_run {
            return Ok(count);
        }
        let changes = changes(inner, &table, feature, &base, &goes).await?;
        // Were a file gone that has the row which supersedes others, a sample might be gone with it.
        if delete::apply(inner, &table, &base, &changes, Commit::new("DELETE"), true).await? {
            return Ok(count);
        }
        if !backoff.pause().await {
            return Err(commit_conflict(&table));
        }
    }
}

/// The columns that decide.
struct Columns {
    keys: Vec<StoredColumn>,
    ids: usize,
    /// The times of a row; the first that is not null counts.
    stamps: Vec<StoredColumn>,
}

impl Columns {
    /// `None` if the table has no superseded rows, as it lacks an ID or has no times.
    fn of(base: &Snapshot, prune: &Prune) -> Option<Self> {
        let find = |name: &str| {
            base.columns
                .iter()
                .find(|c| c.field.name() == name)
                .cloned()
        };
        let stamp = |name: &str| {
            let is_time = |t: &DataType| matches!(t, DataType::Timestamp(TimeUnit::Microsecond, _));
            find(name).filter(|column| is_time(column.field.data_type()))
        };
        if prune.id_columns.is_empty() {
            return None;
        }
        let ids: Option<Vec<StoredColumn>> = prune.id_columns.iter().map(|id| find(id)).collect();
        let ids = ids?;
        let count = ids.len();
        let keys = ids.into_iter().chain(find(FEATURE_VERSION)).collect();
        let stamps = [DELETED_AT, UPDATED_AT].into_iter().filter_map(stamp);
        let stamps: Vec<StoredColumn> = stamps.collect();
        (!stamps.is_empty()).then_some(Self {
            keys,
            ids: count,
            stamps,
        })
    }

    fn all(&self) -> Vec<StoredColumn> {
        let mut all = self.keys.clone();
        all.extend_from_slice(&self.stamps);
        all
    }
}

/// The numbers of the rows that go, for each file.
async fn superseded(
    table: &Table,
    base: &Snapshot,
    columns: &Columns,
    which: Superseded,
) -> Result<Vec<Vec<u32>>> {
    let fields = columns
        .keys
        .iter()
        .map(|c| SortField::new(c.field.data_type().clone()));
    let converter = RowConverter::new(fields.collect())?;
    let mut samples: HashMap<Box<[u8]>, Vec<Place>> = HashMap::new();
    for (number, data) in (0..).zip(&base.files) {
        let mut rows = file::read(table, data, &columns.all()).await?;
        let mut before = 0;
        while let Some(batch) = rows.next().await? {
            note(&mut samples, &batch, columns, &converter, number, before)?;
            before += batch.num_rows() as u32;
        }
    }
    let mut goes = vec![Vec::new(); base.files.len()];
    for mut places in samples.into_values() {
        places.sort_unstable_by(|a, b| b.cmp(a));
        for (rank, (stamp, number, row)) in (0_u64..).zip(places) {
            let is_superseded = match which {
                Superseded::Beyond(kept) => rank >= kept.get(),
                Superseded::Before(time) => rank > 0 && stamp < time,
            };
            if is_superseded {
                goes[number as usize].push(row);
            }
        }
    }
    Ok(goes)
}

fn note(
    samples: &mut HashMap<Box<[u8]>, Vec<Place>>,
    batch: &RecordBatch,
    columns: &Columns,
    converter: &RowConverter,
    number: u32,
    before: u32,
) -> Result<()> {
    let keys = converter.convert_columns(&batch.columns()[..columns.keys.len()])?;
    let stamps = &batch.columns()[columns.keys.len()..];
    let stamps: Vec<_> = stamps
        .iter()
        .filter_map(|times| times.as_primitive_opt::<TimestampMicrosecondType>())
        .collect();
    for row in 0..batch.num_rows() {
        let mut stamps = stamps.iter().filter(|times| times.is_valid(row));
        let Some(stamp) = stamps.next().map(|times| times.value(row)) else {
            continue;
        };
        let ids = &batch.columns()[..columns.ids];
        if ids.iter().any(|id| id.is_null(row)) {
            continue;
        }
        let key: Box<[u8]> = keys.row(row).as_ref().into();
        samples
            .entry(key)
            .or_default()
            .push((stamp, number, before + row as u32));
    }
    Ok(())
}

pub(crate) async fn changes(
    inner: &DeltaInner,
    table: &Arc<Table>,
    feature: &FeatureKey,
    base: &Snapshot,
    goes: &[Vec<u32>],
) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for (file, rows) in base.files.iter().zip(goes) {
        if rows.is_empty() {
            continue;
        }
        let gone: std::collections::HashSet<u32> = rows.iter().copied().collect();
        let left: Vec<Staged> = if file.rows == Some(rows.len() as u64) {
            Vec::new()
        } else {
            rewrite(inner, table, feature, base, file, |batch, before| {
                let goes = (0..batch.num_rows()).map(|row| gone.contains(&((before + row) as u32)));
                Ok(BooleanArray::from(goes.collect::<Vec<bool>>()))
            })
            .await?
        };
        changes.push(Change {
            file: file.clone(),
            left,
            removed: rows.len() as u64,
        });
    }
    Ok(changes)
}
