//! Files that a filter can pass over, because the log says that no row of theirs matches.

use std::cmp::Ordering;

use metaxy_core::expr::{CompareOp, Expr, Operand, Value};

use crate::snapshot::DataFile;

/// Whether a row of the file may match the filter, which is bound to the table's columns. `true` where nothing is known.
pub(crate) fn may_match(filter: &Expr, file: &DataFile) -> bool {
    match filter {
        Expr::And(list) => list.iter().all(|inner| may_match(inner, file)),
        Expr::Or(list) => list.iter().any(|inner| may_match(inner, file)),
        Expr::Compare { left, op, right } => match (left, right) {
            (Operand::Column(name), Operand::Literal(value)) => may_compare(file, name, *op, value),
            (Operand::Literal(value), Operand::Column(name)) => {
                may_compare(file, name, op.flipped(), value)
            }
            _ => true,
        },
        Expr::In {
            operand: Operand::Column(name),
            list,
            negated: false,
        } => list
            .iter()
            .any(|value| may_compare(file, name, CompareOp::Eq, value)),
        Expr::Like {
            operand: Operand::Column(name),
            pattern,
            negated: false,
        } => may_begin(file, name, &pattern.prefix()),
        Expr::IsNull {
            operand: Operand::Column(name),
            negated,
        } => {
            let nulls = file.stat(name).and_then(|stat| stat.nulls);
            match nulls {
                Some(nulls) if *negated => file.rows != Some(nulls),
                Some(nulls) => nulls > 0,
                None => true,
            }
        }
        _ => true,
    }
}

/// Whether a row of the file may have a text in the column that begins so.
fn may_begin(file: &DataFile, column: &str, prefix: &str) -> bool {
    let stat = file.stat(column);
    let bound = |bound: Option<Value>| match bound {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    };
    let Some((min, max)) = stat.map(|stat| (bound(stat.min), bound(stat.max))) else {
        return true;
    };
    // Texts that begin so are at or above it, and below all greater ones that do not.
    let above = min.is_some_and(|min| min.as_str() > prefix && !min.starts_with(prefix));
    let below = max.is_some_and(|max| max.as_str() < prefix);
    !above && !below
}

/// Whether a row of the file may have a value in the column that compares so.
pub(crate) fn may_compare(file: &DataFile, column: &str, op: CompareOp, value: &Value) -> bool {
    let Some(stat) = file.stat(column) else {
        return true;
    };
    let order = |bound: &Option<Value>| bound.as_ref().and_then(|bound| compare(bound, value));
    let (min, max) = (order(&stat.min), order(&stat.max));
    let below = |found: Option<Ordering>| found == Some(Ordering::Greater);
    match op {
        CompareOp::Eq => !below(min) && max != Some(Ordering::Less),
        CompareOp::Lt => !matches!(min, Some(Ordering::Greater | Ordering::Equal)),
        CompareOp::Le => min != Some(Ordering::Greater),
        CompareOp::Gt => !matches!(max, Some(Ordering::Less | Ordering::Equal)),
        CompareOp::Ge => max != Some(Ordering::Less),
        CompareOp::Ne => true,
    }
}

/// Values of one kind; others are not compared here.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Text(a), Value::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (Value::Date(a), Value::Date(b)) => Some(a.cmp(b)),
        (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        _ => None,
    }
}
