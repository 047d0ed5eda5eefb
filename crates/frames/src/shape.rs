//! Types from values: [`Shape`] of JSON values, [`Cells`] of a column of CSV.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use indexmap::IndexMap;

use crate::json::parse::Value;
use crate::scalar::number::{self, Written};
use crate::scalar::read::boolean;

/// What the values of a JSON column have in common so far.
#[derive(Debug, Default)]
pub(crate) enum Shape {
    /// Nothing but null.
    #[default]
    Unknown,
    Boolean,
    Number(Numbers),
    /// Text; whether all of it are words for floats that are not finite.
    Text(bool),
    List(Box<Shape>),
    /// An object with the members of all of them, in the order of their first appearance.
    Object(IndexMap<String, Shape>),
}

/// Which numbers a column has seen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Numbers {
    /// The least and the greatest whole number of 64 bits.
    least: i64,
    greatest: u64,
    /// Whether one is whole and beyond 64 bits.
    big: bool,
    /// Whether one has a fraction or an exponent, or is no finite number.
    fraction: bool,
    special: bool,
    /// The most digits before and after the point.
    places: (u64, u64),
    /// The first that a 64-bit float does not keep.
    inexact: Option<String>,
}

/// The most digits of a decimal.
const MOST_DIGITS: u64 = 76;

/// The entry of a name, which most values have at one position; a new one where there is none.
pub(crate) fn entry<'m, V>(
    known: &'m mut IndexMap<String, V>,
    position: usize,
    name: &str,
    new: impl FnOnce() -> V,
) -> &'m mut V {
    let at = match known.get_index(position) {
        Some((other, _)) if other == name => position,
        _ => known.get_index_of(name).unwrap_or(known.len()),
    };
    if at == known.len() {
        known.insert(name.to_owned(), new());
    }
    &mut known[at]
}

/// Two values of one column that no type holds.
#[derive(Debug)]
pub(crate) struct Clash {
    /// Names of the members and lists that lead from the column to the value, innermost last.
    pub(crate) path: Vec<String>,
    before: &'static str,
    now: &'static str,
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "it holds {} here and {} in an earlier row",
            self.now, self.before
        )
    }
}

impl Shape {
    /// Takes one more value into account. Depth is bounded by that of the parsed text.
    pub(crate) fn add(&mut self, value: &Value<'_>) -> Result<(), Clash> {
        match value {
            Value::Null => {}
            Value::Bool(_) => match self.start(|| Self::Boolean) {
                Self::Boolean => {}
                other => return Err(other.clash("a boolean")),
            },
            Value::String(text) => {
                let special = number::special(text).is_some();
                match self.start(|| Self::Text(true)) {
                    Self::Text(all_special) => *all_special &= special,
                    Self::Number(numbers) if special => numbers.add_special(),
                    other => return Err(other.clash("text")),
                }
            }
            Value::Number(digits) => {
                if let Self::Text(true) = self {
                    let mut numbers = Numbers::default();
                    numbers.add_special();
                    *self = Self::Number(numbers);
                }
                match self.start(|| Self::Number(Numbers::default())) {
                    Self::Number(numbers) => numbers.add(digits),
                    other => return Err(other.clash("a number")),
                }
            }
            Value::Array(items) => match self.start(|| Self::List(Box::default())) {
                Self::List(shape) => {
                    for item in items {
                        shape.add(item).map_err(|clash| clash.inside("[]"))?;
                    }
                }
                other => return Err(other.clash("a list")),
            },
            Value::Object(members) => match self.start(|| Self::Object(IndexMap::new())) {
                Self::Object(shapes) => {
                    for (i, (name, member)) in members.iter().enumerate() {
                        let shape = entry(shapes, i, name, Shape::default);
                        shape.add(member).map_err(|clash| clash.inside(name))?;
                    }
                }
                other => return Err(other.clash("an object")),
            },
        }
        Ok(())
    }

    /// The narrowest type that holds every value seen exactly.
    ///
    /// # Errors
    /// A number that no type holds.
    pub(crate) fn data_type(&self) -> Result<DataType, String> {
        Ok(match self {
            Self::Unknown => DataType::Null,
            Self::Boolean => DataType::Boolean,
            Self::Number(numbers) => numbers.data_type()?,
            Self::Text(_) => DataType::Utf8,
            Self::List(item) => {
                DataType::List(Arc::new(Field::new_list_field(item.data_type()?, true)))
            }
            Self::Object(members) => DataType::Struct(
                members
                    .iter()
                    .map(|(name, shape)| Ok(Field::new(name, shape.data_type()?, true)))
                    .collect::<Result<_, String>>()?,
            ),
        })
    }

    /// This shape, or the first one if nothing is known yet.
    fn start(&mut self, first: impl FnOnce() -> Self) -> &mut Self {
        if matches!(self, Self::Unknown) {
            *self = first();
        }
        self
    }

    fn clash(&self, now: &'static str) -> Clash {
        Clash {
            path: Vec::new(),
            before: match self {
                Self::Unknown => "null",
                Self::Boolean => "a boolean",
                Self::Number(_) => "a number",
                Self::Text(_) => "text",
                Self::List(_) => "a list",
                Self::Object(_) => "an object",
            },
            now,
        }
    }
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            least: 0,
            greatest: 0,
            big: false,
            fraction: false,
            special: false,
            places: (1, 0),
            inexact: None,
        }
    }
}

/// Up to here every whole number is a 64-bit float.
const MAX_EXACT: u64 = 1 << 53;

impl Numbers {
    fn add(&mut self, digits: &str) {
        // `-0` is a float.
        if let Ok(whole) = digits.parse::<i64>()
            && digits != "-0"
        {
            self.least = self.least.min(whole);
            self.greatest = self.greatest.max(whole.try_into().unwrap_or_default());
            let size = whole.unsigned_abs();
            if size > MAX_EXACT {
                self.places.0 = self.places.0.max(19);
                self.note_inexact(digits);
            }
            return;
        }
        if let Some(written) = Written::parse(digits) {
            let (before, after) = written.places();
            self.places = (self.places.0.max(before), self.places.1.max(after));
        }
        match digits.parse::<u64>() {
            Ok(whole) => {
                self.greatest = self.greatest.max(whole);
                self.note_inexact(digits);
            }
            Err(_) => {
                let size = digits.strip_prefix('-').unwrap_or(digits);
                let whole = digits != "-0" && size.bytes().all(|byte| byte.is_ascii_digit());
                self.big |= whole;
                self.fraction |= !whole;
                self.note_inexact(digits);
            }
        }
    }

    fn add_special(&mut self) {
        self.fraction = true;
        self.special = true;
    }

    fn note_inexact(&mut self, digits: &str) {
        if self.inexact.is_none() && number::float64(digits).is_none() {
            self.inexact = Some(digits.to_owned());
        }
    }

    fn data_type(&self) -> Result<DataType, String> {
        if !self.fraction && !self.big {
            if self.greatest <= i64::MAX.unsigned_abs() {
                return Ok(DataType::Int64);
            }
            if self.least >= 0 {
                return Ok(DataType::UInt64);
            }
        }
        let Some(inexact) = &self.inexact else {
            // A whole number beyond 64 bits that a float keeps is still no float to its writer.
            if self.fraction {
                return Ok(DataType::Float64);
            }
            return self
                .decimal()
                .ok_or_else(|| "a whole number has more digits than any type keeps".to_owned());
        };
        let decimal = if self.special { None } else { self.decimal() };
        decimal.ok_or_else(|| {
            format!("the number {inexact} cannot be kept exactly beside the others of its column")
        })
    }

    /// A decimal that holds all of them.
    fn decimal(&self) -> Option<DataType> {
        // The greatest of unsigned 64 bits has twenty.
        let before = match self.greatest > MAX_EXACT {
            true => self.places.0.max(20),
            false => self.places.0.max(16),
        };
        let digits = before
            .checked_add(self.places.1)
            .filter(|digits| *digits <= MOST_DIGITS)?;
        let (digits, scale) = (
            u8::try_from(digits).ok()?,
            i8::try_from(self.places.1).ok()?,
        );
        Some(match digits {
            0..=38 => DataType::Decimal128(digits, scale),
            _ => DataType::Decimal256(digits, scale),
        })
    }
}

impl Clash {
    fn inside(mut self, name: &str) -> Self {
        self.path.insert(0, name.to_owned());
        self
    }
}

/// What values have beyond the type that is known of their column.
#[derive(Debug)]
pub(crate) enum Growth {
    /// Nothing: the type is whole.
    Settled,
    /// All: nothing is known of the type.
    Open(Shape),
    Members(IndexMap<String, Growth>),
    Items(Box<Growth>),
}

impl Growth {
    /// Of a type, of which nothing has been seen yet.
    pub(crate) fn of(known: &DataType) -> Self {
        match known {
            DataType::Null => Self::Open(Shape::default()),
            DataType::Struct(members) => Self::Members(
                members
                    .iter()
                    .map(|member| (member.name().clone(), Self::of(member.data_type())))
                    .collect(),
            ),
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                match Self::of(item.data_type()) {
                    Self::Settled => Self::Settled,
                    item => Self::Items(Box::new(item)),
                }
            }
            _ => Self::Settled,
        }
    }

    /// Takes one more value into account. What does not fit the known type is told when it is read.
    pub(crate) fn add(&mut self, value: &Value<'_>) -> Result<(), Clash> {
        match (self, value) {
            (Self::Open(shape), value) => shape.add(value)?,
            (Self::Members(known), Value::Object(members)) => {
                for (i, (name, member)) in members.iter().enumerate() {
                    let growth = entry(known, i, name, || Self::Open(Shape::default()));
                    growth.add(member).map_err(|clash| clash.inside(name))?;
                }
            }
            (Self::Items(growth), Value::Array(items)) => {
                for item in items {
                    growth.add(item).map_err(|clash| clash.inside("[]"))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The known type with what was seen beyond it.
    ///
    /// # Errors
    /// A number that no type holds.
    pub(crate) fn data_type(&self, known: &DataType) -> Result<DataType, String> {
        let item = |growth: &Self, field: &FieldRef| -> Result<FieldRef, String> {
            let data_type = growth.data_type(field.data_type())?;
            Ok(Arc::new(field.as_ref().clone().with_data_type(data_type)))
        };
        Ok(match (self, known) {
            (Self::Open(shape), _) => shape.data_type()?,
            (Self::Members(members), DataType::Struct(known)) => DataType::Struct(
                members
                    .iter()
                    .map(|(name, growth)| match known.find(name) {
                        Some((_, field)) => item(growth, field),
                        None => {
                            let data_type = growth.data_type(&DataType::Null)?;
                            Ok(Arc::new(Field::new(name, data_type, true)))
                        }
                    })
                    .collect::<Result<Vec<_>, String>>()?
                    .into(),
            ),
            (Self::Items(growth), DataType::List(known)) => DataType::List(item(growth, known)?),
            (Self::Items(growth), DataType::LargeList(known)) => {
                DataType::LargeList(item(growth, known)?)
            }
            (Self::Items(growth), DataType::FixedSizeList(known, size)) => {
                DataType::FixedSizeList(item(growth, known)?, *size)
            }
            (_, known) => known.clone(),
        })
    }
}

/// What the cells of a CSV column have in common so far.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Cells {
    boolean: bool,
    whole: bool,
    signed: bool,
    unsigned: bool,
    float: bool,
    text: bool,
}

impl Cells {
    /// Takes a cell into account that is not empty, or that is an empty text.
    pub(crate) fn add(&mut self, cell: &str) {
        if self.text || cell.is_empty() {
            return;
        }
        if boolean(cell).is_some() {
            self.boolean = true;
        } else if let Ok(whole) = cell.parse::<i64>() {
            match whole.to_string() == cell {
                true if whole < 0 => self.signed = true,
                true => {}
                // `007` and `+7` are labels.
                false => self.text = true,
            }
            self.whole = true;
        } else if let Ok(whole) = cell.parse::<u64>() {
            self.unsigned = true;
            self.text |= whole.to_string() != cell;
            self.whole = true;
        } else {
            let float = match cell {
                number::NAN | number::INFINITY | number::NEGATIVE_INFINITY => true,
                // A number that is not printed back as it is written is a label.
                _ => cell
                    .parse::<f64>()
                    .is_ok_and(|float| float.is_finite() && number::print64(float) == cell),
            };
            match float {
                true => self.float = true,
                false => self.text = true,
            }
        }
    }

    /// The type of the column: text as soon as one cell is neither boolean nor number, or when they do not go together.
    pub(crate) fn data_type(self) -> DataType {
        let kinds = u8::from(self.boolean) + u8::from(self.whole) + u8::from(self.float);
        match self {
            Self { text: true, .. } => DataType::Utf8,
            // Whole numbers among floats would get a point.
            _ if kinds > 1 => DataType::Utf8,
            Self { boolean: true, .. } => DataType::Boolean,
            Self { float: true, .. } => DataType::Float64,
            // No integer holds both.
            Self {
                signed: true,
                unsigned: true,
                ..
            } => DataType::Utf8,
            Self { unsigned: true, .. } => DataType::UInt64,
            Self { whole: true, .. } => DataType::Int64,
            _ => DataType::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse::parse;

    #[test]
    fn numbers_get_a_type_that_keeps_all_of_them() {
        let type_of = |values: &[&str]| {
            let mut shape = Shape::default();
            for value in values {
                shape.add(&parse(value).unwrap()).unwrap();
            }
            shape.data_type()
        };
        for (values, data_type) in [
            (&["1", "-2"][..], DataType::Int64),
            (&["1", "18446744073709551615"], DataType::UInt64),
            (&["-1", "18446744073709551615"], DataType::Decimal128(20, 0)),
            (
                &["18446744073709551616", "18446744073709551617"],
                DataType::Decimal128(20, 0),
            ),
            (&["1", "0.5"], DataType::Float64),
            (&["1.10", "12e4"], DataType::Float64),
            (&["-0"], DataType::Float64),
            (&["\"NaN\"", "1"], DataType::Float64),
            (&["1", "\"-inf\""], DataType::Float64),
            (&["\"NaN\"", "\"x\""], DataType::Utf8),
            (&["12345678901234567.89"], DataType::Decimal128(19, 2)),
            (&["0.5", "9007199254740993"], DataType::Decimal128(21, 1)),
        ] {
            assert_eq!(type_of(values), Ok(data_type), "{values:?}");
        }
        for values in [
            &["1e300", "9007199254740993"][..],
            &["\"NaN\"", "9007199254740993"],
            &["1e400"],
        ] {
            assert!(type_of(values).is_err(), "{values:?}");
        }
        let mut shape = Shape::default();
        shape.add(&parse("1").unwrap()).unwrap();
        assert!(shape.add(&parse("\"x\"").unwrap()).is_err());
    }

    #[test]
    fn cells_that_would_change_are_text() {
        for (cells, data_type) in [
            (&["1", "-2", ""][..], DataType::Int64),
            (&["1", "18446744073709551615"], DataType::UInt64),
            (&["-1", "18446744073709551615"], DataType::Utf8),
            (&["1.5", "2.0", "1e300", "NaN", "-inf"], DataType::Float64),
            (&["1.1", "1.10"], DataType::Utf8),
            (&["2", "2.0"], DataType::Utf8),
            (&["12e4"], DataType::Utf8),
            (&["007"], DataType::Utf8),
            (&["+7"], DataType::Utf8),
            (&["-0"], DataType::Utf8),
            (&["true", "False"], DataType::Boolean),
            (&["true", "1"], DataType::Utf8),
            (&["18446744073709551616"], DataType::Utf8),
            (&["nan"], DataType::Utf8),
            (&[""], DataType::Null),
        ] {
            let mut seen = Cells::default();
            cells.iter().for_each(|cell| seen.add(cell));
            assert_eq!(seen.data_type(), data_type, "{cells:?}");
        }
    }
}
