//! Where the rows of stored tables come from.

use std::collections::BTreeSet;

use arrow::datatypes::SchemaRef;
use metaxy_core::Result;
use metaxy_core::expr::Expr;
use metaxy_core::plan::Scan;
use polars::prelude::LazyFrame;

/// The stored tables of one query. All its scans see one moment.
///
/// It is used on a thread of its own that may block.
pub trait Source: Send + Sync + 'static {
    /// The rows of `scan`, with at least the columns `columns` of the table, whose columns are `schema`.
    ///
    /// The columns have the types as which they cross to Polars (see [`IntoPolars`](crate::IntoPolars)): text is String, times with a zone are
    /// Datetime in UTC, by-field structs are structs, maps are lists of structs of `key` and `value`. What Polars has nothing like is bytes
    /// that only this crate reads. What the plan does with the rows is
    /// lazy too, so that Polars pushes filters and projections into the frame's own scan.
    ///
    /// Rows for which one of `filters` is not true may be left out, before the latest per sample are taken: they look at the columns of
    /// [`Scan::latest_per`] only, if there are any. The plan applies them again.
    ///
    /// # Errors
    /// If the rows cannot be read.
    fn scan(
        &self,
        scan: &Scan,
        schema: &SchemaRef,
        columns: &BTreeSet<String>,
        filters: &[&Expr],
    ) -> Result<LazyFrame>;

    /// Whether the frames that [`scan`](Self::scan) gave so far hold their rows in memory: then the plan runs there, too, which takes less
    /// time where there are few.
    fn is_held(&self) -> bool {
        false
    }
}
