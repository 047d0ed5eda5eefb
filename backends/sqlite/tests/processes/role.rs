//! What the processes do.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use futures::executor::block_on;
use metaxy_core::{Access, ErrorKind, Frame, MetadataStore, ReadOptions, ResolveOptions, col, lit};

use crate::process::{acknowledge, await_signal, is_signalled, report, signal, wait_until};
use crate::samples::{self, Mark, derived, file, member, own, raw, samples};
use crate::watch::Watch;

/// Plays a role: its name and its numbers, separated by spaces.
pub(crate) fn play(role: &str, folder: &Path) {
    let mut words = role.split(' ');
    let name = words.next().unwrap();
    let numbers: Vec<i64> = words.map(|n| n.parse().unwrap()).collect();
    match (name, numbers.as_slice()) {
        ("writer", [writer, writes, rows]) => write(folder, *writer, *writes, *rows, false),
        ("widener", [writer, writes, rows]) => write(folder, *writer, *writes, *rows, true),
        ("reader", [_, rows]) => read(folder, *rows),
        ("worker", []) => work(folder),
        ("stuck", [writer, rows, ballast]) => get_stuck(folder, *writer, *rows, *ballast),
        ("creator", [process, processes, rounds, rows]) => {
            create(folder, *process, *processes, *rounds, *rows);
        }
        ("early", []) => come_early(folder),
        ("dropper", [rounds, rows]) => drop_again(folder, *rounds, *rows),
        other => panic!("no such role: {other:?}"),
    }
}

/// Writes again and again; as a `widener` each time with a column and a member of a struct that were not there before.
fn write(folder: &Path, writer: i64, writes: i64, rows: i64, widens: bool) {
    let store = samples::open(&file(folder), Access::Write);
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
        acknowledge(folder, mark);
        // It reads the whole table, so not after each of many writes.
        if samples::overwrites(&mark) && (batch < 20 || batch % 20 == 19) {
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
fn read(folder: &Path, rows: i64) {
    let store = samples::open(&file(folder), Access::Read);
    let mut watch = Watch::new(rows);
    let mut done = false;
    while !done {
        done = is_signalled(folder, "done");
        watch.look(&store, folder);
    }
    let Watch {
        looks,
        partial,
        violations,
        ..
    } = &watch;
    let writes = watch.seen().len();
    report(&format!(
        "{looks} looks, {writes} writes seen, {partial} partial reads, {} violations",
        violations.len()
    ));
    assert!(violations.is_empty(), "{violations:#?}");
    assert!(writes > 0, "nothing was seen");
}

/// Computes downstream samples until all is done, and once more; then nothing is left to do.
fn work(folder: &Path) {
    let store = samples::open(&file(folder), Access::Write);
    let (mut rounds, mut rows) = (0, 0);
    let mut done = false;
    while !done {
        done = is_signalled(folder, "done");
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
fn get_stuck(folder: &Path, writer: i64, rows: i64, ballast: i64) {
    let store = samples::open(&file(folder), Access::Write);
    let mark = (writer, 0);
    let heavy = |rows: usize| -> ArrayRef {
        let text = "x".repeat(ballast as usize);
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
            text, rows,
        )))
    };
    let whole = samples(mark, rows, vec![("ballast".into(), heavy(rows as usize))]);
    let schema = whole.schema();
    let (folder, here) = (folder.to_owned(), folder.to_owned());
    // Batches are asked for ahead: who is asked for the fifth knows that the first is stored.
    let batches = (0..5).map(move |part| -> metaxy_core::Result<RecordBatch> {
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
    acknowledge(&folder, mark);
    report("went on");
}

/// Makes one store after the other, each together with the other creators.
fn create(folder: &Path, process: i64, processes: i64, rounds: i64, rows: i64) {
    for round in 0..rounds {
        let path = folder.join(format!("store-{round}.db"));
        signal(folder, &format!("ready {round} {process}"));
        wait_until("the other creators", || {
            (0..processes).all(|p| is_signalled(folder, &format!("ready {round} {p}")))
        });
        if (process + round) % 3 == 0 {
            // Whoever looks meanwhile finds nothing, or what is there already.
            block_on(
                samples::open(&path, Access::Read)
                    .backend()
                    .has_rows(&raw()),
            )
            .unwrap();
        }
        let store = samples::open(&path, Access::Write);
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
fn come_early(folder: &Path) {
    let store = samples::open(&file(folder), Access::Read);
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
    assert!(!file(folder).exists(), "a reader made the file");
    signal(folder, "told");
    wait_until("the first write", || read().is_ok());
    let (rows, increment) = (read().unwrap(), resolve().unwrap());
    assert_eq!(increment.new.num_rows(), rows.num_rows());
    report(&format!("{} rows found", rows.num_rows()));
}

/// Writes a table and drops it, again and again.
fn drop_again(folder: &Path, rounds: i64, rows: i64) {
    let store = samples::open(&file(folder), Access::Write);
    for round in 0..rounds {
        block_on(store.write(&raw(), samples((1, round), rows, Vec::new()))).unwrap();
        assert!(block_on(store.drop_feature(&raw())).unwrap());
    }
    signal(folder, "done");
    report(&format!("{rounds} tables dropped"));
}
