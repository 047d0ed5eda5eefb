//! Which values a table can hold, and how columns grow (`semantics.md` §5, §8, §10; contract of `Backend`).
//!
//! Types that every pipeline uses must survive a round trip, value by value. Others may also be refused, as long as the refusal is
//! clear and nothing is written: what is never right is to store something else.

mod columns;
mod depth;
mod nested;
mod waiting;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array,
    Decimal256Array, DurationMicrosecondArray, FixedSizeBinaryArray, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Time32SecondArray, Time64MicrosecondArray,
    Time64NanosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt8Array, UInt16Array, UInt32Array,
    UInt64Array,
};
use arrow::datatypes::i256;
use metaxy_store::{Error, ErrorKind, MetadataStore, ReadOptions, Result};

use crate::bed::TestBed;
use crate::bed::frames::{ints, read, samples, texts, times, with_column};
use crate::bed::graphs::{key, pair};
use crate::outcome::{Outcome, Stop, check, check_eq, names, report};

pub use columns::{
    a_column_of_nulls_takes_the_tables_type, a_column_of_nulls_waits_for_its_type,
    a_misfit_in_a_later_batch_is_refused_whole, a_missing_column_is_null_in_newer_rows,
    a_new_column_is_null_in_older_rows, narrower_types_fit, structs_grow_by_new_members,
    types_that_do_not_fit_are_refused,
};
pub(crate) use depth::random_tables_survive_or_are_refused;
pub use depth::{
    every_type_survives_at_any_depth_or_is_refused, times_that_nothing_shows_are_refused,
    what_lies_below_a_null_is_in_no_row,
};
pub use nested::{
    lists_survive, maps_survive_or_are_refused,
    other_layouts_of_text_and_binary_are_read_as_text_and_binary,
    repeated_words_survive_or_are_refused, structs_survive, unusual_lists_survive_or_are_refused,
    unusual_structs_survive_or_are_refused,
};
pub use waiting::parts_of_a_column_wait_for_their_types;

cases! { "types":
    truth_values_survive,
    integers_survive,
    unsigned_integers_survive_or_are_refused,
    floats_survive,
    texts_survive,
    a_text_with_a_zero_survives_or_is_refused,
    binaries_survive,
    dates_survive,
    timestamps_survive,
    times_in_other_units_survive_or_are_refused,
    decimals_survive_or_are_refused,
    lists_survive,
    unusual_lists_survive_or_are_refused,
    structs_survive,
    unusual_structs_survive_or_are_refused,
    maps_survive_or_are_refused,
    repeated_words_survive_or_are_refused,
    other_layouts_of_text_and_binary_are_read_as_text_and_binary,
    every_type_survives_at_any_depth_or_is_refused,
    what_lies_below_a_null_is_in_no_row,
    times_that_nothing_shows_are_refused,
    a_column_of_nulls_waits_for_its_type,
    a_column_of_nulls_takes_the_tables_type,
    parts_of_a_column_wait_for_their_types,
    a_new_column_is_null_in_older_rows,
    a_missing_column_is_null_in_newer_rows,
    structs_grow_by_new_members,
    narrower_types_fit,
    types_that_do_not_fit_are_refused,
    a_misfit_in_a_later_batch_is_refused_whole,
}

/// True, false and null (§5).
pub async fn truth_values_survive(bed: &TestBed) -> Outcome {
    let values = BooleanArray::from(vec![Some(true), Some(false), None]);
    survive(bed, vec![("flag", Arc::new(values))]).await
}

/// Signed integers of every width, from the least to the greatest (§5).
pub async fn integers_survive(bed: &TestBed) -> Outcome {
    survive(
        bed,
        vec![
            (
                "i8",
                Arc::new(Int8Array::from(vec![Some(i8::MIN), None, Some(i8::MAX)])),
            ),
            (
                "i16",
                Arc::new(Int16Array::from(vec![Some(i16::MIN), None, Some(i16::MAX)])),
            ),
            (
                "i32",
                Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(i32::MAX)])),
            ),
            (
                "i64",
                ints([Some(i64::MIN), None, Some(i64::MAX), Some(0), Some(-1)]),
            ),
            // More than a floating-point number tells apart.
            ("near", ints([9_007_199_254_740_993, 9_007_199_254_740_992])),
        ],
    )
    .await
}

/// Unsigned integers of every width, from zero to the greatest (contract).
pub async fn unsigned_integers_survive_or_are_refused(bed: &TestBed) -> Outcome {
    survive_or_are_refused(
        bed,
        vec![
            (
                "u8",
                Arc::new(UInt8Array::from(vec![Some(0), None, Some(u8::MAX)])),
            ),
            (
                "u16",
                Arc::new(UInt16Array::from(vec![Some(0), None, Some(u16::MAX)])),
            ),
            (
                "u32",
                Arc::new(UInt32Array::from(vec![Some(0), None, Some(u32::MAX)])),
            ),
            (
                "u64",
                Arc::new(UInt64Array::from(vec![
                    Some(0),
                    None,
                    Some(i64::MAX as u64),
                ])),
            ),
            (
                "u64max",
                Arc::new(UInt64Array::from(vec![Some(0), None, Some(u64::MAX)])),
            ),
        ],
    )
    .await
}

/// Floating-point numbers bit by bit: NaN, infinities, negative zero, the smallest and the greatest (§5).
pub async fn floats_survive(bed: &TestBed) -> Outcome {
    let doubles = [
        Some(0.1),
        Some(-0.0),
        Some(0.0),
        Some(3.0),
        Some(f64::NAN),
        Some(f64::INFINITY),
        Some(f64::NEG_INFINITY),
        Some(f64::MAX),
        Some(f64::MIN),
        Some(f64::MIN_POSITIVE),
        Some(5e-324),
        None,
    ];
    let singles = [
        Some(0.1),
        Some(-0.0),
        Some(f32::NAN),
        Some(f32::INFINITY),
        Some(f32::NEG_INFINITY),
        Some(f32::MAX),
        Some(f32::MIN_POSITIVE),
        None,
    ];
    survive(
        bed,
        vec![
            ("double", Arc::new(Float64Array::from_iter(doubles))),
            ("single", Arc::new(Float32Array::from_iter(singles))),
        ],
    )
    .await
}

/// Texts as they are: empty, long, of other scripts, with quotes, control characters and words that mean something elsewhere (§5).
pub async fn texts_survive(bed: &TestBed) -> Outcome {
    let long = "long ".repeat(50_000);
    let values = texts([
        Some(""),
        None,
        Some(" "),
        Some("null"),
        Some("NaN"),
        Some("it's"),
        Some("say \"hi\""),
        Some("{\"a\": [1]}"),
        Some("tab\tline\nreturn\r"),
        Some("\u{1}\u{7f}"),
        Some("日本語 🎬 e\u{301}"),
        Some("\u{feff}mark"),
        Some("2026-01-01"),
        Some("\\N"),
        Some(&long),
    ]);
    survive(bed, vec![("words", values)]).await
}

/// A text that holds the character zero, which some servers cannot store (contract).
pub async fn a_text_with_a_zero_survives_or_is_refused(bed: &TestBed) -> Outcome {
    let values = texts([Some("before\0after"), Some("\0"), None]);
    survive_or_are_refused(bed, vec![("words", values)]).await
}

/// Bytes as they are; none is not null (§5).
pub async fn binaries_survive(bed: &TestBed) -> Outcome {
    let all: Vec<u8> = (0..=255).collect();
    let values: Vec<Option<&[u8]>> = vec![Some(b""), None, Some(b"\0"), Some(&all), Some(b"\\x00")];
    survive(bed, vec![("bytes", Arc::new(BinaryArray::from(values)))]).await?;
    let fixed: Vec<Option<&[u8]>> = vec![Some(b"\0\xff"), None, Some(b"ab")];
    let fixed = FixedSizeBinaryArray::try_from_sparse_iter_with_size(fixed.into_iter(), 2);
    let fixed: ArrayRef = Arc::new(fixed.map_err(Error::from)?);
    survive_or_are_refused(bed, vec![("fixed", fixed)]).await
}

/// Days from the year 1 to the year 9999 (§5).
pub async fn dates_survive(bed: &TestBed) -> Outcome {
    let days = [
        Some(0),
        Some(-1),
        Some(20_454),
        Some(-719_162),
        Some(2_932_896),
        None,
    ];
    survive(bed, vec![("day", Arc::new(Date32Array::from_iter(days)))]).await?;
    let day = 86_400_000;
    let days = Date64Array::from_iter([Some(0), Some(-day), Some(20_454 * day), None]);
    survive_or_are_refused(bed, vec![("day64", Arc::new(days))]).await
}

/// Moments to the microsecond, with and without a zone, from the year 1 to the year 9999 (§5).
pub async fn timestamps_survive(bed: &TestBed) -> Outcome {
    let moments = || {
        [
            Some(0),
            Some(-1),
            Some(1_767_225_600_123_456),
            Some(-62_135_596_800_000_000),
            Some(253_402_300_799_999_999),
            None,
        ]
    };
    survive(
        bed,
        vec![
            ("zoned", times(moments())),
            (
                "naive",
                Arc::new(TimestampMicrosecondArray::from_iter(moments())),
            ),
        ],
    )
    .await
}

/// Moments in other units and zones, times of day and durations: to the last digit (contract).
pub async fn times_in_other_units_survive_or_are_refused(bed: &TestBed) -> Outcome {
    let at = 1_767_225_600;
    let zone = |zone: &str| {
        let moments = [Some(0), Some(-1), Some(at * 1_000_000 + 1), None];
        TimestampMicrosecondArray::from_iter(moments).with_timezone(zone)
    };
    let millis = [Some(0), Some(-1), Some(at * 1_000 + 123), None];
    let millis = || TimestampMillisecondArray::from_iter(millis);
    let nanos = [
        Some(0),
        Some(-1),
        Some(at * 1_000_000_000 + 123_456_789),
        None,
    ];
    let nanos = || TimestampNanosecondArray::from_iter(nanos);
    let seconds = TimestampSecondArray::from_iter([Some(0), Some(-1), Some(at), None]);
    let of_day = Time32SecondArray::from_iter([Some(0), Some(86_399), None]);
    let micros_of_day = Time64MicrosecondArray::from_iter([Some(0), Some(86_399_999_999), None]);
    let nanos_of_day = Time64NanosecondArray::from_iter([Some(0), Some(86_399_999_999_999), None]);
    let spans = [Some(0), Some(-1), Some(i64::MAX), None];
    survive_or_are_refused(
        bed,
        vec![
            ("seconds", Arc::new(seconds)),
            ("millis", Arc::new(millis())),
            ("millis_utc", Arc::new(millis().with_timezone("UTC"))),
            ("nanos", Arc::new(nanos())),
            ("nanos_utc", Arc::new(nanos().with_timezone("UTC"))),
            ("offset", Arc::new(zone("+02:00"))),
            ("place", Arc::new(zone("Europe/Berlin"))),
            ("of_day", Arc::new(of_day)),
            ("micros_of_day", Arc::new(micros_of_day)),
            ("nanos_of_day", Arc::new(nanos_of_day)),
            ("span", Arc::new(DurationMicrosecondArray::from_iter(spans))),
        ],
    )
    .await
}

/// Decimals with all their digits (contract).
pub async fn decimals_survive_or_are_refused(bed: &TestBed) -> Outcome {
    let short = [
        Some(0),
        Some(-1),
        Some(9_999_999_999),
        Some(-9_999_999_999),
        None,
    ];
    let most = 99_999_999_999_999_999_999_999_999_999_999_999_999_i128;
    let long = [Some(0), Some(1), Some(most), Some(-most), None];
    let short = Decimal128Array::from_iter(short).with_precision_and_scale(10, 2);
    let long = Decimal128Array::from_iter(long);
    let deep = long.clone().with_precision_and_scale(38, 38);
    let whole = long.with_precision_and_scale(38, 0);
    let huge = [Some(i256::from_i128(most)), Some(i256::from_i128(-1)), None];
    let huge = Decimal256Array::from_iter(huge).with_precision_and_scale(60, 5);
    survive_or_are_refused(
        bed,
        vec![
            ("short", Arc::new(short.map_err(Error::from)?)),
            ("deep", Arc::new(deep.map_err(Error::from)?)),
            ("whole", Arc::new(whole.map_err(Error::from)?)),
            ("huge", Arc::new(huge.map_err(Error::from)?)),
        ],
    )
    .await
}

/// Writes each column, reads it back, and compares type and values.
async fn survive(bed: &TestBed, columns: Vec<(&str, ArrayRef)>) -> Outcome {
    let store = bed.store(pair()?).await?;
    for (name, array) in columns {
        write(&store, name, array.clone()).await?;
        same(name, &column(&store, name, array.len()).await?, &array)?;
    }
    Ok(())
}

/// As [`survive`], but a column may also be refused with a clear error; all failures are told.
async fn survive_or_are_refused(bed: &TestBed, columns: Vec<(&str, ArrayRef)>) -> Outcome {
    let store = bed.store(pair()?).await?;
    let mut failures = Vec::new();
    for (name, array) in columns {
        let written = write(&store, name, array.clone()).await;
        let outcome = match found_or_refused(&store, name, written).await {
            Ok(Some(found)) => same(name, &found, &array),
            Ok(None) => Ok(()),
            Err(stop) => Err(stop),
        };
        if let Err(stop) = outcome {
            failures.push(format!("{name}: {stop}"));
            // What cannot be read must not spoil the columns after it.
            store.drop_feature(&key("a")?).await?;
        }
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(Stop::failed(failures.join("\n"))),
    }
}

/// Samples 0, 1, 2… of `a`, with one column more.
async fn write(store: &MetadataStore, name: &str, array: ArrayRef) -> Result<usize> {
    let rows: Vec<(i64, &str)> = (0..).zip(vec!["x"; array.len()]).collect();
    let count = rows.len();
    let rows = with_column(&samples(&rows)?, name, array)?;
    store.write(&key("a")?, rows).await?;
    Ok(count)
}

/// A column of the first `rows` samples of `a`.
async fn column(store: &MetadataStore, name: &str, rows: usize) -> Outcome<ArrayRef> {
    let options = ReadOptions::default().with_columns(["id", name]);
    let table = read(store, "a", options).await?;
    let values = table.batch().column_by_name(name);
    let values = values.ok_or_else(|| Stop::failed(format!("no column {name}")))?;
    check(values.len() >= rows, format!("rows are missing: {name}"))?;
    Ok(values.slice(0, rows))
}

/// The column that was written, or nothing if the write was refused as it should be.
async fn found_or_refused(
    store: &MetadataStore,
    name: &str,
    written: Result<usize>,
) -> Outcome<Option<ArrayRef>> {
    match written {
        Ok(rows) => Ok(Some(column(store, name, rows).await?)),
        Err(error) => {
            check_refusal(&error, name)?;
            let schema = store.feature_schema(&key("a")?).await?;
            let added = schema.is_some_and(|schema| schema.field_with_name(name).is_ok());
            check(!added, "the column was added all the same")?;
            Ok(None)
        }
    }
}

/// A refusal of a type or value that a backend cannot hold: it says so, and names the column.
fn check_refusal(error: &Error, column: &str) -> Outcome {
    let kinds = [ErrorKind::Unsupported, ErrorKind::InvalidFrame];
    check(
        kinds.contains(&error.kind()),
        format!("refused as {}: {}", error.kind(), report(error)),
    )?;
    names(error, &[&format!("{column:?}"), "main"])?;
    check(error.hint().is_some(), "no word on what to do next")
}

/// Equal types, and equal values: floating-point numbers bit by bit.
fn same(name: &str, found: &ArrayRef, expected: &ArrayRef) -> Outcome {
    check_eq(
        found.data_type(),
        expected.data_type(),
        format!("the type of {name}"),
    )?;
    check(
        found.to_data() == expected.to_data(),
        format!("{name}: found {found:?}, expected {expected:?}"),
    )
}
