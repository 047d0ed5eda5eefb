//! Hashes of parts that are handed in one by one: a row's, or a group's.

use super::SEPARATOR;
use super::algorithm::HashAlgorithm;
use super::hasher::Hasher;

/// Hashes the parts of one row at a time, joined by `|` without building the joined text (`semantics.md` §4).
///
/// For scalar functions of SQL engines; [`hash_rows`](super::hash_rows) does whole columns. A null part is the caller's
/// decision: leave the row null, or hand in `""`.
///
/// ```
/// use metaxy_core::hash::{HashAlgorithm, RowHasher};
/// let mut row = RowHasher::new(HashAlgorithm::Sha256, 8);
/// let mut text = String::new();
/// row.part("a");
/// row.part("b");
/// row.finish(&mut text);
/// assert_eq!(text, "0eab8a0a"); // the hash of "a|b"
/// ```
#[derive(Debug, Clone)]
pub struct RowHasher {
    hasher: Hasher,
    truncation: usize,
    started: bool,
}

impl RowHasher {
    /// A hasher whose texts are cut to the first `truncation` characters.
    #[must_use]
    pub fn new(algorithm: HashAlgorithm, truncation: usize) -> Self {
        Self {
            hasher: Hasher::new(algorithm),
            truncation,
            started: false,
        }
    }

    /// Forgets the parts seen so far. Only needed when a row is given up half-way.
    pub fn reset(&mut self) {
        self.hasher.reset();
        self.started = false;
    }

    /// Adds the next part.
    pub fn part(&mut self, part: &str) {
        if self.started {
            self.hasher.update(SEPARATOR.as_bytes());
        }
        self.started = true;
        self.hasher.update(part.as_bytes());
    }

    /// Appends the hash of the row to `text`, and is ready for the next row.
    pub fn finish(&mut self, text: &mut String) {
        text.push_str(self.hasher.finish().truncated(self.truncation).as_str());
        self.started = false;
    }
}

/// Folds the values of one group at a time into a hash: the values that are not null, joined by `|`, in the order in
/// which they are pushed (`semantics.md` §4, aggregation).
///
/// A group without any value hashes as the empty text.
///
/// ```
/// use metaxy_core::hash::{Fold, HashAlgorithm};
/// let mut fold = Fold::new(HashAlgorithm::Sha256, 8);
/// for value in [Some("a"), None, Some("b")] {
///     fold.push(value);
/// }
/// let mut text = String::new();
/// fold.finish_into(&mut text);
/// assert_eq!(text, "0eab8a0a"); // the hash of "a|b"
/// ```
#[derive(Debug, Clone)]
pub struct Fold(RowHasher);

impl Fold {
    /// A fold whose texts are cut to the first `truncation` characters.
    #[must_use]
    pub fn new(algorithm: HashAlgorithm, truncation: usize) -> Self {
        Self(RowHasher::new(algorithm, truncation))
    }

    /// Adds the group's next value; a null is skipped.
    pub fn push(&mut self, value: Option<&str>) {
        if let Some(value) = value {
            self.0.part(value);
        }
    }

    /// Appends the hash of the group to `text`, and is ready for the next group.
    pub fn finish_into(&mut self, text: &mut String) {
        self.0.finish(text);
    }

    /// Forgets the values seen so far.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}
