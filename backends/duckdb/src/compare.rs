//! Comparisons of filters between columns of two types, without the casts by which DuckDB would round or fail.

use arrow::datatypes::{DataType, TimeUnit};
use metaxy_core::expr::{CompareOp, Decimal};

use crate::types::{sql_type, stored_as};

/// The most digits of a DECIMAL.
const MOST_DIGITS: u8 = 38;

/// A comparison of two operands, each with the type of its column.
pub(crate) fn columns(left: (&str, &DataType), op: CompareOp, right: (&str, &DataType)) -> String {
    let ((l, a), (r, b)) = ((left.0, plain(left.1)), (right.0, plain(right.1)));
    let sql = op.as_sql();
    if stored_as(a) == stored_as(b) {
        return format!("({l} {sql} {r})");
    }
    if a.is_temporal() && b.is_temporal() {
        return format!("({} {sql} {})", nanos(l, a), nanos(r, b));
    }
    match (a.is_floating(), b.is_floating()) {
        (true, true) => format!("({} {sql} {})", double(l, a), double(r, b)),
        (true, false) if b.is_integer() => with_integer((r, b), op.flipped(), l, a),
        (false, true) if a.is_integer() => with_integer((l, a), op, r, b),
        (true, false) | (false, true) => format!("({} {sql} {})", double(l, a), double(r, b)),
        (false, false) => match (digits(a), digits(b)) {
            (Some(a), Some(b)) => decimals((l, a), op, (r, b)),
            _ => format!("({l} {sql} {r})"),
        },
    }
}

/// A decimal as a literal. One that is written as it is becomes a floating-point number where it has too many digits.
pub(crate) fn decimal(value: Decimal) -> String {
    let text = value.to_string();
    let text = text.trim_end_matches('.');
    format!(
        "CAST('{text}' AS DECIMAL({MOST_DIGITS}, {}))",
        value.scale()
    )
}

fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, value) => value,
        other => other,
    }
}

/// The moment as a count of nanoseconds.
fn nanos(column: &str, data_type: &DataType) -> String {
    match data_type {
        DataType::Date32 => {
            format!("(({column} - DATE '1970-01-01')::HUGEINT * 86400000000000)")
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => format!("epoch_ns({column})::HUGEINT"),
        DataType::Timestamp(_, Some(_)) => format!("(epoch_us({column})::HUGEINT * 1000)"),
        // Seconds would be made nanoseconds, which do not reach as far.
        _ => format!("(epoch_us(CAST({column} AS TIMESTAMP))::HUGEINT * 1000)"),
    }
}

/// A number that is no integer of 64 bits as the nearest DOUBLE. The text of a decimal is rounded once, the number would be twice.
fn double(column: &str, data_type: &DataType) -> String {
    match data_type.is_floating() {
        true => format!("CAST({column} AS DOUBLE)"),
        false => format!("CAST(CAST({column} AS VARCHAR) AS DOUBLE)"),
    }
}

/// An integer beside a floating-point number: where the nearest DOUBLE is that number, it is a whole one.
fn with_integer(integer: (&str, &DataType), op: CompareOp, float: &str, of: &DataType) -> String {
    let (integer, data_type) = integer;
    let (near, float, op) = (
        format!("CAST({integer} AS DOUBLE)"),
        double(float, of),
        op.as_sql(),
    );
    match data_type {
        DataType::Int64 | DataType::UInt64 => format!(
            "(CASE WHEN {near} = {float} THEN CAST({integer} AS HUGEINT) {op} TRY_CAST({float} AS HUGEINT) ELSE {near} {op} {float} END)"
        ),
        _ => format!("({near} {op} {float})"),
    }
}

/// How many digits stand before and after the point at most.
fn digits(data_type: &DataType) -> Option<(u8, u8)> {
    use DataType as T;
    Some(match data_type {
        T::Int8 | T::UInt8 => (3, 0),
        T::Int16 | T::UInt16 => (5, 0),
        T::Int32 | T::UInt32 => (10, 0),
        T::Int64 => (19, 0),
        T::UInt64 => (20, 0),
        T::Decimal32(digits, scale)
        | T::Decimal64(digits, scale)
        | T::Decimal128(digits, scale) => {
            let scale = u8::try_from(*scale).ok()?;
            (digits.checked_sub(scale)?, scale)
        }
        _ => return None,
    })
}

/// Integers and decimals: as decimals of one type, or where that would have too many digits, first what is before their points.
fn decimals(left: (&str, (u8, u8)), op: CompareOp, right: (&str, (u8, u8))) -> String {
    let ((l, a), (r, b)) = (left, right);
    let (whole, scale) = (a.0.max(b.0), a.1.max(b.1));
    let op = op.as_sql();
    let cast = |sql: &str, scale: u8| {
        let of = sql_type(&DataType::Decimal128(MOST_DIGITS, scale as i8));
        format!("CAST({sql} AS {of})")
    };
    if whole + scale <= MOST_DIGITS {
        return format!("({} {op} {})", cast(l, scale), cast(r, scale));
    }
    let parts = |sql: &str, scale: u8| match scale {
        0 => (cast(sql, 0), cast("0", MOST_DIGITS)),
        _ => (
            cast(&format!("trunc({sql})"), 0),
            cast(&format!("({sql} - trunc({sql}))"), MOST_DIGITS),
        ),
    };
    let ((l, l_rest), (r, r_rest)) = (parts(l, a.1), parts(r, b.1));
    format!("(CASE WHEN {l} = {r} THEN {l_rest} {op} {r_rest} ELSE {l} {op} {r} END)")
}
