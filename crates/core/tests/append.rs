//! Rows on their way into a table: what does not fit is refused by name.

#![allow(clippy::unwrap_used)] // a test panics where something is wrong

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, StructArray, TimestampSecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use futures::executor::block_on;
use metaxy_core::backend::append::{Append, Stamp, Times};
use metaxy_core::{Error, ErrorKind, FeatureKey};

/// What writing the column `v` fails with, into a table whose column `v` is of type `stored`.
fn refusal(stored: &DataType, values: ArrayRef) -> Error {
    let stored = Schema::new(vec![Field::new("v", stored.clone(), true)]);
    let append = Append {
        table: FeatureKey::new("video/raw").unwrap(),
        id_columns: vec![],
        rows: RecordBatch::try_from_iter([("v", values)]).unwrap().into(),
        times: Times::Write(Stamp::AfterAll(1)),
        create: true,
    };
    let mut prepared = append.prepare(Some(&stored), None).unwrap();
    block_on(prepared.next()).unwrap_err()
}

#[test]
fn a_value_that_its_column_cannot_hold_is_named_with_both_types() {
    // Keys of one byte number 128 words.
    let words = StringArray::from_iter_values((0..300).map(|i| format!("word {i}")));
    let few = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    let member = |data_type: &DataType| Arc::new(Field::new("m", data_type.clone(), true));
    let structs = StructArray::from(vec![(
        member(&DataType::Utf8),
        Arc::new(words.clone()) as ArrayRef,
    )]);
    let of_few = DataType::Struct([member(&few)].into_iter().collect());
    // Too far away for a number of nanoseconds.
    let time = TimestampSecondArray::from(vec![200_000_000_000]);
    let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, None);
    for (stored, values) in [
        (few, Arc::new(words) as ArrayRef),
        (of_few, Arc::new(structs)),
        (nanoseconds, Arc::new(time)),
    ] {
        let given = values.data_type().to_string();
        let error = refusal(&stored, values);
        assert_eq!(error.kind(), ErrorKind::InvalidFrame, "{error:?}");
        let message = error.to_string();
        for part in ["\"v\"", "video/raw", &stored.to_string(), &given] {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert!(error.hint().is_some(), "{message}");
    }
}
