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
}
