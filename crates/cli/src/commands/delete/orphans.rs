//! Samples that upstream no longer has.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use metaxy_store::clock::Micros;
use metaxy_store::expr::Value;
use metaxy_store::store::Reach;
use metaxy_store::{
    DeleteOptions, ErrorKind, FeatureKey, Frame, MetadataStore, ReadOptions, ResolveOptions,
    Result, col, columns,
};

use super::{Target, Work};
use crate::rows::with_ids;

/// When the latest of these rows was written.
fn latest(rows: &RecordBatch) -> Option<Micros> {
    let times = rows.column_by_name(columns::UPDATED_AT)?;
    let times = times.as_primitive_opt::<TimestampMicrosecondType>()?;
    times.iter().flatten().max()
}

/// The orphaned samples of a feature, in memory.
pub(super) async fn find(
    store: &MetadataStore,
    feature: &FeatureKey,
    samples: Option<Frame>,
    hard: bool,
) -> Result<Work> {
    let mut options = ResolveOptions::default();
    options.samples = samples;
    let orphaned = store.orphaned(feature, options).await?;
    let all = ReadOptions::default().with_local_only(true);
    let all = match store.count(feature, all).await {
        Err(error) if error.kind() == ErrorKind::FeatureNotFound => 0,
        counted => counted?,
    };
    let reach = Reach::living(orphaned.num_rows() as u64, all);
    let target = if hard {
        // What is removed for good goes with all its history, so it is named by its IDs.
        let ids = store.graph().require(feature)?.spec.id_columns();
        let conditions = with_ids(ids, orphaned.batches())?;
        // What is written again meanwhile is no orphan.
        let latest = orphaned.batches().iter().filter_map(latest).max();
        let since = latest.map(|at| col(columns::UPDATED_AT).le(Value::Timestamp(at)));
        let deletes = conditions.into_iter().map(|condition| {
            DeleteOptions::hard()
                .with_filters([condition])
                .with_filters(since.clone())
        });
        Target::Matching(deletes.collect())
    } else {
        Target::Rows(orphaned)
    };
    Ok(Work { reach, target })
}
