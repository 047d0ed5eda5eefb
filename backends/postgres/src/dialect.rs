//! What PostgreSQL does in its own way.

use std::collections::HashMap;

use arrow::datatypes::{DataType, TimeUnit};
use chrono::DateTime;
use metaxy_core::expr::{CompareOp, Pattern, Value};
use metaxy_core::hash::HashAlgorithm;
use metaxy_core::plan::{Fold, HashSpec, Nulls};
use metaxy_core::sql::{Dialect, HashArg, Side, literal_text, no_literal, quote};
use metaxy_core::{Error, ErrorKind, FeatureKey, Result};

use crate::compare;
use crate::names::{self, Names};
use crate::types::Kept;

/// The algorithms that the server computes itself.
pub(crate) const NATIVE: [HashAlgorithm; 2] = [HashAlgorithm::Md5, HashAlgorithm::Sha256];

/// The dialect for one statement.
#[derive(Debug, Clone, Default)]
pub(crate) struct PostgresDialect {
    pub(crate) names: Names,
    /// What is selected of tables that have columns of types that are read as text, by the name of the table.
    pub(crate) odd: HashMap<String, String>,
    /// The positions of the frames that hold the folds of groups, by the name of their first value.
    pub(crate) folds: HashMap<String, usize>,
}

impl PostgresDialect {
    /// The dialect for tables of these names.
    pub(crate) fn new(names: Names) -> Self {
        Self {
            names,
            ..Self::default()
        }
    }
}

impl Dialect for PostgresDialect {
    fn table(&self, table: &FeatureKey) -> String {
        self.names.qualified(&self.names.table(table))
    }

    fn source(&self, table: &FeatureKey, _first: bool) -> String {
        let name = self.names.table(table);
        let qualified = self.names.qualified(&name);
        match self.odd.get(&name) {
            Some(list) => format!("(SELECT ctid, {list} FROM {qualified})"),
            None => qualified,
        }
    }

    fn frame(&self, position: usize) -> String {
        format!("pg_temp.{}", quote(&names::frame(position)))
    }

    fn literal(&self, value: &Value, compared_with: Option<&DataType>) -> Result<String> {
        Ok(match (value, compared_with) {
            (Value::Null, _) => "NULL".into(),
            (Value::Bool(value), _) => self.boolean(*value).into(),
            (Value::Int(value), _) => match value {
                // A sign in front of a number binds less than what may follow it.
                ..0 => format!("({value})"),
                _ => value.to_string(),
            },
            (Value::Decimal(value), _) => format!("({value})"),
            (Value::Float(value), _) if value.is_finite() => {
                format!("'{value:e}'::double precision")
            }
            (Value::Text(text), _) => self.text(text),
            (Value::Date(days), Some(DataType::Timestamp(TimeUnit::Nanosecond, _))) => {
                (i128::from(*days) * 86_400_000_000_000).to_string()
            }
            (Value::Date(days), _) => {
                let seconds = i64::from(*days) * 86_400;
                match DateTime::from_timestamp(seconds, 0) {
                    Some(day) => {
                        format!("DATE '{}'", calendar(&day.format("%Y-%m-%d").to_string()))
                    }
                    None => return Err(out_of_range(value)),
                }
            }
            (Value::Timestamp(micros), Some(DataType::Timestamp(TimeUnit::Nanosecond, _))) => {
                (i128::from(*micros) * 1_000).to_string()
            }
            (Value::Timestamp(micros), data_type) => {
                let Some(time) = DateTime::from_timestamp_micros(*micros) else {
                    return Err(out_of_range(value));
                };
                let time = time.format("%Y-%m-%d %H:%M:%S%.6f").to_string();
                match data_type {
                    Some(DataType::Timestamp(_, Some(_))) => {
                        format!("TIMESTAMPTZ '{}'", calendar(&format!("{time}+00")))
                    }
                    _ => format!("TIMESTAMP '{}'", calendar(&time)),
                }
            }
            (other, _) => return Err(no_literal("PostgreSQL", other)),
        })
    }

    fn operand(&self, column: &str, data_type: &DataType) -> Result<String> {
        match data_type {
            DataType::Dictionary(_, value) => self.operand(column, value),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Ok(format!("({column} COLLATE \"C\")"))
            }
            DataType::Float16 | DataType::Float32 => Ok(format!("({column}::double precision)")),
            nested if nested.is_nested() => Err(Error::new(
                ErrorKind::Unsupported,
                format!("a filter cannot compare a column of type {data_type}"),
            )),
            _ => Ok(column.into()),
        }
    }

    /// PostgreSQL rounds integers beside floating-point numbers, and has no nanoseconds.
    fn compare(&self, left: &Side<'_>, op: CompareOp, right: &Side<'_>) -> Result<String> {
        let (l, r) = (left.beside(right, self)?, right.beside(left, self)?);
        Ok(match (left, right) {
            (Side::Column { data_type: a, .. }, Side::Column { data_type: b, .. }) => {
                compare::columns((&l, a), op, (&r, b))
            }
            (Side::Column { .. }, Side::Literal(Value::Text(text))) if text.contains('\0') => {
                let before = text.split('\0').next().unwrap_or_default();
                compare::with_zero(&l, op, &self.text(before))
            }
            _ => format!("({l} {} {r})", op.as_sql()),
        })
    }

    fn like(&self, column: &str, data_type: &DataType, pattern: &Pattern) -> Result<String> {
        let column = self.operand(column, data_type)?;
        let text = pattern.escaped();
        // No text of the server is like a pattern with the character zero.
        if text.contains('\0') {
            return Ok(compare::with_zero(&column, CompareOp::Eq, "''"));
        }
        // In this collation lower case is that of A to Z.
        let column = match pattern.ignores_case() {
            true => format!("lower({column})"),
            false => column,
        };
        Ok(format!("({column} LIKE {} ESCAPE '!')", self.text(&text)))
    }

    fn text(&self, text: &str) -> String {
        // No text of the server has the character zero; one that is as long as the text and has another there is equal to none.
        literal_text(&text.replace('\0', "\u{fffe}\u{ffff}"))
    }

    fn member(&self, column: &str, _: &DataType, member: &str) -> String {
        format!("({column}::jsonb ->> {})", self.text(member))
    }

    fn hash(&self, spec: HashSpec, parts: &[HashArg]) -> String {
        let parts: Vec<String> = parts
            .iter()
            .map(|part| match part {
                HashArg::Text(text) => self.text(text),
                HashArg::Value(sql, nulls) => filled(sql.clone(), *nulls),
                HashArg::Member {
                    column,
                    data_type,
                    member,
                    nulls,
                } => filled(self.member(column, data_type, member), *nulls),
            })
            .collect();
        let joined = match parts.as_slice() {
            [] => "''".to_owned(),
            // What is joined is text, also where there is one part only.
            parts => format!("({})::text", parts.join(" || ")),
        };
        hashed(spec, &joined)
    }

    fn fold(&self, spec: HashSpec, value: &str, group: &str) -> String {
        let order = match group.is_empty() {
            true => String::new(),
            false => format!(" ORDER BY {group}"),
        };
        hashed(
            spec,
            &format!("COALESCE(string_agg({value}, '|'{order}), '')"),
        )
    }

    fn folded(&self, fold: &Fold) -> Option<String> {
        let (first, _) = fold.values.first()?;
        let position = self.folds.get(first)?;
        Some(self.frame(*position))
    }

    fn row_order(&self, _: &FeatureKey, alias: &str) -> String {
        format!("{alias}.ctid")
    }

    fn groups_folds(&self) -> bool {
        true
    }

    fn ordering(&self, column: &str, data_type: &DataType) -> String {
        match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                format!("{column} COLLATE \"C\"")
            }
            DataType::Dictionary(_, value) => self.ordering(column, value),
            _ => column.into(),
        }
    }

    fn nulls_matched_columns(&self) -> bool {
        true
    }

    /// As a barrier: what a subquery with it computes is computed once per row.
    fn barrier(&self) -> &'static str {
        " OFFSET 0"
    }

    /// As arrays of one value each: the server joins by their hashes, and their nulls are equal. What is null or differs it would find out
    /// for each row beside each other.
    fn same(&self, a: &str, b: &str, data_type: &DataType) -> String {
        match Kept::of(data_type) {
            // An array of arrays does not tell null and empty apart, and JSON as it was written is not compared at all.
            Some(kept) if !data_type.is_nested() && kept != Kept::Json => {
                let kept = kept.sql();
                format!("ARRAY[({a})::{kept}] = ARRAY[({b})::{kept}]")
            }
            _ => format!("{a} IS NOT DISTINCT FROM {b}"),
        }
    }

    fn converted(&self, column: &str, _from: &DataType, to: &DataType) -> String {
        match Kept::of(to) {
            Some(kept) => format!("({column})::{}", kept.sql()),
            None => column.into(),
        }
    }

    fn null(&self, data_type: &DataType) -> String {
        match Kept::of(data_type) {
            Some(kept) => format!("CAST(NULL AS {})", kept.sql()),
            None => "NULL".into(),
        }
    }
}

fn filled(sql: String, nulls: Nulls) -> String {
    match nulls {
        Nulls::Propagate => sql,
        Nulls::Empty => format!("COALESCE({sql}, '')"),
    }
}

/// The hash of a text. Of an algorithm that the server has not, the text itself: it is hashed where it is read.
fn hashed(spec: HashSpec, text: &str) -> String {
    let whole = match spec.algorithm {
        HashAlgorithm::Md5 => format!("md5({text})"),
        HashAlgorithm::Sha256 => format!("encode(sha256(convert_to({text}, 'UTF8')), 'hex')"),
        _ => return text.to_owned(),
    };
    match spec.length < spec.algorithm.text_length() {
        true => format!("left({whole}, {})", spec.length),
        false => whole,
    }
}

/// A date before the year 1 as PostgreSQL writes it: the year 0 is 1 BC.
fn calendar(date: &str) -> String {
    let Some(digits) = date
        .strip_prefix('-')
        .or_else(|| date.strip_prefix("0000").map(|_| date))
    else {
        return date.trim_start_matches('+').to_owned();
    };
    let (year, rest) = digits.split_once('-').unwrap_or((digits, ""));
    let year: i64 = year.parse().unwrap_or_default();
    format!("{:04}-{rest} BC", year + 1)
}

fn out_of_range(value: &Value) -> Error {
    Error::new(
        ErrorKind::InvalidFilter,
        format!("{value:?} is out of the range of times"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_before_our_era_are_written_as_postgresql_has_them() {
        assert_eq!(calendar("2026-01-02"), "2026-01-02");
        assert_eq!(calendar("0000-02-03"), "0001-02-03 BC");
        assert_eq!(calendar("-0043-03-15"), "0044-03-15 BC");
        assert_eq!(calendar("+12026-01-02"), "12026-01-02");
    }
}
