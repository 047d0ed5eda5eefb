//! What the guide says of the suite and of the example is so.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use metaxy_conformance::cases;

/// Every row of a table of methods names a case that exists.
#[test]
fn methods_are_proved_by_cases() {
    let known: BTreeSet<&str> = cases::all().iter().map(|case| case.name).collect();
    let page = page("moving-from-python.md");
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| Python"));
    let mut named = 0;
    for row in rows {
        let proof = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let cases: Vec<&str> = quoted(proof).filter(|word| word.contains("::")).collect();
        assert!(
            !cases.is_empty() || proof.contains("golden operations"),
            "nothing proves {row}"
        );
        for case in cases {
            assert!(known.contains(case), "no case {case}");
            named += 1;
        }
    }
    assert!(named > 50, "{named} cases are named");
}

/// Every public method of the store that the page names exists.
#[test]
fn methods_exist() {
    let mut source = String::new();
    for directory in [
        "store/src/store",
        "store/src/system",
        "core/src/graph",
        "core/src/plan",
    ] {
        read_all(&root().join("crates").join(directory), &mut source);
    }
    let page = page("moving-from-python.md");
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let ours = row.split(" | ").nth(1).unwrap();
        for name in quoted(ours) {
            let name = name.split(['(', ' ']).next().unwrap();
            let name = name.rsplit("::").next().unwrap();
            let is_type = name.starts_with(char::is_uppercase) || name == "type_path";
            let declared = [format!(" {name}("), format!(" {name}<")];
            assert!(
                is_type || name == "query" || declared.iter().any(|form| source.contains(form)),
                "there is no {name}"
            );
        }
    }
}

/// What is quoted of the third party's backend is its code.
#[test]
fn quotes_are_code() {
    let mut source = String::new();
    let example = root().join("conformance/examples/third_party");
    read_all(&example.join("src"), &mut source);
    read_all(&example.join("tests"), &mut source);
    let manifest = fs::read_to_string(example.join("Cargo.toml")).unwrap();
    let page = page("write-a-backend.md");
    let mut quotes = 0;
    for (language, source) in [("rust,ignore", &source), ("toml", &manifest)] {
        for quote in page.split(&format!("```{language}\n")).skip(1) {
            let quote = quote.split("```").next().unwrap();
            assert!(source.contains(quote), "no longer in the example:\n{quote}");
            quotes += 1;
        }
    }
    assert!(quotes > 8, "{quotes} quotes");
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join("crates/store/guide").join(name)).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn read_all(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => read_all(&path, text),
            false => text.push_str(&fs::read_to_string(&path).unwrap()),
        }
    }
}
