//! MD5 of several texts at once (RFC 1321).
//!
//! Each step of MD5 waits for the one before, so a processor is mostly idle while it hashes one text. Here the same step of
//! sixteen texts is done together, with the vector instructions of x86-64 processors. Texts of different lengths go along; those
//! that are done wait.

/// Texts that are hashed together.
pub(super) const LANES: usize = 16;

/// MD5 takes so many bytes at a time.
const BLOCK: usize = 64;

/// The most bytes that [`pad`] adds to a text.
pub(super) const PADDING: usize = BLOCK + 8;

/// Ends a text of `length` bytes at the start of `bytes`: a one bit, zeros, and the number of its bits. What stands behind it
/// is overwritten. Gives the length, which is one of whole blocks; `None` if there is no room.
pub(super) fn pad(bytes: &mut [u8], length: usize) -> Option<usize> {
    let end = (length + 8) / BLOCK * BLOCK + BLOCK;
    let (fill, bits) = bytes.get_mut(length..end)?.split_last_chunk_mut::<8>()?;
    fill.fill(0);
    *fill.first_mut()? = 0x80;
    *bits = (length as u64).wrapping_mul(8).to_le_bytes();
    Some(end)
}

/// Hashes texts that were [padded](pad) together.
pub(super) type Kernel = fn(&[&[u8]; LANES]) -> [[u8; 16]; LANES];

/// The kernel for the vectors of this processor, if it has them.
pub(super) fn kernel() -> Option<Kernel> {
    #[cfg(target_arch = "x86_64")]
    return x86::kernel();
    #[cfg(not(target_arch = "x86_64"))]
    None
}

#[cfg(target_arch = "x86_64")]
mod x86;
