//! IDs that could never match those of an upstream, refused before they are written.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use arrow::datatypes::{DataType, Schema};

use super::MetadataStore;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::feature_plan::PlannedDep;
use crate::key::FeatureKey;
use crate::plan::matching_type;

/// What was found to match, so that a store looks at an upstream's table once for the types that a feature is written with.
#[derive(Debug, Default)]
pub(super) struct MatchingIds(Mutex<HashSet<Question>>);

/// Whether columns of these names and types match columns of a table: the name here, the name there, the type here.
type Question = (FeatureKey, Vec<(String, String, DataType)>);

impl MatchingIds {
    fn knows(&self, question: &Question) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(question)
    }

    fn note(&self, question: Question) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(question);
    }
}

impl MetadataStore {
    /// Looks whether the IDs of rows of `feature` can match those of its upstreams, as far as this store has their tables: text never
    /// matches numbers, and every resolve would fail from now on.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidFrame`] that names the column, both types and the upstream.
    pub(super) async fn require_matching_ids(
        &self,
        feature: &FeatureKey,
        rows: &Schema,
    ) -> Result<()> {
        // A copy also takes rows of features of which an upstream is not known.
        let Ok(plan) = self.graph.plan(feature) else {
            return Ok(());
        };
        for dep in &plan.deps {
            let upstream = &dep.dep.feature;
            let columns: Vec<_> = dep
                .input_id_columns
                .iter()
                .filter_map(|name| rows.field_with_name(name).ok())
                .filter(|field| field.data_type() != &DataType::Null)
                .map(|field| {
                    let name = field.name().clone();
                    let there = original(dep, &name).to_owned();
                    (name, there, field.data_type().clone())
                })
                .collect();
            let question = (upstream.clone(), columns);
            if question.1.is_empty() || self.inner.matching_ids.knows(&question) {
                continue;
            }
            let Some(table) = self.inner.backend.schema(upstream).await? else {
                continue;
            };
            for (name, there, given) in &question.1 {
                let Ok(known) = table.field_with_name(there) else {
                    continue;
                };
                if matching_type(given, known.data_type()).is_none() {
                    return Err(no_match(feature, upstream, name, given, known.data_type()));
                }
            }
            self.inner.matching_ids.note(question);
        }
        Ok(())
    }
}

/// The name that a column has upstream.
fn original<'a>(dep: &'a PlannedDep, name: &'a str) -> &'a str {
    let mut renames = dep.dep.rename.iter().flatten();
    let renamed = renames.find(|(_, new)| new.as_str() == name);
    renamed.map_or(name, |(old, _)| old.as_str())
}

fn no_match(
    feature: &FeatureKey,
    upstream: &FeatureKey,
    name: &str,
    given: &DataType,
    known: &DataType,
) -> Error {
    Error::new(
        ErrorKind::InvalidFrame,
        format!(
            "ID column {name:?} of feature {feature} is {given}, but {known} in its upstream {upstream}: no sample of one would be found in the other"
        ),
    )
    .with_hint(format!("cast the column to {known}; nothing was written"))
}
