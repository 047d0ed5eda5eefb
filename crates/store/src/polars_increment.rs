use metaxy_core::Result;
use metaxy_polars::{DataFrame, to_polars};

use crate::Increment;

/// An [`Increment`] in frames of Polars.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PolarsIncrement {
    /// Samples to compute for the first time.
    pub new: DataFrame,
    /// Samples to compute again.
    pub stale: DataFrame,
    /// Samples that upstream no longer has.
    pub orphaned: DataFrame,
}

impl PolarsIncrement {
    /// The three parts of an increment.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for a type that Polars cannot hold.
    pub fn of(increment: &Increment) -> Result<Self> {
        Ok(Self {
            new: to_polars(&increment.new)?,
            stale: to_polars(&increment.stale)?,
            orphaned: to_polars(&increment.orphaned)?,
        })
    }
}
