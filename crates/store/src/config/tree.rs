//! Settings as a tree whose every node knows where it came from, and how two such trees become one.

use std::collections::BTreeMap;

use toml::Value;

use super::Origin;
use super::env::Environment;
use super::interpolate::{Missing, interpolate};
use super::value;
use crate::error::Result;

/// A table of settings.
pub(super) type Table = BTreeMap<String, Node>;

/// A setting and where it came from. For a table and an array that is the last source that touched it.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) origin: Origin,
    /// Whether it is an option of a store that stands below `config`, and not beside `type`.
    pub(super) below_config: bool,
}

#[derive(Clone)]
pub(super) enum Content {
    /// Neither an array nor a table.
    Scalar(Value),
    Array(Vec<Node>),
    Table(Table),
}

/// How the later of two trees meets the earlier one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Merge {
    /// A file over the file it extends: arrays are extended, and a store that names its `type` is described anew.
    Extend,
    /// The environment or an argument over files: arrays are replaced.
    Override,
    /// As `Override`; keys match whatever their case, because names of environment variables have none.
    OverrideAnyCase,
}

impl Node {
    pub(super) fn new(value: Value, origin: &Origin) -> Self {
        let content = match value {
            Value::Array(items) => Content::Array(
                items
                    .into_iter()
                    .map(|item| Self::new(item, origin))
                    .collect(),
            ),
            Value::Table(table) => Content::Table(table_of(table, origin)),
            scalar => Content::Scalar(scalar),
        };
        Self {
            content,
            origin: origin.clone(),
            below_config: false,
        }
    }

    /// A table of settings.
    pub(super) fn table(settings: Table, origin: &Origin) -> Self {
        Self {
            content: Content::Table(settings),
            origin: origin.clone(),
            below_config: false,
        }
    }

    pub(super) fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::Array(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Content::Table(table) => Value::Table(
                table
                    .iter()
                    .map(|(key, node)| (key.clone(), node.to_value()))
                    .collect(),
            ),
        }
    }

    /// Calls `visit` with the path of this node and of every node below it; those of an array are not visited.
    pub(super) fn visit<'n>(&'n self, path: &str, visit: &mut impl FnMut(&str, &'n Self)) {
        visit(path, self);
        if let Content::Table(table) = &self.content {
            for (key, node) in table {
                node.visit(&join(path, key), visit);
            }
        }
    }

    /// Calls `visit` with every string here and below, and with the name under which it stands; that of the node itself is `name`.
    pub(super) fn strings(&self, name: &str, visit: &mut impl FnMut(&str, &str)) {
        match &self.content {
            Content::Scalar(Value::String(text)) => visit(name, text),
            Content::Scalar(_) => {}
            Content::Array(items) => items.iter().for_each(|item| item.strings(name, visit)),
            Content::Table(table) => {
                for (name, node) in table {
                    node.strings(name, visit);
                }
            }
        }
    }

    /// Whether this node or one below it came from where `wanted` says.
    pub(super) fn any_origin(&self, wanted: fn(&Origin) -> bool) -> bool {
        match &self.content {
            Content::Scalar(_) => wanted(&self.origin),
            Content::Array(items) => items.iter().any(|item| item.any_origin(wanted)),
            Content::Table(table) => {
                (table.is_empty() && wanted(&self.origin))
                    || table.values().any(|node| node.any_origin(wanted))
            }
        }
    }

    /// Replaces the references to environment variables in every string that a file gave. A reference that cannot be
    /// replaced stays, and `unset` is called with its path, the variable's name and the origin.
    pub(super) fn interpolate(
        &mut self,
        path: &str,
        environment: &Environment,
        unset: &mut impl FnMut(&str, Missing, &Origin),
    ) {
        match &mut self.content {
            Content::Scalar(Value::String(text)) if self.origin.file().is_some() => {
                match interpolate(text, environment) {
                    Ok(replaced) => *text = replaced,
                    Err(name) => unset(path, name, &self.origin),
                }
            }
            Content::Scalar(_) => {}
            Content::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    item.interpolate(&format!("{path}[{index}]"), environment, unset);
                }
            }
            Content::Table(table) => {
                for (key, node) in table {
                    node.interpolate(&join(path, key), environment, unset);
                }
            }
        }
    }
}

pub(super) fn table_of(table: toml::Table, origin: &Origin) -> Table {
    table
        .into_iter()
        .map(|(key, value)| (key, Node::new(value, origin)))
        .collect()
}

/// Puts the settings of `over` onto those of `base`.
pub(super) fn merge(base: &mut Table, over: Table, how: Merge) {
    merge_at(base, over, how, 0);
}

fn merge_at(base: &mut Table, over: Table, how: Merge, depth: usize) {
    for (key, node) in over {
        let key = match how {
            Merge::OverrideAnyCase => spelled_in(base, key),
            Merge::Extend | Merge::Override => key,
        };
        // Stores are at depth 1, below `stores`. A file that names the type of an inherited store describes it anew, as
        // in the reference: options of the other type would not fit.
        let anew = how == Merge::Extend
            && depth == 1
            && matches!(&node.content, Content::Table(table) if table.contains_key("type"));
        match base.get_mut(&key) {
            Some(existing) if !anew => merge_node(existing, node, how, depth),
            _ => {
                base.insert(key, node);
            }
        }
    }
}

fn merge_node(existing: &mut Node, node: Node, how: Merge, depth: usize) {
    match (&mut existing.content, node.content) {
        (Content::Table(base), Content::Table(over)) => {
            merge_at(base, over, how, depth + 1);
        }
        (Content::Array(base), Content::Array(over)) if how == Merge::Extend => base.extend(over),
        (content, over) => *content = over,
    }
    existing.origin = node.origin;
    existing.below_config = node.below_config;
}

/// `key` as `table` spells it, when it has exactly one key that differs only in case.
fn spelled_in(table: &Table, key: String) -> String {
    if table.contains_key(&key) {
        return key;
    }
    let mut alike = table.keys().filter(|k| k.eq_ignore_ascii_case(&key));
    match (alike.next(), alike.next()) {
        (Some(only), None) => only.clone(),
        _ => key,
    }
}

/// Moves the options under `stores.NAME.config` to those beside `type`.
///
/// # Errors
/// `InvalidConfig` when `stores`, a store or its `config` is no table, and for an option given in both places.
pub(super) fn lift_store_options(settings: &mut Table) -> Result<()> {
    let Some(stores) = settings.get_mut("stores") else {
        return Ok(());
    };
    let stores = as_table(stores, "stores")?;
    for (name, store) in stores {
        let path = join("stores", name);
        let store = as_table(store, &path)?;
        let Some(mut config) = store.remove("config") else {
            continue;
        };
        for (key, mut node) in std::mem::take(as_table(&mut config, &join(&path, "config"))?) {
            let here = join(&path, &key);
            if key == "type" {
                return Err(node
                    .origin
                    .invalid(
                        &join(&join(&path, "config"), "type"),
                        "is in the wrong place",
                    )
                    .with_hint(format!("put `type` into `{path}`, beside `config`")));
            }
            if store.contains_key(&key) {
                return Err(node
                    .origin
                    .invalid(
                        &here,
                        format_args!("is given twice: beside `type`, and under `{path}.config`"),
                    )
                    .with_hint("remove one of the two"));
            }
            node.below_config = true;
            store.insert(key, node);
        }
    }
    Ok(())
}

/// The table in a node; text that is a JSON object becomes one.
pub(super) fn as_table<'n>(node: &'n mut Node, path: &str) -> Result<&'n mut Table> {
    if let Content::Scalar(text @ Value::String(_)) = &node.content
        && let Ok(table) = value::table(text.clone())
    {
        node.content = Content::Table(table_of(table, &node.origin));
    }
    let found = match &node.content {
        Content::Table(_) => "",
        Content::Array(_) => "an array",
        Content::Scalar(scalar) => value::kind(scalar),
    };
    match &mut node.content {
        Content::Table(table) => Ok(table),
        _ => Err(node
            .origin
            .invalid(path, format_args!("must be a table, found {found}"))
            .with_hint(format!("write it as a table: [{path}]"))),
    }
}

/// `path.key`; a key that TOML would quote is quoted.
pub(super) fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let dot = if path.is_empty() { "" } else { "." };
    if bare {
        format!("{path}{dot}{key}")
    } else {
        format!("{path}{dot}{key:?}")
    }
}
