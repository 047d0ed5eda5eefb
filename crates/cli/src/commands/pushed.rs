//! Which pushed graph a word means.

use chrono::{DateTime, SecondsFormat};
use metaxy_core::clock::Micros;
use metaxy_core::error::nearest;
use metaxy_core::system::Snapshot;
use metaxy_core::{Error, ErrorKind, FeatureGraph, MetadataStore, Result};

use crate::screen::short;

/// The word for the graph that was pushed last.
pub(crate) const LATEST: &str = "latest";
/// The word for the graph of the project's files.
pub(crate) const CURRENT: &str = "current";
/// At most so many versions are listed in an error.
const LISTED: usize = 5;

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
    let exact = all
        .iter()
        .find(|one| word == LATEST || one.project_version == word);
    if let Some(exact) = exact {
        return Ok(exact.clone());
    }
    let mut starting = all
        .iter()
        .filter(|one| word.len() >= 4 && one.project_version.starts_with(word));
    match (starting.next(), starting.next()) {
        (Some(only), None) => return Ok(only.clone()),
        (Some(_), Some(_)) => {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("several pushed versions{of} start with {word:?}"),
            )
            .with_hint("write more of the version; `metaxy history` lists them"));
        }
        _ => {}
    }
    let known: Vec<&str> = all.iter().map(|one| one.project_version.as_str()).collect();
    let error = Error::new(
        ErrorKind::InvalidArgument,
        format!(
            "no version {word:?}{of} was pushed to store {:?}",
            store.name()
        ),
    );
    Err(error.with_hint(match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!(
            "the newest that were pushed are {}; `metaxy history` lists all",
            known[..known.len().min(LISTED)].join(", ")
        ),
    }))
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
pub(crate) fn moment(at: Micros) -> String {
    match DateTime::from_timestamp_micros(at) {
        Some(time) => time.format("%Y-%m-%d %H:%M UTC").to_string(),
        None => at.to_string(),
    }
}

/// The time as scripts read it: RFC 3339, UTC.
pub(crate) fn timestamp(at: Micros) -> String {
    match DateTime::from_timestamp_micros(at) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Micros, true),
        None => at.to_string(),
    }
}
