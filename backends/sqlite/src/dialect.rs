//! What SQLite does in its own way.

use std::collections::HashSet;

use arrow::datatypes::{DataType, TimeUnit};
use metaxy_core::expr::Value;
use metaxy_core::plan::{HashSpec, Scan};
use metaxy_core::sql::{Dialect, HashArg, Matching, quote};
use metaxy_core::{Error, ErrorKind, FeatureKey, Result};

use crate::functions::{fold_sql, hash_sql};

/// The dialect for one query: it knows which scans have nothing to replace.
#[derive(Debug, Default)]
pub(crate) struct SqliteDialect {
    pub(crate) table_prefix: String,
    /// Table name, feature version and ID columns of which every sample was written once.
    pub(crate) written_once: HashSet<(String, String, Vec<String>)>,
}

impl SqliteDialect {
    pub(crate) fn table_name(&self, table: &FeatureKey) -> String {
        format!("{}{}", self.table_prefix, table.table_name())
    }
}

/// The name of the temporary table of a frame.
pub(crate) fn frame_name(position: usize) -> String {
    format!("metaxy.frame.{position}")
}

/// The factor that makes a stored time microseconds.
fn micros_per(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1_000_000,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond | TimeUnit::Nanosecond => 1,
    }
}

impl Dialect for SqliteDialect {
    fn table(&self, table: &FeatureKey) -> String {
        format!("main.{}", quote(&self.table_name(table)))
    }

    fn frame(&self, position: usize) -> String {
        format!("temp.{}", quote(&frame_name(position)))
    }

    fn literal(&self, value: &Value, compared_with: Option<&DataType>) -> Result<String> {
        Ok(match (value, compared_with) {
            (Value::Null, _) => "NULL".into(),
            (Value::Bool(value), _) => if *value { "TRUE" } else { "FALSE" }.into(),
            (Value::Int(value), _) => integer(*value),
            (Value::Decimal(value), Some(DataType::Decimal128(..))) => integer(value.unscaled()),
            (Value::Decimal(value), _) => format!("{:e}", value.to_f64()),
            (Value::Float(value), _) if value.is_finite() => format!("{value:e}"),
            (Value::Text(text), _) => self.text(text),
            (Value::Date(days), Some(DataType::Date64)) => {
                (i64::from(*days) * 86_400_000).to_string()
            }
            (Value::Date(days), _) => days.to_string(),
            (Value::Timestamp(micros), Some(DataType::Timestamp(TimeUnit::Nanosecond, _))) => {
                integer(i128::from(*micros) * 1_000)
            }
            (Value::Timestamp(micros), _) => micros.to_string(),
            (other, _) => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("SQLite has no value for {other:?} in a filter"),
                ));
            }
        })
    }

    fn operand(&self, column: &str, data_type: &DataType) -> Result<String> {
        match data_type {
            DataType::Timestamp(unit, _) if micros_per(*unit) > 1 => {
                Ok(format!("({column} * {})", micros_per(*unit)))
            }
            DataType::Dictionary(_, value) => self.operand(column, value),
            DataType::Decimal128(digits, _) if *digits > crate::codec::INTEGER_DIGITS => {
                Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("SQLite cannot compare {data_type} in a filter: more than 18 digits"),
                )
                .with_hint("compare another column, or store the value with fewer digits"))
            }
            nested if nested.is_nested() => Err(Error::new(
                ErrorKind::Unsupported,
                format!("a filter cannot compare a column of type {data_type}"),
            )),
            _ => Ok(column.into()),
        }
    }

    fn text(&self, text: &str) -> String {
        // A NUL would end the statement.
        if text.contains('\0') {
            let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
            return format!("CAST(x'{hex}' AS TEXT)");
        }
        metaxy_core::sql::literal_text(text)
    }

    fn member(&self, column: &str, _: &DataType, member: &str) -> String {
        // The path is JSON: a quote in the name is escaped as there.
        let path = format!("$.{}", serde_json::Value::from(member));
        format!("({column} ->> {})", self.text(&path))
    }

    fn hash(&self, spec: HashSpec, parts: &[HashArg]) -> String {
        hash_sql(spec, parts, |text| self.text(text))
    }

    fn fold(&self, spec: HashSpec, value: &str, over: &str) -> String {
        fold_sql(spec, value, over)
    }

    fn row_order(&self, alias: &str) -> String {
        format!("{alias}.rowid")
    }

    fn nothing_to_replace(&self, scan: &Scan) -> bool {
        match (&scan.feature_version, &scan.latest_per) {
            (Some(version), Some(ids)) => {
                let key = (self.table_name(&scan.table), version.clone(), ids.clone());
                self.written_once.contains(&key)
            }
            _ => false,
        }
    }

    fn barrier(&self) -> &'static str {
        " LIMIT -1"
    }

    fn matching(&self) -> Matching {
        Matching::Marks
    }

    fn label(&self, row: &str, changed: &str, leads: Option<&str>) -> String {
        format!("metaxy_label({row}, {changed}, {})", leads.unwrap_or("1"))
    }

    fn is_marked(&self, row: &str) -> String {
        format!("metaxy_marked({row})")
    }

    fn distinct(&self, a: &str, b: &str) -> String {
        format!("({a} IS NOT {b})")
    }
}

fn integer(value: i128) -> String {
    match i64::try_from(value) {
        // Its digits without the sign are no integer of SQLite's.
        Ok(i64::MIN) => "(-9223372036854775807 - 1)".into(),
        Ok(value) => value.to_string(),
        Err(_) => format!("{value}.0"),
    }
}
