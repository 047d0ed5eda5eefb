//! `metaxy mcp`: what a store knows, for language models, over the Model Context Protocol on standard input and output.

#[cfg(feature = "mcp")]
mod answers;
#[cfg(feature = "mcp")]
mod server;
#[cfg(feature = "mcp")]
mod tools;

use metaxy_store::Result;

use crate::project::Project;

#[cfg(feature = "mcp")]
pub(super) async fn run(project: Project) -> Result<()> {
    server::run(project).await
}

/// A build without the Cargo feature says so.
#[cfg(not(feature = "mcp"))]
pub(super) async fn run(_: Project) -> Result<()> {
    use metaxy_store::{Error, ErrorKind};
    Err(Error::new(
        ErrorKind::Unsupported,
        "this build does not speak the Model Context Protocol",
    )
    .with_hint("enable the Cargo feature `mcp` of metaxy-cli, and build again"))
}
