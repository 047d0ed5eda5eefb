//! Rows that are removed for good (§5).

use metaxy_store::{DeleteOptions, ErrorKind, Expr, ReadOptions, Result};

use super::{SEEN, cannot, current, soft, three, versions};
use crate::bed::TestBed;
use crate::bed::frames::{everything, ints, read, samples, texts, with_column};
use crate::bed::graphs::{key, pair};
use crate::outcome::{Outcome, check, check_eq, refused};

/// A hard delete removes every row of its samples, and tells how many (§5).
pub async fn hard_removes_the_history_too(bed: &TestBed) -> Outcome {
    let store = three(bed).await?;
    if !store.capabilities().hard_delete {
        return cannot(&store).await;
    }
    let a = key("a")?;
    store.write(&a, samples(&[(1, "y"), (2, "y")])?).await?;
    check_eq(store.delete(&a, hard("id = 1")?).await?, 2, "removed")?;
    let rows = read(&store, "a", everything()).await?;
    check_eq(rows.lines(&SEEN)?, ["2 x", "2 y", "3 x"], "what is left")
}

/// A hard delete removes rows of the current feature version only (§5).
pub async fn hard_removes_the_current_version_only(bed: &TestBed) -> Outcome {
    let [v1, v2] = versions(bed).await?;
    if !v1.capabilities().hard_delete {
        return cannot(&v1).await;
    }
    let a = key("a")?;
    v1.write(&a, samples(&[(1, "one"), (2, "one")])?).await?;
    v2.write(&a, samples(&[(1, "two"), (2, "two")])?).await?;
    check_eq(v2.delete(&a, hard("id = 1")?).await?, 1, "with a filter")?;
    check_eq(v2.delete(&a, DeleteOptions::hard()).await?, 1, "without")?;
    check(current(&v2).await?.is_empty(), "the current version")?;
    check_eq(current(&v1).await?, ["1 one", "2 one"], "the other")
}

/// Over all feature versions a hard delete removes them all, or those that its filter finds (§5).
pub async fn hard_over_all_versions_removes_all(bed: &TestBed) -> Outcome {
    let [v1, v2] = versions(bed).await?;
    if !v1.capabilities().hard_delete {
        return cannot(&v1).await;
    }
    let a = key("a")?;
    v1.write(&a, samples(&[(1, "one"), (2, "one")])?).await?;
    v2.write(&a, samples(&[(1, "two")])?).await?;
    let first = hard("id = 1")?.with_feature_history(true);
    check_eq(v2.delete(&a, first).await?, 2, "with a filter")?;
    check_eq(current(&v1).await?, ["2 one"], "what is left")?;
    let all = DeleteOptions::hard().with_feature_history(true);
    check_eq(v2.delete(&a, all).await?, 1, "without")?;
    check(!v1.has_feature(&a, false).await?, "rows are left")
}

/// A hard delete sees every row: removing the latest by its value brings the one before back (reference, 33).
pub async fn hard_by_a_value_of_the_latest_row_uncovers_the_one_before(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    if !store.capabilities().hard_delete {
        return cannot(&store).await;
    }
    let a = key("a")?;
    for size in [1, 2] {
        let rows = samples(&[(1, if size == 1 { "old" } else { "new" })])?;
        store
            .write(&a, with_column(&rows, "size", ints([size]))?)
            .await?;
    }
    check_eq(store.delete(&a, hard("size = 2")?).await?, 1, "removed")?;
    check_eq(current(&store).await?, ["1 old"], "the sample")
}

/// A hard delete removes tombstones with the rest, so nothing of the sample is left (§5).
pub async fn hard_removes_tombstones(bed: &TestBed) -> Outcome {
    let store = three(bed).await?;
    if !store.capabilities().hard_delete {
        return cannot(&store).await;
    }
    let a = key("a")?;
    store.delete(&a, soft("id = 1")?).await?;
    check_eq(store.delete(&a, hard("id = 1")?).await?, 2, "removed")?;
    let rows = read(&store, "a", everything()).await?;
    check_eq(rows.ids()?, [2, 3], "what is left")?;
    // A tombstone alone can be removed as well, which brings the sample back.
    store.delete(&a, soft("id = 2")?).await?;
    let tombstones = hard("metaxy_deleted_at IS NOT NULL")?;
    check_eq(store.delete(&a, tombstones).await?, 1, "tombstones")?;
    check_eq(current(&store).await?, ["2 x", "3 x"], "the living")
}

/// A hard delete of a feature that was never written is no error and makes no table (§5).
pub async fn hard_of_a_feature_never_written_removes_nothing(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    if !store.capabilities().hard_delete {
        return cannot(&store).await;
    }
    let a = key("a")?;
    for options in [DeleteOptions::hard(), hard("id = 1")?] {
        check_eq(store.delete(&a, options).await?, 0, "removed")?;
    }
    check(
        store.feature_schema(&a).await?.is_none(),
        "a table was made",
    )
}

/// What is removed is not removed again (§5).
pub async fn hard_twice_removes_nothing_more(bed: &TestBed) -> Outcome {
    let store = three(bed).await?;
    if !store.capabilities().hard_delete {
        return cannot(&store).await;
    }
    let a = key("a")?;
    check_eq(store.delete(&a, hard("id > 1")?).await?, 2, "at first")?;
    check_eq(store.delete(&a, hard("id > 1")?).await?, 0, "then")?;
    check_eq(
        store.delete(&a, DeleteOptions::hard()).await?,
        1,
        "the rest",
    )?;
    check_eq(store.delete(&a, DeleteOptions::hard()).await?, 0, "of none")
}

/// After a hard delete of all rows the feature can be written as before, and the stamps go on (§5).
pub async fn a_feature_can_be_written_after_a_hard_delete(bed: &TestBed) -> Outcome {
    let store = three(bed).await?;
    if !store.capabilities().hard_delete {
        return cannot(&store).await;
    }
    let a = key("a")?;
    store.delete(&a, DeleteOptions::hard()).await?;
    store.write(&a, samples(&[(2, "y")])?).await?;
    store.write(&a, samples(&[(2, "z")])?).await?;
    check_eq(current(&store).await?, ["2 z"], "the samples")?;
    let rows = read(&store, "a", everything()).await?;
    check_eq(rows.lines(&SEEN)?, ["2 y", "2 z"], "all rows")
}

/// A dropped feature is as if it had never been written; others stay (contract of `Backend`).
pub async fn a_dropped_feature_is_gone(bed: &TestBed) -> Outcome {
    let store = three(bed).await?;
    let a = key("a")?;
    store.write(&key("b")?, samples(&[(9, "y")])?).await?;
    check(store.drop_feature(&a).await?, "there was nothing to drop")?;
    check(!store.drop_feature(&a).await?, "it was dropped twice")?;
    check(!store.has_feature(&a, false).await?, "it is still there")?;
    check(store.feature_schema(&a).await?.is_none(), "its table is")?;
    let result = store.read(&a, ReadOptions::default()).await;
    refused(result, ErrorKind::FeatureNotFound)?;
    let rows = read(&store, "b", ReadOptions::default()).await?;
    check_eq(rows.ids()?, [9], "the other feature")
}

/// After a drop nothing of the old columns binds a write (contract of `Backend`).
pub async fn a_dropped_feature_can_be_written_with_other_columns(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    let rows = samples(&[(1, "x")])?;
    store
        .write(&a, with_column(&rows, "size", ints([3]))?)
        .await?;
    store.drop_feature(&a).await?;
    store
        .write(&a, with_column(&rows, "size", texts(["three"]))?)
        .await?;
    let found = read(&store, "a", ReadOptions::default()).await?;
    check_eq(found.lines(&["id", "size"])?, ["1 three"], "the samples")
}

fn hard(filter: &str) -> Result<DeleteOptions> {
    Ok(DeleteOptions::hard().with_filters([Expr::parse(filter)?]))
}
