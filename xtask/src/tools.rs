//! What checks use beside cargo. Programs of cargo's: the one on the path or, failing that, one below the target directory, installed if it is
//! not there. And a Python environment with the reference, below the target directory as well.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::stages::{cargo, target_directory};

/// The program `cargo-NAME`, of a version that `requirement` accepts where it has to be installed.
pub(crate) fn find_or_install(name: &str, requirement: &str) -> Result<PathBuf, String> {
    let program = format!("cargo-{name}");
    let on_path = Command::new(&program).arg("--version").output();
    if on_path.is_ok_and(|output| output.status.success()) {
        return Ok(program.into());
    }
    let tools = target_directory()?.join("tools");
    let file = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    let installed = tools.join("bin").join(file);
    if installed.is_file() {
        return Ok(installed);
    }
    println!("installing {program} into {}", tools.display());
    let mut command = cargo();
    // Building it takes longer than it ever runs.
    command.args(["install", &program, "--version", requirement]);
    command.args(["--locked", "--debug", "--root"]).arg(tools);
    let status = command
        .status()
        .map_err(|e| format!("cargo cannot be started: {e}"))?;
    match status.success() {
        true => Ok(installed),
        false => Err(format!("{program} cannot be installed")),
    }
}

/// What the Python environment holds.
pub(crate) const REQUIREMENTS: &str = include_str!("../interop/requirements.txt");

/// A Python environment that has the reference, pandas, Polars and PyArrow, or will have them: its folder.
pub(crate) struct Environment(pub(crate) PathBuf);

impl Environment {
    pub(crate) fn below(target_directory: &Path) -> Self {
        let mut hasher = DefaultHasher::new();
        REQUIREMENTS.hash(&mut hasher);
        let name = format!("reference-{:016x}", hasher.finish());
        Self(target_directory.join("tools").join(name))
    }

    /// Its interpreter.
    pub(crate) fn python(&self) -> PathBuf {
        match cfg!(windows) {
            true => self.0.join("Scripts").join("python.exe"),
            false => self.0.join("bin").join("python"),
        }
    }

    /// Written last: without it the environment is not whole.
    pub(crate) fn complete(&self) -> PathBuf {
        self.0.join("complete")
    }
}

/// The Python of the environment, if that is whole by now.
pub(crate) fn python() -> Option<PathBuf> {
    static ENVIRONMENT: OnceLock<Option<Environment>> = OnceLock::new();
    let find = || Some(Environment::below(&target_directory().ok()?));
    let environment = ENVIRONMENT.get_or_init(find).as_ref()?;
    let is_whole = environment.complete().is_file();
    is_whole.then(|| environment.python())
}
