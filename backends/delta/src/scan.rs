//! Rows: plans run on Polars, which reads the Parquet files of the snapshots that a query found when it began.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::DataType;
use futures::executor::block_on;
use futures::future::try_join_all;
use metaxy_core::backend::table_is_gone;
use metaxy_core::expr::{CompareOp, Value};
use metaxy_core::plan::Plan;
use metaxy_core::{Error, ErrorKind, FeatureKey, Frame, Result, columns};
use metaxy_polars::{ParquetColumn, ParquetFile, ParquetTable, ScanRequest, Scanned, Source};

use crate::backend::THREADS;
use crate::convert::logical_values;
use crate::file;
use crate::intact::require_intact;
use crate::skip::{may_compare, may_match};
use crate::snapshot::{DataFile, Snapshot};
use crate::table::DeltaInner;
use crate::types::read_as;

/// Runs a plan. All its scans of a table see one version.
///
/// # Errors
/// If a table's log cannot be read.
pub(crate) async fn query(inner: &Arc<DeltaInner>, plan: Plan) -> Result<Frame> {
    let mut tables: Vec<FeatureKey> = Vec::new();
    plan.relation.scans(&mut |scan, _| {
        if !tables.contains(&scan.table) {
            tables.push(scan.table.clone());
        }
    });
    let snapshots = tables.into_iter().map(|table| async move {
        let snapshot = inner.snapshot(&table).await?;
        Ok::<_, Error>((table, snapshot))
    });
    let snapshots: HashMap<_, _> = try_join_all(snapshots).await?.into_iter().collect();
    metaxy_polars::query(
        plan,
        Tables {
            inner: inner.clone(),
            snapshots,
            is_large: AtomicBool::new(false),
        },
    )
}

/// The tables of one query.
struct Tables {
    inner: Arc<DeltaInner>,
    snapshots: HashMap<FeatureKey, Option<Arc<Snapshot>>>,
    /// Whether a table has too many rows to hold.
    is_large: AtomicBool,
}

impl Source for Tables {
    fn scan(&self, request: &ScanRequest<'_>) -> Result<Scanned> {
        let scan = request.scan;
        let mut table = ParquetTable::default();
        match self.snapshots.get(&scan.table) {
            Some(Some(snapshot)) => self.describe(&mut table, request, snapshot)?,
            _ => return Err(table_is_gone(&scan.table)),
        }
        if !table.is_small() {
            self.is_large.store(true, Ordering::Relaxed);
        }
        table.scanned(request)
    }

    fn is_held(&self) -> bool {
        !self.is_large.load(Ordering::Relaxed)
    }
}

impl Tables {
    fn describe(
        &self,
        table: &mut ParquetTable,
        request: &ScanRequest<'_>,
        snapshot: &Snapshot,
    ) -> Result<()> {
        let (scan, filters) = (request.scan, request.filters);
        let version = scan.feature_version.clone().map(Value::Text);
        let version = version.map(|is| (columns::FEATURE_VERSION, CompareOp::Eq, is));
        // A row's stamp is never before its `metaxy_updated_at`.
        let written = scan.as_of.map(Value::Timestamp);
        let written = written.map(|by| (columns::UPDATED_AT, CompareOp::Le, by));
        let restrictions: Vec<_> = version.into_iter().chain(written).collect();
        let files = snapshot.files.iter();
        let files = files.filter(|file| {
            let may = |(column, op, value): &(&str, _, _)| may_compare(file, column, *op, value);
            restrictions.iter().all(may) && filters.iter().all(|filter| may_match(filter, file))
        });
        let files: Vec<&DataFile> = files.collect();
        if let Some(file) = files.iter().find(|file| !file.partition.is_empty()) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the Delta table of feature {} is partitioned, which a metaxy store cannot read: {}", scan.table, file.path),
            )
            .with_hint("write it anew without `partition_by`"));
        }
        self.verify(request, &files)?;
        table.columns = snapshot.columns.iter().map(column).collect();
        let bytes = files.iter().map(|file| file.bytes);
        table.bytes = Some(bytes.fold(0, u64::saturating_add));
        table.rows = files.iter().map(|file| file.rows).collect();
        table.retry_timeout = Some(self.inner.config.retry_timeout);
        table.no_tombstones = files.iter().all(|file| {
            let nulls = file.stat(columns::DELETED_AT).and_then(|stat| stat.nulls);
            nulls.is_some() && nulls == file.rows
        });
        table.feature_version = scan
            .feature_version
            .clone()
            .filter(|version| files.iter().all(|file| has_only(file, version)));
        table.storage_options = self.inner.config.storage_options.clone();
        table.files = match self.inner.config.object_store {
            None => {
                let places = files
                    .iter()
                    .map(|file| ParquetFile::At(file.location.clone()));
                places.collect()
            }
            Some(_) => self.contents(&scan.table, &files)?,
        };
        Ok(())
    }

    /// Makes sure that what is read of files on a disk of this machine is what was written there.
    fn verify(&self, request: &ScanRequest<'_>, files: &[&DataFile]) -> Result<()> {
        let table = self.inner.table(&request.scan.table)?;
        let system = [
            columns::FEATURE_VERSION,
            columns::UPDATED_AT,
            columns::DELETED_AT,
        ];
        let mut read: BTreeSet<&str> = request.columns.iter().map(String::as_str).collect();
        read.extend(system);
        read.extend(request.scan.latest_per.iter().flatten().map(String::as_str));
        read.extend(request.filters.iter().flat_map(|filter| filter.columns()));
        let is_read = |column: &str| read.contains(column);
        let mut files = files.iter();
        files.try_for_each(|file| require_intact(&table, file, is_read))
    }

    /// The bytes of files in an object store that only the caller knows how to reach.
    fn contents(&self, table: &FeatureKey, files: &[&DataFile]) -> Result<Vec<ParquetFile>> {
        let table = self.inner.table(table)?;
        let files: Vec<DataFile> = files.iter().map(|file| (*file).clone()).collect();
        let read = THREADS.run(async move {
            let contents = files.iter().map(|file| file::bytes(&table, file));
            try_join_all(contents).await
        });
        let contents = block_on(read)?.into_iter();
        Ok(contents
            .map(|bytes| ParquetFile::Held(bytes.to_vec()))
            .collect())
    }
}

fn column(column: &crate::types::StoredColumn) -> ParquetColumn {
    let data_type: DataType = column.field.data_type().clone();
    ParquetColumn::new(column.field.name(), data_type)
        .with_stored(read_as(&column.stored), logical_values)
}

/// Whether all rows of the file are of this feature version.
fn has_only(file: &DataFile, version: &str) -> bool {
    let Some(stat) = file.stat(columns::FEATURE_VERSION) else {
        return false;
    };
    let is = |bound: Option<Value>| matches!(bound, Some(Value::Text(bound)) if bound == version);
    stat.nulls == Some(0) && is(stat.min) && is(stat.max)
}
