//! What is expected of copies, and of reads after them, where the reference is not followed.

use std::collections::BTreeSet;

use metaxy_store::columns;
use metaxy_store::json::Json;
use metaxy_store::{FeatureKey, ReadOptions, WriteOptions};

use super::super::arguments::{at, filters, shown};
use super::super::file::{Outcome, flag, text, texts};
use super::super::rows::{Difference, Row};
use super::answer::Answer;
use super::expectations::sample;
use super::world::World;

impl World<'_> {
    /// What a copy would do: each feature read and written.
    pub(super) async fn copy_by_hand(&self, step: &Json) -> Outcome {
        let (source, target) = (
            self.store(text(step, "from_store")?)?,
            self.store(text(step, "store")?)?,
        );
        let mut counts = [0, 0];
        for feature in self.copied(step) {
            let read = self.read_of_copy(step, false)?;
            let Ok(read) = source.read(&feature, read).await else {
                continue;
            };
            let rows = read.collect().await.map_err(shown)?;
            if rows.is_empty() {
                continue;
            }
            counts[0] += 1;
            counts[1] += rows.num_rows();
            let options = WriteOptions::default()
                .with_preserve_feature_version(true)
                .with_at(at(step)?);
            target
                .write_with(&feature, rows, options)
                .await
                .map_err(shown)?;
        }
        Answer::expected(step)?.check(&copied(counts))
    }

    /// The features that a copy takes.
    pub(super) fn copied(&self, step: &Json) -> Vec<FeatureKey> {
        if step.get("features").is_some_and(|keys| !keys.is_null()) {
            let given = texts(step, "features");
            return given
                .into_iter()
                .filter_map(|key| FeatureKey::new(key).ok())
                .collect();
        }
        let ours = |project: &str| self.project.as_deref().is_none_or(|own| own == project);
        let definitions = self.graph.definitions().filter(|d| ours(&d.project));
        definitions.map(|d| d.key().clone()).collect()
    }

    pub(super) fn read_of_copy(&self, step: &Json, deleted: bool) -> Outcome<ReadOptions> {
        let history = step.get("with_feature_history") != Some(&Json::Bool(false));
        Ok(ReadOptions::default()
            .with_local_only(true)
            .with_filters(filters(step, "global_filters")?)
            .with_feature_history(history)
            .with_sample_history(flag(step, "with_sample_history"))
            .with_soft_deleted(deleted))
    }

    /// What a copy should answer, told by reads of the source.
    pub(super) async fn counts_of_copy(&self, step: &Json) -> Outcome<Answer> {
        let source = self.store(text(step, "from_store")?)?;
        let deleted = flag(step, "with_sample_history");
        let mut counts = [0, 0];
        for feature in self.copied(step) {
            let Ok(read) = source
                .read(&feature, self.read_of_copy(step, deleted)?)
                .await
            else {
                continue;
            };
            let rows = read.collect().await.map_err(shown)?;
            counts[0] += usize::from(!rows.is_empty());
            counts[1] += rows.num_rows();
        }
        Ok(copied(counts))
    }

    /// Copied rows with their times and tombstones.
    pub(super) async fn history(&self, step: &Json, found: &Answer) -> Outcome {
        if text(step, "op")? == "copy" {
            return self.counts_of_copy(step).await?.check(found);
        }
        let times = [columns::UPDATED_AT];
        let plain = |answer: Answer| answer.without(&times);
        let expected = plain(Answer::expected(step)?);
        let difference = Difference::between(expected.only(), plain(found.clone()).only());
        let feature = self.feature(text(step, "feature")?)?;
        let ids = self.ids(&feature)?;
        let kept = self.kept(text(step, "store")?, &feature).await;
        let deleted = |row: &Row| row.get(columns::DELETED_AT).is_some_and(|at| !at.is_null());
        let deleted: BTreeSet<String> = kept
            .unwrap_or_default()
            .into_iter()
            .filter(deleted)
            .map(|row| sample(&row, &ids))
            .collect();
        let revived = |row: &Row| deleted.contains(&sample(row, &ids));
        match difference.unexpected.is_empty() && difference.missing.iter().all(revived) {
            true => Ok(()),
            false => Err(format!("rows:{difference}")),
        }
    }
}

/// What a copy answers.
fn copied([features, rows]: [usize; 2]) -> Answer {
    Answer::value(Json::object([
        ("features_copied", Json::from(features)),
        ("rows_copied", Json::from(rows)),
    ]))
}
