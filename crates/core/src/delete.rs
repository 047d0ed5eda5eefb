//! Samples that a backend is asked to remove ([`DeleteSamples`]).

use crate::expr::Expr;
use crate::setters;

/// Which samples of one table go, with all their rows.
///
/// The rows for which [`among`](Self::among) is true are grouped by [`id_columns`](Self::id_columns): a group is a sample. Its latest
/// row is the one with the greatest stamp, `coalesce(metaxy_deleted_at, metaxy_updated_at)`; of equal stamps the one that was stored
/// later. If [`condition`](Self::condition) is true for that row, a tombstone like any other, all rows of the group go; if it is false
/// or null, none does. So nothing that was superseded becomes the latest.
///
/// A row whose stamp or one of whose IDs is null is a sample of its own, as in reads. So is every row of a table that lacks the time
/// columns of the system or one of the ID columns.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeleteSamples {
    /// The columns that identify a sample.
    pub id_columns: Vec<String>,
    /// Only rows for which this is true are looked at, and go; such as those of a feature version. Bound to the table's columns.
    /// `None`: all rows.
    pub among: Option<Expr>,
    /// What has to be true for the latest row of a sample. Bound to the table's columns.
    pub condition: Expr,
}

impl DeleteSamples {
    /// All samples whose latest row meets a condition, which is bound to the table's columns.
    #[must_use]
    pub fn new(id_columns: impl IntoIterator<Item = impl Into<String>>, condition: Expr) -> Self {
        Self {
            id_columns: id_columns.into_iter().map(Into::into).collect(),
            among: None,
            condition,
        }
    }

    setters! { samples =>
        /// Only rows for which this is true, bound to the table's columns.
        with_among(among: Expr) {
            samples.among = Some(among);
        }
    }

    /// What is true for the rows that are looked at and meet a condition.
    #[must_use]
    pub fn looked_at_where(&self, condition: Expr) -> Expr {
        match &self.among {
            Some(among) => among.clone().and(condition),
            None => condition,
        }
    }
}
