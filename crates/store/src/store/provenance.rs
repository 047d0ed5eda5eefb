//! Provenance of rows that the caller has joined (`semantics.md` §4).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StructArray};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

use super::MetadataStore;
use super::versions::{VERSIONS, by_field_members, member_text};
use crate::columns;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Frame;
use crate::graph::feature_plan::{FeaturePlan, UpstreamVersion, hashed_together};
use crate::hash::{HashPart, hash_rows};
use crate::key::FeatureKey;
use crate::plan::HashSpec;

impl MetadataStore {
    /// The frame with the four version columns of `feature`, for joins that this library does not do itself.
    ///
    /// `rows` holds one row per sample, with the data versions of every upstream in a struct column named
    /// `metaxy_data_version_by_field` + [`FeatureKey::column_suffix`]: for `video/raw-hd` it is
    /// `metaxy_data_version_by_field__video_raw-hd`. Nothing is folded or filtered: aggregated versions are the caller's to
    /// fold. Version columns that the frame has already are replaced; all others stay, those of the upstreams too, and
    /// are stored if the frame is written.
    ///
    /// The result is what [`resolve_update`](Self::resolve_update) takes as samples, and what [`write`](Self::write) takes.
    ///
    /// # Errors
    /// [`ErrorKind::FeatureNotFound`] if the feature or an upstream is not in the graph; [`ErrorKind::InvalidFrame`] if a column of
    /// an upstream is missing, is no struct (or map) of text, or lacks a field.
    pub fn compute_provenance(
        &self,
        feature: &FeatureKey,
        rows: impl Into<Frame>,
    ) -> Result<Frame> {
        let rows = rows.into();
        let plan = self.plan(feature)?;
        let hashes = Hashes::new(&plan, rows.schema(), self.hash());
        let hashes = hashes.map_err(|e| self.about(e, feature))?;
        let schema = hashes.schema.clone();
        Ok(rows.map(schema, move |batch| hashes.apply(&batch)))
    }
}

struct Hashes {
    /// For each field, in the order of the struct's members, what is hashed.
    fields: Vec<Vec<HashPart<Member>>>,
    hash: HashSpec,
    schema: SchemaRef,
}

/// A member of a column: the version of an upstream's field.
struct Member {
    column: String,
    member: String,
}

impl Hashes {
    fn new(plan: &FeaturePlan, input: &Schema, hash: HashSpec) -> Result<Self> {
        let names = upstream_columns(plan, input)?;
        let recipe = plan.recipe()?;
        let members: Fields = recipe
            .iter()
            .map(|field| Field::new(&field.member, DataType::Utf8, true))
            .collect();
        let found = |version: UpstreamVersion| -> Result<Member> {
            let UpstreamVersion { dep, member, .. } = version;
            let column = names[dep].clone();
            require_member(plan, input, &column, &member, &plan.deps[dep].dep.feature)?;
            Ok(Member { column, member })
        };
        let fields = recipe.into_iter().map(|field| {
            let parts = field.parts.into_iter();
            let parts = parts.map(|part| match part {
                HashPart::Text(text) => Ok(HashPart::Text(text)),
                HashPart::Value(version, nulls) => Ok(HashPart::Value(found(version)?, nulls)),
            });
            parts.collect::<Result<Vec<_>>>()
        });
        let fields = fields.collect::<Result<Vec<_>>>()?;
        let mut output: Vec<Field> = input
            .fields()
            .iter()
            .filter(|f| !VERSIONS.contains(&f.name().as_str()))
            .map(|f| f.as_ref().clone())
            .collect();
        for name in VERSIONS {
            let data_type = match name {
                columns::PROVENANCE | columns::DATA_VERSION => DataType::Utf8,
                _ => DataType::Struct(members.clone()),
            };
            output.push(Field::new(name, data_type, true));
        }
        Ok(Self {
            fields,
            hash,
            schema: Arc::new(Schema::new(output)),
        })
    }

    fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let values = self
            .fields
            .iter()
            .map(|field| self.field(field, batch))
            .collect::<Result<Vec<_>>>()?;
        let parts = hashed_together(values.iter().map(|value| value.as_ref()));
        let provenance = self.hashed(&parts, batch.num_rows())?;
        let members = match self.schema.field_with_name(VERSIONS[0])?.data_type() {
            DataType::Struct(members) => members.clone(),
            other => return Err(Error::new(ErrorKind::Internal, format!("{other} by field"))),
        };
        let by_field: ArrayRef = match members.is_empty() {
            true => Arc::new(StructArray::new_empty_fields(batch.num_rows(), None)),
            false => Arc::new(StructArray::try_new(members, values, None)?),
        };
        let arrays = self
            .schema
            .fields()
            .iter()
            .map(|field| match field.name().as_str() {
                columns::PROVENANCE | columns::DATA_VERSION => Ok(provenance.clone()),
                columns::PROVENANCE_BY_FIELD | columns::DATA_VERSION_BY_FIELD => {
                    Ok(by_field.clone())
                }
                name => column(batch, name).cloned(),
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(self.schema.clone(), arrays)?)
    }

    fn field(&self, parts: &[HashPart<Member>], batch: &RecordBatch) -> Result<ArrayRef> {
        let texts = parts.iter().map(|part| match part {
            HashPart::Text(text) => Ok(HashPart::Text(text.clone())),
            HashPart::Value(Member { column: of, member }, nulls) => {
                let text = member_text(column(batch, of)?, member)?;
                Ok(HashPart::Value(text, *nulls))
            }
        });
        let texts = texts.collect::<Result<Vec<_>>>()?;
        let parts: Vec<HashPart<&dyn Array>> = texts.iter().map(HashPart::as_array).collect();
        self.hashed(&parts, batch.num_rows())
    }

    fn hashed(&self, parts: &[HashPart<&dyn Array>], rows: usize) -> Result<ArrayRef> {
        let hashes = hash_rows(self.hash.algorithm, self.hash.length, parts, rows)?;
        Ok(Arc::new(hashes))
    }
}

/// The column of each upstream, in the order of the deps.
fn upstream_columns(plan: &FeaturePlan, input: &Schema) -> Result<Vec<String>> {
    let mut owners: HashMap<String, &FeatureKey> = HashMap::new();
    let mut names = Vec::with_capacity(plan.deps.len());
    for dep in &plan.deps {
        let upstream = &dep.dep.feature;
        let name = format!(
            "{}{}",
            columns::DATA_VERSION_BY_FIELD,
            upstream.column_suffix()
        );
        if let Some(other) = owners.insert(name.clone(), upstream) {
            return Err(Error::new(
                ErrorKind::InvalidDefinition,
                format!(
                    "upstreams {other} and {upstream} of feature {} would share the column {name:?}",
                    plan.key()
                ),
            )
            .with_hint("rename one of the two features, or let `resolve_update` join them"));
        }
        let members: Vec<String> = dep
            .definition
            .spec
            .fields()
            .iter()
            .map(|field| field.key.struct_key())
            .collect();
        let refuse = |why: String| {
            Error::new(ErrorKind::InvalidFrame, why).with_hint(format!(
                "rename {:?} of the rows of {upstream} to {name:?} before joining; its members are {}",
                columns::DATA_VERSION_BY_FIELD,
                members.join(", ")
            ))
        };
        match input.field_with_name(&name) {
            Err(_) => {
                return Err(refuse(format!(
                    "the frame for feature {} has no column {name:?}, the data versions of its upstream {upstream}",
                    plan.key()
                )));
            }
            Ok(field) if by_field_members(field.data_type(), &members).is_none() => {
                return Err(refuse(format!(
                    "column {name:?} in the frame for feature {} is {}, not a struct of text",
                    plan.key(),
                    field.data_type()
                )));
            }
            Ok(_) => names.push(name),
        }
    }
    Ok(names)
}

fn require_member(
    plan: &FeaturePlan,
    input: &Schema,
    column: &str,
    member: &str,
    upstream: &FeatureKey,
) -> Result<()> {
    match input.field_with_name(column)?.data_type() {
        DataType::Struct(members) if members.iter().all(|m| m.name() != member) => Err(Error::new(
            ErrorKind::InvalidFrame,
            format!(
                "column {column:?} in the frame for feature {} has no member {member:?}, a field of {upstream}",
                plan.key()
            ),
        )
        .with_hint(format!("read {upstream} with its current fields, or add the member"))),
        _ => Ok(()),
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidFrame,
            format!("a batch lacks column {name:?}"),
        )
    })
}
