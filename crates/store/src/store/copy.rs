//! Copying features from another store (`semantics.md` §5, §15).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::{DataType, Schema, SchemaRef};
use futures::{StreamExt, stream};
use indexmap::IndexMap;

use super::merge::{Chosen, Identity, Known, Sieve};
use super::versions::{Checks, GivenProvenance, VERSIONS, with_versions};
use super::write::with_times;
use super::{MetadataStore, WriteOptions};
use crate::backend::append::{Append, Times};
use crate::clock::Micros;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::Expr;
use crate::frame::Frame;
use crate::key::FeatureKey;
use crate::plan::{Childless, Plan, ReadScope, Relation, read_current};
use crate::setters;

/// What a copy takes. The default is the latest row of every sample, over all feature versions, of all features.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CopyOptions {
    /// These features, in this order. `None`: those of the configured project in the order of the graph, or, where no project is
    /// configured, all of the graph.
    pub features: Option<Vec<FeatureKey>>,
    /// Conditions on the samples of single features, seen by the current row of each. Those of features that are not copied are ignored.
    pub filters: IndexMap<FeatureKey, Vec<Expr>>,
    /// Conditions on the samples of every feature.
    pub global_filters: Vec<Expr>,
    /// Rows of all feature versions instead of the current one; so by default. It does not multiply rows: without sample
    /// history each sample has one, the latest over all versions.
    pub with_feature_history: bool,
    /// Every row of each sample. Otherwise the latest, which may be a tombstone.
    pub with_sample_history: bool,
    /// Add the rows as a write does, as the reference's copies are: also rows that are there, with a new stamp, and without deleted samples.
    /// With [`with_sample_history`](Self::with_sample_history) they keep their times, tombstones come along, and each row meets the filters by itself.
    pub append: bool,
    /// The graphs that were pushed to the source, too: what was recorded there and not here is recorded here, with its time.
    pub with_graphs: bool,
    /// Copy nothing: only tell what would be copied. The destination need not be open for writing.
    pub dry_run: bool,
    /// With [`append`](Self::append): stamp the rows with exactly this time, in UTC microseconds: a replay. Rows that come with their times
    /// keep them.
    pub at: Option<Micros>,
    /// Who is told of the rows as they pass by.
    pub watcher: Option<RowWatcher>,
}

/// Somebody who is told how many rows of a feature have just passed by, such as a progress bar.
#[derive(Clone)]
pub struct RowWatcher(Arc<Seen>);

type Seen = dyn Fn(&FeatureKey, u64) + Send + Sync;

impl RowWatcher {
    /// Calls `seen` with the feature and the number of rows of each batch.
    pub fn new(seen: impl Fn(&FeatureKey, u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(seen))
    }

    fn watch(self, feature: &FeatureKey, rows: Frame) -> Frame {
        let (feature, schema) = (feature.clone(), rows.schema().clone());
        rows.map(schema, move |batch| {
            (self.0)(&feature, batch.num_rows() as u64);
            Ok(batch)
        })
    }
}

impl fmt::Debug for RowWatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowWatcher")
    }
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            features: None,
            filters: IndexMap::new(),
            global_filters: Vec::new(),
            with_feature_history: true,
            with_sample_history: false,
            append: false,
            with_graphs: false,
            dry_run: false,
            at: None,
            watcher: None,
        }
    }
}

impl CopyOptions {
    setters! { options =>
        /// Only these features, in this order.
        with_features(features: impl IntoIterator<Item = FeatureKey>) {
            options.features = Some(features.into_iter().collect());
        }
        /// Only samples of `feature` for which these hold.
        with_filters(feature: FeatureKey, filters: impl IntoIterator<Item = Expr>) {
            options.filters.entry(feature).or_default().extend(filters);
        }
        /// Only samples, of every feature, for which these hold.
        with_global_filters(filters: impl IntoIterator<Item = Expr>) {
            options.global_filters.extend(filters);
        }
        /// Rows of all feature versions, or of the current one.
        with_feature_history(all: bool) {
            options.with_feature_history = all;
        }
        /// Every row of each sample, or the latest.
        with_sample_history(all: bool) {
            options.with_sample_history = all;
        }
        /// Whether rows are added as a write does, whatever is there.
        with_append(append: bool) {
            options.append = append;
        }
        /// Whether the graphs that were pushed to the source come along.
        with_graphs(all: bool) {
            options.with_graphs = all;
        }
        /// Whether to tell only what would be copied.
        with_dry_run(dry_run: bool) {
            options.dry_run = dry_run;
        }
        /// With [`append`](Self::append): stamps the rows with exactly this time, in UTC microseconds.
        with_at(at: Micros) {
            options.at = Some(at);
        }
        /// Tells `watcher` of the rows as they pass by.
        with_watcher(watcher: RowWatcher) {
            options.watcher = Some(watcher);
        }
    }
}

/// What a copy did, or in a dry run would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CopyReport {
    /// Features of which rows were copied.
    pub features_copied: u64,
    /// Rows that were copied.
    pub rows_copied: u64,
    /// Rows that were there already.
    pub rows_present: u64,
    /// The features that were copied, with the number of rows of each, in order.
    pub features: Vec<(FeatureKey, u64)>,
    /// The features of which rows were there already, with the number of them, in order.
    pub present: Vec<(FeatureKey, u64)>,
    /// Features that the source does not have, or of which it has no such rows.
    pub skipped: Vec<FeatureKey>,
    /// Pushed graphs (versions of projects) of which something was recorded that was not there.
    pub graphs_copied: u64,
}

impl CopyReport {
    fn add(&mut self, feature: FeatureKey, passed: Passed) {
        if passed == Passed::default() {
            self.skipped.push(feature);
            return;
        }
        if passed.present > 0 {
            self.rows_present += passed.present;
            self.present.push((feature.clone(), passed.present));
        }
        if passed.copied > 0 {
            self.features_copied += 1;
            self.rows_copied += passed.copied;
            self.features.push((feature, passed.copied));
        }
    }
}

/// How many rows of a feature were copied, and how many were there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Passed {
    copied: u64,
    present: u64,
}

impl MetadataStore {
    /// Copies features from `source` into this store, one after the other.
    ///
    /// A copy is a merge: rows come as they are, with their versions and times. A row that is there is not added again, so a copy done
    /// twice is a copy done once. Of two rows of a sample the one with the later stamp is the current one, whichever store it comes from.
    /// A deletion is a row like others: it deletes the sample here too, unless a later row is here. Two stores that copy from each other agree. A
    /// row is there if one with its IDs, its feature version and its stamp is; rows of one write in which an ID repeats come together, and those that
    /// the last of them replaced do not follow it later.
    /// [`CopyOptions::append`] adds rows without a look at what is there.
    ///
    /// Only `source` itself is read, not what it falls back to, and rows are read as this store's graph defines
    /// the features. Each feature is copied whole or not at all; what was copied before a failure stays. Rows stream; of those that this store
    /// has, 32 bytes each are held meanwhile. Rows that others add at the same time may be added twice, which changes no sample.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`] if this store is not open for writing; [`ErrorKind::InvalidArgument`] if `source` is this store;
    /// [`ErrorKind::HashMismatch`] if it hashes otherwise; [`ErrorKind::FeatureNotFound`] for a feature that is not in this store's
    /// graph (nothing is copied then); [`ErrorKind::InvalidFilter`] if a filter does not fit.
    pub async fn copy_from(
        &self,
        source: &MetadataStore,
        options: CopyOptions,
    ) -> Result<CopyReport> {
        if !options.dry_run {
            self.require_write("be copied into")?;
        }
        self.can_copy_from(source)?;
        let features = self.features_to_copy(&options)?;
        let mut report = CopyReport::default();
        for feature in features {
            let copied = self.copy_feature(source, &feature, &options).await;
            let passed = copied.map_err(|e| {
                e.with_context("feature", &feature)
                    .with_context("source", source.name())
                    .with_context("store", self.name())
                    .with_context("features copied before", report.features_copied)
            })?;
            report.add(feature, passed);
        }
        if options.with_graphs {
            let copied = self.record_pushed_of(source, options.dry_run).await;
            report.graphs_copied = copied.map_err(|e| {
                e.with_context("source", source.name())
                    .with_context("store", self.name())
                    .with_context("features copied before", report.features_copied)
            })?;
        }
        Ok(report)
    }

    async fn copy_feature(
        &self,
        source: &MetadataStore,
        feature: &FeatureKey,
        options: &CopyOptions,
    ) -> Result<Passed> {
        let Some(schema) = source.inner.backend.schema(feature).await? else {
            return Ok(Passed::default());
        };
        let own = options.filters.get(feature).into_iter().flatten();
        let asked = Asked {
            feature,
            schema,
            ids: self.graph.require(feature)?.spec.id_columns(),
            feature_version: match options.with_feature_history {
                true => None,
                false => Some(self.graph.feature_version(feature)?.to_owned()),
            },
            filters: options.global_filters.iter().chain(own).cloned().collect(),
            options,
        };
        match options.append {
            true => self.append_copy(source, &asked).await,
            false => self.merge_copy(source, &asked).await,
        }
    }

    /// Adds the rows as a write does.
    async fn append_copy(&self, source: &MetadataStore, asked: &Asked<'_>) -> Result<Passed> {
        let history = asked.options.with_sample_history;
        let relation = asked.rows(history, history, &asked.filters)?;
        if asked.options.dry_run {
            let copied = source.number_of(asked.feature, relation).await?;
            return Ok(Passed { copied, present: 0 });
        }
        let rows = source.inner.backend.query(Plan::from(relation)).await?;
        let write = WriteOptions {
            preserve_feature_version: true,
            preserve_times: history,
            at: asked.options.at,
            ..WriteOptions::default()
        };
        let copied = self
            .add(asked, rows, |rows| self.append(asked.feature, rows, &write))
            .await?;
        Ok(Passed { copied, present: 0 })
    }

    /// Adds the rows that are not there.
    async fn merge_copy(&self, source: &MetadataStore, asked: &Asked<'_>) -> Result<Passed> {
        let history = asked.options.with_sample_history;
        let query =
            async |relation: Relation| source.inner.backend.query(Plan::from(relation)).await;
        let mut sieve = Sieve::default();
        // With its history a sample is chosen by its current row.
        let filters = match history && !asked.filters.is_empty() {
            false => &asked.filters[..],
            true => {
                let current = asked.rows(false, true, &asked.filters)?;
                if let Some(identity) = asked.identity(&asked.schema)? {
                    let current = current.select(asked.ids.iter().map(String::as_str))?;
                    let chosen = Chosen::read(&identity, query(current).await?).await?;
                    sieve.chosen = Some((identity, chosen));
                }
                &[]
            }
        };
        let relation = asked.rows(history, true, filters)?;
        let here = self.inner.backend.schema(asked.feature).await?;
        if let Some(here) = here
            && let Some(identity) = asked.identity(&here)?
        {
            let there = relation.clone().select(identity.columns(&asked.schema))?;
            let stored = Asked {
                schema: here,
                ..asked.clone()
            };
            let stored = stored.rows(true, true, &[])?;
            let stored = stored.clone().select(identity.columns(stored.schema()))?;
            let stored = self.inner.backend.query(Plan::from(stored)).await?;
            let mut known = Known::read(&identity, stored).await?;
            known.compare(&identity, query(there).await?).await?;
            sieve.known = Some((identity, known));
        }

        let present = Arc::new(AtomicU64::new(0));
        let relation = match asked.options.dry_run {
            false => relation,
            true => relation.select(sieve.columns(&asked.schema, asked.ids))?,
        };
        let rows = query(relation).await?;
        let (schema, counting) = (rows.schema().clone(), present.clone());
        let rows = rows.map(schema, move |batch| {
            let (batch, present) = sieve.pass(&batch)?;
            counting.fetch_add(present, Ordering::Relaxed);
            Ok(batch)
        });
        let copied = match asked.options.dry_run {
            true => number_of(rows).await?,
            false => {
                self.add(asked, rows, |rows| self.as_they_are(asked.feature, rows))
                    .await?
            }
        };
        let present = present.load(Ordering::Relaxed);
        Ok(Passed { copied, present })
    }

    /// Appends the rows, unless there are none: then no table is made either.
    async fn add(
        &self,
        asked: &Asked<'_>,
        rows: Frame,
        append: impl FnOnce(Frame) -> Result<Append>,
    ) -> Result<u64> {
        let Some(rows) = unless_empty(rows).await? else {
            return Ok(0);
        };
        let rows = match &asked.options.watcher {
            Some(watcher) => watcher.clone().watch(asked.feature, rows),
            None => rows,
        };
        let append = append(rows)?;
        let appended = self.inner.backend.append(vec![append]).await?;
        self.warn_of_weak_hash(appended, asked.feature.as_str());
        Ok(appended.rows)
    }

    /// Rows of a store with all that they say of themselves.
    fn as_they_are(&self, feature: &FeatureKey, rows: Frame) -> Result<Append> {
        let spec = &self.graph.require(feature)?.spec;
        let rows = match tells_versions(rows.schema()) {
            true => rows,
            false => {
                let checks = Checks::default();
                with_versions(rows, spec, self.hash(), GivenProvenance::Keep, checks)?
            }
        };
        Ok(Append {
            table: feature.clone(),
            id_columns: spec.id_columns().to_vec(),
            rows: with_times(rows, feature)?,
            times: Times::Keep,
            create: self.inner.auto_create_tables,
        })
    }

    /// Whether `source` can be copied into this store; [`copy_from`](Self::copy_from) asks this first.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if `source` is this store; [`ErrorKind::HashMismatch`] if it hashes otherwise.
    pub fn can_copy_from(&self, source: &MetadataStore) -> Result<()> {
        let backends = [&self.inner.backend, &source.inner.backend];
        let [here, there] = backends.map(|backend| Arc::as_ptr(backend).cast::<()>());
        // One configuration names a store once; a store that was never named says nothing by its name.
        let named_alike = self.name() == source.name() && self.name() != super::builder::UNNAMED;
        if here == there || (named_alike && self.describe() == source.describe()) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("store {:?} cannot be copied into itself", self.name()),
            )
            .with_hint("name another store as the source or the destination"));
        }
        if self.hash() == source.hash() {
            return Ok(());
        }
        let show = |store: &Self| {
            let hash = store.hash();
            format!(
                "{:?} hashes with {} cut to {} characters",
                store.name(),
                hash.algorithm,
                hash.length
            )
        };
        Err(Error::new(
            ErrorKind::HashMismatch,
            format!(
                "store {} and the source {}: everything copied would be stale",
                show(self),
                show(source)
            ),
        )
        .with_hint("give both one `hash_algorithm` and one `hash_truncation_length`, or compute the features anew"))
    }

    fn features_to_copy(&self, options: &CopyOptions) -> Result<Vec<FeatureKey>> {
        if let Some(features) = &options.features {
            for feature in features {
                let known = self.graph.require(feature);
                known.map_err(|e| self.about(e, feature))?;
            }
            return Ok(features.clone());
        }
        let ours = |project: &str| self.project().is_none_or(|own| own == project);
        Ok(self
            .graph
            .definitions()
            .filter(|definition| ours(&definition.project))
            .map(|definition| definition.key().clone())
            .collect())
    }
}

/// What is copied of one feature.
#[derive(Clone)]
struct Asked<'a> {
    feature: &'a FeatureKey,
    /// The columns of the source's table.
    schema: SchemaRef,
    ids: &'a [String],
    feature_version: Option<String>,
    filters: Vec<Expr>,
    options: &'a CopyOptions,
}

impl Asked<'_> {
    /// The rows of a table with these columns, all of each sample or the latest.
    fn rows(&self, history: bool, with_deleted: bool, filters: &[Expr]) -> Result<Relation> {
        let scope = ReadScope {
            feature_version: self.feature_version.clone(),
            sample_history: history,
            include_soft_deleted: with_deleted,
            as_of: None,
            childless: Childless::Stored,
        };
        read_current(self.feature, &self.schema, self.ids, &scope, filters)
    }

    /// How rows of the source are known among those of a table with the columns `here`.
    fn identity(&self, here: &Schema) -> Result<Option<Identity>> {
        Identity::new(self.feature, self.ids, here, &self.schema)
    }
}

/// Whether a table has all columns of versions, by field as structs. Maps, which the reference may write, become structs.
fn tells_versions(schema: &Schema) -> bool {
    VERSIONS.iter().all(|name| {
        let field = schema.field_with_name(name);
        field.is_ok_and(|field| !matches!(field.data_type(), DataType::Map(..)))
    })
}

async fn number_of(mut rows: Frame) -> Result<u64> {
    let mut number = 0;
    while let Some(batch) = rows.next().await? {
        number += batch.num_rows() as u64;
    }
    Ok(number)
}

/// The same rows, or `None` if there are none.
async fn unless_empty(mut rows: Frame) -> Result<Option<Frame>> {
    while let Some(batch) = rows.next().await? {
        if batch.num_rows() > 0 {
            let schema = rows.schema().clone();
            let first = stream::iter([Ok(batch)]);
            return Ok(Some(Frame::new(schema, first.chain(rows.into_stream()))));
        }
    }
    Ok(None)
}
