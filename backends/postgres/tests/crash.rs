//! A server that ends without a word and comes back, again and again, while many write and somebody resolves.

#![allow(clippy::unwrap_used)] // a test panics where something is wrong

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::executor::block_on;
use metaxy_conformance::cluster::Cluster;
use metaxy_core::append::{Stamp, Times};
use metaxy_core::{Access, Backend, ErrorKind};
use metaxy_postgres::PostgresConfig;
use support::{appended, notes, rows};

const WRITERS: i64 = 16;

/// A size of the test, which can be set from outside.
fn size(name: &str, default: usize) -> usize {
    let given = std::env::var(name).ok();
    given
        .and_then(|given| given.parse().ok())
        .unwrap_or(default)
}

/// Each write has two rows of a note of its own, so that half a write shows.
#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_there_twice() {
    let writes = size("METAXY_CRASH_WRITES", 200);
    let crashes = size("METAXY_CRASH_CRASHES", 20);
    let cluster = Cluster::start().unwrap();
    let config = PostgresConfig::new(cluster.url())
        .unwrap()
        .with_pool_size(WRITERS as u32 + 2);
    let backend = config
        .with_connect_timeout(Duration::from_secs(30))
        .open(Access::Write);
    support::write(&backend, "a", &[(-1, "start")]).unwrap();

    let (done, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let over = AtomicBool::new(false);
    let acknowledged: Vec<BTreeSet<String>> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (backend, done, refused) = (&backend, &done, &refused);
                scope.spawn(move || {
                    let mut acknowledged = BTreeSet::new();
                    for write in 0..writes {
                        let note = format!("{writer}.{write}");
                        let id = writer * 1_000_000 + write as i64 * 2;
                        let rows = notes(&[(id, &note), (id + 1, &note)]);
                        let times = Times::Write(Stamp::AfterAll(1_772_366_400_000_000));
                        match block_on(backend.append(vec![appended("a", rows, times)])) {
                            Ok(_) => {
                                acknowledged.insert(note);
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
                // A read may be broken off by a crash; one that succeeds is of one moment.
                let Ok(found) = rows(&backend, "a", true) else {
                    continue;
                };
                check_whole(&found);
                seen += 1;
            }
            seen
        });
        let all = writes * WRITERS as usize;
        for crash in 1..=crashes {
            while done.load(Ordering::Relaxed) < all * crash / (crashes + 1) {
                std::thread::sleep(Duration::from_millis(5));
            }
            cluster.crash().unwrap();
        }
        let acknowledged = writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect();
        over.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0, "no read succeeded");
        acknowledged
    });

    let found = rows(&backend, "a", false).unwrap();
    let counts = check_whole(&found);
    for note in acknowledged.iter().flatten() {
        assert!(
            counts.contains_key(note.as_str()),
            "{note} was acknowledged and is lost"
        );
    }
    println!(
        "{crashes} crashes, {} writes acknowledged, {} refused, {} stored",
        acknowledged.iter().map(BTreeSet::len).sum::<usize>(),
        refused.into_inner(),
        counts.len() - 1
    );
    // What was refused was said not to be written, and is not there.
    let known = acknowledged.iter().map(BTreeSet::len).sum::<usize>() + 1;
    assert_eq!(counts.len(), known, "a write that was refused is there");
}

/// How often each note is there: of a whole write twice.
fn check_whole(rows: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(row.split_once(' ').unwrap().1).or_insert(0) += 1;
    }
    for (note, count) in &counts {
        let expected = if *note == "start" { 1 } else { 2 };
        assert_eq!(*count, expected, "rows of {note}");
    }
    counts
}
