//! One table, many processes, on a disk and on S3: whoever writes tries the next version until it is there, whoever reads sees whole
//! writes only, and nobody waits for a lock. Requests may fail, answers may be lost, and processes may be killed.
//!
//! The tests run this binary again, as writers, readers and others ([`metaxy_conformance::processes`]). The server that speaks S3 runs
//! in the test's own process. The sizes can be set:
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `METAXY_PROCESSES_WRITERS` | processes that write | 8 |
//! | `METAXY_PROCESSES_WRITES` | writes of each of them | 100 |
//! | `METAXY_PROCESSES_BAD_WRITES` | the same while requests fail | 25 |
//! | `METAXY_PROCESSES_ROWS` | rows of each write | 5 |
//! | `METAXY_PROCESSES_KILLS` | processes that are killed on a disk | 50 |
//! | `METAXY_PROCESSES_KILLS_ON_S3` | processes that are killed in front of S3 | 10 |

#![allow(clippy::unwrap_used, clippy::panic)] // a test panics where something is wrong

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use futures::executor::block_on;
use metaxy_conformance::processes::scenes::{
    Crowd, assert_killed_in_time, assert_made_at_once, assert_missing_store_is_told,
    assert_reads_are_left, assert_whole_or_dropped,
};
use metaxy_conformance::processes::{
    self, OVERWRITING, OWN, Place, Process, ROLE, acknowledged_of, await_signal, finish_all, raw,
    report, samples, signal, size, wait_until,
};
use metaxy_delta::DeltaConfig;
use metaxy_store::{Access, Backend, DeleteOptions, MaintainOptions, ReadOptions, Rows, col, lit};
use object_store::local::LocalFileSystem;
use tempfile::TempDir;

use crate::common::{FaultyStore, Shares};

#[path = "../common/mod.rs"]
mod common;

/// Each test of this list, on a disk and on S3.
macro_rules! everywhere {
    ($($name:ident,)*) => {
        mod on_disk {
            $(#[test]
            fn $name() {
                super::$name(&super::Site::on_disk());
            })*
        }

        #[cfg(feature = "s3")]
        mod on_s3 {
            $(#[test]
            fn $name() {
                super::$name(&super::Site::on_s3());
            })*
        }
    };
}

everywhere! {
    every_row_of_many_writers_is_there_once,
    requests_that_fail_cost_no_row_and_double_none,
    readers_see_whole_writes_while_others_write,
    a_killed_writer_leaves_whole_writes_or_nothing,
    processes_that_add_different_columns_all_succeed,
    compaction_beside_writers_loses_nothing_and_doubles_nothing,
    deletes_beside_writers_remove_their_rows_only,
    pruning_beside_writers_keeps_the_latest_rows,
    processes_that_make_the_table_at_once_all_succeed,
    a_process_may_end_in_the_middle_of_a_read,
    a_reader_of_a_missing_store_is_told_so,
    who_reads_a_table_while_it_is_dropped_gets_it_whole_or_not_at_all,
}

#[test]
#[ignore = "what the other tests start as processes of their own"]
fn a_process_of_the_others() {
    let role = std::env::var(ROLE).unwrap_or_default();
    match role.split(' ').collect::<Vec<_>>().as_slice() {
        ["adder", writer, writes, rows] => {
            let [writer, writes, rows] = [writer, writes, rows].map(|n| n.parse().unwrap());
            add_columns(writer, writes, rows);
        }
        _ => processes::play(open),
    }
}

/// The role `adder N WRITES ROWS`: writes again and again, each time with a column that nobody else has.
fn add_columns(writer: i64, writes: i64, rows: i64) {
    let folder = std::env::var_os(processes::FOLDER).unwrap();
    let store = place(Path::new(&folder)).store(Access::Write);
    for batch in 0..writes {
        let column: ArrayRef = Arc::new(Int64Array::from_value(batch, rows as usize));
        let further = vec![(format!("extra_{writer}_{batch}"), column)];
        block_on(store.write(&raw(), samples((writer, batch), rows, further))).unwrap();
    }
    report(&format!("{writes} columns added"));
}

/// Where a test's store is, as the processes find it: a folder for their signs, and a file in it that says the rest.
struct Site {
    folder: TempDir,
    #[cfg(feature = "s3")]
    server: Option<common::s3::Server>,
}

/// The file that says where the store is.
const SITE: &str = "site.toml";

impl Site {
    fn on_disk() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(SITE), "").unwrap();
        Self {
            folder,
            #[cfg(feature = "s3")]
            server: None,
        }
    }

    #[cfg(feature = "s3")]
    fn on_s3() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = common::s3::Server::start();
        let mut site = toml::Table::new();
        site.insert("root".into(), server.root("store").into());
        let options = server.options().into_iter();
        let options: toml::Table = options.map(|(k, v)| (k, v.into())).collect();
        site.insert("options".into(), options.into());
        std::fs::write(folder.path().join(SITE), site.to_string()).unwrap();
        Self {
            folder,
            server: Some(server),
        }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn place(&self) -> Place {
        place(self.folder())
    }

    fn is_on_s3(&self) -> bool {
        #[cfg(feature = "s3")]
        return self.server.is_some();
        #[cfg(not(feature = "s3"))]
        false
    }

    /// From now on requests go wrong: at the server, or within each process that is started from now on.
    fn set_shares(&self, shares: Shares) {
        #[cfg(feature = "s3")]
        if let Some(server) = &self.server {
            return server.dice().set(shares);
        }
        let Shares {
            refused,
            lost,
            cut,
            slow,
        } = shares;
        let text = match shares == Shares::NONE {
            true => String::new(),
            false => format!("shares = [{refused:?}, {lost:?}, {cut:?}, {slow:?}]"),
        };
        std::fs::write(self.folder().join(SITE), text).unwrap();
    }

    fn start(&self, role: impl Into<String>) -> Process {
        Process::start(self.folder(), role)
    }

    /// Starts writers of these numbers.
    fn writers(&self, numbers: impl Iterator<Item = i64>, writes: i64, rows: i64) -> Vec<Process> {
        numbers
            .map(|writer| self.start(format!("writer {writer} {writes} {rows}")))
            .collect()
    }

    fn acknowledged_of(&self, writer: i64) -> usize {
        acknowledged_of(self.folder(), writer)
    }
}

fn place(folder: &Path) -> Place {
    Place::new(folder, open)
}

/// Opens the store of a folder as the site that it belongs to says.
fn open(folder: &Path, access: Access) -> Arc<dyn Backend> {
    let site = folder.ancestors().find(|folder| folder.join(SITE).exists());
    let site: PathBuf = site.unwrap().join(SITE);
    let site: toml::Table = std::fs::read_to_string(site).unwrap().parse().unwrap();
    if let Some(root) = site.get("root") {
        // Stores of folders below the site's are apart from each other.
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let root = format!("{}/{name}", root.as_str().unwrap());
        let options = site["options"].as_table().unwrap().clone().into_iter();
        let options = options.map(|(k, v)| (k, v.as_str().unwrap().to_owned()));
        let config = DeltaConfig::new(root).with_storage_options(options);
        return Arc::new(config.open(access));
    }
    let tables = folder.join("tables");
    let config = DeltaConfig::new(tables.to_string_lossy());
    let Some(shares) = site.get("shares") else {
        return Arc::new(config.open(access));
    };
    let shares: Vec<f64> = shares.clone().try_into().unwrap();
    let [refused, lost, cut, slow] = shares.try_into().unwrap();
    let shares = Shares {
        refused,
        lost,
        cut,
        slow,
    };
    // Each role has a run of luck of its own, the same each time.
    let role = std::env::var(ROLE).unwrap_or_default();
    let seed = role.bytes().fold(7, |seed: u64, byte| {
        seed.wrapping_mul(31).wrapping_add(byte.into())
    });
    std::fs::create_dir_all(&tables).unwrap();
    let local = LocalFileSystem::new_with_prefix(&tables).unwrap();
    let store = FaultyStore::with_shares(Arc::new(local), shares, seed);
    Arc::new(config.with_object_store(Arc::new(store)).open(access))
}

fn every_row_of_many_writers_is_there_once(site: &Site) {
    let (writers, writes) = (size("WRITERS", 8), size("WRITES", 100));
    write_all(site, writers, writes);
}

fn requests_that_fail_cost_no_row_and_double_none(site: &Site) {
    let (writers, writes) = (size("WRITERS", 8), size("BAD_WRITES", 25));
    site.set_shares(Shares::BAD_DAY);
    write_all(site, writers, writes);
}

/// So many processes write to one table; each of their rows must be there once.
fn write_all(site: &Site, writers: i64, writes: i64) {
    let rows = size("ROWS", 5);
    let start = Instant::now();
    finish_all(site.writers(0..writers, writes, rows));
    let written = start.elapsed();
    // Reads bear what goes wrong as well, but what is there is looked at in peace.
    let seen = site.place().look(rows).seen().len() as i64;
    assert_eq!(seen, writers * writes);
    site.set_shares(Shares::NONE);
    let watch = site.place().look(rows);
    println!("{writers} writers, {writes} writes each, in {written:.1?}");
    assert_eq!(watch.seen().len() as i64, writers * writes);
    assert_eq!(site.place().stored_rows(), writers * writes * rows);
    #[cfg(feature = "s3")]
    if let Some(server) = &site.server {
        let (requests, conflicts) = (server.dice().requests(), server.conflicts());
        println!("{requests} requests, {conflicts} puts turned down");
        assert!(conflicts > 0, "nobody met anybody");
    }
}

fn readers_see_whole_writes_while_others_write(site: &Site) {
    Crowd::new(4, 12, size("ROWS", 5), 1, 1).meet(&site.place());
}

fn a_killed_writer_leaves_whole_writes_or_nothing(site: &Site) {
    let rows = 20;
    let kills = match site.is_on_s3() {
        true => size("KILLS_ON_S3", 10),
        false => size("KILLS", 50),
    };
    // One of them in the middle of rows that arrive slowly.
    let stuck = site.start(format!("stuck 100 {rows} 1000"));
    await_signal(site.folder(), "stuck");
    assert!(!stuck.kill().success());

    // And at any moment of writes that follow each other without a pause.
    let mut random = fastrand::Rng::with_seed(1);
    let victims: Vec<i64> = (101..100 + kills).collect();
    // Two at a time: they meet, and the table stays small.
    for some in victims.chunks(2) {
        let running = site.writers(some.iter().copied(), 999_999, rows);
        for (victim, process) in some.iter().zip(running) {
            wait_until("the victim's first write", || {
                site.acknowledged_of(*victim) >= 1
            });
            std::thread::sleep(Duration::from_micros(random.u64(0..20_000)));
            assert!(!process.kill().success());
        }
    }

    let watch = site.place().look(rows);
    assert_eq!(watch.writes_of(100), 0, "the write that was never finished");
    assert_killed_in_time(&watch, site.folder(), victims);
    let stored = watch.seen().len() as i64 * rows;
    assert_eq!(site.place().stored_rows(), stored);

    // The table works as if nothing had happened, and the files that belong to nobody can be removed.
    finish_all(site.writers([7, 8].into_iter(), 3, rows));
    let options = MaintainOptions::default().with_retention(Duration::ZERO);
    block_on(site.place().store(Access::Write).maintain(options)).unwrap();
    let _ = site.place().look(rows);
    assert_eq!(site.place().stored_rows(), stored + 6 * rows);
}

fn processes_that_add_different_columns_all_succeed(site: &Site) {
    let (writers, writes, rows) = (2, 10, 5);
    let adding = (0..writers).map(|writer| site.start(format!("adder {writer} {writes} {rows}")));
    let mut adding: Vec<Process> = adding.collect();
    // And two that add the same ones, with one that adds none.
    adding.push(site.start(format!("widener 10 {writes} {rows}")));
    adding.push(site.start(format!("widener 11 {writes} {rows}")));
    adding.push(site.start(format!("writer 12 {writes} {rows}")));
    finish_all(adding);

    let found = site.place().current().to_batch().unwrap();
    assert_eq!(found.num_rows() as i64, 5 * writes * rows);
    let numbers = |name: &str| found.column_by_name(name).unwrap().clone();
    let (writer, batch) = (numbers("writer"), numbers("batch"));
    let of = |column: &dyn Array, row| column.as_primitive::<Int64Type>().value(row);
    let check = |name: &str, column: &ArrayRef, writers: &[i64], added: i64| {
        for row in 0..found.num_rows() {
            let by = writers.contains(&of(&writer, row));
            let its_own = by && of(&batch, row) == added;
            assert_eq!(column.is_valid(row), its_own, "{name} in row {row}");
        }
    };
    let more = numbers("more");
    for added in 0..writes {
        for writer in 0..writers {
            let name = format!("extra_{writer}_{added}");
            check(&name, &numbers(&name), &[writer], added);
        }
        let name = format!("extra_{added}");
        check(&name, &numbers(&name), &[10, 11], added);
        let name = format!("m{added}");
        let member = more.as_struct().column_by_name(&name).unwrap();
        let member = arrow::compute::nullif(member, &arrow::compute::is_null(&more).unwrap());
        check(&name, &member.unwrap(), &[10, 11], added);
    }
}

fn compaction_beside_writers_loses_nothing_and_doubles_nothing(site: &Site) {
    let (writers, writes, rows) = (4, 25, 5);
    let reader = site.start(format!("reader 0 {rows}"));
    let writing = site.writers(0..writers, writes, rows);
    let store = site.place().store(Access::Write);
    let mut compacted = 0;
    beside(writing, || {
        let report = block_on(store.maintain(MaintainOptions::default())).unwrap();
        let actions = report.actions.iter();
        compacted += actions.filter(|action| action.name == "compact").count();
    });
    signal(site.folder(), "done");
    println!("{}; {compacted} compactions", reader.finish());
    assert!(compacted > 1, "{compacted} compactions");

    let _ = site.place().look(rows);
    assert_eq!(site.place().stored_rows(), writers * writes * rows);
    // Now that nobody reads, what is no part of the table may go.
    let options = MaintainOptions::default().with_retention(Duration::ZERO);
    block_on(store.maintain(options)).unwrap();
    let _ = site.place().look(rows);
    assert_eq!(site.place().stored_rows(), writers * writes * rows);
}

fn deletes_beside_writers_remove_their_rows_only(site: &Site) {
    let (writers, writes, rows, deleted) = (4, 12, 5, 12);
    let store = site.place().store(Access::Write);
    for batch in 0..deleted {
        block_on(store.write(&raw(), samples((90, batch), rows, Vec::new()))).unwrap();
    }
    let writing = site.writers(0..writers, writes, rows);
    for batch in 0..deleted {
        let these = [col("writer").eq(90), col("batch").eq(batch)];
        let options = match batch % 2 {
            0 => DeleteOptions::hard(),
            _ => DeleteOptions::soft(),
        };
        let gone = block_on(store.delete(&raw(), options.with_filters(these))).unwrap();
        assert_eq!(gone as i64, rows, "of write {batch}");
        block_on(store.maintain(MaintainOptions::default())).unwrap();
    }
    finish_all(writing);
    let left = by_write(&site.place().current());
    let expected = (0..writers).flat_map(|w| (0..writes).map(move |b| (w, b)));
    assert!(left.keys().copied().eq(expected), "{left:?}");
    assert!(left.values().all(|count| *count == rows), "{left:?}");
    // Of the softly deleted ones the history is left.
    let marked = ReadOptions::default()
        .with_soft_deleted(true)
        .with_filters([col("writer").eq(lit(90))]);
    let store = site.place().store(Access::Read);
    let marked = block_on(async { store.read(&raw(), marked).await?.collect().await }).unwrap();
    assert_eq!(marked.num_rows() as i64, deleted / 2 * rows);
}

fn pruning_beside_writers_keeps_the_latest_rows(site: &Site) {
    let (writes, rows) = (20, 5);
    let mut writing = site.writers(OVERWRITING..OVERWRITING + 2, writes, rows);
    writing.extend(site.writers(0..2, writes, rows));
    let store = site.place().store(Access::Write);
    let keep = || MaintainOptions::default().with_keep(std::num::NonZeroU64::MIN);
    let mut pruned = 0;
    beside(writing, || {
        pruned += block_on(store.maintain(keep())).unwrap().rows_pruned();
    });

    let current = by_write(&site.place().current());
    let of = |writer: i64| current.iter().filter(move |((w, _), _)| *w == writer);
    for writer in 0..2 {
        assert_eq!(of(writer).count() as i64, writes, "of writer {writer}");
    }
    // The samples in common come from the last write of one of the two, all of them.
    let common: Vec<_> = of(OVERWRITING).chain(of(OVERWRITING + 1)).collect();
    assert_eq!(common.len(), 1, "{common:?}");
    assert_eq!(common[0].0.1, writes - 1, "{common:?}");
    assert!(current.values().all(|count| *count == rows), "{current:?}");
    assert_eq!(site.place().stored_rows(), (2 * writes + 1) * rows);
    assert_eq!(pruned as i64, (2 * writes - 1) * rows, "rows removed");
}

fn processes_that_make_the_table_at_once_all_succeed(site: &Site) {
    assert_made_at_once(&site.place(), OWN / 2, 5, 5);
}

fn a_process_may_end_in_the_middle_of_a_read(site: &Site) {
    assert_reads_are_left(&site.place(), 12);
}

fn a_reader_of_a_missing_store_is_told_so(site: &Site) {
    assert_missing_store_is_told(&site.place());
}

fn who_reads_a_table_while_it_is_dropped_gets_it_whole_or_not_at_all(site: &Site) {
    assert_whole_or_dropped(&site.place(), 20, 5);
}

/// Does `work` again and again until these processes are done, and once more.
fn beside(processes: Vec<Process>, mut work: impl FnMut()) {
    std::thread::scope(|scope| {
        let all = scope.spawn(|| finish_all(processes));
        while !all.is_finished() {
            work();
        }
        if let Err(panic) = all.join() {
            std::panic::resume_unwind(panic);
        }
    });
    work();
}

/// How many rows there are of each write.
fn by_write(rows: &Rows) -> std::collections::BTreeMap<(i64, i64), i64> {
    let mut counts = std::collections::BTreeMap::new();
    for batch in rows.batches() {
        let [writers, numbers] = ["writer", "batch"].map(|name| {
            let column = batch.column_by_name(name).unwrap();
            column.as_primitive::<Int64Type>().clone()
        });
        for row in 0..batch.num_rows() {
            let write = (writers.value(row), numbers.value(row));
            *counts.entry(write).or_default() += 1;
        }
    }
    counts
}
