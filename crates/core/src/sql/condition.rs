//! Bound filters as SQL.

use arrow::datatypes::{DataType, Schema};

use super::Dialect;
use crate::error::Result;
use crate::expr::{Expr, Operand, Value};

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
            Expr::Operand(operand) => self.operand(operand, None)?,
            Expr::Compare { left, op, right } => {
                let (left_type, right_type) = (self.type_of(left)?, self.type_of(right)?);
                format!(
                    "({} {} {})",
                    self.operand(left, right_type.as_ref())?,
                    op.as_sql(),
                    self.operand(right, left_type.as_ref())?
                )
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
                self.operand(operand, None)?,
                not(*negated),
                self.dialect.boolean(*value)
            ),
            Expr::In {
                operand,
                list,
                negated,
            } => self.render_in(operand, list, *negated)?,
            Expr::Not(inner) => format!("(NOT {})", self.render(inner)?),
            Expr::And(all) => self.join(all, " AND ", true)?,
            Expr::Or(any) => self.join(any, " OR ", false)?,
        })
    }

    fn render_in(&self, operand: &Operand, list: &[Value], negated: bool) -> Result<String> {
        if list.is_empty() {
            return Ok(self.dialect.boolean(negated).into());
        }
        let data_type = self.type_of(operand)?;
        let values = list
            .iter()
            .map(|value| self.dialect.literal(value, data_type.as_ref()))
            .collect::<Result<Vec<_>>>()?;
        Ok(format!(
            "({} {}IN ({}))",
            self.operand(operand, None)?,
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

    fn operand(&self, operand: &Operand, compared_with: Option<&DataType>) -> Result<String> {
        match operand {
            Operand::Column(name) => {
                let field = self.schema.field_with_name(name)?;
                self.dialect
                    .operand(&(self.column)(name)?, field.data_type())
            }
            Operand::Literal(value) => self.dialect.literal(value, compared_with),
        }
    }

    fn type_of(&self, operand: &Operand) -> Result<Option<DataType>> {
        match operand {
            Operand::Column(name) => {
                Ok(Some(self.schema.field_with_name(name)?.data_type().clone()))
            }
            Operand::Literal(_) => Ok(None),
        }
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
