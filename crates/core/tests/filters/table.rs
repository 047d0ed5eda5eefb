//! A table with many types, and what filters give over it.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array,
    Float64Array, Int8Array, Int64Array, NullArray, RecordBatch, StringArray, StringViewArray,
    StructArray, TimestampMicrosecondArray, TimestampMillisecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Fields, Int32Type};
use metaxy_core::ErrorKind;
use metaxy_core::expr::Expr;

pub(crate) const TWO_53: i64 = 1 << 53;
/// 2024-01-31 12:00:00 UTC.
pub(crate) const NOON: i64 = 1_706_702_400_000_000;

/// Columns of many types with values at their edges; the last row is null throughout.
pub(crate) fn batch() -> RecordBatch {
    let text = vec![
        Some("a"),
        Some("B"),
        Some("é"),
        Some(""),
        Some("it's"),
        None,
    ];
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "i",
            Arc::new(Int64Array::from(vec![
                Some(i64::MIN),
                Some(-1),
                Some(2),
                Some(TWO_53 + 1),
                Some(i64::MAX),
                None,
            ])),
        ),
        (
            "tiny",
            Arc::new(Int8Array::from(vec![
                Some(-128),
                Some(-1),
                Some(0),
                Some(1),
                Some(127),
                None,
            ])),
        ),
        (
            "u",
            Arc::new(UInt64Array::from(vec![
                Some(0),
                Some(1),
                Some(2),
                Some(1 << 63),
                Some(u64::MAX),
                None,
            ])),
        ),
        (
            "f",
            Arc::new(Float64Array::from(vec![
                Some(f64::NEG_INFINITY),
                Some(-0.0),
                Some(0.1),
                Some(TWO_53 as f64),
                Some(f64::NAN),
                None,
            ])),
        ),
        (
            "f32",
            Arc::new(Float32Array::from(vec![
                Some(-1.5),
                Some(0.0),
                Some(0.1),
                Some(16_777_216.0),
                Some(f32::INFINITY),
                None,
            ])),
        ),
        (
            "price",
            Arc::new(
                Decimal128Array::from(vec![
                    Some(-150),
                    Some(0),
                    Some(10),
                    Some(150),
                    Some(99_999),
                    None,
                ])
                .with_precision_and_scale(5, 2)
                .unwrap(),
            ),
        ),
        (
            "b",
            Arc::new(BooleanArray::from(vec![
                Some(true),
                Some(false),
                Some(true),
                Some(false),
                Some(true),
                None,
            ])),
        ),
        ("s", Arc::new(StringArray::from(text.clone()))),
        ("view", Arc::new(StringViewArray::from(text.clone()))),
        (
            "dict",
            Arc::new(text.into_iter().collect::<DictionaryArray<Int32Type>>()),
        ),
        (
            "day",
            Arc::new(Date32Array::from(vec![
                Some(-1),
                Some(0),
                Some(19_752),
                Some(19_753),
                Some(19_754),
                None,
            ])),
        ),
        (
            "at",
            Arc::new(
                TimestampMicrosecondArray::from(vec![
                    Some(-1),
                    Some(0),
                    Some(NOON - 1),
                    Some(NOON),
                    Some(NOON + 1),
                    None,
                ])
                .with_timezone("UTC"),
            ),
        ),
        (
            "at_ms",
            Arc::new(TimestampMillisecondArray::from(vec![
                Some(-1),
                Some(0),
                Some(NOON / 1000 - 1),
                Some(NOON / 1000),
                Some(NOON / 1000 + 1),
                None,
            ])),
        ),
        ("nothing", Arc::new(NullArray::new(6))),
        (
            "by_field",
            Arc::new(StructArray::new(
                Fields::from(vec![Field::new("x", DataType::Utf8, true)]),
                vec![Arc::new(StringArray::from(vec!["1"; 6]))],
                Some(vec![true, true, true, true, true, false].into()),
            )),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap()
}

/// One character per row: T, F, or `-` for null.
pub(crate) fn values(filter: &str) -> String {
    let batch = batch();
    let bound = Expr::parse(filter)
        .and_then(|filter| filter.bind(&batch.schema()))
        .unwrap_or_else(|error| panic!("{filter}: {error}"));
    marks(&bound.evaluate(&batch).unwrap())
}

pub(crate) fn marks(mask: &BooleanArray) -> String {
    mask.iter()
        .map(|value| match value {
            Some(true) => 'T',
            Some(false) => 'F',
            None => '-',
        })
        .collect()
}

pub(crate) fn refused(filter: &str) -> String {
    let error = match Expr::parse(filter).and_then(|filter| filter.bind(&batch().schema())) {
        Ok(bound) => panic!("{filter} became {bound}"),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::InvalidFilter);
    format!("{error} / {}", error.hint().unwrap_or_default())
}
