//! What each tool answers: the documents of the commands of the same names.

use metaxy_store::store::StatusOptions;
use metaxy_store::{Access, FeatureKey, ReadOptions, ResolveOptions, Result};
use serde_json::{Value, json};

use super::tools::{Given, MOST_ROWS};
use crate::commands::describe::{FeatureFacts, graph_document};
use crate::commands::history::pushes_document;
use crate::commands::{list, resolve, status};
use crate::listing::Listing;
use crate::project::{Project, feature, filters};
use crate::rows::first;
use metaxy_frames::{Format, values};

/// How many rows a read gives that asks for no number.
const ROWS: u64 = 20;

fn rows_of(listing: &Listing) -> Result<Value> {
    let frame = listing.frame(Format::Json)?;
    Ok(values(std::slice::from_ref(&frame))?.into())
}

pub(super) async fn list_features(project: &Project) -> Result<Value> {
    let features = list::features(project).await?;
    Ok(json!({"features": rows_of(&features)?}))
}

pub(super) async fn describe_feature(project: &Project, given: &Given) -> Result<Value> {
    let store = project.open(Access::Read).await?;
    let feature = feature(&store, given.text("feature").unwrap_or_default())?;
    Ok(FeatureFacts::gather(&store, &feature).await?.document())
}

pub(super) async fn describe_graph(project: &Project) -> Result<Value> {
    let store = project.open(Access::Read).await?;
    Ok(graph_document(&store.graph().describe(project.asked_for())))
}

pub(super) async fn status(project: &Project, given: &Given) -> Result<Value> {
    let store = project.open(Access::Read).await?;
    let options = StatusOptions::default()
        .with_global_filters(filters(&given.texts("filters"))?)
        .with_staleness_predicates(filters(&given.texts("stale_if"))?)
        .with_progress(given.flag("progress"));
    let features = match given.has("features") {
        false => store.graph().topological(),
        true => {
            let names = given.texts("features");
            let features = names.iter().map(|name| feature(&store, name));
            features.collect::<Result<Vec<FeatureKey>>>()?
        }
    };
    let mut statuses = Vec::with_capacity(features.len());
    let mut survey = store.survey(features.iter().cloned(), options);
    for feature in &features {
        statuses.push(survey.status_or_failure(feature).await?);
    }
    let listing = status::listing(&statuses, store.name(), true);
    Ok(json!({"features": rows_of(&listing)?}))
}

pub(super) async fn resolve_counts(project: &Project, given: &Given) -> Result<Value> {
    let store = project.open(Access::Read).await?;
    let feature = feature(&store, given.text("feature").unwrap_or_default())?;
    let options = ResolveOptions::default()
        .with_global_filters(filters(&given.texts("filters"))?)
        .with_staleness_predicates(filters(&given.texts("stale_if"))?);
    let increment = store.resolve_lazy(&feature, options).await?;
    let compared_with = increment.compared_with().to_owned();
    let waits_for = increment.waits_for().to_vec();
    let counts = increment.counts().await?;
    resolve::counts_document(&store, &feature, &compared_with, counts, &waits_for)
}

pub(super) async fn read(project: &Project, given: &Given) -> Result<Value> {
    let store = project.open(Access::Read).await?;
    let feature = feature(&store, given.text("feature").unwrap_or_default())?;
    let most = given.number("limit").unwrap_or(ROWS).min(MOST_ROWS);
    let mut options = ReadOptions::default()
        .with_filters(filters(&given.texts("filters"))?)
        .with_limit(most + 1);
    if given.has("columns") {
        options = options.with_columns(given.texts("columns"));
    }
    let (rows, owner) = store.read_with_store(&feature, options).await?;
    let (rows, more) = first(rows, usize::try_from(most).unwrap_or(usize::MAX)).await?;
    Ok(json!({
        "feature": feature.as_str(),
        "store": owner.name(),
        "rows": values(&rows)?,
        "more": more,
    }))
}

pub(super) async fn history(project: &Project, given: &Given) -> Result<Value> {
    let store = project.open_bare(Access::Read)?;
    let wanted = given.text("project").or(project.config.project());
    let limit = given.number("limit");
    let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    pushes_document(&store, wanted, limit).await
}
