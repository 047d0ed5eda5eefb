//! What works on stores.

mod bench;
mod golden;
mod interop;
mod readers;
mod reference;
mod servers;
mod stores;

use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Measure how long resolving takes, and how much memory.
    Bench(Box<bench::Arguments>),
    /// One turn of `bench`, in a process of its own.
    #[command(hide = true)]
    BenchTurn(bench::turn::Arguments),
    /// Replay golden vectors against a store.
    Golden(golden::Arguments),
    /// Check that the reference and this implementation read what the other wrote.
    Interop(interop::Arguments),
    /// Send Parquet files of other programs through the command, and have them read by those again.
    Readers(readers::Arguments),
    /// Check that the references of the configuration and of feature files are what the code says, or write them anew.
    Reference(reference::Arguments),
    /// Make sure that there is a PostgreSQL server to test on, installing it if need be.
    Server(servers::Arguments),
}

/// Does what a command says, and says whether all is well.
pub(crate) fn run(command: &Command) -> Result<bool, String> {
    match command {
        Command::Bench(arguments) => bench::run(arguments),
        Command::BenchTurn(arguments) => bench::turn::run(arguments),
        Command::Golden(arguments) => golden::run(arguments),
        Command::Interop(arguments) => interop::run(arguments),
        Command::Readers(arguments) => readers::run(arguments),
        Command::Reference(arguments) => reference::run(arguments),
        Command::Server(arguments) => servers::run(arguments),
    }
}
