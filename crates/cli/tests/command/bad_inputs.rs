//! Bad inputs, one by one: each error names the culprit and says what to do next, nothing panics, and nothing is written.

mod arguments;
mod configs;
mod definitions;
mod filters;
mod samples;

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::{Folder, RAW};

const CONFIG: &str = r#"project = "films"
store = "dev"
features = ["features/*.toml"]
hash_truncation_length = 20

[stores.dev]
type = "sqlite"
database = "dev.db"
hash_algorithm = "xxhash64"

[stores.prod]
type = "sqlite"
database = "prod.db"
hash_algorithm = "xxhash64"
"#;

const FEATURES: &str = r#"[[feature]]
key = "video/raw"
id_columns = ["video_id"]
fields = ["audio", "frames"]

[[feature]]
key = "video/transcript"
id_columns = ["video_id"]
deps = ["video/raw"]

[feature.fields]
text = { code_version = "1", deps = [{ feature = "video/raw", fields = ["audio"] }] }
"#;

/// One bad input.
struct Case {
    /// Files that are there beside those of the project, or in their place.
    files: Vec<(&'static str, Vec<u8>)>,
    args: Vec<&'static str>,
    input: &'static str,
    /// What the error says: the culprit, and words of what to do.
    says: Vec<&'static str>,
    code: i32,
}

impl Case {
    fn new(args: &[&'static str], says: &[&'static str]) -> Self {
        Self {
            files: Vec::new(),
            args: args.to_vec(),
            input: "",
            says: says.to_vec(),
            code: 1,
        }
    }

    fn with_file(mut self, path: &'static str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path, content.into()));
        self
    }

    fn with_code(self, code: i32) -> Self {
        Self { code, ..self }
    }
}

/// A text of which one place is changed.
fn edited(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{old}");
    text.replacen(old, new, 1)
}

/// The folder of a project with two samples.
fn project() -> Folder {
    let folder = Folder::empty();
    folder.write("metaxy.toml", CONFIG);
    folder.write("features/all.toml", FEATURES);
    folder.write("raw.ndjson", RAW);
    folder.ok(&["write", "video/raw", "raw.ndjson"]);
    folder
}

/// All files but those of the store, and all rows of the store.
fn everything(folder: &Folder) -> (BTreeMap<String, Vec<u8>>, String) {
    let mut files = BTreeMap::new();
    collect(folder.path(), folder.path(), &mut files);
    // Cases have configurations and definitions of their own.
    let sane = Folder::empty();
    sane.write(
        "metaxy.toml",
        &CONFIG.replace("dev.db", &folder.join("dev.db").display().to_string()),
    );
    sane.write("features/all.toml", FEATURES);
    let rows = sane.ok(&[
        "read",
        "video/raw",
        "--with-sample-history",
        "--include-deleted",
    ]);
    assert!(!rows.is_empty());
    (files, rows)
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        if path.is_dir() {
            collect(root, &path, files);
        } else if !name.starts_with("dev.db") {
            files.insert(name, std::fs::read(&path).unwrap());
        }
    }
}

fn check(folder: &Folder, before: &str, case: &Case) -> Result<(), String> {
    for (path, content) in &case.files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let (files, _) = everything(folder);
    let output = folder.run(&case.args, case.input);
    let told = String::from_utf8(output.stderr).unwrap();
    let after = everything(folder);
    // As it was for the next one.
    for (path, _) in &case.files {
        std::fs::remove_file(folder.join(path)).unwrap();
    }
    folder.write("metaxy.toml", CONFIG);
    folder.write("features/all.toml", FEATURES);

    let mut wrong = Vec::new();
    let mut require = |holds: bool, what: &str| {
        if !holds {
            wrong.push(what.to_owned());
        }
    };
    require(output.status.code() == Some(case.code), "another exit code");
    require(!told.contains("panicked"), "it panicked");
    require(
        told.starts_with("error: "),
        "it does not start with what is wrong",
    );
    let hinted = told.lines().any(|line| line.starts_with("hint: "));
    require(hinted, "no hint");
    for words in &case.says {
        require(told.contains(words), &format!("it does not say {words:?}"));
    }
    require(output.stdout.is_empty(), "it goes to standard output");
    require(after.0 == files, "files were written or changed");
    require(after.1 == before, "the store is changed");
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "{:?} {}: {}\n{told}",
            case.args,
            output.status,
            wrong.join("; ")
        )),
    }
}

fn check_all(cases: &[Case], at_least: usize) {
    assert!(cases.len() >= at_least, "{} cases", cases.len());
    let folder = project();
    let (_, rows) = everything(&folder);
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|case| check(&folder, &rows, case).err())
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

// Together they are more than a hundred.

#[test]
fn configurations() {
    check_all(&configs::cases(), 48);
}

#[test]
fn feature_files() {
    check_all(&definitions::cases(), 28);
}

#[test]
fn files_of_samples() {
    check_all(&samples::cases(), 30);
}

#[test]
fn conditions() {
    check_all(&filters::cases(), 18);
}

#[test]
fn arguments_and_names() {
    check_all(&arguments::cases(), 60);
}
