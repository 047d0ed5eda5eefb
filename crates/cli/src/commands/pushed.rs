//! Which pushed graph a word means.

use chrono::DateTime;
use metaxy_store::clock::Micros;
use metaxy_store::system::Snapshot;
use metaxy_store::{Error, ErrorKind, FeatureGraph, MetadataStore, Result};

use crate::screen::short;
use crate::versions::version;

/// The word for the graph that was pushed last.
pub(crate) const LATEST: &str = "latest";
/// The word for the graph of the project's files.
pub(crate) const CURRENT: &str = "current";

/// The pushed graph that `word` means: `latest`, a version, or how one starts if no other does so.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] if there is none.
pub(crate) async fn find(
    store: &MetadataStore,
    project: Option<&str>,
    word: &str,
) -> Result<Snapshot> {
    let all = store.snapshots(project).await?;
    let of = project.map_or_else(String::new, |project| format!(" of project {project:?}"));
    if all.is_empty() {
        let error = Error::new(
            ErrorKind::InvalidArgument,
            format!("no graph{of} was pushed to store {:?}", store.name()),
        );
        return Err(error.with_hint("run `metaxy push` where the features are defined"));
    }
    let is_meant = match word {
        LATEST => None,
        word => {
            let what = format!(
                "the graphs{of} that were pushed to store {:?}",
                store.name()
            );
            let known = all.iter().map(|one| one.project_version.as_str());
            Some(version(word, &what, known)?.to_owned())
        }
    };
    // The newest stands first.
    let found = all.into_iter().find(|one| {
        is_meant
            .as_ref()
            .is_none_or(|is| one.project_version == *is)
    });
    found.ok_or_else(|| Error::new(ErrorKind::Internal, "a pushed graph vanished"))
}

/// The graph itself.
///
/// # Errors
/// Those of [`MetadataStore::load_graph`].
pub(crate) async fn graph(store: &MetadataStore, snapshot: &Snapshot) -> Result<FeatureGraph> {
    let version = Some(snapshot.project_version.as_str());
    let found = store.load_graph(version, Some(&snapshot.project)).await?;
    found.ok_or_else(|| {
        Error::new(
            ErrorKind::Internal,
            format!(
                "the pushed graph {} vanished",
                short(&snapshot.project_version)
            ),
        )
    })
}

/// The time as people read it: to the minute, UTC.
pub(crate) fn minute(at: Micros) -> String {
    match DateTime::from_timestamp_micros(at) {
        Some(time) => time.format("%Y-%m-%d %H:%M UTC").to_string(),
        None => at.to_string(),
    }
}
