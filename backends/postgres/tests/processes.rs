//! One database, many processes: their writes come one after the other, and whoever reads or resolves sees one moment.
//!
//! The tests run this binary again, as writers, readers and others ([`metaxy_conformance::processes`]). The sizes of
//! `processes_write_at_once_and_readers_see_whole_writes` can be set:
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `METAXY_PROCESSES_WRITERS` | processes that write | 8 |
//! | `METAXY_PROCESSES_WRITES` | writes of each of them | 15 |
//! | `METAXY_PROCESSES_ROWS` | rows of each write | 50 |
//! | `METAXY_PROCESSES_READERS` | processes that read and resolve in a loop | 1 |
//! | `METAXY_PROCESSES_OVERWRITERS` | how many of the writers write the same samples, again and again | a quarter of them |
//!
//! What the store is held to, 16 connections of 200 writes each:
//!
//! ```sh
//! METAXY_PROCESSES_WRITERS=16 METAXY_PROCESSES_WRITES=200 METAXY_PROCESSES_ROWS=5 \
//!     cargo test -p metaxy-postgres --test processes at_once -- --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::panic)] // a test panics where something is wrong

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use metaxy_conformance::cluster::Cluster;
use metaxy_conformance::processes::{
    self, OVERWRITING, Place, Process, await_signal, finish_all, signal, size,
};
use metaxy_core::{Access, Backend};
use metaxy_postgres::PostgresConfig;
use tempfile::TempDir;

#[test]
#[ignore = "what the other tests start as processes of their own"]
fn a_process_of_the_others() {
    processes::play(open);
}

/// The store whose address is in the folder.
fn open(folder: &Path, access: Access) -> Arc<dyn Backend> {
    let url = std::fs::read_to_string(folder.join("address")).unwrap();
    let config = PostgresConfig::new(&url).unwrap();
    // Other tests run beside these.
    let config = config.with_pool_size(2);
    Arc::new(
        config
            .with_lock_timeout(Duration::from_secs(100))
            .open(access),
    )
}

/// A folder for a store in a database of its own.
fn folder(about: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let url = Cluster::shared().unwrap().database(about).unwrap();
    std::fs::write(folder.path().join("address"), url).unwrap();
    folder
}

#[test]
fn processes_write_at_once_and_readers_see_whole_writes() {
    let (writers, writes) = (size("WRITERS", 8), size("WRITES", 15));
    let (rows, readers) = (size("ROWS", 50), size("READERS", 1));
    let overwriters = size("OVERWRITERS", writers / 4);
    let folder = folder("at_once");
    let folder = folder.path();
    let reading =
        (0..readers).map(|reader| Process::start(folder, format!("reader {reader} {rows}")));
    let mut others: Vec<Process> = reading.collect();
    others.push(Process::start(folder, "worker"));
    let writing = (0..writers).map(|writer| {
        let number = match writer < overwriters {
            true => OVERWRITING + writer,
            false => writer,
        };
        Process::start(folder, format!("writer {number} {writes} {rows}"))
    });
    let mut said = finish_all(writing.collect());
    signal(folder, "done");
    said.extend(finish_all(others));
    println!("{}", said.join("\n"));

    let place = Place::new(folder, open);
    let watch = place.look(rows);
    assert_eq!(watch.seen().len() as i64, writers * writes);
    assert_eq!(place.stored_rows(), writers * writes * rows);
    let own = (writers - overwriters) * writes * rows;
    let common = rows * i64::from(overwriters > 0);
    assert_eq!(place.current().num_rows() as i64, own + common);
}

/// Everybody brings columns of their own, and members of a struct: nobody's are lost.
#[test]
fn columns_that_come_at_once_are_all_there() {
    let (writers, writes, rows) = (4, 5, 3);
    let folder = folder("wider");
    let folder = folder.path();
    let reader = Process::start(folder, format!("reader 0 {rows}"));
    let writing = (0..writers)
        .map(|writer| Process::start(folder, format!("widener {writer} {writes} {rows}")));
    finish_all(writing.collect());
    signal(folder, "done");
    reader.finish();
    let place = Place::new(folder, open);
    assert_eq!(place.look(rows).seen().len() as i64, writers * writes);
    let current = place.current();
    for batch in 0..writes {
        assert!(
            current
                .schema()
                .field_with_name(&format!("extra_{batch}"))
                .is_ok()
        );
    }
}

#[test]
fn who_comes_before_the_store_finds_it_when_it_is_there() {
    let folder = folder("early");
    let folder = folder.path();
    let early = Process::start(folder, "early");
    await_signal(folder, "told");
    finish_all(vec![Process::start(folder, "writer 1 1 10")]);
    early.finish();
}

/// A write that ends in the middle, with its process, leaves nothing behind and keeps nobody waiting.
#[test]
fn a_process_that_is_killed_in_the_middle_of_a_write_has_written_nothing() {
    let folder = folder("killed");
    let folder = folder.path();
    for round in 0..3 {
        let stuck = Process::start(folder, format!("stuck {round} 2000 1000"));
        await_signal(folder, "stuck");
        // Others do not wait for it.
        finish_all(vec![Process::start(
            folder,
            format!("writer {} 2 10", round + 10),
        )]);
        assert!(!stuck.kill().success());
        std::fs::remove_file(folder.join("stuck")).unwrap();
        let watch = Place::new(folder, open).look(10);
        assert_eq!(watch.seen().len() as i64, (round + 1) * 2);
    }
}
