//! What several stores are held to in the same way: processes meet, and what they leave is looked at.

use std::path::Path;
use std::time::Instant;

use futures::executor::block_on;
use metaxy_store::{Access, ErrorKind, ReadOptions, ResolveOptions, Result};

use super::{
    OVERWRITING, Place, Process, Watch, acknowledged_of, await_signal, derived, finish_all,
    is_signalled, own, raw, samples, signal, size,
};

/// Processes that write to one store while others read and resolve it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Crowd {
    /// Processes that write.
    pub writers: i64,
    /// Writes of each of them.
    pub writes: i64,
    /// Rows of each write.
    pub rows: i64,
    /// Processes that read and resolve in a loop.
    pub readers: i64,
    /// How many of the writers write the same samples, again and again.
    pub overwriters: i64,
}

impl Crowd {
    /// So many.
    #[must_use]
    pub fn new(writers: i64, writes: i64, rows: i64, readers: i64, overwriters: i64) -> Self {
        Self {
            writers,
            writes,
            rows,
            readers,
            overwriters,
        }
    }

    /// So many, unless it is said otherwise from outside ([`size`]); one of `common` writers writes the same samples as the others of its kind.
    #[must_use]
    pub fn sized(writers: i64, writes: i64, rows: i64, readers: i64, common: i64) -> Self {
        let writers = size("WRITERS", writers);
        let (writes, rows) = (size("WRITES", writes), size("ROWS", rows));
        let (readers, overwriters) = (
            size("READERS", readers),
            size("OVERWRITERS", writers / common),
        );
        Self::new(writers, writes, rows, readers, overwriters)
    }

    /// Lets them work, and looks at what is there afterwards: every row of every write once, each sample current once, and nothing left to
    /// do downstream.
    ///
    /// # Panics
    /// If something is wrong.
    pub fn meet(&self, place: &Place) {
        let folder = place.folder();
        let Self {
            writers,
            writes,
            rows,
            readers,
            overwriters,
        } = *self;
        let start = Instant::now();
        let mut lookers: Vec<Process> = (0..readers)
            .map(|reader| Process::start(folder, format!("reader {reader} {rows}")))
            .collect();
        lookers.push(Process::start(folder, "worker"));
        let numbers = (0..writers - overwriters).chain(OVERWRITING..OVERWRITING + overwriters);
        let writing = numbers
            .map(|writer| Process::start(folder, format!("writer {writer} {writes} {rows}")))
            .collect();
        println!("{}", finish_all(writing).join("\n"));
        let written = start.elapsed();
        signal(folder, "done");
        println!("{}", finish_all(lookers).join("\n"));

        let seen = place.look(rows).seen().len() as i64;
        assert_eq!(seen, writers * writes, "writes");
        let (stored, current) = (place.stored_rows(), place.current().num_rows() as i64);
        println!(
            "{stored} rows ({current} current) of {writers} writers in {written:.1?}, {:.1?} in all",
            start.elapsed()
        );
        assert_eq!(stored, writers * writes * rows, "rows");
        let common = if overwriters > 0 { rows } else { 0 };
        let own = (writers - overwriters) * writes * rows;
        assert_eq!(current, own + common, "each sample once");
        let store = place.store(Access::Read);
        let rest = block_on(store.resolve_update(&derived(), ResolveOptions::default())).unwrap();
        assert!(rest.is_empty(), "{:?}", rest.counts());
    }
}

/// Asserts that of these writers, which were killed, every acknowledged write is there, and at most one that was not acknowledged.
///
/// # Panics
/// If it is not so.
pub fn assert_killed_in_time(watch: &Watch, folder: &Path, victims: impl IntoIterator<Item = i64>) {
    for victim in victims {
        let (seen, told) = (watch.writes_of(victim), acknowledged_of(folder, victim));
        // The last write may have been committed but not acknowledged.
        assert!(
            seen == told || seen == told + 1,
            "{seen} of {told} writes of {victim}"
        );
    }
}

/// Asserts that processes which make one store at the same time all succeed, so many times: what each of them wrote is there.
///
/// # Panics
/// If it is not so.
pub fn assert_made_at_once(place: &Place, processes: i64, rounds: i64, rows: i64) {
    let creators = (0..processes)
        .map(|process| {
            let role = format!("creator {process} {processes} {rounds} {rows}");
            Process::start(place.folder(), role)
        })
        .collect();
    finish_all(creators);
    for round in 0..rounds {
        let store = place.below(&format!("store-{round}")).store(Access::Read);
        let count = |feature| {
            let read = async {
                let rows = store.read(&feature, ReadOptions::default()).await?;
                rows.collect().await
            };
            block_on(read).unwrap().num_rows() as i64
        };
        assert_eq!(count(raw()), processes * rows, "round {round}");
        let all = (0..processes).all(|process| count(own(process)) == rows);
        assert!(all, "round {round}");
    }
}

/// Asserts that who reads before there is a store is told so, and finds it once it is there.
///
/// # Panics
/// If it is not so.
pub fn assert_missing_store_is_told(place: &Place) {
    let early = Process::start(place.folder(), "early");
    await_signal(place.folder(), "told");
    let store = place.store(Access::Write);
    block_on(store.write(&raw(), samples((1, 0), 5, Vec::new()))).unwrap();
    assert!(early.finish().ends_with("5 rows found"));
}

/// Asserts that so many processes which end in the middle of a read, or up to 64 ms later, end well.
///
/// # Panics
/// If it is not so.
pub fn assert_reads_are_left(place: &Place, processes: usize) {
    let leaver = |number| {
        let role = format!("leaver {number} {}", 5 * number % 64);
        Process::start(place.folder(), role)
    };
    Process::start(place.folder(), "writer 0 1 20000").finish();
    let numbers: Vec<usize> = (0..processes).collect();
    for together in numbers.chunks(4) {
        finish_all(together.iter().copied().map(leaver).collect());
    }
}

/// Asserts that who reads a table while another process makes and drops it, so many times, gets it whole or is told that it is gone.
/// Tells how often it was whole, and how often gone.
///
/// # Panics
/// If it is not so.
pub fn assert_whole_or_dropped(place: &Place, drops: i64, rows: i64) -> (usize, usize) {
    let dropper = Process::start(place.folder(), format!("dropper {drops} {rows}"));
    let store = place.store(Access::Read);
    let (mut whole, mut none) = (0, 0);
    while !is_signalled(place.folder(), "done") {
        block_on(store.has_feature(&raw(), false)).unwrap();
        let read = async {
            let found = store.read(&raw(), ReadOptions::default()).await?;
            found.collect().await
        };
        let read: Result<_> = block_on(read);
        match read {
            Ok(found) => {
                assert_eq!(found.num_rows() as i64, rows);
                whole += 1;
            }
            Err(error) => {
                let gone = [ErrorKind::FeatureNotFound, ErrorKind::TableNotFound];
                assert!(gone.contains(&error.kind()), "{error:?}");
                assert!(error.hint().is_some(), "{error}");
                none += 1;
            }
        }
    }
    dropper.finish();
    println!("{whole} reads of a table, {none} of none");
    let left = block_on(store.has_feature(&raw(), false)).unwrap();
    assert!(!left, "it was dropped at last");
    (whole, none)
}
