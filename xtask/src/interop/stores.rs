//! The kinds of store that both programs have.

use std::fs;
use std::path::{Path, PathBuf};

use metaxy_store::json::Json;

use super::Outcome;
use super::reference::about;

/// A kind of store. `xtask/interop/stores.py` says what the reference needs beside it.
pub(super) struct Kind {
    /// Its name, here and there.
    pub(super) name: &'static str,
    /// The Cargo feature of this program that brings it.
    pub(super) cargo_feature: &'static str,
    /// The reference's type path.
    pub(super) type_path: &'static str,
    /// Its options for a store in this directory; both programs know them.
    pub(super) options: fn(&Path) -> Vec<(&'static str, String)>,
    /// Types of columns that it does not keep, in the reference or at all.
    pub(super) lacks: &'static [&'static str],
    /// Options for a store that is made here, which the reference does not know.
    pub(super) made_here: &'static [(&'static str, &'static str)],
}

/// Every kind, in the order in which they are checked.
pub(super) const KINDS: &[Kind] = &[Kind {
    name: "duckdb",
    cargo_feature: "duckdb",
    type_path: "metaxy.ext.duckdb.DuckDBMetadataStore",
    // The other algorithms need an extension that the reference downloads.
    options: |directory| {
        vec![
            (
                "database",
                directory.join("store.duckdb").display().to_string(),
            ),
            ("hash_algorithm", "md5".to_owned()),
        ]
    },
    lacks: &[],
    // The reference's DuckDB is older than ours and cannot open a file in our newest format.
    made_here: &[("storage_version", "v1.4.0")],
}];

impl Kind {
    /// The kind of that name.
    pub(super) fn named(name: &str) -> Outcome<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| {
            let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
            format!(
                "interop does not know the store {name:?}; it knows: {}",
                known.join(", ")
            )
        })
    }

    /// Writes the configuration of a store in `directory`, as both programs read it, and says where it is.
    pub(super) fn configure(&self, directory: &Path, project: &str) -> Outcome<PathBuf> {
        self.write_config(directory, project, "metaxy.toml", &[])
    }

    /// The same with the options for a store that is made here.
    pub(super) fn configure_made_here(&self, directory: &Path, project: &str) -> Outcome<PathBuf> {
        self.write_config(directory, project, "made-here.toml", self.made_here)
    }

    fn write_config(
        &self,
        directory: &Path,
        project: &str,
        name: &str,
        more: &[(&'static str, &'static str)],
    ) -> Outcome<PathBuf> {
        // A text in TOML is written as in JSON.
        let quoted = |text: &str| Json::from(text).to_compact();
        let mut lines = vec![
            format!("project = {}", quoted(project)),
            "store = \"interop\"".to_owned(),
            "hash_truncation_length = 16".to_owned(),
            "auto_create_tables = true".to_owned(),
            "\n[stores.interop]".to_owned(),
            format!("type = {}", quoted(self.type_path)),
            "\n[stores.interop.config]".to_owned(),
        ];
        let options = (self.options)(directory).into_iter();
        let more = more
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        lines.extend(
            options
                .chain(more)
                .map(|(name, value)| format!("{name} = {}", quoted(&value))),
        );
        let file = directory.join(name);
        fs::write(&file, lines.join("\n") + "\n").map_err(|e| about(&file, &e))?;
        Ok(file)
    }
}
