//! The buffered writer.

use std::sync::Arc;
use std::time::Duration;

use metaxy_store::backend::Access;
use metaxy_store::store::{BufferOptions, BufferedWriter};
use metaxy_store::{ErrorKind, MetadataStore};

use crate::bed::TestBed;
use crate::bed::frames::{Table, floats, samples, stored, with_column};
use crate::bed::graphs::{key, pair};
use crate::bed::observed::Observed;
use crate::outcome::{Outcome, check, check_eq, names, refused};

cases! { "buffered":
    writes_when_enough_rows_wait,
    writes_when_a_row_has_waited_long_enough,
    writes_the_rest_on_close,
    writes_several_features,
    shows_an_error_at_the_next_call,
    shows_an_error_on_close,
    keeps_rows_that_were_not_written,
    writes_nothing_when_dropped,
}

/// Only what a case sets makes it write.
fn never() -> BufferOptions {
    BufferOptions::default()
        .with_max_rows(None)
        .with_max_bytes(None)
        .with_interval(None)
}

/// The case's store, watched.
async fn watched(bed: &TestBed) -> Outcome<(MetadataStore, Arc<Observed>)> {
    let observed = Observed::new(bed.backend("main", Access::Write).await?);
    let store = bed.over(observed.clone()).with_graph(pair()?).build()?;
    Ok((store, observed))
}

/// How many rows are stored.
async fn count(store: &MetadataStore, feature: &str) -> Outcome<usize> {
    Ok(stored(store, feature).await?.len())
}

/// Rows are written in one piece as soon as as many wait as was said, not before.
pub async fn writes_when_enough_rows_wait(bed: &TestBed) -> Outcome {
    let (store, observed) = watched(bed).await?;
    let a = key("a")?;
    let mut writer = BufferedWriter::new(store.clone(), never().with_max_rows(3));
    writer.put(&a, samples(&[(1, "x")])?).await?;
    writer.put(&a, samples(&[(2, "x")])?).await?;
    check_eq(count(&store, "a").await?, 0, "rows that are stored")?;
    check_eq(writer.unwritten_rows(), 2, "rows that wait")?;
    writer.put(&a, samples(&[(3, "x"), (4, "x")])?).await?;
    check_eq(count(&store, "a").await?, 4, "rows that are stored")?;
    check_eq(writer.unwritten_rows(), 0, "rows that wait")?;
    check_eq(observed.appends().len(), 1, "writes")?;
    writer.close().await?;
    check_eq(observed.appends().len(), 1, "writes after all")
}

/// A row that has waited for the interval is written by the next call, one that has not waits.
pub async fn writes_when_a_row_has_waited_long_enough(bed: &TestBed) -> Outcome {
    let (store, _) = watched(bed).await?;
    let a = key("a")?;
    let long = never().with_interval(Duration::from_secs(86_400));
    let mut writer = BufferedWriter::new(store.clone(), long);
    writer.put(&a, samples(&[(1, "x")])?).await?;
    writer.flush_if_due().await?;
    check_eq(count(&store, "a").await?, 0, "rows before the interval")?;
    writer.close().await?;
    let mut writer = BufferedWriter::new(store.clone(), never().with_interval(Duration::ZERO));
    writer.put(&a, samples(&[(2, "x")])?).await?;
    writer.flush_if_due().await?;
    check_eq(count(&store, "a").await?, 2, "rows after the interval")?;
    check_eq(writer.unwritten_rows(), 0, "rows that wait")
}

/// Closing writes what waits and says how many rows of each feature were written; after that nothing is taken.
pub async fn writes_the_rest_on_close(bed: &TestBed) -> Outcome {
    let (store, observed) = watched(bed).await?;
    let a = key("a")?;
    let mut writer = BufferedWriter::new(store.clone(), never());
    for id in 1..=5 {
        writer.put(&a, samples(&[(id, "x")])?).await?;
    }
    writer.put(&a, samples(&[])?).await?;
    check_eq(observed.appends().len(), 0, "writes before")?;
    let written = writer.close().await?;
    check_eq(written.get(&a), Some(&5), "rows by feature")?;
    check_eq(count(&store, "a").await?, 5, "rows that are stored")?;
    let late = writer.put(&a, samples(&[(6, "x")])?).await;
    let error = refused(late, ErrorKind::InvalidArgument)?;
    names(&error, &["closed", "main"])?;
    check_eq(writer.close().await?, written, "closing once more")?;
    check_eq(count(&store, "a").await?, 5, "rows after all")
}

/// Rows of several features wait together and are written together, dependents first (§5).
pub async fn writes_several_features(bed: &TestBed) -> Outcome {
    let (store, observed) = watched(bed).await?;
    let (a, b) = (key("a")?, key("b")?);
    let mut writer = BufferedWriter::new(store.clone(), never().with_max_rows(3));
    writer.put(&a, samples(&[(1, "x")])?).await?;
    writer.put(&b, samples(&[(1, "p")])?).await?;
    writer.put(&a, samples(&[(2, "x")])?).await?;
    let stored = [count(&store, "a").await?, count(&store, "b").await?];
    check_eq(stored, [2, 1], "rows of a and b")?;
    check_eq(observed.appends().concat(), ["b", "a"], "the order")?;
    let written = writer.close().await?;
    let rows = [written.get(&a).copied(), written.get(&b).copied()];
    check_eq(rows, [Some(2), Some(1)], "rows by feature")
}

/// A write that fails inside a `put` shows in the next call; its rows are kept, and written once when it works again.
pub async fn shows_an_error_at_the_next_call(bed: &TestBed) -> Outcome {
    let (store, observed) = watched(bed).await?;
    let a = key("a")?;
    let mut writer = BufferedWriter::new(store.clone(), never().with_max_rows(2));
    observed.fail(ErrorKind::Storage);
    writer.put(&a, samples(&[(1, "x"), (2, "x")])?).await?;
    let next = writer.put(&a, samples(&[(3, "x")])?).await;
    let error = refused(next, ErrorKind::Storage)?;
    names(&error, &["main", "rows kept: 2"])?;
    check_eq(writer.unwritten_rows(), 2, "rows that are kept")?;
    observed.fail(None);
    writer.put(&a, samples(&[(3, "x")])?).await?;
    let written = writer.close().await?;
    check_eq(written.get(&a), Some(&3), "rows that were written")?;
    check_eq(count(&store, "a").await?, 3, "rows that are stored")?;
    check_eq(observed.appends().len(), 1, "writes that were done")
}

/// A write that fails on closing is an error of it; the writer stays open and can be closed again.
pub async fn shows_an_error_on_close(bed: &TestBed) -> Outcome {
    let (store, observed) = watched(bed).await?;
    let a = key("a")?;
    let mut writer = BufferedWriter::new(store.clone(), never());
    writer.put(&a, samples(&[(1, "x")])?).await?;
    observed.fail(ErrorKind::Storage);
    for _ in 0..2 {
        let error = refused(writer.close().await, ErrorKind::Storage)?;
        names(&error, &["main"])?;
    }
    check_eq(writer.unwritten_rows(), 1, "rows that are kept")?;
    observed.fail(None);
    check_eq(writer.close().await?.get(&a), Some(&1), "rows written")?;
    check_eq(count(&store, "a").await?, 1, "rows that are stored")
}

/// Rows that the store refuses are handed out again; none of them is written, and nothing is written twice.
pub async fn keeps_rows_that_were_not_written(bed: &TestBed) -> Outcome {
    let (store, _) = watched(bed).await?;
    let (a, b) = (key("a")?, key("b")?);
    let texts = crate::bed::frames::texts(["wide"]);
    let rows = with_column(&samples(&[(9, "x")])?, "size", texts)?;
    store.write(&a, rows).await?;
    let mut writer = BufferedWriter::new(store.clone(), never());
    // Only the table can tell that this column does not fit.
    let misfit = with_column(&samples(&[(1, "x")])?, "size", floats([1.5]))?;
    writer.put(&a, misfit).await?;
    writer.put(&b, samples(&[(1, "p")])?).await?;
    for _ in 0..2 {
        let error = refused(writer.flush().await, ErrorKind::InvalidFrame)?;
        names(&error, &["size"])?;
    }
    let kept = writer.take_unwritten().await;
    let of_a = kept.iter().find(|(feature, _)| *feature == a);
    let of_a = of_a.map(|(_, rows)| rows.clone());
    check(of_a.is_some(), "the rows are handed out")?;
    if let Some(rows) = of_a {
        check_eq(Table::of(rows).await?.ids()?, [1], "the rows of a")?;
    }
    check_eq(count(&store, "a").await?, 1, "rows of a that are stored")?;
    let written = usize::from(!kept.iter().any(|(feature, _)| *feature == b));
    check_eq(
        count(&store, "b").await?,
        written,
        "rows of b, once or kept",
    )?;
    writer.close().await?;
    check_eq(count(&store, "b").await?, written, "rows of b after all")
}

/// Rows that wait in a writer that is dropped are not written, and the store works on.
pub async fn writes_nothing_when_dropped(bed: &TestBed) -> Outcome {
    let (store, observed) = watched(bed).await?;
    let a = key("a")?;
    let mut writer = BufferedWriter::new(store.clone(), never());
    writer.put(&a, samples(&[(1, "x"), (2, "x")])?).await?;
    drop(writer);
    check_eq(observed.appends().len(), 0, "writes")?;
    store.write(&a, samples(&[(3, "x")])?).await?;
    check_eq(count(&store, "a").await?, 1, "rows that are stored")
}
