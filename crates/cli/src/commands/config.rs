//! `metaxy config`.

mod place;
mod print;

use metaxy_store::Result;

use crate::args::{ConfigArgs, ConfigCommand};
use crate::project::Project;
use crate::screen::Screen;

pub(super) fn run(project: &Project, args: &ConfigArgs, screen: &Screen) -> Result<()> {
    match &args.what {
        ConfigCommand::Print(args) => print::run(project, args, screen),
    }
}
