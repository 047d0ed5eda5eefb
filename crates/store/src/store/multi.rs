//! Writing several features at once (`semantics.md` §5).

use std::collections::{HashMap, HashSet};

use super::{MetadataStore, WriteOptions};
use crate::backend::append::Append;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Frame;
use crate::graph::FeatureGraph;
use crate::key::FeatureKey;

impl MetadataStore {
    /// Appends samples of several features, dependents before their dependencies; returns the order.
    ///
    /// Each frame is what [`write`](Self::write) takes. Where the backend has transactions
    /// ([`Capabilities::transactions`](crate::backend::Capabilities::transactions)) all frames are written or none. Elsewhere a
    /// frame that lacks a column still keeps all others from being written, but a failure half-way leaves the features that
    /// came before, and the error names them.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`] if the store is not open for writing; [`ErrorKind::InvalidArgument`] if a feature is given twice;
    /// [`ErrorKind::FeatureNotFound`] if one is not in the graph; and those of [`write`](Self::write) for any of the frames.
    pub async fn write_multi(
        &self,
        writes: Vec<(FeatureKey, Frame)>,
        options: WriteOptions,
    ) -> Result<Vec<FeatureKey>> {
        self.require_write("be written to")?;
        let mut frames = HashMap::with_capacity(writes.len());
        for (feature, rows) in writes {
            self.graph
                .require(&feature)
                .map_err(|e| self.about(e, &feature))?;
            if frames.insert(feature.clone(), rows).is_some() {
                let twice = Error::new(
                    ErrorKind::InvalidArgument,
                    format!("feature {feature} is given twice in one write"),
                )
                .with_hint("put all its rows into one frame; nothing was written");
                return Err(self.about(twice, &feature));
            }
        }
        let order = dependents_first(&self.graph, frames.keys());
        let mut appends = Vec::with_capacity(order.len());
        let mut features = Vec::with_capacity(order.len());
        for feature in &order {
            if let Some(rows) = frames.remove(feature) {
                let append = self.prepared(feature, rows, &options).await;
                if let Some(append) = append.map_err(|e| self.about(e, feature))? {
                    let matching = self.require_matching_ids(feature, append.rows.schema());
                    matching.await.map_err(|e| self.about(e, feature))?;
                    features.push(feature.as_str());
                    appends.push(append);
                }
            }
        }
        if !self.capabilities().transactions {
            self.append_in_turn(&features, appends).await?;
        } else if !appends.is_empty() {
            let appended = self.inner.backend.append(appends).await;
            let appended = appended.map_err(|e| e.with_context("store", self.name()))?;
            self.warn_of_weak_hash(appended, &features.join(", "));
        }
        Ok(order)
    }

    /// One append after the other: what came before a failure stays, and the error says what that is.
    async fn append_in_turn(&self, features: &[&str], appends: Vec<Append>) -> Result<()> {
        for (done, append) in appends.into_iter().enumerate() {
            let feature = append.table.clone();
            let appended = self.inner.backend.append(vec![append]).await;
            let appended = appended.map_err(|e| match &features[..done] {
                [] => self.about(e, &feature),
                written => self
                    .about(e, &feature)
                    .with_context("features written before", written.join(", ")),
            })?;
            self.warn_of_weak_hash(appended, feature.as_str());
        }
        Ok(())
    }
}

/// The features, each before all that it depends on, also where the path leads through features that are not among them.
///
/// It is the reverse of the order in which a walk in depth, alphabetical where there is a choice, leaves them.
pub(super) fn dependents_first<'a>(
    graph: &'a FeatureGraph,
    features: impl Iterator<Item = &'a FeatureKey>,
) -> Vec<FeatureKey> {
    let given: HashSet<&FeatureKey> = features.collect();
    let mut starts: Vec<&FeatureKey> = given.iter().copied().collect();
    starts.sort();
    let mut seen = HashSet::new();
    let mut order = Vec::with_capacity(given.len());
    for start in starts {
        if !seen.insert(start) {
            continue;
        }
        let mut path = vec![(start, upstreams_among(graph, start, &given).into_iter())];
        while let Some((feature, rest)) = path.last_mut() {
            match rest.find(|next| seen.insert(*next)) {
                Some(next) => path.push((next, upstreams_among(graph, next, &given).into_iter())),
                None => {
                    order.push((*feature).clone());
                    path.pop();
                }
            }
        }
    }
    order.reverse();
    order
}

/// The nearest upstreams of `feature` that are among `given`, sorted: what lies between is passed through.
fn upstreams_among<'a>(
    graph: &'a FeatureGraph,
    feature: &FeatureKey,
    given: &HashSet<&'a FeatureKey>,
) -> Vec<&'a FeatureKey> {
    let deps = |key: &FeatureKey| {
        let definition = graph.get(key);
        definition
            .into_iter()
            .flat_map(|d| d.spec.deps())
            .map(|dep| &dep.feature)
    };
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut open: Vec<&FeatureKey> = deps(feature).collect();
    while let Some(key) = open.pop() {
        if !seen.insert(key) {
            continue;
        }
        match given.get(key) {
            Some(key) => found.push(*key),
            None => open.extend(deps(key)),
        }
    }
    found.sort();
    found
}
