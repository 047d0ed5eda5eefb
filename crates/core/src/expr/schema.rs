//! What a column's type means to filters.

use std::cmp::Ordering;

use arrow::datatypes::{DataType, TimeUnit};

use super::moment::{self, MICROS_PER_DAY, Moment};
use super::parse::number;
use super::value::compare_int_float;
use super::{Decimal, Value};

/// The types that filters tell apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// A column of nothing but nulls.
    Null,
    Bool,
    /// Integers between two limits, both included.
    Int {
        min: i128,
        max: i128,
    },
    Float32,
    Float64,
    /// Unscaled values between two limits, both included.
    Decimal {
        min: i128,
        max: i128,
        scale: u8,
    },
    Text,
    Date,
    /// Moments that are counts of so many nanoseconds.
    Timestamp {
        per: i128,
    },
    /// Structs, lists, binary …: can only be asked for null.
    Other,
}

/// What may be compared with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Null,
    Bool,
    Number,
    Text,
    Time,
    Other,
}

/// Where a literal lies among the values that a column can have.
#[derive(Debug, PartialEq)]
pub(super) enum Fit {
    /// On this value.
    On(Value),
    /// Above this value and below the next.
    After(Value),
    /// Below every value.
    Below,
    /// Above every value.
    Above,
}

/// Why a literal cannot be compared with a column.
#[derive(Debug)]
pub(super) enum Misfit {
    /// Another kind of thing.
    Type,
    /// The right kind of thing, badly written or out of every range. Says how to write it.
    Value(&'static str),
}

impl Kind {
    pub(super) fn of(data_type: &DataType) -> Self {
        let int = |bits: u32| Self::Int {
            min: -(1 << (bits - 1)),
            max: (1 << (bits - 1)) - 1,
        };
        let unsigned = |bits: u32| Self::Int {
            min: 0,
            max: (1 << bits) - 1,
        };
        match data_type {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Bool,
            DataType::Int8 => int(8),
            DataType::Int16 => int(16),
            DataType::Int32 => int(32),
            DataType::Int64 => int(64),
            DataType::UInt8 => unsigned(8),
            DataType::UInt16 => unsigned(16),
            DataType::UInt32 => unsigned(32),
            DataType::UInt64 => unsigned(64),
            DataType::Float32 => Self::Float32,
            DataType::Float64 => Self::Float64,
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale) => decimal(*precision, *scale),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Date32 => Self::Date,
            // Nothing keeps one from being a part of a day.
            DataType::Date64 => Self::Timestamp { per: 1_000_000 },
            DataType::Timestamp(unit, _) => Self::Timestamp {
                per: match unit {
                    TimeUnit::Second => 1_000_000_000,
                    TimeUnit::Millisecond => 1_000_000,
                    TimeUnit::Microsecond => 1_000,
                    TimeUnit::Nanosecond => 1,
                },
            },
            DataType::Dictionary(_, values) => Self::of(values),
            _ => Self::Other,
        }
    }

    pub(super) fn class(self) -> Class {
        match self {
            Self::Null => Class::Null,
            Self::Bool => Class::Bool,
            Self::Int { .. } | Self::Float32 | Self::Float64 | Self::Decimal { .. } => {
                Class::Number
            }
            Self::Text => Class::Text,
            Self::Date | Self::Timestamp { .. } => Class::Time,
            Self::Other => Class::Other,
        }
    }

    /// Where `value`, which is not null, lies among the values of a column of this kind.
    pub(super) fn fit(self, value: &Value) -> Result<Fit, Misfit> {
        match (self, value) {
            (_, Value::Float(float)) if !float.is_finite() && self.class() == Class::Number => {
                Err(Misfit::Value("compare with a finite number"))
            }
            (Self::Bool, Value::Bool(_)) | (Self::Text, Value::Text(_)) => {
                Ok(Fit::On(value.clone()))
            }
            (Self::Int { min, max }, _) if is_number(value) => {
                Ok(floor_at(value, 0)?.within(min, max, Value::Int))
            }
            (Self::Decimal { min, max, scale }, _) if is_number(value) => {
                let floor = floor_at(value, scale)?;
                Ok(floor.within(min, max, |unscaled| {
                    Decimal::new(unscaled, scale).map_or(Value::Null, Value::Decimal)
                }))
            }
            (Self::Float64, Value::Int(int)) => {
                let near = *int as f64;
                Ok(beside(*int, near, near.next_down()))
            }
            (Self::Float32, Value::Int(int)) => {
                let near = *int as f32;
                Ok(beside(*int, near.into(), near.next_down().into()))
            }
            (Self::Float64, Value::Decimal(decimal)) => Ok(Fit::On(Value::Float(decimal.to_f64()))),
            (Self::Float64, Value::Float(_)) => Ok(Fit::On(value.clone())),
            (Self::Float32, Value::Decimal(decimal)) => float32(decimal.to_f64()),
            (Self::Float32, Value::Float(float)) => float32(*float),
            (Self::Date, _) => Ok(match time(value)? {
                Moment::Date(days) => Fit::On(Value::Date(days)),
                Moment::Timestamp(micros) => {
                    let Ok(days) = i32::try_from(micros.div_euclid(MICROS_PER_DAY)) else {
                        return Err(Misfit::Value("use a date of the calendar"));
                    };
                    match micros.rem_euclid(MICROS_PER_DAY) {
                        0 => Fit::On(Value::Date(days)),
                        _ => Fit::After(Value::Date(days)),
                    }
                }
            }),
            (Self::Timestamp { per }, _) => {
                let micros = match time(value)? {
                    Moment::Date(days) => i128::from(days) * i128::from(MICROS_PER_DAY),
                    Moment::Timestamp(micros) => micros.into(),
                };
                let nanos = micros * 1_000;
                let count = nanos.div_euclid(per);
                if count < i64::MIN.into() {
                    return Ok(Fit::Below);
                }
                if count > i64::MAX.into() {
                    return Ok(Fit::Above);
                }
                let floor = i64::try_from((count * per).div_euclid(1_000))
                    .map_err(|_| Misfit::Value("use a date of the calendar"))?;
                Ok(match count * per == nanos {
                    true => Fit::On(Value::Timestamp(floor)),
                    false => Fit::After(Value::Timestamp(floor)),
                })
            }
            _ => Err(Misfit::Type),
        }
    }
}

/// A type in words, for messages.
pub(super) fn described(data_type: &DataType) -> String {
    let words = match Kind::of(data_type) {
        Kind::Null => "nulls",
        Kind::Bool => "booleans",
        Kind::Int { .. } => "integers",
        Kind::Float32 | Kind::Float64 => "floating-point numbers",
        Kind::Decimal { .. } => "decimals",
        Kind::Text => "text",
        Kind::Date => "dates",
        Kind::Timestamp { .. } if *data_type == DataType::Date64 => "dates",
        Kind::Timestamp { .. } => "timestamps",
        Kind::Other => return format!("values of type {data_type}"),
    };
    format!("{words} ({data_type})")
}

/// A literal with its type, for messages.
pub(super) fn described_value(value: &Value) -> String {
    let word = match value {
        Value::Null => return "NULL".to_owned(),
        Value::Bool(_) => "boolean",
        Value::Int(_) => "integer",
        Value::Decimal(_) => "decimal",
        Value::Float(_) => "floating-point number",
        Value::Text(_) => "text",
        Value::Date(_) => "date",
        Value::Timestamp(_) => "timestamp",
    };
    format!("the {word} {value}")
}

/// The class of a literal.
pub(super) fn class_of(value: &Value) -> Class {
    match value {
        Value::Null => Class::Null,
        Value::Bool(_) => Class::Bool,
        Value::Int(_) | Value::Decimal(_) | Value::Float(_) => Class::Number,
        Value::Text(_) => Class::Text,
        Value::Date(_) | Value::Timestamp(_) => Class::Time,
    }
}

fn is_number(value: &Value) -> bool {
    class_of(value) == Class::Number
}

fn decimal(precision: u8, scale: i8) -> Kind {
    match (u8::try_from(scale), 10_i128.checked_pow(precision.into())) {
        (Ok(scale), Some(limit)) if scale <= Decimal::MAX_SCALE => Kind::Decimal {
            min: 1 - limit,
            max: limit - 1,
            scale,
        },
        _ => Kind::Other,
    }
}

/// A number rounded down to a column's grid.
enum Floor {
    At {
        unscaled: i128,
        exact: bool,
    },
    /// Too large, or too small, for every grid.
    Beyond {
        negative: bool,
    },
}

impl Floor {
    fn within(self, min: i128, max: i128, value: impl Fn(i128) -> Value) -> Fit {
        match self {
            Self::Beyond { negative: true } => Fit::Below,
            Self::Beyond { negative: false } => Fit::Above,
            Self::At { unscaled, .. } if unscaled < min => Fit::Below,
            Self::At { unscaled, .. } if unscaled > max => Fit::Above,
            Self::At {
                unscaled,
                exact: true,
            } => Fit::On(value(unscaled)),
            Self::At { unscaled, .. } => Fit::After(value(unscaled)),
        }
    }
}

/// The largest multiple of 10^-`scale` that is not greater than a number.
fn floor_at(value: &Value, scale: u8) -> Result<Floor, Misfit> {
    let of_decimal = |decimal: Decimal| match decimal.floor_at(scale) {
        Some((unscaled, exact)) => Floor::At { unscaled, exact },
        None => Floor::Beyond {
            negative: decimal.unscaled() < 0,
        },
    };
    match value {
        Value::Int(int) => {
            Ok(Decimal::new(*int, 0).map_or(Floor::Beyond { negative: *int < 0 }, of_decimal))
        }
        Value::Decimal(decimal) => Ok(of_decimal(*decimal)),
        Value::Float(float) if float.abs() >= 1e38 => Ok(Floor::Beyond {
            negative: *float < 0.0,
        }),
        Value::Float(float) if scale == 0 => Ok(Floor::At {
            unscaled: float.floor() as i128,
            exact: float.floor() == *float,
        }),
        // The shortest digits that mean this number: 1e-1 is 0.1 for a decimal column.
        Value::Float(float) => match number(&float.abs().to_string(), *float < 0.0) {
            Some(Value::Decimal(decimal)) => Ok(of_decimal(decimal)),
            Some(Value::Int(int)) => floor_at(&Value::Int(int), scale),
            _ => Err(Misfit::Value("write the number without an exponent")),
        },
        _ => Err(Misfit::Type),
    }
}

/// Where an integer lies, given the floating-point number nearest to it and the one below that.
fn beside(int: i128, near: f64, below: f64) -> Fit {
    match compare_int_float(int, near) {
        Ordering::Equal => Fit::On(Value::Float(near)),
        Ordering::Greater => Fit::After(Value::Float(near)),
        Ordering::Less => Fit::After(Value::Float(below)),
    }
}

fn float32(value: f64) -> Result<Fit, Misfit> {
    let near = value as f32;
    if near.is_finite() {
        Ok(Fit::On(Value::Float(near.into())))
    } else {
        Err(Misfit::Value(
            "use a number within the range of 32-bit floating-point numbers",
        ))
    }
}

fn time(value: &Value) -> Result<Moment, Misfit> {
    match value {
        Value::Date(days) => Ok(Moment::Date(*days)),
        Value::Timestamp(micros) => Ok(Moment::Timestamp(*micros)),
        Value::Text(text) => moment::parse(text).ok_or(Misfit::Value(
            "write dates as '2024-01-31' and moments as '2024-01-31 12:00:00', with at most six digits after the second",
        )),
        _ => Err(Misfit::Type),
    }
}
