//! The configuration, the graph and the store that a command works on.

use std::collections::BTreeSet;
use std::path::Path;

use glob::Pattern;
use metaxy_store::backend::registry::Registry;
use metaxy_store::config::{
    CommonStoreOptions, ConfigLoader, ConfigOverrides, Entry, Environment, Origin, StoreConfig,
    find_config, require_trusted,
};
use metaxy_store::error::nearest;
use metaxy_store::system::LockFile;
use metaxy_store::toml_features::read_features;
use metaxy_store::{
    Access, Config, Error, ErrorKind, Expr, FeatureGraph, FeatureKey, MetadataStore, Result,
};

use crate::Features;
use crate::args::Global;
use crate::screen::{hide_secrets_of, program, shell_word};

/// A project as configured, with nothing opened yet.
pub(crate) struct Project {
    pub(crate) config: Config,
    store: Option<String>,
    /// The arguments that led here, for a shell.
    arguments: String,
    /// The features of the program itself.
    own: Option<FeatureGraph>,
}

/// The variables of this process and, where they set none of that name, those of the file `.env`: as the Python package does, of that in
/// the working directory, and else of that beside the configuration.
fn environment(config_file: Option<&Path>) -> Result<Environment> {
    let process = Environment::process();
    let Ok(here) = std::env::current_dir() else {
        return Ok(process);
    };
    let variable = process.get("METAXY_CONFIG").filter(|file| !file.is_empty());
    let named = config_file.or(variable.map(Path::new));
    let config = match named {
        Some(file) => Some(here.join(file)),
        None => find_config(&here, &process)?,
    };
    let beside = config.as_deref().and_then(Path::parent).map(Path::to_owned);
    // What lies beside a file that was named was named with it.
    let believed = beside.clone().filter(|_| named.is_some());
    let folders = [Some(here), beside].into_iter().flatten();
    let mut files = folders.map(|folder| folder.join(".env"));
    let Some(file) = files.find(|file| file.is_file()) else {
        return Ok(process);
    };
    if file.parent() != believed.as_deref() {
        require_trusted(&file, &process)?;
    }
    let unreadable = |error: dotenvy::Error| {
        // Its own message would show the line, and with it what may be a secret.
        let why = match error {
            dotenvy::Error::Io(error) => format!("cannot read '{}': {error}", file.display()),
            _ => format!("a line of '{}' is no variable", file.display()),
        };
        Error::new(ErrorKind::InvalidConfig, why)
            .with_hint("write lines such as NAME=value or NAME='a value'")
    };
    let variables = dotenvy::from_path_iter(&file).map_err(unreadable)?;
    let variables = variables.map(|variable| variable.map_err(unreadable));
    Ok(process.with_defaults(variables.collect::<Result<Vec<_>>>()?))
}

impl Project {
    /// Reads the configuration.
    pub(crate) fn load(global: Global) -> Result<Self> {
        let mut overrides = ConfigOverrides::new();
        let arguments = arguments(&global);
        if let Some(project) = global.project {
            overrides = overrides.with_project(project);
        }
        let environment = environment(global.config_file.as_deref())?;
        let mut loader = ConfigLoader::new()
            .with_overrides(overrides)
            .with_environment(environment);
        if let Some(file) = global.config_file {
            loader = loader.with_file(file);
        }
        let config = loader.load()?;
        hide_secrets_of(&config);
        Ok(Self {
            config,
            store: global.store,
            arguments,
            own: None,
        })
    }

    /// Adds the features of the program itself.
    pub(crate) fn with_features(mut self, features: Option<Features>) -> Result<Self> {
        if let Some(features) = features {
            let length = self.config.hash_truncation_length();
            self.own = Some(features()?.with_truncation_length(length)?);
        }
        Ok(self)
    }

    /// The project of a configuration, with its default store.
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            store: None,
            arguments: String::new(),
            own: None,
        }
    }

    /// How to run this program again on the same project and store.
    pub(crate) fn command(&self) -> String {
        format!("{}{}", program(), self.arguments)
    }

    /// Every setting that has a value, as this run takes it: `--store` too.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.config.entries().cloned().collect();
        if let Some(store) = &self.store
            && let Some(entry) = entries.iter_mut().find(|entry| entry.path == "store")
        {
            entry.value = toml::Value::from(store.as_str()).to_string();
            entry.origin = Origin::Argument;
        }
        for (beside_type, below_config) in self.config.stores().flat_map(engine_settings) {
            let entry = entries.iter_mut().find(|entry| entry.path == beside_type);
            if let Some(entry) = entry {
                entry.path = below_config;
            }
        }
        entries
    }

    /// The project that an argument names.
    pub(crate) fn asked_for(&self) -> Option<&str> {
        let origin = self.config.origin("project");
        let argument = origin.is_some_and(|origin| *origin == Origin::Argument);
        self.config.project().filter(|_| argument)
    }

    /// The name of the store.
    pub(crate) fn store_name(&self) -> &str {
        self.store
            .as_deref()
            .unwrap_or_else(|| self.config.default_store())
    }

    /// The graph that the program itself and the project's feature files define; `None` if there are neither.
    pub(crate) fn defined_graph(&self) -> Result<Option<FeatureGraph>> {
        if self.config.features().is_empty() {
            return match &self.own {
                Some(own) if own.is_empty() => Err(no_own_features()),
                own => Ok(own.clone()),
            };
        }
        let files = self.config.feature_files()?;
        if files.is_empty() {
            let globs: Vec<String> = self
                .config
                .features()
                .iter()
                .map(|glob| format!("{:?}", glob.pattern()))
                .collect();
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                format!("no feature file matches `features` = {}", globs.join(", ")),
            )
            .with_hint("write one, or remove `features` to use the graph that was last pushed to the store"));
        }
        let base = self.folder().unwrap_or(Path::new(""));
        let files = files
            .iter()
            .map(|file| Pattern::escape(&file.to_string_lossy()));
        let definitions = read_features(base, files, self.config.project())?;
        let mut graph = match &self.own {
            Some(own) => own.clone(),
            None => self.empty_graph()?,
        };
        for definition in &definitions {
            let key = definition.key();
            if self.own.as_ref().is_some_and(|own| own.contains(key)) {
                return Err(Error::new(
                    ErrorKind::InvalidDefinition,
                    format!("feature `{key}` is defined by this program and by a feature file"),
                )
                .with_hint("remove one of them"));
            }
        }
        graph.add_all(definitions)?;
        Ok(Some(graph))
    }

    /// The defined graph with what its lock file adds; `None` if the project names no feature files.
    pub(crate) fn locked_graph(&self) -> Result<Option<FeatureGraph>> {
        let graph = self.defined_graph()?;
        graph.map(|graph| self.with_locked(graph)).transpose()
    }

    /// The store with the project's graph, and with what other projects have pushed in place of external features, as far as the
    /// configuration (`sync`, `extra_features`, `locked`) wants it.
    pub(crate) async fn open(&self, access: Access) -> Result<MetadataStore> {
        self.open_named(None, access).await
    }

    /// As [`Project::open`], another store than the project's if one is named.
    pub(crate) async fn open_named(
        &self,
        name: Option<&str>,
        access: Access,
    ) -> Result<MetadataStore> {
        let store = self.unsynced(name.unwrap_or_else(|| self.store_name()), access);
        let store = store.await?;
        let synced = store.sync_from_config(&self.config).await?;
        Ok(store.with_graph(synced.graph))
    }

    /// The store with the project's graph: the defined one with what its lock file adds, or where no feature files are named the
    /// one that was last pushed to the store or to one it falls back to.
    pub(crate) async fn open_unsynced(&self, access: Access) -> Result<MetadataStore> {
        self.unsynced(self.store_name(), access).await
    }

    /// Another store, to read what it has of the features of `store`.
    pub(crate) fn sibling(&self, name: &str, store: &MetadataStore) -> Result<MetadataStore> {
        MetadataStore::from_config(&self.config, Some(name), Access::Read, store.graph())
    }

    async fn unsynced(&self, name: &str, access: Access) -> Result<MetadataStore> {
        if let Some(graph) = self.locked_graph()? {
            return MetadataStore::from_config(&self.config, Some(name), access, &graph);
        }
        let store = self.bare(name, access)?;
        if let Some(graph) = store.load_graph(None, self.config.project()).await? {
            tracing::info!(store = name, "the graph is the one that was last pushed");
            return Ok(store.with_graph(graph));
        }
        let snapshots = store.snapshots(None).await?.into_iter();
        let pushed = snapshots.map(|snapshot| snapshot.project).collect();
        Err(self.no_features(&store, &pushed))
    }

    /// The store without features.
    pub(crate) fn open_bare(&self, access: Access) -> Result<MetadataStore> {
        self.bare(self.store_name(), access)
    }

    fn bare(&self, name: &str, access: Access) -> Result<MetadataStore> {
        MetadataStore::from_config(&self.config, Some(name), access, &self.empty_graph()?)
    }

    /// The graph with the external features of the lock file, if there is one.
    fn with_locked(&self, graph: FeatureGraph) -> Result<FeatureGraph> {
        let Some(path) = self.config.lock_file() else {
            return Ok(graph);
        };
        if let Some(locked) = LockFile::read(&path)? {
            return locked.add_to(&graph);
        }
        let origin = self.config.origin("metaxy_lock_path");
        if origin.is_some_and(|origin| *origin != Origin::Default) {
            tracing::warn!(file = %path.display(), "there is no lock file at `metaxy_lock_path`");
        }
        Ok(graph)
    }

    /// The folder of the configuration file.
    fn folder(&self) -> Option<&Path> {
        self.config.file().and_then(Path::parent)
    }

    fn empty_graph(&self) -> Result<FeatureGraph> {
        FeatureGraph::new().with_truncation_length(self.config.hash_truncation_length())
    }

    /// `pushed`: the projects of which a graph was pushed.
    fn no_features(&self, store: &MetadataStore, pushed: &BTreeSet<String>) -> Error {
        let of = match self.config.project() {
            Some(project) => format!(" of project {project:?}"),
            None => String::new(),
        };
        let projects = || pushed.iter().map(String::as_str);
        let near = self
            .config
            .project()
            .and_then(|project| nearest(project, projects()));
        let error = Error::new(
            ErrorKind::InvalidConfig,
            format!(
                "there are no features: the configuration names no feature files, and no graph{of} was pushed to store {:?}",
                store.name()
            ),
        );
        error.with_hint(match (near, pushed.is_empty()) {
            (Some(near), _) => format!("did you mean the project {near:?}?"),
            (None, false) => format!(
                "name the files, as in features = [\"features/*.toml\"]; graphs were pushed of {}",
                projects().collect::<Vec<_>>().join(", ")
            ),
            (None, true) => "name the files, as in features = [\"features/*.toml\"], or run `metaxy push` where they are".to_owned(),
        })
    }
}

/// The settings of a store's engine among its options: their paths as if they were options of the store, and as they are written.
fn engine_settings(store: &StoreConfig) -> Vec<(String, String)> {
    let descriptor = Registry::linked().and_then(|registry| store.descriptor(registry));
    let Ok(descriptor) = descriptor else {
        return Vec::new();
    };
    let options = || descriptor.options.iter().chain(CommonStoreOptions::DOCS);
    if !options().any(|option| option.name == "config") {
        return Vec::new();
    }
    let settings = store
        .below_config()
        .filter(|name| options().all(|option| option.name != *name));
    let store = store.name();
    settings
        .map(|name| {
            (
                format!("stores.{store}.{name}"),
                format!("stores.{store}.config.{name}"),
            )
        })
        .collect()
}

fn no_own_features() -> Error {
    Error::new(
        ErrorKind::InvalidDefinition,
        "this program declares no features, and the configuration names no feature files",
    )
    .with_hint("features of a library that nothing names are not linked: write `use the_library as _;` in the program")
}

fn arguments(global: &Global) -> String {
    let file = global.config_file.as_ref();
    let file = file.map(|file| file.display().to_string());
    let given = [
        ("--config-file", &file),
        ("--store", &global.store),
        ("--project", &global.project),
    ];
    let given = given.iter().filter_map(|(name, value)| {
        let value = value.as_ref()?;
        Some(format!(" {name} {}", shell_word(value)))
    });
    given.collect()
}

/// The feature of that name in the store's graph.
pub(crate) fn feature(store: &MetadataStore, name: &str) -> Result<FeatureKey> {
    let key = FeatureKey::new(name)?;
    store.graph().require(&key)?;
    Ok(key)
}

/// Filters from SQL text.
pub(crate) fn filters(texts: &[String]) -> Result<Vec<Expr>> {
    texts.iter().map(|text| Expr::parse(text)).collect()
}
