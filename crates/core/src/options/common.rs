//! What every store takes, whatever its backend.

use super::{OptionDoc, StoreOptions};
use crate::error::Result;

/// The options that every store takes, whatever its backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommonStoreOptions {
    /// Names of the stores to read from when this one has no rows of a feature.
    pub fallback_stores: Vec<String>,
    /// Whether increments are compared with what the chain has; otherwise with what this store alone has (`semantics.md §15`).
    pub compare_with_fallback: bool,
    /// When this store's rows hide those of its fallback stores.
    pub fallback_by: FallbackBy,
    /// The hash algorithm of sample versions, as written; `None` for the default (`semantics.md §4`).
    pub hash_algorithm: Option<String>,
    /// Where increments are computed.
    pub versioning_engine: VersioningEngine,
    /// Whether missing tables are created; `None` for what the configuration says.
    pub auto_create_tables: Option<bool>,
    /// The `metaxy_materialization_id` of rows whose write names none.
    pub materialization_id: Option<String>,
}

impl CommonStoreOptions {
    /// These options, in words.
    pub const DOCS: &[OptionDoc] = &[
        OptionDoc::new(
            "fallback_stores",
            "list of names",
            "[]",
            "The stores to read a feature from that this one has no rows of, in order. Nothing is written to them.",
        ),
        OptionDoc::new(
            "compare_with_fallback",
            "truth value",
            "false",
            "Whether what is stored of a feature is looked for in the fallback stores, too, when it is resolved: then only what differs from them is \
             to be computed. As soon as this store has rows of the feature itself, it is compared with these alone.",
        ),
        OptionDoc::new(
            "fallback_by",
            "`table` or `version`",
            "\"table\"",
            "When this store's rows of a feature hide those of its fallback stores: whenever there are any (`table`), or only if some are of the \
             feature version that is asked for (`version`).",
        ),
        OptionDoc::new(
            "hash_algorithm",
            "`xxhash32`, `xxhash64`, `xxh3_64`, `wyhash`, `md5` or `sha256`",
            "that of the store's type",
            "How versions of samples are hashed. All who share tables use the same.",
        ),
        OptionDoc::new(
            "versioning_engine",
            "`auto`, `native` or `polars`",
            "\"auto\"",
            "Where increments are computed: in the store's own engine where it has one (`auto`), nowhere else (`native`), or on Polars. \
             `polars` needs the Cargo feature of that name.",
        ),
        OptionDoc::new(
            "auto_create_tables",
            "truth value",
            "that of the configuration",
            "Whether a first write makes the table of a feature.",
        ),
        OptionDoc::new(
            "materialization_id",
            "text",
            "",
            "The run of an orchestrator that rows are marked with where a write names none.",
        ),
    ];

    /// Takes these options out of a store's options.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`](crate::ErrorKind::InvalidConfig) for one of the wrong type.
    pub fn take(options: &mut StoreOptions) -> Result<Self> {
        const ENGINES: [&str; 3] = ["auto", "native", "polars"];
        const HIDING: [&str; 2] = ["table", "version"];
        Ok(Self {
            fallback_stores: options
                .opt_string_list("fallback_stores")?
                .unwrap_or_default(),
            compare_with_fallback: options
                .opt_bool("compare_with_fallback")?
                .unwrap_or_default(),
            fallback_by: match options.opt_choice("fallback_by", &HIDING)? {
                Some("version") => FallbackBy::Version,
                _ => FallbackBy::Table,
            },
            hash_algorithm: options.opt_string("hash_algorithm")?,
            versioning_engine: match options.opt_choice("versioning_engine", &ENGINES)? {
                Some("native") => VersioningEngine::Native,
                Some("polars") => VersioningEngine::Polars,
                _ => VersioningEngine::Auto,
            },
            auto_create_tables: options.opt_bool("auto_create_tables")?,
            materialization_id: options.opt_string("materialization_id")?,
        })
    }
}

/// When a store's rows of a feature hide those of its fallback stores: option `fallback_by`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FallbackBy {
    /// Whenever there are any, of whatever feature version, tombstones included (`semantics.md §7`).
    #[default]
    Table,
    /// If there are any of the feature version that is asked for, tombstones included. Rows of other versions hide nothing, unless no store
    /// of the chain has that version.
    Version,
}

/// Where increments are computed: option `versioning_engine`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum VersioningEngine {
    /// In the backend's own engine when it has one, else on Polars.
    #[default]
    Auto,
    /// In the backend's own engine.
    Native,
    /// On Polars.
    Polars,
}
