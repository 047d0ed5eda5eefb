//! Appends: rows are stored in files first, and one commit makes all of them rows of the table, with the columns that it lacks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use metaxy_core::append::{Append, PreparedAppend, Times, conform_batch, may_not_make_table};
use metaxy_core::{Error, FeatureKey, Result, Rows};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::file::{self, Staged, Staging};
use crate::latest::latest;
use crate::log::{
    Commit, add_action, metadata_action, next_modified, now, protocol_action, too_many,
};
use crate::snapshot::{DROPPED, Metadata, Protocol, Snapshot};
use crate::table::{DeltaInner, Table};
use crate::types::{self, StoredColumn};

/// The table property: how many columns get statistics.
const INDEXED: &str = "delta.dataSkippingNumIndexedCols";

/// Rows that took longer than this to arrive: others have probably committed meanwhile.
const LONG: Duration = Duration::from_millis(250);

/// Appends to one table; returns the rows that were added, and how many the table has now, if that is known.
pub(crate) async fn append(inner: &DeltaInner, append: Append) -> Result<(u64, Option<u64>)> {
    let feature = append.table.clone();
    let table = inner.table(&feature)?;
    let done = Writer {
        inner,
        table,
        create: append.create,
        own: own_schema(&append)?,
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
    ids: Vec<String>,
}

impl Writer<'_> {
    async fn append(&self, append: Append) -> Result<(u64, Option<u64>)> {
        let start = Instant::now();
        let mut base = self.inner.refresh(&self.table).await?;
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
        let staged = match fill(&mut staging, &mut prepared).await {
            Ok(staged) => staged,
            Err(error) => {
                staging.discard().await;
                return Err(error);
            }
        };
        if start.elapsed() > LONG {
            base = self.inner.refresh(&self.table).await?;
        }
        let rows = staged.iter().map(|file| file.rows).sum();
        let before = self.commit(base, schema, staged).await?;
        Ok((rows, before.map(|before| before + rows)))
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
        Err(may_not_make_table(&self.feature, &table))
    }

    fn columns(&self, schema: &SchemaRef) -> Result<Vec<StoredColumn>> {
        types::tell_apart(schema, &self.feature)?;
        StoredColumn::all(schema)
    }

    fn staging(&self, base: Option<&Snapshot>, columns: Vec<StoredColumn>) -> Staging {
        let config = &self.inner.config;
        let given = || config.write.configuration.get(INDEXED)?.parse().ok();
        let indexed = base.map_or_else(given, |base| base.meta.number(INDEXED));
        Staging::new(
            &self.feature,
            &self.table,
            columns,
            &config.write,
            indexed,
            0,
            config.retry_timeout,
        )
    }

    /// Makes the files part of the table, whose columns were `schema` when they were stored. Returns the rows that it had before.
    async fn commit(
        &self,
        mut base: Option<Arc<Snapshot>>,
        mut schema: SchemaRef,
        mut staged: Vec<Staged>,
    ) -> Result<Option<u64>> {
        let mut commit = Commit::new("WRITE");
        commit.is_blind = true;
        commit.parameters = json!({"mode": "Append"});
        let mut backoff = self.inner.backoff();
        loop {
            let actions = match self
                .actions(base.as_deref(), &mut schema, &mut staged)
                .await
            {
                Ok(actions) => actions,
                Err(error) => {
                    file::discard(&self.table, &staged).await;
                    return Err(error);
                }
            };
            if !actions.is_empty() {
                let rows: u64 = staged.iter().map(|file| file.rows).sum();
                commit.metrics = json!({"num_added_files": staged.len(), "num_added_rows": rows});
                match commit
                    .put(&self.table, base.as_deref(), &actions, &mut backoff)
                    .await
                {
                    Ok(true) => {}
                    Ok(false) if backoff.pause().await => {
                        base = self.inner.refresh(&self.table).await?;
                        continue;
                    }
                    Ok(false) => {
                        file::discard(&self.table, &staged).await;
                        return Err(too_many(&self.table));
                    }
                    Err(failure) => {
                        if failure.is_certain {
                            file::discard(&self.table, &staged).await;
                        }
                        return Err(failure.error);
                    }
                }
            }
            return Ok(match base {
                Some(base) => base.rows(),
                None => Some(0),
            });
        }
    }

    /// What is to be committed after `base`; nothing if there is nothing to do.
    async fn actions(
        &self,
        base: Option<&Snapshot>,
        schema: &mut SchemaRef,
        staged: &mut Vec<Staged>,
    ) -> Result<Vec<Value>> {
        let live = self.live(base)?;
        let fitted = self.fitted(live)?;
        let columns = self.columns(&fitted)?;
        self.may_make(live, &columns)?;
        if changes_type(schema, &fitted) {
            // Somebody else has given a column another type meanwhile.
            let again = self.store_again(base, schema, &fitted, staged).await?;
            file::discard(&self.table, staged).await;
            (*staged, *schema) = (again, fitted);
        }
        let mut actions = Vec::new();
        let protocol = required_protocol(base, &columns);
        if base.is_none_or(|base| base.meta.protocol != protocol) {
            actions.push(protocol_action(&protocol));
        }
        if base.is_none_or(|base| live.is_none() || base.is_marked() || *base.columns != columns) {
            let metadata = self.metadata(base, live.is_some(), &columns);
            actions.push(metadata_action(&metadata));
        }
        let modified = next_modified(base);
        for file in staged {
            actions.push(add_action(
                &file.path,
                file.bytes,
                modified,
                &file.stats,
                true,
            ));
        }
        Ok(actions)
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
    ) -> Metadata {
        let write = &self.inner.config.write;
        let earlier = base.filter(|_| is_live).map(|base| &base.meta.delta_schema);
        let schema = types::delta_schema(columns, earlier).to_string();
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
        metadata.schema_string = schema;
        metadata.configuration.remove(DROPPED);
        metadata
    }

    /// The rows of the files in other files, with other types.
    async fn store_again(
        &self,
        base: Option<&Snapshot>,
        schema: &SchemaRef,
        fitted: &SchemaRef,
        staged: &[Staged],
    ) -> Result<Vec<Staged>> {
        let own = |column: &StoredColumn| self.own.field_with_name(column.field.name()).is_ok();
        let columns: Vec<StoredColumn> = self.columns(schema)?.into_iter().filter(own).collect();
        let mut staging = self.staging(base, self.columns(fitted)?);
        let outcome = async {
            for file in staged {
                let mut rows = file::read(&self.table, &file.path, file.bytes, &columns).await?;
                while let Some(batch) = rows.next().await? {
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
