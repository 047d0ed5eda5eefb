//! Bound filters as SQL.

use arrow::datatypes::Schema;

use super::{Dialect, Side};
use crate::error::Result;
use crate::expr::{Expr, Operand, Value};
use crate::plan::internal;

/// A bound filter over columns of `schema`; `column` gives the SQL of a column.
///
/// # Errors
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the engine cannot compare something.
pub fn condition(
    filter: &Expr,
    schema: &Schema,
    column: &dyn Fn(&str) -> Result<String>,
    dialect: &dyn Dialect,
) -> Result<String> {
    Condition {
        schema,
        column,
        dialect,
    }
    .render(filter)
}

struct Condition<'a> {
    schema: &'a Schema,
    column: &'a dyn Fn(&str) -> Result<String>,
    dialect: &'a dyn Dialect,
}

impl Condition<'_> {
    fn render(&self, filter: &Expr) -> Result<String> {
        Ok(match filter {
            Expr::Operand(operand) => self.operand(operand)?,
            Expr::Compare { left, op, right } => {
                self.dialect
                    .compare(&self.side(left)?, *op, &self.side(right)?)?
            }
            Expr::IsNull { operand, negated } => {
                // Any type can be asked for null, also one that the engine cannot compare.
                let operand = match operand {
                    Operand::Column(name) => (self.column)(name)?,
                    Operand::Literal(value) => self.dialect.literal(value, None)?,
                };
                format!("({operand} IS {}NULL)", not(*negated))
            }
            Expr::IsBool {
                operand,
                value,
                negated,
            } => format!(
                "({} IS {}{})",
                self.operand(operand)?,
                not(*negated),
                self.dialect.boolean(*value)
            ),
            Expr::In {
                operand,
                list,
                negated,
            } => self.render_in(operand, list, *negated)?,
            Expr::Like {
                operand,
                pattern,
                negated,
            } => {
                let like = match self.side(operand)? {
                    Side::Column { sql, data_type } => {
                        self.dialect.like(&sql, data_type, pattern)?
                    }
                    Side::Literal(_) => return Err(internal("a literal beside a pattern".into())),
                };
                match negated {
                    true => format!("(NOT {like})"),
                    false => like,
                }
            }
            Expr::Not(inner) => format!("(NOT {})", self.render(inner)?),
            Expr::And(all) => self.join(all, " AND ", true)?,
            Expr::Or(any) => self.join(any, " OR ", false)?,
        })
    }

    fn render_in(&self, operand: &Operand, list: &[Value], negated: bool) -> Result<String> {
        if list.is_empty() {
            return Ok(self.dialect.boolean(negated).into());
        }
        let data_type = match operand {
            Operand::Column(name) => Some(self.schema.field_with_name(name)?.data_type()),
            Operand::Literal(_) => None,
        };
        let values = list
            .iter()
            .map(|value| self.dialect.literal(value, data_type))
            .collect::<Result<Vec<_>>>()?;
        Ok(format!(
            "({} {}IN ({}))",
            self.operand(operand)?,
            not(negated),
            values.join(", ")
        ))
    }

    fn join(&self, list: &[Expr], word: &str, empty: bool) -> Result<String> {
        if list.is_empty() {
            return Ok(self.dialect.boolean(empty).into());
        }
        let list = list
            .iter()
            .map(|inner| self.render(inner))
            .collect::<Result<Vec<_>>>()?;
        Ok(balanced(&list, word))
    }

    /// An operand that is compared with nothing, or with literals of its own type.
    fn operand(&self, operand: &Operand) -> Result<String> {
        match self.side(operand)? {
            Side::Column { sql, data_type } => self.dialect.operand(&sql, data_type),
            Side::Literal(value) => self.dialect.literal(value, None),
        }
    }

    fn side<'b>(&'b self, operand: &'b Operand) -> Result<Side<'b>> {
        Ok(match operand {
            Operand::Column(name) => Side::Column {
                sql: (self.column)(name)?,
                data_type: self.schema.field_with_name(name)?.data_type(),
            },
            Operand::Literal(value) => Side::Literal(value),
        })
    }
}

/// A long chain as a balanced tree: engines limit the depth of an expression, and a chain is as deep as it is long.
fn balanced(list: &[String], word: &str) -> String {
    match list {
        [] => String::new(),
        [one] => one.clone(),
        many => {
            let (left, right) = many.split_at(many.len() / 2);
            format!("({}{word}{})", balanced(left, word), balanced(right, word))
        }
    }
}

const fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}
