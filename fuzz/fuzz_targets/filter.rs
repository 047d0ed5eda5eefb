//! Filters as text: what parses is shown as text that parses to the same, binds to a table, and means there what it says.
#![no_main]

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::compute::not;
use libfuzzer_sys::fuzz_target;
use metaxy_store::Expr;

fuzz_target!(|text: &str| {
    let Ok(filter) = Expr::parse(text) else {
        return;
    };
    let shown = filter.to_string();
    let again = Expr::parse(&shown);
    assert!(
        matches!(&again, Ok(again) if *again == filter),
        "{filter:?} is shown as {shown:?}: {again:?}"
    );

    let schema = ROWS.schema();
    let Ok(bound) = filter.bind(&schema) else {
        return;
    };
    let values = bound.evaluate(&ROWS).expect("a bound filter has a value");
    let opposite = (!filter).bind(&schema).expect("so does its opposite");
    let opposite = opposite
        .evaluate(&ROWS)
        .expect("a bound filter has a value");
    let expected = not(&values).expect("booleans have an opposite");
    assert_eq!(opposite, expected, "NOT of {shown:?}");

    // What binding made constant names no column, and would be refused.
    if !bound.columns().is_empty() {
        let again = bound.bind(&schema);
        assert!(
            matches!(&again, Ok(again) if *again == bound),
            "{bound:?} bound again: {again:?}"
        );
        let shown = bound.to_string();
        let again = Expr::parse(&shown).and_then(|filter| filter.bind(&schema));
        assert!(
            matches!(&again, Ok(again) if *again == bound),
            "{bound:?} is shown as {shown:?}: {again:?}"
        );
    }
});

/// Columns of many types with values at their edges; the last row is null throughout. The names are those of the seeds.
static ROWS: LazyLock<RecordBatch> = LazyLock::new(|| {
    let int = Int64Array::from(vec![Some(i64::MIN), Some(0), Some(2), Some(i64::MAX), None]);
    let small = Int8Array::from(vec![Some(-128), Some(0), Some(1), Some(127), None]);
    let unsigned = UInt64Array::from(vec![Some(0), Some(1), Some(1 << 63), Some(u64::MAX), None]);
    let float = Float64Array::from(vec![
        Some(f64::NEG_INFINITY),
        Some(-0.0),
        Some(0.1),
        Some(f64::NAN),
        None,
    ]);
    let single = Float32Array::from(vec![
        Some(-1.5),
        Some(0.1),
        Some(16_777_216.0),
        Some(f32::INFINITY),
        None,
    ]);
    let decimal = Decimal128Array::from(vec![Some(-150), Some(0), Some(10), Some(99_999), None])
        .with_precision_and_scale(5, 2)
        .expect("five digits");
    let text = StringArray::from(vec![Some(""), Some("it's"), Some("é"), Some("2"), None]);
    let truth = BooleanArray::from(vec![Some(true), Some(false), Some(true), Some(false), None]);
    let day = Date32Array::from(vec![
        Some(i32::MIN),
        Some(0),
        Some(19_753),
        Some(i32::MAX),
        None,
    ]);
    let at = TimestampMicrosecondArray::from(vec![
        Some(i64::MIN),
        Some(0),
        Some(1_706_702_400_000_000),
        Some(i64::MAX),
        None,
    ]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("wheel_n", Arc::new(int.clone())),
        ("basket", Arc::new(small)),
        ("rid", Arc::new(unsigned)),
        ("token", Arc::new(float)),
        ("f32", Arc::new(single)),
        ("price", Arc::new(decimal)),
        ("pose_s", Arc::new(text.clone())),
        ("score", Arc::new(text)),
        ("seed_b", Arc::new(truth)),
        ("day", Arc::new(day)),
        ("at", Arc::new(at.clone())),
        ("at_utc", Arc::new(at.with_timezone("UTC"))),
        ("pixel.album", Arc::new(int.clone())),
        ("tide graph", Arc::new(int)),
    ];
    RecordBatch::try_from_iter_with_nullable(
        columns
            .into_iter()
            .map(|(name, column)| (name, column, true)),
    )
    .expect("columns of five rows each")
});
