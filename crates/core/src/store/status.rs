//! The status of a feature: how many samples it has and how many need work.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use super::MetadataStore;
use super::increment::Counts;
use super::resolve::ResolveOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::Expr;
use crate::key::FeatureKey;
use crate::plan::{Plan, ReadScope, Relation, read_current};

/// What is to be done about a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusCategory {
    /// It has never been written.
    Missing,
    /// A required upstream has never been written, so nothing can be said.
    UpstreamMissing,
    /// Samples are new, stale or orphaned.
    NeedsUpdate,
    /// Nothing is to be done.
    UpToDate,
    /// It has no upstream: what it should hold is not known here.
    Root,
}

impl StatusCategory {
    /// The word for it, as scripts see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::UpstreamMissing => "upstream_missing",
            Self::NeedsUpdate => "needs_update",
            Self::UpToDate => "up_to_date",
            Self::Root => "root_feature",
        }
    }
}

/// How a feature stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeatureStatus {
    /// The feature.
    pub feature: FeatureKey,
    /// Its current version.
    pub feature_version: String,
    /// What is to be done.
    pub category: StatusCategory,
    /// Current samples.
    pub samples: u64,
    /// Samples per part; `None` where nothing can be compared.
    pub counts: Option<Counts>,
    /// The store of the chain that has it.
    pub store: Option<String>,
    /// The upstream that is missing, with [`StatusCategory::UpstreamMissing`].
    pub missing_upstream: Option<FeatureKey>,
}

impl MetadataStore {
    /// How a feature stands. `filters` restrict what is counted, in every feature.
    ///
    /// # Errors
    /// If the feature is unknown, a filter does not fit, or a store of the chain cannot be read.
    pub async fn status(&self, feature: &FeatureKey, filters: &[Expr]) -> Result<FeatureStatus> {
        let plan = self.plan(feature)?;
        let mut status = FeatureStatus {
            feature: feature.clone(),
            feature_version: self.graph.feature_version(feature)?.to_owned(),
            category: StatusCategory::Root,
            samples: 0,
            counts: None,
            store: None,
            missing_upstream: None,
        };
        let owner = self.find_store(feature).await?;
        if let Some(owner) = &owner {
            status.samples = owner.count_samples(feature, filters).await?;
            status.store = Some(owner.name().to_owned());
        }
        if plan.is_root() {
            if owner.is_none() {
                status.category = StatusCategory::Missing;
            }
            return Ok(status);
        }
        for dep in plan.deps.iter().filter(|dep| !dep.dep.optional) {
            let upstream = &dep.dep.feature;
            if self.find_store(upstream).await?.is_none()
                && self.feature_schema(upstream).await?.is_none()
            {
                status.missing_upstream = Some(upstream.clone());
                status.category = StatusCategory::UpstreamMissing;
                return Ok(status);
            }
        }
        let options = ResolveOptions::default().with_global_filters(filters.iter().cloned());
        let counts = self
            .resolve_lazy(feature, options)
            .await?
            .sample_counts()
            .await?;
        status.counts = Some(counts);
        status.category = match (&owner, counts.is_empty()) {
            (None, _) => StatusCategory::Missing,
            (Some(_), true) => StatusCategory::UpToDate,
            (Some(_), false) => StatusCategory::NeedsUpdate,
        };
        Ok(status)
    }

    async fn count_samples(&self, feature: &FeatureKey, filters: &[Expr]) -> Result<u64> {
        let Some(schema) = self.feature_schema(feature).await? else {
            return Ok(0);
        };
        let definition = self.graph.require(feature)?;
        let scope = ReadScope::current(self.graph.feature_version(feature)?);
        let relation = read_current(
            feature,
            &schema,
            definition.spec.id_columns(),
            &scope,
            filters,
        )
        .and_then(|relation: Relation| relation.count(Vec::new()))
        .map_err(|e| self.about(e, feature))?;
        let rows = self.inner.backend.query(Plan::from(relation)).await;
        let rows = rows.map_err(|e| self.about(e, feature))?.collect().await?;
        let count = rows
            .batches()
            .iter()
            .filter(|batch| batch.num_rows() > 0)
            .find_map(|batch| {
                Some(
                    batch
                        .column_by_name("count")?
                        .as_primitive_opt::<Int64Type>()?
                        .value(0),
                )
            });
        u64::try_from(count.unwrap_or_default())
            .map_err(|_| Error::new(ErrorKind::Internal, "a negative count of samples"))
    }
}
