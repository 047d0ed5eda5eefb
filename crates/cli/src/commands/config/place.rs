//! Where in a file a setting stands.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use metaxy_store::config::references;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The texts of configuration files, each read once.
#[derive(Default)]
pub(super) struct Files(HashMap<PathBuf, Option<String>>);

/// Where in a file a setting stands, and what it is made of.
pub(super) struct Place {
    /// The line, from 1.
    pub(super) line: usize,
    /// The environment variables that it refers to.
    pub(super) variables: Vec<String>,
}

impl Files {
    /// The place of the setting at a dotted path, if the file has it as such.
    pub(super) fn place(&mut self, file: &Path, path: &str) -> Option<Place> {
        let text = self.0.entry(file.to_owned());
        let text = text.or_insert_with(|| std::fs::read_to_string(file).ok());
        let text = text.as_deref()?;
        let table = DeTable::parse(text).ok()?;
        let keys = keys(path)?;
        let in_pyproject = file
            .file_name()
            .is_some_and(|name| name == "pyproject.toml");
        let prefix: &[&str] = if in_pyproject {
            &["tool", "metaxy"]
        } else {
            &[]
        };
        let (offset, value) = spellings(&keys).into_iter().find_map(|keys| {
            let keys: Vec<&str> = prefix.iter().copied().chain(keys).collect();
            find(table.get_ref(), &keys)
        })?;
        let before = text.get(..offset).unwrap_or_default();
        let raw = text.get(value.span()).unwrap_or_default();
        let mut variables: Vec<String> = references(raw).map(str::to_owned).collect();
        variables.dedup();
        Some(Place {
            line: before.matches('\n').count() + 1,
            variables,
        })
    }
}

/// The keys of a dotted path, of which TOML knows how they are quoted.
fn keys(path: &str) -> Option<Vec<String>> {
    let text = format!("{path} = 0");
    let parsed = DeTable::parse(&text).ok()?;
    let mut keys = Vec::new();
    let mut table = parsed.get_ref();
    while let Some((key, value)) = table.iter().next() {
        keys.push(key.get_ref().to_string());
        match value.get_ref() {
            DeValue::Table(below) => table = below,
            _ => break,
        }
    }
    Some(keys)
}

/// Where the keys may stand: options of a store beside its `type` or below `config`.
fn spellings(keys: &[String]) -> Vec<Vec<&str>> {
    let plain: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut lifted = plain.clone();
    if plain.len() > 2 && plain[0] == "stores" {
        lifted.insert(2, "config");
    }
    vec![plain, lifted]
}

/// The offset of the last of these keys, and its value.
fn find<'t, 'i>(
    table: &'t DeTable<'i>,
    keys: &[&str],
) -> Option<(usize, &'t Spanned<DeValue<'i>>)> {
    let (first, rest) = keys.split_first()?;
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == first)?;
    match (rest.is_empty(), value.get_ref()) {
        (true, _) => Some((key.span().start, value)),
        (false, DeValue::Table(below)) => find(below, rest),
        (false, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, path: &str) -> Option<usize> {
        let file = PathBuf::from("metaxy.toml");
        let mut files = Files::default();
        files.0.insert(file.clone(), Some(text.to_owned()));
        files.place(&file, path).map(|place| place.line)
    }

    #[test]
    fn settings_are_found_however_they_are_written() {
        let text = "project = \"a\"\n[stores.dev]\ntype = \"x\"\n[stores.dev.config]\nroot = 1\n[stores.\"b c\"]\ntype = \"y\"\nconfig = { q = 1 }\n";
        assert_eq!(line(text, "project"), Some(1));
        assert_eq!(line(text, "stores.dev.type"), Some(3));
        assert_eq!(line(text, "stores.dev.root"), Some(5));
        assert_eq!(line(text, "stores.\"b c\".type"), Some(7));
        assert_eq!(line(text, "stores.\"b c\".q"), Some(8));
        assert_eq!(line(text, "stores.prod.type"), None);
        assert_eq!(line("not toml [", "project"), None);
    }
}
