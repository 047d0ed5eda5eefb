//! Steps run with this implementation. `xtask/interop/reference.py` says what each does and answers.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Field, Schema};
use futures::executor::block_on;
use metaxy_store::config::{ConfigLoader, Environment, FeatureSelection};
use metaxy_store::json::Json;
use metaxy_store::system::{LockOptions, PushOptions, PushedFeature};
use metaxy_store::{
    Access, DeleteOptions, Expr, FeatureGraph, FeatureKey, MetadataStore, ReadOptions,
    ResolveOptions, Rows, WriteOptions, columns,
};

use super::scenario::{Scenario, flag, list, text_of, texts, title};
use super::values::{self, cells, frame};
use super::{Outcome, Request, Side, described};

/// This implementation.
pub(super) struct Metaxy;

impl Side for Metaxy {
    fn name(&self) -> &'static str {
        "metaxy"
    }

    fn run(&self, request: &Request<'_>) -> Outcome<Vec<Json>> {
        let mut session = Session::open(request.config, request.access, request.scenario)?;
        let mut answers = Vec::with_capacity(request.steps.len());
        for step in request.steps {
            let answer = block_on(session.run(step));
            answers.push(answer.map_err(|why| format!("{}: {why}", title(step)))?);
        }
        Ok(answers)
    }
}

/// The columns of versions, which rows of new and stale have.
const VERSIONS: [&str; 4] = [
    columns::PROVENANCE,
    columns::PROVENANCE_BY_FIELD,
    columns::DATA_VERSION,
    columns::DATA_VERSION_BY_FIELD,
];

/// A store that is open, with the graph that steps work on.
struct Session<'a> {
    scenario: &'a Scenario,
    store: MetadataStore,
}

impl<'a> Session<'a> {
    fn open(config: &Path, access: Access, scenario: &'a Scenario) -> Outcome<Self> {
        // What the user has set for metaxy must not decide what is tested.
        let loader = ConfigLoader::new().with_file(config);
        let config = loader
            .with_environment(Environment::empty())
            .load()
            .map_err(described)?;
        let graph = FeatureGraph::new().with_truncation_length(config.hash_truncation_length());
        let store = MetadataStore::from_config(&config, None, access, &graph.map_err(described)?);
        Ok(Self {
            scenario,
            store: store.map_err(described)?,
        })
    }

    async fn run(&mut self, step: &Json) -> Outcome<Json> {
        match text_of(step, "op")? {
            "define" => {
                let graph = self.defined(text_of(step, "graph")?)?;
                self.store = self.store.with_graph(graph);
                Ok(Json::Null)
            }
            "load" => self.load(step).await,
            "push" => self.push(step).await,
            "write" => self.write(step).await,
            "apply" => self.apply(step).await,
            "delete" => self.delete(step).await,
            "read" => self.read(step).await,
            "resolve" => self.resolve(step).await,
            "graph" => self.graph(),
            "history" => self.history().await,
            "lock" => self.lock(step).await,
            op => Err(format!("unknown step {op:?}")),
        }
    }

    async fn load(&mut self, step: &Json) -> Outcome<Json> {
        let project = step.get("project").and_then(Json::as_str);
        let project = project.unwrap_or(&self.scenario.project);
        let snapshots = self.snapshots(project).await?;
        let at = match step.get("snapshot") {
            // As in Python, -1 is the last one.
            Some(Json::Int(digits)) => digits.parse::<isize>().ok().and_then(|at| match at {
                0.. => usize::try_from(at).ok(),
                _ => snapshots.len().checked_sub(at.unsigned_abs()),
            }),
            _ => None,
        };
        let version = at.and_then(|at| snapshots.get(at));
        let version =
            version.ok_or_else(|| format!("there are only {} pushed graphs", snapshots.len()))?;
        let graph = self.store.load_graph(Some(version), Some(project)).await;
        let graph = graph
            .map_err(described)?
            .ok_or("the graph that was pushed is not there")?;
        self.store = self.store.with_graph(graph);
        Ok(Json::from(version.as_str()))
    }

    async fn push(&self, step: &Json) -> Outcome<Json> {
        let mut options = PushOptions::default().with_project(text_of(step, "project")?);
        for (name, value) in step
            .get("tags")
            .and_then(Json::as_object)
            .into_iter()
            .flatten()
        {
            options = options.with_tag(name, value.as_str().unwrap_or_default());
        }
        let pushed = self
            .store
            .push_graph_with(&options)
            .await
            .map_err(described)?;
        Ok(Json::object([
            ("project_version", Json::from(pushed.project_version)),
            ("already_pushed", Json::from(pushed.already_pushed)),
        ]))
    }

    async fn write(&self, step: &Json) -> Outcome<Json> {
        let rows = frame(step.get("rows").ok_or("there are no rows")?)?;
        let mut options = WriteOptions::default();
        if let Some(run) = step.get("materialization_id").and_then(Json::as_str) {
            options = options.with_materialization_id(run);
        }
        let written = self.store.write_with(&feature(step)?, rows, options).await;
        written.map_err(described).map(|_| Json::Null)
    }

    async fn apply(&self, step: &Json) -> Outcome<Json> {
        let feature = feature(step)?;
        let increment = self
            .store
            .resolve_update(&feature, ResolveOptions::default())
            .await;
        let increment = increment.map_err(described)?;
        let mut rows = increment.new_and_stale().to_batch().map_err(described)?;
        if let Some(expand) = step.get("expand") {
            rows = expanded(&rows, expand)?;
        }
        if flag(step, "unique") {
            let definition = self.store.graph().require(&feature).map_err(described)?;
            rows = unique(&rows, definition.spec.id_columns())?;
        }
        for (name, column) in step
            .get("with")
            .and_then(Json::as_object)
            .into_iter()
            .flatten()
        {
            let kind = values::type_of(text_of(column, "type")?)?;
            let value = column.get("value").unwrap_or(&Json::Null);
            let array = values::column(&kind, &vec![value; rows.num_rows()])?;
            rows = with_column(&rows, Field::new(name, kind, true), array)?;
        }
        let written = self.store.write(&feature, rows).await;
        written.map_err(described).map(|_| Json::Null)
    }

    async fn delete(&self, step: &Json) -> Outcome<Json> {
        let options = match flag(step, "hard") {
            true => DeleteOptions::hard(),
            false => DeleteOptions::soft(),
        };
        let options = options
            .with_filters(filters(step, "filters")?)
            .with_feature_history(flag(step, "with_feature_history"));
        let deleted = self.store.delete(&feature(step)?, options).await;
        deleted.map_err(described).map(|_| Json::Null)
    }

    async fn read(&self, step: &Json) -> Outcome<Json> {
        let feature = feature(step)?;
        let mut options = ReadOptions::default()
            .with_filters(filters(step, "filters")?)
            .with_feature_history(flag(step, "with_feature_history"))
            .with_sample_history(flag(step, "with_sample_history"))
            .with_soft_deleted(flag(step, "include_soft_deleted"));
        if step.get("columns").is_some() {
            options = options.with_columns(texts(step, "columns"));
        }
        if let Some(graph) = step.get("of_graph").and_then(Json::as_str) {
            let graph = self.defined(graph)?;
            let version = graph.feature_version(&feature).map_err(described)?;
            options = options
                .with_feature_history(true)
                .with_feature_version(version);
        }
        let rows = self
            .store
            .read(&feature, options)
            .await
            .map_err(described)?;
        stored(&rows.collect().await.map_err(described)?)
    }

    async fn resolve(&self, step: &Json) -> Outcome<Json> {
        let mut options = ResolveOptions::default()
            .with_global_filters(filters(step, "global_filters")?)
            .with_target_filters(filters(step, "target_filters")?)
            .with_staleness_predicates(filters(step, "staleness_predicates")?)
            .with_skip_comparison(flag(step, "skip_comparison"));
        if let Some(samples) = step.get("samples") {
            options = options.with_samples(frame(samples)?);
        }
        if let Some(of_features) = step.get("filters") {
            for key in of_features
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, _)| key)
            {
                let filters = filters(of_features, key)?;
                options = options.with_filters(FeatureKey::new(key).map_err(described)?, filters);
            }
        }
        let increment = self.store.resolve_update(&feature(step)?, options).await;
        let increment = increment.map_err(described)?;
        Ok(Json::object([
            ("new", expected(&increment.new)?),
            ("stale", expected(&increment.stale)?),
            ("orphaned", stored(&increment.orphaned)?),
        ]))
    }

    fn graph(&self) -> Outcome<Json> {
        let graph = self.store.graph();
        let mut features = Vec::new();
        let mut projects = BTreeSet::new();
        for definition in graph.definitions() {
            let key = definition.key();
            let fields = graph.field_versions(key).map_err(described)?.iter();
            let fields =
                fields.map(|(field, version)| (field.as_str(), Json::from(version.as_str())));
            let facts = [
                ("project", Json::from(definition.project.as_str())),
                (
                    "feature_version",
                    Json::from(graph.feature_version(key).map_err(described)?),
                ),
                (
                    "definition_version",
                    Json::from(graph.definition_version(key).map_err(described)?),
                ),
                ("version_by_field", Json::object(fields)),
            ];
            features.push((key.as_str(), Json::object(facts)));
            projects.insert(definition.project.as_str());
        }
        let projects = projects
            .into_iter()
            .map(|name| (name, Json::from(graph.project_version(name))));
        Ok(Json::object([
            ("features", Json::object(features)),
            ("projects", Json::object(projects)),
        ]))
    }

    async fn history(&self) -> Outcome<Json> {
        let mut pushed = self.store.pushed_features().await.map_err(described)?;
        pushed.sort_by(|a, b| {
            (a.recorded_at, a.feature_key.as_str()).cmp(&(b.recorded_at, b.feature_key.as_str()))
        });
        let projects: BTreeSet<&str> = pushed
            .iter()
            .map(|feature| feature.project.as_str())
            .collect();
        let (mut snapshots, mut latest) = (Vec::new(), Vec::new());
        for project in projects {
            snapshots.push((project, Json::from(self.snapshots(project).await?)));
            let version = self.store.latest_project_version(Some(project)).await;
            latest.push((project, Json::from(version.map_err(described)?)));
        }
        let features: Outcome<Vec<Json>> = pushed.iter().map(recorded).collect();
        Ok(Json::object([
            ("features", Json::from(features?)),
            ("snapshots", Json::object(snapshots)),
            ("latest", Json::object(latest)),
        ]))
    }

    async fn lock(&self, step: &Json) -> Outcome<Json> {
        let selection = FeatureSelection::default().with_projects(texts(step, "projects"));
        let options = LockOptions::default().with_selection(selection);
        let file = self.store.locked_features(&options).await;
        let text = file.map_err(described)?.render();
        let table: toml::Table = text.parse().map_err(|e| format!("not TOML: {e}"))?;
        Json::from_toml(toml::Value::Table(table)).map_err(described)
    }

    /// The versions of a project that were pushed, oldest first.
    async fn snapshots(&self, project: &str) -> Outcome<Vec<String>> {
        let snapshots = self
            .store
            .snapshots(Some(project))
            .await
            .map_err(described)?;
        Ok(snapshots
            .into_iter()
            .rev()
            .map(|snapshot| snapshot.project_version)
            .collect())
    }

    fn defined(&self, name: &str) -> Outcome<FeatureGraph> {
        self.scenario.graph(name, self.store.hash().length)
    }
}

/// A row of the table of pushed graphs, with what is JSON read, and without the tag that says which program pushed.
fn recorded(feature: &PushedFeature) -> Outcome<Json> {
    let parsed = |text: &str| Json::parse(text).map_err(described);
    let tags = parsed(&feature.tags)?;
    let tags = tags.as_object().into_iter().flatten();
    let tags = tags.filter(|(name, _)| name.as_str() != "metaxy");
    Ok(Json::object([
        ("project", Json::from(feature.project.as_str())),
        ("feature_key", Json::from(feature.feature_key.as_str())),
        (
            columns::FEATURE_VERSION,
            Json::from(feature.feature_version.as_str()),
        ),
        (
            "metaxy_definition_version",
            Json::from(feature.definition_version.as_str()),
        ),
        ("recorded_at", Json::from(feature.recorded_at)),
        ("feature_spec", parsed(&feature.feature_spec)?),
        ("feature_schema", parsed(&feature.feature_schema)?),
        (
            "feature_class_path",
            Json::from(feature.feature_class_path.as_str()),
        ),
        (
            columns::PROJECT_VERSION,
            Json::from(feature.project_version.as_str()),
        ),
        (
            "tags",
            Json::object(tags.map(|(name, value)| (name, value.clone()))),
        ),
        ("deleted_at", Json::from(feature.deleted_at)),
    ]))
}

/// Rows of new or stale, with the columns that both programs promise.
fn expected(rows: &Rows) -> Outcome<Json> {
    let of_the_program =
        |name: &str| name.starts_with(columns::SYSTEM_PREFIX) || name.starts_with("__");
    values::described(rows, |name| {
        VERSIONS.contains(&name) || !of_the_program(name)
    })
}

fn stored(rows: &Rows) -> Outcome<Json> {
    values::described(rows, |name| !name.starts_with("__"))
}

/// Each row `count` times, numbered from 0 in `column`.
fn expanded(rows: &RecordBatch, expand: &Json) -> Outcome<RecordBatch> {
    let count: u64 = match expand.get("count") {
        Some(Json::Int(digits)) => digits.parse().map_err(|_| "the count is too large")?,
        _ => return Err("an expansion has a count".into()),
    };
    let numbers =
        || (0..rows.num_rows() as u64).flat_map(|row| (0..count).map(move |number| (row, number)));
    let taken: UInt64Array = numbers().map(|(row, _)| row).collect();
    let taken = take_record_batch(rows, &taken).map_err(|e| e.to_string())?;
    let numbers: Vec<Json> = numbers()
        .map(|(_, number)| Json::Int(number.to_string()))
        .collect();
    let kind = values::type_of("i64")?;
    let numbers = values::column(&kind, &numbers.iter().collect::<Vec<_>>())?;
    with_column(
        &taken,
        Field::new(text_of(expand, "column")?, kind, true),
        numbers,
    )
}

/// One row per ID.
fn unique(rows: &RecordBatch, ids: &[String]) -> Outcome<RecordBatch> {
    let mut keys = vec![String::new(); rows.num_rows()];
    for id in ids {
        let column = rows
            .column_by_name(id)
            .ok_or_else(|| format!("there is no column {id:?}"))?;
        for (key, cell) in keys.iter_mut().zip(cells(column)?) {
            key.push_str(&cell.to_python_dumps(true));
        }
    }
    let mut seen = HashSet::new();
    let kept = keys.iter().enumerate().filter(|(_, key)| seen.insert(*key));
    let kept: UInt64Array = kept.map(|(row, _)| row as u64).collect();
    take_record_batch(rows, &kept).map_err(|e| e.to_string())
}

fn with_column(
    rows: &RecordBatch,
    field: Field,
    array: arrow::array::ArrayRef,
) -> Outcome<RecordBatch> {
    let mut fields = rows.schema().fields().to_vec();
    fields.push(Arc::new(field));
    let mut arrays = rows.columns().to_vec();
    arrays.push(array);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(|e| e.to_string())
}

fn feature(step: &Json) -> Outcome<FeatureKey> {
    FeatureKey::new(text_of(step, "feature")?).map_err(described)
}

fn filters(step: &Json, name: &str) -> Outcome<Vec<Expr>> {
    if step.get(name).is_some_and(|found| !found.is_null()) {
        list(step, name)?;
    }
    let texts = texts(step, name).into_iter();
    texts
        .map(|text| Expr::parse(text).map_err(described))
        .collect()
}
