//! Several writers and readers at once (`semantics.md` §5).

use std::collections::BTreeSet;

use metaxy_store::{
    Clock, ErrorKind, Frame, MetadataStore, ReadOptions, Result, WriteOptions, col,
};
use tokio::task::JoinHandle;

use crate::bed::TestBed;
use crate::bed::frames::{Table, everything, ints, read, samples, with_column};
use crate::bed::graphs::{key, pair};
use crate::outcome::{Outcome, Stop, check, check_eq};

cases! { "concurrency":
    keeps_every_row_of_several_tasks,
    keeps_every_row_of_several_handles,
    creates_a_table_once,
    stamps_after_what_another_handle_wrote,
    shows_whole_writes_to_a_reader,
    adds_different_columns_at_once,
    writes_one_and_several_features_at_once,
}

const TASKS: i64 = 8;
const WRITES: i64 = 10;

async fn joined<T>(tasks: Vec<JoinHandle<Outcome<T>>>) -> Outcome<Vec<T>> {
    let mut all = Vec::new();
    for task in tasks {
        let done = task.await;
        all.push(done.map_err(|e| Stop::failed(format!("a task died: {e}")))??);
    }
    Ok(all)
}

/// Ignored where a second process may be refused: [`capabilities`](super::capabilities) has the rule for that.
fn several_writers(store: &MetadataStore) -> Outcome {
    match store.capabilities().concurrent_writers {
        true => Ok(()),
        false => Err(Stop::ignored("the backend has one writer at a time")),
    }
}

/// A handle on the case's store whose clock stands still.
async fn still(bed: &TestBed) -> Outcome<MetadataStore> {
    let now = bed.clock().peek();
    let builder = bed.builder("main").await?.with_graph(pair()?);
    Ok(builder.with_clock(Clock::from_fn(move || now)).build()?)
}

/// Each task writes its samples one by one: `task * 100 + write`.
fn writers(stores: &[MetadataStore]) -> Vec<JoinHandle<Outcome<()>>> {
    let task = |(task, store): (i64, &MetadataStore)| {
        let store = store.clone();
        tokio::spawn(async move {
            for write in 0..WRITES {
                let rows = samples(&[(task * 100 + write, "x")])?;
                store.write(&key("a")?, rows).await?;
            }
            Ok(())
        })
    };
    (0..).zip(stores).map(task).collect()
}

/// All rows are there; no two writes have one stamp; what a task wrote later has a later stamp.
fn check_writes(rows: &Table) -> Outcome {
    let expected = (0..TASKS).flat_map(|task| (0..WRITES).map(move |write| task * 100 + write));
    check_eq(rows.ids()?, expected.collect::<Vec<_>>(), "the samples")?;
    let stamps = rows.times("metaxy_updated_at")?;
    let distinct: BTreeSet<_> = stamps.iter().collect();
    check_eq(distinct.len(), rows.len(), "distinct stamps")?;
    for (task, stamps) in stamps.chunks(WRITES as usize).enumerate() {
        check(
            stamps.is_sorted(),
            format!("stamps of task {task} in the order of its writes: {stamps:?}"),
        )?;
    }
    Ok(())
}

/// Tasks that share a handle lose nothing, and stamps follow the order of acknowledgement though the clock stands still (§5).
pub async fn keeps_every_row_of_several_tasks(bed: &TestBed) -> Outcome {
    let store = still(bed).await?;
    joined(writers(&vec![store.clone(); TASKS as usize])).await?;
    check_writes(&read(&store, "a", everything()).await?)
}

/// The same with a handle for each task, as several processes have them (§5).
pub async fn keeps_every_row_of_several_handles(bed: &TestBed) -> Outcome {
    let mut stores = Vec::new();
    for _ in 0..TASKS {
        stores.push(still(bed).await?);
    }
    several_writers(&stores[0])?;
    joined(writers(&stores)).await?;
    check_writes(&read(&stores[0], "a", everything()).await?)
}

/// Handles whose first writes meet make one table, with the rows of all (§5).
pub async fn creates_a_table_once(bed: &TestBed) -> Outcome {
    let mut tasks = Vec::new();
    for id in 0..TASKS {
        let store = bed.store(pair()?).await?;
        several_writers(&store)?;
        check(
            !store.has_feature(&key("a")?, false).await?,
            "opened before the table is made",
        )?;
        tasks.push((id, store));
    }
    let reader = bed.store(pair()?).await?;
    let tasks = tasks.into_iter().map(|(id, store)| {
        tokio::spawn(async move {
            store.write(&key("a")?, samples(&[(id, "x")])?).await?;
            Ok(())
        })
    });
    joined(tasks.collect()).await?;
    check_eq(reader.backend().tables().await?.len(), 1, "tables")?;
    let rows = read(&reader, "a", ReadOptions::default()).await?;
    check_eq(rows.ids()?, (0..TASKS).collect::<Vec<_>>(), "the samples")
}

/// Of two handles that were opened before either wrote, the one that writes later wins though its clock is behind (§5).
pub async fn stamps_after_what_another_handle_wrote(bed: &TestBed) -> Outcome {
    let now = bed.clock().peek();
    let handle = async |hours: i64| {
        let builder = bed.builder("main").await?.with_graph(pair()?);
        let clock = Clock::from_fn(move || now + hours * 3_600_000_000);
        builder.with_clock(clock).build()
    };
    let (ahead, behind) = (handle(1).await?, handle(-1).await?);
    let a = key("a")?;
    for (store, version) in [
        (&ahead, "first"),
        (&behind, "second"),
        (&ahead, "third"),
        (&behind, "fourth"),
    ] {
        store.write(&a, samples(&[(1, version)])?).await?;
        for reader in [&ahead, &behind] {
            let rows = read(reader, "a", ReadOptions::default()).await?;
            let found = rows.words("metaxy_provenance_by_field.default")?;
            check_eq(found, [version], "the version that was written last")?;
        }
    }
    let rows = read(&behind, "a", everything()).await?;
    let stamps = rows.times("metaxy_updated_at")?;
    let distinct: BTreeSet<_> = stamps.iter().collect();
    check_eq(distinct.len(), 4, "distinct stamps")
}

/// A reader in the middle of writes sees each of them whole or not at all (§5).
pub async fn shows_whole_writes_to_a_reader(bed: &TestBed) -> Outcome {
    const ROWS: i64 = 500;
    let round = |number: i64| -> Result<_> {
        let rows: Vec<(i64, &str)> = (0..ROWS).map(|id| (id, "x")).collect();
        with_column(&samples(&rows)?, "round", ints(vec![number; ROWS as usize]))
    };
    let (writer, reader) = (bed.store(pair()?).await?, bed.store(pair()?).await?);
    writer.write(&key("a")?, round(0)?).await?;
    let writing = tokio::spawn(async move {
        for number in 1..=12 {
            let rows = round(number)?;
            // In pieces, so that there is a middle to be seen.
            let pieces = (0..5).map(|i| Ok(rows.slice(i * 100, 100)));
            let pieces: Vec<Result<_>> = pieces.collect();
            let frame = Frame::new(rows.schema(), futures::stream::iter(pieces));
            writer.write(&key("a")?, frame).await?;
        }
        Ok(())
    });
    let mut latest = Some(0);
    loop {
        let done = writing.is_finished();
        let rows = read(&reader, "a", ReadOptions::default()).await?;
        check_eq(rows.len(), ROWS as usize, "samples at any time")?;
        let rounds: BTreeSet<_> = rows.ints("round")?.into_iter().collect();
        check_eq(rounds.len(), 1, format!("rounds seen at once: {rounds:?}"))?;
        let seen = rounds.into_iter().next().flatten();
        check(seen >= latest, format!("{seen:?} after {latest:?}"))?;
        latest = seen;
        if done {
            break;
        }
    }
    joined(vec![writing]).await?;
    check_eq(latest, Some(12), "the last write")
}

/// Writers that each add a column of their own at once lose neither columns nor rows (§5).
pub async fn adds_different_columns_at_once(bed: &TestBed) -> Outcome {
    let stores = [bed.store(pair()?).await?, bed.store(pair()?).await?];
    several_writers(&stores[0])?;
    stores[0].write(&key("a")?, samples(&[(0, "x")])?).await?;
    let tasks = stores.iter().zip(["left", "right"]).zip(1..);
    let tasks = tasks.map(|((store, column), task)| {
        let store = store.clone();
        tokio::spawn(async move {
            for write in 0..5 {
                let rows = samples(&[(task * 100 + write, "x")])?;
                let rows = with_column(&rows, column, ints([task]))?;
                store.write(&key("a")?, rows).await?;
            }
            Ok(())
        })
    });
    joined(tasks.collect()).await?;
    for (column, task) in [("left", 1), ("right", 2)] {
        let set = ReadOptions::default().with_filters([col(column).is_not_null()]);
        let rows = read(&stores[0], "a", set).await?;
        let expected: Vec<i64> = (0..5).map(|write| task * 100 + write).collect();
        check_eq(rows.ids()?, expected, format!("samples with {column}"))?;
        check_eq(rows.ints(column)?, vec![Some(task); 5], column)?;
    }
    let rows = read(&stores[1], "a", ReadOptions::default()).await?;
    check_eq(rows.len(), 11, "samples in all")
}

/// Writes of several features and of one, at once, are all done; none of them waits for the other for ever (§5).
pub async fn writes_one_and_several_features_at_once(bed: &TestBed) -> Outcome {
    let stores = [bed.store(pair()?).await?, bed.store(pair()?).await?];
    several_writers(&stores[0])?;
    let [several, single] = stores.clone();
    let several = tokio::spawn(async move {
        for id in 0..WRITES {
            let rows = || samples(&[(id, "x")]);
            let writes = vec![
                (key("a")?, Frame::from(rows()?)),
                (key("b")?, Frame::from(rows()?)),
            ];
            several.write_multi(writes, WriteOptions::default()).await?;
        }
        Ok(())
    });
    let single = tokio::spawn(async move {
        for id in 0..WRITES {
            let feature = if id % 2 == 0 { "a" } else { "b" };
            let rows = samples(&[(100 + id, "x")])?;
            match single.write(&key(feature)?, rows).await {
                Err(e) if e.kind() == ErrorKind::Conflict => {
                    return Err(Stop::failed("a conflict that a retry would have mended"));
                }
                done => done?,
            };
        }
        Ok(())
    });
    joined(vec![several, single]).await?;
    for (feature, odd) in [("a", 0), ("b", 1)] {
        let own = (0..WRITES).filter(|id| id % 2 == odd).map(|id| 100 + id);
        let expected: Vec<i64> = (0..WRITES).chain(own).collect();
        let rows = read(&stores[0], feature, ReadOptions::default()).await?;
        check_eq(rows.ids()?, expected, format!("samples of {feature}"))?;
    }
    Ok(())
}
