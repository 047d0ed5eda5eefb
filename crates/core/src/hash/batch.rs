//! Rows that are hashed a few at a time.

use super::algorithm::HashAlgorithm;
use super::hasher::at_once;
use super::md5_lanes::{self, LANES};
use super::text::HashText;

/// Hashes a few texts at a time, where that is faster than one after the other.
///
/// ```
/// use metaxy_core::hash::{HashAlgorithm, HashBatch};
/// let mut batch = HashBatch::new(HashAlgorithm::Md5);
/// for text in ["a", "abc"] {
///     if let Some(row) = batch.next_row() {
///         row.extend_from_slice(text.as_bytes());
///     }
/// }
/// let hashes: Vec<String> = batch.finish().map(|hash| hash.truncated(8).to_string()).collect();
/// assert_eq!(hashes, ["0cc175b9", "90015098"]);
/// ```
#[derive(Debug, Clone)]
pub struct HashBatch {
    algorithm: HashAlgorithm,
    texts: [Vec<u8>; LANES],
    filled: usize,
}

impl HashBatch {
    /// The most texts that a batch takes.
    pub const ROWS: usize = LANES;

    /// A batch without texts.
    #[must_use]
    pub fn new(algorithm: HashAlgorithm) -> Self {
        Self {
            algorithm,
            texts: std::array::from_fn(|_| Vec::with_capacity(256)),
            filled: 0,
        }
    }

    /// An empty text to be filled; `None` once there are [`ROWS`](Self::ROWS).
    pub fn next_row(&mut self) -> Option<&mut Vec<u8>> {
        let text = self.texts.get_mut(self.filled)?;
        self.filled += 1;
        text.clear();
        Some(text)
    }

    /// The whole hashes of the texts, in their order; then the batch is empty again.
    pub fn finish(&mut self) -> impl Iterator<Item = HashText> + '_ {
        let filled = std::mem::take(&mut self.filled);
        let digests = (self.algorithm == HashAlgorithm::Md5 && filled > 0).then(|| {
            let (texts, rest) = self.texts.split_at_mut(filled);
            texts.iter_mut().for_each(md5_lanes::pad);
            rest.iter_mut().for_each(Vec::clear);
            md5_lanes::digests(&self.texts)
        });
        (0..filled).map(move |row| match &digests {
            Some(digests) => HashText::hex(&digests[row]),
            None => at_once(self.algorithm, &self.texts[row]),
        })
    }
}
