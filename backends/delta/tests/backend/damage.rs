//! What is damaged is an error that names it, and never another answer: files that are empty, cut or gone, and bits that have changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::{add, batch, key, live, notes};
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Schema;
use futures::executor::block_on;
use metaxy_delta::{DeltaBackend, DeltaConfig, Synchronous, WriteOptions};
use metaxy_store::backend::Access;
use metaxy_store::backend::maintain::Maintenance;
use metaxy_store::plan::{Plan, Relation, Scan};
use metaxy_store::{Backend, Error, ErrorKind, Result};

fn config(folder: &Path) -> DeltaConfig {
    DeltaConfig::new(folder.to_string_lossy()).with_synchronous(Synchronous::Normal)
}

fn open(folder: &Path) -> DeltaBackend {
    config(folder).open(Access::Write)
}

/// The latest rows of the table `a`.
fn rows(folder: &Path) -> Result<RecordBatch> {
    let backend = open(folder);
    let Some(schema) = block_on(backend.schema(&key("a")))? else {
        return Ok(RecordBatch::new_empty(Arc::new(Schema::empty())));
    };
    let scan = Scan {
        latest_per: Some(vec!["id".into()]),
        ..Scan::all(key("a"))
    };
    let rows = block_on(backend.query(Plan::from(Relation::scan(scan, schema))))?;
    block_on(rows.collect())?.to_batch()
}

fn written(writes: i64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for id in 0..writes {
        add(&open(folder.path()), "a", notes(&[(id, "x")])).unwrap();
    }
    folder
}

fn commit(folder: &Path, version: u64) -> PathBuf {
    let name = format!("a.delta/_delta_log/{version:020}.json");
    folder.join(name)
}

/// An error that says which file of which table it is, and what to do.
fn is_told(error: &Error, file: &str) {
    let text = format!("{error} {}", error.hint().unwrap_or_default());
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{text}");
    assert!(text.contains(file) && text.contains("a.delta"), "{text}");
    assert!(error.hint().is_some_and(|hint| hint.len() > 20), "{text}");
}

#[test]
fn a_commit_that_is_empty_cut_or_gone_is_an_error() {
    for version in 0..3 {
        let name = format!("{version:020}.json");
        let damages: [fn(&Path, &[u8]); 4] = [
            |path, _| std::fs::write(path, "").unwrap(),
            |path, bytes| std::fs::write(path, &bytes[..bytes.len() - 9]).unwrap(),
            // All but the last line.
            |path, bytes| {
                let last = bytes.iter().rposition(|byte| *byte == b'\n').unwrap();
                std::fs::write(path, &bytes[..last]).unwrap();
            },
            |path, _| std::fs::write(path, "\n\n").unwrap(),
        ];
        for damage in damages {
            let folder = written(3);
            let path = commit(folder.path(), version);
            damage(&path, &std::fs::read(&path).unwrap());
            is_told(&rows(folder.path()).unwrap_err(), &name);
            // Nor does a write go on from there.
            let written = add(&open(folder.path()), "a", notes(&[(9, "y")]));
            is_told(&written.unwrap_err(), &name);
        }
        if version < 2 {
            let folder = written(3);
            std::fs::remove_file(commit(folder.path(), version)).unwrap();
            is_told(&rows(folder.path()).unwrap_err(), &name);
        }
    }
}

#[test]
fn a_store_that_has_read_a_table_finds_a_later_commit_that_is_empty() {
    let folder = written(2);
    let backend = open(folder.path());
    assert!(block_on(backend.has_rows(&key("a"))).unwrap());
    std::fs::write(commit(folder.path(), 2), "").unwrap();
    let error = block_on(backend.has_rows(&key("a"))).unwrap_err();
    is_told(&error, "00000000000000000002.json");
    // As it says: nothing that was acknowledged is lost.
    std::fs::remove_file(commit(folder.path(), 2)).unwrap();
    assert!(block_on(backend.has_rows(&key("a"))).unwrap());
}

#[test]
fn a_file_with_rows_that_is_empty_or_cut_is_an_error_to_all_who_read_it() {
    for bytes in [0, 4, 600] {
        let folder = written(2);
        let path = live(&folder.path().join("a.delta"))[1]["path"].clone();
        let path = path.as_str().unwrap();
        let file = folder.path().join("a.delta").join(path);
        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, &whole[..bytes]).unwrap();
        is_told(&rows(folder.path()).unwrap_err(), path);
        let backend = open(folder.path());
        let schema = block_on(backend.schema(&key("a"))).unwrap().unwrap();
        let some = metaxy_store::col("note").eq("x").bind(&schema).unwrap();
        let deleted = block_on(backend.delete(&key("a"), Some(&some)));
        is_told(&deleted.unwrap_err(), path);
        let maintained = block_on(backend.maintain(&Maintenance::default()));
        is_told(&maintained.unwrap_err(), path);
    }
}

fn with_checkpoint() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let options = WriteOptions::default().with_property("delta.checkpointInterval", "4");
    let backend = config(folder.path())
        .with_write_options(options)
        .open(Access::Write);
    for id in 0..6 {
        add(&backend, "a", notes(&[(id, "x")])).unwrap();
    }
    folder
}

#[test]
fn a_checkpoint_that_is_empty_or_cut_is_an_error_and_its_hint_is_only_a_hint() {
    let name = "00000000000000000003.checkpoint.parquet";
    let folder = with_checkpoint();
    let right = rows(folder.path()).unwrap();
    let log = folder.path().join("a.delta/_delta_log");
    let (checkpoint, hint) = (log.join(name), log.join("_last_checkpoint"));
    let whole = std::fs::read(&checkpoint).unwrap();
    for bytes in [0, 4, whole.len() - 1] {
        std::fs::write(&checkpoint, &whole[..bytes]).unwrap();
        is_told(&rows(folder.path()).unwrap_err(), name);
    }
    std::fs::write(&checkpoint, &whole).unwrap();
    let pointing = std::fs::read(&hint).unwrap();
    let wrong: [&[u8]; 5] = [
        b"",
        b"{",
        b"{\"version\":2}",
        b"{\"version\":77}",
        &pointing[..9],
    ];
    for text in wrong {
        std::fs::write(&hint, text).unwrap();
        assert_eq!(rows(folder.path()).unwrap(), right);
    }
    std::fs::remove_file(&hint).unwrap();
    assert_eq!(rows(folder.path()).unwrap(), right);
    // As the error says: the commits have all that the checkpoint has.
    std::fs::remove_file(&checkpoint).unwrap();
    assert_eq!(rows(folder.path()).unwrap(), right);
}

/// A table of several files, a large one among them, with a checkpoint and a delete.
fn table_to_damage() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let options = WriteOptions::default()
        .with_property("delta.checkpointInterval", "4")
        .with_row_group_rows(20_000);
    let backend = config(folder.path())
        .with_write_options(options)
        .open(Access::Write);
    let large = 60_000_i64;
    let texts = (0..large).map(|id| format!("note {}", id.wrapping_mul(0x9E37_79B9_7F4A)));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..large))),
        ("note", Arc::new(StringArray::from_iter_values(texts))),
        (
            "score",
            Arc::new(Float64Array::from_iter_values(
                (0..large).map(|id| f64::from(id as i32) / 7.0),
            )),
        ),
    ];
    add(&backend, "a", batch(columns)).unwrap();
    for id in 0..4 {
        add(&backend, "a", notes(&[(large + id, "x"), (-id, "y")])).unwrap();
    }
    let schema = block_on(backend.schema(&key("a"))).unwrap().unwrap();
    let some = metaxy_store::col("id").eq(-2).bind(&schema).unwrap();
    assert_eq!(block_on(backend.delete(&key("a"), Some(&some))).unwrap(), 1);
    folder
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files.sort();
    files
}

/// `METAXY_DELTA_FLIPS=1000` tries so many bits.
#[test]
fn a_bit_that_has_changed_is_an_error_or_changes_nothing() {
    let flips = std::env::var("METAXY_DELTA_FLIPS").ok();
    let flips: u64 = flips.map_or(48, |flips| flips.parse().unwrap());
    let folder = table_to_damage();
    let right = rows(folder.path()).unwrap();
    let files = files(folder.path());
    let mut dice = fastrand::Rng::with_seed(18);
    let (mut told, mut same) = (0, 0);
    for flip in 0..flips {
        // Each file as often as any other, or the large one would get all.
        let file = &files[dice.usize(..files.len())];
        let mut bytes = std::fs::read(file).unwrap();
        let (at, bit) = (dice.usize(..bytes.len()), dice.u8(..8));
        bytes[at] ^= 1 << bit;
        std::fs::write(file, &bytes).unwrap();
        match rows(folder.path()) {
            Ok(found) => {
                let place = format!("flip {flip}: bit {bit} of byte {at} of {}", file.display());
                assert!(found == right, "another answer after {place}");
                same += 1;
            }
            Err(_) => told += 1,
        }
        bytes[at] ^= 1 << bit;
        std::fs::write(file, &bytes).unwrap();
    }
    println!("{flips} flips: {told} errors, {same} right answers, 0 wrong ones");
    assert!(told > flips / 3, "{told} of {flips} were found");
    assert!(rows(folder.path()).unwrap() == right);
}

#[test]
fn a_bit_that_has_changed_is_found_by_who_rewrites_a_file() {
    let folder = table_to_damage();
    let table = folder.path().join("a.delta");
    let large = live(&table)
        .into_iter()
        .max_by_key(|file| file["size"].as_u64());
    let path = large.unwrap()["path"].as_str().unwrap().to_owned();
    let mut bytes = std::fs::read(table.join(&path)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 8;
    std::fs::write(table.join(&path), &bytes).unwrap();
    let backend = open(folder.path());
    let maintained = block_on(backend.maintain(&Maintenance::default()));
    is_told(&maintained.unwrap_err(), &path);
}

#[test]
fn damage_to_what_nobody_reads_is_found_by_who_looks_for_it() {
    let folder = table_to_damage();
    let table = folder.path().join("a.delta");
    let backend = open(folder.path());
    let verified = || block_on(backend.verify(&key("a"))).unwrap();
    assert!(verified().is_empty());
    assert!(block_on(backend.verify(&key("b"))).unwrap().is_empty());
    for file in live(&table) {
        let path = table.join(file["path"].as_str().unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        // The first byte is a mark that no reader looks at.
        for at in [0, last / 3, last] {
            bytes[at] ^= 64;
            std::fs::write(&path, &bytes).unwrap();
            let found = verified();
            assert_eq!(found.len(), 1, "{found:?}");
            let place = found[0].place.clone().unwrap_or_default();
            assert_eq!(Path::new(&place), path);
            bytes[at] ^= 64;
        }
        std::fs::write(&path, &bytes).unwrap();
    }
    assert!(verified().is_empty());
    std::fs::write(commit(folder.path(), 5), "").unwrap();
    let found = verified();
    assert!(
        found.len() == 1 && found[0].problem.contains("0005.json"),
        "{found:?}"
    );
    // A table that is broken is still listed.
    assert_eq!(block_on(open(folder.path()).tables()).unwrap(), ["a"]);
}
