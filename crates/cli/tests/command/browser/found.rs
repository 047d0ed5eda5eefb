//! Where a browser is. The workspace's `xtask`, which installs one where there is none, looks by this file too.

use std::path::PathBuf;

/// The variable that names a browser in the place of the one that is found.
pub(crate) const VARIABLE: &str = "METAXY_TEST_BROWSER";
/// Under these names Chromium and its kin are installed.
const NAMES: [&str; 5] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
];

/// The browser that is named, or the first that is found.
pub(crate) fn browser() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        return Some(named.into());
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    NAMES
        .iter()
        .flat_map(|name| std::env::split_paths(&folders).map(move |folder| folder.join(name)))
        .find(|path| path.is_file())
}
