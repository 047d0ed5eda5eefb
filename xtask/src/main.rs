//! What a developer of this workspace repeats: `cargo xtask bench`, `cargo xtask examples`, `cargo xtask test` and so on.

mod bench;
mod command;
mod deny;
mod examples;
mod features;
mod fuzz;
mod golden;
mod interop;
mod memory;
mod outcomes;
mod packages;
mod pipe;
mod programs;
mod rebuild;
mod reference;
mod servers;
mod soak;
mod stages;
mod stores;
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
    /// Measure how long resolving takes, and how much memory.
    Bench(Box<bench::Arguments>),
    /// One turn of `bench`, in a process of its own.
    #[command(hide = true)]
    BenchTurn(bench::turn::Arguments),
    /// Run the examples.
    Examples(examples::Arguments),
    /// Run the fuzz targets, each for some seconds.
    Fuzz(fuzz::Arguments),
    /// Replay golden vectors against a store.
    Golden(golden::Arguments),
    /// Check that the reference and this implementation read what the other wrote.
    Interop(interop::Arguments),
    /// Measure a step of a pipeline in a shell: `metaxy resolve | step | metaxy write`.
    Pipe(pipe::Arguments),
    /// Check that the configuration reference is what the code says, or write it anew.
    Reference(reference::Arguments),
    /// Do what is worth hours, for as long as you say: laws, processes, fuzzing, sanitizers.
    Soak(soak::Arguments),
    /// Run every check of the workspace.
    Test(stages::Arguments),
}

fn main() -> ExitCode {
    let success = match Arguments::parse().command {
        Command::Bench(arguments) => bench::run(&arguments),
        Command::BenchTurn(arguments) => bench::turn::run(&arguments),
        Command::Examples(arguments) => examples::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Golden(arguments) => golden::run(&arguments),
        Command::Interop(arguments) => interop::run(&arguments),
        Command::Pipe(arguments) => pipe::run(&arguments),
        Command::Reference(arguments) => reference::run(&arguments),
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
