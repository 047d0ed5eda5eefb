//! Comparisons of filters between columns of two types, without the casts by which PostgreSQL would round.

use arrow::datatypes::{DataType, TimeUnit};
use metaxy_core::expr::CompareOp;

/// A comparison of two [operands](metaxy_core::sql::Dialect::operand), each with the type of its column: floating-point numbers are of
/// double precision. Integers, decimals and dates are compared as they are.
pub(crate) fn columns(left: (&str, &DataType), op: CompareOp, right: (&str, &DataType)) -> String {
    let ((l, a), (r, b)) = ((left.0, plain(left.1)), (right.0, plain(right.1)));
    let sql = op.as_sql();
    if a.is_temporal() && b.is_temporal() {
        return match (counts_nanos(a), counts_nanos(b)) {
            (true, true) => format!("({l} {sql} {r})"),
            (false, false) if a == b => format!("({l} {sql} {r})"),
            (false, false) => format!("({} {sql} {})", utc(l, a), utc(r, b)),
            _ => format!("({} {sql} {})", nanos(l, a), nanos(r, b)),
        };
    }
    match (a.is_floating(), b.is_floating()) {
        (true, false) if b.is_integer() => with_integer(r, op.flipped(), l),
        (false, true) if a.is_integer() => with_integer(l, op, r),
        (true, false) => format!("({l} {sql} ({r})::double precision)"),
        (false, true) => format!("(({l})::double precision {sql} {r})"),
        _ => format!("({l} {sql} {r})"),
    }
}

/// A comparison of text with one that has the character zero, which is none of the server's: `before` is what stands before that.
pub(crate) fn with_zero(column: &str, op: CompareOp, before: &str) -> String {
    let always = |truth: &str| format!("(CASE WHEN {column} IS NOT NULL THEN {truth} END)");
    match op {
        CompareOp::Eq => always("FALSE"),
        CompareOp::Ne => always("TRUE"),
        CompareOp::Lt | CompareOp::Le => format!("({column} <= {before})"),
        CompareOp::Gt | CompareOp::Ge => format!("({column} > {before})"),
    }
}

fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, value) => value,
        other => other,
    }
}

fn counts_nanos(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(TimeUnit::Nanosecond, _))
}

/// A date, or a timestamp without a zone: with one it would be compared by the session's.
fn utc(column: &str, data_type: &DataType) -> String {
    match data_type {
        DataType::Timestamp(_, Some(_)) => format!("({column} AT TIME ZONE 'UTC')"),
        _ => column.into(),
    }
}

/// The moment as a count of nanoseconds, from its day and the time of it.
fn nanos(column: &str, data_type: &DataType) -> String {
    if counts_nanos(data_type) {
        return column.into();
    }
    let time = utc(column, data_type);
    let days = format!("(({time})::date - DATE '1970-01-01') * 86400000000000::numeric");
    match data_type {
        DataType::Date32 => format!("({days})"),
        _ => format!(
            "({days} + round(EXTRACT(EPOCH FROM ({time})::time)::numeric * 1000000) * 1000)"
        ),
    }
}

/// An integer beside a number of double precision: where the nearest of those is that number, it is a whole one, whose digits are taken in
/// two halves, as a cast to `numeric` would leave some out.
fn with_integer(integer: &str, op: CompareOp, float: &str) -> String {
    let op = op.as_sql();
    let near = format!("({integer})::double precision");
    let high = format!("floor({float} / 4294967296)");
    let whole =
        format!("({high}::bigint::numeric * 4294967296 + ({float} - {high} * 4294967296)::bigint)");
    format!("(CASE WHEN {near} = {float} THEN {integer} {op} {whole} ELSE {near} {op} {float} END)")
}
