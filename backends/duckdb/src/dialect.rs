//! What DuckDB does in its own way.

use std::collections::{HashMap, HashSet};

use arrow::datatypes::{DataType, Schema, TimeUnit};
use chrono::DateTime;
use metaxy_core::expr::{CompareOp, Value};
use metaxy_core::plan::{HashSpec, Scan};
use metaxy_core::sql::{Dialect, HashArg, Replacing, Side, literal_text, no_literal, quote};
use metaxy_core::{Error, ErrorKind, FeatureKey, Result};

use crate::catalog::qualified;
use crate::compare;
use crate::functions::hash_sql;
use crate::superseded::Written;
use crate::types;

/// The dialect for one query: it knows what was found out about its tables.
#[derive(Debug, Default)]
pub(crate) struct DuckDbDialect {
    pub(crate) table_prefix: String,
    /// The database that the tables are in.
    pub(crate) database: String,
    /// Tables that have a column called `rowid`, which hides DuckDB's own.
    pub(crate) rowid_hidden: HashSet<String>,
    /// How often the samples of a table were written, by its name and ID columns.
    pub(crate) written: HashMap<(String, Vec<String>), Written>,
}

/// A condition on a parameter whose type cannot be known before it has its value, [`UNTYPED_VALUE`], with which it holds.
///
/// DuckDB plans a statement that scans tables when it is prepared, and once more when it is run. With such a parameter in the first
/// table, where it is found before anything else is looked at, the first time is over at once.
const UNTYPED: &str = "abs($1) = 0";

/// The value of the parameter.
pub(crate) const UNTYPED_VALUE: i32 = 0;

/// DuckDB's own number of a row, which grows in the order of storage.
pub(crate) const ROWID: &str = "rowid";

/// Whether a table has a column of that name, which hides the number.
pub(crate) fn hides_rowid(schema: &Schema) -> bool {
    let mut names = schema.fields().iter().map(|field| field.name());
    names.any(|name| name.eq_ignore_ascii_case(ROWID))
}

/// The number of a row where `rowid` is hidden.
const ROW: &str = "metaxy.row";

impl DuckDbDialect {
    pub(crate) fn table_name(&self, table: &FeatureKey) -> String {
        table_name(&self.table_prefix, table)
    }
}

/// The name of a feature's table.
pub(crate) fn table_name(prefix: &str, table: &FeatureKey) -> String {
    format!("{prefix}{}", table.table_name())
}

/// The name of the temporary table of a frame.
pub(crate) fn frame_name(position: usize) -> String {
    format!("metaxy.frame.{position}")
}

/// A text as a literal. A NUL would end the statement.
pub(crate) fn text(text: &str) -> String {
    if !text.contains('\0') {
        return literal_text(text);
    }
    let parts: Vec<String> = text.split('\0').map(literal_text).collect();
    format!("({})", parts.join(" || chr(0) || "))
}

impl Dialect for DuckDbDialect {
    fn table(&self, table: &FeatureKey) -> String {
        qualified(&self.database, &self.table_name(table))
    }

    fn source(&self, table: &FeatureKey, first: bool) -> String {
        let quoted = self.table(table);
        let number = match self.rowid_hidden.contains(&self.table_name(table)) {
            true => format!("row_number() OVER () AS {}", quote(ROW)),
            false if first => ROWID.to_owned(),
            false => return quoted,
        };
        let condition = if first { UNTYPED } else { "true" };
        format!("(SELECT *, {number} FROM {quoted} WHERE {condition})")
    }

    fn frame(&self, position: usize) -> String {
        format!("temp.{}", quote(&frame_name(position)))
    }

    fn literal(&self, value: &Value, compared_with: Option<&DataType>) -> Result<String> {
        Ok(match (value, compared_with) {
            (Value::Null, _) => "NULL".into(),
            (Value::Bool(value), _) => self.boolean(*value).into(),
            (Value::Int(value), _) => value.to_string(),
            (Value::Decimal(value), _) => compare::decimal(*value),
            (Value::Float(value), _) if value.is_finite() => format!("{value:e}"),
            (Value::Text(text), _) => self.text(text),
            (Value::Date(days), _) => {
                let seconds = i64::from(*days) * 86_400;
                match DateTime::from_timestamp(seconds, 0) {
                    Some(day) => format!("DATE '{}'", day.format("%Y-%m-%d")),
                    None => return Err(out_of_range(value)),
                }
            }
            (Value::Timestamp(micros), data_type) => {
                if let Some(DataType::Timestamp(TimeUnit::Nanosecond, _)) = data_type {
                    // As text those of the last second would be refused.
                    return Ok(format!(
                        "make_timestamp_ns({})",
                        i128::from(*micros) * 1_000
                    ));
                }
                let Some(time) = DateTime::from_timestamp_micros(*micros) else {
                    return Err(out_of_range(value));
                };
                let time = time.format("%Y-%m-%d %H:%M:%S%.6f");
                match data_type {
                    Some(DataType::Timestamp(_, Some(_))) => format!("TIMESTAMPTZ '{time}+00'"),
                    _ => format!("TIMESTAMP '{time}'"),
                }
            }
            (other, _) => return Err(no_literal("DuckDB", other)),
        })
    }

    fn operand(&self, column: &str, data_type: &DataType) -> Result<String> {
        match data_type {
            // An ENUM is compared as the text that it stands for; a column kept as text is one.
            DataType::Dictionary(_, value) if value.as_ref() == &DataType::Utf8 => {
                Ok(format!("CAST({column} AS VARCHAR)"))
            }
            DataType::Dictionary(_, value) => self.operand(column, value),
            nested if nested.is_nested() => Err(Error::new(
                ErrorKind::Unsupported,
                format!("a filter cannot compare a column of type {data_type}"),
            )),
            _ => Ok(column.into()),
        }
    }

    /// DuckDB casts the two sides of a comparison to one type, which may round, and fails where a value does not fit.
    fn compare(&self, left: &Side<'_>, op: CompareOp, right: &Side<'_>) -> Result<String> {
        let (l, r) = (left.beside(right, self)?, right.beside(left, self)?);
        Ok(match (left.data_type(), right.data_type()) {
            (Some(a), Some(b)) => compare::columns((&l, a), op, (&r, b)),
            _ => format!("({l} {} {r})", op.as_sql()),
        })
    }

    fn text(&self, value: &str) -> String {
        text(value)
    }

    fn member(&self, column: &str, data_type: &DataType, member: &str) -> String {
        let name = self.text(member);
        match data_type {
            DataType::Map(..) => format!("map_extract_value({column}, {name})"),
            _ => format!("struct_extract({column}, {name})"),
        }
    }

    fn hash(&self, spec: HashSpec, parts: &[HashArg]) -> String {
        hash_sql(spec, parts, |column, data_type, member| {
            self.member(column, data_type, member)
        })
    }

    fn fold(&self, spec: HashSpec, value: &str, group: &str) -> String {
        let order = match group.is_empty() {
            true => String::new(),
            false => format!(" ORDER BY {group}"),
        };
        let joined = format!("COALESCE(string_agg({value}, '|'{order}), '')");
        let whole = HashArg::Value(joined, metaxy_core::plan::Nulls::Propagate);
        self.hash(spec, &[whole])
    }

    fn row_order(&self, table: &FeatureKey, alias: &str) -> String {
        match self.rowid_hidden.contains(&self.table_name(table)) {
            true => format!("{alias}.{}", quote(ROW)),
            false => format!("{alias}.{ROWID}"),
        }
    }

    fn groups(&self) -> bool {
        true
    }

    /// One integer of 128 bits: the stamp, then the row. Comparing pairs takes several times as long.
    fn write_order(&self, stamp: &str, row: &str) -> String {
        format!("(epoch_us({stamp})::HUGEINT * 1099511627776 + {row})")
    }

    fn replacing(&self, scan: &Scan, alias: &str) -> Replacing {
        let written = scan.latest_per.as_ref().and_then(|ids| {
            let key = (self.table_name(&scan.table), ids.clone());
            self.written.get(&key)
        });
        match written {
            None | Some(Written::Unknown) => Replacing::Any,
            Some(Written::Once) => Replacing::None,
            Some(Written::OnceBefore(row)) => {
                let own = self.row_order(&scan.table, alias);
                Replacing::Where(format!("{own} >= {row}"))
            }
        }
    }

    fn converted(&self, column: &str, _from: &DataType, to: &DataType) -> String {
        match types::stored_as(to) {
            Some(kept) => format!("CAST({column} AS {})", types::sql_type(&kept)),
            None => column.into(),
        }
    }

    fn null(&self, data_type: &DataType) -> String {
        match types::stored_as(data_type) {
            Some(kept) => format!("CAST(NULL AS {})", types::sql_type(&kept)),
            None => "NULL".into(),
        }
    }
}

fn out_of_range(value: &Value) -> Error {
    Error::new(
        ErrorKind::InvalidFilter,
        format!("{value:?} is out of the range of times"),
    )
}
