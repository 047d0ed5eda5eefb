//! Files of other producers: `conformance/files/cases.toml` says what must come of each.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::Folder;

const FEATURES: &str = r#"[[feature]]
key = "raw"
id_columns = ["id"]
fields = ["f"]

[[feature]]
key = "down"
id_columns = ["id"]
deps = ["raw"]
fields = ["f"]
"#;

/// The rows by their IDs: their texts, or their values.
fn by_id(lines: impl IntoIterator<Item = String>, text: bool) -> BTreeMap<String, Value> {
    let rows = lines.into_iter().map(|line| {
        let row: Value = serde_json::from_str(&line).unwrap();
        // Numbers of many digits are compared as they are written.
        let whole = if text { Value::from(line.clone()) } else { row };
        (line, whole)
    });
    let id = |line: &str| {
        line.split(",\"")
            .next()
            .unwrap_or_default()
            .trim_end_matches('}')
            .to_owned()
    };
    rows.map(|(line, row)| (id(&line), row)).collect()
}

struct Case<'c> {
    name: &'c str,
    toml: &'c toml::Table,
}

impl Case<'_> {
    fn texts(&self, key: &str) -> Vec<String> {
        let items = self.toml.get(key).and_then(toml::Value::as_array);
        let items = items.into_iter().flatten().filter_map(toml::Value::as_str);
        items.map(str::to_owned).collect()
    }

    fn is(&self, key: &str) -> bool {
        self.toml.get(key).and_then(toml::Value::as_bool) == Some(true)
    }

    fn folder() -> Folder {
        let folder = Folder::project();
        for file in std::fs::read_dir(folder.join("features")).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
        folder.write("features/files.toml", FEATURES);
        folder
    }

    fn run(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut folder = Self::folder();
        let steps = self.toml["write"].as_array().unwrap();
        for (at, step) in steps.iter().enumerate() {
            if self.is("each") && at > 0 {
                folder = Self::folder();
            }
            let file = match step {
                toml::Value::String(file) => files().join(file).display().to_string(),
                other => {
                    let name = other[0].as_str().unwrap();
                    folder.write(name, other[1].as_str().unwrap());
                    name.to_owned()
                }
            };
            let output = folder.command(&["write", "raw", &file]).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let expected = self.texts("error");
            let is_refused = at + 1 == steps.len() && !expected.is_empty();
            if output.status.success() == is_refused {
                faults.push(format!("{}: {file}: {}{said}", self.name, output.status));
            }
            if is_refused && !expected.iter().all(|part| said.contains(part.as_str())) {
                faults.push(format!(
                    "{}: {file}: {expected:?} is not in {said}",
                    self.name
                ));
            }
            if self.is("each") || at + 1 == steps.len() {
                faults.extend(self.check(&folder, &file));
            }
        }
        faults
    }

    fn check(&self, folder: &Folder, file: &str) -> Vec<String> {
        let expected = self.texts("rows");
        let Some(first) = expected.first() else {
            return Vec::new();
        };
        let columns: Vec<String> = match serde_json::from_str(first) {
            Ok(Value::Object(row)) => row.keys().cloned().collect(),
            _ => Vec::new(),
        };
        // As they stand in the case.
        let mut columns = columns;
        columns.sort_by_key(|column| first.find(&format!("\"{}\"", column.replace('"', "\\\""))));
        let columns = columns.join(",");
        let read = || {
            let arguments = ["read", "raw", "--columns", &columns, "--format", "ndjson"];
            // What fails has no rows, and said so before.
            let output = folder.command(&arguments).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            by_id(text.lines().map(str::to_owned), self.is("text"))
        };
        let mut faults = Vec::new();
        let wanted = by_id(expected, self.is("text"));
        let found = read();
        if found != wanted {
            faults.push(format!(
                "{}: {file}:\n  {found:?}\nis not\n  {wanted:?}",
                self.name
            ));
        }
        if let Some(down) = self.toml.get("down").and_then(toml::Value::as_str) {
            let down = files().join(down).display().to_string();
            let output = folder.command(&["write", "down", &down]).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            let words = self.texts("down_error");
            if output.status.success() != words.is_empty()
                || !words.iter().all(|word| said.contains(word.as_str()))
            {
                faults.push(format!("{}: {down}: {said}", self.name));
            }
        }
        // Whatever was written can be resolved.
        let output = folder
            .command(&["resolve", "down", "--count"])
            .output()
            .unwrap();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            faults.push(format!("{}: {file}: resolve: {said}", self.name));
        }
        if self.is("again") {
            for format in ["parquet", "csv", "tsv", "ndjson", "json"] {
                let all = format!("all.{format}");
                for arguments in [
                    ["read", "raw", "--output", &all].as_slice(),
                    &["write", "raw", &all],
                ] {
                    let output = folder.command(arguments).output().unwrap();
                    if !output.status.success() {
                        let said = String::from_utf8_lossy(&output.stderr);
                        faults.push(format!("{}: {arguments:?}: {said}", self.name));
                    }
                }
                let found = read();
                if found != wanted {
                    faults.push(format!(
                        "{}: {format}:\n  {found:?}\nis not\n  {wanted:?}",
                        self.name
                    ));
                }
            }
        }
        faults
    }
}

fn files() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../conformance/files")
}

#[test]
fn what_goes_in_comes_out() {
    let text = std::fs::read_to_string(files().join("cases.toml")).unwrap();
    let cases: toml::Table = text.parse().unwrap();
    let cases = cases["case"].as_array().unwrap();
    let mut faults = Vec::new();
    for toml in cases {
        let toml = toml.as_table().unwrap();
        let name = toml["name"].as_str().unwrap();
        faults.extend(Case { name, toml }.run());
    }
    assert!(cases.len() > 20);
    assert!(
        faults.is_empty(),
        "{} faults\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn every_file_has_a_case() {
    let text = std::fs::read_to_string(files().join("cases.toml")).unwrap();
    for file in std::fs::read_dir(files()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let is_case =
            text.contains(&format!("\"{name}\"")) || name == "cases.toml" || name == "make.py";
        assert!(is_case, "{name} has no case");
    }
}
