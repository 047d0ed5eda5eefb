//! Tables: their logs, and what is known of them, brought up to date before each use.
//!
//! What was known of a table is current if the file of its last commit is still the same and the next one does not exist: two small
//! requests, however long the log is. Otherwise the commits that follow are read, or, when the log is another one (the folder was
//! deleted and made anew) or was cleaned up, all of it: the last checkpoint by the Delta kernel, and the commits after it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use deltalake::kernel::{Action, EagerSnapshot};
use deltalake::logstore::LogStoreRef;
use futures::{StreamExt, TryStreamExt, stream};
use metaxy_core::backend::Access;
use metaxy_core::{Error, ErrorKind, FeatureKey, Result};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::config::DeltaConfig;
use crate::error::{self, Secrets, is_transient_delta};
use crate::retry::Backoff;
use crate::root::{Root, relative};
use crate::snapshot::{Replay, Snapshot};

/// Requests that are under way at the same time.
pub(crate) const AT_ONCE: usize = 32;

/// The folder of a table's log.
const LOG: &str = "_delta_log";

/// What all operations of a store share.
pub(crate) struct DeltaInner {
    pub(crate) config: DeltaConfig,
    pub(crate) access: Access,
    pub(crate) secrets: Secrets,
    root: Mutex<Option<Arc<Root>>>,
    tables: Mutex<HashMap<String, Arc<Table>>>,
}

/// A table, which may not exist.
pub(crate) struct Table {
    /// Its folder, relative to the root of the store.
    pub(crate) relative: String,
    /// What the addresses of its files begin with.
    pub(crate) location: String,
    /// Its log, for commits and for deltalake.
    pub(crate) log: LogStoreRef,
    /// Its files, by their paths in the table.
    pub(crate) store: Arc<dyn ObjectStore>,
    known: Mutex<Option<Arc<Snapshot>>>,
    secrets: Secrets,
}

impl DeltaInner {
    pub(crate) fn new(config: DeltaConfig, access: Access) -> Self {
        let secrets = Secrets::new(config.storage_options.values());
        Self {
            config,
            access,
            secrets,
            root: Mutex::default(),
            tables: Mutex::default(),
        }
    }

    /// A feature's table as it is now; `None` if it has none. To be called on the store's own [threads](crate::backend::THREADS).
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the table needs what this backend lacks, [`ErrorKind::Corrupt`] if its log cannot be read,
    /// [`ErrorKind::Storage`] if requests fail for longer than `retry_timeout`.
    pub(crate) async fn snapshot(&self, feature: &FeatureKey) -> Result<Option<Arc<Snapshot>>> {
        let table = self.table(feature)?;
        let found = self.refresh(&table).await;
        let found = found.map_err(|error| error.with_context("feature", feature))?;
        Ok(found.filter(|snapshot| !snapshot.is_dropped()))
    }

    /// A feature's table, whether it exists or not.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if the root of the store cannot be used.
    pub(crate) fn table(&self, feature: &FeatureKey) -> Result<Arc<Table>> {
        self.table_at(relative(self.config.layout, feature))
    }

    /// The table in this folder below the root.
    pub(crate) fn table_at(&self, relative: String) -> Result<Arc<Table>> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(&relative) {
            return Ok(table.clone());
        }
        let root = self.root()?;
        let log = root.log_store(&relative, &self.secrets)?;
        let table = Arc::new(Table {
            location: root.location(&relative),
            store: log.object_store(None),
            log,
            relative: relative.clone(),
            known: Mutex::default(),
            secrets: self.secrets.clone(),
        });
        tables.insert(relative, table.clone());
        Ok(table)
    }

    /// Where all tables lie.
    pub(crate) fn root(&self) -> Result<Arc<Root>> {
        let mut root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(root) = &*root {
            return Ok(root.clone());
        }
        let opened = Arc::new(Root::open(&self.config, &self.secrets)?);
        *root = Some(opened.clone());
        Ok(opened)
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(self.config.retry_timeout)
    }

    /// A table as it is now, also one that was dropped; `None` if there is no log.
    pub(crate) async fn refresh(&self, table: &Table) -> Result<Option<Arc<Snapshot>>> {
        let known = table.known().clone();
        let fresh = match known {
            Some(known) => match table.follow(&known).await? {
                Followed::Same => return Ok(Some(known)),
                Followed::Newer(snapshot) => Some(*snapshot),
                Followed::Elsewhere => self.load(table).await?,
            },
            None => self.load(table).await?,
        };
        let fresh = fresh.map(Arc::new);
        *table.known() = fresh.clone();
        Ok(fresh)
    }

    /// Reads a table from nothing.
    async fn load(&self, table: &Table) -> Result<Option<Snapshot>> {
        let mut backoff = self.backoff();
        loop {
            let Some(listing) = table.listing().await? else {
                return Ok(None);
            };
            if let Some(snapshot) = self.replay(table, &listing).await? {
                return Ok(Some(snapshot));
            }
            // Somebody cleans the log up, or makes the table anew, while it is read.
            if !backoff.pause().await {
                let problem = format!("the log of the Delta table {} has gaps", table.location);
                return Err(Error::new(ErrorKind::Corrupt, problem));
            }
        }
    }

    /// `None`: a commit that was listed is gone.
    async fn replay(&self, table: &Table, listing: &Listing) -> Result<Option<Snapshot>> {
        let mut replay = Replay::new(&table.location);
        if let Some(version) = listing.checkpoint {
            self.read_checkpoint(table, version, &mut replay).await?;
        }
        let reads = listing
            .commits
            .iter()
            .map(|version| table.read_commit(*version));
        let mut commits = stream::iter(reads.collect::<Vec<_>>()).buffered(AT_ONCE);
        for version in &listing.commits {
            let Some((bytes, _)) = commits.try_next().await?.flatten() else {
                return Ok(None);
            };
            replay.commit(*version, &bytes)?;
        }
        replay.finish(listing.mark.clone()).map(Some)
    }

    async fn read_checkpoint(
        &self,
        table: &Table,
        version: u64,
        replay: &mut Replay<'_>,
    ) -> Result<()> {
        let mut backoff = self.backoff();
        let snapshot = loop {
            match EagerSnapshot::try_new(table.log.as_ref(), Some(version)).await {
                Err(e) if is_transient_delta(&e) && backoff.pause().await => {}
                Err(e) => {
                    return Err(error::delta(
                        &e,
                        &format!("read the checkpoint of {}", table.location),
                        &self.secrets,
                    ));
                }
                Ok(snapshot) => break snapshot,
            }
        };
        let damaged = |what: &str| {
            let problem = format!(
                "the checkpoint of the Delta table {} cannot be read: {what}",
                table.location
            );
            Error::new(ErrorKind::Corrupt, problem)
        };
        let inside = |action: Action, name: &str| {
            let value = serde_json::to_value(action).ok();
            value.and_then(|mut value| Some(value.get_mut(name)?.take()))
        };
        let protocol = inside(Action::Protocol(snapshot.protocol().clone()), "protocol");
        let protocol = protocol.and_then(|value| serde_json::from_value(value).ok());
        let metadata = inside(Action::Metadata(snapshot.metadata().clone()), "metaData");
        let metadata = metadata.and_then(|value| serde_json::from_value(value).ok());
        replay.checkpoint(
            version,
            protocol.ok_or_else(|| damaged("it has no protocol"))?,
            metadata.ok_or_else(|| damaged("it has no metadata"))?,
        );
        let files = snapshot.try_log_data();
        let files = files.map_err(|e| error::delta(&e, "read a checkpoint", &self.secrets))?;
        for file in files.iter() {
            if file.deletion_vector_descriptor().is_some() {
                let problem = format!(
                    "the Delta table {} uses deletion vectors, which a metaxy store cannot read",
                    table.location
                );
                return Err(Error::new(ErrorKind::Unsupported, problem));
            }
            replay.checkpoint_file(
                file.path().into_owned(),
                file.size(),
                file.modification_time(),
                file.stats(),
                file.partition_values_map(),
            );
        }
        Ok(())
    }
}

/// What became of a table since it was last looked at.
enum Followed {
    Same,
    Newer(Box<Snapshot>),
    /// It is gone, or another one.
    Elsewhere,
}

/// The files of a log.
struct Listing {
    checkpoint: Option<u64>,
    /// Versions after the checkpoint.
    commits: Vec<u64>,
    /// The file of the last commit.
    mark: Option<ObjectMeta>,
}

impl Table {
    fn known(&self) -> std::sync::MutexGuard<'_, Option<Arc<Snapshot>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error of the table's object store.
    pub(crate) fn failed(&self, error: &object_store::Error, what: &str) -> Error {
        error::store(
            error,
            &format!("{what} of the table {}", self.location),
            &self.secrets,
        )
    }

    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// A commit and its file; `None` if there is none of this version.
    pub(crate) async fn read_commit(&self, version: u64) -> Result<Option<(Bytes, ObjectMeta)>> {
        let read = async {
            let result = self.store.get(&commit_path(version)).await?;
            let meta = result.meta.clone();
            Ok((result.bytes().await?, meta))
        };
        match read.await {
            Ok(found) => Ok(Some(found)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed(&e, "read the log")),
        }
    }

    async fn follow(&self, known: &Snapshot) -> Result<Followed> {
        let Some(mark) = &known.mark else {
            return Ok(Followed::Elsewhere);
        };
        let last = commit_path(known.version);
        let (next, head) =
            futures::future::join(self.read_commit(known.version + 1), self.store.head(&last))
                .await;
        match head {
            Ok(head) if is_same(&head, mark) => {}
            Ok(_) | Err(object_store::Error::NotFound { .. }) => return Ok(Followed::Elsewhere),
            Err(e) => return Err(self.failed(&e, "look at the log")),
        }
        let Some((bytes, mut mark)) = next? else {
            return Ok(Followed::Same);
        };
        let mut replay = Replay::after(&self.location, known);
        let mut version = known.version + 1;
        replay.commit(version, &bytes)?;
        // More at once the more there are.
        let mut ahead = 1;
        'all: loop {
            let reads = (version + 1..=version + ahead).map(|version| self.read_commit(version));
            let next: Vec<_> = stream::iter(reads.collect::<Vec<_>>())
                .buffered(AT_ONCE)
                .try_collect()
                .await?;
            for commit in next {
                let Some((bytes, file)) = commit else {
                    break 'all;
                };
                version += 1;
                replay.commit(version, &bytes)?;
                mark = file;
            }
            ahead = (ahead * 2).min(AT_ONCE as u64);
        }
        let snapshot = replay.finish(Some(mark))?;
        Ok(Followed::Newer(Box::new(snapshot)))
    }

    /// How many commits up to `version` are not part of a checkpoint.
    pub(crate) async fn commits_since_checkpoint(&self, version: u64) -> Result<u64> {
        let listing = self.listing().await?;
        let checkpoint = listing.and_then(|listing| listing.checkpoint);
        Ok(match checkpoint {
            Some(checkpoint) => version.saturating_sub(checkpoint),
            None => version + 1,
        })
    }

    /// `None` if there is no log.
    async fn listing(&self) -> Result<Option<Listing>> {
        let folder = Path::from(LOG);
        // The hint saves listing what is before the checkpoint.
        let hint = match self
            .store
            .get(&folder.clone().join("_last_checkpoint"))
            .await
        {
            Ok(found) => found.bytes().await.ok(),
            Err(object_store::Error::NotFound { .. }) => None,
            Err(e) => return Err(self.failed(&e, "look for a checkpoint")),
        };
        let hint = hint.and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
        let hint = hint.and_then(|hint| hint.get("version")?.as_u64());
        if let Some(version) = hint {
            let listing = self.listing_from(Some(version)).await?;
            if listing.checkpoint.is_some() {
                return Ok(Some(listing));
            }
        }
        let listing = self.listing_from(None).await?;
        let exists = listing.checkpoint.is_some() || !listing.commits.is_empty();
        Ok(exists.then_some(listing))
    }

    async fn listing_from(&self, version: Option<u64>) -> Result<Listing> {
        let folder = Path::from(LOG);
        let files = match version {
            // What follows has this name as its beginning.
            Some(version) => {
                let offset = folder.clone().join(format!("{version:020}"));
                self.store.list_with_offset(Some(&folder), &offset)
            }
            None => self.store.list(Some(&folder)),
        };
        let files: Vec<ObjectMeta> = match files.try_collect().await {
            Ok(files) => files,
            Err(object_store::Error::NotFound { .. }) => Vec::new(),
            Err(e) => return Err(self.failed(&e, "list the log")),
        };
        let mut listing = Listing {
            checkpoint: None,
            commits: Vec::new(),
            mark: None,
        };
        let mut commits = Vec::new();
        for file in files {
            match file.location.filename().and_then(entry) {
                Some((version, Entry::Commit)) => commits.push((version, file)),
                Some((version, Entry::Checkpoint)) => {
                    listing.checkpoint = listing.checkpoint.max(Some(version));
                }
                None => {}
            }
        }
        commits.sort_by_key(|(version, _)| *version);
        listing.mark = commits.last().map(|(_, file)| file.clone());
        let after = listing.checkpoint;
        let versions = commits.iter().map(|(version, _)| *version);
        listing.commits = versions.filter(|version| Some(*version) > after).collect();
        if commits.last().map(|(version, _)| *version) < after {
            listing.mark = None;
        }
        Ok(listing)
    }
}

enum Entry {
    Commit,
    Checkpoint,
}

/// What a file of a log is, by its name.
fn entry(name: &str) -> Option<(u64, Entry)> {
    let (digits, rest) = name.split_once('.')?;
    if digits.len() != 20 {
        return None;
    }
    let version = digits.parse().ok()?;
    match rest {
        "json" => Some((version, Entry::Commit)),
        _ if rest.starts_with("checkpoint.") => Some((version, Entry::Checkpoint)),
        _ => None,
    }
}

/// Where a commit is.
pub(crate) fn commit_path(version: u64) -> Path {
    Path::from(LOG).join(format!("{version:020}.json"))
}

/// Whether a file is the one that it was: files of a log never change.
fn is_same(file: &ObjectMeta, known: &ObjectMeta) -> bool {
    let same_tag = match (&file.e_tag, &known.e_tag) {
        (Some(a), Some(b)) => a == b,
        _ => file.last_modified == known.last_modified,
    };
    same_tag && file.size == known.size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_log_are_told_apart() {
        let seen = |name: &str| match entry(name) {
            Some((version, Entry::Commit)) => format!("commit {version}"),
            Some((version, Entry::Checkpoint)) => format!("checkpoint {version}"),
            None => "other".into(),
        };
        assert_eq!(seen("00000000000000000012.json"), "commit 12");
        assert_eq!(
            seen("00000000000000000012.checkpoint.parquet"),
            "checkpoint 12"
        );
        assert_eq!(
            seen("00000000000000000012.checkpoint.0000000001.0000000002.parquet"),
            "checkpoint 12"
        );
        assert_eq!(seen("00000000000000000012.crc"), "other");
        assert_eq!(seen("_last_checkpoint"), "other");
        assert_eq!(
            seen("00000000000000000003.00000000000000000009.compacted.json"),
            "other"
        );
    }
}
