//! The chain of stores that a store falls back to (`semantics.md` §7, §15).

use super::MetadataStore;
use crate::columns;
use crate::config::FallbackBy;
use crate::error::Result;
use crate::key::FeatureKey;
use crate::plan::{Plan, Relation, Scan};

impl MetadataStore {
    /// The first store of the chain, depth first, that has the feature: a table with at least one row. Where a store falls back by
    /// version ([`FallbackBy::Version`]), one that has rows of the current feature version; if there is none, as if it did not.
    ///
    /// # Errors
    /// If a store of the chain cannot be read.
    pub async fn find_store(&self, feature: &FeatureKey) -> Result<Option<MetadataStore>> {
        let current = self.graph.feature_version(feature).ok();
        self.find_store_of(feature, current).await
    }

    /// As [`find_store`](Self::find_store), for rows of `feature_version`; `None`: of any.
    ///
    /// # Errors
    /// If a store of the chain cannot be read.
    pub async fn find_store_of(
        &self,
        feature: &FeatureKey,
        feature_version: Option<&str>,
    ) -> Result<Option<MetadataStore>> {
        // The first store whose rows are all of other versions.
        let mut other_versions = None;
        let mut pending = vec![self.clone()];
        while let Some(store) = pending.pop() {
            if store.has_feature_here(feature).await? {
                let by_version =
                    other_versions.is_some() || store.inner.fallback_by == FallbackBy::Version;
                let is_it = match feature_version.filter(|_| by_version) {
                    Some(version) => store.holds_version(feature, version).await?,
                    None => true,
                };
                if is_it {
                    return Ok(Some(store));
                }
                other_versions.get_or_insert_with(|| store.clone());
            }
            let mut next: Vec<_> = store.fallbacks().collect();
            next.reverse();
            pending.extend(next);
        }
        Ok(other_versions)
    }

    /// Whether this store's table has a row of the version, a tombstone included: the search for one row. Rows of a table without versions are of every one.
    pub(super) async fn holds_version(&self, feature: &FeatureKey, version: &str) -> Result<bool> {
        let Some(schema) = self.feature_schema(feature).await? else {
            return Ok(false);
        };
        if schema.field_with_name(columns::FEATURE_VERSION).is_err() {
            return Ok(true);
        }
        let scan = Scan {
            feature_version: Some(version.to_owned()),
            ..Scan::all(feature.clone())
        };
        let one = Relation::stored(scan, schema)?
            .select([columns::FEATURE_VERSION])?
            .limit(1);
        let rows = self.inner.backend.query(Plan::from(one)).await;
        let rows = rows.map_err(|e| self.about(e, feature))?;
        Ok(!rows.collect().await?.is_empty())
    }
}
