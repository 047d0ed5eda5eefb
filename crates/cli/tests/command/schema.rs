//! `metaxy schema`: what the command takes passes the schema, and what it refuses does not.

use std::path::{Path, PathBuf};

use metaxy_store::toml_features::{TABLES, UPSTREAM};
use serde_json::Value;

mod validate;

use crate::support::Folder;
use crate::texts;

/// A schema that the command printed.
struct Schema {
    text: Value,
}

impl Schema {
    /// The one of `features` or `config`.
    fn of(what: &str) -> Self {
        let printed = Folder::empty().ok(&["schema", what]);
        let text: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(text["$schema"], "http://json-schema.org/draft-07/schema#");
        Self { text }
    }

    /// What is wrong with a file.
    fn check(&self, text: &str) -> Result<(), String> {
        let table: toml::Table = text.parse().unwrap_or_else(|e| panic!("{e}: {text}"));
        let value = serde_json::to_value(table).unwrap();
        validate::check(&self.text, &value)
    }

    #[track_caller]
    fn takes(&self, about: &str, text: &str) {
        if let Err(why) = self.check(text) {
            panic!("{about}: {why}\n{text}");
        }
    }

    #[track_caller]
    fn refuses(&self, text: &str) {
        assert!(self.check(text).is_err(), "it takes {text}");
    }
}

#[test]
fn features_of_the_reference_pass() {
    let schema = Schema::of("features");
    for table in TABLES {
        for key in table.keys {
            let text = format!("{}\n{UPSTREAM}", key.example);
            schema.takes(key.name, &text);
        }
    }
}

#[test]
fn texts_and_examples_pass() {
    let (features, config) = (Schema::of("features"), Schema::of("config"));
    let mut seen = [0, 0];
    for (about, text) in texts::features() {
        features.takes(&about, &text);
        seen[0] += 1;
    }
    for (about, text) in texts::configurations() {
        config.takes(&about, &text);
        seen[1] += 1;
    }
    for folder in std::fs::read_dir(root().join("examples")).unwrap() {
        let folder = folder.unwrap().path();
        let file = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
        if let Some(text) = file("features.toml") {
            features.takes(&folder.display().to_string(), &text);
            seen[0] += 1;
        }
        if let Some(text) = file("metaxy.toml") {
            config.takes(&folder.display().to_string(), &text);
            seen[1] += 1;
        }
    }
    let project = Folder::project();
    features.takes("init", &project.text("features/example.toml"));
    config.takes("init", &project.text("metaxy.toml"));
    assert!(seen[0] > 8 && seen[1] > 12, "{seen:?}");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What is wrong with a feature, here and as the command says it.
#[test]
fn wrong_features_are_refused_by_both() {
    let schema = Schema::of("features");
    let feature = |rest: &str| format!("[[feature]]\nkey = \"a\"\nid_columns = [\"id\"]\n{rest}\n");
    let dep = |rest: &str| feature(&format!("deps = [{{ feature = \"b\", {rest} }}]"));
    let upstream = "[[feature]]\nkey = \"b\"\nid_columns = [\"id\"]\n";
    let cases = [
        "[[features]]\nkey = \"a\"\nid_columns = [\"id\"]".to_owned(),
        "[feature]\nkey = \"a\"\nid_columns = [\"id\"]".to_owned(),
        "[[feature]]\nid_columns = [\"id\"]".to_owned(),
        "[[feature]]\nkey = \"a\"".to_owned(),
        "[[feature]]\nkey = 1\nid_columns = [\"id\"]".to_owned(),
        feature("id_column = [\"id\"]"),
        feature("description = 1"),
        feature("metadata = \"x\""),
        feature("fields = \"x\""),
        feature("fields = { x = 1 }"),
        feature("fields = { x = { version = \"1\" } }"),
        feature("fields = { x = { code_version = 1 } }"),
        feature("fields = { x = { deps = \"some\" } }"),
        feature("fields = { x = { deps = [{ fields = [\"y\"] }] } }"),
        feature("deps = [{ select = [\"x\"] }]"),
        feature("deps = \"b\""),
        feature("external = \"yes\""),
        feature("external = { on_version_mismatch = \"fail\" }"),
        feature("external = { provenance_by_field = { x = 1 } }"),
        dep("renames = { x = \"y\" }"),
        dep("rename = [\"x\"]"),
        dep("rename = { x = 1 }"),
        dep("filters = \"x > 1\""),
        dep("optional = \"yes\""),
        dep("lineage = \"agregation\""),
        dep("lineage = {}"),
        dep("lineage = { aggregation = \"id\" }"),
        dep("lineage = { aggregation = [\"id\"], expansion = [\"id\"] }"),
        dep("lineage = { aggregation = [\"id\"], id_generation_pattern = \"x\" }"),
        dep("fields_mapping = \"al\""),
        dep("fields_mapping = { match_suffix = 1 }"),
        dep("fields_mapping = { specific = {}, match_suffix = true }"),
        dep("fields_mapping = { specific = { x = \"y\" } }"),
    ];
    for case in cases {
        schema.refuses(&case);
        let folder = Folder::project();
        folder.write("features/example.toml", &format!("{case}\n{upstream}"));
        folder.fails(&["list", "features"], 1);
    }
}

/// The settings of a store of the kind of this build, with one line more.
fn store(line: &str) -> String {
    let store = Folder::empty().store("dev");
    format!("[stores.dev]\n{store}\n{line}\n")
}

#[test]
fn wrong_configurations_are_refused_by_both() {
    let schema = Schema::of("config");
    let cases = [
        "projects = \"x\"".to_owned(),
        "project = 1".to_owned(),
        "features = [1]".to_owned(),
        "locked = \"maybe\"".to_owned(),
        "sync = 2".to_owned(),
        "hash_truncation_length = \"long\"".to_owned(),
        "extra_features = [{ project = \"x\" }]".to_owned(),
        "[stores.dev]\ndatabase = \"x.db\"".to_owned(),
        "[stores.dev]\ntype = 1".to_owned(),
        "[stores.dev]\ntype = \"sqlit\"".to_owned(),
        store("databas = \"x\""),
        store("fallback_stores = [1]"),
        store("fallback_by = \"rows\""),
        store("versioning_engine = \"duck\""),
        store("compare_with_fallback = 2"),
        store("materialization_id = 1"),
        store("lock_timeout = \"soon\""),
        store("lock_timeout = -1"),
        store("config = { databas = \"x\" }"),
    ];
    for case in cases {
        // Engines take settings of their own below `config`; Delta has another name for its timeout.
        let engine = super::support::STORE == "duckdb" && case.contains("config =");
        let other = super::support::STORE == "delta" && case.contains("lock_timeout");
        if engine || other {
            continue;
        }
        schema.refuses(&case);
        let folder = Folder::empty();
        folder.write("metaxy.toml", &case);
        let run = folder.run(&["list", "stores", "--format", "json"], "");
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(
            !run.status.success() || said.contains("cannot be opened"),
            "{case}: {said}"
        );
    }
}

#[test]
fn text_stands_wherever_a_variable_may() {
    let schema = Schema::of("config");
    for line in [
        "locked = \"${LOCKED}\"",
        "sync = \"no\"",
        "hash_truncation_length = \"20\"",
        "hash_truncation_length = \"${LENGTH:-20}\"",
        "features = \"features/*.toml\"",
        "extra_features = [{ all = \"${ALL}\" }, { keys = [[\"a\", \"b\"]], projects = \"x\" }]",
        "theme = { colour = 1 }",
        "[stores.dev]\ntype = \"${KIND}\"\nwhatever = 1",
        "[stores.dev]\ntype = \"metaxy.ext.duckdb:DuckDBMetadataStore\"",
        // What another build has is taken as it is.
        "[stores.dev]\ntype = \"metaxy.ext.postgresql.PostgreSQLMetadataStore\"\nconnection_string = \"x\"",
        // The type comes from the other file.
        "extend = \"other.toml\"\n[stores.dev]\nfallback_stores = \"prod\"",
    ] {
        schema.takes(line, line);
    }
    for line in [
        "versioning_engine = \"${ENGINE}\"",
        "compare_with_fallback = \"true\"",
        "fallback_stores = \"prod\"",
    ] {
        schema.takes(line, &store(line));
        schema.takes(line, &store(&format!("config = {{ {line} }}")));
    }
}

/// Every option of this build's stores has a form: the words that the reference has for it are known.
#[test]
fn every_option_of_a_store_has_a_form() {
    let schema = Schema::of("config");
    let types = &schema.text["properties"]["stores"]["additionalProperties"]["allOf"];
    let types = types.as_array().unwrap();
    assert!(!types.is_empty());
    for one in types {
        let options = one["then"]["properties"].as_object().unwrap();
        for (name, option) in options.iter().filter(|(name, _)| *name != "type") {
            let has = ["type", "anyOf"]
                .iter()
                .any(|word| option.get(word).is_some());
            assert!(has, "{}: {name} is {option}", one["if"]);
        }
    }
}

#[test]
fn a_file_says_how_to_name_it() {
    let folder = Folder::empty();
    folder.write("metaxy.toml", "this is no configuration");
    let said = folder.ok(&["schema", "features", "--output", "f.schema.json"]);
    assert!(said.contains("#:schema ./f.schema.json"), "{said}");
    assert_eq!(
        folder.text("f.schema.json"),
        folder.ok(&["schema", "features", "-o", "-"])
    );
    folder.ok(&["schema", "config", "-o", "c.json"]);
    folder.fails(&["schema", "stores"], 2);
    folder.fails(&["schema"], 2);
    let error = folder.fails(&["schema", "config", "-o", "no/such/folder.json"], 1);
    assert!(error.contains("hint:"), "{error}");
}

/// The first line of each file leads to its schema.
#[test]
fn init_names_the_schemas() {
    let folder = Folder::project();
    for (file, what) in [
        ("metaxy.toml", "config"),
        ("features/example.toml", "features"),
    ] {
        let text = folder.text(file);
        let named = text
            .lines()
            .next()
            .unwrap()
            .strip_prefix("#:schema ")
            .unwrap();
        let path = folder.join(file).parent().unwrap().join(named);
        let schema = std::fs::read_to_string(path).unwrap();
        assert_eq!(schema, folder.ok(&["schema", what]));
        // The command of the comment makes the same.
        let command = text
            .lines()
            .find_map(|line| line.split_once("metaxy schema "));
        let words: Vec<&str> = command.unwrap().1.split(' ').collect();
        folder.ok(&[&["schema"], &words[..]].concat());
        assert_eq!(words[2], format!(".metaxy/{what}.schema.json"));
    }
    // Whoever clones the project gets them too, and not the store.
    let ignored = folder.text(".metaxy/.gitignore");
    let ignored: Vec<&str> = ignored.lines().skip(1).collect();
    assert_eq!(ignored, ["*", "!.gitignore", "!*.schema.json"]);
}

/// Descriptions are words alone: an editor cannot follow a link into the guide.
#[test]
fn descriptions_have_no_links() {
    for what in ["features", "config"] {
        let text = Schema::of(what).text;
        let mut seen = Vec::new();
        descriptions(&text, &mut seen);
        assert!(seen.len() > 20, "{what}: {seen:?}");
        assert!(seen.iter().all(|said| !said.contains("](")), "{seen:?}");
    }
}

fn descriptions<'v>(schema: &'v Value, seen: &mut Vec<&'v str>) {
    match schema {
        Value::Object(members) => {
            seen.extend(members.get("description").and_then(Value::as_str));
            for below in members.values() {
                descriptions(below, seen);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| descriptions(item, seen)),
        _ => {}
    }
}
