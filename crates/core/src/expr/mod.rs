//! Filters: conditions on the columns of a table, built in Rust or parsed from SQL text.
//!
//! ```
//! use metaxy_core::expr::{Expr, col};
//! let built = col("size").gt(3).and(col("path").is_not_null());
//! let parsed = Expr::parse("size > 3 AND path IS NOT NULL")?;
//! assert_eq!(built, parsed);
//! assert_eq!(built.to_string(), "size > 3 AND path IS NOT NULL");
//! # Ok::<(), metaxy_core::Error>(())
//! ```
//!
//! The language is that of `golden/FORMAT.md`, filters.json, with SQL's meaning or an error where the reference surprises
//! (`semantics.md` §10): comparisons, `AND OR NOT`, `IS [NOT] NULL/TRUE/FALSE`, `[NOT] IN (literals)`, and beyond the
//! reference `[NOT] LIKE` and `ILIKE` with a [`Pattern`], over columns and literals only. Logic is three-valued, and a row passes only if the result is true.
//!
//! A filter takes three steps: [`Expr::parse`] knows no columns; [`Expr::bind`] checks it against a schema and gives every
//! literal the type of its column; a backend renders the bound filter. [`Expr::evaluate`] says what it means.

mod bind;
mod build;
mod display;
mod evaluate;
mod moment;
mod parse;
mod pattern;
mod schema;
mod value;

use std::collections::{BTreeSet, HashMap};

pub use build::{col, lit};
pub use pattern::Pattern;
pub use value::{Decimal, Value};

use crate::error::{Error, ErrorKind, Result};

/// A condition: true, false or null for each row of a table.
///
/// The variants are public so that backends can render them; [`col`] and [`lit`] build them, and [`Expr::parse`] reads
/// them from text. What [`Expr::bind`] promises about a bound filter stands there.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A boolean column, or a boolean or null literal, as a condition.
    Operand(Operand),
    /// `left op right`. Null if either side is null; but see [`Operand::eq`] for `= NULL`.
    Compare {
        /// The left side.
        left: Operand,
        /// The comparison.
        op: CompareOp,
        /// The right side.
        right: Operand,
    },
    /// `operand IS NULL`, or `IS NOT NULL` when negated. Never null.
    IsNull {
        /// What is asked for null; a column of any type.
        operand: Operand,
        /// `IS NOT NULL`.
        negated: bool,
    },
    /// `operand IS TRUE`, `IS FALSE`, or their negations. Never null: `IS NOT TRUE` is true for null.
    IsBool {
        /// A boolean column or literal.
        operand: Operand,
        /// Which of the two is asked for.
        value: bool,
        /// `IS NOT`.
        negated: bool,
    },
    /// `operand IN (list)`, or `NOT IN`. A null in the list makes the result null where it would be false (true when
    /// negated); an empty list contains nothing, not even null.
    In {
        /// A column.
        operand: Operand,
        /// The values.
        list: Vec<Value>,
        /// `NOT IN`.
        negated: bool,
    },
    /// `operand LIKE pattern`, or `NOT LIKE` when negated; `ILIKE` if the pattern ignores case. Null for null.
    Like {
        /// A column of text.
        operand: Operand,
        /// What its texts are compared with.
        pattern: Pattern,
        /// `NOT LIKE`.
        negated: bool,
    },
    /// True where the condition is false; null stays null.
    Not(Box<Expr>),
    /// Every condition holds. Parsing and building give at least two.
    And(Vec<Expr>),
    /// Some condition holds. Parsing and building give at least two.
    Or(Vec<Expr>),
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// The column of this name, case-sensitive. A name may contain dots.
    Column(String),
    /// A value that is the same for every row.
    Literal(Value),
}

/// How two operands are compared.
///
/// Numbers compare exactly whatever their types, and NaN is equal to itself and greater than every other number; only a decimal beside a
/// floating-point number becomes the nearest of those. Text compares by code points. False is less than true. Dates and times compare as
/// moments, whatever their units and zones: a date is its midnight in UTC, and so are times without a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompareOp {
    /// `=`
    Eq,
    /// `<>`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl CompareOp {
    /// The SQL operator.
    #[must_use]
    pub const fn as_sql(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "<>",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }

    /// The operator that means the same when the sides are exchanged.
    #[must_use]
    pub const fn flipped(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            Self::Eq | Self::Ne => self,
        }
    }

    /// Whether the operator holds for sides that order like `ordering`.
    #[must_use]
    pub const fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Eq => ordering.is_eq(),
            Self::Ne => ordering.is_ne(),
            Self::Lt => ordering.is_lt(),
            Self::Le => ordering.is_le(),
            Self::Gt => ordering.is_gt(),
            Self::Ge => ordering.is_ge(),
        }
    }
}

impl Expr {
    /// All of the conditions; `None` for none.
    #[must_use]
    pub fn and_all(conditions: impl IntoIterator<Item = Self>) -> Option<Self> {
        conditions.into_iter().reduce(Self::and)
    }

    /// The conditions that all have to hold for this one to hold: those of a list, or this one alone.
    #[must_use]
    pub fn conjuncts(&self) -> &[Self] {
        match self {
            Self::And(all) if !all.is_empty() => all,
            one => std::slice::from_ref(one),
        }
    }

    /// The names of the columns that the filter looks at.
    #[must_use]
    pub fn columns(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        self.any(&mut |node| {
            names.extend(node.operands().into_iter().filter_map(Operand::column));
            false
        });
        names
    }

    /// Whether `test` holds for this condition or for one inside it, outermost first.
    pub fn any<'a>(&'a self, test: &mut impl FnMut(&'a Self) -> bool) -> bool {
        let mut pending = vec![self];
        while let Some(node) = pending.pop() {
            if test(node) {
                return true;
            }
            pending.extend(node.children().iter().rev());
        }
        false
    }

    /// The filter with every condition replaced by what `change` makes of it, innermost first.
    #[must_use]
    pub fn map(self, change: &mut impl FnMut(Self) -> Self) -> Self {
        let inner = match self {
            Self::Not(inner) => Self::Not(Box::new(inner.map(change))),
            Self::And(list) => Self::And(list.into_iter().map(|node| node.map(change)).collect()),
            Self::Or(list) => Self::Or(list.into_iter().map(|node| node.map(change)).collect()),
            leaf => leaf,
        };
        change(inner)
    }

    /// The filter with other column names.
    #[must_use]
    pub fn map_columns(self, mut rename: impl FnMut(String) -> String) -> Self {
        self.map(&mut |mut node| {
            for operand in node.operands_mut() {
                if let Operand::Column(name) = operand {
                    *name = rename(std::mem::take(name));
                }
            }
            node
        })
    }

    /// The filter with the columns renamed that `names` has (old name to new name); others stay.
    #[must_use]
    pub fn rename(self, names: &HashMap<String, String>) -> Self {
        self.map_columns(|name| names.get(&name).cloned().unwrap_or(name))
    }

    /// The operands of this condition itself, not of those inside it.
    #[must_use]
    pub fn operands(&self) -> Vec<&Operand> {
        match self {
            Self::Operand(operand)
            | Self::IsNull { operand, .. }
            | Self::IsBool { operand, .. }
            | Self::In { operand, .. }
            | Self::Like { operand, .. } => vec![operand],
            Self::Compare { left, right, .. } => vec![left, right],
            Self::Not(_) | Self::And(_) | Self::Or(_) => Vec::new(),
        }
    }

    /// The conditions right inside this one.
    #[must_use]
    pub fn children(&self) -> &[Self] {
        match self {
            Self::Not(inner) => std::slice::from_ref(inner),
            Self::And(list) | Self::Or(list) => list,
            _ => &[],
        }
    }

    fn operands_mut(&mut self) -> Vec<&mut Operand> {
        match self {
            Self::Operand(operand)
            | Self::IsNull { operand, .. }
            | Self::IsBool { operand, .. }
            | Self::In { operand, .. }
            | Self::Like { operand, .. } => vec![operand],
            Self::Compare { left, right, .. } => vec![left, right],
            Self::Not(_) | Self::And(_) | Self::Or(_) => Vec::new(),
        }
    }

    /// An error if conditions are nested more deeply than this module's recursion may go. Does not recurse itself.
    fn check_depth(&self) -> Result<()> {
        let mut level: Vec<&Self> = vec![self];
        for _ in 0..MAX_DEPTH {
            level = level.iter().flat_map(|node| node.children()).collect();
            if level.is_empty() {
                return Ok(());
            }
        }
        Err(Error::new(
            ErrorKind::InvalidFilter,
            format!("the filter nests conditions more than {MAX_DEPTH} levels deep"),
        )
        .with_hint("join many conditions in one list, with `Expr::and_all` or a chain of AND without parentheses"))
    }
}

impl Operand {
    /// The column's name, if it is one.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::Column(name) => Some(name),
            Self::Literal(_) => None,
        }
    }

    /// The value, if it is a literal.
    #[must_use]
    pub fn literal(&self) -> Option<&Value> {
        match self {
            Self::Column(_) => None,
            Self::Literal(value) => Some(value),
        }
    }
}

/// How deeply conditions may be nested. Parsed filters nest at most half as deeply, so that they can be combined.
const MAX_DEPTH: usize = 200;
