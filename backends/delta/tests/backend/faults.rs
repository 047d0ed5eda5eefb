//! What the store lies on fails, loses answers, breaks off or is slow: what was written is there once, what is reported as failed is
//! not there, and a read gives all rows or an error.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use futures::executor::block_on;
use metaxy_conformance::bed::frames::samples;
use metaxy_conformance::bed::graphs::{feature, graph, key};
use metaxy_delta::{DeltaConfig, WriteOptions};
use metaxy_store::{
    Access, DeleteOptions, Error, ErrorKind, FeatureKey, HashAlgorithm, MaintainOptions,
    MetadataStore, ReadOptions, Result, col,
};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use tempfile::TempDir;

use crate::common::{Fault, FaultyStore, Request, Shares};

/// Commits.
const LOG: &str = "_delta_log/0";
/// Files of rows.
const ROWS: &str = ".snappy.parquet";

/// For requests that never succeed: a test shall not wait long.
const SHORT: Duration = Duration::from_millis(150);

/// A table on something that fails.
struct Bed {
    faults: FaultyStore,
    store: MetadataStore,
    /// The same without patience.
    hasty: MetadataStore,
    _folder: Option<TempDir>,
}

impl Bed {
    fn new(
        inner: Arc<dyn ObjectStore>,
        folder: Option<TempDir>,
        shares: Shares,
        seed: u64,
    ) -> Self {
        let faults = FaultyStore::with_shares(inner, shares, seed);
        let open = |timeout: Duration| {
            let config = DeltaConfig::new("memory://faulty")
                .with_object_store(Arc::new(faults.clone()))
                .with_write_options(WriteOptions::default().with_row_group_rows(4))
                .with_retry_timeout(timeout);
            let backend = config.open(Access::Write);
            MetadataStore::builder(Arc::new(backend))
                .with_name("faulty")
                .with_graph(graph([feature("a/b", &["default"], &[]).unwrap()]).unwrap())
                .with_hash_algorithm(HashAlgorithm::Xxhash64)
                .build()
                .unwrap()
        };
        Self {
            store: open(Duration::from_secs(60)),
            hasty: open(SHORT),
            faults,
            _folder: folder,
        }
    }

    fn in_memory() -> Self {
        Self::unlucky(Shares::NONE, 0)
    }

    fn unlucky(shares: Shares, seed: u64) -> Self {
        Self::new(Arc::new(InMemory::new()), None, shares, seed)
    }

    fn on_disk() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
        Self::new(Arc::new(local), Some(folder), Shares::NONE, 0)
    }

    /// Writes samples of these IDs.
    fn write(&self, ids: std::ops::Range<i64>) -> Result<()> {
        write(&self.store, ids)
    }

    fn ids(&self) -> Result<Vec<i64>> {
        ids(&self.store)
    }

    /// How many commits there are.
    fn commits(&self) -> usize {
        self.files(".json")
    }

    /// How many files have names that end in this.
    fn files(&self, end: &str) -> usize {
        let list = self.faults.inner().list(None);
        let files: Vec<_> = block_on(list.try_collect()).unwrap();
        let names = files.iter().map(|file| file.location.as_ref());
        names.filter(|name| name.ends_with(end)).count()
    }
}

fn table() -> FeatureKey {
    key("a/b").unwrap()
}

fn write(store: &MetadataStore, ids: std::ops::Range<i64>) -> Result<()> {
    let rows: Vec<(i64, &str)> = ids.map(|id| (id, "x")).collect();
    block_on(store.write(&table(), samples(&rows).unwrap())).map(drop)
}

/// The IDs of all rows that are stored, in order: a row that was stored twice is seen twice.
fn ids(store: &MetadataStore) -> Result<Vec<i64>> {
    let all = ReadOptions::default().with_sample_history(true);
    let rows = block_on(async { store.read(&table(), all).await?.collect().await })?;
    let mut ids = Vec::new();
    for batch in rows.batches() {
        let column = batch.column_by_name("id").unwrap();
        let column = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(column);
        ids.extend_from_slice(column.values());
    }
    ids.sort_unstable();
    Ok(ids)
}

fn all(ids: std::ops::Range<i64>) -> Vec<i64> {
    ids.collect()
}

/// What an error of a write must tell whose cause is what the store lies on.
fn is_clear(error: &Error) {
    names_the_table(error);
    let text = error.to_string();
    assert!(text.contains("faulty"), "the store is not in {text}");
}

/// What any error must tell whose cause is what the store lies on. Rows that fail to come know nothing of the store's name.
fn names_the_table(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Storage, "{error:?}");
    let text = error.to_string();
    assert!(text.contains("a/b"), "the table is not in {text}");
    assert!(error.hint().is_some(), "{text}");
}

#[test]
fn a_commit_that_was_reported_as_failed_is_made_once() {
    for bed in [Bed::in_memory(), Bed::on_disk()] {
        // The first commit, which makes the table, and later ones.
        for round in 0..4 {
            bed.faults.rule(Request::Put, LOG, Fault::Lost, 1);
            bed.write(round * 10..round * 10 + 10).unwrap();
            assert_eq!(bed.faults.ruled(), round as u64 + 1);
            assert_eq!(bed.ids().unwrap(), all(0..round * 10 + 10));
            assert_eq!(bed.commits() as i64, round + 1);
        }
    }
}

#[test]
fn a_commit_that_is_lost_while_its_look_fails_too_is_made_once() {
    let bed = Bed::in_memory();
    bed.write(0..10).unwrap();
    // A look at what became of the commit fails, and breaks off, again and again.
    bed.faults.rule(Request::Put, LOG, Fault::Lost, 1);
    for fault in [Fault::Refused, Fault::Cut, Fault::Refused] {
        bed.faults.rule(Request::Get, LOG, fault, 2);
    }
    bed.write(10..20).unwrap();
    assert_eq!(bed.ids().unwrap(), all(0..20));
    assert_eq!(bed.commits(), 2);
}

#[test]
fn deletes_and_merges_whose_commits_are_lost_are_made_once() {
    let bed = Bed::in_memory();
    for round in 0..4 {
        bed.write(round * 10..round * 10 + 10).unwrap();
    }
    bed.faults.rule(Request::Put, LOG, Fault::Lost, 1);
    let some = DeleteOptions::hard().with_filters([col("id").lt(5)]);
    assert_eq!(block_on(bed.store.delete(&table(), some)).unwrap(), 5);
    assert_eq!(bed.commits(), 5);
    assert_eq!(bed.ids().unwrap(), all(5..40));

    bed.faults.rule(Request::Put, LOG, Fault::Lost, 1);
    let options = MaintainOptions::default();
    let report = block_on(bed.store.maintain(options)).unwrap();
    assert!(report.actions.iter().any(|action| action.name == "compact"));
    assert_eq!(bed.commits(), 6);
    assert_eq!(bed.ids().unwrap(), all(5..40));

    bed.faults.rule(Request::Put, LOG, Fault::Lost, 1);
    assert!(block_on(bed.store.drop_feature(&table())).unwrap());
    assert!(!block_on(bed.store.has_feature(&table(), false)).unwrap());
    bed.faults.rule(Request::Put, LOG, Fault::Lost, 1);
    bed.write(0..3).unwrap();
    assert_eq!(bed.ids().unwrap(), all(0..3));
}

#[test]
fn files_of_rows_whose_put_fails_are_put_again() {
    for bed in [Bed::in_memory(), Bed::on_disk()] {
        for (round, fault) in [Fault::Refused, Fault::Lost].into_iter().enumerate() {
            let round = round as i64;
            bed.faults.rule(Request::Put, ROWS, fault, 3);
            bed.write(round * 10..round * 10 + 10).unwrap();
            assert_eq!(bed.faults.ruled() as i64, 3 * (round + 1));
            assert_eq!(bed.ids().unwrap(), all(0..round * 10 + 10));
            assert_eq!(bed.commits() as i64, round + 1);
        }
    }
}

#[test]
fn a_write_that_runs_out_of_time_says_so_and_leaves_nothing_visible() {
    for bed in [Bed::in_memory(), Bed::on_disk()] {
        for path in [ROWS, LOG] {
            bed.faults
                .rule(Request::Put, path, Fault::Refused, u64::MAX);
            let error = write(&bed.hasty, 0..10).unwrap_err();
            is_clear(&error);
            // A commit may still be on its way; files of rows that nobody knows of do no harm.
            assert_eq!(error.is_retryable(), path == ROWS, "{path}: {error}");
            bed.faults.heal();
            let error = bed.ids().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::FeatureNotFound, "{error}");
            assert!(!block_on(bed.store.has_feature(&table(), false)).unwrap());
        }
        // Nor does anything happen to a table that is there.
        bed.write(0..10).unwrap();
        for path in [ROWS, LOG] {
            bed.faults
                .rule(Request::Put, path, Fault::Refused, u64::MAX);
            is_clear(&write(&bed.hasty, 10..20).unwrap_err());
            let some = DeleteOptions::hard().with_filters([col("id").lt(5)]);
            is_clear(&block_on(bed.hasty.delete(&table(), some)).unwrap_err());
            bed.faults.heal();
            assert_eq!(bed.ids().unwrap(), all(0..10));
            assert_eq!(bed.commits(), 1);
        }
        // Files whose commit may still be on its way stay; they are nobody's, and a vacuum removes them.
        write(&bed.hasty, 10..20).unwrap();
        assert_eq!(bed.ids().unwrap(), all(0..20));
        let options = MaintainOptions::default().with_retention(Duration::ZERO);
        block_on(bed.store.maintain(options)).unwrap();
        assert_eq!(bed.ids().unwrap(), all(0..20));
        assert_eq!(bed.files(ROWS), 1, "all rows are in one file now");
    }
}

#[test]
fn a_write_of_unknown_outcome_may_be_there_and_then_it_is_whole() {
    let bed = Bed::in_memory();
    bed.write(0..10).unwrap();
    assert_eq!(ids(&bed.hasty).unwrap(), all(0..10));
    // The commit is made, but its answer is lost, and nobody can look what became of it. The first look comes before it.
    bed.faults.rule(Request::Put, LOG, Fault::Lost, 1);
    let next = "00000000000000000001.json";
    bed.faults.rule(Request::Get, next, Fault::Slow, 1);
    bed.faults
        .rule(Request::Get, next, Fault::Refused, u64::MAX);
    let error = write(&bed.hasty, 10..20).unwrap_err();
    is_clear(&error);
    assert!(!error.is_retryable(), "{error}");
    bed.faults.heal();
    // So its files must stay.
    assert_eq!(bed.ids().unwrap(), all(0..20));
    assert_eq!((bed.commits(), bed.files(ROWS)), (2, 2));
}

#[test]
fn a_read_that_fails_is_an_error_and_never_less_rows() {
    for bed in [Bed::in_memory(), Bed::on_disk()] {
        for round in 0..3 {
            bed.write(round * 10..round * 10 + 10).unwrap();
        }
        for (path, fault) in [
            (ROWS, Fault::Refused),
            (ROWS, Fault::Cut),
            (LOG, Fault::Refused),
            (LOG, Fault::Cut),
        ] {
            bed.faults.rule(Request::Get, path, fault, u64::MAX);
            let error = ids(&bed.hasty).unwrap_err();
            names_the_table(&error);
            let told = fault == Fault::Cut || error.is_retryable();
            assert!(told, "{path}: {error:?}");
            bed.faults.heal();
            assert_eq!(ids(&bed.hasty).unwrap(), all(0..30));
            // Failures that pass are not heard of.
            bed.faults.rule(Request::Get, path, fault, 3);
            assert_eq!(bed.ids().unwrap(), all(0..30));
            bed.faults.heal();
        }
        // A listing that breaks off, of whoever has not seen the table yet.
        for fault in [Fault::Refused, Fault::Cut] {
            let fresh = Bed::new(bed.faults.inner().clone(), None, Shares::NONE, 0);
            fresh.faults.rule(Request::List, "", fault, u64::MAX);
            names_the_table(&ids(&fresh.hasty).unwrap_err());
            fresh.faults.heal();
            fresh.faults.rule(Request::List, "", fault, 2);
            assert_eq!(fresh.ids().unwrap(), all(0..30));
        }
    }
}

#[test]
fn a_file_that_is_gone_is_an_error_and_never_less_rows() {
    let bed = Bed::in_memory();
    for round in 0..3 {
        bed.write(round * 10..round * 10 + 10).unwrap();
    }
    let inner = bed.faults.inner();
    let files: Vec<_> = block_on(inner.list(None).try_collect()).unwrap();
    let rows = files
        .iter()
        .find(|file| file.location.as_ref().ends_with(ROWS));
    let rows = rows.unwrap().location.clone();
    block_on(object_store::ObjectStoreExt::delete(inner, &rows)).unwrap();
    let error = bed.ids().unwrap_err();
    let kinds = [ErrorKind::Storage, ErrorKind::Corrupt];
    assert!(kinds.contains(&error.kind()), "{error:?}");
    assert!(error.to_string().contains("a/b"), "{error}");
}

#[test]
fn slow_answers_lose_nothing() {
    let slow = Shares {
        slow: 0.3,
        ..Shares::NONE
    };
    let bed = Bed::unlucky(slow, 1);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let bed = &bed;
            scope.spawn(move || {
                for round in 0..5 {
                    let first = (writer * 5 + round) * 10;
                    bed.write(first..first + 10).unwrap();
                }
            });
        }
    });
    assert!(bed.faults.dice().count(Fault::Slow) > 0);
    assert_eq!(bed.ids().unwrap(), all(0..200));
    assert_eq!(bed.commits(), 20);
}

#[test]
fn whatever_goes_wrong_at_random_every_row_is_there_once() {
    let shares = Shares {
        refused: 0.10,
        lost: 0.05,
        cut: 0.05,
        slow: 0.02,
    };
    let (mut refused, mut lost) = (0, 0);
    for seed in 0..12 {
        let bed = Bed::unlucky(shares, seed);
        std::thread::scope(|scope| {
            for writer in 0..3 {
                let bed = &bed;
                scope.spawn(move || {
                    for round in 0..4 {
                        let first = (writer * 4 + round) * 5;
                        let written = bed.write(first..first + 5);
                        written.unwrap_or_else(|e| panic!("seed {seed}: {e:?}"));
                    }
                });
            }
            let bed = &bed;
            scope.spawn(move || {
                for _ in 0..4 {
                    // Whole writes, or no table yet.
                    match bed.ids() {
                        Ok(ids) => assert_eq!(ids.len() % 5, 0, "seed {seed}: {ids:?}"),
                        Err(e) => assert_eq!(e.kind(), ErrorKind::FeatureNotFound, "{seed}: {e:?}"),
                    }
                }
                let maintained = block_on(bed.store.maintain(MaintainOptions::default()));
                maintained.unwrap_or_else(|e| panic!("seed {seed}: {e:?}"));
            });
        });
        assert_eq!(bed.ids().unwrap(), all(0..60), "seed {seed}");
        let some = DeleteOptions::hard().with_filters([col("id").lt(7)]);
        let deleted = block_on(bed.store.delete(&table(), some));
        assert_eq!(deleted.unwrap(), 7, "seed {seed}");
        refused += bed.faults.dice().count(Fault::Refused);
        lost += bed.faults.dice().count(Fault::Lost);
        bed.faults.heal();
        assert_eq!(bed.ids().unwrap(), all(7..60), "seed {seed}");
    }
    println!("{refused} requests refused, {lost} answers lost");
    assert!(refused > 100 && lost > 50, "{refused} refused, {lost} lost");
}
