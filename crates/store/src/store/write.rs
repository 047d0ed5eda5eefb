//! Writing samples (`semantics.md` §5).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow::compute::is_not_null;
use arrow::compute::kernels::zip::zip;
use arrow::datatypes::{DataType, Field, Schema};

use super::MetadataStore;
use super::childless::always_deleted;
use super::versions::{Checks, GivenProvenance, with_versions};
use crate::backend::Appended;
use crate::backend::append::{Append, Stamp, Times, as_stamps, stamp_type};
use crate::clock::Micros;
use crate::columns;
use crate::definition::FeatureDefinition;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::Expr;
use crate::frame::Frame;
use crate::key::FeatureKey;
use crate::setters;

/// Rows beyond which a store warns of hashes that are likely to collide (`semantics.md` §10).
const MANY_ROWS: u64 = 10_000_000;

/// How a write is done. The default is that of [`MetadataStore::write`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct WriteOptions {
    /// The run that wrote the rows, instead of the store's.
    pub materialization_id: Option<String>,
    /// Keep the feature and project version of the frame, if it has both.
    pub preserve_feature_version: bool,
    /// Keep all times of the frame (`metaxy_created_at`, `metaxy_updated_at`, `metaxy_deleted_at`): a copy or a replay. Time then
    /// decides which row is the latest, not the order of writes. `metaxy_updated_at` has to be there, in every row; where the others
    /// are missing or null, a row was created when it was updated, and is alive.
    pub preserve_times: bool,
    /// Stamp the rows with exactly this time, in UTC microseconds, even if the table has seen a later one: a replay.
    pub at: Option<Micros>,
    /// Refuse rows in which a field has no version. Without, null is a version: one that stays the same until there is another.
    pub require_versions: bool,
}

impl WriteOptions {
    setters! { options =>
        /// Marks the rows with this run.
        with_materialization_id(id: impl Into<String>) {
            options.materialization_id = Some(id.into());
        }
        /// Keeps the feature and project version of the frame, if it has both.
        with_preserve_feature_version(preserve: bool) {
            options.preserve_feature_version = preserve;
        }
        /// Keeps all times of the frame.
        with_preserve_times(preserve: bool) {
            options.preserve_times = preserve;
        }
        /// FixedColumns the rows with exactly this time, in UTC microseconds.
        with_at(at: Micros) {
            options.at = Some(at);
        }
        /// Whether every field has to have a version.
        with_require_versions(require: bool) {
            options.require_versions = require;
        }
    }
}

impl MetadataStore {
    /// Appends samples of a feature: all of them or, on error, none.
    ///
    /// The frame has the ID columns, `metaxy_provenance_by_field` (a struct of text, one member per field) and any user columns.
    /// `metaxy_provenance` and the data versions are derived where they are missing; feature and project version,
    /// `metaxy_updated_at` and the materialization id are the store's to set; `metaxy_created_at` is kept where given.
    ///
    /// A sample of which nothing was made is a row as well, where a feature makes many of one ([`Lineage::Expansion`]): with `metaxy_empty`
    /// true, the IDs and versions of the parent as an increment gives them, and null in the other ID columns. The parent then counts as done
    /// until its provenance changes. Reads never show such a row.
    ///
    /// [`Lineage::Expansion`]: crate::spec::Lineage::Expansion
    ///
    /// A frame without rows makes the table as well, unless the type of an ID is not known: that of an increment whose upstreams
    /// were never written is Null.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`] if the store is not open for writing; [`ErrorKind::InvalidFrame`] if a column is missing, has a
    /// misfitting type, an ID is null, a by-field column has a version of what is no field of the feature, or an ID column can never match that of an upstream, such as text and numbers; and whatever the backend fails with. Nothing is written then.
    pub async fn write(&self, feature: &FeatureKey, rows: impl Into<Frame>) -> Result<Appended> {
        self.write_with(feature, rows, WriteOptions::default())
            .await
    }

    /// As [`write`](Self::write), with options.
    ///
    /// # Errors
    /// Those of [`write`](Self::write).
    pub async fn write_with(
        &self,
        feature: &FeatureKey,
        rows: impl Into<Frame>,
        options: WriteOptions,
    ) -> Result<Appended> {
        self.require_write("be written to")?;
        let append = self.prepared(feature, rows.into(), &options).await;
        let Some(append) = append.map_err(|e| self.about(e, feature))? else {
            return Ok(Appended::default());
        };
        let matching = self.require_matching_ids(feature, append.rows.schema());
        matching.await.map_err(|e| self.about(e, feature))?;
        let appended = self
            .inner
            .backend
            .append(vec![append])
            .await
            .map_err(|e| self.about(e, feature))?;
        self.warn_of_weak_hash(appended, feature.as_str());
        Ok(appended)
    }

    /// The columns that others pass on, rename or filter by and that rows with these columns do not have, each with the features that
    /// would miss it; in order of their names.
    ///
    /// # Errors
    /// [`ErrorKind::FeatureNotFound`] if the feature is not in the graph.
    pub fn missed_columns(
        &self,
        feature: &FeatureKey,
        given: &Schema,
    ) -> Result<BTreeMap<String, Vec<FeatureKey>>> {
        self.graph.require(feature)?;
        let mut missed: BTreeMap<String, Vec<FeatureKey>> = BTreeMap::new();
        for dependent in self.graph.dependents(feature.as_str()) {
            let spec = &self.graph.require(&dependent)?.spec;
            for dep in spec.deps().iter().filter(|dep| dep.feature == *feature) {
                let renamed = dep.rename.iter().flatten();
                let stored = |name: &String| -> String {
                    let old = renamed.clone().find(|(_, new)| *new == name);
                    old.map_or_else(|| name.clone(), |(old, _)| old.clone())
                };
                let mut needed: BTreeSet<String> =
                    renamed.clone().map(|(old, _)| old.clone()).collect();
                needed.extend(dep.select.iter().flatten().map(&stored));
                for filter in dep.filters.iter().flatten() {
                    let filter = Expr::parse(filter)?;
                    needed.extend(
                        filter
                            .columns()
                            .iter()
                            .map(|name| stored(&name.to_string())),
                    );
                }
                for name in needed {
                    if !name.starts_with(columns::SYSTEM_PREFIX)
                        && given.field_with_name(&name).is_err()
                    {
                        missed.entry(name).or_default().push(dependent.clone());
                    }
                }
            }
        }
        Ok(missed)
    }

    /// The rows as a backend takes them; `None` if they are none, and of IDs whose type is not known.
    pub(super) async fn prepared(
        &self,
        feature: &FeatureKey,
        rows: Frame,
        options: &WriteOptions,
    ) -> Result<Option<Append>> {
        let rows = self.with_childless(feature, rows).await?;
        let append = self.append(feature, rows, options)?;
        append.with_known_ids().await
    }

    /// As [`prepared`](Self::prepared), of rows whose marks are in order.
    pub(super) fn append(
        &self,
        feature: &FeatureKey,
        rows: Frame,
        options: &WriteOptions,
    ) -> Result<Append> {
        let definition = self.graph.require(feature)?;
        let spec = &definition.spec;
        for id in spec.id_columns() {
            if rows.schema().field_with_name(id).is_err() {
                return Err(Error::new(
                    ErrorKind::InvalidFrame,
                    format!("the frame for feature {feature} has no ID column {id:?}"),
                )
                .with_hint("every sample needs its ID; nothing was written"));
            }
        }
        let given = |name: &str| rows.schema().field_with_name(name).is_ok();
        let keep = options.preserve_feature_version
            && given(columns::FEATURE_VERSION)
            && given(columns::PROJECT_VERSION);
        let stamps = FixedColumns {
            // What is kept need not be known: a copy takes rows of features whose version cannot be told.
            versions: match keep {
                true => None,
                false => Some([
                    self.graph.feature_version(feature)?.to_owned(),
                    self.project_version(definition).to_owned(),
                ]),
            },
            materialization_id: options
                .materialization_id
                .clone()
                .filter(|id| !id.is_empty())
                .or_else(|| self.inner.materialization_id.clone()),
        };
        // Rows of other versions have fields of other definitions.
        let checks = Checks {
            members: !keep,
            nulls: options.require_versions && !keep,
        };
        let rows = with_versions(rows, spec, self.hash(), GivenProvenance::Keep, checks)?;
        let rows = stamps.apply(rows);
        let (rows, times) = match options.preserve_times {
            true => (with_times(rows, feature)?, Times::Keep),
            false => (rows, Times::Write(self.stamp(options.at))),
        };
        Ok(Append {
            table: feature.clone(),
            id_columns: spec.id_columns().to_vec(),
            rows,
            times,
            create: self.inner.auto_create_tables,
        })
    }

    /// The project version of the rows of a feature: that of the configured project, also for features of others, as the
    /// reference has it; of the feature's own where none is configured.
    pub(super) fn project_version(&self, definition: &FeatureDefinition) -> &str {
        let project = self.project().unwrap_or(&definition.project);
        self.graph.project_version(project)
    }

    /// The stamp of a write: exactly `at`, or what the clock says.
    pub(super) fn stamp(&self, at: Option<Micros>) -> Stamp {
        match at {
            Some(at) => Stamp::Exactly(at),
            None => Stamp::AfterAll(self.inner.clock.now()),
        }
    }

    /// Warns once when so many samples rest on so few bits that equal hashes of different samples are to be expected.
    pub(super) fn warn_of_weak_hash(&self, appended: Appended, feature: &str) {
        let hash = self.hash();
        let bits = hash.algorithm.bits_after(hash.length);
        if appended.table_rows.is_some_and(|rows| rows > MANY_ROWS)
            && bits < 64
            && !self.inner.warned_of_weak_hash.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                store = self.name(),
                feature,
                "more than {MANY_ROWS} rows rest on hashes of {bits} bits ({} cut to {} characters): some changes will go unseen; a new store can use xxhash64 with a length of 20",
                hash.algorithm,
                hash.length,
            );
        }
    }
}

/// What a write sets in every row.
struct FixedColumns {
    /// The feature's and the project's; `None`: those of the rows.
    versions: Option<[String; 2]>,
    materialization_id: Option<String>,
}

impl FixedColumns {
    fn apply(self, frame: Frame) -> Frame {
        let mut set = vec![(columns::MATERIALIZATION_ID, self.materialization_id)];
        if let Some([feature, project]) = self.versions {
            set.push((columns::FEATURE_VERSION, Some(feature)));
            set.push((columns::PROJECT_VERSION, Some(project)));
        }
        with_texts(frame, set)
    }
}

/// The frame with all three times, for rows that keep theirs: without a creation time a row was created when it was updated, without
/// a deletion time it is alive. The update time decides which row is the latest, so no row may lack it.
pub(super) fn with_times(frame: Frame, feature: &FeatureKey) -> Result<Frame> {
    let given = |name: &str| frame.schema().field_with_name(name).is_ok();
    if !given(columns::UPDATED_AT) {
        return Err(Error::new(
            ErrorKind::InvalidFrame,
            format!(
                "the times of the frame for feature {feature} are to be kept, but it has no column {:?}",
                columns::UPDATED_AT
            ),
        )
        .with_hint("write rows that were read, or let the write stamp them"));
    }
    const TIMES: [&str; 3] = [
        columns::CREATED_AT,
        columns::UPDATED_AT,
        columns::DELETED_AT,
    ];
    let others = frame.schema().fields().iter();
    let mut fields: Vec<Field> = others
        .filter(|field| !TIMES.contains(&field.name().as_str()))
        .map(|field| field.as_ref().clone())
        .collect();
    fields.extend(TIMES.map(|name| Field::new(name, stamp_type(), true)));
    let schema = Arc::new(Schema::new(fields));
    let (output, feature) = (schema.clone(), feature.clone());
    Ok(frame.map(schema, move |batch| {
        let stamps = |name: &str| -> Result<Option<ArrayRef>> {
            let Some(array) = batch.column_by_name(name) else {
                return Ok(None);
            };
            let stamps = as_stamps(&feature, name, array)?.with_timezone("UTC");
            Ok(Some(Arc::new(stamps)))
        };
        let updated = stamps(columns::UPDATED_AT)?;
        let nulls = updated
            .as_ref()
            .map_or(batch.num_rows(), |updated| updated.null_count());
        if nulls > 0 {
            return Err(Error::new(
                ErrorKind::InvalidFrame,
                format!(
                    "the times of the frame for feature {feature} are to be kept, but {:?} is null in {nulls} rows",
                    columns::UPDATED_AT
                ),
            )
            .with_hint("every row needs its time; nothing was written"));
        }
        let arrays = output.fields().iter().map(|field| {
            let array = match field.name().as_str() {
                columns::UPDATED_AT => updated.clone(),
                columns::CREATED_AT => match (stamps(columns::CREATED_AT)?, &updated) {
                    (Some(created), Some(updated)) if created.null_count() > 0 => {
                        Some(zip(&is_not_null(&created)?, &created, updated)?)
                    }
                    (Some(created), _) => Some(created),
                    (None, updated) => updated.clone(),
                },
                columns::DELETED_AT => {
                    always_deleted(stamps(columns::DELETED_AT)?, updated.as_ref(), &batch)?
                }
                name => batch.column_by_name(name).cloned(),
            };
            Ok(array.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows())))
        });
        let arrays = arrays.collect::<Result<_>>()?;
        Ok(RecordBatch::try_new(output.clone(), arrays)?)
    }))
}

/// The frame with these columns set to one text, or null, in every row.
pub(super) fn with_texts(frame: Frame, set: Vec<(&'static str, Option<String>)>) -> Frame {
    let replaced = |name: &str| set.iter().any(|(n, _)| *n == name);
    let kept: Vec<usize> = (0..frame.schema().fields().len())
        .filter(|i| !replaced(frame.schema().field(*i).name()))
        .collect();
    let mut fields: Vec<Field> = kept
        .iter()
        .map(|i| frame.schema().field(*i).clone())
        .collect();
    fields.extend(
        set.iter()
            .map(|(name, _)| Field::new(*name, DataType::Utf8, true)),
    );
    let schema = Arc::new(Schema::new(fields));
    let output = schema.clone();
    frame.map(schema, move |batch| {
        let rows = batch.num_rows();
        let mut arrays: Vec<ArrayRef> = kept.iter().map(|i| batch.column(*i).clone()).collect();
        arrays.extend(set.iter().map(|(_, value)| -> ArrayRef {
            match value {
                Some(value) => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
                    value, rows,
                ))),
                None => new_null_array(&DataType::Utf8, rows),
            }
        }));
        Ok(RecordBatch::try_new(output.clone(), arrays)?)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

    use arrow::array::{AsArray, TimestampMicrosecondArray};
    use arrow::datatypes::TimestampMicrosecondType;
    use futures::executor::block_on;

    use super::*;

    fn timed(created: Vec<Option<i64>>, updated: Vec<Option<i64>>) -> Result<RecordBatch> {
        let times = |times| Arc::new(TimestampMicrosecondArray::from(times)) as ArrayRef;
        let batch = RecordBatch::try_from_iter_with_nullable([
            (columns::CREATED_AT, times(created), true),
            (columns::UPDATED_AT, times(updated), true),
        ])?;
        let frame = with_times(Frame::from(batch), &FeatureKey::new("a").unwrap())?;
        block_on(frame.collect())?.to_batch()
    }

    #[test]
    fn a_row_without_a_creation_time_was_created_when_it_was_updated() {
        let batch = timed(vec![Some(1), None], vec![Some(5), Some(6)]).unwrap();
        let created = batch.column_by_name(columns::CREATED_AT).unwrap();
        let created = created.as_primitive::<TimestampMicrosecondType>();
        assert_eq!(created.values().as_ref(), [1, 6]);
        assert_eq!(created.null_count(), 0);
    }

    #[test]
    fn no_row_may_lack_its_update_time() {
        let error = timed(vec![None, None, None], vec![None, Some(6), None]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidFrame);
        assert!(error.to_string().contains("null in 2 rows"), "{error}");
    }
}
