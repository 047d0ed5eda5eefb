//! Every type of Arrow at every depth, and times that no calendar has (contract, §5).

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{cast, concat};
use arrow::datatypes::{
    DataType, Field, Fields, Int32Type, IntervalDayTime, IntervalMonthDayNano, i256,
};
use metaxy_store::backend::append::storable;
use metaxy_store::cast::cast_checked;
use metaxy_store::{Error, ErrorKind, MetadataStore, ReadOptions, Result};

use super::{column, found_or_refused, same, survive_or_are_refused, write};
use crate::bed::TestBed;
use crate::bed::frames::{read, samples, with_column};
use crate::bed::graphs::{key, pair};
use crate::bed::increments::resolve;
use crate::outcome::{Outcome, Stop, check, names, of, refused};
use crate::tables::table;

/// A column of any type, as it is and inside of lists, structs and maps, is read and resolved with the very values that were written, or
/// refused with its name (contract).
pub async fn every_type_survives_at_any_depth_or_is_refused(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let mut failures = Vec::new();
    for array in leaves()? {
        failures.extend(lost(&store, &nestings(&array)?).await?);
    }
    all_kept(&failures)
}

/// What [`every_type_survives_at_any_depth_or_is_refused`] says, for the columns of random tables.
pub(crate) async fn random_tables_survive_or_are_refused(
    bed: &TestBed,
    seeds: impl Iterator<Item = u64> + Send,
) -> Outcome {
    let store = bed.store(pair()?).await?;
    for seed in seeds {
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let size = |most: u64, shift: u32| ((mixed >> shift) % most) as usize;
        let drawn = table(seed, 1 + size(3, 32), 1 + size(11, 40), size(5, 48))?;
        // Layouts of one type are kept as one.
        let columns = drawn.columns().iter().map(|column| {
            let column = cast_checked(column, &storable(column.data_type()))?;
            Ok(("random", column))
        });
        let columns = columns.collect::<Outcome<Vec<_>>>()?;
        let failures = lost(&store, &columns).await?;
        all_kept(&failures).map_err(|stop| of(stop, &format!("the table of seed {seed:#x}")))?;
    }
    Ok(())
}

/// What lies below a null belongs to no row: Arrow allows anything there, and the rows that follow keep their own (contract).
pub async fn what_lies_below_a_null_is_in_no_row(bed: &TestBed) -> Outcome {
    const ROWS: usize = 6;
    let item = |array: &ArrayRef| Arc::new(Field::new_list_field(array.data_type().clone(), true));
    let nulls = || NullBuffer::from_iter((0..ROWS).map(|row| row % 3 != 1));
    let ints =
        |count: usize| -> ArrayRef { Arc::new(Int32Array::from_iter_values((0..).take(count))) };
    // As many lists, each of other length and with other values, none of them null.
    let lists = |count: usize, nulls: Option<NullBuffer>| -> Outcome<ArrayRef> {
        let offsets = OffsetBuffer::from_lengths((0..count).map(|at| at % 3));
        let last = offsets.last().copied().unwrap_or_default();
        let values = ints(usize::try_from(last).unwrap_or_default());
        Ok(Arc::new(ListArray::try_new(
            item(&values),
            offsets,
            values,
            nulls,
        )?))
    };
    let maps = |count: usize, nulls: Option<NullBuffer>| -> Outcome<ArrayRef> {
        let values = ints(count);
        let keys: StringArray = (0..count).map(|at| Some(format!("k{at}"))).collect();
        let fields = Fields::from(vec![
            Field::new("keys", DataType::Utf8, false),
            Field::new("values", DataType::Int32, true),
        ]);
        let pairs = StructArray::try_new(fields.clone(), vec![Arc::new(keys), values], None)?;
        let entries = Arc::new(Field::new("entries", DataType::Struct(fields), false));
        let offsets = OffsetBuffer::from_lengths(vec![1; count]);
        Ok(Arc::new(MapArray::try_new(
            entries, offsets, pairs, nulls, false,
        )?))
    };
    let fixed = |values: ArrayRef, nulls: Option<NullBuffer>| -> Outcome<ArrayRef> {
        Ok(Arc::new(FixedSizeListArray::try_new(
            item(&values),
            2,
            values,
            nulls,
        )?))
    };
    let structs = |values: ArrayRef, nulls: Option<NullBuffer>| -> Outcome<ArrayRef> {
        let fields = Fields::from(vec![Field::new("m", values.data_type().clone(), true)]);
        Ok(Arc::new(StructArray::try_new(fields, vec![values], nulls)?))
    };
    let some = || Some(nulls());
    let columns = [
        ("lists", lists(ROWS, some())?),
        ("maps", maps(ROWS, some())?),
        ("structs of lists", structs(lists(ROWS, None)?, some())?),
        ("structs of maps", structs(maps(ROWS, None)?, some())?),
        ("pairs of numbers", fixed(ints(2 * ROWS), some())?),
        ("pairs of lists", fixed(lists(2 * ROWS, None)?, some())?),
        ("pairs of maps", fixed(maps(2 * ROWS, None)?, some())?),
        (
            "pairs of structs of lists",
            fixed(structs(lists(2 * ROWS, None)?, None)?, some())?,
        ),
        (
            "pairs of pairs of lists",
            fixed(fixed(lists(4 * ROWS, None)?, None)?, some())?,
        ),
        (
            "structs of pairs of lists",
            structs(fixed(lists(2 * ROWS, None)?, None)?, some())?,
        ),
    ];
    let store = bed.store(pair()?).await?;
    let mut failures = Vec::new();
    for column in columns {
        failures.extend(lost(&store, &[column]).await?);
    }
    all_kept(&failures)
}

fn all_kept(failures: &[String]) -> Outcome {
    check(failures.is_empty(), failures.join("\n"))
}

/// Columns that neither survive nor are refused, with what they are called.
async fn lost(store: &MetadataStore, columns: &[(&str, ArrayRef)]) -> Outcome<Vec<String>> {
    // Nearly always all survive, and one write is enough.
    let outcome = survive_together(store, columns).await;
    store.drop_feature(&key("a")?).await?;
    let mut failures = Vec::new();
    if outcome.is_ok() {
        return Ok(failures);
    }
    for (called, array) in columns {
        if let Err(stop) = survives_or_is_refused(store, array).await {
            failures.push(format!("{called} {}: {stop}", array.data_type()));
        }
        store.drop_feature(&key("a")?).await?;
    }
    Ok(failures)
}

/// Writes all as columns of one frame, twice, and reads and resolves them.
async fn survive_together(store: &MetadataStore, nested: &[(&str, ArrayRef)]) -> Outcome {
    let most = nested.iter().map(|(_, array)| array.len()).max();
    let rows: Vec<(i64, &str)> = (0..).zip(vec!["x"; most.unwrap_or_default()]).collect();
    let mut batch = samples(&rows)?;
    let mut columns = Vec::new();
    for (at, (_, array)) in nested.iter().enumerate() {
        let rest = new_null_array(array.data_type(), rows.len() - array.len());
        let array = concat(&[array, &rest])?;
        let name = format!("x{at}");
        batch = with_column(&batch, &name, array.clone())?;
        columns.push((name, array));
    }
    for _ in 0..2 {
        store.write(&key("a")?, batch.clone()).await?;
        let found = read(store, "a", ReadOptions::default()).await?;
        let passed = resolve(store, "b").await?.new;
        for table in [&found, &passed] {
            for (name, array) in &columns {
                let values = table.batch().column_by_name(name);
                let values = values.ok_or_else(|| Stop::failed(format!("no column {name}")))?;
                same(name, values, array)?;
            }
        }
    }
    Ok(())
}

async fn survives_or_is_refused(store: &MetadataStore, array: &ArrayRef) -> Outcome {
    let written = write(store, "x", array.clone()).await;
    let Some(found) = found_or_refused(store, "x", written).await? else {
        let table = store.feature_schema(&key("a")?).await?;
        return check(table.is_none(), "a table was made");
    };
    same("x", &found, array)?;
    let increment = resolve(store, "b").await?;
    let passed = increment.new.batch().column_by_name("x");
    let passed = passed.ok_or_else(|| Stop::failed("the increment lacks the column"))?;
    same("x of an increment", passed, array)?;
    // What was read is written, and read again.
    write(store, "x", found).await?;
    same("x again", &column(store, "x", array.len()).await?, array)
}

/// A time of day of 24 hours or more, and a year that no calendar shows, are refused when they are written, with column and row, at any
/// depth (§5).
pub async fn times_that_nothing_shows_are_refused(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let day = 86_400;
    let beyond: Vec<ArrayRef> = vec![
        Arc::new(Time32SecondArray::from(vec![0, 86_400])),
        Arc::new(Time32SecondArray::from(vec![0, -1])),
        Arc::new(Time32MillisecondArray::from(vec![0, 86_400_000])),
        Arc::new(Time64MicrosecondArray::from(vec![0, day * 1_000_000])),
        Arc::new(Time64NanosecondArray::from(vec![0, day * 1_000_000_000])),
        Arc::new(Date32Array::from(vec![0, i32::MAX])),
        Arc::new(Date32Array::from(vec![0, i32::MIN])),
        Arc::new(Date64Array::from(vec![0, i64::MAX])),
        Arc::new(TimestampSecondArray::from(vec![0, i64::MAX])),
        Arc::new(TimestampMillisecondArray::from(vec![0, i64::MIN])),
        Arc::new(TimestampMicrosecondArray::from(vec![0, i64::MAX])),
        Arc::new(TimestampMicrosecondArray::from(vec![0, i64::MIN]).with_timezone("UTC")),
    ];
    for array in beyond {
        for (depth, array) in nestings(&array)? {
            let written = write(&store, "x", array.clone()).await;
            let outcome = async {
                let error = refused(written, ErrorKind::InvalidFrame)?;
                names(&error, &["\"x\"", "feature a", "in row ", "main"])?;
                check(error.hint().is_some(), "no word on what to do next")?;
                let table = store.feature_schema(&key("a")?).await?;
                check(table.is_none(), "a table was made")
            };
            let outcome: Outcome = outcome.await;
            outcome
                .map_err(|stop| Stop::failed(format!("{depth} {}: {stop}", array.data_type())))?;
        }
    }
    // The outermost that are shown.
    let seconds = 8_210_000_000_000;
    let micros = seconds * 1_000_000;
    let far = |count: i64| [Some(0), Some(count), Some(-count)];
    survive_or_are_refused(
        bed,
        vec![
            (
                "seconds",
                Arc::new(TimestampSecondArray::from_iter(far(seconds))),
            ),
            (
                "micros",
                Arc::new(TimestampMicrosecondArray::from_iter(far(micros))),
            ),
            (
                "zoned",
                Arc::new(TimestampMicrosecondArray::from_iter(far(micros)).with_timezone("UTC")),
            ),
            (
                "days",
                Arc::new(Date32Array::from(vec![0, 95_000_000, -95_000_000])),
            ),
            ("last", Arc::new(Time32SecondArray::from(vec![0, 86_399]))),
        ],
    )
    .await
}

/// Values of each type: the edges, and a null.
fn leaves() -> Outcome<Vec<ArrayRef>> {
    let i64s = [Some(0), None, Some(i64::MIN), Some(i64::MAX), Some(-1)];
    let at = 1_767_225_600;
    let times = |per: i64| [Some(0), None, Some(-1), Some(at * per), Some(at * per + 1)];
    let decimals = |digits: u32| {
        let most = 10_i128.pow(digits) - 1;
        [Some(0), None, Some(most), Some(-most), Some(1)]
    };
    let bytes: [Option<&[u8]>; 5] = [
        Some(b"\0\xff"),
        None,
        Some(b"ab"),
        Some(b"\"\\"),
        Some(b"  "),
    ];
    let words = [Some("x"), None, Some(""), Some("say \"hi\""), Some("x")];
    let halves = [Some(0.1), None, Some(f32::NAN), Some(-0.0), Some(65_504.0)];
    let halves: ArrayRef = Arc::new(Float32Array::from_iter(halves));
    let months = [(1, -2, 3_000), (0, 0, 0), (i32::MIN, i32::MAX, -7_000)];
    let months = months.map(|(m, d, n)| Some(IntervalMonthDayNano::new(m, d, n)));
    let nanos = [Some(IntervalMonthDayNano::new(0, 0, i64::MIN)), None];
    let dictionary: DictionaryArray<Int32Type> = words.into_iter().collect();
    let fixed = FixedSizeBinaryArray::try_from_sparse_iter_with_size(bytes.into_iter(), 2);
    let short = Decimal128Array::from_iter(decimals(10)).with_precision_and_scale(10, 3);
    let deep = Decimal128Array::from_iter(decimals(38)).with_precision_and_scale(38, 38);
    let tens = Decimal128Array::from_iter(decimals(9)).with_precision_and_scale(9, -2);
    let huge = decimals(38).map(|d| d.map(i256::from_i128));
    let huge = Decimal256Array::from_iter(huge).with_precision_and_scale(60, 5);
    let small = Decimal32Array::from_iter([Some(0), None, Some(-99_999), Some(99_999)]);
    let middle = Decimal64Array::from_iter([Some(0), None, Some(-99_999), Some(99_999)]);
    Ok(vec![
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        Arc::new(Int8Array::from(vec![Some(i8::MIN), None, Some(i8::MAX)])),
        Arc::new(Int64Array::from_iter(i64s)),
        Arc::new(UInt8Array::from(vec![Some(0), None, Some(u8::MAX)])),
        Arc::new(UInt64Array::from(vec![Some(0), None, Some(u64::MAX)])),
        cast(&halves, &DataType::Float16)?,
        halves.clone(),
        Arc::new(Float64Array::from(vec![
            Some(0.1),
            None,
            Some(f64::NEG_INFINITY),
            Some(-0.0),
            Some(5e-324),
        ])),
        Arc::new(StringArray::from_iter(words)),
        Arc::new(BinaryArray::from_iter(bytes)),
        Arc::new(fixed.map_err(Error::from)?),
        Arc::new(Date32Array::from(vec![
            Some(0),
            None,
            Some(-719_162),
            Some(2_932_896),
            Some(-800_000),
            Some(3_000_000),
        ])),
        Arc::new(Date64Array::from(vec![Some(0), None, Some(-86_400_000)])),
        Arc::new(Time32SecondArray::from(vec![Some(0), None, Some(86_399)])),
        Arc::new(Time32MillisecondArray::from(vec![
            Some(0),
            None,
            Some(86_399_999),
        ])),
        Arc::new(Time64MicrosecondArray::from(vec![
            Some(0),
            None,
            Some(86_399_999_999),
        ])),
        Arc::new(Time64NanosecondArray::from(vec![
            Some(0),
            None,
            Some(86_399_999_999_999),
        ])),
        Arc::new(TimestampSecondArray::from_iter(times(1))),
        Arc::new(TimestampMillisecondArray::from_iter(times(1_000))),
        Arc::new(TimestampMicrosecondArray::from_iter(times(1_000_000))),
        Arc::new(TimestampNanosecondArray::from_iter(times(1_000_000_000))),
        Arc::new(TimestampMicrosecondArray::from_iter(times(1_000_000)).with_timezone("UTC")),
        Arc::new(TimestampMillisecondArray::from_iter(times(1_000)).with_timezone("Europe/Berlin")),
        Arc::new(TimestampNanosecondArray::from_iter(times(1_000_000_000)).with_timezone("+02:00")),
        Arc::new(DurationSecondArray::from(vec![
            Some(0),
            None,
            Some(-1),
            Some(i64::MAX),
        ])),
        Arc::new(DurationMillisecondArray::from(vec![
            Some(0),
            None,
            Some(-1),
        ])),
        Arc::new(DurationMicrosecondArray::from_iter(i64s)),
        Arc::new(DurationNanosecondArray::from_iter(i64s)),
        Arc::new(IntervalYearMonthArray::from(vec![
            Some(0),
            None,
            Some(i32::MIN),
        ])),
        Arc::new(IntervalDayTimeArray::from(vec![
            Some(IntervalDayTime::new(1, -2)),
            None,
            Some(IntervalDayTime::new(i32::MIN, i32::MAX)),
        ])),
        Arc::new(IntervalMonthDayNanoArray::from_iter(
            months.into_iter().chain([None]),
        )),
        Arc::new(IntervalMonthDayNanoArray::from_iter(nanos)),
        Arc::new(small.with_precision_and_scale(5, 2).map_err(Error::from)?),
        Arc::new(
            middle
                .with_precision_and_scale(12, 4)
                .map_err(Error::from)?,
        ),
        Arc::new(short.map_err(Error::from)?),
        Arc::new(deep.map_err(Error::from)?),
        Arc::new(tens.map_err(Error::from)?),
        Arc::new(huge.map_err(Error::from)?),
        Arc::new(dictionary),
    ])
}

/// The values as they are, and inside of others.
fn nestings(values: &ArrayRef) -> Result<Vec<(&'static str, ArrayRef)>> {
    let records = record(values)?;
    Ok(vec![
        ("plain", values.clone()),
        ("a list of", list(values)?),
        ("a struct of", records.clone()),
        ("a list of structs of", list(&records)?),
        ("a struct of lists of", record(&list(values)?)?),
        ("a list of lists of", list(&list(values)?)?),
        ("pairs of", pairs(values)?),
        ("a map of", map(values)?),
    ])
}

/// Lists: one with the first item, one with all others, an empty one, and null.
fn list(items: &ArrayRef) -> Result<ArrayRef> {
    let item = Arc::new(Field::new("item", items.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([1, items.len() - 1, 0, 0]);
    let valid = NullBuffer::from(vec![true, true, true, false]);
    let list = ListArray::try_new(item, offsets, items.clone(), Some(valid))?;
    Ok(Arc::new(list))
}

/// Structs, of which the last is null.
fn record(values: &ArrayRef) -> Result<ArrayRef> {
    let rows = values.len();
    // What lies under a null is not looked at.
    let last = new_null_array(values.data_type(), 1);
    let values = concat(&[values, &last])?;
    let members = Fields::from(vec![
        Field::new("value", values.data_type().clone(), true),
        Field::new("number", DataType::Int32, true),
    ]);
    let numbers = Int32Array::from_iter_values(0..=rows as i32);
    let valid: Vec<bool> = (0..=rows).map(|row| row < rows).collect();
    let columns = vec![values, Arc::new(numbers) as ArrayRef];
    let structs = StructArray::try_new(members, columns, Some(valid.into()))?;
    Ok(Arc::new(structs))
}

/// Lists of two.
fn pairs(values: &ArrayRef) -> Result<ArrayRef> {
    let item = Arc::new(Field::new("item", values.data_type().clone(), true));
    let even = values.len() / 2 * 2;
    let pairs = FixedSizeListArray::try_new(item, 2, values.slice(0, even), None)?;
    Ok(Arc::new(pairs))
}

/// Maps from texts: one with all values, an empty one, and null.
fn map(values: &ArrayRef) -> Result<ArrayRef> {
    let pair = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", values.data_type().clone(), true),
    ]);
    let keys = StringArray::from_iter_values((0..values.len()).map(|at| format!("k {at}")));
    let pairs = StructArray::try_new(
        pair.clone(),
        vec![Arc::new(keys) as ArrayRef, values.clone()],
        None,
    )?;
    let entries = Arc::new(Field::new("entries", DataType::Struct(pair), false));
    let offsets = OffsetBuffer::from_lengths([values.len(), 0, 0]);
    let valid = NullBuffer::from(vec![true, true, false]);
    let maps = MapArray::try_new(entries, offsets, pairs, Some(valid), false)?;
    Ok(Arc::new(maps))
}
