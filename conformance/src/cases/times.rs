//! The clocks of writers, and which row is the latest (`semantics.md` §5).

use std::sync::Arc;

use arrow::array::{RecordBatch, TimestampMillisecondArray};
use metaxy_store::backend::Backend;
use metaxy_store::clock::Micros;
use metaxy_store::{
    Access, Clock, CopyOptions, DeleteOptions, ErrorKind, MetadataStore, ReadOptions, WriteOptions,
    col,
};

use crate::bed::TestBed;
use crate::bed::frames::{everything, read, samples, stored, texts, times, with_column};
use crate::bed::graphs::{key, pair};
use crate::outcome::{Outcome, check, check_eq, names, refused};

cases! { "times":
    a_write_is_stamped_with_the_clocks_time,
    later_writes_have_later_stamps,
    a_clock_that_stands_still_is_helped_on,
    a_clock_that_goes_back_is_helped_on,
    tombstones_are_later_than_what_they_delete,
    writers_with_different_clocks_win_in_turn,
    another_handle_goes_on_from_the_tables_latest_stamp,
    each_feature_has_its_own_stamps,
    all_rows_of_a_write_have_one_stamp,
    kept_times_decide_by_time,
    of_kept_equal_stamps_the_later_stored_counts,
    a_write_comes_after_kept_times,
    a_write_comes_after_kept_tombstones,
    kept_times_need_no_creation_or_deletion,
    refuses_to_keep_times_that_are_missing,
    refuses_to_keep_times_that_are_none,
    an_exact_stamp_is_taken_as_it_is,
    a_copy_with_history_keeps_times_and_tombstones,
}

/// 1 January 2026, 00:00 UTC.
const NEW_YEAR: Micros = 1_767_225_600_000_000;
const HOUR: Micros = 3_600_000_000;

/// A first write has the clock's time as creation and update (§5).
pub async fn a_write_is_stamped_with_the_clocks_time(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    bed.clock().set(NEW_YEAR + 1);
    store.write(&key("a")?, samples(&[(1, "x")])?).await?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    let expected = [Some(NEW_YEAR + 1)];
    check_eq(rows.times("metaxy_updated_at")?, expected, "updated")?;
    check_eq(rows.times("metaxy_created_at")?, expected, "created")?;
    check_eq(rows.times("metaxy_deleted_at")?, [None], "deleted")
}

/// With a clock that runs, each write is stamped with what it says (§5).
pub async fn later_writes_have_later_stamps(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let mut expected = Vec::new();
    for hour in 0..5 {
        bed.clock().set(NEW_YEAR + hour * HOUR);
        expected.push(NEW_YEAR + hour * HOUR);
        store.write(&key("a")?, samples(&[(1, "x")])?).await?;
    }
    check_eq(stamps(&store).await?, expected, "the stamps")
}

/// While the clock stands still, each stamp is a microsecond after the latest, and the later write wins (§5).
pub async fn a_clock_that_stands_still_is_helped_on(bed: &TestBed) -> Outcome {
    let store = with_clock(bed, backend(bed).await?, at(NEW_YEAR))?;
    for version in ["v1", "v2", "v3"] {
        store.write(&key("a")?, samples(&[(1, version)])?).await?;
        check_eq(current(&store).await?, [format!("1 {version}")], "current")?;
    }
    let expected = [NEW_YEAR, NEW_YEAR + 1, NEW_YEAR + 2];
    check_eq(stamps(&store).await?, expected, "the stamps")
}

/// A write after the clock was turned back still wins over those before (§5).
pub async fn a_clock_that_goes_back_is_helped_on(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    bed.clock().set(NEW_YEAR);
    store
        .write(&key("a")?, samples(&[(1, "before"), (2, "before")])?)
        .await?;
    bed.clock().set(NEW_YEAR - 24 * HOUR);
    store.write(&key("a")?, samples(&[(1, "after")])?).await?;
    store.write(&key("a")?, samples(&[(3, "after")])?).await?;
    let expected = ["1 after", "2 before", "3 after"];
    check_eq(current(&store).await?, expected, "the samples")?;
    let expected = [NEW_YEAR, NEW_YEAR, NEW_YEAR + 1, NEW_YEAR + 2];
    check_eq(stamps(&store).await?, expected, "the stamps")?;
    bed.clock().set(NEW_YEAR + HOUR);
    store.write(&key("a")?, samples(&[(4, "x")])?).await?;
    let latest = stamps(&store).await?.pop();
    check_eq(
        latest,
        Some(NEW_YEAR + HOUR),
        "when the clock is ahead again",
    )
}

/// Tombstones, and writes after them, come after all that the table has seen, whatever the clock says (§5).
pub async fn tombstones_are_later_than_what_they_delete(bed: &TestBed) -> Outcome {
    let backend = backend(bed).await?;
    let ahead = with_clock(bed, backend.clone(), at(NEW_YEAR))?;
    let behind = with_clock(bed, backend, at(5))?;
    let a = key("a")?;
    ahead.write(&a, samples(&[(1, "x"), (2, "x")])?).await?;
    let first = DeleteOptions::soft().with_filters([col("id").eq(1)]);
    behind.delete(&a, first).await?;
    check_eq(current(&ahead).await?, ["2 x"], "after a delete")?;
    let rows = read(&ahead, "a", ReadOptions::default().with_soft_deleted(true)).await?;
    check_eq(
        rows.times("metaxy_deleted_at")?,
        [Some(NEW_YEAR + 1), None],
        "deleted",
    )?;
    check_eq(
        rows.times("metaxy_updated_at")?,
        [Some(NEW_YEAR), Some(NEW_YEAR)],
        "updated",
    )?;
    behind.write(&a, samples(&[(1, "back")])?).await?;
    check_eq(current(&ahead).await?, ["1 back", "2 x"], "written again")?;
    let rows = read(&ahead, "a", ReadOptions::default()).await?;
    let updated = rows.times("metaxy_updated_at")?;
    check_eq(
        updated[0],
        Some(NEW_YEAR + 2),
        "the stamp of the last write",
    )
}

/// Of two writers whose clocks differ by a day, each write wins over those before it (§5).
pub async fn writers_with_different_clocks_win_in_turn(bed: &TestBed) -> Outcome {
    let backend = backend(bed).await?;
    let ahead = with_clock(bed, backend.clone(), at(NEW_YEAR + 24 * HOUR))?;
    let behind = with_clock(bed, backend, at(NEW_YEAR))?;
    for round in 0..6 {
        let version = format!("v{round}");
        let writer = [&behind, &ahead][round % 2];
        writer.write(&key("a")?, samples(&[(1, &version)])?).await?;
        for reader in [&ahead, &behind] {
            check_eq(current(reader).await?, [format!("1 {version}")], "current")?;
        }
    }
    let all = stamps(&ahead).await?;
    check(
        all.windows(2).all(|pair| pair[0] < pair[1]),
        format!("two writes have one stamp: {all:?}"),
    )
}

/// A store that is opened later, with a clock that is behind, goes on from the table's latest stamp (§5).
pub async fn another_handle_goes_on_from_the_tables_latest_stamp(bed: &TestBed) -> Outcome {
    let first = with_clock(bed, backend(bed).await?, at(NEW_YEAR))?;
    first.write(&key("a")?, samples(&[(1, "first")])?).await?;
    drop(first);
    let second = with_clock(bed, backend(bed).await?, at(7))?;
    second.write(&key("a")?, samples(&[(1, "second")])?).await?;
    check_eq(current(&second).await?, ["1 second"], "the sample")?;
    check_eq(
        stamps(&second).await?,
        [NEW_YEAR, NEW_YEAR + 1],
        "the stamps",
    )
}

/// What one table has seen does not move the stamps of another (§5).
pub async fn each_feature_has_its_own_stamps(bed: &TestBed) -> Outcome {
    let backend = backend(bed).await?;
    let ahead = with_clock(bed, backend.clone(), at(NEW_YEAR))?;
    let behind = with_clock(bed, backend, at(7))?;
    ahead.write(&key("a")?, samples(&[(1, "x")])?).await?;
    behind.write(&key("b")?, samples(&[(1, "x")])?).await?;
    let rows = read(&behind, "b", ReadOptions::default()).await?;
    check_eq(rows.times("metaxy_updated_at")?, [Some(7)], "updated")
}

/// The rows of a write have one stamp, however many there are (§5).
pub async fn all_rows_of_a_write_have_one_stamp(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows: Vec<(i64, &str)> = (0..5_000).map(|id| (id, "x")).collect();
    store.write(&key("a")?, samples(&rows)?).await?;
    let mut all = stamps(&store).await?;
    check_eq(all.len(), 5_000, "rows")?;
    all.dedup();
    check_eq(all.len(), 1, "different stamps")
}

/// Of rows that come with their times, those with the latest count, not those that were stored last (§10).
pub async fn kept_times_decide_by_time(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    keep(
        &store,
        timed(&[(1, "new"), (2, "old")], &[NEW_YEAR + 9, NEW_YEAR])?,
    )
    .await?;
    keep(
        &store,
        timed(&[(1, "old"), (2, "new")], &[NEW_YEAR, NEW_YEAR + 9])?,
    )
    .await?;
    check_eq(current(&store).await?, ["1 new", "2 new"], "the samples")?;
    let expected = [NEW_YEAR, NEW_YEAR, NEW_YEAR + 9, NEW_YEAR + 9];
    check_eq(stamps(&store).await?, expected, "the stamps")?;
    // A tombstone of long ago hides nothing written since.
    let gone = timed(&[(1, "gone")], &[NEW_YEAR - 2])?;
    let gone = with_column(&gone, "metaxy_deleted_at", times([NEW_YEAR - 1]))?;
    keep(&store, gone).await?;
    check_eq(current(&store).await?, ["1 new", "2 new"], "the samples")?;
    // One at a later time does, although its row was updated before.
    let gone = timed(&[(1, "gone")], &[NEW_YEAR - 2])?;
    let gone = with_column(&gone, "metaxy_deleted_at", times([NEW_YEAR + 10]))?;
    keep(&store, gone).await?;
    check_eq(current(&store).await?, ["2 new"], "the living")
}

/// Of rows with equal stamps the one stored later counts: by write, by batch, by row (§5).
pub async fn of_kept_equal_stamps_the_later_stored_counts(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows = [(1, "z"), (2, "z"), (2, "b"), (3, "z"), (3, "b"), (3, "m")];
    keep(&store, timed(&rows, &[NEW_YEAR; 6])?).await?;
    check_eq(current(&store).await?, ["1 z", "2 b", "3 m"], "by row")?;
    let batches = vec![
        timed(&[(1, "y"), (3, "y")], &[NEW_YEAR; 2])?,
        timed(&[(1, "c"), (2, "c")], &[NEW_YEAR; 2])?,
    ];
    let schema = batches[0].schema();
    keep(&store, metaxy_store::Rows::new(schema, batches)).await?;
    check_eq(current(&store).await?, ["1 c", "2 c", "3 y"], "by batch")?;
    for version in ["x", "a", "k"] {
        keep(&store, timed(&[(1, version)], &[NEW_YEAR])?).await?;
        let expected = [format!("1 {version}"), "2 c".into(), "3 y".into()];
        check_eq(current(&store).await?, expected, "by write")?;
    }
    // Another handle, which did not write them, sees the same.
    let again = match store.capabilities().concurrent_writers {
        true => bed.store(pair()?).await?,
        false => {
            drop(store);
            bed.store(pair()?).await?
        }
    };
    check_eq(current(&again).await?, ["1 k", "2 c", "3 y"], "elsewhere")
}

/// A write wins over rows that came with a time in the future (§5).
pub async fn a_write_comes_after_kept_times(bed: &TestBed) -> Outcome {
    let store = with_clock(bed, backend(bed).await?, at(NEW_YEAR))?;
    keep(&store, timed(&[(1, "future")], &[NEW_YEAR + HOUR])?).await?;
    store.write(&key("a")?, samples(&[(1, "now")])?).await?;
    check_eq(current(&store).await?, ["1 now"], "the sample")?;
    check_eq(
        stamps(&store).await?,
        [NEW_YEAR + HOUR, NEW_YEAR + HOUR + 1],
        "the stamps",
    )
}

/// Nor does a tombstone that came with a time in the future hide a write (§5).
pub async fn a_write_comes_after_kept_tombstones(bed: &TestBed) -> Outcome {
    let store = with_clock(bed, backend(bed).await?, at(NEW_YEAR))?;
    let gone = timed(&[(1, "gone")], &[NEW_YEAR - HOUR])?;
    let gone = with_column(&gone, "metaxy_deleted_at", times([NEW_YEAR + HOUR]))?;
    keep(&store, gone).await?;
    check(current(&store).await?.is_empty(), "a deleted sample")?;
    store.write(&key("a")?, samples(&[(1, "back")])?).await?;
    check_eq(current(&store).await?, ["1 back"], "the sample")
}

/// Rows that come with their update only were created then, and are alive (§5).
pub async fn kept_times_need_no_creation_or_deletion(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let millis = TimestampMillisecondArray::from(vec![NEW_YEAR / 1_000]).with_timezone("UTC");
    let rows = with_column(
        &samples(&[(1, "x")])?,
        "metaxy_updated_at",
        Arc::new(millis),
    )?;
    keep(&store, rows).await?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    let expected = [Some(NEW_YEAR)];
    check_eq(rows.times("metaxy_updated_at")?, expected, "updated")?;
    check_eq(rows.times("metaxy_created_at")?, expected, "created")?;
    check_eq(rows.times("metaxy_deleted_at")?, [None], "deleted")
}

/// Asked to keep the times, a write refuses a frame without them (§5).
pub async fn refuses_to_keep_times_that_are_missing(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    store.write(&key("a")?, samples(&[(1, "x")])?).await?;
    let before = stored(&store, "a").await?;
    let options = WriteOptions::default().with_preserve_times(true);
    let rows = samples(&[(2, "x")])?;
    let result = store.write_with(&key("a")?, rows, options).await;
    let error = refused(result, ErrorKind::InvalidFrame)?;
    names(&error, &["metaxy_updated_at", "feature a", "main"])?;
    check_eq(stored(&store, "a").await?, before, "what is stored")
}

/// Times that are to be kept, or a creation time that is given, have to be times: text that looks like one is not (§10).
pub async fn refuses_to_keep_times_that_are_none(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let keep = WriteOptions::default().with_preserve_times(true);
    let good = timed(&[(1, "x")], &[NEW_YEAR])?;
    for (column, options) in [
        ("metaxy_updated_at", keep.clone()),
        ("metaxy_deleted_at", keep.clone()),
        ("metaxy_created_at", keep),
        ("metaxy_created_at", WriteOptions::default()),
    ] {
        let rows = with_column(&good, column, texts(["2026-01-01 00:00:00"]))?;
        let result = store.write_with(&key("a")?, rows, options).await;
        let error = refused(result, ErrorKind::InvalidFrame)?;
        names(&error, &[column, "Utf8", "feature a", "main"])?;
        check(
            !store.has_feature(&key("a")?, false).await?,
            "something was written",
        )?;
    }
    Ok(())
}

/// A replay's exact stamp is taken as it is, also before the table's latest; time decides then (§10).
pub async fn an_exact_stamp_is_taken_as_it_is(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    let write = async |version: &str, at: Micros| -> Outcome {
        let options = WriteOptions::default().with_at(at);
        let rows = samples(&[(1, version)])?;
        store.write_with(&a, rows, options).await?;
        Ok(())
    };
    write("noon", NEW_YEAR + 12 * HOUR).await?;
    write("morning", NEW_YEAR + 6 * HOUR).await?;
    check_eq(current(&store).await?, ["1 noon"], "the sample")?;
    store
        .delete(&a, DeleteOptions::soft().with_at(NEW_YEAR + 13 * HOUR))
        .await?;
    check(current(&store).await?.is_empty(), "a deleted sample")?;
    write("before the delete", NEW_YEAR + 12 * HOUR + 1).await?;
    check(current(&store).await?.is_empty(), "a deleted sample")?;
    write("evening", NEW_YEAR + 18 * HOUR).await?;
    check_eq(current(&store).await?, ["1 evening"], "the sample")
}

/// A copy with sample history has the times and tombstones of its source; one that appends the latest rows stamps them anew and keeps the
/// creation time (§10, 64, 65).
pub async fn a_copy_with_history_keeps_times_and_tombstones(bed: &TestBed) -> Outcome {
    let source = bed.builder("source").await?.with_graph(pair()?).build()?;
    let a = key("a")?;
    bed.clock().set(NEW_YEAR);
    source.write(&a, samples(&[(1, "x"), (2, "x")])?).await?;
    source.write(&a, samples(&[(1, "y")])?).await?;
    let second = DeleteOptions::soft().with_filters([col("id").eq(2)]);
    source.delete(&a, second).await?;
    bed.clock().set(NEW_YEAR + HOUR);

    let whole = bed.builder("whole").await?.with_graph(pair()?).build()?;
    let history = CopyOptions::default().with_sample_history(true);
    whole.copy_from(&source, history).await?;
    check_eq(
        stored(&whole, "a").await?,
        stored(&source, "a").await?,
        "all rows",
    )?;
    check_eq(current(&whole).await?, ["1 y"], "the living")?;

    let plain = bed.builder("plain").await?.with_graph(pair()?).build()?;
    let append = CopyOptions::default().with_append(true);
    plain.copy_from(&source, append).await?;
    let rows = read(&plain, "a", everything()).await?;
    check_eq(rows.lines(&SEEN)?, ["1 y"], "what a plain copy has")?;
    let theirs = read(&source, "a", ReadOptions::default()).await?;
    check_eq(
        rows.times("metaxy_created_at")?,
        theirs.times("metaxy_created_at")?,
        "created",
    )?;
    check_eq(
        rows.times("metaxy_updated_at")?,
        [Some(NEW_YEAR + HOUR)],
        "updated",
    )
}

const SEEN: [&str; 2] = ["id", "metaxy_provenance_by_field.default"];

/// A clock that stands still.
fn at(now: Micros) -> Clock {
    Clock::from_fn(move || now)
}

async fn backend(bed: &TestBed) -> Outcome<Arc<dyn Backend>> {
    Ok(bed.backend("main", Access::Write).await?)
}

/// A store over `backend` with a clock of its own.
fn with_clock(bed: &TestBed, backend: Arc<dyn Backend>, clock: Clock) -> Outcome<MetadataStore> {
    let builder = bed.over(backend).with_graph(pair()?);
    Ok(builder.with_clock(clock).build()?)
}

/// Samples of `a` that were updated at these times.
fn timed(rows: &[(i64, &str)], updated: &[Micros]) -> Outcome<RecordBatch> {
    let updated = times(updated.iter().copied());
    Ok(with_column(&samples(rows)?, "metaxy_updated_at", updated)?)
}

/// Writes rows with the times that they have.
async fn keep(store: &MetadataStore, rows: impl Into<metaxy_store::Frame>) -> Outcome {
    let options = WriteOptions::default().with_preserve_times(true);
    store.write_with(&key("a")?, rows, options).await?;
    Ok(())
}

async fn current(store: &MetadataStore) -> Outcome<Vec<String>> {
    read(store, "a", ReadOptions::default()).await?.lines(&SEEN)
}

/// When the rows of `a` were updated, ascending.
async fn stamps(store: &MetadataStore) -> Outcome<Vec<Micros>> {
    let rows = read(store, "a", everything()).await?;
    let mut stamps: Vec<Micros> = rows
        .times("metaxy_updated_at")?
        .into_iter()
        .flatten()
        .collect();
    stamps.sort_unstable();
    Ok(stamps)
}
