//! What has changed between two pushed graphs.

use super::MetadataStore;
use crate::error::{Error, ErrorKind, Result, nearest};
use crate::graph::{FeatureGraph, GraphDiff};

/// At most this many known versions are listed in an error.
const LISTED: usize = 5;

impl MetadataStore {
    /// What has changed from one pushed version of a project to another. `project` is needed only where two projects have pushed
    /// the same version.
    ///
    /// Each version is rebuilt as [`load_graph`](Self::load_graph) does, together with the features of other projects that it
    /// depended on at that time. These are part of the diff, since they change the versions of what depends on them; each
    /// feature says which project it belongs to.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if one of the versions was never pushed to this store,
    /// [`ErrorKind::FeatureNotFound`] if a feature depends on one that no project has ever pushed; those of
    /// [`load_graph`](Self::load_graph).
    pub async fn diff(
        &self,
        from_version: &str,
        to_version: &str,
        project: Option<&str>,
    ) -> Result<GraphDiff> {
        let from = self.pushed_version(from_version, project).await?;
        let to = self.pushed_version(to_version, project).await?;
        GraphDiff::between(&from, &to).map_err(|e| e.with_context("store", self.name()))
    }

    async fn pushed_version(&self, version: &str, project: Option<&str>) -> Result<FeatureGraph> {
        if let Some(graph) = self.load_graph(Some(version), project).await? {
            return Ok(graph);
        }
        let known = self.snapshots(project).await?;
        let known: Vec<&str> = known.iter().map(|s| s.project_version.as_str()).collect();
        let of = project.map_or_else(String::new, |project| format!(" of project {project:?}"));
        let error = Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "no version {version:?}{of} was pushed to store {:?}",
                self.name()
            ),
        );
        Err(
            error.with_hint(match nearest(version, known.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None if known.is_empty() => {
                    "nothing was pushed yet: push the graph first".to_owned()
                }
                None => format!(
                    "the newest that were pushed are {}",
                    known[..known.len().min(LISTED)].join(", ")
                ),
            }),
        )
    }
}
