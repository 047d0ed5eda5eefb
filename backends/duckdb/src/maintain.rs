//! Superseded rows and samples that go, and the file itself: its statistics, its log, its unused blocks.

use std::path::Path;
use std::time::{Duration, Instant};

use arrow::datatypes::{Field, Schema};
use metaxy_core::backend::maintain::{
    Footprint, MaintainAction, Maintenance, MaintenanceReport, Prune,
};
use metaxy_core::delete::DeleteSamples;
use metaxy_core::sql::{PruneSql, delete_samples as samples_sql, prune as prune_sql, quote};
use metaxy_core::{Expr, FeatureKey};

use crate::catalog::Session;
use crate::dialect::{DuckDbDialect, ROWID, hides_rowid};
use crate::error::{Failure, is_unfinished};
use crate::strange::Use;
use crate::write::begun_on;

/// Removes superseded rows of a table, or counts them. A connection that is dropped before its commit undoes everything.
pub(crate) fn prune(
    dialect: &DuckDbDialect,
    session: Session<'_>,
    table: &FeatureKey,
    prune: &Prune,
) -> Result<u64, Failure> {
    let connection = session.connection;
    let name = dialect.table_name(table);
    let Some(schema) = begun_on(session, &name, table)? else {
        return Ok(0);
    };
    if prune.dry_run {
        return count(dialect, session, table, &schema, prune);
    }
    let removed = match hides_rowid(&schema) {
        false => remove(dialect, session, table, &schema, prune)?,
        true => beside_rowid(dialect, session, table, &schema, |schema, called| {
            let ids = prune.id_columns.iter().map(|id| called(id));
            let prune = prune.clone().with_id_columns(ids);
            remove(dialect, session, table, schema, &prune)
        })?,
    };
    connection.execute_batch("COMMIT")?;
    Ok(removed)
}

/// Removes samples of a table with all their rows. A connection that is dropped before its commit undoes everything.
pub(crate) fn delete_samples(
    dialect: &DuckDbDialect,
    session: Session<'_>,
    table: &FeatureKey,
    samples: &DeleteSamples,
) -> Result<u64, Failure> {
    let connection = session.connection;
    let name = dialect.table_name(table);
    let Some(schema) = begun_on(session, &name, table)? else {
        return Ok(0);
    };
    let removed = match hides_rowid(&schema) {
        false => remove_samples(dialect, session, table, &schema, samples)?,
        true => beside_rowid(dialect, session, table, &schema, |schema, called| {
            let mut samples = samples.clone();
            let renamed = |filter: Expr| filter.map_columns(|name| called(&name));
            samples.id_columns = samples.id_columns.iter().map(|id| called(id)).collect();
            samples.among = samples.among.map(renamed);
            samples.condition = renamed(samples.condition);
            remove_samples(dialect, session, table, schema, &samples)
        })?,
    };
    connection.execute_batch("COMMIT")?;
    Ok(removed)
}

fn remove_samples(
    dialect: &DuckDbDialect,
    session: Session<'_>,
    table: &FeatureKey,
    schema: &Schema,
    samples: &DeleteSamples,
) -> Result<u64, Failure> {
    let sql_of = |column: &str| Ok(format!("a.{}", quote(column)));
    let sql = samples_sql(table, schema, samples, &sql_of, &for_names(dialect))?;
    Ok(session.connection.execute(&sql, [])? as u64)
}

fn count(
    dialect: &DuckDbDialect,
    session: Session<'_>,
    table: &FeatureKey,
    schema: &Schema,
    prune: &Prune,
) -> Result<u64, Failure> {
    let mut dialect = for_names(dialect);
    if hides_rowid(schema) {
        dialect.rowid_hidden.insert(dialect.table_name(table));
    }
    let Some(PruneSql { count, .. }) = prune_sql(table, schema, prune, &dialect)? else {
        return Ok(0);
    };
    let rows: i64 = session.connection.query_row(&count, [], |row| row.get(0))?;
    Ok(u64::try_from(rows).unwrap_or_default())
}

fn remove(
    dialect: &DuckDbDialect,
    session: Session<'_>,
    table: &FeatureKey,
    schema: &Schema,
    prune: &Prune,
) -> Result<u64, Failure> {
    match prune_sql(table, schema, prune, &for_names(dialect))? {
        Some(PruneSql { delete, .. }) => Ok(session.connection.execute(&delete, [])? as u64),
        None => Ok(0),
    }
}

/// What a column `rowid` is called while rows are removed: it hides DuckDB's own number of a row.
const HIDING: &str = "metaxy.rowid";

/// Does `work` on a table with a column that hides the number by which a row is named, while that column is called otherwise. `work` is
/// given the columns of the table, and what each of them is called meanwhile.
fn beside_rowid(
    dialect: &DuckDbDialect,
    session: Session<'_>,
    table: &FeatureKey,
    schema: &Schema,
    work: impl FnOnce(&Schema, &dyn Fn(&str) -> String) -> Result<u64, Failure>,
) -> Result<u64, Failure> {
    let is_hiding = |name: &str| name.eq_ignore_ascii_case(ROWID);
    let mut names = schema.fields().iter().map(|field| field.name());
    let own = names.find(|name| is_hiding(name)).map_or(ROWID, |n| n);
    let rename = |from: &str, to: &str| {
        let table = session.name(&dialect.table_name(table));
        let (from, to) = (quote(from), quote(to));
        let sql = format!("ALTER TABLE {table} RENAME COLUMN {from} TO {to}");
        session.connection.execute_batch(&sql)
    };
    let renamed = schema
        .fields()
        .iter()
        .map(|field| match is_hiding(field.name()) {
            true => Field::new(HIDING, field.data_type().clone(), true),
            false => field.as_ref().clone(),
        });
    let renamed = Schema::new(renamed.collect::<Vec<_>>());
    let called = |name: &str| match name == own {
        true => HIDING.to_owned(),
        false => name.to_owned(),
    };
    rename(own, HIDING)?;
    let removed = work(&renamed, &called)?;
    rename(HIDING, own)?;
    Ok(removed)
}

/// The dialect for a statement that names its tables as they are.
fn for_names(dialect: &DuckDbDialect) -> DuckDbDialect {
    DuckDbDialect {
        table_prefix: dialect.table_prefix.clone(),
        database: dialect.database.clone(),
        ..DuckDbDialect::default()
    }
}

/// Renews the statistics that plans are made with, and writes the log into the file, which gives up the blocks at its end that no
/// row needs. `file` is `None` in memory; `patience` is how long it waits for what is not finished.
pub(crate) fn maintain(
    session: Session<'_>,
    tables: &[String],
    file: Option<&Path>,
    maintenance: &Maintenance,
    patience: Duration,
) -> Result<MaintenanceReport, Failure> {
    let connection = session.connection;
    let footprint = || file.map(footprint).unwrap_or_default();
    let mut maintained = MaintenanceReport::default();
    for table in tables {
        if !maintenance.dry_run {
            session.require_plain(table, Use::Write)?;
            connection.execute_batch(&format!("VACUUM ANALYZE {}", session.name(table)))?;
        }
        let optimise = MaintainAction::new("optimise").with_table(table);
        maintained = maintained.with_action(optimise);
    }
    let mut checkpoint = MaintainAction::new("checkpoint").with_before(footprint());
    if !maintenance.dry_run {
        write_log(session, patience)?;
        checkpoint.after = footprint();
    }
    Ok(maintained.with_action(checkpoint))
}

/// Between two attempts to write the log.
const PAUSE: Duration = Duration::from_millis(10);

/// Writes the log into the file. A transaction that wrote is over for DuckDB when those that read beside it have ended, which may be a
/// moment after its commit: for that it waits.
fn write_log(session: Session<'_>, patience: Duration) -> Result<(), Failure> {
    let checkpoint = format!("CHECKPOINT {}", quote(session.database));
    let deadline = Instant::now() + patience;
    loop {
        match session.connection.execute_batch(&checkpoint) {
            Err(error) if is_unfinished(&error) && Instant::now() < deadline => {
                std::thread::sleep(PAUSE);
            }
            done => return Ok(done?),
        }
    }
}

/// Bytes of the file and its log.
fn footprint(file: &Path) -> Footprint {
    let mut log = file.as_os_str().to_owned();
    log.push(".wal");
    let files = [file, Path::new(&log)];
    let bytes = files.map(|file| std::fs::metadata(file).map_or(0, |file| file.len()));
    Footprint::bytes(bytes.iter().sum())
}
