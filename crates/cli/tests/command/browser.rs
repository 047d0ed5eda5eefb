//! A browser to open pages in.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

mod found;

/// What a script makes of a page that was opened from a file, after the page has set itself up. The script is the body of an
/// async function; what it returns is JSON.
pub(crate) fn evaluate(page: &Path, fragment: &str, script: &str) -> Value {
    let html = std::fs::read_to_string(page).unwrap();
    // An element that the program of a page cannot mistake for one of its own.
    let probe = format!(
        "<script>(async () => {{ let result;
try {{ result = await (async () => {{ {script} }})(); }} catch (error) {{ result = {{ failed: String(error) }}; }}
const text = JSON.stringify(result === undefined ? null : result).replaceAll('<', '\\\\u003c');
const holder = document.createElement('script');
holder.type = 'text/plain';
holder.id = 'metaxy-test-result';
holder.textContent = text;
document.body.append(holder);
}})();</script></body>"
    );
    let probed = page.with_extension("probed.html");
    let (before, after) = html.rsplit_once("</body>").unwrap();
    std::fs::write(&probed, format!("{before}{probe}{after}")).unwrap();

    let dom = dump(&probed, fragment);
    let start = "<script type=\"text/plain\" id=\"metaxy-test-result\">";
    let result = dom
        .split_once(start)
        .and_then(|(_, rest)| rest.split_once("</script>"));
    let Some((result, _)) = result else {
        panic!("the page did not get as far as the script: {dom}");
    };
    let value: Value = serde_json::from_str(result).unwrap();
    assert!(value.get("failed").is_none(), "{value}");
    value
}

/// The document of a page as it is after its scripts have run.
pub(crate) fn dump(page: &Path, fragment: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let url = format!("file://{}{fragment}", page.display());
    let output = Command::new(browser())
        .args([
            "--headless",
            // Tests may run as root, where there is no sandbox to be had.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--window-size=1280,800",
            "--virtual-time-budget=10000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(url)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let dom = String::from_utf8(output.stdout).unwrap();
    assert!(
        dom.contains("</html>"),
        "the browser gave no page: {errors}"
    );
    dom
}

fn browser() -> PathBuf {
    found::browser().unwrap_or_else(|| {
        panic!(
            "no Chromium is installed, and the page of a graph cannot be tested without: `apt-get install chromium`, or set {} to the \
             path of one",
            found::VARIABLE
        )
    })
}
