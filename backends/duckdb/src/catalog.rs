//! What is known of the tables: their columns with their Arrow types.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use duckdb::Connection;
use metaxy_core::sql::{literal_text, quote};
use metaxy_core::{Error, ErrorKind};

use crate::cross;
use crate::error::Failure;
use crate::types::{natural, stored_as};

/// Tables of the store's own database, not of the session.
const HERE: &str =
    "database_name = current_database() AND schema_name = current_schema() AND NOT internal";

/// The columns of a table, `None` if there is none.
pub(crate) fn table(connection: &Connection, name: &str) -> Result<Option<SchemaRef>, Failure> {
    let sql = format!(
        "SELECT column_name, comment FROM duckdb_columns() WHERE {HERE} AND table_name = ? ORDER BY column_index"
    );
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map([name], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
    })?;
    let columns = rows.collect::<duckdb::Result<Vec<_>>>()?;
    if columns.is_empty() {
        return Ok(None);
    }
    let mut look = connection.prepare(&format!("SELECT * FROM {} LIMIT 0", quote(name)))?;
    let given = cross::schema_of(&look.query_arrow([])?.get_schema())?;
    let fields: Vec<Field> = given
        .fields()
        .iter()
        .map(|field| {
            let natural = natural(field.data_type());
            let comment = columns.iter().find(|(column, _)| column == field.name());
            let noted = comment.and_then(|(_, comment)| noted_type(comment.as_deref()?));
            // A note counts for the column that it was made for.
            let exact = noted.filter(|exact| stored_as(exact).as_ref() == Some(&natural));
            Field::new(field.name(), exact.unwrap_or(natural), true)
        })
        .collect();
    Ok(Some(Arc::new(Schema::new(fields))))
}

/// Whether there is a table of this name.
pub(crate) fn has(connection: &Connection, name: &str) -> Result<bool, Failure> {
    let sql =
        format!("SELECT EXISTS (SELECT 1 FROM duckdb_tables() WHERE {HERE} AND table_name = ?)");
    Ok(connection.query_row(&sql, [name], |row| row.get(0))?)
}

/// The names of all tables, sorted.
pub(crate) fn names(connection: &Connection) -> Result<Vec<String>, Failure> {
    let sql = format!("SELECT table_name FROM duckdb_tables() WHERE {HERE} ORDER BY table_name");
    let mut statement = connection.prepare(&sql)?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<duckdb::Result<_>>()?)
}

/// Notes the Arrow type of a column where DuckDB gives it back as another.
pub(crate) fn note_type(
    connection: &Connection,
    table: &str,
    field: &Field,
) -> Result<(), Failure> {
    let Some(kept) = stored_as(field.data_type()).filter(|kept| kept != field.data_type()) else {
        return Ok(());
    };
    let text = serde_json::to_string(&Note {
        arrow: field.data_type().clone(),
    })
    .map_err(|source| {
        Error::new(
            ErrorKind::Internal,
            format!(
                "the type of column {:?} ({kept}) cannot be noted",
                field.name()
            ),
        )
        .with_source(source)
    })?;
    connection.execute_batch(&format!(
        "COMMENT ON COLUMN {}.{} IS {}",
        quote(table),
        quote(field.name()),
        literal_text(&text)
    ))?;
    Ok(())
}

/// The comment of a column whose type DuckDB does not tell.
#[derive(serde::Serialize, serde::Deserialize)]
struct Note {
    arrow: DataType,
}

fn noted_type(comment: &str) -> Option<DataType> {
    let note: Note = serde_json::from_str(comment).ok()?;
    Some(note.arrow)
}
