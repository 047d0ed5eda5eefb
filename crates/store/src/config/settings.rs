//! From the tree of settings to their types: the top-level keys (`semantics.md §9`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Value;

use super::Origin;
use super::features::FeatureGlob;
use super::interpolate::Missing;
use super::reference::{SETTINGS, is_setting};
use super::selection::FeatureSelection;
use super::store::StoreConfig;
use super::tree::{Content, Node, Table, as_table, join};
use super::value::{self, as_written, shown};
use crate::error::{Result, nearest};

/// The top-level keys that only the Python package needs: accepted and ignored.
pub(super) const IGNORED_KEYS: &[&str] = &["entrypoints", "ext", "theme"];

/// The shortest and the default length of hashes, in characters (`semantics.md §3`).
const MIN_TRUNCATION: u64 = 8;

/// The settings with their types.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) project: Option<String>,
    pub(super) store: String,
    pub(super) stores: BTreeMap<String, StoreConfig>,
    pub(super) hash_truncation_length: usize,
    pub(super) auto_create_tables: Option<bool>,
    pub(super) features: Vec<FeatureGlob>,
    pub(super) metaxy_lock_path: Option<PathBuf>,
    pub(super) locked: Option<bool>,
    pub(super) sync: bool,
    pub(super) extra_features: Vec<FeatureSelection>,
    pub(super) enable_map_datatype: bool,
}

impl Settings {
    /// Reads the types. The tree has no keys but [`SETTINGS`], and its references to the environment are replaced, except
    /// those in stores that could not be: `unset` lists these by store.
    pub(super) fn read(
        tree: &Table,
        start_dir: &Arc<Path>,
        mut unset: BTreeMap<String, Vec<Unset>>,
    ) -> Result<Self> {
        let mut stores = BTreeMap::new();
        if let Some(node) = tree.get("stores") {
            let mut node = node.clone();
            for (name, store) in as_table(&mut node, "stores")? {
                let unset = unset.remove(name).unwrap_or_default();
                stores.insert(name.clone(), StoreConfig::read(name, store, unset)?);
            }
        }
        let boolean = |key| read(tree, key, "a boolean", |v| value::boolean(&v).ok_or(v));
        Ok(Self {
            project: project(tree)?,
            store: string_with(
                tree,
                "store",
                Some("it names the default store; stores are described under `stores`"),
            )?
            .unwrap_or_else(|| "dev".to_owned()),
            stores,
            hash_truncation_length: truncation(tree)?,
            auto_create_tables: boolean("auto_create_tables")?,
            features: features(tree, start_dir)?,
            metaxy_lock_path: string(tree, "metaxy_lock_path")?.map(PathBuf::from),
            locked: boolean("locked")?,
            sync: boolean("sync")?.unwrap_or(true),
            extra_features: extra_features(tree)?,
            enable_map_datatype: boolean("enable_map_datatype")?.unwrap_or(false),
        })
    }

    /// The settings that nothing gives, with the value that applies.
    pub(super) fn defaults(&self) -> [(&'static str, String); 5] {
        [
            ("store", format!("{:?}", self.store)),
            (
                "hash_truncation_length",
                self.hash_truncation_length.to_string(),
            ),
            ("auto_create_tables", true.to_string()),
            ("sync", self.sync.to_string()),
            ("enable_map_datatype", self.enable_map_datatype.to_string()),
        ]
    }
}

/// A reference to an environment variable that is not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unset {
    pub(super) variable: Missing,
    pub(super) path: String,
    pub(super) origin: Origin,
}

impl Unset {
    pub(super) fn error(&self) -> crate::error::Error {
        let Self {
            variable,
            path,
            origin,
        } = self;
        let Missing {
            name: variable,
            unreadable,
        } = variable;
        if *unreadable {
            return origin
                .invalid(
                    path,
                    format_args!("needs the environment variable `{variable}`, whose value is not valid UTF-8"),
                )
                .with_hint(format!("set {variable} to text in UTF-8"));
        }
        origin
            .invalid(
                path,
                format_args!("needs the environment variable `{variable}`, which is not set"),
            )
            .with_hint(format!(
                "set {variable}, or give a default: ${{{variable}:-default}}"
            ))
    }
}

/// Takes out what only the Python package needs and refuses keys that nobody knows.
pub(super) fn check_keys(tree: &mut Table) -> Result<()> {
    tree.retain(|key, _| !IGNORED_KEYS.contains(&key.as_str()));
    let Some((key, node)) = tree.iter().find(|(key, _)| !is_setting(key)) else {
        return Ok(());
    };
    let error = node.origin.invalid(&join("", key), "is not a known key");
    if node_has_type(node) {
        return Err(error.with_hint(format!("a store is described under `stores.{key}`")));
    }
    let known: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    Err(match nearest(key, known.iter().copied()) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint(format!("the known keys are {}", known.join(", "))),
    })
}

fn node_has_type(node: &Node) -> bool {
    matches!(&node.content, Content::Table(table) if table.contains_key("type"))
}

fn read<T>(
    tree: &Table,
    key: &str,
    expected: &str,
    convert: impl FnOnce(Value) -> Result<T, Value>,
) -> Result<Option<T>> {
    let Some(node) = tree.get(key) else {
        return Ok(None);
    };
    match convert(node.to_value()) {
        Ok(value) => Ok(Some(value)),
        Err(found) => Err(node
            .origin
            .invalid(
                key,
                format_args!("must be {expected}, found {}", shown(key, &found)),
            )
            .with_hint(as_written(key, expected))),
    }
}

/// Text that is not empty.
fn string(tree: &Table, key: &str) -> Result<Option<String>> {
    string_with(tree, key, None)
}

/// The same; `hint` says more of what it should be.
fn string_with(tree: &Table, key: &str, hint: Option<&str>) -> Result<Option<String>> {
    let Some(node) = tree.get(key) else {
        return Ok(None);
    };
    let (problem, usual) = match node.to_value() {
        Value::String(text) if !text.is_empty() => return Ok(Some(text)),
        Value::String(_) => (
            "is empty".to_owned(),
            format!("give it a value, or leave `{key}` out"),
        ),
        found => (
            format!("must be a string, found {}", shown(key, &found)),
            as_written(key, "a string"),
        ),
    };
    let error = node.origin.invalid(key, problem);
    Err(error.with_hint(hint.map_or(usual, str::to_owned)))
}

/// A project's name: letters, digits, `_` and `-`, without `__`, as in the reference.
fn project(tree: &Table) -> Result<Option<String>> {
    let Some(name) = string(tree, "project")? else {
        return Ok(None);
    };
    let bad = name
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || *c == '_' || *c == '-'));
    let problem = if let Some(bad) = bad {
        format!("{name:?} contains {bad:?}")
    } else if name.contains("__") {
        format!("{name:?} contains a double underscore")
    } else {
        return Ok(Some(name));
    };
    let origin = tree
        .get("project")
        .map_or(&Origin::Default, |node| &node.origin);
    Err(origin
        .invalid("project", problem)
        .with_hint("a project's name has letters, digits, `-` and single `_`"))
}

fn truncation(tree: &Table) -> Result<usize> {
    const KEY: &str = "hash_truncation_length";
    let length = read(tree, KEY, "a whole number", |v| {
        value::unsigned(&v).ok_or(v)
    })?
    .unwrap_or(MIN_TRUNCATION);
    match (usize::try_from(length), tree.get(KEY)) {
        (Ok(length), _) if length as u64 >= MIN_TRUNCATION => Ok(length),
        (_, node) => {
            let origin = node.map_or(&Origin::Default, |node| &node.origin);
            Err(origin
                .invalid(KEY, format_args!("is {length}"))
                .with_hint(format!(
                    "hashes keep at least {MIN_TRUNCATION} characters; shorter ones collide"
                )))
        }
    }
}

/// Each entry keeps its own origin: files of an `extend` chain lie in different directories.
fn features(tree: &Table, start_dir: &Arc<Path>) -> Result<Vec<FeatureGlob>> {
    let Some(node) = tree.get("features") else {
        return Ok(Vec::new());
    };
    let mut globs = Vec::new();
    let single = [node.clone()];
    let items = match &node.content {
        Content::Array(items) => items.as_slice(),
        _ => &single,
    };
    for item in items {
        let patterns = match &item.content {
            Content::Scalar(text @ Value::String(_)) => value::strings(text.clone()),
            _ => Err(item.to_value()),
        };
        let patterns = patterns.map_err(|found| {
            item.origin
                .invalid(
                    "features",
                    format_args!("must be a list of globs, found {}", value::kind(&found)),
                )
                .with_hint("write them as in: features = [\"features/*.toml\"]")
        })?;
        for pattern in patterns {
            globs.push(FeatureGlob::new(pattern, start_dir, &item.origin)?);
        }
    }
    Ok(globs)
}

fn extra_features(tree: &Table) -> Result<Vec<FeatureSelection>> {
    const KEY: &str = "extra_features";
    let items = match tree.get(KEY) {
        None => return Ok(Vec::new()),
        Some(Node {
            content: Content::Array(items),
            ..
        }) => items.clone(),
        Some(node) => read(tree, KEY, "a list of selections", value::array)?
            .unwrap_or_default()
            .into_iter()
            .map(|item| Node::new(item, &node.origin))
            .collect(),
    };
    items
        .iter()
        .enumerate()
        .map(|(i, item)| {
            FeatureSelection::parse(item.to_value(), &format!("{KEY}[{i}]"), &item.origin)
        })
        .collect()
}
