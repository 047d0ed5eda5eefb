//! What a filter means: its value for every row of a batch.

use std::cmp::Ordering;
use std::collections::HashMap;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array,
    LargeStringArray, RecordBatch, UInt64Array,
};
use arrow::compute::{and_kleene, cast, is_not_null, is_null, not, or_kleene};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, TimeUnit, UInt64Type};

use super::schema::Kind;
use super::value::compare_numbers;
use super::{Decimal, Expr, Operand, Value};
use crate::error::{Error, ErrorKind, Result};

impl Expr {
    /// True, false or null for each row, for a filter that was [bound](Self::bind) to the batch's schema.
    ///
    /// Written to be read rather than to be fast: it is the meaning that backends are compared with. Comparisons are those
    /// of [`CompareOp`](super::CompareOp); columns of different number types compare exactly.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidFilter`] when the filter was not bound to this schema.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        self.check_depth()?;
        let columns = self
            .columns()
            .into_iter()
            .map(|name| Ok((name, Column::new(name, batch)?)))
            .collect::<Result<_>>()?;
        Rows {
            count: batch.num_rows(),
            columns,
        }
        .condition(self)
    }
}

struct Rows<'a> {
    count: usize,
    columns: HashMap<&'a str, Column>,
}

impl Rows<'_> {
    fn condition(&self, expr: &Expr) -> Result<BooleanArray> {
        match expr {
            Expr::Operand(operand) => self.each(|row| match self.cell(operand, row) {
                Cell::Null => Ok(None),
                Cell::Bool(value) => Ok(Some(value)),
                _ => Err(not_bound(expr)),
            }),
            Expr::Compare { left, op, right } => self.each(|row| {
                let ordering = self.cell(left, row).compare(&self.cell(right, row));
                Ok(ordering
                    .ok_or_else(|| not_bound(expr))?
                    .map(|ordering| op.holds(ordering)))
            }),
            Expr::IsNull { operand, negated } => self.is_null(operand, *negated),
            Expr::IsBool {
                operand,
                value,
                negated,
            } => self.each(|row| match self.cell(operand, row) {
                Cell::Null => Ok(Some(*negated)),
                Cell::Bool(found) => Ok(Some((found == *value) != *negated)),
                _ => Err(not_bound(expr)),
            }),
            Expr::In {
                operand,
                list,
                negated,
            } => self.each(|row| {
                let cell = self.cell(operand, row);
                let mut found = Some(false);
                for value in list {
                    match cell.compare(&Cell::of(value)) {
                        None => return Err(not_bound(expr)),
                        Some(None) => found = None,
                        Some(Some(Ordering::Equal)) => return Ok(Some(!negated)),
                        Some(Some(_)) => {}
                    }
                }
                Ok(found.map(|found| found != *negated))
            }),
            Expr::Like {
                operand,
                pattern,
                negated,
            } => {
                let places = pattern.places();
                self.each(|row| match self.cell(operand, row) {
                    Cell::Null => Ok(None),
                    Cell::Text(text) => Ok(Some(places.matches(text) != *negated)),
                    _ => Err(not_bound(expr)),
                })
            }
            Expr::Not(inner) => Ok(not(&self.condition(inner)?)?),
            Expr::And(list) => self.combine(list, true, |a, b| Ok(and_kleene(a, b)?)),
            Expr::Or(list) => self.combine(list, false, |a, b| Ok(or_kleene(a, b)?)),
        }
    }

    fn combine(
        &self,
        list: &[Expr],
        of_none: bool,
        combine: impl Fn(&BooleanArray, &BooleanArray) -> Result<BooleanArray>,
    ) -> Result<BooleanArray> {
        let mut result = BooleanArray::from(vec![of_none; self.count]);
        for inner in list {
            result = combine(&result, &self.condition(inner)?)?;
        }
        Ok(result)
    }

    fn each(&self, value: impl Fn(usize) -> Result<Option<bool>>) -> Result<BooleanArray> {
        (0..self.count).map(value).collect()
    }

    fn is_null(&self, operand: &Operand, negated: bool) -> Result<BooleanArray> {
        match operand {
            Operand::Column(name) => match self.columns.get(name.as_str()) {
                Some(column) if negated => Ok(is_not_null(&column.array)?),
                Some(column) => Ok(is_null(&column.array)?),
                None => Err(missing(name)),
            },
            Operand::Literal(value) => {
                let value = (*value == Value::Null) != negated;
                Ok(BooleanArray::from(vec![value; self.count]))
            }
        }
    }

    fn cell<'a>(&'a self, operand: &'a Operand, row: usize) -> Cell<'a> {
        match operand {
            Operand::Literal(value) => Cell::of(value),
            Operand::Column(name) => self
                .columns
                .get(name.as_str())
                .map_or(Cell::Other, |column| column.cell(row)),
        }
    }
}

/// One value of a row.
enum Cell<'a> {
    Null,
    Bool(bool),
    Number(Value),
    Text(&'a str),
    /// Nanoseconds since 1970-01-01 00:00:00 UTC.
    Moment(i128),
    /// Something that cannot be compared.
    Other,
}

impl Value {
    /// How two values order as filters compare them: see [`CompareOp`](super::CompareOp). `None` if they are of different kinds, or one is
    /// null.
    #[must_use]
    pub fn order(&self, other: &Self) -> Option<Ordering> {
        Cell::of(self).compare(&Cell::of(other)).flatten()
    }
}

const NANOS_PER_DAY: i128 = 86_400_000_000_000;

impl<'a> Cell<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(_) | Value::Decimal(_) | Value::Float(_) => Self::Number(value.clone()),
            Value::Text(value) => Self::Text(value),
            Value::Date(days) => Self::Moment(i128::from(*days) * NANOS_PER_DAY),
            Value::Timestamp(micros) => Self::Moment(i128::from(*micros) * 1000),
        }
    }

    /// `None` when the two cannot be compared, `Some(None)` when one of them is null.
    fn compare(&self, other: &Self) -> Option<Option<Ordering>> {
        match (self, other) {
            (Self::Other, _) | (_, Self::Other) => None,
            (Self::Null, _) | (_, Self::Null) => Some(None),
            (Self::Bool(a), Self::Bool(b)) => Some(Some(a.cmp(b))),
            (Self::Number(a), Self::Number(b)) => compare_numbers(a, b).map(Some),
            (Self::Text(a), Self::Text(b)) => Some(Some(a.as_bytes().cmp(b.as_bytes()))),
            (Self::Moment(a), Self::Moment(b)) => Some(Some(a.cmp(b))),
            _ => None,
        }
    }
}

/// A column, and its values as one of few types.
struct Column {
    array: ArrayRef,
    values: Values,
}

enum Values {
    Bool(BooleanArray),
    Int(Int64Array),
    Unsigned(UInt64Array),
    Float(Float64Array),
    Decimal(Decimal128Array, u8),
    Text(LargeStringArray),
    /// Counts of so many nanoseconds.
    Moment(Int64Array, i128),
    /// Only null or not.
    Opaque,
}

impl Column {
    fn new(name: &str, batch: &RecordBatch) -> Result<Self> {
        let array = batch.column_by_name(name).ok_or_else(|| missing(name))?;
        let to = |data_type: &DataType| cast(array, data_type);
        let plain = match array.data_type() {
            DataType::Dictionary(_, values) => values.as_ref(),
            other => other,
        };
        let values = match Kind::of(plain) {
            Kind::Bool => Values::Bool(to(&DataType::Boolean)?.as_boolean().clone()),
            Kind::Int { min: 0, .. } => {
                Values::Unsigned(to(&DataType::UInt64)?.as_primitive::<UInt64Type>().clone())
            }
            Kind::Int { .. } => {
                Values::Int(to(&DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
            Kind::Float32 | Kind::Float64 => Values::Float(
                to(&DataType::Float64)?
                    .as_primitive::<Float64Type>()
                    .clone(),
            ),
            Kind::Decimal { scale, .. } => Values::Decimal(
                to(&DataType::Decimal128(38, scale as i8))?
                    .as_primitive::<Decimal128Type>()
                    .clone(),
                scale,
            ),
            Kind::Text => Values::Text(to(&DataType::LargeUtf8)?.as_string::<i64>().clone()),
            Kind::Date | Kind::Timestamp { .. } => {
                let unit = match plain {
                    DataType::Date32 => NANOS_PER_DAY,
                    DataType::Date64 | DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000_000,
                    DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
                    DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
                    _ => 1,
                };
                let counts = cast(&to(plain)?, &DataType::Int64)?;
                Values::Moment(counts.as_primitive::<Int64Type>().clone(), unit)
            }
            Kind::Null | Kind::Other => Values::Opaque,
        };
        Ok(Self {
            array: array.clone(),
            values,
        })
    }

    fn cell(&self, row: usize) -> Cell<'_> {
        let is_null = match &self.values {
            Values::Bool(values) => values.is_null(row),
            Values::Int(values) | Values::Moment(values, _) => values.is_null(row),
            Values::Unsigned(values) => values.is_null(row),
            Values::Float(values) => values.is_null(row),
            Values::Decimal(values, _) => values.is_null(row),
            Values::Text(values) => values.is_null(row),
            Values::Opaque => *self.array.data_type() == DataType::Null,
        };
        if is_null {
            return Cell::Null;
        }
        match &self.values {
            Values::Bool(values) => Cell::Bool(values.value(row)),
            Values::Int(values) => Cell::Number(values.value(row).into()),
            Values::Unsigned(values) => Cell::Number(values.value(row).into()),
            Values::Float(values) => Cell::Number(values.value(row).into()),
            Values::Decimal(values, scale) => Decimal::new(values.value(row), *scale)
                .map_or(Cell::Other, |value| Cell::Number(value.into())),
            Values::Text(values) => Cell::Text(values.value(row)),
            Values::Moment(values, unit) => Cell::Moment(i128::from(values.value(row)) * unit),
            Values::Opaque => Cell::Other,
        }
    }
}

fn missing(name: &str) -> Error {
    Error::new(
        ErrorKind::InvalidFilter,
        format!("the filter names the column {name:?}, which the batch does not have"),
    )
    .with_context("column", name)
    .with_hint("bind the filter to the schema of the batch")
}

fn not_bound(expr: &Expr) -> Error {
    Error::new(
        ErrorKind::InvalidFilter,
        format!("the condition `{expr}` does not fit the types of the batch"),
    )
    .with_hint("bind the filter to the schema of the batch")
}
