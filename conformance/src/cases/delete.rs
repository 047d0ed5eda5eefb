//! Soft and hard deletes (`semantics.md` §5, §10).

mod filters;
mod hard;
mod rows;
mod share;

use metaxy_store::{
    Access, DeleteOptions, ErrorKind, Expr, FeatureGraph, FieldSpec, MetadataStore, ReadOptions,
    Result, col,
};

use crate::bed::TestBed;
use crate::bed::frames::{everything, ints, read, samples, stored, texts, times, with_column};
use crate::bed::graphs::{feature, graph, key, pair};
use crate::outcome::{Outcome, check, check_eq, names, refused};

pub use filters::{
    filters_choose_what_is_hard_deleted, filters_choose_what_is_soft_deleted,
    refuses_filters_that_do_not_fit,
};
pub use hard::{
    a_dropped_feature_can_be_written_with_other_columns, a_dropped_feature_is_gone,
    a_feature_can_be_written_after_a_hard_delete, hard_beside_columns_of_any_name,
    hard_by_a_value_of_a_superseded_row_removes_nothing,
    hard_by_a_value_of_the_latest_row_removes_the_sample, hard_keeps_what_is_written_meanwhile,
    hard_of_a_feature_never_written_removes_nothing, hard_of_tombstones_removes_their_samples,
    hard_over_all_versions_looks_at_the_latest_row, hard_over_all_versions_removes_all,
    hard_removes_the_current_version_only, hard_removes_the_history_too, hard_removes_tombstones,
    hard_tells_samples_apart_by_all_their_ids, hard_twice_removes_nothing_more,
};
pub use rows::{
    deletes_of_samples_see_equal_stamps, deletes_of_samples_see_lone_rows,
    deletes_of_samples_without_columns,
};
pub use share::{
    a_share_counts_what_a_read_gives, refuses_more_than_a_share, refuses_what_is_no_share,
};

cases! { "delete":
    soft_hides_samples,
    soft_without_filter_hides_all,
    writing_brings_a_sample_back,
    a_restored_sample_can_be_deleted_again,
    soft_keeps_everything_but_the_deletion_time,
    tombstones_are_rows_of_the_history,
    soft_sees_the_latest_rows_only,
    soft_over_all_versions_keeps_each_rows_version,
    soft_of_an_old_version_spares_the_current_one,
    soft_with_history_marks_every_row,
    soft_with_history_looks_at_the_current_row,
    soft_twice_marks_nothing_more,
    soft_of_a_feature_never_written_is_refused,
    soft_of_what_only_a_fallback_has_is_refused,
    soft_of_rows_that_were_read,
    refuses_rows_that_were_not_stored,
    filters_choose_what_is_soft_deleted,
    filters_choose_what_is_hard_deleted,
    hard_removes_the_history_too,
    hard_removes_the_current_version_only,
    hard_over_all_versions_removes_all,
    hard_over_all_versions_looks_at_the_latest_row,
    hard_by_a_value_of_the_latest_row_removes_the_sample,
    hard_by_a_value_of_a_superseded_row_removes_nothing,
    hard_of_tombstones_removes_their_samples,
    hard_tells_samples_apart_by_all_their_ids,
    hard_beside_columns_of_any_name,
    hard_keeps_what_is_written_meanwhile,
    deletes_of_samples_see_equal_stamps,
    deletes_of_samples_see_lone_rows,
    deletes_of_samples_without_columns,
    a_share_counts_what_a_read_gives,
    refuses_more_than_a_share,
    refuses_what_is_no_share,
    hard_removes_tombstones,
    hard_of_a_feature_never_written_removes_nothing,
    hard_twice_removes_nothing_more,
    a_feature_can_be_written_after_a_hard_delete,
    refuses_filters_that_do_not_fit,
    refuses_an_unknown_feature,
    refuses_to_delete_when_opened_for_reading,
    a_dropped_feature_is_gone,
    a_dropped_feature_can_be_written_with_other_columns,
}

/// A soft-deleted sample is not read any more, and shown when asked; the others stay (§5).
pub async fn soft_hides_samples(bed: &TestBed) -> Outcome {
    let store = three(bed).await?;
    let marked = store.delete(&key("a")?, soft("id = 2")?).await?;
    check_eq(marked, 1, "how many were marked")?;
    check_eq(current(&store).await?, ["1 x", "3 x"], "the living")?;
    let all = ReadOptions::default().with_soft_deleted(true);
    let rows = read(&store, "a", all).await?;
    check_eq(rows.lines(&SEEN)?, ["1 x", "2 x", "3 x"], "all")
}

/// Without filters every current sample is marked (§5).
pub async fn soft_without_filter_hides_all(bed: &TestBed) -> Outcome {
    let store = three(bed).await?;
    let marked = store.delete(&key("a")?, DeleteOptions::soft()).await?;
    check_eq(marked, 3, "how many were marked")?;
    check(current(&store).await?.is_empty(), "samples that are left")?;
    check(
        store.has_feature(&key("a")?, false).await?,
        "the feature is gone",
    )
}

/// Writing a sample after its soft delete brings it back, with the new values (§5).
pub async fn writing_brings_a_sample_back(bed: &TestBed) -> Outcome {
    let store = three(bed).await?;
    store.delete(&key("a")?, DeleteOptions::soft()).await?;
    store.write(&key("a")?, samples(&[(2, "back")])?).await?;
    check_eq(current(&store).await?, ["2 back"], "the living")?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    check_eq(rows.times("metaxy_deleted_at")?, [None], "deleted")
}

/// Write, delete, write, delete: the sample is deleted, and all four rows are its history (§5).
pub async fn a_restored_sample_can_be_deleted_again(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    for version in ["v1", "v2"] {
        store.write(&a, samples(&[(1, version)])?).await?;
        check_eq(current(&store).await?, [format!("1 {version}")], "alive")?;
        let marked = store.delete(&a, DeleteOptions::soft()).await?;
        check_eq(marked, 1, "how many were marked")?;
        check(current(&store).await?.is_empty(), "alive after a delete")?;
    }
    let rows = read(&store, "a", everything()).await?;
    check_eq(rows.lines(&SEEN)?, ["1 v1", "1 v1", "1 v2", "1 v2"], "rows")
}

/// A tombstone has the times, versions and values of the row it stands for, and a deletion time after its last update (§5).
pub async fn soft_keeps_everything_but_the_deletion_time(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows = with_column(&samples(&[(1, "x"), (2, "x")])?, "size", ints([7, 8]))?;
    let given = times([Some(1_234_567_890_123_456), None]);
    let rows = with_column(&rows, "metaxy_created_at", given)?;
    let rows = with_column(&rows, "metaxy_provenance", texts(["p1", "p2"]))?;
    store.write(&key("a")?, rows).await?;
    let before = read(&store, "a", ReadOptions::default()).await?;
    store.delete(&key("a")?, DeleteOptions::soft()).await?;
    let all = ReadOptions::default().with_soft_deleted(true);
    let after = read(&store, "a", all).await?;
    let columns: Vec<String> = before.columns();
    let kept: Vec<&str> = columns
        .iter()
        .map(String::as_str)
        .filter(|column| *column != "metaxy_deleted_at")
        .collect();
    check_eq(after.lines(&kept)?, before.lines(&kept)?, "the rows")?;
    let updated = after.times("metaxy_updated_at")?;
    let deleted = after.times("metaxy_deleted_at")?;
    check(
        deleted.iter().zip(&updated).all(|(d, u)| d > u),
        format!("deleted at {deleted:?}, updated at {updated:?}"),
    )
}

/// A soft delete changes no row: it adds one, which the history shows (§5).
pub async fn tombstones_are_rows_of_the_history(bed: &TestBed) -> Outcome {
    let store = three(bed).await?;
    let before = stored(&store, "a").await?;
    store.delete(&key("a")?, soft("id < 3")?).await?;
    let after = stored(&store, "a").await?;
    check_eq(after.len(), 5, "rows")?;
    check(
        before.iter().all(|row| after.contains(row)),
        format!("a row was changed: {before:?}, then {after:?}"),
    )?;
    let history = ReadOptions::default().with_sample_history(true);
    let rows = read(&store, "a", history.clone()).await?;
    check_eq(rows.ids()?, [1, 2, 3], "history without the deleted")?;
    let rows = read(&store, "a", history.with_soft_deleted(true)).await?;
    check_eq(rows.ids()?, [1, 1, 2, 2, 3], "history with the deleted")
}

/// A filter of a soft delete sees the latest row of each sample, as a read does (§5).
pub async fn soft_sees_the_latest_rows_only(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    let rows = samples(&[(1, "x"), (2, "x")])?;
    store
        .write(&a, with_column(&rows, "size", ints([1, 1]))?)
        .await?;
    store
        .write(&a, with_column(&rows, "size", ints([1, 2]))?)
        .await?;
    check_eq(store.delete(&a, soft("size = 1")?).await?, 1, "marked")?;
    check_eq(current(&store).await?, ["2 x"], "the living")
}

/// Over all feature versions, each tombstone keeps the version of its row (§10, 31).
pub async fn soft_over_all_versions_keeps_each_rows_version(bed: &TestBed) -> Outcome {
    let [v1, v2] = versions(bed).await?;
    let a = key("a")?;
    v1.write(&a, samples(&[(1, "one")])?).await?;
    v2.write(&a, samples(&[(2, "two")])?).await?;
    let options = DeleteOptions::soft().with_feature_history(true);
    check_eq(v2.delete(&a, options).await?, 2, "how many were marked")?;
    let rows = read(&v2, "a", everything()).await?;
    let deleted: Vec<bool> = rows
        .times("metaxy_deleted_at")?
        .iter()
        .map(Option::is_some)
        .collect();
    check_eq(deleted.iter().filter(|d| **d).count(), 2, "tombstones")?;
    let (one, two) = (
        v1.graph().feature_version("a")?.to_owned(),
        v2.graph().feature_version("a")?.to_owned(),
    );
    let expected = [one.clone(), one, two.clone(), two];
    let found = rows.words("metaxy_feature_version")?;
    check_eq(found, expected, "the versions of rows and tombstones")?;
    for store in [&v1, &v2] {
        check(current(store).await?.is_empty(), "a sample is left")?;
    }
    Ok(())
}

/// A filter sees the latest row over all versions; what only an old version has is deleted under the graph of that version (§15).
pub async fn soft_of_an_old_version_spares_the_current_one(bed: &TestBed) -> Outcome {
    let [v1, v2] = versions(bed).await?;
    let a = key("a")?;
    v1.write(&a, samples(&[(1, "one"), (2, "one")])?).await?;
    v2.write(&a, samples(&[(1, "two")])?).await?;
    let old = col("metaxy_feature_version").eq(v1.graph().feature_version("a")?);
    // The latest row of sample 1 is of the new version, so only sample 2 is found.
    let latest = DeleteOptions::soft()
        .with_feature_history(true)
        .with_filters([old.clone()]);
    check_eq(v2.delete(&a, latest.clone()).await?, 1, "latest rows")?;
    check_eq(current(&v1).await?, ["1 one"], "of the old version")?;
    check_eq(current(&v2).await?, ["1 two"], "of the new version")?;
    let marked = v2.delete(&a, latest.with_sample_history(true)).await?;
    check_eq(marked, 0, "rows of samples whose latest row is another")?;
    check_eq(current(&v1).await?, ["1 one"], "of the old version still")?;
    let marked = v1.delete(&a, DeleteOptions::soft()).await?;
    check_eq(marked, 1, "under the old graph")?;
    check(
        current(&v1).await?.is_empty(),
        "the old version has samples",
    )?;
    check_eq(current(&v2).await?, ["1 two"], "of the new version")
}

/// With sample history every living row of a sample gets a tombstone (§5).
pub async fn soft_with_history_marks_every_row(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    for version in ["v1", "v2", "v3"] {
        store.write(&a, samples(&[(1, version)])?).await?;
    }
    let options = DeleteOptions::soft().with_sample_history(true);
    check_eq(store.delete(&a, options).await?, 3, "how many were marked")?;
    check(current(&store).await?.is_empty(), "the sample is alive")?;
    let rows = read(&store, "a", everything()).await?;
    let expected = ["1 v1", "1 v1", "1 v2", "1 v2", "1 v3", "1 v3"];
    check_eq(rows.lines(&SEEN)?, expected, "all rows")
}

/// With sample history, too, a sample is chosen by its current row: a value that only an older row had chooses none (§15).
pub async fn soft_with_history_looks_at_the_current_row(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    for size in [5, 50] {
        let rows = with_column(&samples(&[(1, "x"), (2, "x")])?, "size", ints([size, 7]))?;
        store.write(&a, rows).await?;
    }
    let all =
        |filter: &str| -> Result<DeleteOptions> { Ok(soft(filter)?.with_sample_history(true)) };
    check_eq(
        store.delete(&a, all("size = 5")?).await?,
        0,
        "by the old value",
    )?;
    check_eq(current(&store).await?, ["1 x", "2 x"], "the living")?;
    check_eq(
        store.delete(&a, all("size = 50")?).await?,
        2,
        "by the new one",
    )?;
    check_eq(current(&store).await?, ["2 x"], "the living")?;
    // What is marked already is not marked again.
    check_eq(store.delete(&a, all("id = 1")?).await?, 0, "once more")
}

/// What is deleted is not deleted again (§5).
pub async fn soft_twice_marks_nothing_more(bed: &TestBed) -> Outcome {
    let store = three(bed).await?;
    let a = key("a")?;
    check_eq(store.delete(&a, soft("id = 1")?).await?, 1, "at first")?;
    let before = stored(&store, "a").await?;
    check_eq(store.delete(&a, soft("id = 1")?).await?, 0, "then")?;
    check_eq(stored(&store, "a").await?, before, "what is stored")?;
    check_eq(
        store.delete(&a, DeleteOptions::soft()).await?,
        2,
        "the rest",
    )
}

/// A soft delete of a feature that was never written is an error that names it and the store (§5).
pub async fn soft_of_a_feature_never_written_is_refused(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let result = store.delete(&key("a")?, DeleteOptions::soft()).await;
    let error = refused(result, ErrorKind::FeatureNotFound)?;
    names(&error, &["feature a", "main"])?;
    check(
        store.feature_schema(&key("a")?).await?.is_none(),
        "a table was made",
    )
}

/// A feature that only a fallback has cannot be soft-deleted here; the error names both stores (§10, 59).
pub async fn soft_of_what_only_a_fallback_has_is_refused(bed: &TestBed) -> Outcome {
    let prod = bed.builder("prod").await?.with_graph(pair()?).build()?;
    prod.write(&key("a")?, samples(&[(1, "x"), (2, "x")])?)
        .await?;
    let dev = bed.builder("dev").await?.with_graph(pair()?);
    let dev = dev.with_fallback(prod.clone()).build()?;
    let result = dev.delete(&key("a")?, soft("id = 1")?).await;
    let error = refused(result, ErrorKind::FeatureNotFound)?;
    names(&error, &["feature a", "\"prod\"", "\"dev\"", "copy"])?;
    check(
        !dev.has_feature(&key("a")?, false).await?,
        "something was written here",
    )?;
    check_eq(current(&dev).await?, ["1 x", "2 x"], "through the chain")?;
    if dev.capabilities().hard_delete {
        let removed = dev.delete(&key("a")?, DeleteOptions::hard()).await?;
        check_eq(removed, 0, "removed here")?;
    }
    check_eq(current(&prod).await?, ["1 x", "2 x"], "in the fallback")
}

/// Rows that were read, such as an increment's orphaned ones, can be marked as deleted (§6).
pub async fn soft_of_rows_that_were_read(bed: &TestBed) -> Outcome {
    let store = three(bed).await?;
    let a = key("a")?;
    let some = ReadOptions::default().with_filters([col("id").gt(1)]);
    let rows = store.read(&a, some).await?.collect().await?;
    check_eq(store.delete_rows(&a, &rows).await?, 2, "marked")?;
    check_eq(current(&store).await?, ["1 x"], "the living")
}

/// Rows without the columns of stored rows cannot be marked as deleted (§5).
pub async fn refuses_rows_that_were_not_stored(bed: &TestBed) -> Outcome {
    let store = three(bed).await?;
    let before = stored(&store, "a").await?;
    let rows = samples(&[(1, "x")])?;
    let result = store.delete_rows(&key("a")?, rows).await;
    let error = refused(result, ErrorKind::InvalidFrame)?;
    names(&error, &["feature a", "metaxy_feature_version"])?;
    check_eq(stored(&store, "a").await?, before, "what is stored")
}

/// A feature that is not in the graph cannot be deleted (§5).
pub async fn refuses_an_unknown_feature(bed: &TestBed) -> Outcome {
    let store = three(bed).await?;
    for options in [DeleteOptions::soft(), DeleteOptions::hard()] {
        let result = store.delete(&key("aa")?, options).await;
        let error = refused(result, ErrorKind::FeatureNotFound)?;
        names(&error, &["feature: aa", "main"])?;
    }
    Ok(())
}

/// A store that was opened for reading refuses deletes and drops (§7).
pub async fn refuses_to_delete_when_opened_for_reading(bed: &TestBed) -> Outcome {
    let a = key("a")?;
    drop(three(bed).await?);
    let backend = bed.backend("main", Access::Read).await?;
    for access in [Access::Read, Access::Write] {
        // The second store mistakes its backend for one that can write.
        let store = bed
            .over(backend.clone())
            .with_access(access)
            .with_graph(pair()?)
            .build()?;
        let before = stored(&store, "a").await?;
        check_eq(before.len(), 3, "rows that can be read")?;
        let soft = store.delete(&a, DeleteOptions::soft()).await;
        names(&refused(soft, ErrorKind::ReadOnly)?, &["main"])?;
        if store.capabilities().hard_delete {
            let hard = store.delete(&a, DeleteOptions::hard()).await;
            names(&refused(hard, ErrorKind::ReadOnly)?, &["main"])?;
        }
        let dropped = store.drop_feature(&a).await;
        names(&refused(dropped, ErrorKind::ReadOnly)?, &["main"])?;
        check_eq(stored(&store, "a").await?, before, "what is stored")?;
    }
    Ok(())
}

const SEEN: [&str; 2] = ["id", "metaxy_provenance_by_field.default"];

/// Samples 1, 2 and 3 of `a`.
async fn three(bed: &TestBed) -> Outcome<MetadataStore> {
    let store = bed.store(pair()?).await?;
    let rows = samples(&[(1, "x"), (2, "x"), (3, "x")])?;
    store.write(&key("a")?, rows).await?;
    Ok(store)
}

/// One store under two versions of `a`.
async fn versions(bed: &TestBed) -> Outcome<[MetadataStore; 2]> {
    let version = |code: &str| -> Result<FeatureGraph> {
        let field = FieldSpec::new("default")?.with_code_version(code);
        graph([feature("a", &[], &[])?.with_field(field)])
    };
    let v1 = bed.store(version("1")?).await?;
    let v2 = v1.with_graph(version("2")?);
    Ok([v1, v2])
}

async fn current(store: &MetadataStore) -> Outcome<Vec<String>> {
    read(store, "a", ReadOptions::default()).await?.lines(&SEEN)
}

pub(super) fn soft(filter: &str) -> Result<DeleteOptions> {
    Ok(DeleteOptions::soft().with_filters([Expr::parse(filter)?]))
}

/// A backend that cannot remove rows says so, and removes none.
async fn cannot(store: &MetadataStore) -> Outcome {
    store.write(&key("a")?, samples(&[(1, "x")])?).await?;
    let before = stored(store, "a").await?;
    let result = store.delete(&key("a")?, DeleteOptions::hard()).await;
    names(&refused(result, ErrorKind::Unsupported)?, &["main"])?;
    check_eq(stored(store, "a").await?, before, "what is stored")
}
