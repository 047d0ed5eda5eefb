//! One hash over bytes that arrive in pieces.

use std::hash::Hasher as _;

use md5::Md5;
use sha2::{Digest, Sha256};
use twox_hash::{xxhash3_64, xxhash32, xxhash64};

use super::algorithm::HashAlgorithm;
use super::text::HashText;
use super::wyhash::Wyhash;

/// A hash over bytes that arrive in pieces; how they are split does not matter.
///
/// Pieces are gathered in a block of fixed size. Inputs that fit into it, which is nearly all rows, are hashed at once;
/// longer ones are fed to the algorithm block by block. Nothing is allocated, and one hasher serves any number of inputs.
///
/// ```
/// use metaxy_core::hash::{HashAlgorithm, Hasher};
/// let mut hasher = Hasher::new(HashAlgorithm::Md5);
/// hasher.update(b"a");
/// hasher.update(b"bc");
/// assert_eq!(hasher.finish().truncated(8).as_str(), "90015098");
/// ```
#[derive(Clone)]
pub struct Hasher {
    algorithm: HashAlgorithm,
    /// What came before the block; `None` while everything is in the block.
    stream: Option<Stream>,
    filled: usize,
    block: [u8; BLOCK],
}

/// A multiple of the block sizes of all algorithms, long enough for rows of typical length.
const BLOCK: usize = 1024;

impl Hasher {
    /// A hasher that has seen no input.
    #[must_use]
    pub fn new(algorithm: HashAlgorithm) -> Self {
        Self {
            algorithm,
            stream: None,
            filled: 0,
            block: [0; BLOCK],
        }
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// Takes the next bytes.
    #[inline]
    pub fn update(&mut self, bytes: &[u8]) {
        match self.block.get_mut(self.filled..self.filled + bytes.len()) {
            Some(free) => {
                free.copy_from_slice(bytes);
                self.filled += bytes.len();
            }
            None => self.spill(bytes),
        }
    }

    /// The hash of everything since the last [`reset`](Self::reset) or finish, whole; then forgets it.
    #[must_use]
    pub fn finish(&mut self) -> HashText {
        let rest = &self.block[..self.filled];
        let text = match &mut self.stream {
            None => at_once(self.algorithm, rest),
            Some(stream) => stream.finish(rest),
        };
        self.reset();
        text
    }

    /// Forgets all input.
    pub fn reset(&mut self) {
        self.stream = None;
        self.filled = 0;
    }

    /// Fills the block up, feeds it to the algorithm, and keeps what does not fill another.
    #[cold]
    fn spill(&mut self, bytes: &[u8]) {
        let stream = self
            .stream
            .get_or_insert_with(|| Stream::new(self.algorithm));
        let (head, bytes) = bytes.split_at(BLOCK - self.filled);
        self.block[self.filled..].copy_from_slice(head);
        stream.update(&self.block);
        let (blocks, rest) = bytes.split_at(bytes.len() - bytes.len() % BLOCK);
        stream.update(blocks);
        self.block[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

pub(super) fn at_once(algorithm: HashAlgorithm, bytes: &[u8]) -> HashText {
    match algorithm {
        HashAlgorithm::Xxhash32 => HashText::decimal_32(xxhash32::Hasher::oneshot(0, bytes)),
        HashAlgorithm::Xxhash64 => HashText::decimal(xxhash64::Hasher::oneshot(0, bytes)),
        HashAlgorithm::Xxh3_64 => HashText::decimal(xxhash3_64::Hasher::oneshot(bytes)),
        HashAlgorithm::Wyhash => HashText::decimal(Wyhash::default().finish(bytes)),
        HashAlgorithm::Sha256 => HashText::hex(&Sha256::digest(bytes)),
        HashAlgorithm::Md5 => HashText::hex(&Md5::digest(bytes)),
    }
}

/// The state of an algorithm that is fed whole blocks.
#[derive(Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "boxing would allocate for every long row"
)]
enum Stream {
    Xxhash32(xxhash32::Hasher),
    Xxhash64(xxhash64::Hasher),
    Xxh3_64(xxhash3_64::RawHasher<&'static [u8; xxhash3_64::DEFAULT_SECRET_LENGTH]>),
    Wyhash(Wyhash),
    Sha256(Sha256),
    Md5(Md5),
}

impl Stream {
    fn new(algorithm: HashAlgorithm) -> Self {
        match algorithm {
            HashAlgorithm::Xxhash32 => Self::Xxhash32(xxhash32::Hasher::with_seed(0)),
            HashAlgorithm::Xxhash64 => Self::Xxhash64(xxhash64::Hasher::with_seed(0)),
            HashAlgorithm::Xxh3_64 => Self::Xxh3_64(xxhash3_64::RawHasher::new(
                xxhash3_64::SecretBuffer::default(),
            )),
            HashAlgorithm::Wyhash => Self::Wyhash(Wyhash::default()),
            HashAlgorithm::Sha256 => Self::Sha256(Sha256::new()),
            HashAlgorithm::Md5 => Self::Md5(Md5::new()),
        }
    }

    fn update(&mut self, blocks: &[u8]) {
        match self {
            Self::Xxhash32(state) => state.write(blocks),
            Self::Xxhash64(state) => state.write(blocks),
            Self::Xxh3_64(state) => state.write(blocks),
            Self::Wyhash(state) => state.blocks(blocks),
            Self::Sha256(state) => state.update(blocks),
            Self::Md5(state) => state.update(blocks),
        }
    }

    fn finish(&mut self, rest: &[u8]) -> HashText {
        match self {
            Self::Xxhash32(state) => {
                state.write(rest);
                HashText::decimal(state.finish_32().into())
            }
            Self::Xxhash64(state) => {
                state.write(rest);
                HashText::decimal(state.finish())
            }
            Self::Xxh3_64(state) => {
                state.write(rest);
                HashText::decimal(state.finish())
            }
            Self::Wyhash(state) => HashText::decimal(state.finish(rest)),
            Self::Sha256(state) => {
                state.update(rest);
                HashText::hex(&state.finalize_reset())
            }
            Self::Md5(state) => {
                state.update(rest);
                HashText::hex(&state.finalize_reset())
            }
        }
    }
}
