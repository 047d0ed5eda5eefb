//! Superseded rows as SQL.

use arrow::datatypes::{DataType, Schema};

use super::dialect::{Dialect, quote};
use crate::backend::maintain::{Prune, Superseded};
use crate::columns;
use crate::error::Result;
use crate::expr::Value;
use crate::key::FeatureKey;

/// The statements of a [`Prune`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneSql {
    /// Removes the superseded rows.
    pub delete: String,
    /// Counts them: one row, one integer.
    pub count: String,
}

/// How the superseded rows of a table with the columns `stored` are removed and counted; `None` if it has none, as it lacks a column
/// by which rows are ranked.
///
/// [`Dialect::row_order`] has to give a value that no two rows of the table share, whether they are read from [`Dialect::source`] or
/// deleted from [`Dialect::table`].
///
/// # Errors
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the engine cannot compare times as the table has them.
pub fn prune(
    table: &FeatureKey,
    stored: &Schema,
    prune: &Prune,
    dialect: &dyn Dialect,
) -> Result<Option<PruneSql>> {
    let has = |name: &str| stored.field_with_name(name).is_ok();
    let ids = &prune.id_columns;
    if ids.is_empty() || !ids.iter().all(|id| has(id)) {
        return Ok(None);
    }
    let Some((stamp, stamp_type)) = stamp(stored, dialect)? else {
        return Ok(None);
    };
    let version = has(columns::FEATURE_VERSION).then_some(columns::FEATURE_VERSION);
    // IDs first: an index by ID then has the rows in nearly this order.
    let sample = ids.iter().map(String::as_str).chain(version);
    let sample: Vec<String> = sample.map(|name| format!("a.{}", quote(name))).collect();
    let mut ranked: Vec<String> = ids
        .iter()
        .map(|id| format!("a.{} IS NOT NULL", quote(id)))
        .collect();
    ranked.push(format!("{stamp} IS NOT NULL"));
    let goes = match prune.superseded {
        Superseded::Beyond(rows) => {
            let rows = i64::try_from(rows.get()).unwrap_or(i64::MAX);
            format!("ranked.n > {rows}")
        }
        Superseded::Before(at) => {
            let at = dialect.literal(&Value::Timestamp(at), Some(&stamp_type))?;
            format!("ranked.n > 1 AND ranked.s < {at}")
        }
    };
    let (own, from) = (dialect.table(table), dialect.source(table, false));
    let row = dialect.row_order(table, "a");
    let superseded = format!(
        "SELECT ranked.r FROM (SELECT {row} AS r, {stamp} AS s, \
         ROW_NUMBER() OVER (PARTITION BY {} ORDER BY {stamp} DESC, {row} DESC) AS n \
         FROM {from} AS a WHERE {}) AS ranked WHERE {goes}",
        sample.join(", "),
        ranked.join(" AND ")
    );
    Ok(Some(PruneSql {
        delete: format!(
            "DELETE FROM {own} AS b WHERE {} IN ({superseded})",
            dialect.row_order(table, "b")
        ),
        count: format!("SELECT COUNT(*) FROM ({superseded}) AS superseded"),
    }))
}

/// The stamp of a row, as far as the table has its columns, and its type.
pub(super) fn stamp(stored: &Schema, dialect: &dyn Dialect) -> Result<Option<(String, DataType)>> {
    let mut times = Vec::new();
    let mut stamp_type = None;
    for name in [columns::DELETED_AT, columns::UPDATED_AT] {
        let Ok(field) = stored.field_with_name(name) else {
            continue;
        };
        if matches!(field.data_type(), DataType::Timestamp(..)) {
            let column = format!("a.{}", quote(name));
            times.push(dialect.operand(&column, field.data_type())?);
            stamp_type = Some(field.data_type().clone());
        }
    }
    let stamp = match times.as_slice() {
        [one] => one.clone(),
        several => format!("COALESCE({})", several.join(", ")),
    };
    Ok(stamp_type.map(|stamp_type| (stamp, stamp_type)))
}
