//! Samples that come twice in one file.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::row::{RowConverter, SortField};
use metaxy_store::{Frame, Result};

/// The most samples that are remembered: what is written is never held in memory, and of very many nobody asks which came twice.
const MOST: usize = 2_000_000;

/// More samples than are remembered.
const UNKNOWN: u64 = u64::MAX;

/// How many rows had the ID of an earlier one.
pub(crate) struct Repeated(Arc<AtomicU64>);

impl Repeated {
    /// Counts while the rows pass by.
    pub(crate) fn watch(rows: Frame, ids: &[String]) -> Result<(Frame, Self)> {
        let repeated = Arc::new(AtomicU64::new(0));
        let schema = rows.schema().clone();
        // A frame without its IDs is refused where it is written.
        let Ok(places) = ids
            .iter()
            .map(|id| schema.index_of(id))
            .collect::<Result<Vec<_>, _>>()
        else {
            return Ok((rows, Self(repeated)));
        };
        let fields = places
            .iter()
            .map(|at| SortField::new(schema.field(*at).data_type().clone()));
        let converter = RowConverter::new(fields.collect())?;
        let (hasher, mut seen) = (RandomState::new(), HashSet::new());
        let counter = repeated.clone();
        let rows = rows.map(schema, move |batch| {
            if counter.load(Ordering::Relaxed) == UNKNOWN {
                return Ok(batch);
            }
            let columns: Vec<_> = places.iter().map(|at| batch.column(*at).clone()).collect();
            for row in &converter.convert_columns(&columns)? {
                if !seen.insert(hasher.hash_one(row.data())) {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            }
            if seen.len() > MOST {
                seen = HashSet::new();
                counter.store(UNKNOWN, Ordering::Relaxed);
            }
            Ok(batch)
        });
        Ok((rows, Self(repeated)))
    }

    /// How many there were; `None` of too many rows to tell.
    pub(crate) fn count(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|count| *count != UNKNOWN)
    }
}
