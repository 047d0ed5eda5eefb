//! The status of a feature: how many samples it has, how many need work, and what it waits for.

use super::MetadataStore;
use super::increment::Counts;
use super::resolve::ResolveOptions;
use super::survey::Survey;
use crate::error::Result;
use crate::expr::Expr;
use crate::key::FeatureKey;
use crate::setters;

/// How a feature stands against all that is upstream of it, directly or not (`semantics.md` §15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeatureState {
    /// Nothing is to be done, neither here nor upstream.
    UpToDate,
    /// Something upstream is to be done first: [`FeatureStatus::waits_for`].
    Waits,
    /// Something can be done here, now.
    NeedsWork,
    /// It cannot be compared: [`FeatureStatus::failure`].
    Failed,
}

impl FeatureState {
    /// The word for it, as scripts see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UpToDate => "up_to_date",
            Self::Waits => "waits",
            Self::NeedsWork => "needs_work",
            Self::Failed => "failed",
        }
    }
}

/// What is to be done about an upstream feature before those that depend on it can be up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Awaited {
    /// The upstream, directly or not.
    pub feature: FeatureKey,
    /// Its new and stale samples. Of a feature without upstream, those that it has under other versions only.
    pub to_compute: u64,
    /// Its orphaned samples.
    pub to_delete: u64,
    /// Whether a store of the chain has a row of it.
    pub is_written: bool,
    /// Whether it cannot be compared, so that nothing is known of its samples.
    pub has_failed: bool,
}

impl Awaited {
    /// Whether it has no row, and nothing says what it should have.
    pub(super) fn has_nothing(&self) -> bool {
        !self.is_written && self.to_compute == 0 && !self.has_failed
    }
}

/// What a feature's samples say beside those of its direct upstreams. [`FeatureState`] looks at all that is upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusCategory {
    /// It has never been written.
    Missing,
    /// A required upstream has never been written, so nothing can be said.
    UpstreamMissing,
    /// Samples are new, stale or orphaned.
    NeedsUpdate,
    /// No sample is new, stale or orphaned yet, but something upstream is to be done.
    Waits,
    /// Nothing is to be done, here or upstream.
    UpToDate,
    /// It has no upstream: what it should hold is not known here.
    Root,
    /// It cannot be compared: [`FeatureStatus::failure`].
    Failed,
}

impl StatusCategory {
    /// The word for it, as scripts see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::UpstreamMissing => "upstream_missing",
            Self::NeedsUpdate => "needs_update",
            Self::Waits => "waits",
            Self::UpToDate => "up_to_date",
            Self::Root => "root_feature",
            Self::Failed => "failed",
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

    /// What is compared upstream of the features that one asks for.
    pub(super) fn upstream(&self) -> Self {
        Self::default().with_global_filters(self.global_filters.iter().cloned())
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
    /// What its samples say beside those of its direct upstreams.
    pub category: StatusCategory,
    /// How it stands, all that is upstream taken into account.
    pub state: FeatureState,
    /// Upstream features, direct or not, in which something is to be done, each after its upstreams. Optional ones that were never
    /// written, and for which nothing can be computed, are not waited for.
    pub waits_for: Vec<Awaited>,
    /// Where rows of other feature versions are stored and none of the current one, how many samples they make.
    pub other_versions: Option<u64>,
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
    /// Why it cannot be compared, with [`FeatureState::Failed`]: see [`Survey::status_or_failure`].
    pub failure: Option<String>,
}

impl MetadataStore {
    /// How a feature stands.
    ///
    /// It is compared as in a [resolve](Self::resolve_update): samples that only a fallback store has are new here. So is everything
    /// upstream of it, in the stores that answer for it. For several features, a [`survey`](Self::survey) compares each only once.
    ///
    /// # Errors
    /// If the feature is unknown, a filter does not fit, or a store of the chain cannot be read.
    pub async fn status(
        &self,
        feature: &FeatureKey,
        options: StatusOptions,
    ) -> Result<FeatureStatus> {
        self.survey([feature.clone()], options)
            .status(feature)
            .await
    }

    /// How several features stand. All options hold for `features`; upstream of them only the global filters do, where they fit.
    #[must_use]
    pub fn survey(
        &self,
        features: impl IntoIterator<Item = FeatureKey>,
        options: StatusOptions,
    ) -> Survey {
        Survey::new(self.clone(), features.into_iter().collect(), options)
    }
}
