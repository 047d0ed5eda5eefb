//! The arguments of `metaxy explain`.

use clap::Args;

use super::{Question, ViewFormat};

#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) question: Question,
    #[command(flatten)]
    pub(crate) format: ViewFormat,
}
