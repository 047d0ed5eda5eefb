//! Sample hashes (`semantics.md` §4): the algorithms, and the kernels that hash the parts of a row.
//!
//! - [`HashAlgorithm`] names an algorithm; [`Hasher`] runs it over bytes that arrive in pieces.
//! - [`HashBatch`] hashes a few texts at a time, MD5 several times as fast where the processor has vectors.
//! - [`RowHasher`] hashes the parts of one row, [`hash_rows`] [those](HashPart) of whole Arrow columns, [`Fold`] the values of a group.
//!
//! All of them write the text form of a hash: unsigned decimal for the algorithms of at most 64 bits, lower-case hex
//! for the cryptographic ones, cut to the store's truncation length.

mod algorithm;
mod batch;
mod fold;
mod hasher;
mod md5_lanes;
mod parts;
mod rows;
mod text;
mod wyhash;
mod xxh32_lanes;

pub use algorithm::HashAlgorithm;
pub use batch::{CommonText, HashBatch, RowText};
pub use fold::{Fold, RowHasher};
pub use hasher::Hasher;
pub use parts::{HashPart, Nulls, joined, push};
pub use rows::hash_rows;
pub use text::HashText;

/// What stands between the parts of a row and the values of a group (`semantics.md` §4).
pub const SEPARATOR: &str = "|";
