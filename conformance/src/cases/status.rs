//! How a feature stands (`semantics.md` §6, §10).

use metaxy_store::spec::Lineage;
use metaxy_store::store::{Counts, FeatureState, FeatureStatus, StatusCategory, StatusOptions};
use metaxy_store::{
    Access, DeleteOptions, Error, ErrorKind, FeatureDep, FeatureGraph, FeatureSpec, FieldSpec,
    MetadataStore, ResolveOptions, col,
};

use crate::bed::TestBed;
use crate::bed::frames::{ints, keyed, samples, stored, videos, with_column};
use crate::bed::graphs::{feature, graph, key, pair, video};
use crate::bed::increments::{apply, compute, resolve, resolve_with};
use crate::bed::observed::Observed;
use crate::outcome::{Outcome, Stop, check_eq, names, refused};

cases! {
    "status":
    of_a_root_counts_its_samples,
    says_what_upstream_is_missing,
    says_what_is_missing,
    says_what_needs_an_update,
    says_what_is_up_to_date,
    is_transitive,
    waits_for_rows_of_the_current_version,
    waits_for_a_field_that_upstream_does_not_have_yet,
    waits_for_an_optional_upstream_that_has_work,
    looks_upstream_in_the_stores_that_answer,
    leaves_out_filters_that_do_not_fit_upstream,
    compares_each_feature_once,
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

/// A feature is up to date only once everything upstream is, however far; until then it waits for what has work, and says how much (§15).
pub async fn is_transitive(bed: &TestBed) -> Outcome {
    let store = bed.store(chain(3)?).await?;
    stands(&store, "f2", FeatureState::Waits, &[("f0", 0, 0)]).await?;
    let a = key("f0")?;
    store.write(&a, samples(&[(1, "x"), (2, "x")])?).await?;
    stands(&store, "f0", FeatureState::UpToDate, &[]).await?;
    stands(&store, "f1", FeatureState::NeedsWork, &[]).await?;
    stands(&store, "f2", FeatureState::Waits, &[("f1", 2, 0)]).await?;
    compute(&store, "f1").await?;
    stands(&store, "f2", FeatureState::NeedsWork, &[]).await?;
    compute(&store, "f2").await?;
    stands(&store, "f2", FeatureState::UpToDate, &[]).await?;
    store.write(&a, samples(&[(1, "y"), (3, "x")])?).await?;
    stands(&store, "f2", FeatureState::Waits, &[("f1", 2, 0)]).await?;
    let status = of(&store, "f2").await?;
    check_eq(status.category, StatusCategory::Waits, "the category")?;
    counts(&status, 0, 0, 0)?;
    apply(&store, "f1").await?;
    stands(&store, "f2", FeatureState::NeedsWork, &[]).await?;
    apply(&store, "f2").await?;
    let gone = DeleteOptions::soft().with_filters([col("id").eq(1)]);
    store.delete(&a, gone).await?;
    stands(&store, "f1", FeatureState::NeedsWork, &[]).await?;
    stands(&store, "f2", FeatureState::Waits, &[("f1", 0, 1)]).await?;
    apply(&store, "f1").await?;
    stands(&store, "f2", FeatureState::NeedsWork, &[]).await?;
    // There is work here, and more will come from further up.
    store.write(&a, samples(&[(2, "z")])?).await?;
    apply(&store, "f2").await?;
    stands(&store, "f2", FeatureState::Waits, &[("f1", 1, 0)]).await?;
    apply(&store, "f1").await?;
    store.write(&a, samples(&[(3, "z")])?).await?;
    stands(&store, "f2", FeatureState::NeedsWork, &[("f1", 1, 0)]).await
}

/// Where something upstream has rows of other versions only, a feature is neither up to date nor are its samples orphaned (§15).
pub async fn waits_for_rows_of_the_current_version(bed: &TestBed) -> Outcome {
    let store = bed.store(video()?).await?;
    let raw = key("video/raw")?;
    let rows = || videos(&[(1, "a", "f"), (2, "a", "f"), (3, "a", "f")]);
    store.write(&raw, rows()?).await?;
    for name in ["video/transcript", "video/faces"] {
        compute(&store, name).await?;
    }
    let audio = FieldSpec::new("audio")?.with_code_version("2");
    let changed = feature("video/raw", &["frames"], &[])?.with_field(audio);
    let mut specs = vec![changed];
    let graph_of_old = video()?;
    let others = graph_of_old.definitions().map(|d| d.spec.clone());
    specs.extend(others.filter(|spec| spec.key() != &raw));
    let newer = store.with_graph(graph(specs)?);
    let status = of(&newer, "video/raw").await?;
    check_eq(
        (status.category, status.samples, status.other_versions),
        (StatusCategory::Root, 0, Some(3)),
        "category, samples, and samples of other versions",
    )?;
    check_eq(status.state, FeatureState::NeedsWork, "the root")?;
    for (name, samples) in [("video/transcript", 0), ("video/faces", 3)] {
        stands(&newer, name, FeatureState::Waits, &[("video/raw", 3, 0)]).await?;
        let status = of(&newer, name).await?;
        check_eq(status.samples, samples, "its samples")?;
        check_eq(status.category, StatusCategory::Waits, "the category")?;
        counts(&status, 0, 0, 0)?;
    }
    newer.write(&raw, rows()?).await?;
    stands(&newer, "video/faces", FeatureState::UpToDate, &[]).await?;
    stands(&newer, "video/transcript", FeatureState::NeedsWork, &[]).await
}

/// A new field upstream, which no stored row has, is no failure: what depends on it waits, and so does what follows (§15).
pub async fn waits_for_a_field_that_upstream_does_not_have_yet(bed: &TestBed) -> Outcome {
    let with = |fields: &[&str]| {
        graph([
            feature("a", fields, &[])?,
            // No field upstream has this name, so it depends on all.
            feature("b", &["all"], &["a"])?,
            feature("c", &["default"], &["b"])?,
        ])
    };
    let store = bed.store(with(&["default"])?).await?;
    store.write(&key("a")?, samples(&[(1, "x")])?).await?;
    compute(&store, "b").await?;
    compute(&store, "c").await?;
    let newer = store.with_graph(with(&["default", "more"])?);
    let a = ("a", 1, 0);
    stands(&newer, "b", FeatureState::Waits, &[a]).await?;
    stands(&newer, "c", FeatureState::Waits, &[a, ("b", 0, 0)]).await?;
    let status = of(&newer, "b").await?;
    check_eq(
        (status.category, status.counts),
        (StatusCategory::Waits, None),
        "category and counts",
    )
}

/// An optional upstream that was never written, and for which nothing can be computed, is not waited for; one with work is (§15).
pub async fn waits_for_an_optional_upstream_that_has_work(bed: &TestBed) -> Outcome {
    let specs = [
        feature("a", &["default"], &[])?,
        feature("far", &["default"], &[])?,
        feature("extra", &["default"], &["far"])?,
        feature("b", &["default"], &["a"])?.with_dep(FeatureDep::new("extra")?.optional()),
    ];
    let store = bed.store(graph(specs)?).await?;
    store.write(&key("a")?, samples(&[(1, "x")])?).await?;
    compute(&store, "b").await?;
    stands(&store, "b", FeatureState::UpToDate, &[]).await?;
    store.write(&key("far")?, samples(&[(1, "x")])?).await?;
    stands(&store, "b", FeatureState::Waits, &[("extra", 1, 0)]).await?;
    compute(&store, "extra").await?;
    stands(&store, "b", FeatureState::NeedsWork, &[]).await?;
    compute(&store, "b").await?;
    stands(&store, "b", FeatureState::UpToDate, &[]).await
}

/// What is upstream is judged by the rows of the stores that answer for it, wherever these are (§7, §15).
pub async fn looks_upstream_in_the_stores_that_answer(bed: &TestBed) -> Outcome {
    let prod = bed.builder("prod").await?.with_graph(chain(3)?).build()?;
    let dev = bed.builder("dev").await?.with_graph(chain(3)?);
    let dev = dev.with_fallback(prod.clone()).build()?;
    let a = key("f0")?;
    prod.write(&a, samples(&[(1, "x"), (2, "x")])?).await?;
    compute(&prod, "f1").await?;
    compute(&dev, "f2").await?;
    stands(&dev, "f2", FeatureState::UpToDate, &[]).await?;
    // Here f1 would be computed anew, as ever.
    let all = ["f0", "f1", "f2"].map(key);
    let all = all.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut survey = dev.survey(all.iter().cloned(), StatusOptions::default());
    let of_f1 = survey.status(&key("f1")?).await?;
    counts(&of_f1, 2, 0, 0)?;
    let of_f2 = survey.status(&key("f2")?).await?;
    check_eq(of_f2.state, FeatureState::UpToDate, "f2 in a survey")?;
    prod.write(&a, samples(&[(1, "y")])?).await?;
    stands(&dev, "f2", FeatureState::Waits, &[("f1", 1, 0)]).await?;
    apply(&prod, "f1").await?;
    compute(&dev, "f2").await?;
    stands(&dev, "f2", FeatureState::UpToDate, &[]).await?;
    // The root is answered for by this store now, f1 by the other one still.
    let rows = [(1, "z"), (2, "z"), (3, "z")];
    dev.write(&a, samples(&rows)?).await?;
    stands(&dev, "f2", FeatureState::Waits, &[("f1", 3, 0)]).await?;
    stands(&prod, "f2", FeatureState::NeedsWork, &[]).await
}

/// A global filter that what is further upstream has no column for does not hold there; all of its samples count (§15).
pub async fn leaves_out_filters_that_do_not_fit_upstream(bed: &TestBed) -> Outcome {
    let expansion = FeatureDep::new("video")?.with_lineage(Lineage::expansion(["id"]));
    let specs = [
        feature("video", &["default"], &[])?,
        FeatureSpec::new("clip", ["id", "clip"])?.with_dep(expansion),
        FeatureSpec::new("crop", ["id", "clip"])?.with_dep(FeatureDep::new("clip")?),
    ];
    let store = bed.store(graph(specs)?).await?;
    let video = key("video")?;
    store.write(&video, samples(&[(1, "x"), (2, "x")])?).await?;
    let parents = resolve(&store, "clip").await?;
    let clips = with_column(parents.new.batch(), "clip", ints([1, 2]))?;
    store.write(&key("clip")?, clips).await?;
    compute(&store, "crop").await?;
    let some = StatusOptions::default().with_global_filters([col("clip").le(1)]);
    let status = store.status(&key("crop")?, some.clone()).await?;
    check_eq(
        (status.state, status.samples),
        (FeatureState::UpToDate, 1),
        "state and samples",
    )?;
    store.write(&video, samples(&[(2, "y")])?).await?;
    let status = store.status(&key("crop")?, some.clone()).await?;
    check_eq(status.state, FeatureState::Waits, "the state")?;
    // Of what is asked for, all have to fit.
    refused(
        store.status(&key("clip")?, some).await,
        ErrorKind::InvalidFilter,
    )?;
    Ok(())
}

/// A survey of a graph compares each feature once: what it asks of the backend grows with the features, not with the paths (§15).
pub async fn compares_each_feature_once(bed: &TestBed) -> Outcome {
    let mut calls = Vec::new();
    for length in [3, 6, 12] {
        let name = format!("of-{length}");
        let observed = Observed::new(bed.backend(&name, Access::Write).await?);
        let store = bed.over(observed.clone()).with_graph(chain(length)?);
        let store = store.build()?;
        store.write(&key("f0")?, samples(&[(1, "x")])?).await?;
        for at in 1..length {
            compute(&store, &format!("f{at}")).await?;
        }
        let before = observed.calls();
        let features = store.graph().topological();
        let mut survey = store.survey(features.iter().cloned(), StatusOptions::default());
        for feature in &features {
            let status = survey.status(feature).await?;
            check_eq(status.state, FeatureState::UpToDate, feature)?;
        }
        calls.push(observed.calls() - before);
    }
    check_eq(
        calls[2] - calls[1],
        2 * (calls[1] - calls[0]),
        "calls for six features more, and twice those for three more",
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

/// A root `f0`, and so many features in all, each of which depends on the one before.
fn chain(length: usize) -> Result<FeatureGraph, Error> {
    let specs = (0..length).map(|at| match at {
        0 => feature("f0", &["default"], &[]),
        _ => feature(&format!("f{at}"), &["default"], &[&format!("f{}", at - 1)]),
    });
    graph(specs.collect::<Result<Vec<_>, _>>()?)
}

/// Fails unless a feature stands so, and waits for these: samples to compute and to delete.
async fn stands(
    store: &MetadataStore,
    feature: &str,
    state: FeatureState,
    waits_for: &[(&str, u64, u64)],
) -> Outcome {
    let status = of(store, feature).await?;
    let found: Vec<(&str, u64, u64)> = status
        .waits_for
        .iter()
        .map(|a| (a.feature.as_str(), a.to_compute, a.to_delete))
        .collect();
    check_eq(found, waits_for, format!("what {feature} waits for"))?;
    check_eq(status.state, state, format!("the state of {feature}"))
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
