//! Columns of every type survive a round trip, alone and nested; names and values are just names and values.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{cast, concat, take};
use arrow::datatypes::*;
use metaxy_store::ErrorKind;
use metaxy_store::expr::{Expr, col};
use metaxy_store::plan::{Plan, Relation};

use crate::common::{append, column, memory, query, read, read_where};

/// Four values of each type, the third one null.
fn columns() -> Vec<(String, ArrayRef)> {
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    let mut add = |array: ArrayRef| columns.push((format!("{:?}", array.data_type()), array));
    let four = |v: [i64; 3]| -> ArrayRef {
        Arc::new(Int64Array::from(vec![
            Some(v[0]),
            Some(v[1]),
            None,
            Some(v[2]),
        ]))
    };
    let as_is = |numbers: ArrayRef, t: DataType| -> ArrayRef {
        make_array(
            numbers
                .to_data()
                .into_builder()
                .data_type(t)
                .build()
                .unwrap(),
        )
    };
    add(Arc::new(BooleanArray::from(vec![
        Some(true),
        Some(false),
        None,
        Some(true),
    ])));
    for (data_type, least, greatest) in [
        (DataType::Int8, i64::from(i8::MIN), i64::from(i8::MAX)),
        (DataType::Int16, i64::from(i16::MIN), i64::from(i16::MAX)),
        (DataType::Int32, i64::from(i32::MIN), i64::from(i32::MAX)),
        (DataType::Int64, i64::MIN, i64::MAX),
        (DataType::UInt8, 0, i64::from(u8::MAX)),
        (DataType::UInt16, 0, i64::from(u16::MAX)),
        (DataType::UInt32, 0, i64::from(u32::MAX)),
        (DataType::Date32, -800_000, 2_000_000),
    ] {
        let small = four([least, 1, greatest]);
        let small = match data_type {
            DataType::Date32 => cast(&small, &DataType::Int32).unwrap(),
            _ => small,
        };
        add(cast(&small, &data_type).unwrap());
    }
    add(Arc::new(UInt64Array::from(vec![
        Some(0),
        Some(u64::MAX),
        None,
        Some(1 << 63),
    ])));
    add(Arc::new(Float16Array::from(
        [Some(0.1), Some(-0.0), None, Some(f32::INFINITY)]
            .map(|v| v.map(|v: f32| <Float16Type as ArrowPrimitiveType>::Native::from_f32(v)))
            .to_vec(),
    )));
    add(Arc::new(Float32Array::from(vec![
        Some(f32::NAN),
        Some(-0.0),
        None,
        Some(f32::MIN),
    ])));
    add(Arc::new(Float64Array::from(vec![
        Some(f64::NEG_INFINITY),
        Some(-0.0),
        None,
        Some(f64::MIN_POSITIVE),
    ])));
    let text = texts();
    add(Arc::new(text.clone()));
    for data_type in [
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        DataType::Dictionary(Box::new(DataType::UInt8), Box::new(DataType::Utf8)),
    ] {
        add(cast(&text, &data_type).unwrap());
    }
    let days = four([-1, 0, 20_000]);
    let days = cast(
        &days,
        &DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Int64)),
    );
    add(days.unwrap());
    let bytes = BinaryArray::from(vec![
        Some(b"\0\xff".as_ref()),
        Some(b""),
        None,
        Some(b"x'\\x00"),
    ]);
    add(Arc::new(bytes));
    add(Arc::new(
        FixedSizeBinaryArray::try_from_sparse_iter_with_size(
            [Some([0, 255]), Some([1, 2]), None, Some([0, 0])].into_iter(),
            2,
        )
        .unwrap(),
    ));
    // Milliseconds, also such as are no whole days.
    add(as_is(four([-1, 1, 253_402_300_799_999]), DataType::Date64));
    for unit in [TimeUnit::Second, TimeUnit::Millisecond] {
        let day = if unit == TimeUnit::Second {
            86_400
        } else {
            86_400_000
        };
        let times = cast(&four([0, 1, day - 1]), &DataType::Int32).unwrap();
        add(as_is(times, DataType::Time32(unit)));
    }
    add(as_is(
        four([0, 1, 86_399_999_999]),
        DataType::Time64(TimeUnit::Microsecond),
    ));
    add(as_is(
        four([0, 1, 86_399_999_999_999]),
        DataType::Time64(TimeUnit::Nanosecond),
    ));
    for unit in [
        TimeUnit::Second,
        TimeUnit::Millisecond,
        TimeUnit::Microsecond,
        TimeUnit::Nanosecond,
    ] {
        add(as_is(
            four([i64::MIN + 1, -1, i64::MAX]),
            DataType::Duration(unit),
        ));
        // About the years 1653 to 2243, before and after the epoch.
        let per_second: i64 = match unit {
            TimeUnit::Second => 1,
            TimeUnit::Millisecond => 1_000,
            TimeUnit::Microsecond => 1_000_000,
            TimeUnit::Nanosecond => 1_000_000_000,
        };
        let far = 9_000_000_000 * per_second + per_second - 1;
        for zone in [None, Some("UTC"), Some("+02:00"), Some("America/New_York")] {
            let data_type = DataType::Timestamp(unit, zone.map(Into::into));
            add(as_is(four([-far, -1, far]), data_type));
        }
    }
    let intervals = IntervalMonthDayNanoArray::from(vec![
        Some(IntervalMonthDayNano::new(-14, 3, -1_000)),
        Some(IntervalMonthDayNano::new(0, 0, 86_400_000_001_000)),
        None,
        Some(IntervalMonthDayNano::new(i32::MAX, i32::MIN, 0)),
    ]);
    add(Arc::new(intervals));
    add(Arc::new(
        Decimal32Array::from(vec![Some(-99_999), Some(1), None, Some(99_999)])
            .with_precision_and_scale(5, 5)
            .unwrap(),
    ));
    add(Arc::new(
        Decimal64Array::from(vec![Some(-1), Some(0), None, Some(999_999_999_999_999_999)])
            .with_precision_and_scale(18, 0)
            .unwrap(),
    ));
    for (digits, scale) in [(4, 2), (9, 3), (18, 4), (38, 0), (38, 10), (38, 38)] {
        let most = 10_i128.pow(u32::from(digits)) - 1;
        let values = Decimal128Array::from(vec![Some(-most), Some(1), None, Some(most)]);
        add(Arc::new(
            values.with_precision_and_scale(digits, scale).unwrap(),
        ));
    }
    for (digits, scale) in [(38, 5), (39, 0), (76, 10), (76, 76)] {
        let most = (0..digits).fold(i256::ONE, |n, _| n.wrapping_mul(i256::from(10)));
        let most = most.wrapping_sub(i256::ONE);
        let values = vec![Some(most.wrapping_neg()), Some(i256::ONE), None, Some(most)];
        let values = Decimal256Array::from(values);
        add(Arc::new(
            values.with_precision_and_scale(digits, scale).unwrap(),
        ));
    }
    columns
}

fn texts() -> StringArray {
    StringArray::from(vec![
        Some("a'b"),
        Some(""),
        None,
        Some("日本\0\"; DROP TABLE t; -- and more than twelve bytes"),
    ])
}

/// The column in lists, lists of a size, structs, maps, and lists of structs with lists; each with nulls at every level.
fn nested(values: &ArrayRef) -> Vec<(&'static str, ArrayRef)> {
    let item = |name: &str| Arc::new(Field::new(name, values.data_type().clone(), true));
    let nulls = || Some(NullBuffer::from(vec![true, false, true, true]));
    let lists = |values: &ArrayRef| -> ListArray {
        let item = Arc::new(Field::new("item", values.data_type().clone(), true));
        // All four, null, none, the first and the null.
        let more = take(values, &UInt32Array::from(vec![0, 2]), None).unwrap();
        let values = concat(&[values.as_ref(), more.as_ref()]).unwrap();
        ListArray::new(
            item,
            OffsetBuffer::from_lengths([4, 0, 0, 2]),
            values,
            nulls(),
        )
    };
    let list = lists(values);
    let twice = concat(&[values.as_ref(), values.as_ref()]).unwrap();
    let fixed = FixedSizeListArray::new(item("item"), 2, twice, nulls());
    let other: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(1), Some(2), None]));
    let members = Fields::from(vec![
        item("a \"member\""),
        Arc::new(Field::new("n", DataType::Int64, true)),
    ]);
    let structs = StructArray::new(members, vec![values.clone(), other.clone()], nulls());
    let key: ArrayRef = Arc::new(StringArray::from(vec!["k", "", "l'", "k"]));
    let pair = Fields::from(vec![
        Arc::new(Field::new("key", DataType::Utf8, false)),
        item("value"),
    ]);
    let entries = StructArray::new(pair, vec![key, values.clone()], None);
    let map = MapArray::new(
        Arc::new(Field::new("entries", entries.data_type().clone(), false)),
        OffsetBuffer::from_lengths([3, 0, 0, 1]),
        entries,
        nulls(),
        false,
    );
    let structs: ArrayRef = Arc::new(structs);
    let deep = StructArray::new(
        Fields::from(vec![
            Arc::new(Field::new("lists", list.data_type().clone(), true)),
            Arc::new(Field::new("inner", structs.data_type().clone(), true)),
        ]),
        vec![Arc::new(list.clone()), structs.clone()],
        nulls(),
    );
    let deep: ArrayRef = Arc::new(deep);
    vec![
        ("list", Arc::new(list)),
        ("fixed", Arc::new(fixed)),
        ("struct", structs),
        ("map", Arc::new(map)),
        ("list<struct<list, struct>>", Arc::new(lists(&deep))),
    ]
}

/// Equal as values are: what lies below a null does not count.
fn assert_same(name: &str, stored: &dyn Array, written: &dyn Array) {
    assert_eq!(stored.data_type(), written.data_type(), "{name}");
    let bits = |array: &dyn Array| format!("{array:?}");
    // NaN is not equal to itself, but looks like it.
    assert!(
        stored == written || (bits(stored) == bits(written) && bits(written).contains("NaN")),
        "{name}: {stored:?} instead of {written:?}"
    );
}

#[test]
fn every_type_survives() {
    let backend = memory();
    let written = RecordBatch::try_from_iter(columns()).unwrap();
    append(&backend, written.clone()).unwrap();
    // A second write finds the columns as they are.
    append(&backend, written.clone()).unwrap();
    let back = read(&backend).unwrap();
    for (field, array) in written.schema().fields().iter().zip(written.columns()) {
        let stored = back.column_by_name(field.name()).unwrap();
        assert_same(field.name(), &stored.slice(0, 4), array);
        assert_same(field.name(), &stored.slice(4, 4), array);
    }
}

#[test]
fn every_type_survives_inside_others() {
    for (name, values) in columns() {
        let backend = memory();
        let written = RecordBatch::try_from_iter(nested(&values)).unwrap();
        append(&backend, written.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let back = read(&backend).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        for (field, array) in written.schema().fields().iter().zip(written.columns()) {
            let stored = back.column_by_name(field.name()).unwrap();
            assert_same(&format!("{} of {name}", field.name()), stored, array);
        }
    }
}

/// What a query returns of a frame is what the frame had, of the types that it had.
#[test]
fn frames_come_back_as_they_were() {
    let backend = memory();
    let mut all = columns();
    for (name, values) in columns() {
        for (kind, array) in nested(&values) {
            all.push((format!("{kind} of {name}"), array));
        }
    }
    for data_type in [
        DataType::LargeUtf8,
        DataType::Utf8View,
        DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::LargeUtf8)),
    ] {
        let texts = cast(&texts(), &data_type).unwrap();
        all.push((format!("{data_type:?}"), texts));
    }
    let (_, list) = nested(&(Arc::new(texts()) as ArrayRef)).remove(0);
    let item = Field::new("item", DataType::Utf8View, true);
    let large = cast(&list, &DataType::LargeList(Arc::new(item))).unwrap();
    all.push(("large list".into(), large));
    all.push(("null".into(), Arc::new(NullArray::new(4))));
    let frame = RecordBatch::try_from_iter(all).unwrap();
    // A slice has offsets.
    let frame = frame.slice(1, 3);
    let plan = Plan {
        relation: Relation::frame(0, frame.schema()),
        frames: vec![frame.clone().into()],
    };
    let back = query(&backend, plan).unwrap().to_batch().unwrap();
    for (field, array) in frame.schema().fields().iter().zip(frame.columns()) {
        let stored = back.column_by_name(field.name()).unwrap();
        assert_same(field.name(), stored, array);
    }
}

#[test]
fn empty_structs_and_columns_of_nulls_survive() {
    let backend = memory();
    let nulls = NullBuffer::from(vec![true, false, true]);
    let empty = StructArray::new_empty_fields(3, Some(nulls.clone()));
    let inner: ArrayRef = Arc::new(empty.clone());
    let outer = StructArray::new(
        Fields::from(vec![
            Arc::new(Field::new("e", inner.data_type().clone(), true)),
            Arc::new(Field::new("nothing", DataType::Null, true)),
        ]),
        vec![inner, Arc::new(NullArray::new(3))],
        None,
    );
    let lists = ListArray::new(
        Arc::new(Field::new("item", DataType::Null, true)),
        OffsetBuffer::from_lengths([2, 0, 1]),
        Arc::new(NullArray::new(3)),
        Some(nulls),
    );
    let rows = RecordBatch::try_from_iter([
        ("empty", Arc::new(empty) as ArrayRef),
        ("outer", Arc::new(outer)),
        ("lists", Arc::new(lists)),
    ])
    .unwrap();
    append(&backend, rows.clone()).unwrap();
    let back = read(&backend).unwrap();
    for (field, array) in rows.schema().fields().iter().zip(rows.columns()) {
        let stored = back.column_by_name(field.name()).unwrap();
        assert_eq!(stored.len(), 3);
        assert_eq!(stored.data_type(), field.data_type(), "{}", field.name());
        assert_eq!(stored.as_ref(), array.as_ref(), "{}", field.name());
    }
}

/// More rows than DuckDB looks at in one go, in batches of odd sizes, with texts that are and are not kept in place.
#[test]
fn many_rows_survive() {
    let rows = 5_003;
    let numbers = Int64Array::from_iter((0..rows).map(|i| (i % 7 != 0).then_some(i)));
    let texts = StringArray::from_iter(
        (0..rows).map(|i| (i % 5 != 0).then(|| "x".repeat(i as usize % 40))),
    );
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>((0..rows as i32).map(|i| {
        (i % 11 != 0).then(|| {
            (0..i % 4)
                .map(move |n| (n != 2).then_some(i * n))
                .collect::<Vec<_>>()
        })
    }));
    let durations = numbers.reinterpret_cast::<DurationSecondType>();
    let structs = StructArray::from(vec![
        (
            Arc::new(Field::new("d", durations.data_type().clone(), true)),
            Arc::new(durations) as ArrayRef,
        ),
        (
            Arc::new(Field::new("l", lists.data_type().clone(), true)),
            Arc::new(lists.clone()) as ArrayRef,
        ),
    ]);
    let written = RecordBatch::try_from_iter([
        (
            "i",
            Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef,
        ),
        ("n", Arc::new(numbers)),
        ("t", Arc::new(texts)),
        ("l", Arc::new(lists)),
        ("s", Arc::new(structs)),
    ])
    .unwrap();
    let backend = memory();
    append(&backend, written.slice(0, 2_999)).unwrap();
    append(&backend, written.slice(2_999, 2_004)).unwrap();
    let back = read(&backend).unwrap();
    let order = arrow::compute::kernels::take::take_record_batch;
    let ids = back
        .column_by_name("i")
        .unwrap()
        .as_primitive::<Int64Type>();
    let mut positions: Vec<u32> = (0..rows as u32).collect();
    positions.sort_by_key(|p| ids.value(*p as usize));
    let back = order(&back, &UInt32Array::from(positions)).unwrap();
    for (field, array) in written.schema().fields().iter().zip(written.columns()) {
        let stored = back.column_by_name(field.name()).unwrap();
        assert_eq!(stored.as_ref(), array.as_ref(), "{}", field.name());
    }
}

/// The database means by a filter what the evaluator means, on every column that can be compared.
#[test]
fn filters_mean_what_they_say() {
    let numbers = |v: [i64; 3]| -> ArrayRef {
        Arc::new(Int64Array::from(vec![
            Some(v[0]),
            Some(v[1]),
            None,
            Some(v[2]),
        ]))
    };
    let to = |v, t| cast(&numbers(v), &t).unwrap();
    let time = |unit, zone: Option<&str>| DataType::Timestamp(unit, zone.map(Into::into));
    let words = cast(
        &texts(),
        &DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
    );
    let small = cast(&numbers([-1, 1, 100]), &DataType::Int32).unwrap();
    let rows = RecordBatch::try_from_iter([
        ("i64", numbers([i64::MIN, 0, i64::MAX])),
        ("u64", to([0, 1, i64::MAX], DataType::UInt64)),
        (
            "f64",
            Arc::new(Float64Array::from(vec![
                Some(f64::NAN),
                Some(-0.0),
                None,
                Some(0.5),
            ])),
        ),
        ("utf8", Arc::new(texts())),
        ("enum", words.unwrap()),
        ("date32", cast(&small, &DataType::Date32).unwrap()),
        ("date64", to([-1, 0, 86_400_000], DataType::Date64)),
        ("ts_s", to([-1, 0, 100], time(TimeUnit::Second, None))),
        (
            "ts_ms",
            to([-1, 0, 100], time(TimeUnit::Millisecond, Some("+02:00"))),
        ),
        (
            "ts_us",
            to([-1, 0, 100], time(TimeUnit::Microsecond, Some("UTC"))),
        ),
        (
            "ts_ns",
            to([-1, 0, 1_001], time(TimeUnit::Nanosecond, None)),
        ),
        (
            "ts_nz",
            to([-1, 0, 1_000], time(TimeUnit::Nanosecond, Some("+01:00"))),
        ),
        ("decimal", to([-1, 1, 100], DataType::Decimal128(10, 2))),
        (
            "bool",
            Arc::new(BooleanArray::from(vec![
                Some(true),
                Some(false),
                None,
                Some(true),
            ])),
        ),
    ])
    .unwrap();
    let backend = memory();
    append(&backend, rows.clone()).unwrap();
    for text in [
        "i64 = -9223372036854775808",
        "i64 >= 9223372036854775807",
        "i64 < 9223372036854775808",
        "u64 > 0.5",
        "f64 > 0",
        "f64 = f64",
        "f64 = 0",
        "utf8 = 'a''b' OR utf8 = ''",
        "utf8 >= '日'",
        "enum = ''",
        "enum >= 'a'",
        "enum IS NULL",
        "enum = utf8",
        "NOT bool",
        "bool IS NOT TRUE",
        "date32 > '1970-01-01'",
        "date32 >= '1969-12-31'",
        "date64 = '1970-01-01'",
        "ts_s >= '1970-01-01 00:00:01'",
        "ts_s < '1970-01-01'",
        "ts_ms < '1970-01-01 00:00:00.100'",
        "ts_us = '1970-01-01 00:00:00.0001'",
        "ts_us < '1970-01-01 00:00:00+00:00'",
        "ts_ns > '1970-01-01'",
        "ts_ns > '1970-01-01 00:00:00.000001'",
        "ts_nz = '1970-01-01 00:00:00.000001'",
        "ts_s = ts_ns",
        "decimal > 0.5",
        "decimal IN (1, 100.00)",
        "decimal < i64",
    ] {
        let filter = Expr::parse(text).unwrap();
        let bound = match filter.bind(&rows.schema()) {
            Ok(bound) => bound,
            Err(error) => panic!("{text}: {error}"),
        };
        let expected: Vec<_> = bound
            .evaluate(&rows)
            .unwrap()
            .iter()
            .map(|kept| kept == Some(true))
            .collect();
        let found = read_where(&backend, &filter).unwrap_or_else(|e| panic!("{text}: {e:?}"));
        let expected = arrow::compute::filter_record_batch(&rows, &expected.into()).unwrap();
        assert_eq!(found.num_rows(), expected.num_rows(), "{text}");
        for (found, expected) in found.columns().iter().zip(expected.columns()) {
            let plain = |array: &ArrayRef| match array.data_type() {
                DataType::Dictionary(_, value) => cast(array, value).unwrap(),
                _ => array.clone(),
            };
            assert_same(text, &plain(found), &plain(expected));
        }
    }
}

#[test]
fn names_and_values_are_no_sql() {
    let backend = memory();
    let names = [
        "a\"b",
        "x'; DROP TABLE a__b; --",
        "select",
        "[brackets]",
        "`tick`",
        "日本",
        "a.b",
        "semi;colon",
        "rowid",
        "?1",
        "$1",
        "true",
        "COLUMNS(*)",
        "*",
    ];
    let column = |name: &&str| -> ArrayRef {
        Arc::new(StringArray::from(vec![format!("{name}' OR '1'='1")]))
    };
    let rows = RecordBatch::try_from_iter(names.iter().map(|n| (*n, column(n)))).unwrap();
    append(&backend, rows.clone()).unwrap();
    append(&backend, rows.clone()).unwrap();
    assert_eq!(
        read(&backend).unwrap().slice(0, 1).columns(),
        rows.columns()
    );
    for name in names {
        let value = format!("{name}' OR '1'='1");
        let hit = read_where(&backend, &col(name).eq(value.as_str())).unwrap();
        assert_eq!(hit.num_rows(), 2, "{name}");
        let miss = read_where(&backend, &col(name).eq("' OR '1'='1")).unwrap();
        assert_eq!(miss.num_rows(), 0, "{name}");
    }
}

#[test]
fn what_does_not_fit_is_refused_whole() {
    let backend = memory();
    let ints = |v: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(v)) };
    append(&backend, column("n", ints(vec![1]))).unwrap();

    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let error = append(&backend, column("n", texts.clone())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFrame);
    let message = error.to_string();
    assert!(
        ["\"n\"", "Int64", "Utf8"]
            .iter()
            .all(|part| message.contains(part)),
        "{error}"
    );

    // Types and values that DuckDB has not.
    let months = IntervalYearMonthArray::from(vec![1]);
    let intervals = vec![IntervalMonthDayNano::new(0, 0, 1)];
    let negative = Decimal128Array::from(vec![1])
        .with_precision_and_scale(5, -2)
        .unwrap();
    for (array, kind) in [
        (Arc::new(months) as ArrayRef, ErrorKind::Unsupported),
        (
            Arc::new(IntervalMonthDayNanoArray::from(intervals)),
            ErrorKind::InvalidFrame,
        ),
        (Arc::new(negative), ErrorKind::Unsupported),
    ] {
        let data_type = array.data_type().clone();
        let error = append(&backend, column("odd", array));
        let error = error.expect_err(&format!("{data_type}"));
        assert_eq!(error.kind(), kind, "{data_type}: {error:?}");
        assert!(error.hint().is_some(), "{data_type}: {error}");
        let message = error.to_string();
        assert!(
            message.contains("odd") && message.contains("a/b"),
            "{message}"
        );
        assert_eq!(read(&backend).unwrap().num_columns(), 1);
    }

    // Times that DuckDB has not are refused, or come back: they become no other times.
    let far = vec![i64::MAX - 1, i64::MIN, i64::MAX, 1 << 61, -(1 << 61)];
    let days = vec![i32::MAX, i32::MIN, -i32::MAX, i32::MAX - 1, 1 << 29];
    for zone in [None, Some("UTC")] {
        for unit in [
            TimeUnit::Second,
            TimeUnit::Millisecond,
            TimeUnit::Microsecond,
            TimeUnit::Nanosecond,
        ] {
            for time in &far {
                let times: ArrayRef = Arc::new(Int64Array::from(vec![*time]));
                let data_type = DataType::Timestamp(unit, zone.map(Into::into));
                survives_or_is_refused(&cast(&times, &data_type).unwrap());
            }
        }
    }
    for day in days {
        let day: ArrayRef = Arc::new(Date32Array::from(vec![day]));
        survives_or_is_refused(&day);
    }

    // A column of nulls takes the table's type, or waits until it has one; a narrower integer fits; a new column is added.
    let nulls: ArrayRef = Arc::new(NullArray::new(1));
    let rows = RecordBatch::try_from_iter([("n", nulls.clone()), ("later", nulls)]).unwrap();
    append(&backend, rows).unwrap();
    let small: ArrayRef = Arc::new(Int8Array::from(vec![7]));
    let rows = RecordBatch::try_from_iter([("n", small), ("later", texts)]).unwrap();
    append(&backend, rows).unwrap();
    let all = read(&backend).unwrap();
    let expected: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(7)]));
    assert_eq!(all.column_by_name("n").unwrap().as_ref(), expected.as_ref());
    assert_eq!(all.column_by_name("later").unwrap().null_count(), 2);
    assert_eq!(all.num_columns(), 2);
}

fn survives_or_is_refused(array: &ArrayRef) {
    let backend = memory();
    match append(&backend, column("odd", array.clone())) {
        Ok(()) => {
            let back = read(&backend).unwrap();
            assert_same("what was not refused", back.column(0), array);
        }
        Err(error) => {
            assert_eq!(
                error.kind(),
                ErrorKind::InvalidFrame,
                "{array:?}: {error:?}"
            );
            assert!(error.hint().is_some(), "{array:?}: {error}");
        }
    }
}
