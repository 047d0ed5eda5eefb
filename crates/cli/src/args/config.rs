//! The arguments of `metaxy config`.

use clap::{Args, Subcommand};

use super::ViewFormat;

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) what: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every setting that has a value, and where it came from. Secrets are hidden.
    Print(ConfigPrint),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigPrint {
    #[command(flatten)]
    pub(crate) format: ViewFormat,
}
