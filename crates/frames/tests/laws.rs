//! What is written is read back as it was, for random tables of every type: `METAXY_FRAMES_TABLES` says how many.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::unreachable,
    clippy::expect_used
)] // it fails by them

use std::io::{self, Cursor, Write};
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use metaxy_conformance::tables::table;
use metaxy_core::ErrorKind;
use metaxy_frames::{Format, FrameReader, FrameWriter, ReadOptions};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRng, TestRunner};

fn tables() -> u32 {
    let given = std::env::var("METAXY_FRAMES_TABLES").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(300)
}

/// A runner whose tables are the same in every run; more of them go on from there.
fn runner() -> TestRunner {
    let rng = TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let config = Config {
        cases: tables(),
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, rng)
}

/// Where a frame is written.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn written(batch: &RecordBatch, format: Format) -> metaxy_core::Result<Vec<u8>> {
    let out = Shared::default();
    let mut writer = FrameWriter::to_write(out.clone(), "test", format, batch.schema())?;
    let half = batch.num_rows() / 2;
    writer.write(&batch.slice(0, half))?;
    writer.write(&batch.slice(half, batch.num_rows() - half))?;
    writer.finish()?;
    let bytes = out.0.lock().unwrap().clone();
    Ok(bytes)
}

fn read(bytes: Vec<u8>, format: Format, options: &ReadOptions) -> metaxy_core::Result<RecordBatch> {
    let reader = FrameReader::from_read(Cursor::new(bytes), "test", format, options)?;
    let schema = reader.schema();
    let batches = reader.collect::<metaxy_core::Result<Vec<_>>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

/// The first row in which two columns differ.
fn difference(left: &ArrayRef, right: &ArrayRef) -> Option<usize> {
    (0..left.len()).find(|row| left.slice(*row, 1).as_ref() != right.slice(*row, 1).as_ref())
}

fn law(format: Format) {
    let refusals = Mutex::new(0_u32);
    let shapes = (any::<u64>(), 1..4_usize, 1..12_usize, 0..5_usize);
    let run = runner().run(&shapes, |(seed, columns, rows, depth)| {
        let batch = table(seed, columns, rows, depth).unwrap();
        let bytes = match written(&batch, format) {
            Ok(bytes) => bytes,
            // What a format cannot say is refused, with its column.
            Err(error) => {
                prop_assert_eq!(error.kind(), ErrorKind::Unsupported, "{}", error);
                prop_assert!(error.to_string().contains("column 'c"), "{}", error);
                *refusals.lock().unwrap() += 1;
                return Ok(());
            }
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let options = match format {
            Format::Parquet => ReadOptions::default(),
            _ => ReadOptions::default().with_schema_hint(batch.schema()),
        };
        let back = read(bytes, format, &options);
        prop_assert!(
            back.is_ok(),
            "{:?}\n{}\n{}",
            back.err(),
            batch.schema(),
            text
        );
        let back = back.unwrap();
        for (i, (left, right)) in batch.columns().iter().zip(back.columns()).enumerate() {
            prop_assert_eq!(left.data_type(), right.data_type());
            if let Some(row) = difference(left, right) {
                let (left, right) = (left.slice(row, 1), right.slice(row, 1));
                prop_assert!(
                    false,
                    "column {} row {}: {:?} became {:?}\n{}",
                    i,
                    row,
                    left,
                    right,
                    text
                );
            }
        }
        prop_assert_eq!(batch.num_rows(), back.num_rows());
        Ok(())
    });
    if let Err(failed) = run {
        panic!("{format}: {failed}");
    }
    let refused = *refusals.lock().unwrap();
    assert!(
        tables() > 2 * refused,
        "{format}: {refused} tables were refused"
    );
}

#[test]
fn parquet_is_the_identity() {
    law(Format::Parquet);
}

#[test]
fn csv_is_the_identity() {
    law(Format::Csv);
}

#[test]
fn tsv_is_the_identity() {
    law(Format::Tsv);
}

#[test]
fn ndjson_is_the_identity() {
    law(Format::Ndjson);
}

#[test]
fn json_is_the_identity() {
    law(Format::Json);
}

/// Cells that look like numbers, of one column: what nobody knows the type of is written as it was read.
#[test]
fn cells_are_printed_back() {
    let cell = prop_oneof![
        Just(String::new()),
        "-?[0-9]{1,20}",
        "-?[0-9]{1,3}\\.[0-9]{1,3}",
        "[+-]?[0-9]{1,2}[eE][+-]?[0-9]{1,2}",
        Just("NaN".to_owned()),
        Just("007".to_owned()),
        "[a-c]{1,2}",
    ];
    let rows = proptest::collection::vec((cell.clone(), cell), 1..6);
    let run = runner().run(&rows, |rows| {
        let mut text = String::from("a,b\n");
        rows.iter()
            .for_each(|(a, b)| text.push_str(&format!("{a},{b}\n")));
        // A line without anything is no row of two columns.
        let batch = read(
            text.clone().into_bytes(),
            Format::Csv,
            &ReadOptions::default(),
        )
        .unwrap();
        let back = written(&batch, Format::Csv).unwrap();
        prop_assert_eq!(String::from_utf8(back).unwrap(), text);
        Ok(())
    });
    if let Err(failed) = run {
        panic!("{failed}");
    }
}
