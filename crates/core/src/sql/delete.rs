//! Samples that go, as SQL.

use arrow::datatypes::Schema;

use super::condition::condition;
use super::dialect::{Dialect, quote};
use super::prune::stamp;
use crate::delete::DeleteSamples;
use crate::error::Result;
use crate::key::FeatureKey;

/// The statement that removes samples of a table with the columns `stored`. `column` gives the SQL of a column of the table `a`.
///
/// [`Dialect::table`] has to give the name of a table from which rows can be deleted, and [`Dialect::row_order`] a value that no
/// two of its rows share.
///
/// # Errors
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the engine cannot compare something.
pub fn delete_samples(
    table: &FeatureKey,
    stored: &Schema,
    samples: &DeleteSamples,
    column: &dyn Fn(&str) -> Result<String>,
    dialect: &dyn Dialect,
) -> Result<String> {
    let from = dialect.table(table);
    let row = dialect.row_order(table, "a");
    let matches = condition(&samples.condition, stored, column, dialect)?;
    let among = match &samples.among {
        Some(among) => Some(condition(among, stored, column, dialect)?),
        None => None,
    };
    let rows = |select: &str, conditions: &[&str]| {
        let all: Vec<&str> = among
            .as_deref()
            .into_iter()
            .chain(conditions.iter().copied())
            .collect();
        let condition = match all.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", all.join(" AND ")),
        };
        format!("SELECT {row} AS r{select} FROM {from} AS a{condition}")
    };
    let ids: Vec<String> = samples
        .id_columns
        .iter()
        .filter(|id| stored.field_with_name(id).is_ok())
        .map(|id| format!("a.{}", quote(id)))
        .collect();
    let are_known = !ids.is_empty() && ids.len() == samples.id_columns.len();
    let goes = match stamp(stored, dialect)? {
        Some((stamp, _)) if are_known => {
            let told_apart = ids.iter().chain([&stamp]);
            let alone: Vec<String> = told_apart.map(|of| format!("{of} IS NULL")).collect();
            let alone = format!("({})", alone.join(" OR "));
            let latest = format!(
                ", FIRST_VALUE(CASE WHEN {matches} THEN 1 ELSE 0 END) \
                 OVER (PARTITION BY {} ORDER BY {stamp} DESC, {row} DESC) AS goes",
                ids.join(", ")
            );
            format!(
                "SELECT latest.r FROM ({}) AS latest WHERE latest.goes = 1 UNION ALL {}",
                rows(&latest, &[&format!("NOT {alone}")]),
                rows("", &[&alone, &matches])
            )
        }
        _ => rows("", &[&matches]),
    };
    let own = dialect.row_order(table, "b");
    Ok(format!("DELETE FROM {from} AS b WHERE {own} IN ({goes})"))
}
