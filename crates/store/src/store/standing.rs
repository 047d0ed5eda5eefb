//! Which store answers for a feature, and whether what it has is of the current version (`semantics.md` §7, §15).

use super::MetadataStore;
use crate::error::{Error, ErrorKind, Result};
use crate::key::FeatureKey;

impl MetadataStore {
    /// The store of the chain that answers for an upstream. Where none has a row of it, this one: a table that exists without
    /// a row is an upstream without samples.
    pub(super) async fn answering(&self, feature: &FeatureKey) -> Result<Self> {
        // Without another store there is nothing to look for.
        if self.fallbacks().next().is_none() {
            return Ok(self.clone());
        }
        Ok(self
            .find_store(feature)
            .await?
            .unwrap_or_else(|| self.clone()))
    }

    /// Whether two values are one store.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(&*self.inner, &*other.inner)
    }

    /// Whether this store's table has rows of other versions of the feature and none of the current one, not even one that marks a
    /// deletion. It costs the search for one row.
    pub(super) async fn has_only_other_versions(&self, feature: &FeatureKey) -> Result<bool> {
        let current = self.graph.feature_version(feature)?;
        if self.holds_version(feature, current).await? {
            return Ok(false);
        }
        self.has_feature_here(feature).await
    }
}

/// Why nobody can tell which samples of `feature` are orphaned.
pub(super) fn not_ready(feature: &FeatureKey, upstreams: &[FeatureKey]) -> Error {
    let names: Vec<&str> = upstreams.iter().map(FeatureKey::as_str).collect();
    let (names, have) = (
        names.join(", "),
        if names.len() == 1 { "has" } else { "have" },
    );
    Error::new(
        ErrorKind::UpstreamNotReady,
        format!(
            "which samples of feature {feature} are orphaned is not known: its upstream {names} {have} rows of other feature versions, and none of the current one"
        ),
    )
    .with_hint(format!(
        "write {names} under the current definition first; if the samples are gone for good, remove their rows of other versions too"
    ))
}
