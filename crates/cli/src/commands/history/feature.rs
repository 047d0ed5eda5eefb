//! The versions of one feature.

use std::collections::{BTreeMap, BTreeSet};

use metaxy_store::clock::Micros;
use metaxy_store::error::nearest;
use metaxy_store::system::PushedFeature;
use metaxy_store::{Access, Error, ErrorKind, FeatureKey, MetadataStore, Result};
use serde_json::{Value, json};

use super::super::pushed::minute;
use crate::args::{History, View};
use crate::listing::Listing;
use crate::project::Project;
use crate::screen::{Screen, moment, short};

/// A version of a feature.
#[derive(Debug, Default)]
struct Version {
    version: String,
    /// When it was pushed first and last, if it was.
    pushed: Option<(Micros, Micros)>,
    /// The versions of projects that have it.
    graphs: Vec<String>,
    /// What identifies a sample of it; unknown where only rows tell of the version.
    id_columns: Vec<String>,
    rows: u64,
    samples: Option<u64>,
    is_current: bool,
}

pub(super) async fn run(
    project: &Project,
    feature: &FeatureKey,
    args: &History,
    screen: &Screen,
) -> Result<()> {
    let bare = project.open_bare(Access::Read)?;
    let history = bare.pushed_in_chain().await?.into_iter();
    let mut history: Vec<PushedFeature> = history.flat_map(|(_, rows)| rows).collect();
    history.sort_by_key(|row| row.recorded_at);
    let graph = project.locked_graph()?;
    let store = match &graph {
        Some(graph) => bare.with_graph(graph.clone()),
        None => match bare.load_graph(None, project.config.project()).await? {
            Some(graph) => bare.with_graph(graph),
            None => bare,
        },
    };
    // The rows are those of the store that has the feature.
    let store = store.find_store_of(feature, None).await?.unwrap_or(store);
    let mut versions = versions(&store, &history, feature).await?;
    if versions.is_empty() {
        return Err(unknown(&store, &history, feature));
    }
    let total = versions.len();
    versions.truncate(args.limit.unwrap_or(usize::MAX));
    for version in &mut versions {
        if version.rows == 0 {
            version.samples = Some(0);
        } else if !version.id_columns.is_empty() {
            let (ids, name) = (&version.id_columns, &version.version);
            version.samples = Some(store.samples_of_version(feature, ids, name, None).await?);
        }
    }
    if args.format.view == View::Json {
        let document = json!({
            "store": store.name(),
            "feature": feature.as_str(),
            "current_version": store.graph().feature_version(feature).ok(),
            "total": total,
            "versions": versions.iter().map(Version::document).collect::<Vec<_>>(),
        });
        return screen.document(&document);
    }
    listing(&versions).show(screen, None)?;
    match total - versions.len() {
        0 => Ok(()),
        more => screen.note(format_args!("and {more} more before")),
    }
}

/// The versions of the feature, newest first: the current one if it was not pushed, those that were pushed, and those that only
/// rows tell of.
async fn versions(
    store: &MetadataStore,
    history: &[PushedFeature],
    feature: &FeatureKey,
) -> Result<Vec<Version>> {
    let rows = store.rows_by_version(feature).await?;
    // Rows that some other program wrote without a version belong to none.
    let rows = rows
        .into_iter()
        .map(|(version, rows)| (version.unwrap_or_default(), rows));
    let mut rows: BTreeMap<String, u64> = rows.collect();
    let mut versions: Vec<Version> = Vec::new();
    for row in history.iter().filter(|row| row.feature_key == *feature) {
        let known = versions
            .iter()
            .position(|known| known.version == row.feature_version);
        let at = known.unwrap_or(versions.len());
        if known.is_none() {
            let definition = row.definition().ok();
            versions.push(Version {
                version: row.feature_version.clone(),
                id_columns: definition.map_or_else(Vec::new, |d| d.spec.id_columns().to_vec()),
                ..Version::default()
            });
        }
        let version = &mut versions[at];
        let first = version.pushed.map_or(row.recorded_at, |(first, _)| first);
        version.pushed = Some((first, row.recorded_at));
        if !version.graphs.contains(&row.project_version) {
            version.graphs.push(row.project_version.clone());
        }
    }
    versions.sort_by_key(|version| std::cmp::Reverse(version.pushed));
    let graph = store.graph();
    if let (Ok(current), Some(definition)) = (graph.feature_version(feature), graph.get(feature)) {
        match versions.iter_mut().find(|known| known.version == current) {
            Some(known) => known.is_current = true,
            None => versions.insert(
                0,
                Version {
                    version: current.to_owned(),
                    id_columns: definition.spec.id_columns().to_vec(),
                    is_current: true,
                    ..Version::default()
                },
            ),
        }
    }
    for version in &mut versions {
        version.rows = rows.remove(&version.version).unwrap_or_default();
    }
    versions.extend(rows.into_iter().map(|(version, rows)| Version {
        version,
        rows,
        ..Version::default()
    }));
    Ok(versions)
}

fn unknown(store: &MetadataStore, history: &[PushedFeature], feature: &FeatureKey) -> Error {
    let known: BTreeSet<&str> = history
        .iter()
        .map(|row| row.feature_key.as_str())
        .chain(store.graph().keys().map(FeatureKey::as_str))
        .collect();
    let error = Error::new(
        ErrorKind::FeatureNotFound,
        format!(
            "feature `{feature}` is not in the graph, was never pushed to store {:?}, and has no rows there",
            store.name()
        ),
    );
    error.with_hint(match nearest(feature.as_str(), known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`metaxy list features` shows the features of the graph".to_owned(),
    })
}

impl Version {
    fn document(&self) -> Value {
        json!({
            "version": self.version,
            "current": self.is_current,
            "first_pushed_at": self.pushed.map(|(first, _)| moment(first)),
            "last_pushed_at": self.pushed.map(|(_, last)| moment(last)),
            "project_versions": self.graphs,
            "rows": self.rows,
            "samples": self.samples,
        })
    }
}

fn listing(versions: &[Version]) -> Listing {
    let all = || versions.iter();
    let pushed = |version: &Version| match version.pushed {
        Some((first, _)) => minute(first),
        None => "not pushed".to_owned(),
    };
    Listing::default()
        .text("version", all().map(|version| short(&version.version)))
        .text("first pushed", all().map(pushed))
        .number("graphs", all().map(|version| version.graphs.len() as u64))
        .number("rows", all().map(|version| version.rows))
        .number("samples", all().map(|version| version.samples))
        .text(
            "",
            all().map(|version| if version.is_current { "current" } else { "" }),
        )
}
