//! What can be configured, in words: what is known by name is what the reference lists.

/// One setting, or one option of a store, for a reference of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OptionDoc {
    /// Its name.
    pub name: &'static str,
    /// What is written for it: `text`, `path`, `truth value`, `whole number`, `duration`, `list`, `list of names`, `table`, `table of texts`, or
    /// words in backticks of which one is chosen, such as "`full` or `normal`". The [schema](super::json_schema) of a configuration knows
    /// these; what is said otherwise may be anything there.
    pub kind: &'static str,
    /// What applies where it is not given, as it would be written; [`REQUIRED`] where something must be given, and empty where nothing
    /// applies.
    pub default: &'static str,
    /// What it does, in a sentence or two of Markdown.
    pub summary: &'static str,
}

/// The default of an option that must be given.
pub const REQUIRED: &str = "required";

impl OptionDoc {
    /// An option.
    #[must_use]
    pub const fn new(
        name: &'static str,
        kind: &'static str,
        default: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            default,
            summary,
        }
    }
}

/// An option of stores that keep tables beside others.
pub const TABLE_PREFIX: OptionDoc = OptionDoc::new(
    "table_prefix",
    "text",
    "\"\"",
    "What the names of feature tables start with.",
);

/// An option of stores whose writers take turns.
pub const LOCK_TIMEOUT: OptionDoc = OptionDoc::new(
    "lock_timeout",
    "duration",
    "\"30s\"",
    "How long a writer waits for another.",
);

/// The settings of `metaxy.toml`, outside of the stores. A key that is not here is refused.
pub const SETTINGS: &[OptionDoc] = &[
    OptionDoc::new(
        "project",
        "text",
        "",
        "The project's name: letters, digits, `-` and single `_`. Features that the files below `features` define belong to it, and a push \
         records it.",
    ),
    OptionDoc::new(
        "store",
        "text",
        "\"dev\"",
        "The store that is used when none is named.",
    ),
    OptionDoc::new(
        "stores",
        "table",
        "",
        "The stores by name: `[stores.dev]` with its `type` and its options.",
    ),
    OptionDoc::new(
        "features",
        "list of globs",
        "[]",
        "The feature files, relative to the file that names them. Without any, the graph is the one that was last pushed to the store.",
    ),
    OptionDoc::new(
        "extend",
        "path",
        "",
        "Another file that this one goes on from: its scalars are replaced, its arrays extended, its tables merged; a store that is given a \
         `type` is described anew.",
    ),
    OptionDoc::new(
        "hash_truncation_length",
        "whole number",
        "8",
        "The length of versions and hashes in characters, 8 at least. The same for all who share a store.",
    ),
    OptionDoc::new(
        "auto_create_tables",
        "truth value",
        "true",
        "Whether a first write makes the table of a feature.",
    ),
    OptionDoc::new(
        "sync",
        "truth value",
        "true",
        "Whether features of other projects are first brought up to date with what was pushed to the store.",
    ),
    OptionDoc::new(
        "locked",
        "truth value",
        "",
        "Whether it is an error if such a feature has another version in the store than here.",
    ),
    OptionDoc::new(
        "metaxy_lock_path",
        "path",
        "\"metaxy.lock\"",
        "The lock file, relative to the configuration file.",
    ),
    OptionDoc::new(
        "extra_features",
        "list of selections",
        "[]",
        "Features to load beside those that the graph needs, such as `{ projects = [\"sources\"] }` or `{ keys = [\"video/raw\"] }`.",
    ),
    OptionDoc::new(
        "enable_map_datatype",
        "truth value",
        "false",
        "Of the Python package, which then writes versions by field as maps: accepted. Here they are read in either form, and written as \
         structs.",
    ),
];

/// Whether a top-level key is a setting.
pub(super) fn is_setting(key: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.name == key)
}
