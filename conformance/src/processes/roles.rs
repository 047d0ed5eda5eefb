//! What the processes do: a name and numbers, separated by spaces.
//!
//! | role | what it does |
//! |---|---|
//! | `writer N WRITES ROWS` | writes as writer N, again and again; from [`OVERWRITING`](super::OVERWRITING) on always the same samples |
//! | `widener N WRITES ROWS` | the same, each time with a column and a member of a struct that were not there before |
//! | `reader N ROWS` | [looks](super::Watch::look) until the sign `done`, and once more |
//! | `worker` | computes the feature downstream until the sign `done`, and once more |
//! | `stuck N ROWS BALLAST` | begins a write of rows with so many bytes each, gives the sign `stuck` in the middle, goes on at the sign `release` |
//! | `creator P PROCESSES ROUNDS ROWS` | makes the stores of the folders `store-0`, `store-1`, …, each at once with the other creators |
//! | `early` | comes before there is a store, gives the sign `told`, and waits until rows are there |
//! | `leaver N PAUSE` | reads the first rows of a table and ends so many milliseconds later, whatever its engine does |
//! | `dropper ROUNDS ROWS` | writes a table and drops it, again and again, then gives the sign `done` |

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use futures::executor::block_on;
use metaxy_store::{
    Access, ErrorKind, Frame, MetadataStore, ReadOptions, ResolveOptions, col, lit,
};

use super::process::{
    FOLDER, ROLE, acknowledge, await_signal, end_with_parent, is_signalled, report, signal,
    wait_until,
};
use super::samples::{Mark, Open, Place, derived, member, overwrites, own, raw, samples};
use super::watch::Watch;

/// Plays the role that this process was started for, on the store that `open` opens; nothing if it was started for none.
///
/// # Panics
/// If something is wrong: then the process fails.
pub fn play(open: Open) {
    let (Ok(role), Some(folder)) = (std::env::var(ROLE), std::env::var_os(FOLDER)) else {
        return;
    };
    end_with_parent();
    let place = Place::new(folder, open);
    let mut words = role.split(' ');
    let name = words.next().unwrap_or_default();
    let numbers: Vec<i64> = words.map(|n| n.parse().unwrap()).collect();
    match (name, numbers.as_slice()) {
        ("writer", [writer, writes, rows]) => write(&place, *writer, *writes, *rows, false),
        ("widener", [writer, writes, rows]) => write(&place, *writer, *writes, *rows, true),
        ("reader", [_, rows]) => read(&place, *rows),
        ("worker", []) => work(&place),
        ("stuck", [writer, rows, ballast]) => get_stuck(&place, *writer, *rows, *ballast),
        ("creator", [process, processes, rounds, rows]) => {
            create(&place, *process, *processes, *rounds, *rows);
        }
        ("leaver", [_, pause]) => leave(&place, *pause),
        ("early", []) => come_early(&place),
        ("dropper", [rounds, rows]) => drop_again(&place, *rounds, *rows),
        other => panic!("no such role: {other:?}"),
    }
}

/// Writes again and again; as a `widener` each time with a column and a member of a struct that were not there before.
fn write(place: &Place, writer: i64, writes: i64, rows: i64, widens: bool) {
    let store = place.store(Access::Write);
    let start = Instant::now();
    for batch in 0..writes {
        let mark = (writer, batch);
        let further = if widens {
            vec![
                (
                    format!("extra_{batch}"),
                    Arc::new(Int64Array::from_value(batch, rows as usize)) as ArrayRef,
                ),
                (
                    "more".into(),
                    member(&format!("m{batch}"), "there", rows as usize),
                ),
            ]
        } else {
            Vec::new()
        };
        block_on(store.write(&raw(), samples(mark, rows, further))).unwrap();
        acknowledge(place.folder(), mark);
        // It reads the whole table, so not after each of many writes.
        if overwrites(&mark) && (batch < 20 || batch % 20 == 19) {
            check_it_won(&store, mark);
        }
    }
    report(&format!("{writes} writes in {:.1?}", start.elapsed()));
}

/// An acknowledged write is newer than all that its writer wrote before.
fn check_it_won(store: &MetadataStore, (writer, batch): Mark) {
    let common = ReadOptions::default().with_filters([col("id").lt(lit(0))]);
    let rows = block_on(async { store.read(&raw(), common).await?.collect().await });
    let rows = rows.unwrap().to_batch().unwrap();
    let [writers, batches] =
        ["writer", "batch"].map(|name| rows.column_by_name(name).unwrap().as_primitive());
    let (writers, batches): (&Int64Array, &Int64Array) = (writers, batches);
    for (by, found) in writers.values().iter().zip(batches.values()) {
        assert!(
            *by != writer || *found == batch,
            "write {found} of {writer} is current after write {batch} was acknowledged"
        );
    }
}

/// Looks until all is done, and once more.
fn read(place: &Place, rows: i64) {
    let store = place.store(Access::Read);
    let mut watch = Watch::new(rows);
    let mut done = false;
    while !done {
        done = is_signalled(place.folder(), "done");
        watch.look(&store, place.folder());
    }
    report(&watch.summary());
    assert!(watch.violations().is_empty(), "{:#?}", watch.violations());
    assert!(!watch.seen().is_empty(), "nothing was seen");
}

fn leave(place: &Place, pause: i64) {
    end_slowly();
    let store = place.store(Access::Read);
    let mut rows = block_on(store.read(&raw(), ReadOptions::default())).unwrap();
    assert!(block_on(rows.next()).unwrap().is_some());
    drop(rows);
    report("left");
    std::thread::sleep(Duration::from_millis(pause as u64));
    std::process::exit(0)
}

/// The process takes longer to end, after everything that libraries do then: threads that are still at work meet what is gone.
#[cfg(unix)]
#[allow(unsafe_code)]
fn end_slowly() {
    unsafe extern "C" {
        fn atexit(callback: extern "C" fn()) -> std::ffi::c_int;
    }
    extern "C" fn rest() {
        std::thread::sleep(Duration::from_millis(100));
    }
    // SAFETY: the function has no arguments, and is there for as long as the process.
    assert_eq!(unsafe { atexit(rest) }, 0);
}

#[cfg(not(unix))]
fn end_slowly() {}

/// Computes downstream samples until all is done, and once more; then nothing is left to do.
fn work(place: &Place) {
    let store = place.store(Access::Write);
    let (mut rounds, mut rows) = (0, 0);
    let mut done = false;
    while !done {
        done = is_signalled(place.folder(), "done");
        match block_on(store.resolve_update(&derived(), ResolveOptions::default())) {
            Ok(increment) => {
                let work = increment.new_and_stale();
                rows += work.num_rows();
                rounds += 1;
                if !work.is_empty() {
                    block_on(store.write(&derived(), work)).unwrap();
                }
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::FeatureNotFound, "{error}"),
        }
    }
    let rest = block_on(store.resolve_update(&derived(), ResolveOptions::default())).unwrap();
    assert!(rest.is_empty(), "{:?} is left", rest.counts());
    report(&format!("{rows} rows written in {rounds} rounds"));
}

/// Begins a write, gives the sign `stuck` in the middle of it, and goes on at the sign `release`. Each row carries so many bytes.
fn get_stuck(place: &Place, writer: i64, rows: i64, ballast: i64) {
    let store = place.store(Access::Write);
    let mark = (writer, 0);
    let heavy = |rows: usize| -> ArrayRef {
        let text = "x".repeat(ballast as usize);
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
            text, rows,
        )))
    };
    let whole = samples(mark, rows, vec![("ballast".into(), heavy(rows as usize))]);
    let schema = whole.schema();
    let here = place.folder().to_owned();
    // Batches are asked for ahead: who is asked for the fifth knows that the first is stored.
    let batches = (0..5).map(move |part| -> metaxy_store::Result<RecordBatch> {
        let most = whole.num_rows() - 1;
        if part == 0 {
            return Ok(whole.slice(0, most));
        }
        if part < 4 {
            return Ok(whole.slice(0, 0));
        }
        signal(&here, "stuck");
        await_signal(&here, "release");
        Ok(whole.slice(most, 1))
    });
    let frame = Frame::new(schema, futures::stream::iter(batches));
    block_on(store.write(&raw(), frame)).unwrap();
    acknowledge(place.folder(), mark);
    report("went on");
}

/// Makes one store after the other, each together with the other creators.
fn create(place: &Place, process: i64, processes: i64, rounds: i64, rows: i64) {
    for round in 0..rounds {
        let here = place.below(&format!("store-{round}"));
        std::fs::create_dir_all(here.folder()).unwrap();
        signal(place.folder(), &format!("ready {round} {process}"));
        wait_until("the other creators", || {
            (0..processes).all(|p| is_signalled(place.folder(), &format!("ready {round} {p}")))
        });
        if (process + round) % 3 == 0 {
            // Whoever looks meanwhile finds nothing, or what is there already.
            let looker = here.store(Access::Read);
            block_on(looker.backend().has_rows(&raw())).unwrap();
        }
        let store = here.store(Access::Write);
        let both = [raw(), own(process)].map(|feature| {
            let rows = samples((process, round), rows, Vec::new());
            (feature, Frame::from(rows))
        });
        let written = block_on(store.write_multi(both.into(), Default::default()));
        written.unwrap_or_else(|e| panic!("round {round}: {e:?} {:?}", e.hint()));
    }
    report(&format!("{rounds} stores made"));
}

/// Comes before there is a store, is told so, and finds it when it is there.
fn come_early(place: &Place) {
    let entries = || -> BTreeSet<OsString> {
        let entries = std::fs::read_dir(place.folder()).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    };
    let before = entries();
    let store = place.store(Access::Read);
    let read = || {
        block_on(async {
            let read = store.read(&raw(), ReadOptions::default()).await?;
            read.collect().await
        })
    };
    let resolve = || block_on(store.resolve_update(&derived(), ResolveOptions::default()));
    for error in [read().unwrap_err(), resolve().unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::FeatureNotFound, "{error}");
        let text = error.to_string();
        assert!(text.contains("has never been written"), "{text}");
        assert!(error.hint().is_some(), "{text}");
    }
    let written = block_on(store.write(&raw(), samples((1, 0), 1, Vec::new())));
    assert_eq!(written.unwrap_err().kind(), ErrorKind::ReadOnly);
    assert_eq!(entries(), before, "a reader made something");
    signal(place.folder(), "told");
    wait_until("the first write", || read().is_ok());
    let (rows, increment) = (read().unwrap(), resolve().unwrap());
    assert_eq!(increment.new.num_rows(), rows.num_rows());
    report(&format!("{} rows found", rows.num_rows()));
}

/// Writes a table and drops it, again and again.
fn drop_again(place: &Place, rounds: i64, rows: i64) {
    let store = place.store(Access::Write);
    for round in 0..rounds {
        block_on(store.write(&raw(), samples((1, round), rows, Vec::new()))).unwrap();
        assert!(block_on(store.drop_feature(&raw())).unwrap());
    }
    signal(place.folder(), "done");
    report(&format!("{rounds} tables dropped"));
}
