//! A graph as a whole.

use metaxy_store::graph::GraphDescription;
use metaxy_store::{Access, FeatureGraph, FeatureKey, MetadataStore, Result};
use serde_json::{Value, json};

use crate::args::{DescribeGraph, View};
use crate::listing::{Facts, Listing};
use crate::project::Project;
use crate::screen::Screen;
use crate::versions::version;

pub(super) async fn run(project: &Project, args: &DescribeGraph, screen: &Screen) -> Result<()> {
    let graph = match &args.version {
        Some(given) => pushed(project, given).await?,
        // A graph that files define needs no store.
        None => match project.locked_graph()? {
            Some(graph) => graph,
            None => project.open(Access::Read).await?.graph().clone(),
        },
    };
    let described = graph.describe(project.asked_for());
    match args.format.view {
        View::Json => screen.document(&document(&described)),
        View::Plain => show(&described, screen),
    }
}

/// The graph of a project version as it was pushed.
async fn pushed(project: &Project, given: &str) -> Result<FeatureGraph> {
    let store = project.open_bare(Access::Read)?;
    let snapshots = store.snapshots(project.config.project()).await?;
    let known = snapshots.iter().map(|s| s.project_version.as_str());
    let what = match project.config.project() {
        Some(name) => format!("project {name} in store {}", store.name()),
        None => format!("any project in store {}", store.name()),
    };
    let version = version(given, &what, known)?;
    load(&store, version, project.config.project()).await
}

async fn load(store: &MetadataStore, version: &str, project: Option<&str>) -> Result<FeatureGraph> {
    let graph = store.load_graph(Some(version), project).await?;
    graph.map_or_else(
        || FeatureGraph::new().with_truncation_length(store.hash().length),
        Ok,
    )
}

pub(crate) fn document(graph: &GraphDescription) -> Value {
    let projects = graph.projects.iter().map(|(name, project)| {
        json!({"project": name, "features": project.features, "version": project.version})
    });
    json!({
        "project": graph.project,
        "features": graph.features,
        "features_of_all_projects": graph.total_features,
        "depth": graph.depth,
        "roots": names(&graph.roots),
        "leaves": names(&graph.leaves),
        "projects": projects.collect::<Vec<_>>(),
    })
}

fn show(graph: &GraphDescription, screen: &Screen) -> Result<()> {
    let mut facts = Facts::default();
    if let Some(project) = &graph.project {
        facts.add("project", project);
    }
    facts.add("features", graph.features);
    facts.add("longest chain", graph.depth);
    facts.add("roots", names(&graph.roots).join(", "));
    facts.add("leaves", names(&graph.leaves).join(", "));
    facts.show(screen)?;
    screen.blank()?;
    let all = || graph.projects.iter();
    Listing::default()
        .text("project", all().map(|(name, _)| name.as_str()))
        .number("features", all().map(|(_, p)| p.features as u64))
        .text("version", all().map(|(_, p)| p.version.as_str()))
        .show(screen, None)
}

fn names(features: &[FeatureKey]) -> Vec<&str> {
    features.iter().map(FeatureKey::as_str).collect()
}
