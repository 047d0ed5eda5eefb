//! How upstream rows map to samples: aggregation and expansion (`semantics.md` §2, §4, §6).

use arrow::array::{RecordBatch, UInt32Array};
use metaxy_store::spec::Lineage;
use metaxy_store::{
    Access, DeleteOptions, ErrorKind, FeatureDep, FeatureGraph, FeatureSpec, MetadataStore,
    ReadOptions, ResolveOptions, Result, col,
};

use crate::bed::TestBed;
use crate::bed::frames::{Table, by_field, frame, ints, keyed, read, texts, with_column};
use crate::bed::graphs::{graph, key};
use crate::bed::increments::{Parts, apply, compute, hashed, resolve, resolve_with};
use crate::outcome::{Outcome, Stop, check_eq, names, refused};

cases! {
    "lineage":
    aggregation_folds_the_versions_of_a_group,
    aggregation_is_ordered_by_all_ids,
    aggregation_orders_text_by_its_bytes,
    aggregation_takes_the_ids_of_the_feature_by_default,
    aggregation_leaves_out_null_versions,
    aggregation_follows_its_groups,
    aggregation_joins_with_identity,
    aggregation_makes_one_sample_of_a_group,
    expansion_is_resolved_per_parent,
    expansion_follows_its_parents,
    expansion_compares_the_children_written_last,
    expansion_joins_with_identity,
    expansion_of_an_aggregation,
    identity_takes_composite_ids,
    identity_joins_on_common_ids_and_compares_by_all,
    upstreams_without_a_common_id_are_refused,
}

/// Each row of a group carries the group's one version: the data versions of its rows, joined and hashed (§2, §4).
pub async fn aggregation_folds_the_versions_of_a_group(bed: &TestBed) -> Outcome {
    let store = bed
        .store(summaries(Lineage::aggregation(["video"]))?)
        .await?;
    write_clips(&store, &[(1, 1, "a"), (2, 1, "b"), (3, 2, "c"), (4, 1, "")]).await?;
    let parts = resolve(&store, "summary").await?;
    let first = summary(&store, "a|b|")?;
    // A group of one is folded like any other.
    let second = summary(&store, "c")?;
    check_eq(
        parts.new.lines(&["video", "clip", VERSION])?,
        [
            format!("1 1 {first}"),
            format!("1 2 {first}"),
            format!("1 4 {first}"),
            format!("2 3 {second}"),
        ],
        "the rows",
    )
}

/// The versions of a group are joined in the order of all ID columns of the upstream, also where they are not selected, and not in
/// that of its rows (§4, §10, 5).
pub async fn aggregation_is_ordered_by_all_ids(bed: &TestBed) -> Outcome {
    let dep = FeatureDep::new("clip")?
        .with_lineage(Lineage::aggregation(["video"]))
        .with_select(Vec::<String>::new());
    let specs = || -> Result<_> {
        let root = FeatureSpec::new("clip", ["part", "clip"])?;
        graph([root, spec("summary", &["video"], [dep.clone()])?])
    };
    let rows = [(2, 1, "c"), (1, 10, "b"), (1, 9, "a"), (10, 0, "d")];
    for (i, turn) in (0..4).enumerate() {
        let store = bed.builder(&format!("store{i}")).await?;
        let store = store.with_graph(specs()?).build()?;
        let mut rows = rows;
        rows.rotate_left(turn);
        for row in rows {
            let (part, clip, version) = row;
            let columns = [("part", &[part][..]), ("clip", &[clip]), ("video", &[7])];
            store
                .write(&key("clip")?, keyed(&columns, &[version])?)
                .await?;
        }
        let parts = resolve(&store, "summary").await?;
        let version = summary(&store, "a|b|c|d")?;
        check_eq(
            parts.new.lines(&["video", VERSION])?,
            vec![format!("7 {version}"); 4],
            "the rows",
        )?;
    }
    Ok(())
}

/// IDs of text are ordered by their bytes in UTF-8, whatever the language or the collation of the backend (§4, §10, 5).
pub async fn aggregation_orders_text_by_its_bytes(bed: &TestBed) -> Outcome {
    let rows = [("a", "c"), ("Z", "b"), ("ä", "d"), ("B", "a")];
    for turn in 0..rows.len() {
        let store = bed.builder(&format!("store{turn}")).await?;
        let graph = summaries(Lineage::aggregation(["video"]))?;
        let store = store.with_graph(graph).build()?;
        let mut rows = rows;
        rows.rotate_left(turn);
        for (clip, version) in rows {
            let clips = frame([
                ("clip", texts([clip])),
                ("video", ints([7])),
                (
                    "metaxy_provenance_by_field",
                    by_field(&[("default", &[version])])?,
                ),
            ])?;
            store.write(&key("clip")?, clips).await?;
        }
        let parts = resolve(&store, "summary").await?;
        let version = summary(&store, "a|b|c|d")?;
        let expected = ["B", "Z", "a", "ä"].map(|clip| format!("7 {clip} {version}"));
        let found = parts.new.lines(&["video", "clip", VERSION])?;
        check_eq(found, expected, "the rows")?;
    }
    Ok(())
}

/// Groups are those of the feature's ID columns where the lineage names none (§2).
pub async fn aggregation_takes_the_ids_of_the_feature_by_default(bed: &TestBed) -> Outcome {
    let store = bed
        .store(summaries(Lineage::Aggregation { on: None })?)
        .await?;
    write_clips(&store, &[(1, 1, "a"), (2, 1, "b"), (3, 2, "c")]).await?;
    compute(&store, "summary").await?;
    resolve(&store, "summary").await?.nothing()?;
    let rows = read(&store, "summary", ReadOptions::default()).await?;
    check_eq(
        rows.lines(&["video", VERSION])?,
        [
            format!("1 {}", summary(&store, "a|b")?),
            format!("2 {}", summary(&store, "c")?),
        ],
        "the samples",
    )
}

/// A null version does not enter the fold of its group (§4).
pub async fn aggregation_leaves_out_null_versions(bed: &TestBed) -> Outcome {
    let store = bed
        .store(summaries(Lineage::aggregation(["video"]))?)
        .await?;
    let rows = clips(&[(1, 1, ""), (2, 1, ""), (3, 1, "")])?;
    let versions = by_field(&[("default", &[Some("a"), None, Some("c")])])?;
    let rows = with_column(&rows, "metaxy_provenance_by_field", versions)?;
    store.write(&key("clip")?, rows).await?;
    let parts = resolve(&store, "summary").await?;
    check_eq(
        parts.new.words(VERSION)?,
        vec![summary(&store, "a|c")?; 3],
        "the version of the group",
    )?;
    compute(&store, "summary").await?;
    resolve(&store, "summary").await?.nothing()
}

/// A group is stale when one of its rows changes, comes or goes, and orphaned when the last one is gone (§6).
pub async fn aggregation_follows_its_groups(bed: &TestBed) -> Outcome {
    let store = bed
        .store(summaries(Lineage::aggregation(["video"]))?)
        .await?;
    write_clips(
        &store,
        &[(1, 1, "a"), (2, 1, "b"), (3, 2, "c"), (4, 3, "d")],
    )
    .await?;
    compute(&store, "summary").await?;
    let videos = |parts: &Parts| -> Outcome<[Vec<String>; 3]> {
        let of = |table: &Table| -> Outcome<Vec<String>> {
            let mut videos = table.lines(&["video"])?;
            videos.dedup();
            Ok(videos)
        };
        Ok([of(&parts.new)?, of(&parts.stale)?, of(&parts.orphaned)?])
    };
    write_clips(&store, &[(2, 1, "changed")]).await?;
    let parts = resolve(&store, "summary").await?;
    check_eq(videos(&parts)?, [vec![], vec!["1"], vec![]], "one changed")?;
    check_eq(
        parts.stale.words(VERSION)?,
        vec![summary(&store, "a|changed")?; 2],
        "its version",
    )?;
    compute(&store, "summary").await?;
    write_clips(&store, &[(9, 2, "i"), (8, 4, "h")]).await?;
    let parts = resolve(&store, "summary").await?;
    check_eq(videos(&parts)?, [vec!["4"], vec!["2"], vec![]], "two came")?;
    compute(&store, "summary").await?;
    let gone = DeleteOptions::soft().with_filters([col("clip").is_in([1, 4])]);
    store.delete(&key("clip")?, gone).await?;
    let parts = resolve(&store, "summary").await?;
    check_eq(videos(&parts)?, [vec![], vec!["1"], vec!["3"]], "two went")?;
    apply(&store, "summary").await?;
    resolve(&store, "summary").await?.nothing()
}

/// A group can be joined with an upstream that has a row for each (§2).
pub async fn aggregation_joins_with_identity(bed: &TestBed) -> Outcome {
    let aggregation = FeatureDep::new("clip")?.with_lineage(Lineage::aggregation(["video"]));
    let specs = [
        FeatureSpec::new("clip", ["clip"])?,
        FeatureSpec::new("video", ["video"])?,
        spec(
            "summary",
            &["video"],
            [aggregation, FeatureDep::new("video")?],
        )?,
    ];
    let store = bed.store(graph(specs)?).await?;
    write_clips(&store, &[(1, 1, "a"), (2, 1, "b"), (3, 2, "c")]).await?;
    let videos = keyed(&[("video", &[1, 3])], &["v", "w"])?;
    let videos = with_column(&videos, "title", texts(["one", "three"]))?;
    store.write(&key("video")?, videos).await?;
    let parts = resolve(&store, "summary").await?;
    let folded = hashed(&store, "a|b")?;
    let text = format!("default|__metaxy_initial__|clip.default|{folded}|video.default|v");
    let version = hashed(&store, &text)?;
    check_eq(
        parts.new.lines(&["video", "clip", "title", VERSION])?,
        [format!("1 1 one {version}"), format!("1 2 one {version}")],
        "the rows",
    )?;
    compute(&store, "summary").await?;
    resolve(&store, "summary").await?.nothing()?;
    let rows = keyed(&[("video", &[1])], &["changed"])?;
    store.write(&key("video")?, rows).await?;
    resolve(&store, "summary").await?.count(0, 2, 0)
}

/// Writing all rows of a group makes one sample (§2, §5).
pub async fn aggregation_makes_one_sample_of_a_group(bed: &TestBed) -> Outcome {
    let store = bed
        .store(summaries(Lineage::aggregation(["video"]))?)
        .await?;
    write_clips(&store, &[(1, 1, "a"), (2, 1, "b"), (3, 2, "c")]).await?;
    compute(&store, "summary").await?;
    let rows = read(&store, "summary", ReadOptions::default()).await?;
    check_eq(rows.lines(&["video"])?, ["1", "2"], "the samples")
}

/// What an expansion asks for is parents; the children that are written are its samples (§2, §6).
pub async fn expansion_is_resolved_per_parent(bed: &TestBed) -> Outcome {
    let store = bed.store(crops()?).await?;
    write_videos(&store, &[(1, "a"), (2, "b")]).await?;
    let parts = resolve(&store, "crop").await?;
    check_eq(
        parts.new.lines(&["video", VERSION])?,
        [
            format!("1 {}", crop(&store, "a")?),
            format!("2 {}", crop(&store, "b")?),
        ],
        "the parents",
    )?;
    write_crops(&store, &[(1, 10), (1, 11), (2, 10)]).await?;
    resolve(&store, "crop").await?.nothing()?;
    let rows = read(&store, "crop", ReadOptions::default()).await?;
    check_eq(
        rows.lines(&["video", "crop"])?,
        ["1 10", "1 11", "2 10"],
        "the children",
    )
}

/// A parent that came is new, one that changed is stale, and all children of one that is gone are orphaned (§6, §10, 7).
pub async fn expansion_follows_its_parents(bed: &TestBed) -> Outcome {
    let store = bed.store(crops()?).await?;
    write_videos(&store, &[(1, "a"), (2, "b"), (3, "c")]).await?;
    write_crops(
        &store,
        &[(1, 10), (1, 11), (2, 10), (3, 10), (3, 11), (3, 12)],
    )
    .await?;
    write_videos(&store, &[(2, "changed"), (4, "d")]).await?;
    let gone = DeleteOptions::soft().with_filters([col("video").eq(3)]);
    store.delete(&key("video")?, gone).await?;
    let parts = resolve(&store, "crop").await?;
    check_eq(parts.new.lines(&["video"])?, ["4"], "new parents")?;
    check_eq(
        parts.stale.lines(&["video", VERSION])?,
        [format!("2 {}", crop(&store, "changed")?)],
        "stale parents",
    )?;
    check_eq(
        parts.orphaned.lines(&["video", "crop"])?,
        ["3 10", "3 11", "3 12"],
        "orphaned children",
    )?;
    write_crops(&store, &[(2, 10), (4, 10)]).await?;
    store
        .delete_rows(&key("crop")?, parts.orphaned.batch().clone())
        .await?;
    resolve(&store, "crop").await?.nothing()
}

/// A parent's state is that of its children written last; older children of another provenance are orphaned (§10, 6).
pub async fn expansion_compares_the_children_written_last(bed: &TestBed) -> Outcome {
    let store = bed.store(crops()?).await?;
    write_videos(&store, &[(1, "a"), (2, "b")]).await?;
    write_crops(&store, &[(1, 10), (1, 11), (1, 12), (2, 10)]).await?;
    write_videos(&store, &[(1, "changed")]).await?;
    // The change makes one child less, and another one: 10 again, and 20.
    write_crops(&store, &[(1, 10), (1, 20)]).await?;
    let parts = resolve(&store, "crop").await?;
    parts.count(0, 0, 2)?;
    check_eq(
        parts.orphaned.lines(&["video", "crop", VERSION])?,
        [
            format!("1 11 {}", crop(&store, "a")?),
            format!("1 12 {}", crop(&store, "a")?),
        ],
        "orphaned children",
    )?;
    store
        .delete_rows(&key("crop")?, parts.orphaned.batch().clone())
        .await?;
    resolve(&store, "crop").await?.nothing()?;
    // A change back makes the parent stale, whatever older rows say.
    write_videos(&store, &[(1, "a")]).await?;
    let parts = resolve(&store, "crop").await?;
    parts.count(0, 1, 0)?;
    check_eq(parts.stale.lines(&["video"])?, ["1"], "stale parents")
}

/// An expansion can be joined with an upstream that has a row for each parent (§2).
pub async fn expansion_joins_with_identity(bed: &TestBed) -> Outcome {
    let expansion = FeatureDep::new("video")?.with_lineage(Lineage::expansion(["video"]));
    let specs = [
        FeatureSpec::new("video", ["video"])?,
        FeatureSpec::new("sound", ["video"])?,
        spec(
            "crop",
            &["video", "crop"],
            [expansion, FeatureDep::new("sound")?],
        )?,
    ];
    let store = bed.store(graph(specs)?).await?;
    write_videos(&store, &[(1, "a"), (2, "b"), (3, "c")]).await?;
    let rows = keyed(&[("video", &[2, 3, 4])], &["x", "y", "z"])?;
    store.write(&key("sound")?, rows).await?;
    let parts = resolve(&store, "crop").await?;
    let version = |sound: &str, video: &str| {
        let text =
            format!("default|__metaxy_initial__|sound.default|{sound}|video.default|{video}");
        hashed(&store, &text)
    };
    check_eq(
        parts.new.lines(&["video", VERSION])?,
        [
            format!("2 {}", version("x", "b")?),
            format!("3 {}", version("y", "c")?),
        ],
        "the parents",
    )?;
    write_crops(&store, &[(2, 1), (2, 2), (3, 1)]).await?;
    resolve(&store, "crop").await?.nothing()?;
    let rows = keyed(&[("video", &[2])], &["changed"])?;
    store.write(&key("sound")?, rows).await?;
    let parts = resolve(&store, "crop").await?;
    parts.count(0, 1, 0)?;
    check_eq(
        parts.stale.lines(&["video", VERSION])?,
        [format!("2 {}", version("changed", "b")?)],
        "stale parents",
    )
}

/// Groups of one upstream can be joined with parents of another (§2).
pub async fn expansion_of_an_aggregation(bed: &TestBed) -> Outcome {
    let aggregation = FeatureDep::new("clip")?
        .with_lineage(Lineage::aggregation(["video"]))
        .with_select(Vec::<String>::new());
    let expansion = FeatureDep::new("video")?.with_lineage(Lineage::expansion(["video"]));
    let specs = [
        FeatureSpec::new("clip", ["clip"])?,
        FeatureSpec::new("video", ["video"])?,
        spec("crop", &["video", "crop"], [aggregation, expansion])?,
    ];
    let store = bed.store(graph(specs)?).await?;
    write_videos(&store, &[(1, "v"), (2, "w")]).await?;
    write_clips(&store, &[(1, 1, "a"), (2, 1, "b"), (3, 2, "c")]).await?;
    let version = |clips: &str, video: &str| {
        let clips = hashed(&store, clips)?;
        let text = format!("default|__metaxy_initial__|clip.default|{clips}|video.default|{video}");
        hashed(&store, &text)
    };
    let parts = resolve(&store, "crop").await?;
    let mut rows = parts.new.lines(&["video", VERSION])?;
    rows.dedup();
    check_eq(
        rows,
        [
            format!("1 {}", version("a|b", "v")?),
            format!("2 {}", version("c", "w")?),
        ],
        "the parents",
    )?;
    write_crops(&store, &[(1, 10), (1, 11), (2, 10)]).await?;
    resolve(&store, "crop").await?.nothing()?;
    write_clips(&store, &[(3, 2, "changed")]).await?;
    let parts = resolve(&store, "crop").await?;
    let mut rows = parts.stale.lines(&["video", VERSION])?;
    rows.dedup();
    check_eq(
        rows,
        [format!("2 {}", version("changed", "w")?)],
        "stale parents",
    )?;
    let gone = DeleteOptions::soft().with_filters([col("video").eq(1)]);
    store.delete(&key("video")?, gone).await?;
    let parts = resolve(&store, "crop").await?;
    check_eq(
        parts.orphaned.lines(&["video", "crop"])?,
        ["1 10", "1 11"],
        "orphaned children",
    )
}

/// Samples that are identified by several columns, of several types, match on all of them (§2, §6).
pub async fn identity_takes_composite_ids(bed: &TestBed) -> Outcome {
    let ids = ["video", "name"];
    let specs = [
        FeatureSpec::new("a", ids)?,
        spec("b", &["name", "video"], [FeatureDep::new("a")?])?,
    ];
    let store = bed.store(graph(specs)?).await?;
    let write = async |rows: &[(i64, &str, &str)]| -> Outcome {
        let videos: Vec<i64> = rows.iter().map(|row| row.0).collect();
        let versions: Vec<&str> = rows.iter().map(|row| row.2).collect();
        let batch = keyed(&[("video", &videos)], &versions)?;
        let batch = with_column(&batch, "name", texts(rows.iter().map(|row| row.1)))?;
        store.write(&key("a")?, batch).await?;
        Ok(())
    };
    write(&[(1, "x", "a"), (1, "y", "b"), (2, "x", "c"), (11, "", "d")]).await?;
    resolve(&store, "b").await?.count(4, 0, 0)?;
    compute(&store, "b").await?;
    write(&[(1, "y", "changed"), (2, "y", "e"), (1, "1x", "f")]).await?;
    let gone = DeleteOptions::soft().with_filters([col("video").eq(2).and(col("name").eq("x"))]);
    store.delete(&key("a")?, gone).await?;
    let parts = resolve(&store, "b").await?;
    check_eq(parts.new.lines(&ids)?, ["1 1x", "2 y"], "new samples")?;
    check_eq(parts.stale.lines(&ids)?, ["1 y"], "stale samples")?;
    check_eq(parts.orphaned.lines(&ids)?, ["2 x"], "orphaned samples")?;
    apply(&store, "b").await?;
    resolve(&store, "b").await?.nothing()
}

/// Upstreams with different ID columns are joined on those that they share; samples are told apart by all of them (§2, §10, 4).
pub async fn identity_joins_on_common_ids_and_compares_by_all(bed: &TestBed) -> Outcome {
    let specs = [
        FeatureSpec::new("video", ["video"])?,
        FeatureSpec::new("clip", ["video", "clip"])?,
        spec(
            "score",
            &["video", "clip"],
            [FeatureDep::new("video")?, FeatureDep::new("clip")?],
        )?,
    ];
    let store = bed.store(graph(specs)?).await?;
    write_videos(&store, &[(1, "v"), (2, "w"), (3, "x")]).await?;
    write_clips(
        &store,
        &[(1, 1, "a"), (2, 1, "b"), (1, 2, "c"), (1, 4, "d")],
    )
    .await?;
    let version = |clip: &str, video: &str| {
        let text = format!("default|__metaxy_initial__|clip.default|{clip}|video.default|{video}");
        hashed(&store, &text)
    };
    let parts = resolve(&store, "score").await?;
    check_eq(
        parts.new.lines(&["video", "clip", VERSION])?,
        [
            format!("1 1 {}", version("a", "v")?),
            format!("1 2 {}", version("b", "v")?),
            format!("2 1 {}", version("c", "w")?),
        ],
        "the rows",
    )?;
    compute(&store, "score").await?;
    resolve(&store, "score").await?.nothing()?;
    write_clips(&store, &[(2, 1, "changed")]).await?;
    let parts = resolve(&store, "score").await?;
    parts.count(0, 1, 0)?;
    check_eq(parts.stale.lines(&["video", "clip"])?, ["1 2"], "stale")?;
    write_videos(&store, &[(1, "changed")]).await?;
    let gone = DeleteOptions::soft().with_filters([col("video").eq(2)]);
    store.delete(&key("clip")?, gone).await?;
    let parts = resolve(&store, "score").await?;
    check_eq(
        parts.stale.lines(&["video", "clip"])?,
        ["1 1", "1 2"],
        "stale",
    )?;
    check_eq(
        parts.orphaned.lines(&["video", "clip"])?,
        ["2 1"],
        "orphaned",
    )
}

/// Upstreams that share no ID column are refused with the definition (§2, §10, 14).
pub async fn upstreams_without_a_common_id_are_refused(bed: &TestBed) -> Outcome {
    let specs = [
        FeatureSpec::new("clip", ["clip"])?,
        FeatureSpec::new("video", ["video"])?,
        spec(
            "score",
            &["video", "clip"],
            [FeatureDep::new("video")?, FeatureDep::new("clip")?],
        )?,
    ];
    let error = refused(graph(specs), ErrorKind::InvalidDefinition)?;
    names(&error, &["score", "video", "clip"])?;
    let backend = bed.backend("main", Access::Write).await?;
    check_eq(backend.tables().await?.len(), 0, "tables")
}

const VERSION: &str = "metaxy_provenance_by_field.default";

fn spec(
    name: &str,
    ids: &[&str],
    deps: impl IntoIterator<Item = FeatureDep>,
) -> Result<FeatureSpec> {
    Ok(FeatureSpec::new(name, ids.iter().copied())?.with_deps(deps))
}

/// Clips, each of a video, make summaries of videos.
fn summaries(lineage: Lineage) -> Result<FeatureGraph> {
    let dep = FeatureDep::new("clip")?.with_lineage(lineage);
    graph([
        FeatureSpec::new("clip", ["clip"])?,
        spec("summary", &["video"], [dep])?,
    ])
}

/// A video makes crops.
fn crops() -> Result<FeatureGraph> {
    let dep = FeatureDep::new("video")?.with_lineage(Lineage::expansion(["video"]));
    graph([
        FeatureSpec::new("video", ["video"])?,
        spec("crop", &["video", "crop"], [dep])?,
    ])
}

/// Clips: number, video, version.
fn clips(rows: &[(i64, i64, &str)]) -> Result<RecordBatch> {
    let clips: Vec<i64> = rows.iter().map(|row| row.0).collect();
    let videos: Vec<i64> = rows.iter().map(|row| row.1).collect();
    let versions: Vec<&str> = rows.iter().map(|row| row.2).collect();
    keyed(&[("clip", &clips), ("video", &videos)], &versions)
}

async fn write_clips(store: &MetadataStore, rows: &[(i64, i64, &str)]) -> Outcome {
    store.write(&key("clip")?, clips(rows)?).await?;
    Ok(())
}

async fn write_videos(store: &MetadataStore, rows: &[(i64, &str)]) -> Outcome {
    let videos: Vec<i64> = rows.iter().map(|row| row.0).collect();
    let versions: Vec<&str> = rows.iter().map(|row| row.1).collect();
    let rows = keyed(&[("video", &videos)], &versions)?;
    store.write(&key("video")?, rows).await?;
    Ok(())
}

/// Writes these crops (video, crop) under what their videos' versions are now.
async fn write_crops(store: &MetadataStore, rows: &[(i64, i64)]) -> Outcome {
    let skip = ResolveOptions::default().with_skip_comparison(true);
    let expected = resolve_with(store, "crop", skip).await?;
    let parents = expected.new.ints("video")?;
    let mut order = Vec::new();
    for (video, _) in rows {
        let parent = parents.iter().position(|parent| *parent == Some(*video));
        let parent = parent.and_then(|at| u32::try_from(at).ok());
        let missing = || Stop::failed(format!("video {video} is not expected"));
        order.push(parent.ok_or_else(missing)?);
    }
    let order = UInt32Array::from(order);
    let children = arrow::compute::take_record_batch(expected.new.batch(), &order);
    let children = children.map_err(metaxy_store::Error::from)?;
    let children = with_column(&children, "crop", ints(rows.iter().map(|row| row.1)))?;
    store.write(&key("crop")?, children).await?;
    Ok(())
}

/// The version of a summary whose clips have these versions, joined by `|`.
fn summary(store: &MetadataStore, versions: &str) -> Outcome<String> {
    let folded = hashed(store, versions)?;
    let text = format!("default|__metaxy_initial__|clip.default|{folded}");
    hashed(store, &text)
}

/// The version of the crops of a video of this version.
fn crop(store: &MetadataStore, version: &str) -> Outcome<String> {
    let text = format!("default|__metaxy_initial__|video.default|{version}");
    hashed(store, &text)
}
