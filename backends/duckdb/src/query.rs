//! Running plans: one statement, in one transaction, on a thread of its own.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, SchemaRef};
use duckdb::Connection;
use metaxy_core::blocking::{self, Sink};
use metaxy_core::plan::{Plan, Relation};
use metaxy_core::pump::Pump;
use metaxy_core::sql::{column_at, quote, render};
use metaxy_core::{Error, ErrorKind, Frame, Result};

use crate::backend::{ENGINE, Shared};
use crate::cross;
use crate::dialect::{DuckDbDialect, ROWID, frame_name};
use crate::engine::{Lease, Need};
use crate::error::Failure;
use crate::types::{from_kept, kept, sql_type};
use crate::write::append_rows;
use crate::{host, once};

/// Runs a plan. Its rows arrive while the statement runs.
pub(crate) async fn run(shared: &Arc<Shared>, mut plan: Plan) -> Result<Frame> {
    let pump = Pump::of(&mut plan.frames);
    let schema = plan.relation.schema().clone();
    let shared = shared.clone();
    blocking::stream(ENGINE, schema, pump, move |sink| {
        match shared.lease(Need::Read)? {
            Some(lease) => {
                let mut dialect = shared.dialect(&lease);
                let looked = look_up(&lease, &plan.relation, &mut dialect);
                let answered =
                    looked.and_then(|()| answer(lease.connection(), plan, &dialect, sink));
                shared.explain(&lease, answered, "answer a query")
            }
            // No file: no table to scan, but perhaps frames.
            None => {
                let connection = host::scratch(&shared.config)?;
                let answered = answer(&connection, plan, &DuckDbDialect::default(), sink);
                answered.map_err(|e| e.explain("answer a query", &shared.config.database))
            }
        }
    })
}

fn answer(
    connection: &Connection,
    plan: Plan,
    dialect: &DuckDbDialect,
    sink: &mut Sink,
) -> Result<(), Failure> {
    let interrupt = connection.interrupt_handle();
    sink.stop_with(Some(Box::new(move || interrupt.interrupt())));
    load_frames(connection, plan.frames)?;
    let sql = render(&plan.relation, dialect)?;
    stream(connection, &sql, plan.relation.schema(), sink)
}

/// Makes sure that the tables of the plan are still there, and tells the dialect what it has to know of them.
/// The transaction that is begun here is the statement's, too, so that it holds then.
fn look_up(lease: &Lease, relation: &Relation, dialect: &mut DuckDbDialect) -> Result<(), Failure> {
    let session = lease.session();
    session.connection.execute_batch("BEGIN TRANSACTION")?;
    let mut scans = Vec::new();
    relation.scans(&mut |scan| scans.push(scan));
    for scan in scans {
        let name = dialect.table_name(&scan.table);
        let Some(schema) = lease.cache().table(session, &name)? else {
            return Err(Error::new(
                ErrorKind::TableNotFound,
                format!(
                    "the table of feature {} is gone: somebody dropped it meanwhile",
                    scan.table
                ),
            )
            .with_hint("try again, to be told what is there now")
            .into());
        };
        let hides = |column: &str| column.eq_ignore_ascii_case(ROWID);
        if schema.fields().iter().any(|field| hides(field.name())) {
            dialect.rowid_hidden.insert(name.clone());
        }
        if let Some(ids) = &scan.latest_per
            && once::written_once(session, &name, &schema, ids)?
        {
            dialect.written_once.insert((name, ids.clone()));
        }
    }
    Ok(())
}

/// Frames become temporary tables of the connection, chunk by chunk.
fn load_frames(connection: &Connection, frames: Vec<Frame>) -> Result<(), Failure> {
    for (position, mut frame) in frames.into_iter().enumerate() {
        let name = frame_name(position);
        let types = frame
            .schema()
            .fields()
            .iter()
            .map(|field| kept(field))
            .collect::<Result<Vec<_>>>()?;
        let definitions: Vec<String> = types
            .iter()
            .enumerate()
            .map(|(i, kept)| format!("{} {}", column_at(i), sql_type(kept)))
            .collect();
        if definitions.is_empty() {
            return Err(Error::new(ErrorKind::InvalidFrame, "a frame has no columns").into());
        }
        connection.execute_batch(&format!(
            "CREATE TEMP TABLE {} ({})",
            quote(&name),
            definitions.join(", ")
        ))?;
        let mut appender = connection.appender_to_catalog_and_db(&name, "temp", "main")?;
        while let Some(batch) = futures::executor::block_on(frame.next())? {
            append_rows(&mut appender, &batch, &types)?;
        }
        appender.flush()?;
    }
    Ok(())
}

fn stream(
    connection: &Connection,
    sql: &str,
    schema: &SchemaRef,
    sink: &mut Sink,
) -> Result<(), Failure> {
    let mut statement = connection.prepare(sql).map_err(|source| {
        Error::new(ErrorKind::Internal, format!("DuckDB refused a plan: {sql}")).with_source(source)
    })?;
    let rows = statement.stream_arrow([])?;
    let given = cross::schema_of(&rows.get_schema())?;
    let fields = DataType::Struct(given.fields().clone());
    for batch in rows {
        let batch = batch?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        // A relation without columns is rendered with one.
        let columns = cross::columns_of(batch, &fields)?;
        let arrays = schema
            .fields()
            .iter()
            .zip(&columns)
            .map(|(field, column)| from_kept(column, field.data_type()))
            .collect::<Result<Vec<_>>>()?;
        let batch = RecordBatch::try_new_with_options(schema.clone(), arrays, &options);
        sink.send(batch.map_err(Error::from)?)?;
    }
    Ok(())
}
