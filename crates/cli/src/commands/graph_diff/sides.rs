//! The two graphs that are compared.

use metaxy_store::system::{Snapshot, SyncOptions};
use metaxy_store::{FeatureGraph, FeatureKey, MetadataStore, Result};

use crate::commands::pushed::{self, CURRENT, minute};
use crate::project::Project;
use crate::screen::short;

/// One of the two graphs.
pub(super) struct Side {
    pub(super) graph: FeatureGraph,
    /// The project that is looked at, and its version.
    pub(super) project: Option<String>,
    pub(super) version: Option<String>,
    /// The push that it comes from; `None` for the current graph.
    pub(super) pushed: Option<Snapshot>,
}

/// The graphs that the two words mean.
pub(super) async fn both(
    project: &Project,
    store: &MetadataStore,
    from: &str,
    to: &str,
) -> Result<(Side, Side)> {
    let configured = project.config.project();
    let mut found = Vec::with_capacity(2);
    for word in [from, to] {
        found.push(match word {
            CURRENT => None,
            word => Some(pushed::find(store, configured, word).await?),
        });
    }
    // Of several projects the current graph may define, the one that was pushed is compared.
    let pushed = found
        .iter()
        .flatten()
        .map(|snapshot| snapshot.project.clone())
        .next();
    let wanted = pushed.or(configured.map(str::to_owned));
    let (to, from) = (found.pop().flatten(), found.pop().flatten());
    Ok((
        side(project, store, from, wanted.as_deref()).await?,
        side(project, store, to, wanted.as_deref()).await?,
    ))
}

async fn side(
    project: &Project,
    store: &MetadataStore,
    snapshot: Option<Snapshot>,
    wanted: Option<&str>,
) -> Result<Side> {
    if let Some(snapshot) = snapshot {
        return Ok(Side {
            graph: pushed::graph(store, &snapshot).await?,
            project: Some(snapshot.project.clone()),
            version: Some(snapshot.project_version.clone()),
            pushed: Some(snapshot),
        });
    }
    let current = match project.locked_graph()? {
        // As a push does, so that versions are those which it would record.
        Some(graph) => {
            let store = store.with_graph(graph);
            store.sync_external(&SyncOptions::default()).await?.graph
        }
        None => project.open(store.access()).await?.graph().clone(),
    };
    let graph = part(&current, wanted)?;
    Ok(Side {
        version: wanted.map(|project| current.project_version(project).to_owned()),
        graph,
        project: wanted.map(str::to_owned),
        pushed: None,
    })
}

/// The features of a project and what they depend on, which is what a push of it holds.
fn part(graph: &FeatureGraph, project: Option<&str>) -> Result<FeatureGraph> {
    let Some(project) = project else {
        return Ok(graph.clone());
    };
    let own = graph
        .definitions()
        .filter(|d| d.project == project && !d.is_external());
    let mut kept: Vec<FeatureKey> = own.map(|definition| definition.key().clone()).collect();
    kept.extend(graph.upstream(&kept));
    let mut part = graph.clone();
    for key in graph.keys().filter(|key| !kept.contains(key)) {
        part.remove(key)?;
    }
    Ok(part)
}

impl Side {
    /// It in a few words.
    pub(super) fn words(&self) -> String {
        let version = self.version.as_deref().map_or("", short);
        match &self.pushed {
            Some(snapshot) => format!("{version} pushed {}", minute(snapshot.recorded_at)),
            None => format!("{version} current").trim_start().to_owned(),
        }
    }
}
