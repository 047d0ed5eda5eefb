//! IDs that features have in different types (§2, §6).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, UInt64Array, make_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use metaxy_store::spec::Lineage;
use metaxy_store::{ErrorKind, FeatureDep, MetadataStore, ResolveOptions};

use crate::bed::TestBed;
use crate::bed::frames::{Table, by_field, frame, ints, texts, with_column};
use crate::bed::graphs::{feature, graph, key};
use crate::bed::increments::resolve;
use crate::outcome::{Outcome, Stop, check, check_eq, names, refused};

/// Upstreams and stored rows meet whatever the widths and signs of their integer IDs, as do texts and dictionaries, and times in other
/// units: nothing that was computed is new again, what changed is stale, what is gone orphaned (§2, §6).
pub async fn ids_of_other_types_meet(bed: &TestBed) -> Outcome {
    for (at, [a, b, c]) in types().into_iter().enumerate() {
        let store = bed.builder(&format!("store{at}")).await?;
        let store = store.with_graph(triangle(false)?).build()?;
        let outcome = meet(&store, [&a, &b, &c]).await;
        outcome.map_err(|stop| Stop::failed(format!("{a} and {b}, written as {c}: {stop}")))?;
    }
    Ok(())
}

async fn meet(store: &MetadataStore, [a, b, c]: [&DataType; 3]) -> Outcome {
    write(store, "a", a, &[1, 2, 3], "x").await?;
    write(store, "b", b, &[2, 3, 4], "x").await?;
    let new = resolve(store, "c").await?.new;
    check_eq(ids_of(&new)?, [2, 3], "new samples")?;
    let computed = with_column(new.batch(), "id", ids(c, &[2, 3])?)?;
    store.write(&key("c")?, computed).await?;
    let parts = resolve(store, "c").await?;
    check_eq(parts.new.len(), 0, "new samples after all were computed")?;
    parts.nothing()?;

    write(store, "a", a, &[3], "y").await?;
    write(store, "c", c, &[9], "gone").await?;
    let parts = resolve(store, "c").await?;
    check_eq(parts.new.len(), 0, "new samples")?;
    check_eq(ids_of(&parts.stale)?, [3], "stale samples")?;
    check_eq(ids_of(&parts.orphaned)?, [9], "orphaned samples")?;
    check_eq(
        parts
            .orphaned
            .batch()
            .schema()
            .field_with_name("id")?
            .data_type(),
        c,
        "the type of orphaned IDs",
    )?;
    let counts = store
        .resolve_lazy(&key("c")?, ResolveOptions::default())
        .await?;
    let counts = counts.sample_counts().await?;
    check_eq(
        (counts.new, counts.stale, counts.orphaned),
        (0, 1, 1),
        "counts",
    )?;
    let gone = parts.orphaned.batch().clone();
    store.delete_rows(&key("c")?, gone).await?;
    let parts = resolve(store, "c").await?;
    check_eq(
        parts.orphaned.len(),
        0,
        "orphaned samples after they were deleted",
    )
}

/// So do upstreams of which each is optional, where samples of either side are expected (§2).
pub async fn ids_of_other_types_meet_where_either_may_be_missing(bed: &TestBed) -> Outcome {
    for (at, [a, b, c]) in types().into_iter().enumerate() {
        let store = bed.builder(&format!("store{at}")).await?;
        let store = store.with_graph(triangle(true)?).build()?;
        let outcome = async {
            write(&store, "a", &a, &[1, 2], "x").await?;
            write(&store, "b", &b, &[2, 3], "x").await?;
            let new = resolve(&store, "c").await?.new;
            check_eq(ids_of(&new)?, [1, 2, 3], "new samples")?;
            let computed = with_column(new.batch(), "id", ids(&c, &[1, 2, 3])?)?;
            store.write(&key("c")?, computed).await?;
            resolve(&store, "c").await?.nothing()
        };
        let outcome = outcome.await;
        outcome.map_err(|stop| Stop::failed(format!("{a} and {b}, written as {c}: {stop}")))?;
    }
    Ok(())
}

/// A number beyond what the other side's type holds meets nothing, least of all the number with the same bits (§2).
pub async fn ids_meet_as_numbers(bed: &TestBed) -> Outcome {
    let store = bed.store(triangle(false)?).await?;
    let signed = rows(ints([-1, 7, i64::MIN]), "x")?;
    store.write(&key("b")?, signed).await?;
    let unsigned = rows(Arc::new(UInt64Array::from(vec![u64::MAX, 7, 1 << 63])), "x")?;
    let written = store.write(&key("a")?, unsigned).await;
    // Not every store holds such numbers.
    if let Err(error) = written {
        return check(
            [ErrorKind::InvalidFrame, ErrorKind::Unsupported].contains(&error.kind()),
            format!("refused as {}", error.kind()),
        );
    }
    let new = resolve(&store, "c").await?.new;
    check_eq(ids_of(&new)?, [7], "samples that both have")
}

/// Groups and parents meet their samples by IDs of other types, too (§2, §6).
pub async fn lineage_follows_ids_of_other_types(bed: &TestBed) -> Outcome {
    let small = DataType::Int32;
    let clips = |ids: ArrayRef, groups: ArrayRef| -> Outcome<RecordBatch> {
        let versions = vec!["x"; ids.len()];
        Ok(frame([
            ("clip", ids),
            ("video", groups),
            (
                "metaxy_provenance_by_field",
                by_field(&[("default", &versions)])?,
            ),
        ])?)
    };
    for (at, lineage) in [
        Lineage::aggregation(["video"]),
        Lineage::expansion(["video"]),
    ]
    .into_iter()
    .enumerate()
    {
        let is_aggregation = at == 0;
        let store = bed.builder(&format!("lineage{at}")).await?;
        let (ids, up) = match is_aggregation {
            true => ("video", "clip"),
            false => ("clip", "video"),
        };
        let root = metaxy_store::FeatureSpec::new("up", [up])?;
        let root = root.with_field(metaxy_store::FieldSpec::new("default")?);
        let own = metaxy_store::FeatureSpec::new("own", [ids])?;
        let own = own.with_field(metaxy_store::FieldSpec::new("default")?);
        let own = own.with_dep(FeatureDep::new("up")?.with_lineage(lineage));
        let store = store.with_graph(graph([root, own])?).build()?;
        let of = |values: &[i64]| -> Outcome<ArrayRef> { super::ids::ids(&small, values) };
        match is_aggregation {
            true => {
                let up = clips(of(&[1, 2, 3])?, of(&[7, 7, 8])?)?;
                store.write(&key("up")?, up).await?;
            }
            false => {
                let up = clips(of(&[0, 0])?, of(&[7, 8])?)?;
                store.write(&key("up")?, up).await?;
            }
        }
        let new = resolve(&store, "own").await?.new;
        let groups = cast(
            new.batch()
                .column_by_name("video")
                .ok_or_else(|| Stop::failed("no video"))?,
            &DataType::Int64,
        )?;
        let children: Vec<i64> = (0..).take(new.len()).collect();
        let computed = with_column(new.batch(), "video", groups)?;
        let computed = with_column(&computed, "clip", ints(children))?;
        store.write(&key("own")?, computed).await?;
        resolve(&store, "own").await?.nothing()?;
    }
    Ok(())
}

/// A write whose IDs never match those of an upstream is refused with the column, both types and the upstream; nothing is written (§5).
pub async fn ids_that_never_match_are_refused_when_they_are_written(bed: &TestBed) -> Outcome {
    let store = bed.store(triangle(false)?).await?;
    write(&store, "a", &DataType::Int64, &[1, 2], "x").await?;
    let misfit = rows(texts(["1", "2"]), "x")?;
    let words = ["\"id\"", "feature c", "Utf8", "Int64", "upstream a", "main"];
    let written = store.write(&key("c")?, misfit.clone()).await;
    let error = refused(written, ErrorKind::InvalidFrame)?;
    names(&error, &words)?;
    check(error.hint().is_some(), "no word on what to do next")?;
    let several = vec![(key("c")?, misfit.into())];
    let written = store.write_multi(several, Default::default()).await;
    names(&refused(written, ErrorKind::InvalidFrame)?, &words)?;
    check(
        store.feature_schema(&key("c")?).await?.is_none(),
        "a table was made",
    )?;
    // A width of its own is none.
    write(&store, "c", &DataType::Int16, &[1], "x").await
}

/// The types of IDs in `a`, in `b`, and as the step that computes `c` writes them.
fn types() -> Vec<[DataType; 3]> {
    use DataType as T;
    let words = || T::Dictionary(Box::new(T::Int32), Box::new(T::Utf8));
    let time = |unit| T::Timestamp(unit, None);
    let zoned = |unit| T::Timestamp(unit, Some("UTC".into()));
    vec![
        [T::Int64, T::Int64, T::Int32],
        [T::Int32, T::Int64, T::Int64],
        [T::Int64, T::Int32, T::Int64],
        [T::Int8, T::UInt8, T::Int16],
        [T::UInt32, T::Int32, T::UInt8],
        [T::UInt64, T::Int64, T::Int64],
        [T::Int64, T::UInt64, T::UInt64],
        [T::UInt64, T::UInt64, T::Int64],
        [
            T::Decimal128(20, 2),
            T::Decimal128(20, 2),
            T::Decimal128(20, 2),
        ],
        [T::Utf8, words(), T::Utf8],
        [words(), T::LargeUtf8, words()],
        [
            time(TimeUnit::Second),
            time(TimeUnit::Microsecond),
            time(TimeUnit::Millisecond),
        ],
        [
            zoned(TimeUnit::Microsecond),
            zoned(TimeUnit::Millisecond),
            zoned(TimeUnit::Microsecond),
        ],
    ]
}

fn triangle(optional: bool) -> Outcome<metaxy_store::FeatureGraph> {
    let dep = |name: &str| -> Outcome<FeatureDep> {
        let dep = FeatureDep::new(name)?;
        Ok(if optional { dep.optional() } else { dep })
    };
    let child = feature("c", &["default"], &[])?.with_dep(dep("a")?);
    Ok(graph([
        feature("a", &["default"], &[])?,
        feature("b", &["default"], &[])?,
        child.with_dep(dep("b")?),
    ])?)
}

async fn write(
    store: &MetadataStore,
    feature: &str,
    data_type: &DataType,
    numbers: &[i64],
    version: &str,
) -> Outcome {
    let rows = rows(ids(data_type, numbers)?, version)?;
    store.write(&key(feature)?, rows).await?;
    Ok(())
}

fn rows(ids: ArrayRef, version: &str) -> Outcome<RecordBatch> {
    let versions = vec![version; ids.len()];
    Ok(frame([
        ("id", ids),
        (
            "metaxy_provenance_by_field",
            by_field(&[("default", &versions)])?,
        ),
    ])?)
}

/// IDs of any type: numbers as they are, as words, or as seconds.
pub(super) fn ids(data_type: &DataType, numbers: &[i64]) -> Outcome<ArrayRef> {
    let plain: ArrayRef = match data_type {
        DataType::Timestamp(unit, _) => {
            let counts = numbers.iter().map(|number| number * per_second(*unit));
            let data = Int64Array::from_iter_values(counts)
                .into_data()
                .into_builder();
            make_array(data.data_type(data_type.clone()).build()?)
        }
        DataType::Dictionary(..) | DataType::LargeUtf8 => {
            cast(&ints(numbers.iter().copied()), &DataType::Utf8)?
        }
        _ => ints(numbers.iter().copied()),
    };
    Ok(cast(&plain, data_type)?)
}

/// The numbers that IDs stand for, sorted.
fn ids_of(table: &Table) -> Outcome<Vec<i64>> {
    let ids = table.batch().column_by_name("id");
    let ids = ids.ok_or_else(|| Stop::failed("no IDs"))?;
    let per = match ids.data_type() {
        DataType::Timestamp(unit, _) => per_second(*unit),
        _ => 1,
    };
    let plain = match ids.data_type() {
        DataType::Dictionary(_, value) => cast(ids, value)?,
        _ => ids.clone(),
    };
    let plain = cast(&plain, &DataType::Int64)?;
    let plain = arrow::array::AsArray::as_primitive::<Int64Type>(&plain);
    let mut numbers: Vec<i64> = plain.iter().flatten().map(|count| count / per).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}
