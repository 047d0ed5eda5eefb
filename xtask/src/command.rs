//! The `metaxy` command, as cargo builds it.

use std::path::PathBuf;

use crate::stages::{cargo, target_directory};

/// Builds the command with its default features, as most people have it. Returns its path.
pub(crate) fn build(release: bool) -> Result<PathBuf, String> {
    let mut command = cargo();
    command.args(["build", "--package", "metaxy-cli"]);
    // An optimised build takes long enough to be told of.
    command.arg(if release { "--release" } else { "--quiet" });
    let status = command
        .status()
        .map_err(|e| format!("cargo cannot be started: {e}"))?;
    match status.success() {
        true => program(release),
        false => Err("the command cannot be built".into()),
    }
}

/// Where a build puts the command.
pub(crate) fn program(release: bool) -> Result<PathBuf, String> {
    let profile = if release { "release" } else { "debug" };
    let name = format!("metaxy{}", std::env::consts::EXE_SUFFIX);
    Ok(target_directory()?.join(profile).join(name))
}
