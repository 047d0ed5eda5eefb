//! Resolving a feature: what should be there, against what is (`semantics.md` §6).

use indexmap::IndexMap;

use super::increment::{Increment, LazyIncrement};
use super::standing::not_ready;
use super::versions::{Checks, GivenProvenance, with_versions};
use super::{MetadataStore, requires};
use crate::backend::append::require_ids;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::Expr;
use crate::frame::{Frame, Rows};
use crate::graph::feature_plan::FeaturePlan;
use crate::key::FeatureKey;
use crate::plan::{
    Childless, Expected, IncrementPlan, Plan, ReadScope, Relation, Upstream, read_current,
};
use crate::setters;

/// What a resolve takes into account. The default is everything.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ResolveOptions {
    /// The samples that should be there, instead of what upstream asks for. A root feature needs them. The frame is what
    /// a write takes.
    pub samples: Option<Frame>,
    /// Conditions on the stored rows of single features, upstream ones or the target.
    pub filters: IndexMap<FeatureKey, Vec<Expr>>,
    /// Conditions on the stored rows of every feature that is read, and on the samples.
    pub global_filters: Vec<Expr>,
    /// Conditions on the stored rows of the target, and on the samples.
    pub target_filters: Vec<Expr>,
    /// Conditions on a stored row that make it stale even though its provenance is unchanged.
    pub staleness_predicates: Vec<Expr>,
    /// Do not look at what is stored: everything expected is new.
    pub skip_comparison: bool,
    /// Compare with what the chain has of the feature, or with what this store alone has. `None`: as the store is set
    /// ([`with_compare_with_fallback`](super::StoreBuilder::with_compare_with_fallback)).
    pub compare_with_fallback: Option<bool>,
}

impl ResolveOptions {
    setters! { options =>
        /// These samples should be there.
        with_samples(samples: impl Into<Frame>) {
            options.samples = Some(samples.into());
        }
        /// Only stored rows of `feature` for which these hold.
        with_filters(feature: FeatureKey, filters: impl IntoIterator<Item = Expr>) {
            options.filters.entry(feature).or_default().extend(filters);
        }
        /// Only stored rows, of every feature, for which these hold.
        with_global_filters(filters: impl IntoIterator<Item = Expr>) {
            options.global_filters.extend(filters);
        }
        /// Only stored rows of the target for which these hold.
        with_target_filters(filters: impl IntoIterator<Item = Expr>) {
            options.target_filters.extend(filters);
        }
        /// Stored rows for which one of these holds are stale.
        with_staleness_predicates(predicates: impl IntoIterator<Item = Expr>) {
            options.staleness_predicates.extend(predicates);
        }
        /// Whether everything expected is new.
        with_skip_comparison(skip: bool) {
            options.skip_comparison = skip;
        }
        /// Whether to compare with what the chain has of the feature.
        with_compare_with_fallback(compare: bool) {
            options.compare_with_fallback = Some(compare);
        }
    }

    fn filters_of(&self, feature: &FeatureKey) -> Vec<Expr> {
        let own = self.filters.get(feature).into_iter().flatten();
        own.chain(&self.global_filters).cloned().collect()
    }
}

impl MetadataStore {
    /// Which samples of a feature are new, stale or orphaned, in memory.
    ///
    /// Upstream features are read through the chain of fallback stores; the feature itself from this store alone, unless it is set to
    /// [compare with the chain](ResolveOptions::compare_with_fallback): then from the store that a [`read`](Self::read) would read. Orphaned
    /// samples of another store cannot be deleted through this one.
    ///
    /// Nothing is orphaned while an upstream has rows of other feature versions only: see [`Increment::waits_for`].
    ///
    /// # Errors
    /// [`ErrorKind::FeatureNotFound`] if a required upstream was never written; [`ErrorKind::InvalidArgument`] for a root feature
    /// without samples; [`ErrorKind::InvalidFrame`] and [`ErrorKind::InvalidFilter`] where columns do not fit.
    pub async fn resolve_update(
        &self,
        feature: &FeatureKey,
        options: ResolveOptions,
    ) -> Result<Increment> {
        self.resolve_lazy(feature, options).await?.collect().await
    }

    /// As [`resolve_update`](Self::resolve_update), but computes nothing yet: the result can be streamed, counted or collected.
    ///
    /// # Errors
    /// Those of [`resolve_update`](Self::resolve_update) that show without computing.
    pub async fn resolve_lazy(
        &self,
        feature: &FeatureKey,
        options: ResolveOptions,
    ) -> Result<LazyIncrement> {
        self.resolve_against(self, feature, options).await
    }

    /// The samples of a feature that upstream no longer has, with their stored columns: what
    /// [`delete_rows`](Self::delete_rows) takes.
    ///
    /// # Errors
    /// [`ErrorKind::UpstreamNotReady`] if an upstream has rows of other feature versions only, so that nobody can tell
    /// (`semantics.md` §15); [`ErrorKind::FeatureNotFound`] if they are samples of another store of the chain; those of
    /// [`resolve_update`](Self::resolve_update).
    pub async fn orphaned(&self, feature: &FeatureKey, options: ResolveOptions) -> Result<Rows> {
        let increment = self.resolve_lazy(feature, options).await?;
        let owner = increment.compared_with().to_owned();
        let increment = increment.collect().await?;
        if !increment.orphaned.is_empty() && owner != self.name() {
            let error = Error::new(
                ErrorKind::FeatureNotFound,
                format!(
                    "feature {feature} lives in store {owner:?}, not in {:?}, so its samples cannot be deleted here",
                    self.name()
                ),
            );
            return Err(error.with_hint(
                "copy the feature to this store first, or delete in the store that has it",
            ));
        }
        match increment.waits_for.as_slice() {
            [] => Ok(increment.orphaned),
            upstreams => Err(self.about(not_ready(feature, upstreams), feature)),
        }
    }

    /// As [`resolve_lazy`](Self::resolve_lazy), against the rows that `holder` has of the feature: this store, or one of its chain.
    pub(super) async fn resolve_against(
        &self,
        holder: &Self,
        feature: &FeatureKey,
        options: ResolveOptions,
    ) -> Result<LazyIncrement> {
        let resolved = self.resolve(holder, feature, options).await;
        resolved.map_err(|e| self.about(e, feature))
    }

    async fn resolve(
        &self,
        holder: &Self,
        feature: &FeatureKey,
        mut options: ResolveOptions,
    ) -> Result<LazyIncrement> {
        let plan = self.plan(feature)?;
        // Versions that cannot be computed show before anything is read.
        let version = self.graph.feature_version(feature)?.to_owned();
        let mut target_filters = options.filters_of(feature);
        target_filters.extend(options.target_filters.iter().cloned());

        let units = match options.samples {
            Some(_) => None,
            None => Some(plan.join_columns.clone()),
        };
        let mut frames = Vec::new();
        let mut waits_for = Vec::new();
        let with_chain = options
            .compare_with_fallback
            .unwrap_or(self.inner.compare_with_fallback);
        let holder = match with_chain && !options.skip_comparison {
            true => self.answering(feature).await?,
            false => holder.clone(),
        };
        let table = holder.inner.backend.schema(feature).await;
        let table = table.map_err(|e| holder.about(e, feature))?;
        let expected = match options.samples.take() {
            Some(samples) => {
                let samples = self.samples(&plan, samples)?;
                let relation = Relation::frame(0, samples.schema().clone());
                frames.push(samples);
                Expected::from_samples(relation, &target_filters)?
            }
            None if plan.is_root() => {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!("feature {feature} has no upstream, so its samples must be given"),
                )
                .with_hint("pass `samples`: the ID columns and metaxy_provenance_by_field of what should be there"));
            }
            None => {
                let mut upstreams = Vec::new();
                for dep in &plan.deps {
                    let upstream = &dep.dep.feature;
                    let owner = self.answering(upstream).await?;
                    if owner.has_only_other_versions(upstream).await? {
                        waits_for.push(upstream.clone());
                    }
                    let filters = options.filters_of(upstream);
                    upstreams.push(
                        self.upstream(&owner, upstream, &filters, &mut frames)
                            .await?,
                    );
                }
                Expected::from_upstreams(&plan, upstreams, table.as_deref(), self.hash())?
            }
        };
        let stored = match table {
            None => None,
            Some(schema) if options.skip_comparison => Some(Relation::empty(schema)),
            Some(schema) => {
                let ids = plan.spec().id_columns();
                let scope = ReadScope {
                    childless: Childless::latest_of(&plan),
                    ..ReadScope::current(version)
                };
                let rows = read_current(feature, &schema, ids, &scope, &target_filters)?;
                Some(self.brought(&holder, feature, rows, &mut frames).await?)
            }
        };
        let predicates: &[Expr] = match (options.skip_comparison, &stored) {
            (false, Some(_)) => &options.staleness_predicates,
            _ => &[],
        };
        let mut increment = IncrementPlan::new(&plan, expected, stored, predicates)?;
        if !waits_for.is_empty() {
            increment = increment.without_orphans()?;
        }
        Ok(LazyIncrement {
            store: self.clone(),
            feature: feature.clone(),
            plan: increment,
            frames,
            units,
            waits_for,
            compared_with: holder.name().to_owned(),
        })
    }

    fn samples(&self, plan: &FeaturePlan, samples: Frame) -> Result<Frame> {
        for id in &plan.identity_columns {
            if samples.schema().field_with_name(id).is_err() {
                return Err(Error::new(
                    ErrorKind::InvalidFrame,
                    format!(
                        "the samples for feature {} have no column {id:?}",
                        plan.key()
                    ),
                )
                .with_hint(format!(
                    "they are identified by {:?}",
                    plan.identity_columns
                )));
            }
        }
        let (feature, ids) = (plan.key().clone(), plan.identity_columns.clone());
        let schema = samples.schema().clone();
        let samples = samples.map(schema, move |batch| {
            require_ids(&feature, &ids, &batch)?;
            Ok(batch)
        });
        with_versions(
            samples,
            plan.spec(),
            self.hash(),
            GivenProvenance::Recompute,
            Checks::default(),
        )
    }

    /// The current rows of an upstream in the store that answers for it.
    async fn upstream(
        &self,
        owner: &Self,
        feature: &FeatureKey,
        filters: &[Expr],
        frames: &mut Vec<Frame>,
    ) -> Result<Upstream> {
        let scope = ReadScope::current(self.graph.feature_version(feature)?);
        self.upstream_of(owner, feature, filters, &scope, frames)
            .await
    }

    /// As [`upstream`](Self::upstream), of another version or time, from the store that answers for it.
    pub(super) async fn upstream_in(
        &self,
        feature: &FeatureKey,
        filters: &[Expr],
        scope: &ReadScope,
        frames: &mut Vec<Frame>,
    ) -> Result<Upstream> {
        let owner = self.answering(feature).await?;
        self.upstream_of(&owner, feature, filters, scope, frames)
            .await
    }

    async fn upstream_of(
        &self,
        owner: &Self,
        feature: &FeatureKey,
        filters: &[Expr],
        scope: &ReadScope,
        frames: &mut Vec<Frame>,
    ) -> Result<Upstream> {
        match owner.local_upstream(feature, filters, scope).await? {
            Some(rows) => Ok(Some(self.brought(owner, feature, rows, frames).await?)),
            None => Ok(None),
        }
    }

    /// Rows of a store of the chain: of this one as they are, of another one as a frame.
    async fn brought(
        &self,
        owner: &Self,
        feature: &FeatureKey,
        rows: Relation,
        frames: &mut Vec<Frame>,
    ) -> Result<Relation> {
        if self.is_same(owner) {
            return Ok(rows);
        }
        let schema = rows.schema().clone();
        let rows = owner.inner.backend.query(Plan::from(rows)).await;
        frames.push(rows.map_err(|e| owner.about(e, feature))?);
        Ok(Relation::frame(frames.len() - 1, schema))
    }

    async fn local_upstream(
        &self,
        feature: &FeatureKey,
        filters: &[Expr],
        scope: &ReadScope,
    ) -> Result<Upstream> {
        let about = |e| self.about(e, feature);
        if scope.as_of.is_some() {
            requires::as_of(&self.inner).map_err(about)?;
        }
        let Some(schema) = self.inner.backend.schema(feature).await.map_err(about)? else {
            return Ok(None);
        };
        let ids = self.graph.require(feature)?.spec.id_columns();
        let relation = read_current(feature, &schema, ids, scope, filters);
        Ok(Some(relation.map_err(about)?))
    }
}
