//! The `metaxy` command, as a library.
//!
//! A program that brings a backend of its own becomes a `metaxy` that knows it:
//!
//! ```no_run
//! // use their_backend as _;
//! fn main() -> std::process::ExitCode {
//!     metaxy_cli::run(std::env::args_os())
//! }
//! ```
//!
//! One that brings features, such as structs with `#[derive(Feature)]`, hands them over with [`run_with`].
//!
//! | module | what it holds |
//! |---|---|
//! | `args` | what can be typed |
//! | `commands` | what is done then, one file per command |
//! | `project` | the configuration, the graph and the store that a command works on |
//! | `rows` | rows of features on their way from and to files |
//! | `screen`, `listing`, `preview` | what people see |
//! | [`metaxy_frames`] | Parquet, CSV, NDJSON and JSON |
//! | [`demo`] | `metaxy demo` |
//!
//! # Cargo features
#![doc = document_features::document_features!()]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod args;
mod build;
mod commands;
pub mod demo;
mod interrupt;
mod listing;
mod preview;
mod progress;
mod project;
mod report;
mod rows;
mod screen;
mod starter;
mod versions;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind as ArgumentError;
use metaxy_store::{Error, ErrorKind, FeatureGraph, Result};
// Keeps the backends of this build linked: they register themselves.
use metaxy_store as _;
use tracing_subscriber::EnvFilter;

use crate::interrupt::unless_interrupted;

/// The variable that says what is logged, such as `info` or `metaxy_sqlite=debug`. Default: warnings.
pub const LOG_VARIABLE: &str = "METAXY_LOG";

/// Does what `args` say, the first of which is the program's name.
///
/// Results go to standard output; errors, hints, progress and logs to standard error. The exit code is 0 for success, 1 for a
/// failure, 2 for arguments that make no sense and 3 for features that are not in sync, where that was asked for. A reader of
/// standard output that goes away early is no failure. After Ctrl-C it is 130 (after a request to terminate 143), with nothing
/// half-written.
///
/// It blocks until all is done, and is not to be called from asynchronous code. From then on it is the process's to hear those
/// signals.
pub fn run<A>(args: impl IntoIterator<Item = A>) -> ExitCode
where
    A: Into<OsString> + Clone,
{
    run_command(args, None)
}

/// As [`run`], for a program with features of its own: those of the graph that `features` makes, and of the feature files that the
/// configuration names beside them. What was pushed to a store does not matter then, but for external features.
///
/// ```no_run
/// use metaxy_store::prelude::*;
///
/// fn features() -> metaxy_store::Result<FeatureGraph> {
///     let raw = FeatureSpec::new("video/raw", ["video_id"])?;
///     FeatureGraph::from_definitions([FeatureDefinition::new(raw, "films")])
/// }
///
/// fn main() -> std::process::ExitCode {
///     metaxy_cli::run_with(std::env::args_os(), features)
/// }
/// ```
///
/// With the Cargo feature `derive` of `metaxy-store`, `FeatureGraph::from_inventory` takes the place of `features`: the graph of all structs
/// of the program that are features. `examples/custom-binary` is such a program.
///
/// `features` is called by commands that work on a project, and its error is told as any other. The graph's versions are cut as the
/// configuration says. A graph without features, when no file defines one either, is an error: whoever declared them was not linked.
pub fn run_with<A>(
    args: impl IntoIterator<Item = A>,
    features: impl FnOnce() -> Result<FeatureGraph> + 'static,
) -> ExitCode
where
    A: Into<OsString> + Clone,
{
    run_command(args, Some(Box::new(features)))
}

/// What makes the graph of the program's own features.
type Features = Box<dyn FnOnce() -> Result<FeatureGraph>>;

fn run_command<A>(args: impl IntoIterator<Item = A>, features: Option<Features>) -> ExitCode
where
    A: Into<OsString> + Clone,
{
    let command = match args::Cli::try_parse_from(args) {
        Ok(command) => command,
        Err(error) => {
            let code = ExitCode::from(if error.use_stderr() { 2 } else { 0 });
            match error.kind() {
                // Help that was asked for goes to standard output.
                ArgumentError::DisplayHelp
                | ArgumentError::DisplayVersion
                | ArgumentError::DisplayHelpOnMissingArgumentOrSubcommand => {
                    let _ = error.print();
                }
                _ => report::arguments(&error),
            }
            return code;
        }
    };
    log();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(ErrorKind::Io, "cannot start the runtime").with_source(e));
    let done = runtime.map(|runtime| {
        let done = runtime.block_on(unless_interrupted(commands::run(command, features)));
        // What still runs on its threads is not waited for.
        runtime.shutdown_background();
        done
    });
    match done {
        Ok(Ok(Ok(outcome))) => outcome.code(),
        Ok(Err(signal)) => {
            report::note("interrupted: what was not finished is not there");
            ExitCode::from(signal.code())
        }
        Ok(Ok(Err(error))) | Err(error) => {
            report::error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Logs go to standard error. A program that has set up its own logging keeps it.
fn log() {
    let wanted = std::env::var(LOG_VARIABLE).unwrap_or_default();
    let (filter, refused) = match EnvFilter::try_new(&wanted) {
        Ok(filter) if !wanted.is_empty() => (filter, None),
        // What a client of `metaxy mcp` got wrong is told to the client.
        outcome => (EnvFilter::new("warn,rmcp=error"), outcome.err()),
    };
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(screen::LogLine::default)
        .with_ansi(false)
        .without_time()
        .compact();
    let _ = logs.try_init();
    if let Some(error) = refused {
        tracing::warn!("{LOG_VARIABLE} is ignored: {error}");
    }
}
