//! Appends and deletes: one immediate transaction each.

use std::collections::{BTreeSet, HashMap};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Schema;
use futures::executor::block_on;
use metaxy_core::backend::Appended;
use metaxy_core::backend::append::{Append, PreparedAppend, missing_table};
use metaxy_core::delete::DeleteSamples;
use metaxy_core::expr::Expr;
use metaxy_core::sql::{condition, delete_samples as samples_sql, quote};
use metaxy_core::{Error, ErrorKind, FeatureKey, columns};
use rusqlite::{Connection, OptionalExtension, Statement, TransactionBehavior};

use crate::backend::{Handle, Shared};
use crate::catalog::{self, CatalogError, Known, TableEntry};
use crate::codec::Encoded;
use crate::dialect::{COLUMNS_AT_MOST, ROW};

/// Appends to all tables, or to none.
pub(crate) fn append(
    shared: &Shared,
    handle: &mut Handle,
    appends: Vec<Append>,
) -> Result<Appended, CatalogError> {
    let dialect = shared.dialect();
    let transaction = handle
        .connection
        .transaction_with_behavior(TransactionBehavior::Immediate)?;
    catalog::create(&transaction, &handle.known)?;
    let mut appended = Appended::default();
    for append in appends {
        let name = dialect.table_name(&append.table);
        let (rows, table_rows) = append_one(&transaction, &handle.known, &name, append)?;
        appended.rows += rows;
        appended.table_rows = appended.table_rows.max(table_rows);
    }
    transaction.commit()?;
    Ok(appended)
}

fn append_one(
    connection: &Connection,
    known: &Known,
    name: &str,
    append: Append,
) -> Result<(u64, Option<u64>), CatalogError> {
    let (feature, create) = (append.table.clone(), append.create);
    let stored = catalog::table(connection, known, name)?;
    let latest = stored.as_ref().and_then(|entry| entry.latest);
    let mut prepared = append.prepare(stored.as_ref().map(|entry| &entry.schema), latest)?;
    fit_table(
        connection,
        name,
        stored.as_ref(),
        &prepared,
        &feature,
        create,
    )?;
    let before = last_row(connection, name)?;

    let mut versions = BTreeSet::new();
    let mut rows = 0;
    {
        let mut insert = connection.prepare(&insert_sql(name, prepared.schema().as_ref()))?;
        while let Some(batch) = block_on(prepared.next())? {
            note_versions(&batch, &mut versions);
            insert_batch(&mut insert, &batch)?;
            rows += batch.num_rows() as u64;
        }
    }
    for version in &versions {
        note_writes(connection, name, version, prepared.id_columns(), before)?;
    }
    let entry = TableEntry {
        schema: prepared.schema().as_ref().clone(),
        latest: prepared.latest(),
    };
    catalog::record(connection, name, &entry)?;
    let table_rows = last_row(connection, name)?;
    Ok((rows, u64::try_from(table_rows).ok()))
}

/// Makes the table, or adds the columns it lacks, and the index by ID.
fn fit_table(
    connection: &Connection,
    name: &str,
    stored: Option<&TableEntry>,
    prepared: &PreparedAppend,
    feature: &FeatureKey,
    create: bool,
) -> Result<(), CatalogError> {
    let sql = catalog::definition(name, prepared.schema())
        .map_err(|e| e.with_context("feature", feature))?;
    tell_apart(prepared.schema(), feature)?;
    count_columns(prepared.schema(), feature)?;
    match stored {
        None => {
            refuse_taken(connection, name, feature)?;
            if !create {
                return Err(missing_table(feature, &sql).into());
            }
            connection.execute_batch(&sql)?;
        }
        Some(stored) => {
            for field in prepared
                .schema()
                .fields()
                .iter()
                .skip(stored.schema.fields().len())
            {
                connection.execute_batch(&format!(
                    "ALTER TABLE {} ADD COLUMN {}",
                    quote(name),
                    catalog::column_definition(field)?
                ))?;
            }
        }
    }
    let has = |column: &&str| prepared.schema().field_with_name(column).is_ok();
    if prepared.id_columns().is_empty() {
        return Ok(());
    }
    // Everything that the search for a later row looks at, so that it needs the index only.
    let mut covered: Vec<&str> = prepared.id_columns().iter().map(String::as_str).collect();
    let index = format!("{name}.by.{}", covered.join(","));
    covered.extend(
        [
            columns::FEATURE_VERSION,
            columns::UPDATED_AT,
            columns::DELETED_AT,
        ]
        .iter()
        .filter(|c| has(c)),
    );
    let covered: Vec<String> = covered.into_iter().map(quote).collect();
    connection.execute_batch(&format!(
        "CREATE INDEX IF NOT EXISTS {} ON {} ({})",
        quote(&index),
        quote(name),
        covered.join(", ")
    ))?;
    Ok(())
}

/// Of a name that no table of the catalog has.
///
/// # Errors
/// [`ErrorKind::CannotOpen`] if the file has a table of this name: it is somebody else's.
pub(crate) fn refuse_taken(
    connection: &Connection,
    name: &str,
    feature: &FeatureKey,
) -> Result<(), CatalogError> {
    let taken = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1)";
    if !connection.query_row(taken, [name], |row| row.get(0))? {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::CannotOpen,
        format!(
            "the file's table {name:?}, where feature {feature} would be kept, is not metaxy's"
        ),
    )
    .with_hint("set the option `table_prefix`, or use another file; nothing was changed")
    .into())
}

/// Refuses a table with more columns than SQLite keeps. One is the store's own.
fn count_columns(schema: &Schema, feature: &FeatureKey) -> Result<(), Error> {
    let columns = schema.fields().len();
    if columns < COLUMNS_AT_MOST {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unsupported,
        format!(
            "feature {feature} has {columns} columns, and a table of SQLite at most {}",
            COLUMNS_AT_MOST - 1
        ),
    )
    .with_hint("put columns that are used together into a struct or a list, or use another store; nothing was written"))
}

/// SQLite ignores the case of ASCII letters in names.
fn tell_apart(schema: &Schema, feature: &FeatureKey) -> Result<(), Error> {
    let mut seen = HashMap::from([(ROW.to_owned(), ROW)]);
    for field in schema.fields() {
        if let Some(other) = seen.insert(field.name().to_ascii_lowercase(), field.name()) {
            return Err(Error::new(
                ErrorKind::InvalidFrame,
                format!(
                    "SQLite cannot tell the columns {other:?} and {:?} of feature {feature} apart",
                    field.name()
                ),
            )
            .with_hint("rename one of them; nothing was written"));
        }
    }
    Ok(())
}

fn insert_sql(name: &str, schema: &Schema) -> String {
    let names: Vec<String> = schema.fields().iter().map(|f| quote(f.name())).collect();
    let places = vec!["?"; names.len()].join(", ");
    format!(
        "INSERT INTO main.{} ({}) VALUES ({places})",
        quote(name),
        names.join(", ")
    )
}

pub(crate) fn insert_batch(
    insert: &mut Statement<'_>,
    batch: &RecordBatch,
) -> Result<(), CatalogError> {
    let columns = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, array)| Encoded::new(field, array))
        .collect::<Result<Vec<_>, Error>>()?;
    for row in 0..batch.num_rows() {
        for (i, column) in columns.iter().enumerate() {
            insert.raw_bind_parameter(i + 1, column.value(row)?)?;
        }
        insert.raw_execute()?;
    }
    Ok(())
}

fn last_row(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    let sql = format!(
        "SELECT COALESCE(MAX({}), 0) FROM main.{}",
        quote(ROW),
        quote(name)
    );
    connection.query_row(&sql, [], |row| row.get(0))
}

fn note_versions(batch: &RecordBatch, versions: &mut BTreeSet<String>) {
    let Some(column) = batch.column_by_name(columns::FEATURE_VERSION) else {
        return;
    };
    let Some(texts) = column.as_string_opt::<i32>() else {
        return;
    };
    let mut last = None;
    for row in 0..texts.len() {
        let version = texts.is_valid(row).then(|| texts.value(row));
        // Nearly always one version for the whole batch.
        if version != last {
            versions.extend(version.map(str::to_owned));
            last = version;
        }
    }
}

/// Notes whether all samples of a feature version are still written once, now that there are rows after `before`.
fn note_writes(
    connection: &Connection,
    name: &str,
    version: &str,
    ids: &[String],
    before: i64,
) -> Result<(), CatalogError> {
    if ids.is_empty() {
        return Ok(());
    }
    let known = catalog::written_once(connection, name, version, ids)?;
    if known == Some(false) {
        return catalog::record_version(connection, name, version, ids, false);
    }
    let (fv, row) = (quote(columns::FEATURE_VERSION), quote(ROW));
    let same: Vec<String> = ids
        .iter()
        .map(|id| format!("a.{0} = b.{0}", quote(id)))
        .collect();
    // CROSS JOIN keeps the order: walk the new rows, look for an earlier one of the same sample.
    let sql = format!(
        "SELECT 1 FROM main.{0} AS a CROSS JOIN main.{0} AS b
         WHERE a.{row} > ?1 AND a.{fv} = ?2 AND {1} AND b.{fv} = ?2 AND b.{row} < a.{row} LIMIT 1",
        quote(name),
        same.join(" AND ")
    );
    let again = connection
        .query_row(&sql, rusqlite::params![before, version], |_| Ok(()))
        .optional()?;
    catalog::record_version(connection, name, version, ids, again.is_none())
}

/// Removes the rows for which `filter` is true, or all.
pub(crate) fn delete(
    shared: &Shared,
    handle: &mut Handle,
    table: &FeatureKey,
    filter: Option<&Expr>,
) -> Result<u64, CatalogError> {
    let dialect = shared.dialect();
    remove(shared, handle, table, |schema| {
        let mut sql = format!("DELETE FROM main.{}", quote(&dialect.table_name(table)));
        if let Some(filter) = filter {
            let sql_of = |column: &str| Ok(quote(column));
            let condition = condition(filter, schema, &sql_of, &dialect)?;
            sql.push_str(&format!(" WHERE {condition}"));
        }
        Ok(sql)
    })
}

/// Removes samples of a table with all their rows.
pub(crate) fn delete_samples(
    shared: &Shared,
    handle: &mut Handle,
    table: &FeatureKey,
    samples: &DeleteSamples,
) -> Result<u64, CatalogError> {
    let dialect = shared.dialect();
    remove(shared, handle, table, |schema| {
        let sql_of = |column: &str| Ok(format!("a.{}", quote(column)));
        Ok(samples_sql(table, schema, samples, &sql_of, &dialect)?)
    })
}

/// Runs the statement that `sql` makes for the columns of a table, in a transaction; returns how many rows it removed.
fn remove(
    shared: &Shared,
    handle: &mut Handle,
    table: &FeatureKey,
    sql: impl FnOnce(&Schema) -> Result<String, CatalogError>,
) -> Result<u64, CatalogError> {
    let name = shared.dialect().table_name(table);
    let transaction = handle
        .connection
        .transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Some(entry) = catalog::table(&transaction, &handle.known, &name)? else {
        refuse_taken(&transaction, &name, table)?;
        return Ok(0);
    };
    let removed = transaction.execute(&sql(&entry.schema)?, [])?;
    transaction.commit()?;
    Ok(removed as u64)
}

/// Removes a table; returns whether there was one.
pub(crate) fn drop_table(
    handle: &mut Handle,
    name: &str,
    feature: &FeatureKey,
) -> Result<bool, CatalogError> {
    let transaction = handle
        .connection
        .transaction_with_behavior(TransactionBehavior::Immediate)?;
    if !catalog::exists(&transaction, &handle.known)? || !catalog::forget(&transaction, name)? {
        refuse_taken(&transaction, name, feature)?;
        return Ok(false);
    }
    transaction.execute_batch(&format!("DROP TABLE main.{}", quote(name)))?;
    transaction.commit()?;
    Ok(true)
}
