//! Features that no file names come from the graph that was last pushed.

use crate::support::{Folder, RAW};

#[test]
fn a_pushed_graph_serves_a_project_without_feature_files() {
    let folder = Folder::with_raw();
    let said = folder.ok(&["push", "--tag", "commit=4f1c"]);
    assert!(said.contains("pushed to store dev: 2 features"), "{said}");
    let said = folder.ok(&["push"]);
    assert!(said.contains("is what store dev has already"), "{said}");
    let features = folder.text("features/example.toml");
    folder.write(
        "features/example.toml",
        &features.replace("code_version = \"1\"", "code_version = \"2\""),
    );
    let said = folder.ok(&["push"]);
    assert!(said.contains("  changed: video/transcript\n"), "{said}");
    let version =
        folder.rows(&["status", "video/transcript", "--format", "ndjson"])[0]["version"].clone();

    // The same store without the files.
    let bare: String = folder
        .text("metaxy.toml")
        .lines()
        .filter(|line| !line.starts_with("features"))
        .map(|line| format!("{line}\n"))
        .collect();
    folder.write("bare.toml", &bare);
    let with = |args: &[&'static str]| [&["--config-file", "bare.toml"], args].concat();
    let rows = folder.rows(&with(&["status", "video/transcript", "--format", "ndjson"]));
    assert_eq!(
        (&rows[0]["version"], &rows[0]["new"]),
        (&version, &2.into())
    );
    let error = folder.fails(&with(&["push"]), 1);
    assert!(error.contains("nothing to push"), "{error}");
    let error = folder.fails(&with(&["--project", "other", "status"]), 1);
    assert!(
        error.contains("no graph of project \"other\" was pushed"),
        "{error}"
    );
}

/// A project without feature files and with a store of its own, `mine`, that falls back to the first one's.
fn chain() -> Folder {
    let folder = Folder::with_raw();
    folder.ok(&["push"]);
    let config = folder.behind_mine();
    let lines = config.lines().filter(|line| !line.starts_with("features"));
    let config: String = lines.map(|line| format!("{line}\n")).collect();
    folder.write("chain.toml", &config);
    folder
}

fn in_chain(args: &[&'static str]) -> Vec<&'static str> {
    [&["--config-file", "chain.toml"], args].concat()
}

#[test]
fn graph_and_samples_come_through_the_chain() {
    let folder = chain();
    assert_eq!(folder.rows(&in_chain(&["read", "video/raw"])).len(), 2);
    let todo = folder.ok(&["resolve", "video/transcript", "--format", "csv"]);
    let write = ["write", "video/transcript", "-", "--samples-format", "csv"];
    folder.ok_with(&in_chain(&write), &todo);
    assert_eq!(
        folder.rows(&in_chain(&["read", "video/transcript"])).len(),
        2
    );
    let status = folder.rows(&in_chain(&["status", "--format", "ndjson"]));
    let of: Vec<_> = status
        .iter()
        .map(|row| (&row["store"], &row["category"]))
        .collect();
    assert_eq!(
        of,
        [
            (&"prod".into(), &"root_feature".into()),
            (&"dev".into(), &"up_to_date".into())
        ]
    );
    assert_eq!(
        folder.status("video/transcript").1,
        "missing",
        "a fallback is only read"
    );
    let stores = folder.ok(&in_chain(&["list", "stores"]));
    let dev = stores.lines().find(|line| line.starts_with("dev")).unwrap();
    assert!(dev.contains("mine") && dev.ends_with("prod"), "{stores}");
    let error = folder.fails(&in_chain(&["delete", "video/raw", "--all", "--yes"]), 1);
    assert!(error.contains("lives in store \"prod\""), "{error}");
}

#[test]
fn a_store_that_is_not_there_yet_resolves() {
    let folder = chain();
    let todo = folder.rows(&in_chain(&["resolve", "video/transcript"]));
    assert_eq!(todo.len(), 2);
    let folder = Folder::project();
    folder.write("raw.ndjson", RAW);
    let todo = folder.rows(&["resolve", "video/raw", "--samples", "raw.ndjson"]);
    assert_eq!(todo.len(), 2);
}

#[test]
fn without_files_or_a_push_there_is_nothing() {
    let folder = Folder::empty();
    let store = folder.store(".metaxy/dev");
    folder.write(".metaxy/.gitignore", "*\n");
    folder.write("metaxy.toml", &format!("[stores.dev]\n{store}"));
    let error = folder.fails(&["status"], 1);
    assert!(
        error.contains("there are no features") && error.contains("metaxy push"),
        "{error}"
    );
    folder.assert_no_store("reading makes no store");
}
