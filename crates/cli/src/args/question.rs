//! What a resolve looks at.

use std::path::PathBuf;

use clap::Args;

use super::Reading;

/// Which samples of which feature are compared with what is stored.
#[derive(Debug, Args)]
pub(crate) struct Question {
    /// The feature.
    #[arg(value_name = "FEATURE")]
    pub(crate) feature: String,
    /// The samples that should be there, instead of what upstream asks for. A feature without upstream needs them.
    #[arg(long, value_name = "FILE")]
    pub(crate) samples: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Look only at samples for which this holds, in every feature; with a feature and a colon before it, such as "video/raw:size > 3", in
    /// that feature. May be repeated.
    #[arg(long = "filter", value_name = "[FEATURE:]SQL")]
    pub(crate) filters: Vec<String>,
    /// Look only at stored samples of the feature itself for which this holds, and at such of --samples. May be repeated.
    #[arg(long = "target-filter", value_name = "SQL")]
    pub(crate) target_filters: Vec<String>,
    /// Stored samples for which this holds are stale, whatever upstream says. May be repeated.
    #[arg(long, value_name = "SQL")]
    pub(crate) stale_if: Vec<String>,
    /// Do not look at what is stored: every sample that is expected is new.
    #[arg(long)]
    pub(crate) skip_comparison: bool,
    #[command(flatten)]
    pub(crate) comparison: Comparison,
}

/// With which store's samples those that are expected are compared.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Comparison {
    /// Compare with what the stores have that this one falls back to, if it has no rows of the feature itself. [default: what the store's
    /// option `compare_with_fallback` says]
    #[arg(long, overrides_with = "no_compare_with_fallback")]
    compare_with_fallback: bool,
    /// Compare with what this store has, and no other.
    #[arg(long)]
    no_compare_with_fallback: bool,
}

impl Comparison {
    /// What is asked for; `None`: what the store is set to.
    pub(crate) fn asked(self) -> Option<bool> {
        match (self.compare_with_fallback, self.no_compare_with_fallback) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }
}
