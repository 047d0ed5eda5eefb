//! Tables: their logs, and what is known of them, brought up to date before each use.
//!
//! What was known of a table is current if the file of its last commit is still the same and the next one does not exist: two small
//! requests, however long the log is. Otherwise the commits that follow are read, or, when the log is another one (the folder was
//! deleted and made anew) or was cleaned up, all of it: the last checkpoint, and the commits after it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use deltalake::logstore::LogStoreRef;
use futures::{StreamExt, TryStreamExt, stream};
use metaxy_core::backend::Access;
use metaxy_core::{Error, ErrorKind, FeatureKey, Result};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload};

use crate::checkpoint::{Checkpoint, Part, hint_path};
use crate::config::DeltaConfig;
use crate::disk::{Disk, Stray};
use crate::error::{self, Secrets, is_transient};
use crate::retry::Backoff;
use crate::root::{Root, relative};
use crate::snapshot::{Replay, Snapshot};

/// Requests that are under way at the same time.
pub(crate) const AT_ONCE: usize = 32;

/// The folder of a table's log.
pub(crate) const LOG: &str = "_delta_log";

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
    /// The disk that they are on, if it is one of this machine.
    pub(crate) disk: Option<Disk>,
    is_cloud: bool,
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
            disk: root.disk(&relative),
            is_cloud: root.is_cloud(),
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
    pub(crate) async fn load(&self, table: &Table) -> Result<Option<Snapshot>> {
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
        if let Some(checkpoint) = &listing.checkpoint {
            let hint = table.hint().await?;
            checkpoint.read(table, hint.as_ref(), &mut replay).await?;
        }
        let reads = listing
            .commits
            .iter()
            .map(|version| table.read_commit(*version));
        let mut commits = stream::iter(reads.collect::<Vec<_>>()).buffered(AT_ONCE);
        let mut mark = listing.mark.clone();
        for version in &listing.commits {
            let Some((bytes, file)) = commits.try_next().await?.flatten() else {
                return Ok(None);
            };
            replay.commit(*version, &bytes)?;
            mark = Some(file);
        }
        replay.finish(mark).map(Some)
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
pub(crate) struct Listing {
    pub(crate) checkpoint: Option<Checkpoint>,
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

    /// What a path fails with that the table may not name.
    pub(crate) fn stray(&self, path: &str, why: &str) -> Error {
        error::stray(&self.location, &Stray::new(path, why))
    }

    /// Makes the disk keep the names of files that were stored, so that a commit may name them.
    pub(crate) async fn keep_files(&self) -> Result<()> {
        let Some(disk) = &self.disk else {
            return Ok(());
        };
        let kept = disk.keep_files().await;
        kept.map_err(|e| self.failed(&e, "make the disk keep the files"))
    }

    /// Makes sure that the object store puts nothing over what is there if it is told so: of two commits one would be lost.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if it does.
    pub(crate) async fn require_put_if_absent(&self, backoff: &mut Backoff) -> Result<()> {
        if !self.is_cloud {
            return Ok(());
        }
        let path = Path::from(LOG).join(format!("_metaxy-{}", uuid::Uuid::new_v4()));
        let mut is_there = false;
        let outcome = loop {
            let options = PutMode::Create.into();
            let put = self.store.put_opts(&path, PutPayload::new(), options);
            match put.await {
                Ok(_) if is_there => break Ok(false),
                Err(object_store::Error::AlreadyExists { .. }) if is_there => break Ok(true),
                Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => is_there = true,
                Err(e) if is_transient(&e) && backoff.pause().await => {}
                Err(e) => break Err(self.failed(&e, "put a file into the log")),
            }
        };
        if let Err(error) = self.store.delete(&path).await {
            tracing::debug!(%path, %error, "a file that is not needed could not be removed");
        }
        match outcome? {
            true => Ok(()),
            false => Err(Error::new(
                ErrorKind::Unsupported,
                format!("the object store of {} puts files over others although it is told not to (`If-None-Match`); of two writes at the same time one would be lost", self.location),
            )
            .with_hint("use a store or a version of it that has conditional puts, as S3 itself has; nothing was written")),
        }
    }

    /// A file of the log.
    pub(crate) async fn log_file(&self, name: &str) -> Result<Bytes> {
        let read = async {
            let path = Path::parse(format!("{LOG}/{name}"))?;
            self.store.get(&path).await?.bytes().await
        };
        read.await.map_err(|e| self.failed(&e, "read the log"))
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
            Some(checkpoint) => version.saturating_sub(checkpoint.version),
            None => version + 1,
        })
    }

    /// What `_last_checkpoint` says. It saves listing what is before the checkpoint, and nothing needs it: `None` if it is damaged.
    pub(crate) async fn hint(&self) -> Result<Option<serde_json::Value>> {
        let read = async { self.store.get(&hint_path()).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed(&e, "look for a checkpoint")),
        }
    }

    /// `None` if there is no log.
    async fn listing(&self) -> Result<Option<Listing>> {
        let hint = self.hint().await?;
        if let Some(version) = hint.and_then(|hint| hint.get("version")?.as_u64()) {
            let listing = self.listing_from(Some(version)).await?;
            if listing.checkpoint.is_some() {
                return Ok(Some(listing));
            }
        }
        let listing = self.listing_from(None).await?;
        let exists = listing.checkpoint.is_some() || !listing.commits.is_empty();
        Ok(exists.then_some(listing))
    }

    /// The files from a version on, or all.
    pub(crate) async fn listing_from(&self, version: Option<u64>) -> Result<Listing> {
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
        let (mut commits, mut checkpoints) = (Vec::new(), Vec::new());
        for file in files {
            let name = file.location.filename().unwrap_or_default();
            match entry(name) {
                Some((version, Entry::Commit)) => commits.push((version, file)),
                Some((version, Entry::Checkpoint(part))) => {
                    checkpoints.push((version, part, name.to_owned()));
                }
                None => {}
            }
        }
        commits.sort_by_key(|(version, _)| *version);
        let checkpoint = Checkpoint::last(checkpoints);
        let after = checkpoint.as_ref().map(|checkpoint| checkpoint.version);
        let last = commits
            .last()
            .filter(|(version, _)| Some(*version) >= after);
        let mark = last.map(|(_, file)| file.clone());
        let versions = commits.iter().map(|(version, _)| *version);
        Ok(Listing {
            checkpoint,
            commits: versions.filter(|version| Some(*version) > after).collect(),
            mark,
        })
    }
}

enum Entry {
    Commit,
    Checkpoint(Part),
}

/// What a file of a log is, by its name.
fn entry(name: &str) -> Option<(u64, Entry)> {
    let (digits, rest) = name.split_once('.')?;
    if digits.len() != 20 {
        return None;
    }
    // Delta counts to 2^63.
    let version = digits.parse::<i64>().ok()?.unsigned_abs();
    match rest.strip_prefix("checkpoint.") {
        None => (rest == "json").then_some((version, Entry::Commit)),
        Some(rest) => Some((version, Entry::Checkpoint(Part::named(rest)?))),
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
            Some((version, Entry::Checkpoint(_))) => format!("checkpoint {version}"),
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
