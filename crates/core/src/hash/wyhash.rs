//! The first version of wyhash, as a stream.
//!
//! The `wyhash` crate has the same algorithm, but its `Hasher` gives another hash for every way of splitting the input.
//! The constants and the order of operations are those of <https://github.com/wangyi-fudan/wyhash>, version 1.

/// A stream of blocks of 32 bytes, closed by a tail of less than one block.
#[derive(Clone, Default)]
pub(super) struct Wyhash {
    seed: u64,
    length: u64,
}

impl Wyhash {
    /// Takes whole blocks. A rest of less than 32 bytes would be lost.
    pub(super) fn blocks(&mut self, bytes: &[u8]) {
        debug_assert_eq!(bytes.len() % 32, 0);
        for block in bytes.chunks_exact(32) {
            self.seed = multiply(
                self.seed ^ P0,
                multiply(read64(block, 0) ^ P1, read64(block, 8) ^ P2)
                    ^ multiply(read64(block, 16) ^ P3, read64(block, 24) ^ P4),
            );
        }
        self.length = self.length.wrapping_add(bytes.len() as u64);
    }

    /// The hash of all blocks and `rest`, which may have any length.
    pub(super) fn finish(&self, rest: &[u8]) -> u64 {
        let mut state = self.clone();
        let (blocks, tail) = rest.split_at(rest.len() & !31);
        state.blocks(blocks);
        let seed = state.seed ^ P0;
        let seed = match tail.len() {
            0 => seed,
            1..=8 => multiply(seed, read_rest(tail) ^ P1),
            9..=16 => multiply(swapped(tail, 0) ^ seed, read_rest(&tail[8..]) ^ P2),
            17..=24 => {
                multiply(swapped(tail, 0) ^ seed, swapped(tail, 8) ^ P2)
                    ^ multiply(seed, read_rest(&tail[16..]) ^ P3)
            }
            _ => {
                multiply(swapped(tail, 0) ^ seed, swapped(tail, 8) ^ P2)
                    ^ multiply(swapped(tail, 16) ^ seed, read_rest(&tail[24..]) ^ P4)
            }
        };
        multiply(seed, state.length.wrapping_add(tail.len() as u64) ^ P5)
    }
}

const P0: u64 = 0xa076_1d64_78bd_642f;
const P1: u64 = 0xe703_7ed1_a0b4_28db;
const P2: u64 = 0x8ebc_6af0_9c88_c6e3;
const P3: u64 = 0x5899_65cc_7537_4cc3;
const P4: u64 = 0x1d8e_4e27_c47d_124f;
const P5: u64 = 0xeb44_acca_b455_d165;

/// The two halves of the product, xored.
fn multiply(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    ((product >> 64) ^ product) as u64
}

fn read64(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

/// Eight bytes with their 32-bit halves exchanged.
fn swapped(bytes: &[u8], at: usize) -> u64 {
    read64(bytes, at).rotate_left(32)
}

/// One to eight bytes, in the order that the original reads them.
fn read_rest(bytes: &[u8]) -> u64 {
    let byte = |at: usize| u64::from(bytes[at]);
    let two = |at: usize| byte(at + 1) << 8 | byte(at);
    let four = |at: usize| two(at + 2) << 16 | two(at);
    match bytes.len() {
        0 => 0,
        1 => byte(0),
        2 => two(0),
        3 => two(0) << 8 | byte(2),
        4 => four(0),
        5 => four(0) << 8 | byte(4),
        6 => four(0) << 16 | two(4),
        7 => four(0) << 24 | two(4) << 8 | byte(6),
        _ => swapped(bytes, 0),
    }
}
