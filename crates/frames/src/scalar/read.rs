//! Single values from text: what a column of a type takes, and why it refuses others.

use arrow::datatypes::{DataType, IntervalDayTime, IntervalMonthDayNano, TimeUnit, i256};

use super::number::{self, Written};
use super::time::{self, NoTime};
use crate::json::parse::{Value, cut};

/// Why a value does not fit, and where inside its column.
#[derive(Debug)]
pub(crate) struct Misfit {
    pub(crate) path: Vec<String>,
    pub(crate) message: String,
    pub(crate) hint: &'static str,
}

pub(crate) type Fit<T = ()> = Result<T, Misfit>;

pub(crate) const HINT_TYPE: &str =
    "correct the value, or give the column another type in the table it is written to";
const HINT_TIME: &str = "write times as RFC 3339, such as 2024-05-01T12:00:00Z";

pub(crate) fn refuse<T>(message: impl Into<String>, hint: &'static str) -> Fit<T> {
    Err(Misfit {
        path: Vec::new(),
        message: message.into(),
        hint,
    })
}

/// The same about a part of a value.
pub(crate) fn inside<T>(fit: Fit<T>, step: impl FnOnce() -> String) -> Fit<T> {
    fit.map_err(|mut misfit| {
        misfit.path.insert(0, step());
        misfit
    })
}

/// That a value is none of a type.
pub(crate) fn no<T>(value: &Value<'_>, data_type: &DataType) -> Fit<T> {
    refuse(format!("{value} is no {data_type}"), HINT_TYPE)
}

/// Whole numbers of the type's range. `2.0` is whole.
pub(crate) fn whole<T: TryFrom<i64> + TryFrom<i128>>(
    value: &Value<'_>,
    data_type: &DataType,
) -> Fit<T> {
    let Value::Number(digits) = value else {
        return no(value, data_type);
    };
    let whole = match digits.parse::<i64>() {
        Ok(whole) => T::try_from(whole).ok(),
        Err(_) => Written::parse(digits)
            .and_then(|written| written.whole())
            .and_then(|whole| T::try_from(whole).ok()),
    };
    match whole {
        Some(whole) => Ok(whole),
        None => no(value, data_type),
    }
}

/// A float that is printed back as the number that is written, or a word for one that is not finite.
pub(crate) fn float<T>(
    value: &Value<'_>,
    data_type: &DataType,
    exact: fn(&str) -> Option<T>,
    narrow: fn(f64) -> T,
) -> Fit<T> {
    match value {
        Value::Number(digits) => match exact(digits) {
            Some(float) => Ok(float),
            None if Written::parse(digits).is_none() => no(value, data_type),
            None => refuse(
                format!("{value} cannot be kept exactly as {data_type}"),
                "round the number to what the column keeps, or give the column a decimal type in the table it is written to",
            ),
        },
        Value::String(word) => match number::special(word) {
            Some(special) => Ok(narrow(special)),
            None => no(value, data_type),
        },
        _ => no(value, data_type),
    }
}

/// An integer type that decimals are kept in.
pub(crate) trait Unscaled: Sized {
    fn read(digits: &str) -> Option<Self>;
}

macro_rules! unscaled {
    ($($native:ty),+) => {$(
        impl Unscaled for $native {
            fn read(digits: &str) -> Option<Self> {
                digits.parse().ok()
            }
        }
    )+};
}
unscaled!(i32, i64, i128);

impl Unscaled for i256 {
    fn read(digits: &str) -> Option<Self> {
        Self::from_string(digits)
    }
}

/// A decimal, from a number or a text that writes one. Digits that the column lacks are not rounded away.
pub(crate) fn decimal<T: Unscaled>(
    value: &Value<'_>,
    data_type: &DataType,
    digits: u8,
    scale: i8,
) -> Fit<T> {
    let (Value::Number(text) | Value::String(text)) = value else {
        return no(value, data_type);
    };
    let Some(written) = Written::parse(text) else {
        return refuse(
            format!("{value} is no {data_type}"),
            "write a number alone, without a currency, a unit or separators of thousands",
        );
    };
    match written
        .scaled(i64::from(scale), usize::from(digits))
        .and_then(|digits| T::read(&digits))
    {
        Some(unscaled) => Ok(unscaled),
        None => refuse(
            format!("{value} has more digits than {data_type}"),
            HINT_TYPE,
        ),
    }
}

fn spelled<T>(
    value: &Value<'_>,
    data_type: &DataType,
    hint: &'static str,
    read: impl FnOnce(&str) -> Result<T, NoTime>,
) -> Fit<T> {
    let Value::String(text) = value else {
        return no(value, data_type);
    };
    read(text).map_err(|why| {
        let shown = cut(text);
        let (message, hint) = match why {
            NoTime::Spelling => (format!("'{shown}' is no {}", what(data_type)), hint),
            NoTime::Finer => (
                format!(
                    "'{shown}' is finer than the column, which counts {:?}s",
                    unit_of(data_type)
                ),
                HINT_TYPE,
            ),
            NoTime::Range => (
                format!("'{shown}' is beyond the range of {data_type}"),
                HINT_TYPE,
            ),
        };
        Misfit {
            path: Vec::new(),
            message,
            hint,
        }
    })
}

fn what(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Timestamp(..) => "time",
        DataType::Time32(_) | DataType::Time64(_) => "time of day",
        DataType::Duration(_) => "duration",
        DataType::Interval(_) => "interval",
        _ => "date",
    }
}

/// What the values of a type count; seconds where it counts nothing else.
fn unit_of(data_type: &DataType) -> TimeUnit {
    match data_type {
        DataType::Timestamp(unit, _)
        | DataType::Time32(unit)
        | DataType::Time64(unit)
        | DataType::Duration(unit) => *unit,
        DataType::Date64 => TimeUnit::Millisecond,
        _ => TimeUnit::Second,
    }
}

pub(crate) fn stamp(value: &Value<'_>, data_type: &DataType) -> Fit<i64> {
    spelled(value, data_type, HINT_TIME, |text| {
        time::stamp(text, unit_of(data_type))
    })
}

pub(crate) fn time_of_day(value: &Value<'_>, data_type: &DataType) -> Fit<i64> {
    let hint = "write times of day from 00:00:00 to 23:59:59.999…";
    spelled(value, data_type, hint, |text| {
        time::time_of_day(text, unit_of(data_type))
    })
}

pub(crate) fn duration(value: &Value<'_>, data_type: &DataType) -> Fit<i64> {
    let hint = "write durations as ISO 8601, such as PT1.5S or P1DT2H";
    spelled(value, data_type, hint, |text| {
        time::duration(text, unit_of(data_type))
    })
}

const HINT_DATE: &str = "write dates as 2024-05-01";

pub(crate) fn date32(value: &Value<'_>, data_type: &DataType) -> Fit<i32> {
    spelled(value, data_type, HINT_DATE, |text| {
        let days = time::date(text).ok_or(NoTime::Spelling)?;
        i32::try_from(days).map_err(|_| NoTime::Range)
    })
}

/// Milliseconds of a date, or of a time.
pub(crate) fn date64(value: &Value<'_>, data_type: &DataType) -> Fit<i64> {
    spelled(value, data_type, HINT_DATE, |text| {
        time::stamp(text, unit_of(data_type))
    })
}

const HINT_INTERVAL: &str = "write intervals as ISO 8601, such as P1M2DT3.5S";

fn interval<T>(
    value: &Value<'_>,
    data_type: &DataType,
    of: impl FnOnce((i32, i32, i64)) -> Option<T>,
) -> Fit<T> {
    spelled(value, data_type, HINT_INTERVAL, |text| {
        let parts = time::interval(text).ok_or(NoTime::Spelling)?;
        of(parts).ok_or(NoTime::Range)
    })
}

pub(crate) fn months(value: &Value<'_>, data_type: &DataType) -> Fit<i32> {
    interval(value, data_type, |(months, days, rest)| {
        (days == 0 && rest == 0).then_some(months)
    })
}

pub(crate) fn day_time(value: &Value<'_>, data_type: &DataType) -> Fit<IntervalDayTime> {
    interval(value, data_type, |(months, days, rest)| {
        let milliseconds = i32::try_from(rest / 1_000_000).ok()?;
        (months == 0 && rest % 1_000_000 == 0).then_some(IntervalDayTime { days, milliseconds })
    })
}

pub(crate) fn month_day_nano(value: &Value<'_>, data_type: &DataType) -> Fit<IntervalMonthDayNano> {
    interval(value, data_type, |(months, days, nanoseconds)| {
        Some(IntervalMonthDayNano {
            months,
            days,
            nanoseconds,
        })
    })
}

/// The bytes of hexadecimal digits.
pub(crate) fn bytes(value: &Value<'_>, data_type: &DataType) -> Fit<Vec<u8>> {
    let Value::String(text) = value else {
        return no(value, data_type);
    };
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect();
    match digits {
        Some(digits) if digits.len() % 2 == 0 => Ok(digits
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()),
        _ => refuse(
            format!("{value} is no {data_type}"),
            "write bytes as two hexadecimal digits each",
        ),
    }
}

/// The truth value that a cell of CSV spells, in the spellings that common tools write.
pub(crate) fn boolean(cell: &str) -> Option<bool> {
    match cell {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}
