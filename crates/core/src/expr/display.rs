//! Filters as SQL text that [`Expr::parse`] reads back.

use std::fmt;

use super::moment;
use super::{Expr, Operand, Value};

/// SQL text of the filter language.
///
/// Parsing it gives an equal filter, with these exceptions, which are equal once bound: dates and moments come back as
/// text, and lists of fewer than two conditions as what they mean. NaN and infinities have no text that binds.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operand(operand) => operand.fmt(f),
            Self::Compare { left, op, right } => write!(f, "{left} {} {right}", op.as_sql()),
            Self::IsNull { operand, negated } => write!(f, "{operand} IS {}NULL", not(*negated)),
            Self::IsBool {
                operand,
                value,
                negated,
            } => write!(f, "{operand} IS {}{}", not(*negated), Value::Bool(*value)),
            Self::In {
                operand,
                list,
                negated,
            } => {
                write!(f, "{operand} {}IN (", not(*negated))?;
                for (i, value) in list.iter().enumerate() {
                    write!(f, "{}{value}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
            Self::Like {
                operand,
                pattern,
                negated,
            } => {
                let word = if pattern.ignores_case() {
                    "ILIKE"
                } else {
                    "LIKE"
                };
                write!(f, "{operand} {}{word} {pattern}", not(*negated))
            }
            Self::Not(inner) => match **inner {
                Self::Operand(_) | Self::Not(_) => write!(f, "NOT {inner}"),
                _ => write!(f, "NOT ({inner})"),
            },
            Self::And(list) if list.is_empty() => f.write_str("TRUE"),
            Self::Or(list) if list.is_empty() => f.write_str("FALSE"),
            Self::And(list) => join(f, list, " AND ", |inner| {
                matches!(inner, Self::And(_) | Self::Or(_))
            }),
            Self::Or(list) => join(f, list, " OR ", |inner| matches!(inner, Self::Or(_))),
        }
    }
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

fn join(
    f: &mut fmt::Formatter<'_>,
    list: &[Expr],
    word: &str,
    in_parentheses: impl Fn(&Expr) -> bool,
) -> fmt::Result {
    for (i, inner) in list.iter().enumerate() {
        if i > 0 {
            f.write_str(word)?;
        }
        if in_parentheses(inner) {
            write!(f, "({inner})")?;
        } else {
            write!(f, "{inner}")?;
        }
    }
    Ok(())
}

/// A column's name, in double quotes where it needs them, or a literal.
impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(name) if is_plain(name) => f.write_str(name),
            Self::Column(name) => write!(f, "\"{}\"", name.replace('"', "\"\"")),
            Self::Literal(value) => value.fmt(f),
        }
    }
}

/// The literal in SQL.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Bool(true) => f.write_str("TRUE"),
            Self::Bool(false) => f.write_str("FALSE"),
            Self::Int(value) => value.fmt(f),
            Self::Decimal(value) => value.fmt(f),
            // The exponent is what tells it from a decimal.
            Self::Float(value) if value.is_finite() => write!(f, "{value:e}"),
            Self::Float(value) => write!(f, "'{value}'"),
            Self::Text(value) => write!(f, "'{}'", value.replace('\'', "''")),
            Self::Date(days) => write!(f, "'{}'", moment::date_text(*days)),
            Self::Timestamp(micros) => write!(f, "'{}'", moment::timestamp_text(*micros)),
        }
    }
}

/// Whether a name means itself without quotes, here and for the reference.
fn is_plain(name: &str) -> bool {
    let mut characters = name.chars();
    characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !QUOTED.iter().any(|word| word.eq_ignore_ascii_case(name))
}

/// Names that are written in quotes: words of the grammar, of statements and clauses (finding 58), and of functions that
/// SQL writes without parentheses.
const QUOTED: &[&str] = &[
    "all",
    "alter",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "between",
    "by",
    "cache",
    "case",
    "cast",
    "comment",
    "commit",
    "create",
    "cross",
    "current_date",
    "current_time",
    "current_timestamp",
    "current_user",
    "delete",
    "desc",
    "describe",
    "distinct",
    "drop",
    "else",
    "end",
    "except",
    "exists",
    "false",
    "for",
    "from",
    "full",
    "glob",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "inner",
    "insert",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "kill",
    "lateral",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "merge",
    "natural",
    "not",
    "notnull",
    "null",
    "offset",
    "on",
    "or",
    "order",
    "pragma",
    "regexp",
    "right",
    "rlike",
    "rollback",
    "select",
    "set",
    "show",
    "similar",
    "some",
    "table",
    "then",
    "true",
    "truncate",
    "union",
    "unique",
    "update",
    "use",
    "user",
    "using",
    "values",
    "when",
    "where",
    "window",
    "with",
    "xor",
];
