//! Samples that upstream no longer has.

use futures::StreamExt;
use metaxy_core::{FeatureKey, Frame, MetadataStore, ResolveOptions, Result};

use super::Work;
use crate::rows::with_ids;

/// The orphaned samples of a feature. Only their IDs are held in memory.
pub(super) async fn find(
    store: &MetadataStore,
    feature: &FeatureKey,
    samples: Option<Frame>,
) -> Result<Work> {
    let mut options = ResolveOptions::default();
    options.samples = samples;
    let ids = store.graph().require(feature)?.spec.id_columns();
    let increment = store.resolve_lazy(feature, options).await?;
    let mut batches = increment.stream().await?;
    let mut work = Work {
        samples: 0,
        deletes: Vec::new(),
    };
    while let Some(split) = batches.next().await {
        let orphaned = split?.orphaned;
        work.samples += orphaned.num_rows() as u64;
        let conditions = with_ids(ids, &[orphaned])?;
        work.deletes
            .extend(conditions.into_iter().map(|condition| vec![condition]));
    }
    Ok(work)
}
