//! A cheap look at what in a table is replaced by later rows.

use arrow::datatypes::{DataType, Schema};
use metaxy_core::columns;
use metaxy_core::sql::quote;

use crate::catalog::Session;
use crate::dialect::{ROWID, hides_rowid};
use crate::error::Failure;

/// The range of the IDs, as a multiple of the number of rows, up to which a bit per possible ID is worth it.
const SPARSE: i128 = 16;

/// The most bits; each thread of the engine has so many.
const MOST_BITS: i128 = 1 << 28;

/// Up to so many rows, to count the distinct IDs takes less time than to plan for rows that are replaced.
const FEW: i64 = 50_000;

/// A table, and the columns that identify its samples.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table<'a> {
    pub(crate) name: &'a str,
    pub(crate) schema: &'a Schema,
    pub(crate) ids: &'a [String],
}

/// How often the samples of a table were written, over all versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// Each once.
    Once,
    /// Each once before the row of this number; the rows from there on are later than those before.
    OnceBefore(i64),
    /// Any number of times, as far as is known.
    Unknown,
}

/// How often the samples of each table were written.
///
/// What is looked at are integer IDs that lie close together, with a bit for each, which takes a tenth of the time of grouping them, and
/// small tables, where grouping would cost more to plan than to do.
pub(crate) fn written(session: Session<'_>, tables: &[Table<'_>]) -> Result<Vec<Written>, Failure> {
    let mut written = vec![Written::Unknown; tables.len()];
    let extents = extents(session, tables)?;
    let counts = tables.iter().zip(&extents);
    let counts = counts.map(|(table, extent)| distinct(table, extent));
    let mut prefixes: Vec<Option<String>> = vec![None; tables.len()];
    for (position, row) in rows_by_table(session, tables, counts)? {
        let (Some(table), Some(extent)) = (tables.get(position), extents.get(position)) else {
            continue;
        };
        let Some(distinct) = number(&row, 1) else {
            continue;
        };
        if distinct == extent.rows {
            written[position] = Written::Once;
        } else if extent.rows > FEW && extent.rows - distinct < extent.rows / 2 {
            let once = once_before(table, extent, distinct);
            prefixes[position] = once.map(|once| format!("{distinct}, ({once})::INTEGER"));
        }
    }
    for (position, row) in rows_by_table(session, tables, prefixes)? {
        if let (Some(distinct), Some(1)) = (number(&row, 1), number(&row, 2)) {
            written[position] = Written::OnceBefore(distinct);
        }
    }
    Ok(written)
}

/// How many rows a table has, and between which integers its IDs lie.
#[derive(Debug, Clone, Copy)]
struct Extent {
    rows: i64,
    range: Option<(i64, i64)>,
}

/// Mostly answered from the statistics of the tables.
fn extents(session: Session<'_>, tables: &[Table<'_>]) -> Result<Vec<Extent>, Failure> {
    let unknown = Extent {
        rows: i64::MAX,
        range: None,
    };
    let mut extents = vec![unknown; tables.len()];
    let lists = tables.iter().map(|table| {
        let (least, greatest) = match table.ids {
            [id] if is_integer(table.schema, id) => {
                let id = quote(id);
                (format!("MIN({id})::BIGINT"), format!("MAX({id})::BIGINT"))
            }
            _ => ("NULL::BIGINT".into(), "NULL::BIGINT".into()),
        };
        Some(format!("COUNT(*), {least}, {greatest}"))
    });
    for (position, row) in rows_by_table(session, tables, lists)? {
        if let Some(rows) = number(&row, 1) {
            let range = number(&row, 2).zip(number(&row, 3));
            extents[position] = Extent { rows, range };
        }
    }
    Ok(extents)
}

/// The number of samples as SQL, where it can be had cheaply.
fn distinct(table: &Table<'_>, extent: &Extent) -> Option<String> {
    match table.ids {
        [] => None,
        [id] if extent.is_dense() => bits(id, extent, ""),
        [id] if extent.rows <= FEW => Some(format!("COUNT(DISTINCT {})", quote(id))),
        ids if extent.rows <= FEW => {
            let ids: Vec<String> = ids.iter().map(|id| quote(id)).collect();
            Some(format!("COUNT(DISTINCT ({}))", ids.join(", ")))
        }
        _ => None,
    }
}

/// Whether the first `rows` rows have every sample once, and the others are later, as SQL. So it is where a feature was computed
/// for all samples, and then for some of them again.
fn once_before(table: &Table<'_>, extent: &Extent, rows: i64) -> Option<String> {
    let ([id], false) = (table.ids, hides_rowid(table.schema)) else {
        return None;
    };
    let (before, after) = (
        format!("FILTER ({ROWID} < {rows})"),
        format!("FILTER ({ROWID} >= {rows})"),
    );
    let stamp = format!(
        "COALESCE({}, {})",
        quote(columns::DELETED_AT),
        quote(columns::UPDATED_AT)
    );
    Some(format!(
        "COUNT(*) {before} = {rows} AND {} = {rows} AND COUNT({stamp}) = {} AND MAX({stamp}) {before} <= MIN({stamp}) {after}",
        bits(id, extent, &before)?,
        extent.rows
    ))
}

/// The number of different integers in a column, as SQL.
fn bits(id: &str, extent: &Extent, filter: &str) -> Option<String> {
    let (least, greatest) = extent.range?;
    let id = quote(id);
    Some(format!(
        "bit_count(bitstring_agg({id}::BIGINT, {least}, {greatest}) {filter})"
    ))
}

/// Runs a SELECT list over each table, which gives one row, all as one statement; gives the rows with the positions of the tables.
fn rows_by_table(
    session: Session<'_>,
    tables: &[Table<'_>],
    lists: impl IntoIterator<Item = Option<String>>,
) -> Result<Vec<(usize, Row)>, Failure> {
    let lists = tables.iter().zip(lists).enumerate();
    let selects: Vec<String> = lists
        .filter_map(|(position, (table, list))| {
            let name = session.name(table.name);
            Some(format!("SELECT {position}, {} FROM {name}", list?))
        })
        .collect();
    if selects.is_empty() {
        return Ok(Vec::new());
    }
    let rows = session.host.rows(&selects.join(" UNION ALL "))?;
    let position = |row: &Row| row.first()?.as_ref()?.parse().ok();
    let rows = rows
        .into_iter()
        .filter_map(|row| Some((position(&row)?, row)));
    Ok(rows.collect())
}

/// The columns of a row as texts, after its position.
type Row = Vec<Option<String>>;

fn number(row: &[Option<String>], column: usize) -> Option<i64> {
    row.get(column)?.as_ref()?.parse().ok()
}

impl Extent {
    fn is_dense(&self) -> bool {
        let rows = i128::from(self.rows);
        self.range.is_some_and(|(least, greatest)| {
            let range = i128::from(greatest) - i128::from(least) + 1;
            range >= 1 && range <= (rows * SPARSE).min(MOST_BITS)
        })
    }
}

fn is_integer(schema: &Schema, column: &str) -> bool {
    let field = schema.field_with_name(column);
    field.is_ok_and(|field| {
        matches!(
            field.data_type(),
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64
        )
    })
}
