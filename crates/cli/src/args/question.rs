//! What a resolve looks at.

use std::path::PathBuf;

use clap::Args;

use super::samples_format;
use metaxy_frames::Format;

/// Which samples of which feature are compared with what is stored.
#[derive(Debug, Args)]
pub(crate) struct Question {
    /// The feature.
    #[arg(value_name = "FEATURE")]
    pub(crate) feature: String,
    /// The samples that should be there, instead of what upstream asks for. A feature without upstream needs them.
    #[arg(long, value_name = "FILE")]
    pub(crate) samples: Option<PathBuf>,
    /// The format of the samples, where their file's extension does not say it.
    #[arg(long, value_name = "FORMAT", requires = "samples", value_parser = samples_format)]
    pub(crate) samples_format: Option<Format>,
    /// Look only at samples for which this holds, in every feature. May be repeated.
    #[arg(long = "filter", value_name = "SQL")]
    pub(crate) filters: Vec<String>,
    /// Stored samples for which this holds are stale, whatever upstream says. May be repeated.
    #[arg(long, value_name = "SQL")]
    pub(crate) stale_if: Vec<String>,
}
