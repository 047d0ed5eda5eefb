//! How much of a feature a delete takes (§15).

use metaxy_store::{DeleteOptions, ErrorKind, Expr, MetadataStore};

use super::{current, soft, three, versions};
use crate::bed::TestBed;
use crate::bed::frames::{samples, stored};
use crate::bed::graphs::key;
use crate::outcome::{Outcome, check_eq, names, refused};

/// A delete that would take more than the share that is allowed is refused, names the feature and the numbers, and deletes nothing; one
/// that takes just that share is not (§15).
pub async fn refuses_more_than_a_share(bed: &TestBed) -> Outcome {
    let store = three(bed).await?;
    let a = key("a")?;
    store.write(&a, samples(&[(4, "x")])?).await?;
    let before = stored(&store, "a").await?;
    for base in kinds(&store) {
        let half = base.with_max_share(0.5);
        let most = half.clone().with_filters([Expr::parse("id > 1")?]);
        let error = refused(store.delete(&a, most).await, ErrorKind::InvalidArgument)?;
        names(&error, &["3 of 4 samples", "feature a", "0.5", "main"])?;
        // Without a filter, too.
        let all = store.delete(&a, half.clone()).await;
        names(&refused(all, ErrorKind::InvalidArgument)?, &["4 of 4"])?;
        check_eq(stored(&store, "a").await?, before.clone(), "what is stored")?;
    }
    let half = soft("id < 3")?.with_max_share(0.5);
    check_eq(store.delete(&a, half).await?, 2, "half of them")?;
    check_eq(current(&store).await?, ["3 x", "4 x"], "the living")?;
    let all = DeleteOptions::soft().with_max_share(1.0);
    check_eq(store.delete(&a, all).await?, 2, "all of them")?;
    // Of none there is no share.
    let none = DeleteOptions::soft().with_max_share(0.0);
    check_eq(store.delete(&a, none).await?, 0, "of none")
}

/// A share is that of the samples which a read gives: history and tombstones do not count, other versions only if they are asked for
/// (§15).
pub async fn a_share_counts_what_a_read_gives(bed: &TestBed) -> Outcome {
    let [v1, v2] = versions(bed).await?;
    let a = key("a")?;
    v1.write(
        &a,
        samples(&[(1, "one"), (2, "one"), (3, "one"), (4, "one")])?,
    )
    .await?;
    for version in ["x", "y"] {
        v2.write(&a, samples(&[(1, version), (2, version)])?)
            .await?;
    }
    let reach = v2.reach(&a, &soft("id = 1")?).await?;
    check_eq(
        (reach.samples, reach.living, reach.of),
        (1, 1, 2),
        "one of two",
    )?;
    check_eq(reach.share(), 0.5, "the share")?;
    let all = soft("id = 1")?.with_feature_history(true);
    let reach = v2.reach(&a, &all).await?;
    check_eq((reach.samples, reach.of), (1, 4), "over all versions")?;
    v2.delete(&a, soft("id = 1")?).await?;
    let reach = v2.reach(&a, &DeleteOptions::soft()).await?;
    check_eq((reach.samples, reach.of), (1, 1), "without the deleted")?;
    if v2.capabilities().hard_delete {
        let marked = [Expr::parse("metaxy_deleted_at IS NOT NULL")?];
        let purge = DeleteOptions::hard().with_filters(marked);
        let reach = v2.reach(&a, &purge).await?;
        check_eq((reach.samples, reach.living, reach.of), (1, 0, 1), "marked")?;
        let purge = purge.with_max_share(0.0);
        check_eq(v2.delete(&a, purge).await?, 3, "rows of the deleted")?;
    }
    check_eq(current(&v2).await?, ["2 y"], "the living")
}

/// What is no share is refused, and nothing is deleted.
pub async fn refuses_what_is_no_share(bed: &TestBed) -> Outcome {
    let store = three(bed).await?;
    let a = key("a")?;
    let before = stored(&store, "a").await?;
    for base in kinds(&store) {
        for share in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            let options = base.clone().with_max_share(share);
            refused(store.delete(&a, options).await, ErrorKind::InvalidArgument)?;
        }
    }
    check_eq(stored(&store, "a").await?, before, "what is stored")
}

/// Deletes of every sample that the store can do.
fn kinds(store: &MetadataStore) -> Vec<DeleteOptions> {
    let mut kinds = vec![DeleteOptions::soft()];
    if store.capabilities().hard_delete {
        kinds.push(DeleteOptions::hard());
    }
    kinds
}
