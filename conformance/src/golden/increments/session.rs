//! One scenario's store, and the steps on it.

use std::collections::HashMap;
use std::sync::Arc;

use metaxy_store::backend::Backend;
use metaxy_store::definition::FeatureDefinition;
use metaxy_store::json::Json;
use metaxy_store::spec::FeatureSpec;
use metaxy_store::{FeatureGraph, FeatureKey, Increment, MetadataStore, Rows, WriteOptions};

use super::super::arguments::{self, at, shown};
use super::super::factory::StoreRequest;
use super::super::file::{Outcome, text};
use super::super::frame::frame;
use super::super::rows::{Row, Shown, rows};

/// What a step gave.
pub(super) enum Found {
    Nothing,
    Rows(Vec<Row>),
    /// New, stale and orphaned rows, and whether an upstream has rows of other versions only.
    Increment([Vec<Row>; 3], bool),
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
                let rows = arguments::increment_part(&self.increments, step)?;
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
                let waits = !increment.waits_for.is_empty();
                self.increments.insert(index, increment);
                Ok(Found::Increment(found, waits))
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
        let options = arguments::resolve(step)?;
        self.store
            .resolve_update(feature, options)
            .await
            .map_err(shown)
    }

    async fn read(&self, feature: &FeatureKey, step: &Json) -> Outcome<Found> {
        let (options, columns) = arguments::read(step.get("options").unwrap_or(&Json::Null))?;
        let read = self.store.read(feature, options).await.map_err(shown)?;
        let read = read.collect().await.map_err(shown)?;
        Ok(Found::Rows(rows(&read, columns)?))
    }

    async fn delete(&self, feature: &FeatureKey, step: &Json) -> Outcome<Found> {
        let deleted = self.store.delete(feature, arguments::delete(step)?).await;
        deleted.map(|_| Found::Nothing).map_err(shown)
    }
}
