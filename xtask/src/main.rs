//! What a developer of this workspace repeats: `cargo xtask bench`, `cargo xtask examples`, `cargo xtask test` and so on.

mod command;
mod deny;
mod examples;
mod features;
mod fuzz;
// What works on stores; a build without any builds itself with them.
#[cfg_attr(not(feature = "library"), path = "elsewhere.rs")]
mod library;
mod memory;
mod outcomes;
mod packages;
mod pipe;
mod programs;
mod rebuild;
mod soak;
mod stages;
mod together;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "What a developer of this workspace repeats"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Library(library::Command),
    /// Run the examples.
    Examples(examples::Arguments),
    /// Run the fuzz targets, each for some seconds.
    Fuzz(fuzz::Arguments),
    /// Measure a step of a pipeline in a shell: `metaxy resolve | step | metaxy write`.
    Pipe(pipe::Arguments),
    /// Do what is worth hours, for as long as you say: laws, processes, fuzzing, sanitizers.
    Soak(soak::Arguments),
    /// Run every check of the workspace.
    Test(stages::Arguments),
}

fn main() -> ExitCode {
    let success = match Arguments::parse().command {
        Command::Library(command) => library::run(&command),
        Command::Examples(arguments) => examples::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Pipe(arguments) => pipe::run(&arguments),
        Command::Soak(arguments) => soak::run(&arguments),
        Command::Test(arguments) => stages::run(&arguments),
    };
    match success {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the workspace.
fn root() -> std::path::PathBuf {
    let here =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let mut root = std::path::PathBuf::from(here);
    root.pop();
    root
}
