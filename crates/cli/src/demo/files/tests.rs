//! Indexing, steps and edits on real folders.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use metaxy_store::ErrorKind;

use super::work::{ChangeKind, ChangeOptions, CopyOptions, WorkCopy};
use super::*;

const RUST: &str = "//! A greeter.\n\n/* about\n   greeting */\npub(crate) struct Greeter;\n\nimpl Greeter {\n    \
                    /// Says it.\n    pub const fn greet<'a>(&'a self) -> &'a str {\n        \"hi // no comment\" // a \
                    comment\n    }\n}\n";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

/// The hashes of `[code, outline, prose]` by path.
fn hashes(folder: &Path) -> BTreeMap<String, [String; 3]> {
    let files = index(folder, &IndexOptions::default()).unwrap().files;
    let paths = files.column(0).as_string::<i32>();
    let by_field = files
        .column_by_name(columns::PROVENANCE_BY_FIELD)
        .unwrap()
        .as_struct();
    assert_eq!(by_field.column_names(), FIELDS);
    (0..files.num_rows())
        .map(|row| {
            let hash = |i: usize| by_field.column(i).as_string::<i32>().value(row).to_owned();
            (paths.value(row).to_owned(), [hash(0), hash(1), hash(2)])
        })
        .collect()
}

/// Which of `[code, outline, prose]` differ between two contents of a file.
fn changed(name: &str, before: &str, after: &str) -> [bool; 3] {
    let (before, after) = (folder(&[(name, before)]), folder(&[(name, after)]));
    let (before, after) = (&hashes(before.path())[name], &hashes(after.path())[name]);
    [0, 1, 2].map(|field| before[field] != after[field])
}

#[test]
fn an_index_lists_files_in_order_and_notes_what_it_skips() {
    let folder = folder(&[
        ("src/b.rs", RUST),
        ("a.md", "# Title\n\ntext\n"),
        (".git/config", "x"),
        ("target/debug/x.rs", "x"),
        ("node_modules/y.js", "x"),
        (".env", "SECRET=1"),
        ("empty.txt", ""),
        ("Makefile", "all:\n\ttrue\n"),
    ]);
    fs::write(folder.path().join("image.PNG"), [0x89, b'P', 0, 255]).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("a.md"), folder.path().join("link.md")).unwrap();
    let found = index(folder.path(), &IndexOptions::default()).unwrap();
    let text = |name: &str| -> Vec<String> {
        let column = found.files.column_by_name(name).unwrap().as_string::<i32>();
        column.iter().map(|v| v.unwrap().to_owned()).collect()
    };
    let number = |name: &str| {
        found
            .files
            .column_by_name(name)
            .unwrap()
            .as_primitive::<Int64Type>()
            .values()
            .to_vec()
    };
    assert_eq!(text("path"), ["Makefile", "a.md", "image.PNG", "src/b.rs"]);
    assert_eq!(text("extension"), ["", "md", "png", "rs"]);
    assert_eq!(number("bytes"), [11, 14, 4, RUST.len() as i64]);
    assert_eq!(number("lines"), [2, 3, 0, 12]);
    assert_eq!(found.skipped.len(), 1);
    assert_eq!(
        (found.skipped[0].path.as_str(), found.capped),
        ("empty.txt", false)
    );

    let two = index(folder.path(), &IndexOptions::default().with_max_files(2)).unwrap();
    assert_eq!((two.files.num_rows(), two.capped), (2, true));
    let error = index(folder.path().join("a.md"), &IndexOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn each_edit_changes_the_parts_it_should() {
    const NOTHING: [bool; 3] = [false; 3];
    const CODE: [bool; 3] = [true, false, false];
    const PROSE: [bool; 3] = [false, false, true];
    const DEFINITION: [bool; 3] = [true, true, false];
    let edits = [
        (
            "a.rs",
            RUST,
            RUST.replace("a comment", "another remark"),
            PROSE,
        ),
        ("a.rs", RUST, RUST.replace("Says", "Whispers"), PROSE),
        (
            "a.rs",
            RUST,
            RUST.replace("greeting */", "meeting */"),
            PROSE,
        ),
        ("a.rs", RUST, RUST.replace("no comment", "some text"), CODE),
        (
            "a.rs",
            RUST,
            RUST.replace("    ", "\t").replace("\n\n", "\n\n\n"),
            NOTHING,
        ),
        (
            "a.rs",
            RUST,
            RUST.replace("struct Greeter", "struct Speaker"),
            DEFINITION,
        ),
        ("a.rs", RUST, RUST.replace("&'a self", "self"), DEFINITION),
        (
            "a.rs",
            "let q = '\"'; // x\n",
            "let q = '\"'; // y\n".to_owned(),
            PROSE,
        ),
        (
            "a.rs",
            "let a = \"x\n// y\";\n",
            "let a = \"x\n// z\";\n".to_owned(),
            CODE,
        ),
        (
            "a.py",
            "def f(x):\n    \"\"\"Doc.\"\"\"\n",
            "def f(x):\n    \"\"\"Other\n    doc.\"\"\"\n".to_owned(),
            PROSE,
        ),
        (
            "a.py",
            "x = \"\"\"\n# a\n\"\"\"\ny = 1\n",
            "x = \"\"\"\n# b\n\"\"\"\ny = 1\n".to_owned(),
            CODE,
        ),
        (
            "a.py",
            "async def f(x): # a\n  pass\n",
            "async def g(x): # a\n  pass\n".to_owned(),
            DEFINITION,
        ),
        ("a.sh", "echo $# # n\n", "echo $# # m\n".to_owned(), PROSE),
        (
            "a.c",
            "int main(void) {\n",
            "int main(int n) {\n".to_owned(),
            DEFINITION,
        ),
        ("a.c", "  if (a) {\n", "  if (b) {\n".to_owned(), CODE),
        (
            "a.go",
            "func (s *S) Get() int {\n",
            "func (s *S) Put() int {\n".to_owned(),
            DEFINITION,
        ),
        (
            "a.toml",
            "[a] # x\nk = 1\n",
            "[a] # x\nk = 2\n".to_owned(),
            CODE,
        ),
        (
            "a.toml",
            "[a]\nk = 1\n",
            "[b]\nk = 1\n".to_owned(),
            DEFINITION,
        ),
        ("a.md", "# T\n\nOne.\n", "# T\n\nTwo.\n".to_owned(), PROSE),
        (
            "a.md",
            "# T\n\n```\n# x\n```\n",
            "# T\n\n```\n# y\n```\n".to_owned(),
            CODE,
        ),
        (
            "a.rst",
            "Title\n=====\ntext\n",
            "Other\n=====\ntext\n".to_owned(),
            [false, true, true],
        ),
        ("a.json", "{\"a\": 1}\n", "{\"a\": 2}\n".to_owned(), CODE),
        (
            "a.css",
            "p { } /* x */\n",
            "p { } /* y */\n".to_owned(),
            PROSE,
        ),
        ("a.bin", "\0a", "\0b".to_owned(), CODE),
        ("unknown", "a", "b".to_owned(), CODE),
    ];
    for (name, before, after, expected) in edits {
        assert_ne!(before, after, "{name}");
        assert_eq!(
            changed(name, before, &after),
            expected,
            "{name}: {before:?} -> {after:?}"
        );
    }
}

#[test]
fn a_large_file_is_hashed_whole() {
    let line = "// a comment\n".repeat(100_000);
    let mut other = line.clone();
    other.replace_range(line.len() - 3.., "x\n\n");
    assert_eq!(changed("a.rs", &line, &other), [true, false, false]);
}

#[test]
fn steps_add_columns_and_read_one_part_only() {
    let folder = folder(&[
        ("a.rs", RUST),
        ("b.md", "# Tables and rows\n\nRows, rows, tables.\n"),
    ]);
    let files = index(folder.path(), &IndexOptions::default())
        .unwrap()
        .files;
    let text = |batch: &RecordBatch, name: &str, row: usize| {
        batch
            .column_by_name(name)
            .unwrap()
            .as_string::<i32>()
            .value(row)
            .to_owned()
    };
    let words = steps::with_keywords(folder.path(), &files).unwrap();
    assert_eq!(words.num_columns(), files.num_columns() + 2);
    assert_eq!(
        text(&words, "keywords", 0),
        "comment, greeter, greeting, says"
    );
    assert_eq!(text(&words, "keywords", 1), "rows, tables");
    assert_eq!(
        words
            .column_by_name("words")
            .unwrap()
            .as_primitive::<Int64Type>()
            .values(),
        &[8, 6]
    );
    let symbols = steps::with_symbols(folder.path(), &words).unwrap();
    assert_eq!(text(&symbols, "symbols", 0), "Greeter, Greeter, greet");
    assert_eq!(text(&symbols, "symbols", 1), "Tables and rows");
    assert_eq!(
        steps::with_symbols(folder.path(), &symbols).unwrap(),
        symbols,
        "again"
    );

    fs::remove_file(folder.path().join("b.md")).unwrap();
    assert_eq!(
        steps::with_symbols(folder.path(), &files)
            .unwrap_err()
            .kind(),
        ErrorKind::Io
    );
    let error = steps::with_symbols(folder.path(), &files.project(&[1]).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFrame);
}

fn tree() -> tempfile::TempDir {
    let files: Vec<(String, &str)> = (0..12)
        .map(|i| match i % 3 {
            0 => (format!("src/m{i}.rs"), RUST),
            1 => (format!("doc/m{i}.md"), "# T\n\ntext\n"),
            _ => (format!("data/m{i}.json"), "{}\n"),
        })
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), *text))
        .collect();
    folder(&files)
}

#[test]
fn edits_happen_in_the_copy_and_change_what_they_say() {
    let original = tree();
    let before = hashes(original.path());
    let runs: Vec<_> = (0..2)
        .map(|_| {
            let work = tempfile::tempdir().unwrap();
            let copy = WorkCopy::create(
                original.path(),
                &work.path().join("copy"),
                &CopyOptions::default(),
            )
            .unwrap();
            assert_eq!(
                (copy.files, copy.capped, hashes(&copy.folder)),
                (12, false, before.clone())
            );
            let changes = copy.change(&ChangeOptions::default()).unwrap();
            (changes, hashes(&copy.folder))
        })
        .collect();
    assert_eq!(runs[0], runs[1], "the same each time");
    assert_eq!(hashes(original.path()), before, "the original is untouched");

    let (changes, after) = &runs[0];
    let mut kinds = [0; 4];
    for change in changes {
        let parts = |path: &str| [0, 1, 2].map(|i| before[path][i] != after[path][i]);
        match &change.kind {
            ChangeKind::Commented => {
                kinds[0] += 1;
                assert_eq!(parts(&change.path), [false, false, true], "{change}");
            }
            ChangeKind::Renamed { from, to } => {
                kinds[1] += 1;
                assert_eq!((from.as_str(), to.as_str()), ("Greeter", "Greeter_v2"));
                assert_eq!(parts(&change.path), [true, true, false], "{change}");
            }
            ChangeKind::Deleted => {
                kinds[2] += 1;
                assert!(!after.contains_key(&change.path));
            }
            ChangeKind::Added => {
                kinds[3] += 1;
                assert!(!before.contains_key(&change.path) && after.contains_key(&change.path));
            }
        }
    }
    assert_eq!(kinds, [3, 1, 1, 1]);
    let touched: Vec<_> = changes.iter().map(|change| &change.path).collect();
    let others = before.iter().filter(|(path, _)| !touched.contains(path));
    others.for_each(|(path, hash)| assert_eq!(after.get(path), Some(hash), "{path}"));
}

#[test]
fn copies_have_limits_and_never_overwrite() {
    let original = tree();
    let work = tempfile::tempdir().unwrap();
    let small = CopyOptions::default()
        .with_max_files(5)
        .with_max_file_bytes(5);
    let copy = WorkCopy::create(original.path(), &work.path().join("a"), &small).unwrap();
    assert!(
        copy.capped && copy.files == 4 && copy.skipped.len() == 1,
        "{copy:?}"
    );
    let error = WorkCopy::create(original.path(), &work.path().join("a"), &small).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(WorkCopy::create(original.path(), original.path(), &small).is_err());
    // A copy inside the original does not copy itself.
    let inside = original.path().join("work/copy");
    assert_eq!(
        WorkCopy::create(original.path(), &inside, &CopyOptions::default())
            .unwrap()
            .files,
        12
    );
    // Without the mark nothing is edited.
    fs::remove_file(inside.join(".metaxy-demo")).unwrap();
    let unmarked = WorkCopy {
        folder: inside,
        ..copy
    };
    assert!(unmarked.change(&ChangeOptions::default()).is_err());
    let lone = folder(&[("a.json", "{}")]);
    let copy =
        WorkCopy::create(lone.path(), &work.path().join("b"), &CopyOptions::default()).unwrap();
    assert_eq!(
        copy.change(&ChangeOptions::default()).unwrap().len(),
        2,
        "fewer where files are few"
    );
}
