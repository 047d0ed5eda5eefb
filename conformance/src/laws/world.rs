//! A store and the model beside it: what is done to one is done to the other.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use metaxy_store::{
    Access, DeleteOptions, ErrorKind, Expr, FeatureKey, Frame, HashAlgorithm, Increment,
    MetadataStore, ReadOptions, ResolveOptions, Result, Rows, col,
};

use super::generate::{History, Operation};
use super::model::{Feature, Graph, Id, Model, Sample};
use super::seen::{Seen, SeenParts, same, sorted};
use super::translate::{INTEGERS, TEXTS, by_field, definitions, in_batches, versions};
use crate::bed::TestBed;
use crate::bed::frames::{Table, everything, frame, ints, read, texts};
use crate::bed::graphs::key;
use crate::outcome::{Outcome, Stop, check_eq, refused};

/// A store, and what it should be like.
pub(super) struct World<'a> {
    pub bed: &'a TestBed,
    pub store: MetadataStore,
    pub model: Model,
}

impl<'a> World<'a> {
    /// A new store, empty, over the graph.
    pub(super) async fn new(bed: &'a TestBed, name: &str, graph: &Graph) -> Outcome<Self> {
        let backend = bed.backend(name, Access::Write).await?;
        // Asked before the store is built, which would be refused.
        let known = backend.capabilities().hash_algorithms;
        if !known.contains(&HashAlgorithm::Md5) {
            return Err(Stop::ignored(
                "the model hashes with MD5, which the backend does not",
            ));
        }
        let builder = bed.over(backend).with_name(name);
        let builder = builder.with_hash_algorithm(HashAlgorithm::Md5);
        let store = builder.with_graph(definitions(graph)?).build()?;
        Ok(Self {
            bed,
            store,
            model: Model::new(graph.clone()),
        })
    }

    /// A new store after all of a history.
    pub(super) async fn after(bed: &'a TestBed, name: &str, history: &History) -> Outcome<Self> {
        let mut world = Self::new(bed, name, &history.graph).await?;
        for operation in &history.operations {
            world.play(operation).await?;
        }
        Ok(world)
    }

    /// The key of a feature.
    pub(super) fn key(&self, feature: usize) -> Result<FeatureKey> {
        key(self.model.graph.features[feature].name)
    }

    /// The features that have upstreams.
    pub(super) fn dependents(&self) -> Vec<usize> {
        let features = self.model.graph.features.iter().enumerate();
        features
            .filter(|(_, f)| !f.deps.is_empty())
            .map(|(i, _)| i)
            .collect()
    }

    /// Does to both what the operation says; what the store has to refuse changes neither.
    pub(super) async fn play(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Write {
                feature,
                samples,
                batches,
            } => {
                self.write(*feature, samples, *batches).await?;
            }
            Operation::Apply {
                feature,
                children,
                data,
            } => {
                self.apply(*feature, *children, data.as_deref()).await?;
            }
            Operation::Redefine {
                feature,
                field,
                code,
            } => {
                self.model.graph.features[*feature].fields[*field].code = *code;
                let definitions = definitions(&self.model.graph)?;
                self.store = self.store.with_graph(definitions);
            }
            Operation::Delete {
                feature,
                xs,
                part,
                hard,
                of_all_versions,
            } => {
                self.delete(*feature, xs, *part, *hard, *of_all_versions)
                    .await?;
            }
            Operation::Drop { feature } => {
                self.store.drop_feature(&self.key(*feature)?).await?;
                self.model.drop_table(*feature);
            }
            Operation::TurnBackClock => {
                let clock = self.bed.clock();
                clock.set(clock.peek() - 3_600_000_000);
            }
        }
        Ok(())
    }

    /// Resolves a feature and does what the increment says: writes new and stale samples, deletes orphaned ones.
    pub(super) async fn apply(
        &mut self,
        feature: usize,
        children: usize,
        data: Option<&str>,
    ) -> Outcome {
        let key = self.key(feature)?;
        let resolved = self
            .store
            .resolve_update(&key, ResolveOptions::default())
            .await;
        let Some(parts) = self.model.increment(feature) else {
            refused(resolved, ErrorKind::FeatureNotFound)?;
            return Ok(());
        };
        let increment = resolved?;
        let graph = &self.model.graph;
        let of = &graph.features[feature];
        let expands = of.parts && !graph.identified_by_parts(feature);
        let data = data.map(|data| vec![data.to_owned(); of.fields.len()]);
        let samples = |rows: Vec<(Id, Vec<String>)>| -> Vec<Sample> {
            let sample = |id: Id, provenance: &Vec<String>| Sample {
                id,
                provenance: provenance.clone(),
                data: data.clone(),
            };
            let each = rows.iter().flat_map(|(id, provenance)| match expands {
                true => (0..children)
                    .map(|y| sample(Id { y: Some(y), ..*id }, provenance))
                    .collect(),
                false => vec![sample(*id, provenance)],
            });
            each.collect()
        };
        let rows: Frame = if expands || data.is_some() {
            let todo = self
                .seen(
                    feature,
                    &increment.new_and_stale(),
                    graph.identified_by_parts(feature),
                )
                .await?;
            let todo = todo
                .into_iter()
                .map(|row| (row.id, row.provenance.by_field))
                .collect();
            self.frame(of, &samples(todo))?.into()
        } else {
            increment.new_and_stale().into()
        };
        let todo = parts.new.into_iter().chain(parts.stale);
        let todo = samples(todo.map(|row| (row.id, row.provenance.by_field)).collect());
        // Whoever has nothing to write does not write.
        if !increment.new_and_stale().is_empty() {
            self.store.write(&key, rows).await?;
        }
        if !todo.is_empty() {
            self.model.write(feature, &todo);
        }
        self.store.delete_rows(&key, increment.orphaned).await?;
        self.model.mark_deleted(feature, parts.orphaned);
        Ok(())
    }

    /// Writes samples to both, as so many batches.
    pub(super) async fn write(
        &mut self,
        feature: usize,
        samples: &[Sample],
        batches: usize,
    ) -> Outcome {
        let rows = self.frame(&self.model.graph.features[feature], samples)?;
        self.store
            .write(&self.key(feature)?, in_batches(&rows, batches))
            .await?;
        self.model.write(feature, samples);
        Ok(())
    }

    /// Writes samples in another order, in some writes and batches, after older versions of some of them.
    pub(super) async fn write_scattered(
        &mut self,
        feature: usize,
        samples: &[Sample],
        pick: usize,
    ) -> Outcome {
        let mut scattered: Vec<(usize, Sample)> = samples.iter().cloned().enumerate().collect();
        scattered.sort_by_key(|(i, _)| (i + 1).wrapping_mul(pick | 1) % 17);
        let scattered: Vec<Sample> = scattered.into_iter().map(|(_, sample)| sample).collect();
        let older = scattered.iter().step_by(2).map(|sample| Sample {
            provenance: vec!["older".into(); sample.provenance.len()],
            data: None,
            ..*sample
        });
        let older: Vec<Sample> = older.collect();
        self.write(feature, &older, 1).await?;
        for write in scattered.chunks(1 + pick % 5) {
            self.write(feature, write, 1 + pick % 3).await?;
        }
        Ok(())
    }

    async fn delete(
        &mut self,
        feature: usize,
        xs: &[i64],
        part: Option<usize>,
        hard: bool,
        of_all_versions: bool,
    ) -> Outcome {
        if hard && !self.store.capabilities().hard_delete {
            return Ok(());
        }
        let mut filters = vec![col("x").is_in(xs.iter().copied())];
        if let Some(part) = part {
            filters.push(match self.model.graph.text_parts {
                true => col("y").eq(TEXTS[part]),
                false => col("y").eq(INTEGERS[part]),
            });
        }
        let which = |id: Id| xs.contains(&id.x) && part.is_none_or(|part| id.y == Some(part));
        let options = if hard {
            DeleteOptions::hard()
        } else {
            DeleteOptions::soft()
        };
        let options = options
            .with_filters(filters)
            .with_feature_history(of_all_versions);
        let deleted = self.store.delete(&self.key(feature)?, options).await;
        if hard {
            deleted?;
            self.model.remove(feature, of_all_versions, which);
        } else if self.model.has_table(feature) {
            deleted?;
            let mut rows = self.model.read(feature, of_all_versions);
            rows.retain(|row| which(row.id));
            self.model.mark_deleted(feature, rows);
        } else {
            refused(deleted, ErrorKind::FeatureNotFound)?;
        }
        Ok(())
    }

    /// Deletes by values that rows of the history have, one after the other, in each way; fails if a row is seen that was not.
    pub(super) async fn delete_by_values(&self, feature: usize, pick: usize) -> Outcome {
        let key = self.key(feature)?;
        let name = self.model.graph.features[feature].name;
        let history = read(&self.store, name, everything()).await?;
        let mut filters = vec![col("metaxy_deleted_at").is_not_null()];
        for column in ["metaxy_provenance", "metaxy_feature_version"] {
            let values: BTreeSet<String> = history.words(column)?.into_iter().collect();
            filters.extend(values.into_iter().map(|value| col(column).eq(value)));
        }
        let mut kinds = vec![
            DeleteOptions::soft(),
            DeleteOptions::soft().with_sample_history(true),
        ];
        if self.store.capabilities().hard_delete {
            kinds.extend([DeleteOptions::hard(), DeleteOptions::hard()]);
        }
        let turn = pick % filters.len();
        filters.rotate_left(turn);
        for (i, filter) in filters.into_iter().take(4).enumerate() {
            let kind = kinds[(pick / 7 + i) % kinds.len()].clone();
            let all = (pick / 3 + i).is_multiple_of(3);
            let options = kind
                .with_feature_history(all)
                .with_filters([filter.clone()]);
            let what = format!("a delete of {name} with {options:?}");
            let before = self.visible(feature).await?;
            let chosen = ReadOptions::default()
                .with_local_only(true)
                .with_feature_history(all)
                .with_filters([filter]);
            let chosen = read(&self.store, name, chosen).await?;
            let chosen = chosen.lines(&self.shown(feature))?;
            self.store.delete(&key, options).await?;
            let after = self.visible(feature).await?;
            // After a delete in one version the latest row over all may be one of another version.
            for (seen, rows) in after.iter().filter(|(seen, _)| all || seen.is_some()) {
                let were = before.get(seen).map(Vec::as_slice).unwrap_or_default();
                if let Some(row) = rows.iter().find(|row| !were.contains(row)) {
                    return Err(Stop::failed(format!(
                        "after {what} {seen:?} shows {row:?}, and before it showed {were:?}"
                    )));
                }
            }
            let seen = match all {
                true => None,
                false => Some(self.store.graph().feature_version(name)?.to_owned()),
            };
            let mut expected = before.get(&seen).cloned().unwrap_or_default();
            expected.retain(|row| !chosen.contains(row));
            let found = after.get(&seen).cloned().unwrap_or_default();
            check_eq(found, expected, format!("what is left after {what}"))?;
        }
        Ok(())
    }

    /// The columns that tell rows of a feature apart.
    fn shown(&self, feature: usize) -> Vec<&'static str> {
        let own = [
            "metaxy_feature_version",
            "metaxy_provenance",
            "metaxy_updated_at",
        ];
        let ids = match self.model.graph.features[feature].parts {
            true => &["x", "y"][..],
            false => &["x"],
        };
        ids.iter().copied().chain(own).collect()
    }

    /// What a read shows of a feature, of each feature version that is stored, and under `None` the latest over all.
    async fn visible(&self, feature: usize) -> Outcome<BTreeMap<Option<String>, Vec<String>>> {
        let name = self.model.graph.features[feature].name;
        let versions = self.store.rows_by_version(&self.key(feature)?).await?;
        let mut visible = BTreeMap::new();
        for (version, _) in versions {
            let options = ReadOptions::default().with_feature_history(true);
            let options = match &version {
                Some(version) => options.with_feature_version(version),
                None => options,
            };
            let rows = read(&self.store, name, options).await?;
            visible.insert(version, rows.lines(&self.shown(feature))?);
        }
        let over_all = ReadOptions::default().with_feature_history(true);
        let rows = read(&self.store, name, over_all).await?;
        visible.insert(None, rows.lines(&self.shown(feature))?);
        Ok(visible)
    }

    /// Fails unless the current rows of every feature and the increment of every one that has upstreams are those of the model.
    pub(super) async fn agree(&self) -> Outcome {
        for (feature, of) in self.model.graph.features.iter().enumerate() {
            let expected = self
                .model
                .read(feature, false)
                .iter()
                .map(Seen::from)
                .collect();
            same(
                &self.read(feature).await?,
                &sorted(expected),
                &format!("rows of {}", of.name),
            )?;
        }
        for feature in self.dependents() {
            let found = self.resolve(feature, ResolveOptions::default()).await?;
            let expected = self.model.increment(feature).map(|parts| SeenParts {
                new: sorted(parts.new.iter().map(Seen::from).collect()),
                stale: sorted(parts.stale.iter().map(Seen::from).collect()),
                orphaned: sorted(parts.orphaned.iter().map(Seen::from).collect()),
            });
            let name = self.model.graph.features[feature].name;
            if let (Some(found), Some(expected)) = (found, expected) {
                found.same(&expected, name)?;
            }
        }
        Ok(())
    }

    /// The current rows of a feature, sorted; none if it has no table, which the store has to say.
    pub(super) async fn read(&self, feature: usize) -> Outcome<Vec<Seen>> {
        self.read_where(feature, Vec::new()).await
    }

    /// As [`read`](Self::read), of the rows that pass.
    pub(super) async fn read_where(
        &self,
        feature: usize,
        filters: Vec<Expr>,
    ) -> Outcome<Vec<Seen>> {
        let options = ReadOptions::default().with_filters(filters);
        let rows = self.store.read(&self.key(feature)?, options).await;
        if !self.model.has_table(feature) {
            refused(rows, ErrorKind::FeatureNotFound)?;
            return Ok(Vec::new());
        }
        let rows = rows?.collect().await?;
        self.seen(feature, &rows, self.model.graph.features[feature].parts)
            .await
    }

    /// The increment of a feature; `None` if an upstream that is needed was never written, which the store has to say.
    pub(super) async fn resolve(
        &self,
        feature: usize,
        options: ResolveOptions,
    ) -> Outcome<Option<SeenParts>> {
        let resolved = self
            .store
            .resolve_update(&self.key(feature)?, options)
            .await;
        if self.model.expected(feature).is_none() {
            refused(resolved, ErrorKind::FeatureNotFound)?;
            return Ok(None);
        }
        Ok(Some(self.parts(feature, &resolved?).await?))
    }

    /// The rows of each feature.
    pub(super) async fn rows(&self) -> Outcome<Vec<Vec<Seen>>> {
        let mut rows = Vec::new();
        for feature in 0..self.model.graph.features.len() {
            rows.push(self.read(feature).await?);
        }
        Ok(rows)
    }

    /// The increments of the features that have upstreams.
    pub(super) async fn increments(&self) -> Outcome<Vec<(usize, Option<SeenParts>)>> {
        let mut increments = Vec::new();
        for feature in self.dependents() {
            increments.push((
                feature,
                self.resolve(feature, ResolveOptions::default()).await?,
            ));
        }
        Ok(increments)
    }

    /// The parts of an increment as they compare.
    async fn parts(&self, feature: usize, increment: &Increment) -> Outcome<SeenParts> {
        let by_parts = self.model.graph.identified_by_parts(feature);
        let stored = self.model.graph.features[feature].parts;
        Ok(SeenParts {
            new: self.seen(feature, &increment.new, by_parts).await?,
            stale: self.seen(feature, &increment.stale, by_parts).await?,
            // A table that does not exist has no columns to show.
            orphaned: match increment.orphaned.is_empty() {
                true => Vec::new(),
                false => self.seen(feature, &increment.orphaned, stored).await?,
            },
        })
    }

    /// Samples as they are written.
    fn frame(&self, of: &Feature, samples: &[Sample]) -> Outcome<RecordBatch> {
        let mut columns = vec![("x", ints(samples.iter().map(|sample| sample.id.x)))];
        if of.parts {
            let parts = samples.iter().map(|sample| sample.id.y.unwrap_or_default());
            columns.push((
                "y",
                match self.model.graph.text_parts {
                    true => texts(parts.map(|part| TEXTS[part])),
                    false => ints(parts.map(|part| INTEGERS[part])),
                },
            ));
        }
        let provenance: Vec<_> = samples
            .iter()
            .map(|sample| Some(&sample.provenance))
            .collect();
        columns.push(("metaxy_provenance_by_field", by_field(of, &provenance)?));
        let data: Vec<_> = samples.iter().map(|sample| sample.data.as_ref()).collect();
        if data.iter().any(Option::is_some) {
            columns.push(("metaxy_data_version_by_field", by_field(of, &data)?));
        }
        Ok(frame(columns)?)
    }

    async fn seen(&self, feature: usize, rows: &Rows, with_parts: bool) -> Outcome<Vec<Seen>> {
        let of = &self.model.graph.features[feature];
        let rows = Table::of(rows).await?;
        let xs = rows.ints("x")?;
        let ys: Vec<Option<String>> = match with_parts {
            true => rows.texts("y")?,
            false => vec![None; rows.len()],
        };
        let provenance = versions(of, &rows, "metaxy_provenance")?;
        let data = versions(of, &rows, "metaxy_data_version")?;
        let mut seen = Vec::with_capacity(rows.len());
        for (((x, y), provenance), data) in xs.into_iter().zip(ys).zip(provenance).zip(data) {
            let x = x.ok_or_else(|| Stop::failed(format!("an ID of {} is null", of.name)))?;
            let y = match (with_parts, y) {
                (true, y) => Some(self.part(y)?),
                (false, _) => None,
            };
            seen.push(Seen {
                id: Id { x, y },
                provenance,
                data,
            });
        }
        Ok(sorted(seen))
    }

    fn part(&self, y: Option<String>) -> Outcome<usize> {
        let y = y.ok_or_else(|| Stop::failed("an ID is null"))?;
        let found = match self.model.graph.text_parts {
            true => TEXTS.iter().position(|text| **text == y),
            false => INTEGERS.iter().position(|number| number.to_string() == y),
        };
        found.ok_or_else(|| Stop::failed(format!("an ID is {y:?}, which was never written")))
    }
}
