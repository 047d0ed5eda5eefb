//! What a hash is made from.

use arrow::array::{Array, ArrayRef};

use super::SEPARATOR;

/// A part of a text that is hashed.
#[derive(Debug, Clone, PartialEq)]
pub enum HashPart<V> {
    /// The same text in every row.
    Text(String),
    /// A value of each row, and what its nulls mean.
    Value(V, Nulls),
}

impl HashPart<ArrayRef> {
    /// The part as [`hash_rows`](super::hash_rows) takes it.
    #[must_use]
    pub fn as_array(&self) -> HashPart<&dyn Array> {
        match self {
            Self::Text(text) => HashPart::Text(text.clone()),
            Self::Value(values, nulls) => HashPart::Value(values.as_ref(), *nulls),
        }
    }
}

/// What a null part means for a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    /// The hash is null.
    Propagate,
    /// It counts as the empty text (a missing sample of an optional upstream, `semantics.md` §2).
    Empty,
}

/// The parts with a [`SEPARATOR`] between every two.
///
/// ```
/// use metaxy_core::hash::{HashPart, Nulls, joined};
/// let value = || HashPart::Value("version", Nulls::Propagate);
/// let parts = joined([HashPart::Text("a".into()), HashPart::Text("1".into()), value(), value()]);
/// assert_eq!(parts, [HashPart::Text("a|1|".into()), value(), HashPart::Text("|".into()), value()]);
/// ```
pub fn joined<V>(parts: impl IntoIterator<Item = HashPart<V>>) -> Vec<HashPart<V>> {
    let mut all = Vec::new();
    for (number, part) in parts.into_iter().enumerate() {
        if number > 0 {
            push(&mut all, HashPart::Text(SEPARATOR.into()));
        }
        push(&mut all, part);
    }
    all
}

/// Adds a part; texts that meet become one.
pub fn push<V>(parts: &mut Vec<HashPart<V>>, part: HashPart<V>) {
    match (parts.last_mut(), part) {
        (_, HashPart::Text(text)) if text.is_empty() => {}
        (Some(HashPart::Text(before)), HashPart::Text(text)) => before.push_str(&text),
        (_, part) => parts.push(part),
    }
}
