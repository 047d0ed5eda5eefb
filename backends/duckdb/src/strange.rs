//! What runs when a table is read or written: columns that are computed, defaults, checks, indexes of expressions, triggers.
//!
//! A store makes none of these. Whoever wrote the file chose them, and they would run in the process of whoever opens it. So a table that has
//! them is refused, before a statement names it.

use std::path::Path;

use metaxy_core::sql::{literal_text, quote};
use metaxy_core::{Error, ErrorKind};

use crate::catalog::qualified;
use crate::error::Failure;
use crate::host::Host;

/// What is to be done with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Read,
    Write,
}

/// What a table has that would run, in words; `None`: nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Strange {
    /// When it is read, and when it is written.
    read: Option<String>,
    /// When it is written.
    write: Option<String>,
}

/// Whether a table has to be looked at. `sql` is the statement that would make it anew; names may have the same words in them.
pub(crate) fn is_suspect(sql: &str, indexes: &str) -> bool {
    const WORDS: [&str; 3] = [" GENERATED ALWAYS AS(", " DEFAULT(", "CHECK("];
    indexes != "0" || WORDS.iter().any(|word| sql.contains(word))
}

impl Strange {
    /// Looks at a table of an attached database. Nothing of the table runs for that.
    pub(crate) fn of(host: &Host, database: &str, table: &str) -> Result<Self, Failure> {
        let mut strange = Self::default();
        let name = literal_text(&qualified(database, table));
        let columns = format!(
            "SELECT name, dflt_value FROM pragma_table_info({name}) WHERE dflt_value IS NOT NULL"
        );
        let defaults = host.defaults(database, table)?;
        for row in host.rows(&columns)? {
            let [Some(column), Some(value)] = row.as_slice() else {
                continue;
            };
            if !defaults.contains(column) {
                strange.read = Some(format!("its column {column:?} is computed"));
            } else if !is_plain(value) {
                strange.write = Some(format!("its column {column:?} has a computed default"));
            }
        }
        let of_table = format!(
            "database_name = {} AND schema_name = 'main' AND table_name = {}",
            literal_text(database),
            literal_text(table)
        );
        let checks = format!(
            "SELECT constraint_text FROM duckdb_constraints() WHERE constraint_type = 'CHECK' AND {of_table}"
        );
        if !host.rows(&checks)?.is_empty() {
            strange.write = Some("it has a CHECK".to_owned());
        }
        let columns = host.rows(&format!("SELECT name FROM pragma_table_info({name})"))?;
        let columns: Vec<String> = columns.into_iter().flatten().flatten().collect();
        let indexes = format!(
            "SELECT index_name, unnest(expressions::VARCHAR[]) FROM duckdb_indexes() WHERE {of_table}"
        );
        for row in host.rows(&indexes)? {
            if let [Some(index), Some(expression)] = row.as_slice()
                && !columns.iter().any(|column| names(expression, column))
            {
                strange.read = Some(format!("its index {index:?} is one of an expression"));
            }
        }
        Ok(strange)
    }

    /// # Errors
    /// [`ErrorKind::Unsupported`] if something of the table would run.
    pub(crate) fn refuse(&self, table: &str, file: &Path, to: Use) -> Result<(), Error> {
        let found = match to {
            Use::Read => self.read.as_ref(),
            Use::Write => self.read.as_ref().or(self.write.as_ref()),
        };
        found.map_or(Ok(()), |what| Err(refused(table, file, what)))
    }
}

/// # Errors
/// [`ErrorKind::Unsupported`] if the table has a trigger, which runs when something is written.
pub(crate) fn refuse_triggers(host: &Host, database: &str, table: &str) -> Result<(), Failure> {
    let sql = format!(
        "SELECT trigger_name FROM duckdb_triggers() WHERE database_name = {} AND schema_name = 'main' AND table_name = {}",
        literal_text(database),
        literal_text(table)
    );
    match host.rows(&sql)?.first().map(Vec::as_slice) {
        Some([Some(trigger)]) => Err(refused(
            table,
            host.path(),
            &format!("it has the trigger {trigger:?}"),
        )
        .into()),
        _ => Ok(()),
    }
}

/// Of a name that something else than a table has.
pub(crate) fn no_table(table: &str, file: &Path) -> Error {
    refused(table, file, "it is no table but a view")
}

fn refused(table: &str, file: &Path, what: &str) -> Error {
    let problem = format!(
        "the table {table:?} of the store in {} is not as a store makes it: {what}, and would run here",
        file.display()
    );
    Error::new(ErrorKind::Unsupported, problem).with_hint(
        "ask who made the file to take it out of the table (ALTER TABLE … DROP COLUMN, DROP INDEX, DROP TRIGGER); nothing was run",
    )
}

/// Whether an expression is a column and nothing else. Only a plain name stands there without quotes.
fn names(expression: &str, column: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    expression == quote(column) || (expression == column && column.chars().all(is_plain))
}

/// Whether a default is a value as it stands: a number, a word, a text, or one of them under a type.
fn is_plain(default: &str) -> bool {
    let default = default.trim();
    if let Some(inner) = default.strip_prefix("CAST(")
        && let Some((value, data_type)) = inner.rsplit_once(" AS ")
    {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let data_type = data_type.strip_suffix(')');
        return data_type.is_some_and(|t| !t.is_empty() && t.chars().all(is_name))
            && is_plain(value);
    }
    let is_text = default
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''))
        .is_some_and(|text| !text.replace("''", "").contains('\''));
    let is_number = default.parse::<f64>().is_ok();
    is_text || is_number || matches!(default, "NULL" | "true" | "false")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_that_is_a_value_runs_nothing() {
        for plain in [
            "NULL",
            "1",
            "-1.5",
            "'it''s'",
            "CAST('t' AS BOOLEAN)",
            "true",
        ] {
            assert!(is_plain(plain), "{plain}");
        }
        for computed in [
            "now()",
            "nextval('s')",
            "'a' || f('b')",
            "CAST(f() AS INTEGER)",
            "CAST('x' AS main.own)",
            "'' || f('')",
        ] {
            assert!(!is_plain(computed), "{computed}");
        }
    }
}
