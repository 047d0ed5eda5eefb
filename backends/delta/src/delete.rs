//! Removing rows: files of which all rows go are left out of the table, others are replaced by what is left of them.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, not, prep_null_mask_filter};
use futures::{StreamExt, TryStreamExt, stream};
use metaxy_core::expr::Expr;
use metaxy_core::{FeatureKey, Result};
use serde_json::{Value, json};

use crate::file::{self, Staged, Staging};
use crate::log::{Commit, add_action, commit_conflict, metadata_action, now, remove_action};
use crate::skip::may_match;
use crate::snapshot::{DROPPED, DataFile, Snapshot};
use crate::table::{DeltaInner, Table};
use crate::types::StoredColumn;

/// Files that are rewritten at the same time.
const AT_ONCE: usize = 4;

/// A file of which rows go.
pub(crate) struct Change {
    pub(crate) file: DataFile,
    /// What is left of it.
    pub(crate) left: Vec<Staged>,
    /// How many rows go.
    pub(crate) removed: u64,
}

/// Removes the rows for which `condition` is true, or all; returns how many.
pub(crate) async fn delete(
    inner: &DeltaInner,
    feature: &FeatureKey,
    condition: Option<&Expr>,
) -> Result<u64> {
    let table = inner.table(feature)?;
    let mut backoff = inner.backoff();
    loop {
        let Some(base) = writable(inner, &table, feature).await? else {
            return Ok(0);
        };
        let mut looks = Vec::new();
        for file in &base.files {
            if condition.is_none_or(|condition| may_match(condition, file)) {
                looks.push(change(inner, &table, feature, &base, file, condition));
            }
        }
        let changes: Vec<Option<Change>> =
            stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
        let changes: Vec<Change> = changes.into_iter().flatten().collect();
        let mut commit = Commit::new("DELETE");
        if let Some(condition) = condition {
            commit.parameters = json!({"predicate": condition.to_string()});
        }
        let removed = changes.iter().map(|change| change.removed).sum();
        if changes.is_empty() || apply(inner, &table, &base, &changes, commit, false).await? {
            return Ok(removed);
        }
        if !backoff.pause().await {
            return Err(commit_conflict(&table));
        }
    }
}

/// The table that rows are to be removed from; `None` if there is none.
pub(crate) async fn writable(
    inner: &DeltaInner,
    table: &Table,
    feature: &FeatureKey,
) -> Result<Option<Arc<Snapshot>>> {
    let base = inner.refresh(table).await?;
    let Some(base) = base.filter(|base| !base.is_dropped()) else {
        return Ok(None);
    };
    base.require_ours(feature, &table.location)?;
    base.meta.require_writable(feature, true)?;
    Ok(Some(base))
}

/// What becomes of a file; `None` if nothing does.
async fn change(
    inner: &DeltaInner,
    table: &Arc<Table>,
    feature: &FeatureKey,
    base: &Snapshot,
    file: &DataFile,
    condition: Option<&Expr>,
) -> Result<Option<Change>> {
    let rows = match file.rows {
        Some(rows) => rows,
        None => {
            let opened = file::open(table, file).await?;
            u64::try_from(opened.metadata().file_metadata().num_rows()).unwrap_or(0)
        }
    };
    let whole = |removed| Change {
        file: file.clone(),
        left: Vec::new(),
        removed,
    };
    let Some(condition) = condition else {
        return Ok(Some(whole(rows)));
    };
    // Only the columns of the condition, to see whether the file must be touched at all.
    let names = condition.columns();
    let asked: Vec<StoredColumn> = base
        .columns
        .iter()
        .filter(|column| names.contains(column.field.name().as_str()))
        .cloned()
        .collect();
    let mut matching = 0;
    let mut batches = file::read(table, file, &asked).await?;
    while let Some(batch) = batches.next().await? {
        matching += condition.evaluate(&batch)?.true_count() as u64;
    }
    match matching {
        0 => Ok(None),
        all if all == rows => Ok(Some(whole(rows))),
        removed => {
            let goes = |batch: &RecordBatch, _| condition.evaluate(batch);
            let left = rewrite(inner, table, feature, base, file, goes).await?;
            Ok(Some(Change {
                file: file.clone(),
                left,
                removed,
            }))
        }
    }
}

/// Stores the rows of a file again but for those that go. `goes` is asked for each batch, and told how many rows were before it.
pub(crate) async fn rewrite(
    inner: &DeltaInner,
    table: &Arc<Table>,
    feature: &FeatureKey,
    base: &Snapshot,
    file: &DataFile,
    goes: impl Fn(&RecordBatch, usize) -> Result<BooleanArray>,
) -> Result<Vec<Staged>> {
    let mut staging = Staging::in_place(inner, feature, table, base, file.part);
    let outcome = async {
        let mut before = 0;
        let mut batches = file::read(table, file, &base.columns).await?;
        while let Some(batch) = batches.next().await? {
            let mask = goes(&batch, before)?;
            let mask = match mask.null_count() {
                0 => mask,
                _ => prep_null_mask_filter(&mask),
            };
            staging
                .write(&filter_record_batch(&batch, &not(&mask)?)?)
                .await?;
            before += batch.num_rows();
        }
        staging.finish().await
    }
    .await;
    if outcome.is_err() {
        staging.discard().await;
    }
    outcome
}

/// Commits changes; `false`: others have changed the same files, and all must be looked at again. `whole`: other files of `base` must
/// still be there as well. Rows that others append meanwhile are not looked at.
pub(crate) async fn apply(
    inner: &DeltaInner,
    table: &Table,
    base: &Arc<Snapshot>,
    changes: &[Change],
    mut commit: Commit,
    whole: bool,
) -> Result<bool> {
    let removed: u64 = changes.iter().map(|change| change.removed).sum();
    let added: usize = changes.iter().map(|change| change.left.len()).sum();
    commit.metrics = json!({
        "num_added_files": added,
        "num_removed_files": changes.len(),
        "num_deleted_rows": removed,
    });
    let mut actions = unmarked(base);
    for change in changes {
        for left in &change.left {
            // The place of the rows stays what it was.
            actions.push(add_action(left, change.file.modified, true));
        }
        actions.push(remove_action(&change.file, true));
    }
    let files: Vec<&str> = match whole {
        true => base
            .files
            .iter()
            .map(|file| file.raw_path.as_str())
            .collect(),
        false => changes
            .iter()
            .map(|change| change.file.raw_path.as_str())
            .collect(),
    };
    let staged = || {
        changes
            .iter()
            .flat_map(|change| change.left.clone())
            .collect::<Vec<_>>()
    };
    commit_if(inner, table, base, &actions, &commit, &files, &staged()).await
}

/// Puts a commit that needs some files of the table to be there still; `false`: they are not, and what was stored is removed.
pub(crate) async fn commit_if(
    inner: &DeltaInner,
    table: &Table,
    base: &Arc<Snapshot>,
    actions: &[Value],
    commit: &Commit,
    needed: &[&str],
    staged: &[Staged],
) -> Result<bool> {
    let mut backoff = inner.backoff();
    let mut current = base.clone();
    loop {
        match commit
            .put(table, Some(&current), actions, &mut backoff)
            .await
        {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(failure) => {
                if failure.is_certain {
                    file::discard(table, staged).await;
                }
                return Err(failure.error);
            }
        }
        let in_time = backoff.pause().await;
        let found = inner.refresh(table).await?;
        let found = found.filter(|found| {
            let files: HashSet<&str> = found.files.iter().map(|f| f.raw_path.as_str()).collect();
            needed.iter().all(|path| files.contains(path))
        });
        match found {
            Some(found) if in_time => current = found,
            Some(_) => {
                file::discard(table, staged).await;
                return Err(commit_conflict(table));
            }
            None => {
                file::discard(table, staged).await;
                return Ok(false);
            }
        }
    }
}

/// A table that was dropped and has rows again is no longer marked, or it would be gone with its last row.
fn unmarked(base: &Snapshot) -> Vec<Value> {
    if !base.is_marked() {
        return Vec::new();
    }
    let mut metadata = base.meta.metadata.clone();
    metadata.configuration.remove(DROPPED);
    vec![metadata_action(&metadata)]
}

/// Removes a table; returns whether there was one. Its log stays, so that whoever writes or reads at the same time finds a table
/// without rows; what the files take is freed by a vacuum.
pub(crate) async fn drop_table(inner: &DeltaInner, feature: &FeatureKey) -> Result<bool> {
    let table = inner.table(feature)?;
    let mut backoff = inner.backoff();
    loop {
        let Some(base) = writable(inner, &table, feature).await? else {
            return Ok(false);
        };
        let mut metadata = base.meta.metadata.clone();
        metadata
            .configuration
            .insert(DROPPED.into(), Some("true".into()));
        let mut actions = vec![metadata_action(&metadata)];
        actions.extend(base.files.iter().map(|file| remove_action(file, true)));
        let mut commit = Commit::new("DELETE");
        commit.parameters = json!({"dropped": now().to_string()});
        commit.metrics = json!({"num_removed_files": base.files.len()});
        if commit
            .put(&table, Some(&base), &actions, &mut backoff)
            .await?
        {
            return Ok(true);
        }
        if !backoff.pause().await {
            return Err(commit_conflict(&table));
        }
    }
}
