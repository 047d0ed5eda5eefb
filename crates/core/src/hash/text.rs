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

    /// The same for a number of 32 bits, in fewer steps.
    #[inline]
    pub(super) fn decimal_32(number: u32) -> Self {
        let pair = |pair: u32| DIGIT_PAIRS[(pair % 100) as usize];
        let [high, low] = [number / 100_000_000, number % 100_000_000];
        let [left, right] = [low / 10_000, low % 10_000];
        let digits = [high, left / 100, left, right / 100, right].map(pair);
        let mut bytes = [0; 64];
        for (place, digits) in bytes[54..].as_chunks_mut::<2>().0.iter_mut().zip(digits) {
            *place = digits;
        }
        let length = number.checked_ilog10().map_or(1, |log| log + 1);
        Self {
            bytes,
            start: 64 - length as u8,
            end: 64,
        }
    }

    /// Lower-case hex of at most 32 bytes, a multiple of 4.
    pub(super) fn hex(digest: &[u8]) -> Self {
        Self::hex_start(digest, 64)
    }

    /// The first `length` characters of the same.
    #[inline]
    pub(super) fn hex_start(digest: &[u8], length: usize) -> Self {
        let mut bytes = [0; 64];
        let length = length.min(digest.len() * 2).min(bytes.len());
        let words = digest.as_chunks::<4>().0;
        for (digits, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *digits = hex_digits(*word);
        }
        Self {
            bytes,
            start: 0,
            end: length as u8,
        }
    }

    /// Keeps the first `length` characters.
    #[must_use]
    #[inline]
    pub fn truncated(mut self, length: usize) -> Self {
        let kept = length.min(usize::from(self.end - self.start));
        self.end = self.start + kept as u8;
        self
    }

    /// The text with zeros behind it; `None` if it is longer.
    #[must_use]
    #[inline]
    pub fn padded<const N: usize>(&self) -> Option<[u8; N]> {
        let text = self.as_bytes();
        if text.len() > N {
            return None;
        }
        let mut padded = [0; N];
        match self.bytes[usize::from(self.start)..].first_chunk::<N>() {
            // A copy of a fixed length takes less time than one of any.
            Some(chunk) => {
                for (place, (to, from)) in padded.iter_mut().zip(chunk).enumerate() {
                    *to = *from * u8::from(place < text.len());
                }
            }
            None => padded[..text.len()].copy_from_slice(text),
        }
        Some(padded)
    }

    /// The text as bytes, all ASCII.
    #[must_use]
    #[inline]
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

/// Eight digits at once: each stands in a byte of one integer.
#[inline]
fn hex_digits(bytes: [u8; 4]) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut digits = u64::from(u32::from_be_bytes(bytes));
    digits = (digits | digits << 16) & 0x0000_ffff_0000_ffff;
    digits = (digits | digits << 8) & 0x00ff_00ff_00ff_00ff;
    digits = (digits | digits << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = (digits + 6 * ONES) >> 4 & ONES;
    let zero = u64::from(b'0');
    let to_letter = u64::from(b'a' - b'9' - 1);
    (digits + zero * ONES + letters * to_letter).to_be_bytes()
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_digits() {
        let powers = (0..10).map(|power| 10_u32.pow(power));
        let around = powers.flat_map(|power| [power - 1, power, power + 1, power.wrapping_mul(7)]);
        for number in around.chain([0, 9, 99, 4_294_967_295, 2_147_483_648]) {
            assert_eq!(HashText::decimal_32(number).as_str(), number.to_string());
            let long = HashText::decimal(number.into());
            assert_eq!(long.as_str(), number.to_string());
        }
    }
}
