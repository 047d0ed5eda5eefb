//! Features of other projects: placeholders, extra features and lock files.

use crate::support::Folder;

const TRANSCRIPT: &str = r#"
[[feature]]
key = "video/raw"
id_columns = ["video_id"]
project = "films"
fields = ["audio", "frames"]
external = { on_version_mismatch = "ACTION", provenance_by_field = { audio = "other", frames = "other" } }

[[feature]]
key = "words/counts"
id_columns = ["video_id"]
deps = ["video/raw"]
"#;

/// A project of its own in the folder of the example, with the same store.
fn second() -> Folder {
    let folder = Folder::with_raw();
    folder.ok(&["push"]);
    configure(&folder, "");
    define(&folder, "warn");
    folder
}

fn configure(folder: &Folder, more: &str) {
    let own = folder.text("metaxy.toml").replace("\"films\"", "\"words\"");
    let own = own.replace("features/*.toml", "own/*.toml");
    folder.write("own.toml", &format!("{more}\n{own}"));
}

fn define(folder: &Folder, action: &str) {
    folder.write("own/words.toml", &TRANSCRIPT.replace("ACTION", action));
}

fn with(args: &[&'static str]) -> Vec<&'static str> {
    [&["--config-file", "own.toml"], args].concat()
}

/// What a successful run prints; that versions differ is told elsewhere.
fn said(folder: &Folder, args: &[&str]) -> String {
    let output = folder.run(args, "");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_command_syncs_before_it_resolves() {
    let folder = second();
    let resolve = with(&["resolve", "words/counts"]);
    assert_eq!(said(&folder, &resolve).lines().count(), 2);
    configure(&folder, "sync = false");
    assert_eq!(
        said(&folder, &resolve).lines().count(),
        0,
        "no rows are of the placeholder's version"
    );
    configure(&folder, "locked = true");
    let error = folder.fails(&resolve, 1);
    assert!(error.contains("video/raw"), "{error}");
    configure(&folder, "");
    define(&folder, "error");
    let error = folder.fails(&resolve, 1);
    assert!(error.contains("video/raw"), "{error}");
}

#[test]
fn extra_features_are_loaded() {
    let folder = second();
    configure(
        &folder,
        "extra_features = [{ keys = [\"video/transcript\"] }]",
    );
    let read = with(&["read", "video/raw"]);
    assert_eq!(said(&folder, &read).lines().count(), 2);
    assert!(said(&folder, &with(&["status"])).contains("video/transcript"));
    configure(&folder, "extra_features = [{ projects = [\"flims\"] }]");
    let error = folder.fails(&read, 1);
    assert!(
        error.contains("\"flims\"") && error.contains("films"),
        "{error}"
    );
}

#[test]
fn a_broken_lock_file_is_an_error_that_names_it() {
    let folder = second();
    folder.write("metaxy.lock", "not toml [");
    let error = folder.fails(&with(&["status"]), 1);
    assert!(error.contains("metaxy.lock"), "{error}");
    folder.write("metaxy.lock", "[features]\n");
    said(&folder, &with(&["status"]));
}

#[test]
fn a_push_records_only_what_the_project_defines() {
    let folder = second();
    let said = folder.run(&with(&["push"]), "");
    assert!(said.status.success(), "{said:?}");
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("pushed to store dev: 1 feature\n"), "{said}");

    // A part of the project itself that is defined, and was pushed, elsewhere.
    let part = "key = \"words/part\"\nid_columns = [\"video_id\"]\nproject = \"words\"\n";
    folder.write("part/part.toml", &format!("[[feature]]\n{part}"));
    let own = folder.text("own.toml");
    folder.write("part.toml", &own.replace("own/*.toml", "part/*.toml"));
    folder.ok(&["--config-file", "part.toml", "push"]);
    let external = "external = { on_version_mismatch = \"warn\" }\n";
    let own = folder.text("own/words.toml");
    folder.write(
        "own/words.toml",
        &format!("{own}\n[[feature]]\n{part}{external}"),
    );
    let output = folder.run(&with(&["push"]), "");
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("pushed to store dev: 1 feature\n"), "{said}");
    folder.write(
        "bare.toml",
        &folder
            .text("own.toml")
            .replace("features =", "# features ="),
    );
    let known = folder.run(&["--config-file", "bare.toml", "list", "features"], "");
    let known = String::from_utf8(known.stdout).unwrap();
    assert!(
        known.contains("words/counts") && !known.contains("words/part"),
        "{known}"
    );
}

#[test]
fn a_locked_push_refuses_other_versions() {
    let folder = second();
    configure(&folder, "locked = true");
    let error = folder.fails(&with(&["push"]), 1);
    assert!(error.contains("video/raw"), "{error}");
    configure(&folder, "locked = false");
    let said = said(&folder, &with(&["push"]));
    assert!(said.contains("pushed to store dev"), "{said}");
}
