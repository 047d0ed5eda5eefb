//! Programs that tests need and that no crate brings.

use std::path::PathBuf;
use std::process::Command;

/// The variable that names a browser in the place of the one that is found.
const BROWSER: &str = "METAXY_TEST_BROWSER";
/// Under these names Chromium and its kin are installed.
const BROWSERS: [&str; 5] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
];

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
    if browser().is_none() {
        install("chromium")?;
    }
    let browser = browser().ok_or_else(|| {
        format!("no Chromium is installed: install one, or set {BROWSER} to its path")
    })?;
    println!("{}", browser.display());
    Ok(())
}

fn browser() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(BROWSER) {
        return Some(named.into());
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    BROWSERS
        .iter()
        .flat_map(|name| std::env::split_paths(&folders).map(move |folder| folder.join(name)))
        .find(|path| path.is_file())
}
