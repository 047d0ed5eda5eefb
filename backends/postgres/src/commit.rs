//! Transactions that change something, and what became of a commit whose answer was lost.

use std::time::{Duration, Instant};

use metaxy_core::sql::literal_text;
use metaxy_core::{Error, ErrorKind};

use crate::backend::Shared;
use crate::error::Failure;
use crate::names::Names;
use crate::session::{Session, millis};

/// How long to wait before the server is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// The least time for which the server is asked: it may have to start anew.
const PATIENCE: Duration = Duration::from_secs(60);

/// By what an append is known again.
#[derive(Debug)]
pub(crate) struct Mark {
    /// The number of the transaction.
    pub(crate) transaction: String,
    /// A table that got rows, and the condition for the first of them; `None` if none did.
    pub(crate) rows: Option<(String, String)>,
}

/// Begins a transaction that changes something.
pub(crate) async fn begin(session: &mut Session) -> Result<(), Failure> {
    session
        .run("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
        .await?;
    Ok(())
}

/// Begins a transaction in which rows are waited for that somebody produces: for as long as that takes.
pub(crate) async fn begin_loading(session: &mut Session) -> Result<(), Failure> {
    begin(session).await?;
    session.run("SET LOCAL statement_timeout = 0").await?;
    Ok(())
}

/// From here on, statements of the transaction may take as long as is configured.
pub(crate) async fn loaded(session: &mut Session, shared: &Shared) -> Result<(), Failure> {
    let timeout = millis(shared.config.statement_timeout);
    if timeout > 0 {
        session
            .run(&format!("SET LOCAL statement_timeout = {timeout}"))
            .await?;
    }
    Ok(())
}

/// Waits until nobody else writes to these tables. What they wrote is visible then, and so are their stamps.
pub(crate) async fn lock<'a>(
    session: &mut Session,
    names: &Names,
    tables: impl IntoIterator<Item = &'a str>,
) -> Result<(), Failure> {
    // In one order for all, so that two writers never wait for each other.
    let mut numbers: Vec<i64> = tables.into_iter().map(|table| names.lock(table)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    for number in numbers {
        session
            .run(&format!("SELECT pg_advisory_xact_lock({number})"))
            .await?;
    }
    Ok(())
}

/// Ends the transaction of an append.
///
/// # Errors
/// [`ErrorKind::Storage`] if the connection was lost and nothing was written, or if nobody can tell.
pub(crate) async fn commit(
    shared: &Shared,
    mut session: Session,
    names: &Names,
    mark: &Mark,
) -> Result<(), Failure> {
    match session.run("COMMIT").await {
        Ok(_) => {
            session.release();
            Ok(())
        }
        Err(failure) if failure.is_lost() => {
            tracing::warn!(
                store = %shared.config.location(),
                transaction = mark.transaction,
                "the answer to a commit was lost; asking what became of it"
            );
            outcome(shared, names, mark, failure).await
        }
        Err(failure) => Err(failure),
    }
}

/// Asks the server, until it answers, whether the transaction was committed.
async fn outcome(
    shared: &Shared,
    names: &Names,
    mark: &Mark,
    lost: Failure,
) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE.max(shared.config.connect_timeout);
    loop {
        match was_committed(shared, names, mark).await {
            Ok(Some(true)) => return Ok(()),
            Ok(Some(false)) => return Err(lost),
            Ok(None) => {}
            Err(failure) if failure.is_lost() => {}
            Err(failure) => return Err(failure),
        }
        if Instant::now() >= deadline {
            let place = shared.config.location();
            let problem = format!(
                "the connection to the PostgreSQL store at {place} was lost while a write was committed, and the server does not answer"
            );
            return Err(Error::new(ErrorKind::Storage, problem)
                .with_hint(format!(
                    "ask the server what became of it, before the rows are written again: SELECT txid_status({})",
                    mark.transaction
                ))
                .into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether the transaction was committed; `None`: it is still going on.
///
/// After a crash a server may give a number again that it had given to a transaction of which nothing was on disk. So the rows decide.
async fn was_committed(
    shared: &Shared,
    names: &Names,
    mark: &Mark,
) -> Result<Option<bool>, Failure> {
    let mut session = shared.session().await?;
    let number = &mark.transaction;
    // A number of the future is refused: the server has forgotten that it gave it.
    let sql = format!(
        "SELECT CASE WHEN {number} < txid_snapshot_xmax(txid_current_snapshot()) THEN txid_status({number}) ELSE 'aborted' END"
    );
    let status = session.value(&sql).await?;
    let committed = match (status.as_deref(), &mark.rows) {
        (Some("in progress"), _) => None,
        (Some("committed"), Some((table, condition))) => {
            let table = names.qualified(table);
            let sql = format!(
                "SELECT EXISTS (SELECT 1 FROM {table} AS t WHERE t.xmin::text = {} AND {condition})",
                literal_text(&epochless(number))
            );
            Some(session.value(&sql).await?.as_deref() == Some("t"))
        }
        (Some("committed"), None) => Some(true),
        _ => Some(false),
    };
    session.release();
    Ok(committed)
}

/// The number of a transaction as rows have it: of 32 bits.
fn epochless(number: &str) -> String {
    let number: u64 = number.parse().unwrap_or_default();
    (number & u64::from(u32::MAX)).to_string()
}
