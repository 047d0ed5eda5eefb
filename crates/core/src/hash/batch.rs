//! Rows that are hashed a few at a time.

use super::algorithm::HashAlgorithm;
use super::hasher::at_once;
use super::md5_lanes::{self, LANES, PADDING};
use super::text::HashText;
use super::xxh32_lanes;

/// Hashes a few texts at a time, where that is faster than one after the other.
///
/// ```
/// use metaxy_core::hash::{HashAlgorithm, HashBatch};
/// let mut batch = HashBatch::new(HashAlgorithm::Md5, 8);
/// for (row, parts) in batch.rows(2).iter_mut().zip([["a", ""], ["ab", "c"]]) {
///     parts.iter().for_each(|part| row.push(part.as_bytes()));
/// }
/// let hashes: Vec<String> = batch.finish().map(|hash| hash.to_string()).collect();
/// assert_eq!(hashes, ["0cc175b9", "90015098"]);
/// ```
#[derive(Debug, Clone)]
pub struct HashBatch {
    algorithm: HashAlgorithm,
    length: usize,
    texts: [RowText; LANES],
    filled: usize,
}

impl HashBatch {
    /// The most texts that a batch takes.
    pub const ROWS: usize = LANES;

    /// A batch without texts, whose hashes are cut to the first `length` characters.
    #[must_use]
    pub fn new(algorithm: HashAlgorithm, length: usize) -> Self {
        Self {
            algorithm,
            length,
            texts: std::array::from_fn(|_| RowText::default()),
            filled: 0,
        }
    }

    /// As many empty texts to be filled, at most [`ROWS`](Self::ROWS). Those that were not hashed yet are forgotten.
    #[inline]
    pub fn rows(&mut self, rows: usize) -> &mut [RowText] {
        self.filled = rows.min(Self::ROWS);
        let texts = &mut self.texts[..self.filled];
        for text in &mut *texts {
            text.length = 0;
        }
        texts
    }

    /// The hashes of the texts, in their order; then the batch is empty again.
    #[inline]
    pub fn finish(&mut self) -> impl Iterator<Item = HashText> + '_ {
        let filled = std::mem::take(&mut self.filled);
        let (algorithm, length) = (self.algorithm, self.length);
        let together = match filled > 0 {
            true => self.together(filled),
            false => Together::No,
        };
        (0..filled).map(move |row| match &together {
            Together::Md5(digests) => HashText::hex_start(&digests[row], length),
            Together::Xxh32(hashes) => HashText::decimal_32(hashes[row]).truncated(length),
            Together::No => at_once(algorithm, self.texts[row].bytes()).truncated(length),
        })
    }

    /// The hashes of the first `filled` texts, where there is a way to compute them together.
    fn together(&mut self, filled: usize) -> Together {
        let mut all = [&[][..]; LANES];
        match self.algorithm {
            HashAlgorithm::Md5 => match md5_lanes::kernel() {
                Some(kernel) => {
                    for (text, row) in all.iter_mut().zip(&mut self.texts[..filled]) {
                        *text = row.padded();
                    }
                    Together::Md5(kernel(&all))
                }
                None => Together::No,
            },
            HashAlgorithm::Xxhash32 if filled == LANES => {
                for (text, row) in all.iter_mut().zip(&self.texts) {
                    *text = row.bytes();
                }
                Together::Xxh32(xxh32_lanes::hashes(&all))
            }
            _ => Together::No,
        }
    }
}

/// Hashes that were computed together.
enum Together {
    No,
    Md5([[u8; 16]; LANES]),
    Xxh32([u32; LANES]),
}

/// A text to be hashed, made of parts one after the other.
#[derive(Debug, Clone, Default)]
pub struct RowText {
    /// The text, and room behind it.
    bytes: Vec<u8>,
    length: usize,
}

impl RowText {
    /// Adds a part.
    #[inline]
    pub fn push(&mut self, part: &[u8]) {
        self.room(part.len()).copy_from_slice(part);
        self.length += part.len();
    }

    /// Adds the first `length` bytes of a chunk. To copy the whole chunk takes less time than to copy a part of any length.
    #[inline]
    pub fn push_start<const N: usize>(&mut self, chunk: &[u8; N], length: usize) {
        self.room(N).copy_from_slice(chunk);
        self.length += length.min(N);
    }

    /// So many bytes behind the text; there is room for the padding behind them.
    #[inline]
    fn room(&mut self, bytes: usize) -> &mut [u8] {
        let end = self.length + bytes;
        if end + PADDING > self.bytes.len() {
            self.grow(end + PADDING);
        }
        &mut self.bytes[self.length..end]
    }

    #[cold]
    fn grow(&mut self, bytes: usize) {
        self.bytes.resize((2 * bytes).max(512), 0);
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The text as MD5 wants it.
    fn padded(&mut self) -> &[u8] {
        self.room(0);
        let end = md5_lanes::pad(&mut self.bytes, self.length);
        &self.bytes[..end.unwrap_or_default()]
    }
}

/// A text that is a part of many rows, in pieces that are copied whole.
#[derive(Debug, Clone)]
pub struct CommonText(Vec<([u8; PIECE], usize)>);

const PIECE: usize = 64;

impl CommonText {
    /// This text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let pieces = text.as_bytes().chunks(PIECE).map(|bytes| {
            let mut piece = [0; PIECE];
            piece[..bytes.len()].copy_from_slice(bytes);
            (piece, bytes.len())
        });
        Self(pieces.collect())
    }

    /// Adds it to each of some rows.
    #[inline]
    pub fn push_to(&self, rows: &mut [RowText]) {
        for (piece, length) in &self.0 {
            for row in &mut *rows {
                row.push_start(piece, *length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_texts_of_all_lengths_stand_in_each_row() {
        let long: String = ('a'..='z').cycle().take(200).collect();
        for length in 0..=long.len() {
            let mut rows = [RowText::default(), RowText::default()];
            rows[1].push(b"before");
            CommonText::new(&long[..length]).push_to(&mut rows);
            assert_eq!(rows[0].bytes(), &long.as_bytes()[..length]);
            assert_eq!(
                rows[1].bytes(),
                format!("before{}", &long[..length]).as_bytes()
            );
        }
    }

    #[test]
    fn starts_of_chunks_are_added() {
        let mut text = RowText::default();
        let mut expected = Vec::new();
        for length in 0..=70 {
            text.push_start(&[length as u8; 64], length);
            expected.extend(std::iter::repeat_n(length as u8, length.min(64)));
            assert_eq!(text.bytes(), expected);
        }
    }

    #[test]
    fn texts_of_all_lengths_grow_part_by_part() {
        let part: Vec<u8> = (0..200).collect();
        let mut text = RowText::default();
        let mut expected = Vec::new();
        for length in 0..=part.len() {
            text.push(&part[..length]);
            expected.extend_from_slice(&part[..length]);
            assert_eq!(text.bytes(), expected);
        }
    }
}
