//! The arguments of `metaxy metadata`. Their names are those of the Python package's command.

use clap::{Args, Subcommand};

use super::{ShareLimit, Status, ViewFormat};

#[derive(Debug, Args)]
pub(crate) struct Metadata {
    #[command(subcommand)]
    pub(crate) what: MetadataCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MetadataCommand {
    /// Merge samples of one store into another: what is there is not added again, and the later row of a sample wins.
    Copy(Copy),
    /// Delete samples of features.
    Delete(DeleteMany),
    /// Carry samples over to another version of their feature, without computing them anew.
    Rebase(Rebase),
    /// Remove features from the store, with all rows of every version.
    Drop(Drop),
    /// The same as `metaxy status`.
    Status(Status),
}

/// Features by name, or all.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Selection {
    /// The features.
    #[arg(value_name = "FEATURE")]
    pub(crate) features: Vec<String>,
    /// All features of the project that are its own.
    #[arg(long)]
    pub(crate) all_features: bool,
}

/// What is to be known and agreed to before anything changes.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Consent {
    /// Only show what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Copy {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// The store to copy from.
    #[arg(long, value_name = "STORE")]
    pub(crate) from: String,
    /// The store to copy to. [default: the project's store]
    #[arg(long, value_name = "STORE")]
    pub(crate) to: Option<String>,
    /// Only samples for whose current row this holds. May be repeated.
    #[arg(long = "filter", value_name = "SQL")]
    pub(crate) filters: Vec<String>,
    /// The latest row of each sample over all versions of its feature, which is the default.
    #[arg(long, overrides_with = "no_with_feature_history")]
    pub(crate) with_feature_history: bool,
    /// Only rows of the current version of each feature.
    #[arg(long)]
    pub(crate) no_with_feature_history: bool,
    /// Every row of each sample, not only the latest.
    #[arg(long, overrides_with = "no_with_sample_history")]
    pub(crate) with_sample_history: bool,
    #[arg(long, hide = true)]
    no_with_sample_history: bool,
    /// The graphs that were pushed to the store, too.
    #[arg(long)]
    pub(crate) with_graphs: bool,
    /// Add the rows as a write does, whatever is there: with a new time, unless --with-sample-history, and without deleted samples.
    #[arg(long)]
    pub(crate) append: bool,
    #[command(flatten)]
    pub(crate) consent: Consent,
    #[command(flatten)]
    pub(crate) format: ViewFormat,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteMany {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Only samples for which this holds. May be repeated: then all must hold.
    #[arg(long = "filter", value_name = "SQL")]
    pub(crate) filters: Vec<String>,
    /// Mark the samples as deleted, which is the default: writing one again brings it back.
    #[arg(long, overrides_with = "hard")]
    pub(crate) soft: bool,
    /// Remove the samples for good, with all their rows.
    #[arg(long)]
    pub(crate) hard: bool,
    /// Samples of every version of a feature, not only of the current one.
    #[arg(long)]
    pub(crate) with_feature_history: bool,
    #[command(flatten)]
    pub(crate) limit: ShareLimit,
    #[command(flatten)]
    pub(crate) consent: Consent,
    #[command(flatten)]
    pub(crate) format: ViewFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Rebase {
    /// The feature.
    #[arg(value_name = "FEATURE")]
    pub(crate) feature: String,
    /// The version that the samples have, or its start.
    #[arg(long, value_name = "VERSION")]
    pub(crate) from: String,
    /// The version that they get: one that was pushed, or its start. [default: the current one]
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<String>,
    /// Only samples for which this holds. May be repeated.
    #[arg(long = "filter", value_name = "SQL")]
    pub(crate) filters: Vec<String>,
    /// Carry over what follows from the feature as well, in order: each feature to its current version.
    #[arg(long, conflicts_with_all = ["to", "filters"])]
    pub(crate) downstream: bool,
    #[command(flatten)]
    pub(crate) consent: Consent,
    #[command(flatten)]
    pub(crate) format: ViewFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Drop {
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) consent: Consent,
    #[command(flatten)]
    pub(crate) format: ViewFormat,
}
