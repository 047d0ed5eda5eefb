//! Files that no table needs any more.
//!
//! What is in the folder of a table is what its log names, or was, or will be named by a write that is under way. So a file goes that is not
//! part of the table, and was taken out of it, or stored, so long ago that nobody reads it, or is about to name it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::Utc;
use deltalake::DeltaTable;
use futures::{StreamExt, TryStreamExt, stream};
use metaxy_core::Result;
use metaxy_core::backend::maintain::{Footprint, MaintainAction};
use object_store::{ObjectMeta, ObjectStoreExt};

use crate::backend::THREADS;
use crate::error;
use crate::table::{AT_ONCE, DeltaInner, Table};

/// Removes files that are no part of the table any more, and were none for so long.
pub(crate) async fn vacuum(
    inner: &DeltaInner,
    table: &Table,
    retention: Duration,
    dry_run: bool,
) -> Result<Option<MaintainAction>> {
    let retention = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
    let before = Utc::now().timestamp_millis().saturating_sub(retention);
    let list = table.store.list(None).try_collect();
    // First the files, so that what is named meanwhile is known to be named.
    let files: Vec<ObjectMeta> = list.await.map_err(|e| table.failed(&e, "list the files"))?;
    let Some(snapshot) = inner.refresh(table).await? else {
        return Ok(None);
    };
    let removed = removed(table).await?;
    let live: HashSet<&str> = snapshot.files.iter().map(|f| f.path.as_str()).collect();
    let goes = files.into_iter().filter(|file| {
        let path = file.location.as_ref();
        let stored = file.last_modified.timestamp_millis();
        let since = removed
            .get(path)
            .map_or(stored, |removed| stored.max(*removed));
        !is_hidden(path) && !live.contains(path) && since <= before
    });
    let goes: Vec<ObjectMeta> = goes.collect();
    if goes.is_empty() {
        return Ok(None);
    }
    let bytes = goes.iter().map(|file| file.size).sum();
    let action = MaintainAction::new("vacuum");
    let action = action.with_before(Footprint::files(goes.len() as u64, bytes));
    if !dry_run {
        let deletes = goes.iter().map(|file| table.store.delete(&file.location));
        let mut deletes = stream::iter(deletes.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
        while let Some(deleted) = deletes.next().await {
            match deleted {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(e) => return Err(table.failed(&e, "remove a file")),
            }
        }
    }
    Ok(Some(action.with_after(Footprint::files(0, 0))))
}

/// Whether a file is not for rows: its name, or that of its folder in the table's, begins so.
fn is_hidden(path: &str) -> bool {
    path.starts_with(['_', '.']) && !path.starts_with("_change_data")
}

/// When files were taken out of the table, in milliseconds since 1970, as far as the log still knows.
async fn removed(table: &Table) -> Result<HashMap<String, i64>> {
    let (log, secrets) = (table.log.clone(), table.secrets().clone());
    let what = format!("look for what was removed from {}", table.location);
    THREADS
        .run_blocking(async move {
            let mut delta = DeltaTable::new(log.clone());
            let failed = |e| error::delta(&e, &what, &secrets);
            delta.load().await.map_err(failed)?;
            let state = delta.snapshot().map_err(failed)?;
            let tombstones = state.all_tombstones(log.as_ref());
            let times = tombstones.map_ok(|file| {
                let time = file.deletion_timestamp().unwrap_or_default();
                (file.path().into_owned(), time)
            });
            times.try_collect().await.map_err(failed)
        })
        .await
}
