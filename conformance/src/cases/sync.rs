//! External features: placeholders, and what other projects have pushed in their place (`semantics.md` §7, §10).

use indexmap::IndexMap;
use metaxy_store::config::FeatureSelection;
use metaxy_store::definition::{External, OnVersionMismatch};
use metaxy_store::system::{SyncOptions, SyncReport};
use metaxy_store::{
    ErrorKind, FeatureDefinition, FeatureGraph, FeatureKey, FieldKey, FieldSpec, MetadataStore,
    Result,
};

use crate::bed::TestBed;
use crate::bed::graphs::{PROJECT, feature, key};
use crate::outcome::{Outcome, Stop, check, check_eq, names, refused};

cases! { "sync":
    replaces_a_placeholder_by_what_was_pushed,
    leaves_the_graph_of_the_store_as_it_was,
    looks_through_the_chain,
    takes_the_answer_of_the_nearest_store,
    takes_the_last_push,
    reports_another_version,
    refuses_another_version_where_the_definition_says_so,
    an_option_outweighs_the_definition,
    locked_outweighs_both,
    loads_a_selection,
    refuses_an_unknown_selection,
    does_not_find_what_was_removed,
    keeps_projects_apart,
}

/// A feature of a project, whose field `default` has this code version.
pub(super) fn of(
    project: &str,
    name: &str,
    code: &str,
    deps: &[&str],
) -> Result<FeatureDefinition> {
    let field = FieldSpec::new("default")?.with_code_version(code);
    let spec = feature(name, &[], deps)?.with_field(field);
    Ok(FeatureDefinition::new(spec, project))
}

/// The project `up`: `up/b` depends on `up/a`, which has this code version; `up/c` stands alone.
pub(super) fn upstream(code: &str) -> Result<FeatureGraph> {
    FeatureGraph::from_definitions([
        of("up", "up/a", code, &[])?,
        of("up", "up/b", "1", &["up/a"])?,
        of("up", "up/c", "1", &[])?,
    ])
}

/// `up/b` as another project knows it: in this version, if that is told.
fn placeholder(version: Option<&str>, action: OnVersionMismatch) -> Result<FeatureDefinition> {
    let spec = of("up", "up/b", "1", &[])?.spec;
    let mut external = External::default().with_on_version_mismatch(action);
    if let Some(version) = version {
        external = external.with_provenance(FieldKey::new("default")?, version);
    }
    Ok(FeatureDefinition::external(spec, "up", external))
}

/// A feature `x`, which depends on a placeholder for `up/b`.
fn mine(version: Option<&str>, action: OnVersionMismatch) -> Result<FeatureGraph> {
    FeatureGraph::from_definitions([
        placeholder(version, action)?,
        of(PROJECT, "x", "1", &["up/b"])?,
    ])
}

/// Records a graph as a project's.
pub(super) async fn push(store: &MetadataStore, project: &str, graph: FeatureGraph) -> Outcome {
    let store = store.with_graph(graph);
    store.push_graph(Some(project), &IndexMap::new()).await?;
    Ok(())
}

/// A store to which `up` was pushed, over a graph that has a placeholder.
async fn pushed(
    bed: &TestBed,
    version: Option<&str>,
    action: OnVersionMismatch,
) -> Outcome<MetadataStore> {
    let store = bed.store(mine(version, action)?).await?;
    push(&store, "up", upstream("1")?).await?;
    Ok(store)
}

async fn sync(store: &MetadataStore) -> Outcome<SyncReport> {
    Ok(store.sync_external(&SyncOptions::default()).await?)
}

fn texts(keys: &[FeatureKey]) -> Vec<&str> {
    keys.iter().map(FeatureKey::as_str).collect()
}

fn select(selection: FeatureSelection) -> SyncOptions {
    SyncOptions::default().with_selection(selection)
}

/// Fails unless `up/b` is the one of [`upstream`] with this code version.
fn check_version(synced: &SyncReport, code: &str) -> Outcome {
    let expected = upstream(code)?.feature_version("up/b")?.to_owned();
    let found = synced.graph.feature_version("up/b")?;
    check_eq(found, expected.as_str(), "the version of up/b")
}

/// A sync that has to fail, by an error that names the feature, the store and the version that was expected; graph and store
/// are as they were.
async fn refuses(store: &MetadataStore, options: &SyncOptions) -> Outcome {
    let (version, recorded) = (
        store.graph().feature_version("x")?.to_owned(),
        store.pushed_features().await?.len(),
    );
    // The second time is like the first.
    for _ in 0..2 {
        let synced = store.sync_external(options).await;
        let error = refused(synced, ErrorKind::InvalidDefinition)?;
        names(&error, &["up/b", "default", "main", "other"])?;
        check(error.hint().is_some(), "no word on what to do next")?;
        check(
            store.graph().require("up/b")?.is_external(),
            "a placeholder",
        )?;
        check_eq(store.graph().feature_version("x")?, &version, "of x")?;
        check_eq(store.pushed_features().await?.len(), recorded, "recorded")?;
    }
    Ok(())
}

/// A placeholder gives way to the feature that its project pushed, together with what that depends on; what is made of it has
/// the versions that it has there.
pub async fn replaces_a_placeholder_by_what_was_pushed(bed: &TestBed) -> Outcome {
    let store = pushed(bed, None, OnVersionMismatch::Warn).await?;
    let synced = sync(&store).await?;
    check_eq(texts(&synced.loaded), ["up/a", "up/b"], "what was loaded")?;
    check_eq(texts(&synced.unresolved).len(), 0, "what was not found")?;
    check(!synced.graph.contains("up/c"), "nothing needs up/c")?;
    let whole = FeatureGraph::from_definitions([
        of("up", "up/a", "1", &[])?,
        of("up", "up/b", "1", &["up/a"])?,
        of(PROJECT, "x", "1", &["up/b"])?,
    ])?;
    for name in ["up/a", "up/b", "x"] {
        let found = synced.graph.require(name)?;
        check(!found.is_external(), format!("{name} is defined"))?;
        check_eq(&found.spec, &whole.require(name)?.spec, name)?;
        let expected = whole.feature_version(name)?;
        check_eq(synced.graph.feature_version(name)?, expected, name)?;
    }
    let again = sync(&store.with_graph(synced.graph)).await?;
    check_eq(texts(&again.loaded).len(), 0, "nothing is left to load")
}

/// Only the graph that a sync returns is another one, and nothing is recorded (§10 (63)).
pub async fn leaves_the_graph_of_the_store_as_it_was(bed: &TestBed) -> Outcome {
    let store = pushed(bed, Some("other"), OnVersionMismatch::Warn).await?;
    let before = store.graph().feature_version("x")?.to_owned();
    let recorded = store.pushed_features().await?.len();
    let synced = sync(&store).await?;
    check(
        synced.graph.feature_version("x")? != before,
        "the new graph has the version that follows from what was pushed",
    )?;
    check_eq(store.graph().len(), 2, "features of the old one")?;
    check(
        store.graph().require("up/b")?.is_external(),
        "a placeholder",
    )?;
    check_eq(store.graph().feature_version("x")?, &before, "of x")?;
    check_eq(store.pushed_features().await?.len(), recorded, "recorded")
}

/// What no store nearer by knows comes from a fallback of a fallback (§10 (63)).
pub async fn looks_through_the_chain(bed: &TestBed) -> Outcome {
    let graph = mine(None, OnVersionMismatch::Warn)?;
    let far = bed.builder("far").await?.build()?;
    let near = bed.builder("near").await?.with_fallback(far.clone());
    let dev = bed.builder("main").await?.with_graph(graph);
    let dev = dev.with_fallback(near.build()?).build()?;
    let synced = sync(&dev).await?;
    check_eq(texts(&synced.unresolved), ["up/b"], "before the push")?;
    push(&far, "up", upstream("1")?).await?;
    let synced = sync(&dev).await?;
    check_eq(texts(&synced.loaded), ["up/a", "up/b"], "what was loaded")?;
    check_version(&synced, "1")?;
    check_eq(dev.pushed_features().await?.len(), 0, "nothing is copied")
}

/// The first store of the chain that knows a project answers for all of it, also for what it no longer has.
pub async fn takes_the_answer_of_the_nearest_store(bed: &TestBed) -> Outcome {
    let graph = mine(None, OnVersionMismatch::Warn)?;
    let far = bed.builder("far").await?.build()?;
    let dev = bed.builder("main").await?.with_graph(graph);
    let dev = dev.with_fallback(far.clone()).build()?;
    push(&dev, "up", upstream("2")?).await?;
    push(&far, "up", upstream("3")?).await?;
    check_version(&sync(&dev).await?, "2")?;
    let fewer = FeatureGraph::from_definitions([of("up", "up/a", "2", &[])?])?;
    push(&dev, "up", fewer).await?;
    let synced = sync(&dev).await?;
    check_eq(texts(&synced.unresolved), ["up/b"], "what was not found")?;
    check_eq(texts(&synced.loaded).len(), 0, "what was loaded")
}

/// Of several pushes the last one counts, also when it brings back an older version (§10 (47)).
pub async fn takes_the_last_push(bed: &TestBed) -> Outcome {
    let store = pushed(bed, None, OnVersionMismatch::Warn).await?;
    for code in ["2", "1"] {
        push(&store, "up", upstream(code)?).await?;
        check_version(&sync(&store).await?, code)?;
    }
    Ok(())
}

/// A placeholder whose version is not that of the feature is reported with both, and gives way to it; equal versions are not.
pub async fn reports_another_version(bed: &TestBed) -> Outcome {
    let store = pushed(bed, Some("other"), OnVersionMismatch::Warn).await?;
    let synced = sync(&store).await?;
    check_version(&synced, "1")?;
    let expected = upstream("1")?;
    let version = expected.field_versions("up/b")?.values().next().cloned();
    let [mismatch] = synced.mismatches.as_slice() else {
        return Err(Stop::failed(format!("found {:?}", synced.mismatches)));
    };
    check_eq(mismatch.feature.as_str(), "up/b", "the feature")?;
    let found = expected.feature_version("up/b")?;
    check_eq(mismatch.found.as_str(), found, "its version")?;
    let stated = store.graph().feature_version("up/b")?;
    check_eq(mismatch.expected.as_str(), stated, "the placeholder's")?;
    let fields = mismatch.fields.iter();
    let fields: Vec<_> = fields
        .map(|f| (f.expected.clone(), f.found.clone()))
        .collect();
    check_eq(fields, [(Some("other".into()), version.clone())], "fields")?;

    let graph = mine(version.as_deref(), OnVersionMismatch::Error)?;
    let locked = SyncOptions::default().with_locked(true);
    let synced = store.with_graph(graph).sync_external(&locked).await?;
    check_eq(synced.mismatches.len(), 0, "of the same version")
}

/// A definition may say that its placeholder must have the version that was pushed: then nothing changes (§10 (63)).
pub async fn refuses_another_version_where_the_definition_says_so(bed: &TestBed) -> Outcome {
    let store = pushed(bed, Some("other"), OnVersionMismatch::Error).await?;
    refuses(&store, &SyncOptions::default()).await
}

/// What the caller says of other versions counts, not what the definition says.
pub async fn an_option_outweighs_the_definition(bed: &TestBed) -> Outcome {
    let store = pushed(bed, Some("other"), OnVersionMismatch::Warn).await?;
    let option = |action| SyncOptions::default().with_on_version_mismatch(action);
    refuses(&store, &option(OnVersionMismatch::Error)).await?;
    let strict = store.with_graph(mine(Some("other"), OnVersionMismatch::Error)?);
    let synced = strict
        .sync_external(&option(OnVersionMismatch::Warn))
        .await?;
    check_eq(synced.mismatches.len(), 1, "what is reported instead")
}

/// Where versions are locked, every other one is refused, whatever else is said.
pub async fn locked_outweighs_both(bed: &TestBed) -> Outcome {
    let store = pushed(bed, Some("other"), OnVersionMismatch::Warn).await?;
    let options = SyncOptions::default().with_on_version_mismatch(OnVersionMismatch::Warn);
    refuses(&store, &options.with_locked(true)).await
}

/// Features can be asked for that nothing in the graph names: by key, by project, or all; those that it defines itself stay.
pub async fn loads_a_selection(bed: &TestBed) -> Outcome {
    let own = FeatureGraph::from_definitions([of(PROJECT, "y", "1", &[])?])?;
    let store = bed.store(own.clone()).await?;
    push(&store, "up", upstream("1")?).await?;
    let side = FeatureGraph::from_definitions([of("side", "side/s", "1", &[])?])?;
    push(&store, "side", side).await?;
    let all = FeatureSelection::default;
    for (selection, loaded) in [
        (all().with_keys([key("up/b")?]), &["up/a", "up/b"][..]),
        (all().with_keys([key("y")?]), &[]),
        (all().with_projects(["side"]), &["side/s"]),
        (FeatureSelection::all(), &["side/s", "up/a", "up/b", "up/c"]),
    ] {
        let synced = store.sync_external(&select(selection)).await?;
        check_eq(texts(&synced.loaded), loaded, "what was loaded")?;
        check_eq(synced.graph.len(), loaded.len() + 1, "features in all")?;
        let version = synced.graph.feature_version("y")?;
        check_eq(version, own.feature_version("y")?, "of y")?;
    }
    check_eq(sync(&store).await?.loaded.len(), 0, "loaded unasked")
}

/// A selection of what no store has is refused, and so is one of nothing (§10 (93)).
pub async fn refuses_an_unknown_selection(bed: &TestBed) -> Outcome {
    let store = pushed(bed, None, OnVersionMismatch::Warn).await?;
    let none = FeatureSelection::default;
    for (selection, kind, told) in [
        (
            none().with_keys([key("up/bb")?]),
            ErrorKind::FeatureNotFound,
            "up/bb",
        ),
        (
            none().with_projects(["upp"]),
            ErrorKind::FeatureNotFound,
            "upp",
        ),
        (none(), ErrorKind::InvalidArgument, "nothing"),
    ] {
        let synced = store.sync_external(&select(selection)).await;
        let error = refused(synced, kind)?;
        names(&error, &[told])?;
        check(error.hint().is_some(), "no word on what to do next")?;
        check(
            store.graph().require("up/b")?.is_external(),
            "a placeholder",
        )?;
    }
    Ok(())
}

/// A feature that the last push of its project lacks was removed: its placeholder stays, and to ask for it is refused
/// (§10 (92)).
pub async fn does_not_find_what_was_removed(bed: &TestBed) -> Outcome {
    let store = pushed(bed, None, OnVersionMismatch::Warn).await?;
    let mut fewer = upstream("1")?;
    fewer.remove("up/b")?;
    push(&store, "up", fewer).await?;
    let synced = sync(&store).await?;
    check_eq(texts(&synced.unresolved), ["up/b"], "what was not found")?;
    check_eq(texts(&synced.loaded).len(), 0, "what was loaded")?;
    check(synced.graph.require("up/b")?.is_external(), "a placeholder")?;
    let selection = FeatureSelection::default().with_keys([key("up/b")?]);
    let error = refused(
        store.sync_external(&select(selection)).await,
        ErrorKind::FeatureNotFound,
    )?;
    names(&error, &["up/b", "main"])?;
    let all = select(FeatureSelection::all());
    let synced = store.sync_external(&all).await?;
    check_eq(texts(&synced.loaded), ["up/a", "up/c"], "all that is left")
}

/// What one project pushes takes nothing from another, and each feature is the one that its own project pushed last.
pub async fn keeps_projects_apart(bed: &TestBed) -> Outcome {
    let store = pushed(bed, None, OnVersionMismatch::Warn).await?;
    let side = |code: &str| -> Result<FeatureGraph> {
        FeatureGraph::from_definitions([
            of("up", "up/c", "1", &[])?,
            of("side", "side/s", code, &["up/c"])?,
        ])
    };
    push(&store, "side", side("1")?).await?;
    push(&store, "up", upstream("2")?).await?;
    push(&store, "side", side("2")?).await?;
    let all = select(FeatureSelection::all());
    let synced = store.sync_external(&all).await?;
    let expected = ["side/s", "up/a", "up/b", "up/c"];
    check_eq(texts(&synced.loaded), expected, "what was loaded")?;
    check_version(&synced, "2")?;
    let version = synced.graph.feature_version("side/s")?;
    check_eq(version, side("2")?.feature_version("side/s")?, "of side/s")?;
    check_eq(
        synced.graph.require("up/c")?.project.as_str(),
        "up",
        "of up/c",
    )?;
    check_eq(
        synced.graph.require("side/s")?.project.as_str(),
        "side",
        "of side/s",
    )
}
