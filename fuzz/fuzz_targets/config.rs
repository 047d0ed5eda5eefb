//! `metaxy.toml`: what is accepted can be looked at and checked, and a secret shows nowhere.
//!
//! Comments such as `#METAXY_STORE=dev` are environment variables.
#![no_main]

use std::fs;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use metaxy_store::config::{ConfigLoader, Environment, is_secret_key};
use metaxy_store::{Access, Config, Result};
use tempfile::TempDir;
use toml::Value;

/// Text that is looked for where no secret may be.
const SECRET: &str = "hunter2";

fuzz_target!(|text: &str| {
    let directory = directory();
    let file = directory.path().join("metaxy.toml");
    fs::write(&file, text).expect("the file can be written");
    let variables = text.lines().filter_map(|line| {
        let (name, value) = line.strip_prefix("#METAXY_")?.split_once('=')?;
        Some((format!("METAXY_{name}"), value.to_owned()))
    });
    let environment = [("HOME", "/home/somebody"), ("EMPTY", "")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let environment: Environment = environment.into_iter().chain(variables).collect();

    let loaded = ConfigLoader::new()
        .with_file(&file)
        .with_environment(environment)
        .load();
    let shown = show(loaded);
    if is_kept_secret(text) {
        assert!(!shown.contains(SECRET), "a secret is shown: {shown}");
    }
});

/// A directory for the file; in memory where the system has such a place. Each input has its own, because the fuzzer ends
/// without tidying up.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let directory = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    directory.expect("a temporary directory")
}

/// All that a configuration says of itself.
fn show(loaded: Result<Config>) -> String {
    let config = match loaded {
        Ok(config) => config,
        Err(error) => return format!("{error} {error:?}"),
    };
    let mut shown = format!("{config:?} {:?}", config.check());
    for entry in config.entries() {
        shown += &format!("{entry:?}");
        assert!(
            config.origin(&entry.path).is_some(),
            "{} has no origin",
            entry.path
        );
    }
    for store in config.stores() {
        shown += &format!("{store:?} {:?}", config.chain(store.name()).err());
        match config.open_request(store, Access::Read) {
            Ok(request) => shown += &format!("{request:?}"),
            Err(error) => shown += &format!("{error} {error:?}"),
        }
    }
    shown
}

/// Whether the secret stands in the text, and only where secrets are kept: in stores, under keys that say so.
fn is_kept_secret(text: &str) -> bool {
    let Ok(settings) = text.parse::<toml::Table>() else {
        return false;
    };
    let Some(Value::Table(stores)) = settings.get("stores") else {
        return false;
    };
    let kept: usize = stores.values().filter_map(Value::as_table).map(kept).sum();
    kept > 0 && kept == text.matches(SECRET).count() && !text.contains("${")
}

/// How often the secret stands under the keys of a store's options that say so, and of tables in them.
fn kept(options: &toml::Table) -> usize {
    let secrets = options.iter().map(|(key, value)| match value {
        value if is_secret_key(key) => count(value),
        Value::Table(table) => kept(table),
        _ => 0,
    });
    secrets.sum()
}

/// How often the secret stands in the texts of a value. Keys are no secrets.
fn count(value: &Value) -> usize {
    match value {
        Value::String(text) => text.matches(SECRET).count(),
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Table(table) => table.values().map(count).sum(),
        _ => 0,
    }
}
