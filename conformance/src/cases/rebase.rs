//! Carrying rows over to another version of their feature (`semantics.md` §10 (69) to (72)).

use std::num::NonZeroU64;

use arrow::array::RecordBatch;
use indexmap::IndexMap;
use metaxy_store::spec::Lineage;
use metaxy_store::store::{MaintainOptions, RebaseOptions, Rebased};
use metaxy_store::{
    DeleteOptions, ErrorKind, FeatureDep, FeatureGraph, FeatureSpec, FieldSpec, MetadataStore,
    ReadOptions, ResolveOptions, Result, WriteOptions, col,
};

use crate::bed::TestBed;
use crate::bed::frames::{Table, by_field, frame, ints, keyed, read, samples, stored, with_column};
use crate::bed::graphs::{graph, key, pair_of};
use crate::bed::increments::{compute, resolve, resolve_with};
use crate::outcome::{Outcome, Stop, check, check_eq, names, refused};

cases! { "rebase":
    keeps_samples_current_under_a_new_version,
    keeps_data_versions_of_the_user,
    keeps_stale_samples_stale,
    keeps_orphans_orphaned,
    knows_what_was_computed_before_a_change_and_written_after_it,
    leaves_out_what_nothing_tells_of,
    carries_what_follows_from_what_was_carried,
    is_stale_where_upstream_was_computed_anew,
    keeps_what_a_waiting_upstream_said,
    keeps_orphans_of_children_that_were_left_out,
    keeps_stale_groups_and_parents_stale,
    gives_one_row_per_aggregated_sample,
    carries_children_of_an_expansion,
    leads_to_a_version_that_was_pushed,
    refuses_a_version_that_was_never_pushed,
    refuses_a_root,
}

const PROVENANCE: &str = "metaxy_provenance";
const DATA_VERSION: &str = "metaxy_data_version";

/// Rows of all versions, as they are rebased.
async fn history(store: &MetadataStore, feature: &str) -> Outcome<RecordBatch> {
    let all = ReadOptions::default().with_feature_history(true);
    Ok(read(store, feature, all).await?.batch().clone())
}

/// Rebases all rows and writes them; gives what was written.
async fn rebase(store: &MetadataStore, feature: &str, options: RebaseOptions) -> Outcome<Table> {
    let rows = history(store, feature).await?;
    let rebased = store.rebase(&key(feature)?, rows, options).await?.rows;
    let keep = WriteOptions::default().with_preserve_feature_version(true);
    store
        .write_with(&key(feature)?, rebased.clone(), keep)
        .await?;
    Table::of(rebased).await
}

/// Rebases the rows of the version that was written last, and writes them; how many are current, stale, orphaned and left out.
async fn rebased(store: &MetadataStore, feature: &str) -> Outcome<[u64; 4]> {
    let key = key(feature)?;
    let current = store.graph().feature_version(&key)?.to_owned();
    let times = store.times_of_writes(&key).await?;
    let last = times.into_iter().rev().filter_map(|(_, version)| version);
    let last = last.into_iter().find(|version| *version != current);
    let old = ReadOptions::default().with_feature_history(true);
    let old = old.with_feature_version(last.unwrap_or_default());
    let rows = store.read(&key, old).await?;
    let rebased = store.rebase(&key, rows, RebaseOptions::default()).await;
    let rebased = known_history(rebased)?;
    let counts = rebased.counts;
    check_eq(counts.carried(), rebased.rows.num_rows() as u64, "rows")?;
    let keep = WriteOptions::default().with_preserve_feature_version(true);
    store.write_with(&key, rebased.rows, keep).await?;
    Ok([
        counts.current,
        counts.stale,
        counts.orphaned,
        counts.left_out,
    ])
}

/// A rebase of stale rows reads what is upstream as it was.
pub(crate) fn known_history(rebased: Result<Rebased>) -> Outcome<Rebased> {
    match rebased {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            Err(Stop::ignored("the backend reads no table as it was"))
        }
        rebased => Ok(rebased?),
    }
}

/// Samples 1 and 2, computed with version 1 of `b`; now it has version 2.
async fn changed(bed: &TestBed) -> Outcome<MetadataStore> {
    let store = bed.store(pair_of("1", "1")?).await?;
    let rows = samples(&[(1, "x"), (2, "y")])?;
    store.write(&key("a")?, rows).await?;
    compute(&store, "b").await?;
    Ok(store.with_graph(pair_of("1", "2")?))
}

/// Rows that are as good under the new version get its versions, and nothing is left to compute once they are written.
pub async fn keeps_samples_current_under_a_new_version(bed: &TestBed) -> Outcome {
    let store = changed(bed).await?;
    let expected = resolve(&store, "b").await?;
    expected.are(&[1, 2], &[], &[])?;
    let before = Table::of(history(&store, "b").await?).await?;
    let rebased = rebase(&store, "b", RebaseOptions::default()).await?;
    let rows = read(&store, "b", ReadOptions::default()).await?;
    for (found, what) in [(&rebased, "rebased"), (&rows, "read")] {
        check_eq(found.ids()?, [1, 2], format!("samples that were {what}"))?;
        for column in [PROVENANCE, "metaxy_provenance_by_field.default"] {
            check_eq(found.words(column)?, expected.new.words(column)?, column)?;
        }
    }
    let version = store.graph().feature_version("b")?.to_owned();
    let found = rows.words("metaxy_feature_version")?;
    check_eq(found, [version.clone(), version], "the feature version")?;
    let (then, now) = (before.words(PROVENANCE)?, rows.words(PROVENANCE)?);
    check(then != now, "another provenance than before")?;
    let created = "metaxy_created_at";
    check_eq(rows.words(created)?, before.words(created)?, created)?;
    let data = rows.words(DATA_VERSION)?;
    check_eq(data, now, "data versions follow the provenance")?;
    resolve(&store, "b").await?.nothing()
}

/// A data version that the user set stays, one that was the provenance follows it (§4).
pub async fn keeps_data_versions_of_the_user(bed: &TestBed) -> Outcome {
    let store = changed(bed).await?.with_graph(pair_of("1", "1")?);
    let rows = samples(&[(1, "p"), (2, "p")])?;
    let given = by_field(&[("default", &["mine", "mine too"])])?;
    let rows = with_column(&rows, "metaxy_data_version_by_field", given)?;
    store.write(&key("b")?, rows.slice(0, 1)).await?;
    let before = Table::of(history(&store, "b").await?).await?;
    let store = store.with_graph(pair_of("1", "2")?);
    rebase(&store, "b", RebaseOptions::default()).await?;
    let after = read(&store, "b", ReadOptions::default()).await?;
    let (then, now) = (before.words(DATA_VERSION)?, after.words(DATA_VERSION)?);
    check_eq(&now[0], &then[0], "the data version that was set")?;
    let members = after.words("metaxy_data_version_by_field.default")?;
    check_eq(members[0].as_str(), "mine", "its member")?;
    let provenance = after.words(PROVENANCE)?;
    check_eq(&now[1], &provenance[1], "the one that was not set")?;
    check(now[0] != provenance[0], "set apart from the provenance")?;
    resolve(&store, "b").await?.nothing()
}

/// A sample whose upstream changed after it was computed stays stale, whether the old definition was pushed or not (§15).
pub async fn keeps_stale_samples_stale(bed: &TestBed) -> Outcome {
    for pushed in [false, true] {
        let name = if pushed { "pushed" } else { "main" };
        let store = bed
            .builder(name)
            .await?
            .with_graph(pair_of("1", "1")?)
            .build()?;
        let rows = samples(&[(1, "x"), (2, "y"), (3, "z")])?;
        store.write(&key("a")?, rows).await?;
        compute(&store, "b").await?;
        if pushed {
            store.push_graph(None, &IndexMap::new()).await?;
        }
        store.write(&key("a")?, samples(&[(2, "changed")])?).await?;
        resolve(&store, "b").await?.are(&[], &[2], &[])?;
        let store = store.with_graph(pair_of("1", "2")?);
        let counts = rebased(&store, "b").await?;
        check_eq(counts, [2, 1, 0, 0], format!("counts, pushed: {pushed}"))?;
        resolve(&store, "b").await?.are(&[], &[2], &[])?;
        // And once more, to a third version.
        let store = store.with_graph(pair_of("1", "3")?);
        let rows = history(&store, "b").await?;
        check_eq(rows.num_rows(), 3, "samples of the second version")?;
        rebased(&store, "b").await?;
        resolve(&store, "b").await?.are(&[], &[2], &[])?;
    }
    Ok(())
}

/// A sample whose upstream is gone is orphaned before and after (§15).
pub async fn keeps_orphans_orphaned(bed: &TestBed) -> Outcome {
    let store = changed(bed).await?;
    let one = DeleteOptions::soft().with_filters([col("id").eq(1)]);
    store.delete(&key("a")?, one).await?;
    check_eq(rebased(&store, "b").await?, [1, 0, 1, 0], "counts")?;
    let rows = read(&store, "b", ReadOptions::default()).await?;
    check_eq(rows.ids()?, [1, 2], "samples of the new version")?;
    resolve(&store, "b").await?.are(&[], &[], &[1])
}

/// A step takes time: what changed while it ran makes its result stale, and it stays so where the old definition is known (§15).
pub async fn knows_what_was_computed_before_a_change_and_written_after_it(
    bed: &TestBed,
) -> Outcome {
    let store = bed.store(pair_of("1", "1")?).await?;
    store.push_graph(None, &IndexMap::new()).await?;
    store
        .write(&key("a")?, samples(&[(1, "x"), (2, "y")])?)
        .await?;
    let resolved = resolve(&store, "b").await?.new.batch().clone();
    store.write(&key("a")?, samples(&[(2, "changed")])?).await?;
    store.write(&key("b")?, resolved).await?;
    resolve(&store, "b").await?.are(&[], &[2], &[])?;
    let store = store.with_graph(pair_of("1", "2")?);
    check_eq(rebased(&store, "b").await?, [1, 1, 0, 0], "counts")?;
    resolve(&store, "b").await?.are(&[], &[2], &[])
}

/// Where the rows that a stale sample was computed from are gone, it is left out and counted; a current one needs no history (§15).
pub async fn leaves_out_what_nothing_tells_of(bed: &TestBed) -> Outcome {
    let store = bed.store(pair_of("1", "1")?).await?;
    store.push_graph(None, &IndexMap::new()).await?;
    store
        .write(&key("a")?, samples(&[(1, "x"), (2, "y")])?)
        .await?;
    compute(&store, "b").await?;
    store
        .write(&key("a")?, samples(&[(1, "x"), (2, "changed")])?)
        .await?;
    let last = MaintainOptions::default().with_keep(NonZeroU64::MIN);
    match store.maintain(last.with_features([key("a")?])).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            return Err(Stop::ignored("the backend removes no rows"));
        }
        maintained => drop(maintained?),
    }
    resolve(&store, "b").await?.are(&[], &[2], &[])?;
    let store = store.with_graph(pair_of("1", "2")?);
    check_eq(rebased(&store, "b").await?, [1, 0, 0, 1], "counts")?;
    resolve(&store, "b").await?.are(&[2], &[], &[])
}

/// A feature that follows from one that was rebased is carried over as well: what was current is current again (§15).
pub async fn carries_what_follows_from_what_was_carried(bed: &TestBed) -> Outcome {
    let chain = |code: &str| -> Result<FeatureGraph> {
        let made = |name: &str, from: &str, code: &str| -> Result<FeatureSpec> {
            let field = FieldSpec::new("default")?.with_code_version(code);
            let spec = FeatureSpec::new(name, ["id"])?.with_field(field);
            Ok(spec.with_dep(FeatureDep::new(from)?))
        };
        graph([
            FeatureSpec::new("a", ["id"])?,
            made("b", "a", code)?,
            made("c", "b", "1")?,
        ])
    };
    for pushed in [false, true] {
        let name = if pushed { "pushed" } else { "main" };
        let store = bed.builder(name).await?.with_graph(chain("1")?).build()?;
        let rows = samples(&[(1, "x"), (2, "y"), (3, "z")])?;
        store.write(&key("a")?, rows).await?;
        compute(&store, "b").await?;
        compute(&store, "c").await?;
        if pushed {
            store.push_graph(None, &IndexMap::new()).await?;
        }
        // One sample of `b` is stale, and one of `c`, whose `b` is computed anew.
        store
            .write(&key("a")?, samples(&[(2, "changed"), (3, "too")])?)
            .await?;
        let work = resolve(&store, "b").await?.stale;
        let third = work
            .ids()?
            .iter()
            .position(|id| *id == 3)
            .unwrap_or_default();
        store
            .write(&key("b")?, work.batch().slice(third, 1))
            .await?;
        resolve(&store, "b").await?.are(&[], &[2], &[])?;
        resolve(&store, "c").await?.are(&[], &[3], &[])?;
        let store = store.with_graph(chain("2")?);
        check_eq(rebased(&store, "b").await?, [2, 1, 0, 0], "counts of b")?;
        check_eq(rebased(&store, "c").await?, [2, 1, 0, 0], "counts of c")?;
        resolve(&store, "b").await?.are(&[], &[2], &[])?;
        resolve(&store, "c").await?.are(&[], &[3], &[])?;
    }
    Ok(())
}

/// Rows of an upstream that were computed anew under a new version are not those that a row was made from, also where that row was current
/// until then (§15).
pub async fn is_stale_where_upstream_was_computed_anew(bed: &TestBed) -> Outcome {
    let store = with_other_faces(bed, false).await?;
    compute(&store, "faces").await?;
    check_eq(rebased(&store, "doc").await?, [0, 2, 0, 0], "counts")?;
    resolve(&store, "doc").await?.are(&[], &[1, 2], &[])?;
    compute(&store, "doc").await?;
    resolve(&store, "doc").await?.nothing()
}

/// A row that was made with an optional upstream is not one that was made without, though the upstream has no row of its new version yet
/// (§15).
pub async fn keeps_what_a_waiting_upstream_said(bed: &TestBed) -> Outcome {
    let store = with_other_faces(bed, true).await?;
    rebased(&store, "doc").await?;
    // Of the first video there are no faces any more.
    let faces = resolve(&store, "faces").await?.new;
    store
        .write(&key("faces")?, faces.batch().slice(1, 1))
        .await?;
    resolve(&store, "doc").await?.are(&[], &[1, 2], &[])
}

/// What was made of a child that is not carried over is an orphan (§15).
pub async fn keeps_orphans_of_children_that_were_left_out(bed: &TestBed) -> Outcome {
    let chain = |code: &str| -> Result<FeatureGraph> {
        let field = FieldSpec::new("default")?.with_code_version(code);
        let dep = FeatureDep::new("talk")?.with_lineage(Lineage::expansion(["talk"]));
        let length = FeatureSpec::new("length", ["talk", "sentence"])?;
        graph([
            FeatureSpec::new("talk", ["talk"])?,
            FeatureSpec::new("sentence", ["talk", "sentence"])?
                .with_field(field)
                .with_dep(dep),
            length.with_dep(FeatureDep::new("sentence")?),
        ])
    };
    let talk = |version: &str| keyed(&[("talk", &[1])], &[version]);
    let store = bed.store(chain("1")?).await?;
    for (version, sentences) in [("x", [1, 2].as_slice()), ("y", &[1])] {
        store.write(&key("talk")?, talk(version)?).await?;
        let parts = resolve(&store, "sentence").await?;
        let parent = match parts.new.is_empty() {
            true => parts.stale,
            false => parts.new,
        };
        for sentence in sentences {
            let row = with_column(parent.batch(), "sentence", ints([*sentence]))?;
            store.write(&key("sentence")?, row).await?;
        }
        compute(&store, "length").await?;
    }
    store.push_graph(None, &IndexMap::new()).await?;
    let store = store.with_graph(chain("2")?);
    check_eq(
        rebased(&store, "sentence").await?,
        [1, 0, 0, 1],
        "sentences",
    )?;
    check_eq(rebased(&store, "length").await?, [1, 0, 1, 0], "lengths")?;
    let parts = resolve(&store, "length").await?;
    check(parts.new.is_empty() && parts.stale.is_empty(), "work")?;
    check_eq(
        parts.orphaned.lines(&["talk", "sentence"])?,
        ["1 2"],
        "orphaned",
    )
}

/// Two documents that were computed before the code of the faces changed.
async fn with_other_faces(bed: &TestBed, optional: bool) -> Outcome<MetadataStore> {
    let store = bed.store(through_faces("1", optional)?).await?;
    store
        .write(&key("video")?, samples(&[(1, "x"), (2, "y")])?)
        .await?;
    compute(&store, "faces").await?;
    compute(&store, "doc").await?;
    store.push_graph(None, &IndexMap::new()).await?;
    Ok(store.with_graph(through_faces("2", optional)?))
}

/// Documents of videos and their faces, whose code has this version.
fn through_faces(code: &str, optional: bool) -> Result<FeatureGraph> {
    let field = FieldSpec::new("default")?.with_code_version(code);
    let faces = FeatureSpec::new("faces", ["id"])?
        .with_field(field)
        .with_dep(FeatureDep::new("video")?);
    let bare = |upstream: &str| -> Result<FeatureDep> {
        Ok(FeatureDep::new(upstream)?.with_select(Vec::<String>::new()))
    };
    let from_faces = match optional {
        true => bare("faces")?.optional(),
        false => bare("faces")?,
    };
    let doc = FeatureSpec::new("doc", ["id"])?
        .with_dep(bare("video")?)
        .with_dep(from_faces);
    graph([FeatureSpec::new("video", ["id"])?, faces, doc])
}

/// A group that got another member after it was folded stays stale, and so does a parent that changed after its children were made (§15).
pub async fn keeps_stale_groups_and_parents_stale(bed: &TestBed) -> Outcome {
    let store = bed.store(lineages("1")?).await?;
    let clips = |ids: [i64; 2], videos: [i64; 2], versions: &[&str]| {
        frame([
            ("clip", ints(ids)),
            ("video", ints(videos)),
            (
                "metaxy_provenance_by_field",
                by_field(&[("default", versions)])?,
            ),
        ])
    };
    let videos = |ids: [i64; 2], versions: &[&str]| {
        frame([
            ("video", ints(ids)),
            (
                "metaxy_provenance_by_field",
                by_field(&[("default", versions)])?,
            ),
        ])
    };
    store
        .write(&key("clip")?, clips([1, 2], [1, 2], &["a", "b"])?)
        .await?;
    store
        .write(&key("video")?, videos([1, 2], &["a", "b"])?)
        .await?;
    compute(&store, "summary").await?;
    let crop = key("crop")?;
    let parents = resolve(&store, "crop").await?.new;
    for child in [1, 2] {
        let children = ints(vec![child; parents.len()]);
        let rows = with_column(parents.batch(), "crop", children)?;
        store.write(&crop, rows).await?;
    }
    store
        .write(&key("clip")?, clips([3, 4], [2, 3], &["c", "d"])?)
        .await?;
    store
        .write(&key("video")?, videos([2, 3], &["changed", "new"])?)
        .await?;
    let store = store.with_graph(lineages("2")?);
    check_eq(
        rebased(&store, "summary").await?,
        [1, 1, 0, 0],
        "counts of groups",
    )?;
    check_eq(
        rebased(&store, "crop").await?,
        [2, 2, 0, 0],
        "counts of children",
    )?;
    for feature in ["summary", "crop"] {
        let parts = resolve(&store, feature).await?;
        check_eq(dedup(parts.new.lines(&["video"])?), ["3"], "new")?;
        check_eq(dedup(parts.stale.lines(&["video"])?), ["2"], "stale")?;
        check(parts.orphaned.is_empty(), "orphaned")?;
    }
    Ok(())
}

/// Clips make summaries of videos, videos make crops; the version is that of the code of both.
fn lineages(code: &str) -> Result<FeatureGraph> {
    let made = |name: &str, ids: &[&str], from: &str, lineage: Lineage| -> Result<FeatureSpec> {
        let spec = FeatureSpec::new(name, ids.iter().copied())?;
        let field = FieldSpec::new("default")?.with_code_version(code);
        Ok(spec
            .with_field(field)
            .with_dep(FeatureDep::new(from)?.with_lineage(lineage)))
    };
    graph([
        FeatureSpec::new("clip", ["clip", "video"])?,
        FeatureSpec::new("video", ["video"])?,
        made(
            "summary",
            &["video"],
            "clip",
            Lineage::aggregation(["video"]),
        )?,
        made(
            "crop",
            &["video", "crop"],
            "video",
            Lineage::expansion(["video"]),
        )?,
    ])
}

/// A sample made of several upstream rows stays one row (§10 (69)).
pub async fn gives_one_row_per_aggregated_sample(bed: &TestBed) -> Outcome {
    let store = bed.store(lineages("1")?).await?;
    let clips = frame([
        ("clip", ints([1, 2, 3, 4])),
        ("video", ints([1, 1, 1, 2])),
        (
            "metaxy_provenance_by_field",
            by_field(&[("default", &["a", "b", "c", "d"])])?,
        ),
    ])?;
    store.write(&key("clip")?, clips).await?;
    compute(&store, "summary").await?;
    let store = store.with_graph(lineages("2")?);
    let expected = resolve(&store, "summary").await?;
    let mut expected = expected.new.lines(&["video", PROVENANCE])?;
    expected.dedup();
    let rebased = rebase(&store, "summary", RebaseOptions::default()).await?;
    let found = rebased.lines(&["video", PROVENANCE])?;
    // A write of the increment keeps one row per video, or several of one version; each of them is carried over.
    check_eq(dedup(found), expected, "one version per video")?;
    let rows = read(&store, "summary", ReadOptions::default()).await?;
    check_eq(rows.lines(&["video"])?, ["1", "2"], "samples")?;
    let times = rebased.len();
    let distinct = Table::of(history(&store, "summary").await?)
        .await?
        .lines(&["video"])?;
    check_eq((times, distinct.len()), (2, 2), "rows that were rebased")?;
    resolve(&store, "summary").await?.nothing()
}

/// Children of an expansion get the provenance of their parent (§10 (70)).
pub async fn carries_children_of_an_expansion(bed: &TestBed) -> Outcome {
    let store = bed.store(lineages("1")?).await?;
    let videos = frame([
        ("video", ints([1, 2])),
        (
            "metaxy_provenance_by_field",
            by_field(&[("default", &["a", "b"])])?,
        ),
    ])?;
    store.write(&key("video")?, videos).await?;
    let crop = key("crop")?;
    let parents = resolve(&store, "crop").await?.new;
    for child in [1, 2, 3] {
        let children = ints(vec![child; parents.len()]);
        let rows = with_column(parents.batch(), "crop", children)?;
        store.write(&crop, rows).await?;
    }
    let store = store.with_graph(lineages("2")?);
    let expected = resolve(&store, "crop").await?.new;
    let parents = expected.lines(&["video", PROVENANCE])?;
    let rebased = rebase(&store, "crop", RebaseOptions::default()).await?;
    let children = rebased.lines(&["video", "crop"])?;
    let all = ["1 1", "1 2", "1 3", "2 1", "2 2", "2 3"];
    check_eq(children, all, "the children")?;
    let versions = dedup(rebased.lines(&["video", PROVENANCE])?);
    check_eq(versions, parents, "the versions of the parents")?;
    resolve(&store, "crop").await?.nothing()
}

/// The target may be any version that was pushed; the rows are then what that graph would compute.
pub async fn leads_to_a_version_that_was_pushed(bed: &TestBed) -> Outcome {
    let store = changed(bed).await?;
    let older = store.clone();
    older.push_graph(None, &IndexMap::new()).await?;
    let store = store.with_graph(pair_of("1", "3")?);
    store.push_graph(None, &IndexMap::new()).await?;
    let version = older.graph().feature_version("b")?.to_owned();
    let skip = ResolveOptions::default().with_skip_comparison(true);
    let expected = resolve_with(&older, "b", skip).await?.new;
    let options = RebaseOptions::default().with_to_feature_version(&version);
    let rebased = rebase(&store, "b", options).await?;
    let found = rebased.words(PROVENANCE)?;
    check_eq(found, expected.words(PROVENANCE)?, "the provenance")?;
    let found = rebased.words("metaxy_feature_version")?;
    check_eq(found, vec![version; 2], "the feature version")?;
    let project = older.graph().project_version("demo").to_owned();
    let found = rebased.words("metaxy_project_version")?;
    check_eq(found, vec![project; 2], "the project version")?;
    resolve(&older, "b").await?.nothing()
}

/// A version that no push recorded is refused by name; nothing is written.
pub async fn refuses_a_version_that_was_never_pushed(bed: &TestBed) -> Outcome {
    let store = changed(bed).await?;
    store.push_graph(None, &IndexMap::new()).await?;
    let before = stored(&store, "b").await?;
    let rows = history(&store, "b").await?;
    let options = RebaseOptions::default().with_to_feature_version("nosuchversion");
    let error = refused(
        store.rebase(&key("b")?, rows, options).await,
        ErrorKind::InvalidArgument,
    )?;
    names(&error, &["nosuchversion", "feature b", "main"])?;
    check_eq(stored(&store, "b").await?, before, "what is stored")
}

/// The provenance of a root is the user's: there is nothing to compute it from.
pub async fn refuses_a_root(bed: &TestBed) -> Outcome {
    let store = changed(bed).await?;
    let rows = history(&store, "a").await?;
    let options = RebaseOptions::default();
    let error = refused(
        store.rebase(&key("a")?, rows, options).await,
        ErrorKind::InvalidArgument,
    )?;
    names(&error, &["feature a", "main"])
}

fn dedup(mut sorted: Vec<String>) -> Vec<String> {
    sorted.dedup();
    sorted
}
