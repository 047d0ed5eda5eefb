//! The status of a feature: how many samples it has and how many need work.

use super::MetadataStore;
use super::increment::Counts;
use super::resolve::ResolveOptions;
use crate::error::Result;
use crate::expr::Expr;
use crate::key::FeatureKey;
use crate::options::setters;
use crate::plan::ReadOptions;

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

/// What a status takes into account. The default is everything.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StatusOptions {
    /// Conditions on the stored rows of every feature that is read.
    pub global_filters: Vec<Expr>,
    /// Conditions on the stored rows of the feature itself. Samples outside of them count as new.
    pub target_filters: Vec<Expr>,
    /// Conditions on a stored row that make it stale even though its provenance is unchanged.
    pub staleness_predicates: Vec<Expr>,
    /// Whether samples that only a fallback store has count. What is upstream is read through the chain in any case, as in
    /// every resolve.
    pub use_fallback: bool,
    /// Whether the feature is compared with what the chain has of it; see
    /// [`ResolveOptions::compare_with_fallback`]. Never without [`use_fallback`](Self::use_fallback).
    pub compare_with_fallback: Option<bool>,
    /// Whether to compute the progress, which reads the input once more.
    pub progress: bool,
}

impl Default for StatusOptions {
    fn default() -> Self {
        Self {
            global_filters: Vec::new(),
            target_filters: Vec::new(),
            staleness_predicates: Vec::new(),
            use_fallback: true,
            compare_with_fallback: None,
            progress: false,
        }
    }
}

impl StatusOptions {
    setters! { options =>
        /// Only stored rows, of every feature, for which these hold.
        with_global_filters(filters: impl IntoIterator<Item = Expr>) {
            options.global_filters.extend(filters);
        }
        /// Only stored rows of the feature itself for which these hold.
        with_target_filters(filters: impl IntoIterator<Item = Expr>) {
            options.target_filters.extend(filters);
        }
        /// Stored rows for which one of these holds are stale.
        with_staleness_predicates(predicates: impl IntoIterator<Item = Expr>) {
            options.staleness_predicates.extend(predicates);
        }
        /// Whether samples that only a fallback store has count.
        with_use_fallback(use_fallback: bool) {
            options.use_fallback = use_fallback;
        }
        /// Whether the feature is compared with what the chain has of it.
        with_compare_with_fallback(compare: bool) {
            options.compare_with_fallback = Some(compare);
        }
        /// Whether to compute the progress.
        with_progress(progress: bool) {
            options.progress = progress;
        }
    }

    /// What the increment is that is counted.
    #[must_use]
    pub fn resolve_options(&self) -> ResolveOptions {
        let compare = match self.use_fallback {
            true => self.compare_with_fallback,
            false => Some(false),
        };
        let options = match compare {
            Some(compare) => ResolveOptions::default().with_compare_with_fallback(compare),
            None => ResolveOptions::default(),
        };
        options
            .with_global_filters(self.global_filters.iter().cloned())
            .with_target_filters(self.target_filters.iter().cloned())
            .with_staleness_predicates(self.staleness_predicates.iter().cloned())
    }
}

/// How a feature stands.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FeatureStatus {
    /// The feature.
    pub feature: FeatureKey,
    /// Its current version.
    pub feature_version: String,
    /// What is to be done.
    pub category: StatusCategory,
    /// Current samples for which the filters hold.
    pub samples: u64,
    /// Samples per part; `None` where nothing can be compared. See [`sample_counts`](super::LazyIncrement::sample_counts).
    pub counts: Option<Counts>,
    /// Which part of the input has been processed, in percent ([`MetadataStore::progress`]); `None` if it was not asked
    /// for, where nothing can be compared, and where there is no input.
    pub progress: Option<f64>,
    /// The store that has it, and whose samples are counted: this one, or with [`StatusOptions::use_fallback`] one of its chain.
    pub store: Option<String>,
    /// The store with whose samples the upstream's are compared, of which `counts` and `progress` speak: this one, unless it
    /// [compares with its chain](StatusOptions::compare_with_fallback). `None` where nothing can be compared.
    pub compared_with: Option<String>,
    /// The upstream that is missing, with [`StatusCategory::UpstreamMissing`].
    pub missing_upstream: Option<FeatureKey>,
}

impl MetadataStore {
    /// How a feature stands.
    ///
    /// It is compared as in a [resolve](Self::resolve_update): samples that only a fallback store has are new here, unless it compares with
    /// its chain.
    ///
    /// # Errors
    /// If the feature is unknown, a filter does not fit, or a store of the chain cannot be read.
    pub async fn status(
        &self,
        feature: &FeatureKey,
        options: StatusOptions,
    ) -> Result<FeatureStatus> {
        let plan = self.plan(feature)?;
        let mut status = FeatureStatus {
            feature: feature.clone(),
            feature_version: self.graph.feature_version(feature)?.to_owned(),
            category: StatusCategory::Root,
            samples: 0,
            counts: None,
            progress: None,
            store: None,
            compared_with: None,
            missing_upstream: None,
        };
        let owner = match options.use_fallback {
            true => self.find_store(feature).await?,
            false => self
                .has_feature(feature, false)
                .await?
                .then(|| self.clone()),
        };
        if let Some(owner) = &owner {
            let filters = [&options.global_filters[..], &options.target_filters].concat();
            status.samples = owner.count_samples(feature, &filters).await?;
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
        let increment = self
            .resolve_lazy(feature, options.resolve_options())
            .await?;
        status.compared_with = Some(increment.compared_with().to_owned());
        let counts = increment.sample_counts().await?;
        status.counts = Some(counts);
        if options.progress {
            status.progress = self.progress(feature, options.resolve_options()).await?;
        }
        status.category = match (&owner, counts.is_empty()) {
            (None, _) => StatusCategory::Missing,
            (Some(_), true) => StatusCategory::UpToDate,
            (Some(_), false) => StatusCategory::NeedsUpdate,
        };
        Ok(status)
    }

    async fn count_samples(&self, feature: &FeatureKey, filters: &[Expr]) -> Result<u64> {
        if self.feature_schema(feature).await?.is_none() {
            return Ok(0);
        }
        let options = ReadOptions::default()
            .with_local_only(true)
            .with_filters(filters.to_vec());
        self.count(feature, options).await
    }
}
