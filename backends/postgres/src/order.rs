//! Rows put into a table so that of equal stamps the later stored comes later.
//!
//! The place of a row (`ctid`) is its storage order. It grows from row to row, except where a page has some room left: at its end, or
//! where rows were removed. So whoever puts rows looks where they came to lie. Rows of one sample and one stamp that are out of order
//! are taken out and put in again, in their order, until they are in order: of each sample those from the first that lies too early. Each time they
//! take room that was not used before, so the room that is left in earlier pages is used up. Where that brings nothing nearer, because a sample's
//! first rows lie behind all the room that is left, all of its rows are put in again.

use metaxy_core::sql::{column_at, quote};
use metaxy_core::{Error, ErrorKind, columns};

use crate::error::Failure;
use crate::names::{self, Names};
use crate::session::Session;
use crate::write::Staged;

/// How often rows are put in again.
const ATTEMPTS: usize = 1_000;

/// The temporary tables of what has to be put in again.
const TIED: &str = "metaxy.tied";

/// Rows on their way from the temporary table.
pub(crate) struct Placed<'a> {
    pub(crate) names: &'a Names,
    pub(crate) place: &'a Staged,
    /// What is put into each column, over the temporary table as `x`.
    pub(crate) values: Vec<String>,
    /// Whether rows of the table may have the same stamps.
    pub(crate) may_tie: bool,
}

/// Puts the rows into the table; returns how many there are.
pub(crate) async fn put(session: &mut Session, placed: &Placed<'_>) -> Result<u64, Failure> {
    let table = placed.names.qualified(&placed.place.name);
    let frame = format!("pg_temp.{}", quote(&names::frame(placed.place.position)));
    let sql = format!(
        "WITH placed AS (INSERT INTO {table} ({}) SELECT {} FROM {frame} AS x RETURNING ctid AS place) \
         SELECT COUNT(*), COALESCE(BOOL_OR(p.place < p.before), FALSE) \
         FROM (SELECT place, LAG(place) OVER () AS before FROM placed) AS p",
        columns_of(placed),
        placed.values.join(", ")
    );
    let row = session
        .rows(&sql)
        .await?
        .into_iter()
        .next()
        .unwrap_or_default();
    let [Some(rows), Some(scattered)] = row.as_slice() else {
        let problem = "PostgreSQL does not say what it stored";
        return Err(Error::new(ErrorKind::Internal, problem).into());
    };
    let rows = rows.parse().unwrap_or_default();
    if rows > 0 && (scattered == "t" || placed.may_tie) {
        settle(session, placed, &table, &frame).await?;
    }
    Ok(rows)
}

fn columns_of(placed: &Placed<'_>) -> String {
    let names: Vec<String> = placed
        .place
        .schema
        .fields()
        .iter()
        .map(|f| quote(f.name()))
        .collect();
    names.join(", ")
}

/// The rows of samples that have several of one stamp, some of them new, put in order.
async fn settle(
    session: &mut Session,
    placed: &Placed<'_>,
    table: &str,
    frame: &str,
) -> Result<(), Failure> {
    let place = placed.place;
    let position = |name: &str| place.schema.index_of(name).ok();
    let ids: Option<Vec<usize>> = place.id_columns.iter().map(|id| position(id)).collect();
    let (Some(ids), Some(updated), Some(deleted)) = (
        ids.filter(|ids| !ids.is_empty()),
        position(columns::UPDATED_AT),
        position(columns::DELETED_AT),
    ) else {
        return Ok(());
    };
    // What makes rows tie: their IDs and their stamp, in the table and in what was put into it.
    let mut stored: Vec<String> = place
        .id_columns
        .iter()
        .map(|id| format!("t.{}", quote(id)))
        .collect();
    stored.push(crate::catalog::stamp("t"));
    let mut given: Vec<String> = ids.iter().map(|at| placed.values[*at].clone()).collect();
    given.push(format!(
        "COALESCE({}, {})",
        placed.values[deleted], placed.values[updated]
    ));
    let same = |other: &[String]| {
        let pairs = stored.iter().zip(other).map(|(a, b)| format!("{a} = {b}"));
        pairs.collect::<Vec<_>>().join(" AND ")
    };
    let keys: Vec<String> = (0..given.len()).map(|at| format!("k{at}")).collect();
    let keyed: Vec<String> = given
        .iter()
        .zip(&keys)
        .map(|(g, k)| format!("{g} AS {k}"))
        .collect();
    let of_ties: Vec<String> = keys.iter().map(|key| format!("ties.{key}")).collect();
    let is_new = "t.xmin = pg_current_xact_id()::xid";
    let places: Vec<String> = (1..=given.len()).map(|at| at.to_string()).collect();
    let mut ties = format!(
        "SELECT {} FROM {frame} AS x GROUP BY {} HAVING COUNT(*) > 1",
        keyed.join(", "),
        places.join(", ")
    );
    if placed.may_tie {
        ties.push_str(&format!(
            " UNION SELECT {} FROM {frame} AS x JOIN {table} AS t ON {} WHERE NOT {is_new}",
            keyed.join(", "),
            same(&given)
        ));
    }
    let groups = quote(&format!("{TIED}.groups.{}", place.position));
    let rows = quote(&format!("{TIED}.{}", place.position));
    let columns: Vec<String> = place
        .schema
        .fields()
        .iter()
        .map(|f| quote(f.name()))
        .collect();
    let named: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| format!("t.{column} AS {}", column_at(at)))
        .collect();
    let matched = same(&of_ties);
    let made = format!(
        "CREATE TEMP TABLE {groups} ON COMMIT DROP AS SELECT ROW_NUMBER() OVER () AS tie, found.* FROM ({ties}) AS found"
    );
    if session.run(&made).await? == 0 {
        return Ok(());
    }
    // Their order is that of `own` and `place`: the rows that were there in the order of their places, then the new ones in the order in which
    // they came. `spot` is where a row lies now; null while it is out.
    session
        .run(&format!(
            "CREATE TEMP TABLE {rows} ON COMMIT DROP AS \
             SELECT FALSE AS own, t.ctid AS place, NULL::tid AS spot, ties.tie, {} FROM {table} AS t JOIN {groups} AS ties ON {matched} WHERE NOT {is_new}; \
             INSERT INTO {rows} SELECT TRUE, x.ctid, NULL, ties.tie, {} FROM {frame} AS x JOIN {groups} AS ties ON {}; \
             DELETE FROM {table} AS t USING {groups} AS ties WHERE {matched}",
            named.join(", "),
            placed.values.join(", "),
            given.iter().zip(&of_ties).map(|(a, b)| format!("{a} = {b}")).collect::<Vec<_>>().join(" AND ")
        ))
        .await?;
    let list = columns.join(", ");
    let sources: Vec<String> = (0..columns.len()).map(column_at).collect();
    let insert = format!(
        "WITH pending AS MATERIALIZED (SELECT own, place, ROW_NUMBER() OVER (ORDER BY own, place) AS nth FROM {rows} WHERE spot IS NULL), \
         placed AS (INSERT INTO {table} ({list}) SELECT {} FROM {rows} WHERE spot IS NULL ORDER BY own, place RETURNING ctid AS spot), \
         numbered AS (SELECT spot, ROW_NUMBER() OVER () AS nth FROM placed) \
         UPDATE {rows} AS r SET spot = numbered.spot FROM pending JOIN numbered ON numbered.nth = pending.nth \
         WHERE r.own = pending.own AND r.place = pending.place",
        sources.join(", ")
    );
    // Of each sample the rows from the first that lies before the one that it comes after.
    let take_misplaced = format!(
        "WITH looked AS (SELECT own, place, spot, tie, spot < LAG(spot) OVER (PARTITION BY tie ORDER BY own, place) AS early FROM {rows}), \
         judged AS MATERIALIZED (SELECT own, place, spot, COALESCE(BOOL_OR(early) OVER (PARTITION BY tie ORDER BY own, place), FALSE) AS wrong FROM looked), \
         gone AS (DELETE FROM {table} AS t USING judged WHERE judged.wrong AND t.ctid = judged.spot) \
         UPDATE {rows} AS r SET spot = NULL FROM judged WHERE judged.wrong AND r.own = judged.own AND r.place = judged.place"
    );
    let take_all = format!(
        "WITH again AS MATERIALIZED (SELECT DISTINCT tie FROM {rows} WHERE spot IS NULL), \
         gone AS (DELETE FROM {table} AS t USING {rows} AS r WHERE t.ctid = r.spot AND r.tie IN (SELECT tie FROM again)) \
         UPDATE {rows} SET spot = NULL WHERE tie IN (SELECT tie FROM again)"
    );
    let mut left = u64::MAX;
    for _ in 0..ATTEMPTS {
        session.run(&insert).await?;
        let misplaced = session.run(&take_misplaced).await?;
        if misplaced == 0 {
            return Ok(());
        }
        left = match misplaced < left {
            true => misplaced,
            false => {
                session.run(&take_all).await?;
                u64::MAX
            }
        };
    }
    let problem = format!(
        "rows of feature {} that have one time could not be stored in their order",
        place.feature
    );
    Err(Error::new(ErrorKind::Storage, problem)
        .with_hint("let `maintain` put the table in order, and write again; nothing was written")
        .into())
}
