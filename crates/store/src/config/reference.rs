//! What can be configured, in words: what is known by name is what the reference lists.

use super::OptionDoc;

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
