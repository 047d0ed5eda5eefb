//! Filters checked against a schema.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Schema};

use super::parse::no_column;
use super::schema::{Class, Fit, Kind, Misfit, class_of, described, described_value};
use super::value::compare_numbers;
use super::{CompareOp, Expr, Operand, Pattern, Value};
use crate::error::{Error, ErrorKind, Result, nearest};
use crate::plan::is_internal;

impl Expr {
    /// Checks the filter against the columns that it will be applied to, and gives every literal the type of its column.
    ///
    /// Literals adapt to columns: a number becomes what the column holds, and text beside a date or timestamp becomes one
    /// (`'2024-01-31'`, `'2024-01-31 12:00:00+02:00'`; without a zone it is UTC, and so are columns without one). An
    /// integer, decimal or moment that the column cannot hold exactly is moved to the nearest value below it and the comparison
    /// adjusted, so that the meaning stays exact: `i > 1.5` becomes `i > 1`, and `s > '2024-01-31 12:00:00.5'` becomes
    /// `s > '2024-01-31 12:00:00'` where `s` has seconds. Beside floating-point columns, decimals become
    /// the nearest floating-point number. Nothing else is converted.
    ///
    /// In the filter that comes back,
    /// - the left side of a comparison is a column; the right side is another column that it can be compared with, the same
    ///   column (`x = x` is true unless null, `x <> x` false unless null), or a literal of the column's type: `Bool`, `Int`
    ///   within its range, finite `Float`, `Decimal` of its scale, `Text`, `Date`, or `Timestamp` of its unit (also for `Date64`); never null;
    /// - so are the values of lists, which are not empty; one of them may be null;
    /// - patterns have a column of text;
    /// - `IS NULL`, `IS TRUE` and their like have a column, and the latter a boolean one;
    /// - conditions that look at no column are `TRUE`, `FALSE` or `NULL`.
    ///
    /// Binding it again changes nothing (or fails, if no column is left in it, as in `x < NULL`).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidFilter`] for a column that does not exist (names are case-sensitive; with the nearest name), for
    /// comparisons of different kinds of things (with the column and both types), for bare columns that are not boolean,
    /// for a filter without columns, and for conditions nested more than 200 levels deep.
    pub fn bind(&self, schema: &Schema) -> Result<Self> {
        self.check_depth()?;
        if self.columns().is_empty() {
            return Err(no_column(self));
        }
        let columns = schema
            .fields()
            .iter()
            .map(|field| (field.name().as_str(), field.data_type()))
            .collect();
        Binder { columns }
            .condition(self)
            .map_err(|error| error.with_hint("compare things of the same kind"))
    }
}

struct Binder<'a> {
    columns: HashMap<&'a str, &'a DataType>,
}

impl Binder<'_> {
    fn condition(&self, expr: &Expr) -> Result<Expr> {
        let all = |list: &[Expr]| -> Result<Vec<Expr>> {
            list.iter().map(|inner| self.condition(inner)).collect()
        };
        Ok(match expr {
            Expr::Operand(operand) => self.operand(operand)?,
            Expr::Compare { left, op, right } => self.compare(left, *op, right)?,
            Expr::IsNull { operand, negated } => match operand {
                Operand::Column(name) => {
                    self.column(name)?;
                    expr.clone()
                }
                Operand::Literal(value) => constant((*value == Value::Null) != *negated),
            },
            Expr::IsBool {
                operand,
                value,
                negated,
            } => self.is_bool(operand, *value, *negated)?,
            Expr::In {
                operand,
                list,
                negated,
            } => self.is_in(operand, list, *negated)?,
            Expr::Like {
                operand, pattern, ..
            } => self.like(expr, operand, pattern)?,
            Expr::Not(inner) => !self.condition(inner)?,
            Expr::And(list) if list.is_empty() => constant(true),
            Expr::Or(list) if list.is_empty() => constant(false),
            Expr::And(list) => Expr::And(all(list)?),
            Expr::Or(list) => Expr::Or(all(list)?),
        })
    }

    fn column(&self, name: &str) -> Result<&DataType> {
        self.columns
            .get(name)
            .copied()
            .ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> Error {
        let error = Error::new(
            ErrorKind::InvalidFilter,
            format!("the filter names the column {name:?}, which does not exist"),
        )
        .with_context("column", name);
        // Plans filter rows that have columns of theirs as well.
        let known = self.columns.keys().copied();
        let mut known: Vec<&str> = known.filter(|name| !is_internal(name)).collect();
        known.sort_unstable();
        let other_case = known.iter().find(|known| known.eq_ignore_ascii_case(name));
        let near = other_case
            .copied()
            .or_else(|| nearest(name, known.iter().copied()));
        let quotes = "text stands in single quotes";
        match near {
            Some(near) => error.with_hint(format!(
                "did you mean {near:?}? Names are case-sensitive; {quotes}"
            )),
            None if known.len() <= 20 => {
                error.with_hint(format!("the columns are {}; {quotes}", known.join(", ")))
            }
            None => error.with_hint(format!("check the column's name; {quotes}")),
        }
    }

    /// An operand as a condition.
    fn operand(&self, operand: &Operand) -> Result<Expr> {
        match operand {
            Operand::Literal(Value::Null | Value::Bool(_)) => Ok(operand.clone().into()),
            Operand::Literal(value) => Err(Error::new(
                ErrorKind::InvalidFilter,
                format!("{} is not a condition", described_value(value)),
            )
            .with_hint("compare it with a column; names stand in double quotes")),
            Operand::Column(name) => {
                let data_type = self.column(name)?;
                match Kind::of(data_type).class() {
                    Class::Bool => Ok(operand.clone().into()),
                    Class::Null => Ok(null()),
                    _ => Err(Error::new(
                        ErrorKind::InvalidFilter,
                        format!(
                            "the column {name:?} holds {}, and is used as a condition, which is a boolean",
                            described(data_type)
                        ),
                    )
                    .with_hint(format!("compare it, as in `{operand} IS NOT NULL` or `{operand} <> …`"))
                    .with_context("column", name)),
                }
            }
        }
    }

    fn is_bool(&self, operand: &Operand, value: bool, negated: bool) -> Result<Expr> {
        let name = match operand {
            Operand::Column(name) => name,
            Operand::Literal(Value::Null) => return Ok(constant(negated)),
            Operand::Literal(Value::Bool(literal)) => {
                return Ok(constant((*literal == value) != negated));
            }
            Operand::Literal(other) => {
                return Err(mismatch(
                    &described_value(other),
                    &described_value(&Value::Bool(value)),
                ));
            }
        };
        let data_type = self.column(name)?;
        match Kind::of(data_type).class() {
            Class::Bool => Ok(Expr::IsBool {
                operand: operand.clone(),
                value,
                negated,
            }),
            Class::Null => Ok(constant(negated)),
            _ => Err(column_mismatch(name, data_type, &Value::Bool(value))),
        }
    }

    fn compare(&self, left: &Operand, op: CompareOp, right: &Operand) -> Result<Expr> {
        match (left, right) {
            (Operand::Column(name), Operand::Literal(value)) => {
                self.compare_literal(name, op, value)
            }
            (Operand::Literal(value), Operand::Column(name)) => {
                self.compare_literal(name, op.flipped(), value)
            }
            (Operand::Column(a), Operand::Column(b)) => self.compare_columns(a, op, b),
            (Operand::Literal(a), Operand::Literal(b)) => compare_literals(a, op, b),
        }
    }

    fn compare_literal(&self, name: &str, op: CompareOp, value: &Value) -> Result<Expr> {
        let data_type = self.column(name)?;
        let column = || Operand::Column(name.to_owned());
        let kind = Kind::of(data_type);
        match (value, op) {
            (Value::Null, CompareOp::Eq) => return Ok(column().is_null()),
            (Value::Null, CompareOp::Ne) => return Ok(column().is_not_null()),
            (Value::Null, _) => return Ok(null()),
            _ if kind == Kind::Null => return Ok(null()),
            _ => {}
        }
        let compare = |op, value| column().compare(op, Operand::Literal(value));
        let fit = kind
            .fit(value)
            .map_err(|misfit| self.misfit(name, data_type, value, &misfit))?;
        Ok(match (fit, op) {
            (Fit::On(value), _) => compare(op, value),
            (Fit::After(value), CompareOp::Lt | CompareOp::Le) => compare(CompareOp::Le, value),
            (Fit::After(value), CompareOp::Gt | CompareOp::Ge) => compare(CompareOp::Gt, value),
            (Fit::After(_), CompareOp::Ne)
            | (Fit::Below, CompareOp::Ne | CompareOp::Gt | CompareOp::Ge)
            | (Fit::Above, CompareOp::Ne | CompareOp::Lt | CompareOp::Le) => {
                unless_null(name, true)
            }
            (Fit::After(_) | Fit::Below | Fit::Above, _) => unless_null(name, false),
        })
    }

    fn compare_columns(&self, a: &str, op: CompareOp, b: &str) -> Result<Expr> {
        let (type_a, type_b) = (self.column(a)?, self.column(b)?);
        let (class_a, class_b) = (Kind::of(type_a).class(), Kind::of(type_b).class());
        if class_a == Class::Null || class_b == Class::Null {
            return Ok(null());
        }
        if class_a != class_b || class_a == Class::Other {
            return Err(mismatch(
                &format!("the column {a:?}, which holds {},", described(type_a)),
                &format!("the column {b:?}, which holds {}", described(type_b)),
            )
            .with_hint("columns are compared with columns of the same kind")
            .with_context("column", a));
        }
        Ok(Operand::Column(a.to_owned()).compare(op, Operand::Column(b.to_owned())))
    }

    fn is_in(&self, operand: &Operand, list: &[Value], negated: bool) -> Result<Expr> {
        let Operand::Column(name) = operand else {
            return Err(Error::new(
                ErrorKind::InvalidFilter,
                format!("IN asks whether a column is in a list, and {operand} is a literal"),
            )
            .with_hint("put the column on the left of IN"));
        };
        let data_type = self.column(name)?;
        let kind = Kind::of(data_type);
        if list.is_empty() {
            return Ok(constant(negated));
        }
        if kind == Kind::Null {
            return Ok(null());
        }
        let mut bound = Vec::with_capacity(list.len());
        let mut has_null = false;
        for value in list {
            if *value == Value::Null {
                has_null = true;
                continue;
            }
            match kind.fit(value) {
                Ok(Fit::On(value)) => bound.push(value),
                // No row has this value.
                Ok(_) => {}
                Err(misfit) => return Err(self.misfit(name, data_type, value, &misfit)),
            }
        }
        if has_null {
            bound.push(Value::Null);
        }
        if bound.is_empty() {
            return Ok(unless_null(name, negated));
        }
        Ok(Expr::In {
            operand: operand.clone(),
            list: bound,
            negated,
        })
    }

    fn like(&self, whole: &Expr, operand: &Operand, pattern: &Pattern) -> Result<Expr> {
        let Operand::Column(name) = operand else {
            return Err(Error::new(
                ErrorKind::InvalidFilter,
                format!("LIKE asks whether a column is like a pattern, and {operand} is a literal"),
            )
            .with_hint("put the column on the left of LIKE"));
        };
        let data_type = self.column(name)?;
        match Kind::of(data_type).class() {
            Class::Text => Ok(whole.clone()),
            Class::Null => Ok(null()),
            class => Err(Error::new(
                ErrorKind::InvalidFilter,
                format!(
                    "the filter compares the column {name:?}, which holds {}, with the pattern {pattern}",
                    described(data_type)
                ),
            )
            .with_hint(match class {
                Class::Number => "patterns are for text: compare numbers with `<` and `>`",
                Class::Time => {
                    "patterns are for text: compare dates and times with `>=` and `<`, as in `day >= '2024-01-01' AND day < '2024-02-01'`"
                }
                Class::Bool => "patterns are for text: compare it with TRUE or FALSE",
                _ => "such a column can only be asked for IS NULL or IS NOT NULL",
            })
            .with_context("column", name)),
        }
    }

    fn misfit(&self, name: &str, data_type: &DataType, value: &Value, misfit: &Misfit) -> Error {
        let error = column_mismatch(name, data_type, value);
        match misfit {
            Misfit::Value(hint) => Error::new(ErrorKind::InvalidFilter, error.message())
                .with_hint(*hint)
                .with_context("column", name),
            Misfit::Type => error,
        }
    }
}

fn compare_literals(a: &Value, op: CompareOp, b: &Value) -> Result<Expr> {
    if *a == Value::Null || *b == Value::Null {
        return Ok(match op {
            CompareOp::Eq => constant(a == b),
            CompareOp::Ne => constant(a != b),
            _ => null(),
        });
    }
    let ordering = match (a, b) {
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ if class_of(a) == Class::Number => match compare_numbers(a, b) {
            Some(ordering) => ordering,
            None => return Err(mismatch(&described_value(a), &described_value(b))),
        },
        _ => return Err(mismatch(&described_value(a), &described_value(b))),
    };
    Ok(constant(op.holds(ordering)))
}

fn constant(value: bool) -> Expr {
    Expr::Operand(Operand::Literal(Value::Bool(value)))
}

fn null() -> Expr {
    Expr::Operand(Operand::Literal(Value::Null))
}

/// `value` in rows where the column is not null, null elsewhere: for literals that no row can equal.
fn unless_null(name: &str, value: bool) -> Expr {
    let op = if value { CompareOp::Eq } else { CompareOp::Ne };
    Operand::Column(name.to_owned()).compare(op, Operand::Column(name.to_owned()))
}

fn mismatch(what: &str, other: &str) -> Error {
    Error::new(
        ErrorKind::InvalidFilter,
        format!("the filter compares {what} with {other}"),
    )
}

fn column_mismatch(name: &str, data_type: &DataType, value: &Value) -> Error {
    let hint = match (Kind::of(data_type).class(), value) {
        (Class::Other, _) => {
            "such a column can only be asked for IS NULL or IS NOT NULL".to_owned()
        }
        (Class::Bool, _) => "compare it with TRUE or FALSE, or write the column alone".to_owned(),
        (Class::Number, Value::Text(text)) if text.parse::<f64>().is_ok() => {
            format!("write {text} without quotes")
        }
        (Class::Text, Value::Int(_) | Value::Decimal(_)) => format!("write '{value}' in quotes"),
        (Class::Time, _) => {
            "write dates as '2024-01-31' and moments as '2024-01-31 12:00:00'".to_owned()
        }
        (class, _) => format!(
            "compare it with {}",
            if class == Class::Number {
                "a number"
            } else {
                "text in single quotes"
            }
        ),
    };
    mismatch(
        &format!("the column {name:?}, which holds {},", described(data_type)),
        &described_value(value),
    )
    .with_hint(hint)
    .with_context("column", name)
}
