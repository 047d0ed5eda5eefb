//! XXH32 of several texts at once (the specification of xxHash, version 0.1.1).
//!
//! Each step of XXH32 waits for the two multiplications of the one before, so a processor is mostly idle while it hashes one text.
//! Here the same step of sixteen texts is done together, and the four words of a step in one vector. Texts of different lengths go
//! along as far as the shortest; each is ended on its own.

use super::md5_lanes::LANES;

/// XXH32 takes so many bytes at a time.
const STRIPE: usize = 16;

const PRIMES: [u32; 5] = [
    0x9E37_79B1,
    0x85EB_CA77,
    0xC2B2_AE3D,
    0x27D4_EB2F,
    0x1656_67B1,
];

/// The state of one text.
type State = [u32; 4];

/// The state before the first byte, with the seed 0.
const START: State = [
    PRIMES[0].wrapping_add(PRIMES[1]),
    PRIMES[1],
    0,
    0_u32.wrapping_sub(PRIMES[0]),
];

/// The hashes of texts, with the seed 0.
pub(super) fn hashes(texts: &[&[u8]; LANES]) -> [u32; LANES] {
    let stripes = texts.map(|text| text.as_chunks::<STRIPE>().0);
    let common = stripes.iter().map(|stripes| stripes.len()).min();
    let common = common.unwrap_or_default();
    let mut states = [START; LANES];
    together(&mut states, &stripes, common);
    std::array::from_fn(|lane| {
        let mut state = states[lane];
        for stripe in &stripes[lane][common..] {
            step(&mut state, stripe);
        }
        ended(&state, texts[lane])
    })
}

/// Takes the first `count` stripes of all texts.
fn together(states: &mut [State; LANES], stripes: &[&[[u8; STRIPE]]; LANES], count: usize) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function is compiled for.
        #[allow(unsafe_code)]
        return unsafe { together_256(states, stripes, count) };
    }
    in_step(states, stripes, count);
}

/// The same, compiled for processors that multiply the words of a vector in one instruction.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn together_256(states: &mut [State; LANES], stripes: &[&[[u8; STRIPE]]; LANES], count: usize) {
    in_step(states, stripes, count);
}

#[inline(always)]
fn in_step(states: &mut [State; LANES], stripes: &[&[[u8; STRIPE]]; LANES], count: usize) {
    let stripes = stripes.map(|stripes| &stripes[..count]);
    for at in 0..count {
        for (state, stripes) in states.iter_mut().zip(&stripes) {
            step(state, &stripes[at]);
        }
    }
}

#[inline(always)]
fn step(state: &mut State, stripe: &[u8; STRIPE]) {
    let words = stripe.as_chunks::<4>().0;
    for (word, bytes) in state.iter_mut().zip(words) {
        let input = u32::from_le_bytes(*bytes).wrapping_mul(PRIMES[1]);
        *word = word.wrapping_add(input);
        *word = word.rotate_left(13).wrapping_mul(PRIMES[0]);
    }
}

/// The hash of a text, whose stripes have been taken.
fn ended(state: &State, text: &[u8]) -> u32 {
    let mut hash = match text.len() < STRIPE {
        true => PRIMES[4],
        false => {
            let turned = [1, 7, 12, 18].iter().zip(state);
            let turned = turned.map(|(by, word)| word.rotate_left(*by));
            turned.fold(0, u32::wrapping_add)
        }
    };
    hash = hash.wrapping_add(text.len() as u32);
    let (words, bytes) = text.as_chunks::<STRIPE>().1.as_chunks::<4>();
    for word in words {
        hash = hash.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(PRIMES[2]));
        hash = hash.rotate_left(17).wrapping_mul(PRIMES[3]);
    }
    for byte in bytes {
        hash = hash.wrapping_add(u32::from(*byte).wrapping_mul(PRIMES[4]));
        hash = hash.rotate_left(11).wrapping_mul(PRIMES[0]);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(PRIMES[1]);
    hash = (hash ^ (hash >> 13)).wrapping_mul(PRIMES[2]);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use twox_hash::xxhash32::Hasher;

    use super::*;

    #[test]
    fn texts_of_all_lengths_have_their_hashes() {
        let bytes: Vec<u8> = (0..=255)
            .cycle()
            .map(|n: u8| n.wrapping_mul(83))
            .take(500)
            .collect();
        for start in 0..150 {
            let texts = std::array::from_fn(|lane| &bytes[lane..][..start + lane * (start % 7)]);
            let expected = texts.map(|text| Hasher::oneshot(0, text));
            assert_eq!(hashes(&texts), expected, "from {start}");
            let mut plain = [START; LANES];
            let stripes = texts.map(|text| text.as_chunks::<STRIPE>().0);
            in_step(&mut plain, &stripes, start / STRIPE);
            let mut vectors = [START; LANES];
            together(&mut vectors, &stripes, start / STRIPE);
            assert_eq!(plain, vectors);
        }
    }
}
