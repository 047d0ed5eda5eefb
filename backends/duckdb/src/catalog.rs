//! What is known of the tables: their columns with their Arrow types.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use duckdb::{Connection, params};
use metaxy_core::sql::{literal_text, quote};
use metaxy_core::{Error, ErrorKind};

use crate::cross;
use crate::error::Failure;
use crate::host::Host;
use crate::strange::{self, Strange, Use};
use crate::superseded::{self, Written};
use crate::types::{natural, stored_as};

/// The table of Arrow types that DuckDB's do not tell.
const TYPES: &str = "metaxy.types";

/// A connection, and the attached database that it works on.
#[derive(Clone, Copy)]
pub(crate) struct Session<'a> {
    pub(crate) connection: &'a Connection,
    /// Its name; empty if there is none.
    pub(crate) database: &'a str,
    /// What it is attached to.
    pub(crate) host: &'a Host,
    /// What is known of its catalog.
    pub(crate) cache: &'a Cache,
}

impl Session<'_> {
    /// The qualified name of a table.
    pub(crate) fn name(&self, table: &str) -> String {
        qualified(self.database, table)
    }

    /// # Errors
    /// [`ErrorKind::Unsupported`] if something of the table would run.
    pub(crate) fn require_plain(self, table: &str, to: Use) -> Result<(), Failure> {
        if let Some(strange) = self.cache.strange(self, table)? {
            strange.refuse(table, self.host.path(), to)?;
        }
        match to {
            Use::Read => Ok(()),
            Use::Write => strange::refuse_triggers(self.host, self.database, table),
        }
    }
}

/// The name of a table of a database, in SQL.
pub(crate) fn qualified(database: &str, table: &str) -> String {
    format!("{}.main.{}", quote(database), quote(table))
}

/// What was read of the catalog of an open file. Nobody else can change it, so it holds until the next write.
///
/// It is kept when the file is closed, for the next time that the file is opened as it was left ([`stamp`](crate::stamp)).
#[derive(Default)]
pub(crate) struct Cache(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Counts the times that it was forgotten: what was read before is not noted after.
    writes: u64,
    names: Option<Arc<BTreeSet<String>>>,
    /// Of tables that have to be looked at, what was found; `None`: not looked at yet.
    suspects: HashMap<String, Option<Arc<Strange>>>,
    schemas: HashMap<String, SchemaRef>,
    /// How often the samples of a table were written, by its name and ID columns.
    written: HashMap<(String, Vec<String>), Written>,
}

impl Cache {
    /// The columns of a table, `None` if there is none.
    pub(crate) fn table(
        &self,
        session: Session<'_>,
        name: &str,
    ) -> Result<Option<SchemaRef>, Failure> {
        let names = self.names(session)?;
        if !names.contains(name) {
            // What is found is a table of another case, and only what is no table is described by an error.
            return match session.host.columns(session.database, name) {
                Ok(_) => Ok(None),
                Err(_) => Err(strange::no_table(name, session.host.path()).into()),
            };
        }
        session.require_plain(name, Use::Read)?;
        let writes = {
            let known = self.known();
            if let Some(schema) = known.schemas.get(name) {
                return Ok(Some(schema.clone()));
            }
            known.writes
        };
        let Some(given) = session.host.columns(session.database, name)? else {
            return Ok(None);
        };
        let schema = with_notes(session, name, &given, &names)?;
        let mut known = self.known();
        if known.writes == writes {
            known.schemas.insert(name.to_owned(), schema.clone());
        }
        Ok(Some(schema))
    }

    /// The names of all tables, sorted.
    pub(crate) fn names(&self, session: Session<'_>) -> Result<Arc<BTreeSet<String>>, Failure> {
        let writes = {
            let known = self.known();
            if let Some(names) = &known.names {
                return Ok(names.clone());
            }
            known.writes
        };
        let rows = session
            .host
            .rows(&list("table_name, sql, index_count", session))?;
        let mut names = BTreeSet::new();
        let mut suspects = HashMap::new();
        for row in rows {
            let [Some(name), sql, indexes] = take(row)? else {
                continue;
            };
            let (sql, indexes) = (sql.unwrap_or_default(), indexes.unwrap_or_default());
            if strange::is_suspect(&sql, &indexes) {
                suspects.insert(name.clone(), None);
            }
            names.insert(name);
        }
        let names = Arc::new(names);
        let mut known = self.known();
        if known.writes == writes {
            known.names = Some(names.clone());
            known.suspects = suspects;
        }
        Ok(names)
    }

    /// What of a table would run; `None`: nothing.
    fn strange(&self, session: Session<'_>, name: &str) -> Result<Option<Arc<Strange>>, Failure> {
        self.names(session)?;
        let writes = {
            let known = self.known();
            match known.suspects.get(name) {
                None if known.names.is_some() => return Ok(None),
                Some(Some(strange)) => return Ok(Some(strange.clone())),
                // Not looked at yet, or others write meanwhile.
                Some(None) | None => known.writes,
            }
        };
        let strange = Arc::new(Strange::of(session.host, session.database, name)?);
        let mut known = self.known();
        if known.writes == writes && known.names.is_some() {
            known
                .suspects
                .insert(name.to_owned(), Some(strange.clone()));
        }
        Ok(Some(strange))
    }

    /// As [`superseded::written`], which looks at the tables that are not known yet. Where that fails, as it may beside a write, nothing is
    /// known.
    pub(crate) fn written(
        &self,
        session: Session<'_>,
        tables: &[superseded::Table<'_>],
    ) -> Vec<Written> {
        let key = |table: &superseded::Table<'_>| (table.name.to_owned(), table.ids.to_vec());
        let (writes, mut unknown) = {
            let known = self.known();
            let is_unknown =
                |table: &superseded::Table<'_>| !known.written.contains_key(&key(table));
            let unknown: Vec<_> = tables.iter().copied().filter(is_unknown).collect();
            (known.writes, unknown)
        };
        unknown.dedup_by(|a, b| a.name == b.name && a.ids == b.ids);
        let found = superseded::written(session, &unknown);
        let mut known = self.known();
        let found = found.ok().filter(|_| known.writes == writes);
        let Some(found) = found else {
            return vec![Written::Unknown; tables.len()];
        };
        known.written.extend(unknown.iter().map(key).zip(found));
        let written = |table| known.written.get(&key(table)).copied();
        let written = tables.iter().map(written);
        written.map(|w| w.unwrap_or(Written::Unknown)).collect()
    }

    /// How often something was written.
    pub(crate) fn writes(&self) -> u64 {
        self.known().writes
    }

    /// Something was written.
    pub(crate) fn forget(&self) {
        let mut known = self.known();
        *known = Known {
            writes: known.writes + 1,
            ..Known::default()
        };
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take<const N: usize>(row: Vec<Option<String>>) -> Result<[Option<String>; N], Error> {
    row.try_into().map_err(|_| {
        let problem = "the catalog gave another number of columns than it was asked for";
        Error::new(ErrorKind::Internal, problem)
    })
}

/// The columns of a table that is to be written, as the transaction sees them, also those that it added; `None` if there is none.
pub(crate) fn table(session: Session<'_>, name: &str) -> Result<Option<SchemaRef>, Failure> {
    let names = names(session)?;
    if !names.contains(name) {
        return Ok(None);
    }
    session.require_plain(name, Use::Write)?;
    let sql = format!("SELECT * FROM {} LIMIT 0", session.name(name));
    let mut look = session.connection.prepare(&sql)?;
    let given = cross::schema_of(&look.query_arrow([])?.get_schema())?;
    Ok(Some(with_notes(session, name, &given, &names)?))
}

/// The names of all tables of the database as the transaction sees them, sorted.
pub(crate) fn names(session: Session<'_>) -> Result<BTreeSet<String>, Failure> {
    let mut statement = session.connection.prepare(&list("table_name", session))?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<duckdb::Result<_>>()?)
}

/// The statement that lists columns of them.
fn list(columns: &str, session: Session<'_>) -> String {
    format!(
        "SELECT {columns} FROM duckdb_tables() WHERE database_name = {} AND schema_name = 'main'",
        literal_text(session.database)
    )
}

/// The names of all tables and views of the database.
pub(crate) fn taken_names(session: Session<'_>) -> Result<BTreeSet<String>, Failure> {
    let mut taken = names(session)?;
    let sql = "SELECT view_name FROM duckdb_views() WHERE database_name = ? AND NOT internal";
    let mut statement = session.connection.prepare(sql)?;
    let views = statement.query_map([session.database], |row| row.get(0))?;
    taken.extend(views.collect::<duckdb::Result<Vec<_>>>()?);
    Ok(taken)
}

/// Whether a table is of our own, and no feature's.
pub(crate) fn is_internal(name: &str) -> bool {
    name == TYPES
}

/// The columns of a table that DuckDB has as `given`, with the Arrow types that were noted.
fn with_notes(
    session: Session<'_>,
    name: &str,
    given: &Schema,
    names: &BTreeSet<String>,
) -> Result<SchemaRef, Failure> {
    let mut noted: HashMap<String, DataType> = HashMap::new();
    if names.contains(TYPES) {
        session.require_plain(TYPES, Use::Read)?;
        let types = session.name(TYPES);
        let sql = format!("SELECT column_name, arrow_type FROM {types} WHERE table_name = ?");
        let mut statement = session.connection.prepare(&sql)?;
        let rows = statement.query_map([name], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?;
        for row in rows {
            let (column, text) = row?;
            if let Ok(data_type) = serde_json::from_str(&text) {
                noted.insert(column, data_type);
            }
        }
    }
    let fields = given.fields().iter().map(|field| {
        let natural = natural(field.data_type());
        // A note counts for the column that it was made for.
        let exact = noted.remove(field.name());
        let exact = exact.filter(|exact| stored_as(exact).as_ref() == Some(&natural));
        Field::new(field.name(), exact.unwrap_or(natural), true)
    });
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// Notes the Arrow type of a column where DuckDB gives it back as another.
pub(crate) fn note_type(session: Session<'_>, table: &str, field: &Field) -> Result<(), Failure> {
    let Some(kept) = stored_as(field.data_type()).filter(|kept| kept != field.data_type()) else {
        return Ok(());
    };
    let text = serde_json::to_string(field.data_type()).map_err(|source| {
        let name = field.name();
        let problem = format!("the type of column {name:?} ({kept}) cannot be noted");
        Error::new(ErrorKind::Internal, problem).with_source(source)
    })?;
    let types = session.name(TYPES);
    session.connection.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {types} (table_name VARCHAR NOT NULL, column_name VARCHAR NOT NULL, arrow_type VARCHAR NOT NULL)"
    ))?;
    let sql = format!("DELETE FROM {types} WHERE table_name = ? AND column_name = ?");
    session
        .connection
        .execute(&sql, params![table, field.name()])?;
    let sql = format!("INSERT INTO {types} VALUES (?, ?, ?)");
    session
        .connection
        .execute(&sql, params![table, field.name(), text])?;
    Ok(())
}

/// Forgets the type of a column.
pub(crate) fn forget_type(session: Session<'_>, table: &str, column: &str) -> Result<(), Failure> {
    if names(session)?.contains(TYPES) {
        let types = session.name(TYPES);
        let sql = format!("DELETE FROM {types} WHERE table_name = ? AND column_name = ?");
        session.connection.execute(&sql, params![table, column])?;
    }
    Ok(())
}

/// Forgets the types of a table's columns.
pub(crate) fn forget_types(session: Session<'_>, table: &str) -> Result<(), Failure> {
    if names(session)?.contains(TYPES) {
        let sql = format!("DELETE FROM {} WHERE table_name = ?", session.name(TYPES));
        session.connection.execute(&sql, [table])?;
    }
    Ok(())
}
