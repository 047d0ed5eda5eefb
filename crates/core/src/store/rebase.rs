//! Carrying rows over to another version of their feature without computing them anew.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, StructArray};
use arrow::buffer::NullBuffer;
use arrow::compute::kernels::cmp::eq;
use arrow::compute::{and_not, nullif};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

use super::MetadataStore;
use super::progress::compared;
use super::resolve::ResolveOptions;
use super::versions::{by_field_members, member_text, text};
use crate::append::require_ids;
use crate::columns;
use crate::error::{Error, ErrorKind, Result};
use crate::feature_plan::FeaturePlan;
use crate::frame::Frame;
use crate::graph::FeatureGraph;
use crate::key::FeatureKey;
use crate::options::setters;
use crate::plan::{JoinKind, Plan, Relation, Scalar, member_column};
use crate::system::PushedFeature;

/// Where a rebase leads. The default is the feature as the graph defines it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RebaseOptions {
    /// The feature version to carry the rows over to: the current one, or one that was pushed to this store.
    pub to_feature_version: Option<String>,
}

impl RebaseOptions {
    setters! { options =>
        /// Carries the rows over to this feature version.
        with_to_feature_version(version: impl Into<String>) {
            options.to_feature_version = Some(version.into());
        }
    }
}

impl MetadataStore {
    /// The rows of a feature as rows of another version of it: with the provenance that they would have if they were computed
    /// under that version from what is upstream now.
    ///
    /// `rows` are those of some version, as a [`read`](Self::read) gives them. Each stays one row; those whose upstream is gone
    /// are left out, and children of an expansion get the provenance of their parent. Data versions that are the same as
    /// the old provenance become null (a write fills them in), those set by the user stay. Feature and project version are
    /// those of the target: write the result with
    /// [`preserve_feature_version`](super::WriteOptions::preserve_feature_version).
    ///
    /// A version that is not the current one is looked up among the graphs pushed to this store, the newest that has it; features
    /// of other projects that it needs are taken as they were pushed then. Upstream rows come from the whole chain.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a root feature, and for a version that was never pushed; [`ErrorKind::InvalidFrame`] if a column
    /// that identifies the samples, `metaxy_provenance` or a data version column is missing; those of
    /// [`resolve_update`](Self::resolve_update).
    pub async fn rebase(
        &self,
        feature: &FeatureKey,
        rows: impl Into<Frame> + Send,
        options: RebaseOptions,
    ) -> Result<Frame> {
        let rebased = self.rebase_to(feature, rows.into(), &options).await;
        rebased.map_err(|e| self.about(e, feature))
    }

    async fn rebase_to(
        &self,
        feature: &FeatureKey,
        rows: Frame,
        options: &RebaseOptions,
    ) -> Result<Frame> {
        if self.plan(feature)?.is_root() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("feature {feature} has no upstream, so its rows cannot be rebased"),
            )
            .with_hint("its provenance is the user's: write the samples anew"));
        }
        let target = self.target(feature, options).await?;
        let store = self.with_graph(target.graph);
        let plan = store.plan(feature)?;
        if plan.is_root() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "feature {feature} has no upstream in version {}, so no rows can be rebased to it",
                    target.feature_version
                ),
            ));
        }
        let rows = Before::new(&plan, rows.schema())?.reset(rows);
        let everything = ResolveOptions::default().with_skip_comparison(true);
        let increment = store.resolve_lazy(feature, everything).await?;
        let members = plan.spec().fields().len();
        let expected = &compared(increment.plan.relation())?;
        let provenance = once_each(
            &plan,
            &expected.expected,
            &expected.expected_version,
            members,
        )?;
        let version = expected.expected_version.clone();

        let mut frames = increment.frames;
        let old = Relation::frame(frames.len(), rows.schema().clone());
        // The rows keep the types that their IDs have.
        let ids = plan.identity_columns.iter();
        let types = ids.map(|id| {
            let field = rows.schema().field_with_name(id)?;
            Ok((id.clone(), field.data_type().clone()))
        });
        let types = types.collect::<Result<Vec<_>>>()?;
        let relation = old.join(provenance, plan.identity_columns.clone(), JoinKind::Inner)?;
        let relation = relation.converted(&types)?;
        let new = After::new(
            &plan,
            rows.schema(),
            version,
            target.feature_version,
            target.project_version,
        );
        frames.push(rows);
        let joined = self.inner.backend.query(Plan { relation, frames }).await?;
        let schema = new.schema.clone();
        Ok(joined.map(schema, move |batch| new.apply(&batch)))
    }

    async fn target(&self, feature: &FeatureKey, options: &RebaseOptions) -> Result<Target> {
        let current = self.graph.feature_version(feature)?;
        match options.to_feature_version.as_deref() {
            Some(version) if version != current => self.pushed_target(feature, version).await,
            _ => Ok(Target {
                feature_version: current.to_owned(),
                project_version: self
                    .project_version(self.graph.require(feature)?)
                    .to_owned(),
                graph: self.graph.clone(),
            }),
        }
    }

    /// The newest pushed graph in which the feature has this version.
    async fn pushed_target(&self, feature: &FeatureKey, version: &str) -> Result<Target> {
        let history = self.pushed_features().await?;
        let has_it =
            |row: &&PushedFeature| row.feature_key == *feature && row.feature_version == version;
        let Some(row) = history.iter().rfind(has_it) else {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "version {version:?} of feature {feature} was never pushed to store {:?}",
                    self.name()
                ),
            )
            .with_hint("push the graph that has it to this store, or name another version"));
        };
        let mut came_out = String::new();
        // Foreign features as they were when the graph was pushed; or as they are now, if they were pushed after it.
        for until in [row.recorded_at, i64::MAX] {
            let graph = self.pushed_graph(&history, row, until).await?;
            let computed = graph.feature_version(feature)?;
            if computed == version {
                return Ok(Target {
                    feature_version: version.to_owned(),
                    project_version: row.project_version.clone(),
                    graph,
                });
            }
            came_out = computed.to_owned();
        }
        Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "the graph of project {:?} that was pushed with version {version:?} of feature {feature} gives it {came_out:?} now",
                row.project
            ),
        )
        .with_hint("push the other projects that the feature depends on, as they were then, and the project again"))
    }
}

/// The version that rows are carried over to, and the graph that has it.
struct Target {
    feature_version: String,
    project_version: String,
    graph: FeatureGraph,
}

/// Each sample (or parent, or group) once, with its provenance: the identifying columns, and the text columns of the version
/// and of its members.
fn once_each(
    plan: &FeaturePlan,
    expected: &Relation,
    version: &str,
    members: usize,
) -> Result<Relation> {
    let kept: Vec<String> = plan
        .identity_columns
        .iter()
        .cloned()
        .chain([version.to_owned()])
        .chain((0..members).map(member_column))
        .collect();
    // Under other names for a while: a count has a column of its own.
    let inner: Vec<String> = (0..kept.len()).map(|i| format!("__mx.k{i}")).collect();
    let there = inner.iter().cloned().zip(columns_of(&kept));
    let back = kept.iter().cloned().zip(columns_of(&inner));
    expected
        .clone()
        .project(there.collect())?
        .count(inner.clone())?
        .project(back.collect())
}

fn columns_of(names: &[String]) -> impl Iterator<Item = Scalar> {
    names.iter().map(Scalar::column)
}

/// The rows as they come, and what becomes of their data versions.
struct Before {
    feature: FeatureKey,
    ids: Vec<String>,
    schema: SchemaRef,
    /// The members of the data versions by field: those given and those of the target.
    members: Fields,
}

impl Before {
    fn new(plan: &FeaturePlan, input: &Schema) -> Result<Self> {
        let needed = [
            columns::PROVENANCE,
            columns::DATA_VERSION,
            columns::DATA_VERSION_BY_FIELD,
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
        Ok(Self {
            feature: plan.key().clone(),
            ids: plan.identity_columns.clone(),
            schema: Arc::new(Schema::new(fields)),
            members,
        })
    }

    fn reset(self, rows: Frame) -> Frame {
        rows.map(self.schema.clone(), move |batch| self.apply(&batch))
    }

    fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        require_ids(&self.feature, &self.ids, batch)?;
        let column = |name: &str| {
            batch.column_by_name(name).ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidFrame,
                    format!("a batch lacks column {name:?}"),
                )
            })
        };
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
struct After {
    schema: SchemaRef,
    members: Fields,
    /// The joined column that holds the provenance.
    provenance: String,
    versions: [String; 2],
}

impl After {
    fn new(
        plan: &FeaturePlan,
        old: &Schema,
        provenance: String,
        feature_version: String,
        project_version: String,
    ) -> Self {
        let mut names: Vec<String> = plan
            .spec()
            .fields()
            .iter()
            .map(|field| field.key.struct_key())
            .collect();
        names.sort();
        let members: Fields = names
            .into_iter()
            .map(|name| Field::new(name, DataType::Utf8, true))
            .collect();
        let mut fields: Vec<Field> = old.fields().iter().map(|f| f.as_ref().clone()).collect();
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
            provenance,
            versions: [feature_version, project_version],
        }
    }

    fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let column = |name: &str| {
            batch.column_by_name(name).cloned().ok_or_else(|| {
                Error::new(
                    ErrorKind::Internal,
                    format!("no column {name:?} in a rebase"),
                )
            })
        };
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
                        .map(|i| column(&member_column(i)))
                        .collect::<Result<Vec<_>>>()?;
                    let members = self.members.clone();
                    Ok(Arc::new(StructArray::try_new(members, values, None)?) as ArrayRef)
                }
                columns::PROVENANCE => column(&self.provenance),
                columns::FEATURE_VERSION => Ok(same(&self.versions[0])),
                columns::PROJECT_VERSION => Ok(same(&self.versions[1])),
                name => column(name),
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(self.schema.clone(), arrays)?)
    }
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
