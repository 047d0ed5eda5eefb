//! Recording a graph.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use indexmap::IndexMap;

use crate::backend::append::{Append, Times};
use crate::clock::after;
use crate::error::{Error, ErrorKind, Result, nearest};
use crate::frame::Frame;
use crate::graph::FeatureGraph;
use crate::json::Json;
use crate::key::FeatureKey;
use crate::setters;
use crate::store::MetadataStore;

use super::SyncOptions;
use super::record::{PushedFeature, feature_versions_key, render};

/// The tag under which a push records what made it.
const PROGRAM_TAG: &str = "metaxy";

/// What is pushed, and with what. The default is that of [`MetadataStore::push_graph`] without tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushOptions {
    /// The project; `None`: the configured one, else the only one of the graph.
    pub project: Option<String>,
    /// What to note with the push. The name `metaxy` is taken.
    pub tags: IndexMap<String, String>,
    /// How external features are synced first. With `locked`, nothing is recorded if one of them has another version than its
    /// placeholder.
    pub sync: SyncOptions,
}

impl PushOptions {
    setters! { options =>
        /// Pushes the features of this project.
        with_project(project: impl Into<String>) {
            options.project = Some(project.into());
        }
        /// Notes this with the push.
        with_tag(name: impl Into<String>, value: impl Into<String>) {
            options.tags.insert(name.into(), value.into());
        }
        /// Sets how external features are synced first.
        with_sync(sync: SyncOptions) {
            options.sync = sync;
        }
    }
}

/// What a push did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushReport {
    /// The project.
    pub project: String,
    /// The version of the project.
    pub project_version: String,
    /// It is the one that was pushed last, so there was nothing to record (but new tags, if any).
    pub already_pushed: bool,
    /// Features whose definition or version differs from what was pushed last, also new ones; of a first push none.
    pub changed_features: Vec<FeatureKey>,
    /// Those of them that changed although the version of the project did not, because of an upstream in another project. It
    /// is all that the reference reports.
    pub updated_features: Vec<FeatureKey>,
}

impl MetadataStore {
    /// Records the graph's features of `project` (`None`: the configured project, else the only one of the graph).
    ///
    /// External features are [synced](Self::sync_external) first, so that the versions which are recorded are those of what the
    /// features depend on; the graph of this store stays as it is. Nothing is written if the same features with the same versions
    /// were pushed last, unless the tags are new.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the project cannot be told, or a tag is named `metaxy`; those of the sync; the graph's own errors; and if the store fails.
    pub async fn push_graph(
        &self,
        project: Option<&str>,
        tags: &IndexMap<String, String>,
    ) -> Result<PushReport> {
        let options = PushOptions {
            project: project.map(str::to_owned),
            tags: tags.clone(),
            sync: SyncOptions::default(),
        };
        self.push_graph_with(&options).await
    }

    /// As [`push_graph`](Self::push_graph), with options.
    ///
    /// # Errors
    /// Those of [`push_graph`](Self::push_graph).
    pub async fn push_graph_with(&self, options: &PushOptions) -> Result<PushReport> {
        let project = self.project_to_push(options.project.as_deref())?;
        let tags = tags_json(&options.tags)?;
        let synced = self.sync_external(&options.sync).await?.graph;
        let history = self.pushed_features().await?;
        let last = latest_snapshot(&history, &project);
        let mut now = to_record(self.graph(), &synced, &project, &tags)?;
        let version = self.graph().project_version(&project).to_owned();
        let updated: Vec<FeatureKey> = {
            let known: HashSet<_> = last.iter().map(|old| old.what_is_defined()).collect();
            let new = now
                .iter()
                .filter(|new| !known.contains(&new.what_is_defined()));
            new.map(|feature| feature.feature_key.clone()).collect()
        };
        let already_pushed = !last.is_empty()
            && updated.is_empty()
            && last.first().is_some_and(|f| f.project_version == version);
        let new_tags = user_tags(&tags)
            != last.first().map(|f| user_tags(&f.tags)).unwrap_or_default()
            && !user_tags(&tags).is_empty();
        if !already_pushed || new_tags {
            let latest = history.iter().map(|f| f.recorded_at).max();
            let at = latest.map_or(self.now(), |latest| self.now().max(after(latest)));
            for feature in &mut now {
                feature.recorded_at = at;
            }
            self.record(&now).await?;
        }
        let same_version = last.first().is_some_and(|f| f.project_version == version);
        Ok(PushReport {
            project,
            project_version: version,
            updated_features: match same_version {
                true => updated.clone(),
                false => Vec::new(),
            },
            changed_features: match last.is_empty() {
                true => Vec::new(),
                false => updated,
            },
            already_pushed,
        })
    }

    fn project_to_push(&self, project: Option<&str>) -> Result<String> {
        if let Some(project) = project.or(self.project()) {
            return Ok(project.to_owned());
        }
        let projects: HashSet<&str> = self
            .graph()
            .definitions()
            .filter(|d| !d.is_external())
            .map(|d| d.project.as_str())
            .collect();
        match projects.iter().next() {
            Some(only) if projects.len() == 1 => Ok((*only).to_owned()),
            _ => Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "the graph has features of {} projects, so it is not clear which to push",
                    projects.len()
                ),
            )
            .with_hint("name the project, or set `project` in metaxy.toml")),
        }
    }

    /// Records what was pushed to `source` and not to this store, as it is there. Returns how many graphs have something new.
    ///
    /// # Errors
    /// Those of [`pushed_features`](Self::pushed_features), and if this store cannot be written to.
    pub(crate) async fn record_pushed_of(
        &self,
        source: &MetadataStore,
        dry_run: bool,
    ) -> Result<u64> {
        let (here, there) = (
            self.pushed_features().await?,
            source.pushed_features().await?,
        );
        let mut known: HashSet<_> = here.iter().map(PushedFeature::identity).collect();
        let lacking = there.iter().filter(|row| known.insert(row.identity()));
        let lacking: Vec<PushedFeature> = lacking.cloned().collect();
        if !lacking.is_empty() && !dry_run {
            self.record(&lacking).await?;
        }
        let graphs: HashSet<_> = lacking
            .iter()
            .map(|row| (&row.project, &row.project_version))
            .collect();
        Ok(graphs.len() as u64)
    }

    async fn record(&self, features: &[PushedFeature]) -> Result<()> {
        let append = Append {
            table: feature_versions_key(),
            id_columns: Vec::new(),
            rows: Frame::from(render(features)?),
            times: Times::Keep,
            create: true,
        };
        self.append_system(append).await
    }
}

/// The features that `graph` defines for `project`, with their versions in `synced`, which may define more.
fn to_record(
    graph: &FeatureGraph,
    synced: &FeatureGraph,
    project: &str,
    tags: &str,
) -> Result<Vec<PushedFeature>> {
    let mut rows = Vec::new();
    for definition in graph.definitions() {
        if definition.project != project || definition.is_external() {
            continue;
        }
        let key = definition.key();
        rows.push(PushedFeature {
            project: project.to_owned(),
            feature_key: key.clone(),
            feature_version: synced.feature_version(key)?.to_owned(),
            definition_version: graph.definition_version(key)?.to_owned(),
            recorded_at: 0,
            feature_spec: definition.spec.to_json().to_python_dumps(false),
            feature_schema: definition.feature_schema.to_python_dumps(false),
            feature_class_path: definition.feature_class_path.clone(),
            project_version: graph.project_version(project).to_owned(),
            tags: tags.to_owned(),
            deleted_at: None,
        });
    }
    if !rows.is_empty() {
        return Ok(rows);
    }
    let known: BTreeSet<&str> = graph
        .definitions()
        .filter(|d| !d.is_external())
        .map(|d| d.project.as_str())
        .collect();
    let known: Vec<&str> = known.into_iter().collect();
    Err(Error::new(
        ErrorKind::InvalidArgument,
        format!("the graph has no features of project {project:?} to push"),
    )
    .with_hint(match known.as_slice() {
        [] => "define features first".to_owned(),
        known => match nearest(project, known.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("it has features of {}", known.join(", ")),
        },
    }))
}

/// The features of the project version that was pushed last, each in its last row. The reference stamps each row of a push
/// anew, so a push is told by its version.
pub(super) fn latest_snapshot<'a>(
    history: &'a [PushedFeature],
    project: &str,
) -> Vec<&'a PushedFeature> {
    let mut rows = history.iter().rev().filter(|f| f.project == project);
    let Some(last) = rows.next() else {
        return Vec::new();
    };
    let earlier = rows.take_while(|f| f.project_version == last.project_version);
    let mut seen = HashSet::new();
    let mut features: Vec<&PushedFeature> = [last]
        .into_iter()
        .chain(earlier)
        .filter(|f| seen.insert(&f.feature_key))
        .collect();
    features.reverse();
    features
}

fn tags_json(tags: &IndexMap<String, String>) -> Result<String> {
    if tags.contains_key(PROGRAM_TAG) {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("the tag {PROGRAM_TAG:?} says which program pushed, so it cannot be set"),
        )
        .with_hint("give the tag another name"));
    }
    let program = Json::object([("version", Json::from(env!("CARGO_PKG_VERSION")))]);
    let mut all: Vec<(String, Json)> = tags
        .iter()
        .map(|(name, value)| (name.clone(), Json::from(value.as_str())))
        .collect();
    all.push((
        PROGRAM_TAG.into(),
        Json::from(program.to_python_dumps(false)),
    ));
    Ok(Json::Object(all.into_iter().collect()).to_python_dumps(false))
}

/// The tags without the program's own.
fn user_tags(tags: &str) -> BTreeMap<String, String> {
    let Ok(Json::Object(members)) = Json::parse(tags) else {
        return BTreeMap::new();
    };
    members
        .into_iter()
        .filter(|(name, _)| name != PROGRAM_TAG)
        .map(|(name, value)| (name, value.to_compact()))
        .collect()
}
