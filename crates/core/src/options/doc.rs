//! An option in words, for references and schemas.

/// One setting, or one option of a store, for a reference of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OptionDoc {
    /// Its name.
    pub name: &'static str,
    /// What is written for it: `text`, `path`, `truth value`, `whole number`, `duration`, `list`, `list of names`, `table`, `table of texts`, or
    /// words in backticks of which one is chosen, such as "`full` or `normal`". The JSON schema of a configuration knows
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
