//! Looking for damage: everything that is stored is read.

use std::collections::HashSet;

use arrow::datatypes::SchemaRef;

use super::MetadataStore;
use crate::backend::maintain::Damage;
use crate::error::{Error, ErrorKind, Result};
use crate::key::FeatureKey;
use crate::plan::{Plan, Relation, Scan};
use crate::system::feature_versions_key;

/// What a [`verify`](MetadataStore::verify) found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The tables that were read, in order.
    pub tables: Vec<VerifiedTable>,
    /// The tables, as the backend calls them, that no feature of the graph and no feature key belongs to. They were not read.
    pub unread: Vec<String>,
}

/// A table that was read from its first row to its last, or to where it is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedTable {
    /// Whose table it is.
    pub feature: FeatureKey,
    /// How many rows could be read, superseded ones and tombstones included.
    pub rows: u64,
    /// What is broken.
    pub damage: Vec<Damage>,
}

impl VerifyReport {
    /// Whether nothing is broken.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.tables.iter().all(|table| table.damage.is_empty())
    }
}

impl MetadataStore {
    /// Reads every row of every version of these features, or of the whole store, verifies all checksums that there are, and says what
    /// is broken. It changes nothing. Fallback stores are not read.
    ///
    /// What has no checksum can be changed without notice: which backend has them for what is in the guide.
    ///
    /// # Errors
    /// [`ErrorKind::FeatureNotFound`] for a feature that is not in the graph; what keeps the store from being read, such as
    /// [`ErrorKind::CannotOpen`]. Damage is no error.
    pub async fn verify(&self, features: Option<Vec<FeatureKey>>) -> Result<VerifyReport> {
        let mut report = VerifyReport::default();
        let features = match features {
            Some(features) => {
                for feature in &features {
                    let known = self.graph.require(feature);
                    known.map_err(|e| self.about(e, feature))?;
                }
                features
            }
            None => self.all_tables(&mut report.unread).await?,
        };
        for feature in features {
            let table = self.verified(feature.clone()).await;
            let table = table.map_err(|e| self.about(e, &feature))?;
            report.tables.extend(table);
        }
        Ok(report)
    }

    /// The features that have tables here: those of the graph, that of pushed graphs, and others whose keys the tables tell.
    async fn all_tables(&self, unread: &mut Vec<String>) -> Result<Vec<FeatureKey>> {
        let backend = &self.inner.backend;
        let tables = backend.tables().await;
        let tables = tables.map_err(|e| e.with_context("store", self.name()))?;
        let mut features = self.graph.topological();
        features.push(feature_versions_key());
        let names = features.iter();
        let names = names.flat_map(|feature| [feature.to_string(), feature.table_name()]);
        let names: HashSet<String> = names.collect();
        for table in tables.into_iter().filter(|table| !names.contains(table)) {
            if let Ok(key) = FeatureKey::new(table.replace("__", "/"))
                && !matches!(backend.schema(&key).await, Ok(None))
            {
                features.push(key);
                continue;
            }
            // Names may have a prefix, which only the backend knows.
            let mut ends = table.char_indices().map(|(at, _)| &table[at..]);
            if !ends.any(|end| names.contains(end)) {
                unread.push(table);
            }
        }
        Ok(features)
    }

    /// `None` for a feature without a table.
    async fn verified(&self, feature: FeatureKey) -> Result<Option<VerifiedTable>> {
        let backend = &self.inner.backend;
        let mut table = VerifiedTable {
            feature: feature.clone(),
            rows: 0,
            damage: Vec::new(),
        };
        match backend.schema(&feature).await {
            Ok(None) => return Ok(None),
            Ok(Some(schema)) => {
                let read = self.read_through(&mut table, schema).await;
                read.or_else(|error| damaged(&mut table, error))?;
            }
            Err(error) => damaged(&mut table, error)?,
        }
        match backend.verify(&feature).await {
            Ok(damage) => table.damage.extend(damage),
            Err(error) => damaged(&mut table, error)?,
        }
        table.damage.dedup();
        Ok(Some(table))
    }

    async fn read_through(&self, table: &mut VerifiedTable, schema: SchemaRef) -> Result<()> {
        let rows = Relation::scan(Scan::all(table.feature.clone()), schema);
        let mut rows = self.inner.backend.query(Plan::from(rows)).await?;
        while let Some(batch) = rows.next().await? {
            table.rows += batch.num_rows() as u64;
        }
        Ok(())
    }
}

/// Notes what is broken; every other error is one.
fn damaged(table: &mut VerifiedTable, error: Error) -> Result<()> {
    if error.kind() != ErrorKind::Corrupt {
        return Err(error);
    }
    table.damage.push(Damage::new(error.message()));
    Ok(())
}
