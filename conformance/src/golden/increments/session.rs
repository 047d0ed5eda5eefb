//! One scenario's store, and the steps on it.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::DateTime;
use metaxy_store::backend::Backend;
use metaxy_store::definition::FeatureDefinition;
use metaxy_store::json::Json;
use metaxy_store::spec::FeatureSpec;
use metaxy_store::{
    DeleteOptions, Expr, FeatureGraph, FeatureKey, Increment, MetadataStore, ReadOptions,
    ResolveOptions, Rows, WriteOptions,
};

use super::super::factory::StoreRequest;
use super::super::file::{Outcome, flag, members, opt_text, size, text, texts};
use super::super::frame::frame;
use super::super::rows::{Row, Shown, rows};

/// What a step gave.
pub(super) enum Found {
    Nothing,
    Rows(Vec<Row>),
    /// New, stale and orphaned rows.
    Increment([Vec<Row>; 3]),
}

/// A store with the graph of the moment.
pub(super) struct Session {
    store: MetadataStore,
    project: String,
    truncation_length: usize,
    /// Features that the graph does not take, and why.
    refused: HashMap<String, String>,
    /// Increments by the step that resolved them.
    increments: HashMap<usize, Increment>,
}

impl Session {
    pub(super) fn new(
        backend: Arc<dyn Backend>,
        request: &StoreRequest,
        project: &str,
    ) -> Outcome<Self> {
        let store = MetadataStore::builder(backend)
            .with_name("golden")
            .with_hash_algorithm(request.algorithm)
            .with_project(Some(project));
        Ok(Self {
            store: store.build().map_err(|e| e.to_string())?,
            project: project.to_owned(),
            truncation_length: request.truncation_length,
            refused: HashMap::new(),
            increments: HashMap::new(),
        })
    }

    /// Replaces the graph; the store is kept. A feature that is refused fails in the steps that use it.
    pub(super) fn define(&mut self, specs: &[Json]) -> Outcome {
        let graph = FeatureGraph::new().with_truncation_length(self.truncation_length);
        let mut graph = graph.map_err(|e| e.to_string())?;
        self.refused.clear();
        for spec in specs {
            let added = FeatureSpec::from_value(spec)
                .and_then(|spec| graph.add(FeatureDefinition::new(spec, self.project.clone())));
            if let Err(error) = added {
                self.refused
                    .insert(text(spec, "key")?.to_owned(), error.to_string());
            }
        }
        self.store = self.store.with_graph(graph);
        Ok(())
    }

    /// Does one step. An error is what the store said.
    pub(super) async fn step(&mut self, index: usize, step: &Json) -> Outcome<Found> {
        let name = text(step, "feature")?;
        if let Some(why) = self.refused.get(name) {
            return Err(why.clone());
        }
        let feature = FeatureKey::new(name).map_err(|e| e.to_string())?;
        match text(step, "op")? {
            "write" => {
                let rows = frame(step)?;
                self.write(&feature, rows.into(), step).await
            }
            "write_increment" => {
                let from = size(step, "from")?;
                let increment = self.increments.get(&from);
                let increment =
                    increment.ok_or_else(|| format!("step {from} gave no increment"))?;
                let rows = match text(step, "part")? {
                    "new" => increment.new.clone(),
                    "stale" => increment.stale.clone(),
                    "both" => increment.new_and_stale(),
                    other => return Err(format!("unknown part {other:?}")),
                };
                self.write(&feature, rows, step).await
            }
            "resolve" => {
                let increment = self.resolve(&feature, step).await?;
                let part = |part| rows(part, Shown::Increment);
                let found = [
                    part(&increment.new)?,
                    part(&increment.stale)?,
                    part(&increment.orphaned)?,
                ];
                self.increments.insert(index, increment);
                Ok(Found::Increment(found))
            }
            "read" => self.read(&feature, step).await,
            "delete" => self.delete(&feature, step).await,
            other => Err(format!("unknown op {other:?}")),
        }
    }

    async fn write(&self, feature: &FeatureKey, rows: Rows, step: &Json) -> Outcome<Found> {
        let options = WriteOptions::default().with_at(at(step)?);
        let written = self.store.write_with(feature, rows, options).await;
        written.map(|_| Found::Nothing).map_err(shown)
    }

    async fn resolve(&self, feature: &FeatureKey, step: &Json) -> Outcome<Increment> {
        let mut options = ResolveOptions::default()
            .with_global_filters(filters(step, "global_filters")?)
            .with_target_filters(filters(step, "target_filters")?)
            .with_staleness_predicates(filters(step, "staleness_predicates")?)
            .with_skip_comparison(flag(step, "skip_comparison"));
        for (of, _) in members(step, "filters") {
            let of_feature = FeatureKey::new(of).map_err(shown)?;
            let own = step.get("filters").unwrap_or(&Json::Null);
            options = options.with_filters(of_feature, filters(own, of)?);
        }
        if let Some(samples) = step.get("samples").filter(|samples| !samples.is_null()) {
            options = options.with_samples(frame(samples)?);
        }
        self.store
            .resolve_update(feature, options)
            .await
            .map_err(shown)
    }

    async fn read(&self, feature: &FeatureKey, step: &Json) -> Outcome<Found> {
        let given = step.get("options").unwrap_or(&Json::Null);
        let deleted = flag(given, "include_soft_deleted");
        let mut options = ReadOptions::default()
            .with_filters(filters(given, "filters")?)
            .with_feature_history(flag(given, "with_feature_history"))
            .with_sample_history(flag(given, "with_sample_history"))
            .with_soft_deleted(deleted);
        if let Some(version) = opt_text(given, "feature_version") {
            options = options.with_feature_version(version);
        }
        let mut columns = Shown::Read { deleted };
        if given
            .get("columns")
            .is_some_and(|columns| !columns.is_null())
        {
            options = options.with_columns(texts(given, "columns"));
            columns = Shown::Asked;
        }
        let read = self.store.read(feature, options).await.map_err(shown)?;
        let read = read.collect().await.map_err(shown)?;
        Ok(Found::Rows(rows(&read, columns)?))
    }

    async fn delete(&self, feature: &FeatureKey, step: &Json) -> Outcome<Found> {
        let options = match flag(step, "soft") {
            true => DeleteOptions::soft(),
            false => DeleteOptions::hard(),
        };
        let options = options
            .with_filters(filters(step, "filters")?)
            .with_feature_history(flag(step, "with_feature_history"))
            .with_sample_history(flag(step, "with_sample_history"))
            .with_at(at(step)?);
        let deleted = self.store.delete(feature, options).await;
        deleted.map(|_| Found::Nothing).map_err(shown)
    }
}

fn filters(value: &Json, name: &str) -> Outcome<Vec<Expr>> {
    texts(value, name)
        .into_iter()
        .map(|filter| Expr::parse(filter).map_err(shown))
        .collect()
}

fn at(step: &Json) -> Outcome<i64> {
    let at = text(step, "at")?;
    let parsed = DateTime::parse_from_rfc3339(at).map_err(|e| format!("{at}: {e}"))?;
    Ok(parsed.timestamp_micros())
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "it is what map_err hands over"
)]
fn shown(error: metaxy_store::Error) -> String {
    error.to_string()
}
