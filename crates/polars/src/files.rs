//! Tables in Parquet files: what a backend that only stores hands to Polars.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use metaxy_core::expr::Expr as Condition;
use metaxy_core::plan::Scan;
use metaxy_core::{Error, ErrorKind, Result, columns};
use polars::io::cloud::CloudOptions;
use polars::io::mmap::MmapBytesReader;
use polars::prelude as pl;
use polars::prelude::{DataFrame, Expr, LazyFrame, PlRefPath, SerReader, col, lit};

use crate::cross::{array_of, column_of, to_polars};
use crate::error::{carried, failed};
use crate::latest::{Latest, latest};
use crate::order::beside;
use crate::parts::{Part, parts_of};
use crate::relation::{Names, selected};
use crate::row_numbers::{ROW, filtered, only};
use crate::scalar::test;
use crate::source::{ScanRequest, Scanned};
use crate::types::crossing;

/// A table whose rows are in Parquet files.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct ParquetTable {
    /// The files, in the order in which they were stored, all of one kind. Of rows with equal stamps, the one that is later in this
    /// order is the later one.
    pub files: Vec<ParquetFile>,
    /// All columns of the table. A file that lacks one has nulls in its place.
    pub columns: Vec<ParquetColumn>,
    /// What the object store needs to know, by the names that `object_store` has for it. It may hold secrets.
    pub storage_options: BTreeMap<String, String>,
    /// The feature version of all rows, if it is known to be one.
    pub feature_version: Option<String>,
    /// It is known that no row is a soft delete.
    pub no_tombstones: bool,
    /// How many bytes the files have together, if that is known.
    pub bytes: Option<u64>,
    /// How many rows each file has, in the order of [`files`](Self::files), if that is known of all. Then rows that replace earlier ones
    /// take their places where they are few, so that the table keeps the order of its first writing.
    pub rows: Option<Vec<u64>>,
    /// So many rows are read at a time, in whole row groups, if all files are on this machine and their [`rows`](Self::rows) are known: what
    /// is read ahead of whoever takes the rows is held in memory. `None`: 65,536 for each thread.
    pub part_rows: Option<u64>,
    /// For how long requests to an object store are tried again; `None`: as long as Polars does by itself.
    pub retry_timeout: Option<Duration>,
}

impl std::fmt::Debug for ParquetTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the options, which may hold secrets.
        f.debug_struct("ParquetTable")
            .field("files", &self.files)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

/// Where a file of a [`ParquetTable`] is.
#[derive(Clone)]
#[non_exhaustive]
pub enum ParquetFile {
    /// A path, or an address such as `s3://bucket/key`. Only the columns that a plan uses are read.
    At(String),
    /// Its bytes, for stores that Polars has no way to.
    Held(Vec<u8>),
}

impl ParquetFile {
    /// Whether it is on this machine.
    pub(crate) fn is_here(&self) -> bool {
        match self {
            Self::At(place) => !place.contains("://"),
            Self::Held(_) => true,
        }
    }
}

impl std::fmt::Debug for ParquetFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At(place) => f.debug_tuple("At").field(place).finish(),
            Self::Held(bytes) => f.debug_tuple("Held").field(&bytes.len()).finish(),
        }
    }
}

/// A column of a [`ParquetTable`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ParquetColumn {
    /// Its name.
    pub name: String,
    /// Its type outside.
    pub data_type: DataType,
    /// Its type in the files.
    pub stored: DataType,
    /// What makes values of the type outside of those in the files, where Polars does not see them as the same.
    pub restore: Option<Restore>,
}

/// Makes values of another type of some that are stored: the array, and the type that it gets.
pub type Restore = fn(&ArrayRef, &DataType) -> std::result::Result<ArrayRef, ArrowError>;

/// So many files are read at once, one after the other.
const FEW: usize = 64;

/// Files of so many bytes together are read at once.
const SMALL: u64 = 16 << 20;

impl ParquetTable {
    /// What [`Source::scan`](crate::Source::scan) gives for the request. The rows that are the latest of their sample are found here and now,
    /// which reads the IDs; everything else is lazy.
    ///
    /// # Errors
    /// If the IDs cannot be read, and for columns that Polars has no type for.
    pub fn scanned(&self, request: &ScanRequest<'_>) -> Result<Scanned> {
        let needed = request.columns;
        if self.files.is_empty() {
            let none = empty(self.columns.iter().map(|c| (&c.name, &c.data_type)))?;
            return Ok(pl::IntoLazy::lazy(none).select(selected(needed)).into());
        }
        if self.is_small()
            && let Some(held) = self.held_rows(request)?
        {
            return Ok(held);
        }
        let restrictions = self.restrictions(request.scan, request.schema, request.filters)?;
        let mut frame = self.scan()?;
        let wanted = self.columns.iter().filter(|c| needed.contains(&c.name));
        let wanted: Vec<&ParquetColumn> = wanted.collect();
        let Some(keys) = &request.scan.latest_per else {
            if let Some(restrictions) = restrictions {
                frame = frame.filter(restrictions);
            }
            let restored = wanted.into_iter().map(ParquetColumn::restored);
            return Ok(frame.select(restored.collect::<Result<Vec<_>>>()?).into());
        };
        let selection = self.select(keys, restrictions.as_ref(), request.alive)?;
        // IDs that are as they are stored are there already.
        let (known, wanted): (Vec<_>, Vec<_>) = wanted
            .into_iter()
            .partition(|column| keys.contains(&column.name) && column.stored == column.data_type);
        if let Some(places) = selection.places {
            frame = only(frame, places);
        }
        if !selection.substituted.is_empty() && !wanted.is_empty() {
            let substituted = self.substituted(&selection.substituted, &wanted, keys)?;
            let columns = wanted
                .iter()
                .map(|column| substituted.of(&column.name, ROW));
            let columns: Vec<Expr> = columns.collect();
            frame = frame.select(columns);
        }
        let restored = wanted.into_iter().map(ParquetColumn::restored);
        let restored = restored.collect::<Result<Vec<_>>>()?;
        let known: Vec<&str> = known.iter().map(|column| column.name.as_str()).collect();
        let is_known = !known.is_empty();
        let known = pl::IntoLazy::lazy(selection.ids.select(known).map_err(failed)?);
        let rows = match (is_known, restored.is_empty()) {
            (false, _) => frame.select(restored),
            (true, true) => known,
            (true, false) => beside(known, frame.select(restored), true).map_err(failed)?,
        };
        Ok(Scanned {
            rows,
            ids: Some(selection.ids),
            alive: request.alive,
        })
    }

    /// Whether all files are on this machine and so small that reading them at once takes less time than reading them twice.
    #[must_use]
    pub fn is_small(&self) -> bool {
        self.bytes.is_some_and(|bytes| bytes <= SMALL)
            && self.files.len() <= FEW
            && self.files.iter().all(ParquetFile::is_here)
    }

    /// The rows of a scan, read at once; `None` if a file's columns are not quite the table's.
    fn held_rows(&self, request: &ScanRequest<'_>) -> Result<Option<Scanned>> {
        let (scan, needed) = (request.scan, request.columns);
        let mut read = needed.clone();
        read.extend(scan.latest_per.iter().flatten().cloned());
        let by_version = scan.feature_version.is_some() && self.feature_version.is_none();
        if by_version {
            read.insert(columns::FEATURE_VERSION.into());
        }
        if scan.as_of.is_some() || scan.latest_per.is_some() {
            read.insert(columns::UPDATED_AT.into());
            if !self.no_tombstones {
                read.insert(columns::DELETED_AT.into());
            }
        }
        let Some(mut rows) = self.at_once(&read)? else {
            return Ok(None);
        };
        if let Some(restrictions) = self.restrictions(scan, &Schema::empty(), &[])? {
            let met = pl::IntoLazy::lazy(rows).filter(restrictions);
            rows = met.collect().map_err(failed)?;
        }
        let mut ids = None;
        let mut alive = false;
        if let Some(keys) = &scan.latest_per {
            let keys = || keys.iter().map(String::as_str);
            let stamps = || {
                let stamps = pl::IntoLazy::lazy(rows.clone()).select([self.stamp().to_physical()]);
                let stamps = stamps.collect().map_err(failed)?;
                let stamps = stamps.columns()[0].as_materialized_series();
                Ok(stamps.i64().map_err(failed)?.iter().collect())
            };
            if let Some(latest) = latest(&rows.select(keys()).map_err(failed)?, stamps)? {
                rows = given(&rows, &latest)?;
            }
            if request.alive && self.may_have_tombstones() {
                let alive = rows.column(columns::DELETED_AT).map_err(failed)?.is_null();
                rows = rows.filter(&alive).map_err(failed)?;
            }
            ids = Some(rows.select(keys()).map_err(failed)?);
            alive = request.alive;
        }
        let wanted = self.columns.iter().filter(|c| needed.contains(&c.name));
        let wanted: Vec<&ParquetColumn> = wanted.collect();
        let names = wanted.iter().map(|column| column.name.as_str());
        let mut rows = rows.select(names).map_err(failed)?;
        if wanted
            .iter()
            .any(|column| column.stored != column.data_type)
        {
            let restored = wanted.iter().map(|column| column.restored());
            let restored = restored.collect::<Result<Vec<_>>>()?;
            let restored = pl::IntoLazy::lazy(rows).select(restored);
            rows = restored.collect().map_err(failed)?;
        }
        Ok(Some(Scanned {
            rows: pl::IntoLazy::lazy(rows),
            ids,
            alive,
        }))
    }

    pub(crate) fn may_have_tombstones(&self) -> bool {
        let is_there = |column: &ParquetColumn| column.name == columns::DELETED_AT;
        !self.no_tombstones && self.columns.iter().any(is_there)
    }

    /// These columns of all files.
    fn at_once(&self, names: &Names) -> Result<Option<DataFrame>> {
        let wanted = self.columns.iter().filter(|c| names.contains(&c.name));
        let wanted = empty(wanted.map(|c| (&c.name, &c.stored)))?;
        let columns: Vec<String> = wanted
            .columns()
            .iter()
            .map(|c| c.name().to_string())
            .collect();
        let mut all: Option<DataFrame> = None;
        for file in &self.files {
            let read = match file {
                ParquetFile::At(place) => {
                    let file = std::fs::File::open(place).map_err(|e| failed(e.into()))?;
                    eager(file, &columns)
                }
                ParquetFile::Held(bytes) => eager(std::io::Cursor::new(bytes.as_slice()), &columns),
            };
            let Some(read) = read? else { return Ok(None) };
            if read.schema() != wanted.schema() {
                return Ok(None);
            }
            match &mut all {
                None => all = Some(read),
                Some(all) => {
                    all.vstack_mut_owned(read).map_err(failed)?;
                }
            }
        }
        Ok(all)
    }

    /// All rows as they are stored, one part after the other.
    pub(crate) fn scan(&self) -> Result<LazyFrame> {
        let mut parts = Vec::new();
        for part in parts_of(self)? {
            parts.push(self.scan_of(&part)?);
        }
        match parts.len() {
            1 => Ok(parts.remove(0)),
            _ => {
                let in_turn = pl::UnionArgs {
                    parallel: false,
                    maintain_order: true,
                    ..pl::UnionArgs::default()
                };
                pl::concat(parts, in_turn).map_err(failed)
            }
        }
    }

    fn scan_of(&self, part: &Part<'_>) -> Result<LazyFrame> {
        let stored = empty(self.columns.iter().map(|c| (&c.name, &c.stored)))?;
        let schema = stored.schema().clone();
        let cloud = self.cloud_options()?;
        let options = pl::ParquetOptions {
            schema: Some(schema),
            ..pl::ParquetOptions::default()
        };
        let arguments = pl::UnifiedScanArgs {
            cloud_options: cloud,
            hive_options: pl::HiveOptions::new_disabled(),
            glob: false,
            cast_columns_policy: pl::CastColumnsPolicy {
                integer_upcast: true,
                float_upcast: true,
                integer_to_float_cast: true,
                datetime_nanoseconds_downcast: true,
                datetime_microseconds_downcast: true,
                datetime_milliseconds_upcast: true,
                datetime_convert_timezone: true,
                null_upcast: true,
                missing_struct_fields: pl::MissingColumnsPolicy::Insert,
                extra_struct_fields: pl::ExtraColumnsPolicy::Ignore,
                ..pl::CastColumnsPolicy::ERROR_ON_MISMATCH
            },
            missing_columns_policy: pl::MissingColumnsPolicy::Insert,
            extra_columns_policy: pl::ExtraColumnsPolicy::Ignore,
            // To slice the frame instead would make one scan of all parts, as it is the same for each.
            pre_slice: part.rows.map(Into::into),
            ..pl::UnifiedScanArgs::default()
        };
        let mut paths = Vec::new();
        let mut contents = Vec::new();
        for file in part.files {
            match file {
                ParquetFile::At(place) => paths.push(PlRefPath::new(place)),
                ParquetFile::Held(bytes) => contents.push(bytes.clone()),
            }
        }
        let sources = match contents.is_empty() {
            true => pl::ScanSources::Paths(paths.into_iter().collect()),
            false => pl::ScanSources::Buffers(contents.into_iter().map(Into::into).collect()),
        };
        let plan = pl::DslBuilder::scan_parquet(sources, options, arguments).map_err(failed)?;
        Ok(LazyFrame::from(plan.build()))
    }

    fn cloud_options(&self) -> Result<Option<CloudOptions>> {
        let scheme = match self.files.first() {
            Some(ParquetFile::At(place)) => pl::CloudScheme::from_path(place),
            _ => None,
        };
        if scheme.is_none_or(|scheme| scheme == pl::CloudScheme::File) {
            return Ok(None);
        }
        let options = self.storage_options.iter();
        let options = options.map(|(key, value)| (key.as_str(), value.as_str()));
        // What Polars says of a wrong option might show its value.
        let mut options = CloudOptions::from_untyped_config(scheme, options).map_err(|_| {
            Error::new(
                ErrorKind::InvalidConfig,
                "the engine does not understand the storage options",
            )
            .with_hint("correct the option `storage_options`")
        })?;
        if let Some(timeout) = self.retry_timeout {
            options.retry_config.retry_timeout = Some(timeout);
            // The time is what ends it.
            options.retry_config.max_retries = Some(usize::MAX);
        }
        Ok(Some(options))
    }

    /// What holds for the rows before the latest are taken.
    fn restrictions(
        &self,
        scan: &Scan,
        schema: &Schema,
        filters: &[&Condition],
    ) -> Result<Option<Expr>> {
        let mut all = Vec::new();
        if let Some(version) = &scan.feature_version
            && self.feature_version.as_ref() != Some(version)
        {
            all.push(col(columns::FEATURE_VERSION).eq(lit(version.clone())));
        }
        if let Some(as_of) = scan.as_of {
            let utc = pl::DataType::Datetime(pl::TimeUnit::Microseconds, Some(pl::TimeZone::UTC));
            all.push(self.stamp().lt_eq(lit(as_of).cast(utc)));
        }
        let stored_otherwise = |name: &&str| {
            let column = self.columns.iter().find(|column| column.name == **name);
            column.is_none_or(|column| column.stored != column.data_type)
        };
        for filter in filters {
            // The scan sees columns as they are stored; the plan filters once more.
            if !filter.columns().iter().any(stored_otherwise) {
                all.push(test(filter, schema)?);
            }
        }
        Ok(all.into_iter().reduce(Expr::and))
    }

    /// The time at which a row was written.
    pub(crate) fn stamp(&self) -> Expr {
        let has = |name: &str| self.columns.iter().any(|column| column.name == name);
        match (has(columns::UPDATED_AT), has(columns::DELETED_AT)) {
            (true, false) => col(columns::UPDATED_AT),
            (true, true) if self.no_tombstones => col(columns::UPDATED_AT),
            (true, true) => pl::coalesce(&[col(columns::DELETED_AT), col(columns::UPDATED_AT)]),
            (false, true) => col(columns::DELETED_AT),
            (false, false) => {
                let micros = pl::TimeUnit::Microseconds;
                lit(pl::NULL).cast(pl::DataType::Datetime(micros, Some(pl::TimeZone::UTC)))
            }
        }
    }
}

impl ParquetColumn {
    /// A column that is stored with its own type.
    #[must_use]
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Self {
            name: name.into(),
            stored: data_type.clone(),
            data_type,
            restore: None,
        }
    }

    /// The same column with another type in the files. `restore` makes values of the type outside of them.
    #[must_use]
    pub fn with_stored(mut self, stored: DataType, restore: Restore) -> Self {
        self.stored = stored;
        self.restore = Some(restore);
        self
    }

    /// The column with the type as which it crosses.
    fn restored(&self) -> Result<Expr> {
        let column = col(self.name.as_str());
        let restore = match self.restore {
            Some(restore) if crossing(&self.stored)? != crossing(&self.data_type)? => restore,
            _ => return Ok(column),
        };
        let outside = empty([(&self.name, &self.data_type)].into_iter())?;
        let crosses_as = outside.columns()[0].dtype().clone();
        let (stored, data_type) = (self.stored.clone(), self.data_type.clone());
        let values = move |column: &pl::Column| -> Result<pl::Column> {
            let restored = restore(&array_of(column, &stored)?, &data_type)?;
            column_of(column.name(), &restored)
        };
        Ok(column.map(
            move |column| values(&column).map_err(carried),
            move |_, field| Ok(pl::Field::new(field.name().clone(), crosses_as.clone())),
        ))
    }
}

/// No rows of these columns, with the types as which they cross.
fn empty<'a>(columns: impl Iterator<Item = (&'a String, &'a DataType)>) -> Result<DataFrame> {
    let fields = columns.map(|(name, data_type)| Field::new(name, data_type.clone(), true));
    to_polars(&Schema::new(fields.collect::<Vec<_>>()), &[])
}

/// These columns of a file; `None` if it lacks one.
fn eager(file: impl MmapBytesReader, columns: &[String]) -> Result<Option<DataFrame>> {
    let mut reader = pl::ParquetReader::new(file);
    let schema = reader.schema().map_err(failed)?;
    if columns.iter().any(|name| !schema.contains(name)) {
        return Ok(None);
    }
    let reader = reader.with_columns(Some(columns.to_vec()));
    let rows = reader.set_rechunk(false).finish().map_err(failed)?;
    Ok(Some(
        rows.select(columns.iter().map(String::as_str))
            .map_err(failed)?,
    ))
}

/// The rows of a frame at the places of the latest, with those that are given there.
fn given(rows: &DataFrame, latest: &Latest) -> Result<DataFrame> {
    if latest.substituted.is_empty() {
        return filtered(rows, &latest.places);
    }
    let mut substituted = latest.substituted.iter().peekable();
    let rows_at = latest.places.true_idx_iter().map(|place| {
        let there = substituted.next_if(|(at, _)| *at == place);
        there.map_or(place, |(_, row)| *row) as pl::IdxSize
    });
    let numbers = pl::IdxCa::from_vec(ROW.into(), rows_at.collect());
    rows.take(&numbers).map_err(failed)
}
