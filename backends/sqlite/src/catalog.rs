//! What is known of the tables: their Arrow types, their latest stamps, and which feature versions were written once.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow::datatypes::{Field, Schema};
use metaxy_core::sql::quote;
use metaxy_core::{Error, ErrorKind, Result};
use rusqlite::{Connection, OptionalExtension, params};

use crate::codec::{check_types, column_type};
use crate::dialect::ROW;

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

/// The tables of the catalog, and how they are made.
const TABLES: (&str, &str) = (
    "metaxy.tables",
    "CREATE TABLE \"metaxy.tables\" (
             name TEXT NOT NULL PRIMARY KEY,
             arrow_schema TEXT NOT NULL,
             latest INTEGER
         ) STRICT",
);
const VERSIONS: (&str, &str) = (
    "metaxy.versions",
    "CREATE TABLE \"metaxy.versions\" (
             name TEXT NOT NULL,
             feature_version TEXT NOT NULL,
             id_columns TEXT NOT NULL,
             written_once INTEGER NOT NULL,
             PRIMARY KEY (name, feature_version)
         ) STRICT",
);

/// The definitions of the file's tables and views, as a connection has last seen them.
///
/// A file is data of whoever wrote it. Of the tables in it only those are read that are defined word for word as this store defines them:
/// then no view, generated column, constraint or collation of a stranger takes part in a query.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<Definitions>);

#[derive(Debug, Default)]
struct Definitions {
    /// SQLite's count of changes to the schema.
    version: Option<i64>,
    of: HashMap<String, String>,
    /// The feature tables that were found to be what the catalog says of them.
    sound: HashSet<String>,
}

impl Known {
    fn read(&self, connection: &Connection) -> Result<MutexGuard<'_, Definitions>, CatalogError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ask = "PRAGMA main.schema_version";
        let version: i64 = connection.query_row(ask, [], |row| row.get(0))?;
        if known.version != Some(version) {
            let sql = "SELECT name, sql FROM main.sqlite_schema WHERE type IN ('table', 'view')";
            let mut statement = connection.prepare(sql)?;
            let all = statement.query_map([], |row| {
                Ok((
                    row.get(0)?,
                    row.get::<_, Option<String>>(1)?.unwrap_or_default(),
                ))
            })?;
            *known = Definitions {
                of: all.collect::<rusqlite::Result<_>>()?,
                version: Some(version),
                sound: HashSet::new(),
            };
        }
        Ok(known)
    }
}

/// How the table of a feature is made.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for columns that SQLite cannot hold.
pub(crate) fn definition(name: &str, schema: &Schema) -> Result<String> {
    let row = format!("{} INTEGER PRIMARY KEY", quote(ROW));
    let columns = schema.fields().iter().map(|field| column_definition(field));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let columns = std::iter::once(row)
        .chain(columns)
        .collect::<Vec<_>>()
        .join(", ");
    Ok(format!("CREATE TABLE {} ({columns}) STRICT", quote(name)))
}

/// How a column is made.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for types that SQLite cannot hold.
pub(crate) fn column_definition(field: &Field) -> Result<String> {
    Ok(format!("{} {}", quote(field.name()), column_type(field)?))
}

/// Whether the file is a store that this version can read. An empty file is one without tables.
pub(crate) fn exists(connection: &Connection, known: &Known) -> Result<bool, CatalogError> {
    let layout: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if layout > LAYOUT {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("the store was written by a newer version of metaxy (layout {layout}, this one knows {LAYOUT})"),
        )
        .with_hint("use that version or a newer one")
        .into());
    }
    let known = known.read(connection)?;
    if !known.of.contains_key(TABLES.0) {
        return Ok(false);
    }
    for (name, definition) in [TABLES, VERSIONS] {
        let found = known.of.get(name).map(String::as_str);
        if found != Some(definition) {
            return Err(not_ours(&format!("the store's own table {name:?}"), found).into());
        }
    }
    Ok(true)
}

/// Makes the catalog in a file that has none.
pub(crate) fn create(connection: &Connection, known: &Known) -> Result<(), CatalogError> {
    if exists(connection, known)? {
        return Ok(());
    }
    connection.execute_batch(&format!(
        "{}; {}; PRAGMA user_version = {LAYOUT};",
        TABLES.1, VERSIONS.1
    ))?;
    Ok(())
}

/// Whether there is a table of this name, which is then what the catalog says of it.
pub(crate) fn has(
    connection: &Connection,
    known: &Known,
    name: &str,
) -> Result<bool, CatalogError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM main.\"metaxy.tables\" WHERE name = ?1)";
    if !exists(connection, known)? || !connection.query_row(sql, [name], |row| row.get(0))? {
        return Ok(false);
    }
    if !known.read(connection)?.sound.contains(name) {
        table(connection, known, name)?;
    }
    Ok(true)
}

/// What is known of a table, `None` if there is none.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if the table is not what the catalog says of it.
pub(crate) fn table(
    connection: &Connection,
    known: &Known,
    name: &str,
) -> Result<Option<TableEntry>, CatalogError> {
    if !exists(connection, known)? {
        return Ok(None);
    }
    let sql = "SELECT arrow_schema, latest FROM main.\"metaxy.tables\" WHERE name = ?1";
    let found = connection
        .query_row(sql, [name], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?))
        })
        .optional()?;
    let Some((text, latest)) = found else {
        return Ok(None);
    };
    let unreadable = || {
        Error::new(
            ErrorKind::Corrupt,
            format!("the catalog's entry of table {name:?} cannot be read"),
        )
        .with_hint(RESTORE)
    };
    let schema: Schema =
        serde_json::from_str(&text).map_err(|source| unreadable().with_source(source))?;
    let expected = check_types(&schema)
        .and_then(|()| definition(name, &schema))
        .map_err(|source| unreadable().with_source(source))?;
    let mut known = known.read(connection)?;
    if !known.sound.contains(name) {
        let found = known.of.get(name).map(String::as_str);
        if found != Some(expected.as_str()) {
            let error = match found {
                Some(_) => differs(connection, name, &schema)?,
                None => None,
            };
            return Err(error
                .unwrap_or_else(|| not_ours(&format!("table {name:?}"), found))
                .into());
        }
        known.sound.insert(name.to_owned());
    }
    Ok(Some(TableEntry { schema, latest }))
}

const RESTORE: &str = "somebody has changed the store by other means than metaxy: restore it from a backup, or drop the feature and write it anew";

/// Of a table that is defined in another way, or is none.
fn not_ours(what: &str, found: Option<&str>) -> Error {
    let why = match found.map(|sql| sql.trim_start().to_ascii_uppercase()) {
        None => "is missing",
        Some(sql) if sql.starts_with("CREATE VIEW") => "is a view",
        Some(sql) if sql.starts_with("CREATE VIRTUAL") => "is a virtual table",
        Some(_) => "is not defined as metaxy defines it",
    };
    Error::new(ErrorKind::Corrupt, format!("{what} {why}")).with_hint(RESTORE)
}

/// The first column in which a plain table differs from what the catalog says; `None` if it differs in something else.
fn differs(
    connection: &Connection,
    name: &str,
    schema: &Schema,
) -> Result<Option<Error>, CatalogError> {
    let is_plain = "SELECT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = ?1 AND rootpage > 0)";
    if !connection.query_row(is_plain, [name], |row| row.get(0))? {
        return Ok(None);
    }
    let mut columns = connection.prepare(&format!("PRAGMA main.table_xinfo({})", quote(name)))?;
    let columns = columns.query_map([], |row| Ok((row.get(1)?, row.get(2)?, row.get(6)?)))?;
    let columns = columns.collect::<rusqlite::Result<Vec<(String, String, i64)>>>()?;
    let find = |name: &str| columns.iter().find(|(column, ..)| column == name);
    for field in schema.fields() {
        let (column, wanted) = (field.name(), column_type(field)?);
        let problem = match find(column) {
            None => format!("has no column {column:?}, which the catalog knows"),
            Some((.., hidden)) if *hidden != 0 => format!("computes its column {column:?}"),
            Some((_, found, _)) if found != wanted => format!(
                "keeps column {column:?} as {found:?}, which is {} by the catalog and would be kept as {wanted}",
                field.data_type()
            ),
            Some(_) => continue,
        };
        let problem = format!("table {name:?} {problem}");
        return Ok(Some(
            Error::new(ErrorKind::Corrupt, problem).with_hint(RESTORE),
        ));
    }
    let is_known = |column: &str| column == ROW || schema.field_with_name(column).is_ok();
    Ok(columns
        .iter()
        .find(|(column, ..)| !is_known(column))
        .map(|(column, ..)| {
            let problem =
                format!("table {name:?} has a column {column:?}, which the catalog does not know");
            Error::new(ErrorKind::Corrupt, problem).with_hint(RESTORE)
        }))
}

/// The names of all tables, sorted.
pub(crate) fn names(connection: &Connection, known: &Known) -> Result<Vec<String>, CatalogError> {
    if !exists(connection, known)? {
        return Ok(Vec::new());
    }
    let sql = "SELECT name FROM main.\"metaxy.tables\" ORDER BY name";
    let mut statement = connection.prepare(sql)?;
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
        "INSERT INTO main.\"metaxy.tables\" (name, arrow_schema, latest) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET arrow_schema = excluded.arrow_schema, latest = excluded.latest",
        params![name, schema, entry.latest],
    )?;
    Ok(())
}

/// Forgets a table.
pub(crate) fn forget(connection: &Connection, name: &str) -> Result<bool, CatalogError> {
    connection.execute(
        "DELETE FROM main.\"metaxy.versions\" WHERE name = ?1",
        [name],
    )?;
    Ok(connection.execute("DELETE FROM main.\"metaxy.tables\" WHERE name = ?1", [name])? > 0)
}

/// Whether every sample of a feature version was written once, as far as is known: `None` for a version without rows.
pub(crate) fn written_once(
    connection: &Connection,
    name: &str,
    version: &str,
    ids: &[String],
) -> Result<Option<bool>, CatalogError> {
    let sql = "SELECT written_once AND id_columns = ?3 FROM main.\"metaxy.versions\" WHERE name = ?1 AND feature_version = ?2";
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
        "INSERT INTO main.\"metaxy.versions\" (name, feature_version, id_columns, written_once) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (name, feature_version) DO UPDATE SET written_once = excluded.written_once",
        params![name, version, recorded(ids), written_once],
    )?;
    Ok(())
}

/// ID columns as they are recorded.
fn recorded(ids: &[String]) -> String {
    serde_json::Value::from(ids.to_vec()).to_string()
}
