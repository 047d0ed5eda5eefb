//! Appends and deletes: one transaction each.
//!
//! The rows of an append are first taken from who produces them, for which nobody has to wait: few are held here, many are copied into
//! temporary tables. Then the tables are locked against other writers, and the rows stamped and put into them, each table with one statement.

use arrow::datatypes::SchemaRef;
use metaxy_core::backend::Appended;
use metaxy_core::backend::append::{Append, PreparedAppend, Stamp, Times, missing_table};
use metaxy_core::clock::Micros;
use metaxy_core::delete::DeleteSamples;
use metaxy_core::expr::Expr;
use metaxy_core::sql::{condition, delete_samples as samples_sql, literal_text, quote};
use metaxy_core::{FeatureKey, Result, columns};

use crate::backend::Shared;
use crate::catalog::{self, Table, cast_of};
use crate::commit::{self, Mark};
use crate::dialect::PostgresDialect;
use crate::direct;
use crate::error::Failure;
use crate::fit::{create_table, fit_table, fitting_columns, has_stamps, missing};
use crate::names::Names;
use crate::order::{self, Placed};
use crate::rights;
use crate::session::Session;
use crate::types::Kept;

/// Rows that wait for their turn: held here, or in a temporary table.
pub(crate) struct Staged {
    pub(crate) feature: FeatureKey,
    /// The name of the table that they go to.
    pub(crate) name: String,
    /// The position of the temporary table.
    pub(crate) position: usize,
    /// All columns of the table from now on, in the order of the temporary one.
    pub(crate) schema: SchemaRef,
    pub(crate) id_columns: Vec<String>,
    pub(crate) times: Times,
    /// The stamp that the rows have, if it may have to be a later one.
    pub(crate) stamped: Option<Micros>,
    /// Whether there was no such table.
    pub(crate) is_new: bool,
    /// Whether the rows came with times of creation.
    pub(crate) created_given: bool,
    pub(crate) create: bool,
}

/// Appends to all tables, or to none.
pub(crate) async fn append(shared: &Shared, appends: Vec<Append>) -> Result<Appended, Failure> {
    let mut session = shared.session().await?;
    let names = shared.names(&session)?;
    let mut prepared = Vec::new();
    for (position, append) in appends.into_iter().enumerate() {
        // Outside of the transaction, which would keep others from changing the table until its end.
        prepared.push(prepare(&mut session, &names, position, append).await?);
    }
    match shared.config.statement_timeout.is_zero() {
        true => commit::begin(&mut session).await?,
        false => commit::begin_loading(&mut session).await?,
    }
    let mut appended = Appended::default();
    let mut staged = Vec::new();
    let mut room = direct::ROOM;
    for (place, mut rows) in prepared {
        let rows = direct::gather(&mut session, &place, &mut rows, &mut room).await?;
        staged.push((place, rows));
    }
    commit::loaded(&mut session, shared).await?;
    let tables = staged.iter().map(|(place, _)| place.name.as_str());
    commit::lock(&mut session, &names, tables).await?;
    let mut mark = None;
    for (place, rows) in &staged {
        let (rows, found) = put(&mut session, &names, place, rows).await?;
        appended.rows += rows;
        mark = mark.or(found);
    }
    let transaction = session.value("SELECT txid_current()").await?;
    let mark = Mark {
        transaction: transaction.unwrap_or_default(),
        rows: mark,
    };
    commit::commit(shared, session, &names, &mark).await?;
    Ok(appended)
}

/// Looks whether the rows fit the table as it is now, and whether they may be added.
async fn prepare(
    session: &mut Session,
    names: &Names,
    position: usize,
    append: Append,
) -> Result<(Staged, PreparedAppend), Failure> {
    let (feature, create, times) = (append.table.clone(), append.create, append.times);
    let name = names.table(&feature);
    let stored = catalog::table_or_free(session, names, &name, &feature).await?;
    if let Some(stored) = &stored {
        if times != Times::Keep {
            catalog::require_ours(stored, &name, &feature)?;
        }
        stored.require_plain(&name)?;
    }
    let created_given = append
        .rows
        .schema()
        .field_with_name(columns::CREATED_AT)
        .is_ok();
    let prepared = append.prepare(stored.as_ref().map(|s| s.schema.as_ref()), None)?;
    let schema = prepared.schema().clone();
    fitting_columns(&schema, &feature)?;
    match &stored {
        Some(stored) => {
            rights::require_insert(session, names, &name, stored, &feature).await?;
            let sql = missing(names, &name, &schema, stored, &feature)?;
            if !sql.is_empty() {
                let change = "add columns to it, or change their types";
                let sql = sql.join("; ");
                rights::require_owner(session, &name, stored, &feature, change, Some(&sql)).await?;
            } else if has_news(&schema, stored) {
                let change = "note the new type of a column";
                rights::require_owner(session, &name, stored, &feature, change, None).await?;
            }
        }
        None if !create => {
            let sql = create_table(names, &name, &schema)?;
            return Err(missing_table(&feature, &sql).into());
        }
        None => rights::require_create(session, names, &feature).await?,
    }
    let stamped = match times {
        Times::Write(Stamp::AfterAll(_)) | Times::Tombstone(Stamp::AfterAll(_)) => {
            prepared.latest()
        }
        _ => None,
    };
    let staged = Staged {
        name,
        position,
        schema,
        id_columns: prepared.id_columns().to_vec(),
        times,
        stamped,
        is_new: stored.is_none(),
        created_given,
        create,
        feature,
    };
    Ok((staged, prepared))
}

/// Whether a column's note has to tell another type, or what is written would be read as null. What is kept by field is told by the rows.
fn has_news(schema: &SchemaRef, stored: &Table) -> bool {
    let by_field = [columns::PROVENANCE_BY_FIELD, columns::DATA_VERSION_BY_FIELD];
    let fields = schema.fields().iter();
    let mut fields = fields.filter(|field| !by_field.contains(&field.name().as_str()));
    fields.any(|field| {
        let known = stored.schema.field_with_name(field.name());
        known.is_ok_and(|known| known.data_type() != field.data_type())
    })
}

/// Which times of a column become later ones.
pub(crate) enum Later {
    All,
    /// Those that are the write's own stamp.
    Own,
}

impl Staged {
    /// The stamp that the rows have and the one that they get, if that is another.
    pub(crate) fn restamped(&self, stamp: Option<Micros>) -> Option<(Micros, Micros)> {
        self.stamped.zip(stamp).filter(|(old, new)| old != new)
    }

    /// What becomes of a column where the rows get a later stamp than they have.
    pub(crate) fn later(&self, column: &str) -> Option<Later> {
        match (self.times, column) {
            (Times::Write(_), columns::UPDATED_AT) | (Times::Tombstone(_), columns::DELETED_AT) => {
                Some(Later::All)
            }
            (Times::Write(_), columns::DELETED_AT) => Some(Later::Own),
            (Times::Write(_), columns::CREATED_AT) if self.created_given => Some(Later::Own),
            (Times::Write(_), columns::CREATED_AT) => Some(Later::All),
            _ => None,
        }
    }

    /// A failure with the feature that it is about.
    pub(crate) fn explain(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Other(error) => Failure::Other(error.with_context("feature", &self.feature)),
            failure => failure,
        }
    }
}

/// Makes the table what it has to be, and puts the rows into it. Gives how many they are, and the table and a condition by which they are
/// known again.
async fn put(
    session: &mut Session,
    names: &Names,
    place: &Staged,
    rows: &direct::Rows,
) -> Result<(u64, Option<(String, String)>), Failure> {
    let mut stored = catalog::table_or_free(session, names, &place.name, &place.feature).await?;
    if let Some(stored) = &stored {
        stored.hold_plain(session, names, &place.name).await?;
    }
    let afterwards = fit_table(session, names, place, stored.as_ref()).await?;
    if stored.as_ref().is_some_and(|stored| alters(place, stored)) {
        stored = catalog::table(session, names, &place.name).await?;
    }
    let final_stamp = match (&stored, place.stamped) {
        (Some(stored), Some(stamp)) => {
            let latest = latest_stamp(session, names, place, stored).await?;
            Some(stamp.max(latest.map_or(i64::MIN, |latest| latest.saturating_add(1))))
        }
        (None, stamp) => stamp,
        (Some(_), None) => None,
    };
    let rows = match rows {
        direct::Rows::Held(rows) if direct::fits(place, stored.as_ref()) => {
            direct::put(session, names, place, rows, final_stamp).await?
        }
        rows => {
            if let direct::Rows::Held(rows) = rows {
                direct::stage(session, place, rows, None).await?;
            }
            let placed = Placed {
                names,
                place,
                values: values(place, stored.as_ref(), final_stamp),
                may_tie: place.stamped.is_none() && stored.is_some(),
            };
            order::put(session, &placed).await?
        }
    };
    if !afterwards.is_empty() {
        session.run(&afterwards.join("; ")).await?;
    }
    if stored.as_ref().is_none_or(|stored| stored.is_owner) {
        analyze(session, names, place, rows, stored.is_none()).await?;
    }
    if rows == 0 {
        return Ok((0, None));
    }
    let known = match final_stamp {
        Some(stamp) if has_stamps(&place.schema) => {
            let time = catalog::column(match place.times {
                Times::Tombstone(_) => columns::DELETED_AT,
                _ => columns::UPDATED_AT,
            });
            format!("{time} = {}", instant(stamp))
        }
        _ => "TRUE".into(),
    };
    Ok((rows, Some((place.name.clone(), known))))
}

/// Whether the table was made to keep a column in another way.
fn alters(place: &Staged, stored: &Table) -> bool {
    place.schema.fields().iter().any(|field| {
        let known = stored.schema.field_with_name(field.name());
        known.is_ok_and(|known| Kept::of(known.data_type()) != Kept::of(field.data_type()))
    })
}

/// Rows from which on a write makes the statistics of a table that has none: the server does so by itself, but not at once.
const WORTH_KNOWING: u64 = 50;

/// Rows from which on a write renews the statistics of a table that it is large beside: plans of large tables need it.
const WORTH_RENEWING: u64 = 1_000;

/// Makes or renews the statistics of the columns by which rows are found: if there are none, or if the write was large beside the table.
async fn analyze(
    session: &mut Session,
    names: &Names,
    place: &Staged,
    rows: u64,
    is_new: bool,
) -> Result<(), Failure> {
    if rows < WORTH_KNOWING {
        return Ok(());
    }
    let table = names.qualified(&place.name);
    if !is_new {
        let mut known = format!(
            "SELECT EXISTS (SELECT 1 FROM pg_stats WHERE schemaname = {} AND tablename = {})",
            literal_text(&names.schema),
            literal_text(&place.name)
        );
        if rows >= WORTH_RENEWING {
            let beside = rows.saturating_mul(4);
            known.push_str(&format!(
                " AND (SELECT reltuples FROM pg_class WHERE oid = {}::regclass) > {beside}",
                literal_text(&table)
            ));
        }
        if session.value(&known).await?.as_deref() == Some("t") {
            return Ok(());
        }
    }
    let system = [
        columns::FEATURE_VERSION,
        columns::UPDATED_AT,
        columns::DELETED_AT,
    ];
    let ids = place.id_columns.iter().map(String::as_str);
    let wanted = ids
        .chain(system)
        .filter(|name| place.schema.field_with_name(name).is_ok());
    let wanted: Vec<String> = wanted.map(quote).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    session
        .run(&format!("ANALYZE {table} ({})", wanted.join(", ")))
        .await?;
    Ok(())
}

/// A stamp as SQL.
pub(crate) fn instant(micros: Micros) -> String {
    format!("(TIMESTAMPTZ 'epoch' + {micros} * INTERVAL '1 microsecond')")
}

/// What is put into each column, of the temporary table under the alias `x`.
fn values(place: &Staged, stored: Option<&Table>, final_stamp: Option<Micros>) -> Vec<String> {
    let restamped = place.restamped(final_stamp);
    let fields = place.schema.fields().iter().enumerate();
    fields
        .map(|(i, field)| {
            let given = format!("x.{}", metaxy_core::sql::column_at(i));
            let later = place.later(field.name()).zip(restamped);
            let value = match later {
                Some((Later::All, (_, new))) => instant(new),
                Some((Later::Own, (old, new))) => format!(
                    "CASE WHEN {given} = {} THEN {} ELSE {given} END",
                    instant(old),
                    instant(new)
                ),
                None => given,
            };
            let position = stored.and_then(|s| s.schema.index_of(field.name()).ok());
            let declared = position.and_then(|at| stored.map(|s| s.declared[at].as_str()));
            match declared.filter(|declared| cast_of(field, declared).is_some()) {
                Some(declared) => format!("{value}::{declared}"),
                None => value,
            }
        })
        .collect()
}

/// The greatest stamp of the table, as far as it has the columns: by the index, if it has that.
async fn latest_stamp(
    session: &mut Session,
    names: &Names,
    place: &Staged,
    stored: &Table,
) -> Result<Option<Micros>, Failure> {
    let has = |name: &str| {
        stored
            .schema
            .field_with_name(name)
            .is_ok_and(catalog::is_time)
    };
    let stamp = match (has(columns::UPDATED_AT), has(columns::DELETED_AT)) {
        (true, true) => catalog::stamp("t"),
        (true, false) => catalog::column(columns::UPDATED_AT),
        (false, true) => catalog::column(columns::DELETED_AT),
        (false, false) => return Ok(None),
    };
    let table = names.qualified(&place.name);
    let greatest = format!("SELECT MAX({stamp}) FROM {table} AS t");
    let sql = match stored.schema.field_with_name(columns::FEATURE_VERSION) {
        Err(_) => greatest,
        Ok(_) => {
            let version = catalog::column(columns::FEATURE_VERSION);
            format!(
                "{} SELECT GREATEST((SELECT MAX((SELECT MAX({stamp}) FROM {table} AS t WHERE {version} = versions.v)) FROM versions), \
                 ({greatest} WHERE {version} IS NULL))",
                catalog::versions(&table)
            )
        }
    };
    // Whole microseconds: seconds as a floating-point number would not tell them apart.
    let sql =
        format!("SELECT ((EXTRACT(EPOCH FROM ({sql})::timestamptz))::numeric * 1000000)::bigint");
    let found = session.value(&sql).await?;
    Ok(found.and_then(|found| found.parse().ok()))
}

/// Removes the rows for which `filter` is true, or all.
pub(crate) async fn delete(
    shared: &Shared,
    feature: &FeatureKey,
    filter: Option<&Expr>,
) -> Result<u64, Failure> {
    let Some(Opened {
        mut session,
        names,
        name,
        table,
    }) = open(shared, feature).await?
    else {
        return Ok(0);
    };
    rights::require_delete(&mut session, &names, &name, feature).await?;
    let mut sql = format!("DELETE FROM {}", names.qualified(&name));
    if let Some(filter) = filter {
        let dialect = PostgresDialect::new(names.clone());
        let sql_of = |column: &str| compared(&table, column, &quote(column));
        let condition = condition(filter, &table.schema, &sql_of, &dialect)?;
        sql.push_str(&format!(" WHERE {condition}"));
    }
    removed(session, &names, &name, &table, &sql).await
}

/// Removes samples of a table with all their rows.
pub(crate) async fn delete_samples(
    shared: &Shared,
    feature: &FeatureKey,
    samples: &DeleteSamples,
) -> Result<u64, Failure> {
    let Some(Opened {
        mut session,
        names,
        name,
        table,
    }) = open(shared, feature).await?
    else {
        return Ok(0);
    };
    rights::require_delete(&mut session, &names, &name, feature).await?;
    let sql = {
        let dialect = PostgresDialect::new(names.clone());
        let sql_of = |column: &str| compared(&table, column, &format!("a.{}", quote(column)));
        samples_sql(feature, &table.schema, samples, &sql_of, &dialect)?
    };
    removed(session, &names, &name, &table, &sql).await
}

/// A column of a table as it is compared; `sql` names it.
fn compared(table: &Table, column: &str, sql: &str) -> Result<String> {
    let at = table.schema.index_of(column)?;
    let cast = cast_of(table.schema.field(at), &table.declared[at]);
    Ok(match cast {
        Some(target) => format!("{sql}::{target}"),
        None => sql.to_owned(),
    })
}

/// Runs the statement that removes rows of a table, in its turn; returns how many there were.
pub(crate) async fn removed(
    mut session: Session,
    names: &Names,
    name: &str,
    table: &Table,
    sql: &str,
) -> Result<u64, Failure> {
    commit::begin(&mut session).await?;
    commit::lock(&mut session, names, [name]).await?;
    table.hold_plain(&mut session, names, name).await?;
    let removed = session.run(sql).await?;
    session.run("COMMIT").await?;
    session.release();
    Ok(removed)
}

/// A table that is ours, and a session that looks at it.
pub(crate) struct Opened {
    pub(crate) session: Session,
    pub(crate) names: Names,
    pub(crate) name: String,
    pub(crate) table: Table,
}

/// The table of a feature; `None` if there is none.
pub(crate) async fn open(shared: &Shared, feature: &FeatureKey) -> Result<Option<Opened>, Failure> {
    let mut session = shared.session().await?;
    let names = shared.names(&session)?;
    let name = names.table(feature);
    let Some(table) = catalog::table_or_free(&mut session, &names, &name, feature).await? else {
        session.release();
        return Ok(None);
    };
    catalog::require_ours(&table, &name, feature)?;
    table.require_plain(&name)?;
    Ok(Some(Opened {
        session,
        names,
        name,
        table,
    }))
}

/// Removes a table; returns whether there was one.
pub(crate) async fn drop_table(shared: &Shared, feature: &FeatureKey) -> Result<bool, Failure> {
    let Some(Opened {
        mut session,
        names,
        name,
        table,
    }) = open(shared, feature).await?
    else {
        return Ok(false);
    };
    let sql = format!("DROP TABLE {}", names.qualified(&name));
    rights::require_owner(&mut session, &name, &table, feature, "drop it", Some(&sql)).await?;
    commit::begin(&mut session).await?;
    commit::lock(&mut session, &names, [name.as_str()]).await?;
    let gone = catalog::table(&mut session, &names, &name).await?.is_none();
    if !gone {
        session.run(&sql).await?;
    }
    session.run("COMMIT").await?;
    session.release();
    Ok(!gone)
}
