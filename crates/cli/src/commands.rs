//! What is done for each command.

mod config;
mod delete;
mod demo;
mod describe;
mod explain;
mod graph;
mod graph_diff;
mod history;
mod init;
mod list;
mod lock;
mod maintain;
mod mcp;
mod metadata;
mod push;
mod pushed;
mod read;
mod resolve;
mod shell;
pub(crate) mod status;
mod write;

use std::process::ExitCode;

use metaxy_core::{Error, ErrorKind, Result};

pub(crate) use graph::Direction;

use crate::args::{Cli, Command, Global, List, Listed};
use crate::project::Project;
use crate::screen::Screen;

/// How a command that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// A condition that was to be checked does not hold.
    NotInSync,
}

impl Outcome {
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Done => 0,
            Self::NotInSync => 3,
        })
    }
}

/// Does what was typed.
pub(crate) async fn run(cli: Cli) -> Result<Outcome> {
    let screen = Screen::stdout();
    match cli.command {
        Command::Status(args) => {
            let project = Project::load(cli.global)?;
            status::run(&project, &args, &screen).await
        }
        Command::Metadata(args) => {
            let project = Project::load(cli.global)?;
            metadata::run(&project, args, &screen).await
        }
        _ => other(cli).await.map(|()| Outcome::Done),
    }
}

async fn other(cli: Cli) -> Result<()> {
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
        Command::Completions(args) => return shell::completions(&args, &screen),
        Command::Man(args) => return shell::man(&args, &screen),
        Command::List(List {
            what: Listed::Backends,
            format,
        }) => return list::backends()?.show(&screen, format.frame()),
        _ => {}
    }
    let project = Project::load(cli.global)?;
    match cli.command {
        Command::List(args) => list::run(&project, &args, &screen).await,
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
        Command::Config(args) => config::run(&project, &args, &screen),
        Command::Mcp(_) => mcp::run(project).await,
        Command::Explain(args) => explain::run(&project, args, &screen).await,
        Command::Describe(args) => describe::run(&project, args, &screen).await,
        // Done above.
        Command::Init(_)
        | Command::Demo(_)
        | Command::Status(_)
        | Command::Metadata(_)
        | Command::Completions(_)
        | Command::Man(_) => Ok(()),
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
