//! The options of a store, and how a backend reads its own. A [`StoreOptions`] comes from a configuration, or is made by a program.

mod common;
mod doc;
mod origin;
mod redact;
pub mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use toml::Value;

pub use common::{CommonStoreOptions, FallbackBy, VersioningEngine};
pub use doc::{LOCK_TIMEOUT, OptionDoc, REQUIRED, TABLE_PREFIX};
pub use origin::Origin;
pub use redact::{HIDDEN, MASK, is_secret_key, redact};

use value::{as_written, shown};

use crate::error::{Error, ErrorKind, Result, nearest};

/// What an option is called that holds settings of the store's engine.
const ENGINE_SETTINGS: &str = "config";

/// When a write to a disk of this machine is on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Synchronous {
    /// Before it is acknowledged: it survives a power failure.
    #[default]
    Full,
    /// Later. What a power failure may cost then is the store's to say.
    Normal,
}

/// The options of one store, taken out one by one by the backend that opens it.
///
/// Each reader takes its option out and remembers the name; [`finish`](Self::finish) then refuses what is left. Text that
/// spells the wanted type is accepted (`"30"`, `"true"`, a list or table as JSON), because environment variables and
/// `${NAME}` give nothing but text. Errors name the store, the option, what was expected and found, and who gave it; they
/// never show secrets, nor does `Debug`.
///
/// ```
/// use metaxy_core::options::StoreOptions;
/// let table = toml::toml! { database = "dev.db" busy_timeout = "5s" };
/// let mut options = StoreOptions::new("dev", table);
/// assert_eq!(options.string("database")?, "dev.db");
/// assert_eq!(options.opt_duration("busy_timeout")?, Some(std::time::Duration::from_secs(5)));
/// options.finish()?;
/// # Ok::<(), metaxy_core::Error>(())
/// ```
#[derive(Clone)]
pub struct StoreOptions {
    store: String,
    left: BTreeMap<String, (Value, Origin)>,
    known: BTreeSet<String>,
    origins: BTreeMap<String, Origin>,
    /// The options that stand below `config`, and not beside `type`.
    below_config: BTreeSet<String>,
}

impl StoreOptions {
    /// Options given by the program.
    #[must_use]
    pub fn new(store: impl Into<String>, options: toml::Table) -> Self {
        let options = options
            .into_iter()
            .map(|(key, value)| (key, (value, Origin::Argument)));
        Self::from_parts(&store.into(), options.collect())
    }

    /// Options that are known with who gave each.
    #[must_use]
    pub fn from_parts(store: &str, options: BTreeMap<String, (Value, Origin)>) -> Self {
        Self {
            store: store.to_owned(),
            origins: options
                .iter()
                .map(|(name, (_, origin))| (name.clone(), origin.clone()))
                .collect(),
            left: options,
            known: BTreeSet::new(),
            below_config: BTreeSet::new(),
        }
    }

    /// Says which options stand below `config`.
    #[must_use]
    pub fn with_below_config(mut self, names: impl Iterator<Item = String>) -> Self {
        self.below_config = names.collect();
        self
    }

    /// The name of the store.
    #[must_use]
    pub fn store(&self) -> &str {
        &self.store
    }

    /// Who gave an option, taken out or not; [`Origin::Default`] for one that nobody gave.
    #[must_use]
    pub fn origin(&self, option: &str) -> &Origin {
        self.origins.get(option).unwrap_or(&Origin::Default)
    }

    /// A string that must be given.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when it is missing or not a string.
    pub fn string(&mut self, option: &str) -> Result<String> {
        match self.opt_string(option)? {
            Some(text) => Ok(text),
            None => Err(self.missing(option)),
        }
    }

    /// A string.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when it is not a string.
    pub fn opt_string(&mut self, option: &str) -> Result<Option<String>> {
        self.read(option, "a string", |value| match value {
            Value::String(text) => Ok(text),
            other => Err(other),
        })
    }

    /// A boolean.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when it is not a boolean.
    pub fn opt_bool(&mut self, option: &str) -> Result<Option<bool>> {
        self.read(option, "a boolean", |v| value::boolean(&v).ok_or(v))
    }

    /// A whole number, zero or more.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when it is not a whole number, or negative.
    pub fn opt_u64(&mut self, option: &str) -> Result<Option<u64>> {
        self.read(option, "a whole number, zero or more", |v| {
            value::unsigned(&v).ok_or(v)
        })
    }

    /// A duration: a number of seconds, or text with a unit (`us`, `ms`, `s`, `m`, `h`, `d`).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when it is not a duration, or negative.
    pub fn opt_duration(&mut self, option: &str) -> Result<Option<Duration>> {
        self.read(
            option,
            "a duration (a number of seconds, or text such as \"30s\" or \"500ms\")",
            |v| value::duration(&v).ok_or(v),
        )
    }

    /// One of several words.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] that lists the words when it is none of them.
    pub fn opt_choice<'c>(&mut self, option: &str, choices: &[&'c str]) -> Result<Option<&'c str>> {
        let Some(text) = self.opt_string(option)? else {
            return Ok(None);
        };
        if let Some(choice) = choices.iter().copied().find(|choice| *choice == text) {
            return Ok(Some(choice));
        }
        let error = self.invalid(
            option,
            format_args!("must be one of {}, found {text:?}", choices.join(", ")),
        );
        Err(match nearest(&text, choices.iter().copied()) {
            Some(near) => error.with_hint(format!("did you mean {near:?}?")),
            None => error.with_hint(format!(
                "write one of them, in quotes: {option} = {:?}",
                choices.first().unwrap_or(&"")
            )),
        })
    }

    /// The option `synchronous`: `full` or `normal`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when it is neither.
    pub fn opt_synchronous(&mut self) -> Result<Option<Synchronous>> {
        let choice = self.opt_choice("synchronous", &["full", "normal"])?;
        Ok(choice.map(|choice| match choice {
            "normal" => Synchronous::Normal,
            _ => Synchronous::Full,
        }))
    }

    /// A list of strings; a string that is no JSON array is a list of one.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when it is not a list, or holds something else.
    pub fn opt_string_list(&mut self, option: &str) -> Result<Option<Vec<String>>> {
        self.read(option, "a list of strings", value::strings)
    }

    /// A table.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when it is not a table.
    pub fn opt_table(&mut self, option: &str) -> Result<Option<toml::Table>> {
        self.read(option, "a table", value::table)
    }

    /// A table of strings. Numbers and booleans in it are taken as their text.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when it is not a table, or holds lists or tables.
    pub fn opt_string_map(&mut self, option: &str) -> Result<Option<BTreeMap<String, String>>> {
        let Some(table) = self.opt_table(option)? else {
            return Ok(None);
        };
        value::texts(table).map(Some).map_err(|(key, found)| {
            self.invalid(
                option,
                format_args!("must hold strings only; `{key}` is {}", value::kind(&found)),
            )
            .with_hint(format!("write it as in: {option} = {{ {key} = \"…\" }}"))
        })
    }

    /// The option as it is, for shapes that no other reader covers.
    pub fn opt_value(&mut self, option: &str) -> Option<Value> {
        self.known.insert(option.to_owned());
        self.left.remove(option).map(|(value, _)| value)
    }

    /// The settings of an engine, for a store that takes them as an option called `config`: what that option holds, and
    /// whatever stands below the `config` beside `type` and is no option of the store. So `config = { threads = 4 }` beside
    /// `type` means what it says. Call it after all other options are taken.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when `config` is not a table, and for a setting that stands in both places.
    pub fn engine_settings(&mut self) -> Result<toml::Table> {
        let mut settings = self.opt_table(ENGINE_SETTINGS)?.unwrap_or_default();
        for name in std::mem::take(&mut self.below_config) {
            let Some((value, _)) = self.left.remove(&name) else {
                continue;
            };
            if settings.insert(name.clone(), value).is_some() {
                return Err(self
                    .invalid(
                        &name,
                        "is given twice: below `config`, and below its `config`",
                    )
                    .with_hint("remove one of the two"));
            }
        }
        Ok(settings)
    }

    /// Accepts options of the reference that have no meaning for this backend.
    pub fn ignore(&mut self, options: &[&str]) {
        for option in options {
            if self.opt_value(option).is_some() {
                tracing::debug!(store = %self.store, option, "option has no meaning here; ignored");
            }
        }
    }

    /// An error about one option; `problem` continues the sentence "option `…` of store `…` ". For rules beyond types,
    /// such as two options that exclude each other. The problem must not quote a secret.
    #[must_use]
    pub fn invalid(&self, option: &str, problem: impl fmt::Display) -> Error {
        let error = Error::new(
            ErrorKind::InvalidConfig,
            format!("option `{option}` of store `{}` {problem}", self.store),
        );
        self.origin(option).attach(error)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for options that nobody took: it names them, the nearest known one, or all known.
    pub fn finish(self) -> Result<()> {
        let Some((first, (_, origin))) = self.left.first_key_value() else {
            return Ok(());
        };
        let names: Vec<String> = self.left.keys().map(|name| format!("`{name}`")).collect();
        let error = origin.attach(Error::new(
            ErrorKind::InvalidConfig,
            format!("store `{}` has no option {}", self.store, names.join(", ")),
        ));
        let known: BTreeSet<&str> = self
            .known
            .iter()
            .map(String::as_str)
            .chain(CommonStoreOptions::DOCS.iter().map(|option| option.name))
            .collect();
        let list = known.iter().copied().collect::<Vec<_>>().join(", ");
        Err(match nearest(first, known) {
            Some(near) => error.with_hint(format!("did you mean `{near}`? Its options are {list}")),
            None => error.with_hint(format!("its options are {list}")),
        })
    }

    fn read<T>(
        &mut self,
        option: &str,
        expected: &str,
        convert: impl FnOnce(Value) -> Result<T, Value>,
    ) -> Result<Option<T>> {
        let Some(value) = self.opt_value(option) else {
            return Ok(None);
        };
        convert(value).map(Some).map_err(|found| {
            let found = shown(option, &found);
            self.invalid(option, format_args!("must be {expected}, found {found}"))
                .with_hint(as_written(option, expected))
        })
    }

    fn missing(&self, option: &str) -> Error {
        let error = Error::new(
            ErrorKind::InvalidConfig,
            format!("store `{}` needs the option `{option}`", self.store),
        );
        match nearest(option, self.left.keys().map(String::as_str)) {
            Some(near) => error.with_hint(format!("was it meant by `{near}`?")),
            None => error.with_hint(format!("add it to [stores.{}]", self.store)),
        }
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.left.iter().map(|(name, (value, _))| {
            let shown = match value {
                Value::Table(_) => "{…}".to_owned(),
                value => redact(name, &value.to_string()).into_owned(),
            };
            (name, shown)
        });
        f.debug_struct("StoreOptions")
            .field("store", &self.store)
            .field("left", &shown.collect::<BTreeMap<_, _>>())
            .finish()
    }
}
