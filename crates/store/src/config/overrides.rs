//! Settings given by the program itself.

use std::fmt;
use std::path::PathBuf;

use toml::Value;

use super::Origin;
use super::tree::{Content, Merge, Node, Table, lift_store_options, merge, table_of};
use crate::error::Result;

/// Explicit arguments: settings that win over environment variables and files (`semantics.md §9`). `Debug` shows which,
/// never their values.
#[derive(Clone, Default)]
#[must_use]
pub struct ConfigOverrides(Vec<Change>);

#[derive(Clone)]
enum Change {
    Set(&'static str, Value),
    Store(String, toml::Table),
    Option(String, String, Value),
}

impl ConfigOverrides {
    /// No overrides.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `project`.
    pub fn with_project(self, project: impl Into<String>) -> Self {
        self.set("project", Value::String(project.into()))
    }

    /// Sets `store`, the name of the store that is used when none is named.
    pub fn with_default_store(self, name: impl Into<String>) -> Self {
        self.set("store", Value::String(name.into()))
    }

    /// Sets `hash_truncation_length`, in characters.
    pub fn with_hash_truncation_length(self, length: u32) -> Self {
        self.set("hash_truncation_length", Value::Integer(length.into()))
    }

    /// Sets `auto_create_tables`.
    pub fn with_auto_create_tables(self, create: bool) -> Self {
        self.set("auto_create_tables", Value::Boolean(create))
    }

    /// Sets `features`: globs, relative to the directory from which the configuration is loaded.
    pub fn with_features<S: Into<String>>(self, globs: impl IntoIterator<Item = S>) -> Self {
        let globs = globs.into_iter().map(|glob| Value::String(glob.into()));
        self.set("features", Value::Array(globs.collect()))
    }

    /// Sets `metaxy_lock_path`.
    pub fn with_lock_path(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into().to_string_lossy().into_owned();
        self.set("metaxy_lock_path", Value::String(path))
    }

    /// Sets `locked`.
    pub fn with_locked(self, locked: bool) -> Self {
        self.set("locked", Value::Boolean(locked))
    }

    /// Sets `sync`.
    pub fn with_sync(self, sync: bool) -> Self {
        self.set("sync", Value::Boolean(sync))
    }

    /// Describes a store, in place of one of that name that a file or the environment describes.
    pub fn with_store(
        mut self,
        name: impl Into<String>,
        type_path: impl Into<String>,
        mut options: toml::Table,
    ) -> Self {
        options.insert("type".into(), Value::String(type_path.into()));
        self.0.push(Change::Store(name.into(), options));
        self
    }

    /// Sets one option of a store and leaves its others as they are.
    pub fn with_store_option(
        mut self,
        store: impl Into<String>,
        option: impl Into<String>,
        value: impl Into<Value>,
    ) -> Self {
        self.0
            .push(Change::Option(store.into(), option.into(), value.into()));
        self
    }

    fn set(mut self, key: &'static str, value: Value) -> Self {
        self.0.push(Change::Set(key, value));
        self
    }

    /// Puts these settings onto `settings`, in the order in which they were given.
    pub(super) fn apply(self, settings: &mut Table) -> Result<()> {
        let table = |settings| Node::table(settings, &Origin::Argument);
        for change in self.0 {
            let mut over = Table::new();
            match change {
                Change::Set(key, value) => {
                    over.insert(key.to_owned(), Node::new(value, &Origin::Argument));
                }
                Change::Store(name, options) => {
                    if let Some(Node {
                        content: Content::Table(stores),
                        ..
                    }) = settings.get_mut("stores")
                    {
                        stores.remove(&name);
                    }
                    let store = table(table_of(options, &Origin::Argument));
                    over.insert("stores".into(), table(Table::from([(name, store)])));
                }
                Change::Option(name, option, value) => {
                    let value = Node::new(value, &Origin::Argument);
                    let store = table(Table::from([(option, value)]));
                    over.insert("stores".into(), table(Table::from([(name, store)])));
                }
            }
            lift_store_options(&mut over)?;
            merge(settings, over, Merge::Override);
        }
        Ok(())
    }
}

impl fmt::Debug for ConfigOverrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|change| match change {
            Change::Set(key, _) => (*key).to_owned(),
            Change::Store(name, _) => format!("stores.{name}"),
            Change::Option(name, option, _) => format!("stores.{name}.{option}"),
        });
        f.debug_list().entries(names).finish()
    }
}
