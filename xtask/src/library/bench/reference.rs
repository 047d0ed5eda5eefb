//! The reference's side: `bench.py` in an interpreter that has the reference.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::directory::Directory;
use super::measured::Measured;
use super::process::output;
use super::seed::{Seed, location};
use crate::root;

/// An interpreter, and the script that it runs.
pub(super) struct Reference {
    python: PathBuf,
    script: PathBuf,
}

impl Reference {
    /// The interpreter `python`, and `script` or the one that stands beside this workspace.
    pub(super) fn new(python: &Path, script: Option<&Path>) -> Result<Self, String> {
        let script = match script {
            Some(script) => script.to_owned(),
            None => root().join("../shared/reference/bench.py"),
        };
        if !script.is_file() {
            return Err(format!(
                "there is no {}: name the script with --bench-py",
                script.display()
            ));
        }
        Ok(Self {
            python: python.to_owned(),
            script,
        })
    }

    /// Whether the script opens stores of this kind.
    pub(super) fn knows(backend: &str) -> bool {
        ["delta", "duckdb", "postgres"].contains(&backend)
    }

    /// Seeds a directory.
    pub(super) fn seed(&self, seed: &Seed<'_>, path: &Path) -> Result<(), String> {
        let mut command = self.command("seed");
        command
            .args(["--backend", seed.backend.name])
            .args(["--graph", &seed.graph.to_string()])
            .args(["--n", &seed.rows.to_string()])
            .args(["--phase", &seed.phase.to_string()])
            .args(["--hash", seed.hash()])
            .arg("--dir")
            .arg(path);
        if seed.backend.file.is_none() {
            command.args(["--url", &location(seed.backend, path)?]);
        }
        let said = output(&mut command)?;
        eprintln!("the reference seeded {}: {}", path.display(), said.trim());
        Ok(())
    }

    /// Resolves the leaf of a directory some times, in one process.
    pub(super) fn resolve(&self, directory: &Directory, rounds: usize) -> Result<Measured, String> {
        let mut command = self.command("resolve");
        command
            .args(["--rounds", &rounds.to_string()])
            .arg("--dir")
            .arg(&directory.path);
        Measured::parse(&output(&mut command)?)
    }

    fn command(&self, what: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(&self.script).arg(what);
        command
    }
}
