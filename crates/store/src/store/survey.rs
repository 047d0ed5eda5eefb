//! How features stand, each against all that is upstream of it (`semantics.md` §15).

use std::collections::{HashMap, HashSet};

use super::MetadataStore;
use super::increment::Counts;
use super::status::{Awaited, FeatureState, FeatureStatus, StatusCategory, StatusOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::Expr;
use crate::key::FeatureKey;
use crate::plan::ReadOptions;

/// How several features of a store stand: see [`MetadataStore::survey`].
///
/// It remembers what it has compared, so that each feature is compared once, however many depend on it; one that only a fallback store
/// has is compared once more for those that depend on it.
#[derive(Debug)]
pub struct Survey {
    store: MetadataStore,
    asked: HashSet<FeatureKey>,
    options: StatusOptions,
    compared: HashMap<FeatureKey, Comparison>,
    standing: HashMap<FeatureKey, Standing>,
}

/// What a feature's rows say beside those of its direct upstreams.
#[derive(Debug, Clone, Default)]
struct Comparison {
    /// The store that has it.
    owner: Option<MetadataStore>,
    other_versions: Option<u64>,
    missing_upstream: Option<FeatureKey>,
    /// A direct upstream has rows of other versions only.
    upstream_not_ready: bool,
    counts: Option<Counts>,
    /// The store whose rows were compared.
    compared_with: Option<String>,
}

/// What a feature means for those that depend on it.
#[derive(Debug, Clone)]
struct Standing {
    awaited: Option<Awaited>,
    /// It was never written, and there is nothing that it could be computed from.
    is_absent: bool,
}

impl Survey {
    pub(super) fn new(
        store: MetadataStore,
        asked: HashSet<FeatureKey>,
        options: StatusOptions,
    ) -> Self {
        Self {
            store,
            asked,
            options,
            compared: HashMap::new(),
            standing: HashMap::new(),
        }
    }

    /// How a feature stands.
    ///
    /// # Errors
    /// Those of [`MetadataStore::status`].
    pub async fn status(&mut self, feature: &FeatureKey) -> Result<FeatureStatus> {
        self.asked.insert(feature.clone());
        let store = self.store.clone();
        let plan = store.plan(feature)?;
        let compared = self.compared(feature).await?;
        let mut status = FeatureStatus {
            feature: feature.clone(),
            feature_version: store.graph.feature_version(feature)?.to_owned(),
            category: StatusCategory::Root,
            state: FeatureState::UpToDate,
            waits_for: self.awaited(feature).await?,
            other_versions: compared.other_versions,
            samples: 0,
            counts: compared.counts,
            progress: None,
            store: None,
            compared_with: compared.compared_with.clone(),
            missing_upstream: compared.missing_upstream.clone(),
            failure: None,
        };
        if let Some(owner) = &compared.owner {
            let filters = [
                &self.options.global_filters[..],
                &self.options.target_filters,
            ]
            .concat();
            status.samples = owner.count_samples(feature, &filters).await?;
            status.store = Some(owner.name().to_owned());
        }
        if self.options.progress && compared.counts.is_some() {
            status.progress = store
                .progress(feature, self.options.resolve_options())
                .await?;
        }
        status.state = compared.state(plan.is_root(), &status.waits_for);
        let nothing = compared.counts.is_none_or(Counts::is_empty);
        status.category = match (&compared.owner, status.state) {
            _ if compared.missing_upstream.is_some() => StatusCategory::UpstreamMissing,
            (None, _) => StatusCategory::Missing,
            _ if plan.is_root() => StatusCategory::Root,
            _ if !nothing => StatusCategory::NeedsUpdate,
            (Some(_), FeatureState::Waits) => StatusCategory::Waits,
            (Some(_), _) => StatusCategory::UpToDate,
        };
        Ok(status)
    }

    /// How a feature stands. One whose rows or definition keep it from being compared has [`FeatureState::Failed`] and the reason, so that
    /// it hides no other; those that depend on it wait.
    ///
    /// # Errors
    /// What concerns more than the feature, such as a store that cannot be read or an unknown feature.
    pub async fn status_or_failure(&mut self, feature: &FeatureKey) -> Result<FeatureStatus> {
        let error = match self.status(feature).await {
            Err(error) if self.is_of_one(&error) => error,
            status => return status,
        };
        Ok(FeatureStatus {
            feature: feature.clone(),
            feature_version: self.store.graph.feature_version(feature)?.to_owned(),
            category: StatusCategory::Failed,
            state: FeatureState::Failed,
            waits_for: Vec::new(),
            other_versions: None,
            samples: 0,
            counts: None,
            progress: None,
            store: None,
            compared_with: None,
            missing_upstream: None,
            failure: Some(error.to_string()),
        })
    }

    /// Whether an error is about the rows or the definition of a feature, and not about what was asked or the store as a whole.
    fn is_of_one(&self, error: &Error) -> bool {
        let options = &self.options;
        let asks = [
            &options.global_filters,
            &options.target_filters,
            &options.staleness_predicates,
        ];
        match error.kind() {
            ErrorKind::Corrupt
            | ErrorKind::HashMismatch
            | ErrorKind::InvalidFrame
            | ErrorKind::Unsupported
            | ErrorKind::Internal => true,
            // Else it may be one that was asked for.
            ErrorKind::InvalidFilter => asks.iter().all(|filters| filters.is_empty()),
            _ => false,
        }
    }

    /// The upstreams in which something is to be done, each after its upstreams.
    async fn awaited(&mut self, feature: &FeatureKey) -> Result<Vec<Awaited>> {
        let graph = self.store.graph.clone();
        let mut seen = HashSet::new();
        let mut found: HashMap<FeatureKey, Awaited> = HashMap::new();
        let mut pending = vec![feature.clone()];
        while let Some(next) = pending.pop() {
            for dep in graph.require(&next)?.spec.deps() {
                let upstream = &dep.feature;
                if seen.contains(upstream) {
                    continue;
                }
                let standing = self.standing(upstream).await?;
                // What is optional may be absent for good.
                if dep.optional && standing.is_absent {
                    continue;
                }
                if let Some(awaited) = standing.awaited {
                    found.insert(upstream.clone(), awaited);
                }
                seen.insert(upstream.clone());
                pending.push(upstream.clone());
            }
        }
        let upstream = graph.upstream(std::slice::from_ref(feature));
        Ok(upstream
            .iter()
            .filter_map(|key| found.remove(key))
            .collect())
    }

    /// What a feature means for those that depend on it: of the store that answers for it.
    async fn standing(&mut self, feature: &FeatureKey) -> Result<Standing> {
        if let Some(known) = self.standing.get(feature) {
            return Ok(known.clone());
        }
        let owner = self.store.find_store(feature).await?;
        let elsewhere = owner.filter(|owner| !owner.is_same(&self.store));
        let compared = match elsewhere {
            None if self.asked.contains(feature) => self.compared(feature).await,
            None => self.compare_upstream(feature, None).await,
            Some(owner) => self.compare_upstream(feature, Some(owner)).await,
        };
        let is_root = self.store.plan(feature)?.is_root();
        let standing = match compared {
            Ok(compared) => compared.standing(feature, is_root),
            Err(error) if self.is_of_one(&error) => Standing::failed(feature),
            Err(error) => return Err(error),
        };
        self.standing.insert(feature.clone(), standing.clone());
        Ok(standing)
    }

    /// What was asked for, under all options.
    async fn compared(&mut self, feature: &FeatureKey) -> Result<Comparison> {
        if let Some(known) = self.compared.get(feature) {
            return Ok(known.clone());
        }
        let owner = match self.options.use_fallback {
            true => self.store.find_store(feature).await?,
            false => self
                .store
                .has_feature(feature, false)
                .await?
                .then(|| self.store.clone()),
        };
        let held = (&self.store, owner);
        let compared = compare(&self.store, held, feature, &self.options).await?;
        self.compared.insert(feature.clone(), compared.clone());
        Ok(compared)
    }

    /// A feature that is upstream of what was asked for. Its rows may lack the columns of a filter: then all of them count.
    async fn compare_upstream(
        &self,
        feature: &FeatureKey,
        owner: Option<MetadataStore>,
    ) -> Result<Comparison> {
        let owner = match owner {
            Some(owner) => Some(owner),
            None => self.store.find_store(feature).await?,
        };
        let holder = owner.clone().unwrap_or_else(|| self.store.clone());
        // Where its own chain has the same upstreams, the comparison is best made where the rows are.
        let mut at = holder.clone();
        for dep in self.store.graph.require(feature)?.spec.deps() {
            let here = self.store.answering(&dep.feature).await?;
            if !here.is_same(&holder.answering(&dep.feature).await?) {
                at = self.store.clone();
            }
        }
        let options = self.options.upstream();
        let compared = compare(&at, (&holder, owner.clone()), feature, &options).await;
        match compared {
            Err(error) if error.kind() == ErrorKind::InvalidFilter => {
                compare(&at, (&holder, owner), feature, &StatusOptions::default()).await
            }
            compared => compared,
        }
    }
}

impl Standing {
    /// Of a feature that cannot be compared: whoever depends on it waits until it can.
    fn failed(feature: &FeatureKey) -> Self {
        Self {
            awaited: Some(Awaited {
                feature: feature.clone(),
                to_compute: 0,
                to_delete: 0,
                is_written: false,
                has_failed: true,
            }),
            is_absent: false,
        }
    }
}

/// Compares the rows that `holder` has of a feature with what `store` says of its upstreams.
async fn compare(
    store: &MetadataStore,
    (holder, owner): (&MetadataStore, Option<MetadataStore>),
    feature: &FeatureKey,
    options: &StatusOptions,
) -> Result<Comparison> {
    let mut compared = Comparison::default();
    if let Some(owner) = &owner
        && owner.has_only_other_versions(feature).await?
    {
        let history = ReadOptions::default()
            .with_local_only(true)
            .with_feature_history(true);
        compared.other_versions = Some(owner.count(feature, history).await?);
    }
    compared.owner = owner;
    let plan = store.plan(feature)?;
    if plan.is_root() {
        return Ok(compared);
    }
    for dep in plan.deps.iter().filter(|dep| !dep.dep.optional) {
        let upstream = &dep.dep.feature;
        if store.find_store(upstream).await?.is_none()
            && store.feature_schema(upstream).await?.is_none()
        {
            compared.missing_upstream = Some(upstream.clone());
            return Ok(compared);
        }
    }
    let resolved = store.resolve_against(holder, feature, options.resolve_options());
    let increment = match resolved.await {
        Err(error) if error.kind() == ErrorKind::InvalidFrame => {
            // Rows of other versions may lack a field that is asked for now.
            for dep in &plan.deps {
                let owner = store.answering(&dep.dep.feature).await?;
                if owner.has_only_other_versions(&dep.dep.feature).await? {
                    compared.upstream_not_ready = true;
                    return Ok(compared);
                }
            }
            return Err(error);
        }
        resolved => resolved?,
    };
    compared.compared_with = Some(increment.compared_with().to_owned());
    compared.upstream_not_ready = !increment.waits_for().is_empty();
    compared.counts = Some(increment.sample_counts().await?);
    Ok(compared)
}

impl Comparison {
    fn state(&self, is_root: bool, waits_for: &[Awaited]) -> FeatureState {
        if is_root {
            return match self.owner.is_none() || self.other_versions.is_some() {
                true => FeatureState::NeedsWork,
                false => FeatureState::UpToDate,
            };
        }
        let counts = self.counts.unwrap_or_default();
        // What seems orphaned now may be wanted once what is upstream is done.
        let can_delete = counts.orphaned > 0 && waits_for.iter().all(Awaited::has_nothing);
        if self.missing_upstream.is_some() || self.upstream_not_ready {
            FeatureState::Waits
        } else if counts.new + counts.stale > 0 || can_delete {
            FeatureState::NeedsWork
        } else if !waits_for.is_empty() {
            FeatureState::Waits
        } else {
            FeatureState::UpToDate
        }
    }

    fn standing(&self, feature: &FeatureKey, is_root: bool) -> Standing {
        let counts = self.counts.unwrap_or_default();
        let is_written = self.owner.is_some();
        let to_compute = match is_root {
            true => self.other_versions.unwrap_or_default(),
            false => counts.new + counts.stale,
        };
        let awaited = Awaited {
            feature: feature.clone(),
            to_compute,
            to_delete: counts.orphaned,
            is_written,
            has_failed: false,
        };
        let is_unknown = is_root || self.missing_upstream.is_some();
        let is_absent = !is_written && is_unknown;
        let has_work = is_absent && is_root
            || self.other_versions.is_some()
            || to_compute + counts.orphaned > 0;
        Standing {
            awaited: has_work.then_some(awaited),
            is_absent,
        }
    }
}

impl MetadataStore {
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
