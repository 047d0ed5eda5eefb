//! The vectors of x86-64 processors.

#![allow(unsafe_code)]

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::*;

use super::{BLOCK, Kernel, LANES};

pub(super) fn kernel() -> Option<Kernel> {
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has what the function is compiled for.
        return Some(|texts| unsafe { digests_512(texts) });
    }
    if is_x86_feature_detected!("avx2") {
        // SAFETY: as above.
        return Some(|texts| unsafe { digests_256(texts) });
    }
    None
}

/// On processors whose vectors have sixteen words, which they rotate and mix in one instruction.
#[target_feature(enable = "avx512f")]
fn digests_512(texts: &[&[u8]; LANES]) -> [[u8; 16]; LANES] {
    // SAFETY: this function's processors have what `__m512i` needs.
    unsafe { digests_on::<__m512i>(texts) }
}

/// On processors whose vectors have eight words.
#[target_feature(enable = "avx2")]
fn digests_256(texts: &[&[u8]; LANES]) -> [[u8; 16]; LANES] {
    // SAFETY: this function's processors have what `[__m256i; 2]` needs.
    unsafe { digests_on::<[__m256i; 2]>(texts) }
}

/// A word of each text, in memory.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Words([u32; LANES]);

/// A word of each text, in registers.
///
/// Its functions are to be inlined into one that is compiled for the instructions they use, which the processor must have.
trait Vector: Copy {
    /// The sixteen words of the block of each text that starts `at`; zeros where a text has ended.
    unsafe fn transposed(texts: &[&[u8]; LANES], at: usize) -> [Words; BLOCK / 4];
    unsafe fn load(words: &Words) -> Self;
    unsafe fn store(self) -> Words;
    unsafe fn same(word: u32) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn rotated<const LEFT: i32, const RIGHT: i32>(self) -> Self;
    /// The bits of `c` where `self` has ones, those of `d` elsewhere.
    unsafe fn choose(self, c: Self, d: Self) -> Self;
    unsafe fn xor(self, c: Self, d: Self) -> Self;
    /// `c ^ (self | !d)`.
    unsafe fn last(self, c: Self, d: Self) -> Self;
}

impl Vector for __m512i {
    #[inline(always)]
    unsafe fn transposed(texts: &[&[u8]; LANES], at: usize) -> [Words; BLOCK / 4] {
        use std::array::from_fn;
        unsafe {
            let rows = texts.map(|text| match text.get(at..at + BLOCK) {
                Some(block) => _mm512_loadu_si512(block.as_ptr().cast()),
                None => _mm512_setzero_si512(),
            });
            // Each step brings words together that are twice as far apart.
            let pairs: [Self; LANES] = from_fn(|i| {
                let (a, b) = (rows[i & !1], rows[i | 1]);
                match i % 2 {
                    0 => _mm512_unpacklo_epi32(a, b),
                    _ => _mm512_unpackhi_epi32(a, b),
                }
            });
            let fours: [Self; LANES] = from_fn(|i| {
                let at = i & !3 | (i & 2) >> 1;
                let (a, b) = (pairs[at], pairs[at + 2]);
                match i % 2 {
                    0 => _mm512_unpacklo_epi64(a, b),
                    _ => _mm512_unpackhi_epi64(a, b),
                }
            });
            let eights: [Self; LANES] = from_fn(|i| {
                let at = i & !4;
                let (a, b) = (fours[at], fours[at + 4]);
                match i & 4 {
                    0 => _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b),
                    _ => _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b),
                }
            });
            from_fn(|i| {
                let at = i & !8;
                let (a, b) = (eights[at], eights[at + 8]);
                match i & 8 {
                    0 => _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b).store(),
                    _ => _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b).store(),
                }
            })
        }
    }

    #[inline(always)]
    unsafe fn load(words: &Words) -> Self {
        unsafe { _mm512_load_si512(words.0.as_ptr().cast()) }
    }

    #[inline(always)]
    unsafe fn store(self) -> Words {
        let mut words = Words([0; LANES]);
        unsafe { _mm512_store_si512(words.0.as_mut_ptr().cast(), self) };
        words
    }

    #[inline(always)]
    unsafe fn same(word: u32) -> Self {
        unsafe { _mm512_set1_epi32(word as i32) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { _mm512_add_epi32(self, other) }
    }

    #[inline(always)]
    unsafe fn rotated<const LEFT: i32, const RIGHT: i32>(self) -> Self {
        unsafe { _mm512_rol_epi32::<LEFT>(self) }
    }

    // The number of a mix is what it makes of each triple of bits.
    #[inline(always)]
    unsafe fn choose(self, c: Self, d: Self) -> Self {
        unsafe { _mm512_ternarylogic_epi32::<0b1100_1010>(self, c, d) }
    }

    #[inline(always)]
    unsafe fn xor(self, c: Self, d: Self) -> Self {
        unsafe { _mm512_ternarylogic_epi32::<0b1001_0110>(self, c, d) }
    }

    #[inline(always)]
    unsafe fn last(self, c: Self, d: Self) -> Self {
        unsafe { _mm512_ternarylogic_epi32::<0b0011_1001>(self, c, d) }
    }
}

impl Vector for [__m256i; 2] {
    #[inline(always)]
    unsafe fn transposed(texts: &[&[u8]; LANES], at: usize) -> [Words; BLOCK / 4] {
        let mut words = [Words([0; LANES]); BLOCK / 4];
        for (lane, text) in texts.iter().enumerate() {
            let Some(block) = text.get(at..at + BLOCK) else {
                continue;
            };
            for (words, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
                words.0[lane] = u32::from_le_bytes(*bytes);
            }
        }
        words
    }

    #[inline(always)]
    unsafe fn load(words: &Words) -> Self {
        let (first, second) = words.0.split_at(LANES / 2);
        [first, second].map(|half| unsafe { _mm256_load_si256(half.as_ptr().cast()) })
    }

    #[inline(always)]
    unsafe fn store(self) -> Words {
        let mut words = Words([0; LANES]);
        for (half, vector) in words.0.chunks_exact_mut(LANES / 2).zip(self) {
            unsafe { _mm256_store_si256(half.as_mut_ptr().cast(), vector) };
        }
        words
    }

    #[inline(always)]
    unsafe fn same(word: u32) -> Self {
        [unsafe { _mm256_set1_epi32(word as i32) }; 2]
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        let ([a, b], [c, d]) = (self, other);
        unsafe { [_mm256_add_epi32(a, c), _mm256_add_epi32(b, d)] }
    }

    #[inline(always)]
    unsafe fn rotated<const LEFT: i32, const RIGHT: i32>(self) -> Self {
        self.map(|v| unsafe {
            _mm256_or_si256(_mm256_slli_epi32::<LEFT>(v), _mm256_srli_epi32::<RIGHT>(v))
        })
    }

    #[inline(always)]
    unsafe fn choose(self, c: Self, d: Self) -> Self {
        // `d ^ (self & (c ^ d))`
        let choose =
            |b, c, d| unsafe { _mm256_xor_si256(d, _mm256_and_si256(b, _mm256_xor_si256(c, d))) };
        [choose(self[0], c[0], d[0]), choose(self[1], c[1], d[1])]
    }

    #[inline(always)]
    unsafe fn xor(self, c: Self, d: Self) -> Self {
        let xor = |b, c, d| unsafe { _mm256_xor_si256(b, _mm256_xor_si256(c, d)) };
        [xor(self[0], c[0], d[0]), xor(self[1], c[1], d[1])]
    }

    #[inline(always)]
    unsafe fn last(self, c: Self, d: Self) -> Self {
        let last = |b, c, d| unsafe {
            let not_d = _mm256_xor_si256(d, _mm256_set1_epi32(-1));
            _mm256_xor_si256(c, _mm256_or_si256(b, not_d))
        };
        [last(self[0], c[0], d[0]), last(self[1], c[1], d[1])]
    }
}

#[inline(always)]
unsafe fn digests_on<V: Vector>(texts: &[&[u8]; LANES]) -> [[u8; 16]; LANES] {
    let mut state = START.map(|word| Words([word; LANES]));
    let blocks = texts.map(|text| text.len() / BLOCK);
    let longest = blocks.into_iter().max().unwrap_or_default();
    let shortest = blocks.into_iter().min().unwrap_or_default();
    for block in 0..longest {
        // SAFETY: as for this function.
        let next = unsafe { compressed::<V>(&state, &V::transposed(texts, block * BLOCK)) };
        if block < shortest {
            state = next;
            continue;
        }
        for (words, next) in state.iter_mut().zip(&next) {
            for lane in (0..LANES).filter(|lane| block < blocks[*lane]) {
                words.0[lane] = next.0[lane];
            }
        }
    }
    std::array::from_fn(|lane| {
        let mut digest = [0; 16];
        for (bytes, words) in digest.as_chunks_mut::<4>().0.iter_mut().zip(&state) {
            *bytes = words.0[lane].to_le_bytes();
        }
        digest
    })
}

#[inline(always)]
unsafe fn compressed<V: Vector>(state: &[Words; 4], words: &[Words; BLOCK / 4]) -> [Words; 4] {
    // SAFETY: as for this function.
    unsafe {
        let [e, f, g, h] = state.each_ref().map(|words| V::load(words));
        let [mut a, mut b, mut c, mut d] = [e, f, g, h];
        // Every step is written out, so that its numbers are constants.
        macro_rules! steps {
            ($mix:expr, $round:literal, [$s0:literal $s1:literal $s2:literal $s3:literal], $word:expr, [$($quad:literal)*]) => {$(
                steps!(@one $mix, $round, $s0, $word, a, b, c, d, 4 * $quad);
                steps!(@one $mix, $round, $s1, $word, d, a, b, c, 4 * $quad + 1);
                steps!(@one $mix, $round, $s2, $word, c, d, a, b, 4 * $quad + 2);
                steps!(@one $mix, $round, $s3, $word, b, c, d, a, 4 * $quad + 3);
            )*};
            (@one $mix:expr, $round:literal, $shift:literal, $word:expr, $a:ident, $b:ident, $c:ident, $d:ident, $i:expr) => {
                let word = V::load(&words[const { $word($i) % 16 }]).add(V::same(SINES[$round * 16 + $i]));
                let sum = $mix($b, $c, $d).add($a.add(word));
                $a = $b.add(sum.rotated::<$shift, { 32 - $shift }>());
            };
        }
        steps!((|b: V, c, d| b.choose(c, d)), 0, [7 12 17 22], own, [0 1 2 3]);
        steps!((|b: V, c, d: V| d.choose(b, c)), 1, [5 9 14 20], fifth, [0 1 2 3]);
        steps!((|b: V, c, d| b.xor(c, d)), 2, [4 11 16 23], third, [0 1 2 3]);
        steps!((|b: V, c, d| b.last(c, d)), 3, [6 10 15 21], seventh, [0 1 2 3]);
        [
            a.add(e).store(),
            b.add(f).store(),
            c.add(g).store(),
            d.add(h).store(),
        ]
    }
}

// Which word a step takes.
const fn own(step: usize) -> usize {
    step
}

const fn fifth(step: usize) -> usize {
    5 * step + 1
}

const fn third(step: usize) -> usize {
    3 * step + 5
}

const fn seventh(step: usize) -> usize {
    7 * step
}

const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// The integer parts of 2^32 |sin(i)|, i from 1 to 64.
#[rustfmt::skip]
const SINES: [u32; 64] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee,
    0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
    0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be,
    0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa,
    0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed,
    0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c,
    0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
    0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05,
    0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039,
    0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
    0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1,
    0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
];

#[cfg(test)]
mod tests {
    use md5::{Digest, Md5};

    use super::super::{PADDING, pad};
    use super::*;

    #[test]
    fn texts_of_all_lengths_together_hash_as_alone() {
        for first in 0..300 {
            let texts: [Vec<u8>; LANES] = std::array::from_fn(|lane| {
                let length = (first * (lane + 1) * 7) % 331;
                (0..length)
                    .map(|i| (i * 31 + lane * 7 + first) as u8)
                    .collect()
            });
            let padded = texts.clone().map(|mut text| {
                let length = text.len();
                text.resize(length + PADDING, 7);
                let end = pad(&mut text, length).unwrap();
                text.truncate(end);
                text
            });
            let padded = padded.each_ref().map(Vec::as_slice);
            let alone = texts
                .each_ref()
                .map(|text| <[u8; 16]>::from(Md5::digest(text)));
            if is_x86_feature_detected!("avx512f") {
                // SAFETY: the processor has what the function is compiled for.
                assert_eq!(unsafe { digests_512(&padded) }, alone);
            }
            if is_x86_feature_detected!("avx2") {
                // SAFETY: as above.
                assert_eq!(unsafe { digests_256(&padded) }, alone);
            }
        }
    }
}
