//! Types that wait for their first value, inside of lists, structs and maps (§10).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use arrow_json::ReaderBuilder;
use metaxy_store::{DeleteOptions, MetadataStore, ReadOptions, col};

use super::same;
use crate::bed::TestBed;
use crate::bed::frames::{read, samples, with_column};
use crate::bed::graphs::{key, pair};
use crate::bed::increments::resolve;
use crate::outcome::{Outcome, Stop, check_eq};

/// A column whose type has a part that is not known yet, and the one that it becomes.
struct Waiting {
    name: &'static str,
    unknown: DataType,
    /// Values of it, as JSON.
    first: &'static [&'static str],
    known: DataType,
    /// Values of the type that it becomes.
    later: &'static [&'static str],
}

/// A list that was always empty, a struct without members and a member that was always null wait for their types: such a column is
/// written and read as it is, takes the first type that comes, and the unknown one then fits the known one (§10).
pub async fn parts_of_a_column_wait_for_their_types(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    for column in waiting() {
        grows(&store, &column).await.map_err(|stop| {
            let (name, known) = (column.name, &column.known);
            Stop::failed(format!("{name} that becomes {known}: {stop}"))
        })?;
        store.drop_feature(&key("a")?).await?;
    }
    Ok(())
}

async fn grows(store: &MetadataStore, column: &Waiting) -> Outcome {
    let name = column.name;
    let first = values(&column.unknown, column.first)?;
    write(store, name, 0, &first).await?;
    same(name, &found(store, name).await?, &first)?;
    let new = resolve(store, "b").await?.new;
    check_eq(new.len(), first.len(), "rows of the increment")?;
    let passed = new.batch().column_by_name(name);
    let passed = passed.ok_or_else(|| Stop::failed("the increment lacks the column"))?;
    same(name, passed, &first)?;

    let later = values(&column.known, column.later)?;
    write(store, name, 100, &later).await?;
    let first = values(&column.known, column.first)?;
    let both = concat(&[&first, &later])?;
    same(name, &found(store, name).await?, &both)?;

    let unknown = values(&column.unknown, column.first)?;
    write(store, name, 200, &unknown).await?;
    let all = concat(&[&both, &first])?;
    same(name, &found(store, name).await?, &all)?;
    let new = resolve(store, "b").await?.new;
    let passed = new.batch().column_by_name(name);
    let passed = passed.ok_or_else(|| Stop::failed("the increment lacks the column"))?;
    same(name, passed, &all)?;

    // What is written anew on the way keeps its values, too.
    if store.capabilities().hard_delete {
        let first = DeleteOptions::hard().with_filters([col("id").eq(0)]);
        store.delete(&key("a")?, first).await?;
        let rest = all.slice(1, all.len() - 1);
        same(name, &found(store, name).await?, &rest)?;
    }
    Ok(())
}

fn waiting() -> Vec<Waiting> {
    use DataType as T;
    const LISTS: &[&str] = &["[]", "null", "[null,null]"];
    let of_list = |item: DataType, later| Waiting {
        name: "tags",
        unknown: list(T::Null),
        first: LISTS,
        known: list(item),
        later,
    };
    let no_members = || T::Struct(Fields::empty());
    let map = |value: DataType| {
        let key = Field::new("key", T::Utf8, false);
        let pair = Fields::from(vec![key, Field::new("value", value, true)]);
        let entries = Field::new("entries", T::Struct(pair), false);
        T::Map(Arc::new(entries), false)
    };
    let pair_of = |item: DataType| {
        let item = Arc::new(Field::new("item", item, true));
        T::FixedSizeList(item, 2)
    };
    vec![
        of_list(T::Int64, &["[1,null]", "[]"]),
        of_list(T::Utf8, &["[\"a\"]", "null"]),
        of_list(T::Boolean, &["[true]"]),
        of_list(T::Float64, &["[0.5]"]),
        of_list(T::Date32, &["[\"2026-01-01\"]"]),
        of_list(
            T::Timestamp(TimeUnit::Microsecond, None),
            &["[\"2026-01-01T00:00:00\"]"],
        ),
        of_list(list(T::Int64), &["[[1],[]]"]),
        of_list(record([("x", T::Int64)]), &["[{\"x\":1},null]"]),
        of_list(map(T::Int64), &["[{\"k\":1}]"]),
        Waiting {
            name: "nested",
            unknown: list(list(T::Null)),
            first: &["[[],[null]]", "[]", "null"],
            known: list(list(T::Utf8)),
            later: &["[[\"a\"]]"],
        },
        Waiting {
            name: "open",
            unknown: no_members(),
            first: &["{}", "null"],
            known: record([("a", T::Int64)]),
            later: &["{\"a\":1}", "{\"a\":null}"],
        },
        Waiting {
            name: "opens",
            unknown: list(no_members()),
            first: &["[{},null]", "[]", "null"],
            known: list(record([("a", list(T::Utf8))])),
            later: &["[{\"a\":[\"x\"]}]"],
        },
        Waiting {
            name: "point",
            unknown: record([("a", T::Null)]),
            first: &["{\"a\":null}", "null"],
            known: record([("a", T::Utf8)]),
            later: &["{\"a\":\"x\"}"],
        },
        Waiting {
            name: "point",
            unknown: record([("a", T::Null), ("b", T::Utf8)]),
            first: &["{\"a\":null,\"b\":\"it's {\"}", "null"],
            known: record([("a", record([("c", T::Int64)])), ("b", T::Utf8)]),
            later: &["{\"a\":{\"c\":1},\"b\":\"y\"}"],
        },
        Waiting {
            name: "points",
            unknown: list(record([("a", T::Null)])),
            first: &["[{\"a\":null},null]", "[]"],
            known: list(record([("a", T::Int64), ("b", T::Utf8)])),
            later: &["[{\"a\":1,\"b\":\"x\"}]"],
        },
        Waiting {
            name: "deep",
            unknown: record([("a", list(T::Null)), ("b", T::Int64)]),
            first: &["{\"a\":[],\"b\":1}", "{\"a\":null,\"b\":2}"],
            known: record([("a", list(record([("c", T::Utf8)]))), ("b", T::Int64)]),
            later: &["{\"a\":[{\"c\":\"x\"}],\"b\":3}"],
        },
        Waiting {
            name: "grown",
            unknown: list(record([("a", T::Int64)])),
            first: &["[{\"a\":1},null]", "[]", "null"],
            known: list(record([("a", T::Int64), ("b", list(T::Int64))])),
            later: &["[{\"a\":2,\"b\":[3]}]"],
        },
        Waiting {
            name: "fixed",
            unknown: pair_of(T::Null),
            first: &["[null,null]", "null"],
            known: pair_of(T::Float32),
            later: &["[0.5,null]"],
        },
        Waiting {
            name: "map",
            unknown: map(T::Null),
            first: &["{\"k\":null}", "{}", "null"],
            known: map(T::Int64),
            later: &["{\"k\":1}"],
        },
    ]
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

fn record<const N: usize>(members: [(&str, DataType); N]) -> DataType {
    let members = members.into_iter();
    let members = members.map(|(name, data_type)| Field::new(name, data_type, true));
    DataType::Struct(members.collect())
}

/// The values of a column, one JSON text each.
fn values(data_type: &DataType, json: &[&str]) -> Outcome<ArrayRef> {
    let field = Arc::new(Field::new("x", data_type.clone(), true));
    let reader = ReaderBuilder::new_with_field(field).with_batch_size(json.len());
    let mut decoder = reader.build_decoder()?;
    decoder.decode(json.join("\n").as_bytes())?;
    let batch = decoder.flush()?;
    let batch = batch.ok_or_else(|| Stop::failed("no values"))?;
    check_eq(batch.num_rows(), json.len(), "values")?;
    Ok(batch.column(0).clone())
}

/// Writes a column of samples whose IDs start at `start`.
async fn write(store: &MetadataStore, name: &str, start: i64, array: &ArrayRef) -> Outcome {
    let rows: Vec<(i64, &str)> = (start..).zip(vec!["x"; array.len()]).collect();
    let rows = with_column(&samples(&rows)?, name, array.clone())?;
    store.write(&key("a")?, rows).await?;
    Ok(())
}

/// The column as it is read, in the order of the IDs.
async fn found(store: &MetadataStore, name: &str) -> Outcome<ArrayRef> {
    let table = read(store, "a", ReadOptions::default()).await?;
    let values = table.batch().column_by_name(name).cloned();
    values.ok_or_else(|| Stop::failed(format!("no column {name}")))
}
