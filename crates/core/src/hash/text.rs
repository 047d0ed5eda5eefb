//! The text form of a hash, on the stack.

use std::fmt;

/// The text of one hash: ASCII digits, at most 64 of them, without an allocation.
#[derive(Clone, Copy)]
pub struct HashText {
    bytes: [u8; 64],
    start: u8,
    end: u8,
}

impl HashText {
    /// Unsigned decimal, without padding.
    pub(super) fn decimal(mut number: u64) -> Self {
        let mut bytes = [0; 64];
        let mut start = bytes.len();
        while number >= 100 {
            let pair = DIGIT_PAIRS[(number % 100) as usize];
            number /= 100;
            start -= 2;
            bytes[start..start + 2].copy_from_slice(&pair);
        }
        let pair = DIGIT_PAIRS[number as usize];
        start -= 2;
        bytes[start..start + 2].copy_from_slice(&pair);
        if number < 10 {
            start += 1;
        }
        Self {
            bytes,
            start: start as u8,
            end: 64,
        }
    }

    /// Lower-case hex of at most 32 bytes.
    pub(super) fn hex(digest: &[u8]) -> Self {
        let mut bytes = [0; 64];
        for (pair, byte) in bytes.chunks_exact_mut(2).zip(digest) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        Self {
            bytes,
            start: 0,
            end: (digest.len() * 2).min(64) as u8,
        }
    }

    /// Keeps the first `length` characters.
    #[must_use]
    pub fn truncated(mut self, length: usize) -> Self {
        let kept = length.min(usize::from(self.end - self.start));
        self.end = self.start + kept as u8;
        self
    }

    /// The text as bytes, all ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..usize::from(self.end)]
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only digits are ever stored, so the fallback is never taken.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl AsRef<str> for HashText {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for HashText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for HashText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// "00" to "99": two digits per division.
const DIGIT_PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut i = 0;
    while i < 100 {
        pairs[i] = [b'0' + (i / 10) as u8, b'0' + (i % 10) as u8];
        i += 1;
    }
    pairs
};
