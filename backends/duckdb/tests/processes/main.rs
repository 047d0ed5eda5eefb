//! One file, many processes: one writes at a time, the others wait for it, and nobody fails.
//!
//! The tests run this binary again, as writers, readers and others ([`metaxy_conformance::processes`]). The sizes of
//! `processes_take_turns_and_readers_see_whole_writes` can be set:
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `METAXY_PROCESSES_WRITERS` | processes that write | 3 |
//! | `METAXY_PROCESSES_WRITES` | writes of each of them | 6 |
//! | `METAXY_PROCESSES_ROWS` | rows of each write | 50 |
//! | `METAXY_PROCESSES_READERS` | processes that read and resolve in a loop | 1 |
//! | `METAXY_PROCESSES_OVERWRITERS` | how many of the writers write the same samples, again and again | a third of them |
//!
//! What the store is held to, 30,000 rows of 6 writers in front of 3 readers:
//!
//! ```sh
//! METAXY_PROCESSES_WRITERS=6 METAXY_PROCESSES_WRITES=100 METAXY_PROCESSES_READERS=3 \
//!     cargo test -p metaxy-duckdb --test processes take_turns -- --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::panic)] // a test panics where something is wrong

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use metaxy_conformance::processes::scenes::{
    Crowd, assert_killed_in_time, assert_made_at_once, assert_missing_store_is_told,
    assert_reads_are_left,
};
use metaxy_conformance::processes::{
    self, OWN, Place, Process, Watch, acknowledged_of, await_signal, own, raw, samples, signal,
    wait_until,
};
use metaxy_duckdb::DuckDbConfig;
use metaxy_store::{Access, Backend, DeleteOptions, ErrorKind, ReadOptions, Result};

#[test]
#[ignore = "what the other tests start as processes of their own"]
fn a_process_of_the_others() {
    processes::play(open);
}

fn open(folder: &Path, access: Access) -> Arc<dyn Backend> {
    Arc::new(config(folder).open(access))
}

fn config(folder: &Path) -> DuckDbConfig {
    // Other tests run beside these.
    DuckDbConfig::new(file(folder)).with_lock_timeout(Duration::from_secs(100))
}

fn file(folder: &Path) -> PathBuf {
    folder.join("store.duckdb")
}

fn place(folder: &Path) -> Place {
    Place::new(folder, open)
}

#[test]
fn processes_take_turns_and_readers_see_whole_writes() {
    let folder = tempfile::tempdir().unwrap();
    Crowd::sized(3, 6, 50, 1, 3).meet(&place(folder.path()));
}

#[test]
fn a_killed_writer_leaves_the_last_commit_and_stops_nobody() {
    let rows = 1_000;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    Process::start(folder, format!("writer 0 1 {rows}")).finish();
    // In the middle of a write that is larger than what the engine keeps back: 1,000 rows of 20 kB.
    for victim in 100..102 {
        let stuck = Process::start(folder, format!("stuck {victim} {rows} 20000"));
        await_signal(folder, "stuck");
        assert!(!stuck.kill().success());
        std::fs::remove_file(folder.join("stuck")).unwrap();
        assert_eq!(look(folder, rows).seen().len(), 1, "writes after a kill");
    }
    // And at any moment of writes that follow each other without a pause, while another process waits for its turns.
    let victims = 102..106;
    let other = Process::start(folder, format!("writer 1 10 {rows}"));
    for victim in victims.clone() {
        let process = Process::start(folder, format!("writer {victim} 999999 {rows}"));
        wait_until("the victim's first writes", || {
            acknowledged_of(folder, victim) >= 2
        });
        std::thread::sleep(Duration::from_millis(7 * (victim as u64 - 100)));
        assert!(!process.kill().success());
    }
    other.finish();

    let watch = look(folder, rows);
    let seen = |writer| watch.writes_of(writer);
    assert_eq!((seen(0), seen(1)), (1, 10));
    assert_eq!((seen(100), seen(101)), (0, 0), "writes never finished");
    assert_killed_in_time(&watch, folder, victims);
    let stored = place(folder).stored_rows();
    assert_eq!(stored, watch.seen().len() as i64 * rows);
    Process::start(folder, format!("writer 7 1 {rows}")).finish();
    look(folder, rows);
}

#[test]
fn processes_that_make_the_store_at_once_all_succeed() {
    let folder = tempfile::tempdir().unwrap();
    assert_made_at_once(&place(folder.path()), OWN / 2, 4, 5);
}

#[test]
fn a_process_may_end_in_the_middle_of_a_read() {
    let folder = tempfile::tempdir().unwrap();
    assert_reads_are_left(&place(folder.path()), 40);
}

#[test]
fn a_reader_of_a_missing_store_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    assert_missing_store_is_told(&place(folder.path()));
}

#[test]
fn who_cannot_have_the_file_is_told_who_holds_it_and_writes_nothing() {
    let rows = 10;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    Process::start(folder, format!("writer 0 2 {rows}")).finish();
    let stuck = Process::start(folder, format!("stuck 1 {rows} 10"));
    await_signal(folder, "stuck");

    let timeout = Duration::from_millis(150);
    let hasty = |access| {
        let config = config(folder).with_lock_timeout(timeout);
        processes::store(Arc::new(config.open(access)), access)
    };
    let (writer, reader) = (hasty(Access::Write), hasty(Access::Read));
    let refused = |what: &str, work: &dyn Fn() -> Result<()>| {
        let start = Instant::now();
        let error = work().expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Locked, "{what}: {error}");
        let text = error.to_string();
        assert!(text.contains("store.duckdb"), "{what}: {text}");
        // The holder is another process of this program.
        let named = text.contains("PID") && text.contains("processes-");
        assert!(named, "{what}: {text}");
        let hint = error.hint().unwrap_or_default();
        assert!(hint.contains("lock_timeout"), "{what}: {hint}");
        let waited = start.elapsed();
        assert!(waited >= timeout, "{what} did not wait");
        assert!(waited < Duration::from_secs(10), "{what} took {waited:?}");
    };
    let five = || samples((2, 0), 5, Vec::new());
    refused("write", &|| {
        block_on(writer.write(&raw(), five())).map(drop)
    });
    refused("write_multi", &|| {
        let both = vec![(raw(), five().into()), (own(0), five().into())];
        block_on(writer.write_multi(both, Default::default())).map(drop)
    });
    refused("delete", &|| {
        block_on(writer.delete(&raw(), DeleteOptions::default())).map(drop)
    });
    refused("drop_feature", &|| {
        block_on(writer.drop_feature(&raw())).map(drop)
    });
    // Nobody reads beside a writer of another process.
    refused("read", &|| {
        block_on(async {
            let rows = reader.read(&raw(), ReadOptions::default()).await?;
            rows.collect().await.map(drop)
        })
    });

    // One who waits longer gets it when it is let go.
    let patient = place(folder).store(Access::Write);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| block_on(patient.write(&raw(), five())));
        std::thread::sleep(2 * timeout);
        assert!(!waiting.is_finished(), "the file is held");
        signal(folder, "release");
        stuck.finish();
        assert_eq!(waiting.join().unwrap().unwrap().rows, 5);
    });
    assert_eq!(place(folder).stored_rows(), 3 * rows + 5);
    assert_eq!(block_on(writer.feature_schema(&own(0))).unwrap(), None);
}

#[test]
fn a_file_is_let_go_when_nobody_uses_it() {
    let rows = 10;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // These stores stay, each after a look or a write.
    let store = place(folder).store(Access::Write);
    block_on(store.write(&raw(), samples((1, 0), rows, Vec::new()))).unwrap();
    let reader = place(folder).store(Access::Read);
    block_on(reader.backend().has_rows(&raw())).unwrap();
    let start = Instant::now();
    Process::start(folder, format!("writer 2 3 {rows}")).finish();
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(look(folder, rows).seen().len(), 4);
    block_on(store.write(&raw(), samples((1, 1), rows, Vec::new()))).unwrap();
    assert_eq!(look(folder, rows).seen().len(), 5);
}

/// What somebody who comes afterwards finds must be right too.
fn look(folder: &Path, rows: i64) -> Watch {
    place(folder).look(rows)
}
