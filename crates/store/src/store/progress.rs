//! How much of a feature is done, and how many samples need work: counts over an increment.

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;

use super::MetadataStore;
use super::increment::{Counts, LazyIncrement};
use super::resolve::ResolveOptions;
use crate::columns;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::col;
use crate::frame::Rows;
use crate::hash::Fold as FoldHash;
use crate::key::FeatureKey;
use crate::plan::{
    Compare, Fold, HashSpec, LABEL, Label, Node, Relation, STORED_PREFIX, Scalar, internal,
};

/// The feature version of the stored row that an expected one matched; null if it matched none.
const FOUND: &str = "__mx.found";
/// The versions that the rows of a unit matched, folded.
const SEEN: &str = "__mx.seen";

impl MetadataStore {
    /// Which part of a feature's input has been processed at least once, in percent.
    ///
    /// The input is counted in units: the distinct values of the columns that all upstreams share after lineage
    /// ([`FeaturePlan::join_columns`](crate::graph::feature_plan::FeaturePlan::join_columns)), which are samples for an identity, groups for
    /// an aggregation and parents for an expansion. A unit with a sample that is new is not done; a stale one is. `None` if
    /// there is no unit, and with [`ResolveOptions::samples`], which are not counted in units.
    ///
    /// # Errors
    /// Those of [`resolve_update`](Self::resolve_update).
    pub async fn progress(
        &self,
        feature: &FeatureKey,
        options: ResolveOptions,
    ) -> Result<Option<f64>> {
        self.resolve_lazy(feature, options).await?.progress().await
    }
}

impl LazyIncrement {
    /// Computes only which part of the input has been processed; see [`MetadataStore::progress`].
    ///
    /// # Errors
    /// If the backend fails.
    pub async fn progress(self) -> Result<Option<f64>> {
        let Some(units) = &self.units else {
            return Ok(None);
        };
        let hash = self.store.hash();
        let relation = units_found(self.plan.relation(), units, hash)?;
        let rows = self.query(relation).await?.collect().await?;
        Ok(done(&rows, hash)?.percent())
    }

    /// Computes only how many samples each part has: upstream rows that make one sample, as in an aggregation, count once.
    ///
    /// Of an expansion, new and stale are counted in parents: how many samples they will make is not known.
    ///
    /// # Errors
    /// If the backend fails.
    pub async fn sample_counts(self) -> Result<Counts> {
        let relation = samples_by_label(
            self.plan.relation(),
            self.store.graph().require(&self.feature)?.spec.id_columns(),
        )?;
        let rows = self.query(relation).await?.collect().await?;
        Counts::of(&rows)
    }
}

/// Units of the input.
#[derive(Debug, Clone, Copy, Default)]
struct Units {
    total: u64,
    missing: u64,
}

impl Units {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a percentage of more than 2^53 units may be off"
    )]
    fn percent(self) -> Option<f64> {
        if self.total == 0 {
            return None;
        }
        let done = self.total.saturating_sub(self.missing);
        Some(done as f64 / self.total as f64 * 100.0)
    }
}

/// How many units have, per stored version that one of their rows found (or null for none), the same versions in all.
fn units_found(increment: &Relation, units: &[String], hash: HashSpec) -> Result<Relation> {
    let compare = compared(increment)?;
    // Everything that is found is stale: so no expected row is left out as unchanged.
    let always = col(columns::PROVENANCE)
        .is_null()
        .or(col(columns::PROVENANCE).is_not_null());
    let compare = Compare {
        stale_if: Some(Scalar::Test(always.bind(compare.stored.schema())?)),
        ..compare.clone()
    };
    // A feature that was never written has no such column, and nothing is found in it.
    let version = match compare
        .stored
        .schema()
        .field_with_name(columns::FEATURE_VERSION)
    {
        Ok(_) => columns::FEATURE_VERSION,
        Err(_) => columns::PROVENANCE,
    };
    let mut columns = vec![
        (LABEL.to_owned(), Scalar::column(LABEL)),
        (
            FOUND.to_owned(),
            Scalar::column(format!("{STORED_PREFIX}{version}")),
        ),
    ];
    let (keys, unit) = internal_names("k", units.iter().cloned());
    columns.extend(unit);
    let expected = Relation::compare(compare)?.project(columns)?;
    let labels = [Label::New as i8, Label::Stale as i8].map(i64::from);
    let is_expected = col(LABEL).is_in(labels).bind(expected.schema())?;
    let expected = expected.filter(Scalar::Test(is_expected))?;
    let by: Vec<String> = keys.iter().cloned().chain([FOUND.to_owned()]).collect();
    let per_unit = expected
        .count(by.clone())?
        .select(by.iter().map(String::as_str))?;
    let folded = Relation::fold(Fold {
        input: per_unit,
        keys,
        order: vec![FOUND.into()],
        values: vec![(SEEN.into(), Scalar::column(FOUND))],
        hash,
    })?;
    folded.count(vec![FOUND.into(), SEEN.into()])
}

/// A unit all of whose rows found nothing folds to the hash of nothing; one that only some rows of found something shows
/// up twice, and is not done.
fn done(rows: &Rows, hash: HashSpec) -> Result<Units> {
    let mut nothing = String::new();
    FoldHash::new(hash.algorithm, hash.length).finish_into(&mut nothing);
    let mut units = Units::default();
    for batch in rows.batches() {
        let found = batch.column(0);
        let seen = batch
            .column(1)
            .as_string_opt::<i32>()
            .ok_or_else(uncounted)?;
        for (row, number) in numbers(batch.column(2))?.into_iter().enumerate() {
            if found.is_valid(row) {
                units.total += number;
                continue;
            }
            units.missing += number;
            if seen.is_null(row) || seen.value(row) == nothing {
                units.total += number;
            }
        }
    }
    Ok(units)
}

/// How many samples have each label. Expected ones are told apart by what identifies them, orphaned ones by their IDs.
fn samples_by_label(increment: &Relation, ids: &[String]) -> Result<Relation> {
    let compare = compared(increment)?;
    let stored = ids
        .iter()
        .filter(|id| compare.stored.schema().field_with_name(id).is_ok())
        .map(|id| format!("{STORED_PREFIX}{id}"));
    let told_apart = compare.on.iter().cloned().chain(stored);
    let (mut by, mut columns) = internal_names("k", told_apart);
    by.push(LABEL.into());
    columns.push((LABEL.into(), Scalar::column(LABEL)));
    increment
        .clone()
        .project(columns)?
        .count(by)?
        .select([LABEL])?
        .count(vec![LABEL.into()])
}

/// The columns under names that cannot clash with those of counts.
fn internal_names(
    letter: &str,
    columns: impl Iterator<Item = String>,
) -> (Vec<String>, Vec<(String, Scalar)>) {
    columns
        .enumerate()
        .map(|(i, column)| {
            let name = format!("__mx.{letter}{i}");
            (name.clone(), (name, Scalar::Column(column)))
        })
        .unzip()
}

/// The step of an increment at which expected rows meet stored ones.
pub(super) fn compared(increment: &Relation) -> Result<&Compare> {
    match increment.node() {
        Node::Compare(compare) => Ok(compare),
        // Orphaned rows may be left out.
        Node::Filter { input, .. } => compared(input),
        _ => Err(internal("an increment that compares nothing".into())),
    }
}

fn numbers(array: &dyn Array) -> Result<Vec<u64>> {
    let numbers = array
        .as_primitive_opt::<Int64Type>()
        .ok_or_else(uncounted)?;
    Ok(numbers
        .iter()
        .map(|number| u64::try_from(number.unwrap_or_default()).unwrap_or_default())
        .collect())
}

fn uncounted() -> Error {
    Error::new(
        ErrorKind::Internal,
        "a count of samples came back with other columns",
    )
}
