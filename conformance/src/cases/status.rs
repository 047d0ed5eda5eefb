//! How a feature stands (`semantics.md` §6, §10).

use metaxy_store::spec::Lineage;
use metaxy_store::store::{Counts, FeatureStatus, StatusCategory, StatusOptions};
use metaxy_store::{
    DeleteOptions, ErrorKind, FeatureDep, FeatureSpec, MetadataStore, ResolveOptions, col,
};

use crate::bed::TestBed;
use crate::bed::frames::{ints, keyed, samples, stored, videos, with_column};
use crate::bed::graphs::{graph, key, pair, video};
use crate::bed::increments::{compute, resolve, resolve_with};
use crate::outcome::{Outcome, Stop, check_eq, names, refused};

cases! {
    "status":
    of_a_root_counts_its_samples,
    says_what_upstream_is_missing,
    says_what_is_missing,
    says_what_needs_an_update,
    says_what_is_up_to_date,
    counts_samples_of_groups_and_parents,
    follows_filters,
    follows_predicates,
    tells_the_progress_when_asked,
    changes_nothing,
}

/// A root that was written is neither up to date nor out of date; its samples are counted, not its rows (§10, 77).
pub async fn of_a_root_counts_its_samples(bed: &TestBed) -> Outcome {
    let store = bed.store(video()?).await?;
    let status = of(&store, "video/raw").await?;
    check_eq(status.category, StatusCategory::Missing, "before any write")?;
    let rows = || videos(&[(1, "a", "f"), (2, "a", "f"), (3, "a", "f")]);
    store.write(&key("video/raw")?, rows()?).await?;
    store.write(&key("video/raw")?, rows()?).await?;
    let gone = DeleteOptions::soft().with_filters([col("id").eq(3)]);
    store.delete(&key("video/raw")?, gone).await?;
    let status = of(&store, "video/raw").await?;
    check_eq(
        (status.category, status.samples, status.counts),
        (StatusCategory::Root, 2, None),
        "category, samples and counts",
    )?;
    check_eq(status.store.as_deref(), Some("main"), "the store")
}

/// Where a required upstream was never written, the status says so and names it (§10, 78).
pub async fn says_what_upstream_is_missing(bed: &TestBed) -> Outcome {
    let store = bed.store(video()?).await?;
    let status = of(&store, "video/faces").await?;
    check_eq(
        (status.category, status.samples, status.counts),
        (StatusCategory::UpstreamMissing, 0, None),
        "category, samples and counts",
    )?;
    check_eq(
        status.missing_upstream,
        Some(key("video/raw")?),
        "what is missing",
    )
}

/// A feature that was never written is missing; what upstream asks for is new (§6).
pub async fn says_what_is_missing(bed: &TestBed) -> Outcome {
    let store = bed.store(video()?).await?;
    let rows = videos(&[(1, "a", "f"), (2, "a", "f")])?;
    store.write(&key("video/raw")?, rows).await?;
    let status = of(&store, "video/faces").await?;
    check_eq(
        (status.category, status.samples, status.store.clone()),
        (StatusCategory::Missing, 0, None),
        "category, samples and store",
    )?;
    counts(&status, 2, 0, 0)
}

/// New, stale and orphaned samples ask for an update, each kind by itself too (§6).
pub async fn says_what_needs_an_update(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    store.write(&a, samples(&[(1, "x"), (2, "x")])?).await?;
    compute(&store, "b").await?;
    store.write(&a, samples(&[(3, "x")])?).await?;
    let needs = async |new, stale, orphaned| {
        let status = of(&store, "b").await?;
        check_eq(status.category, StatusCategory::NeedsUpdate, "the category")?;
        counts(&status, new, stale, orphaned)?;
        check_eq(status.samples, 2, "samples")
    };
    needs(1, 0, 0).await?;
    store.write(&a, samples(&[(2, "changed")])?).await?;
    needs(1, 1, 0).await?;
    for (id, expected) in [(3, (0, 1, 0)), (2, (0, 0, 1))] {
        let gone = DeleteOptions::soft().with_filters([col("id").eq(id)]);
        store.delete(&a, gone).await?;
        needs(expected.0, expected.1, expected.2).await?;
    }
    Ok(())
}

/// Once everything is written, nothing is to be done (§6).
pub async fn says_what_is_up_to_date(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows = samples(&[(1, "x"), (2, "x")])?;
    store.write(&key("a")?, rows).await?;
    compute(&store, "b").await?;
    let status = of(&store, "b").await?;
    check_eq(
        (status.category, status.samples, status.progress),
        (StatusCategory::UpToDate, 2, None),
        "category, samples and progress",
    )?;
    counts(&status, 0, 0, 0)?;
    check_eq(
        status.feature_version.as_str(),
        store.graph().feature_version(&key("b")?)?,
        "the version",
    )
}

/// Counted are samples: groups of an aggregation, not their rows; parents and children of an expansion (§10, 77).
pub async fn counts_samples_of_groups_and_parents(bed: &TestBed) -> Outcome {
    let aggregation = FeatureDep::new("clip")?.with_lineage(Lineage::aggregation(["video"]));
    let expansion = FeatureDep::new("clip")?.with_lineage(Lineage::expansion(["clip"]));
    let specs = [
        FeatureSpec::new("clip", ["clip"])?,
        FeatureSpec::new("summary", ["video"])?.with_dep(aggregation),
        FeatureSpec::new("crop", ["clip", "crop"])?.with_dep(expansion),
    ];
    let store = bed.store(graph(specs)?).await?;
    let clips: [(&str, &[i64]); 2] = [("clip", &[1, 2, 3, 4]), ("video", &[1, 1, 1, 2])];
    let clip = key("clip")?;
    store.write(&clip, keyed(&clips, &["x"; 4])?).await?;
    counts(&of(&store, "summary").await?, 2, 0, 0)?;
    counts(&of(&store, "crop").await?, 4, 0, 0)?;
    compute(&store, "summary").await?;
    let parents = resolve(&store, "crop").await?;
    for child in [1, 2] {
        let rows = with_column(parents.new.batch(), "crop", ints([child; 4]))?;
        store.write(&key("crop")?, rows).await?;
    }
    let samples = async |feature| Ok::<_, Stop>(of(&store, feature).await?.samples);
    check_eq(samples("summary").await?, 2, "summaries")?;
    check_eq(samples("crop").await?, 8, "crops")?;
    check_eq(
        of(&store, "crop").await?.category,
        StatusCategory::UpToDate,
        "the category",
    )?;
    let changed = keyed(&[("clip", &[1, 2]), ("video", &[1, 1])], &["y", "y"])?;
    store.write(&clip, changed).await?;
    counts(&of(&store, "summary").await?, 0, 1, 0)?;
    counts(&of(&store, "crop").await?, 0, 2, 0)?;
    let gone = DeleteOptions::soft().with_filters([col("video").eq(1)]);
    store.delete(&clip, gone).await?;
    counts(&of(&store, "summary").await?, 0, 0, 1)?;
    counts(&of(&store, "crop").await?, 0, 0, 6)
}

/// Global filters hold for upstream and target, those of the target for its own samples only (§6).
pub async fn follows_filters(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows = samples(&[(1, "x"), (2, "x"), (3, "x"), (4, "x")])?;
    store.write(&key("a")?, rows).await?;
    let some = ResolveOptions::default().with_global_filters([col("id").le(3)]);
    let parts = resolve_with(&store, "b", some).await?;
    let rows = with_column(parts.new.batch(), "score", ints([1, 2, 3]))?;
    store.write(&key("b")?, rows).await?;
    let all = StatusOptions::default;
    let b = key("b")?;
    let global = all().with_global_filters([col("id").le(2)]);
    let status = store.status(&b, global).await?;
    check_eq(
        (status.category, status.samples),
        (StatusCategory::UpToDate, 2),
        "under a global filter",
    )?;
    let target = all().with_target_filters([col("score").ge(2)]);
    let status = store.status(&b, target).await?;
    check_eq(
        (status.category, status.samples),
        (StatusCategory::NeedsUpdate, 2),
        "under a filter of the target",
    )?;
    counts(&status, 2, 0, 0)?;
    let bad = all().with_target_filters([col("scores").ge(2)]);
    let error = refused(store.status(&b, bad).await, ErrorKind::InvalidFilter)?;
    names(&error, &["scores", "feature: b"])
}

/// Samples that a predicate finds stale ask for an update (§6).
pub async fn follows_predicates(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows = samples(&[(1, "x"), (2, "x"), (3, "x")])?;
    store.write(&key("a")?, rows).await?;
    compute(&store, "b").await?;
    let options = StatusOptions::default().with_staleness_predicates([col("id").ge(2)]);
    let status = store.status(&key("b")?, options).await?;
    check_eq(status.category, StatusCategory::NeedsUpdate, "the category")?;
    counts(&status, 0, 2, 0)
}

/// The progress is computed on demand: the share of samples that are not new (§6).
pub async fn tells_the_progress_when_asked(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    store
        .write(&a, samples(&[(1, "x"), (2, "x"), (3, "x")])?)
        .await?;
    compute(&store, "b").await?;
    store.write(&a, samples(&[(1, "y"), (4, "x")])?).await?;
    let options = || StatusOptions::default().with_progress(true);
    let status = store.status(&key("b")?, options()).await?;
    check_eq(status.progress, Some(75.0), "the progress")?;
    let status = store.status(&a, options()).await?;
    check_eq(status.progress, None, "the progress of a root")
}

/// A status neither writes nor creates anything (§6).
pub async fn changes_nothing(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    store.write(&key("a")?, samples(&[(1, "x")])?).await?;
    let tables = store.backend().tables().await?;
    let before = stored(&store, "a").await?;
    of(&store, "a").await?;
    of(&store, "b").await?;
    check_eq(store.backend().tables().await?, tables, "the tables")?;
    check_eq(stored(&store, "a").await?, before, "what is stored")
}

async fn of(store: &MetadataStore, feature: &str) -> Outcome<FeatureStatus> {
    Ok(store
        .status(&key(feature)?, StatusOptions::default())
        .await?)
}

#[track_caller]
fn counts(status: &FeatureStatus, new: u64, stale: u64, orphaned: u64) -> Outcome {
    let expected = Counts {
        new,
        stale,
        orphaned,
    };
    check_eq(status.counts, Some(expected), "the counts")
}
