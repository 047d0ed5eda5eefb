//! Bad configurations, each with an error that names the culprit.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml covers #[test] functions only

use std::fs;

use metaxy_store::ErrorKind;
use metaxy_store::config::{ConfigLoader, Environment};
use tempfile::TempDir;

/// The text of `metaxy.toml`, variables, and what the error (message and hint) must contain.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

const CASES: &[Case<'_>] = &[
    // Syntax.
    ("project = ", &[], &["metaxy.toml", "line 1"]),
    ("a = 1\nb = {\n", &[], &["metaxy.toml", "not valid TOML"]),
    (
        "project = 'a'\nproject = 'b'",
        &[],
        &["metaxy.toml", "line 2", "duplicate key"],
    ),
    // Top-level keys.
    ("stroe = 'dev'", &[], &["`stroe`", "`store`", "metaxy.toml"]),
    (
        "zzz = 1",
        &[],
        &["`zzz`", "known keys", "hash_truncation_length"],
    ),
    ("[dev]\ntype = 'sqlite'", &[], &["`dev`"]),
    (
        "[production]\ntype = 'sqlite'",
        &[],
        &["`production`", "stores.production"],
    ),
    ("project = 1", &[], &["`project`", "string", "integer"]),
    ("project = ''", &[], &["`project`", "empty"]),
    ("project = 'a/b'", &[], &["`project`", "a/b", "'/'"]),
    (
        "project = 'a__b'",
        &[],
        &["`project`", "a__b", "double underscore"],
    ),
    ("project = 'a b'", &[], &["`project`", "' '"]),
    (
        "",
        &[("METAXY_PROJECT", "a/b")],
        &["`project`", "METAXY_PROJECT"],
    ),
    ("store = ['dev']", &[], &["`store`", "array", "`stores`"]),
    (
        "hash_truncation_length = 7",
        &[],
        &["`hash_truncation_length`", "7", "at least 8"],
    ),
    (
        "hash_truncation_length = -8",
        &[],
        &["`hash_truncation_length`", "-8"],
    ),
    (
        "hash_truncation_length = 'long'",
        &[],
        &["`hash_truncation_length`", "long"],
    ),
    (
        "",
        &[("METAXY_HASH_TRUNCATION_LENGTH", "x")],
        &["METAXY_HASH_TRUNCATION_LENGTH", "\"x\""],
    ),
    (
        "auto_create_tables = 'perhaps'",
        &[],
        &["`auto_create_tables`", "boolean", "perhaps"],
    ),
    (
        "",
        &[("METAXY_LOCKED", "")],
        &["`locked`", "METAXY_LOCKED", "boolean"],
    ),
    ("sync = 2", &[], &["`sync`", "integer"]),
    ("features = [1]", &[], &["`features`", "integer"]),
    ("features = ['[']", &[], &["`features`", "\"[\"", "glob"]),
    ("features = ['']", &[], &["`features`", "empty"]),
    ("extra_features = 'all'", &[], &["`extra_features`", "all"]),
    (
        "extra_features = [{}]",
        &[],
        &["`extra_features[0]`", "nothing"],
    ),
    (
        "extra_features = [{ key = ['a'] }]",
        &[],
        &["`extra_features[0].key`", "`keys`"],
    ),
    (
        "extra_features = [{ keys = ['A'] }]",
        &[],
        &["`extra_features[0].keys`", "\"A\""],
    ),
    (
        "metaxy_lock_path = 3",
        &[],
        &["`metaxy_lock_path`", "integer"],
    ),
    // References to variables.
    (
        "project = '${NOPE}'",
        &[],
        &["`NOPE`", "`project`", "metaxy.toml", "${NOPE:-"],
    ),
    (
        "features = ['a', '${NOPE}']",
        &[],
        &["`NOPE`", "`features[1]`"],
    ),
    ("extend = '${NOPE}'", &[], &["`NOPE`", "`extend`"]),
    // Stores.
    ("stores = 'dev'", &[], &["`stores`", "table", "string"]),
    ("[stores]\ndev = 'sqlite'", &[], &["`stores.dev`", "table"]),
    (
        "[stores.dev]\ndatabase = 'x'",
        &[],
        &["`stores.dev`", "`type`", "metaxy.toml"],
    ),
    (
        "[stores.dev]\ntype = 1",
        &[],
        &["`stores.dev.type`", "integer"],
    ),
    ("[stores.dev]\ntype = ''", &[], &["`stores.dev.type`"]),
    ("[stores.'']\ntype = 'x'", &[], &["empty name"]),
    (
        "[stores.dev]\ntype = 'x'\nconfig = 1",
        &[],
        &["`stores.dev.config`", "table"],
    ),
    (
        "[stores.dev]\ntype = 'x'\ndatabase = 'a'\nconfig = { database = 'b' }",
        &[],
        &["`stores.dev.database`", "twice", "stores.dev.config"],
    ),
    (
        "[stores.dev.config]\ntype = 'x'",
        &[],
        &["`stores.dev.config.type`"],
    ),
    (
        "[stores.dev]\ntype = 'x'\nfallback_stores = 1",
        &[],
        &["`stores.dev.fallback_stores`"],
    ),
    (
        "[stores.dev]\ntype = 'x'\nfallback_stores = [1]",
        &[],
        &["`stores.dev.fallback_stores`"],
    ),
    // Variables of stores.
    ("", &[("METAXY_STORES", "dev")], &["METAXY_STORES", "JSON"]),
    (
        "",
        &[("METAXY_STORES__DEV__CONFIG", "[]")],
        &["METAXY_STORES__DEV__CONFIG", "JSON"],
    ),
    (
        "",
        &[("METAXY_STORES____TYPE", "x")],
        &["METAXY_STORES____TYPE", "empty"],
    ),
    (
        "",
        &[
            ("METAXY_STORES__A__DATABASE", "x"),
            ("METAXY_STORES__A__CONFIG__DATABASE", "y"),
        ],
        &["`stores.a.database`", "twice"],
    ),
    (
        "",
        &[
            ("METAXY_STORES__A__X", "y"),
            ("METAXY_STORES__A__X__Z", "y"),
        ],
        &["`stores.a.x`", "table"],
    ),
    // Extending.
    ("extend = 1", &[], &["`extend`", "string"]),
    (
        "extend = 'gone.toml'",
        &[],
        &["`extend`", "gone.toml", "metaxy.toml"],
    ),
    (
        "extend = 'metaxy.toml'",
        &[],
        &["metaxy.toml -> ", "extend"],
    ),
    (
        "extend = 'loop.toml'",
        &[],
        &["metaxy.toml -> ", "loop.toml -> "],
    ),
    (
        "extend = 'broken.toml'",
        &[],
        &["broken.toml", "line 1", "metaxy.toml"],
    ),
    (
        "extend = 'pyproject.toml'",
        &[],
        &["pyproject.toml", "[tool.metaxy]"],
    ),
    (
        "extend = 'typo.toml'",
        &[],
        &["`projct`", "typo.toml", "`project`"],
    ),
];

/// Bad chains: they load, and asking for `dev` and its fallback stores fails.
const CHAINS: &[Case<'_>] = &[
    ("", &[], &["`dev`", "no stores", "metaxy init"]),
    (
        "[stores.prod]\ntype = 'x'",
        &[],
        &["`dev`", "not configured", "prod"],
    ),
    (
        "[stores.dex]\ntype = 'x'",
        &[],
        &["`dev`", "did you mean `dex`?"],
    ),
    (
        "[stores.dev]\ntype = 'x'\nfallback_stores = ['dev']",
        &[],
        &["dev -> dev"],
    ),
    (
        "[stores.dev]\ntype = 'x'\nfallback_stores = ['prod']\n[stores.prod]\ntype = 'x'\nfallback_stores = ['dev']",
        &[],
        &["dev -> prod -> dev", "metaxy.toml"],
    ),
    (
        "[stores]\ndev = { type = 'x', fallback_stores = ['a'] }\na = { type = 'x', fallback_stores = ['b'] }\nb = { type = 'x', fallback_stores = ['a'] }",
        &[],
        &["a -> b -> a"],
    ),
    (
        "[stores.dev]\ntype = 'x'\nfallback_stores = ['prdo']\n[stores.prod]\ntype = 'x'",
        &[],
        &["`dev`", "`prdo`", "`prod`"],
    ),
    (
        "[stores.dev]\ntype = 'x'\na = { b = ['${NOPE}'] }",
        &[],
        &["`NOPE`", "`stores.dev.a.b[0]`", "metaxy.toml"],
    ),
    (
        "[stores.dev]\ntype = '${NOPE}'",
        &[],
        &["`NOPE`", "`stores.dev.type`"],
    ),
];

fn directory(text: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, text) in [
        ("metaxy.toml", text),
        ("loop.toml", "extend = 'metaxy.toml'"),
        ("broken.toml", "="),
        ("pyproject.toml", "[tool.other]\nx = 1"),
        ("typo.toml", "projct = 'x'"),
    ] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn loader(dir: &TempDir, variables: &[(&str, &str)]) -> ConfigLoader {
    ConfigLoader::new()
        .with_start_dir(dir.path())
        .with_environment(variables.iter().copied().collect())
}

fn check(error: &metaxy_store::Error, case: &Case<'_>) {
    let said = format!("{error} | {}", error.hint().unwrap_or_default());
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{said}");
    for culprit in case.2 {
        assert!(
            said.contains(culprit),
            "{:?} gave {said:?}, without {culprit:?}",
            case.0
        );
    }
}

#[test]
fn bad_configurations_name_the_culprit() {
    for case in CASES {
        let dir = directory(case.0);
        match loader(&dir, case.1).load() {
            Ok(config) => panic!("{case:?} loaded: {config:?}"),
            Err(error) => check(&error, case),
        }
    }
}

#[test]
fn bad_chains_name_the_culprit() {
    for case in CHAINS {
        let dir = directory(case.0);
        let config = loader(&dir, case.1).load().unwrap();
        match config.chain("dev") {
            Ok(chain) => panic!("{case:?} gave {chain:?}"),
            Err(error) => check(&error, case),
        }
    }
}

#[test]
fn files_that_cannot_be_read() {
    let dir = directory("");
    let environment = Environment::empty();
    let loader = ConfigLoader::new().with_environment(environment);
    let missing = loader
        .clone()
        .with_start_dir(dir.path())
        .with_file("gone.toml");
    let error = missing.load().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("gone.toml"), "{error}");
    let error = loader.clone().with_file(dir.path()).load().unwrap_err();
    assert!(error.hint().unwrap().contains("directory"), "{error}");
    let error = loader
        .with_start_dir(dir.path().join("gone"))
        .load()
        .unwrap_err();
    assert!(error.to_string().contains("gone"), "{error}");
}

#[test]
fn feature_files_that_are_none() {
    for (text, culprit) in [
        ("features = ['gone.toml']", "not a file"),
        ("features = ['.']", "a directory"),
    ] {
        let dir = directory(text);
        let error = loader(&dir, &[])
            .load()
            .unwrap()
            .feature_files()
            .unwrap_err();
        assert!(error.to_string().contains(culprit), "{error}");
        assert!(error.to_string().contains("metaxy.toml"), "{error}");
    }
    let dir = directory("features = ['none/*.toml']");
    let files = loader(&dir, &[]).load().unwrap().feature_files().unwrap();
    assert!(files.is_empty());
}

#[test]
fn deep_nesting_is_an_error_and_no_crash() {
    let nested = format!("x = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    let dotted = format!("x{} = 1", ".x".repeat(100_000));
    for text in [nested, dotted] {
        let dir = directory(&text);
        assert!(loader(&dir, &[]).load().is_err());
    }
    let dir = directory("");
    let deep = format!("METAXY_STORES__DEV{}", "__X".repeat(100_000));
    let error = loader(&dir, &[(deep.as_str(), "1")]).load().unwrap_err();
    assert!(error.message().contains("too many parts"));
    let json = format!("{}{}", r#"{"x":"#.repeat(100_000), "}".repeat(100_000));
    assert!(
        loader(&dir, &[("METAXY_STORES", json.as_str())])
            .load()
            .is_err()
    );
}
