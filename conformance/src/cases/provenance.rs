//! Provenance of rows that the caller joined (`semantics.md` §4).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use metaxy_store::{
    ErrorKind, FeatureDep, FeatureGraph, MetadataStore, ReadOptions, ResolveOptions, Result,
};

use crate::bed::TestBed;
use crate::bed::frames::{Table, by_field, frame, ints, read, samples, stored, texts, with_column};
use crate::bed::graphs::{feature, graph, key};
use crate::bed::increments::{compute, hashed, resolve, resolve_with};
use crate::outcome::{Outcome, Stop, check_eq, names, refused};

cases! {
    "provenance":
    of_one_upstream_is_what_a_resolve_computes,
    of_two_upstreams_is_what_a_resolve_computes,
    written_leaves_nothing_to_resolve,
    serves_as_samples,
    counts_what_an_optional_upstream_lacks_as_empty,
    needs_the_versions_of_every_upstream,
}

const A: &str = "metaxy_data_version_by_field__a_raw-x";
const B: &str = "metaxy_data_version_by_field__b";

/// Version columns that are computed for one upstream's rows are those of a resolve (§4).
pub async fn of_one_upstream_is_what_a_resolve_computes(bed: &TestBed) -> Outcome {
    let store = written(bed).await?;
    let computed = computed(&store, "one", joined(&store).await?).await?;
    let resolved = resolve(&store, "one").await?;
    same(&computed, &resolved.new)?;
    check_eq(
        computed.words("metaxy_provenance_by_field.default")?,
        [
            hashed(&store, "default|1|a/raw-x.default|v1")?,
            hashed(&store, "default|1|a/raw-x.default|v2")?,
        ],
        "the versions",
    )
}

/// Version columns that are computed for rows of two upstreams are those of a resolve; the caller's columns stay (§4).
pub async fn of_two_upstreams_is_what_a_resolve_computes(bed: &TestBed) -> Outcome {
    let store = written(bed).await?;
    let rows = joined(&store).await?;
    let computed = computed(&store, "two", rows.clone()).await?;
    same(&computed, &resolve(&store, "two").await?.new)?;
    let version = |a: &str, b: &str| {
        hashed(
            &store,
            &format!("default|1|a/raw-x.default|{a}|b.default|{b}"),
        )
    };
    check_eq(
        computed.words("metaxy_provenance_by_field.default")?,
        [version("v1", "w1")?, version("v2", "w2")?],
        "the versions",
    )?;
    check_eq(
        computed.lines(&["id", "note"])?,
        ["1 x", "2 y"],
        "the caller's columns",
    )?;
    let mut columns = computed.columns();
    columns.sort();
    let mut expected: Vec<String> = ["id", "note", A, B].map(str::to_owned).to_vec();
    expected.extend(VERSIONS.map(str::to_owned));
    expected.sort();
    check_eq(columns, expected, "the columns")
}

/// Once rows with computed versions are written, a resolve asks for nothing, until something changes (§4, §6).
pub async fn written_leaves_nothing_to_resolve(bed: &TestBed) -> Outcome {
    let store = written(bed).await?;
    let rows = store.compute_provenance(&key("two")?, joined(&store).await?)?;
    store.write(&key("two")?, rows).await?;
    resolve(&store, "two").await?.nothing()?;
    let rows = read(&store, "two", ReadOptions::default()).await?;
    check_eq(rows.lines(&["id", "note"])?, ["1 x", "2 y"], "the samples")?;
    store.write(&key("b")?, samples(&[(2, "changed")])?).await?;
    resolve(&store, "two").await?.are(&[], &[2], &[])
}

/// Rows with computed versions are samples that a resolve takes (§6).
pub async fn serves_as_samples(bed: &TestBed) -> Outcome {
    let store = written(bed).await?;
    compute(&store, "two").await?;
    let rows = joined(&store).await?;
    let given = async |rows: RecordBatch| {
        let samples = store.compute_provenance(&key("two")?, rows)?;
        let options = ResolveOptions::default().with_samples(samples);
        resolve_with(&store, "two", options).await
    };
    given(rows.clone()).await?.nothing()?;
    let changed = with_column(&rows, B, by_field(&[("default", &["w1", "other"])])?)?;
    given(changed).await?.are(&[], &[2], &[])?;
    given(rows.slice(1, 1)).await?.are(&[], &[], &[1])
}

/// Null versions of an optional upstream are the empty text, those of a required one make the provenance null (§2, §4).
pub async fn counts_what_an_optional_upstream_lacks_as_empty(bed: &TestBed) -> Outcome {
    let store = written(bed).await?;
    let rows = joined(&store).await?;
    let versions = rows
        .column_by_name(B)
        .ok_or_else(|| Stop::failed("no versions"))?;
    let none = new_null_array(versions.data_type(), 1);
    let half = arrow::compute::concat(&[&versions.slice(0, 1), &none]);
    let half: ArrayRef = half.map_err(metaxy_store::Error::from)?;
    let rows = with_column(&rows, B, half)?;
    let optional = computed(&store, "maybe", rows.clone()).await?;
    let version = |a: &str, b: &str| {
        hashed(
            &store,
            &format!("default|1|a/raw-x.default|{a}|b.default|{b}"),
        )
    };
    check_eq(
        optional.words("metaxy_provenance_by_field.default")?,
        [version("v1", "w1")?, version("v2", "")?],
        "the versions",
    )?;
    let required = computed(&store, "two", rows).await?;
    let first = hashed(&store, &version("v1", "w1")?)?;
    check_eq(
        required.texts("metaxy_provenance")?,
        [Some(first), None],
        "the provenance",
    )
}

/// A frame without the versions of an upstream, or with something else in their place, is refused by name (§4).
pub async fn needs_the_versions_of_every_upstream(bed: &TestBed) -> Outcome {
    let store = written(bed).await?;
    let before = stored(&store, "b").await?;
    let rows = joined(&store).await?;
    let mut missing = rows.clone();
    let at = missing
        .schema()
        .index_of(B)
        .map_err(metaxy_store::Error::from)?;
    missing.remove_column(at);
    let no_struct = with_column(&rows, B, texts(["w1", "w2"]))?;
    let other = by_field(&[("other", &["w1", "w2"])])?;
    let no_field = with_column(&rows, B, other)?;
    for (bad, word) in [
        (missing, "two"),
        (no_struct, "struct"),
        (no_field, "default"),
    ] {
        let computed = store.compute_provenance(&key("two")?, bad);
        let error = refused(computed, ErrorKind::InvalidFrame)?;
        names(&error, &[B, "two", word])?;
    }
    check_eq(stored(&store, "b").await?, before, "what is stored")?;
    check_eq(
        store.has_feature(&key("two")?, false).await?,
        false,
        "whether anything was written",
    )
}

const VERSIONS: [&str; 4] = [
    "metaxy_provenance",
    "metaxy_provenance_by_field",
    "metaxy_data_version",
    "metaxy_data_version_by_field",
];

/// Fails unless both have the same versions of the same samples.
fn same(computed: &Table, resolved: &Table) -> Outcome {
    let columns = [
        "id",
        "metaxy_provenance",
        "metaxy_provenance_by_field.default",
        "metaxy_data_version",
        "metaxy_data_version_by_field.default",
    ];
    check_eq(
        computed.lines(&columns)?,
        resolved.lines(&columns)?,
        "computed and resolved versions",
    )
}

async fn computed(store: &MetadataStore, feature: &str, rows: RecordBatch) -> Outcome<Table> {
    Table::of(store.compute_provenance(&key(feature)?, rows)?).await
}

/// Roots `a/raw-x` and `b`; `one` depends on the first, `two` on both, `maybe` can do without the second.
fn features() -> Result<FeatureGraph> {
    graph([
        feature("a/raw-x", &["default"], &[])?,
        feature("b", &["default"], &[])?,
        feature("one", &["default"], &["a/raw-x"])?,
        feature("two", &["default"], &["b", "a/raw-x"])?,
        feature("maybe", &["default"], &["a/raw-x"])?.with_dep(FeatureDep::new("b")?.optional()),
    ])
}

/// A store of [`features`] with the samples 1 and 2 of both roots.
async fn written(bed: &TestBed) -> Outcome<MetadataStore> {
    let store = bed.store(features()?).await?;
    let a = samples(&[(1, "v1"), (2, "v2")])?;
    store.write(&key("a/raw-x")?, a).await?;
    let b = samples(&[(1, "w1"), (2, "w2")])?;
    store.write(&key("b")?, b).await?;
    Ok(store)
}

/// What a user's own join of both roots gives.
async fn joined(store: &MetadataStore) -> Outcome<RecordBatch> {
    let mut columns = vec![("id", ints([1, 2])), ("note", texts(["x", "y"]))];
    for (feature, column) in [("a/raw-x", A), ("b", B)] {
        let rows = read(store, feature, ReadOptions::default()).await?;
        let versions = rows.batch().column_by_name("metaxy_data_version_by_field");
        let versions = versions.ok_or_else(|| Stop::failed("no versions"))?;
        columns.push((column, Arc::clone(versions)));
    }
    Ok(frame(columns)?)
}
