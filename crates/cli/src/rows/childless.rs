//! Parents that are written as done without children.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::AsArray;
use metaxy_store::{Frame, columns};

/// How many rows said that a parent has no children.
pub(crate) struct WithoutChildren(Arc<AtomicU64>);

impl WithoutChildren {
    /// Counts while the rows pass by.
    pub(crate) fn watch(rows: Frame) -> (Frame, Self) {
        let found = Arc::new(AtomicU64::new(0));
        let schema = rows.schema().clone();
        let Ok(place) = schema.index_of(columns::EMPTY) else {
            return (rows, Self(found));
        };
        let counter = found.clone();
        let rows = rows.map(schema, move |batch| {
            if let Some(marks) = batch.column(place).as_boolean_opt() {
                counter.fetch_add(marks.true_count() as u64, Ordering::Relaxed);
            }
            Ok(batch)
        });
        (rows, Self(found))
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
