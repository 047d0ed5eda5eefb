//! Environment variables: those that references in files name, and `METAXY_*`, which override files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use toml::Value;

use super::Origin;
use super::reference::{SETTINGS, is_setting};
use super::settings::IGNORED_KEYS;
use super::tree::{Content, Merge, Node, Table, as_table, join, merge, table_of};
use super::value;
use crate::error::{Error, ErrorKind, Result};

/// The environment variables that a configuration is read with. A value, so that tests need not change those of the
/// process. `Debug` shows names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    values: BTreeMap<String, String>,
    /// Variables that have a value which is not valid Unicode.
    unreadable: BTreeSet<String>,
}

impl Environment {
    /// The variables of this process. Where a value that is not valid Unicode is needed, that is an error.
    #[must_use]
    pub fn process() -> Self {
        let mut environment = Self::default();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else {
                continue;
            };
            match value.into_string() {
                Ok(value) => {
                    environment.values.insert(name, value);
                }
                Err(_) => {
                    environment.unreadable.insert(name);
                }
            }
        }
        environment
    }

    /// The same, with variables that count where none of that name is set: those of a `.env` file.
    #[must_use]
    pub fn with_defaults<K: Into<String>, V: Into<String>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        for (name, value) in variables {
            let name = name.into();
            if !self.unreadable.contains(&name) {
                self.values.entry(name).or_insert_with(|| value.into());
            }
        }
        self
    }

    /// Whether a variable has a value that is not valid Unicode.
    pub(super) fn is_unreadable(&self, name: &str) -> bool {
        self.unreadable.contains(name)
    }

    /// No variables at all.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The file that `METAXY_CONFIG` names, unless it is empty.
    pub(super) fn config_file(&self) -> Option<PathBuf> {
        self.get("METAXY_CONFIG")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let variables = variables.into_iter();
        Self {
            values: variables
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            unreadable: BTreeSet::new(),
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// The settings in `METAXY_*` variables. As in the reference the case of the names does not matter, `__` separates the
/// levels below `stores`, a table or a list may be given as JSON, a deeper variable wins over a shallower one, and
/// variables that are no settings are left alone (with a warning when the name is nearly that of one).
///
/// # Errors
/// `InvalidConfig` for a variable below `METAXY_STORES` that is not well-formed.
pub(super) fn settings(environment: &Environment) -> Result<Table> {
    for name in &environment.unreadable {
        let lower = name.to_ascii_lowercase();
        let head = lower
            .strip_prefix("metaxy_")
            .and_then(|path| path.split("__").next());
        if head.is_some_and(|head| is_setting(head) || head == "config") {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                format!("the value of environment variable `{name}` is not valid UTF-8"),
            )
            .with_hint("set it to text in UTF-8, or unset it"));
        }
    }
    let mut variables: Vec<(Vec<String>, &str, &str)> = environment
        .values
        .iter()
        .filter_map(|(name, value)| {
            let lower = name.to_ascii_lowercase();
            let path = lower.strip_prefix("metaxy_")?;
            let path = path.split("__").map(str::to_owned).collect();
            Some((path, name.as_str(), value.as_str()))
        })
        .collect();
    // Deeper variables last; of two spellings the one in capitals last.
    variables.sort_by(|a, b| (a.0.len(), &a.0).cmp(&(b.0.len(), &b.0)).then(b.1.cmp(a.1)));

    let mut settings = Table::new();
    for (path, name, value) in variables {
        let Some(head) = path.first() else { continue };
        if !is_setting(head) || (path.len() > 1 && head != "stores") {
            warn_if_misspelt(head, name);
            continue;
        }
        if head == "extend" {
            tracing::warn!(
                variable = name,
                "ignored: only a configuration file can extend another"
            );
            continue;
        }
        insert(&mut settings, &path, name, value)?;
    }
    Ok(settings)
}

/// Puts one variable into its place.
fn insert(settings: &mut Table, path: &[String], name: &str, value: &str) -> Result<()> {
    /// Deeper than any store's options go.
    const MAX_DEPTH: usize = 16;

    let malformed = |problem: &str| {
        Err(Error::new(
            ErrorKind::InvalidConfig,
            format!("environment variable `{name}` {problem}"),
        )
        .with_hint("settings of stores are named like METAXY_STORES__DEV__CONFIG__ROOT_PATH"))
    };
    if path.iter().any(String::is_empty) {
        return malformed("has an empty part between its double underscores");
    }
    if path.len() > MAX_DEPTH {
        return malformed("has too many parts between double underscores");
    }
    let origin = Origin::Env(name.into());
    let mut node = Node::new(Value::String(value.to_owned()), &origin);
    // `METAXY_STORES`, `METAXY_STORES__DEV` and `METAXY_STORES__DEV__CONFIG` are tables in JSON.
    let is_table = match path {
        [stores] | [stores, _] => stores == "stores",
        [_, _, config] => config == "config",
        _ => false,
    };
    if is_table {
        match value::table(node.to_value()) {
            Ok(table) => node.content = Content::Table(table_of(table, &origin)),
            Err(_) => return malformed("must hold a JSON object"),
        }
    }
    let Some((last, parents)) = path.split_last() else {
        return Ok(());
    };
    let mut table = settings;
    let mut at = String::new();
    for key in parents {
        at = join(&at, key);
        let parent = table
            .entry(key.clone())
            .or_insert_with(|| Node::table(Table::new(), &origin));
        table = as_table(parent, &at)?;
    }
    merge(table, Table::from([(last.clone(), node)]), Merge::Override);
    Ok(())
}

fn warn_if_misspelt(head: &str, name: &str) {
    if head == "config" || IGNORED_KEYS.contains(&head) || head.starts_with("entrypoint") {
        return;
    }
    // Stricter than for keys in files: many tools have variables that begin with METAXY_.
    let mut known = SETTINGS.iter().map(|setting| setting.name);
    let meant = known.find(|key| {
        head.len() > 3 && (strsim::damerau_levenshtein(head, key) <= 2 || *key == head)
    });
    if let Some(meant) = meant {
        tracing::warn!(
            variable = name,
            "ignored: no such setting; was METAXY_{} meant?",
            meant.to_ascii_uppercase()
        );
    }
}
