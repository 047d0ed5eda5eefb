//! The README, the guide and the page of the command: [`list`] says of each of their blocks how a test holds it to the truth, or why none does.
//! `cargo test -p metaxy-cli --test command texts:: -- --nocapture` prints the list.

mod blocks;
mod list;
mod session;

use std::collections::BTreeSet;

use metaxy_store::config::references;
use serde_json::Value;

use crate::support::{Folder, STORE};
use blocks::{Block, lines, read};
use list::Held::{self, AlsoIn, By, Config, Features, Json, Printed, Saved, Typed};
use list::held_blocks;
use session::{Session, Step};

#[test]
fn every_block_is_held_to_the_truth() {
    let blocks = held_blocks();
    for (block, held) in &blocks {
        println!("{block}: {held}");
        match held {
            AlsoIn(file) => assert_has_lines(block, file),
            By(file, words) => {
                for words in *words {
                    assert!(read(file).contains(words), "{file} lacks {words}");
                }
            }
            Json => {
                let document = serde_json::from_str::<Value>(&block.text);
                document.unwrap_or_else(|e| panic!("{block}: {e}"));
            }
            _ => {}
        }
    }
    for session in sessions(&blocks) {
        for (command, why) in session.left_out {
            println!(
                "in the shell {}, `{command}` is not run: {why}",
                session.name
            );
            let typed = |(block, held): &(Block, Held)| {
                matches!(held, Typed(s) if *s == session) && block.text.contains(command)
            };
            assert!(blocks.iter().any(typed), "nobody types {command}");
        }
    }
}

/// Asserts that the lines of a block stand in a file, one after the other, whatever their indentation.
fn assert_has_lines(block: &Block, file: &str) {
    let text = read(file);
    let (wanted, lines) = (block.lines(), lines(&text));
    let mut places = lines.windows(wanted.len());
    assert!(
        places.any(|place| place == wanted),
        "{block} is not in {file}:\n{}",
        block.text
    );
}

#[test]
fn configurations_open_their_stores() {
    let variables = [
        ("BUCKET", "a-bucket"),
        ("PGPASSWORD", "secret"),
        ("PROD_STORE", "prod.db"),
    ];
    for (block, _) in of(|held| matches!(held, Config)) {
        for name in references(&block.text) {
            let known = variables.iter().any(|(variable, _)| *variable == name);
            assert!(known, "{block}: nothing sets {name}");
        }
        let folder = Folder::empty();
        folder.write("metaxy.toml", &block.text);
        let mut command = folder.command(&["list", "stores", "--format", "json"]);
        let output = command.envs(variables).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{block}: {errors}");
        let listed: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();

        let config: toml::Table = block.text.parse().unwrap();
        let stores = config["stores"].as_table().unwrap();
        assert_eq!(listed.len(), stores.len(), "{block}");
        for store in &listed {
            let place = store["where"].as_str().unwrap();
            let store = &stores[store["store"].as_str().unwrap()];
            for option in store.as_table().unwrap().keys() {
                assert!(is_listed(store, option), "{block}: no option {option}");
            }
            match refusal(store) {
                Some(refusal) => assert_eq!(place, refusal, "{block}"),
                None => assert!(!place.starts_with("cannot"), "{block}: {place}"),
            }
        }
    }
}

/// Whether the guide lists an option of a store. A build without the store cannot say it.
fn is_listed(store: &toml::Value, option: &str) -> bool {
    let page = read("crates/store/guide/configuration.md");
    let own = format!("`type = {}`", store["type"]);
    let mut sections = page
        .split("\n## ")
        .filter(|section| section.starts_with("Every store\n") || section.starts_with(&own));
    let row = format!("\n| `{option}` |");
    option == "type" || sections.any(|section| section.contains(&row))
}

/// What is said of a store that this build cannot open.
fn refusal(store: &toml::Value) -> Option<String> {
    let (name, there) = match store["type"].as_str().unwrap() {
        "delta" => ("delta", cfg!(feature = "delta")),
        "duckdb" => ("duckdb", cfg!(feature = "duckdb")),
        "postgres" => ("postgres", cfg!(feature = "postgres")),
        "sqlite" => ("sqlite", cfg!(feature = "sqlite")),
        other => panic!("no store is called {other}"),
    };
    let root = store.get("root_path").and_then(toml::Value::as_str);
    let in_s3 = root.is_some_and(|root| root.starts_with("s3://"));
    if !there {
        let hint = format!("enable the Cargo feature `{name}` of metaxy-store, and build again");
        Some(format!("cannot be opened: {hint}"))
    } else if in_s3 && !cfg!(feature = "delta-s3") {
        let hint = "build metaxy-cli or metaxy-store again with `--features delta-s3`; of metaxy-delta alone it is `s3`";
        Some(format!("cannot be opened: {hint}"))
    } else {
        None
    }
}

#[test]
fn definitions_are_listed() {
    for (block, held) in of(|held| matches!(held, Features | Saved(..))) {
        let folder = Folder::project();
        let list = || folder.ok(&["list", "features", "--format", "json"]);
        let example = list();
        folder.write("features/example.toml", &block.text);
        let listed = list();
        let features: Vec<Value> = serde_json::from_str(&listed).unwrap();
        let features = features.iter().map(|one| one["feature"].as_str());
        let table: toml::Table = block.text.parse().unwrap();
        let defined = table["feature"].as_array().unwrap();
        let defined = defined.iter().map(|one| one["key"].as_str());
        assert_eq!(
            features.collect::<BTreeSet<_>>(),
            defined.collect::<BTreeSet<_>>(),
            "{block}"
        );
        if let Saved(..) = held {
            assert_eq!(listed, example, "{block} is not what `metaxy init` writes");
        }
    }
}

#[test]
fn what_is_typed_prints_what_is_shown() {
    let blocks = held_blocks();
    for session in sessions(&blocks) {
        if session.name == "demo" && STORE == "postgres" {
            println!("not run: a demonstration needs a store in files");
            continue;
        }
        let steps = blocks.iter().filter_map(|(block, held)| match held {
            Typed(s) if *s == session => Some(Step::Typed(block)),
            Saved(path, s) if *s == session => Some(Step::Saved(block, path)),
            _ => None,
        });
        let printed = session.run(&steps.collect::<Vec<_>>());
        let printed: Vec<String> = printed.lines().map(without_numbers).collect();
        for (block, held) in &blocks {
            if matches!(held, Printed(s) if *s == session) {
                for line in block.lines() {
                    assert!(
                        printed.contains(&without_numbers(line)),
                        "{block}: no line {line:?} in {printed:#?}"
                    );
                }
            }
        }
    }
}

/// The words of a line, without digits.
fn without_numbers(line: &str) -> String {
    let line = line.replace(|c: char| c.is_ascii_digit(), "");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The commands and options of `docs/command.md` exist, and a test compares the documents.
#[test]
fn the_page_of_the_command_knows_it() {
    let folder = Folder::empty();
    let page = read(blocks::COMMAND);
    let tests = tests();
    for section in page.split("\n## `").skip(1) {
        let (command, section) = section.split_once('`').unwrap();
        let compared = tests.contains(&format!("\"{command}\""));
        assert!(
            compared || !section.contains("```json"),
            "nobody compares what `{command}` prints"
        );
        if command == "metaxy mcp" && cfg!(not(feature = "mcp")) {
            continue;
        }
        let words: Vec<&str> = command.split(' ').skip(1).chain(["--help"]).collect();
        let help = folder.ok(&words);
        for row in section.lines().filter(|line| line.starts_with("| `-")) {
            let first = row.split(" | ").next().unwrap();
            for option in first.split(['`', ' ', ',']) {
                assert!(
                    !option.starts_with('-') || help.contains(option),
                    "`{command}` has no {option}"
                );
            }
        }
    }
}

/// The source of the command's tests.
fn tests() -> String {
    let folder = format!("{}/tests/command", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.is_file());
    files
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect()
}

/// The blocks that are configurations: where each is, and its text.
pub(crate) fn configurations() -> impl Iterator<Item = (String, String)> {
    let blocks = of(|held| matches!(held, Config)).into_iter();
    blocks.map(|(block, _)| (block.to_string(), block.text))
}

/// The blocks that define features.
pub(crate) fn features() -> impl Iterator<Item = (String, String)> {
    let blocks = of(|held| matches!(held, Features | Saved(..))).into_iter();
    blocks.map(|(block, _)| (block.to_string(), block.text))
}

/// The blocks that are held so.
fn of(held: impl Fn(&Held) -> bool) -> Vec<(Block, Held)> {
    let mut blocks = held_blocks();
    blocks.retain(|(_, how)| held(how));
    blocks
}

/// Every session of these blocks once.
fn sessions(blocks: &[(Block, Held)]) -> Vec<&'static Session> {
    let mut sessions = Vec::new();
    for (_, held) in blocks {
        if let Typed(session) | Saved(_, session) | Printed(session) = held
            && !sessions.contains(session)
        {
            sessions.push(*session);
        }
    }
    sessions
}
