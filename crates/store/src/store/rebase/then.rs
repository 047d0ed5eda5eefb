//! What rows were computed from: the states of what is upstream, what each asks for, and which of them made a row.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::interleave;
use arrow::datatypes::Int64Type;

use super::{RebaseCounts, column};
use crate::clock::Micros;
use crate::columns;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Expr, Value, col, lit};
use crate::frame::Frame;
use crate::graph::feature_plan::FeaturePlan;
use crate::key::FeatureKey;
use crate::plan::{self, IncrementPlan, ReadScope, Relation, Scalar, member_column};
use crate::store::MetadataStore;
use crate::store::progress::compared;

/// The position of a row among those of its portion (Int64).
pub(super) const ROW: &str = "__mx.row";
/// The provenance that a row has (Utf8).
pub(super) const OWN: &str = "__mx.own";

/// A state of what is upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Before there was anything.
    Never,
    /// As it was at this time.
    At(Micros),
    /// As it is.
    Now,
}

/// When what is upstream changed.
#[derive(Debug, Default)]
pub(super) struct History {
    /// All times at which something changed, in order.
    changes: Vec<Micros>,
    /// When rows of which version of each upstream were written or deleted, in order.
    writes: HashMap<FeatureKey, Vec<(Micros, Option<String>)>>,
}

impl History {
    /// `writes`: of one upstream, in order.
    pub(super) fn add(&mut self, upstream: &FeatureKey, writes: Vec<(Micros, Option<String>)>) {
        self.changes.extend(writes.iter().map(|(at, _)| *at));
        self.changes.sort_unstable();
        self.changes.dedup();
        self.writes.insert(upstream.clone(), writes);
    }

    /// How many changes there had been at this time.
    pub(super) fn state(&self, at: Micros) -> usize {
        self.changes.partition_point(|change| *change <= at)
    }

    /// The last moment of this state; `None` if it lasts.
    pub(super) fn end(&self, state: usize) -> Option<Micros> {
        self.changes.get(state).map(|next| next.saturating_sub(1))
    }

    pub(super) fn moment(&self, state: usize) -> Moment {
        match state.checked_sub(1).and_then(|last| self.changes.get(last)) {
            _ if state == self.changes.len() => Moment::Now,
            Some(last) => Moment::At(*last),
            None => Moment::Never,
        }
    }

    /// The version of an upstream that was written last in this state.
    pub(super) fn version(&self, upstream: &FeatureKey, state: usize) -> Option<&str> {
        let last = self.changes.get(state.checked_sub(1)?)?;
        let writes = self.writes.get(upstream)?;
        let before = writes.partition_point(|(at, _)| at <= last);
        writes.get(before.checked_sub(1)?)?.1.as_deref()
    }
}

/// What the columns of an [`Expected`] are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// What the new definition makes of what is upstream now.
    New,
    /// What it makes of those rows of what is upstream now that were not computed after the row: they were carried over as well, or no
    /// version of theirs changed. Of an upstream that has no row of its new version yet, those of the old one.
    Carried,
    /// What the new definition makes of the versions of what is upstream that the old one reads, as they are now.
    Now,
    /// The same, as they were.
    Then,
    /// What the old definition makes of them now.
    OldNow,
    /// The same, as they were.
    OldThen,
}

impl Name {
    fn there(self) -> String {
        format!("__mx.{self:?}")
    }

    fn version(self) -> String {
        format!("__mx.{self:?}.version")
    }

    fn member(self, at: usize) -> String {
        format!("__mx.{self:?}.{at}")
    }

    /// Whether the provenance is wanted by field too.
    fn is_new(self) -> bool {
        matches!(self, Self::New | Self::Now | Self::Then)
    }
}

/// The samples that a definition asks for.
pub(super) struct Expected<'e> {
    pub(super) feature: &'e FeatureKey,
    /// With the graph of the definition.
    pub(super) store: &'e MetadataStore,
    /// The versions of what is upstream; without, those of the graph.
    pub(super) versions: Option<&'e HashMap<FeatureKey, String>>,
    pub(super) moment: Moment,
    /// Of upstreams that have another version now than these say: only rows that were first written by then.
    pub(super) created: Option<(&'e HashMap<FeatureKey, String>, Micros)>,
}

impl Expected<'_> {
    /// Each sample (or parent, or group) once: what identifies it, and its provenance in columns of this name.
    pub(super) async fn relation(self, name: Name, frames: &mut Vec<Frame>) -> Result<Relation> {
        let store = self.store;
        let plan = store.plan(self.feature)?;
        let mut upstreams = Vec::new();
        for dep in &plan.deps {
            let upstream = &dep.dep.feature;
            let chosen = self.versions.and_then(|versions| versions.get(upstream));
            let version = match chosen {
                Some(version) => version,
                None => store.graph.feature_version(upstream)?,
            };
            let scope = ReadScope {
                as_of: match self.moment {
                    Moment::At(at) => Some(at),
                    Moment::Never | Moment::Now => None,
                },
                ..ReadScope::current(version)
            };
            let created = self.created.filter(|(old, _)| {
                let old = old.get(upstream);
                old.is_some_and(|old| old != version)
            });
            let filters: Vec<Expr> = created
                .map(|(_, by)| col(columns::CREATED_AT).le(lit(Value::Timestamp(by))))
                .into_iter()
                .collect();
            let relation = store
                .upstream_in(upstream, &filters, &scope, frames)
                .await?;
            upstreams.push(relation);
        }
        let table = store.inner.backend.schema(self.feature).await?;
        let expected =
            plan::Expected::from_upstreams(&plan, upstreams, table.as_deref(), store.hash())?;
        let increment = IncrementPlan::new(&plan, expected, table.map(Relation::empty), &[])?;
        let compare = compared(increment.relation())?;
        once_each(&plan, &compare.expected, &compare.expected_version, name)
    }
}

fn once_each(
    plan: &FeaturePlan,
    expected: &Relation,
    version: &str,
    name: Name,
) -> Result<Relation> {
    let ids = plan.identity_columns.iter().cloned();
    let mut columns: Vec<(String, Scalar)> =
        ids.map(|id| (id.clone(), Scalar::Column(id))).collect();
    columns.push((name.version(), Scalar::column(version)));
    if name.is_new() {
        let members = 0..plan.spec().fields().len();
        columns.extend(members.map(|at| (name.member(at), Scalar::Column(member_column(at)))));
    }
    // Under other names for a while: a count has a column of its own.
    let inner: Vec<String> = (0..columns.len()).map(|at| format!("__mx.k{at}")).collect();
    let (outer, values): (Vec<String>, Vec<Scalar>) = columns.into_iter().unzip();
    let there = expected
        .clone()
        .project(inner.iter().cloned().zip(values).collect())?;
    let mut back: Vec<(String, Scalar)> = outer
        .into_iter()
        .zip(inner.iter().map(Scalar::column))
        .collect();
    back.push((name.there(), Scalar::Text("1".into())));
    there.count(inner)?.project(back)
}

/// What is known of the rows of a portion.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// Whether their own definition is.
    pub(super) old: bool,
    /// Whether both definitions read the same versions of what is upstream.
    pub(super) same: bool,
    /// Whether every upstream has rows of the version that the new definition reads.
    pub(super) settled: bool,
    pub(super) then: Moment,
}

/// What becomes of the rows of a joined batch.
#[derive(Default)]
pub(super) struct Decided {
    /// The rows that are carried over, and which state gives their provenance.
    pub(super) rows: Vec<(usize, Name)>,
    /// The rows that were not computed from this state, by their position in the portion.
    pub(super) unknown: Vec<u64>,
    pub(super) counts: RebaseCounts,
}

/// The provenance of a state, row by row.
struct Given<'b> {
    name: Name,
    there: &'b dyn Array,
    version: &'b StringArray,
}

impl<'b> Given<'b> {
    fn of(batch: &'b RecordBatch, name: Name) -> Result<Self> {
        Ok(Self {
            name,
            there: column(batch, &name.there())?,
            version: texts(batch, &name.version())?,
        })
    }

    /// Its version, where it has the row.
    fn get(&self, row: usize) -> Option<Option<&str>> {
        self.there.is_valid(row).then(|| value(self.version, row))
    }
}

fn value(texts: &StringArray, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.value(row))
}

fn texts<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b StringArray> {
    column(batch, name)?
        .as_string_opt::<i32>()
        .ok_or_else(|| broken(name))
}

fn broken(name: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("column {name:?} of a rebase has another type"),
    )
}

impl Decided {
    pub(super) fn of(batch: &RecordBatch, known: &Known) -> Result<Self> {
        let given = |name| Given::of(batch, name);
        let new = given(Name::New)?;
        let now = given(if known.same { Name::New } else { Name::Now })?;
        let then = match known.then {
            Moment::Now => Some(given(now.name)?),
            Moment::At(_) => Some(given(Name::Then)?),
            Moment::Never => None,
        };
        let carried = (!known.same).then(|| given(Name::Carried)).transpose()?;
        let old_now = known.old.then(|| given(Name::OldNow)).transpose()?;
        let old_then = match (known.old, known.then) {
            (true, Moment::Now) => Some(given(Name::OldNow)?),
            (true, Moment::At(_)) => Some(given(Name::OldThen)?),
            _ => None,
        };
        let own = texts(batch, OWN)?;
        let numbers = column(batch, ROW)?.as_primitive_opt::<Int64Type>();
        let numbers = numbers.ok_or_else(|| broken(ROW))?;

        let mut decided = Self::default();
        for row in 0..batch.num_rows() {
            let made_by = |given: &Option<Given<'_>>| {
                let version = given.as_ref().and_then(|given| given.get(row));
                version.is_some_and(|version| version == value(own, row))
            };
            let was = then.as_ref().and_then(|then| then.get(row));
            let is = now.get(row);
            let current = match known.old {
                true => made_by(&old_now),
                false => was.is_some() && was == is,
            };
            let counts = &mut decided.counts;
            if current {
                let made = new.get(row);
                let kept = carried.as_ref().and_then(|carried| carried.get(row));
                if made.is_some() && (made == is || made == kept) {
                    counts.current += 1;
                    decided.rows.push((row, Name::New));
                } else if is.is_some() {
                    // What it was computed from is not what the new definition reads.
                    match (made.is_some(), known.settled) {
                        (true, _) => counts.stale += 1,
                        (false, true) => counts.orphaned += 1,
                        // Nobody knows yet what that will be.
                        (false, false) => counts.current += 1,
                    }
                    decided.rows.push((row, now.name));
                } else {
                    // The new definition makes nothing of it.
                    counts.left_out += 1;
                }
            } else if known.old && !made_by(&old_then) {
                decided.unknown.push(numbers.value(row).unsigned_abs());
            } else if let (Some(then), Some(_)) = (&then, was) {
                match is.or_else(|| new.get(row)) {
                    Some(_) => counts.stale += 1,
                    None => counts.orphaned += 1,
                }
                decided.rows.push((row, then.name));
            } else {
                counts.left_out += 1;
            }
        }
        Ok(decided)
    }

    /// A part of the provenance of the rows that are carried over: of the field at this position, or of the whole.
    pub(super) fn provenance(&self, batch: &RecordBatch, field: Option<usize>) -> Result<ArrayRef> {
        let mut names: Vec<Name> = Vec::new();
        let mut from = Vec::with_capacity(self.rows.len());
        for (row, name) in &self.rows {
            let at = names.iter().position(|known| known == name);
            let at = at.unwrap_or_else(|| {
                names.push(*name);
                names.len() - 1
            });
            from.push((at, *row));
        }
        let columns = names.iter().map(|name| {
            let name = match field {
                Some(at) => name.member(at),
                None => name.version(),
            };
            column(batch, &name).map(|column| column.as_ref())
        });
        Ok(interleave(&columns.collect::<Result<Vec<_>>>()?, &from)?)
    }
}
