//! DuckDB through its C interface, for what the `duckdb` crate does not give: the columns of a table without a statement, and statements
//! that are not prepared. A resolve of few samples takes little longer than such looks.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::ptr::null_mut;

use arrow::datatypes::Schema;
use arrow::ffi::FFI_ArrowSchema;
use duckdb::{Connection, ffi};
use metaxy_core::{Error, ErrorKind};

use crate::error::Failure;

/// An engine, of which connections are made.
pub(crate) struct Database {
    database: ffi::duckdb_database,
}

// SAFETY: a DuckDB database may be used by several threads.
unsafe impl Send for Database {}
// SAFETY: as above.
unsafe impl Sync for Database {}

impl Database {
    /// A new one in memory.
    pub(crate) fn in_memory(settings: &Settings) -> duckdb::Result<Self> {
        let mut opened = Self {
            database: null_mut(),
        };
        let mut error = null_mut();
        // SAFETY: the path is a C string, the settings are alive, and the out-parameters are ours. What was not made stays null.
        unsafe {
            let state = ffi::duckdb_open_ext(
                c":memory:".as_ptr(),
                &raw mut opened.database,
                settings.0,
                &raw mut error,
            );
            let problem = taken(error).map(|text| text.to_string_lossy().into_owned());
            check(state, problem)?;
        }
        Ok(opened)
    }

    pub(crate) fn connect(&self) -> duckdb::Result<Connection> {
        // SAFETY: the database is open, and a connection keeps what it needs of it.
        unsafe { Connection::open_from_raw(self.database) }
    }

    /// The rows of a statement as texts, in memory. What was committed is seen.
    ///
    /// Unlike a prepared statement, which DuckDB plans once more when it is run, this one is planned once.
    pub(crate) fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Failure> {
        let sql = CString::new(sql).map_err(duckdb::Error::from)?;
        let connection = self.handle()?;
        // SAFETY: a result is plain data, and zeros are one without anything.
        let mut result = Rows(unsafe { std::mem::zeroed() });
        // SAFETY: the statement is a C string, and the out-parameter is ours.
        unsafe {
            let state = ffi::duckdb_query(connection.0, sql.as_ptr(), &raw mut result.0);
            if state != ffi::DuckDBSuccess {
                let problem = text_of(ffi::duckdb_result_error(&raw mut result.0));
                return Err(failed(problem).into());
            }
        }
        result.all()
    }

    /// The columns of a table of an attached database, as they come out of a SELECT; `None` if there is none of that name, whose
    /// case does not count. What was committed is seen.
    pub(crate) fn columns(&self, database: &str, table: &str) -> Result<Option<Schema>, Failure> {
        let (Ok(catalog), Ok(table)) = (CString::new(database), CString::new(table)) else {
            return Ok(None);
        };
        let connection = self.handle()?;
        match describe(&connection, &catalog, &table)? {
            Some(found) => found.schema(&connection).map(Some),
            None => Ok(None),
        }
    }

    /// The names of the columns of a table that have a default.
    pub(crate) fn defaults(&self, database: &str, table: &str) -> Result<Vec<String>, Failure> {
        let (Ok(catalog), Ok(table)) = (CString::new(database), CString::new(table)) else {
            return Ok(Vec::new());
        };
        let found = describe(&self.handle()?, &catalog, &table)?;
        found.map_or(Ok(Vec::new()), |found| found.defaults())
    }

    fn handle(&self) -> duckdb::Result<Handle> {
        let mut connection = Handle(null_mut());
        // SAFETY: the database is open, and the out-parameter is ours.
        let state = unsafe { ffi::duckdb_connect(self.database, &raw mut connection.0) };
        check(state, None)?;
        Ok(connection)
    }
}

/// What DuckDB knows of a table; `None` if there is none.
fn describe(
    connection: &Handle,
    catalog: &CStr,
    table: &CStr,
) -> Result<Option<Description>, Failure> {
    let mut found = Description(null_mut());
    // SAFETY: all arguments are alive for the call, and the description is destroyed with `found`; the error is a text of it.
    let problem = unsafe {
        let state = ffi::duckdb_table_description_create_ext(
            connection.0,
            catalog.as_ptr(),
            c"main".as_ptr(),
            table.as_ptr(),
            &raw mut found.0,
        );
        match state {
            ffi::DuckDBSuccess => None,
            _ => Some(text_of(ffi::duckdb_table_description_error(found.0))),
        }
    };
    match problem {
        None => Ok(Some(found)),
        Some(Some(text)) if text.contains(NO_TABLE) => Ok(None),
        Some(problem) => Err(failed(problem).into()),
    }
}

/// What DuckDB says where there is no table to describe.
const NO_TABLE: &str = "No table with that schema+name could be located";

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: it was made by DuckDB or is null, and connections keep what they need of it.
        unsafe { ffi::duckdb_close(&raw mut self.database) }
    }
}

/// A connection of our own.
struct Handle(ffi::duckdb_connection);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: it was made by DuckDB or is null.
        unsafe { ffi::duckdb_disconnect(&raw mut self.0) }
    }
}

/// A result in memory.
struct Rows(ffi::duckdb_result);

impl Rows {
    /// # Errors
    /// [`ErrorKind::Corrupt`] if a text is not UTF-8.
    fn all(&mut self) -> Result<Vec<Vec<Option<String>>>, Failure> {
        // SAFETY: the result is one of a statement that was run.
        let (columns, rows) = unsafe {
            (
                ffi::duckdb_column_count(&raw mut self.0),
                ffi::duckdb_row_count(&raw mut self.0),
            )
        };
        let mut text = |column, row| {
            // SAFETY: the column and the row are the result's; the text is ours, null for a null.
            let text = unsafe { taken(ffi::duckdb_value_varchar(&raw mut self.0, column, row)) };
            text.map(|text| text.into_string().map_err(|_| not_text().into()))
                .transpose()
        };
        (0..rows)
            .map(|row| (0..columns).map(|column| text(column, row)).collect())
            .collect()
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        // SAFETY: it was made by DuckDB or is empty.
        unsafe { ffi::duckdb_destroy_result(&raw mut self.0) }
    }
}

struct Description(ffi::duckdb_table_description);

impl Description {
    fn defaults(&self) -> Result<Vec<String>, Failure> {
        let mut found = Vec::new();
        // SAFETY: the description is one of a table, and its columns are those that are counted; the out-parameter and the names
        // are ours.
        unsafe {
            for i in 0..ffi::duckdb_table_description_get_column_count(self.0) {
                let mut has_default = false;
                let state = ffi::duckdb_column_has_default(self.0, i, &raw mut has_default);
                check(state, None)?;
                let name = taken(ffi::duckdb_table_description_get_column_name(self.0, i));
                if let (true, Some(name)) = (has_default, name) {
                    found.push(name.into_string().map_err(|_| not_text())?);
                }
            }
        }
        Ok(found)
    }

    fn schema(&self, connection: &Handle) -> Result<Schema, Failure> {
        let mut options = Options(null_mut());
        let mut types = Types(Vec::new());
        let mut names = Vec::new();
        // SAFETY: the description is one of a table; its names are C strings that are ours to free, as its types are. The
        // schema is filled unless there is an error.
        unsafe {
            ffi::duckdb_connection_get_arrow_options(connection.0, &raw mut options.0);
            for i in 0..ffi::duckdb_table_description_get_column_count(self.0) {
                types
                    .0
                    .push(ffi::duckdb_table_description_get_column_type(self.0, i));
                let name = ffi::duckdb_table_description_get_column_name(self.0, i);
                names.push(taken(name).unwrap_or_default());
            }
            let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
            let mut schema = FFI_ArrowSchema::empty();
            let mut error = ffi::duckdb_to_arrow_schema(
                options.0,
                types.0.as_mut_ptr(),
                pointers.as_mut_ptr(),
                types.0.len() as u64,
                (&raw mut schema).cast(),
            );
            if ffi::duckdb_error_data_has_error(error) {
                let problem = text_of(ffi::duckdb_error_data_message(error));
                ffi::duckdb_destroy_error_data(&raw mut error);
                return Err(failed(problem).into());
            }
            ffi::duckdb_destroy_error_data(&raw mut error);
            Ok(Schema::try_from(&schema).map_err(Error::from)?)
        }
    }
}

impl Drop for Description {
    fn drop(&mut self) {
        // SAFETY: it was made by DuckDB, also where there is no such table.
        unsafe { ffi::duckdb_table_description_destroy(&raw mut self.0) }
    }
}

/// How a connection makes Arrow types.
struct Options(ffi::duckdb_arrow_options);

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: they were made by DuckDB or are null.
        unsafe { ffi::duckdb_destroy_arrow_options(&raw mut self.0) }
    }
}

struct Types(Vec<ffi::duckdb_logical_type>);

impl Drop for Types {
    fn drop(&mut self) {
        for logical in &mut self.0 {
            // SAFETY: it was made by DuckDB.
            unsafe { ffi::duckdb_destroy_logical_type(logical) }
        }
    }
}

/// Settings to open a database with.
pub(crate) struct Settings(ffi::duckdb_config);

impl Settings {
    pub(crate) fn new() -> duckdb::Result<Self> {
        let mut settings = Self(null_mut());
        // SAFETY: the out-parameter is ours.
        let state = unsafe { ffi::duckdb_create_config(&raw mut settings.0) };
        check(state, None)?;
        Ok(settings)
    }

    /// Sets one of them.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> duckdb::Result<()> {
        let (key, text) = (CString::new(name)?, CString::new(value)?);
        // SAFETY: the settings and both texts are alive for the call.
        let state = unsafe { ffi::duckdb_set_config(self.0, key.as_ptr(), text.as_ptr()) };
        check(state, Some(format!("the setting {name} cannot be {value}")))
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        // SAFETY: they were made by DuckDB.
        unsafe { ffi::duckdb_destroy_config(&raw mut self.0) }
    }
}

fn not_text() -> Error {
    let problem = "the catalog of the file has a name that is not UTF-8";
    Error::new(ErrorKind::Corrupt, problem)
        .with_hint("the file is damaged, or was not made by DuckDB: restore it from a backup")
}

fn check(state: ffi::duckdb_state, problem: Option<String>) -> duckdb::Result<()> {
    match state {
        ffi::DuckDBSuccess => Ok(()),
        _ => Err(failed(problem)),
    }
}

fn failed(problem: Option<String>) -> duckdb::Error {
    duckdb::Error::DuckDBFailure(ffi::Error::new(ffi::DuckDBError), problem)
}

/// A copy of a text that stays DuckDB's.
///
/// # Safety
/// It is a C string, or null.
unsafe fn text_of(text: *const std::ffi::c_char) -> Option<String> {
    // SAFETY: as above.
    let text = (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) });
    text.map(|text| text.to_string_lossy().into_owned())
}

/// A text that DuckDB made, which is freed.
///
/// # Safety
/// It is a C string of DuckDB's, or null.
unsafe fn taken(text: *mut std::ffi::c_char) -> Option<CString> {
    if text.is_null() {
        return None;
    }
    // SAFETY: as above.
    unsafe {
        let owned = CStr::from_ptr(text).to_owned();
        ffi::duckdb_free(text.cast());
        Some(owned)
    }
}
