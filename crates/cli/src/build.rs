//! What this build has.

use metaxy_store::backend::registry::Registry;

/// The Cargo features of this crate, and whether this build has them.
const FEATURES: &[(&str, bool)] = &[
    ("sqlite", cfg!(feature = "sqlite")),
    ("duckdb", cfg!(feature = "duckdb")),
    ("delta", cfg!(feature = "delta")),
    ("delta-s3", cfg!(feature = "delta-s3")),
    ("delta-azure", cfg!(feature = "delta-azure")),
    ("delta-gcs", cfg!(feature = "delta-gcs")),
    ("postgres", cfg!(feature = "postgres")),
    ("polars", cfg!(feature = "polars")),
    ("mcp", cfg!(feature = "mcp")),
];

/// What `--version` says: the version, the stores that are linked, and the Cargo features.
pub(crate) fn version() -> String {
    let stores = match Registry::linked() {
        Ok(registry) => listed(registry.iter().map(|descriptor| descriptor.name)),
        Err(error) => error.to_string(),
    };
    let features = FEATURES.iter().filter(|(_, there)| *there);
    let features = listed(features.map(|(name, _)| *name));
    let version = env!("CARGO_PKG_VERSION");
    format!("{version}\nstores: {stores}\nCargo features: {features}")
}

fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cargo_feature_is_listed() {
        let manifest: toml::Table = include_str!("../Cargo.toml").parse().unwrap();
        let declared = manifest["features"].as_table().unwrap().keys();
        let mut declared: Vec<&str> = declared.map(String::as_str).collect();
        declared.retain(|name| *name != "default");
        let mut known: Vec<&str> = FEATURES.iter().map(|(name, _)| *name).collect();
        known.sort_unstable();
        declared.sort_unstable();
        assert_eq!(declared, known);
    }
}
