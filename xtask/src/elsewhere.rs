//! What works on stores, in a build that has none: it is built again with SQLite, and asked there.

use std::ffi::OsString;

use clap::{Args, Subcommand};

use crate::rebuild::Build;

/// Whatever the command takes, which the other build reads.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Words {
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    _all: Vec<OsString>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Measure how long resolving takes, and how much memory.
    Bench(Words),
    /// Replay golden vectors against a store.
    Golden(Words),
    /// Check that the reference and this implementation read what the other wrote.
    Interop(Words),
    /// Check that the references of the configuration and of feature files are what the code says, or write them anew.
    Reference(Words),
    /// Make sure that there is a PostgreSQL server to test on, installing it if need be.
    Server(Words),
}

/// Builds this program with SQLite, and runs that with the arguments of this one.
pub(crate) fn run(_: &Command) -> Result<bool, String> {
    let build = Build {
        release: false,
        stores: &["sqlite"],
    };
    build.run_again()
}
