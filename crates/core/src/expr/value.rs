//! Literals.

use std::cmp::Ordering;
use std::fmt;

/// A literal of a filter.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Null.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer. Text may hold integers that no column can; binding makes them fit their column.
    Int(i128),
    /// An exact decimal number: digits with a decimal point.
    Decimal(Decimal),
    /// A floating-point number: digits with an exponent, or more digits than [`Decimal`] holds.
    Float(f64),
    /// Text.
    Text(String),
    /// A date: days since 1970-01-01. In text it is a quoted `'2024-01-31'`, which binding turns into this.
    Date(i32),
    /// A moment: microseconds since 1970-01-01 00:00:00 UTC. In text it is a quoted `'2024-01-31 12:00:00'`, which
    /// binding turns into this; without a zone it is UTC.
    Timestamp(i64),
}

/// An exact decimal number, `unscaled` · 10^-`scale`.
///
/// Two decimals are equal as values of this type if they are written alike (1.0 is not 1.00); filters compare numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    unscaled: i128,
    scale: u8,
}

impl Decimal {
    /// The most digits after the point.
    pub const MAX_SCALE: u8 = 38;

    /// `unscaled` · 10^-`scale`; `None` if the scale is more than [`Self::MAX_SCALE`].
    #[must_use]
    pub const fn new(unscaled: i128, scale: u8) -> Option<Self> {
        if scale > Self::MAX_SCALE {
            return None;
        }
        Some(Self { unscaled, scale })
    }

    /// The digits without the point.
    #[must_use]
    pub const fn unscaled(self) -> i128 {
        self.unscaled
    }

    /// How many of the digits stand after the point.
    #[must_use]
    pub const fn scale(self) -> u8 {
        self.scale
    }

    /// The nearest floating-point number.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        // Parsing rounds once, dividing would round twice.
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// Compares the numbers.
    #[must_use]
    pub fn compare(self, other: Self) -> Ordering {
        let (a, b) = (self.split(), other.split());
        let scale = self.scale.max(other.scale);
        // A fraction has at most `scale` digits, so neither product overflows.
        let fraction =
            |part: i128, own: u8| part.saturating_mul(10_i128.pow(u32::from(scale - own)));
        (a.0.cmp(&b.0)).then_with(|| fraction(a.1, self.scale).cmp(&fraction(b.1, other.scale)))
    }

    /// The largest integer that is not greater than this number times 10^`scale`, and whether they are equal. `None` when
    /// it is too large to be written.
    pub(super) fn floor_at(self, scale: u8) -> Option<(i128, bool)> {
        if scale >= self.scale {
            let factor = 10_i128.pow(u32::from(scale - self.scale));
            return Some((self.unscaled.checked_mul(factor)?, true));
        }
        let factor = 10_i128.pow(u32::from(self.scale - scale));
        let floor = self.unscaled.div_euclid(factor);
        Some((floor, self.unscaled.rem_euclid(factor) == 0))
    }

    /// Integer part, rounded down, and the fraction's digits.
    fn split(self) -> (i128, i128) {
        let one = 10_i128.pow(u32::from(self.scale));
        (self.unscaled.div_euclid(one), self.unscaled.rem_euclid(one))
    }
}

/// Plain digits, always with a point: `-0.50`, `5.`.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.unscaled.unsigned_abs().to_string();
        let scale = usize::from(self.scale);
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if self.unscaled < 0 { "-" } else { "" };
        write!(f, "{sign}{whole}.{fraction}")
    }
}

/// Compares numbers of any kind exactly; NaN is equal to itself and greater than the others. `None` if one is no number.
pub(super) fn compare_numbers(a: &Value, b: &Value) -> Option<Ordering> {
    Some(match (a, b) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) => compare_floats(*a, *b),
        (Value::Int(a), Value::Float(b)) => compare_int_float(*a, *b),
        (Value::Float(a), Value::Int(b)) => compare_int_float(*b, *a).reverse(),
        (Value::Decimal(a), Value::Decimal(b)) => a.compare(*b),
        (Value::Int(a), Value::Decimal(b)) => compare_int_decimal(*a, *b),
        (Value::Decimal(a), Value::Int(b)) => compare_int_decimal(*b, *a).reverse(),
        // As SQL does it: a decimal beside a floating-point number becomes one.
        (Value::Decimal(a), Value::Float(b)) => compare_floats(a.to_f64(), *b),
        (Value::Float(a), Value::Decimal(b)) => compare_floats(*a, b.to_f64()),
        _ => return None,
    })
}

fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn compare_int_decimal(a: i128, b: Decimal) -> Ordering {
    Decimal {
        unscaled: a,
        scale: 0,
    }
    .compare(b)
}

/// Exact, beyond 2^53 as well.
pub(super) fn compare_int_float(int: i128, float: f64) -> Ordering {
    /// 2^127, one more than the largest integer.
    const LIMIT: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;
    if float.is_nan() || float >= LIMIT {
        return Ordering::Less;
    }
    if float < -LIMIT {
        return Ordering::Greater;
    }
    let floor = float.floor();
    int.cmp(&(floor as i128)).then(if floor < float {
        Ordering::Less
    } else {
        Ordering::Equal
    })
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

macro_rules! from_integers {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Value {
            fn from(value: $integer) -> Self {
                Self::Int(value.into())
            }
        }
    )*};
}
from_integers!(i8, i16, i32, i64, i128, u8, u16, u32, u64);

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<Decimal> for Value {
    fn from(value: Decimal) -> Self {
        Self::Decimal(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
