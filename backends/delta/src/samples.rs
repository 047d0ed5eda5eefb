//! Removing samples with all their rows ([`DeleteSamples`]).
//!
//! Rows that match are few, as a rule. So they are looked for first, by files that may have some; then for all rows of their samples.
//! What is held in memory grows with these, not with the table.

use std::collections::{BTreeSet, HashMap};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use arrow::row::{RowConverter, SortField};
use metaxy_core::columns::{DELETED_AT, UPDATED_AT};
use metaxy_core::delete::DeleteSamples;
use metaxy_core::expr::Expr;
use metaxy_core::{FeatureKey, Result};
use serde_json::json;

use crate::delete::{apply, writable};
use crate::file;
use crate::log::{Commit, commit_conflict};
use crate::prune::{Place, changes};
use crate::skip::may_match;
use crate::snapshot::Snapshot;
use crate::table::{DeltaInner, Table};
use crate::types::StoredColumn;

/// Removes samples of a table; returns how many rows.
pub(crate) async fn delete(
    inner: &DeltaInner,
    feature: &FeatureKey,
    samples: &DeleteSamples,
) -> Result<u64> {
    let table = inner.table(feature)?;
    let mut backoff = inner.backoff();
    loop {
        let Some(base) = writable(inner, &table, feature).await? else {
            return Ok(0);
        };
        let goes = rows_of(&table, &base, samples).await?;
        let count = goes.iter().map(|rows| rows.len() as u64).sum();
        if count == 0 {
            return Ok(0);
        }
        let changes = changes(inner, &table, feature, &base, &goes).await?;
        let mut commit = Commit::new("DELETE");
        commit.parameters = json!({"predicate": samples.condition.to_string()});
        // Were a file gone that has the latest row of a sample, another one of it might match.
        if apply(inner, &table, &base, &changes, commit, true).await? {
            return Ok(count);
        }
        if !backoff.pause().await {
            return Err(commit_conflict(&table));
        }
    }
}

/// A sample of which a row matches.
struct Candidate {
    /// The latest row that matches.
    matching: Place,
    /// The latest row.
    latest: Place,
    /// All rows, by the number of their file and their own in it.
    rows: Vec<(u32, u32)>,
}

/// The numbers of the rows that go, for each file.
async fn rows_of(table: &Table, base: &Snapshot, samples: &DeleteSamples) -> Result<Vec<Vec<u32>>> {
    let keys = Keys::of(base, &samples.id_columns)?;
    let matching = samples.looked_at_where(samples.condition.clone());
    let mut goes = vec![Vec::new(); base.files.len()];
    let mut candidates: HashMap<Box<[u8]>, Candidate> = HashMap::new();
    let columns = asked(base, Some(&matching), keys.as_ref());
    for (number, data) in (0_u32..).zip(&base.files) {
        if !may_match(&matching, data) {
            continue;
        }
        let mut rows = file::read(table, data, &columns).await?;
        let mut before = 0;
        while let Some(batch) = rows.next().await? {
            let holds = holds(Some(&matching), &batch)?;
            let places = places(keys.as_ref(), &batch)?;
            for row in rows_that(&holds) {
                let at = before + row as u32;
                let Some((key, stamp)) = places.get(row) else {
                    goes[number as usize].push(at);
                    continue;
                };
                let place = (stamp, number, at);
                let candidate = candidates.entry(key).or_insert(Candidate {
                    matching: place,
                    latest: place,
                    rows: Vec::new(),
                });
                candidate.matching = candidate.matching.max(place);
            }
            before += batch.num_rows() as u32;
        }
    }
    if candidates.is_empty() {
        return Ok(goes);
    }
    let columns = asked(base, samples.among.as_ref(), keys.as_ref());
    for (number, data) in (0_u32..).zip(&base.files) {
        let among = samples.among.as_ref();
        if !among.is_none_or(|filter| may_match(filter, data)) {
            continue;
        }
        let mut rows = file::read(table, data, &columns).await?;
        let mut before = 0;
        while let Some(batch) = rows.next().await? {
            let holds = holds(among, &batch)?;
            let places = places(keys.as_ref(), &batch)?;
            for row in rows_that(&holds) {
                let at = before + row as u32;
                let Some((key, stamp)) = places.get(row) else {
                    continue;
                };
                if let Some(candidate) = candidates.get_mut(&key) {
                    candidate.latest = candidate.latest.max((stamp, number, at));
                    candidate.rows.push((number, at));
                }
            }
            before += batch.num_rows() as u32;
        }
    }
    let gone = candidates
        .into_values()
        .filter(|candidate| candidate.latest == candidate.matching);
    for (number, row) in gone.flat_map(|candidate| candidate.rows) {
        goes[number as usize].push(row);
    }
    Ok(goes)
}

/// For which rows a filter holds; for all, if there is none.
fn holds(filter: Option<&Expr>, batch: &RecordBatch) -> Result<BooleanArray> {
    match filter {
        Some(filter) => filter.evaluate(batch),
        None => Ok(BooleanArray::from(vec![true; batch.num_rows()])),
    }
}

/// The numbers of the rows for which it is true, neither false nor null.
fn rows_that(holds: &BooleanArray) -> impl Iterator<Item = usize> {
    let all = 0..holds.len();
    all.filter(|row| holds.is_valid(*row) && holds.value(*row))
}

/// The columns that a filter and the keys need.
fn asked(base: &Snapshot, filter: Option<&Expr>, keys: Option<&Keys>) -> Vec<StoredColumn> {
    let mut names: BTreeSet<&str> = filter.map(Expr::columns).unwrap_or_default();
    if let Some(keys) = keys {
        names.extend(keys.names());
    }
    let columns = base.columns.iter();
    let columns = columns.filter(|column| names.contains(column.field.name().as_str()));
    columns.cloned().collect()
}

/// What tells samples and their rows apart.
struct Keys {
    ids: Vec<String>,
    converter: RowConverter,
    /// The times of a row; the first that is not null counts.
    stamps: Vec<&'static str>,
}

impl Keys {
    /// `None` if every row is a sample of its own, as the table lacks an ID or has no times.
    fn of(base: &Snapshot, ids: &[String]) -> Result<Option<Self>> {
        let find = |name: &str| base.columns.iter().find(|c| c.field.name() == name);
        let types: Option<Vec<SortField>> = ids
            .iter()
            .map(|id| {
                find(id.as_str()).map(|column| SortField::new(column.field.data_type().clone()))
            })
            .collect();
        let is_time = |name: &&str| {
            find(name).is_some_and(|column| {
                matches!(
                    column.field.data_type(),
                    DataType::Timestamp(TimeUnit::Microsecond, _)
                )
            })
        };
        let stamps: Vec<&'static str> = [DELETED_AT, UPDATED_AT]
            .into_iter()
            .filter(is_time)
            .collect();
        let Some(types) = types.filter(|types| !types.is_empty() && !stamps.is_empty()) else {
            return Ok(None);
        };
        Ok(Some(Self {
            ids: ids.to_vec(),
            converter: RowConverter::new(types)?,
            stamps,
        }))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let stamps = self.stamps.iter().copied();
        self.ids.iter().map(String::as_str).chain(stamps)
    }
}

/// The samples of the rows of a batch, and their stamps.
struct Places {
    keys: Option<arrow::row::Rows>,
    ids: Vec<ArrayRef>,
    stamps: Vec<ArrayRef>,
}

fn places(keys: Option<&Keys>, batch: &RecordBatch) -> Result<Places> {
    let Some(keys) = keys else {
        return Ok(Places {
            keys: None,
            ids: Vec::new(),
            stamps: Vec::new(),
        });
    };
    let column = |name: &str| batch.column_by_name(name).cloned();
    let ids = keys.ids.iter();
    let ids: Vec<ArrayRef> = ids.filter_map(|id| column(id.as_str())).collect();
    let stamps = keys.stamps.iter();
    let stamps: Vec<ArrayRef> = stamps.filter_map(|name| column(name)).collect();
    Ok(Places {
        keys: Some(keys.converter.convert_columns(&ids)?),
        ids,
        stamps,
    })
}

impl Places {
    /// The sample of a row, and its stamp; `None` if it is a sample of its own.
    fn get(&self, row: usize) -> Option<(Box<[u8]>, i64)> {
        let keys = self.keys.as_ref()?;
        let mut stamps = self
            .stamps
            .iter()
            .filter_map(|times| times.as_primitive_opt::<TimestampMicrosecondType>())
            .filter(|times| times.is_valid(row));
        let stamp = stamps.next()?.value(row);
        if self.ids.iter().any(|id| id.is_null(row)) {
            return None;
        }
        Some((keys.row(row).as_ref().into(), stamp))
    }
}
