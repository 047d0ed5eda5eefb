//! `metaxy history`.

mod feature;
mod pushes;

use metaxy_store::{Access, FeatureKey, Result};

#[cfg(feature = "mcp")]
pub(super) use self::pushes::document as pushes_document;

use crate::args::History;
use crate::project::Project;
use crate::screen::Screen;

pub(super) async fn run(project: &Project, args: &History, screen: &Screen) -> Result<()> {
    match &args.feature {
        None => {
            let store = project.open_bare(Access::Read)?;
            pushes::run(project, &store, args, screen).await
        }
        Some(name) => feature::run(project, &FeatureKey::new(name)?, args, screen).await,
    }
}
