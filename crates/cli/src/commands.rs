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
mod schema;
mod shell;
pub(crate) mod status;
mod write;

use std::process::ExitCode;

use metaxy_store::{Error, ErrorKind, Result};

pub(crate) use graph::Direction;

use crate::Features;
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

/// Does what was typed. `features` are those of the program itself.
pub(crate) async fn run(cli: Cli, features: Option<Features>) -> Result<Outcome> {
    let screen = Screen::stdout();
    if without_project(&cli, &screen).await? {
        return Ok(Outcome::Done);
    }
    let project = Project::load(cli.global)?.with_features(features)?;
    on_project(project, cli.command, &screen).await
}

/// Does what needs no project, and says whether it was that.
async fn without_project(cli: &Cli, screen: &Screen) -> Result<bool> {
    match &cli.command {
        Command::Init(args) => {
            without_store("init", &cli.global)?;
            init::run(args, cli.global.project.as_deref(), screen)?;
        }
        Command::Demo(args) => {
            without_store("demo", &cli.global)?;
            demo::run(args, screen).await?;
        }
        Command::Completions(args) => shell::completions(args, screen)?,
        Command::Man(args) => shell::man(args, screen)?,
        Command::Schema(args) => schema::run(args, screen)?,
        Command::List(List {
            what: Listed::Backends,
            format,
        }) => list::backends()?.show(screen, format.frame())?,
        _ => return Ok(false),
    }
    Ok(true)
}

async fn on_project(project: Project, command: Command, screen: &Screen) -> Result<Outcome> {
    let done = match command {
        Command::Status(args) => return status::run(&project, &args, screen).await,
        Command::Metadata(args) => return metadata::run(&project, args, screen).await,
        Command::List(args) => list::run(&project, &args, screen).await,
        Command::Resolve(args) => resolve::run(&project, args, screen).await,
        Command::Write(args) => write::run(&project, args, screen).await,
        Command::Read(args) => read::run(&project, args, screen).await,
        Command::Delete(args) => delete::run(&project, args, screen).await,
        Command::Maintain(args) => maintain::run(&project, args, screen).await,
        Command::Push(args) => push::run(&project, args, screen).await,
        Command::Lock(args) => lock::run(&project, args, screen).await,
        Command::Graph(args) => graph::run(&project, &args, screen).await,
        Command::GraphDiff(args) => graph_diff::run(&project, &args, screen).await,
        Command::History(args) => history::run(&project, &args, screen).await,
        Command::Config(args) => config::run(&project, &args, screen),
        Command::Mcp(_) => mcp::run(project).await,
        Command::Explain(args) => explain::run(&project, args, screen).await,
        Command::Describe(args) => describe::run(&project, args, screen).await,
        // They need no project.
        Command::Init(_)
        | Command::Demo(_)
        | Command::Completions(_)
        | Command::Man(_)
        | Command::Schema(_) => Ok(()),
    };
    done.map(|()| Outcome::Done)
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
