//! What a disk changes is an error, and no wrong answer.
//!
//! `METAXY_FLIPS` says how many bits are flipped, one after the other.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::util::display::array_value_to_string;
use futures::executor::block_on;
use metaxy_sqlite::{SqliteBackend, SqliteConfig};
use metaxy_store::backend::append::{Append, Stamp, Times};
use metaxy_store::backend::maintain::Maintenance;
use metaxy_store::plan::{Plan, Relation, Scan};
use metaxy_store::{Access, Backend, Error, ErrorKind, FeatureKey};
use rusqlite::Connection;

/// Where a file says how many bytes of each page are kept free.
const RESERVED: u64 = 20;

fn tables() -> [FeatureKey; 2] {
    ["a/b", "a/c"].map(|key| FeatureKey::new(key).unwrap())
}

fn config(folder: &Path) -> SqliteConfig {
    SqliteConfig::new(file(folder))
}

fn file(folder: &Path) -> PathBuf {
    folder.join("store.db")
}

/// Rows with texts of all lengths: some of them fill several pages.
fn write(backend: &SqliteBackend, table: &FeatureKey, from: i64, rows: i64) -> Result<u64, Error> {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + rows));
    let texts = (from..from + rows).map(|i| match i % 50 {
        0 => format!("{i} ").repeat(8_000),
        _ => format!("{i} ").repeat((i % 50) as usize),
    });
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    let numbers = (from..from + rows).map(|i| i as f64 / 7.0);
    let numbers: ArrayRef = Arc::new(Float64Array::from_iter_values(numbers));
    let batch = RecordBatch::try_from_iter([("id", ids), ("v", texts), ("n", numbers)]).unwrap();
    let append = Append {
        table: table.clone(),
        id_columns: vec!["id".into()],
        rows: batch.into(),
        times: Times::Write(Stamp::AfterAll(1)),
        create: true,
    };
    block_on(backend.append(vec![append])).map(|appended| appended.rows)
}

/// All that the store answers, in a number.
fn answers(backend: &SqliteBackend) -> Result<u64, Error> {
    let mut all = format!("{:?}", block_on(backend.tables())?);
    for table in tables() {
        let Some(schema) = block_on(backend.schema(&table))? else {
            all.push_str("no table");
            continue;
        };
        all.push_str(&format!("{:?}", block_on(backend.has_rows(&table))?));
        for latest_per in [None, Some(vec!["id".to_owned()])] {
            let scan = Scan {
                table: table.clone(),
                feature_version: None,
                as_of: None,
                latest_per,
            };
            let plan = Plan::from(Relation::scan(scan, schema.clone()));
            let rows = block_on(async { backend.query(plan).await?.collect().await })?;
            for batch in rows.batches() {
                for column in batch.columns() {
                    for row in 0..batch.num_rows() {
                        all.push_str(&array_value_to_string(column, row).unwrap());
                        all.push('|');
                    }
                }
            }
        }
    }
    let mut hasher = DefaultHasher::new();
    all.hash(&mut hasher);
    Ok(hasher.finish())
}

fn fill(backend: &SqliteBackend) {
    for table in tables() {
        write(backend, &table, 0, 400).unwrap();
        write(backend, &table, 300, 300).unwrap();
    }
}

fn flip(path: &Path, bit: u64) {
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, bit / 8).unwrap();
    byte[0] ^= 1 << (bit % 8);
    file.write_all_at(&byte, bit / 8).unwrap();
}

fn byte(path: &Path, at: u64) -> u8 {
    fs::read(path).unwrap()[at as usize]
}

/// Bits all over a file of so many bytes, the same in every run.
fn bits(bytes: u64, count: u64) -> impl Iterator<Item = u64> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..count).map(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % (bytes * 8)
    })
}

fn flips() -> u64 {
    std::env::var("METAXY_FLIPS").map_or(60, |count| count.parse().unwrap())
}

/// Of so many flipped bits: how many changed an answer without an error, and how many were told.
fn wrong_and_told(checksums: bool) -> (u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path()).with_checksums(checksums);
    let backend = config.clone().open(Access::Write);
    fill(&backend);
    let right = answers(&backend).unwrap();
    drop(backend);
    let bytes = fs::metadata(file(folder.path())).unwrap().len();
    let (mut wrong, mut told) = (0, 0);
    for bit in bits(bytes, flips()) {
        flip(&file(folder.path()), bit);
        match answers(&config.clone().open(Access::Read)) {
            Ok(answers) if answers == right => {}
            Ok(_) => wrong += 1,
            Err(error) => {
                let kinds = [ErrorKind::Corrupt, ErrorKind::CannotOpen];
                assert!(kinds.contains(&error.kind()) || !checksums, "{error:?}");
                told += 1;
            }
        }
        flip(&file(folder.path()), bit);
    }
    assert_eq!(answers(&config.open(Access::Read)).unwrap(), right);
    println!(
        "checksums {checksums}: {} flips, {wrong} wrong, {told} told",
        flips()
    );
    (wrong, told)
}

#[test]
fn no_flipped_bit_changes_an_answer_unnoticed() {
    let (wrong, told) = wrong_and_told(true);
    assert_eq!(wrong, 0);
    assert!(
        told > flips() / 2,
        "{told}: most bits are of pages that are read"
    );
    // The test sees what goes unnoticed without them.
    assert!(wrong_and_told(false).0 > 0);
}

#[test]
fn a_broken_page_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let backend = config(folder.path()).open(Access::Write);
    fill(&backend);
    drop(backend);
    let path = file(folder.path());
    assert_eq!(byte(&path, RESERVED), 8);
    let middle = fs::metadata(&path).unwrap().len() / 16_384 / 2;
    let of_middle = format!("page {} ", middle + 1);
    for (bit, page) in [
        (middle * 16_384 * 8 + 77, of_middle.as_str()),
        (RESERVED * 8 + 3, "page 1 "),
    ] {
        flip(&path, bit);
        let error = answers(&config(folder.path()).open(Access::Read)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        for word in [page, "store.db", "checksum"] {
            assert!(error.message().contains(word), "{error}");
        }
        assert!(
            error.hint().unwrap().contains("checksums = false"),
            "{error}"
        );
        let anyway = config(folder.path()).with_checksums(false);
        drop(answers(&anyway.open(Access::Read)));
        flip(&path, bit);
    }
    answers(&config(folder.path()).open(Access::Read)).unwrap();
}

#[test]
fn a_flipped_bit_of_the_log_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let backend = config(folder.path()).open(Access::Write);
    fill(&backend);
    let right = answers(&backend).unwrap();
    let log = folder.path().join("store.db-wal");
    let bytes = fs::metadata(&log).unwrap().len();
    assert!(bytes > 1 << 20, "the pages are in the log: {bytes}");
    let mut told = 0;
    for bit in bits(bytes, flips()) {
        // The header is looked at by nobody but a writer, after a crash.
        if bit / 8 < 32 {
            continue;
        }
        flip(&log, bit);
        match answers(&config(folder.path()).open(Access::Read)) {
            Ok(answers) => assert_eq!(answers, right, "bit {bit}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                assert!(error.message().contains("store.db-wal"), "{error}");
                told += 1;
            }
        }
        flip(&log, bit);
    }
    assert!(told > flips() / 4, "{told}");
    assert_eq!(answers(&backend).unwrap(), right);
}

#[test]
fn maintenance_gives_checksums_to_a_file_without() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    let without = config(folder.path())
        .with_checksums(false)
        .open(Access::Write);
    fill(&without);
    let right = answers(&without).unwrap();
    drop(without);
    assert_eq!(byte(&path, RESERVED), 0);

    let backend = config(folder.path()).open(Access::Write);
    assert_eq!(answers(&backend).unwrap(), right, "it is read as it is");
    write(&backend, &tables()[0], 900, 10).unwrap();
    let right = answers(&backend).unwrap();
    // Others look at it meanwhile, and write back what they find in the log.
    let other = config(folder.path()).open(Access::Write);
    assert_eq!(answers(&other).unwrap(), right);
    block_on(backend.maintain(&Maintenance::default())).unwrap();
    assert_eq!(answers(&other).unwrap(), right);
    write(&other, &tables()[1], 900, 300).unwrap();
    let right = answers(&backend).unwrap();
    drop(backend);
    drop(other);
    assert_eq!(byte(&path, RESERVED), 8);
    assert_eq!(
        answers(&config(folder.path()).open(Access::Read)).unwrap(),
        right
    );
    flip(&path, 5 * 16_384 * 8 + 1_000);
    let error = answers(&config(folder.path()).open(Access::Read)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[test]
fn what_another_program_wrote_is_told_and_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let backend = config(folder.path()).open(Access::Write);
    fill(&backend);
    let before = answers(&backend).unwrap();
    drop(backend);
    let other = Connection::open(file(folder.path())).unwrap();
    let changed = other
        .execute("UPDATE a__b SET n = 4.5 WHERE id = 7", [])
        .unwrap();
    assert_eq!(changed, 1, "it reads and writes the file as any other");
    drop(other);

    let error = answers(&config(folder.path()).open(Access::Read)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("metaxy maintain") && hint.contains("checksums = false"),
        "{hint}"
    );

    let mended = config(folder.path())
        .with_checksums(false)
        .open(Access::Write);
    block_on(mended.maintain(&Maintenance::default())).unwrap();
    let right = answers(&mended).unwrap();
    assert_ne!(right, before, "its change is there");
    drop(mended);
    assert_eq!(
        answers(&config(folder.path()).open(Access::Read)).unwrap(),
        right
    );
}
