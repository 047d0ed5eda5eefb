//! A directory with a seeded store: its `metaxy.toml`, and `spec.json`, which says what was seeded.
//!
//! `bench.py seed` leaves the same files, so that a directory of either can be resolved.

use std::path::{Path, PathBuf};

use futures::executor::block_on;
use metaxy_store::Result;
use metaxy_store::config::{ConfigLoader, Environment};
use metaxy_store::json::Json;
use metaxy_store::prelude::*;

use super::text;

/// What was seeded, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) backend: String,
    pub(super) graph: String,
    pub(super) phase: String,
    /// Samples of each root.
    pub(super) rows: u64,
    pub(super) hash: String,
    pub(super) leaf: String,
}

impl Directory {
    /// Whether a seed was completed there: the file is the last that is written.
    pub(super) fn is_seeded(path: &Path) -> bool {
        path.join(SPEC).is_file()
    }

    /// Reads what was seeded.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let file = path.join(SPEC);
        let about = |why: String| format!("{}: {why}", file.display());
        let content = std::fs::read_to_string(&file).map_err(|e| about(e.to_string()))?;
        Self::parse(path, &content).map_err(about)
    }

    /// Writes `spec.json`, with the specs of the graph's features in their JSON form.
    pub(super) fn write(&self, graph: &FeatureGraph) -> Result<(), String> {
        let features = graph
            .definitions()
            .map(|definition| definition.spec.to_json());
        let spec = Json::object([
            ("backend", Json::from(self.backend.as_str())),
            ("graph", Json::from(self.graph.as_str())),
            ("n", Json::from(self.rows)),
            ("phase", Json::from(self.phase.as_str())),
            ("hash", Json::from(self.hash.as_str())),
            ("leaf", Json::from(self.leaf.as_str())),
            ("features", features.collect()),
        ]);
        std::fs::write(self.path.join(SPEC), spec.to_compact()).map_err(text)
    }

    /// The configuration. Variables of the environment do not count: every run measures the same.
    pub(super) fn config(&self) -> metaxy_store::Result<Config> {
        ConfigLoader::new()
            .with_file(self.path.join("metaxy.toml"))
            .with_environment(Environment::empty())
            .load()
    }

    /// The graph that was pushed to the store.
    pub(super) fn pushed_graph(&self) -> Result<FeatureGraph, String> {
        let config = self.config().map_err(text)?;
        let empty = FeatureGraph::new().with_truncation_length(config.hash_truncation_length());
        let empty = empty.map_err(text)?;
        let store = MetadataStore::from_config(&config, None, Access::Read, &empty);
        let loaded = block_on(store.map_err(text)?.load_graph(None, config.project()));
        loaded.map_err(text)?.ok_or_else(|| {
            format!(
                "no graph was pushed to the store of {}",
                self.path.display()
            )
        })
    }

    pub(super) fn leaf(&self) -> Result<FeatureKey, String> {
        FeatureKey::new(&self.leaf).map_err(text)
    }

    fn parse(path: &Path, content: &str) -> Result<Self, String> {
        let spec = Json::parse(content).map_err(text)?;
        let member = |name: &str| {
            let value = spec.get(name).and_then(Json::as_str).map(str::to_owned);
            value.ok_or_else(|| format!("it has no text {name:?}"))
        };
        let rows = match spec.get("n") {
            Some(Json::Int(digits)) => digits.parse().ok(),
            _ => None,
        };
        Ok(Self {
            path: path.to_owned(),
            backend: member("backend")?,
            graph: member("graph")?,
            phase: member("phase")?,
            rows: rows.ok_or("it has no number \"n\"")?,
            hash: member("hash")?,
            leaf: member("leaf")?,
        })
    }
}

const SPEC: &str = "spec.json";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::bench::graphs::Graph;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory {
            path: folder.path().to_owned(),
            backend: "sqlite".into(),
            graph: "simple".into(),
            phase: "new".into(),
            rows: 12,
            hash: "xxhash32".into(),
            leaf: "bench/simple_leaf".into(),
        };
        assert!(!Directory::is_seeded(folder.path()));
        directory.write(&Graph::Simple.build().unwrap()).unwrap();
        assert!(Directory::is_seeded(folder.path()));
        assert_eq!(Directory::read(folder.path()).unwrap(), directory);
    }

    #[test]
    fn the_form_of_the_reference_is_read() {
        let content = r#"{"backend": "duckdb", "url": null, "graph": "wide", "n": 2000, "phase": "stale", "hash": "md5",
            "dir": "d", "run": null, "leaf": "bench/wide_leaf", "features": []}"#;
        let directory = Directory::parse(Path::new("d"), content).unwrap();
        assert_eq!(directory.rows, 2000);
        assert_eq!(directory.leaf, "bench/wide_leaf");
        let why = Directory::parse(Path::new("d"), r#"{"backend": "duckdb"}"#).unwrap_err();
        assert_eq!(why, "it has no text \"graph\"");
    }
}
