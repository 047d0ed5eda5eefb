//! The increment of a feature: expected rows against stored ones (`semantics.md` §6).

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, Int8Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::expected::{Expected, INTERNAL};
use super::{Compare, Leader, LeaderColumns, Node, Relation, Scalar, internal, matched_as};
use crate::columns;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Expr, col, lit};
use crate::graph::feature_plan::FeaturePlan;

/// The column of [`Compare`](super::Compare) that holds a [`Label`].
pub const LABEL: &str = "__mx.label";
/// What the stored columns of [`Compare`](super::Compare) start with.
pub const STORED_PREFIX: &str = "__mx.stored.";

const LEADER_VALUE: &str = "__mx.leader_provenance";
const LEADER_FLAG: &str = "__mx.leads";

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum Label {
    /// Expected and stored agree.
    Unchanged = 0,
    /// Expected, not stored.
    New = 1,
    /// Stored with another provenance, or found stale by a condition.
    Stale = 2,
    /// Stored, not expected.
    Orphaned = 3,
}

/// A part of an increment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// Samples to compute for the first time.
    New,
    /// Samples to compute again.
    Stale,
    /// Samples that upstream no longer has.
    Orphaned,
}

/// The one relation from which new, stale and orphaned rows, their counts and previews are taken.
#[derive(Debug, Clone)]
pub struct IncrementPlan {
    relation: Relation,
    expected: Expected,
    expected_schema: SchemaRef,
    stored_schema: SchemaRef,
}

/// The three parts of a batch of [`IncrementPlan::relation`].
#[derive(Debug, Clone)]
pub struct SplitBatch {
    /// New rows.
    pub new: RecordBatch,
    /// Stale rows.
    pub stale: RecordBatch,
    /// Orphaned rows.
    pub orphaned: RecordBatch,
}

impl IncrementPlan {
    /// Compares `expected` with the stored rows of the feature, `None` if it has no table or the comparison
    /// is skipped (then everything expected is new).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidFrame`] if the stored rows lack an identifying column or have it with another
    /// type; [`ErrorKind::InvalidFilter`] if a staleness condition does not fit the stored columns.
    pub fn new(
        plan: &FeaturePlan,
        expected: Expected,
        stored: Option<Relation>,
        stale_if: &[Expr],
    ) -> Result<Self> {
        let on = plan.identity_columns.clone();
        for name in &on {
            if expected.relation.schema().field_with_name(name).is_err() {
                return Err(missing_identity(plan, name, "the expected rows"));
            }
        }
        let written = stored.is_some();
        let stored = match stored {
            Some(stored) => stored,
            None => Relation::empty(unwritten_schema(&on, &expected)?),
        };
        for name in &on {
            if stored.schema().field_with_name(name).is_err() {
                return Err(missing_identity(plan, name, "the stored rows"));
            }
        }
        let stale_if = match stale_if.iter().cloned().reduce(Expr::or) {
            Some(any) => Some(Scalar::Test(any.bind(stored.schema())?)),
            None => None,
        };
        let mut stored_schema = stored.schema().clone();
        let (wanted, stored, matched_on) = matched(&expected.relation, stored, &on)
            .map_err(|e| e.with_context("feature", plan.key()))?;
        let ids: BTreeSet<&String> = plan.spec().id_columns().iter().collect();
        let (stored, leader) = if !written || ids == on.iter().collect() {
            (stored, None)
        } else {
            let led = Relation::leader(Leader {
                input: stored,
                keys: on,
                order: plan.spec().id_columns().to_vec(),
                value: columns::PROVENANCE.into(),
                value_name: LEADER_VALUE.into(),
                flag_name: LEADER_FLAG.into(),
            })?;
            let columns = LeaderColumns {
                flag: LEADER_FLAG.into(),
                value: LEADER_VALUE.into(),
                own: columns::PROVENANCE.into(),
            };
            (led, Some(columns))
        };
        let marks_childless = stored.schema().field_with_name(columns::EMPTY).is_ok();
        let mut relation = Relation::compare(Compare {
            expected_version: expected.provenance().into(),
            stored_version: columns::PROVENANCE.into(),
            expected: wanted,
            stored,
            on: matched_on,
            stale_if,
            leader,
        })
        .map_err(|e| e.with_context("feature", plan.key()))?;
        if marks_childless {
            // A parent that has no children, and that is gone, is no sample.
            let mark = format!("{STORED_PREFIX}{}", columns::EMPTY);
            let shown = col(LABEL)
                .ne(lit(Label::Orphaned as i64))
                .or(col(&mark).is_null());
            let shown = shown.bind(relation.schema())?;
            relation = relation.filter(Scalar::Test(shown))?;
            let shown = stored_schema.fields().iter().cloned();
            let shown: Vec<_> = shown
                .filter(|field| field.name() != columns::EMPTY)
                .collect();
            stored_schema = Arc::new(Schema::new(shown));
        }
        Ok(Self {
            relation,
            expected_schema: expected.output_schema()?,
            expected,
            stored_schema,
        })
    }

    /// The same without orphaned rows, for when nobody can tell yet which these are (`semantics.md` §15).
    ///
    /// # Errors
    /// [`ErrorKind::Internal`], never in practice.
    pub fn without_orphans(self) -> Result<Self> {
        let labels = [Label::Unchanged, Label::New, Label::Stale].map(|label| label as i64);
        let kept = col(LABEL).is_in(labels).bind(self.relation.schema())?;
        Ok(Self {
            relation: self.relation.filter(Scalar::Test(kept))?,
            ..self
        })
    }

    /// The labelled rows, with columns of the plan's own besides; [`split`](Self::split) takes its batches apart.
    #[must_use]
    pub fn relation(&self) -> &Relation {
        &self.relation
    }

    /// The number of rows per label; unchanged rows are not counted.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`], never in practice.
    pub fn counts(&self) -> Result<Relation> {
        self.relation.clone().count(vec![LABEL.into()])
    }

    /// The columns of a part.
    #[must_use]
    pub fn schema(&self, part: Part) -> &SchemaRef {
        match part {
            Part::New | Part::Stale => &self.expected_schema,
            Part::Orphaned => &self.stored_schema,
        }
    }

    /// Takes a batch of the relation apart.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if the batch is not one of the relation's.
    pub fn split(&self, batch: &RecordBatch) -> Result<SplitBatch> {
        let labels = batch
            .column_by_name(LABEL)
            .and_then(|c| c.as_any().downcast_ref::<Int8Array>())
            .ok_or_else(|| internal("an increment without labels".into()))?;
        let rows = |label: Label| -> Result<RecordBatch> {
            let mask: BooleanArray = labels
                .iter()
                .map(|l| Some(l == Some(label as i8)))
                .collect();
            if mask.true_count() == batch.num_rows() {
                return Ok(batch.clone());
            }
            Ok(filter_record_batch(batch, &mask)?)
        };
        let expected = |label| self.expected.assemble(&self.expected_schema, &rows(label)?);
        let orphaned = rows(Label::Orphaned)?;
        let stored = self
            .stored_schema
            .fields()
            .iter()
            .map(|field| {
                orphaned
                    .column_by_name(&format!("{STORED_PREFIX}{}", field.name()))
                    .cloned()
                    .ok_or_else(|| internal(format!("no stored column {:?}", field.name())))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(SplitBatch {
            new: expected(Label::New)?,
            stale: expected(Label::Stale)?,
            orphaned: RecordBatch::try_new(self.stored_schema.clone(), stored)?,
        })
    }
}

/// What a table that does not exist would hold: the identifying columns and the versions.
fn unwritten_schema(on: &[String], expected: &Expected) -> Result<SchemaRef> {
    let mut fields = on
        .iter()
        .map(|name| Ok(expected.relation.schema().field_with_name(name)?.clone()))
        .collect::<Result<Vec<_>>>()?;
    fields.push(Field::new(columns::PROVENANCE, DataType::Utf8, true));
    let stamp = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into()));
    fields.push(Field::new(columns::UPDATED_AT, stamp.clone(), true));
    fields.push(Field::new(columns::DELETED_AT, stamp, true));
    Ok(Arc::new(Schema::new(fields)))
}

/// Both sides of a comparison, and the columns that they are matched on. Where the types of an identifying column differ, each side gets a
/// column of the type that both are compared as, and keeps its own.
fn matched(
    expected: &Relation,
    stored: Relation,
    on: &[String],
) -> Result<(Relation, Relation, Vec<String>)> {
    let mut names = Vec::with_capacity(on.len());
    let mut added = Vec::new();
    for (at, name) in on.iter().enumerate() {
        let as_type = matched_as(expected, &stored, name)?;
        let is_same = |side: &Relation| Ok::<_, Error>(side.field(name)?.data_type() == &as_type);
        if is_same(expected)? && is_same(&stored)? {
            names.push(name.clone());
            continue;
        }
        let key = format!("{INTERNAL}id{at}");
        added.push((key.clone(), Scalar::converted(name, as_type)));
        names.push(key);
    }
    if added.is_empty() {
        return Ok((expected.clone(), stored, names));
    }
    let with_keys = |side: Relation| {
        let fields = side.schema().fields().iter();
        let own = fields.map(|field| (field.name().clone(), Scalar::column(field.name())));
        let columns = own.chain(added.iter().cloned()).collect();
        match side.node() {
            // Engines know a comparison with nothing by this step.
            Node::Empty => Ok(Relation::empty(side.project(columns)?.schema().clone())),
            _ => side.project(columns),
        }
    };
    Ok((with_keys(expected.clone())?, with_keys(stored)?, names))
}

fn missing_identity(plan: &FeaturePlan, name: &str, side: &str) -> Error {
    Error::new(
        ErrorKind::InvalidFrame,
        format!(
            "{side} of feature {} have no column {name:?}, by which its samples are identified",
            plan.key()
        ),
    )
    .with_hint(format!(
        "samples are identified by {:?}",
        plan.identity_columns
    ))
}
