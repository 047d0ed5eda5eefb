//! Faults of appending.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, new_null_array};
use arrow::compute::{cast, concat_batches, filter_record_batch, is_null, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use async_trait::async_trait;
use futures::StreamExt;
use metaxy_store::backend::append::{Append, Stamp, Times};
use metaxy_store::backend::{Appended, Backend};
use metaxy_store::columns::EMPTY;
use metaxy_store::{FeatureKey, Frame, Result, Rows};

use super::{Fault, mutants};

mutants! {
    Rewrite(lose_the_last_row) => "loses_the_last_row": "loses the last row of a write";
    Rewrite(lose_all_but_the_first_batch) => "loses_all_but_the_first_batch": "stores the first batch of a write only";
    Rewrite(store_twice) => "stores_rows_twice": "stores each row twice";
    Rewrite(turn_around) => "keeps_the_older_duplicate": "lets the first row count of an ID that is twice in one write";
    Rewrite(forget_creation) => "forgets_creation": "stamps metaxy_created_at although it was given";
    Rewrite(drop_struct_members) => "forgets_members": "stores the first member of a struct only";
    Rewrite(empty_is_null) => "empty_text_is_null": "takes empty text for null";
    Rewrite(trim) => "trims_text": "cuts blanks off the end of text";
    Rewrite(fold_case) => "folds_case": "stores text in lower case";
    Rewrite(cut_seconds) => "cuts_fractions_of_seconds": "stores times in whole seconds";
    Rewrite(narrow_floats) => "narrows_floats": "stores floats in 32 bits";
    Rewrite(null_is_zero) => "null_is_zero": "stores null numbers as zero";
    Rewrite(accept_null_ids) => "accepts_null_ids": "accepts samples without an ID";
    Rewrite(lose_childless) => "loses_parents_without_children": "drops rows that say that a parent has no children";
    Rewrite(forget_childless) => "forgets_parents_without_children": "stores rows that say that a parent has no children as any deleted ones";
    Rewrite(create_always) => "creates_tables_unasked": "makes tables although it must not";
    Rewrite(own_clock) => "trusts_the_writers_clock": "stamps a write as the writer's clock says, even if an earlier write is later";
    Rewrite(stamp_always) => "stamps_rows_that_come_with_times": "stamps rows that come with their times";
    Rewrite(cut_kept_times) => "cuts_kept_times": "stores rows that come with their times as of whole seconds";
    Rewrite(turn_kept_around) => "turns_copies_around": "stores rows that come with their times in the reverse order";
    Rewrite(tombstones_are_writes) => "tombstones_are_writes": "stores a tombstone as if it were a sample";
    Rewrite(swallow_failures) => "swallows_failures": "acknowledges a write whose producer failed half-way";
    TearWrites => "tears_writes": "stores each batch of a write by itself";
    TearTables => "tears_tables": "stores each table of a write by itself";
    ForgetNewColumns => "forgets_new_columns": "drops columns that the table did not have";
    KnownIdsOnly => "ignores_second_writes": "keeps a sample as it was first written";
}

/// Changes each append, then stores it as it should.
struct Rewrite(fn(Append) -> Append);

#[async_trait]
impl Fault for Rewrite {
    async fn append(&self, inner: &dyn Backend, appends: Vec<Append>) -> Result<Appended> {
        inner
            .append(appends.into_iter().map(self.0).collect())
            .await
    }
}

/// The append with other rows, made of all of them at once. A failure stays one.
fn with_rows(append: Append, change: fn(RecordBatch) -> Result<RecordBatch>) -> Append {
    let schema = append.rows.schema().clone();
    // What the change makes of no rows tells the columns.
    let changed = change(RecordBatch::new_empty(schema.clone()));
    let columns = changed.map_or_else(|_| schema.clone(), |batch| batch.schema());
    let rows = append.rows;
    let stream = futures::stream::once(async move {
        let rows = rows.collect().await?;
        change(concat_batches(&schema, rows.batches())?)
    });
    Append {
        rows: Frame::new(columns, stream),
        ..append
    }
}

/// The append with each of its user's columns changed; ID columns, too.
fn with_columns(append: Append, change: fn(&Field, &ArrayRef) -> Result<ArrayRef>) -> Append {
    let schema = append.rows.schema().clone();
    let stream = append.rows.into_stream();
    let change_batch = move |batch: RecordBatch| -> Result<RecordBatch> {
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns());
        let columns = columns
            .map(
                |(field, column)| match field.name().starts_with("metaxy_") {
                    true => Ok((field.name(), column.clone(), true)),
                    false => Ok((field.name(), change(field, column)?, true)),
                },
            )
            .collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
    };
    let columns = change_batch(RecordBatch::new_empty(schema.clone()));
    let columns = columns.map_or(schema, |batch| batch.schema());
    Append {
        rows: Frame::new(
            columns,
            stream.map(move |batch| batch.and_then(change_batch)),
        ),
        ..append
    }
}

fn lose_childless(append: Append) -> Append {
    with_rows(append, |batch| match batch.column_by_name(EMPTY) {
        Some(marks) => Ok(filter_record_batch(&batch, &is_null(marks)?)?),
        None => Ok(batch),
    })
}

fn forget_childless(append: Append) -> Append {
    with_rows(append, |batch| {
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns());
        let columns = columns.map(|(field, column)| match field.name() == EMPTY {
            true => (
                field.name(),
                new_null_array(field.data_type(), column.len()),
                true,
            ),
            false => (field.name(), column.clone(), true),
        });
        Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
    })
}

fn is_feature(append: &Append) -> bool {
    !append.table.as_str().starts_with("metaxy-system")
}

fn lose_the_last_row(append: Append) -> Append {
    with_rows(append, |batch| {
        Ok(batch.slice(0, batch.num_rows().saturating_sub(1)))
    })
}

fn lose_all_but_the_first_batch(append: Append) -> Append {
    let schema = append.rows.schema().clone();
    let rows = Frame::new(schema, append.rows.into_stream().take(1));
    Append { rows, ..append }
}

fn store_twice(append: Append) -> Append {
    with_rows(append, |batch| {
        Ok(concat_batches(&batch.schema(), [&batch, &batch])?)
    })
}

fn turn_around(append: Append) -> Append {
    with_rows(append, |batch| {
        let last = u32::try_from(batch.num_rows()).unwrap_or_default();
        let backwards = arrow::array::UInt32Array::from_iter_values((0..last).rev());
        Ok(take_record_batch(&batch, &backwards)?)
    })
}

fn forget_creation(append: Append) -> Append {
    match append.times {
        Times::Write(_) => with_rows(append, |batch| {
            let schema = batch.schema();
            let kept = (0..schema.fields().len())
                .filter(|at| schema.field(*at).name() != "metaxy_created_at");
            Ok(batch.project(&kept.collect::<Vec<_>>())?)
        }),
        _ => append,
    }
}

fn drop_struct_members(append: Append) -> Append {
    with_columns(append, |_, column| match column.as_struct_opt() {
        Some(given) if given.num_columns() > 1 => {
            let (fields, columns, nulls) = given.clone().into_parts();
            let first = fields.iter().take(1).cloned().collect();
            let columns = columns.into_iter().take(1).collect();
            Ok(Arc::new(arrow::array::StructArray::try_new(
                first, columns, nulls,
            )?))
        }
        _ => Ok(column.clone()),
    })
}

fn each_text(column: &ArrayRef, change: fn(&str) -> Option<String>) -> Result<ArrayRef> {
    Ok(match column.as_string_opt::<i32>() {
        Some(texts) => {
            let texts = texts.iter().map(|text| text.and_then(change));
            Arc::new(texts.collect::<StringArray>())
        }
        None => column.clone(),
    })
}

fn empty_is_null(append: Append) -> Append {
    with_columns(append, |_, column| {
        each_text(column, |text| (!text.is_empty()).then(|| text.to_owned()))
    })
}

fn trim(append: Append) -> Append {
    with_columns(append, |_, column| {
        each_text(column, |text| Some(text.trim_end().to_owned()))
    })
}

fn fold_case(append: Append) -> Append {
    with_columns(append, |_, column| {
        each_text(column, |text| Some(text.to_lowercase()))
    })
}

fn cut_seconds(append: Append) -> Append {
    with_columns(append, |field, column| match field.data_type() {
        DataType::Timestamp(_, zone) => {
            let seconds = cast(column, &DataType::Timestamp(TimeUnit::Second, zone.clone()))?;
            Ok(cast(&seconds, field.data_type())?)
        }
        _ => Ok(column.clone()),
    })
}

fn narrow_floats(append: Append) -> Append {
    with_columns(append, |field, column| match field.data_type() {
        DataType::Float64 => {
            let narrow = cast(column, &DataType::Float32)?;
            Ok(cast(&narrow, &DataType::Float64)?)
        }
        _ => Ok(column.clone()),
    })
}

fn null_is_zero(append: Append) -> Append {
    with_columns(append, |field, column| {
        if !field.data_type().is_numeric() || column.null_count() == 0 {
            return Ok(column.clone());
        }
        let data = column.to_data().into_builder().nulls(None).build()?;
        Ok(arrow::array::make_array(data))
    })
}

fn accept_null_ids(append: Append) -> Append {
    Append {
        id_columns: Vec::new(),
        ..append
    }
}

fn create_always(append: Append) -> Append {
    Append {
        create: true,
        ..append
    }
}

fn own_clock(append: Append) -> Append {
    let exactly = |stamp| match stamp {
        Stamp::AfterAll(now) | Stamp::Exactly(now) => Stamp::Exactly(now),
    };
    let times = match append.times {
        Times::Write(stamp) => Times::Write(exactly(stamp)),
        Times::Tombstone(stamp) => Times::Tombstone(exactly(stamp)),
        Times::Keep => Times::Keep,
    };
    Append { times, ..append }
}

fn stamp_always(append: Append) -> Append {
    let times = match append.times {
        Times::Keep if is_feature(&append) => Times::Write(Stamp::AfterAll(0)),
        times => times,
    };
    Append { times, ..append }
}

fn cut_kept_times(append: Append) -> Append {
    if append.times != Times::Keep || !is_feature(&append) {
        return append;
    }
    with_rows(append, |batch| {
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns());
        let columns = columns.map(|(field, column)| {
            let column = match field.data_type() {
                DataType::Timestamp(..) if field.name().starts_with("metaxy_") => {
                    let seconds = DataType::Timestamp(TimeUnit::Second, Some("UTC".into()));
                    cast(&cast(column, &seconds)?, field.data_type())?
                }
                _ => column.clone(),
            };
            Ok((field.name(), column, true))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
    })
}

fn turn_kept_around(append: Append) -> Append {
    match append.times {
        Times::Keep if is_feature(&append) => turn_around(append),
        _ => append,
    }
}

fn tombstones_are_writes(append: Append) -> Append {
    let times = match append.times {
        Times::Tombstone(stamp) => Times::Write(stamp),
        times => times,
    };
    Append { times, ..append }
}

fn swallow_failures(append: Append) -> Append {
    let schema = append.rows.schema().clone();
    let stream = append.rows.into_stream();
    let until_failure = stream.take_while(|batch| std::future::ready(batch.is_ok()));
    Append {
        rows: Frame::new(schema, until_failure),
        ..append
    }
}

/// Each batch by itself.
struct TearWrites;

#[async_trait]
impl Fault for TearWrites {
    async fn append(&self, inner: &dyn Backend, appends: Vec<Append>) -> Result<Appended> {
        let mut appended = Appended::default();
        for append in appends {
            let (schema, mut rows) = (append.rows.schema().clone(), append.rows);
            let part = |rows: Rows| Append {
                table: append.table.clone(),
                id_columns: append.id_columns.clone(),
                rows: rows.into(),
                times: append.times,
                create: append.create,
            };
            inner
                .append(vec![part(Rows::empty(schema.clone()))])
                .await?;
            while let Some(batch) = rows.next().await? {
                let one = Rows::new(schema.clone(), vec![batch]);
                appended.rows += inner.append(vec![part(one)]).await?.rows;
            }
        }
        Ok(appended)
    }
}

/// Each table by itself.
struct TearTables;

#[async_trait]
impl Fault for TearTables {
    async fn append(&self, inner: &dyn Backend, appends: Vec<Append>) -> Result<Appended> {
        let mut appended = Appended::default();
        for append in appends {
            appended.rows += inner.append(vec![append]).await?.rows;
        }
        Ok(appended)
    }
}

/// Columns that the table does not have are left out.
struct ForgetNewColumns;

#[async_trait]
impl Fault for ForgetNewColumns {
    async fn append(&self, inner: &dyn Backend, appends: Vec<Append>) -> Result<Appended> {
        let mut known = Vec::new();
        for append in appends {
            let Some(stored) = inner.schema(&append.table).await? else {
                known.push(append);
                continue;
            };
            let schema = append.rows.schema().clone();
            let kept: Vec<usize> = (0..schema.fields().len())
                .filter(|at| stored.field_with_name(schema.field(*at).name()).is_ok())
                .collect();
            let columns: Schema = schema.project(&kept)?;
            let rows = append
                .rows
                .map(Arc::new(columns), move |batch| Ok(batch.project(&kept)?));
            known.push(Append { rows, ..append });
        }
        inner.append(known).await
    }
}

/// A second row of an ID is not stored.
struct KnownIdsOnly;

#[async_trait]
impl Fault for KnownIdsOnly {
    async fn append(&self, inner: &dyn Backend, appends: Vec<Append>) -> Result<Appended> {
        let mut first = Vec::new();
        for append in appends {
            let known = match append.id_columns.as_slice() {
                [id] if matches!(append.times, Times::Write(_)) => {
                    stored_ids(inner, &append.table, id).await?
                }
                _ => HashSet::new(),
            };
            let id = append.id_columns.first().cloned().unwrap_or_default();
            let schema = append.rows.schema().clone();
            let rows = append.rows.map(schema, move |batch| {
                let Some(ids) = batch.column_by_name(&id) else {
                    return Ok(batch);
                };
                let ids = cast(ids, &DataType::Utf8)?;
                let new = ids.as_string::<i32>().iter();
                let new = new.map(|id| Some(!id.is_some_and(|id| known.contains(id))));
                Ok(arrow::compute::filter_record_batch(&batch, &new.collect())?)
            });
            first.push(Append { rows, ..append });
        }
        inner.append(first).await
    }
}

/// The IDs that a table holds, as text.
async fn stored_ids(inner: &dyn Backend, table: &FeatureKey, id: &str) -> Result<HashSet<String>> {
    use metaxy_store::plan::{Plan, Relation, Scan};
    let Some(schema) = inner.schema(table).await? else {
        return Ok(HashSet::new());
    };
    let scan = Scan::all(table.clone());
    let relation = Relation::scan(scan, schema).select([id])?;
    let rows = inner.query(Plan::from(relation)).await?.collect().await?;
    let mut ids = HashSet::new();
    for batch in rows.batches() {
        let column = cast(batch.column(0), &DataType::Utf8)?;
        ids.extend(
            column
                .as_string::<i32>()
                .iter()
                .flatten()
                .map(str::to_owned),
        );
    }
    Ok(ids)
}
