//! Programs of cargo's that checks use: the one on the path or, failing that, one below the target directory, installed if it is not there.

use std::path::PathBuf;
use std::process::Command;

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
