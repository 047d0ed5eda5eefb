//! All of a write or none of it, and who may write (§5, §7).

use std::pin::pin;

use futures::channel::oneshot;
use futures::future::{Either, select};
use futures::stream::{self, StreamExt};
use metaxy_store::{Access, Error, ErrorKind, Frame, ReadOptions};

use super::versions;
use crate::bed::TestBed;
use crate::bed::frames::{ints, read, samples, stored, texts, with_column};
use crate::bed::graphs::{key, pair};
use crate::outcome::{Outcome, check, check_eq, names, refused};

/// A frame whose producer fails half-way leaves the store as it was, and its error is passed on (§5).
pub async fn a_failed_producer_leaves_nothing(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    store.write(&a, samples(&[(1, "a")])?).await?;
    let before = stored(&store, "a").await?;
    let error = refused(store.write(&a, failing()?).await, ErrorKind::Io)?;
    names(&error, &["the disk is on fire", "feature: a", "main"])?;
    check_eq(stored(&store, "a").await?, before, "what is stored")?;
    store.write(&a, samples(&[(2, "b")])?).await?;
    let current = versions(&store, ReadOptions::default()).await?;
    check_eq(current, ["1 a", "2 b"], "after another write")
}

/// So does the first write of a feature: the store does not have it then (§5).
pub async fn a_failed_first_write_leaves_nothing(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    refused(store.write(&a, failing()?).await, ErrorKind::Io)?;
    check(
        !store.has_feature(&a, false).await?,
        "the store has the feature",
    )?;
    check_eq(stored(&store, "a").await?.len(), 0, "rows")?;
    // Nothing of it binds a later write.
    let other = with_column(&samples(&[(1, "a")])?, "extra", ints([7]))?;
    store.write(&a, other).await?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    check_eq(rows.lines(&["id", "extra"])?, ["1 7"], "the first rows")
}

/// A write whose future is dropped half-way leaves all its rows or none, and the store usable (contract of `Backend`).
pub async fn a_dropped_write_leaves_all_or_nothing(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    store.write(&a, samples(&[(1, "a")])?).await?;
    let first = samples(&[(2, "x"), (3, "x")])?;
    let second = samples(&[(4, "x")])?;
    let (begun, beginning) = oneshot::channel::<()>();
    let (go, gone) = oneshot::channel::<()>();
    let schema = first.schema();
    // The second batch is only asked for once the first was taken, and only comes when the write is gone.
    let batches = stream::iter([Ok(first)]).chain(stream::once(async move {
        let _ = begun.send(());
        let _ = gone.await;
        Ok(second)
    }));
    {
        let write = pin!(store.write(&a, Frame::new(schema, batches)));
        if let Either::Left((result, _)) = select(write, beginning).await {
            result?;
            return check(false, "the write was done before its frame was");
        }
    }
    let _ = go.send(());
    store.write(&a, samples(&[(5, "b")])?).await?;
    let current = versions(&store, ReadOptions::default()).await?;
    let (none, all) = (["1 a", "5 b"], ["1 a", "2 x", "3 x", "4 x", "5 b"]);
    check(
        current == none || current == all,
        format!("a part of a dropped write is there: {current:?}"),
    )
}

/// A write that is dropped while it waits for its frame does not hold the store, even if the frame never goes on (contract of
/// `Backend`).
pub async fn a_dropped_write_frees_the_store(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    let first = samples(&[(1, "x"), (2, "x")])?;
    let (begun, beginning) = oneshot::channel::<()>();
    let schema = first.schema();
    let batches = stream::iter([Ok(first)]).chain(stream::once(async move {
        let _ = begun.send(());
        std::future::pending().await
    }));
    {
        let write = pin!(store.write(&a, Frame::new(schema, batches)));
        if let Either::Left((result, _)) = select(write, beginning).await {
            result?;
            return check(false, "the write was done before its frame was");
        }
    }
    store.write(&a, samples(&[(3, "y")])?).await?;
    let current = versions(&store, ReadOptions::default()).await?;
    check_eq(current, ["3 y"], "the samples")
}

/// A store that was opened for reading refuses to write, and so does its backend (§7).
pub async fn refuses_to_write_when_opened_for_reading(bed: &TestBed) -> Outcome {
    let a = key("a")?;
    let store = bed.store(pair()?).await?;
    store.write(&a, samples(&[(1, "a")])?).await?;
    drop(store);
    let backend = bed.backend("main", Access::Read).await?;
    let reader = || bed.over(backend.clone());
    let honest = reader()
        .with_access(Access::Read)
        .with_graph(pair()?)
        .build()?;
    let before = stored(&honest, "a").await?;
    check_eq(before.len(), 1, "rows that can be read")?;
    let rows = samples(&[(2, "a")])?;
    let error = refused(honest.write(&a, rows.clone()).await, ErrorKind::ReadOnly)?;
    names(&error, &["main"])?;
    let mistaken = reader().with_graph(pair()?).build()?;
    let error = refused(mistaken.write(&a, rows).await, ErrorKind::ReadOnly)?;
    names(&error, &["feature: a", "main"])?;
    check_eq(stored(&honest, "a").await?, before, "what is stored")
}

/// With `auto_create_tables` off, a feature without table cannot be written, and the error says how to make it; one with a table
/// can (§10).
pub async fn refuses_to_make_a_table_without_leave(bed: &TestBed) -> Outcome {
    let builder = bed.builder("main").await?;
    let careful = builder
        .with_graph(pair()?)
        .with_auto_create_tables(false)
        .build()?;
    let a = key("a")?;
    let rows = samples(&[(1, "a")])?;
    let error = refused(
        careful.write(&a, rows.clone()).await,
        ErrorKind::TableNotFound,
    )?;
    names(&error, &["feature: a", "main", "auto_create_tables"])?;
    check(error.hint().is_some(), "no word on what to do next")?;
    check(
        !careful.has_feature(&a, false).await?,
        "the table was made all the same",
    )?;

    bed.store(pair()?).await?.write(&a, rows).await?;
    careful.write(&a, samples(&[(2, "a")])?).await?;
    let current = versions(&careful, ReadOptions::default()).await?;
    check_eq(current, ["1 a", "2 a"], "the samples")
}

/// A frame that yields two samples and then fails.
fn failing() -> Outcome<Frame> {
    let first = with_column(&samples(&[(8, "x"), (9, "x")])?, "extra", texts(["y", "z"]))?;
    let schema = first.schema();
    let broken = Error::new(ErrorKind::Io, "the disk is on fire");
    Ok(Frame::new(schema, stream::iter([Ok(first), Err(broken)])))
}
