//! Rows that are removed for good (§5).

use metaxy_store::{
    DeleteOptions, Error, ErrorKind, Expr, FeatureSpec, MetadataStore, ReadOptions, Result,
};

use super::{SEEN, cannot, current, soft, three, versions};
use crate::bed::TestBed;
use crate::bed::frames::{everything, ints, keyed, read, samples, stored, texts, with_column};
use crate::bed::graphs::{graph, key, pair};
use crate::outcome::{Outcome, Stop, check, check_eq, refused};

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

/// A sample whose latest row over all versions matches goes with its rows of all versions, and one whose latest row does not stays with
/// them, whatever its older ones say (§15).
pub async fn hard_over_all_versions_looks_at_the_latest_row(bed: &TestBed) -> Outcome {
    let [v1, v2] = versions(bed).await?;
    if !v1.capabilities().hard_delete {
        return cannot(&v1).await;
    }
    let a = key("a")?;
    let sized = |version: &str, sizes: [i64; 2]| -> Result<_> {
        with_column(
            &samples(&[(1, version), (2, version)])?,
            "size",
            ints(sizes),
        )
    };
    v1.write(&a, sized("one", [5, 50])?).await?;
    v2.write(&a, sized("two", [50, 5])?).await?;
    let large = hard("size = 50")?.with_feature_history(true);
    check_eq(v2.delete(&a, large).await?, 2, "rows of sample 1")?;
    check_eq(current(&v1).await?, ["2 one"], "the old version")?;
    check_eq(current(&v2).await?, ["2 two"], "the new version")?;
    // Of one version alone, its own latest row counts.
    check_eq(
        v1.delete(&a, hard("size = 50")?).await?,
        1,
        "of the old one",
    )?;
    check_eq(current(&v2).await?, ["2 two"], "the new version")
}

/// A sample whose latest row matches goes with all its rows: the one before does not come back (§15; the reference brings it back, 33).
pub async fn hard_by_a_value_of_the_latest_row_removes_the_sample(bed: &TestBed) -> Outcome {
    let Some(store) = grown(bed).await? else {
        return cannot(&bed.store(pair()?).await?).await;
    };
    let a = key("a")?;
    check_eq(store.delete(&a, hard("size = 50")?).await?, 2, "removed")?;
    check_eq(current(&store).await?, ["2 new"], "the samples")?;
    let rows = read(&store, "a", everything()).await?;
    check_eq(rows.lines(&SEEN)?, ["2 new", "2 old"], "what is left")
}

/// What only a superseded row says chooses nothing, and its history stays whole (§15).
pub async fn hard_by_a_value_of_a_superseded_row_removes_nothing(bed: &TestBed) -> Outcome {
    let Some(store) = grown(bed).await? else {
        return cannot(&bed.store(pair()?).await?).await;
    };
    let a = key("a")?;
    let before = stored(&store, "a").await?;
    for filter in [
        "size = 5",
        "size < 6",
        "size IS NULL",
        "size = 5 AND id = 1",
    ] {
        check_eq(store.delete(&a, hard(filter)?).await?, 0, filter)?;
        check_eq(stored(&store, "a").await?, before.clone(), filter)?;
    }
    Ok(())
}

/// To remove tombstones is to remove the samples that are marked: nothing that was deleted comes back (§15).
pub async fn hard_of_tombstones_removes_their_samples(bed: &TestBed) -> Outcome {
    let store = three(bed).await?;
    if !store.capabilities().hard_delete {
        return cannot(&store).await;
    }
    let a = key("a")?;
    store.delete(&a, soft("id < 3")?).await?;
    // Sample 2 is back: its tombstone is history.
    store.write(&a, samples(&[(2, "again")])?).await?;
    let marked = hard("metaxy_deleted_at IS NOT NULL")?;
    check_eq(store.delete(&a, marked).await?, 2, "rows of sample 1")?;
    check_eq(current(&store).await?, ["2 again", "3 x"], "the living")?;
    let rows = read(&store, "a", everything()).await?;
    check_eq(rows.lines(&SEEN)?, ["2 again", "2 x", "2 x", "3 x"], "rows")?;
    // And those that are not marked go without the ones that are.
    store.delete(&a, soft("id = 3")?).await?;
    let living = hard("metaxy_deleted_at IS NULL")?;
    check_eq(store.delete(&a, living).await?, 3, "rows of sample 2")?;
    let rows = read(&store, "a", everything()).await?;
    check_eq(rows.lines(&SEEN)?, ["3 x", "3 x"], "the marked one")
}

/// Samples that share one of their ID columns are not one sample (§15).
pub async fn hard_tells_samples_apart_by_all_their_ids(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    if !store.capabilities().hard_delete {
        return cannot(&store).await;
    }
    let spec = FeatureSpec::new("a", ["video", "clip"])?;
    let (store, a) = (store.with_graph(graph([spec])?), key("a")?);
    for (version, sizes) in [("x", [1, 10, 1]), ("y", [2, 20, 2])] {
        let columns: [(&str, &[i64]); 2] = [("video", &[1, 1, 2]), ("clip", &[1, 2, 1])];
        let rows = with_column(&keyed(&columns, &[version; 3])?, "size", ints(sizes))?;
        store.write(&a, rows).await?;
    }
    check_eq(store.delete(&a, hard("size = 20")?).await?, 2, "removed")?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    check_eq(rows.lines(&["video", "clip"])?, ["1 1", "2 1"], "samples")
}

/// Columns that have the name of an engine's own number of a row are columns like others (§15).
pub async fn hard_beside_columns_of_any_name(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    if !store.capabilities().hard_delete {
        return cannot(&store).await;
    }
    let a = key("a")?;
    for (version, numbers) in [("x", [9, 7]), ("y", [7, 9])] {
        let mut rows = samples(&[(1, version), (2, version)])?;
        for name in ["rowid", "r", "goes", "a", "latest"] {
            rows = with_column(&rows, name, ints(numbers))?;
        }
        store.write(&a, rows).await?;
    }
    check_eq(store.delete(&a, hard("rowid = 9")?).await?, 2, "removed")?;
    check_eq(current(&store).await?, ["1 y"], "the samples")?;
    check_eq(
        store.delete(&a, hard("goes = 7 AND r = 7")?).await?,
        2,
        "then",
    )?;
    check(current(&store).await?.is_empty(), "samples that are left")
}

/// A sample that is written while a delete of it goes on keeps the new row: before or after, it does not match (§15).
pub async fn hard_keeps_what_is_written_meanwhile(bed: &TestBed) -> Outcome {
    const SAMPLES: i64 = 20;
    let store = bed.store(pair()?).await?;
    if !store.capabilities().hard_delete {
        return cannot(&store).await;
    }
    let a = key("a")?;
    let sized = |size: i64| -> Result<_> {
        let rows: Vec<(i64, &str)> = (0..SAMPLES).map(|id| (id, "x")).collect();
        with_column(&samples(&rows)?, "size", ints((0..SAMPLES).map(|_| size)))
    };
    for round in 0..8 {
        store.write(&a, sized(1)?).await?;
        let (writer, rows) = (store.clone(), sized(2)?);
        let writing = tokio::spawn(async move {
            while let Err(error) = writer.write(&key("a")?, rows.clone()).await {
                in_the_way(error)?;
            }
            Outcome::Ok(())
        });
        while let Err(error) = store.delete(&a, hard("size = 1")?).await {
            in_the_way(error)?;
        }
        let written = writing.await;
        written.map_err(|e| Stop::failed(format!("the writer died: {e}")))??;
        let rows = read(&store, "a", ReadOptions::default()).await?;
        let found = rows.ints("size")?;
        check_eq(
            found,
            vec![Some(2); SAMPLES as usize],
            format!("round {round}"),
        )?;
    }
    Ok(())
}

/// Passes over what can be tried again.
fn in_the_way(error: Error) -> Outcome {
    match error.kind() {
        ErrorKind::Locked | ErrorKind::Conflict => Ok(()),
        _ => Err(error.into()),
    }
}

/// Samples 1 and 2 of `a`, which were 5 and 7 large and are 50 and 70; `None` if rows cannot be removed.
async fn grown(bed: &TestBed) -> Outcome<Option<MetadataStore>> {
    let store = bed.store(pair()?).await?;
    if !store.capabilities().hard_delete {
        return Ok(None);
    }
    for (version, sizes) in [("old", [5, 7]), ("new", [50, 70])] {
        let rows = samples(&[(1, version), (2, version)])?;
        store
            .write(&key("a")?, with_column(&rows, "size", ints(sizes))?)
            .await?;
    }
    Ok(Some(store))
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
    check_eq(rows.ids()?, [2, 3], "what is left")
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
