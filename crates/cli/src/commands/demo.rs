//! `metaxy demo`.

use metaxy_core::Result;

use crate::args::Demo;
use crate::screen::Screen;

pub(super) async fn run(_args: Demo, _screen: &Screen) -> Result<()> {
    Ok(())
}
