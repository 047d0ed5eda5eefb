//! `metaxy completions` and `metaxy man`.

use std::fs;

use clap::CommandFactory;
use clap_mangen::Man;
use metaxy_store::{Error, ErrorKind, Result};

use crate::args::{Cli, Completions, ManPages};
use crate::screen::Screen;

pub(super) fn completions(args: &Completions, screen: &Screen) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), own_name(), &mut script);
    screen.text(&text(script)?)
}

pub(super) fn man(args: &ManPages, screen: &Screen) -> Result<()> {
    let Some(folder) = &args.folder else {
        let mut page = Vec::new();
        Man::new(command()).render(&mut page)?;
        return screen.text(&text(page)?);
    };
    let failed = |e: std::io::Error| {
        let message = format!("cannot write man pages to '{}': {e}", folder.display());
        Error::new(ErrorKind::Io, message)
            .with_source(e)
            .with_hint("name a folder that can be written")
    };
    fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(command(), folder).map_err(failed)?;
    screen.line(format_args!(
        "Man pages are in {}. To read one: man {}",
        folder.display(),
        folder.join(format!("{}.1", own_name())).display()
    ))
}

/// The arguments, under the name of this program: another one may embed the command.
fn command() -> clap::Command {
    let name = own_name();
    Cli::command().name(name.clone()).bin_name(name)
}

fn own_name() -> String {
    let own = std::env::current_exe().ok();
    let name = own.as_ref().and_then(|path| path.file_stem());
    name.map_or("metaxy".into(), |name| name.to_string_lossy().into_owned())
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes)
        .map_err(|e| Error::new(ErrorKind::Internal, "a page is no text").with_source(e))
}
