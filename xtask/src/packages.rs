//! Programs that tests need and that no crate brings.

use std::process::Command;

/// As the tests that open one look for it.
#[path = "../../crates/cli/tests/command/browser/found.rs"]
mod found;

/// Installs a package of the system.
pub(crate) fn install(package: &str) -> Result<(), String> {
    for arguments in [
        &["update"][..],
        &["install", "-y", "--no-install-recommends", package],
    ] {
        println!("$ apt-get {}", arguments.join(" "));
        let status = Command::new("apt-get").args(arguments).status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(format!("apt-get failed: {status}")),
            Err(error) => return Err(format!("apt-get cannot be started: {error}")),
        }
    }
    Ok(())
}

/// Makes sure that there is a browser, in which the page of a graph is opened. Where none is installed, Chromium is, if that can be done.
pub(crate) fn ensure_browser() -> Result<(), String> {
    if found::browser().is_none() {
        install("chromium")?;
    }
    let browser = found::browser().ok_or_else(|| {
        let variable = found::VARIABLE;
        format!("no Chromium is installed: install one, or set {variable} to its path")
    })?;
    println!("{}", browser.display());
    Ok(())
}
