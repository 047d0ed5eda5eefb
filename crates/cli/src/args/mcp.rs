//! The arguments of `metaxy mcp`.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Mcp {}
