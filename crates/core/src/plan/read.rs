//! Reading a table of samples (`semantics.md` §5).

use arrow::datatypes::SchemaRef;

use super::{Relation, Scalar, Scan};
use crate::clock::Micros;
use crate::columns;
use crate::error::Result;
use crate::expr::{Expr, col};
use crate::key::FeatureKey;
use crate::options::setters;

/// Which rows of a table a read sees, before filters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadScope {
    /// Rows of this feature version only; `None`: of all versions.
    pub feature_version: Option<String>,
    /// Every row of a sample instead of the latest.
    pub sample_history: bool,
    /// Soft-deleted samples as well.
    pub include_soft_deleted: bool,
    /// The table as it was at this time.
    pub as_of: Option<Micros>,
}

impl ReadScope {
    /// The current samples of a feature version.
    #[must_use]
    pub fn current(feature_version: impl Into<String>) -> Self {
        Self {
            feature_version: Some(feature_version.into()),
            sample_history: false,
            include_soft_deleted: false,
            as_of: None,
        }
    }
}

/// What a read of a feature should return. The default is the current sample of each ID.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Rows of this feature version instead of the current one.
    pub feature_version: Option<String>,
    /// Rows of all feature versions: the latest of each sample across them.
    pub with_feature_history: bool,
    /// Every row of each sample instead of the latest.
    pub with_sample_history: bool,
    /// Soft-deleted samples as well.
    pub include_soft_deleted: bool,
    /// Only these columns, in this order.
    pub columns: Option<Vec<String>>,
    /// Conditions that all hold for the rows returned; seen after deduplication.
    pub filters: Vec<Expr>,
    /// The table as it was at this time, in UTC microseconds.
    pub as_of: Option<Micros>,
    /// Look only into this store, not into those it falls back to.
    pub local_only: bool,
    /// At most this many rows, whichever come first.
    pub limit: Option<u64>,
}

impl ReadOptions {
    setters! { options =>
        /// Rows of this feature version instead of the current one.
        with_feature_version(version: impl Into<String>) {
            options.feature_version = Some(version.into());
        }
        /// Rows of all feature versions.
        with_feature_history(all: bool) {
            options.with_feature_history = all;
        }
        /// Every row of each sample.
        with_sample_history(all: bool) {
            options.with_sample_history = all;
        }
        /// Soft-deleted samples as well.
        with_soft_deleted(include: bool) {
            options.include_soft_deleted = include;
        }
        /// Only rows for which these hold, too.
        with_filters(filters: impl IntoIterator<Item = Expr>) {
            options.filters.extend(filters);
        }
        /// Only these columns, in this order.
        with_columns(columns: impl IntoIterator<Item = impl Into<String>>) {
            options.columns = Some(columns.into_iter().map(Into::into).collect());
        }
        /// The table as it was then, in UTC microseconds.
        with_as_of(as_of: Micros) {
            options.as_of = Some(as_of);
        }
        /// Look only into this store.
        with_local_only(local_only: bool) {
            options.local_only = local_only;
        }
        /// At most this many rows.
        with_limit(limit: u64) {
            options.limit = Some(limit);
        }
    }
}

/// The rows of a table that `scope` and all `filters` let through, with all columns.
///
/// # Errors
/// [`ErrorKind::InvalidFilter`](crate::ErrorKind::InvalidFilter) if a filter does not fit the columns.
pub fn read_current(
    table: &FeatureKey,
    schema: &SchemaRef,
    id_columns: &[String],
    scope: &ReadScope,
    filters: &[Expr],
) -> Result<Relation> {
    let scan = Scan {
        table: table.clone(),
        feature_version: scope.feature_version.clone(),
        as_of: scope.as_of,
        latest_per: (!scope.sample_history).then(|| id_columns.to_vec()),
    };
    let mut relation = Relation::scan(scan, schema.clone());
    if !scope.include_soft_deleted {
        let alive = col(columns::DELETED_AT).is_null().bind(schema)?;
        relation = relation.filter(Scalar::Test(alive))?;
    }
    filter_all(relation, filters)
}

/// The rows for which all `filters` hold.
///
/// # Errors
/// [`ErrorKind::InvalidFilter`](crate::ErrorKind::InvalidFilter) if one does not fit the columns.
pub(crate) fn filter_all(mut relation: Relation, filters: &[Expr]) -> Result<Relation> {
    for filter in filters {
        let bound = filter.bind(relation.schema())?;
        relation = relation.filter(Scalar::Test(bound))?;
    }
    Ok(relation)
}
