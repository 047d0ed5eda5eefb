//! Values of one row, as expressions of Polars.

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use metaxy_core::expr::{CompareOp, Expr as Condition, Operand, Value};
use metaxy_core::plan::Scalar;
use metaxy_core::{Error, ErrorKind, Result};
use polars::prelude as pl;
use polars::prelude::{Column, Expr, PolarsResult, col, lit};
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::cross::{array_of, type_of};
use crate::error::carried;
use crate::hash;

/// The expression of a value over rows of `schema`.
pub(crate) fn expression(scalar: &Scalar, schema: &Schema) -> Result<Expr> {
    Ok(match scalar {
        Scalar::Column(name) => col(name.as_str()),
        Scalar::Text(text) => lit(text.clone()),
        Scalar::Converted { column, data_type } => {
            let (from, to) = (
                type_of(schema.field_with_name(column)?.data_type())?,
                type_of(data_type)?,
            );
            match from == to {
                true => col(column.as_str()),
                false => col(column.as_str()).strict_cast(to),
            }
        }
        Scalar::Member { column, member } => {
            let member = member.clone();
            col(column.as_str()).map(
                move |column| hash::member(&column, &member),
                |_, field| Ok(pl::Field::new(field.name().clone(), pl::DataType::String)),
            )
        }
        Scalar::Test(condition) => test(condition, schema)?,
        Scalar::Hash { spec, parts } => hash::expression(*spec, parts, schema)?,
    })
}

/// Adds the columns that a value is computed from.
pub(crate) fn inputs(scalar: &Scalar, names: &mut BTreeSet<String>) {
    names.extend(scalar.inputs().into_iter().map(str::to_owned));
}

/// A condition: where Polars means the same, as its own expression, which it can push into a scan; otherwise as
/// [`Condition::evaluate`] says.
pub(crate) fn test(condition: &Condition, schema: &Schema) -> Result<Expr> {
    if let Condition::And(list) = condition
        && let tests = list.iter().map(|inner| test(inner, schema))
        && let Some(all) = balanced(tests.collect::<Result<_>>()?, Expr::and)
    {
        return Ok(all);
    }
    match own(condition, schema) {
        Some(expression) => Ok(expression),
        None => evaluated(condition, schema),
    }
}

/// The condition in Polars' own terms, where types agree exactly and three-valued logic is the same.
fn own(condition: &Condition, schema: &Schema) -> Option<Expr> {
    match condition {
        Condition::IsNull {
            operand: Operand::Column(name),
            negated,
        } => Some(match negated {
            true => col(name.as_str()).is_not_null(),
            false => col(name.as_str()).is_null(),
        }),
        Condition::Compare { left, op, right } => {
            let (column, op, value) = match (left, right) {
                (Operand::Column(column), Operand::Literal(value)) => (column, *op, value),
                (Operand::Literal(value), Operand::Column(column)) => (column, op.flipped(), value),
                _ => return None,
            };
            let data_type = schema.field_with_name(column).ok()?.data_type();
            let (left, right) = (col(column.as_str()), constant(data_type, value)?);
            Some(match op {
                CompareOp::Eq => left.eq(right),
                CompareOp::Ne => left.neq(right),
                CompareOp::Lt => left.lt(right),
                CompareOp::Le => left.lt_eq(right),
                CompareOp::Gt => left.gt(right),
                CompareOp::Ge => left.gt_eq(right),
            })
        }
        Condition::Not(inner) => Some(own(inner, schema)?.not()),
        Condition::And(list) => combined(list, schema, Expr::and),
        Condition::Or(list) => combined(list, schema, Expr::or),
        _ => None,
    }
}

fn combined(
    list: &[Condition],
    schema: &Schema,
    with: impl Fn(Expr, Expr) -> Expr,
) -> Option<Expr> {
    let list = list.iter().map(|inner| own(inner, schema));
    balanced(list.collect::<Option<_>>()?, with)
}

/// A long chain as a balanced tree: Polars goes as deep as an expression is.
fn balanced(mut list: Vec<Expr>, with: impl Fn(Expr, Expr) -> Expr) -> Option<Expr> {
    while list.len() > 1 {
        let mut rest = list.into_iter();
        let mut pairs = Vec::new();
        while let Some(first) = rest.next() {
            pairs.push(match rest.next() {
                Some(second) => with(first, second),
                None => first,
            });
        }
        list = pairs;
    }
    list.pop()
}

/// A value as Polars compares it with a column of `data_type`; `None` where the meaning might differ.
fn constant(data_type: &DataType, value: &Value) -> Option<Expr> {
    match (data_type, value) {
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, Value::Text(text)) => {
            Some(lit(text.clone()))
        }
        (DataType::Int64, Value::Int(value)) => i64::try_from(*value).ok().map(lit),
        (DataType::Int32, Value::Int(value)) => i32::try_from(*value).ok().map(lit),
        (DataType::Boolean, Value::Bool(value)) => Some(lit(*value)),
        _ => None,
    }
}

/// The condition as it is defined, batch by batch.
fn evaluated(condition: &Condition, schema: &Schema) -> Result<Expr> {
    let names: Vec<&str> = condition.columns().into_iter().collect();
    let fields = names.iter().map(|name| schema.field_with_name(name));
    let fields: Vec<Field> = fields
        .map(|field| field.cloned())
        .collect::<Result<_, _>>()?;
    let columns: Vec<Expr> = names.iter().map(|name| col(*name)).collect();
    let Some((first, rest)) = columns.split_first() else {
        return constant_condition(condition);
    };
    let (condition, schema): (_, SchemaRef) = (condition.clone(), Arc::new(Schema::new(fields)));
    Ok(first.clone().map_many(
        move |columns| truth(&condition, &schema, columns).map_err(carried),
        rest,
        |_, fields| {
            Ok(pl::Field::new(
                fields[0].name().clone(),
                pl::DataType::Boolean,
            ))
        },
    ))
}

/// A condition without columns.
fn constant_condition(condition: &Condition) -> Result<Expr> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?;
    let result = condition.evaluate(&row)?;
    Ok(match result.is_valid(0) {
        true => lit(result.value(0)),
        false => lit(pl::NULL).cast(pl::DataType::Boolean),
    })
}

fn truth(condition: &Condition, schema: &SchemaRef, columns: &[Column]) -> Result<Column> {
    let arrays = schema.fields().iter().zip(columns);
    let arrays = arrays.map(|(field, column)| array_of(column, field.data_type()));
    let arrays: Vec<ArrayRef> = arrays.collect::<Result<_>>()?;
    let batch = RecordBatch::try_new(schema.clone(), arrays)?;
    let result = condition.evaluate(&batch)?;
    let values: pl::BooleanChunked =
        pl::NewChunkedArray::from_iter_options(name(columns)?, result.iter());
    Ok(pl::IntoColumn::into_column(values))
}

fn name(columns: &[Column]) -> Result<pl::PlSmallStr> {
    let first = columns.first().ok_or_else(|| {
        Error::new(
            ErrorKind::Internal,
            "an expression without columns was run on some",
        )
    })?;
    Ok(first.name().clone())
}

/// What a function over columns returns if it is given none.
pub(crate) fn no_columns() -> pl::PolarsError {
    pl::PolarsError::ComputeError("a function was called without columns".into())
}

pub(crate) type Computed = PolarsResult<Column>;
