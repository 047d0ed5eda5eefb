//! What SQL engines do differently.

use arrow::datatypes::DataType;

use crate::error::{Error, ErrorKind, Result};
use crate::expr::{CompareOp, Pattern, Value};
use crate::key::FeatureKey;
use crate::plan::{Fold, HashSpec, Nulls, Scan};

/// Which rows may replace others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replacing {
    /// Any row may.
    Any,
    /// None does: every sample has one row.
    None,
    /// Only those for which this condition holds. Each of them is later than every row for which it does not hold, and of
    /// those rows every sample has one at most.
    Where(String),
}

impl Replacing {
    pub(super) fn condition(&self) -> Option<String> {
        match self {
            Self::Where(condition) => Some(condition.clone()),
            Self::Any | Self::None => None,
        }
    }
}

/// A part of what [`Dialect::hash`] hashes.
#[derive(Debug, Clone)]
pub enum HashArg {
    /// This text.
    Text(String),
    /// The value of a SQL expression of type text.
    Value(String, Nulls),
    /// A member of a struct or map column.
    Member {
        /// The SQL expression of the column.
        column: String,
        /// Its type.
        data_type: DataType,
        /// The member.
        member: String,
        /// What a null means.
        nulls: Nulls,
    },
}

/// How an engine finds the stored rows that no expected row matches.
#[derive(Clone, Copy)]
pub enum Matching<'a> {
    /// It has an efficient full outer join.
    FullJoin,
    /// It walks through the expected rows with a left join and notes the stored rows that it meets; the rest follows in a second arm.
    Marks(&'a dyn Marks),
}

/// How an engine notes the stored rows that an expected row matched.
pub trait Marks {
    /// The label of an expected row and the stored row `row` that it matched (null: none), which is noted. `changed` says whether the
    /// stored row is another version; `leads` whether it speaks for its group.
    fn label(&self, row: &str, changed: &str, leads: Option<&str>) -> String;

    /// Whether `row` was noted.
    fn is_marked(&self, row: &str) -> String;
}

/// One side of a comparison of a bound filter.
#[derive(Debug, Clone)]
pub enum Side<'a> {
    /// A column.
    Column {
        /// Its SQL.
        sql: String,
        /// Its type.
        data_type: &'a DataType,
    },
    /// A value, of the type of the column on the other side.
    Literal(&'a Value),
}

impl Side<'_> {
    /// The type of a column.
    #[must_use]
    pub const fn data_type(&self) -> Option<&DataType> {
        match self {
            Self::Column { data_type, .. } => Some(data_type),
            Self::Literal(_) => None,
        }
    }

    /// The side as an operand beside another.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the engine cannot compare the two.
    pub fn beside(&self, other: &Self, dialect: &(impl Dialect + ?Sized)) -> Result<String> {
        match self {
            Self::Column { sql, data_type } => dialect.operand(sql, data_type),
            Self::Literal(value) => dialect.literal(value, other.data_type()),
        }
    }
}

/// How one SQL engine writes what [`render`](super::render) asks for. Methods take and give SQL text.
pub trait Dialect: Send + Sync {
    /// The quoted name of a feature's table: what rows are deleted from.
    fn table(&self, table: &FeatureKey) -> String;

    /// What a scan of a feature reads from: by default its [table](Self::table), otherwise a query of that, in parentheses, that also has
    /// what [`row_order`](Self::row_order) needs. `first`: no other scan comes before it in the statement.
    fn source(&self, table: &FeatureKey, first: bool) -> String {
        let _ = first;
        self.table(table)
    }

    /// The quoted name of the table that holds a frame of the caller. Its columns are named by
    /// [`column_at`](super::column_at).
    fn frame(&self, position: usize) -> String;

    /// A value as a literal, to be compared with a column of type `compared_with`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the engine cannot compare the two.
    fn literal(&self, value: &Value, compared_with: Option<&DataType>) -> Result<String>;

    /// A column as an operand of a comparison with values of its own type.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the engine cannot compare this type.
    fn operand(&self, column: &str, data_type: &DataType) -> Result<String>;

    /// A comparison of a bound filter, in parentheses: for every two types what
    /// [`Expr::evaluate`](crate::expr::Expr::evaluate) gives. By default what the engine makes of the two
    /// [operands](Self::operand); others have to be written where it would round, overflow or compare counts of different units.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the engine cannot compare the two.
    fn compare(&self, left: &Side<'_>, op: CompareOp, right: &Side<'_>) -> Result<String> {
        let (l, r) = (left.beside(right, self)?, right.beside(left, self)?);
        Ok(format!("({l} {} {r})", op.as_sql()))
    }

    /// Whether a column of text is like a pattern, in parentheses; null for null. By default with `LIKE`, which has to tell case apart, and
    /// `translate`, as PostgreSQL has it.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the engine cannot compare this type.
    fn like(&self, column: &str, data_type: &DataType, pattern: &Pattern) -> Result<String> {
        let mut column = self.operand(column, data_type)?;
        if pattern.ignores_case() {
            column = format!(
                "translate({column}, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz')"
            );
        }
        let pattern = self.text(&pattern.escaped());
        Ok(format!("({column} LIKE {pattern} ESCAPE '!')"))
    }

    /// A text as a literal.
    fn text(&self, text: &str) -> String {
        literal_text(text)
    }

    /// The text of a member of a struct or map column, null if there is none.
    fn member(&self, column: &str, data_type: &DataType, member: &str) -> String;

    /// The hash of the parts, one after the other.
    fn hash(&self, spec: HashSpec, parts: &[HashArg]) -> String;

    /// A group's texts that are not null, joined with `|` and hashed. `group` is the window that orders a group (`(PARTITION BY
    /// … ORDER BY … ROWS …)`), or with [`groups`](Self::groups) the order within it (`a ASC NULLS FIRST, …`).
    fn fold(&self, spec: HashSpec, value: &str, group: &str) -> String;

    /// The storage order of a row of a table under this alias: greater is later.
    fn row_order(&self, table: &FeatureKey, alias: &str) -> String;

    /// Whether the engine groups all rows of a table faster than it looks for one in an index. Then it finds the rows that later
    /// ones replaced, and the folds of groups, by grouping: otherwise by a search for a later row, and by windows.
    fn groups(&self) -> bool {
        false
    }

    /// Whether the engine computes the folds of groups by grouping, also if it does not [group](Self::groups) otherwise.
    fn groups_folds(&self) -> bool {
        self.groups()
    }

    /// The quoted name of a table that holds the folds of the groups already, if there is one: its columns are named by
    /// [`column_at`](super::column_at), the keys of the fold first, then its values. Only where folds are computed by grouping.
    fn folded(&self, fold: &Fold) -> Option<String> {
        let _ = fold;
        None
    }

    /// A column of this type to be ordered by: texts have the order of their bytes.
    fn ordering(&self, column: &str, data_type: &DataType) -> String {
        let _ = data_type;
        column.into()
    }

    /// Whether a comparison leaves the stored columns of rows that have a partner null, apart from their versions (of the sample and of
    /// the feature): nobody asks for them, and to send them takes its time.
    fn nulls_matched_columns(&self) -> bool {
        false
    }

    /// With [`groups`](Self::groups): one value by which rows of a table are compared, the later the greater; null if the stamp is.
    fn write_order(&self, stamp: &str, row: &str) -> String {
        let _ = row;
        stamp.into()
    }

    /// Which rows of `alias`, the rows of a scan, may replace others of the same sample, as `latest_per` asks for.
    fn replacing(&self, scan: &Scan, alias: &str) -> Replacing {
        let _ = (scan, alias);
        Replacing::Any
    }

    /// With [`Matching::Marks`]: what tells a row of a frame's table under this alias from the others.
    fn frame_row(&self, alias: &str) -> Option<String> {
        let _ = alias;
        None
    }

    /// What is appended to a subquery so that what it computes is computed once per row.
    fn barrier(&self) -> &'static str {
        ""
    }

    /// How many tables the engine joins in one statement, subqueries looked through. Joins of more are divided by [barriers](Self::barrier).
    fn joined_at_most(&self) -> usize {
        usize::MAX
    }

    /// Whether `FULL JOIN` is efficient; otherwise a join of that kind becomes two arms.
    fn matching(&self) -> Matching<'_> {
        Matching::FullJoin
    }

    /// True or false as a literal, also to be asked for with `IS`.
    fn boolean(&self, value: bool) -> &'static str {
        if value { "TRUE" } else { "FALSE" }
    }

    /// `a` and `b` differ, null being equal to null.
    fn distinct(&self, a: &str, b: &str) -> String {
        format!("{a} IS DISTINCT FROM {b}")
    }

    /// `a` and `b`, both of this type, do not differ, null being equal to null. Rows are joined by it: an engine that joins by no hash of
    /// such a comparison compares each row with each, and needs another one.
    fn same(&self, a: &str, b: &str, data_type: &DataType) -> String {
        let _ = data_type;
        format!("{a} IS NOT DISTINCT FROM {b}")
    }

    /// A column of type `from` as one of type `to`, which holds its values; see [`Scalar::Converted`](crate::plan::Scalar). By default numbers
    /// are numbers, whatever their width, and only digits and numbers become each other.
    fn converted(&self, column: &str, from: &DataType, to: &DataType) -> String {
        match (from.is_integer(), to.is_integer()) {
            (true, false) => format!("CAST({column} AS TEXT)"),
            (false, true) => format!("CAST({column} AS BIGINT)"),
            _ => column.into(),
        }
    }

    /// A null of this type.
    fn null(&self, data_type: &DataType) -> String {
        let _ = data_type;
        "NULL".into()
    }
}

/// What [`Dialect::literal`] fails with for a value that `engine` cannot write, such as an infinite number.
#[must_use]
pub fn no_literal(engine: &str, value: &Value) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("{engine} has no value for {value:?} in a filter"),
    )
}

/// A name in double quotes.
#[must_use]
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in single quotes.
#[must_use]
pub fn literal_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
