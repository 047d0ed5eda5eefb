//! Parents that were written as done without children (`semantics.md` §15).
//!
//! A feature whose samples are made of a parent each ([`Lineage::Expansion`]) cannot say otherwise that it looked at a parent and found
//! nothing. Such a row is marked by [`columns::EMPTY`], has the parent's IDs and versions, and no IDs of a child. It is kept as a
//! tombstone, so nothing that reads samples sees it, here or in a program that does not know of it; only comparisons do.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, new_null_array};
use arrow::compute::{is_not_null, is_null, nullif};
use arrow::datatypes::{DataType, Field, Schema};

use super::MetadataStore;
use crate::backend::append::nulls;
use crate::cast::cast_checked;
use crate::columns::EMPTY;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Frame;
use crate::key::FeatureKey;
use crate::spec::{FeatureSpec, Lineage};

impl MetadataStore {
    /// The rows of a write with marks that are true or null, and without IDs of children where they are true. Rows without marks stay as
    /// they are.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidFrame`] if the marks are no truth values; if a marked row is not one of a parent without children; and if
    /// nothing tells the type of the IDs that it does not have.
    pub(super) async fn with_childless(&self, feature: &FeatureKey, rows: Frame) -> Result<Frame> {
        let given = rows.schema().clone();
        let Ok(marks) = given.field_with_name(EMPTY) else {
            return Ok(rows);
        };
        require_truth(feature, marks.data_type())?;
        let spec = &self.graph.require(feature)?.spec;
        let (parents, children) = self.parents_and_children(feature, spec);
        if children.is_empty() {
            return without_marks(feature, rows);
        }
        let table = self.inner.backend.schema(feature).await?;
        let known = |name: &str| -> DataType {
            let there = |schema: &Schema| {
                let field = schema.field_with_name(name).ok()?;
                Some(field.data_type().clone()).filter(|known| known != &DataType::Null)
            };
            let known = there(&given).or_else(|| table.as_deref().and_then(there));
            known.unwrap_or(DataType::Null)
        };
        let typed = children
            .iter()
            .map(|name| (name.clone(), known(name)))
            .chain([(EMPTY.to_owned(), DataType::Boolean)]);
        let typed: Vec<(String, DataType)> = typed.collect();
        let mut fields: Vec<Field> = given
            .fields()
            .iter()
            .map(|field| field.as_ref().clone())
            .collect();
        for (name, data_type) in &typed {
            let field = Field::new(name, data_type.clone(), true);
            match fields.iter_mut().find(|field| field.name() == name) {
                Some(old) => *old = field,
                None => fields.push(field),
            }
        }
        let schema = Arc::new(Schema::new(fields));
        let (output, feature) = (schema.clone(), feature.clone());
        Ok(rows.map(schema, move |batch| {
            let marked = marks_of(&feature, &batch)?;
            if marked.true_count() > 0 {
                require_parents(&feature, &parents, &batch, &marked)?;
                let unknown = typed.iter().find(|(_, of)| of == &DataType::Null);
                if let Some((child, _)) = unknown {
                    return Err(unknown_type(&feature, child));
                }
            }
            let arrays = output.fields().iter().map(|field| -> Result<ArrayRef> {
                let name = field.name();
                if name == EMPTY {
                    let unmarked = arrow::compute::not(&marked)?;
                    return Ok(nullif(&marked, &unmarked)?);
                }
                let Some(array) = batch.column_by_name(name) else {
                    return Ok(new_null_array(field.data_type(), batch.num_rows()));
                };
                if !children.contains(name) {
                    return Ok(array.clone());
                }
                match array.data_type() {
                    DataType::Null => Ok(new_null_array(field.data_type(), array.len())),
                    _ => Ok(nullif(array, &marked)?),
                }
            });
            let arrays = arrays.collect::<Result<_>>()?;
            Ok(RecordBatch::try_new(output.clone(), arrays)?)
        }))
    }

    /// The ID columns that tell a parent, and those that tell its children.
    fn parents_and_children(
        &self,
        feature: &FeatureKey,
        spec: &FeatureSpec,
    ) -> (Vec<String>, Vec<String>) {
        let ids = spec.id_columns().iter().cloned();
        // A copy also takes rows of features of which an upstream is not known.
        match self.graph.plan(feature) {
            Ok(plan) => ids.partition(|id| plan.identity_columns.contains(id)),
            Err(_) => {
                let expansions = spec.deps().iter().filter_map(|dep| match &dep.lineage {
                    Lineage::Expansion { on, .. } => Some(on),
                    Lineage::Identity | Lineage::Aggregation { .. } => None,
                });
                let parents: Vec<&String> = expansions.flatten().collect();
                match parents.is_empty() {
                    true => (ids.collect(), Vec::new()),
                    false => ids.partition(|id| parents.contains(&id)),
                }
            }
        }
    }
}

/// The marks of a batch; null marks nothing.
fn marks_of(feature: &FeatureKey, batch: &RecordBatch) -> Result<BooleanArray> {
    let Some(array) = batch.column_by_name(EMPTY) else {
        return Ok(BooleanArray::from(vec![false; batch.num_rows()]));
    };
    let marks = cast_checked(array, &DataType::Boolean);
    let marks = marks.map_err(|e| {
        Error::new(
            ErrorKind::InvalidFrame,
            format!("column {EMPTY:?} of the frame for feature {feature} has a value that is not true or false: {e}"),
        )
        .with_hint(HINT)
    })?;
    Ok(marks
        .as_boolean()
        .iter()
        .map(|mark| Some(mark == Some(true)))
        .collect())
}

/// Rows of a feature that has no children: none may be marked.
fn without_marks(feature: &FeatureKey, rows: Frame) -> Result<Frame> {
    let kept: Vec<usize> = (0..rows.schema().fields().len())
        .filter(|at| rows.schema().field(*at).name() != EMPTY)
        .collect();
    let schema = Arc::new(rows.schema().project(&kept)?);
    let feature = feature.clone();
    Ok(rows.map(schema, move |batch| {
        let marked = marks_of(&feature, &batch)?.true_count();
        if marked > 0 {
            return Err(Error::new(
                ErrorKind::InvalidFrame,
                format!("{EMPTY:?} is true in {marked} rows of feature {feature}, whose samples are no children of others"),
            )
            .with_hint("only a feature that depends on another by expansion has parents without children; nothing was written"));
        }
        Ok(batch.project(&kept)?)
    }))
}

const HINT: &str = "it is true in the row of a parent without children; nothing was written";

fn require_truth(feature: &FeatureKey, given: &DataType) -> Result<()> {
    match given {
        DataType::Boolean
        | DataType::Null
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View => Ok(()),
        other => Err(Error::new(
            ErrorKind::InvalidFrame,
            format!(
                "column {EMPTY:?} of the frame for feature {feature} is {other}, not true or false"
            ),
        )
        .with_hint(HINT)),
    }
}

fn require_parents(
    feature: &FeatureKey,
    parents: &[String],
    batch: &RecordBatch,
    marked: &BooleanArray,
) -> Result<()> {
    for name in parents {
        let nulls = nulls(batch, name, Some(marked))?;
        if nulls > 0 {
            return Err(Error::new(
                ErrorKind::InvalidFrame,
                format!("ID column {name:?} of feature {feature} is null in {nulls} rows of parents without children"),
            )
            .with_hint("such a row has the IDs of the parent, as a resolve gives them; nothing was written"));
        }
    }
    Ok(())
}

fn unknown_type(feature: &FeatureKey, child: &str) -> Error {
    Error::new(
        ErrorKind::InvalidFrame,
        format!("no child of feature {feature} was ever written, so the type of ID column {child:?} is not known, and a parent without children cannot be the first row"),
    )
    .with_hint(format!(
        "write it together with children, or give {child:?} any value in such a row: only its type is taken"
    ))
}

/// The times at which rows were deleted: marked ones always are, since they were written.
pub(super) fn always_deleted(
    deleted: Option<ArrayRef>,
    updated: Option<&ArrayRef>,
    batch: &RecordBatch,
) -> Result<Option<ArrayRef>> {
    let (Some(marks), Some(updated)) = (batch.column_by_name(EMPTY), updated) else {
        return Ok(deleted);
    };
    let marked = is_not_null(marks)?;
    if marked.true_count() == 0 {
        return Ok(deleted);
    }
    let deleted = deleted.unwrap_or_else(|| new_null_array(updated.data_type(), updated.len()));
    let lacking = arrow::compute::and(&marked, &is_null(&deleted)?)?;
    Ok(Some(arrow::compute::kernels::zip::zip(
        &lacking, updated, &deleted,
    )?))
}
