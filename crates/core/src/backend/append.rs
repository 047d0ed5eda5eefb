//! Rows on their way into a table: what a backend does with an [`Append`].
//!
//! Inside its transaction a backend calls [`Append::prepare`] with what it finds (the table's columns and its latest
//! stamp), makes the table have [`PreparedAppend::schema`], and stores the batches of [`PreparedAppend::next`] as they are.

use std::collections::HashSet;
use std::fmt::Display;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeListArray, Int64Array, ListArray, MapArray,
    RecordBatch, StructArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::{and, cast, is_null, nullif};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use futures::TryStreamExt;

use crate::calendar::require_shown;
use crate::cast::cast_checked;
use crate::clock::{Micros, after};
use crate::columns;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::{BatchStream, Frame};
use crate::key::FeatureKey;
use crate::plan::INTERNAL;

/// The type of the system's time stamps: microseconds, UTC.
#[must_use]
pub fn stamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The time that rows are stamped with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// This time, as the writer's clock says, or just after the latest stamp of the table if that is later.
    AfterAll(Micros),
    /// This time, whatever the table has seen: a replay.
    Exactly(Micros),
}

impl Stamp {
    fn resolve(self, latest: Option<Micros>) -> Micros {
        match (self, latest) {
            (Self::AfterAll(now), Some(latest)) => now.max(after(latest)),
            (Self::AfterAll(now) | Self::Exactly(now), _) => now,
        }
    }
}

/// Where the times of the rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// A write: `metaxy_updated_at` is stamped, `metaxy_created_at` where it is not given.
    Write(Stamp),
    /// A soft delete: `metaxy_deleted_at` is stamped, the other times are kept.
    Tombstone(Stamp),
    /// The rows come with their times.
    Keep,
}

/// Rows to be added to one table.
#[derive(Debug)]
pub struct Append {
    /// Whose table.
    pub table: FeatureKey,
    /// The columns that identify a sample; none may be null, but in rows marked by `metaxy_empty`.
    pub id_columns: Vec<String>,
    /// The rows.
    pub rows: Frame,
    /// Their stamps.
    pub times: Times,
    /// Whether the table is made if it does not exist; otherwise that is an error.
    pub create: bool,
}

impl Append {
    /// The append, or `None` if its rows have an ID column of the Null type: then there are none, and a table would not know of what
    /// type their IDs are. Such are the rows of an increment whose upstreams were never written.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidFrame`] if there are rows after all, as none has an ID; and what their producer failed with.
    pub async fn with_known_ids(mut self) -> Result<Option<Self>> {
        let schema = self.rows.schema();
        let unknown = |id: &String| {
            let field = schema.field_with_name(id);
            field.is_ok_and(|field| field.data_type() == &DataType::Null)
        };
        if !self.id_columns.iter().any(unknown) {
            return Ok(Some(self));
        }
        while let Some(batch) = self.rows.next().await? {
            require_ids(&self.table, &self.id_columns, &batch)?;
        }
        Ok(None)
    }

    /// Fits the rows to the table as the transaction finds it: `stored`, its columns (`None`: no such table), and `latest`, the
    /// greatest stamp it has ever seen.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidFrame`] if a column has a type that does not fit; the message names the column and both types.
    pub fn prepare(
        self,
        stored: Option<&Schema>,
        latest: Option<Micros>,
    ) -> Result<PreparedAppend> {
        let incoming = stamped_schema(self.rows.schema(), self.times);
        let schema = merge(&self.table, stored, &incoming)?;
        let stamp = match self.times {
            Times::Write(stamp) | Times::Tombstone(stamp) => Some(stamp.resolve(latest)),
            Times::Keep => None,
        };
        Ok(PreparedAppend {
            table: self.table,
            id_columns: self.id_columns,
            rows: self.rows.into_stream(),
            times: self.times,
            schema,
            stamp,
            latest,
            taken: 0,
        })
    }
}

/// An [`Append`] that fits its table.
pub struct PreparedAppend {
    table: FeatureKey,
    id_columns: Vec<String>,
    rows: BatchStream,
    times: Times,
    schema: SchemaRef,
    stamp: Option<Micros>,
    latest: Option<Micros>,
    /// How many rows were taken so far.
    taken: u64,
}

impl PreparedAppend {
    /// All columns of the table from now on: the stored ones in their order, then new ones. A stored one may have got members, or a type
    /// where it had had no value yet ([`merged_type`]).
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns that identify a sample.
    #[must_use]
    pub fn id_columns(&self) -> &[String] {
        &self.id_columns
    }

    /// The greatest stamp that the table has seen, after the batches that were taken so far.
    #[must_use]
    pub fn latest(&self) -> Option<Micros> {
        self.latest.max(self.stamp)
    }

    /// The next batch, with the columns of [`schema`](Self::schema), stamped; `None` at the end.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidFrame`] if an ID is null, a value does not fit its column's type, or a time is one that no calendar shows, and whatever the producer of the
    /// rows failed with. The backend then undoes the whole append.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let Some(batch) = self.rows.try_next().await? else {
            return Ok(None);
        };
        require_ids(&self.table, &self.id_columns, &batch)?;
        // What is there already can be deleted, whatever it is.
        if !matches!(self.times, Times::Tombstone(_)) {
            require_shown(&self.table, &batch, self.taken)?;
        }
        self.taken += batch.num_rows() as u64;
        let batch = self.stamped(&batch)?;
        let batch = conform_batch(&self.table, &batch, &self.schema)?;
        if self.times == Times::Keep {
            self.latest = self.latest.max(greatest_stamp(&batch));
        }
        Ok(Some(batch))
    }

    fn stamped(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let Some(stamp) = self.stamp else {
            return Ok(batch.clone());
        };
        let rows = batch.num_rows();
        let now: ArrayRef =
            Arc::new(TimestampMicrosecondArray::from_value(stamp, rows).with_timezone("UTC"));
        let mut columns = Columns::of(batch);
        match self.times {
            Times::Write(_) => {
                let created = match batch.column_by_name(columns::CREATED_AT) {
                    Some(given) => {
                        let given = as_stamps(&self.table, columns::CREATED_AT, given)?;
                        let filled: TimestampMicrosecondArray =
                            given.iter().map(|at| Some(at.unwrap_or(stamp))).collect();
                        Arc::new(filled.with_timezone("UTC")) as ArrayRef
                    }
                    None => now.clone(),
                };
                columns.set(columns::CREATED_AT, created);
                let deleted = match batch.column_by_name(columns::EMPTY) {
                    // Parents without children: no row of a sample.
                    Some(marks) => nullif(&now, &is_null(marks)?)?,
                    None => new_null_array(&stamp_type(), rows),
                };
                columns.set(columns::UPDATED_AT, now);
                columns.set(columns::DELETED_AT, deleted);
            }
            Times::Tombstone(_) => columns.set(columns::DELETED_AT, now),
            Times::Keep => {}
        }
        columns.batch()
    }
}

/// What an append fails with whose table does not exist and may not be made ([`Append::create`]). `statement` is the SQL that
/// would make it.
#[must_use]
pub fn missing_table(table: &FeatureKey, statement: &str) -> Error {
    Error::new(
        ErrorKind::TableNotFound,
        format!("feature {table} has no table, and `auto_create_tables` is off"),
    )
    .with_hint(format!(
        "switch it on; the table would be made with: {statement}"
    ))
}

/// Requires a value of each ID column in every row.
///
/// # Errors
/// [`ErrorKind::InvalidFrame`] if an ID column is missing, or null somewhere else than in the row of a parent without children.
pub fn require_ids(table: &FeatureKey, ids: &[String], batch: &RecordBatch) -> Result<()> {
    let marks = batch
        .column_by_name(columns::EMPTY)
        .map(|marks| is_null(marks));
    let unmarked = marks.transpose()?;
    for name in ids {
        let nulls = nulls(batch, name, unmarked.as_ref())?;
        if nulls > 0 {
            return Err(Error::new(
                ErrorKind::InvalidFrame,
                format!("ID column {name:?} of feature {table} is null in {nulls} rows"),
            )
            .with_hint("every sample needs its ID; nothing was written"));
        }
    }
    Ok(())
}

/// How many of the rows have no value in a column: of all, or of those for which `among` is true.
///
/// # Errors
/// Arrow's.
pub fn nulls(batch: &RecordBatch, name: &str, among: Option<&BooleanArray>) -> Result<usize> {
    Ok(match (batch.column_by_name(name), among) {
        (None, None) => batch.num_rows(),
        (None, Some(among)) => among.true_count(),
        (Some(values), None) => values.logical_null_count(),
        (Some(values), Some(among)) => and(&is_null(values)?, among)?.true_count(),
    })
}

/// The columns of a batch, to be replaced by name.
struct Columns(Vec<(Field, ArrayRef)>);

impl Columns {
    fn of(batch: &RecordBatch) -> Self {
        Self(
            batch
                .schema()
                .fields()
                .iter()
                .zip(batch.columns())
                .map(|(field, array)| (field.as_ref().clone(), array.clone()))
                .collect(),
        )
    }

    fn set(&mut self, name: &str, array: ArrayRef) {
        let field = Field::new(name, array.data_type().clone(), true);
        match self.0.iter_mut().find(|(f, _)| f.name() == name) {
            Some(slot) => *slot = (field, array),
            None => self.0.push((field, array)),
        }
    }

    fn batch(self) -> Result<RecordBatch> {
        let (fields, arrays): (Vec<_>, Vec<_>) = self.0.into_iter().unzip();
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
    }
}

fn stamped_schema(schema: &Schema, times: Times) -> Schema {
    let added: &[&str] = match times {
        Times::Write(_) => &[
            columns::CREATED_AT,
            columns::UPDATED_AT,
            columns::DELETED_AT,
        ],
        Times::Tombstone(_) => &[columns::DELETED_AT],
        Times::Keep => &[],
    };
    let mut fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|f| {
            if added.contains(&f.name().as_str()) {
                Field::new(f.name(), stamp_type(), true)
            } else {
                f.as_ref().clone()
            }
        })
        .collect();
    for name in added {
        if !fields.iter().any(|f| f.name() == name) {
            fields.push(Field::new(*name, stamp_type(), true));
        }
    }
    Schema::new(fields)
}

/// The stored columns and the new ones ([`merged_type`]). A column of the Null type is not made before it has another.
fn merge(table: &FeatureKey, stored: Option<&Schema>, incoming: &Schema) -> Result<SchemaRef> {
    let mut fields: Vec<Field> = stored
        .into_iter()
        .flat_map(|s| s.fields().iter().map(|f| f.as_ref().clone()))
        .collect();
    let mut seen = HashSet::new();
    for field in incoming.fields() {
        if !seen.insert(field.name()) {
            return Err(Error::new(
                ErrorKind::InvalidFrame,
                format!(
                    "the frame for feature {table} has two columns named {:?}",
                    field.name()
                ),
            ));
        }
        if field.name().starts_with(INTERNAL) {
            return Err(Error::as_written(
                ErrorKind::InvalidFrame,
                format!(
                    "column {:?} of feature {table} has a name that is reserved",
                    field.name()
                ),
            )
            .with_hint("names of columns do not start with `__mx` and a dot"));
        }
        let data_type = storable(field.data_type());
        match fields.iter_mut().find(|f| f.name() == field.name()) {
            Some(known) => {
                let merged = merged_type(known.data_type(), &data_type).ok_or_else(|| {
                    Error::new(
                        ErrorKind::InvalidFrame,
                        format!(
                            "column {:?} of feature {table} is stored as {} and cannot take {}",
                            field.name(),
                            known.data_type(),
                            field.data_type()
                        ),
                    )
                    .with_hint("cast the column before writing, or write it under another name; nothing was written")
                })?;
                *known = Field::new(field.name(), merged, true);
            }
            None if data_type == DataType::Null => {}
            None => fields.push(Field::new(field.name(), data_type, true)),
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// The type under which a column is kept: text, binary and lists have one layout each, and every member and item may be null.
#[must_use]
pub fn storable(data_type: &DataType) -> DataType {
    match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Struct(members) => DataType::Struct(
            members
                .iter()
                .map(|m| Field::new(m.name(), storable(m.data_type()), true))
                .collect(),
        ),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => DataType::List(list_item(storable(item.data_type()))),
        DataType::FixedSizeList(item, length) => {
            DataType::FixedSizeList(list_item(storable(item.data_type())), *length)
        }
        DataType::Map(entries, sorted) => match pair_of(entries) {
            Some((key, value)) => map_of(
                entries,
                storable(key.data_type()),
                storable(value.data_type()),
                *sorted,
            ),
            None => data_type.clone(),
        },
        other => other.clone(),
    }
}

fn list_item(data_type: DataType) -> FieldRef {
    Arc::new(Field::new("item", data_type, true))
}

/// The key and the value of a map's entries.
fn pair_of(entries: &Field) -> Option<(&FieldRef, &FieldRef)> {
    match entries.data_type() {
        DataType::Struct(pair) if pair.len() == 2 => Some((&pair[0], &pair[1])),
        _ => None,
    }
}

/// A map whose children have the names of those of `entries`.
fn map_of(entries: &Field, key: DataType, value: DataType, sorted: bool) -> DataType {
    let name = |at: usize| match entries.data_type() {
        DataType::Struct(pair) => pair[at].name().clone(),
        _ => String::new(),
    };
    let pair = Fields::from(vec![
        Field::new(name(0), key, false),
        Field::new(name(1), value, true),
    ]);
    let entries = Field::new(entries.name(), DataType::Struct(pair), false);
    DataType::Map(Arc::new(entries), sorted)
}

/// What a column of type `stored` becomes when `incoming` is written to it; `None` if that would lose something.
///
/// Narrower numbers and coarser times fit wider and finer ones, and structs grow by the members that they lack. Null is the type of what
/// has had no value yet: the items of lists that were all empty, or a member that was null in every row. It fits every type, and takes
/// the first that comes, at any depth.
#[must_use]
pub fn merged_type(stored: &DataType, incoming: &DataType) -> Option<DataType> {
    use DataType::{
        Float32, Float64, Int8, Int16, Int32, Int64, Null, Struct, UInt8, UInt16, UInt32, UInt64,
    };
    let fits = match (stored, incoming) {
        (a, b) if a == b => true,
        (_, Null) => true,
        (Null, first) => return Some(first.clone()),
        (Struct(a), Struct(b)) => return merge_members(a, b).map(Struct),
        (DataType::List(a), DataType::List(b)) => {
            let item = merged_type(a.data_type(), b.data_type())?;
            return Some(DataType::List(list_item(item)));
        }
        (DataType::FixedSizeList(a, length), DataType::FixedSizeList(b, other))
            if length == other =>
        {
            let item = merged_type(a.data_type(), b.data_type())?;
            return Some(DataType::FixedSizeList(list_item(item), *length));
        }
        (DataType::Map(a, sorted), DataType::Map(b, _)) => {
            let ((key, value), (other_key, other_value)) = (pair_of(a)?, pair_of(b)?);
            let key = merged_type(key.data_type(), other_key.data_type())?;
            let value = merged_type(value.data_type(), other_value.data_type())?;
            return Some(map_of(a, key, value, *sorted));
        }
        (Int64, Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32) => true,
        (Int32, Int8 | Int16 | UInt8 | UInt16) => true,
        (Int16, Int8 | UInt8) => true,
        (UInt64, UInt8 | UInt16 | UInt32) => true,
        (UInt32, UInt8 | UInt16) => true,
        (UInt16, UInt8) => true,
        (Float64, Float32 | Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32) => true,
        (DataType::Timestamp(a, tz), DataType::Timestamp(b, other)) => {
            tz.is_some() == other.is_some() && a >= b
        }
        (DataType::Dictionary(_, a), DataType::Dictionary(_, b)) => a == b,
        (DataType::Dictionary(_, value), other) => value.as_ref() == other,
        (a, DataType::Dictionary(_, value)) => a == value.as_ref(),
        _ => false,
    };
    fits.then(|| stored.clone())
}

fn merge_members(stored: &Fields, incoming: &Fields) -> Option<Fields> {
    let mut members: Vec<Field> = stored.iter().map(|m| m.as_ref().clone()).collect();
    for member in incoming {
        match members.iter_mut().find(|m| m.name() == member.name()) {
            Some(known) => {
                let merged = merged_type(known.data_type(), member.data_type())?;
                *known = Field::new(member.name(), merged, true);
            }
            None => members.push(Field::new(member.name(), member.data_type().clone(), true)),
        }
    }
    Some(members.into())
}

/// A batch with the columns of `schema`, which a table has got since the batch was made: columns and members of structs that it
/// lacks are null, and narrower types become wider.
///
/// # Errors
/// [`ErrorKind::InvalidFrame`] if a value does not fit; the message names the feature, the column and both types.
pub fn conform_batch(
    table: &FeatureKey,
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let arrays = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(array) => {
                let (stored, given) = (field.data_type(), array.data_type());
                let misfit = || value_misfit(table, field.name(), stored, given);
                conform(stored, array, &misfit)
            }
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema.clone(), arrays)?)
}

/// What a write fails with if the table's column cannot take a value: `stored` is the column's type, as the store calls it, `given`
/// the type of the frame's column.
#[must_use]
pub fn value_misfit(
    table: &FeatureKey,
    column: &str,
    stored: impl Display,
    given: &DataType,
) -> Error {
    Error::new(
        ErrorKind::InvalidFrame,
        format!(
            "column {column:?} of feature {table} is stored as {stored} and cannot take a value that was given as {given}"
        ),
    )
    .with_hint("correct the value, or write it under another name; nothing was written")
}

/// The array with the type `stored`, part by part; struct members by name. `misfit` is the error for a value that this type cannot hold.
fn conform(stored: &DataType, array: &ArrayRef, misfit: &dyn Fn() -> Error) -> Result<ArrayRef> {
    use DataType as T;
    if array.data_type() == stored {
        return Ok(array.clone());
    }
    let nulls = || array.nulls().cloned();
    match (array.data_type(), stored) {
        (T::Null, _) => Ok(new_null_array(stored, array.len())),
        (T::Struct(_), T::Struct(members)) => {
            let given = array.as_struct();
            let values = members
                .iter()
                .map(|member| match given.column_by_name(member.name()) {
                    Some(value) => conform(member.data_type(), value, misfit),
                    None => Ok(new_null_array(member.data_type(), given.len())),
                })
                .collect::<Result<Vec<_>>>()?;
            let (members, rows) = (members.clone(), given.len());
            let structs = StructArray::try_new_with_length(members, values, nulls(), rows)?;
            Ok(Arc::new(structs))
        }
        (T::LargeList(item) | T::ListView(item) | T::LargeListView(item), T::List(_)) => {
            let list = cast_checked(array, &T::List(item.clone()));
            conform(stored, &list.map_err(|e| misfit().with_source(e))?, misfit)
        }
        (T::List(_), T::List(item)) => {
            let list = array.as_list::<i32>();
            let values = conform(item.data_type(), list.values(), misfit)?;
            let offsets = list.offsets().clone();
            let list = ListArray::try_new(item.clone(), offsets, values, nulls())?;
            Ok(Arc::new(list))
        }
        (T::FixedSizeList(_, given), T::FixedSizeList(item, length)) if given == length => {
            let values = array.as_fixed_size_list().values();
            let values = conform(item.data_type(), values, misfit)?;
            let (item, rows) = (item.clone(), array.len());
            let list =
                FixedSizeListArray::try_new_with_length(item, *length, values, nulls(), rows)?;
            Ok(Arc::new(list))
        }
        (T::Map(..), T::Map(entries, sorted)) => {
            let map = array.as_map();
            let T::Struct(pair) = entries.data_type() else {
                return Err(misfit());
            };
            let values = pair
                .iter()
                .zip(map.entries().columns())
                .map(|(field, values)| conform(field.data_type(), values, misfit))
                .collect::<Result<Vec<_>>>()?;
            let pairs = StructArray::try_new(pair.clone(), values, None)?;
            let offsets = map.offsets().clone();
            let map = MapArray::try_new(entries.clone(), offsets, pairs, nulls(), *sorted)?;
            Ok(Arc::new(map))
        }
        (T::Timestamp(..), T::Timestamp(unit, zone)) => {
            let counts = in_unit(array, *unit).ok_or_else(misfit)?;
            let data = counts.into_data().into_builder();
            let times = data.data_type(T::Timestamp(*unit, zone.clone()));
            Ok(arrow::array::make_array(times.build()?))
        }
        _ => cast_checked(array, stored).map_err(|source| misfit().with_source(source)),
    }
}

/// The times of a column in UTC microseconds.
///
/// # Errors
/// [`ErrorKind::InvalidFrame`] if it holds no times.
pub fn as_stamps(
    table: &FeatureKey,
    name: &str,
    array: &ArrayRef,
) -> Result<TimestampMicrosecondArray> {
    let stamps = in_unit(array, TimeUnit::Microsecond).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidFrame,
            format!(
                "column {name:?} of feature {table} is {}, not a time",
                array.data_type()
            ),
        )
    })?;
    Ok(stamps.reinterpret_cast())
}

/// The times of a timestamp column (or of nulls) counted in `unit`; a time without a zone is UTC, as in every zone the count is.
/// `None` for other types, and where a time does not fit.
pub fn in_unit(array: &ArrayRef, unit: TimeUnit) -> Option<Int64Array> {
    let per_second = |unit: TimeUnit| match unit {
        TimeUnit::Second => 1_i64,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    let from = match array.data_type() {
        DataType::Timestamp(from, _) => *from,
        DataType::Null => return Some(Int64Array::new_null(array.len())),
        _ => return None,
    };
    let counts = cast(array, &DataType::Int64).ok()?;
    let counts: &Int64Array = counts.as_any().downcast_ref()?;
    let (from, to) = (per_second(from), per_second(unit));
    if from > to {
        return Some(counts.unary(|count| count.div_euclid(from / to)));
    }
    counts
        .try_unary(|count| count.checked_mul(to / from).ok_or(()))
        .ok()
}

fn greatest_stamp(batch: &RecordBatch) -> Option<Micros> {
    use arrow::datatypes::TimestampMicrosecondType;
    [columns::UPDATED_AT, columns::DELETED_AT]
        .iter()
        .filter_map(|name| {
            let array = batch.column_by_name(name)?;
            arrow::compute::max(array.as_primitive_opt::<TimestampMicrosecondType>()?)
        })
        .max()
}
