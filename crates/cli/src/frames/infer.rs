//! Types inferred from values: [`Shape`] of JSON values, [`Cells`] of a CSV column.

use std::fmt;
use std::sync::Arc;

use arrow::array::StringArray;
use arrow::datatypes::{DataType, Field};
use indexmap::IndexMap;
use serde_json::Value;

/// What the values of a JSON column have in common so far.
#[derive(Debug, Default)]
pub(super) enum Shape {
    /// Nothing but null.
    #[default]
    Unknown,
    Boolean,
    Number(Numbers),
    Text,
    List(Box<Shape>),
    /// An object with the members of all of them, in the order of their first appearance.
    Object(IndexMap<String, Shape>),
}

/// Which numbers a column has seen.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Numbers {
    negative: bool,
    /// Whole and beyond 64 bits with sign.
    big: bool,
    fraction: bool,
}

/// Two values of one column that no type holds.
#[derive(Debug)]
pub(super) struct Clash {
    /// Names of the members and lists that lead from the column to the value, innermost last.
    pub(super) path: Vec<String>,
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
    /// Takes one more value into account. Depth is bounded by that of the parsed JSON text.
    pub(super) fn add(&mut self, value: &Value) -> Result<(), Clash> {
        match value {
            Value::Null => {}
            Value::Bool(_) => match self.start(|| Self::Boolean) {
                Self::Boolean => {}
                other => return Err(other.clash("a boolean")),
            },
            Value::String(_) => match self.start(|| Self::Text) {
                Self::Text => {}
                other => return Err(other.clash("text")),
            },
            Value::Number(number) => match self.start(|| Self::Number(Numbers::default())) {
                Self::Number(numbers) => {
                    match (number.as_i64(), number.as_u64()) {
                        (Some(whole), _) => numbers.negative |= whole < 0,
                        (None, Some(_)) => numbers.big = true,
                        (None, None) => numbers.fraction = true,
                    };
                }
                other => return Err(other.clash("a number")),
            },
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
                    for (name, member) in members {
                        let shape = match shapes.get_mut(name) {
                            Some(shape) => shape,
                            None => shapes.entry(name.clone()).or_default(),
                        };
                        shape.add(member).map_err(|clash| clash.inside(name))?;
                    }
                }
                other => return Err(other.clash("an object")),
            },
        }
        Ok(())
    }

    /// The narrowest type that holds every value seen.
    pub(super) fn data_type(&self) -> DataType {
        match self {
            Self::Unknown => DataType::Null,
            Self::Boolean => DataType::Boolean,
            Self::Number(numbers) => numbers.data_type(),
            Self::Text => DataType::Utf8,
            Self::List(item) => {
                DataType::List(Arc::new(Field::new_list_field(item.data_type(), true)))
            }
            Self::Object(members) => DataType::Struct(
                members
                    .iter()
                    .map(|(name, shape)| Field::new(name, shape.data_type(), true))
                    .collect(),
            ),
        }
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
                Self::Text => "text",
                Self::List(_) => "a list",
                Self::Object(_) => "an object",
            },
            now,
        }
    }
}

impl Numbers {
    fn data_type(self) -> DataType {
        match self {
            Self { fraction: true, .. } => DataType::Float64,
            // No 64-bit integer holds both; the rows that do not fit a float exactly are refused when they are read.
            Self {
                big: true,
                negative: true,
                ..
            } => DataType::Float64,
            Self { big: true, .. } => DataType::UInt64,
            _ => DataType::Int64,
        }
    }
}

impl Clash {
    fn inside(mut self, name: &str) -> Self {
        self.path.insert(0, name.to_owned());
        self
    }
}

/// What the cells of a CSV column have in common so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Cells {
    boolean: bool,
    number: Option<Numbers>,
    text: bool,
}

impl Cells {
    /// Takes the cells of one batch into account.
    pub(super) fn add(&mut self, cells: &StringArray) {
        for cell in cells.iter().flatten() {
            if self.text {
                return;
            }
            self.add_cell(cell);
        }
    }

    /// The type of the column: text as soon as one cell is neither boolean nor number, or when both occur.
    pub(super) fn data_type(self) -> DataType {
        match self {
            Self { text: true, .. } => DataType::Utf8,
            Self {
                boolean: true,
                number: Some(_),
                ..
            } => DataType::Utf8,
            Self { boolean: true, .. } => DataType::Boolean,
            // Two kinds of whole numbers that no integer type holds stay as they are written.
            Self {
                number:
                    Some(Numbers {
                        negative: true,
                        big: true,
                        ..
                    }),
                ..
            } => DataType::Utf8,
            Self {
                number: Some(numbers),
                ..
            } => numbers.data_type(),
            _ => DataType::Null,
        }
    }

    fn add_cell(&mut self, cell: &str) {
        if boolean(cell).is_some() {
            self.boolean = true;
            return;
        }
        let digits = cell.strip_prefix('-').unwrap_or(cell);
        // `007` is a label, not the number 7.
        let padded =
            digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
        let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let before = self.number.unwrap_or_default();
        let numbers = match (padded, whole) {
            (true, _) => None,
            (false, true) => match (cell.parse::<i64>(), cell.parse::<u64>()) {
                (Ok(number), _) => Some(Numbers {
                    negative: before.negative || number < 0,
                    ..before
                }),
                (_, Ok(_)) => Some(Numbers {
                    big: true,
                    ..before
                }),
                _ => None,
            },
            (false, false) => is_decimal(cell, digits).then_some(Numbers {
                fraction: true,
                ..before
            }),
        };
        match numbers {
            Some(_) => self.number = numbers,
            None => self.text = true,
        }
    }
}

/// The boolean that a CSV cell spells, in the spellings that common tools write.
pub(super) fn boolean(cell: &str) -> Option<bool> {
    match cell {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Whether `cell` is a number with a point or an exponent, or one of the words that stand for no finite number.
fn is_decimal(cell: &str, digits: &str) -> bool {
    if matches!(cell, "NaN" | "inf" | "-inf") {
        return true;
    }
    let plain = digits
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'));
    // More than 17 digits do not survive in 64 bits: such a cell is a label or must be asked for as a decimal.
    let significant = digits.split(['e', 'E']).next().map_or(0, |mantissa| {
        mantissa.bytes().filter(u8::is_ascii_digit).count()
    });
    plain
        && digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && significant <= 17
        && cell.parse::<f64>().is_ok_and(f64::is_finite)
}
