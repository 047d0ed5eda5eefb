//! Finding configuration files, following `extend`, and putting the sources of settings together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Value;

use super::Config;
use super::Origin;
use super::env::{self, Environment};
use super::interpolate::{Missing, interpolate, references};
use super::overrides::ConfigOverrides;
use super::settings::{Settings, Unset, check_keys};
use super::tree::{Content, Merge, Node, Table, join, lift_store_options, merge, table_of};
use super::trust::require_trusted;
use super::{HIDDEN, is_secret_key};
use crate::error::{Error, ErrorKind, Result};
use crate::toml_features::{TOML_HINT, not_toml};

/// Loads a [`Config`]. Without further word: the process's environment, and the file found by walking up from the
/// working directory.
///
/// ```
/// use metaxy_store::config::{ConfigLoader, ConfigOverrides, Environment};
/// let config = ConfigLoader::new()
///     .without_file()
///     .with_environment(Environment::from_iter([("METAXY_PROJECT", "demo")]))
///     .with_overrides(ConfigOverrides::new().with_sync(false))
///     .load()?;
/// assert_eq!(config.project(), Some("demo"));
/// assert!(!config.sync());
/// # Ok::<(), metaxy_store::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct ConfigLoader {
    start_dir: Option<PathBuf>,
    file: File,
    environment: Option<Environment>,
    overrides: ConfigOverrides,
}

#[derive(Debug, Clone, Default)]
enum File {
    #[default]
    Discover,
    Explicit(PathBuf),
    None,
}

impl ConfigLoader {
    /// A loader with the process's environment and working directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads this file, relative to the start directory, instead of looking for one. It wins over `METAXY_CONFIG`.
    pub fn with_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = File::Explicit(path.into());
        self
    }

    /// Reads no file.
    pub fn without_file(mut self) -> Self {
        self.file = File::None;
        self
    }

    /// Starts from this directory instead of the working directory.
    pub fn with_start_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.start_dir = Some(directory.into());
        self
    }

    /// Reads these variables instead of those of the process.
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Adds explicit arguments, which win over the environment and files.
    pub fn with_overrides(mut self, overrides: ConfigOverrides) -> Self {
        self.overrides = overrides;
        self
    }

    /// Reads, merges and checks everything. That no file is found is no error.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] that names the key and the file or variable at fault, and for a file that was found and belongs to
    /// somebody else ([`require_trusted`](super::require_trusted)); [`ErrorKind::Io`] for a file
    /// that cannot be read.
    pub fn load(self) -> Result<Config> {
        let environment = self.environment.unwrap_or_else(Environment::process);
        let start_dir: Arc<Path> = absolute(self.start_dir.as_deref())?.into();
        let file = match self.file {
            File::Explicit(path) => Some(start_dir.join(path)),
            File::None => None,
            File::Discover => match environment.config_file() {
                Some(path) => Some(start_dir.join(path)),
                None => find_config(&start_dir, &environment)?,
            },
        };
        let (mut tree, files) = match file {
            Some(file) => read_chain(&file, &environment)?,
            None => (Table::new(), Vec::new()),
        };
        let mut variables = env::settings(&environment)?;
        lift_store_options(&mut variables)?;
        merge(&mut tree, variables, Merge::OverrideAnyCase);
        self.overrides.apply(&mut tree)?;

        check_keys(&mut tree)?;
        drop_incomplete_stores(&mut tree);
        let secrets = secrets_of(&tree, &environment);
        let unset = interpolate_tree(&mut tree, &environment)?;
        let settings = Settings::read(&tree, &start_dir, unset)?;
        Ok(Config::new(settings, &tree, files, secrets))
    }
}

fn absolute(directory: Option<&Path>) -> Result<PathBuf> {
    let directory = directory.unwrap_or(Path::new("."));
    // Not `std::path::absolute` alone: the parent directories of a link are not those of what it points to.
    directory.canonicalize().map_err(|error| {
        Error::new(
            ErrorKind::Io,
            format!("cannot open the directory {}: {error}", directory.display()),
        )
        .with_source(error)
    })
}

/// The nearest `metaxy.toml`, or `pyproject.toml` with settings below `[tool.metaxy]`, from the folder `start` upwards.
///
/// # Errors
/// [`ErrorKind::InvalidConfig`] if that file belongs to another user and is not [trusted](require_trusted), or if a `pyproject.toml` on
/// the way is no TOML.
pub fn find_config(start: &Path, environment: &Environment) -> Result<Option<PathBuf>> {
    let trusted = |file: PathBuf| require_trusted(&file, environment).map(|()| Some(file));
    for directory in start.ancestors() {
        let own = directory.join("metaxy.toml");
        if own.is_file() {
            return trusted(own);
        }
        let python = directory.join("pyproject.toml");
        if !python.is_file() {
            continue;
        }
        let settings = parse(&python).map(tool_table);
        if settings.is_err() && require_trusted(&python, environment).is_err() {
            // A stranger's, and not for us as far as one can tell.
            continue;
        }
        if settings?.is_some_and(|table| !table.is_empty()) {
            return trusted(python);
        }
    }
    Ok(None)
}

/// Reads a file and those it extends, one by one: the settings of all, and the files, the nearest first.
fn read_chain(file: &Path, environment: &Environment) -> Result<(Table, Vec<Arc<Path>>)> {
    let mut layers = Vec::new();
    let mut files: Vec<Arc<Path>> = Vec::new();
    let mut next = Some(file.to_path_buf());
    while let Some(path) = next {
        let path: Arc<Path> = path.canonicalize().map_or(path, |real| real).into();
        let named_by = files.last().map(Arc::clone);
        if files.contains(&path) {
            return Err(cycle(&files, &path));
        }
        let mut table = settings_of(&path).map_err(|error| match &named_by {
            Some(child) => error.with_context("extended by", child.display()),
            None => error,
        })?;
        let origin = Origin::File(Arc::clone(&path));
        next = match table.remove("extend") {
            None => None,
            Some(value) => Some(base_of(&path, value, &origin, environment)?),
        };
        let mut layer = table_of(table, &origin);
        lift_store_options(&mut layer)?;
        layers.push(layer);
        files.push(path);
    }
    let mut tree = Table::new();
    for layer in layers.into_iter().rev() {
        merge(&mut tree, layer, Merge::Extend);
    }
    Ok((tree, files))
}

/// The path that `extend` names.
fn base_of(
    file: &Path,
    value: Value,
    origin: &Origin,
    environment: &Environment,
) -> Result<PathBuf> {
    let Value::String(text) = value else {
        return Err(origin
            .invalid("extend", "must be the path of a file, as a string")
            .with_hint("a file extends one other, which may extend a third"));
    };
    let text = interpolate(&text, environment).map_err(|variable| {
        let (path, origin) = ("extend".to_owned(), origin.clone());
        Unset {
            variable,
            path,
            origin,
        }
        .error()
    })?;
    let path = file.parent().unwrap_or(Path::new("")).join(&text);
    if path.is_file() {
        return Ok(path);
    }
    Err(origin
        .invalid(
            "extend",
            format_args!("names {text:?}, and {} is not a file", path.display()),
        )
        .with_hint("the path is relative to the file that extends"))
}

fn cycle(files: &[Arc<Path>], again: &Path) -> Error {
    let names: Vec<String> = files
        .iter()
        .skip_while(|file| &***file != again)
        .map(|file| file.display().to_string())
        .chain([again.display().to_string()])
        .collect();
    Error::new(
        ErrorKind::InvalidConfig,
        format!(
            "configuration files extend each other: {}",
            names.join(" -> ")
        ),
    )
    .with_hint("remove one of the `extend` keys")
}

/// The settings in a file: all of it, or the table `[tool.metaxy]` of a `pyproject.toml`.
fn settings_of(path: &Path) -> Result<toml::Table> {
    let table = parse(path)?;
    if path
        .file_name()
        .is_some_and(|name| name == "pyproject.toml")
    {
        return tool_table(table).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidConfig,
                format!("{} has no table `[tool.metaxy]`", path.display()),
            )
            .with_hint("add one, or put the settings into a file `metaxy.toml`")
        });
    }
    Ok(table)
}

fn tool_table(mut table: toml::Table) -> Option<toml::Table> {
    let Some(Value::Table(mut tool)) = table.remove("tool") else {
        return None;
    };
    match tool.remove("metaxy") {
        Some(Value::Table(settings)) => Some(settings),
        _ => None,
    }
}

fn parse(path: &Path) -> Result<toml::Table> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let message = format!("cannot read the configuration {}: {error}", path.display());
        let made = Error::new(ErrorKind::Io, message).with_source(error);
        match path.is_dir() {
            true => made.with_hint("name a file, not a directory"),
            false => made.with_hint("check the path; `metaxy init` writes a configuration"),
        }
    })?;
    text.parse::<toml::Table>().map_err(|error| {
        // The error itself is left out: it quotes the line, which may hold a secret.
        let what = not_toml(&text, &error);
        Error::new(
            ErrorKind::InvalidConfig,
            format!("{} is {what}", path.display()),
        )
        .with_hint(TOML_HINT)
    })
}

/// A variable such as `METAXY_STORES__PROD__CONFIG__…` may be meant for another project: a store that only variables
/// speak of, and that has no `type`, is left out with a warning, as in the reference.
fn drop_incomplete_stores(tree: &mut Table) {
    let Some(Node {
        content: Content::Table(stores),
        ..
    }) = tree.get_mut("stores")
    else {
        return;
    };
    stores.retain(|name, store| {
        let incomplete =
            matches!(&store.content, Content::Table(table) if !table.contains_key("type"));
        let only_variables = !store.any_origin(|origin| !matches!(origin, Origin::Env(_)));
        if incomplete && only_variables {
            tracing::warn!(
                store = %name,
                "ignored: environment variables give options of this store, but nothing gives its type"
            );
        }
        !(incomplete && only_variables)
    });
}

/// Replaces references to environment variables. One that is not set is an error at the top level. In a store it is an
/// error once that store is asked for: a laptop need not have the variables of the production store.
fn interpolate_tree(
    tree: &mut Table,
    environment: &Environment,
) -> Result<BTreeMap<String, Vec<Unset>>> {
    let mut in_stores: BTreeMap<String, Vec<Unset>> = BTreeMap::new();
    let mut elsewhere = Vec::new();
    for (key, node) in tree {
        match &mut node.content {
            Content::Table(stores) if key == "stores" => {
                for (name, store) in stores {
                    let unset = in_stores.entry(name.clone()).or_default();
                    store.interpolate(&join(key, name), environment, &mut collect(unset));
                }
            }
            _ => node.interpolate(key, environment, &mut collect(&mut elsewhere)),
        }
    }
    match elsewhere.first() {
        Some(unset) => Err(unset.error()),
        None => Ok(in_stores),
    }
}

/// What is shown nowhere: what the variables hold that files refer to and whose names are those of secrets, and texts that stand where
/// secrets stand.
fn secrets_of(tree: &Table, environment: &Environment) -> Vec<String> {
    let mut secrets = Vec::new();
    for (key, node) in tree {
        node.strings(key, &mut |name, text| {
            let names = references(text).filter(|name| is_secret_key(name));
            let values = names.filter_map(|name| environment.get(name));
            secrets.extend(values.filter(|value| !value.is_empty()).map(str::to_owned));
            // A name alone: a table such as `storage_options` holds more than secrets.
            let long = text.len() >= HIDDEN && references(text).next().is_none();
            if long && is_secret_key(name) {
                secrets.push(text.to_owned());
            }
        });
    }
    // Where one holds another, the longer one goes first.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.dedup();
    secrets
}

fn collect(unset: &mut Vec<Unset>) -> impl FnMut(&str, Missing, &Origin) {
    |path, variable, origin| {
        unset.push(Unset {
            variable,
            path: path.to_owned(),
            origin: origin.clone(),
        });
    }
}
