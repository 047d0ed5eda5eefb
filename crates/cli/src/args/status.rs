//! The arguments of `metaxy status`.

use std::num::NonZeroU64;

use clap::Args;

use super::{Comparison, ListFormat, positive};

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The features. [default: all]
    #[arg(value_name = "FEATURE")]
    pub(crate) features: Vec<String>,
    /// Count only samples for which this holds, in every feature. May be repeated.
    #[arg(long = "filter", alias = "global-filter", value_name = "SQL")]
    pub(crate) filters: Vec<String>,
    /// Compare only stored samples of the feature itself for which this holds; others count as new. May be repeated.
    #[arg(long = "target-filter", value_name = "SQL")]
    pub(crate) target_filters: Vec<String>,
    /// Stored samples for which this holds are stale, whatever upstream says. May be repeated.
    #[arg(long, value_name = "SQL")]
    pub(crate) stale_if: Vec<String>,
    /// Show which part of the input has been processed at least once.
    #[arg(long)]
    pub(crate) progress: bool,
    /// Show the first N rows of each part.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) preview: Option<NonZeroU64>,
    /// Look at this store alone: samples that only a fallback store has do not count.
    #[arg(long, alias = "no-allow-fallback-stores")]
    pub(crate) no_fallback: bool,
    #[command(flatten)]
    pub(crate) comparison: Comparison,
    /// Exit with 3 unless every feature is up to date, and so is all that is upstream of it.
    #[arg(long)]
    pub(crate) assert_in_sync: bool,
    #[command(flatten)]
    pub(crate) format: ListFormat,
}
