//! Configuration: `metaxy.toml`, `METAXY_*` variables and explicit arguments (`semantics.md §9`).
//!
//! Sources, the later ones winning: built-in values, files, environment variables, arguments. A file that extends another
//! replaces its scalars, extends its arrays and merges into its tables; but a store that it gives a `type` is described
//! anew, as in the reference, because options of the other description need not fit. Variables and arguments replace
//! arrays as well.
//!
//! A [`Config`] is read once by a [`ConfigLoader`] and then only asked. Every setting knows [where it came
//! from](Config::origin). A backend reads its options from [`StoreOptions`].

mod env;
mod features;
mod interpolate;
mod load;
mod overrides;
mod redacted;
mod reference;
mod schema;
mod selection;
mod settings;
mod store;
mod tree;
mod trust;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use env::Environment;
pub use features::FeatureGlob;
pub use interpolate::references;
pub use load::{ConfigLoader, find_config};
pub use overrides::ConfigOverrides;
pub use reference::SETTINGS;
pub use schema::json_schema;
pub use selection::FeatureSelection;
pub use store::StoreConfig;
pub use trust::{TRUSTED_FOLDERS, require_trusted};

#[doc(inline)]
pub use metaxy_core::options::{
    CommonStoreOptions, FallbackBy, LOCK_TIMEOUT, MASK, OptionDoc, Origin, REQUIRED, StoreOptions,
    Synchronous, TABLE_PREFIX, VersioningEngine, is_secret_key, redact,
};
use metaxy_core::options::{HIDDEN, value};

use crate::backend::Access;
use crate::backend::registry::OpenRequest;
use crate::error::{Error, ErrorKind, Result};
use redacted::redact_value;
use settings::Settings;
use store::unknown_store;
use tree::{Content, Node, Table, join};

/// The settings of a project. `Debug` shows each with its origin and masks secrets.
#[derive(Clone)]
pub struct Config {
    settings: Settings,
    files: Vec<Arc<Path>>,
    entries: BTreeMap<String, Entry>,
    tables: BTreeMap<String, Origin>,
    /// The longest first.
    secrets: Vec<String>,
}

/// One setting, for commands that show a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its dotted path, such as `stores.dev.root_path`.
    pub path: String,
    /// Its value as TOML, secrets masked.
    pub value: String,
    /// Whether something of the value is masked.
    pub masked: bool,
    /// Where it came from.
    pub origin: Origin,
}

impl Config {
    /// Loads the configuration of the working directory. For more choice there is [`ConfigLoader`].
    ///
    /// # Errors
    /// As [`ConfigLoader::load`].
    pub fn load() -> Result<Self> {
        ConfigLoader::new().load()
    }

    /// `secrets`: texts that are shown nowhere.
    fn new(settings: Settings, tree: &Table, files: Vec<Arc<Path>>, secrets: Vec<String>) -> Self {
        let mut entries = BTreeMap::new();
        let mut tables = BTreeMap::new();
        for (key, value) in settings.defaults() {
            let entry = Entry {
                path: key.to_owned(),
                value,
                masked: false,
                origin: Origin::Default,
            };
            entries.insert(key.to_owned(), entry);
        }
        for (key, node) in tree {
            record(key, node, &secrets, &mut entries, &mut tables);
        }
        Self {
            settings,
            files,
            entries,
            tables,
            secrets,
        }
    }

    /// The text without secrets of this configuration: with [`MASK`] in place of what variables hold whose names are those of secrets, and
    /// of what stands under such names itself. For messages of others, which may quote what they were given.
    #[must_use]
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut shown = Cow::Borrowed(text);
        for secret in self.secrets.iter().filter(|secret| secret.len() >= HIDDEN) {
            if shown.contains(secret) {
                shown = Cow::Owned(shown.replace(secret, MASK));
            }
        }
        shown
    }

    /// The project's name. It scopes operations where several projects share a store.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        self.settings.project.as_deref()
    }

    /// The name of the store that is used when none is named: `dev` by default. It need not be configured.
    #[must_use]
    pub fn default_store(&self) -> &str {
        &self.settings.store
    }

    /// The configured stores, by name.
    pub fn stores(&self) -> impl Iterator<Item = &StoreConfig> {
        self.settings.stores.values()
    }

    /// The length to which hashes are cut, in characters: 8 or more.
    #[must_use]
    pub fn hash_truncation_length(&self) -> usize {
        self.settings.hash_truncation_length
    }

    /// Whether stores create missing tables. Unset means that they do, unlike in the reference (`semantics.md §10`).
    #[must_use]
    pub fn auto_create_tables(&self) -> Option<bool> {
        self.settings.auto_create_tables
    }

    /// The globs of TOML feature files, those of an extended file first.
    #[must_use]
    pub fn features(&self) -> &[FeatureGlob] {
        &self.settings.features
    }

    /// The feature files: what [`features`](Self::features) match, in that order, each once.
    ///
    /// # Errors
    /// As [`FeatureGlob::files`].
    pub fn feature_files(&self) -> Result<Vec<PathBuf>> {
        let mut seen = BTreeSet::new();
        let mut files = Vec::new();
        for glob in self.features() {
            files.extend(
                glob.files()?
                    .into_iter()
                    .filter(|file| seen.insert(file.clone())),
            );
        }
        Ok(files)
    }

    /// The lock file: `metaxy_lock_path`, relative to the directory of the configuration file, or `metaxy.lock` in it.
    /// None when there is no configuration file and no absolute path, as in the reference.
    #[must_use]
    pub fn lock_file(&self) -> Option<PathBuf> {
        let path = self.settings.metaxy_lock_path.as_deref();
        let path = path.unwrap_or(Path::new("metaxy.lock"));
        match self.file().and_then(Path::parent) {
            Some(directory) => Some(directory.join(path)),
            None => path.is_absolute().then(|| path.to_path_buf()),
        }
    }

    /// Whether a sync fails when an external feature does not have the version that its placeholder says.
    #[must_use]
    pub fn locked(&self) -> Option<bool> {
        self.settings.locked
    }

    /// Whether operations first sync external features from the store.
    #[must_use]
    pub fn sync(&self) -> bool {
        self.settings.sync
    }

    /// Features that a sync loads beside those that the graph needs.
    #[must_use]
    pub fn extra_features(&self) -> &[FeatureSelection] {
        &self.settings.extra_features
    }

    /// All of [`extra_features`](Self::extra_features) as one selection; `None` if there are none.
    #[must_use]
    pub fn extra_selection(&self) -> Option<FeatureSelection> {
        let entries = self.extra_features().iter().cloned();
        entries.reduce(FeatureSelection::union)
    }

    /// Whether by-field columns are written as MAP.
    #[must_use]
    pub fn enable_map_datatype(&self) -> bool {
        self.settings.enable_map_datatype
    }

    /// The configuration file, if there is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.files.first().map(|file| &**file)
    }

    /// The configuration file, the one it extends, and so on.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| &**file)
    }

    /// The store of that name.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when no such store is configured, or an environment variable that its options name is
    /// not set.
    pub fn store(&self, name: &str) -> Result<&StoreConfig> {
        let store = self.find(name, || {
            format!("store `{name}` is not configured{}", self.in_file())
        })?;
        store.check()?;
        Ok(store)
    }

    /// The store of that name and, depth first and in order, its fallback stores, each once: the order in which a feature
    /// is looked for (`semantics.md §7`).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for a name that is not configured, a cycle, or a variable that is not set.
    pub fn chain(&self, name: &str) -> Result<Vec<&StoreConfig>> {
        let first = self.store(name)?;
        let mut chain = vec![first];
        let mut met = BTreeSet::from([first.name()]);
        // The path from the first store to the one in hand, with how many of each one's fallback stores are done.
        let mut path = vec![(first, 0)];
        while let Some((store, done)) = path.last_mut() {
            let store = *store;
            let Some(next) = store.fallback_stores().get(*done) else {
                path.pop();
                continue;
            };
            *done += 1;
            let next = self
                .find(next, || {
                    format!(
                        "store `{}` falls back to `{next}`, which is not configured{}",
                        store.name(),
                        self.in_file()
                    )
                })
                .map_err(|error| error.with_context("store", store.name()))?;
            if met.insert(next.name()) {
                next.check()?;
                chain.push(next);
                path.push((next, 0));
            } else if let Some(start) = path.iter().position(|(s, _)| s.name() == next.name()) {
                return Err(cycle(path[start..].iter().map(|(s, _)| *s), next));
            }
        }
        Ok(chain)
    }

    /// What a backend needs to open a store of this configuration.
    ///
    /// # Errors
    /// As [`StoreConfig::split`].
    pub fn open_request(&self, store: &StoreConfig, access: Access) -> Result<OpenRequest> {
        let (mut common, options) = store.split()?;
        common.auto_create_tables = common
            .auto_create_tables
            .or(self.settings.auto_create_tables);
        let mut request = OpenRequest::new(options, access).with_common(common);
        if let Some(directory) = store.base_dir() {
            request = request.with_base_dir(directory);
        }
        Ok(request)
    }

    /// Checks every store: that its fallback stores exist and form no cycle, and that its variables are set. Opens none.
    ///
    /// # Errors
    /// As [`chain`](Self::chain), for the first store at fault.
    pub fn check(&self) -> Result<()> {
        self.stores()
            .try_for_each(|store| self.chain(store.name()).map(drop))
    }

    /// Where the setting at a dotted path came from: `project`, `stores.dev.type`, `stores.dev.root_path` (whether it stands
    /// beside `type` or under `config`). A key that nothing gives has [`Origin::Default`]; a path that is no setting has none.
    #[must_use]
    pub fn origin(&self, path: &str) -> Option<&Origin> {
        if let Some(entry) = self.entries.get(path) {
            return Some(&entry.origin);
        }
        let known = reference::is_setting(path);
        self.tables
            .get(path)
            .or_else(|| known.then_some(&Origin::Default))
    }

    /// Every setting that has a value, by path.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    fn find(&self, name: &str, message: impl FnOnce() -> String) -> Result<&StoreConfig> {
        let stores = &self.settings.stores;
        if stores.is_empty() {
            let message = format!(
                "no stores are configured{}; `{name}` was asked for",
                self.in_file()
            );
            return Err(Error::new(ErrorKind::InvalidConfig, message)
                .with_hint("`metaxy init` writes a configuration with one"));
        }
        stores
            .get(name)
            .ok_or_else(|| unknown_store(message(), name, stores.keys().map(String::as_str)))
    }

    fn in_file(&self) -> String {
        match self.file() {
            Some(file) => format!(" in {}", file.display()),
            None => " (there is no configuration file)".to_owned(),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.entries
                    .iter()
                    .map(|(path, entry)| (path, (&entry.value, &entry.origin))),
            )
            .finish()
    }
}

fn cycle<'a>(path: impl Iterator<Item = &'a StoreConfig>, again: &'a StoreConfig) -> Error {
    let names: Vec<&str> = path.map(StoreConfig::name).chain([again.name()]).collect();
    let names = names.join(" -> ");
    let error = Error::new(
        ErrorKind::InvalidConfig,
        format!("the fallback stores form a cycle: {names}"),
    );
    again
        .origin()
        .attach(error)
        .with_hint("remove one of these `fallback_stores`")
}

/// Notes the values and origins at and below one top-level key.
fn record(
    key: &str,
    node: &Node,
    secrets: &[String],
    entries: &mut BTreeMap<String, Entry>,
    tables: &mut BTreeMap<String, Origin>,
) {
    let mut note = |path: &str, secret_path: &str, node: &Node| {
        if matches!(&node.content, Content::Table(_)) {
            tables.insert(path.to_owned(), node.origin.clone());
            return;
        }
        let value = node.to_value();
        let shown = redact_value(secret_path, &value, secrets);
        let entry = Entry {
            path: path.to_owned(),
            value: shown.to_string(),
            masked: shown != value,
            origin: node.origin.clone(),
        };
        entries.insert(path.to_owned(), entry);
    };
    let Content::Table(stores) = &node.content else {
        return note(key, key, node);
    };
    note(key, key, node);
    for (name, store) in stores {
        // Only what follows the store's name tells whether a value is secret.
        let prefix = join(key, name);
        store.visit(&prefix, &mut |path, node| {
            let option = path.get(prefix.len() + 1..).unwrap_or_default();
            note(path, option, node);
        });
    }
}
