//! Commits: actions, put into the log if nobody else has put another commit there.
//!
//! Each commit carries a random id. When the outcome of a put is not known (a timeout, an error of a server), or when the version
//! is taken, the commit that is there is read: if it has the id, the put succeeded although it was reported as failed.

use bytes::Bytes;
use chrono::Utc;
use deltalake::kernel::transaction::TransactionError;
use deltalake::logstore::CommitOrBytes;
use metaxy_core::{Error, ErrorKind, Result};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::checkpoint;
use crate::checksum::{COMMIT, NOTHING, TAG, sealed};
use crate::error::{self, is_not_kept, is_transient};
use crate::file::Staged;
use crate::retry::Backoff;
use crate::snapshot::{DataFile, Metadata, Protocol, Snapshot};
use crate::table::Table;

/// The key in `commitInfo`: the id of the write.
const WRITE_ID: &str = "metaxyWriteId";

/// The table property: how many commits there are from one checkpoint to the next.
const INTERVAL: &str = "delta.checkpointInterval";

/// What a table does without [`INTERVAL`].
const EACH: i64 = 100;

/// A commit to be.
pub(crate) struct Commit {
    id: Uuid,
    /// What it does, such as `WRITE`.
    pub(crate) operation: &'static str,
    /// How it was asked for.
    pub(crate) parameters: Value,
    /// What it did.
    pub(crate) metrics: Value,
    /// Whether it adds files only, whatever others do.
    pub(crate) is_blind: bool,
}

impl Commit {
    pub(crate) fn new(operation: &'static str) -> Self {
        Self {
            id: Uuid::new_v4(),
            operation,
            parameters: json!({}),
            metrics: json!({}),
            is_blind: false,
        }
    }

    /// Puts the commit into the log as the next version after `base`; `false`: somebody else has put another there.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] if the put fails until the time is up, or cannot succeed.
    pub(crate) async fn put(
        &self,
        table: &Table,
        base: Option<&Snapshot>,
        actions: &[Value],
        backoff: &mut Backoff,
    ) -> Result<bool, Failure> {
        let version = base.map_or(0, |snapshot| snapshot.version + 1);
        let bytes = self.bytes(base, actions);
        if base.is_none() {
            let holds = table.require_put_if_absent(backoff).await;
            holds.map_err(Failure::before)?;
        }
        if actions.iter().any(|action| action.get("add").is_some()) {
            table.keep_files().await.map_err(Failure::before)?;
        }
        loop {
            let entry = CommitOrBytes::LogBytes(bytes.clone());
            let failure = match table.log.write_commit_entry(version, entry, self.id).await {
                Ok(()) => break,
                Err(TransactionError::VersionAlreadyExists(_)) => None,
                Err(failure) => Some(failure),
            };
            if let Some(failure) = failure.as_ref().filter(|failure| is_not_kept(*failure)) {
                return Err(put_failed(table, failure).into());
            }
            // Whatever the answer was, the commit that is there decides.
            let found = table.read_commit(version).await;
            let unknown = "whether it was done is not known; look whether its rows are there before it is repeated";
            let found = found.map_err(|error| {
                let error = error.with_context("the write", unknown);
                error.with_retryable(false)
            });
            match found? {
                Some((found, _)) if self.is_in(&found) => break,
                Some(_) => return Ok(false),
                None => {}
            }
            let Some(failure) = failure else {
                // It was there, and is no more: the table was deleted meanwhile.
                return Ok(false);
            };
            if !may_pass(&failure) || !backoff.pause().await {
                // It may still be on its way.
                return Err(Failure {
                    error: put_failed(table, &failure).with_retryable(false),
                    is_certain: !may_pass(&failure),
                });
            }
        }
        checkpoint_if_due(table, version, base, actions).await;
        Ok(true)
    }

    fn bytes(&self, base: Option<&Snapshot>, actions: &[Value]) -> Bytes {
        let engine = concat!("metaxy-delta/", env!("CARGO_PKG_VERSION"));
        let mut info = json!({
            "timestamp": now(),
            "operation": self.operation,
            "operationParameters": self.parameters,
            "operationMetrics": self.metrics,
            "isBlindAppend": self.is_blind,
            "engineInfo": engine,
            "clientVersion": engine,
            WRITE_ID: self.id.to_string(),
            COMMIT: NOTHING,
        });
        if let Some(base) = base {
            info["readVersion"] = base.version.into();
        }
        let mut text = json!({"commitInfo": info}).to_string();
        for action in actions {
            text.push('\n');
            text.push_str(&action.to_string());
        }
        sealed(&text).into()
    }

    fn is_in(&self, commit: &[u8]) -> bool {
        let needle = format!("\"{WRITE_ID}\":\"{}\"", self.id);
        let needle = needle.as_bytes();
        commit.windows(needle.len()).any(|window| window == needle)
    }
}

/// Why a commit was not put, as far as is known.
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// Whether the commit will never be there. Otherwise a request may still be on its way, and the files must stay.
    pub(crate) is_certain: bool,
}

impl Failure {
    /// A failure before anything was put.
    pub(crate) fn before(error: Error) -> Self {
        Self {
            error,
            is_certain: true,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            is_certain: false,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// What a commit fails with that could not be put.
fn put_failed(table: &Table, failure: &TransactionError) -> Error {
    let what = format!("commit to the table {}", table.location);
    match failure {
        TransactionError::ObjectStore { source } => error::store(source, &what, table.secrets()),
        other => {
            let text = table.secrets().hide(&other.to_string());
            let problem = format!("the Delta store could not {what}: {text}");
            Error::new(ErrorKind::Storage, problem)
        }
    }
}

fn may_pass(failure: &TransactionError) -> bool {
    match failure {
        TransactionError::ObjectStore { source } => is_transient(source),
        TransactionError::LogStoreError { .. } => true,
        _ => false,
    }
}

/// What an operation fails with that others came before until the time was up.
pub(crate) fn commit_conflict(table: &Table) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "others wrote to the Delta table {} each time this write was about to be committed",
            table.location
        ),
    )
    .with_hint("nothing was written; try again, or raise the option `retry_timeout`")
}

/// Now, in milliseconds since 1970.
pub(crate) fn now() -> i64 {
    Utc::now().timestamp_millis()
}

/// The time at which a file that is committed next is stored: later than all others.
pub(crate) fn next_modified(base: Option<&Snapshot>) -> i64 {
    base.map_or_else(now, |snapshot| {
        now().max(snapshot.greatest_modified.saturating_add(1))
    })
}

pub(crate) fn protocol_action(protocol: &Protocol) -> Value {
    json!({"protocol": protocol})
}

pub(crate) fn metadata_action(metadata: &Metadata) -> Value {
    json!({"metaData": metadata})
}

/// Adds a file. `changes`: it brings rows, or leaves some out; otherwise it holds what other files held.
pub(crate) fn add_action(file: &Staged, modified: i64, changes: bool) -> Value {
    json!({"add": {
        "path": file.path,
        "partitionValues": {},
        "size": file.bytes,
        "modificationTime": modified,
        "dataChange": changes,
        "stats": file.stats,
        "tags": {TAG: file.checksums.tag()},
    }})
}

/// Removes a file.
pub(crate) fn remove_action(file: &DataFile, changes: bool) -> Value {
    let partition: serde_json::Map<String, Value> = file
        .partition
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    json!({"remove": {
        "path": file.raw_path,
        "dataChange": changes,
        "deletionTimestamp": now(),
        "extendedFileMetadata": true,
        "partitionValues": partition,
        "size": file.bytes,
    }})
}

/// Writes a checkpoint every so many commits. A table without one is slower to open, and nothing else; so failures are only told.
async fn checkpoint_if_due(
    table: &Table,
    version: u64,
    base: Option<&Snapshot>,
    actions: &[Value],
) {
    let changed = actions.iter().find_map(|action| {
        action
            .get("metaData")?
            .get("configuration")?
            .get(INTERVAL)?
            .as_str()?
            .parse()
            .ok()
    });
    let each = changed
        .or_else(|| base?.meta.number(INTERVAL))
        .unwrap_or(EACH);
    let Ok(each) = u64::try_from(each) else {
        return;
    };
    if each == 0 || !(version + 1).is_multiple_of(each) {
        return;
    }
    if let Err(error) = checkpoint::write(table, version).await {
        tracing::warn!(table = %table.location, %error, "no checkpoint could be written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_knows_itself() {
        let (one, other) = (Commit::new("WRITE"), Commit::new("WRITE"));
        let bytes = one.bytes(None, &[json!({"remove": {"path": "x"}})]);
        assert!(one.is_in(&bytes));
        assert!(!other.is_in(&bytes));
        let lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
        assert_eq!(lines.len(), 2);
    }
}
