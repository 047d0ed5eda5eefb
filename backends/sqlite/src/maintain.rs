//! Superseded rows, and the file itself: its statistics, its log, its unused pages.

use std::path::Path;

use metaxy_core::backend::maintain::{
    Damage, Footprint, MaintainAction, Maintenance, MaintenanceReport, Prune,
};
use metaxy_core::sql::{prune as prune_sql, quote};
use metaxy_core::{Error, ErrorKind, FeatureKey};
use rusqlite::{Connection, TransactionBehavior};

use crate::backend::{Handle, Shared};
use crate::catalog::{self, CatalogError};
use crate::log;
use crate::write::refuse_taken;

/// Removes superseded rows of a table, or counts them.
pub(crate) fn prune(
    shared: &Shared,
    handle: &mut Handle,
    table: &FeatureKey,
    prune: &Prune,
) -> Result<u64, CatalogError> {
    let dialect = shared.dialect();
    let name = dialect.table_name(table);
    let behavior = match prune.dry_run {
        true => TransactionBehavior::Deferred,
        false => TransactionBehavior::Immediate,
    };
    let transaction = handle.connection.transaction_with_behavior(behavior)?;
    let Some(entry) = catalog::table(&transaction, &handle.known, &name)? else {
        refuse_taken(&transaction, &name, table)?;
        return Ok(0);
    };
    let Some(sql) = prune_sql(table, &entry.schema, prune, &dialect)? else {
        return Ok(0);
    };
    if prune.dry_run {
        let rows: i64 = transaction.query_row(&sql.count, [], |row| row.get(0))?;
        return Ok(u64::try_from(rows).unwrap_or_default());
    }
    let removed = transaction.execute(&sql.delete, [])?;
    transaction.commit()?;
    Ok(removed as u64)
}

/// Renews the statistics that plans are made with, writes the log back, and makes the file as small as its rows.
///
/// The log first: where reads go on without end, nothing else is begun.
pub(crate) fn maintain(
    handle: &Handle,
    path: &Path,
    maintenance: &Maintenance,
) -> Result<MaintenanceReport, CatalogError> {
    let connection = &handle.connection;
    // A file that is no store is left as it is.
    if !catalog::exists(connection, &handle.known)? {
        return Ok(MaintenanceReport::default());
    }
    let mut checkpoint =
        MaintainAction::new("checkpoint").with_before(Footprint::bytes(log::bytes(path)));
    let optimise = MaintainAction::new("optimise");
    let mut vacuum = MaintainAction::new("vacuum");
    if maintenance.dry_run {
        let (all, unused) = bytes(connection)?;
        checkpoint.after = Footprint::bytes(0);
        vacuum.before = Footprint::bytes(all);
        vacuum.after = Footprint::bytes(all - unused);
    } else {
        if !handle.writable {
            return Err(read_only(path).into());
        }
        write_back(connection, path)?;
        checkpoint.after = Footprint::bytes(log::bytes(path));
        connection.execute_batch(OPTIMIZE)?;
        vacuum.before = Footprint::bytes(bytes(connection)?.0);
        connection.execute_batch("VACUUM")?;
        vacuum.after = Footprint::bytes(bytes(connection)?.0);
        // The smaller file is in the log so far.
        write_back(connection, path)?;
    }
    let actions = [checkpoint, optimise, vacuum].into_iter();
    Ok(actions.fold(MaintenanceReport::default(), MaintenanceReport::with_action))
}

/// What is broken in the table `name` and its indexes: pages that do not fit together, rows that are not in an index, values of other types.
/// The checksum of each page is verified as it is read.
pub(crate) fn verify(handle: &Handle, name: &str) -> Result<Vec<Damage>, CatalogError> {
    let transaction = handle.connection.unchecked_transaction()?;
    if !catalog::has(&transaction, &handle.known, name)? {
        return Ok(Vec::new());
    }
    let check = format!("PRAGMA main.integrity_check({})", quote(name));
    let mut check = transaction.prepare(&check)?;
    let found = check.query_map([], |row| row.get::<_, String>(0))?;
    let found = found.filter(|line| !line.as_ref().is_ok_and(|line| line == "ok"));
    found.map(|line| Ok(Damage::new(line?))).collect()
}

/// Looks at every table, not only at those that this connection has read, and at a sample of its rows
/// (<https://sqlite.org/pragma.html#pragma_optimize>).
const OPTIMIZE: &str = "PRAGMA optimize = 0x10012";

/// Writes the log into the file, and empties it.
///
/// # Errors
/// [`ErrorKind::Locked`] if somebody reads or writes for longer than the connection waits.
fn write_back(connection: &Connection, path: &Path) -> Result<(), CatalogError> {
    let truncate = "PRAGMA wal_checkpoint(TRUNCATE)";
    let busy: bool = connection.query_row(truncate, [], |row| row.get(0))?;
    if !busy {
        return Ok(());
    }
    let problem = format!(
        "the store in {} is read or written to all the time, so its log cannot be written back",
        path.display()
    );
    Err(Error::new(ErrorKind::Locked, problem)
        .with_hint(
            "try again when the others are done, or raise the option `lock_timeout`; no row was lost",
        )
        .into())
}

/// Bytes of the file, the log's part in it included, and how many of them no row needs.
fn bytes(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    let ask = |what: &str| -> rusqlite::Result<u64> {
        let answer: i64 = connection.query_row(&format!("PRAGMA {what}"), [], |row| row.get(0))?;
        Ok(u64::try_from(answer).unwrap_or_default())
    };
    let page = ask("page_size")?;
    Ok((page * ask("page_count")?, page * ask("freelist_count")?))
}

pub(crate) fn read_only(path: &Path) -> Error {
    Error::new(
        ErrorKind::ReadOnly,
        format!("the store in {} cannot be written to", path.display()),
    )
    .with_hint("open it for writing, or check the permissions of the file and of its folder")
}
