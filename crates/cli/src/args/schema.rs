//! What can be typed after `metaxy schema`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// What the schema is of.
    #[arg(value_name = "WHAT")]
    pub(crate) of: SchemaOf,
    /// The file for it; `-` is standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// Feature files.
    Features,
    /// The configuration, metaxy.toml, with the stores of this build.
    Config,
}
