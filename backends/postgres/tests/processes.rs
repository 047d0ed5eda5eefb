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
use metaxy_conformance::processes::scenes::{
    Crowd, assert_made_at_once, assert_missing_store_is_told, assert_reads_are_left,
    assert_whole_or_dropped,
};
use metaxy_conformance::processes::{self, OWN, Place, Process, await_signal, finish_all, signal};
use metaxy_postgres::PostgresConfig;
use metaxy_store::{Access, Backend};
use tempfile::TempDir;

#[test]
#[ignore = "what the other tests start as processes of their own"]
fn a_process_of_the_others() {
    processes::play(open);
}

/// The store whose address is in the folder, or in one above: then its tables are apart from others by their prefix.
fn open(folder: &Path, access: Access) -> Arc<dyn Backend> {
    let site = folder
        .ancestors()
        .find(|site| site.join("address").exists());
    let site = site.unwrap();
    let url = std::fs::read_to_string(site.join("address")).unwrap();
    let config = PostgresConfig::new(&url).unwrap();
    // Other tests run beside these.
    let mut config = config.with_pool_size(2);
    if site != folder {
        let name = folder.file_name().unwrap().to_string_lossy();
        config = config.with_table_prefix(format!("{name}_"));
    }
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
    let folder = folder("at_once");
    Crowd::sized(8, 15, 50, 1, 4).meet(&Place::new(folder.path(), open));
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
fn a_process_may_end_in_the_middle_of_a_read() {
    let folder = folder("left");
    assert_reads_are_left(&Place::new(folder.path(), open), 12);
}

#[test]
fn a_reader_of_a_missing_store_is_told_so() {
    let folder = folder("early");
    assert_missing_store_is_told(&Place::new(folder.path(), open));
}

#[test]
fn who_reads_a_table_while_it_is_dropped_gets_it_whole_or_not_at_all() {
    let folder = folder("dropped");
    assert_whole_or_dropped(&Place::new(folder.path(), open), 50, 5);
}

#[test]
fn processes_that_make_the_tables_at_once_all_succeed() {
    let folder = folder("made");
    // Folders below it are stores in the same database: apart by their prefixes.
    assert_made_at_once(&Place::new(folder.path(), open), OWN / 2, 4, 5);
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
