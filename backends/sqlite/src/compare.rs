//! Comparisons of filters: SQLite's own where it has both sides in one form, and a function of ours where it has not.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use metaxy_core::expr::{Decimal, Pattern, Value};
use metaxy_core::sql::Side;
use rusqlite::functions::Context;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result};

use crate::codec::INTEGER_DIGITS;
use crate::functions::{PURE, stored};

/// What a stored number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Itself, or a moment in nanoseconds.
    Plain,
    /// A moment that is a count of so many nanoseconds.
    Count(i64),
    /// A decimal of this scale without its point.
    Scaled(u8),
    /// The same, as text: SQLite can tell whether two are equal, and no more.
    Digits(u8),
}

impl Form {
    /// The form of a column's values; `None` for what is no number in SQLite, or cannot be compared.
    pub(crate) fn of(data_type: &DataType) -> Option<Self> {
        use DataType as T;
        Some(match data_type {
            T::Dictionary(_, value) => Self::of(value)?,
            T::Date32 => Self::Count(86_400_000_000_000),
            T::Date64 | T::Timestamp(TimeUnit::Millisecond, _) => Self::Count(1_000_000),
            T::Timestamp(TimeUnit::Second, _) => Self::Count(1_000_000_000),
            T::Timestamp(TimeUnit::Microsecond, _) => Self::Count(1_000),
            T::Timestamp(TimeUnit::Nanosecond, _) => Self::Plain,
            T::Decimal128(digits, scale) if *digits > INTEGER_DIGITS => {
                Self::Digits(u8::try_from(*scale).ok()?)
            }
            T::Decimal32(_, scale) | T::Decimal64(_, scale) | T::Decimal128(_, scale) => {
                Self::Scaled(u8::try_from(*scale).ok()?)
            }
            number if number.is_numeric() => Self::Plain,
            _ => return None,
        })
    }

    /// Whether SQLite orders what is in one form as it is.
    const fn is_ordered(self) -> bool {
        !matches!(self, Self::Digits(_))
    }

    /// The form as an argument of `metaxy_order`: nanoseconds of a count, or the scale and one, below zero.
    fn argument(self) -> i64 {
        match self {
            Self::Plain => 1,
            Self::Count(nanos) => nanos,
            Self::Scaled(scale) | Self::Digits(scale) => -1 - i64::from(scale),
        }
    }
}

/// The arguments of `metaxy_order` for the forms of two sides; `None` if SQLite compares them by itself.
pub(crate) fn ordered_by(left: &Side<'_>, right: &Side<'_>) -> Option<(i64, i64)> {
    let form = |side: &Side<'_>| side.data_type().and_then(Form::of);
    let (left, right) = match (form(left), form(right)) {
        // A literal has the form of the column beside it.
        (Some(column), None) | (None, Some(column)) => (column, column),
        (Some(left), Some(right)) => (left, right),
        (None, None) => return None,
    };
    let own = left == right && left.is_ordered();
    (!own).then(|| (left.argument(), right.argument()))
}

/// Registers the functions.
pub(crate) fn register(connection: &Connection) -> Result<()> {
    connection.create_scalar_function("metaxy_order", 4, PURE, order)?;
    connection.create_scalar_function("metaxy_like", 2, PURE, |ctx| like(ctx, false))?;
    connection.create_scalar_function("metaxy_ilike", 2, PURE, |ctx| like(ctx, true))
}

/// `metaxy_order(a, form, b, form)`: -1, 0 or 1 as `a` is less, equal or greater than `b`, by [`Value::order`]; null for null.
fn order(ctx: &Context<'_>) -> Result<Option<i64>> {
    let (Some(a), Some(b)) = (number(ctx, 0)?, number(ctx, 2)?) else {
        return Ok(None);
    };
    Ok(a.order(&b).map(|ordering| match ordering {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }))
}

/// The number that an argument stands for, by the form in the next; `None` for null.
fn number(ctx: &Context<'_>, at: usize) -> Result<Option<Value>> {
    let form: i64 = ctx.get(at + 1)?;
    let digits = |digits: i128| match u8::try_from(-1 - form) {
        Ok(scale) => Decimal::new(digits, scale).map(Value::from),
        Err(_) => digits.checked_mul(form.into()).map(Value::from),
    };
    let value = match ctx.get_raw(at) {
        ValueRef::Null => return Ok(None),
        ValueRef::Integer(value) => digits(value.into()),
        ValueRef::Real(value) => Some(Value::from(value)),
        // NaN.
        ValueRef::Blob(_) => Some(Value::from(f64::NAN)),
        ValueRef::Text(text) => std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok())
            .and_then(digits),
    };
    match value {
        Some(value) => Ok(Some(value)),
        None => Err(stored("as a number is none")),
    }
}

/// `metaxy_like(text, pattern)` and `metaxy_ilike`: the pattern is [escaped](Pattern::escaped).
fn like(ctx: &Context<'_>, ignores_case: bool) -> Result<Option<bool>> {
    let pattern: Arc<Pattern> = ctx.get_or_create_aux(1, |value| {
        let pattern = Pattern::new(value.as_str()?).with_escape('!')?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(match ignores_case {
            true => pattern.ignoring_case(),
            false => pattern,
        })
    })?;
    match ctx.get_raw(0) {
        ValueRef::Null => Ok(None),
        text => match text.as_str() {
            Ok(text) => Ok(Some(pattern.matches(text))),
            Err(_) => Err(stored("as text is none")),
        },
    }
}
