//! The first rows of each part of an increment.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use metaxy_store::Result;
use metaxy_store::plan::Part;
use metaxy_store::store::LazyIncrement;

use super::parts::{Parts, name};

/// The first rows of some parts, those of the first part first.
pub(crate) struct FirstRows {
    pub(crate) schema: SchemaRef,
    rows: Vec<(Part, RecordBatch)>,
}

impl FirstRows {
    /// Takes at most `most` rows of each part. All rows are counted in `tally`, unless `enough` of it says to stop.
    pub(crate) async fn of(
        increment: LazyIncrement,
        parts: &[Part],
        most: usize,
        tally: &Tally,
        enough: impl Fn(&Tally) -> bool,
    ) -> Result<Self> {
        let columns = Parts::new(increment.plan(), parts)?;
        let schema = columns.schema().clone();
        let first: Arc<Mutex<Vec<(Part, RecordBatch)>>> = Arc::default();
        let (counting, keep) = (tally.clone(), first.clone());
        let mut stream = columns
            .stream(increment, move |part, batch| {
                let before = counting.add(part, batch.num_rows());
                let room = most.saturating_sub(before).min(batch.num_rows());
                if room > 0 {
                    let mut kept = keep.lock().unwrap_or_else(PoisonError::into_inner);
                    kept.push((part, batch.slice(0, room)));
                }
            })
            .await?;
        while !enough(tally) && stream.next().await?.is_some() {}
        let mut rows = std::mem::take(&mut *first.lock().unwrap_or_else(PoisonError::into_inner));
        rows.sort_by_key(|(part, _)| parts.iter().position(|p| p == part));
        Ok(Self { schema, rows })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn num_rows(&self) -> usize {
        self.rows.iter().map(|(_, batch)| batch.num_rows()).sum()
    }

    /// The rows of all parts.
    pub(crate) fn batches(&self) -> Vec<RecordBatch> {
        self.rows.iter().map(|(_, batch)| batch.clone()).collect()
    }

    /// The rows of one part.
    pub(crate) fn of_part(&self, part: Part) -> Vec<RecordBatch> {
        let own = self.rows.iter().filter(|(p, _)| *p == part);
        own.map(|(_, batch)| batch.clone()).collect()
    }
}

/// How many rows of each part passed by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<[usize; 3]>>);

impl Tally {
    /// Adds rows; returns how many there were before.
    pub(crate) fn add(&self, part: Part, rows: usize) -> usize {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = &mut counts[index(part)];
        *slot += rows;
        *slot - rows
    }

    pub(crate) fn of(&self, part: Part) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[index(part)]
    }

    pub(crate) fn total(&self) -> usize {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .sum()
    }

    /// `2 new, 0 stale`.
    pub(crate) fn words(&self, parts: &[Part]) -> String {
        let words: Vec<String> = parts
            .iter()
            .map(|part| format!("{} {}", self.of(*part), name(*part)))
            .collect();
        words.join(", ")
    }
}

fn index(part: Part) -> usize {
    match part {
        Part::New => 0,
        Part::Stale => 1,
        Part::Orphaned => 2,
    }
}
