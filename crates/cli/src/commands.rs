//! What is done for each command.

mod delete;
mod demo;
mod graph;
mod graph_diff;
mod history;
mod init;
mod list;
mod lock;
mod maintain;
mod push;
mod pushed;
mod read;
mod resolve;
pub(crate) mod status;
mod write;

use metaxy_core::{Error, ErrorKind, Result};

pub(crate) use graph::Direction;

use crate::args::{Cli, Command, Global};
use crate::project::Project;
use crate::screen::Screen;

/// Does what was typed.
pub(crate) async fn run(cli: Cli) -> Result<()> {
    let screen = Screen::stdout();
    match cli.command {
        Command::Init(args) => {
            without_store("init", &cli.global)?;
            return init::run(&args, cli.global.project.as_deref(), &screen);
        }
        Command::Demo(args) => {
            without_store("demo", &cli.global)?;
            return demo::run(args, &screen).await;
        }
        _ => {}
    }
    let project = Project::load(cli.global)?;
    match cli.command {
        Command::List(args) => list::run(&project, &args, &screen).await,
        Command::Status(args) => status::run(&project, &args, &screen).await,
        Command::Resolve(args) => resolve::run(&project, args, &screen).await,
        Command::Write(args) => write::run(&project, args, &screen).await,
        Command::Read(args) => read::run(&project, args, &screen).await,
        Command::Delete(args) => delete::run(&project, args, &screen).await,
        Command::Maintain(args) => maintain::run(&project, args, &screen).await,
        Command::Push(args) => push::run(&project, args, &screen).await,
        Command::Lock(args) => lock::run(&project, args, &screen).await,
        Command::Graph(args) => graph::run(&project, &args, &screen).await,
        Command::GraphDiff(args) => graph_diff::run(&project, &args, &screen).await,
        Command::History(args) => history::run(&project, &args, &screen).await,
        Command::Init(_) | Command::Demo(_) => Ok(()),
    }
}

/// Commands that make a project of their own have no use for another's store.
fn without_store(command: &str, global: &Global) -> Result<()> {
    let given = match (&global.store, &global.config_file) {
        (Some(_), _) => "--store",
        (_, Some(_)) => "--config-file",
        _ => return Ok(()),
    };
    Err(Error::new(
        ErrorKind::InvalidArgument,
        format!("`metaxy {command}` makes a project of its own, so {given} means nothing to it"),
    )
    .with_hint(format!("leave {given} out")))
}
