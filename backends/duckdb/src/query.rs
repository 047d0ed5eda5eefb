//! Running plans: one statement, in one transaction, on a thread of its own.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, SchemaRef};
use duckdb::{Connection, Statement};
use metaxy_core::backend::blocking::{self, Sink};
use metaxy_core::backend::pump::Pump;
use metaxy_core::backend::{Explanation, table_is_gone};
use metaxy_core::plan::{Plan, Relation};
use metaxy_core::sql::{column_at, quote, render};
use metaxy_core::{Error, ErrorKind, Frame, Result};

use crate::backend::{ENGINE, Shared};
use crate::cross;
use crate::dialect::{DuckDbDialect, UNTYPED_VALUE, frame_name, hides_rowid};
use crate::engine::{Lease, Need, State};
use crate::error::{self, Failure};
use crate::types::{from_kept, kept, sql_type};
use crate::write::append_rows;
use crate::{host, superseded};

/// Runs a plan. Its rows arrive while the statement runs.
pub(crate) async fn run(shared: &Arc<Shared>, mut plan: Plan) -> Result<Frame> {
    let pump = Pump::of(&mut plan.frames);
    let schema = plan.relation.schema().clone();
    let shared = shared.clone();
    blocking::stream(ENGINE, schema, pump, move |sink| {
        let answered = match shared.lease(Need::Read)? {
            Some(lease) => {
                let answered = answer(&shared, &lease, plan, sink);
                return shared.explain(&lease, answered, "answer a query");
            }
            // No file: no table to scan, but perhaps frames.
            None => answer_without_file(&shared, plan, sink),
        };
        answered.map_err(|e| e.explain("answer a query", &shared.config.database))
    })
}

fn answer(shared: &Shared, lease: &Lease, plan: Plan, sink: &mut Sink) -> Result<(), Failure> {
    let connection = lease.connection();
    interrupt_with(connection, sink);
    load_frames(connection, plan.frames)?;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let mut dialect = shared.dialect(lease);
        let state = look_up(lease, &plan.relation, &mut dialect)?;
        if attempts > ATTEMPTS {
            dialect.written.clear();
        }
        let sql = render(&plan.relation, &dialect)?;
        connection.execute_batch("BEGIN TRANSACTION")?;
        // To prepare the statement takes the snapshot that it is answered from.
        let statement = prepare(connection, &sql);
        let same = state.is_some() && lease.state() == state;
        let assumed_nothing = dialect.written.is_empty() && statement.is_ok();
        if same || assumed_nothing || attempts > ATTEMPTS {
            return stream(&mut statement?, &sql, plan.relation.schema(), sink);
        }
        // Something was written since the look: samples may have been replaced, and tables dropped.
        drop(statement);
        connection.execute_batch("ROLLBACK")?;
    }
}

/// The statement that a relation becomes, as long as nobody writes meanwhile.
pub(crate) fn explain(shared: &Shared, relation: &Relation) -> Result<Explanation> {
    let explained = |sql: String| Explanation::of(ENGINE).with_statement(sql);
    let Some(lease) = shared.lease(Need::Read)? else {
        return Ok(explained(render(relation, &DuckDbDialect::default())?));
    };
    let mut dialect = shared.dialect(&lease);
    let rendered =
        look_up(&lease, relation, &mut dialect).and_then(|_| Ok(render(relation, &dialect)?));
    shared
        .explain(&lease, rendered, "explain a query")
        .map(explained)
}

/// How often a plan is made with what was seen of its tables. After that others write without a pause, and it is made without.
const ATTEMPTS: usize = 3;

fn answer_without_file(shared: &Shared, plan: Plan, sink: &mut Sink) -> Result<(), Failure> {
    let connection = host::scratch(&shared.config)?;
    interrupt_with(&connection, sink);
    load_frames(&connection, plan.frames)?;
    let sql = render(&plan.relation, &DuckDbDialect::default())?;
    let mut statement = prepare(&connection, &sql)?;
    stream(&mut statement, &sql, plan.relation.schema(), sink)
}

fn interrupt_with(connection: &Connection, sink: &mut Sink) {
    let interrupt = connection.interrupt_handle();
    sink.stop_with(Some(Box::new(move || interrupt.interrupt())));
}

/// Makes sure that the tables of the plan are still there, and tells the dialect what it has to know of them, which holds as
/// long as nothing is written; gives the state of the lease that it holds for.
fn look_up(
    lease: &Lease,
    relation: &Relation,
    dialect: &mut DuckDbDialect,
) -> Result<Option<State>, Failure> {
    let session = lease.session();
    let state = lease.state();
    let mut scans = Vec::new();
    relation.scans(&mut |scan, _| scans.push(scan));
    let mut found = Vec::new();
    for scan in scans {
        let name = dialect.table_name(&scan.table);
        let Some(schema) = lease.cache().table(session, &name)? else {
            return Err(table_is_gone(&scan.table).into());
        };
        if hides_rowid(&schema) {
            dialect.rowid_hidden.insert(name.clone());
        }
        if let Some(ids) = &scan.latest_per {
            found.push((name, schema, ids));
        }
    }
    if state.is_some() {
        let tables: Vec<_> = found
            .iter()
            .map(|(name, schema, ids)| superseded::Table { name, schema, ids })
            .collect();
        let written = lease.cache().written(session, &tables);
        let keys = found
            .iter()
            .map(|(name, _, ids)| (name.clone(), ids.to_vec()));
        dialect.written = keys.zip(written).collect();
    }
    Ok(state)
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

fn prepare<'a>(connection: &'a Connection, sql: &str) -> Result<Statement<'a>, Failure> {
    let prepared = connection.prepare(sql);
    prepared.map_err(|source| refused(sql, source))
}

fn stream(
    statement: &mut Statement<'_>,
    sql: &str,
    schema: &SchemaRef,
    sink: &mut Sink,
) -> Result<(), Failure> {
    let rows = match statement.parameter_count() {
        0 => statement.stream_arrow([]),
        _ => statement.stream_arrow([UNTYPED_VALUE]),
    };
    let rows = rows.map_err(|source| refused(sql, source))?;
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

/// Why a statement is not run; one that DuckDB does not understand is a mistake of ours.
fn refused(sql: &str, source: duckdb::Error) -> Failure {
    if !error::is_refusal(&source) {
        return source.into();
    }
    let problem = format!("DuckDB refused a plan: {sql}");
    Error::new(ErrorKind::Internal, problem)
        .with_source(source)
        .into()
}
