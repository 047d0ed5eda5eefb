//! What is expected of rebases, and of snapshots, where the reference is not followed.

use std::collections::HashMap;

use metaxy_store::columns;
use metaxy_store::json::Json;
use metaxy_store::{MetadataStore, ResolveOptions};

use super::super::arguments::shown;
use super::super::file::{Outcome, size, text, texts};
use super::super::rows::{Row, Shown, rows, without};
use super::answer::Answer;
use super::expectations::sample;
use super::world::World;

impl World<'_> {
    /// The rows of the frame with the provenance that a resolve gives what they come from.
    pub(super) async fn rebased(
        &self,
        store: &MetadataStore,
        step: &Json,
        found: &Answer,
    ) -> Outcome {
        let feature = self.feature(text(step, "feature")?)?;
        let everything = ResolveOptions::default().with_skip_comparison(true);
        let resolved = store
            .resolve_update(&feature, everything)
            .await
            .map_err(shown)?;
        let resolved = rows(&resolved.new, Shown::Increment)?;
        let mut ids = self.ids(&feature)?;
        ids.retain(|id| resolved.first().is_none_or(|row| row.contains_key(id)));
        let provenance: HashMap<String, &Row> = resolved
            .iter()
            .map(|row| (sample(row, &ids), row))
            .collect();
        let from = self
            .frames
            .get(&size(step, "from")?)
            .ok_or("there is no frame to rebase")?;
        let version = store.graph().feature_version(&feature).map_err(shown)?;
        let mut expected = Vec::new();
        for mut row in rows(from, Shown::Read { deleted: false })? {
            let Some(parent) = provenance.get(&sample(&row, &ids)) else {
                continue;
            };
            for name in [columns::PROVENANCE, columns::PROVENANCE_BY_FIELD] {
                row.insert(name.into(), parent.get(name).cloned().unwrap_or_default());
            }
            row.insert(columns::FEATURE_VERSION.into(), Json::from(version));
            expected.push(row);
        }
        // What is done about data versions other steps tell; so do they about the other system columns.
        let mut others = vec![columns::DATA_VERSION, columns::DATA_VERSION_BY_FIELD];
        others.extend(texts(step, "show"));
        let found = without(found.only().to_vec(), &others);
        Answer::rows(without(expected, &others)).check(&Answer::rows(found))
    }

    pub(super) async fn rebased_to_snapshot(&self, step: &Json, found: &Answer) -> Outcome {
        let store = self.store(text(step, "store")?)?;
        if text(step, "op")? == "load_graph" {
            let value = found.value.as_ref().and_then(Json::as_object);
            let mut features = value.into_iter().flatten();
            return match features.find(|(_, feature)| feature.get("error").is_some()) {
                Some((key, _)) => Err(format!("{key} has no version")),
                None => Ok(()),
            };
        }
        let feature = self.feature(text(step, "feature")?)?;
        let version = text(step, "to_feature_version")?;
        for snapshot in store.snapshots(None).await.map_err(shown)? {
            let graph = store
                .load_graph(Some(&snapshot.project_version), Some(&snapshot.project))
                .await
                .map_err(shown)?;
            let graph = graph.filter(|graph| graph.feature_version(&feature).ok() == Some(version));
            if let Some(graph) = graph {
                return self.rebased(&store.with_graph(graph), step, found).await;
            }
        }
        Err(format!("no snapshot has version {version}"))
    }
}
