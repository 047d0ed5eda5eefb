//! Running plans: one statement, in one transaction that sees one moment. Its rows leave by COPY, as they come.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use metaxy_core::backend::blocking::{self, Sink};
use metaxy_core::backend::pump::Pump;
use metaxy_core::backend::{Explanation, table_is_gone};
use metaxy_core::plan::{Plan, Relation};
use metaxy_core::sql::{literal_text, quote, render};
use metaxy_core::{Error, ErrorKind, FeatureKey, Frame, Result, columns};
use sqlx::{AssertSqlSafe, Row, ValueRef};
use tokio::sync::Notify;

use crate::backend::{ENGINE, Shared, THREADS};
use crate::catalog::cast_of;
use crate::decode::Decoder;
use crate::dialect::PostgresDialect;
use crate::error::Failure;
use crate::frames::{self, Loading};
use crate::residue::finished;
use crate::session::Session;
use crate::split::{Job, Split, split};
use crate::strangers::{IS_TRUSTED, Strange};
use crate::types::kept;

/// Rows per batch of a result.
const BATCH: usize = 8192;

/// Runs a plan. Its rows arrive while the statement runs.
pub(crate) async fn run(shared: &Arc<Shared>, mut plan: Plan) -> Result<Frame> {
    let pump = Pump::of(&mut plan.frames);
    let schema = plan.relation.schema().clone();
    let shared = shared.clone();
    let runtime = THREADS.handle()?;
    blocking::stream(ENGINE, schema, pump, move |sink| {
        let given_up = Arc::new(Notify::new());
        let stop = given_up.clone();
        sink.stop_with(Some(Box::new(move || stop.notify_one())));
        // Where nobody waits any more, the connection is closed, and the server stops.
        runtime.block_on(async {
            tokio::select! {
                done = answer(&shared, plan, sink) => done.map_err(|f| shared.explain(f, "answer a query")),
                () = given_up.notified() => Err(Error::new(ErrorKind::Cancelled, "nobody reads the result any more")),
            }
        })
    })
}

async fn answer(shared: &Shared, plan: Plan, sink: &mut Sink) -> Result<(), Failure> {
    let (whole, jobs) = split(&plan.relation, plan.frames.len())?;
    let mut session = shared.session().await?;
    let temporary = !plan.frames.is_empty() || !jobs.is_empty();
    let access = match temporary {
        true => "READ WRITE",
        false => "READ ONLY",
    };
    let begin = format!("BEGIN ISOLATION LEVEL REPEATABLE READ {access}");
    session.run(&begin).await?;
    let mut dialect = shared.dialect(&session)?;
    let mut seen = look_up(&mut session, &plan.relation, &mut dialect).await?;
    if !seen.of_others.is_empty() {
        // What was seen has to hold until the rows are read.
        let tables = seen.of_others.join(", ");
        session
            .run(&format!(
                "ROLLBACK; {begin}; LOCK TABLE {tables} IN ACCESS SHARE MODE"
            ))
            .await?;
        dialect = shared.dialect(&session)?;
        seen = look_up(&mut session, &plan.relation, &mut dialect).await?;
    }
    for (position, frame) in plan.frames.into_iter().enumerate() {
        let rows = frames::load(&mut session, position, frame).await?;
        frames::analyze(&mut session, position, rows).await?;
    }
    tracing::debug!(
        store = %shared.config.location(),
        path = explained(&whole, &jobs),
        "a plan is run"
    );
    for job in &jobs {
        work_off(&mut session, job, &dialect).await?;
        if let Some(fold) = &job.fold {
            dialect.folds.insert(fold.clone(), job.position);
        }
    }
    stream(&mut session, &whole, &dialect, sink).await?;
    seen.end(&mut session, &dialect).await?;
    session.release();
    Ok(())
}

/// The tables of a plan as they were looked up.
#[derive(Default)]
struct Seen {
    /// Those of roles that are not trusted, in SQL.
    of_others: Vec<String>,
    /// Which table each was: the server's number of it.
    numbers: Vec<(FeatureKey, String)>,
}

impl Seen {
    /// Ends the transaction. A table that was dropped after the look, and made anew, was read without its rows, which are later than the
    /// moment that the transaction sees; now that it has been read, nobody drops it.
    async fn end(&self, session: &mut Session, dialect: &PostgresDialect) -> Result<(), Failure> {
        if self.numbers.is_empty() {
            session.run("COMMIT").await?;
            return Ok(());
        }
        let now = self.numbers.iter().map(|(table, _)| {
            let name = dialect.names.qualified(&dialect.names.table(table));
            format!("to_regclass({})::oid::text", literal_text(&name))
        });
        let now = now.collect::<Vec<_>>().join(", ");
        let rows = session.rows(&format!("SELECT {now}; COMMIT")).await?;
        let now = rows.into_iter().next().unwrap_or_default();
        for ((table, seen), now) in self.numbers.iter().zip(now) {
            if now.as_ref() != Some(seen) {
                return Err(table_is_gone(table).into());
            }
        }
        Ok(())
    }
}

/// The statements that a relation becomes, and where its hashes are computed.
pub(crate) async fn explain(shared: &Shared, relation: &Relation) -> Result<Explanation, Failure> {
    let frames = relation.frames();
    let frames = frames.keys().next_back().map_or(0, |last| last + 1);
    let (whole, jobs) = split(relation, frames)?;
    let mut session = shared.session().await?;
    session
        .run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    let mut dialect = shared.dialect(&session)?;
    look_up(&mut session, relation, &mut dialect).await?;
    session.run("ROLLBACK").await?;
    session.release();
    let mut explanation = Explanation::of(ENGINE).with_note(explained(&whole, &jobs));
    for job in &jobs {
        explanation = explanation.with_statement(statement(&job.split.server, &dialect)?);
        if let Some(fold) = &job.fold {
            dialect.folds.insert(fold.clone(), job.position);
        }
    }
    Ok(explanation.with_statement(statement(&whole.server, &dialect)?))
}

/// Where the hashes of a plan are computed, in words.
fn explained(whole: &Split, jobs: &[Job]) -> &'static str {
    match (whole.is_direct(), jobs.is_empty()) {
        (true, true) => "everything in the server",
        (false, true) => "rows joined in the server, hashed and compared here",
        (_, false) => "hashed here on the way into temporary tables, then joined in the server",
    }
}

/// Makes sure that the tables of the plan are still there, and tells the dialect which of their columns are read as another type. Nothing of
/// tables of roles that are not trusted runs.
async fn look_up(
    session: &mut Session,
    relation: &Relation,
    dialect: &mut PostgresDialect,
) -> Result<Seen, Failure> {
    let mut scans = Vec::new();
    relation.scans(&mut |scan, schema| scans.push((scan, schema)));
    let mut seen = Seen::default();
    if scans.is_empty() {
        return Ok(seen);
    }
    let list: Vec<String> = scans
        .iter()
        .map(|(scan, _)| literal_text(&dialect.names.table(&scan.table)))
        .collect();
    let sql = format!(
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), s.versions, {IS_TRUSTED}, c.oid::text \
         FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
         LEFT JOIN (SELECT tablename, COALESCE(MAX(most_common_vals::text) FILTER (WHERE attname = {version}), '') AS versions \
         FROM pg_stats WHERE schemaname = {schema} AND tablename IN ({list}) GROUP BY 1) AS s ON s.tablename = c.relname \
         WHERE n.nspname = {schema} AND c.relkind IN ('r', 'p') AND c.relname IN ({list})",
        version = literal_text(columns::FEATURE_VERSION),
        schema = literal_text(&dialect.names.schema),
        list = list.join(", ")
    );
    let mut found: HashMap<String, Found> = HashMap::new();
    for row in session.rows(&sql).await? {
        if let [
            Some(table),
            Some(column),
            Some(declared),
            versions,
            trusted,
            Some(number),
        ] = row.as_slice()
        {
            let table = found.entry(table.clone()).or_default();
            table.number.clone_from(number);
            table.is_trusted = trusted.as_deref() == Some("t");
            table.declared.insert(column.clone(), declared.clone());
            table.versions.clone_from(versions);
        }
    }
    if !dialect.names.code_of_others {
        // It may have been made since the columns were looked up.
        for (name, _) in found.iter().filter(|(_, table)| !table.is_trusted) {
            let strange = Strange::of(session, &dialect.names, name).await?;
            strange.refuse_read(name)?;
            seen.of_others.push(dialect.names.qualified(name));
        }
    }
    let mut is_known = true;
    for (scan, schema) in scans {
        let name = dialect.names.table(&scan.table);
        let Some(table) = found.get(&name) else {
            return Err(table_is_gone(&scan.table).into());
        };
        seen.numbers
            .push((scan.table.clone(), table.number.clone()));
        is_known &= table.knows(scan.feature_version.as_deref());
        let mut odd = false;
        let list = schema.fields().iter().map(|field| {
            let column = quote(field.name());
            let declared = table.declared.get(field.name()).map(String::as_str);
            match declared.and_then(|declared| cast_of(field, declared)) {
                Some(target) => {
                    odd = true;
                    format!("{column}::{target} AS {column}")
                }
                None => column,
            }
        });
        let list: Vec<String> = list.collect();
        if odd {
            dialect.odd.insert(name, list.join(", "));
        }
    }
    if !is_known {
        // Of what its statistics do not know the server expects next to no rows, and would join by loops in loops.
        session.run("SET LOCAL enable_nestloop = off").await?;
    }
    Ok(seen)
}

/// What the catalog says of a table that a plan reads.
#[derive(Debug, Default)]
struct Found {
    /// The server's number of the table.
    number: String,
    /// The types of the columns.
    declared: HashMap<String, String>,
    /// Whether its owner is.
    is_trusted: bool,
    /// The feature versions that the statistics know, as the text of an array; `None` without statistics.
    versions: Option<String>,
}

impl Found {
    /// Whether the server can tell how many rows there are, of one feature version or of all.
    fn knows(&self, version: Option<&str>) -> bool {
        let Some(known) = &self.versions else {
            return false;
        };
        version.is_none_or(|version| known.contains(version))
    }
}

/// The statement of a relation, whose columns have the types that they are read as.
fn statement(relation: &Relation, dialect: &PostgresDialect) -> Result<String> {
    let columns = relation
        .schema()
        .fields()
        .iter()
        .map(|field| Ok(format!("{}::{}", quote(field.name()), kept(field)?.sql())))
        .collect::<Result<Vec<_>>>()?;
    let sql = render(relation, dialect)?;
    Ok(match columns.is_empty() {
        true => sql,
        false => format!("SELECT {} FROM ({sql}) AS answer", columns.join(", ")),
    })
}

/// Computes what a job asks for, and loads it. The rows go through in batches: as they are fetched, they are hashed and sent back.
async fn work_off(
    session: &mut Session,
    job: &Job,
    dialect: &PostgresDialect,
) -> Result<(), Failure> {
    frames::create(session, job.position, &job.split.schema).await?;
    let sql = statement(&job.split.server, dialect)?;
    let cursor = quote(&format!("metaxy.cursor.{}", job.position));
    session
        .run(&format!(
            "DECLARE {cursor} BINARY NO SCROLL CURSOR FOR {sql}"
        ))
        .await
        .map_err(|failure| refused(&job.split.server, dialect, &sql, failure))?;
    let mut decoder = Decoder::new(job.split.server.schema())?;
    let mut left = job.split.limit;
    let mut loaded = 0;
    loop {
        fetch(session, &cursor, &mut decoder).await?;
        let fetched = decoder.rows();
        let batch = limited(finished(&job.split, decoder.finish()?)?, &mut left);
        if batch.num_rows() > 0 {
            let mut loading = Loading::begin(session, job.position).await?;
            loading.push(&batch).await?;
            loaded += loading.finish().await?;
        }
        if fetched < BATCH || left == Some(0) {
            break;
        }
    }
    session.run(&format!("CLOSE {cursor}")).await?;
    frames::analyze(session, job.position, loaded).await
}

async fn fetch(session: &mut Session, cursor: &str, decoder: &mut Decoder) -> Result<(), Failure> {
    let sql = format!("FETCH FORWARD {BATCH} FROM {cursor}");
    let query = sqlx::raw_sql(AssertSqlSafe(sql));
    let mut rows = query.fetch(&mut **session.connection()?);
    while let Some(row) = rows.try_next().await? {
        decoder.push_row((0..row.len()).map(|at| {
            let value = row.try_get_raw(at).ok()?;
            match value.is_null() {
                true => Some(None),
                false => value.as_bytes().ok().map(Some),
            }
        }))?;
    }
    Ok(())
}

async fn stream(
    session: &mut Session,
    whole: &Split,
    dialect: &PostgresDialect,
    sink: &mut Sink,
) -> Result<(), Failure> {
    let sql = statement(&whole.server, dialect)?;
    tracing::trace!(sql, "statement");
    let copy = format!("COPY ({sql}) TO STDOUT (FORMAT binary)");
    let mut decoder = Decoder::new(whole.server.schema())?;
    let mut left = whole.limit;
    let connection = session.connection()?;
    let rows = connection.copy_out_raw(&copy).await;
    let mut rows = rows.map_err(|error| refused(&whole.server, dialect, &sql, error.into()))?;
    while let Some(bytes) = rows.try_next().await? {
        decoder.push(&bytes)?;
        if decoder.rows() >= BATCH && left != Some(0) {
            send(whole, &mut decoder, &mut left, sink)?;
        }
    }
    if decoder.rows() > 0 {
        send(whole, &mut decoder, &mut left, sink)?;
    }
    Ok(())
}

fn send(
    whole: &Split,
    decoder: &mut Decoder,
    left: &mut Option<u64>,
    sink: &mut Sink,
) -> Result<()> {
    let batch = limited(finished(whole, decoder.finish()?)?, left);
    match batch.num_rows() {
        0 => Ok(()),
        _ => sink.send(batch),
    }
}

/// The rows of a batch that are within the limit.
fn limited(batch: RecordBatch, left: &mut Option<u64>) -> RecordBatch {
    let Some(left) = left else {
        return batch;
    };
    let rows = batch
        .num_rows()
        .min(usize::try_from(*left).unwrap_or(usize::MAX));
    *left -= rows as u64;
    batch.slice(0, rows)
}

/// Why a statement is not run. A table may have been dropped since it was looked up; else what the server does not understand is a mistake
/// of ours.
fn refused(relation: &Relation, dialect: &PostgresDialect, sql: &str, failure: Failure) -> Failure {
    let is_gone = failure.is_undefined_table();
    let code = failure.code().unwrap_or_default();
    let error = match failure {
        Failure::Sqlx(error) if code.starts_with("42") && code != "42501" => error,
        other => return other,
    };
    let text = error.to_string();
    if is_gone {
        let mut tables = Vec::new();
        relation.scans(&mut |scan, _| tables.push(&scan.table));
        let named = tables
            .iter()
            .find(|table| text.contains(&dialect.names.table(table)));
        if let Some(table) = named.or(tables.first()) {
            return table_is_gone(table).into();
        }
    }
    tracing::debug!(sql, "the server refused a plan");
    let problem = format!("PostgreSQL refused a plan: {text}");
    Error::new(ErrorKind::Internal, problem)
        .with_hint("report it; events at the level `debug` tell the statement")
        .into()
}
