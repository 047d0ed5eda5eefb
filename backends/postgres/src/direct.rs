//! Appends of few rows, which are held here until it is their turn and then copied straight into the table: one way for each row instead of
//! two. The others wait in temporary tables.
//!
//! The places of such rows need not ascend (see [`order`](crate::order)), so none of them may be of one sample and one stamp: they all get a new stamp,
//! and no ID is there twice.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use arrow::row::{RowConverter, SortField};
use metaxy_core::Result;
use metaxy_core::backend::append::PreparedAppend;
use metaxy_core::clock::Micros;
use metaxy_core::frame::bytes_of;
use metaxy_core::sql::quote;

use crate::catalog::{Table, cast_of};
use crate::error::Failure;
use crate::frames::{self, Loading};
use crate::names::Names;
use crate::session::Session;
use crate::write::{Later, Staged};

/// Bytes of rows that are held, of all tables of an append together.
pub(crate) const ROOM: usize = 64 * 1024 * 1024;

/// The rows of one table.
pub(crate) enum Rows {
    /// Few, and each of a sample of its own.
    Held(Vec<RecordBatch>),
    /// The others, in the temporary table of the append's position.
    InTable,
}

/// Takes the rows from who produces them. `room` is what may be held still.
pub(crate) async fn gather(
    session: &mut Session,
    place: &Staged,
    rows: &mut PreparedAppend,
    room: &mut usize,
) -> Result<Rows, Failure> {
    let mut held = Vec::new();
    let mut taken = 0;
    let mut ids = match place.stamped.is_some() || place.is_new {
        true => Ids::of(place)?,
        false => None,
    };
    while let Some(batch) = rows.next().await? {
        taken += bytes_of(&batch)?;
        let is_new = ids.as_mut().is_some_and(|ids| ids.are_new(&batch));
        held.push(batch);
        if !is_new || taken > *room {
            return stage(session, place, &held, Some(rows)).await;
        }
    }
    *room -= taken;
    Ok(Rows::Held(held))
}

/// Copies rows into the temporary table of their position: those that are held, then the rest.
pub(crate) async fn stage(
    session: &mut Session,
    place: &Staged,
    held: &[RecordBatch],
    rest: Option<&mut PreparedAppend>,
) -> Result<Rows, Failure> {
    frames::create(session, place.position, &place.schema).await?;
    let mut loading = Loading::begin(session, place.position).await?;
    for batch in held {
        loading.push(batch).await.map_err(|f| place.explain(f))?;
    }
    if let Some(rest) = rest {
        while let Some(batch) = rest.next().await? {
            loading.push(&batch).await.map_err(|f| place.explain(f))?;
        }
    }
    loading.finish().await?;
    Ok(Rows::InTable)
}

/// Whether rows that are held can go straight into the table as it is now: they get new stamps, and its columns take them as they are.
pub(crate) fn fits(place: &Staged, stored: Option<&Table>) -> bool {
    let Some(stored) = stored else {
        return true;
    };
    let known = |field: &arrow::datatypes::Field| {
        let at = stored.schema.index_of(field.name()).ok()?;
        cast_of(field, &stored.declared[at])
    };
    place.stamped.is_some() && !place.schema.fields().iter().any(|f| known(f).is_some())
}

/// Copies rows into their table, stamped with `stamp`; returns how many there are.
pub(crate) async fn put(
    session: &mut Session,
    names: &Names,
    place: &Staged,
    rows: &[RecordBatch],
    stamp: Option<Micros>,
) -> Result<u64, Failure> {
    let list = place.schema.fields().iter().map(|f| quote(f.name()));
    let target = format!(
        "{} ({})",
        names.qualified(&place.name),
        list.collect::<Vec<_>>().join(", ")
    );
    let mut loading = Loading::begin_into(session, &target).await?;
    let other = place.restamped(stamp);
    for batch in rows {
        let batch = match other {
            Some((old, new)) => &restamped(place, batch, old, new)?,
            None => batch,
        };
        loading.push(batch).await.map_err(|f| place.explain(f))?;
    }
    loading.finish().await
}

/// The rows with the stamp `new` where they have `old`: they were stamped before it was seen what they come after.
fn restamped(place: &Staged, batch: &RecordBatch, old: Micros, new: Micros) -> Result<RecordBatch> {
    let fields = batch.schema_ref().fields().iter().zip(batch.columns());
    let columns = fields.map(|(field, array)| match place.later(field.name()) {
        Some(Later::All) => stamps(array, |_| Some(new)),
        Some(Later::Own) => stamps(array, |stamp| match stamp {
            Some(stamp) if stamp == old => Some(new),
            stamp => stamp,
        }),
        None => array.clone(),
    });
    Ok(RecordBatch::try_new(batch.schema(), columns.collect())?)
}

/// A column of times in UTC microseconds, each made another; any other column as it is.
fn stamps(array: &ArrayRef, other: impl Fn(Option<Micros>) -> Option<Micros>) -> ArrayRef {
    let DataType::Timestamp(TimeUnit::Microsecond, zone) = array.data_type() else {
        return array.clone();
    };
    let times = array.as_primitive::<TimestampMicrosecondType>().iter();
    let times: TimestampMicrosecondArray = times.map(other).collect();
    Arc::new(times.with_timezone_opt(zone.clone()))
}

/// The IDs of rows so far, each as its hash.
struct Ids {
    columns: Vec<usize>,
    converter: RowConverter,
    state: RandomState,
    seen: HashSet<u64>,
}

impl Ids {
    /// `None` for rows that no ID tells apart.
    fn of(place: &Staged) -> Result<Option<Self>> {
        let columns = place.id_columns.iter();
        let columns: Option<Vec<usize>> =
            columns.map(|id| place.schema.index_of(id).ok()).collect();
        let Some(columns) = columns.filter(|columns| !columns.is_empty()) else {
            return Ok(None);
        };
        let fields = columns.iter();
        let fields = fields.map(|at| SortField::new(place.schema.field(*at).data_type().clone()));
        Ok(Some(Self {
            converter: RowConverter::new(fields.collect())?,
            columns,
            state: RandomState::new(),
            seen: HashSet::new(),
        }))
    }

    /// Whether none of these rows has an ID that was there before. Two IDs of one hash count as one.
    fn are_new(&mut self, batch: &RecordBatch) -> bool {
        let columns = self.columns.iter().map(|at| batch.column(*at).clone());
        let Ok(rows) = self.converter.convert_columns(&columns.collect::<Vec<_>>()) else {
            return false;
        };
        self.seen.reserve(rows.num_rows());
        rows.iter()
            .all(|row| self.seen.insert(self.state.hash_one(row)))
    }
}
