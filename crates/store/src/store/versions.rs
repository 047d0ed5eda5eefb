//! The four version columns of a frame that a user hands in (`semantics.md` §4).

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, MapArray, RecordBatch, StringArray, StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::kernels::zip::zip;
use arrow::compute::{cast, is_not_null};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

use crate::cast::is_text;
use crate::columns;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Frame;
use crate::graph::feature_plan::hashed_together;
use crate::hash::hash_rows;
use crate::key::FeatureKey;
use crate::plan::HashSpec;
use crate::spec::FeatureSpec;

/// How a given `metaxy_provenance` is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GivenProvenance {
    /// Kept.
    Keep,
    /// Computed anew from the by-field column.
    Recompute,
}

/// What is looked at in the versions of each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Checks {
    /// Members that are no fields of the feature have no values.
    pub(super) members: bool,
    /// Every field has a version.
    pub(super) nulls: bool,
}

/// The frame with all four version columns, for the feature of `spec`.
///
/// # Errors
/// [`ErrorKind::InvalidFrame`] if the by-field columns are missing, are no structs (or maps) of text, or lack a field.
pub(super) fn with_versions(
    frame: Frame,
    spec: &FeatureSpec,
    hash: HashSpec,
    given: GivenProvenance,
    checks: Checks,
) -> Result<Frame> {
    let mut versions = Versions::new(frame.schema(), spec, hash, given, checks)?;
    let schema = versions.schema.clone();
    Ok(frame.map(schema, move |batch| versions.apply(&batch)))
}

struct Versions {
    feature: FeatureKey,
    /// Struct keys of the fields, in the order in which they are hashed.
    fields: Vec<String>,
    hash: HashSpec,
    given: GivenProvenance,
    checks: Checks,
    /// The rows that came before.
    rows: u64,
    schema: SchemaRef,
}

impl Versions {
    fn new(
        input: &Schema,
        spec: &FeatureSpec,
        hash: HashSpec,
        given: GivenProvenance,
        checks: Checks,
    ) -> Result<Self> {
        let feature = spec.key().clone();
        let mut fields: Vec<String> = spec.fields().iter().map(|f| f.key.struct_key()).collect();
        fields.sort();
        let refuse = |message: String| Error::new(ErrorKind::InvalidFrame, message);
        let by_field = |name: &str| {
            match input.field_with_name(name) {
            Err(_) => Ok(None),
            // A column of a frame without rows may have no type; nulls are no structs of nulls.
            Ok(field) if field.data_type() == &DataType::Null => {
                let text = |name: &String| Field::new(name, DataType::Utf8, true);
                Ok(Some(fields.iter().map(text).collect()))
            }
            Ok(field) => match by_field_members(field.data_type(), &fields) {
                Some(members) => Ok(Some(members)),
                None => Err(refuse(format!(
                    "column {name:?} of feature {feature} is {}, not a struct of text with one member per field",
                    field.data_type()
                ))
                .with_hint(format!("its members are {}", fields.join(", ")))),
            },
        }
        };
        let provenance = by_field(columns::PROVENANCE_BY_FIELD)?.ok_or_else(|| {
            refuse(format!(
                "the frame for feature {feature} has no column {:?}",
                columns::PROVENANCE_BY_FIELD
            ))
            .with_hint(format!(
                "add a struct column of text with the members {}",
                fields.join(", ")
            ))
        })?;
        for field in &fields {
            if !provenance.iter().any(|m| m.name() == field) {
                return Err(refuse(format!(
                    "column {:?} of feature {feature} has no member {field:?}",
                    columns::PROVENANCE_BY_FIELD
                ))
                .with_hint(format!(
                    "its members are the fields of the feature: {}",
                    fields.join(", ")
                )));
            }
        }
        let data = by_field(columns::DATA_VERSION_BY_FIELD)?;
        if data.is_none() && input.field_with_name(columns::DATA_VERSION).is_ok() {
            return Err(refuse(format!(
                "the frame for feature {feature} has {:?} without {:?}",
                columns::DATA_VERSION,
                columns::DATA_VERSION_BY_FIELD
            ))
            .with_hint(format!(
                "give {:?}, from which it is hashed, or leave both out",
                columns::DATA_VERSION_BY_FIELD
            )));
        }
        for name in [columns::PROVENANCE, columns::DATA_VERSION] {
            if let Ok(field) = input.field_with_name(name)
                && !is_text(field.data_type())
            {
                return Err(refuse(format!(
                    "column {name:?} of feature {feature} is {}, not text",
                    field.data_type()
                )));
            }
        }
        let data = data.unwrap_or_else(|| provenance.clone());
        let mut output: Vec<Field> = input
            .fields()
            .iter()
            .filter(|f| !VERSIONS.contains(&f.name().as_str()))
            .map(|f| f.as_ref().clone())
            .collect();
        output.push(Field::new(
            columns::PROVENANCE_BY_FIELD,
            DataType::Struct(provenance),
            true,
        ));
        output.push(Field::new(columns::PROVENANCE, DataType::Utf8, true));
        output.push(Field::new(
            columns::DATA_VERSION_BY_FIELD,
            DataType::Struct(data),
            true,
        ));
        output.push(Field::new(columns::DATA_VERSION, DataType::Utf8, true));
        Ok(Self {
            feature,
            fields,
            hash,
            given,
            checks,
            rows: 0,
            schema: Arc::new(Schema::new(output)),
        })
    }

    fn apply(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        if self.checks.members {
            for name in [columns::PROVENANCE_BY_FIELD, columns::DATA_VERSION_BY_FIELD] {
                if let Some(given) = batch.column_by_name(name) {
                    self.require_own_members(name, given)?;
                }
            }
        }
        let by_field = self
            .by_field(batch, columns::PROVENANCE_BY_FIELD)?
            .ok_or_else(|| Error::new(ErrorKind::Internal, "a batch without provenance"))?;
        self.require_versions(columns::PROVENANCE_BY_FIELD, &by_field)?;
        let provenance = match batch.column_by_name(columns::PROVENANCE) {
            Some(given) if self.given == GivenProvenance::Keep => text(given)?,
            _ => self.hash(&by_field)?,
        };
        let (data_by_field, data): (StructArray, ArrayRef) =
            match self.by_field(batch, columns::DATA_VERSION_BY_FIELD)? {
                None => (by_field.clone(), provenance.clone()),
                Some(given) => {
                    let filled = self.fill(&given, &by_field)?;
                    self.require_versions(columns::DATA_VERSION_BY_FIELD, &filled)?;
                    let hashed = self.hash(&filled)?;
                    let data = match batch.column_by_name(columns::DATA_VERSION) {
                        None => hashed,
                        Some(given) => or_else(&text(given)?, &hashed)?,
                    };
                    (filled, data)
                }
            };
        let arrays = self
            .schema
            .fields()
            .iter()
            .map(|field| -> Result<ArrayRef> {
                Ok(match field.name().as_str() {
                    columns::PROVENANCE_BY_FIELD => Arc::new(by_field.clone()),
                    columns::PROVENANCE => provenance.clone(),
                    columns::DATA_VERSION_BY_FIELD => Arc::new(data_by_field.clone()),
                    columns::DATA_VERSION => data.clone(),
                    name => batch.column_by_name(name).cloned().ok_or_else(|| {
                        Error::new(
                            ErrorKind::InvalidFrame,
                            format!("a batch lacks column {name:?}"),
                        )
                    })?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        self.rows += batch.num_rows() as u64;
        Ok(RecordBatch::try_new(self.schema.clone(), arrays)?)
    }

    /// Refuses a version of what is no field of the feature: it would be stored, and never looked at.
    fn require_own_members(&self, column: &str, given: &ArrayRef) -> Result<()> {
        let own = |name: &str| self.fields.iter().any(|field| field == name);
        let mut found: Option<(String, usize)> = None;
        if let Some(rows) = given.as_struct_opt() {
            for (member, values) in rows.fields().iter().zip(rows.columns()) {
                let there = |row: &usize| rows.is_valid(*row) && values.is_valid(*row);
                if !own(member.name())
                    && let Some(row) = (0..rows.len()).find(there)
                {
                    found = Some((member.name().clone(), row));
                }
            }
        } else if let Some(maps) = given.as_map_opt() {
            let (keys, values) = (text(maps.keys())?, maps.values());
            let keys = keys.as_string::<i32>();
            for (row, range) in maps.offsets().windows(2).enumerate() {
                let foreign = |at: &usize| {
                    keys.is_valid(*at) && values.is_valid(*at) && !own(keys.value(*at))
                };
                let mut entries = range[0] as usize..range[1] as usize;
                if maps.is_valid(row)
                    && let Some(at) = entries.find(foreign)
                {
                    found = Some((keys.value(at).to_owned(), row));
                    break;
                }
            }
        }
        let Some((member, row)) = found else {
            return Ok(());
        };
        Err(Error::new(
            ErrorKind::InvalidFrame,
            format!(
                "column {column:?} has a version of {member:?} in row {}, which is no field of feature {}",
                self.rows + row as u64 + 1,
                self.feature
            ),
        )
        .with_hint(format!(
            "its fields are {}: are these rows of another feature? Nothing was written",
            self.fields.join(", ")
        )))
    }

    /// Refuses a field without a version, where every field has to have one.
    fn require_versions(&self, column: &str, by_field: &StructArray) -> Result<()> {
        if !self.checks.nulls {
            return Ok(());
        }
        for field in &self.fields {
            let Some(member) = by_field.column_by_name(field) else {
                // The fields that data versions lack have those of the provenance.
                continue;
            };
            let Some(nulls) = NullBuffer::union(member.nulls(), by_field.nulls()) else {
                continue;
            };
            let Some(row) = (0..nulls.len()).find(|row| nulls.is_null(*row)) else {
                continue;
            };
            return Err(Error::new(
                ErrorKind::InvalidFrame,
                format!(
                    "column {column:?} of feature {} has no version of field {field:?} in row {}",
                    self.feature,
                    self.rows + row as u64 + 1
                ),
            )
            .with_hint(
                "give the version or a hash of what the field holds: a change of a version that is null is never seen; \
                 `metaxy write --allow-null-versions` takes it as it is. Nothing was written",
            ));
        }
        Ok(())
    }

    /// A by-field column as the struct that the schema has.
    fn by_field(&self, batch: &RecordBatch, name: &str) -> Result<Option<StructArray>> {
        let Some(array) = batch.column_by_name(name) else {
            return Ok(None);
        };
        if array.data_type() == &DataType::Null
            && !array.is_empty()
            && name == columns::PROVENANCE_BY_FIELD
        {
            return Err(Error::new(
                ErrorKind::InvalidFrame,
                format!(
                    "column {name:?} of feature {} is null in every row",
                    self.feature
                ),
            )
            .with_hint(format!("its members are {}", self.fields.join(", "))));
        }
        let nulls = array.logical_nulls();
        let DataType::Struct(members) = self.schema.field_with_name(name)?.data_type() else {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("{name} is no struct"),
            ));
        };
        let values = members
            .iter()
            .map(|member| member_text(array, member.name()))
            .collect::<Result<Vec<_>>>()
            .map_err(|e| e.with_context("feature", &self.feature))?;
        if members.is_empty() {
            return Ok(Some(StructArray::new_empty_fields(batch.num_rows(), nulls)));
        }
        Ok(Some(StructArray::try_new(members.clone(), values, nulls)?))
    }

    /// Rows that are null in `given` are taken from `default`.
    fn fill(&self, given: &StructArray, default: &StructArray) -> Result<StructArray> {
        if given.null_count() == 0 {
            return Ok(given.clone());
        }
        let here = is_not_null(given)?;
        let values = given
            .fields()
            .iter()
            .zip(given.columns())
            .map(|(member, value)| {
                let other: ArrayRef = match default.column_by_name(member.name()) {
                    Some(other) => other.clone(),
                    None => arrow::array::new_null_array(&DataType::Utf8, given.len()),
                };
                Ok(zip(&here, value, &other)?)
            })
            .collect::<Result<Vec<_>>>()?;
        let both_null: BooleanArray = (0..given.len())
            .map(|i| Some(given.is_valid(i) || default.is_valid(i)))
            .collect();
        let nulls = NullBuffer::new(both_null.values().clone());
        Ok(StructArray::try_new(
            given.fields().clone(),
            values,
            Some(nulls),
        )?)
    }

    /// The version of each row: its fields' versions, hashed; null if one of them is.
    fn hash(&self, by_field: &StructArray) -> Result<ArrayRef> {
        let nulls = StringArray::new_null(by_field.len());
        let members: Vec<ArrayRef> = self
            .fields
            .iter()
            .map(|name| -> Result<ArrayRef> {
                let Some(member) = by_field.column_by_name(name) else {
                    return Ok(Arc::new(nulls.clone()));
                };
                let valid = NullBuffer::union(member.nulls(), by_field.nulls());
                let data = member.to_data().into_builder().nulls(valid).build()?;
                Ok(arrow::array::make_array(data))
            })
            .collect::<Result<_>>()?;
        let parts = hashed_together(members.iter().map(|member| member.as_ref()));
        let hashes = hash_rows(
            self.hash.algorithm,
            self.hash.length,
            &parts,
            by_field.len(),
        )?;
        Ok(Arc::new(hashes))
    }
}

pub(super) const VERSIONS: [&str; 4] = [
    columns::PROVENANCE_BY_FIELD,
    columns::PROVENANCE,
    columns::DATA_VERSION_BY_FIELD,
    columns::DATA_VERSION,
];

/// The members that a by-field column is stored with: those of a struct, or the fields of a map.
pub(super) fn by_field_members(data_type: &DataType, fields: &[String]) -> Option<Fields> {
    let text_members = |names: &mut dyn Iterator<Item = String>| -> Fields {
        names
            .map(|name| Field::new(name, DataType::Utf8, true))
            .collect()
    };
    match data_type {
        DataType::Struct(members) => members
            .iter()
            .all(|m| is_text(m.data_type()) || m.data_type() == &DataType::Null)
            .then(|| text_members(&mut members.iter().map(|m| m.name().clone()))),
        DataType::Map(entry, _) => match entry.data_type() {
            DataType::Struct(pair)
                if pair.len() == 2 && pair.iter().all(|f| is_text(f.data_type())) =>
            {
                Some(text_members(&mut fields.iter().cloned()))
            }
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn text(array: &ArrayRef) -> Result<ArrayRef> {
    Ok(cast(array, &DataType::Utf8)?)
}

pub(super) fn member_text(array: &ArrayRef, name: &str) -> Result<ArrayRef> {
    if let Some(map) = array.as_any().downcast_ref::<MapArray>() {
        return Ok(Arc::new(map_member(map, name)?));
    }
    match array.as_struct_opt().and_then(|s| s.column_by_name(name)) {
        Some(member) => text(member),
        None => Ok(arrow::array::new_null_array(&DataType::Utf8, array.len())),
    }
}

/// The value under `key` in each map; the last, if it occurs twice.
fn map_member(map: &MapArray, key: &str) -> Result<StringArray> {
    let keys = text(map.keys())?;
    let values = text(map.values())?;
    let (keys, values) = (keys.as_string::<i32>(), values.as_string::<i32>());
    let offsets = map.value_offsets();
    Ok((0..map.len())
        .map(|row| {
            if map.is_null(row) {
                return None;
            }
            let range =
                usize::try_from(offsets[row]).ok()?..usize::try_from(offsets[row + 1]).ok()?;
            range
                .rev()
                .find(|i| keys.is_valid(*i) && keys.value(*i) == key)
                .and_then(|i| values.is_valid(i).then(|| values.value(i)))
        })
        .collect())
}

fn or_else(first: &ArrayRef, second: &ArrayRef) -> Result<ArrayRef> {
    Ok(zip(&is_not_null(first)?, first, second)?)
}
