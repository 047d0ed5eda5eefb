//! The arguments of `metaxy describe`.

use clap::{Args, Subcommand};

use super::ViewFormat;

/// A feature's name may stand where `feature` or `graph` would.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Describe {
    #[command(subcommand)]
    what: Option<Described>,
    /// The feature.
    #[arg(value_name = "FEATURE", required = true)]
    feature: Option<String>,
    #[command(flatten)]
    format: ViewFormat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Described {
    /// All that is known of a feature: its fields, versions and dependencies, and what is stored.
    Feature(DescribeFeature),
    /// The graph as a whole: its projects, roots and leaves.
    Graph(DescribeGraph),
}

#[derive(Debug, Args)]
pub(crate) struct DescribeFeature {
    /// The feature.
    #[arg(value_name = "FEATURE")]
    pub(crate) feature: String,
    #[command(flatten)]
    pub(crate) format: ViewFormat,
}

#[derive(Debug, Args)]
pub(crate) struct DescribeGraph {
    /// The graph of this project version, as it was pushed. [default: the current graph]
    #[arg(value_name = "VERSION")]
    pub(crate) version: Option<String>,
    #[command(flatten)]
    pub(crate) format: ViewFormat,
}

impl Describe {
    /// What is to be described.
    pub(crate) fn what(self) -> Described {
        match self.what {
            Some(what) => what,
            None => Described::Feature(DescribeFeature {
                feature: self.feature.unwrap_or_default(),
                format: self.format,
            }),
        }
    }
}
