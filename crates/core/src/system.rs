//! Pushed graphs: the system table `metaxy-system/feature_versions` (`semantics.md` §8), shared with the reference.
//!
//! A push records every feature of a project as it is defined now. What was pushed can be listed, and a graph rebuilt
//! from it; where a project names no feature files, the graph pushed last is the one that is used.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use indexmap::IndexMap;

use crate::append::{Append, Times, in_unit};
use crate::clock::Micros;
use crate::columns;
use crate::definition::FeatureDefinition;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Frame;
use crate::graph::FeatureGraph;
use crate::json::Json;
use crate::key::FeatureKey;
use crate::plan::{Plan, Relation, Scan};
use crate::spec::FeatureSpec;
use crate::store::MetadataStore;

/// The tag under which a push records what made it.
const PROGRAM_TAG: &str = "metaxy";

/// The key of the table of pushed graphs.
#[must_use]
pub fn feature_versions_key() -> FeatureKey {
    FeatureKey::system("feature_versions")
}

/// A feature as a push recorded it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PushedFeature {
    /// The project that pushed it.
    pub project: String,
    /// The feature.
    pub feature_key: FeatureKey,
    /// Its feature version.
    pub feature_version: String,
    /// Its definition version.
    pub definition_version: String,
    /// When it was recorded, in UTC microseconds.
    pub recorded_at: Micros,
    /// Its spec, as JSON text.
    pub feature_spec: String,
    /// The JSON schema of its columns, as text.
    pub feature_schema: String,
    /// Where its definition lives in code.
    pub feature_class_path: String,
    /// The version of the project that was pushed.
    pub project_version: String,
    /// What the push was tagged with, as a JSON object of texts.
    pub tags: String,
    /// When the feature was removed from its project.
    pub deleted_at: Option<Micros>,
}

impl PushedFeature {
    /// The definition that was pushed.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if what is stored is not a definition.
    pub fn definition(&self) -> Result<FeatureDefinition> {
        let damaged = |error: Error| {
            Error::new(
                ErrorKind::Corrupt,
                format!(
                    "what was pushed of feature {} is not a definition",
                    self.feature_key
                ),
            )
            .with_source(error)
        };
        let spec = Json::parse(&self.feature_spec)
            .and_then(|json| FeatureSpec::from_recorded(&json))
            .map_err(damaged)?;
        let schema = Json::parse(&self.feature_schema).map_err(damaged)?;
        Ok(FeatureDefinition::new(spec, &self.project)
            .with_schema(schema)
            .with_class_path(&self.feature_class_path))
    }
}

/// A graph that was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The project.
    pub project: String,
    /// Its version.
    pub project_version: String,
    /// When it was pushed last, in UTC microseconds.
    pub recorded_at: Micros,
    /// How many features it has.
    pub features: usize,
    /// What the last push of it was tagged with, as a JSON object of texts.
    pub tags: String,
}

/// What a push did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pushed {
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
    /// Nothing is written if the same features with the same versions were pushed last, unless the tags are new.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the project cannot be told; the graph's own errors; and if the store fails.
    pub async fn push_graph(
        &self,
        project: Option<&str>,
        tags: &IndexMap<String, String>,
    ) -> Result<Pushed> {
        let project = self.project_to_push(project)?;
        let graph = self.graph();
        let version = graph.project_version(&project).to_owned();
        let history = self.pushed_features().await?;
        let last = latest_snapshot(&history, &project);
        let tags = tags_json(tags);

        let mut now = Vec::new();
        for definition in graph.definitions() {
            if definition.project != project || definition.is_external() {
                continue;
            }
            let key = definition.key();
            now.push(PushedFeature {
                project: project.clone(),
                feature_key: key.clone(),
                feature_version: graph.feature_version(key)?.to_owned(),
                definition_version: graph.definition_version(key)?.to_owned(),
                recorded_at: 0,
                feature_spec: definition.spec.to_json().to_python_dumps(false),
                feature_schema: definition.feature_schema.to_python_dumps(false),
                feature_class_path: definition.feature_class_path.clone(),
                project_version: version.clone(),
                tags: tags.clone(),
                deleted_at: None,
            });
        }
        if now.is_empty() {
            let known: BTreeSet<&str> = graph.definitions().map(|d| d.project.as_str()).collect();
            let known: Vec<&str> = known.into_iter().collect();
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("the graph has no features of project {project:?} to push"),
            )
            .with_hint(match known.as_slice() {
                [] => "define features first".to_owned(),
                known => format!("it has features of {}", known.join(", ")),
            }));
        }
        let updated: Vec<FeatureKey> = now
            .iter()
            .filter(|feature| {
                !last.iter().any(|old| {
                    old.feature_key == feature.feature_key
                        && old.feature_version == feature.feature_version
                        && old.definition_version == feature.definition_version
                })
            })
            .map(|feature| feature.feature_key.clone())
            .collect();
        let already_pushed = !last.is_empty()
            && updated.is_empty()
            && last.first().is_some_and(|f| f.project_version == version);
        let new_tags = user_tags(&tags)
            != last.first().map(|f| user_tags(&f.tags)).unwrap_or_default()
            && !user_tags(&tags).is_empty();
        if !already_pushed || new_tags {
            let latest = history.iter().map(|f| f.recorded_at).max();
            let at = latest.map_or(self.now(), |latest| self.now().max(latest + 1));
            for feature in &mut now {
                feature.recorded_at = at;
            }
            self.record(&now).await?;
        }
        let same_version = last.first().is_some_and(|f| f.project_version == version);
        Ok(Pushed {
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

    /// Everything that was pushed to this store, oldest first.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the table is not what it should be, and if the store fails.
    pub async fn pushed_features(&self) -> Result<Vec<PushedFeature>> {
        let key = feature_versions_key();
        let Some(schema) = self.feature_schema(&key).await? else {
            return Ok(Vec::new());
        };
        let scan = Scan {
            table: key,
            feature_version: None,
            as_of: None,
            latest_per: None,
        };
        let relation = Relation::scan(scan, schema);
        let rows = self
            .backend()
            .query(Plan::from(relation))
            .await?
            .collect()
            .await?;
        let mut features = Vec::new();
        for batch in rows.batches() {
            features.extend(parse(batch)?);
        }
        features.sort_by_key(|f: &PushedFeature| f.recorded_at);
        Ok(features)
    }

    /// The graphs that were pushed to this store, newest first; of one project, or of all.
    ///
    /// # Errors
    /// Those of [`pushed_features`](Self::pushed_features).
    pub async fn snapshots(&self, project: Option<&str>) -> Result<Vec<Snapshot>> {
        let mut groups: BTreeMap<(String, String), (Micros, HashSet<FeatureKey>, String)> =
            BTreeMap::new();
        for feature in self.pushed_features().await? {
            if project.is_some_and(|project| project != feature.project) {
                continue;
            }
            let group = groups
                .entry((feature.project, feature.project_version))
                .or_default();
            if feature.recorded_at >= group.0 {
                group.0 = feature.recorded_at;
                group.2 = feature.tags;
            }
            group.1.insert(feature.feature_key);
        }
        let mut snapshots: Vec<Snapshot> = groups
            .into_iter()
            .map(
                |((project, project_version), (recorded_at, features, tags))| Snapshot {
                    project,
                    project_version,
                    recorded_at,
                    features: features.len(),
                    tags,
                },
            )
            .collect();
        snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.recorded_at));
        Ok(snapshots)
    }

    /// The version of the project that was pushed last, if any.
    ///
    /// # Errors
    /// Those of [`pushed_features`](Self::pushed_features).
    pub async fn latest_project_version(&self, project: Option<&str>) -> Result<Option<String>> {
        let snapshots = self.snapshots(project).await?;
        Ok(snapshots.into_iter().next().map(|s| s.project_version))
    }

    /// The graph of a pushed project version (`None`: the one pushed last), with what it depends on in other projects as that was
    /// at the time. `None` if there is no such version.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if what was pushed is not a graph.
    pub async fn load_graph(
        &self,
        project_version: Option<&str>,
        project: Option<&str>,
    ) -> Result<Option<FeatureGraph>> {
        let history = self.pushed_features().await?;
        let snapshot = self.snapshots(project).await?.into_iter().find(|snapshot| {
            project_version.is_none_or(|version| version == snapshot.project_version)
        });
        let Some(snapshot) = snapshot else {
            return Ok(None);
        };
        // A version that was pushed twice is recorded twice: the last push counts.
        let last = history.iter().rfind(|feature| {
            feature.project == snapshot.project
                && feature.project_version == snapshot.project_version
        });
        last.map(|row| self.pushed_graph(&history, row, row.recorded_at))
            .transpose()
    }

    /// The graph that `row` was pushed with, and the features of other projects that it needs: of each the newest that was
    /// recorded at or before `until`, or else the first.
    pub(crate) fn pushed_graph(
        &self,
        history: &[PushedFeature],
        row: &PushedFeature,
        until: i64,
    ) -> Result<FeatureGraph> {
        let mut chosen: IndexMap<&FeatureKey, &PushedFeature> = IndexMap::new();
        for other in history {
            if other.project == row.project
                && other.project_version == row.project_version
                && other.recorded_at <= row.recorded_at
            {
                chosen.insert(&other.feature_key, other);
            }
        }
        let mut seen: HashSet<FeatureKey> = chosen.keys().map(|key| (*key).clone()).collect();
        let mut pending: VecDeque<&PushedFeature> = chosen.into_values().collect();
        let mut graph = FeatureGraph::recorded().with_truncation_length(self.hash().length)?;
        while let Some(feature) = pending.pop_front() {
            let definition = feature.definition()?;
            for dep in definition.spec.deps() {
                if seen.insert(dep.feature.clone()) {
                    let named = || history.iter().filter(|f| f.feature_key == dep.feature);
                    let then = named().rfind(|f| f.recorded_at <= until);
                    pending.extend(then.or_else(|| named().next()));
                }
            }
            graph.add(definition)?;
        }
        Ok(graph)
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

/// The features of the project version that was pushed last.
fn latest_snapshot<'a>(history: &'a [PushedFeature], project: &str) -> Vec<&'a PushedFeature> {
    let Some(last) = history.iter().rfind(|f| f.project == project) else {
        return Vec::new();
    };
    history
        .iter()
        .filter(|f| f.project == project && f.recorded_at == last.recorded_at)
        .collect()
}

fn tags_json(tags: &IndexMap<String, String>) -> String {
    let program = Json::object([("version", Json::from(env!("CARGO_PKG_VERSION")))]);
    let mut all: Vec<(String, Json)> = tags
        .iter()
        .filter(|(name, _)| *name != PROGRAM_TAG)
        .map(|(name, value)| (name.clone(), Json::from(value.as_str())))
        .collect();
    all.push((
        PROGRAM_TAG.into(),
        Json::from(program.to_python_dumps(false)),
    ));
    Json::Object(all.into_iter().collect()).to_python_dumps(false)
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

fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let time =
        |name: &str| Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, None), true);
    Arc::new(Schema::new(vec![
        text("project"),
        text("feature_key"),
        text(columns::FEATURE_VERSION),
        text("metaxy_definition_version"),
        time("recorded_at"),
        text("feature_spec"),
        text("feature_schema"),
        text("feature_class_path"),
        text(columns::PROJECT_VERSION),
        text("tags"),
        time("deleted_at"),
    ]))
}

fn render(features: &[PushedFeature]) -> Result<RecordBatch> {
    let text = |of: fn(&PushedFeature) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(features.iter().map(of)))
    };
    let recorded: TimestampMicrosecondArray =
        features.iter().map(|f| Some(f.recorded_at)).collect();
    let deleted: TimestampMicrosecondArray = features.iter().map(|f| f.deleted_at).collect();
    let arrays: Vec<ArrayRef> = vec![
        text(|f| &f.project),
        text(|f| f.feature_key.as_str()),
        text(|f| &f.feature_version),
        text(|f| &f.definition_version),
        Arc::new(recorded),
        text(|f| &f.feature_spec),
        text(|f| &f.feature_schema),
        text(|f| &f.feature_class_path),
        text(|f| &f.project_version),
        text(|f| &f.tags),
        Arc::new(deleted),
    ];
    Ok(RecordBatch::try_new(schema(), arrays)?)
}

fn parse(batch: &RecordBatch) -> Result<Vec<PushedFeature>> {
    let missing = |name: &str, what: &str| {
        Error::new(
            ErrorKind::Corrupt,
            format!(
                "the table {} has no column {name:?} that is {what}",
                feature_versions_key()
            ),
        )
    };
    let texts = |name: &str| -> Result<ArrayRef> {
        let found = batch.column_by_name(name);
        found
            .and_then(|array| cast(array, &DataType::Utf8).ok())
            .ok_or_else(|| missing(name, "text"))
    };
    let times = |name: &str| -> Result<Int64Array> {
        let found = batch.column_by_name(name);
        found
            .and_then(|array| in_unit(array, TimeUnit::Microsecond))
            .ok_or_else(|| missing(name, "a time"))
    };
    let (project, key, class_path) = (
        texts("project")?,
        texts("feature_key")?,
        texts("feature_class_path")?,
    );
    let feature_version = texts(columns::FEATURE_VERSION)?;
    let definition_version = texts("metaxy_definition_version")?;
    let (spec, schema) = (texts("feature_spec")?, texts("feature_schema")?);
    let (project_version, tags) = (texts(columns::PROJECT_VERSION)?, texts("tags")?);
    let recorded_at = times("recorded_at")?;
    let deleted_at = match batch.column_by_name("deleted_at") {
        Some(_) => Some(times("deleted_at")?),
        None => None,
    };
    let text = |array: &ArrayRef, row: usize| -> String {
        let array = array.as_string::<i32>();
        if array.is_valid(row) {
            array.value(row).to_owned()
        } else {
            String::new()
        }
    };
    let time = |array: &Int64Array, row: usize| array.is_valid(row).then(|| array.value(row));
    (0..batch.num_rows())
        .map(|row| {
            Ok(PushedFeature {
                project: text(&project, row),
                feature_key: recorded_key(&text(&key, row))?,
                feature_version: text(&feature_version, row),
                definition_version: text(&definition_version, row),
                recorded_at: time(&recorded_at, row).unwrap_or_default(),
                feature_spec: text(&spec, row),
                feature_schema: text(&schema, row),
                feature_class_path: text(&class_path, row),
                project_version: text(&project_version, row),
                tags: text(&tags, row),
                deleted_at: deleted_at.as_ref().and_then(|array| time(array, row)),
            })
        })
        .collect()
}

fn recorded_key(text: &str) -> Result<FeatureKey> {
    FeatureKey::new(text).map_err(|source| {
        Error::new(
            ErrorKind::Corrupt,
            format!(
                "the table {} records {text:?}, which is no feature key",
                feature_versions_key()
            ),
        )
        .with_source(source)
    })
}
