//! Which backends this build has, by the names that a configuration gives them (`design.md`, "Registration").

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::backend::{Access, Backend};
use crate::error::{Error, ErrorKind, Result, nearest};
use crate::options::{CommonStoreOptions, OptionDoc, StoreOptions};

/// Submits a [`Descriptor`]: `metaxy_core::backend::registry::submit! { DESCRIPTOR }`, outside of any function. A crate that
/// nothing names is not linked, and its submission is lost: users write `use their_crate as _;`.
pub use inventory::submit;

/// The import paths under which the reference knows its Delta store, old and new (`semantics.md §9`).
pub const DELTA_PATHS: &[&str] = &[
    "metaxy.metadata_store.delta.DeltaMetadataStore",
    "metaxy.ext.metadata_stores.delta.DeltaMetadataStore",
    "metaxy.ext.polars.DeltaMetadataStore",
    "metaxy.ext.polars.handlers.delta.DeltaMetadataStore",
];

/// The import paths under which the reference knows its DuckDB store.
pub const DUCKDB_PATHS: &[&str] = &[
    "metaxy.metadata_store.duckdb.DuckDBMetadataStore",
    "metaxy.ext.metadata_stores.duckdb.DuckDBMetadataStore",
    "metaxy.ext.duckdb.DuckDBMetadataStore",
];

/// The import paths under which the reference knows its PostgreSQL store.
pub const POSTGRES_PATHS: &[&str] = &[
    "metaxy.ext.metadata_stores.postgresql.PostgreSQLMetadataStore",
    "metaxy.ext.postgresql.PostgreSQLMetadataStore",
];

/// The project's own backends: the short name, which is that of the Cargo feature too, the type path, and the reference's paths.
const OWN: &[Known] = &[
    Known::new("delta", "metaxy_delta::DeltaBackend", DELTA_PATHS),
    Known::new("duckdb", "metaxy_duckdb::DuckDbBackend", DUCKDB_PATHS),
    Known::new(
        "postgres",
        "metaxy_postgres::PostgresBackend",
        POSTGRES_PATHS,
    ),
    Known::new("sqlite", "metaxy_sqlite::SqliteBackend", &[]),
];

/// A backend of this project, whether it is in this build or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Known {
    /// Its short name.
    pub name: &'static str,
    /// Its Rust path.
    pub type_path: &'static str,
    /// The reference's paths that it answers to.
    pub aliases: &'static [&'static str],
    /// The Cargo feature of `metaxy-store` and `metaxy-cli` that brings it.
    pub cargo_feature: &'static str,
}

impl Known {
    const fn new(
        name: &'static str,
        type_path: &'static str,
        aliases: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            type_path,
            aliases,
            cargo_feature: name,
        }
    }

    /// Whether `name`, which may be any path in its crate, stands for it.
    fn answers_to(&self, name: &str) -> bool {
        let in_crate = || {
            let (krate, _) = self.type_path.split_once("::").unwrap_or_default();
            let rest = name.strip_prefix(krate);
            rest.is_some_and(|rest| rest.starts_with("::"))
        };
        name == self.name || self.aliases.contains(&name) || in_crate()
    }
}

/// Stores of the Python package that have no counterpart here.
const FOREIGN: &[&str] = &["bigquery", "clickhouse", "ducklake", "iceberg", "lancedb"];

/// What [`Descriptor::engine`] says of a backend whose plans run on Polars.
pub const POLARS: &str = "polars";

inventory::collect!(Descriptor);

/// Opens a store.
pub type OpenFn = fn(OpenRequest) -> Result<Arc<dyn Backend>>;

/// What a backend's crate says of itself.
///
/// ```
/// use metaxy_core::backend::registry::{Descriptor, OpenRequest, Registry};
/// # use {metaxy_core::backend::Backend, metaxy_core::Result, std::sync::Arc};
/// # fn open(_: OpenRequest) -> Result<Arc<dyn Backend>> { unimplemented!() }
/// const DESCRIPTOR: Descriptor = Descriptor::new("mine", "my_crate::MyStore", open)
///     .with_summary("keeps samples in a shoe box");
/// let registry = Registry::empty().with(DESCRIPTOR)?;
/// assert_eq!(registry.resolve("my_crate::MyStore")?.name, "mine");
/// # Ok::<(), metaxy_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Descriptor {
    /// Its short name, such as `sqlite`, which a configuration may use as `type`.
    pub name: &'static str,
    /// Its Rust path, such as `metaxy_sqlite::SqliteStore`; the first part is the crate.
    pub type_path: &'static str,
    /// Other paths it answers to, such as those of the reference.
    pub aliases: &'static [&'static str],
    /// The Cargo feature of `metaxy-store` that brings it; empty for crates of third parties.
    pub cargo_feature: &'static str,
    /// One line about it, for listings.
    pub summary: &'static str,
    /// Opens a store of this type.
    pub open: OpenFn,
    /// The engine that runs its plans, if it has none of its own: then `versioning_engine` changes nothing.
    pub engine: Option<&'static str>,
    /// The options that a configuration may give it, beside [those of every store](CommonStoreOptions::DOCS).
    pub options: &'static [OptionDoc],
}

impl Descriptor {
    /// A descriptor with only what is required.
    #[must_use]
    pub const fn new(name: &'static str, type_path: &'static str, open: OpenFn) -> Self {
        Self {
            name,
            type_path,
            aliases: &[],
            cargo_feature: "",
            summary: "",
            open,
            engine: None,
            options: &[],
        }
    }

    /// Sets the other paths.
    #[must_use]
    pub const fn with_aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Sets the Cargo feature.
    #[must_use]
    pub const fn with_cargo_feature(mut self, feature: &'static str) -> Self {
        self.cargo_feature = feature;
        self
    }

    /// Sets the summary.
    #[must_use]
    pub const fn with_summary(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }

    /// Sets the engine that runs its plans.
    #[must_use]
    pub const fn with_engine(mut self, engine: &'static str) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Sets the options that a configuration may give it, for the reference of the configuration.
    #[must_use]
    pub const fn with_options(mut self, options: &'static [OptionDoc]) -> Self {
        self.options = options;
        self
    }

    /// The crate, from the type path.
    fn crate_name(&self) -> &'static str {
        self.type_path.split("::").next().unwrap_or(self.type_path)
    }

    /// Whether both are the same registration, met twice.
    fn same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.type_path == other.type_path
            && self.aliases == other.aliases
            && std::ptr::fn_addr_eq(self.open, other.open)
    }
}

/// What a backend gets to open a store.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenRequest {
    /// The name of the store, for messages.
    pub store_name: String,
    /// The backend's own options. It takes all of them and calls [`StoreOptions::finish`].
    pub options: StoreOptions,
    /// Whether the store will be written to.
    pub access: Access,
    /// The options that every store takes.
    pub common: CommonStoreOptions,
    /// The directory of the configuration file. Relative paths in options are *not* relative to it but to the working
    /// directory, as in the reference.
    pub base_dir: Option<PathBuf>,
}

impl OpenRequest {
    /// A request with the options of the store that they name.
    #[must_use]
    pub fn new(options: StoreOptions, access: Access) -> Self {
        Self {
            store_name: options.store().to_owned(),
            options,
            access,
            common: CommonStoreOptions::default(),
            base_dir: None,
        }
    }

    /// Sets the common options.
    #[must_use]
    pub fn with_common(mut self, common: CommonStoreOptions) -> Self {
        self.common = common;
        self
    }

    /// Sets the directory of the configuration file.
    #[must_use]
    pub fn with_base_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.base_dir = Some(directory.into());
        self
    }

    /// Whether missing tables are to be created: yes, unless somebody said no (`semantics.md §10`).
    #[must_use]
    pub fn auto_create_tables(&self) -> bool {
        self.common.auto_create_tables.unwrap_or(true)
    }
}

/// Backends by every name they answer to.
#[derive(Debug, Clone, Default)]
pub struct Registry(BTreeMap<&'static str, Descriptor>);

impl Registry {
    /// No backends.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// All backends that are linked into this program, collected once.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownBackend`] when two of them claim one name.
    pub fn linked() -> Result<&'static Self> {
        static LINKED: OnceLock<Result<Registry, Box<Clash>>> = OnceLock::new();
        LINKED
            .get_or_init(|| {
                // The order of submissions is that of the linker; sorted, a clash reads the same each time.
                let mut all: Vec<Descriptor> = inventory::iter::<Descriptor>().copied().collect();
                all.sort_by_key(|descriptor| (descriptor.type_path, descriptor.name));
                all.into_iter().try_fold(Self::empty(), Self::claim)
            })
            .as_ref()
            .map_err(|clash| clash.error())
    }

    /// This registry and one backend more. A registration that is there already is no error.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownBackend`] that names both crates when another backend has one of its names.
    pub fn with(self, descriptor: Descriptor) -> Result<Self> {
        self.claim(descriptor).map_err(|clash| clash.error())
    }

    /// The backend that answers to `type_path`: a short name, a Rust path or an import path of the reference, where `:` may
    /// stand before the class as in Python.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownBackend`] that lists what there is and says which Cargo feature to enable, or which name was
    /// nearly hit.
    pub fn resolve(&self, type_path: &str) -> Result<&Descriptor> {
        let name = type_path.trim();
        self.0
            .get(name)
            .or_else(|| self.0.get(dotted(name).as_str()))
            .ok_or_else(|| self.unknown(name))
    }

    /// Opens a store with the backend that answers to `type_path`.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve), and whatever the backend meets; the error names the store.
    pub fn open(&self, type_path: &str, request: OpenRequest) -> Result<Arc<dyn Backend>> {
        let store = request.store_name.clone();
        self.resolve(type_path)
            .and_then(|descriptor| (descriptor.open)(request))
            .map_err(|error| error.with_context("store", store))
    }

    /// The backends, each once, by short name.
    pub fn iter(&self) -> impl Iterator<Item = &Descriptor> {
        let by_path: BTreeMap<_, _> = self
            .0
            .values()
            .map(|descriptor| ((descriptor.name, descriptor.type_path), descriptor))
            .collect();
        by_path.into_values()
    }

    /// The backends of this project that are not in this build, by short name.
    pub fn absent(&self) -> impl Iterator<Item = Known> {
        OWN.iter()
            .copied()
            .filter(|known| !self.0.contains_key(known.type_path))
    }

    fn claim(mut self, descriptor: Descriptor) -> Result<Self, Box<Clash>> {
        let names: BTreeSet<&'static str> = [descriptor.name, descriptor.type_path]
            .into_iter()
            .chain(descriptor.aliases.iter().copied())
            .collect();
        for name in names {
            match self.0.get(name) {
                Some(first) if !first.same(&descriptor) => {
                    return Err(Box::new(Clash {
                        name,
                        first: *first,
                        second: descriptor,
                    }));
                }
                _ => self.0.insert(name, descriptor),
            };
        }
        Ok(self)
    }

    fn unknown(&self, name: &str) -> Error {
        let registered: Vec<String> = self
            .iter()
            .map(|descriptor| format!("{} ({})", descriptor.name, descriptor.type_path))
            .collect();
        let has = match registered.as_slice() {
            [] => "none at all".to_owned(),
            list => list.join(", "),
        };
        let error = Error::new(
            ErrorKind::UnknownBackend,
            format!("store type `{name}` is not in this build; it has: {has}"),
        );
        let known = self.0.keys().copied();
        error.with_hint(if let Some(feature) = own_feature(name) {
            format!("enable the Cargo feature `{feature}` of metaxy-store, and build again")
        } else if name.starts_with("metaxy.") && is_foreign(name) {
            "this store of the Python package has no counterpart here".to_owned()
        } else if let Some(near) = nearest(name, known) {
            format!("did you mean `{near}`?")
        } else if let Some(near) = nearest(name, OWN.iter().map(|known| known.name)) {
            format!("did you mean `{near}`? It needs the Cargo feature `{near}` of metaxy-store")
        } else {
            "a backend of another crate needs `use that_crate as _;` in the program".to_owned()
        })
    }
}

/// Two backends that claim one name.
#[derive(Debug)]
struct Clash {
    name: &'static str,
    first: Descriptor,
    second: Descriptor,
}

impl Clash {
    fn error(&self) -> Error {
        let Self {
            name,
            first,
            second,
        } = self;
        Error::new(
            ErrorKind::UnknownBackend,
            format!("two backends claim the store type `{name}`: {first} and {second}"),
        )
        .with_hint("remove one of the two crates, or all but one version of it")
    }
}

impl fmt::Display for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` of the crate `{}`",
            self.type_path,
            self.crate_name()
        )
    }
}

/// `package.module:Class` as `package.module.Class`; Rust paths are left alone.
fn dotted(name: &str) -> String {
    if name.contains("::") {
        name.to_owned()
    } else {
        name.replacen(':', ".", 1)
    }
}

/// The Cargo feature of one of the project's own backends.
fn own_feature(name: &str) -> Option<&'static str> {
    let name = dotted(name);
    let known = OWN.iter().find(|known| known.answers_to(&name));
    known.map(|known| known.cargo_feature)
}

fn is_foreign(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    FOREIGN.iter().any(|part| lower.contains(part))
}
