//! The description of one store.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use toml::Value;

use super::settings::Unset;
use super::tree::{Content, Node, Table, join, lift_store_options, table_of};
use super::value::{self, kind, shown};
use super::{CommonStoreOptions, Origin, StoreOptions, redact};
use crate::backend::registry::{Descriptor, Registry};
use crate::error::{Error, ErrorKind, Result};

/// The description of one store: its type, its options and its fallback stores.
///
/// Relative paths among the options are relative to the *working directory*, as in the reference, not to the file that
/// gives them; [`base_dir`](Self::base_dir) is for backends and tools that offer another choice. `Debug` masks secrets.
#[derive(Clone)]
pub struct StoreConfig {
    name: String,
    type_path: String,
    origin: Origin,
    options: Table,
    fallback_stores: Vec<String>,
    unset: Vec<Unset>,
}

impl StoreConfig {
    /// A store described by the program. `options` are those of a configuration file without `type`; those below a table
    /// `config` count as well.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for an option given in both places and for malformed `fallback_stores`.
    pub fn new(
        name: impl Into<String>,
        type_path: impl Into<String>,
        mut options: toml::Table,
    ) -> Result<Self> {
        let name = name.into();
        let origin = Origin::Argument;
        options.insert("type".to_owned(), Value::String(type_path.into()));
        let table = |settings| Node::table(settings, &origin);
        let store = table(table_of(options, &origin));
        let stores = table(Table::from([(name.clone(), store)]));
        let mut settings = Table::from([("stores".to_owned(), stores)]);
        lift_store_options(&mut settings)?;
        let store = match settings.remove("stores").map(|node| node.content) {
            Some(Content::Table(mut stores)) => stores.remove(&name),
            _ => None,
        };
        let store = store.unwrap_or_else(|| table(Table::new()));
        Self::read(&name, &store, Vec::new())
    }

    /// Reads `stores.NAME` of the tree.
    pub(super) fn read(name: &str, node: &Node, unset: Vec<Unset>) -> Result<Self> {
        let path = join("stores", name);
        if name.is_empty() {
            return Err(node
                .origin
                .invalid(&path, "has an empty name")
                .with_hint("name it, as in [stores.dev]"));
        }
        let Content::Table(table) = &node.content else {
            let found = node.to_value();
            return Err(node
                .origin
                .invalid(
                    &path,
                    format_args!("must be a table, found {}", kind(&found)),
                )
                .with_hint(format!(
                    "write [{path}] and below it its `type` and options"
                )));
        };
        let mut options = table.clone();
        let Some(type_node) = options.remove("type") else {
            return Err(node
                .origin
                .invalid(&path, "has no `type`")
                .with_hint(format!(
                    "say what kind of store it is: type = \"sqlite\" in [{path}]"
                )));
        };
        let type_path = match type_node.to_value() {
            Value::String(text) if !text.trim().is_empty() => text.trim().to_owned(),
            found => {
                return Err(type_node
                    .origin
                    .invalid(
                        &join(&path, "type"),
                        format_args!("must name a type of store, found {}", shown("type", &found)),
                    )
                    .with_hint("`metaxy list backends` shows those of this build"));
            }
        };
        let fallback_stores = match options.remove("fallback_stores") {
            None => Vec::new(),
            Some(node) => value::strings(node.to_value()).map_err(|found| {
                node.origin
                    .invalid(
                        &join(&path, "fallback_stores"),
                        format_args!("must be a list of names of stores, found {}", kind(&found)),
                    )
                    .with_hint("write it as in: fallback_stores = [\"prod\"]")
            })?,
        };
        Ok(Self {
            name: name.to_owned(),
            type_path,
            origin: type_node.origin,
            options,
            fallback_stores,
            unset,
        })
    }

    /// Its name: the key below `stores`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its type, as written: a type path or a short name, to be resolved by a [`Registry`](crate::backend::registry::Registry).
    #[must_use]
    pub fn type_path(&self) -> &str {
        &self.type_path
    }

    /// The backend that answers to its type.
    ///
    /// # Errors
    /// As [`Registry::resolve`]; the error names the store and who gave its type.
    pub fn descriptor<'r>(&self, registry: &'r Registry) -> Result<&'r Descriptor> {
        let found = registry.resolve(&self.type_path);
        found.map_err(|error| self.origin.attach(error.with_context("store", &self.name)))
    }

    /// Who gave its type.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The directory of the file that gave its type; none when a variable or an argument did.
    #[must_use]
    pub fn base_dir(&self) -> Option<&Path> {
        self.origin.file().and_then(Path::parent)
    }

    /// Its options, without `type` and `fallback_stores`. Values may be secrets: show them through [`redact`] only.
    #[must_use]
    pub fn options(&self) -> toml::Table {
        self.options
            .iter()
            .map(|(key, node)| (key.clone(), node.to_value()))
            .collect()
    }

    /// Those of its options that stand below `config`, and not beside `type`.
    pub fn below_config(&self) -> impl Iterator<Item = &str> {
        let below = self.options.iter().filter(|(_, node)| node.below_config);
        below.map(|(key, _)| key.as_str())
    }

    /// The names of the stores that are read when this one has no rows of a feature, in order (`semantics.md §7`).
    #[must_use]
    pub fn fallback_stores(&self) -> &[String] {
        &self.fallback_stores
    }

    /// Fails when a `${NAME}` in this store's options has no value. [`Config::store`](super::Config::store) and
    /// [`Config::chain`](super::Config::chain) call it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] that names the variable, the key and the file.
    pub fn check(&self) -> Result<()> {
        match self.unset.first() {
            Some(unset) => Err(unset.error().with_context("store", &self.name)),
            None => Ok(()),
        }
    }

    /// Splits the options into those that every store takes and a reader for those of the backend.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for a variable without value and for a common option of the wrong type.
    pub fn split(&self) -> Result<(CommonStoreOptions, StoreOptions)> {
        self.check()?;
        let options = self
            .options
            .iter()
            .map(|(key, node)| (key.clone(), (node.to_value(), node.origin.clone())));
        let mut options = StoreOptions::from_parts(&self.name, options.collect::<BTreeMap<_, _>>())
            .with_below_config(self.below_config().map(str::to_owned));
        let mut common = CommonStoreOptions::take(&mut options)?;
        common.fallback_stores.clone_from(&self.fallback_stores);
        Ok((common, options))
    }
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut options = BTreeMap::new();
        for (key, node) in &self.options {
            node.visit(key, &mut |path, node| {
                if !matches!(node.content, Content::Table(_)) {
                    let text = node.to_value().to_string();
                    options.insert(path.to_owned(), redact(path, &text).into_owned());
                }
            });
        }
        f.debug_struct("StoreConfig")
            .field("name", &self.name)
            .field("type_path", &self.type_path)
            .field("origin", &self.origin)
            .field("options", &options)
            .field("fallback_stores", &self.fallback_stores)
            .finish()
    }
}

/// The error for the name of a store that is not configured.
pub(super) fn unknown_store<'a>(
    message: String,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Error {
    let error = Error::new(ErrorKind::InvalidConfig, message);
    match crate::error::nearest(name, known.clone()) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint(format!(
            "the configured stores are {}",
            known.collect::<Vec<_>>().join(", ")
        )),
    }
}
