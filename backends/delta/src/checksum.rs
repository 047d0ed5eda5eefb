//! Checksums: what tells a file whose bits have changed from one that is as it was written.
//!
//! Files with rows have one for each block of [`BLOCK`] bytes, kept in the log as a tag of the action that adds the file; so whoever reads some
//! columns of a file checks what it reads, footer included, and nothing else. A commit has one of its own bytes, and a checkpoint has those of
//! its file in the hint that points to it. Other programs pass over all of them, and what others write has none.
//!
//! They are no protection against somebody who changes a file on purpose.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use twox_hash::XxHash3_64;

/// The tag of a file's checksums: the bytes of a block, `:`, and eight hexadecimal digits for each block.
pub(crate) const TAG: &str = "metaxy.checksums";

/// The key of a commit's checksum in its `commitInfo`.
pub(crate) const COMMIT: &str = "metaxyChecksum";

/// What a commit has in the place of its checksum while that is made.
pub(crate) const NOTHING: &str = "00000000";

/// Bytes of a block.
const BLOCK: u64 = 256 << 10;

fn checksum(bytes: &[u8]) -> u32 {
    XxHash3_64::oneshot(bytes) as u32
}

/// The checksums of a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Checksums {
    block: u64,
    blocks: Vec<u32>,
}

impl Checksums {
    /// Those of a file with these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self {
            block: BLOCK,
            blocks: bytes.chunks(BLOCK as usize).map(checksum).collect(),
        }
    }

    /// As the log has them.
    pub(crate) fn tag(&self) -> String {
        let blocks = self.blocks.iter().map(|block| format!("{block:08x}"));
        format!("{}:{}", self.block, blocks.collect::<String>())
    }

    /// `None` for what a later version may write.
    pub(crate) fn parsed(tag: &str) -> Option<Self> {
        let (block, digits) = tag.split_once(':')?;
        let block = block.parse().ok().filter(|block| *block > 0)?;
        let blocks = digits.as_bytes().chunks(8).map(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u32::from_str_radix(digits, 16).ok()
        });
        Some(Self {
            block,
            blocks: blocks.collect::<Option<_>>()?,
        })
    }

    /// The whole blocks of a file of `bytes` bytes that a range is part of.
    pub(crate) fn around(&self, range: &Range<u64>, bytes: u64) -> Range<u64> {
        let start = range.start - range.start % self.block;
        let end = range.end.div_ceil(self.block).saturating_mul(self.block);
        start..end.min(bytes).max(start)
    }

    /// Whether blocks are as they were written. `from`: where the first begins.
    pub(crate) fn hold(&self, from: u64, bytes: &[u8]) -> bool {
        let first = usize::try_from(from / self.block).unwrap_or(usize::MAX);
        let size = usize::try_from(self.block).unwrap_or(usize::MAX);
        let known = self.blocks.iter().skip(first);
        let found = bytes.chunks(size).map(checksum);
        known.take(found.len()).copied().eq(found)
    }

    /// Whether all of a file is as it was written.
    pub(crate) fn holds(&self, file: &[u8]) -> bool {
        self.fit(file.len() as u64) && self.hold(0, file)
    }

    /// Whether a file of so many bytes can be the one that was written.
    pub(crate) fn fit(&self, bytes: u64) -> bool {
        bytes.div_ceil(self.block) == self.blocks.len() as u64
    }
}

/// A commit with its checksum in the place of [`NOTHING`].
pub(crate) fn sealed(commit: &str) -> String {
    let hash = format!("{:08x}", checksum(commit.as_bytes()));
    let place = format!("\"{COMMIT}\":\"");
    commit.replacen(
        &format!("{place}{NOTHING}\""),
        &format!("{place}{hash}\""),
        1,
    )
}

/// Whether a commit is as it was written, as far as it tells.
pub(crate) fn is_whole(commit: &[u8]) -> bool {
    let key = format!("\"{COMMIT}\":\"");
    let first = commit.split(|byte| *byte == b'\n').next().unwrap_or(commit);
    let place = first
        .windows(key.len())
        .position(|window| window == key.as_bytes());
    let Some(start) = place.map(|place| place + key.len()) else {
        return true;
    };
    let end = start + NOTHING.len();
    let Some(told) = first.get(start..end) else {
        return false;
    };
    let unsealed = [&commit[..start], NOTHING.as_bytes(), &commit[end..]].concat();
    told == format!("{:08x}", checksum(&unsealed)).as_bytes()
}

/// Whether these ranges of a file are as they were written; each block is read once.
pub(crate) fn hold_at(
    checksums: &Checksums,
    file: &mut File,
    bytes: u64,
    ranges: impl IntoIterator<Item = Range<u64>>,
) -> io::Result<bool> {
    let mut ranges: Vec<Range<u64>> = ranges
        .into_iter()
        .map(|range| checksums.around(&range, bytes))
        .collect();
    ranges.sort_unstable_by_key(|range| range.start);
    let (mut block, mut done) = (Vec::new(), 0);
    for range in ranges {
        let mut at = range.start.max(done);
        file.seek(SeekFrom::Start(at))?;
        while at < range.end {
            let size = checksums.block.min(range.end - at);
            block.resize(usize::try_from(size).unwrap_or(usize::MAX), 0);
            file.read_exact(&mut block)?;
            if !checksums.hold(at, &block) {
                return Ok(false);
            }
            at += size;
        }
        done = at;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_another_bit_is_found_by_who_reads_it() {
        let mut bytes: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
        let size = bytes.len() as u64;
        let known = Checksums::of(&bytes);
        assert_eq!(Checksums::parsed(&known.tag()).as_ref(), Some(&known));
        assert!(known.hold(0, &bytes) && known.fit(size) && !known.fit(size / 2));
        let part = known.around(&(300_000..300_001), size);
        assert_eq!(part, BLOCK..2 * BLOCK);
        assert_eq!(known.around(&(600_000..size), size), 2 * BLOCK..size);
        bytes[300_000] ^= 4;
        let of = |range: Range<u64>| &bytes[range.start as usize..range.end as usize];
        assert!(!known.hold(part.start, of(part)));
        assert!(known.hold(2 * BLOCK, of(2 * BLOCK..size)));
        assert!(known.hold(0, of(0..BLOCK)));
    }

    #[test]
    fn what_a_later_version_writes_is_not_understood() {
        for tag in ["", "x", "0:00000000", "262144:0000000g", "v2:262144:00"] {
            assert_eq!(Checksums::parsed(tag), None, "{tag}");
        }
    }

    #[test]
    fn each_bit_of_a_commit_counts() {
        let commit = format!(
            "{{\"commitInfo\":{{\"{COMMIT}\":\"{NOTHING}\"}}}}\n{{\"remove\":{{\"path\":\"x\"}}}}"
        );
        let sealed = sealed(&commit).into_bytes();
        assert!(is_whole(&sealed));
        assert!(is_whole(b"{\"commitInfo\":{}}"), "somebody else's");
        let key = commit.find(COMMIT).unwrap();
        for at in (0..sealed.len()).filter(|at| !(key - 1..key + COMMIT.len() + 3).contains(at)) {
            let mut other = sealed.clone();
            other[at] ^= 1;
            assert!(!is_whole(&other), "byte {at}");
        }
        assert!(!is_whole(&sealed[..sealed.len() - 27]), "the last line");
    }
}
