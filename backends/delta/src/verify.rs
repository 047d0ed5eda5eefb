//! Looking for damage: the log is read anew, and every byte of every file that has checksums.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use metaxy_core::backend::maintain::Damage;
use metaxy_core::{Error, ErrorKind, FeatureKey, Result};

use crate::file;
use crate::snapshot::{DataFile, Snapshot};
use crate::table::{DeltaInner, Table};

/// Files that are read at the same time.
const AT_ONCE: usize = 4;

/// What is damaged of a table, superseded files apart.
pub(crate) async fn verify(inner: &DeltaInner, feature: &FeatureKey) -> Result<Vec<Damage>> {
    let table = inner.table(feature)?;
    let snapshot: Option<Snapshot> = match inner.load(&table).await {
        Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(vec![told(None, &error)]),
        loaded => loaded?,
    };
    let files = snapshot.map(|snapshot| snapshot.files).unwrap_or_default();
    let looks = files.into_iter().map(|file| look(table.clone(), file));
    let found: Vec<Option<Damage>> = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

async fn look(table: Arc<Table>, file: DataFile) -> Result<Option<Damage>> {
    match file::verify(&table, &file).await {
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(Some(told(Some(&file), &error))),
        done => done.map(|()| None),
    }
}

fn told(file: Option<&DataFile>, error: &Error) -> Damage {
    let hint = error.hint().map(|hint| format!("; {hint}"));
    let problem = format!("{}{}", error.message(), hint.unwrap_or_default());
    match file {
        Some(file) => Damage::new(problem).with_place(&file.location),
        None => Damage::new(problem),
    }
}
