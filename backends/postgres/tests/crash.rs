//! A server that ends without a word and comes back, again and again, while many write and somebody resolves.
//!
//! `METAXY_PROCESSES_WRITES` sets how often each of the 16 writers writes (60), `METAXY_PROCESSES_CRASHES` how often the server ends (20).

#![allow(clippy::unwrap_used)] // a test panics where something is wrong

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::{AsArray, Int64Array};
use futures::executor::block_on;
use metaxy_conformance::cluster::Cluster;
use metaxy_conformance::processes::{Mark, derived, raw, samples, size, store};
use metaxy_postgres::PostgresConfig;
use metaxy_store::{Access, ErrorKind, ReadOptions, ResolveOptions, Rows};

const WRITERS: i64 = 16;

/// Rows of each write: half a write shows.
const ROWS: usize = 2;

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_there_twice() {
    let writes = size("WRITES", 60);
    let crashes = size("CRASHES", 20);
    let cluster = Cluster::start().unwrap();
    let config = PostgresConfig::new(cluster.url())
        .unwrap()
        .with_pool_size(WRITERS as u32 + 2);
    let backend = config
        .with_connect_timeout(Duration::from_secs(30))
        .open(Access::Write);
    let store = store(Arc::new(backend), Access::Write);
    block_on(store.write(&raw(), samples((WRITERS, 0), ROWS as i64, Vec::new()))).unwrap();

    let (done, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let over = AtomicBool::new(false);
    let acknowledged: Vec<BTreeSet<Mark>> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (store, done, refused) = (&store, &done, &refused);
                scope.spawn(move || {
                    let mut acknowledged = BTreeSet::new();
                    for mark in (0..writes).map(|write| (writer, write)) {
                        let rows = samples(mark, ROWS as i64, Vec::new());
                        match block_on(store.write(&raw(), rows)) {
                            Ok(_) => {
                                acknowledged.insert(mark);
                            }
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
                                assert!(error.hint().is_some(), "{error}");
                                refused.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    acknowledged
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !over.load(Ordering::Relaxed) {
                // One may be broken off by a crash; one that succeeds is of one moment.
                match block_on(store.resolve_update(&derived(), ResolveOptions::default())) {
                    Ok(increment) => {
                        check_whole(&increment.new);
                        seen += 1;
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Storage, "{error}"),
                }
            }
            seen
        });
        let all = (writes * WRITERS) as usize;
        for crash in 1..=crashes as usize {
            while done.load(Ordering::Relaxed) < all * crash / (crashes as usize + 1) {
                std::thread::sleep(Duration::from_millis(5));
            }
            cluster.crash().unwrap();
        }
        let acknowledged = writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect();
        over.store(true, Ordering::Relaxed);
        let seen = reader.join().unwrap();
        assert!(seen > 0, "no resolve succeeded");
        println!("{seen} resolves, each of one moment");
        acknowledged
    });

    let history = ReadOptions::default().with_sample_history(true);
    let found = block_on(async { store.read(&raw(), history).await?.collect().await }).unwrap();
    let counts = check_whole(&found);
    let acknowledged: BTreeSet<Mark> = acknowledged.into_iter().flatten().collect();
    println!(
        "{crashes} crashes, {} writes acknowledged, {} refused, {} stored",
        acknowledged.len(),
        refused.into_inner(),
        counts.len() - 1
    );
    let lost: Vec<&Mark> = acknowledged
        .iter()
        .filter(|mark| !counts.contains_key(mark))
        .collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    // What was refused was said not to be written, and is not there.
    let known = acknowledged.len() + 1;
    assert_eq!(counts.len(), known, "a write that was refused is there");
}

/// How many rows of each write are there: all of them, once.
fn check_whole(rows: &Rows) -> BTreeMap<Mark, usize> {
    let mut counts = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for batch in rows.batches() {
        let [own, writers, numbers] = ["id", "writer", "batch"]
            .map(|name| batch.column_by_name(name).unwrap().as_primitive());
        let (own, writers, numbers): (&Int64Array, &Int64Array, &Int64Array) =
            (own, writers, numbers);
        for row in 0..batch.num_rows() {
            *counts
                .entry((writers.value(row), numbers.value(row)))
                .or_insert(0) += 1;
            assert!(ids.insert(own.value(row)), "a sample is there twice");
        }
    }
    for (mark, count) in &counts {
        assert_eq!(*count, ROWS, "rows of write {mark:?}");
    }
    counts
}
