//! The rows as a rebase takes them, and as it gives them back.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, StructArray,
    UInt64Array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::kernels::cmp::eq;
use arrow::compute::{and_not, filter_record_batch, nullif, take};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimestampMicrosecondType};
use arrow::row::{RowConverter, SortField};

use super::column;
use super::then::{Decided, OWN, ROW};
use crate::backend::append::require_ids;
use crate::columns;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Rows;
use crate::graph::feature_plan::FeaturePlan;
use crate::key::FeatureKey;
use crate::store::versions::{by_field_members, member_text, text};

/// The rows as they come, and what becomes of their data versions.
pub(super) struct Before {
    feature: FeatureKey,
    ids: Vec<String>,
    schema: SchemaRef,
    /// The members of the data versions by field: those given and those of the target.
    members: Fields,
}

impl Before {
    pub(super) fn new(plan: &FeaturePlan, input: &Schema) -> Result<Self> {
        let needed = [
            columns::PROVENANCE,
            columns::DATA_VERSION,
            columns::DATA_VERSION_BY_FIELD,
            columns::FEATURE_VERSION,
            columns::UPDATED_AT,
        ];
        let needed = plan
            .identity_columns
            .iter()
            .map(String::as_str)
            .chain(needed);
        for name in needed {
            if input.field_with_name(name).is_err() {
                return Err(refuse(plan, &format!("has no column {name:?}"))
                    .with_hint("rebase rows as a read with all columns gives them"));
            }
        }
        let targets: BTreeSet<String> = plan
            .spec()
            .fields()
            .iter()
            .map(|field| field.key.struct_key())
            .collect();
        let given = input.field_with_name(columns::DATA_VERSION_BY_FIELD)?;
        let names: Vec<String> = targets.iter().cloned().collect();
        let Some(members) = by_field_members(given.data_type(), &names) else {
            let why = format!(
                "has {:?} as {}, not as a struct of text",
                columns::DATA_VERSION_BY_FIELD,
                given.data_type()
            );
            return Err(refuse(plan, &why));
        };
        let added = targets
            .iter()
            .filter(|name| members.iter().all(|m| m.name() != *name))
            .map(|name| Arc::new(Field::new(name, DataType::Utf8, true)));
        let members: Fields = members.iter().cloned().chain(added).collect();
        let mut fields = Vec::new();
        for field in input.fields() {
            match field.name().as_str() {
                columns::PROVENANCE
                | columns::PROVENANCE_BY_FIELD
                | columns::FEATURE_VERSION
                | columns::PROJECT_VERSION => {}
                columns::DATA_VERSION => {
                    fields.push(Field::new(field.name(), DataType::Utf8, true));
                }
                columns::DATA_VERSION_BY_FIELD => fields.push(Field::new(
                    field.name(),
                    DataType::Struct(members.clone()),
                    true,
                )),
                _ => fields.push(field.as_ref().clone()),
            }
        }
        fields.push(Field::new(ROW, DataType::Int64, false));
        fields.push(Field::new(OWN, DataType::Utf8, true));
        Ok(Self {
            feature: plan.key().clone(),
            ids: plan.identity_columns.clone(),
            schema: Arc::new(Schema::new(fields)),
            members,
        })
    }

    /// The columns that stay, and two of the rebase's own.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows without what the new version gives them; data versions that were derived are null.
    pub(super) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        require_ids(&self.feature, &self.ids, batch)?;
        let column = |name: &str| column(batch, name);
        let data = text(column(columns::DATA_VERSION)?)?;
        let provenance = text(column(columns::PROVENANCE)?)?;
        // Null equals nothing here: a data version without provenance was given.
        let derived: BooleanArray = eq(data.as_string::<i32>(), provenance.as_string::<i32>())?
            .iter()
            .map(|same| Some(same == Some(true)))
            .collect();
        let arrays = self
            .schema
            .fields()
            .iter()
            .map(|field| match field.name().as_str() {
                columns::DATA_VERSION => Ok(nullif(&data, &derived)?),
                columns::DATA_VERSION_BY_FIELD => self.by_field(column(field.name())?, &derived),
                ROW => Ok(
                    Arc::new(Int64Array::from_iter_values(0..batch.num_rows() as i64)) as ArrayRef,
                ),
                OWN => Ok(provenance.clone()),
                name => column(name).cloned(),
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(self.schema.clone(), arrays)?)
    }

    fn by_field(&self, given: &ArrayRef, derived: &BooleanArray) -> Result<ArrayRef> {
        let values = self
            .members
            .iter()
            .map(|member| member_text(given, member.name()))
            .collect::<Result<Vec<_>>>()?;
        let there: BooleanArray = (0..given.len()).map(|i| Some(given.is_valid(i))).collect();
        let kept = NullBuffer::new(and_not(&there, derived)?.values().clone());
        if values.is_empty() {
            return Ok(Arc::new(StructArray::new_empty_fields(
                given.len(),
                Some(kept),
            )));
        }
        let members = self.members.clone();
        Ok(Arc::new(StructArray::try_new(members, values, Some(kept))?))
    }
}

/// The rows as they leave.
pub(super) struct After {
    schema: SchemaRef,
    members: Fields,
    versions: [String; 2],
}

impl After {
    /// `before`: the columns that [`Before`] leaves.
    pub(super) fn new(
        plan: &FeaturePlan,
        before: &Schema,
        feature_version: String,
        project_version: String,
    ) -> Self {
        let specs = plan.spec().fields().iter();
        let mut names: Vec<String> = specs.map(|field| field.key.struct_key()).collect();
        names.sort();
        let members: Fields = names
            .into_iter()
            .map(|name| Field::new(name, DataType::Utf8, true))
            .collect();
        let kept = before.fields().iter();
        let kept = kept.filter(|field| ![ROW, OWN].contains(&field.name().as_str()));
        let mut fields: Vec<Field> = kept.map(|field| field.as_ref().clone()).collect();
        let by_field = DataType::Struct(members.clone());
        fields.push(Field::new(columns::PROVENANCE_BY_FIELD, by_field, true));
        for name in [
            columns::PROVENANCE,
            columns::FEATURE_VERSION,
            columns::PROJECT_VERSION,
        ] {
            fields.push(Field::new(name, DataType::Utf8, true));
        }
        Self {
            schema: Arc::new(Schema::new(fields)),
            members,
            versions: [feature_version, project_version],
        }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows of a joined batch that are carried over.
    pub(super) fn apply(&self, batch: &RecordBatch, decided: &Decided) -> Result<RecordBatch> {
        let rows = decided.rows.len();
        let from = decided.rows.iter().map(|(row, _)| *row as u64);
        let from = UInt64Array::from_iter_values(from);
        let same = |value: &String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
                value, rows,
            )))
        };
        let arrays = self
            .schema
            .fields()
            .iter()
            .map(|field| match field.name().as_str() {
                columns::PROVENANCE_BY_FIELD if self.members.is_empty() => {
                    Ok(Arc::new(StructArray::new_empty_fields(rows, None)) as ArrayRef)
                }
                columns::PROVENANCE_BY_FIELD => {
                    let values = (0..self.members.len())
                        .map(|at| decided.provenance(batch, Some(at)))
                        .collect::<Result<Vec<_>>>()?;
                    let members = self.members.clone();
                    Ok(Arc::new(StructArray::try_new(members, values, None)?) as ArrayRef)
                }
                columns::PROVENANCE => decided.provenance(batch, None),
                columns::FEATURE_VERSION => Ok(same(&self.versions[0])),
                columns::PROJECT_VERSION => Ok(same(&self.versions[1])),
                name => Ok(take(column(batch, name)?, &from, None)?),
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(self.schema.clone(), arrays)?)
    }
}

/// The children that speak for their parents: those with the provenance of the one that was written last. All will be written at one time.
pub(super) fn last_of_each(rows: &Rows, parents: &[String]) -> Result<Rows> {
    let fields = parents.iter().map(|parent| {
        let field = rows.schema().field_with_name(parent)?;
        Ok(SortField::new(field.data_type().clone()))
    });
    let converter = RowConverter::new(fields.collect::<Result<_>>()?)?;
    let mut keys = Vec::new();
    for batch in rows.batches() {
        let columns = parents.iter().map(|parent| column(batch, parent).cloned());
        keys.push(converter.convert_columns(&columns.collect::<Result<Vec<_>>>()?)?);
    }
    let written = |batch: &RecordBatch| -> Result<Vec<Option<i64>>> {
        let times = column(batch, columns::UPDATED_AT)?;
        let times = times.as_primitive_opt::<TimestampMicrosecondType>();
        Ok(times
            .map(|times| times.iter().collect())
            .unwrap_or_default())
    };
    let mut last: HashMap<&[u8], (Option<i64>, Option<String>)> = HashMap::new();
    for (batch, keys) in rows.batches().iter().zip(&keys) {
        let provenance = text(column(batch, columns::PROVENANCE)?)?;
        let provenance = provenance.as_string::<i32>();
        for (row, at) in written(batch)?.into_iter().enumerate() {
            let value = || {
                provenance
                    .is_valid(row)
                    .then(|| provenance.value(row).to_owned())
            };
            let key = keys.row(row).data();
            match last.get_mut(key) {
                Some((latest, _)) if *latest >= at => {}
                Some(known) => *known = (at, value()),
                None => {
                    last.insert(key, (at, value()));
                }
            }
        }
    }
    let mut kept = Vec::new();
    for (batch, keys) in rows.batches().iter().zip(&keys) {
        let provenance = text(column(batch, columns::PROVENANCE)?)?;
        let provenance = provenance.as_string::<i32>();
        let speaks: BooleanArray = (0..batch.num_rows())
            .map(|row| {
                let own = provenance.is_valid(row).then(|| provenance.value(row));
                let last = last.get(keys.row(row).data());
                Some(last.is_none_or(|(_, provenance)| provenance.as_deref() == own))
            })
            .collect();
        kept.push(filter_record_batch(batch, &speaks)?);
    }
    Ok(Rows::new(rows.schema().clone(), kept))
}

fn refuse(plan: &FeaturePlan, why: &str) -> Error {
    Error::new(
        ErrorKind::InvalidFrame,
        format!(
            "the frame of feature {} that is to be rebased {why}",
            plan.key()
        ),
    )
}
