//! Which rows of a source a store has already.
//!
//! A row is known by its key: its IDs, its feature version, and its stamp, which is when it was deleted or else when it was written. Rows of
//! one write in which an ID repeats share a key. Such rows come together, in their order: a key is there or it is not. So where the last of them has
//! come alone, as the current row of its sample, those that it replaced at once do not follow it: they would come after it.
//!
//! Two stores can have written a sample in the same microsecond. Of such rows the greater wins in both, by what is hashed of their versions and of when they were written;
//! a tombstone is greater than any sample. What was there is never written after what is greater, so two stores that copy from each other agree.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Schema};
use arrow::row::{RowConverter, SortField};
use twox_hash::xxhash3_64;

use super::versions::text;
use crate::backend::append::as_stamps;
use crate::cast::cast_checked;
use crate::columns;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Frame;
use crate::key::FeatureKey;
use crate::plan::matching_type;

/// A row's or a sample's identity in 128 bits.
type Key = [u64; 2];

/// The columns beside the IDs by which a row is known and compared.
const TELLING: [&str; 5] = [
    columns::FEATURE_VERSION,
    columns::UPDATED_AT,
    columns::DELETED_AT,
    columns::PROVENANCE,
    columns::DATA_VERSION,
];

/// How the rows of a source and of a destination are known.
pub(super) struct Identity {
    table: FeatureKey,
    /// The ID columns, and what they are compared as.
    ids: Vec<(String, DataType)>,
    samples: RowConverter,
    rows: RowConverter,
}

impl Identity {
    /// `None` if no row of one schema can be a row of the other: an ID column is missing, or has types that never match.
    pub(super) fn new(
        table: &FeatureKey,
        ids: &[String],
        here: &Schema,
        there: &Schema,
    ) -> Result<Option<Self>> {
        let mut compared = Vec::with_capacity(ids.len());
        for id in ids {
            let (Ok(here), Ok(there)) = (here.field_with_name(id), there.field_with_name(id))
            else {
                return Ok(None);
            };
            match matching_type(here.data_type(), there.data_type()) {
                Some(data_type) => compared.push((id.clone(), data_type)),
                None => return Ok(None),
            }
        }
        let of_ids = || compared.iter().map(|(_, of)| SortField::new(of.clone()));
        let others = [DataType::Utf8, DataType::Int64].map(SortField::new);
        Ok(Some(Self {
            table: table.clone(),
            samples: RowConverter::new(of_ids().collect())?,
            rows: RowConverter::new(of_ids().chain(others).collect())?,
            ids: compared,
        }))
    }

    /// The columns of a table that have to be read for this.
    pub(super) fn columns<'a>(&'a self, table: &Schema) -> Vec<&'a str> {
        let ids = self.ids.iter().map(|(id, _)| id.as_str());
        let telling = TELLING.into_iter();
        ids.chain(telling.filter(|name| table.field_with_name(name).is_ok()))
            .collect()
    }

    fn ids(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let ids = self.ids.iter().map(|(id, data_type)| {
            let array = batch.column_by_name(id).ok_or_else(|| lacks(id))?;
            match array.data_type() == data_type {
                true => Ok(array.clone()),
                false => Ok(cast_checked(array, data_type)?),
            }
        });
        ids.collect()
    }

    /// Of each row the key of its sample.
    fn samples(&self, batch: &RecordBatch) -> Result<Vec<Key>> {
        keys(&self.samples, &self.ids(batch)?)
    }

    /// Of each row its key and its rank among rows of that key.
    fn rows(&self, batch: &RecordBatch) -> Result<Vec<(Key, u64)>> {
        let texts = |name: &str| match batch.column_by_name(name) {
            Some(array) => text(array),
            None => Ok(new_null_array(&DataType::Utf8, batch.num_rows())),
        };
        let times = |name: &str| match batch.column_by_name(name) {
            Some(array) => as_stamps(&self.table, name, array),
            None => Ok(TimestampMicrosecondArray::new_null(batch.num_rows())),
        };
        let (updated, deleted) = (times(columns::UPDATED_AT)?, times(columns::DELETED_AT)?);
        let stamps = deleted.iter().zip(&updated);
        let stamps: Int64Array = stamps
            .map(|(deleted, updated)| deleted.or(updated))
            .collect();
        let mut arrays = self.ids(batch)?;
        arrays.push(texts(columns::FEATURE_VERSION)?);
        arrays.push(Arc::new(stamps));
        let keys = keys(&self.rows, &arrays)?;

        let (provenance, data) = (texts(columns::PROVENANCE)?, texts(columns::DATA_VERSION)?);
        let versions = provenance
            .as_string::<i32>()
            .iter()
            .zip(data.as_string::<i32>());
        let ranked = keys.into_iter().zip(versions).enumerate();
        Ok(ranked
            .map(|(row, (key, versions))| {
                let written = updated.is_valid(row).then(|| updated.value(row));
                (key, rank(deleted.is_valid(row), written, versions))
            })
            .collect())
    }
}

fn keys(converter: &RowConverter, arrays: &[ArrayRef]) -> Result<Vec<Key>> {
    let rows = converter.convert_columns(arrays)?;
    let keys = rows.iter().map(|row| {
        let bytes = row.data();
        [0, 1].map(|seed| xxhash3_64::Hasher::oneshot_with_seed(seed, bytes))
    });
    Ok(keys.collect())
}

/// What decides between rows of one key. It is never zero.
fn rank(is_deleted: bool, written: Option<i64>, versions: (Option<&str>, Option<&str>)) -> u64 {
    let hash = match versions {
        (Some(provenance), Some(data)) => {
            // Samples that were deleted at one moment may have been written at different ones.
            let written = written.unwrap_or_default().cast_unsigned();
            let provenance = xxhash3_64::Hasher::oneshot_with_seed(written, provenance.as_bytes());
            xxhash3_64::Hasher::oneshot_with_seed(provenance, data.as_bytes()) >> 1
        }
        // Rows whose versions were never told replace none.
        _ => 0,
    };
    (u64::from(is_deleted) << 63) | hash | 1
}

/// The rows of a destination, and what a source has of them: 32 bytes for each.
pub(super) struct Known(Vec<KnownRow>);

#[derive(Clone, Copy)]
struct KnownRow {
    key: Key,
    /// The rank of the last row here.
    here: u64,
    /// The rank of the last row of the source; zero if it has none.
    there: u64,
}

impl Known {
    /// The rows of a destination's table, in the order in which they are stored.
    pub(super) async fn read(identity: &Identity, mut rows: Frame) -> Result<Self> {
        let mut known = Vec::new();
        while let Some(batch) = rows.next().await? {
            let rows = identity.rows(&batch)?;
            known.extend(rows.into_iter().map(|(key, here)| KnownRow {
                key,
                here,
                there: 0,
            }));
        }
        known.sort_by_key(|row| row.key);
        known.dedup_by(|later, earlier| {
            let same = later.key == earlier.key;
            if same {
                *earlier = *later;
            }
            same
        });
        known.shrink_to_fit();
        Ok(Self(known))
    }

    /// Notes what a source has, in the order in which it is stored.
    pub(super) async fn compare(&mut self, identity: &Identity, mut rows: Frame) -> Result<()> {
        while let Some(batch) = rows.next().await? {
            for (key, there) in identity.rows(&batch)? {
                if let Ok(at) = self.0.binary_search_by_key(&key, |row| row.key) {
                    self.0[at].there = there;
                }
            }
        }
        Ok(())
    }

    fn has(&self, key: Key) -> bool {
        let found = self.0.binary_search_by_key(&key, |row| row.key);
        found.is_ok_and(|at| self.0[at].there <= self.0[at].here)
    }
}

/// Samples of a table: 16 bytes for each.
pub(super) struct Chosen(Vec<Key>);

impl Chosen {
    /// The samples of these rows.
    pub(super) async fn read(identity: &Identity, mut rows: Frame) -> Result<Self> {
        let mut chosen = Vec::new();
        while let Some(batch) = rows.next().await? {
            chosen.extend(identity.samples(&batch)?);
        }
        chosen.sort_unstable();
        chosen.dedup();
        Ok(Self(chosen))
    }
}

/// What a copy takes of the rows that it reads.
#[derive(Default)]
pub(super) struct Sieve {
    /// Those of these samples only.
    pub(super) chosen: Option<(Identity, Chosen)>,
    /// And of them those that are not there.
    pub(super) known: Option<(Identity, Known)>,
}

impl Sieve {
    /// The columns that it looks at, of a table whose samples have these IDs.
    pub(super) fn columns<'a>(&'a self, table: &Schema, ids: &'a [String]) -> Vec<&'a str> {
        match &self.known {
            Some((identity, _)) => identity.columns(table),
            None => ids.iter().map(String::as_str).collect(),
        }
    }

    /// The rows to be copied, and how many of the batch are there already.
    pub(super) fn pass(&self, batch: &RecordBatch) -> Result<(RecordBatch, u64)> {
        let mut kept = vec![true; batch.num_rows()];
        if let Some((identity, chosen)) = &self.chosen {
            for (kept, key) in kept.iter_mut().zip(identity.samples(batch)?) {
                *kept = chosen.0.binary_search(&key).is_ok();
            }
        }
        let mut present = 0;
        if let Some((identity, known)) = &self.known {
            for (kept, (key, _)) in kept.iter_mut().zip(identity.rows(batch)?) {
                if *kept && known.has(key) {
                    *kept = false;
                    present += 1;
                }
            }
        }
        match kept.iter().all(|kept| *kept) {
            true => Ok((batch.clone(), present)),
            false => Ok((filter_record_batch(batch, &kept.into())?, present)),
        }
    }
}

fn lacks(column: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("a batch lacks column {column:?}"),
    )
}
