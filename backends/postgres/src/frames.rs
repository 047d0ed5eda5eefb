//! Frames of the caller as temporary tables of a connection, gone with the transaction.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use metaxy_core::sql::{column_at, quote};
use metaxy_core::{Frame, Result};

use crate::encode::{HEADER, TRAILER, encode};
use crate::error::Failure;
use crate::names;
use crate::session::Session;
use crate::types::kept;

/// Bytes that are gathered before they are sent.
const CHUNK: usize = 256 * 1024;

/// Rows from which on the server is told what a table holds: it then plans by that.
const WORTH_ANALYZING: u64 = 1_000;

/// Makes the table of a frame at this position, whose columns are called by their places.
pub(crate) async fn create(
    session: &mut Session,
    position: usize,
    schema: &Schema,
) -> Result<(), Failure> {
    let definitions = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(i, field)| Ok(format!("{} {}", column_at(i), kept(field)?.sql())))
        .collect::<Result<Vec<_>>>()?;
    let name = quote(&names::frame(position));
    let definitions = definitions.join(", ");
    let sql = format!("CREATE TEMP TABLE {name} ({definitions}) ON COMMIT DROP");
    session.run(&sql).await?;
    Ok(())
}

/// Loads a frame into the table of its position; returns how many rows it had.
pub(crate) async fn load(
    session: &mut Session,
    position: usize,
    mut frame: Frame,
) -> Result<u64, Failure> {
    create(session, position, frame.schema()).await?;
    let mut loading = Loading::begin(session, position).await?;
    while let Some(batch) = frame.next().await? {
        loading.push(&batch).await?;
    }
    loading.finish().await
}

/// Tells the server what the table of a frame holds, if that is much.
pub(crate) async fn analyze(
    session: &mut Session,
    position: usize,
    rows: u64,
) -> Result<(), Failure> {
    if rows >= WORTH_ANALYZING {
        let name = quote(&names::frame(position));
        session.run(&format!("ANALYZE pg_temp.{name}")).await?;
    }
    Ok(())
}

/// Rows on their way into the table of a frame.
pub(crate) struct Loading<'a> {
    copy: sqlx::postgres::PgCopyIn<&'a mut sqlx::postgres::PgConnection>,
    waiting: Vec<u8>,
    rows: u64,
}

impl<'a> Loading<'a> {
    pub(crate) async fn begin(session: &'a mut Session, position: usize) -> Result<Self, Failure> {
        let name = quote(&names::frame(position));
        Self::begin_into(session, &format!("pg_temp.{name}")).await
    }

    /// Into a table with these columns, such as `"a" ("id", "note")`.
    pub(crate) async fn begin_into(
        session: &'a mut Session,
        target: &str,
    ) -> Result<Self, Failure> {
        let sql = format!("COPY {target} FROM STDIN (FORMAT binary)");
        let copy = session.connection()?.copy_in_raw(&sql).await?;
        Ok(Self {
            copy,
            waiting: HEADER.to_vec(),
            rows: 0,
        })
    }

    pub(crate) async fn push(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        encode(batch, &mut self.waiting)?;
        self.rows += batch.num_rows() as u64;
        if self.waiting.len() >= CHUNK {
            self.copy.send(self.waiting.as_slice()).await?;
            self.waiting.clear();
        }
        Ok(())
    }

    /// Ends it; returns how many rows there were.
    pub(crate) async fn finish(mut self) -> Result<u64, Failure> {
        self.waiting.extend_from_slice(TRAILER);
        self.copy.send(self.waiting.as_slice()).await?;
        self.copy.finish().await?;
        Ok(self.rows)
    }
}
