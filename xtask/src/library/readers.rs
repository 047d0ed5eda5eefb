//! `cargo xtask readers`: Parquet files of PyArrow, Polars, DuckDB and pandas through the command, and read by them again.

use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use super::interop::environment;
use crate::root;
use crate::stages::target_directory;

#[derive(Args)]
pub(crate) struct Arguments {
    /// How many tables.
    #[arg(long, value_name = "N", default_value_t = 60)]
    tables: u64,
    /// The number that the first of them comes from; the others come from those that follow.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The store they pass through, as its table of the configuration [default: SQLite].
    #[arg(long, value_name = "TOML")]
    store: Option<String>,
    /// The command, instead of a build of it.
    #[arg(long, value_name = "PROGRAM")]
    metaxy: Option<PathBuf>,
}

/// Sends the tables through, prints what differs, and says whether all is well.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let metaxy = match &arguments.metaxy {
        Some(program) => std::path::absolute(program)
            .map_err(|e| format!("{} cannot be found: {e}", program.display()))?,
        None => crate::command::build(false)?,
    };
    let python = environment::python(&target_directory()?)?;
    let mut script = Command::new(&python);
    script
        .arg(root().join("xtask/interop/readers.py"))
        .arg(metaxy)
        .args([arguments.tables, arguments.seed].map(|number| number.to_string()))
        .args(&arguments.store);
    let status = script.status();
    let status = status.map_err(|e| format!("{} cannot be started: {e}", python.display()))?;
    Ok(status.success())
}
