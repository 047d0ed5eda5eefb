//! How much of a feature's input has been processed (`semantics.md` §2, §6).

use metaxy_store::spec::Lineage;
use metaxy_store::{
    DeleteOptions, ErrorKind, Expr, FeatureDep, FeatureSpec, MetadataStore, ResolveOptions, col,
};

use crate::bed::TestBed;
use crate::bed::frames::{ints, keyed, samples, with_column};
use crate::bed::graphs::{graph, key, pair};
use crate::bed::increments::{compute, resolve, resolve_with};
use crate::outcome::{Outcome, check, check_eq, names, refused};

cases! {
    "progress":
    is_the_share_of_samples_that_are_not_new,
    counts_what_is_stale_as_done,
    is_none_without_input,
    follows_filters,
    of_an_aggregation_counts_groups,
    of_an_expansion_counts_parents,
    of_several_upstreams_counts_what_they_share,
    needs_its_upstream,
}

/// Of the samples that upstream asks for, those that were written are done (§6).
pub async fn is_the_share_of_samples_that_are_not_new(bed: &TestBed) -> Outcome {
    let store = four(bed).await?;
    is(&store, "b", Some(0.0)).await?;
    compute_where(&store, "b", col("id").le(1)).await?;
    is(&store, "b", Some(25.0)).await?;
    compute_where(&store, "b", col("id").le(3)).await?;
    is(&store, "b", Some(75.0)).await?;
    compute(&store, "b").await?;
    is(&store, "b", Some(100.0)).await?;
    store.write(&key("a")?, samples(&[(5, "x")])?).await?;
    is(&store, "b", Some(80.0)).await
}

/// A stale sample has been processed once, and an orphaned one is no input (§6).
pub async fn counts_what_is_stale_as_done(bed: &TestBed) -> Outcome {
    let store = four(bed).await?;
    compute_where(&store, "b", col("id").le(3)).await?;
    store.write(&key("a")?, samples(&[(1, "changed")])?).await?;
    is(&store, "b", Some(75.0)).await?;
    let stale = ResolveOptions::default().with_staleness_predicates([col("id").ge(0)]);
    let progress = store.progress(&key("b")?, stale).await?;
    check_eq(progress, Some(75.0), "where all are stale")?;
    let gone = DeleteOptions::soft().with_filters([col("id").le(2)]);
    store.delete(&key("a")?, gone).await?;
    is(&store, "b", Some(50.0)).await
}

/// Where upstream asks for nothing there is no share; nor with samples that are given (§6).
pub async fn is_none_without_input(bed: &TestBed) -> Outcome {
    let store = four(bed).await?;
    compute(&store, "b").await?;
    store.delete(&key("a")?, DeleteOptions::soft()).await?;
    is(&store, "b", None).await?;
    let given = ResolveOptions::default().with_samples(samples(&[(1, "x")])?);
    let progress = store.progress(&key("a")?, given).await?;
    check_eq(progress, None, "with samples")
}

/// Filters choose the input, and those of the target what counts as processed (§6).
pub async fn follows_filters(bed: &TestBed) -> Outcome {
    let store = four(bed).await?;
    compute_where(&store, "b", col("id").le(1)).await?;
    let all = ResolveOptions::default;
    for (options, expected) in [
        (all().with_global_filters([col("id").le(2)]), Some(50.0)),
        (
            all().with_filters(key("a")?, [col("id").eq(1)]),
            Some(100.0),
        ),
        (all().with_global_filters([col("id").gt(1)]), Some(0.0)),
        (all().with_global_filters([col("id").gt(9)]), None),
        (all().with_target_filters([col("id").gt(1)]), Some(0.0)),
        (all().with_skip_comparison(true), Some(0.0)),
    ] {
        let what = format!("{options:?}");
        check_eq(store.progress(&key("b")?, options).await?, expected, what)?;
    }
    Ok(())
}

/// The input of an aggregation is its groups, however many rows they have (§2).
pub async fn of_an_aggregation_counts_groups(bed: &TestBed) -> Outcome {
    let store = videos_and_clips(bed).await?;
    is(&store, "summary", Some(0.0)).await?;
    compute_where(&store, "summary", col("video").eq(1)).await?;
    is(&store, "summary", Some(50.0)).await?;
    let rows = keyed(&[("clip", &[2]), ("video", &[1])], &["changed"])?;
    store.write(&key("clip")?, rows).await?;
    is(&store, "summary", Some(50.0)).await?;
    compute(&store, "summary").await?;
    is(&store, "summary", Some(100.0)).await
}

/// The input of an expansion is its parents, however many children they have (§2).
pub async fn of_an_expansion_counts_parents(bed: &TestBed) -> Outcome {
    let store = videos_and_clips(bed).await?;
    is(&store, "crop", Some(0.0)).await?;
    let first = ResolveOptions::default().with_global_filters([col("video").eq(2)]);
    let parents = resolve_with(&store, "crop", first).await?;
    for child in [1, 2, 3] {
        let rows = with_column(parents.new.batch(), "crop", ints([child]))?;
        store.write(&key("crop")?, rows).await?;
    }
    is(&store, "crop", Some(25.0)).await?;
    let parents = resolve(&store, "crop").await?;
    let rows = with_column(parents.new.batch(), "crop", ints([7; 3]))?;
    store.write(&key("crop")?, rows).await?;
    is(&store, "crop", Some(100.0)).await
}

/// With upstreams of different IDs the input is counted by what they share: done is what lacks no sample (§2).
pub async fn of_several_upstreams_counts_what_they_share(bed: &TestBed) -> Outcome {
    let store = videos_and_clips(bed).await?;
    is(&store, "score", Some(0.0)).await?;
    compute_where(&store, "score", col("clip").is_in([1, 4])).await?;
    is(&store, "score", Some(50.0)).await?;
    resolve(&store, "score").await?.count(2, 0, 0)?;
    compute(&store, "score").await?;
    is(&store, "score", Some(100.0)).await
}

/// Without its upstream there is no progress, and the error names it (§6).
pub async fn needs_its_upstream(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let progress = store.progress(&key("b")?, ResolveOptions::default()).await;
    let error = refused(progress, ErrorKind::FeatureNotFound)?;
    names(&error, &["feature b", "upstream a"])?;
    let progress = store.progress(&key("a")?, ResolveOptions::default()).await;
    let error = refused(progress, ErrorKind::InvalidArgument)?;
    names(&error, &["feature a", "samples"])
}

/// A store of [`pair`] with four samples upstream.
async fn four(bed: &TestBed) -> Outcome<MetadataStore> {
    let store = bed.store(pair()?).await?;
    let rows = samples(&[(1, "x"), (2, "x"), (3, "x"), (4, "x")])?;
    store.write(&key("a")?, rows).await?;
    Ok(store)
}

/// Clips 1 to 3 of video 1 and clip 4 of video 2 make summaries and scores; videos 1 to 4 make crops.
async fn videos_and_clips(bed: &TestBed) -> Outcome<MetadataStore> {
    let clip = || FeatureDep::new("clip");
    let video = || FeatureDep::new("video");
    let specs = [
        FeatureSpec::new("clip", ["clip", "video"])?,
        FeatureSpec::new("video", ["video"])?,
        FeatureSpec::new("summary", ["video"])?
            .with_dep(clip()?.with_lineage(Lineage::aggregation(["video"]))),
        FeatureSpec::new("crop", ["video", "crop"])?
            .with_dep(video()?.with_lineage(Lineage::expansion(["video"]))),
        FeatureSpec::new("score", ["video", "clip"])?.with_deps([video()?, clip()?]),
    ];
    let store = bed.store(graph(specs)?).await?;
    let columns: [(&str, &[i64]); 2] = [("clip", &[1, 2, 3, 4]), ("video", &[1, 1, 1, 2])];
    store
        .write(&key("clip")?, keyed(&columns, &["x"; 4])?)
        .await?;
    let rows = keyed(&[("video", &[1, 2, 3, 4])], &["x"; 4])?;
    store.write(&key("video")?, rows).await?;
    Ok(store)
}

/// Writes the new samples for which `filter` holds, wherever the column stands.
async fn compute_where(store: &MetadataStore, feature: &str, filter: Expr) -> Outcome {
    let feature = key(feature)?;
    let upstreams = store.graph().plan(&feature)?.deps;
    let mut options = ResolveOptions::default();
    for dep in upstreams {
        let upstream = dep.definition.key();
        let schema = store.feature_schema(upstream).await?;
        if schema.is_some_and(|schema| filter.bind(&schema).is_ok()) {
            options = options.with_filters(upstream.clone(), [filter.clone()]);
        }
    }
    let increment = store.resolve_update(&feature, options).await?;
    store.write(&feature, increment.new).await?;
    Ok(())
}

#[track_caller]
fn is<'a>(
    store: &'a MetadataStore,
    feature: &'a str,
    expected: Option<f64>,
) -> impl Future<Output = Outcome> + 'a {
    let at = std::panic::Location::caller();
    async move {
        let options = ResolveOptions::default();
        let found = store.progress(&key(feature)?, options).await?;
        let near = match (found, expected) {
            (Some(found), Some(expected)) => (found - expected).abs() < 1e-9,
            (found, expected) => found == expected,
        };
        let line = at.line();
        let what = format!("{feature}, line {line}: found {found:?}, expected {expected:?}");
        check(near, what)
    }
}
