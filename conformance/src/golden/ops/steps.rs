//! Doing a step.

use indexmap::IndexMap;
use metaxy_store::json::Json;
use metaxy_store::store::{CopyOptions, RebaseOptions, StatusCategory, StatusOptions};
use metaxy_store::{
    Access, FeatureGraph, FeatureKey, Frame, Increment, MetadataStore, Rows, WriteOptions,
};

use super::super::arguments::{self, at, filters, shown};
use super::super::file::{Outcome, flag, list, members, opt_text, size, text, texts};
use super::super::frame::frame;
use super::super::rows::{Shown, rows, rows_with, time};
use super::answer::{Answer, PARTS};
use super::world::World;

impl World<'_> {
    /// Does one step. An error is what the store said.
    pub(super) async fn step(&mut self, index: usize, step: &Json) -> Outcome<Answer> {
        if step.get("at").is_some() {
            self.set_clock(at(step)?);
        }
        let op = text(step, "op")?;
        if op == "graph" {
            return graph_json(&self.graph).map(Answer::value);
        }
        if let Some(answer) = self.of_graph(step) {
            return answer;
        }
        if let Some(answer) = self.of_externals(step).await {
            return answer;
        }
        self.sync_first(step).await?;
        let store = self.opened(step)?;
        match op {
            "diff" => return self.diff(&store, step).await,
            "write_multi" => return self.write_multi(&store, step).await,
            "copy" => return self.copy(&store, step).await,
            "push" => {
                self.push_will_sync(step).await;
                return push(&store, step).await;
            }
            "snapshots" => return snapshots(&store, step).await,
            "features" => return self.features(&store, step).await,
            "latest_version" => {
                let latest = store.latest_project_version(opt_text(step, "project"));
                return latest.await.map(Answer::value).map_err(shown);
            }
            "load_graph" => {
                let (version, project) =
                    (opt_text(step, "project_version"), opt_text(step, "project"));
                let loaded = store.load_graph(version, project).await.map_err(shown)?;
                let loaded = loaded.ok_or("there is no such version")?;
                return graph_json(&loaded).map(Answer::value);
            }
            _ => {}
        }
        let feature = self.feature(text(step, "feature")?)?;
        self.on_feature(&store, &feature, index, step).await
    }

    async fn on_feature(
        &mut self,
        store: &MetadataStore,
        feature: &FeatureKey,
        index: usize,
        step: &Json,
    ) -> Outcome<Answer> {
        match text(step, "op")? {
            "write" => self.write(store, feature, frame(step)?.into(), step).await,
            "write_increment" => {
                let rows = arguments::increment_part(&self.increments, step)?;
                self.write(store, feature, rows.into(), step).await
            }
            "write_frame" => {
                let rows = self.frame_of(step, "from")?.clone();
                self.write(store, feature, rows.into(), step).await
            }
            "read" => self.read(store, feature, index, step).await,
            "resolve" => self.resolve(store, feature, index, step).await,
            "delete" => {
                let deleted = store.delete(feature, arguments::delete(step)?).await;
                deleted.map(|_| Answer::default()).map_err(shown)
            }
            "drop" => {
                let dropped = store.drop_feature(feature).await;
                dropped.map(|_| Answer::default()).map_err(shown)
            }
            "has_feature" => {
                let has = store
                    .has_feature(feature, flag(step, "check_fallback"))
                    .await;
                has.map(Answer::value).map_err(shown)
            }
            "find_store" => {
                let found = if flag(step, "check_fallback") {
                    store.find_store(feature).await.map_err(shown)?
                } else {
                    let here = store.has_feature(feature, false).await.map_err(shown)?;
                    here.then(|| store.clone())
                };
                Ok(Answer::value(found.map(|store| store.name().to_owned())))
            }
            "rebase" => {
                let mut options = RebaseOptions::default();
                if let Some(version) = opt_text(step, "to_feature_version") {
                    options = options.with_to_feature_version(version);
                }
                let from = self.frame_of(step, "from")?.clone();
                let rebased = store.rebase(feature, from, options).await.map_err(shown)?;
                self.keep(
                    index,
                    rebased.rows.into(),
                    step,
                    Shown::Read { deleted: false },
                )
                .await
            }
            "compute_provenance" => {
                let computed = store.compute_provenance(feature, frame(step)?);
                self.keep(index, computed.map_err(shown)?, step, Shown::Increment)
                    .await
            }
            "progress" => {
                let progress = store.progress(feature, arguments::resolve(step)?).await;
                Ok(Answer::value(
                    progress.map_err(shown)?.map_or(Json::Null, Json::Float),
                ))
            }
            "status" => status(store, feature, step).await.map(Answer::value),
            other => Err(format!("unknown op {other:?}")),
        }
    }

    /// The store of a step, open for what the step has it open for.
    fn opened(&self, step: &Json) -> Outcome<MetadataStore> {
        let name = text(step, "store")?;
        let reading = flag(step, "closed") && texts(step, "open").contains(&name);
        match reading {
            true => self.build(name, Access::Read),
            false => self.store(name),
        }
    }

    async fn write(
        &self,
        store: &MetadataStore,
        feature: &FeatureKey,
        rows: Frame,
        step: &Json,
    ) -> Outcome<Answer> {
        let written = store.write_with(feature, rows, write_options(step)?).await;
        written.map(|_| Answer::default()).map_err(shown)
    }

    async fn write_multi(&self, store: &MetadataStore, step: &Json) -> Outcome<Answer> {
        let mut writes: Vec<(FeatureKey, Frame)> = Vec::new();
        for write in list(step, "writes")? {
            writes.push((self.feature(text(write, "feature")?)?, frame(write)?.into()));
        }
        let order = store.write_multi(writes, write_options(step)?).await;
        let order: Json = order
            .map_err(shown)?
            .iter()
            .map(FeatureKey::as_str)
            .collect();
        Ok(Answer::value(Json::object([("order", order)])))
    }

    async fn read(
        &mut self,
        store: &MetadataStore,
        feature: &FeatureKey,
        index: usize,
        step: &Json,
    ) -> Outcome<Answer> {
        let given = step.get("options").unwrap_or(&Json::Null);
        let (options, columns) = arguments::read(given)?;
        let read = store.read_with_store(feature, options).await;
        let (read, owner) = read.map_err(shown)?;
        let mut answer = self.keep(index, read, step, columns).await?;
        if flag(given, "with_store_info") {
            answer.value = Some(Json::object([("store", Json::from(owner.name()))]));
        }
        Ok(answer)
    }

    async fn resolve(
        &mut self,
        store: &MetadataStore,
        feature: &FeatureKey,
        index: usize,
        step: &Json,
    ) -> Outcome<Answer> {
        let increment = self.increment(store, feature, step).await?;
        let answer = parts(&increment)?;
        self.increments.insert(index, increment);
        Ok(answer)
    }

    async fn increment(
        &self,
        store: &MetadataStore,
        feature: &FeatureKey,
        step: &Json,
    ) -> Outcome<Increment> {
        let mut options = arguments::resolve(step)?;
        if step.get("samples_from").is_some() {
            options = options.with_samples(self.frame_of(step, "samples_from")?.clone());
        }
        store.resolve_update(feature, options).await.map_err(shown)
    }

    /// What the resolve of a step would give in `store`.
    pub(super) async fn resolved_in(
        &self,
        store: &MetadataStore,
        feature: &FeatureKey,
        step: &Json,
    ) -> Outcome<Answer> {
        parts(&self.increment(store, feature, step).await?)
    }

    /// What the read of a step would give in `store`.
    pub(super) async fn read_in(
        &self,
        store: &MetadataStore,
        feature: &FeatureKey,
        step: &Json,
    ) -> Outcome<Answer> {
        let given = step.get("options").unwrap_or(&Json::Null);
        let (options, columns) = arguments::read(given)?;
        let read = store.read(feature, options).await.map_err(shown)?;
        let read = read.collect().await.map_err(shown)?;
        Ok(Answer::rows(rows_with(
            &read,
            columns,
            &texts(step, "show"),
        )?))
    }

    /// The rows that a step gave, kept for later steps.
    async fn keep(
        &mut self,
        index: usize,
        frame: Frame,
        step: &Json,
        columns: Shown,
    ) -> Outcome<Answer> {
        let found = frame.collect().await.map_err(shown)?;
        let answer = Answer::rows(rows_with(&found, columns, &texts(step, "show"))?);
        self.frames.insert(index, found);
        Ok(answer)
    }

    fn frame_of(&self, step: &Json, name: &str) -> Outcome<&Rows> {
        let from = size(step, name)?;
        self.frames
            .get(&from)
            .ok_or_else(|| format!("step {from} gave no frame"))
    }

    async fn copy(&self, store: &MetadataStore, step: &Json) -> Outcome<Answer> {
        let source = self.store(text(step, "from_store")?)?;
        let history = step.get("with_feature_history") != Some(&Json::Bool(false));
        let mut options = CopyOptions::default()
            .with_global_filters(filters(step, "global_filters")?)
            .with_feature_history(history)
            .with_sample_history(flag(step, "with_sample_history"))
            // As the reference copies.
            .with_append(true)
            .with_at(at(step)?);
        if step.get("features").is_some_and(|keys| !keys.is_null()) {
            let keys: Outcome<Vec<FeatureKey>> = texts(step, "features")
                .into_iter()
                .map(|key| self.feature(key))
                .collect();
            options = options.with_features(keys?);
        }
        let own = step.get("filters").unwrap_or(&Json::Null);
        for (of, _) in members(step, "filters") {
            options = options.with_filters(self.feature(of)?, filters(own, of)?);
        }
        let report = store.copy_from(&source, options).await.map_err(shown)?;
        Ok(Answer::value(Json::object([
            ("features_copied", Json::from(report.features_copied)),
            ("rows_copied", Json::from(report.rows_copied)),
        ])))
    }

    /// What was pushed of one project version, or of the graph as it is now; of each feature the last row.
    async fn features(&self, store: &MetadataStore, step: &Json) -> Outcome<Answer> {
        let mut project = opt_text(step, "project");
        let version = if flag(step, "current") {
            project = project.or(store.project());
            self.graph.project_version(project.ok_or("no project")?)
        } else {
            opt_text(step, "project_version").ok_or("no project version")?
        };
        let mut features: IndexMap<String, Json> = IndexMap::new();
        for pushed in store.pushed_features().await.map_err(shown)? {
            if pushed.project_version != version || project.is_some_and(|p| p != pushed.project) {
                continue;
            }
            let parsed = |text: &str| Json::parse(text).map_err(shown);
            let Json::Object(mut tags) = parsed(&pushed.tags)? else {
                return Err(format!("{} is no object", pushed.tags));
            };
            tags.shift_remove("metaxy");
            let row = Json::object([
                ("project", Json::from(pushed.project)),
                ("feature_key", Json::from(pushed.feature_key.as_str())),
                ("metaxy_feature_version", Json::from(pushed.feature_version)),
                (
                    "metaxy_definition_version",
                    Json::from(pushed.definition_version),
                ),
                ("metaxy_project_version", Json::from(pushed.project_version)),
                ("recorded_at", Json::from(time(pushed.recorded_at))),
                ("feature_class_path", Json::from(pushed.feature_class_path)),
                ("feature_spec", parsed(&pushed.feature_spec)?),
                ("feature_schema", parsed(&pushed.feature_schema)?),
                ("tags", Json::Object(tags)),
            ]);
            features.insert(pushed.feature_key.to_string(), row);
        }
        let rows: Vec<Json> = features.into_values().collect();
        Ok(Answer::rows(super::super::rows::golden(&rows)?))
    }
}

fn parts(increment: &Increment) -> Outcome<Answer> {
    let found = [&increment.new, &increment.stale, &increment.orphaned];
    let mut answer = Answer::default();
    for (name, part) in PARTS.into_iter().zip(found) {
        answer.parts.push((name, rows(part, Shown::Increment)?));
    }
    Ok(answer)
}

fn write_options(step: &Json) -> Outcome<WriteOptions> {
    let mut options = WriteOptions::default()
        .with_at(at(step)?)
        .with_preserve_feature_version(flag(step, "preserve_feature_version"));
    if let Some(id) = opt_text(step, "materialization_id") {
        options = options.with_materialization_id(id);
    }
    Ok(options)
}

async fn push(store: &MetadataStore, step: &Json) -> Outcome<Answer> {
    let tags: IndexMap<String, String> = members(step, "tags")
        .filter_map(|(name, value)| Some((name.to_owned(), value.as_str()?.to_owned())))
        .collect();
    let pushed = store.push_graph(opt_text(step, "project"), &tags).await;
    let pushed = pushed.map_err(shown)?;
    let mut updated: Vec<&str> = pushed
        .updated_features
        .iter()
        .map(FeatureKey::as_str)
        .collect();
    updated.sort_unstable();
    Ok(Answer::value(Json::object([
        ("project_version", Json::from(pushed.project_version)),
        ("already_pushed", Json::from(pushed.already_pushed)),
        ("updated_features", Json::from(updated)),
    ])))
}

pub(super) async fn snapshots(store: &MetadataStore, step: &Json) -> Outcome<Answer> {
    let found = store.snapshots(opt_text(step, "project")).await;
    let found: Json = found
        .map_err(shown)?
        .into_iter()
        .map(|snapshot| {
            Json::object([
                ("project_version", Json::from(snapshot.project_version)),
                ("recorded_at", Json::from(time(snapshot.recorded_at))),
                ("feature_count", Json::from(snapshot.features)),
            ])
        })
        .collect();
    Ok(Answer::value(found))
}

async fn status(store: &MetadataStore, feature: &FeatureKey, step: &Json) -> Outcome<Json> {
    let options = StatusOptions::default()
        .with_global_filters(filters(step, "global_filters")?)
        .with_target_filters(filters(step, "target_filters")?)
        .with_staleness_predicates(filters(step, "staleness_predicates")?)
        .with_use_fallback(step.get("use_fallback") != Some(&Json::Bool(false)))
        .with_progress(flag(step, "compute_progress"));
    let status = store.status(feature, options).await.map_err(shown)?;
    let root = status.category == StatusCategory::Root
        || store
            .graph()
            .require(feature)
            .map_err(shown)?
            .spec
            .deps()
            .is_empty();
    let count = |part: fn(&metaxy_store::store::Counts) -> u64| {
        Json::from(status.counts.as_ref().map(part))
    };
    let update = status.counts.is_some_and(|counts| !counts.is_empty());
    Ok(Json::object([
        ("feature_key", Json::from(feature.as_str())),
        ("status", Json::from(status.category.as_str())),
        ("needs_update", Json::from(update)),
        ("metadata_exists", Json::from(status.store.is_some())),
        ("store_rows", Json::from(status.samples)),
        ("missing", count(|counts| counts.new)),
        ("stale", count(|counts| counts.stale)),
        ("orphaned", count(|counts| counts.orphaned)),
        ("target_version", Json::from(status.feature_version)),
        ("is_root_feature", Json::from(root)),
        (
            "progress_percentage",
            status.progress.map_or(Json::Null, Json::Float),
        ),
    ]))
}

/// A graph as golden files have it.
pub(super) fn graph_json(graph: &FeatureGraph) -> Outcome<Json> {
    let mut features = Vec::new();
    for definition in graph.definitions() {
        let key = definition.key();
        let version = graph.definition_version(key).map_err(shown)?;
        let mut members = vec![
            ("external", Json::from(definition.is_external())),
            ("project", Json::from(definition.project.as_str())),
            ("definition_version", Json::from(version)),
        ];
        match graph.feature_version(key) {
            Ok(version) => {
                let fields = graph.field_versions(key).map_err(shown)?;
                let fields = fields
                    .iter()
                    .map(|(field, version)| (field.as_str(), Json::from(version.as_str())));
                members.push(("feature_version", Json::from(version)));
                members.push(("version_by_field", Json::object(fields)));
            }
            Err(error) => {
                let name = match error.kind() {
                    metaxy_store::ErrorKind::FeatureNotFound => "MetaxyMissingFeatureDependency",
                    _ => "another error",
                };
                members.push(("error", Json::from(name)));
            }
        }
        features.push((key.as_str(), Json::object(members)));
    }
    Ok(Json::object(features))
}
