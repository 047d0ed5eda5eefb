//! Lock files: the definitions of other projects that a graph depends on, kept beside it (`semantics.md` §10, 86 to 89).

use std::path::{Path, PathBuf};

use metaxy_store::system::{LockFile, LockOptions, LockReport, SyncOptions};
use metaxy_store::{ErrorKind, FeatureGraph, MetadataStore};
use tempfile::TempDir;

use super::sync::{of, push, upstream};
use crate::bed::TestBed;
use crate::bed::graphs::PROJECT;
use crate::outcome::{Outcome, Stop, check, check_eq, names, refused};

cases! { "lock":
    writes_what_the_graph_needs,
    leaves_an_unchanged_file_alone,
    a_second_call_keeps_what_is_locked,
    finds_changes_upstream,
    drops_what_is_no_longer_needed,
    gives_a_graph_equal_versions,
    replaces_an_invalid_file,
    refuses_what_nobody_pushed,
}

/// A store to which `up` was pushed, over the graph of a project that depends on `up/b`; and a file that is not there yet.
async fn place(bed: &TestBed) -> Outcome<(TempDir, PathBuf, MetadataStore)> {
    let folder = tempfile::tempdir();
    let folder = folder.map_err(|e| Stop::failed(format!("no folder: {e}")))?;
    let file = folder.path().join("metaxy.lock");
    let graph = FeatureGraph::from_definitions([of(PROJECT, "x", "1", &["up/b"])?])?;
    let store = bed.store(graph).await?;
    push(&store, "up", upstream("1")?).await?;
    Ok((folder, file, store))
}

async fn lock(store: &MetadataStore, file: &Path) -> Outcome<LockReport> {
    Ok(store.lock(file, &LockOptions::default()).await?)
}

fn text(file: &Path) -> Outcome<String> {
    std::fs::read_to_string(file).map_err(|e| Stop::failed(format!("the file: {e}")))
}

fn write(file: &Path, text: &[u8]) -> Outcome {
    std::fs::write(file, text).map_err(|e| Stop::failed(format!("the file: {e}")))
}

fn read(file: &Path) -> Outcome<LockFile> {
    LockFile::read(file)?.ok_or_else(|| Stop::failed("there is no file"))
}

/// Fails unless the file holds `up/a` and `up/b` as [`upstream`] with this code version has them.
fn check_file(file: &Path, code: &str) -> Outcome {
    let (locked, expected) = (read(file)?, upstream(code)?);
    let keys: Vec<&str> = locked.features.keys().map(|key| key.as_str()).collect();
    check_eq(keys, ["up/a", "up/b"], "the features")?;
    for (key, feature) in &locked.features {
        let version = expected.feature_version(key)?;
        check_eq(feature.version.as_str(), version, key)?;
        let version = expected.definition_version(key)?;
        check_eq(feature.definition_version.as_str(), version, key)?;
        let fields = expected.field_versions(key)?;
        check_eq(&feature.version_by_field, fields, key)?;
        check_eq(&feature.definition, expected.require(key)?.as_ref(), key)?;
    }
    Ok(())
}

/// A lock file has what the graph depends on and does not define, with all versions, and nothing else.
pub async fn writes_what_the_graph_needs(bed: &TestBed) -> Outcome {
    let (_folder, file, store) = place(bed).await?;
    check(LockFile::read(&file)?.is_none(), "no file yet")?;
    let report = lock(&store, &file).await?;
    let added: Vec<&str> = report.added.iter().map(|c| c.feature.as_str()).collect();
    check_eq(added, ["up/a", "up/b"], "what was added")?;
    check(report.written, "the file is written")?;
    check_file(&file, "1")?;
    check_eq(store.graph().len(), 1, "features of the graph")
}

/// Where nothing has changed the file is not touched.
pub async fn leaves_an_unchanged_file_alone(bed: &TestBed) -> Outcome {
    let (_folder, file, store) = place(bed).await?;
    lock(&store, &file).await?;
    let by_hand = format!("# by hand\n{}", text(&file)?);
    write(&file, by_hand.as_bytes())?;
    // Neither a push that changes nothing nor one of something else is a change.
    push(&store, "up", upstream("1")?).await?;
    let side = FeatureGraph::from_definitions([of("side", "side/s", "1", &[])?])?;
    push(&store, "side", side).await?;
    let report = lock(&store, &file).await?;
    check(!report.changed() && !report.written, format!("{report:?}"))?;
    check_eq(report.unchanged, 2, "features that are as before")?;
    check_eq(text(&file)?, by_hand, "the file")
}

/// What a lock file has added to a graph is locked again, not taken for the graph's own (§10 (86)).
pub async fn a_second_call_keeps_what_is_locked(bed: &TestBed) -> Outcome {
    let (_folder, file, store) = place(bed).await?;
    lock(&store, &file).await?;
    let loaded = store.with_graph(read(&file)?.add_to(store.graph())?);
    for _ in 0..2 {
        let report = lock(&loaded, &file).await?;
        check(!report.changed(), format!("{report:?}"))?;
        check_file(&file, "1")?;
    }
    Ok(())
}

/// A version that changed only because of an upstream is an update (§10 (89)).
pub async fn finds_changes_upstream(bed: &TestBed) -> Outcome {
    let (_folder, file, store) = place(bed).await?;
    lock(&store, &file).await?;
    push(&store, "up", upstream("2")?).await?;
    let report = lock(&store, &file).await?;
    let updates = report.updated.iter();
    let updates: Vec<_> = updates
        .map(|u| {
            (
                u.feature.as_str(),
                &u.old_version,
                &u.new_version,
                u.metadata_only,
            )
        })
        .collect();
    let (old, new) = (upstream("1")?, upstream("2")?);
    let versions = |name| -> Outcome<_> {
        let of = |graph: &FeatureGraph| graph.feature_version(name).map(str::to_owned);
        Ok((of(&old)?, of(&new)?))
    };
    let (a, b) = (versions("up/a")?, versions("up/b")?);
    check_eq(
        updates,
        [("up/a", &a.0, &a.1, false), ("up/b", &b.0, &b.1, false)],
        "the updates",
    )?;
    check(report.written, "the file is written")?;
    check_file(&file, "2")
}

/// What the graph depends on no more leaves the file.
pub async fn drops_what_is_no_longer_needed(bed: &TestBed) -> Outcome {
    let (_folder, file, store) = place(bed).await?;
    lock(&store, &file).await?;
    let graph = FeatureGraph::from_definitions([of(PROJECT, "x", "1", &["up/a"])?])?;
    let report = lock(&store.with_graph(graph), &file).await?;
    let removed: Vec<&str> = report.removed.iter().map(|c| c.feature.as_str()).collect();
    check_eq(removed, ["up/b"], "what was removed")?;
    let locked = read(&file)?;
    let keys: Vec<&str> = locked.features.keys().map(|key| key.as_str()).collect();
    check_eq(keys, ["up/a"], "what is left")
}

/// With a lock file a graph has the versions that it has with the definitions themselves; a sync then tells what is newer.
pub async fn gives_a_graph_equal_versions(bed: &TestBed) -> Outcome {
    let (_folder, file, store) = place(bed).await?;
    lock(&store, &file).await?;
    let graph = read(&file)?.add_to(store.graph())?;
    let whole = FeatureGraph::from_definitions([
        of("up", "up/a", "1", &[])?,
        of("up", "up/b", "1", &["up/a"])?,
        of(PROJECT, "x", "1", &["up/b"])?,
    ])?;
    for name in ["up/a", "up/b", "x"] {
        let expected = whole.feature_version(name)?;
        check_eq(graph.feature_version(name)?, expected, name)?;
        let external = graph.require(name)?.is_external();
        check_eq(external, name != "x", format!("{name} is external"))?;
    }
    let loaded = store.with_graph(graph);
    let locked = SyncOptions::default().with_locked(true);
    let synced = loaded.sync_external(&locked).await?;
    check_eq(synced.mismatches.len(), 0, "mismatches before")?;
    push(&store, "up", upstream("2")?).await?;
    let synced = loaded.sync_external(&SyncOptions::default()).await?;
    let newer: Vec<&str> = synced
        .mismatches
        .iter()
        .map(|m| m.feature.as_str())
        .collect();
    check_eq(newer, ["up/a", "up/b"], "what is newer")?;
    let error = refused(
        loaded.sync_external(&locked).await,
        ErrorKind::InvalidDefinition,
    )?;
    names(&error, &["up/a", "up/b", "metaxy lock"])
}

/// A file that is no lock file cannot be read, and counts as none when it is locked again (§10 (87)).
pub async fn replaces_an_invalid_file(bed: &TestBed) -> Outcome {
    let (_folder, file, store) = place(bed).await?;
    for odd in [&b"not toml ["[..], b"features = 1", b"\xff\xfe"] {
        write(&file, odd)?;
        let error = refused(LockFile::read(&file), ErrorKind::InvalidDefinition)?;
        names(&error, &["metaxy.lock"])?;
        let report = lock(&store, &file).await?;
        check_eq(report.added.len(), 2, "what was added")?;
        check(report.written && report.removed.is_empty(), "as if fresh")?;
        check_file(&file, "1")?;
    }
    Ok(())
}

/// A dependency that no project has pushed is refused, and the file stays as it is.
pub async fn refuses_what_nobody_pushed(bed: &TestBed) -> Outcome {
    let (_folder, file, store) = place(bed).await?;
    lock(&store, &file).await?;
    let before = text(&file)?;
    let graph = FeatureGraph::from_definitions([of(PROJECT, "x", "1", &["up/q"])?])?;
    let locked = store.with_graph(graph);
    let locked = locked.lock(&file, &LockOptions::default()).await;
    let error = refused(locked, ErrorKind::FeatureNotFound)?;
    names(&error, &["up/q", "main"])?;
    check_eq(text(&file)?, before, "the file")
}
