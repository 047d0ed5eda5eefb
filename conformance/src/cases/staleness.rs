//! Conditions that make a sample stale although nothing changed upstream (`semantics.md` §6).

use metaxy_store::{DeleteOptions, ErrorKind, Expr, MetadataStore, ResolveOptions, col};

use crate::bed::TestBed;
use crate::bed::frames::{Table, ints, samples, stored, texts, with_column};
use crate::bed::graphs::{key, pair};
use crate::bed::increments::{Parts, compute, hashed, resolve, resolve_with};
use crate::outcome::{Outcome, check_eq, names, refused};

cases! {
    "staleness":
    is_found_by_a_predicate,
    is_found_by_any_of_several,
    can_look_at_system_columns,
    comes_on_top_of_changes,
    does_not_concern_new_or_orphaned_samples,
    looks_at_the_latest_row,
    needs_a_predicate_that_fits,
}

/// An unchanged sample whose stored row satisfies the predicate is stale, with what upstream has now; null satisfies none (§6).
pub async fn is_found_by_a_predicate(bed: &TestBed) -> Outcome {
    let store = rated(bed).await?;
    resolve(&store, "b").await?.nothing()?;
    let parts = stale_if(&store, [col("rating").lt(3)]).await?;
    parts.are(&[], &[1, 2], &[])?;
    check_eq(
        parts.stale.words("metaxy_provenance_by_field.default")?,
        [
            hashed(&store, "default|1|a.default|v1")?,
            hashed(&store, "default|1|a.default|v2")?,
        ],
        "the versions",
    )?;
    let from_upstream = !parts.stale.columns().iter().any(|name| name == "rating");
    check_eq(from_upstream, true, "whether the rows are upstream's")?;
    // The rating of 4 is null: neither this nor its contrary is true of it.
    stale_if(&store, [!col("rating").lt(3)])
        .await?
        .are(&[], &[3], &[])?;
    stale_if(&store, [col("rating").is_null()])
        .await?
        .are(&[], &[4], &[])
}

/// Of several predicates one is enough, also where another is null (§6).
pub async fn is_found_by_any_of_several(bed: &TestBed) -> Outcome {
    let store = rated(bed).await?;
    let predicates = [col("rating").eq(1), col("model").eq("old"), col("id").gt(9)];
    stale_if(&store, predicates.clone())
        .await?
        .are(&[], &[1, 2, 4], &[])?;
    let [first, _, third] = predicates;
    stale_if(&store, [first, third]).await?.are(&[], &[1], &[])
}

/// A predicate sees the system columns of the stored row: when it was written, under which version (§6).
pub async fn can_look_at_system_columns(bed: &TestBed) -> Outcome {
    let store = rated(bed).await?;
    let hour = bed.clock().peek() + 3_600_000_000;
    bed.clock().set(hour);
    let skip = ResolveOptions::default()
        .with_skip_comparison(true)
        .with_global_filters([col("id").eq(2)]);
    let again = store.resolve_update(&key("b")?, skip).await?;
    store.write(&key("b")?, again.new).await?;
    let old = Expr::parse("metaxy_updated_at < '2026-03-01 12:30:00'")?;
    stale_if(&store, [old]).await?.are(&[], &[1, 3, 4], &[])?;
    let version = hashed(&store, &hashed(&store, "default|1|a.default|v3")?)?;
    stale_if(&store, [col("metaxy_provenance").eq(version.as_str())])
        .await?
        .are(&[], &[3], &[])
}

/// Predicates add to what changed, and a sample is in one part only (§6).
pub async fn comes_on_top_of_changes(bed: &TestBed) -> Outcome {
    let store = rated(bed).await?;
    store
        .write(&key("a")?, samples(&[(1, "changed"), (3, "changed")])?)
        .await?;
    let parts = stale_if(&store, [col("rating").le(2)]).await?;
    parts.are(&[], &[1, 2, 3], &[])?;
    compute(&store, "b").await?;
    resolve(&store, "b").await?.nothing()
}

/// What is new or orphaned stays so, whatever predicates say (§6).
pub async fn does_not_concern_new_or_orphaned_samples(bed: &TestBed) -> Outcome {
    let store = rated(bed).await?;
    let a = key("a")?;
    store.write(&a, samples(&[(8, "v8")])?).await?;
    let gone = DeleteOptions::soft().with_filters([col("id").le(2)]);
    store.delete(&a, gone).await?;
    stale_if(&store, [col("id").ge(0)])
        .await?
        .are(&[8], &[3, 4], &[1, 2])?;
    let options = ResolveOptions::default()
        .with_staleness_predicates([col("id").ge(0)])
        .with_target_filters([col("id").lt(4)]);
    resolve_with(&store, "b", options)
        .await?
        .are(&[4, 8], &[3], &[1, 2])
}

/// The row that counts is the latest of a sample: once it is written again, an older one does not make it stale (§5, §6).
pub async fn looks_at_the_latest_row(bed: &TestBed) -> Outcome {
    let store = rated(bed).await?;
    let low = || [col("rating").lt(3)];
    let options = ResolveOptions::default().with_staleness_predicates(low());
    let increment = store.resolve_update(&key("b")?, options).await?;
    let rows = Table::of(increment.stale).await?;
    let rows = with_column(rows.batch(), "rating", ints([5, 2]))?;
    store.write(&key("b")?, rows).await?;
    stale_if(&store, low()).await?.are(&[], &[2], &[])
}

/// A predicate on a column that the stored rows lack, or of another type, is refused by name (§6, §10).
pub async fn needs_a_predicate_that_fits(bed: &TestBed) -> Outcome {
    let store = rated(bed).await?;
    let before = stored(&store, "b").await?;
    for (predicate, column) in [
        (col("ratings").lt(3), "ratings"),
        (col("rating").eq("low"), "rating"),
        (col("model").is_true(), "model"),
    ] {
        let options = ResolveOptions::default().with_staleness_predicates([predicate]);
        let resolved = store.resolve_update(&key("b")?, options).await;
        let error = refused(resolved, ErrorKind::InvalidFilter)?;
        names(&error, &[column, "feature: b", "main"])?;
    }
    check_eq(stored(&store, "b").await?, before, "what is stored")
}

/// A store of [`pair`] where `b` has the samples 1 to 4, each with a rating and a model of its own.
async fn rated(bed: &TestBed) -> Outcome<MetadataStore> {
    let store = bed.store(pair()?).await?;
    let rows = samples(&[(1, "v1"), (2, "v2"), (3, "v3"), (4, "v4")])?;
    store.write(&key("a")?, rows).await?;
    let parts = resolve(&store, "b").await?;
    let ratings = ints([Some(1), Some(2), Some(3), None]);
    let rows = with_column(parts.new.batch(), "rating", ratings)?;
    let models = texts([None, Some("old"), Some("new"), Some("old")]);
    let rows = with_column(&rows, "model", models)?;
    store.write(&key("b")?, rows).await?;
    Ok(store)
}

async fn stale_if(
    store: &MetadataStore,
    predicates: impl IntoIterator<Item = Expr>,
) -> Outcome<Parts> {
    let options = ResolveOptions::default().with_staleness_predicates(predicates);
    resolve_with(store, "b", options).await
}
