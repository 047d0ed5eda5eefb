//! The arguments of `metaxy explain`.

use std::path::PathBuf;

use clap::Args;

use super::{ViewFormat, samples_format};
use crate::frames::Format;

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The feature.
    #[arg(value_name = "FEATURE")]
    pub(crate) feature: String,
    /// The samples that should be there, as in a resolve. A feature without upstream needs them.
    #[arg(long, value_name = "FILE")]
    pub(crate) samples: Option<PathBuf>,
    /// The format of the samples, where their file's extension does not say it.
    #[arg(long, value_name = "FORMAT", requires = "samples", value_parser = samples_format)]
    pub(crate) samples_format: Option<Format>,
    /// As in a resolve: look only at samples for which this holds, in every feature. May be repeated.
    #[arg(long = "filter", value_name = "SQL")]
    pub(crate) filters: Vec<String>,
    /// As in a resolve: stored samples for which this holds are stale. May be repeated.
    #[arg(long, value_name = "SQL")]
    pub(crate) stale_if: Vec<String>,
    #[command(flatten)]
    pub(crate) format: ViewFormat,
}
