//! What SQLite does in its own way.

use std::collections::HashSet;

use arrow::datatypes::{DataType, TimeUnit};
use metaxy_core::expr::{CompareOp, Pattern, Value};
use metaxy_core::plan::{HashSpec, Scan};
use metaxy_core::sql::{Dialect, HashArg, Marks, Matching, Replacing, Side, no_literal, quote};
use metaxy_core::{Error, ErrorKind, FeatureKey, Result};

use crate::compare::{Form, ordered_by};
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

/// The column that says in which order rows were stored. SQLite's own names for it (`rowid` and two more) may be those of
/// a user's columns.
pub(crate) const ROW: &str = "metaxy.row";

/// The most tables that SQLite is given to join at once. It joins 64 (<https://sqlite.org/limits.html>), but finds no good order of so many.
const JOINED_AT_MOST: usize = 16;

/// The most columns that a table or a result has, as SQLite is built by default.
pub(crate) const COLUMNS_AT_MOST: usize = 2_000;

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

impl Marks for SqliteDialect {
    fn label(&self, row: &str, changed: &str, leads: Option<&str>) -> String {
        format!("metaxy_label({row}, {changed}, {})", leads.unwrap_or("1"))
    }

    fn is_marked(&self, row: &str) -> String {
        format!("metaxy_marked({row})")
    }
}

impl Dialect for SqliteDialect {
    fn table(&self, table: &FeatureKey) -> String {
        format!("main.{}", quote(&self.table_name(table)))
    }

    /// Integers are kept as integers of one width, texts as texts, times as counts of their unit.
    fn converted(&self, column: &str, from: &DataType, to: &DataType) -> String {
        match (from, to) {
            (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) if from != to => {
                format!("({column} * {})", micros_per(*from) / micros_per(*to))
            }
            _ if from.is_integer() && !to.is_integer() => format!("CAST({column} AS TEXT)"),
            _ if to.is_integer() && !from.is_integer() => format!("CAST({column} AS INTEGER)"),
            _ => column.into(),
        }
    }

    fn frame(&self, position: usize) -> String {
        format!("temp.{}", quote(&frame_name(position)))
    }

    fn literal(&self, value: &Value, compared_with: Option<&DataType>) -> Result<String> {
        Ok(match (value, compared_with) {
            (Value::Null, _) => "NULL".into(),
            (Value::Bool(value), _) => self.boolean(*value).into(),
            (Value::Int(value), _) => integer(*value),
            (Value::Decimal(value), Some(column)) => match Form::of(column) {
                Some(Form::Digits(_)) => format!("'{}'", value.unscaled()),
                _ => integer(value.unscaled()),
            },
            (Value::Decimal(value), None) => format!("{:e}", value.to_f64()),
            (Value::Float(value), _) if value.is_finite() => format!("{value:e}"),
            (Value::Text(text), _) => self.text(text),
            (Value::Date(days), _) => days.to_string(),
            // A bound one is a whole number of the column's units.
            (Value::Timestamp(micros), Some(column)) => {
                let nanos = i128::from(*micros) * 1_000;
                integer(match Form::of(column) {
                    Some(Form::Count(unit)) => nanos.div_euclid(unit.into()),
                    _ => nanos,
                })
            }
            (Value::Timestamp(micros), None) => micros.to_string(),
            (other, _) => return Err(no_literal("SQLite", other)),
        })
    }

    fn operand(&self, column: &str, data_type: &DataType) -> Result<String> {
        match data_type {
            DataType::Dictionary(_, value) => self.operand(column, value),
            nested if nested.is_nested() => Err(Error::new(
                ErrorKind::Unsupported,
                format!("a filter cannot compare a column of type {data_type}"),
            )),
            _ => Ok(column.into()),
        }
    }

    /// Numbers and times whose counts mean different things are compared by a function: to multiply them could overflow.
    fn compare(&self, left: &Side<'_>, op: CompareOp, right: &Side<'_>) -> Result<String> {
        let (l, r) = (left.beside(right, self)?, right.beside(left, self)?);
        let op = op.as_sql();
        Ok(match ordered_by(left, right) {
            None => format!("({l} {op} {r})"),
            Some((a, b)) => format!("(metaxy_order({l}, {a}, {r}, {b}) {op} 0)"),
        })
    }

    /// SQLite's own LIKE takes A for a.
    fn like(&self, column: &str, data_type: &DataType, pattern: &Pattern) -> Result<String> {
        let function = match pattern.ignores_case() {
            true => "metaxy_ilike",
            false => "metaxy_like",
        };
        let column = self.operand(column, data_type)?;
        let pattern = self.text(&pattern.escaped());
        Ok(format!("{function}({column}, {pattern})"))
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

    fn row_order(&self, _: &FeatureKey, alias: &str) -> String {
        format!("{alias}.{}", quote(ROW))
    }

    /// The table's columns are ours: none has this name.
    fn frame_row(&self, alias: &str) -> Option<String> {
        Some(format!("{alias}.rowid"))
    }

    fn replacing(&self, scan: &Scan, _: &str) -> Replacing {
        match (&scan.feature_version, &scan.latest_per) {
            (Some(version), Some(ids)) => {
                let key = (self.table_name(&scan.table), version.clone(), ids.clone());
                match self.written_once.contains(&key) {
                    true => Replacing::None,
                    false => Replacing::Any,
                }
            }
            _ => Replacing::Any,
        }
    }

    fn barrier(&self) -> &'static str {
        " LIMIT -1"
    }

    fn joined_at_most(&self) -> usize {
        JOINED_AT_MOST
    }

    fn matching(&self) -> Matching<'_> {
        Matching::Marks(self)
    }

    /// TRUE and FALSE are no keywords: they would be a column of that name.
    fn boolean(&self, value: bool) -> &'static str {
        if value { "1" } else { "0" }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use metaxy_core::plan::{Compare, JoinKind, Relation, Scalar};
    use metaxy_core::sql::render;
    use rusqlite::Connection;

    use super::*;
    use crate::functions::{self, register};

    /// SQLite's functions and types, but with the full joins that other engines use.
    struct FullJoins(SqliteDialect);

    impl Dialect for FullJoins {
        fn table(&self, table: &FeatureKey) -> String {
            self.0.table(table)
        }
        fn frame(&self, position: usize) -> String {
            self.0.frame(position)
        }
        fn literal(&self, value: &Value, compared_with: Option<&DataType>) -> Result<String> {
            self.0.literal(value, compared_with)
        }
        fn operand(&self, column: &str, data_type: &DataType) -> Result<String> {
            self.0.operand(column, data_type)
        }
        fn member(&self, column: &str, data_type: &DataType, member: &str) -> String {
            self.0.member(column, data_type, member)
        }
        fn hash(&self, spec: HashSpec, parts: &[HashArg]) -> String {
            self.0.hash(spec, parts)
        }
        fn fold(&self, spec: HashSpec, value: &str, over: &str) -> String {
            self.0.fold(spec, value, over)
        }
        fn row_order(&self, table: &FeatureKey, alias: &str) -> String {
            self.0.row_order(table, alias)
        }
    }

    fn rows(
        connection: &Connection,
        sql: &str,
        columns: usize,
    ) -> Vec<Vec<rusqlite::types::Value>> {
        let mut statement = connection.prepare(sql).unwrap();
        let read = |row: &rusqlite::Row<'_>| (0..columns).map(|i| row.get(i)).collect();
        let mut rows: Vec<Vec<_>> = statement
            .query_map([], read)
            .unwrap()
            .map(|r| r.unwrap())
            .collect();
        rows.sort_by_key(|row| format!("{row:?}"));
        rows
    }

    /// Two tables of IDs and versions in a connection, and the relations over them.
    fn fixture() -> (Connection, functions::Marks, Relation, Relation) {
        let connection = Connection::open_in_memory().unwrap();
        let marks = functions::Marks::default();
        register(&connection, &marks).unwrap();
        for (position, values) in [
            (
                0,
                "(1, 'a'), (2, 'b'), (3, NULL), (4, NULL), (5, 'e'), (NULL, 'n')",
            ),
            (
                1,
                "(1, 'a'), (2, 'x'), (3, NULL), (4, 'd'), (6, 'f'), (NULL, 'n')",
            ),
        ] {
            let table = quote(&frame_name(position));
            let sql = format!(
                "CREATE TEMP TABLE {table} (c0 INTEGER, c1 TEXT); INSERT INTO {table} VALUES {values}"
            );
            connection.execute_batch(&sql).unwrap();
        }
        let ids: ArrayRef = Arc::new(Int64Array::from(Vec::<i64>::new()));
        let texts: ArrayRef = Arc::new(StringArray::from(Vec::<&str>::new()));
        let schema = |version: &str| {
            RecordBatch::try_from_iter([("id", ids.clone()), (version, texts.clone())])
                .unwrap()
                .schema()
        };
        let (left, right) = (
            Relation::frame(0, schema("l")),
            Relation::frame(1, schema("r")),
        );
        (connection, marks, left, right)
    }

    #[test]
    fn full_joins_and_two_arms_are_the_same() {
        let (connection, _, left, right) = fixture();
        let joined = left.join(right, vec!["id".into()], JoinKind::Full).unwrap();
        let two_arms = rows(
            &connection,
            &render(&joined, &SqliteDialect::default()).unwrap(),
            3,
        );
        let full = rows(
            &connection,
            &render(&joined, &FullJoins(SqliteDialect::default())).unwrap(),
            3,
        );
        assert_eq!(two_arms.len(), 8, "null agrees with nothing");
        assert_eq!(two_arms, full);
    }

    /// Tables that are read together are told apart by a text: to compare each row with each other one would take for ever.
    #[test]
    fn rows_that_never_meet_are_not_compared() {
        let (connection, _, left, right) = fixture();
        let tagged = |relation: Relation, tag: &str, name: &str| {
            let columns = vec![
                ("tag".to_owned(), Scalar::Text(tag.into())),
                (name.to_owned(), Scalar::column(name)),
            ];
            relation.project(columns).unwrap()
        };
        let tag = || vec!["tag".to_owned()];
        let (left, right) = (tagged(left, "0", "l"), tagged(right, "1", "r"));
        let third = tagged(left.clone(), "2", "l").project(vec![
            ("tag".into(), Scalar::Text("2".into())),
            ("x".into(), Scalar::column("l")),
        ]);
        let joined = left.join(right, tag(), JoinKind::Full).unwrap();
        let both = joined
            .clone()
            .join(third.unwrap(), tag(), JoinKind::Full)
            .unwrap();
        for (relation, width, expected) in [(joined, 3, 12), (both, 4, 18)] {
            let sql = render(&relation, &SqliteDialect::default()).unwrap();
            assert!(!sql.contains("JOIN") && !sql.contains("EXISTS"), "{sql}");
            assert_eq!(rows(&connection, &sql, width).len(), expected, "{sql}");
        }
    }

    #[test]
    fn marks_and_full_joins_compare_alike() {
        let (connection, marks, expected, stored) = fixture();
        // A scan has rows that can be marked; a frame has not, so its rows are numbered by a table.
        connection
            .execute_batch(&format!(
                "CREATE TABLE t (\"metaxy.row\" INTEGER PRIMARY KEY, id INTEGER, r TEXT, metaxy_updated_at INTEGER, metaxy_deleted_at INTEGER);
                 INSERT INTO t (id, r) SELECT c0, c1 FROM temp.{}",
                quote(&frame_name(1))
            ))
            .unwrap();
        let scan = Scan {
            table: FeatureKey::new("t").unwrap(),
            feature_version: None,
            as_of: None,
            latest_per: None,
        };
        let relation = Relation::compare(Compare {
            expected,
            stored: Relation::scan(scan, stored.schema().clone()),
            on: vec!["id".into()],
            expected_version: "l".into(),
            stored_version: "r".into(),
            stale_if: None,
            leader: None,
        })
        .unwrap();
        marks.clear();
        let marked = rows(
            &connection,
            &render(&relation, &SqliteDialect::default()).unwrap(),
            5,
        );
        let full = rows(
            &connection,
            &render(&relation, &FullJoins(SqliteDialect::default())).unwrap(),
            5,
        );
        assert_eq!(marked, full);
        let labels: Vec<_> = marked.iter().map(|row| format!("{:?}", row[0])).collect();
        let count = |label: i64| {
            labels
                .iter()
                .filter(|l| **l == format!("Integer({label})"))
                .count()
        };
        // New: 5 and the null. Stale: 2 and 4, not 3. Orphaned: 6 and the null.
        assert_eq!((count(1), count(2), count(3)), (2, 2, 2));
    }
}
