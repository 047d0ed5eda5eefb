//! Tables in Parquet files: what a backend that only stores hands to Polars.

use std::collections::BTreeMap;

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
use polars_arrow::array::BooleanArray;
use polars_arrow::bitmap::Bitmap;
use polars_arrow::datatypes::ArrowDataType;

use crate::cross::{array_of, column_of, to_polars};
use crate::error::{carried, failed};
use crate::latest::latest;
use crate::relation::{Names, selected};
use crate::scalar::test;
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

/// The column that counts the rows of all files.
const ROW: &str = "__mx.row";

impl ParquetTable {
    /// The rows of `scan`, with the columns `needed` of the table's `schema`: what [`Source::scan`](crate::Source::scan) gives, whose
    /// arguments they are. The rows that are the latest of their sample are found here and now, which reads the
    /// IDs; everything else is lazy.
    ///
    /// # Errors
    /// If the IDs cannot be read, and for columns that Polars has no type for.
    pub fn rows(
        &self,
        scan: &Scan,
        schema: &Schema,
        needed: &Names,
        filters: &[&Condition],
    ) -> Result<LazyFrame> {
        if self.files.is_empty() {
            let none = empty(self.columns.iter().map(|c| (&c.name, &c.data_type)))?;
            return Ok(pl::IntoLazy::lazy(none).select(selected(needed)));
        }
        if self.is_small()
            && let Some(rows) = self.held_rows(scan, needed)?
        {
            return Ok(pl::IntoLazy::lazy(rows));
        }
        let restrictions = self.restrictions(scan, schema, filters)?;
        let kept = match &scan.latest_per {
            None => None,
            Some(keys) => self.kept(keys, restrictions.as_ref())?,
        };
        let mut frame = self.scan()?;
        match kept {
            Some(kept) => {
                frame = frame.with_row_index(ROW, None).filter(col(ROW).map(
                    move |rows| is_kept(&rows, &kept),
                    |_, field| Ok(pl::Field::new(field.name().clone(), pl::DataType::Boolean)),
                ));
            }
            None => {
                if let Some(restrictions) = restrictions {
                    frame = frame.filter(restrictions);
                }
            }
        }
        let wanted = self.columns.iter().filter(|c| needed.contains(&c.name));
        let wanted: Vec<Expr> = wanted.map(ParquetColumn::restored).collect::<Result<_>>()?;
        Ok(frame.select(wanted))
    }

    /// Whether all files are on this machine and so small that reading them at once takes less time than reading them twice.
    #[must_use]
    pub fn is_small(&self) -> bool {
        let is_here = |file: &ParquetFile| match file {
            ParquetFile::At(place) => !place.contains("://"),
            ParquetFile::Held(_) => true,
        };
        self.bytes.is_some_and(|bytes| bytes <= SMALL)
            && self.files.len() <= FEW
            && self.files.iter().all(is_here)
    }

    /// The rows of a scan, read at once; `None` if a file's columns are not quite the table's.
    fn held_rows(&self, scan: &Scan, needed: &Names) -> Result<Option<DataFrame>> {
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
        if let Some(keys) = &scan.latest_per {
            let ids = rows
                .select(keys.iter().map(String::as_str))
                .map_err(failed)?;
            let stamps = || {
                let stamps = pl::IntoLazy::lazy(rows.clone()).select([self.stamp().to_physical()]);
                let stamps = stamps.collect().map_err(failed)?;
                let stamps = stamps.columns()[0].as_materialized_series();
                Ok(stamps.i64().map_err(failed)?.iter().collect())
            };
            if let Some(kept) = latest(&ids, stamps)? {
                let kept = BooleanArray::new(ArrowDataType::Boolean, kept, None);
                let kept = pl::BooleanChunked::with_chunk(ROW.into(), kept);
                rows = rows.filter(&kept).map_err(failed)?;
            }
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
        Ok(Some(rows))
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

    /// All rows as they are stored.
    fn scan(&self) -> Result<LazyFrame> {
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
            ..pl::UnifiedScanArgs::default()
        };
        let mut paths = Vec::new();
        let mut contents = Vec::new();
        for file in &self.files {
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
        let options = CloudOptions::from_untyped_config(scheme, options).map_err(|_| {
            Error::new(
                ErrorKind::InvalidConfig,
                "the engine does not understand the storage options",
            )
            .with_hint("correct the option `storage_options`")
        })?;
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
    fn stamp(&self) -> Expr {
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

    /// The rows, counted over all files, that meet the restrictions and are the latest of their sample; `None`: all.
    fn kept(&self, keys: &[String], restrictions: Option<&Expr>) -> Result<Option<Bitmap>> {
        let read = |expressions: Vec<Expr>| -> Result<DataFrame> {
            let frame = self.scan()?.select(expressions);
            let frame = frame
                .collect_with_engine(pl::Engine::Streaming)
                .map_err(failed)?;
            Ok(frame.unwrap_single())
        };
        let ids: Vec<Expr> = keys.iter().map(|key| col(key.as_str())).collect();
        let stamps = |rows: Option<&Bitmap>| -> Result<Vec<Option<i64>>> {
            let stamps = read(vec![self.stamp().to_physical().alias(ROW)])?;
            let stamps = stamps.column(ROW).map_err(failed)?;
            let stamps = stamps.as_materialized_series().i64().map_err(failed)?;
            let rows = stamps
                .iter()
                .enumerate()
                .filter(|(row, _)| rows.is_none_or(|rows| rows.get_bit(*row)));
            Ok(rows.map(|(_, stamp)| stamp).collect())
        };
        let Some(restrictions) = restrictions else {
            return latest(&read(ids)?, || stamps(None));
        };
        let mut list = ids;
        list.push(restrictions.clone().fill_null(lit(false)).alias(ROW));
        let mut frame = read(list)?;
        let met = frame.drop_in_place(ROW).map_err(failed)?;
        let met = met.as_materialized_series().bool().map_err(failed)?.clone();
        let met_rows: Bitmap = met.iter().map(|met| met == Some(true)).collect();
        if met_rows.unset_bits() == 0 {
            return latest(&frame, || stamps(None));
        }
        let left = frame.filter(&met).map_err(failed)?;
        let Some(kept) = latest(&left, || stamps(Some(&met_rows)))? else {
            return Ok(Some(met_rows));
        };
        let mut kept = kept.iter();
        let both = met_rows.iter().map(|met| met && kept.next() == Some(true));
        Ok(Some(both.collect()))
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

fn is_kept(rows: &pl::Column, kept: &Bitmap) -> pl::PolarsResult<pl::Column> {
    let rows = rows.as_materialized_series().idx()?;
    let name = rows.name().clone();
    let bits = rows.iter().map(|row| {
        row.is_some_and(|row| (row as usize) < kept.len() && kept.get_bit(row as usize))
    });
    let bits: Bitmap = bits.collect();
    let array = BooleanArray::new(ArrowDataType::Boolean, bits, None);
    Ok(pl::IntoColumn::into_column(pl::BooleanChunked::with_chunk(
        name, array,
    )))
}
