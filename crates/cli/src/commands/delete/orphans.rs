//! Samples that upstream no longer has.

use metaxy_core::store::Reach;
use metaxy_core::{
    DeleteOptions, ErrorKind, FeatureKey, Frame, MetadataStore, ReadOptions, ResolveOptions, Result,
};

use super::{Target, Work};
use crate::rows::with_ids;

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
        let deletes = conditions
            .into_iter()
            .map(|condition| DeleteOptions::hard().with_filters([condition]));
        Target::Matching(deletes.collect())
    } else {
        Target::Rows(orphaned)
    };
    Ok(Work { reach, target })
}
