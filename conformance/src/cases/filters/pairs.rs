//! Every two things that a filter may compare, with values at their edges: what a filtered read gives is what
//! [`Expr::evaluate`](metaxy_store::expr::Expr::evaluate) makes of all rows.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Decimal32Array, Decimal64Array, Decimal128Array, Float32Array, Float64Array,
    Int64Array, RecordBatch, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use metaxy_store::expr::{CompareOp, Decimal, Operand, Value};
use metaxy_store::{ErrorKind, Expr, MetadataStore, ReadOptions, col, lit};

use crate::bed::TestBed;
use crate::bed::frames::{bools, by_field, frame, ints, read, samples, texts, with_column};
use crate::bed::graphs::{key, pair};
use crate::outcome::{Outcome, Stop, check};

cases! { "filters":
    compare_columns_of_any_two_types_of_numbers,
    compare_numbers_of_any_type_with_literals,
    compare_columns_of_any_two_types_of_times,
    compare_times_of_any_type_with_literals,
    compare_texts_and_truth_values_of_any_layout,
}

/// Columns of numbers compare exactly whatever their types: beyond 2^53, unsigned, decimals of different scales, NaN (§10).
pub async fn compare_columns_of_any_two_types_of_numbers(bed: &TestBed) -> Outcome {
    let table = Table::new(bed, numbers()?, &["i64", "f64"]).await?;
    table.pairs().await
}

/// Columns of numbers compare exactly with every literal (§10).
pub async fn compare_numbers_of_any_type_with_literals(bed: &TestBed) -> Outcome {
    let table = Table::new(bed, numbers()?, &["i64", "f64"]).await?;
    let decimal = |unscaled: i128, scale: u8| {
        Decimal::new(unscaled, scale)
            .map(Value::from)
            .ok_or_else(|| Stop::failed("no such decimal"))
    };
    let literals = [
        Value::from(0),
        Value::from(-1),
        Value::from(1),
        Value::from(TWO_53),
        Value::from(TWO_53 + 1),
        Value::from(i64::MAX),
        Value::from(u64::MAX),
        Value::Int(i128::MAX),
        decimal(-15, 1)?,
        decimal(1, 1)?,
        decimal(99, 3)?,
        decimal(i128::MAX, 20)?,
        Value::from(0.1),
        Value::from(9_007_199_254_740_994.0),
        Value::from(1e300),
        Value::from(-0.0),
    ];
    table.with_literals(&literals).await
}

/// Dates and times compare as moments, whatever their units and zones (§10).
pub async fn compare_columns_of_any_two_types_of_times(bed: &TestBed) -> Outcome {
    let table = Table::new(bed, times()?, &["date", "us_utc"]).await?;
    table.pairs().await
}

/// Dates and times compare with every literal, also one that lies between two values of their unit or beyond all of them (§10).
pub async fn compare_times_of_any_type_with_literals(bed: &TestBed) -> Outcome {
    let table = Table::new(bed, times()?, &["date", "us_utc"]).await?;
    let literals = [
        "1969-12-31 23:59:59.999999",
        "1970-01-01",
        "2024-05-01",
        "2024-05-01 12:00:00",
        "2024-05-01 14:00:00+02:00",
        "2024-05-01 12:00:00.5",
        "2024-05-01 12:00:00.000001",
        "2024-05-02",
        "2262-04-12",
        "9999-12-31 23:59:59.999999",
        "0001-01-01",
    ];
    table.with_literals(&literals.map(Value::from)).await
}

/// Text compares by code points, however it is laid out, and false is less than true (§10).
pub async fn compare_texts_and_truth_values_of_any_layout(bed: &TestBed) -> Outcome {
    let table = Table::new(bed, words()?, &["utf8"]).await?;
    table.pairs().await?;
    table.with_literals(&WORDS.map(Value::from)).await?;
    let table = Table::new(bed, truths(), &["bool"]).await?;
    table.pairs().await?;
    table.with_literals(&[true.into(), false.into()]).await
}

/// `us` and `ns` are the same in one of two rows, and no date is after the noon of its day: counts of different units are not compared as
/// they are (§10).
pub async fn compare_times_of_different_units(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let (noon, next, day) = (1_714_564_800, 1_714_608_000, 19_844);
    let counts = |values: [i64; 2], data_type: DataType| -> Outcome<ArrayRef> {
        Ok(cast(&ints(values), &data_type)?)
    };
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let nanos = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let rows = samples(&[(1, "x"), (2, "x")])?;
    let rows = with_column(&rows, "us", counts([noon * 1_000_000; 2], micros)?)?;
    let ns = counts([noon * 1_000_000_000, next * 1_000_000_000], nanos)?;
    let rows = with_column(&rows, "ns", ns)?;
    let days = cast(&counts([day, day + 1], DataType::Int32)?, &DataType::Date32)?;
    let rows = with_column(&rows, "d", days)?;
    store.write(&key("a")?, rows).await?;
    super::passing(
        &store,
        &[
            ("ns = us", &[1]),
            ("ns > us", &[2]),
            ("us <> ns", &[2]),
            ("d < us", &[1]),
            ("ns >= d", &[1, 2]),
            ("ns = d", &[2]),
        ],
    )
    .await
}

const TWO_53: i64 = 1 << 53;

/// Two columns of each type, in which every two values meet, once for each [`condition`].
struct Table {
    store: MetadataStore,
    rows: RecordBatch,
    /// The types that the store can keep.
    types: Vec<&'static str>,
}

/// The values of a type, as many as of the others.
type Values = (&'static str, ArrayRef);

impl Table {
    async fn new(bed: &TestBed, types: Vec<Values>, kept: &[&str]) -> Outcome<Self> {
        let mut fitting = Vec::new();
        let probe = bed.store(pair()?).await?;
        for (name, values) in types {
            let ids: Vec<(i64, &str)> = (0..).zip(vec!["x"; values.len()]).collect();
            let rows = with_column(&samples(&ids)?, name, values.clone())?;
            match probe.write(&key("a")?, rows).await {
                Ok(_) => fitting.push((name, values)),
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::Unsupported | ErrorKind::InvalidFrame
                    ) && !kept.contains(&name) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let store = bed.store(pair()?).await?;
        let count = fitting.first().map_or(0, |(_, values)| values.len());
        // One write for each value on the left: a file of its own, which statistics may tell to be of no interest.
        for left in 0..count {
            let places = |of: fn(usize, usize, usize) -> usize| -> Outcome<UInt64Array> {
                let rows = (0..count * CONDITIONS).map(|row| (row % count, row / count));
                let places = rows.map(|(right, condition)| of(left, right, condition) as u64);
                Ok(places.collect())
            };
            let (lefts, rights) = (places(|l, _, _| l)?, places(|_, r, _| r)?);
            let conditions = places(|_, _, condition| condition)?;
            let rows = count * CONDITIONS;
            let first = i64::try_from(left * rows).unwrap_or_default();
            let mut columns: Vec<(String, ArrayRef)> = vec![
                ("id".into(), ints((first..).take(rows))),
                (
                    "metaxy_provenance_by_field".into(),
                    by_field(&[("default", &vec!["x"; rows])])?,
                ),
                ("condition".into(), cast(&conditions, &DataType::Int64)?),
            ];
            for (name, values) in &fitting {
                for (side, places) in [("l", &lefts), ("r", &rights)] {
                    let values = arrow::compute::take(values, places, None)?;
                    columns.push((format!("{side}_{name}"), values));
                }
            }
            let columns = columns
                .iter()
                .map(|(name, array)| (name.as_str(), array.clone()));
            store.write(&key("a")?, frame(columns)?).await?;
        }
        let rows = read(&store, "a", ReadOptions::default()).await?;
        Ok(Self {
            store,
            rows: rows.batch().clone(),
            types: fitting.into_iter().map(|(name, _)| name).collect(),
        })
    }

    async fn pairs(&self) -> Outcome {
        let mut wrong = Vec::new();
        for left in &self.types {
            for right in &self.types {
                let what = format!("{left} with {right}");
                let right = col(format!("r_{right}"));
                let filter = one_of_each(&col(format!("l_{left}")), &right);
                wrong.extend(self.wrong(&what, filter).await?);
            }
        }
        nothing(&wrong)
    }

    async fn with_literals(&self, literals: &[Value]) -> Outcome {
        let mut wrong = Vec::new();
        for name in &self.types {
            let column = col(format!("l_{name}"));
            for literal in literals {
                let what = format!("{name} with {literal}");
                let filter = one_of_each(&column, &lit(literal.clone()));
                wrong.extend(self.wrong(&what, filter).await?);
            }
            for list in [&literals[..literals.len() / 2], literals] {
                let list = || list.iter().cloned();
                for filter in [
                    column.clone().is_in(list()),
                    column.clone().not_in(list()),
                    column.clone().not_in(list().chain([Value::Null])),
                ] {
                    wrong.extend(self.wrong(&format!("{name} in a list"), filter).await?);
                }
            }
        }
        nothing(&wrong)
    }

    /// What is wrong with the rows that the store gives for a filter.
    async fn wrong(&self, what: &str, filter: Expr) -> Outcome<Option<String>> {
        let options = ReadOptions::default()
            .with_columns(["id"])
            .with_filters([filter.clone()]);
        let bound = match filter.bind(&self.rows.schema()) {
            Ok(bound) => bound,
            Err(_) => {
                return Ok(match self.store.read(&key("a")?, options).await {
                    Err(error) if error.kind() == ErrorKind::InvalidFilter => None,
                    _ => Some(format!("{what}: not refused")),
                });
            }
        };
        let passes = bound.evaluate(&self.rows)?;
        let passing = (0..passes.len()).filter(|row| passes.is_valid(*row) && passes.value(*row));
        // Rows are in the order of their IDs, which count them.
        let expected: Vec<i64> = passing.filter_map(|row| i64::try_from(row).ok()).collect();
        let found = match read(&self.store, "a", options).await {
            Ok(rows) => rows.ids()?,
            Err(Stop::Failed(why)) => return Ok(Some(format!("{what}: {why}"))),
            Err(other) => return Err(other),
        };
        let odd = |a: &[i64], b: &[i64]| a.iter().find(|id| b.binary_search(id).is_err()).copied();
        let row = match (odd(&found, &expected), odd(&expected, &found)) {
            (Some(row), _) => format!("lets row {row} through"),
            (None, Some(row)) => format!("leaves row {row} out"),
            (None, None) if found.len() == expected.len() => return Ok(None),
            (None, None) => "gives rows twice".into(),
        };
        Ok(Some(format!(
            "{what}: {row} ({} rows, expected {})",
            found.len(),
            expected.len()
        )))
    }
}

fn nothing(wrong: &[String]) -> Outcome {
    check(
        wrong.is_empty(),
        format!(
            "{} wrong:\n{}",
            wrong.len(),
            wrong[..wrong.len().min(40)].join("\n")
        ),
    )
}

/// How many conditions there are for two operands.
const CONDITIONS: usize = 8;

fn condition(nth: usize, left: Operand, right: Operand) -> Option<Expr> {
    let op = match nth {
        0 => CompareOp::Eq,
        1 => CompareOp::Ne,
        2 => CompareOp::Lt,
        3 => CompareOp::Le,
        4 => CompareOp::Gt,
        5 => CompareOp::Ge,
        6 => return Some(!condition(0, left, right)?),
        7 => return Some(!condition(4, left, right)?),
        _ => return None,
    };
    Some(Expr::Compare { left, op, right })
}

/// Every condition, each for the rows that are there for it.
fn one_of_each(left: &Operand, right: &Operand) -> Expr {
    let all = (0..CONDITIONS).filter_map(|nth| {
        let own = condition(nth, left.clone(), right.clone())?;
        Some(col("condition").eq(i64::try_from(nth).ok()?).and(own))
    });
    Expr::Or(all.collect())
}

/// A number among the values of the columns: digits without a point and how many stand after it, or a floating-point number.
#[derive(Clone, Copy)]
enum Number {
    Digits(i128, u32),
    Float(f64),
}

/// In every type, what is nearest to these.
const NUMBERS: [Option<Number>; 14] = [
    None,
    Some(Number::Digits(i64::MIN as i128, 0)),
    Some(Number::Digits(-15, 1)),
    Some(Number::Digits(-1, 0)),
    Some(Number::Float(-0.0)),
    Some(Number::Digits(1, 1)),
    Some(Number::Digits(1, 0)),
    Some(Number::Digits((1 << 24) + 1, 0)),
    Some(Number::Digits(1 << 53, 0)),
    Some(Number::Digits((1 << 53) + 1, 0)),
    Some(Number::Digits(i64::MAX as i128, 0)),
    Some(Number::Digits(u64::MAX as i128, 0)),
    Some(Number::Float(f64::NAN)),
    Some(Number::Float(f64::NEG_INFINITY)),
];

impl Number {
    fn float(self) -> f64 {
        match self {
            Self::Digits(digits, places) => digits as f64 / 10_f64.powi(places as i32),
            Self::Float(float) => float,
        }
    }

    /// Without a point, cut to so many places and to limits.
    fn scaled(self, scale: u32, min: i128, max: i128) -> i128 {
        let digits = match self {
            Self::Digits(digits, places) if places <= scale => {
                digits.saturating_mul(10_i128.pow(scale - places))
            }
            Self::Digits(digits, places) => digits / 10_i128.pow(places - scale),
            Self::Float(float) => float as i128,
        };
        digits.clamp(min, max)
    }
}

fn numbers() -> Outcome<Vec<Values>> {
    use DataType as T;
    let scaled = |scale: u32, min: i128, max: i128| {
        NUMBERS.map(|number| number.map(|number| number.scaled(scale, min, max)))
    };
    let whole = |data_type: DataType, bits: u32| -> Outcome<ArrayRef> {
        let (min, max) = match data_type.is_unsigned_integer() {
            true => (0, (1 << bits) - 1),
            false => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        };
        let values = scaled(0, min, max).map(|value| value.and_then(|v| i64::try_from(v).ok()));
        Ok(cast(&ints(values), &data_type)?)
    };
    let decimal = |digits: u8, scale: i8| -> Outcome<ArrayRef> {
        let edge = 10_i128.pow(digits.into()) - 1;
        let values = scaled(scale.unsigned_abs().into(), -edge, edge);
        let array = Decimal128Array::from_iter(values);
        Ok(Arc::new(array.with_precision_and_scale(digits, scale)?))
    };
    let narrow = |digits: u8, scale: u8| {
        let edge = 10_i128.pow(digits.into()) - 1;
        scaled(scale.into(), -edge, edge)
    };
    let small = narrow(9, 2).map(|v| v.and_then(|v| i32::try_from(v).ok()));
    let small = Decimal32Array::from_iter(small).with_precision_and_scale(9, 2)?;
    let middle = narrow(18, 4).map(|v| v.and_then(|v| i64::try_from(v).ok()));
    let middle = Decimal64Array::from_iter(middle).with_precision_and_scale(18, 4)?;
    let floats = NUMBERS.map(|number| number.map(Number::float));
    let unsigned = scaled(0, 0, u64::MAX.into()).map(|v| v.and_then(|v| u64::try_from(v).ok()));
    let repeated = T::Dictionary(Box::new(T::Int32), Box::new(T::Int64));
    let small_floats = floats.map(|value| value.map(|value| value as f32));
    Ok(vec![
        ("i8", whole(T::Int8, 8)?),
        ("i32", whole(T::Int32, 32)?),
        ("i64", whole(T::Int64, 64)?),
        ("u8", whole(T::UInt8, 8)?),
        ("u32", whole(T::UInt32, 32)?),
        // Some stores keep no more than this.
        (
            "u63",
            cast(&cast(&whole(T::UInt64, 63)?, &T::Int64)?, &T::UInt64)?,
        ),
        ("u64", Arc::new(UInt64Array::from_iter(unsigned))),
        ("f32", Arc::new(Float32Array::from_iter(small_floats))),
        ("f64", Arc::new(Float64Array::from_iter(floats))),
        ("d9_2", Arc::new(small)),
        ("d18_4", Arc::new(middle)),
        ("d18_0", decimal(18, 0)?),
        ("d20_1", decimal(20, 1)?),
        ("d38_10", decimal(38, 10)?),
        ("d38_38", decimal(38, 38)?),
        ("dict_i64", cast(&whole(T::Int64, 64)?, &repeated)?),
    ])
}

/// Moments in nanoseconds, of which every type has what is nearest below.
const MOMENTS: [Option<i128>; 11] = [
    None,
    Some(-1),
    Some(0),
    Some(1_714_521_600_000_000_000),
    Some(1_714_564_800_000_000_000),
    Some(1_714_564_800_000_000_001),
    Some(1_714_564_800_000_001_000),
    Some(1_714_564_800_500_000_000),
    Some(1_714_608_000_000_000_000),
    // The years 9999 and 1, which no count of nanoseconds reaches.
    Some(253_402_300_799_999_999_000),
    Some(-62_135_596_800_000_000_000),
];

const LAST_NANOS: i128 = 9_223_372_036_000_000_000;

fn times() -> Outcome<Vec<Values>> {
    use DataType as T;
    let counts = |unit: i128| {
        let values = MOMENTS.map(|nanos| {
            // What no count of nanoseconds reaches is the last second that one does.
            let edge = if unit == 1 { LAST_NANOS } else { i128::MAX };
            i64::try_from(nanos?.clamp(-edge, edge).div_euclid(unit)).ok()
        });
        Int64Array::from_iter(values)
    };
    let day = 86_400_000_000_000;
    let days = cast(&counts(day), &T::Int32)?;
    let millis: Int64Array = counts(day).unary(|days| days * 86_400_000);
    let mut types: Vec<Values> = vec![
        ("date", cast(&days, &T::Date32)?),
        ("date64", cast(&millis, &T::Date64)?),
    ];
    for (name, unit, nanos, zone) in [
        ("s", TimeUnit::Second, 1_000_000_000, None),
        ("ms", TimeUnit::Millisecond, 1_000_000, None),
        ("us", TimeUnit::Microsecond, 1_000, None),
        ("ns", TimeUnit::Nanosecond, 1, None),
        ("s_utc", TimeUnit::Second, 1_000_000_000, Some("UTC")),
        ("us_utc", TimeUnit::Microsecond, 1_000, Some("UTC")),
        (
            "ms_berlin",
            TimeUnit::Millisecond,
            1_000_000,
            Some("Europe/Berlin"),
        ),
        ("ns_east", TimeUnit::Nanosecond, 1, Some("+02:00")),
    ] {
        let data = counts(nanos).into_data().into_builder();
        let data = data.data_type(T::Timestamp(unit, zone.map(Into::into)));
        types.push((name, arrow::array::make_array(data.build()?)));
    }
    Ok(types)
}

const WORDS: [&str; 9] = [
    "",
    "A",
    "a",
    "ab",
    "e\u{301}",
    "é",
    "日本",
    "😀",
    "it's %_\\!",
];

fn words() -> Outcome<Vec<Values>> {
    use DataType as T;
    let all = WORDS.into_iter().map(Some).chain([None]);
    let words = texts(all.collect::<Vec<Option<&str>>>());
    let repeated = |values: DataType| T::Dictionary(Box::new(T::Int32), Box::new(values));
    Ok(vec![
        ("large", cast(&words, &T::LargeUtf8)?),
        ("view", cast(&words, &T::Utf8View)?),
        ("dict", cast(&words, &repeated(T::Utf8))?),
        ("dict_large", cast(&words, &repeated(T::LargeUtf8))?),
        ("utf8", words),
    ])
}

fn truths() -> Vec<Values> {
    vec![("bool", bools([Some(true), Some(false), None]))]
}
