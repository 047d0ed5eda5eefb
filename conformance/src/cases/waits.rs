//! Features wait for an upstream that has rows of other versions only: none of their samples is orphaned (`semantics.md` §15).

use std::num::NonZeroU64;

use arrow::array::RecordBatch;
use metaxy_store::spec::Lineage;
use metaxy_store::store::Counts;
use metaxy_store::{
    DeleteOptions, Error, ErrorKind, FeatureDep, FeatureGraph, FeatureSpec, FieldSpec,
    MaintainOptions, MetadataStore, ResolveOptions, Result, col,
};

use crate::bed::TestBed;
use crate::bed::frames::{by_field, frame, ints, samples, with_column};
use crate::bed::graphs::{feature, field, graph, key};
use crate::bed::increments::{compute, resolve, resolve_with};
use crate::outcome::{Outcome, Stop, check_eq, names, refused};

cases! {
    "waits":
    for_upstream_rows_of_the_current_version,
    for_nothing_once_rows_are_gone_for_good,
    for_nothing_where_tombstones_are_of_the_current_version,
    for_any_of_several_upstreams,
    for_an_optional_upstream,
    for_what_groups_and_children_come_from,
    under_filters_too,
    for_nothing_with_samples_that_are_given,
    for_the_store_that_answers,
}

/// After a change that a feature does not depend on, nothing of it is orphaned before its upstream has rows of the new version; a delete
/// of orphans is refused, and says why (§15).
pub async fn for_upstream_rows_of_the_current_version(bed: &TestBed) -> Outcome {
    let newer = ahead(bed).await?;
    resolve(&newer, "c").await?.nothing()?;
    waits(&newer, &["a"]).await?;
    let error = refused(
        newer.orphaned(&key("c")?, ResolveOptions::default()).await,
        ErrorKind::UpstreamNotReady,
    )?;
    names(
        &error,
        &["feature c", "upstream a", "other feature versions"],
    )?;
    let c = key("c")?;
    let lazy = || newer.resolve_lazy(&c, ResolveOptions::default());
    let none = Counts::default();
    check_eq(lazy().await?.counts().await?, none, "the counts")?;
    check_eq(lazy().await?.sample_counts().await?, none, "the samples")?;
    check_eq(lazy().await?.progress().await?, None, "the progress")?;
    newer.write(&key("a")?, both(&[1, 2])?).await?;
    waits(&newer, &[]).await?;
    resolve(&newer, "c").await?.are(&[], &[], &[3])?;
    let orphaned = newer
        .orphaned(&key("c")?, ResolveOptions::default())
        .await?;
    check_eq(orphaned.num_rows(), 1, "orphaned rows")
}

/// An upstream whose rows were removed for good, of all versions, orphans what was computed from them (§15).
pub async fn for_nothing_once_rows_are_gone_for_good(bed: &TestBed) -> Outcome {
    let newer = ahead(bed).await?;
    if !newer.capabilities().hard_delete {
        return Err(Stop::ignored("rows cannot be removed here"));
    }
    let some = DeleteOptions::hard().with_feature_history(true);
    let all = some.clone();
    let some = some.with_filters([col("id").le(2)]);
    newer.delete(&key("a")?, some).await?;
    waits(&newer, &["a"]).await?;
    resolve(&newer, "c").await?.nothing()?;
    newer.delete(&key("a")?, all).await?;
    waits(&newer, &[]).await?;
    resolve(&newer, "c").await?.are(&[], &[], &[1, 2, 3])
}

/// Samples that were deleted under the current version are known to be gone; under another one, nothing is known (§15).
pub async fn for_nothing_where_tombstones_are_of_the_current_version(bed: &TestBed) -> Outcome {
    let newer = ahead(bed).await?;
    let a = key("a")?;
    let of_all = DeleteOptions::soft().with_feature_history(true);
    newer.delete(&a, of_all).await?;
    waits(&newer, &["a"]).await?;
    resolve(&newer, "c").await?.nothing()?;
    newer.write(&a, both(&[3])?).await?;
    newer.delete(&a, DeleteOptions::soft()).await?;
    waits(&newer, &[]).await?;
    resolve(&newer, "c").await?.are(&[], &[], &[1, 2, 3])?;
    if newer.capabilities().hard_delete {
        // Of the current version only the tombstone is left.
        let one = MaintainOptions::default().with_keep(NonZeroU64::MIN);
        newer.maintain(one).await?;
        waits(&newer, &[]).await?;
    }
    Ok(())
}

/// One upstream that is not there yet is enough, and all of them are named; what another one has lost shows afterwards (§15).
pub async fn for_any_of_several_upstreams(bed: &TestBed) -> Outcome {
    let of = |a: &str, b: &str| -> Result<FeatureGraph> {
        graph([
            root("a", a)?,
            root("b", b)?,
            feature("c", &[], &[])?
                .with_dep(FeatureDep::new("a")?.with_select(Vec::<String>::new()))
                .with_dep(FeatureDep::new("b")?.with_select(Vec::<String>::new()))
                .with_field(field("default", "a", &["used"])?),
        ])
    };
    let store = bed.store(of("1", "1")?).await?;
    for name in ["a", "b"] {
        store.write(&key(name)?, both(&[1, 2, 3])?).await?;
    }
    compute(&store, "c").await?;
    let gone = DeleteOptions::soft().with_filters([col("id").eq(3)]);
    store.delete(&key("a")?, gone).await?;
    resolve(&store, "c").await?.are(&[], &[], &[3])?;
    let newer = store.with_graph(of("1", "2")?);
    waits(&newer, &["b"]).await?;
    resolve(&newer, "c").await?.nothing()?;
    let newest = store.with_graph(of("2", "2")?);
    waits(&newest, &["a", "b"]).await?;
    resolve(&newest, "c").await?.nothing()?;
    newer.write(&key("b")?, both(&[1, 2, 3])?).await?;
    waits(&newer, &[]).await?;
    resolve(&newer, "c").await?.are(&[], &[], &[3])
}

/// An optional upstream is waited for like any other (§15).
pub async fn for_an_optional_upstream(bed: &TestBed) -> Outcome {
    let of = |code: &str| -> Result<FeatureGraph> {
        let optional = |name| -> Result<FeatureDep> {
            let dep = FeatureDep::new(name)?.with_select(Vec::<String>::new());
            Ok(dep.optional())
        };
        graph([
            root("a", code)?,
            root("b", "1")?,
            feature("c", &[], &[])?
                .with_dep(optional("a")?)
                .with_dep(optional("b")?)
                .with_field(field("default", "b", &["used"])?),
        ])
    };
    let store = bed.store(of("1")?).await?;
    store.write(&key("a")?, both(&[1, 2])?).await?;
    store.write(&key("b")?, both(&[2, 3])?).await?;
    compute(&store, "c").await?;
    resolve(&store, "c").await?.nothing()?;
    let newer = store.with_graph(of("2")?);
    waits(&newer, &["a"]).await?;
    resolve(&newer, "c").await?.nothing()?;
    newer.write(&key("a")?, both(&[2])?).await?;
    waits(&newer, &[]).await?;
    resolve(&newer, "c").await?.are(&[], &[], &[1])
}

/// Neither groups nor children are orphaned while their upstream has no rows of its version (§15).
pub async fn for_what_groups_and_children_come_from(bed: &TestBed) -> Outcome {
    let of = |code: &str| -> Result<FeatureGraph> {
        let dep = |lineage| Ok::<_, Error>(FeatureDep::new("clip")?.with_lineage(lineage));
        let clip = FeatureSpec::new("clip", ["clip"])?
            .with_field(FieldSpec::new("default")?.with_code_version("1"))
            .with_field(FieldSpec::new("other")?.with_code_version(code));
        graph([
            clip,
            FeatureSpec::new("summary", ["video"])?
                .with_dep(dep(Lineage::aggregation(["video"]))?)
                .with_field(field("text", "clip", &["default"])?),
            FeatureSpec::new("crop", ["clip", "crop"])?
                .with_dep(dep(Lineage::expansion(["clip"]))?)
                .with_field(field("box", "clip", &["default"])?),
        ])
    };
    let clips = || -> Result<RecordBatch> {
        let versions = by_field(&[("default", &["x"; 3]), ("other", &["y"; 3])])?;
        frame([
            ("clip", ints([1, 2, 3])),
            ("video", ints([1, 1, 2])),
            ("metaxy_provenance_by_field", versions),
        ])
    };
    let store = bed.store(of("1")?).await?;
    let clip = key("clip")?;
    store.write(&clip, clips()?).await?;
    compute(&store, "summary").await?;
    for child in [1, 2] {
        let all = ResolveOptions::default().with_skip_comparison(true);
        let parents = resolve_with(&store, "crop", all).await?;
        let rows = with_column(parents.new.batch(), "crop", ints([child; 3]))?;
        store.write(&key("crop")?, rows).await?;
    }
    let newer = store.with_graph(of("2")?);
    for name in ["summary", "crop"] {
        resolve(&store, name).await?.nothing()?;
        resolve(&newer, name).await?.nothing()?;
        let lazy = newer
            .resolve_lazy(&key(name)?, ResolveOptions::default())
            .await?;
        check_eq(lazy.waits_for(), [key("clip")?], "what it waits for")?;
        check_eq(lazy.sample_counts().await?, Counts::default(), name)?;
    }
    newer.write(&clip, clips()?).await?;
    let gone = DeleteOptions::soft().with_filters([col("video").eq(2)]);
    newer.delete(&clip, gone).await?;
    resolve(&newer, "summary").await?.count(0, 0, 1)?;
    resolve(&newer, "crop").await?.count(0, 0, 2)
}

/// Filters neither bring rows of the current version nor take them away (§15).
pub async fn under_filters_too(bed: &TestBed) -> Outcome {
    let newer = ahead(bed).await?;
    let some = || ResolveOptions::default().with_target_filters([col("id").le(2)]);
    resolve_with(&newer, "c", some()).await?.nothing()?;
    newer.write(&key("a")?, both(&[3])?).await?;
    // No row passes, but upstream has one.
    let none = some().with_filters(key("a")?, [col("id").le(2)]);
    resolve_with(&newer, "c", none)
        .await?
        .are(&[], &[], &[1, 2])
}

/// Samples that are given say what there should be, whatever upstream has (§6).
pub async fn for_nothing_with_samples_that_are_given(bed: &TestBed) -> Outcome {
    let newer = ahead(bed).await?;
    let given = ResolveOptions::default().with_samples(samples(&[(1, "x")])?);
    let increment = newer.resolve_update(&key("c")?, given).await?;
    check_eq(increment.waits_for.len(), 0, "what it waits for")?;
    check_eq(increment.orphaned.num_rows(), 2, "orphaned rows")
}

/// Of a chain, what counts are the rows of the store that answers for the upstream (§7, §15).
pub async fn for_the_store_that_answers(bed: &TestBed) -> Outcome {
    let (old, new) = (of_code("1")?, of_code("2")?);
    let prod = bed.builder("prod").await?.with_graph(old.clone()).build()?;
    let dev = bed.builder("dev").await?.with_graph(old);
    let dev = dev.with_fallback(prod.clone()).build()?;
    prod.write(&key("a")?, both(&[1, 2, 3])?).await?;
    compute(&dev, "c").await?;
    let newer = dev.with_graph(new.clone());
    waits(&newer, &["a"]).await?;
    resolve(&newer, "c").await?.nothing()?;
    prod.with_graph(new)
        .write(&key("a")?, both(&[1, 2])?)
        .await?;
    waits(&newer, &[]).await?;
    resolve(&newer, "c").await?.are(&[], &[], &[3])?;
    // Now this store answers, and has the older version only.
    dev.write(&key("a")?, both(&[1])?).await?;
    waits(&newer, &["a"]).await?;
    resolve(&newer, "c").await?.nothing()
}

/// Three samples of `a` and of `c`, which depends on the field `used`; then another code version of the field `other`.
async fn ahead(bed: &TestBed) -> Outcome<MetadataStore> {
    let store = bed.store(of_code("1")?).await?;
    store.write(&key("a")?, both(&[1, 2, 3])?).await?;
    compute(&store, "c").await?;
    resolve(&store, "c").await?.nothing()?;
    Ok(store.with_graph(of_code("2")?))
}

fn of_code(code: &str) -> Result<FeatureGraph> {
    graph([
        root("a", code)?,
        feature("c", &[], &["a"])?.with_field(field("default", "a", &["used"])?),
    ])
}

/// A root with the field `used`, and `other` of this code version.
fn root(name: &str, code: &str) -> Result<FeatureSpec> {
    let other = FieldSpec::new("other")?.with_code_version(code);
    Ok(feature(name, &["used"], &[])?.with_field(other))
}

async fn waits(store: &MetadataStore, upstreams: &[&str]) -> Outcome {
    let increment = store
        .resolve_update(&key("c")?, ResolveOptions::default())
        .await?;
    let found: Vec<&str> = increment.waits_for.iter().map(|k| k.as_str()).collect();
    check_eq(found, upstreams, "what it waits for")
}

/// Samples of such a root.
fn both(ids: &[i64]) -> Result<RecordBatch> {
    let versions = vec!["x"; ids.len()];
    frame([
        ("id", ints(ids.iter().copied())),
        (
            "metaxy_provenance_by_field",
            by_field(&[("used", &versions), ("other", &versions)])?,
        ),
    ])
}
