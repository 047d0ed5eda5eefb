//! Samples that upstream no longer has.

use metaxy_core::{
    DeleteOptions, Error, ErrorKind, FeatureKey, Frame, MetadataStore, ResolveOptions, Result,
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
    let increment = store.resolve_lazy(feature, options).await?;
    let owner = increment.compared_with().to_owned();
    let orphaned = increment.collect().await?.orphaned;
    let samples = orphaned.num_rows() as u64;
    if samples > 0 && owner != store.name() {
        return Err(Error::new(
            ErrorKind::FeatureNotFound,
            format!(
                "feature {feature} lives in store {owner:?}, not in {:?}, so its samples cannot be deleted here",
                store.name()
            ),
        )
        .with_hint("copy the feature to this store first, or delete in the store that has it"));
    }
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
    Ok(Work { samples, target })
}
