//! One feature: its definition, what it depends on, what depends on it, and what is stored.

mod facts;
mod show;

use metaxy_store::{Access, Result};

pub(crate) use self::facts::FeatureFacts;
use crate::args::{DescribeFeature, View};
use crate::project::{Project, feature};
use crate::screen::Screen;

pub(super) async fn run(project: &Project, args: &DescribeFeature, screen: &Screen) -> Result<()> {
    let store = project.open(Access::Read).await?;
    let feature = feature(&store, &args.feature)?;
    let facts = FeatureFacts::gather(&store, &feature).await?;
    match args.format.view {
        View::Json => screen.document(&facts.document()),
        View::Plain => show::show(&facts, screen),
    }
}
