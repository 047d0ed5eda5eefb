//! Upstreams that a sample can do without (`semantics.md` §2).

use std::sync::Arc;

use arrow::array::{NullArray, RecordBatch};
use metaxy_store::store::WriteOptions;
use metaxy_store::{
    DeleteOptions, ErrorKind, FeatureDep, FeatureGraph, FeatureSpec, FieldSpec, MetadataStore,
    ReadOptions, ResolveOptions, Result, col,
};

use crate::bed::TestBed;
use crate::bed::frames::{read, samples, texts, with_column};
use crate::bed::graphs::{feature, graph, key};
use crate::bed::increments::{compute, hashed, resolve};
use crate::outcome::{Outcome, Stop, check_eq, names, refused};

cases! {
    "optional":
    does_not_limit_the_samples,
    counts_as_empty_in_hashes,
    makes_stale_when_it_comes_and_goes,
    is_joined_after_what_is_required,
    is_joined_fully_with_others,
    that_was_never_written_counts_as_empty,
    does_not_replace_what_is_required,
    may_all_be_missing,
    an_empty_increment_fixes_no_types,
}

/// A sample without a row of an optional upstream is expected all the same, with nulls in its place; one that only the
/// optional upstream has is not (§2).
pub async fn does_not_limit_the_samples(bed: &TestBed) -> Outcome {
    let store = bed.store(required_and_optional()?).await?;
    write(&store, "a", &[(1, "a1"), (2, "a2")]).await?;
    write(&store, "b", &[(2, "b2"), (3, "b3")]).await?;
    let parts = resolve(&store, "c").await?;
    parts.are(&[1, 2], &[], &[])?;
    check_eq(
        parts.new.lines(&["id", "of_a", "of_b"])?,
        ["1 a1 -", "2 a2 b2"],
        "the rows",
    )
}

/// What an optional upstream lacks enters the hash as the empty text, whether the row or its version is missing (§2).
pub async fn counts_as_empty_in_hashes(bed: &TestBed) -> Outcome {
    let store = bed.store(required_and_optional()?).await?;
    write(&store, "a", &[(1, "a1"), (2, "a2"), (3, "a3")]).await?;
    write(&store, "b", &[(2, "b2"), (3, "")]).await?;
    let parts = resolve(&store, "c").await?;
    let version = |a: &str, b: &str| {
        let field = hashed(&store, &format!("default|1|a.default|{a}|b.default|{b}"))?;
        let whole = hashed(&store, &field)?;
        Ok::<_, Stop>(format!("{field} {whole}"))
    };
    let columns = [
        "id",
        "metaxy_provenance_by_field.default",
        "metaxy_provenance",
    ];
    check_eq(
        parts.new.lines(&columns)?,
        [
            format!("1 {}", version("a1", "")?),
            format!("2 {}", version("a2", "b2")?),
            format!("3 {}", version("a3", "")?),
        ],
        "the versions",
    )
}

/// A row of an optional upstream that comes, changes or goes makes its sample stale, and no other (§2, §6).
pub async fn makes_stale_when_it_comes_and_goes(bed: &TestBed) -> Outcome {
    let store = bed.store(required_and_optional()?).await?;
    write(&store, "a", &[(1, "a1"), (2, "a2")]).await?;
    write(&store, "b", &[(2, "b2")]).await?;
    compute(&store, "c").await?;
    resolve(&store, "c").await?.nothing()?;
    write(&store, "b", &[(1, "b1"), (9, "b9")]).await?;
    resolve(&store, "c").await?.are(&[], &[1], &[])?;
    compute(&store, "c").await?;
    let gone = DeleteOptions::soft().with_filters([col("id").eq(2)]);
    store.delete(&key("b")?, gone).await?;
    resolve(&store, "c").await?.are(&[], &[2], &[])?;
    compute(&store, "c").await?;
    resolve(&store, "c").await?.nothing()?;
    let gone = DeleteOptions::soft().with_filters([col("id").eq(2)]);
    store.delete(&key("a")?, gone).await?;
    resolve(&store, "c").await?.are(&[], &[], &[2])
}

/// Required upstreams are joined first, wherever the optional ones are named (§2).
pub async fn is_joined_after_what_is_required(bed: &TestBed) -> Outcome {
    let child = feature("d", &["default"], &[])?
        .with_dep(FeatureDep::new("b")?.optional())
        .with_dep(FeatureDep::new("a")?)
        .with_dep(FeatureDep::new("c")?);
    let store = bed.store(roots(&["a", "b", "c"], child)?).await?;
    write(&store, "a", &[(1, "a1"), (2, "a2"), (3, "a3")]).await?;
    write(&store, "b", &[(3, "b3"), (4, "b4")]).await?;
    write(&store, "c", &[(2, "c2"), (3, "c3"), (4, "c4")]).await?;
    let parts = resolve(&store, "d").await?;
    check_eq(
        parts.new.lines(&["id", "of_a", "of_b", "of_c"])?,
        ["2 a2 - c2", "3 a3 b3 c3"],
        "the rows",
    )?;
    compute(&store, "d").await?;
    resolve(&store, "d").await?.nothing()
}

/// Where all upstreams are optional, a sample is one that any of them has, under its ID (§2).
pub async fn is_joined_fully_with_others(bed: &TestBed) -> Outcome {
    let mut child = feature("d", &["default"], &[])?;
    for name in ["a", "b", "c"] {
        child = child.with_dep(FeatureDep::new(name)?.optional());
    }
    let store = bed.store(roots(&["a", "b", "c"], child)?).await?;
    write(&store, "a", &[(1, "a1"), (2, "a2")]).await?;
    write(&store, "b", &[(2, "b2"), (3, "b3")]).await?;
    write(&store, "c", &[(3, "c3"), (4, "c4"), (1, "c1")]).await?;
    let parts = resolve(&store, "d").await?;
    parts.are(&[1, 2, 3, 4], &[], &[])?;
    check_eq(
        parts.new.lines(&["id", "of_a", "of_b", "of_c"])?,
        ["1 a1 - c1", "2 a2 b2 -", "3 - b3 c3", "4 - - c4"],
        "the rows",
    )?;
    let version = |a: &str, b: &str, c: &str| {
        let text = format!("default|1|a.default|{a}|b.default|{b}|c.default|{c}");
        hashed(&store, &text)
    };
    check_eq(
        parts.new.words("metaxy_provenance_by_field.default")?,
        [
            version("a1", "", "c1")?,
            version("a2", "b2", "")?,
            version("", "b3", "c3")?,
            version("", "", "c4")?,
        ],
        "the versions",
    )?;
    compute(&store, "d").await?;
    resolve(&store, "d").await?.nothing()?;
    store.delete(&key("c")?, DeleteOptions::soft()).await?;
    resolve(&store, "d").await?.are(&[], &[1, 3], &[4])
}

/// An optional upstream that was never written is one without rows: the samples are those of the others, before and after it is
/// written (§10, 13).
pub async fn that_was_never_written_counts_as_empty(bed: &TestBed) -> Outcome {
    let store = bed.store(required_and_optional()?).await?;
    write(&store, "a", &[(1, "a1")]).await?;
    let parts = resolve(&store, "c").await?;
    parts.are(&[1], &[], &[])?;
    check_eq(
        parts.new.words("metaxy_provenance_by_field.default")?,
        [hashed(&store, "default|1|a.default|a1|b.default|")?],
        "the version",
    )?;
    compute(&store, "c").await?;
    resolve(&store, "c").await?.nothing()?;
    write(&store, "b", &[(5, "b5")]).await?;
    resolve(&store, "c").await?.nothing()?;
    write(&store, "b", &[(1, "b1")]).await?;
    resolve(&store, "c").await?.are(&[], &[1], &[])
}

/// A required upstream that was never written is missed, although an optional one is there (§6).
pub async fn does_not_replace_what_is_required(bed: &TestBed) -> Outcome {
    let store = bed.store(required_and_optional()?).await?;
    write(&store, "b", &[(1, "b1")]).await?;
    let resolved = store
        .resolve_update(&key("c")?, ResolveOptions::default())
        .await;
    let error = refused(resolved, ErrorKind::FeatureNotFound)?;
    names(&error, &["feature c", "upstream a"])
}

/// Where all upstreams are optional and none was written, nothing is asked for; the first that is written brings its samples
/// (§10, 13).
pub async fn may_all_be_missing(bed: &TestBed) -> Outcome {
    let child = feature("d", &["default"], &[])?
        .with_dep(FeatureDep::new("a")?.optional())
        .with_dep(FeatureDep::new("b")?.optional());
    let store = bed.store(roots(&["a", "b"], child)?).await?;
    resolve(&store, "d").await?.nothing()?;
    write(&store, "b", &[(1, "b1"), (2, "b2")]).await?;
    let parts = resolve(&store, "d").await?;
    parts.are(&[1, 2], &[], &[])?;
    let version = |b: &str| hashed(&store, &format!("default|1|a.default||b.default|{b}"));
    check_eq(
        parts.new.words("metaxy_provenance_by_field.default")?,
        [version("b1")?, version("b2")?],
        "the versions",
    )
}

/// Where no upstream was ever written, nothing tells of what type the IDs are: to write the empty increment, by itself or with
/// others, leaves them open, and whatever IDs come later are taken (§10, 13 and 38). Rows without an ID are refused all the same.
pub async fn an_empty_increment_fixes_no_types(bed: &TestBed) -> Outcome {
    let child = feature("d", &["default"], &[])?.with_dep(FeatureDep::new("a")?.optional());
    let store = bed.store(roots(&["a", "b"], child)?).await?;
    let d = key("d")?;
    compute(&store, "d").await?;
    let increment = store.resolve_update(&d, ResolveOptions::default()).await?;
    let writes = vec![
        (d.clone(), increment.new_and_stale().into()),
        (key("b")?, samples(&[(1, "b1")])?.into()),
    ];
    store.write_multi(writes, WriteOptions::default()).await?;
    check_eq(
        read(&store, "b", ReadOptions::default()).await?.ids()?,
        [1],
        "what was written beside it",
    )?;

    let nameless = with_column(&samples(&[(1, "d1")])?, "id", Arc::new(NullArray::new(1)))?;
    let error = refused(store.write(&d, nameless).await, ErrorKind::InvalidFrame)?;
    names(&error, &["feature d", "\"id\""])?;

    write(&store, "a", &[(1, "a1"), (2, "a2")]).await?;
    resolve(&store, "d").await?.are(&[1, 2], &[], &[])?;
    compute(&store, "d").await?;
    check_eq(
        read(&store, "d", ReadOptions::default()).await?.ids()?,
        [1, 2],
        "integers as IDs",
    )?;
    resolve(&store, "d").await?.nothing()
}

/// Roots `a` and `b`, and `c`, which needs `a` and can do without `b`.
fn required_and_optional() -> Result<FeatureGraph> {
    let child = feature("c", &[], &["a"])?
        .with_field(FieldSpec::new("default")?.with_code_version("1"))
        .with_dep(FeatureDep::new("b")?.optional());
    roots(&["a", "b"], child)
}

fn roots(names: &[&str], child: FeatureSpec) -> Result<FeatureGraph> {
    let roots = names.iter().map(|name| feature(name, &["default"], &[]));
    let mut specs = roots.collect::<Result<Vec<_>>>()?;
    specs.push(child);
    graph(specs)
}

/// Writes samples of a root, each with its version in a column `of_` + the root's name.
async fn write(store: &MetadataStore, feature: &str, rows: &[(i64, &str)]) -> Outcome {
    let notes: Vec<&str> = rows.iter().map(|row| row.1).collect();
    let rows: RecordBatch = with_column(&samples(rows)?, &format!("of_{feature}"), texts(notes))?;
    store.write(&key(feature)?, rows).await?;
    Ok(())
}
