//! What is known of the tables: their Arrow types, their latest stamps, and which feature versions were written once.

use arrow::datatypes::Schema;
use metaxy_core::{Error, ErrorKind, Result};
use rusqlite::{Connection, OptionalExtension, params};

/// The layout of the catalog, kept in `user_version`.
const LAYOUT: i64 = 1;

/// Why a statement of the catalog could not be run.
pub(crate) enum CatalogError {
    Sqlite(rusqlite::Error),
    Other(Error),
}

impl From<rusqlite::Error> for CatalogError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for CatalogError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// What the catalog says of a table.
#[derive(Debug, Clone)]
pub(crate) struct TableEntry {
    pub(crate) schema: Schema,
    pub(crate) latest: Option<i64>,
}

/// Whether the file is a store that this version can read. An empty file is one without tables.
pub(crate) fn exists(connection: &Connection) -> Result<bool, CatalogError> {
    let layout: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if layout > LAYOUT {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("the store was written by a newer version of metaxy (layout {layout}, this one knows {LAYOUT})"),
        )
        .with_hint("use that version or a newer one")
        .into());
    }
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'metaxy.tables')";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// Makes the catalog in a file that has none.
pub(crate) fn create(connection: &Connection) -> Result<(), CatalogError> {
    if exists(connection)? {
        return Ok(());
    }
    connection.execute_batch(&format!(
        "CREATE TABLE \"metaxy.tables\" (
             name TEXT NOT NULL PRIMARY KEY,
             arrow_schema TEXT NOT NULL,
             latest INTEGER
         ) STRICT;
         CREATE TABLE \"metaxy.versions\" (
             name TEXT NOT NULL,
             feature_version TEXT NOT NULL,
             id_columns TEXT NOT NULL,
             written_once INTEGER NOT NULL,
             PRIMARY KEY (name, feature_version)
         ) STRICT;
         PRAGMA user_version = {LAYOUT};"
    ))?;
    Ok(())
}

/// Whether there is a table of this name.
pub(crate) fn has(connection: &Connection, name: &str) -> Result<bool, CatalogError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM \"metaxy.tables\" WHERE name = ?1)";
    Ok(exists(connection)? && connection.query_row(sql, [name], |row| row.get(0))?)
}

/// What is known of a table, `None` if there is none.
pub(crate) fn table(
    connection: &Connection,
    name: &str,
) -> Result<Option<TableEntry>, CatalogError> {
    if !exists(connection)? {
        return Ok(None);
    }
    let sql = "SELECT arrow_schema, latest FROM \"metaxy.tables\" WHERE name = ?1";
    let found = connection
        .query_row(sql, [name], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?))
        })
        .optional()?;
    let Some((text, latest)) = found else {
        return Ok(None);
    };
    let schema = serde_json::from_str(&text).map_err(|source| {
        Error::new(
            ErrorKind::Corrupt,
            format!("the catalog's entry of table {name:?} cannot be read"),
        )
        .with_source(source)
    })?;
    Ok(Some(TableEntry { schema, latest }))
}

/// The names of all tables, sorted.
pub(crate) fn names(connection: &Connection) -> Result<Vec<String>, CatalogError> {
    if !exists(connection)? {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare("SELECT name FROM \"metaxy.tables\" ORDER BY name")?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

/// Records a table's columns and its latest stamp.
pub(crate) fn record(
    connection: &Connection,
    name: &str,
    entry: &TableEntry,
) -> Result<(), CatalogError> {
    let schema = serde_json::to_string(&entry.schema).map_err(|source| {
        Error::new(
            ErrorKind::Internal,
            format!("the columns of {name:?} cannot be recorded"),
        )
        .with_source(source)
    })?;
    connection.execute(
        "INSERT INTO \"metaxy.tables\" (name, arrow_schema, latest) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET arrow_schema = excluded.arrow_schema, latest = excluded.latest",
        params![name, schema, entry.latest],
    )?;
    Ok(())
}

/// Forgets a table.
pub(crate) fn forget(connection: &Connection, name: &str) -> Result<bool, CatalogError> {
    connection.execute("DELETE FROM \"metaxy.versions\" WHERE name = ?1", [name])?;
    Ok(connection.execute("DELETE FROM \"metaxy.tables\" WHERE name = ?1", [name])? > 0)
}

/// Whether every sample of a feature version was written once, as far as is known: `None` for a version without rows.
pub(crate) fn written_once(
    connection: &Connection,
    name: &str,
    version: &str,
    ids: &[String],
) -> Result<Option<bool>, CatalogError> {
    let sql = "SELECT written_once AND id_columns = ?3 FROM \"metaxy.versions\" WHERE name = ?1 AND feature_version = ?2";
    Ok(connection
        .query_row(sql, params![name, version, recorded(ids)], |row| row.get(0))
        .optional()?)
}

/// Records whether every sample of a feature version was written once.
pub(crate) fn record_version(
    connection: &Connection,
    name: &str,
    version: &str,
    ids: &[String],
    written_once: bool,
) -> Result<(), CatalogError> {
    connection.execute(
        "INSERT INTO \"metaxy.versions\" (name, feature_version, id_columns, written_once) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (name, feature_version) DO UPDATE SET written_once = excluded.written_once",
        params![name, version, recorded(ids), written_once],
    )?;
    Ok(())
}

/// ID columns as they are recorded.
fn recorded(ids: &[String]) -> String {
    serde_json::Value::from(ids.to_vec()).to_string()
}
