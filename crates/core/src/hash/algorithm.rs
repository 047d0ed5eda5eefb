//! The names of the hash algorithms.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result, nearest};

/// A hash algorithm for sample versions, under the reference's name (`golden/FORMAT.md`, hashes.json).
///
/// ```
/// use metaxy_core::hash::HashAlgorithm;
/// let algorithm: HashAlgorithm = "xxhash64".parse()?;
/// assert_eq!(algorithm.to_string(), "xxhash64");
/// assert_eq!(algorithm.bits(), 64);
/// # Ok::<(), metaxy_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HashAlgorithm {
    /// XXH32 with seed 0, in decimal. The default.
    #[default]
    Xxhash32,
    /// XXH64 with seed 0, in decimal.
    Xxhash64,
    /// XXH3 of 64 bits with seed 0, in decimal.
    Xxh3_64,
    /// The first version of wyhash with seed 0, in decimal.
    Wyhash,
    /// SHA-256, in lower-case hex.
    Sha256,
    /// MD5, in lower-case hex.
    Md5,
}

impl HashAlgorithm {
    /// Every algorithm, in the order of the declaration.
    pub const ALL: [Self; 6] = [
        Self::Xxhash32,
        Self::Xxhash64,
        Self::Xxh3_64,
        Self::Wyhash,
        Self::Sha256,
        Self::Md5,
    ];

    /// The name in configuration files and in stores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Xxhash32 => "xxhash32",
            Self::Xxhash64 => "xxhash64",
            Self::Xxh3_64 => "xxh3_64",
            Self::Wyhash => "wyhash",
            Self::Sha256 => "sha256",
            Self::Md5 => "md5",
        }
    }

    /// How many bits a whole hash has.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Xxhash32 => 32,
            Self::Xxhash64 | Self::Xxh3_64 | Self::Wyhash => 64,
            Self::Sha256 => 256,
            Self::Md5 => 128,
        }
    }

    /// How many characters a whole hash has at most.
    #[must_use]
    pub const fn text_length(self) -> usize {
        match self {
            Self::Xxhash32 => 10,
            Self::Xxhash64 | Self::Xxh3_64 | Self::Wyhash => 20,
            Self::Sha256 => 64,
            Self::Md5 => 32,
        }
    }

    /// How many bits, rounded down, are left of a hash whose text is cut to `truncation` characters.
    ///
    /// A decimal digit carries about 3.32 bits, a hex digit 4: the reference's default, `xxhash32` cut to 8, has 26.
    #[must_use]
    pub fn bits_after(self, truncation: usize) -> u32 {
        let digits = u32::try_from(truncation).unwrap_or(u32::MAX);
        let carried = match self {
            Self::Sha256 | Self::Md5 => digits.saturating_mul(4),
            _ => digits.saturating_mul(3322) / 1000,
        };
        carried.min(self.bits())
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Parses exactly the names that [`HashAlgorithm::as_str`] gives; anything else is [`ErrorKind::InvalidConfig`].
impl FromStr for HashAlgorithm {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        if let Some(known) = Self::ALL.into_iter().find(|known| known.as_str() == name) {
            return Ok(known);
        }
        let names = Self::ALL.map(Self::as_str);
        let error = Error::new(
            ErrorKind::InvalidConfig,
            format!(
                "{name:?} is not a hash algorithm; known are {}",
                names.join(", ")
            ),
        );
        Err(match nearest(&name.to_lowercase(), names) {
            Some(near) => error.with_hint(format!("did you mean {near:?}?")),
            None => error.with_hint("use one of the known names"),
        })
    }
}
