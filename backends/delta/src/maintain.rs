//! Putting tables in order: small files are merged, a checkpoint is written, and what no table needs any more is removed.

use std::sync::Arc;
use std::time::Duration;

use deltalake::DeltaTable;
use metaxy_core::backend::maintain::{Footprint, MaintainAction, Maintenance, MaintenanceReport};
use metaxy_core::{FeatureKey, Result};
use serde_json::json;

use crate::backend::THREADS;
use crate::checkpoint;
use crate::delete::commit_if;
use crate::error;
use crate::file::{self, Staged, Staging};
use crate::log::{Commit, add_action, remove_action};
use crate::root::relative;
use crate::snapshot::{DataFile, Snapshot};
use crate::table::{DeltaInner, Table};
use crate::vacuum::vacuum;

/// How long files that are no longer part of a table are kept, as Delta has it.
const RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Commits after a checkpoint from which on another is worth its while.
const MANY_COMMITS: u64 = 10;

/// Puts the tables in order, one after the other.
pub(crate) async fn maintain(
    inner: &DeltaInner,
    wanted: &Maintenance,
) -> Result<MaintenanceReport> {
    let mut done = MaintenanceReport::default();
    let folders = match wanted.tables.as_slice() {
        [] => crate::tables::folders(inner).await?,
        tables => tables
            .iter()
            .map(|key| relative(inner.config.layout, key))
            .collect(),
    };
    for folder in folders {
        let table = inner.table_at(folder)?;
        let Some(snapshot) = inner.refresh(&table).await? else {
            continue;
        };
        let name = crate::tables::name(&table.relative);
        if !snapshot.is_dropped() && !snapshot.is_ours() {
            continue;
        }
        let mut note = |action: Option<MaintainAction>| {
            done.actions
                .extend(action.map(|action| action.with_table(&name)));
        };
        note(compact(inner, &table, wanted.dry_run).await?);
        note(write_checkpoint(inner, &table, wanted.dry_run).await?);
        let retention = wanted.retention.unwrap_or(RETENTION);
        note(vacuum(inner, &table, retention, wanted.dry_run).await?);
        if !wanted.dry_run {
            clean_log(&table).await;
        }
    }
    Ok(done)
}

/// Merges small files that are neighbours in storage order.
async fn compact(
    inner: &DeltaInner,
    table: &Arc<Table>,
    dry_run: bool,
) -> Result<Option<MaintainAction>> {
    let Some(base) = inner.refresh(table).await? else {
        return Ok(None);
    };
    // Who must not remove rows may still merge files; who cannot write at all may not.
    let feature = FeatureKey::system("maintenance");
    if base.meta.require_writable(&feature, false).is_err() {
        return Ok(None);
    }
    let target = inner.config.write.target_file_size;
    let groups = groups(&base.files, target);
    let (mut before, mut after) = ((0, 0), (0, 0));
    for group in groups {
        let bytes: u64 = group.iter().map(|file| file.bytes).sum();
        let merged = match dry_run {
            true => Some(bytes),
            false => merge(inner, table, &base, group).await?,
        };
        if let Some(merged) = merged {
            before = (before.0 + group.len() as u64, before.1 + bytes);
            after = (after.0 + 1, after.1 + merged);
        }
    }
    Ok((before.0 > 0).then(|| {
        let action =
            MaintainAction::new("compact").with_before(Footprint::files(before.0, before.1));
        action.with_after(Footprint::files(after.0, after.1))
    }))
}

/// Neighbours that fit into one file; at least two of each. What has half the size already is left alone, or a large file would be
/// written again with each small one that follows.
fn groups(files: &[DataFile], target: u64) -> Vec<&[DataFile]> {
    let mut groups = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, file) in files.iter().enumerate() {
        let is_large = file.bytes > target / 2;
        if is_large || bytes + file.bytes > target {
            groups.push(&files[start..at]);
            (start, bytes) = (at + usize::from(is_large), 0);
        }
        if !is_large {
            bytes += file.bytes;
        }
    }
    groups.push(&files[start..]);
    groups.retain(|group| group.len() > 1);
    groups
}

/// Replaces files by one; returns its bytes, or `None` if others have changed them meanwhile.
async fn merge(
    inner: &DeltaInner,
    table: &Arc<Table>,
    base: &Arc<Snapshot>,
    files: &[DataFile],
) -> Result<Option<u64>> {
    let Some(last) = files.last() else {
        return Ok(None);
    };
    // The place of the last: what was stored after it still comes after.
    let feature = FeatureKey::system("maintenance");
    let mut staging = Staging::in_place(inner, &feature, table, base, last.part);
    let outcome = async {
        for file in files {
            let mut rows = file::read(table, file, &base.columns).await?;
            while let Some(batch) = rows.next().await? {
                staging.write(&batch).await?;
            }
        }
        staging.finish().await
    }
    .await;
    let staged: Vec<Staged> = match outcome {
        Ok(staged) => staged,
        Err(error) => {
            staging.discard().await;
            return Err(error);
        }
    };
    let mut actions: Vec<_> = staged
        .iter()
        .map(|file| add_action(file, last.modified, false))
        .collect();
    actions.extend(files.iter().map(|file| remove_action(file, false)));
    let mut commit = Commit::new("OPTIMIZE");
    commit.parameters = json!({"targetSize": inner.config.write.target_file_size.to_string()});
    commit.metrics = json!({"numFilesAdded": staged.len(), "numFilesRemoved": files.len()});
    let needed: Vec<&str> = files.iter().map(|file| file.raw_path.as_str()).collect();
    let done = commit_if(inner, table, base, &actions, &commit, &needed, &staged).await?;
    Ok(done.then(|| staged.iter().map(|file| file.bytes).sum()))
}

/// Writes a checkpoint if many commits came after the last one.
async fn write_checkpoint(
    inner: &DeltaInner,
    table: &Table,
    dry_run: bool,
) -> Result<Option<MaintainAction>> {
    let Some(snapshot) = inner.refresh(table).await? else {
        return Ok(None);
    };
    let since = table.commits_since_checkpoint(snapshot.version).await?;
    if since < MANY_COMMITS {
        return Ok(None);
    }
    if !dry_run {
        checkpoint::write(table, snapshot.version).await?;
    }
    Ok(Some(MaintainAction::new("checkpoint")))
}

/// Removes commits that a checkpoint covers and that are older than the table's `delta.logRetentionDuration`. Failing is no harm.
async fn clean_log(table: &Table) {
    let (log, secrets) = (table.log.clone(), table.secrets().clone());
    let what = format!("clean up the log of {}", table.location);
    let outcome = THREADS.run_blocking(async move {
        let mut delta = DeltaTable::new(log);
        let cleaned = match delta.load().await {
            Ok(()) => deltalake::checkpoints::cleanup_metadata(&delta, None).await,
            Err(error) => Err(error),
        };
        cleaned.map_err(|e| error::delta(&e, &what, &secrets))
    });
    if let Err(error) = outcome.await {
        tracing::warn!(table = %table.location, %error, "the log could not be cleaned up");
    }
}
