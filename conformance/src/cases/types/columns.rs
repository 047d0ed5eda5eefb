//! Columns that come, go, grow and do not fit (§5, §10).

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    ListArray, NullArray, StructArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    UInt64Array, new_null_array,
};
use arrow::datatypes::{DataType, Field, Int64Type};
use metaxy_store::{ErrorKind, MetadataStore, ReadOptions};

use super::{check_refusal, write};
use crate::bed::TestBed;
use crate::bed::frames::{ints, read, samples, stored, texts, times, with_column};
use crate::bed::graphs::{key, pair};
use crate::outcome::{Outcome, check, check_eq, names, refused};

/// A column that holds nothing but nulls, without a type, is written, and takes the type of the first write that has one (§10).
pub async fn a_column_of_nulls_waits_for_its_type(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows = with_column(&samples(&[(1, "x")])?, "later", nulls(1))?;
    store.write(&key("a")?, rows).await?;
    let seen = read(&store, "a", ReadOptions::default()).await?;
    check_eq(seen.ids()?, [1], "the sample")?;
    let rows = with_column(&samples(&[(2, "x")])?, "later", texts(["word"]))?;
    store.write(&key("a")?, rows).await?;
    let seen = read(&store, "a", ReadOptions::default()).await?;
    check_eq(seen.lines(&["id", "later"])?, ["1 -", "2 word"], "rows")?;
    check_type(&store, "later", &DataType::Utf8).await?;

    // Nulls that have a type give it.
    let typed = new_null_array(&DataType::Int64, 1);
    let rows = with_column(&samples(&[(3, "x")])?, "typed", typed)?;
    store.write(&key("a")?, rows).await?;
    check_type(&store, "typed", &DataType::Int64).await
}

/// Nulls without a type fit every column (§10).
pub async fn a_column_of_nulls_takes_the_tables_type(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    for (name, array) in [
        ("number", ints([7])),
        ("word", texts(["x"])),
        ("at", times([5])),
    ] {
        let expected = array.data_type().clone();
        let given = with_column(&samples(&[(1, "x")])?, name, array)?;
        store.write(&key("a")?, given.clone()).await?;
        let rows = with_column(&samples(&[(2, "x")])?, name, nulls(1))?;
        store.write(&key("a")?, rows).await?;
        check_type(&store, name, &expected).await?;
        let seen = read(&store, "a", ReadOptions::default()).await?;
        let lines = seen.lines(&["id", name])?;
        check(lines[0] != "1 -", format!("{name} was lost"))?;
        check_eq(lines[1].as_str(), "2 -", "the null")?;
    }
    Ok(())
}

/// A column that a later write brings is null in the rows before it, and stands after the others (§5).
pub async fn a_new_column_is_null_in_older_rows(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    store
        .write(&key("a")?, samples(&[(1, "x"), (2, "x")])?)
        .await?;
    let before = read(&store, "a", ReadOptions::default()).await?.columns();
    let rows = with_column(&samples(&[(2, "y"), (3, "y")])?, "size", ints([20, 30]))?;
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1)]), None]);
    let rows = with_column(&rows, "list", Arc::new(list))?;
    store.write(&key("a")?, rows).await?;
    let seen = read(&store, "a", ReadOptions::default()).await?;
    let expected = ["1 - -", "2 20 [1]", "3 30 -"];
    check_eq(seen.lines(&["id", "size", "list"])?, expected, "rows")?;
    let columns = seen.columns();
    check_eq(&columns[..before.len()], &before[..], "the old columns")?;
    check_eq(&columns[before.len()..], ["size", "list"], "the new ones")
}

/// A column that a later write lacks is null in its rows (§5).
pub async fn a_missing_column_is_null_in_newer_rows(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows = with_column(&samples(&[(1, "x"), (2, "x")])?, "size", ints([10, 20]))?;
    store.write(&key("a")?, rows).await?;
    store
        .write(&key("a")?, samples(&[(2, "y"), (3, "y")])?)
        .await?;
    let seen = read(&store, "a", ReadOptions::default()).await?;
    let expected = ["1 10", "2 -", "3 -"];
    check_eq(seen.lines(&["id", "size"])?, expected, "rows")
}

/// A struct of a later write may have other members: new ones are null before, missing ones after, in whatever order (§5).
pub async fn structs_grow_by_new_members(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let member = |name: &str, array: ArrayRef| {
        (
            Arc::new(Field::new(name, array.data_type().clone(), true)),
            array,
        )
    };
    let first = StructArray::from(vec![member("x", ints([1])), member("y", ints([2]))]);
    let second = StructArray::from(vec![member("z", texts(["3"])), member("x", ints([4]))]);
    for (id, array) in [(1, first), (2, second)] {
        let rows = with_column(&samples(&[(id, "v")])?, "point", Arc::new(array))?;
        store.write(&key("a")?, rows).await?;
    }
    let seen = read(&store, "a", ReadOptions::default()).await?;
    let columns = ["id", "point.x", "point.y", "point.z"];
    check_eq(seen.lines(&columns)?, ["1 1 2 -", "2 4 - 3"], "rows")
}

/// A narrower number, or a time in a coarser unit, fits a column that holds all its values (§5).
pub async fn narrower_types_fit(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let millis = TimestampMillisecondArray::from(vec![1_500]).with_timezone("UTC");
    let cases: Vec<(&str, ArrayRef, ArrayRef, &str)> = vec![
        ("long", ints([1]), Arc::new(Int8Array::from(vec![-3])), "-3"),
        (
            "int",
            Arc::new(Int32Array::from(vec![1])),
            Arc::new(Int16Array::from(vec![-3])),
            "-3",
        ),
        (
            "double",
            Arc::new(Float64Array::from(vec![0.1])),
            Arc::new(Float32Array::from(vec![0.5])),
            "0.5",
        ),
        (
            "count",
            Arc::new(Float64Array::from(vec![0.1])),
            Arc::new(Int32Array::from(vec![7])),
            "7.0",
        ),
        ("at", times([5]), Arc::new(millis), "1500000"),
    ];
    for (name, wide, narrow, expected) in cases {
        let data_type = wide.data_type().clone();
        write(&store, name, wide).await?;
        write(&store, name, narrow).await?;
        check_type(&store, name, &data_type).await?;
        let seen = read(&store, "a", ReadOptions::default()).await?;
        check_eq(seen.lines(&[name])?, [expected], name)?;
    }
    Ok(())
}

/// A type that does not fit is refused, even where these values would: the error names the column and both types (§10).
pub async fn types_that_do_not_fit_are_refused(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let naive: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1]));
    let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some(
        vec![Some(1)],
    )]));
    let member = |array: ArrayRef| -> ArrayRef {
        let field = Field::new("x", array.data_type().clone(), true);
        Arc::new(StructArray::from(vec![(Arc::new(field), array)]))
    };
    let small: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let float: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
    let flag: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
    let cases: Vec<(&str, ArrayRef, Vec<ArrayRef>)> = vec![
        (
            "number",
            ints([1]),
            vec![texts(["1"]), float.clone(), flag.clone(), times([1])],
        ),
        ("small", small, vec![ints([1])]),
        (
            "word",
            texts(["1"]),
            vec![ints([1]), flag, times([1]), list.clone()],
        ),
        ("float", float, vec![ints([1]), texts(["1.0"])]),
        ("zoned", times([1]), vec![naive.clone(), ints([1])]),
        ("naive", naive, vec![times([1]), texts(["2026-01-01"])]),
        ("list", list, vec![ints([1]), texts(["[1]"])]),
        (
            "point",
            member(ints([1])),
            vec![member(texts(["1"])), ints([1])],
        ),
    ];
    for (name, first, misfits) in cases {
        let stored_type = first.data_type().to_string();
        write(&store, name, first).await?;
        let before = stored(&store, "a").await?;
        for misfit in misfits {
            let given = misfit.data_type().to_string();
            let result = write(&store, name, misfit).await;
            let error = refused(result, ErrorKind::InvalidFrame)?;
            let words = [name, &stored_type, &given, "feature a", "main"];
            names(&error, &words)?;
            check(error.hint().is_some(), "no word on what to do next")?;
        }
        check_eq(stored(&store, "a").await?, before, "what is stored")?;
    }
    // New columns of a refused write are not added.
    let rows = with_column(&samples(&[(1, "x")])?, "number", texts(["1"]))?;
    let rows = with_column(&rows, "other", ints([1]))?;
    let result = store.write(&key("a")?, rows).await;
    refused(result, ErrorKind::InvalidFrame)?;
    let columns = read(&store, "a", ReadOptions::default()).await?.columns();
    check(
        !columns.contains(&"other".to_owned()),
        "a refused write added a column",
    )
}

/// A value beyond what a backend's column holds, in the last of several batches, undoes the whole write (contract).
pub async fn a_misfit_in_a_later_batch_is_refused_whole(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let batch = |id: i64, value: u64| {
        let value: ArrayRef = Arc::new(UInt64Array::from(vec![value]));
        with_column(&samples(&[(id, "x")])?, "big", value)
    };
    let batches = vec![batch(1, 1)?, batch(2, 2)?, batch(3, u64::MAX)?];
    let rows = metaxy_store::Rows::new(batches[0].schema(), batches);
    match store.write(&key("a")?, rows).await {
        Ok(_) => {
            let seen = read(&store, "a", ReadOptions::default()).await?;
            let expected = ["1 1", "2 2", "3 18446744073709551615"];
            check_eq(seen.lines(&["id", "big"])?, expected, "rows")
        }
        Err(error) => {
            check_refusal(&error, "big")?;
            check(
                !store.has_feature(&key("a")?, false).await?,
                "a part was written",
            )
        }
    }
}

async fn check_type(store: &MetadataStore, name: &str, expected: &DataType) -> Outcome {
    let schema = store.feature_schema(&key("a")?).await?;
    let found = schema.and_then(|schema| {
        let field = schema.field_with_name(name).ok()?;
        Some(field.data_type().clone())
    });
    check_eq(
        found.as_ref(),
        Some(expected),
        format!("the type of {name}"),
    )
}

/// Nulls of no type.
fn nulls(rows: usize) -> ArrayRef {
    Arc::new(NullArray::new(rows))
}
