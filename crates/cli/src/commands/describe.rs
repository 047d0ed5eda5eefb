//! `metaxy describe`.

mod feature;
mod graph;

use metaxy_store::Result;

#[cfg(feature = "mcp")]
pub(super) use self::feature::FeatureFacts;
#[cfg(feature = "mcp")]
pub(super) use self::graph::document as graph_document;

use crate::args::{Describe, Described};
use crate::project::Project;
use crate::screen::Screen;

pub(super) async fn run(project: &Project, args: Describe, screen: &Screen) -> Result<()> {
    match args.what() {
        Described::Feature(args) => feature::run(project, &args, screen).await,
        Described::Graph(args) => graph::run(project, &args, screen).await,
    }
}
