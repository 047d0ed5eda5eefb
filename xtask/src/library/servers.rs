//! Databases for stores that live on a server: one for each directory.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use clap::Args;

use metaxy_conformance::cluster::Cluster;
use metaxy_store::hash::{HashAlgorithm, Hasher};

use crate::packages;

/// The address of the database that belongs to a directory: made when it is first asked for, on a server that is started for this
/// process unless there is one.
pub(crate) fn database(directory: &Path) -> Result<String, String> {
    let cluster = Cluster::shared()?;
    let name = name(directory);
    let there = format!("SELECT 1 FROM pg_database WHERE datname = '{name}'");
    if cluster.sql(cluster.url(), &there)?.is_empty() {
        cluster.sql(cluster.url(), &format!("CREATE DATABASE \"{name}\""))?;
    }
    Ok(cluster.url_of(&name))
}

/// As [`database`]; where there is no server, an address that says why.
pub(crate) fn database_of(directory: &Path) -> String {
    database(directory).unwrap_or_else(|why| format!("no server: {why}"))
}

#[derive(Args)]
pub(crate) struct Arguments {
    /// A program and its arguments, which is run with a new database of that server in DATABASE_URL.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    command: Vec<OsString>,
}

/// Makes sure that there is a server, and runs the command if there is one; says whether that succeeded.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    ensure()?;
    let Some((program, rest)) = arguments.command.split_first() else {
        return Ok(true);
    };
    let cluster = Cluster::given_or_started()?;
    let database = cluster.database("command")?;
    let mut command = Command::new(program);
    let status = command.args(rest).env("DATABASE_URL", database).status();
    let status = status.map_err(|e| format!("{} cannot be started: {e}", program.display()))?;
    Ok(status.success())
}

/// Makes sure that there is a server to test on. One that is not installed is, where that can be done.
fn ensure() -> Result<(), String> {
    let Err(why) = answers() else {
        return Ok(());
    };
    println!("{why}");
    packages::install("postgresql")?;
    answers()
}

fn answers() -> Result<(), String> {
    let cluster = Cluster::given_or_started()?;
    let version = cluster.sql(cluster.url(), "SHOW server_version")?;
    println!("PostgreSQL {version}");
    Ok(())
}

/// A name that no other directory has, and no other process on a server that was there before.
fn name(directory: &Path) -> String {
    let mut hasher = Hasher::new(HashAlgorithm::Xxhash64);
    hasher.update(format!("{}:{}", std::process::id(), directory.display()).as_bytes());
    format!("metaxy_{}", hasher.finish().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_have_databases_of_their_own() {
        let names = ["a", "b"].map(|directory| name(Path::new(directory)));
        assert_ne!(names[0], names[1]);
        assert_eq!(names[0], name(Path::new("a")));
    }
}
