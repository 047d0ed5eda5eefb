//! Features of other projects: placeholders, extra features and lock files.

use crate::documented::assert_shape;
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
    configure(&folder, "locked = true\nsync = false");
    let error = folder.fails(&with(&["push"]), 1);
    assert!(error.contains("video/raw"), "{error}");
    configure(&folder, "locked = false");
    let said = said(&folder, &with(&["push"]));
    assert!(said.contains("pushed to store dev"), "{said}");
}

#[test]
fn a_lock_records_what_the_project_depends_on() {
    let folder = second();
    let counts = TRANSCRIPT.split("[[feature]]").last().unwrap();
    folder.write("own/words.toml", &format!("[[feature]]{counts}"));
    let version = |folder: &Folder| {
        let rows = folder.rows(&with(&["list", "features", "--format", "ndjson"]));
        let row = rows.iter().find(|row| row["feature"] == "words/counts");
        row.unwrap()["version"].as_str().map(str::to_owned)
    };
    assert_eq!(version(&folder), None, "its upstream is not known");

    let said = folder.ok(&with(&["lock"]));
    assert!(
        said.contains("metaxy.lock written from store dev: 1 feature\n"),
        "{said}"
    );
    assert!(
        said.contains("  added: video/raw ") && said.contains(" of films\n"),
        "{said}"
    );
    assert!(folder.text("metaxy.lock").contains("video/raw"));
    let locked = version(&folder).unwrap();
    std::fs::remove_file(folder.join("metaxy.lock")).unwrap();
    let document = folder.ok(&with(&["lock", "--format", "json"]));
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_shape("metaxy lock", 0, &document);
    assert_eq!(
        (&document["written"], &document["added"][0]["feature"]),
        (&true.into(), &"video/raw".into())
    );
    let said = folder.ok(&with(&["lock"]));
    assert!(
        said.contains("metaxy.lock is up to date: 1 feature\n"),
        "{said}"
    );

    // The other project goes on, and what is locked does not, until it is locked again.
    let films = folder.text("features/example.toml");
    let changed = r#"fields = { audio = { code_version = "9" }, frames = {} }"#;
    let other = films.replacen(r#"fields = ["audio", "frames"]"#, changed, 1);
    assert_ne!(films, other);
    folder.write("features/example.toml", &other);
    folder.ok(&["push"]);
    assert_eq!(version(&folder).as_ref(), Some(&locked));
    configure(&folder, "locked = true");
    let error = folder.fails(&with(&["status"]), 1);
    assert!(error.contains("metaxy lock"), "{error}");
    let said = folder.ok(&with(&["lock"]));
    assert!(
        said.contains("  updated: video/raw ") && said.contains(" -> "),
        "{said}"
    );
    assert_ne!(version(&folder), Some(locked));
    folder.ok(&with(&["status"]));

    // A broken file is replaced. What is not needed any more goes.
    folder.write("metaxy.lock", "not toml [");
    let output = folder.run(&with(&["lock"]), "");
    assert!(output.status.success(), "{output:?}");
    let alone = counts.replace("deps = [\"video/raw\"]", "");
    folder.write("own/words.toml", &format!("[[feature]]{alone}"));
    let said = folder.ok(&with(&["lock"]));
    assert!(said.contains("  removed: video/raw "), "{said}");
    assert!(version(&folder).is_some());
}

#[test]
fn a_lock_says_what_it_lacks() {
    let folder = second();
    configure(&folder, "extra_features = [{ keys = [\"video/rwa\"] }]");
    let error = folder.fails(&with(&["lock"]), 1);
    assert!(error.contains("did you mean `video/raw`"), "{error}");
    configure(
        &folder,
        "extra_features = [{ keys = [\"video/transcript\"] }]",
    );
    let said = folder.ok(&with(&["lock", "--output", "other.lock"]));
    assert!(said.contains("other.lock written"), "{said}");
    assert!(folder.text("other.lock").contains("video/transcript"));
    assert!(!folder.join("metaxy.lock").exists());
    let own = folder.text("own.toml");
    folder.write("own.toml", &own.replace("\nfeatures =", "\n# features ="));
    let error = folder.fails(&with(&["lock"]), 1);
    assert!(error.contains("names no feature files"), "{error}");
}
