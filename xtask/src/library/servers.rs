//! Databases for stores that live on a server: one for each directory.

use std::path::Path;

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

/// Makes sure that there is a server to test on. One that is not installed is, where that can be done.
pub(crate) fn ensure() -> Result<(), String> {
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
