//! Where the rows of stored tables come from.

use std::collections::BTreeSet;

use arrow::datatypes::SchemaRef;
use metaxy_core::Result;
use metaxy_core::expr::Expr;
use metaxy_core::plan::Scan;
use polars::prelude::{DataFrame, LazyFrame};

/// The stored tables of one query. All its scans see one moment.
///
/// It is used on a thread of its own that may block.
pub trait Source: Send + Sync + 'static {
    /// The rows that are asked for, with at least the columns [`ScanRequest::columns`].
    ///
    /// The columns have the types as which they cross to Polars (see [`IntoPolars`](crate::IntoPolars)): text is String, times with a zone are
    /// Datetime in UTC, by-field structs are structs, maps are lists of structs of `key` and `value`. What Polars has nothing like is bytes
    /// that only this crate reads. What the plan does with the rows is
    /// lazy too, so that Polars pushes filters and projections into the frame's own scan.
    ///
    /// # Errors
    /// If the rows cannot be read.
    fn scan(&self, request: &ScanRequest<'_>) -> Result<Scanned>;

    /// Whether the frames that [`scan`](Self::scan) gave so far hold their rows in memory: then the plan runs there, too, which takes less
    /// time where there are few.
    fn is_held(&self) -> bool {
        false
    }
}

/// What a plan wants of a stored table.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ScanRequest<'a> {
    /// Which rows.
    pub scan: &'a Scan,
    /// All columns of the table.
    pub schema: &'a SchemaRef,
    /// The names of those that the plan uses.
    pub columns: &'a BTreeSet<String>,
    /// Rows for which one of these is not true may be left out, before the latest per sample are taken: they look at the columns of
    /// [`Scan::latest_per`] only, if there are any. The plan applies them again.
    pub filters: &'a [&'a Expr],
    /// Of the rows that the scan gives, after the latest per sample are taken, soft deletes are not wanted. Who leaves them out says so in
    /// [`Scanned::alive`]; otherwise the plan does it.
    pub alive: bool,
}

/// The rows of a scan, and what is known of them.
#[derive(Clone)]
#[non_exhaustive]
pub struct Scanned {
    /// The rows.
    pub rows: LazyFrame,
    /// The IDs of all rows, in the order of the rows, as columns with the names of [`Scan::latest_per`]; none comes twice. For whoever reads
    /// them anyway to find the latest rows: tables that have the same samples in the same order are put beside each other instead of joined.
    pub ids: Option<DataFrame>,
    /// It is known that no row is a soft delete.
    pub alive: bool,
}

impl Scanned {
    /// Rows of which nothing more is known.
    #[must_use]
    pub fn new(rows: LazyFrame) -> Self {
        Self {
            rows,
            ids: None,
            alive: false,
        }
    }
}

impl From<LazyFrame> for Scanned {
    fn from(rows: LazyFrame) -> Self {
        Self::new(rows)
    }
}
