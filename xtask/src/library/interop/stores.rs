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
    /// Whether the reference adds columns to tables of this kind, and members to structs in them.
    pub(super) evolves: bool,
}

/// Every kind, in the order in which they are checked.
pub(super) const KINDS: &[Kind] = &[
    Kind {
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
        evolves: false,
    },
    Kind {
        name: "delta-nested",
        cargo_feature: "delta",
        type_path: DELTA,
        options: |directory| delta(directory, "nested", "xxhash32"),
        lacks: DELTA_LACKS,
        made_here: &[],
        evolves: true,
    },
    Kind {
        name: "delta-flat",
        cargo_feature: "delta",
        type_path: DELTA,
        options: |directory| delta(directory, "flat", "sha256"),
        lacks: DELTA_LACKS,
        made_here: &[],
        evolves: true,
    },
    Kind {
        name: "postgres",
        cargo_feature: "postgres",
        type_path: POSTGRES,
        options: |directory| postgres(directory, "xxhash32"),
        lacks: POSTGRES_LACKS,
        made_here: &[],
        evolves: false,
    },
    Kind {
        name: "postgres-md5",
        cargo_feature: "postgres",
        type_path: POSTGRES,
        options: |directory| postgres(directory, "md5"),
        lacks: POSTGRES_LACKS,
        made_here: &[],
        evolves: false,
    },
];

const DELTA: &str = "metaxy.ext.polars.handlers.delta.DeltaMetadataStore";

/// Delta itself has no times of day and no unsigned integers. The reference refuses the former, and reads the latter back as
/// signed ones.
const DELTA_LACKS: &[&str] = &["time", "u8", "u16", "u32", "u64"];

const POSTGRES: &str = "metaxy.ext.postgresql.PostgreSQLMetadataStore";

/// The reference makes columns of types that PostgreSQL does not have for unsigned integers and for lists of structs, reads small integers
/// as `i16`, and guesses the types of a struct's members from the rows that it reads.
const POSTGRES_LACKS: &[&str] = &[
    "u8",
    "u16",
    "u32",
    "u64",
    "i8",
    "list<struct",
    "struct<w:",
    "struct<by:",
];

/// A store in a database that belongs to the directory.
fn postgres(directory: &Path, algorithm: &str) -> Vec<(&'static str, String)> {
    vec![
        (
            "connection_string",
            crate::library::servers::database_of(directory),
        ),
        ("hash_algorithm", algorithm.to_owned()),
    ]
}

fn delta(directory: &Path, layout: &str, algorithm: &str) -> Vec<(&'static str, String)> {
    vec![
        ("root_path", directory.join("store").display().to_string()),
        ("layout", layout.to_owned()),
        ("hash_algorithm", algorithm.to_owned()),
    ]
}

impl Kind {
    /// The kind of that name, or all kinds that a Cargo feature of that name brings.
    pub(super) fn named(name: &str) -> Outcome<Vec<&'static Self>> {
        let named = KINDS.iter().filter(|kind| kind.name == name);
        let brought = KINDS.iter().filter(|kind| kind.cargo_feature == name);
        let found: Vec<&Self> = match named.clone().next() {
            Some(_) => named.collect(),
            None => brought.collect(),
        };
        if found.is_empty() {
            let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
            return Err(format!(
                "interop does not know the store {name:?}; it knows: {}",
                known.join(", ")
            ));
        }
        Ok(found)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_names_all_kinds_that_it_brings() {
        let names = |name| -> Vec<&str> {
            let kinds = Kind::named(name).unwrap();
            kinds.iter().map(|kind| kind.name).collect()
        };
        assert_eq!(names("delta"), ["delta-nested", "delta-flat"]);
        assert_eq!(names("delta-flat"), ["delta-flat"]);
        assert_eq!(names("duckdb"), ["duckdb"]);
        let why = Kind::named("mysql").err().unwrap();
        assert!(
            why.ends_with("duckdb, delta-nested, delta-flat, postgres, postgres-md5"),
            "{why}"
        );
    }
}
