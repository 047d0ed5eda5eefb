//! What was pushed: its rows, the graphs they make up, and the graph of one of them.

use std::collections::{BTreeMap, HashSet, VecDeque};

use indexmap::IndexMap;

use crate::clock::Micros;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::graph::FeatureGraph;
use crate::key::FeatureKey;
use crate::plan::{Plan, Relation, Scan};
use crate::store::MetadataStore;

use super::record::{PushedFeature, feature_versions_key, parse};

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
    /// The name of the store that it was pushed to.
    pub store: String,
}

impl MetadataStore {
    /// Everything that was pushed to this store, oldest first.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the table is not what it should be, and if the store fails.
    pub async fn pushed_features(&self) -> Result<Vec<PushedFeature>> {
        let key = feature_versions_key();
        let Some(schema) = self.feature_schema(&key).await? else {
            return Ok(Vec::new());
        };
        let scan = Scan::all(key);
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

    /// What was pushed to the stores of the chain, store by store, oldest first in each. A store answers for the projects that were pushed to it:
    /// what was pushed of them to the stores after it is left out (`semantics.md` §7). Stores without an answer are left out, too.
    ///
    /// # Errors
    /// Those of [`pushed_features`](Self::pushed_features).
    pub async fn pushed_in_chain(&self) -> Result<Vec<(MetadataStore, Vec<PushedFeature>)>> {
        let mut answered: HashSet<String> = HashSet::new();
        let mut found = Vec::new();
        let mut pending = vec![self.clone()];
        while let Some(store) = pending.pop() {
            let mut rows = store.pushed_features().await?;
            rows.retain(|row| !answered.contains(&row.project));
            answered.extend(rows.iter().map(|row| row.project.clone()));
            let before = pending.len();
            pending.extend(store.fallbacks());
            pending[before..].reverse();
            if !rows.is_empty() {
                found.push((store, rows));
            }
        }
        Ok(found)
    }

    /// The graphs that were pushed to this store or to those of its chain, newest first; of one project, or of all. Those of a project come
    /// from the first store to which it was pushed.
    ///
    /// # Errors
    /// Those of [`pushed_features`](Self::pushed_features).
    pub async fn snapshots(&self, project: Option<&str>) -> Result<Vec<Snapshot>> {
        let chain = self.pushed_in_chain().await?;
        let mut all: Vec<Snapshot> = chain
            .iter()
            .flat_map(|(store, history)| snapshots_of(history, project, store.name()))
            .collect();
        all.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.recorded_at));
        Ok(all)
    }

    /// The version of the project that was pushed last to this store or, if none was, to the first of its chain.
    ///
    /// # Errors
    /// Those of [`pushed_features`](Self::pushed_features).
    pub async fn latest_project_version(&self, project: Option<&str>) -> Result<Option<String>> {
        let found = self.find_snapshot(None, project).await?;
        Ok(found.map(|(_, snapshot)| snapshot.project_version))
    }

    /// The graph of a project version that was pushed to this store (`None`: the one pushed last) or to the first of its chain that has one,
    /// with what it depends on in other projects as that was at the time. These features come from that store or the first of its
    /// chain that has them. `None` if there is no such version.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if what was pushed is not a graph, and if a store fails.
    pub async fn load_graph(
        &self,
        project_version: Option<&str>,
        project: Option<&str>,
    ) -> Result<Option<FeatureGraph>> {
        let Some((store, snapshot)) = self.find_snapshot(project_version, project).await? else {
            return Ok(None);
        };
        // All that the store has: also of projects for which it does not answer here.
        let history = store.pushed_features().await?;
        // A version that was pushed twice is recorded twice: the last push counts.
        let last = history.iter().rfind(|feature| {
            feature.project == snapshot.project
                && feature.project_version == snapshot.project_version
        });
        match last {
            Some(row) => {
                let graph = store.pushed_graph(&history, row, row.recorded_at).await?;
                Ok(Some(graph))
            }
            None => Ok(None),
        }
    }

    /// The newest snapshot (of this version) in the first store of the chain that has one.
    async fn find_snapshot(
        &self,
        project_version: Option<&str>,
        project: Option<&str>,
    ) -> Result<Option<(MetadataStore, Snapshot)>> {
        for (store, history) in self.pushed_in_chain().await? {
            let snapshots = snapshots_of(&history, project, store.name());
            let found = snapshots.into_iter().find(|snapshot| {
                project_version.is_none_or(|version| version == snapshot.project_version)
            });
            if let Some(snapshot) = found {
                return Ok(Some((store, snapshot)));
            }
        }
        Ok(None)
    }

    /// The graph that `row` was pushed with, and the features of other projects that it needs: of each the newest that was
    /// recorded at or before `until`, or else the first. `history` is this store's; what it lacks is looked for in the stores that
    /// this one falls back to, as a push does.
    pub(crate) async fn pushed_graph(
        &self,
        history: &[PushedFeature],
        row: &PushedFeature,
        until: Micros,
    ) -> Result<FeatureGraph> {
        let mut chosen: IndexMap<&FeatureKey, &PushedFeature> = IndexMap::new();
        for other in history {
            if other.project != row.project || other.project_version != row.project_version {
                continue;
            }
            // The reference stamps each row of a push anew, so rows of the same push may be later.
            if other.recorded_at <= row.recorded_at {
                chosen.insert(&other.feature_key, other);
            } else {
                chosen.entry(&other.feature_key).or_insert(other);
            }
        }
        let mut seen: HashSet<FeatureKey> = chosen.keys().map(|key| (*key).clone()).collect();
        let mut pending: VecDeque<PushedFeature> = chosen.into_values().cloned().collect();
        let mut elsewhere = Fallbacks::of(self);
        let mut definitions = Vec::new();
        while let Some(feature) = pending.pop_front() {
            let definition = feature.definition()?;
            for dep in definition.spec.deps() {
                if !seen.insert(dep.feature.clone()) {
                    continue;
                }
                let found = match recorded_by(history, &dep.feature, until) {
                    Some(found) => Some(found.clone()),
                    None => elsewhere.find(&dep.feature, until).await?,
                };
                pending.extend(found);
            }
            definitions.push(definition);
        }
        let mut graph = FeatureGraph::recorded().with_truncation_length(self.hash().length)?;
        graph.add_all(definitions)?;
        Ok(graph)
    }
}

/// What was pushed to the stores that a store falls back to, depth first. A store is read when the ones before it did not have
/// what was asked for.
struct Fallbacks {
    /// Stores not read yet; the next one is the last.
    pending: Vec<MetadataStore>,
    histories: Vec<Vec<PushedFeature>>,
}

impl Fallbacks {
    fn of(store: &MetadataStore) -> Self {
        let mut fallbacks = Self {
            pending: Vec::new(),
            histories: Vec::new(),
        };
        fallbacks.follow(store);
        fallbacks
    }

    async fn find(&mut self, key: &FeatureKey, until: Micros) -> Result<Option<PushedFeature>> {
        for history in &self.histories {
            if let Some(row) = recorded_by(history, key, until) {
                return Ok(Some(row.clone()));
            }
        }
        while let Some(store) = self.pending.pop() {
            self.follow(&store);
            let history = store.pushed_features().await?;
            let found = recorded_by(&history, key, until).cloned();
            self.histories.push(history);
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn follow(&mut self, store: &MetadataStore) {
        let before = self.pending.len();
        self.pending.extend(store.fallbacks());
        self.pending[before..].reverse();
    }
}

/// The newest row of a feature at or before `until`, or else its first.
fn recorded_by<'a>(
    history: &'a [PushedFeature],
    key: &FeatureKey,
    until: Micros,
) -> Option<&'a PushedFeature> {
    let named = || history.iter().filter(|f| f.feature_key == *key);
    let then = named().rfind(|f| f.recorded_at <= until);
    then.or_else(|| named().next())
}

/// The graphs that the history of a store, oldest first, is made of, newest first.
pub(crate) fn snapshots_of(
    history: &[PushedFeature],
    project: Option<&str>,
    store: &str,
) -> Vec<Snapshot> {
    let mut groups: BTreeMap<(&str, &str), (Micros, HashSet<&FeatureKey>, &str)> = BTreeMap::new();
    for feature in history {
        if project.is_some_and(|project| project != feature.project) {
            continue;
        }
        let group = groups
            .entry((&feature.project, &feature.project_version))
            .or_default();
        if feature.recorded_at >= group.0 {
            group.0 = feature.recorded_at;
            group.2 = &feature.tags;
        }
        group.1.insert(&feature.feature_key);
    }
    let mut snapshots: Vec<Snapshot> = groups
        .into_iter()
        .map(
            |((project, project_version), (recorded_at, features, tags))| Snapshot {
                project: project.to_owned(),
                project_version: project_version.to_owned(),
                recorded_at,
                features: features.len(),
                tags: tags.to_owned(),
                store: store.to_owned(),
            },
        )
        .collect();
    snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.recorded_at));
    snapshots
}
