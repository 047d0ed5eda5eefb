//! Filters built in Rust.

use super::{CompareOp, Expr, Operand, Pattern, Value};

/// The column `name`. The name is taken whole: dots and quotes have no meaning here.
///
/// ```
/// use metaxy_core::expr::{col, lit};
/// let filter = col("size").ge(3).and(col("kind").is_in(["a", "b"])).or(!col("hidden"));
/// assert_eq!(filter.to_string(), "size >= 3 AND kind IN ('a', 'b') OR NOT hidden");
/// assert_eq!(lit(3).lt(col("size")).to_string(), "3 < size");
/// ```
#[must_use]
pub fn col(name: impl Into<String>) -> Operand {
    Operand::Column(name.into())
}

/// A literal.
#[must_use]
pub fn lit(value: impl Into<Value>) -> Operand {
    Operand::Literal(value.into())
}

impl Operand {
    /// `self = other`. When one side is the literal null, this is `IS NULL` of the other, as in the filter language.
    #[must_use]
    pub fn eq(self, other: impl Into<Self>) -> Expr {
        self.compare(CompareOp::Eq, other.into())
    }

    /// `self <> other`. When one side is the literal null, this is `IS NOT NULL` of the other, as in the filter language.
    #[must_use]
    pub fn ne(self, other: impl Into<Self>) -> Expr {
        self.compare(CompareOp::Ne, other.into())
    }

    /// `self < other`.
    #[must_use]
    pub fn lt(self, other: impl Into<Self>) -> Expr {
        self.compare(CompareOp::Lt, other.into())
    }

    /// `self <= other`.
    #[must_use]
    pub fn le(self, other: impl Into<Self>) -> Expr {
        self.compare(CompareOp::Le, other.into())
    }

    /// `self > other`.
    #[must_use]
    pub fn gt(self, other: impl Into<Self>) -> Expr {
        self.compare(CompareOp::Gt, other.into())
    }

    /// `self >= other`.
    #[must_use]
    pub fn ge(self, other: impl Into<Self>) -> Expr {
        self.compare(CompareOp::Ge, other.into())
    }

    /// `self IS NULL`.
    #[must_use]
    pub fn is_null(self) -> Expr {
        Expr::IsNull {
            operand: self,
            negated: false,
        }
    }

    /// `self IS NOT NULL`.
    #[must_use]
    pub fn is_not_null(self) -> Expr {
        Expr::IsNull {
            operand: self,
            negated: true,
        }
    }

    /// `self IS TRUE`: false for null.
    #[must_use]
    pub fn is_true(self) -> Expr {
        self.boolean_test(true, false)
    }

    /// `self IS NOT TRUE`: true for null.
    #[must_use]
    pub fn is_not_true(self) -> Expr {
        self.boolean_test(true, true)
    }

    /// `self IS FALSE`: false for null.
    #[must_use]
    pub fn is_false(self) -> Expr {
        self.boolean_test(false, false)
    }

    /// `self IS NOT FALSE`: true for null.
    #[must_use]
    pub fn is_not_false(self) -> Expr {
        self.boolean_test(false, true)
    }

    /// `self IN (values)`.
    #[must_use]
    pub fn is_in<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Expr {
        Expr::In {
            operand: self,
            list: values.into_iter().map(Into::into).collect(),
            negated: false,
        }
    }

    /// `self NOT IN (values)`. With a null among the values, no row passes.
    #[must_use]
    pub fn not_in<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Expr {
        Expr::In {
            operand: self,
            list: values.into_iter().map(Into::into).collect(),
            negated: true,
        }
    }

    /// `self LIKE pattern`.
    ///
    /// ```
    /// use metaxy_core::expr::{Pattern, col};
    /// assert_eq!(col("path").like("%.mp4").to_string(), "path LIKE '%.mp4'");
    /// let pattern = Pattern::new("100!%").with_escape('!')?.ignoring_case();
    /// assert_eq!(col("path").not_like(pattern).to_string(), "path NOT ILIKE '100!%' ESCAPE '!'");
    /// # Ok::<(), metaxy_core::Error>(())
    /// ```
    #[must_use]
    pub fn like(self, pattern: impl Into<Pattern>) -> Expr {
        Expr::Like {
            operand: self,
            pattern: pattern.into(),
            negated: false,
        }
    }

    /// `self NOT LIKE pattern`.
    #[must_use]
    pub fn not_like(self, pattern: impl Into<Pattern>) -> Expr {
        Expr::Like {
            operand: self,
            pattern: pattern.into(),
            negated: true,
        }
    }

    /// `self ILIKE pattern`: the letters A to Z are a to z.
    #[must_use]
    pub fn ilike(self, pattern: impl Into<Pattern>) -> Expr {
        self.like(pattern.into().ignoring_case())
    }

    /// `self NOT ILIKE pattern`: the letters A to Z are a to z.
    #[must_use]
    pub fn not_ilike(self, pattern: impl Into<Pattern>) -> Expr {
        self.not_like(pattern.into().ignoring_case())
    }

    /// A boolean column and another condition.
    #[must_use]
    pub fn and(self, other: impl Into<Expr>) -> Expr {
        Expr::from(self).and(other)
    }

    /// A boolean column or another condition.
    #[must_use]
    pub fn or(self, other: impl Into<Expr>) -> Expr {
        Expr::from(self).or(other)
    }

    pub(super) fn compare(self, op: CompareOp, other: Self) -> Expr {
        let (operand, negated) = match (op, &self, &other) {
            (CompareOp::Eq | CompareOp::Ne, _, Self::Literal(Value::Null)) => {
                (self, op == CompareOp::Ne)
            }
            (CompareOp::Eq | CompareOp::Ne, Self::Literal(Value::Null), _) => {
                (other, op == CompareOp::Ne)
            }
            _ => {
                return Expr::Compare {
                    left: self,
                    op,
                    right: other,
                };
            }
        };
        Expr::IsNull { operand, negated }
    }

    fn boolean_test(self, value: bool, negated: bool) -> Expr {
        Expr::IsBool {
            operand: self,
            value,
            negated,
        }
    }
}

impl Expr {
    /// Both conditions. A chain of calls makes one list.
    #[must_use]
    pub fn and(self, other: impl Into<Self>) -> Self {
        match self {
            Self::And(mut list) => {
                list.push(other.into());
                Self::And(list)
            }
            first => Self::And(vec![first, other.into()]),
        }
    }

    /// One of the conditions, or both. A chain of calls makes one list.
    #[must_use]
    pub fn or(self, other: impl Into<Self>) -> Self {
        match self {
            Self::Or(mut list) => {
                list.push(other.into());
                Self::Or(list)
            }
            first => Self::Or(vec![first, other.into()]),
        }
    }
}

impl std::ops::Not for Expr {
    type Output = Self;

    fn not(self) -> Self {
        Self::Not(Box::new(self))
    }
}

impl std::ops::Not for Operand {
    type Output = Expr;

    fn not(self) -> Expr {
        !Expr::from(self)
    }
}

impl From<Operand> for Expr {
    fn from(operand: Operand) -> Self {
        Self::Operand(operand)
    }
}

impl<V: Into<Value>> From<V> for Operand {
    fn from(value: V) -> Self {
        Self::Literal(value.into())
    }
}
