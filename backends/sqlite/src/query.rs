//! Running plans: one statement, in one read transaction, on a thread of its own.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::{Schema, SchemaRef};
use futures::executor::block_on;
use metaxy_core::backend::blocking::{self, Sink};
use metaxy_core::backend::pump::Pump;
use metaxy_core::backend::{Explanation, table_is_gone};
use metaxy_core::columns::{FEATURE_VERSION, PROVENANCE};
use metaxy_core::expr::col;
use metaxy_core::plan::{LABEL, Label, Plan, Relation, STORED_PREFIX, Scalar};
use metaxy_core::sql::{column_at, quote, render};
use metaxy_core::{Error, Frame, Result};

use crate::backend::{ENGINE, Handle, Shared};
use crate::catalog::{self, CatalogError, Known};
use crate::codec::{Decoder, column_type};
use crate::dialect::{COLUMNS_AT_MOST, SqliteDialect, frame_name};
use crate::write::insert_batch;

/// Rows per batch of a result.
const BATCH: usize = 8192;

/// Runs a plan. Its rows arrive while the statement runs.
pub(crate) async fn run(shared: &Arc<Shared>, mut plan: Plan) -> Result<Frame> {
    let pump = Pump::of(&mut plan.frames);
    let schema = plan.relation.schema().clone();
    let shared = shared.clone();
    blocking::stream(ENGINE, schema, pump, move |sink| {
        // No file: no table to scan, but perhaps frames.
        let mut handle = match shared.take()? {
            Some(handle) => handle,
            None => shared.scratch()?,
        };
        let interrupt = handle.connection.get_interrupt_handle();
        sink.stop_with(Some(Box::new(move || interrupt.interrupt())));
        let outcome = answer(&shared, &mut handle, plan, sink);
        // From here on the connection may be in other hands.
        sink.stop_with(None);
        shared.settle(Some(handle), outcome, "answer a query")
    })
}

fn answer(
    shared: &Shared,
    handle: &mut Handle,
    plan: Plan,
    sink: &mut Sink,
) -> Result<(), CatalogError> {
    let transaction = handle.connection.unchecked_transaction()?;
    let mut dialect = shared.dialect();
    look_up(&transaction, &handle.known, &plan.relation, &mut dialect)?;
    let frames = plan.frames.len();
    load_frames(&transaction, plan.frames)?;
    for part in in_parts(&plan.relation)? {
        let sql = render(&part, &dialect)?;
        handle.marks.clear();
        stream(
            &transaction,
            &sql,
            part.schema(),
            plan.relation.schema(),
            sink,
        )?;
    }
    for position in 0..frames {
        transaction.execute_batch(&format!("DROP TABLE temp.{}", quote(&frame_name(position))))?;
    }
    transaction.commit()?;
    Ok(())
}

/// The relations that are run one after the other: one. Only an increment that has more columns than a result of SQLite's may have becomes
/// two: the rows that are to be written, which are read from the expected columns, and the orphaned ones, from the stored columns.
fn in_parts(relation: &Relation) -> Result<Vec<Relation>> {
    let names = || relation.schema().fields().iter().map(|f| f.name().as_str());
    if names().len() <= COLUMNS_AT_MOST || !names().any(|name| name == LABEL) {
        return Ok(vec![relation.with_needed_columns()?]);
    }
    // What each row has, beside its part.
    let always = [PROVENANCE, FEATURE_VERSION].map(|name| format!("{STORED_PREFIX}{name}"));
    let part = |labels: [Label; 2], stored: bool| {
        let shown = names().filter(|name| {
            *name == LABEL
                || name.starts_with(STORED_PREFIX) == stored
                || always.iter().any(|other| other == name)
        });
        let is_of = col(LABEL).is_in(labels.map(|label| label as i64));
        let rows = relation
            .clone()
            .filter(Scalar::Test(is_of.bind(relation.schema())?))?;
        rows.select(shown)?.with_needed_columns()
    };
    Ok(vec![
        part([Label::New, Label::Stale], false)?,
        part([Label::Orphaned, Label::Orphaned], true)?,
    ])
}

/// The statement that a relation becomes, and how SQLite runs it.
pub(crate) fn explain(
    shared: &Shared,
    handle: &Handle,
    relation: &Relation,
) -> Result<Explanation, CatalogError> {
    let transaction = handle.connection.unchecked_transaction()?;
    let mut dialect = shared.dialect();
    look_up(&transaction, &handle.known, relation, &mut dialect)?;
    // Tables in place of the frames, without which the statement makes no sense. They go with the transaction.
    for (position, schema) in relation.frames() {
        create_frame(&transaction, position, &schema)?;
    }
    let sql = render(&relation.with_needed_columns()?, &dialect)?;
    let mut steps = transaction.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    let steps = steps.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(3)?)))?;
    let steps: Vec<(i64, i64, String)> = steps.collect::<rusqlite::Result<_>>()?;
    Ok(Explanation::of(ENGINE)
        .with_statement(sql)
        .with_engine_plan(tree(&steps)))
}

/// Steps below each other, each below the one that it belongs to: id, id of that one, words.
fn tree(steps: &[(i64, i64, String)]) -> String {
    let mut depths: HashMap<i64, usize> = HashMap::new();
    let mut text = String::new();
    for (id, parent, words) in steps {
        let depth = depths.get(parent).map_or(0, |depth| depth + 1);
        depths.insert(*id, depth);
        text.push_str(&"  ".repeat(depth));
        text.push_str(words);
        text.push('\n');
    }
    text.trim_end().to_owned()
}

/// Makes sure that the tables of the plan are still there, and tells the dialect which of its scans have nothing to replace.
fn look_up(
    connection: &rusqlite::Connection,
    known: &Known,
    relation: &Relation,
    dialect: &mut SqliteDialect,
) -> Result<(), CatalogError> {
    let mut scans = Vec::new();
    relation.scans(&mut |scan, _| scans.push(scan));
    for scan in scans {
        let name = dialect.table_name(&scan.table);
        if !catalog::has(connection, known, &name)? {
            return Err(table_is_gone(&scan.table).into());
        }
        let (Some(version), Some(ids)) = (&scan.feature_version, &scan.latest_per) else {
            continue;
        };
        if catalog::written_once(connection, &name, version, ids)? == Some(true) {
            let key = (name, version.clone(), ids.clone());
            dialect.written_once.insert(key);
        }
    }
    Ok(())
}

/// Frames become temporary tables of the connection.
fn load_frames(connection: &rusqlite::Connection, frames: Vec<Frame>) -> Result<(), CatalogError> {
    for (position, mut frame) in frames.into_iter().enumerate() {
        let name = frame_name(position);
        let schema = frame.schema().clone();
        create_frame(connection, position, &schema)?;
        let places = vec!["?"; schema.fields().len()].join(", ");
        let sql = format!("INSERT INTO temp.{} VALUES ({places})", quote(&name));
        let mut insert = connection.prepare(&sql)?;
        while let Some(batch) = block_on(frame.next())? {
            insert_batch(&mut insert, &batch)?;
        }
    }
    Ok(())
}

/// The temporary table of a frame, without rows.
fn create_frame(
    connection: &rusqlite::Connection,
    position: usize,
    schema: &Schema,
) -> Result<(), CatalogError> {
    let definitions = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(i, field)| Ok(format!("{} {}", column_at(i), column_type(field)?)))
        .collect::<Result<Vec<_>>>()?;
    connection.execute_batch(&format!(
        "DROP TABLE IF EXISTS temp.{0}; CREATE TEMP TABLE {0} ({1}) STRICT",
        quote(&frame_name(position)),
        definitions.join(", ")
    ))?;
    Ok(())
}

fn stream(
    connection: &rusqlite::Connection,
    sql: &str,
    part: &SchemaRef,
    schema: &SchemaRef,
    sink: &mut Sink,
) -> Result<(), CatalogError> {
    let mut statement = connection.prepare(sql)?;
    let mut decoders = part
        .fields()
        .iter()
        .map(Decoder::new)
        .collect::<Result<Vec<_>>>()?;
    let mut rows = statement.raw_query();
    let mut waiting = 0;
    loop {
        let row = rows.next()?;
        if let Some(row) = row {
            for (i, decoder) in decoders.iter_mut().enumerate() {
                decoder.push(row.get_ref(i)?)?;
            }
            waiting += 1;
        }
        let last = row.is_none();
        if waiting == BATCH || (last && waiting > 0) {
            let arrays = decoders
                .iter_mut()
                .map(Decoder::finish)
                .collect::<Result<Vec<_>>>()?;
            let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(waiting));
            let batch = RecordBatch::try_new_with_options(part.clone(), arrays, &options)
                .map_err(Error::from)?;
            let batch = completed(batch, schema)?;
            waiting = 0;
            sink.send(batch)?;
        }
        if last {
            return Ok(());
        }
    }
}

/// The rows of a part with all columns of the relation.
fn completed(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if batch.num_columns() == schema.fields().len() {
        return Ok(batch);
    }
    let columns = schema.fields().iter().map(|field| {
        let column = batch.column_by_name(field.name()).cloned();
        column.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
    });
    Ok(RecordBatch::try_new(schema.clone(), columns.collect())?)
}
