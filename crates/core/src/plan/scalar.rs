//! Values computed from the columns of one row.

use arrow::datatypes::{DataType, Schema};

use super::internal;
use crate::error::Result;
use crate::expr::Expr;
use crate::hash::HashAlgorithm;

/// How something is hashed: the algorithm and the number of characters that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashSpec {
    /// The algorithm.
    pub algorithm: HashAlgorithm,
    /// Characters of the text form that are kept.
    pub length: usize,
}

/// A value computed from the columns of one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// The value of a column.
    Column(String),
    /// A member of a struct or map column of text, null if either is.
    Member {
        /// The struct or map column.
        column: String,
        /// The member's name.
        member: String,
    },
    /// The value of a column in another type that holds all its values: an integer in a wider one or in one that is known to hold it, a
    /// time in a finer unit or another zone, a word of a dictionary as text, an integer as its digits, and back.
    Converted {
        /// The column.
        column: String,
        /// The type.
        data_type: DataType,
    },
    /// A text.
    Text(String),
    /// A condition that was bound to the columns ([`Expr::bind`]).
    Test(Expr),
    /// The hash of the parts' texts, one after the other (Utf8).
    Hash {
        /// How it is hashed.
        spec: HashSpec,
        /// What is hashed.
        parts: Vec<HashPart>,
    },
}

/// A part of what [`Scalar::Hash`] hashes: its values are of type Utf8.
pub type HashPart = crate::hash::HashPart<Scalar>;

impl Scalar {
    /// The value of the column `name`.
    pub fn column(name: impl Into<String>) -> Self {
        Self::Column(name.into())
    }

    /// The member of a struct or map column.
    pub fn member(column: impl Into<String>, member: impl Into<String>) -> Self {
        Self::Member {
            column: column.into(),
            member: member.into(),
        }
    }

    /// The value of a column in a type that holds all its values.
    pub fn converted(column: impl Into<String>, data_type: DataType) -> Self {
        Self::Converted {
            column: column.into(),
            data_type,
        }
    }

    /// The columns that the value is computed from, some of them perhaps more than once.
    #[must_use]
    pub fn inputs(&self) -> Vec<&str> {
        match self {
            Self::Column(name) => vec![name],
            Self::Member { column, .. } | Self::Converted { column, .. } => vec![column],
            Self::Text(_) => Vec::new(),
            Self::Test(filter) => filter.columns().into_iter().collect(),
            Self::Hash { parts, .. } => {
                let values = parts.iter().filter_map(|part| match part {
                    HashPart::Value(value, _) => Some(value),
                    HashPart::Text(_) => None,
                });
                values.flat_map(Self::inputs).collect()
            }
        }
    }

    /// The type of the value over rows of `schema`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if a column does not exist or has another type.
    pub fn data_type(&self, schema: &Schema) -> Result<DataType> {
        match self {
            Self::Column(name) => Ok(schema.field_with_name(name)?.data_type().clone()),
            Self::Member { column, .. } => match schema.field_with_name(column)?.data_type() {
                DataType::Struct(_) | DataType::Map(..) => Ok(DataType::Utf8),
                other => Err(internal(format!(
                    "column {column:?} of type {other} has no members"
                ))),
            },
            Self::Converted { column, data_type } => {
                schema.field_with_name(column)?;
                Ok(data_type.clone())
            }
            Self::Text(_) => Ok(DataType::Utf8),
            Self::Test(expr) => {
                for name in expr.columns() {
                    schema.field_with_name(name)?;
                }
                Ok(DataType::Boolean)
            }
            Self::Hash { parts, .. } => {
                for part in parts {
                    if let HashPart::Value(value, _) = part {
                        match value.data_type(schema)? {
                            DataType::Utf8 => {}
                            other => return Err(internal(format!("{other} cannot be hashed"))),
                        }
                    }
                }
                Ok(DataType::Utf8)
            }
        }
    }
}
