//! Appends: rows are stored in files first, and one commit makes all of them rows of the table. A table that is not there is made by
//! the same commit; columns that a table lacks come in a commit before, so that the one with the rows conflicts with nobody's.
//!
//! A write's stamp is later than those of all commits before its own. If others have committed meanwhile, and one of their stamps is
//! not before the write's, its rows are stored once more, with a later one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use metaxy_core::backend::append::{
    Append, PreparedAppend, Stamp, Times, conform_batch, missing_table,
};
use metaxy_core::clock::Micros;
use metaxy_core::columns::{CREATED_AT, DELETED_AT, UPDATED_AT};
use metaxy_core::{Error, FeatureKey, Result, Rows};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::file::{self, Staged, Staging};
use crate::latest::latest;
use crate::log::{
    Commit, Failure, add_action, commit_conflict, metadata_action, next_modified, now,
    protocol_action,
};
use crate::retry::Backoff;
use crate::snapshot::{DROPPED, INDEXED, Metadata, Protocol, Snapshot};
use crate::table::{DeltaInner, Table};
use crate::types::{self, StoredColumn};

/// Rows that took longer than this to arrive: others have probably committed meanwhile.
const LONG: Duration = Duration::from_millis(250);

/// Files of an append that are not larger in all stay in memory until they are committed, as they may have to be stored again.
const HELD: usize = 1 << 20;

/// Appends to one table; returns the rows that were added, and how many the table has now, if that is known.
pub(crate) async fn append(inner: &DeltaInner, append: Append) -> Result<(u64, Option<u64>)> {
    let feature = append.table.clone();
    let table = inner.table(&feature)?;
    let done = Writer {
        inner,
        table,
        create: append.create,
        own: own_schema(&append)?,
        times: append.times,
        ids: append.id_columns.clone(),
        feature: feature.clone(),
    }
    .append(append)
    .await;
    done.map_err(|error| error.with_context("feature", feature))
}

struct Writer<'a> {
    inner: &'a DeltaInner,
    feature: FeatureKey,
    table: Arc<Table>,
    create: bool,
    /// The columns of the rows themselves.
    own: SchemaRef,
    times: Times,
    ids: Vec<String>,
}

/// Files on their way into the table.
struct Pending {
    /// The table as it was when it was last looked at.
    base: Option<Arc<Snapshot>>,
    files: Vec<Staged>,
    /// The columns of the table when the files were stored.
    schema: SchemaRef,
    /// What the rows are stamped with, if that has to be later than what the table has.
    stamp: Option<Micros>,
    /// The table that the stamp is later than.
    later_than: Option<Arc<Snapshot>>,
}

impl Pending {
    fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }
}

impl Writer<'_> {
    async fn append(&self, append: Append) -> Result<(u64, Option<u64>)> {
        let start = Instant::now();
        let base = self.inner.refresh(&self.table).await?;
        let live = self.live(base.as_deref())?;
        let latest = match live {
            Some(live) => latest(&self.table, live, append.times).await?,
            None => None,
        };
        let mut prepared = append.prepare(live.map(|live| live.schema.as_ref()), latest)?;
        let schema = prepared.schema().clone();
        let columns = self.columns(&schema)?;
        self.may_make(live, &columns)?;
        let mut staging = self.staging(base.as_deref(), columns);
        let files = match fill(&mut staging, &mut prepared).await {
            Ok(files) => files,
            Err(error) => {
                staging.discard().await;
                return Err(error);
            }
        };
        let mut pending = Pending {
            later_than: base.clone(),
            base,
            files,
            schema,
            // What is after all of the table's is the greatest.
            stamp: restamped(self.times).and(prepared.latest()),
        };
        let late = start.elapsed() > LONG;
        match self.commit(&mut pending, late).await {
            Ok(before) => Ok((pending.rows(), before.map(|before| before + pending.rows()))),
            Err(failure) => {
                if failure.is_certain {
                    file::discard(&self.table, &pending.files).await;
                }
                Err(failure.error)
            }
        }
    }

    /// The table, if it exists and was not dropped.
    fn live<'s>(&self, base: Option<&'s Snapshot>) -> Result<Option<&'s Snapshot>> {
        let Some(base) = base else { return Ok(None) };
        base.meta.require_writable(&self.feature, false)?;
        if base.is_dropped() {
            return Ok(None);
        }
        base.require_ours(&self.feature, &self.table.location)?;
        Ok(Some(base))
    }

    fn may_make(&self, live: Option<&Snapshot>, columns: &[StoredColumn]) -> Result<()> {
        if live.is_some() || self.create {
            return Ok(());
        }
        let columns: Vec<String> = columns
            .iter()
            .map(|column| format!("{} {}", column.field.name(), column.field.data_type()))
            .collect();
        let table = format!(
            "CREATE TABLE delta.`{}` ({}) USING DELTA",
            self.table.location,
            columns.join(", ")
        );
        Err(missing_table(&self.feature, &table))
    }

    fn columns(&self, schema: &SchemaRef) -> Result<Vec<StoredColumn>> {
        types::tell_apart(schema, &self.feature)?;
        StoredColumn::all(schema)
    }

    fn staging(&self, base: Option<&Snapshot>, columns: Vec<StoredColumn>) -> Staging {
        let config = &self.inner.config;
        let given = || config.write.configuration.get(INDEXED)?.parse().ok();
        let indexed = base.map_or_else(given, |base| base.meta.indexed());
        Staging::new(
            &self.feature,
            &self.table,
            columns,
            &config.write,
            indexed,
            0,
            config.retry_timeout,
        )
        .holding(HELD)
    }

    /// Makes the files part of the table; returns the rows that it had before. `late`: the table has to be looked at first.
    async fn commit(&self, pending: &mut Pending, late: bool) -> Result<Option<u64>, Failure> {
        let mut append = Commit::new("WRITE");
        append.is_blind = true;
        append.parameters = json!({"mode": "Append"});
        let mut backoff = self.inner.backoff();
        if late {
            self.refresh(pending).await?;
        }
        loop {
            let fitting = self.fit(pending).await.map_err(Failure::before)?;
            let base = pending.base.as_deref();
            let is_put = if let Some(lacking) = fitting.lacking {
                self.add_columns(base, &lacking, &mut backoff).await?
            } else {
                let mut actions = fitting.table;
                let modified = next_modified(base);
                let files = pending.files.iter();
                actions.extend(files.map(|file| add_action(file, modified, true)));
                let files = pending.files.len();
                append.metrics =
                    json!({"num_added_files": files, "num_added_rows": pending.rows()});
                let is_put = actions.is_empty()
                    || append
                        .put(&self.table, base, &actions, &mut backoff)
                        .await?;
                if is_put {
                    return Ok(base.map_or(Some(0), Snapshot::rows));
                }
                false
            };
            if !is_put && !backoff.pause().await {
                return Err(Failure::before(commit_conflict(&self.table)));
            }
            self.refresh(pending).await?;
        }
    }

    async fn refresh(&self, pending: &mut Pending) -> Result<(), Failure> {
        let refreshed = self.inner.refresh(&self.table).await;
        pending.base = refreshed.map_err(Failure::before)?;
        Ok(())
    }

    /// Puts a commit that gives the table other columns, and nothing else; `false`: others were faster.
    async fn add_columns(
        &self,
        base: Option<&Snapshot>,
        lacking: &Lacking,
        backoff: &mut Backoff,
    ) -> Result<bool, Failure> {
        let mut commit = Commit::new("ADD COLUMN");
        commit.parameters = json!({"fields": lacking.fields.to_string()});
        let put = commit.put(&self.table, base, &lacking.actions, backoff);
        // Whatever became of it, the rows are in no commit.
        put.await.map_err(|failure| Failure::before(failure.error))
    }

    /// Fits the files to the table, as far as others have changed it, and says what it needs to take them.
    async fn fit(&self, pending: &mut Pending) -> Result<Fitting> {
        let base = pending.base.clone();
        let live = self.live(base.as_deref())?;
        let fitted = self.fitted(live)?;
        let columns = self.columns(&fitted)?;
        self.may_make(live, &columns)?;
        let later = self.later(live, pending).await?;
        if later.is_some() || changes_type(&pending.schema, &fitted) {
            let again = self.store_again(pending, &fitted, later).await?;
            file::discard(&self.table, &pending.files).await;
            pending.files = again;
            pending.schema = fitted;
            pending.stamp = later.or(pending.stamp);
        }
        pending.later_than.clone_from(&base);
        let protocol = required_protocol(base.as_deref(), &columns);
        let metadata = self.metadata(base.as_deref(), live.is_some(), &columns);
        let mut actions = Vec::new();
        if base.as_ref().is_none_or(|b| b.meta.protocol != protocol) {
            actions.push(protocol_action(&protocol));
        }
        let Some(live) = live else {
            actions.push(metadata_action(&metadata.action));
            return Ok(Fitting {
                lacking: None,
                table: actions,
            });
        };
        let known = live.meta.delta_schema.get("fields");
        let changed = *live.columns != columns && known != Some(&metadata.fields);
        if changed || live.is_marked() {
            actions.push(metadata_action(&metadata.action));
        }
        let lacks = |field: &&Value| {
            let known = known.and_then(Value::as_array);
            known.is_none_or(|known| !known.contains(field))
        };
        let fields = metadata.fields.as_array().into_iter().flatten();
        let lacking = (!actions.is_empty()).then(|| Lacking {
            fields: fields.filter(lacks).cloned().collect(),
            actions,
        });
        Ok(Fitting {
            lacking,
            table: Vec::new(),
        })
    }

    /// The stamp that the rows need in place of theirs, as others have committed later ones.
    async fn later(&self, live: Option<&Snapshot>, pending: &Pending) -> Result<Option<Micros>> {
        let is_known = match (&pending.base, &pending.later_than) {
            (Some(base), Some(known)) => Arc::ptr_eq(base, known),
            (base, known) => base.is_none() && known.is_none(),
        };
        let (Some(live), Some(stamp), false) = (live, pending.stamp, is_known) else {
            return Ok(None);
        };
        if pending.files.is_empty() {
            return Ok(None);
        }
        let Some(times) = restamped(self.times) else {
            return Ok(None);
        };
        let latest = latest(&self.table, live, times(Stamp::AfterAll(stamp))).await?;
        Ok(latest
            .filter(|latest| *latest >= stamp)
            .map(|latest| latest.saturating_add(1)))
    }

    /// The columns of the table, and those of the rows.
    fn fitted(&self, live: Option<&Snapshot>) -> Result<SchemaRef> {
        let nothing = Append {
            table: self.feature.clone(),
            id_columns: self.ids.clone(),
            rows: Rows::empty(self.own.clone()).into(),
            times: Times::Keep,
            create: self.create,
        };
        let prepared = nothing.prepare(live.map(|live| live.schema.as_ref()), None)?;
        Ok(prepared.schema().clone())
    }

    fn metadata(
        &self,
        base: Option<&Snapshot>,
        is_live: bool,
        columns: &[StoredColumn],
    ) -> NewMetadata {
        let write = &self.inner.config.write;
        let earlier = base.filter(|_| is_live).map(|base| &base.meta.delta_schema);
        let mut schema = types::delta_schema(columns, earlier);
        let mut metadata = match base {
            Some(base) => base.meta.metadata.clone(),
            None => Metadata {
                id: Uuid::new_v4().to_string(),
                name: write.name.clone(),
                description: write.description.clone(),
                format: json!({"provider": "parquet", "options": {}}),
                created_time: Some(now()),
                configuration: write
                    .configuration
                    .iter()
                    .map(|(name, value)| (name.clone(), Some(value.clone())))
                    .collect(),
                ..Metadata::default()
            },
        };
        metadata.schema_string = schema.to_string();
        metadata.configuration.remove(DROPPED);
        NewMetadata {
            action: metadata,
            fields: schema
                .get_mut("fields")
                .map(Value::take)
                .unwrap_or_default(),
        }
    }

    /// The rows of the files in other files, with other types, and another stamp if one is given.
    async fn store_again(
        &self,
        pending: &Pending,
        fitted: &SchemaRef,
        later: Option<Micros>,
    ) -> Result<Vec<Staged>> {
        let own = |column: &StoredColumn| self.own.field_with_name(column.field.name()).is_ok();
        let columns = self.columns(&pending.schema)?.into_iter().filter(own);
        let columns: Vec<StoredColumn> = columns.collect();
        let mut staging = self.staging(pending.base.as_deref(), self.columns(fitted)?);
        let outcome = async {
            for file in &pending.files {
                let mut rows = file::read_staged(&self.table, file, &columns).await?;
                while let Some(mut batch) = rows.next().await? {
                    if let (Some(stamp), Some(later)) = (pending.stamp, later) {
                        batch = stamped_later(&batch, self.times, stamp, later)?;
                    }
                    let batch = conform_batch(&self.feature, &batch, fitted)?;
                    staging.write(&batch).await?;
                }
            }
            staging.finish().await
        }
        .await;
        if outcome.is_err() {
            staging.discard().await;
        }
        outcome
    }
}

/// What a table needs to take the files of an append.
struct Fitting {
    /// What has to be committed before.
    lacking: Option<Lacking>,
    /// What makes the table, in the same commit.
    table: Vec<Value>,
}

/// What gives a table the columns of an append.
struct Lacking {
    /// The columns that it gets, or that get other members, as Delta writes them.
    fields: Value,
    actions: Vec<Value>,
}

struct NewMetadata {
    action: Metadata,
    /// Its columns, as Delta writes them.
    fields: Value,
}

/// What makes the times of an append with another stamp, if its stamp is after all of the table's.
fn restamped(times: Times) -> Option<fn(Stamp) -> Times> {
    match times {
        Times::Write(Stamp::AfterAll(_)) => Some(Times::Write),
        Times::Tombstone(Stamp::AfterAll(_)) => Some(Times::Tombstone),
        _ => None,
    }
}

/// Rows that were stamped with `stamp`, stamped with `later`.
fn stamped_later(
    batch: &RecordBatch,
    times: Times,
    stamp: Micros,
    later: Micros,
) -> Result<RecordBatch> {
    let stamped: &[&str] = match times {
        Times::Write(_) => &[UPDATED_AT, CREATED_AT, DELETED_AT],
        Times::Tombstone(_) => &[DELETED_AT],
        Times::Keep => &[],
    };
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let columns = columns.map(|(field, column)| {
        let times = column.as_primitive_opt::<TimestampMicrosecondType>();
        match times.filter(|_| stamped.contains(&field.name().as_str())) {
            Some(times) => {
                let moved: TimestampMicrosecondArray =
                    times.unary(|time| if time == stamp { later } else { time });
                Arc::new(moved.with_data_type(column.data_type().clone())) as ArrayRef
            }
            None => column.clone(),
        }
    });
    Ok(RecordBatch::try_new(schema.clone(), columns.collect())?)
}

async fn fill(staging: &mut Staging, prepared: &mut PreparedAppend) -> Result<Vec<Staged>, Error> {
    while let Some(batch) = prepared.next().await? {
        staging.write(&batch).await?;
    }
    staging.finish().await
}

/// The columns of the rows of an append, stamps included.
fn own_schema(append: &Append) -> Result<SchemaRef> {
    let nothing = Append {
        table: append.table.clone(),
        id_columns: append.id_columns.clone(),
        rows: Rows::empty(append.rows.schema().clone()).into(),
        times: append.times,
        create: append.create,
    };
    Ok(nothing.prepare(None, None)?.schema().clone())
}

/// Whether a column that files were stored with has another type now.
fn changes_type(stored: &SchemaRef, fitted: &SchemaRef) -> bool {
    stored.fields().iter().any(|field| {
        let now = fitted.field_with_name(field.name());
        now.is_ok_and(|now| {
            types::stored_as(now.data_type()) != types::stored_as(field.data_type())
        })
    })
}

/// What readers and writers of a table with these columns must know.
fn required_protocol(base: Option<&Snapshot>, columns: &[StoredColumn]) -> Protocol {
    const LOCAL_TIMES: &str = "timestampNtz";
    let mut protocol = base.map_or_else(
        || Protocol {
            min_reader_version: 1,
            min_writer_version: 2,
            ..Protocol::default()
        },
        |base| base.meta.protocol.clone(),
    );
    if !columns
        .iter()
        .any(|column| types::has_local_times(&column.stored))
    {
        return protocol;
    }
    if protocol.min_writer_version < 7 {
        // What the number stood for is named from now on.
        let implied = [
            (2, "appendOnly"),
            (2, "invariants"),
            (3, "checkConstraints"),
            (4, "changeDataFeed"),
            (4, "generatedColumns"),
            (5, "columnMapping"),
            (6, "identityColumns"),
        ];
        let implied = implied
            .iter()
            .filter(|(version, _)| *version <= protocol.min_writer_version)
            // A new table has none of them.
            .filter(|_| base.is_some());
        protocol.writer_features = Some(implied.map(|(_, name)| (*name).to_owned()).collect());
        protocol.min_writer_version = 7;
    }
    if protocol.min_reader_version < 3 {
        let mapping = (protocol.min_reader_version == 2).then(|| "columnMapping".to_owned());
        protocol.reader_features = Some(mapping.into_iter().collect());
        protocol.min_reader_version = 3;
    }
    for features in [&mut protocol.reader_features, &mut protocol.writer_features] {
        let features = features.get_or_insert_default();
        if !features.iter().any(|name| name == LOCAL_TIMES) {
            features.push(LOCAL_TIMES.into());
        }
    }
    protocol
}
