//! `cargo deny`: licences, sources, duplicates, and known faults of what is depended on (`deny.toml`).

use std::process::Command;

use crate::stages::without_package;
use crate::{root, tools};

/// Checks, and says whether all is well. Known faults are looked up where their database can be reached; where not, that is told.
pub(crate) fn run() -> Result<bool, String> {
    let program = tools::find_or_install("deny", "^0.20.2")?;
    let deny = |words: &[&str]| -> Result<std::process::Output, String> {
        let mut command = Command::new(&program);
        without_package(&mut command);
        // As a subcommand of cargo it gets its own name first.
        command.arg("deny").args(words).current_dir(root());
        let output = command.output();
        output.map_err(|e| format!("{} cannot be started: {e}", program.display()))
    };
    let told = |output: &std::process::Output| {
        print!("{}", String::from_utf8_lossy(&output.stdout));
        print!("{}", String::from_utf8_lossy(&output.stderr));
    };
    let checked = deny(&[
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ])?;
    told(&checked);
    let fetched = deny(&["fetch", "db"])?;
    if !fetched.status.success() {
        println!("advisories: NOT CHECKED, as their database cannot be reached:");
        told(&fetched);
        return Ok(checked.status.success());
    }
    let advisories = deny(&["check", "--disable-fetch", "advisories"])?;
    told(&advisories);
    Ok(checked.status.success() && advisories.status.success())
}
