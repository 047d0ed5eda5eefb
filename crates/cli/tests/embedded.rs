//! A program with features of its own is the command too. This one is such a program, and tests itself.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use std::ffi::OsStr;
use std::process::{Command, ExitCode, Output};

use libtest_mimic::{Arguments, Trial};
use metaxy_store::Result;
use metaxy_store::prelude::*;
use tempfile::TempDir;

/// Set for the program that is run; says which features it has.
const FEATURES: &str = "FEATURES_OF_THE_TEST";

const CONFIG: &str = r#"
project = "films"
store = "dev"
hash_truncation_length = 12

[stores.dev]
type = "sqlite"
database = "dev.db"
"#;

fn main() -> ExitCode {
    match std::env::var(FEATURES).as_deref() {
        Ok("films") => metaxy_cli::run_with(std::env::args_os(), films),
        Ok("none") => metaxy_cli::run_with(std::env::args_os(), || Ok(FeatureGraph::new())),
        Ok(_) => metaxy_cli::run_with(std::env::args_os(), || {
            FeatureSpec::new("Video", ["video_id"]).map(|_| FeatureGraph::new())
        }),
        Err(_) => libtest_mimic::run(&Arguments::from_args(), tests()).exit_code(),
    }
}

fn films() -> Result<FeatureGraph> {
    let raw = FeatureSpec::new("video/raw", ["video_id"])?;
    FeatureGraph::from_definitions([FeatureDefinition::new(raw, "films")])
}

fn tests() -> Vec<Trial> {
    let tests: [(&str, fn()); 6] = [
        ("the_command_knows_them", the_command_knows_them),
        ("feature_files_add_to_them", feature_files_add_to_them),
        ("nothing_is_defined_twice", nothing_is_defined_twice),
        ("none_is_an_error", none_is_an_error),
        ("what_is_wrong_with_them_is_told", what_is_wrong_is_told),
        ("a_new_project_needs_none", a_new_project_needs_none),
    ];
    let tests = tests.into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    tests.collect()
}

fn the_command_knows_them() {
    let folder = Folder::new("films", "");
    let listed = folder.ok(&["list", "features", "--format", "csv"]);
    let version = listed.lines().nth(1).unwrap().split(',').nth(1).unwrap();
    assert_eq!(version.len(), 12, "versions are cut as configured");
    folder.file(
        "raw.ndjson",
        r#"{"video_id": 1, "metaxy_provenance_by_field": {"default": "a"}}"#,
    );
    let said = folder.ok(&["write", "video/raw", "raw.ndjson"]);
    assert_eq!(said, "video/raw: 1 row written to store dev\n");
    let read = folder.ok(&["read", "video/raw", "--columns", "video_id"]);
    assert_eq!(read, "{\"video_id\":1}\n");
    let said = folder.ok(&["push"]);
    assert!(said.contains("pushed to store dev: 1 feature"), "{said}");
    let error = folder.fails(&["read", "video/row"]);
    assert!(error.contains("video/raw"), "{error}");
}

fn feature_files_add_to_them() {
    let folder = Folder::new("films", "features = [\"*.features.toml\"]");
    folder.file(
        "more.features.toml",
        "[[feature]]\nkey = \"video/crop\"\nid_columns = [\"video_id\"]\ndeps = [\"video/raw\"]\n",
    );
    let listed = folder.ok(&["list", "features"]);
    assert!(
        listed.contains("video/raw") && listed.contains("video/crop"),
        "{listed}"
    );
}

fn nothing_is_defined_twice() {
    let folder = Folder::new("films", "features = [\"*.features.toml\"]");
    folder.file(
        "more.features.toml",
        "[[feature]]\nkey = \"video/raw\"\nid_columns = [\"video_id\"]\n",
    );
    let error = folder.fails(&["status"]);
    assert!(
        error.contains("`video/raw` is defined by this program and by a feature file"),
        "{error}"
    );
    assert!(error.contains("hint: remove one"), "{error}");
}

fn none_is_an_error() {
    let folder = Folder::new("none", "");
    let error = folder.fails(&["status"]);
    assert!(
        error.contains("this program declares no features"),
        "{error}"
    );
    assert!(error.contains("use the_library as _;"), "{error}");
}

fn what_is_wrong_is_told() {
    let folder = Folder::new("wrong", "");
    let error = folder.fails(&["list", "features"]);
    assert!(
        error.starts_with("error: ") && error.contains("Video"),
        "{error}"
    );
}

fn a_new_project_needs_none() {
    let folder = Folder::new("wrong", "");
    let said = folder.ok(&["init", "other"]);
    assert!(said.contains("Project other starts"), "{said}");
}

/// A project's folder, and the features of the program that works on it.
struct Folder {
    folder: TempDir,
    features: &'static str,
}

impl Folder {
    fn new(features: &'static str, more: &str) -> Self {
        let folder = Self {
            folder: tempfile::tempdir().unwrap(),
            features,
        };
        folder.file("metaxy.toml", &format!("{more}\n{CONFIG}"));
        folder
    }

    fn file(&self, name: &str, content: &str) {
        std::fs::write(self.folder.path().join(name), content).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(std::env::current_exe().unwrap());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("METAXY_") {
                command.env_remove(name);
            }
        }
        command
            .args(args.iter().map(OsStr::new))
            .env(FEATURES, self.features)
            .current_dir(self.folder.path())
            .output()
            .unwrap()
    }

    /// What a successful run prints.
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a run says that fails.
    fn fails(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}
