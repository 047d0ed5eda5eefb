//! `metaxy demo` on small folders.

use crate::support::Folder;

const RUST: &str = "//! Tables of rows, rows and more rows; tables, columns and cells; columns, cells and rows.\n\n/// A table, a table.\nstruct Table;\n";

fn sources(count: usize) -> Folder {
    let folder = Folder::empty();
    for i in 0..count {
        folder.write(
            &format!("src/m{i}.rs"),
            &RUST.replace("Table;", &format!("Table{i};")),
        );
    }
    folder
}

/// The numbers in the line of the output that starts with `start`.
fn numbers(output: &str, start: &str) -> Vec<u64> {
    let line = output.lines().find(|line| line.starts_with(start));
    let line = line.unwrap_or_else(|| panic!("no line {start:?} in {output}"));
    line[start.len()..]
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

#[test]
#[cfg_attr(
    not(any(feature = "sqlite", feature = "duckdb", feature = "delta")),
    ignore = "a demonstration needs a store in files"
)]
fn only_what_depends_on_an_edit_is_computed() {
    let folder = sources(12);
    let before = folder.text("src/m0.rs");
    let said = folder.ok(&["demo", "src", "--work", "work"]);
    assert!(
        said.contains("12 files indexed, 36 results computed"),
        "{said}"
    );
    // keywords, symbols, cards, together, by file, everything
    assert_eq!(numbers(&said, "a comment in 3 files"), [3, 0, 0, 3, 9, 36]);
    assert_eq!(numbers(&said, "1 definition renamed"), [0, 1, 1, 2, 3, 36]);
    assert_eq!(numbers(&said, "1 file deleted"), [0, 0, 0, 0, 0, 33]);
    assert_eq!(numbers(&said, "1 file added"), [1, 1, 1, 3, 3, 36]);
    assert_eq!(numbers(&said, "together"), [4, 2, 2, 8, 15, 141]);
    assert!(
        said.contains("In 3 files the keywords or symbols came out as before"),
        "{said}"
    );
    assert!(
        said.contains("all 36 results were computed again"),
        "{said}"
    );
    assert!(!said.contains('\x1b'), "plain where nobody looks");
    assert_eq!(
        folder.text("src/m0.rs"),
        before,
        "the original is untouched"
    );

    // What it leaves behind is a project.
    let config = ["--config-file", "work/metaxy.toml"];
    let cards = folder.rows(&[&config[..], &["read", "demo/card"]].concat());
    assert_eq!(cards.len(), 12);
    let status = folder.rows(&[&config[..], &["status", "--format", "ndjson"]].concat());
    let features: Vec<&str> = status
        .iter()
        .map(|row| row["feature"].as_str().unwrap())
        .collect();
    assert_eq!(
        features,
        ["demo/file", "demo/keywords", "demo/symbols", "demo/card"]
    );
    assert!(
        status[1..]
            .iter()
            .all(|row| row["category"] == "up_to_date"),
        "{status:?}"
    );
    let said = folder.ok(&[&config[..], &["push"]].concat());
    assert!(said.contains("has already"), "{said}");

    // And goes on with edits of one's own.
    let said = folder.ok(&["demo", "--work", "work"]);
    assert!(said.contains("nothing is to be computed"), "{said}");
    folder.write("work/files/m1.rs", &(RUST.to_owned() + "fn new() {}\n"));
    let said = folder.ok(&["demo", "--work", "work"]);
    assert!(said.contains("  m1.rs: edited\n"), "{said}");
    assert_eq!(numbers(&said, "your edits"), [0, 1, 1, 2, 3, 36]);
}

#[test]
#[cfg_attr(
    not(any(feature = "sqlite", feature = "duckdb", feature = "delta")),
    ignore = "a demonstration needs a store in files"
)]
fn folders_that_are_strange() {
    let folder = Folder::empty();
    folder.write("empty/.hidden", "x");
    folder.write("some/file.txt", "x");
    for (args, words) in [
        (&["demo", "empty"][..], "there are no files in 'empty'"),
        (&["demo", "none"], "'none' does not exist"),
        (
            &["demo", "some/file.txt"],
            "'some/file.txt' is not a folder",
        ),
        (
            &["demo", "some", "--work", "some"],
            "holds files that are of no demonstration",
        ),
    ] {
        let error = folder.fails(args, 1);
        assert!(error.contains(words) && error.contains("hint: "), "{error}");
    }

    folder.fails(&["demo", "empty", "--work", "again"], 1);
    let said = folder.ok(&["demo", "some", "--work", "again"]);
    assert!(said.contains("1 file indexed"), "{said}");
    for entry in std::fs::read_dir(folder.join("again/files")).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with(".metaxy-demo") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let said = folder.ok(&["demo", "--work", "again"]);
    assert!(said.contains(": gone\n"), "{said}");
    assert_eq!(numbers(&said, "your edits"), [0; 6]);

    // One file, and files that are no text.
    let said = folder.ok(&["demo", "some", "--work", "one"]);
    assert!(said.contains("1 file indexed, 3 results"), "{said}");
    let folder = Folder::empty();
    for i in 0..3 {
        std::fs::write(folder.join(&format!("{i}.bin")), [0, 255, i]).unwrap();
    }
    let said = folder.ok(&["demo", "--work", "work"]);
    assert!(
        said.contains("3 files indexed") && !said.contains("comment in"),
        "{said}"
    );
    assert_eq!(numbers(&said, "together"), [1, 1, 1, 3, 3, 15]);
    let said = folder.ok(&["demo", "--work", "few", "--max-files", "2"]);
    assert!(
        said.contains("2 files indexed") && said.contains("--max-files"),
        "{said}"
    );
}
