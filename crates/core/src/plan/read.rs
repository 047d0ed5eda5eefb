//! Reading a table of samples (`semantics.md` §5).

use arrow::datatypes::SchemaRef;

use super::{Leader, Relation, Scalar, Scan};
use crate::clock::Micros;
use crate::columns;
use crate::error::Result;
use crate::expr::{Expr, col, lit};
use crate::graph::feature_plan::FeaturePlan;
use crate::key::FeatureKey;
use crate::setters;

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
    /// What becomes of rows that say that a parent has no children.
    pub childless: Childless,
}

/// What a read does with rows that say that a parent has no children (`semantics.md` §15).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Childless {
    /// Leaves them out, and their column too.
    #[default]
    Hidden,
    /// Gives those that are the latest row of their parent, which these columns tell.
    Latest(Vec<String>),
    /// Gives them as they are stored, tombstones that they are.
    Stored,
}

impl Childless {
    /// [`Latest`](Self::Latest) for a feature whose samples are children, which not every feature has.
    pub fn latest_of(plan: &FeaturePlan) -> Self {
        let parents = &plan.identity_columns;
        match plan
            .spec()
            .id_columns()
            .iter()
            .all(|id| parents.contains(id))
        {
            true => Self::Hidden,
            false => Self::Latest(parents.clone()),
        }
    }
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
            childless: Childless::Hidden,
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
    /// Rows that say that a parent has no children as well, where they are the latest of their parent: a rebase carries them over.
    pub with_childless: bool,
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
        /// Rows that say that a parent has no children as well.
        with_childless(include: bool) {
            options.with_childless = include;
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
/// [`ErrorKind::InvalidFilter`](crate::ErrorKind::InvalidFilter) if a filter does not fit the columns;
/// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if the table lacks a column that every table has.
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
    if !scope.include_soft_deleted {
        scan.require_time(schema, columns::DELETED_AT)?;
    }
    let relation = Relation::stored(scan, schema.clone())?;
    let alive = col(columns::DELETED_AT).is_null();
    let is_marked = schema.field_with_name(columns::EMPTY).is_ok();
    match &scope.childless {
        Childless::Latest(parents) if is_marked => {
            let rows = with_childless(relation, id_columns, parents, scope.include_soft_deleted);
            filter_all(rows?, filters)
        }
        Childless::Hidden if is_marked => {
            let samples = match scope.include_soft_deleted {
                true => col(columns::EMPTY).is_null(),
                false => alive,
            };
            let rows = filter_all(filter_all(relation, &[samples])?, filters)?;
            let names = schema.fields().iter().map(|field| field.name().as_str());
            rows.select(names.filter(|name| *name != columns::EMPTY))
        }
        _ if scope.include_soft_deleted => filter_all(relation, filters),
        _ => filter_all(filter_all(relation, &[alive])?, filters),
    }
}

/// The samples, and the marked rows that are the latest of their parent. Later is what was written later: children of before may be
/// deleted after it was found that there are none.
fn with_childless(
    rows: Relation,
    id_columns: &[String],
    parents: &[String],
    include_soft_deleted: bool,
) -> Result<Relation> {
    const WAS_DELETED: &str = "__mx.was_deleted";
    const LAST_MARK: &str = "__mx.last_mark";
    const IS_LAST: &str = "__mx.is_last";

    let schema = rows.schema().clone();
    let with_deleted_at = |value: &'static str| {
        schema.fields().iter().map(move |field| {
            let name = field.name();
            let value = if name == columns::DELETED_AT {
                value
            } else {
                name
            };
            (name.clone(), Scalar::column(value))
        })
    };
    let was_deleted = (WAS_DELETED.to_owned(), Scalar::column(columns::DELETED_AT));
    let by_writes = with_deleted_at(columns::UPDATED_AT).chain([was_deleted]);
    let led = Relation::leader(Leader {
        input: rows.project(by_writes.collect())?,
        keys: parents.to_vec(),
        order: id_columns.to_vec(),
        value: columns::EMPTY.into(),
        value_name: LAST_MARK.into(),
        flag_name: IS_LAST.into(),
    })?;
    let sample = match include_soft_deleted {
        true => col(columns::EMPTY).is_null(),
        false => col(WAS_DELETED).is_null(),
    };
    let is_last = col(IS_LAST).eq(lit(true));
    let last = col(columns::EMPTY).is_not_null().and(is_last);
    filter_all(led, &[sample.or(last)])?.project(with_deleted_at(WAS_DELETED).collect())
}

/// The rows for which all `filters` hold.
///
/// # Errors
/// [`ErrorKind::InvalidFilter`](crate::ErrorKind::InvalidFilter) if one does not fit the columns.
pub(crate) fn filter_all(relation: Relation, filters: &[Expr]) -> Result<Relation> {
    let bound = filters.iter().map(|filter| filter.bind(relation.schema()));
    // One step, however many there are: engines and walks of plans go as deep as steps are nested.
    match Expr::and_all(bound.collect::<Result<Vec<_>>>()?) {
        Some(all) => relation.filter(Scalar::Test(all)),
        None => Ok(relation),
    }
}
