//! Soft and hard deletes (`semantics.md` §5).

use arrow::datatypes::SchemaRef;
use futures::{StreamExt, stream};

use super::write::with_texts;
use super::{MetadataStore, requires};
use crate::backend::append::{Append, Times};
use crate::clock::Micros;
use crate::columns;
use crate::delete::DeleteSamples;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Expr, col, lit};
use crate::frame::Frame;
use crate::key::FeatureKey;
use crate::plan::{JoinKind, Plan, ReadScope, read_current};
use crate::setters;

/// What a delete removes. The default is a soft delete of every current sample.
///
/// A delete acts on samples (`semantics.md` §15). A sample is chosen by its current row, the one that a read gives; a hard delete
/// chooses tombstones as well, so that they can be removed. It never depends on rows that later ones replaced.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct DeleteOptions {
    /// Conditions that all hold for the current row of the samples that are deleted. They see the columns that a read sees; those of
    /// a hard delete also `metaxy_deleted_at` of samples that are marked as deleted.
    pub filters: Vec<Expr>,
    /// Remove samples for good, with all their rows, instead of marking them as deleted.
    pub hard: bool,
    /// Samples of all feature versions instead of the current one. The current row of a sample is then the latest over all versions,
    /// and a hard delete removes its rows of all versions.
    pub with_feature_history: bool,
    /// For a soft delete: every row of each sample gets a tombstone instead of the latest alone. A hard delete removes every row
    /// of its samples in any case.
    pub with_sample_history: bool,
    /// Stamp the tombstones with exactly this time, in UTC microseconds: a replay.
    pub at: Option<Micros>,
    /// Refuse to delete more than this share of the samples that a read gives now, from 0 to 1: see [`Reach::share`]. Nothing is deleted
    /// then. `None`: any share.
    pub max_share: Option<f64>,
}

/// How far a delete reaches: see [`MetadataStore::reach`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Reach {
    /// How many samples are chosen. A hard delete may choose some that are marked as deleted.
    pub samples: u64,
    /// How many of them a read gives.
    pub living: u64,
    /// How many samples a read gives, whatever the filters: of the current feature version, or over all versions if the delete looks at
    /// these.
    pub of: u64,
}

impl Reach {
    /// All of `samples` are samples that a read gives, `of` so many.
    #[must_use]
    pub fn living(samples: u64, of: u64) -> Self {
        Self {
            samples,
            living: samples,
            of,
        }
    }

    /// The part of the samples that a read gives and that the delete chooses, from 0 to 1; 0 if a read gives none. A share is a share: one
    /// of two samples is a half.
    #[must_use]
    pub fn share(&self) -> f64 {
        match self.of {
            0 => 0.0,
            of => self.living as f64 / of as f64,
        }
    }
}

impl DeleteOptions {
    /// Samples are marked as deleted; writing them again brings them back.
    #[must_use]
    pub fn soft() -> Self {
        Self::default()
    }

    /// Rows are removed for good.
    #[must_use]
    pub fn hard() -> Self {
        Self {
            hard: true,
            ..Self::default()
        }
    }

    setters! { options =>
        /// Only samples for whose current row these hold.
        with_filters(filters: impl IntoIterator<Item = Expr>) {
            options.filters.extend(filters);
        }
        /// Samples of all feature versions.
        with_feature_history(all: bool) {
            options.with_feature_history = all;
        }
        /// For a soft delete: every row of each sample gets a tombstone.
        with_sample_history(all: bool) {
            options.with_sample_history = all;
        }
        /// FixedColumns the tombstones with exactly this time, in UTC microseconds.
        with_at(at: Micros) {
            options.at = Some(at);
        }
        /// Refuses to delete more than this share of the samples, from 0 to 1.
        with_max_share(share: f64) {
            options.max_share = Some(share);
        }
    }
}

impl MetadataStore {
    /// Deletes samples of a feature in this store; returns how many rows were marked or removed. A soft delete marks one row of each
    /// sample, the current one, unless [`with_sample_history`](DeleteOptions::with_sample_history); a hard delete removes all rows of each.
    ///
    /// A hard delete is one step: what is written meanwhile stays. A soft delete looks for its samples first, and marks them then: a
    /// sample that is written between the two is marked as well. Its row is not lost, it is in the history; and the next resolve
    /// shows the sample as new.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`] if the store is not open for writing; [`ErrorKind::InvalidFilter`] if a filter does not fit;
    /// [`ErrorKind::InvalidArgument`] if more than [`max_share`](DeleteOptions::max_share) of the samples would go; for a
    /// hard delete [`ErrorKind::Unsupported`] if the backend cannot remove rows; for a
    /// soft delete [`ErrorKind::FeatureNotFound`] if this store does not have the feature (a hard delete of nothing is fine).
    pub async fn delete(&self, feature: &FeatureKey, options: DeleteOptions) -> Result<u64> {
        self.require_write("delete samples")?;
        let deleted = async {
            self.require_share(feature, &options).await?;
            match options.hard {
                true => self.delete_hard(feature, &options).await,
                false => self.delete_soft(feature, &options).await,
            }
        };
        deleted.await.map_err(|e| self.about(e, feature))
    }

    /// How many samples a delete would choose now, and of how many. Nothing is deleted, and the store may be open for reading only.
    ///
    /// # Errors
    /// Those of [`delete`](Self::delete), but for the ones about writing and [`max_share`](DeleteOptions::max_share).
    pub async fn reach(&self, feature: &FeatureKey, options: &DeleteOptions) -> Result<Reach> {
        let reach = self.reach_of(feature, options).await;
        reach.map_err(|e| self.about(e, feature))
    }

    /// Marks samples as deleted: those of `rows`, which carry the stored columns, such as the orphaned part of an increment or what
    /// a read gave. Returns how many were marked. Without a row there is nothing to do, whatever the columns: before the first write
    /// of a feature its increment has no stored columns to show.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`] if the store is not open for writing; [`ErrorKind::InvalidFrame`] if the rows lack the ID columns or
    /// the system columns of stored rows; [`ErrorKind::FeatureNotFound`] if only a store that this one falls back to has the feature.
    pub async fn delete_rows(&self, feature: &FeatureKey, rows: impl Into<Frame>) -> Result<u64> {
        self.require_write("delete samples")?;
        let ids = self.graph.require(feature)?.spec.id_columns().to_vec();
        let Some(rows) = unless_empty(rows.into())
            .await
            .map_err(|e| self.about(e, feature))?
        else {
            return Ok(0);
        };
        let system = [
            columns::FEATURE_VERSION,
            columns::CREATED_AT,
            columns::UPDATED_AT,
        ];
        for name in ids.iter().map(String::as_str).chain(system) {
            if rows.schema().field_with_name(name).is_err() {
                return Err(Error::new(
                    ErrorKind::InvalidFrame,
                    format!("the rows of feature {feature} that are to be deleted have no column {name:?}"),
                )
                .with_hint("pass the orphaned part of an increment, or rows that were read with all columns"));
            }
        }
        // Orphans can be those of a fallback store that the feature was compared with.
        if !self.has_feature_here(feature).await?
            && let Some(owner) = self.find_store(feature).await?
        {
            return Err(self.about(self.lives_elsewhere(feature, &owner), feature));
        }
        let marked = self.tombstones(feature, ids, rows, None).await;
        marked.map_err(|e| self.about(e, feature))
    }

    async fn delete_hard(&self, feature: &FeatureKey, options: &DeleteOptions) -> Result<u64> {
        let Some(schema) = self.schema_to_delete_from(feature, options).await? else {
            return Ok(0);
        };
        let version = self.graph.feature_version(feature)?;
        let ids = self.graph.require(feature)?.spec.id_columns();
        // What the IDs say is the same for all rows of a sample, so it may choose rows.
        let is_of_ids = |filter: &Expr| {
            let mut columns = filter.columns().into_iter();
            columns.all(|name| ids.iter().any(|id| id == name))
        };
        let mut among = match options.with_feature_history {
            true => Vec::new(),
            false => vec![col(columns::FEATURE_VERSION).eq(lit(version))],
        };
        let filters = options.filters.iter().flat_map(Expr::conjuncts).cloned();
        let (of_ids, of_samples): (Vec<Expr>, Vec<Expr>) = filters.partition(is_of_ids);
        among.extend(of_ids);
        let bound = |conditions: Vec<Expr>| -> Result<Option<Expr>> {
            let all = Expr::and_all(conditions);
            all.map(|condition| condition.bind(&schema)).transpose()
        };
        let among = bound(among)?;
        let backend = &self.inner.backend;
        let Some(condition) = bound(of_samples)? else {
            return backend.delete(feature, among.as_ref()).await;
        };
        let mut samples = DeleteSamples::new(ids, condition);
        samples.among = among;
        backend.delete_samples(feature, &samples).await
    }

    async fn delete_soft(&self, feature: &FeatureKey, options: &DeleteOptions) -> Result<u64> {
        let Some(schema) = self.schema_to_delete_from(feature, options).await? else {
            return Ok(0);
        };
        let ids = self.graph.require(feature)?.spec.id_columns();
        let mut scope = self.scope_of(feature, options)?;
        let mut relation = read_current(feature, &schema, ids, &scope, &options.filters)?;
        if options.with_sample_history {
            scope.sample_history = true;
            let all = read_current(feature, &schema, ids, &scope, &[])?;
            let chosen = relation.select(ids.iter().map(String::as_str))?;
            let names = all.schema().clone();
            let names = names.fields().iter().map(|field| field.name().as_str());
            relation = all
                .join(chosen, ids.to_vec(), JoinKind::Inner)?
                .select(names)?;
        }
        let rows = self.inner.backend.query(Plan::from(relation)).await?;
        self.tombstones(feature, ids.to_vec(), rows, options.at)
            .await
    }

    async fn reach_of(&self, feature: &FeatureKey, options: &DeleteOptions) -> Result<Reach> {
        let Some(schema) = self.schema_to_delete_from(feature, options).await? else {
            return Ok(Reach::default());
        };
        let ids = self.graph.require(feature)?.spec.id_columns();
        let mut scope = self.scope_of(feature, options)?;
        let all = read_current(feature, &schema, ids, &scope, &[])?;
        let living = read_current(feature, &schema, ids, &scope, &options.filters)?;
        let living = self.number_of(feature, living).await?;
        let of = match options.filters.is_empty() {
            true => living,
            false => self.number_of(feature, all).await?,
        };
        let samples = if options.hard {
            scope.include_soft_deleted = true;
            let chosen = read_current(feature, &schema, ids, &scope, &options.filters)?;
            self.number_of(feature, chosen).await?
        } else {
            living
        };
        Ok(Reach {
            samples,
            living,
            of,
        })
    }

    /// The current rows, by which samples are chosen.
    fn scope_of(&self, feature: &FeatureKey, options: &DeleteOptions) -> Result<ReadScope> {
        let mut scope = ReadScope::current(self.graph.feature_version(feature)?);
        if options.with_feature_history {
            scope.feature_version = None;
        }
        Ok(scope)
    }

    /// The columns of the table that samples are deleted from; `None` if there is none, which only a hard delete takes.
    async fn schema_to_delete_from(
        &self,
        feature: &FeatureKey,
        options: &DeleteOptions,
    ) -> Result<Option<SchemaRef>> {
        self.graph.require(feature)?;
        if options.hard {
            requires::hard_delete(&self.inner)?;
            return self.inner.backend.schema(feature).await;
        }
        if !self.has_feature_here(feature).await?
            && let Some(owner) = self.find_store(feature).await?
        {
            return Err(self.lives_elsewhere(feature, &owner));
        }
        let schema = self.inner.backend.schema(feature).await?;
        schema.map(Some).ok_or_else(|| self.never_written(feature))
    }

    /// Refuses a delete that reaches too far.
    async fn require_share(&self, feature: &FeatureKey, options: &DeleteOptions) -> Result<()> {
        let Some(most) = options.max_share else {
            return Ok(());
        };
        if !(0.0..=1.0).contains(&most) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("at most a share of {most} is to be deleted, which is no share"),
            )
            .with_hint("give a number from 0 to 1; nothing was deleted"));
        }
        let reach = self.reach_of(feature, options).await?;
        if reach.share() <= most {
            return Ok(());
        }
        let Reach { living, of, .. } = reach;
        Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("{living} of {of} samples of feature {feature} would be deleted, and at most a share of {most} is allowed"),
        )
        .with_hint("look at what the filters choose, or raise `max_share`; nothing was deleted"))
    }

    /// Appends the rows again, marked as deleted by this store's run.
    async fn tombstones(
        &self,
        feature: &FeatureKey,
        id_columns: Vec<String>,
        rows: Frame,
        at: Option<Micros>,
    ) -> Result<u64> {
        let run = self.inner.materialization_id.clone();
        let append = Append {
            table: feature.clone(),
            id_columns,
            rows: with_texts(rows, vec![(columns::MATERIALIZATION_ID, run)]),
            times: Times::Tombstone(self.stamp(at)),
            create: false,
        };
        Ok(self.inner.backend.append(vec![append]).await?.rows)
    }

    fn lives_elsewhere(&self, feature: &FeatureKey, owner: &Self) -> Error {
        Error::new(
            ErrorKind::FeatureNotFound,
            format!(
                "feature {feature} lives in store {:?}, not in {:?}, so its samples cannot be deleted here",
                owner.name(),
                self.name()
            ),
        )
        .with_hint("copy the feature to this store first, or delete in the store that has it")
    }
}

/// The frame, unless it has no rows.
async fn unless_empty(mut rows: Frame) -> Result<Option<Frame>> {
    while let Some(batch) = rows.next().await? {
        if batch.num_rows() > 0 {
            let schema = rows.schema().clone();
            let all = stream::iter([Ok(batch)]).chain(rows.into_stream());
            return Ok(Some(Frame::new(schema, all)));
        }
    }
    Ok(None)
}
