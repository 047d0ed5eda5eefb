//! Connections: how they are got, what is set on them, and when they are thrown away.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use metaxy_core::{Error, ErrorKind};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Postgres, Row, ValueRef};
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use crate::backend::THREADS;
use crate::config::PostgresConfig;
use crate::error::{Failure, is_lost};

/// The connections of a store, opened as they are needed.
#[derive(Default)]
pub(crate) struct Sessions {
    pool: OnceLock<PgPool>,
    found: Arc<Found>,
    /// Whether the owner was told what there is to know.
    warned: AtomicBool,
}

/// What was found out when connections were set up.
#[derive(Default)]
struct Found {
    /// The first schema of the role's own `search_path` that exists; empty: none.
    schema: OnceLock<String>,
    /// What the owner of the database has to know of it.
    warning: OnceLock<String>,
    /// Why the last connection cannot be used: to open another would not help.
    refusal: Mutex<Option<sqlx::Error>>,
}

impl Found {
    fn refusal(&self) -> Option<sqlx::Error> {
        let mut refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        refusal.take()
    }
}

impl Sessions {
    /// A connection that nobody else uses.
    pub(crate) async fn take(&self, config: &PostgresConfig) -> Result<Session, Failure> {
        // What the server says before it can be told what not to say, the driver would log for each connection.
        let connection = self.pool(config)?.acquire();
        let connection = connection.with_subscriber(NoSubscriber::new()).await?;
        if let Some(refusal) = self.found.refusal() {
            drop(connection.detach());
            return Err(refusal.into());
        }
        if let Some(warning) = self.found.warning.get()
            && !self.warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!("{warning}");
        }
        Ok(Session {
            connection: Some(connection),
            settled: false,
        })
    }

    /// The schema of the tables.
    ///
    /// # Errors
    /// [`ErrorKind::CannotOpen`] if none is configured and the role has none.
    pub(crate) fn schema<'a>(&'a self, config: &'a PostgresConfig) -> Result<&'a str, Failure> {
        let found = self.found.schema.get().map_or("", String::as_str);
        match config.schema.as_deref().unwrap_or(found) {
            "" => {
                let place = config.location();
                let problem = format!("the role has no schema in the PostgreSQL store at {place}");
                let error = Error::new(ErrorKind::CannotOpen, problem);
                Err(error.with_hint("set the option `schema`").into())
            }
            schema => Ok(schema),
        }
    }

    fn pool(&self, config: &PostgresConfig) -> Result<&PgPool, Failure> {
        // The pool looks after its connections on the runtime that it is made on.
        let _guard = THREADS.handle()?.enter();
        Ok(self.pool.get_or_init(|| {
            let (settings, found) = (settings(config), self.found.clone());
            PgPoolOptions::new()
                .max_connections(config.pool_size)
                .acquire_timeout(config.connect_timeout)
                .acquire_slow_threshold(Duration::from_secs(3600))
                .after_connect(move |connection, _| {
                    let (settings, found) = (settings.clone(), found.clone());
                    Box::pin(async move { set_up(connection, &settings, &found).await })
                })
                .connect_lazy_with(config.connect().clone())
        }))
    }
}

/// What is set on each connection, also against what is set for the role or the database.
///
/// Names that are not qualified are looked up among the server's own only: whoever may make functions in a schema of the role's path could
/// have them called in place of those. Plans are run once, so they are not compiled; a server that is at work notices by itself that nobody
/// waits for its answer any more.
fn settings(config: &PostgresConfig) -> String {
    let row_security = match config.row_security {
        true => "on",
        false => "off",
    };
    format!(
        "SET search_path = pg_catalog, pg_temp; SET row_security = {row_security}; \
         SET client_min_messages = error; SET jit = off; SET \"TimeZone\" = 'UTC'; SET \"DateStyle\" = 'ISO'; \
         SET \"IntervalStyle\" = 'postgres'; SET client_encoding = 'UTF8'; SET quote_all_identifiers = off; SET extra_float_digits = 1; \
         SET array_nulls = on; SET transform_null_equals = off; SET gin_fuzzy_search_limit = 0; \
         SET standard_conforming_strings = on; SET bytea_output = 'hex'; SET cursor_tuple_fraction = 1; \
         SET work_mem = '{}MB'; SET lock_timeout = {}; SET statement_timeout = {}; \
         SELECT set_config('client_connection_check_interval', '1s', false) WHERE current_setting('server_version_num')::integer >= 140000",
        config.work_memory,
        millis(config.lock_timeout),
        millis(config.statement_timeout)
    )
}

/// Milliseconds as the server takes them.
pub(crate) fn millis(duration: Duration) -> u64 {
    // Nothing waits for longer than the server can count.
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .min(i32::MAX as u64)
}

/// The version from which on a server knows with which version of its collation a database was made.
const KNOWS_COLLATIONS: u32 = 150_000;

/// What there is to say of the collation of the database; null: nothing.
const COLLATION: &str = "(SELECT format('the server sorts text by version %1$s of the collation of database %2$I, which was made with version %3$s: \
     until `REINDEX DATABASE %2$I; ALTER DATABASE %2$I REFRESH COLLATION VERSION` is run, searches by an index may miss rows', \
     coalesce(is_now, 'none'), datname, datcollversion) \
     FROM pg_database, pg_database_collation_actual_version(oid) AS is_now \
     WHERE datname = current_database() AND datcollversion IS NOT NULL AND datcollversion IS DISTINCT FROM is_now)";

/// The oldest server whose functions do.
const OLDEST: u32 = 130_000;

/// Sets what is set on each connection. A connection that cannot be used is refused when it is taken: here, the pool would open another one
/// until its time is over.
async fn set_up(
    connection: &mut PgConnection,
    settings: &str,
    found: &Found,
) -> Result<(), sqlx::Error> {
    let refusal = match look(connection, settings, found).await {
        Ok(()) => None,
        Err(error) if is_lost(&error) => return Err(error),
        Err(error) => Some(error),
    };
    *found.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    Ok(())
}

/// Sets what is set on a connection, and notes what is found.
async fn look(
    connection: &mut PgConnection,
    settings: &str,
    found: &Found,
) -> Result<(), sqlx::Error> {
    let refused = |problem: String| Err(sqlx::Error::Configuration(problem.into()));
    let version = connection.server_version_num().unwrap_or_default();
    if version < OLDEST {
        let (is, least) = (version / 10_000, OLDEST / 10_000);
        return refused(format!(
            "the server is PostgreSQL {is}, and a store needs {least} or later"
        ));
    }
    let collation = match version >= KNOWS_COLLATIONS {
        true => COLLATION,
        false => "NULL",
    };
    // The schema is that of the role's own path, which is set aside then.
    let sql = format!(
        "SELECT pg_catalog.current_schema(); {settings}; SELECT current_setting('server_encoding'), {collation}"
    );
    let rows = sqlx::raw_sql(AssertSqlSafe(sql))
        .fetch_all(&mut *connection)
        .await?;
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return refused("the server does not say how it is set up".to_owned());
    };
    let (schema, encoding) = (text_of(first, 0)?, text_of(last, 0)?.unwrap_or_default());
    if encoding != "UTF8" {
        return refused(format!(
            "the database has the encoding {encoding}, and a store needs UTF8: make one by `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`"
        ));
    }
    found.schema.get_or_init(|| schema.unwrap_or_default());
    if let Some(warning) = text_of(last, 1)? {
        found.warning.get_or_init(|| warning);
    }
    Ok(())
}

/// A connection. Unless it is given back by [`release`](Self::release), it is thrown away: what it was at is undone then, and a COPY
/// that was broken off bothers nobody.
pub(crate) struct Session {
    connection: Option<PoolConnection<Postgres>>,
    settled: bool,
}

impl Session {
    /// Runs statements; returns how many rows the last of them was about.
    pub(crate) async fn run(&mut self, sql: &str) -> Result<u64, Failure> {
        tracing::trace!(sql, "statement");
        let statements = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        let done = statements.execute(&mut **self.connection()?).await?;
        Ok(done.rows_affected())
    }

    /// The rows of a query, as texts.
    pub(crate) async fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Failure> {
        tracing::trace!(sql, "query");
        let query = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        let rows = query.fetch_all(&mut **self.connection()?).await?;
        let texts = |row: &sqlx::postgres::PgRow| {
            (0..row.len())
                .map(|i| text_of(row, i))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(rows.iter().map(texts).collect::<Result<_, _>>()?)
    }

    /// The first value of the first row, as text.
    pub(crate) async fn value(&mut self, sql: &str) -> Result<Option<String>, Failure> {
        let rows = self.rows(sql).await?;
        Ok(rows.into_iter().flatten().next().flatten())
    }

    /// The connection itself, for COPY.
    pub(crate) fn connection(&mut self) -> Result<&mut PoolConnection<Postgres>, Failure> {
        let gone = || Error::new(ErrorKind::Internal, "a connection was used after its end");
        Ok(self.connection.as_mut().ok_or_else(gone)?)
    }

    /// Gives the connection back: it is outside of any transaction.
    pub(crate) fn release(mut self) {
        self.settled = true;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        if self.settled {
            return;
        }
        // Where the peer does not listen, there is nobody to say good-bye to: the socket is closed as it is.
        drop(connection.detach());
    }
}

fn text_of(row: &sqlx::postgres::PgRow, at: usize) -> Result<Option<String>, sqlx::Error> {
    let value = row.try_get_raw(at)?;
    if value.is_null() {
        return Ok(None);
    }
    let text = value.as_str().map_err(sqlx::Error::Decode)?;
    Ok(Some(text.to_owned()))
}
