//! The rows that a feature should have: its upstreams prepared, joined and hashed (`semantics.md` §2, §4).

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StructArray, new_null_array};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

use super::read::filter_all;
use super::{Fold, HashPart, HashSpec, JoinKind, Nulls, Relation, Scalar, internal};
use crate::columns;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::Expr;
use crate::graph::feature_plan::{FeaturePlan, PlannedDep, UpstreamVersion, hashed_together};
use crate::hash::{HashPart as HashPartOf, push};
use crate::key::FeatureKey;
use crate::spec::Lineage;

/// What the names of columns inside a plan start with; no column of a user does.
pub(crate) const INTERNAL: &str = "__mx.";
const PROVENANCE: &str = "__mx.provenance";

/// An upstream of a feature: its current rows with the columns as stored, or `None` if it was never
/// written.
pub type Upstream = Option<Relation>;

/// The rows that a feature should have.
#[derive(Debug, Clone)]
pub struct Expected {
    pub(super) relation: Relation,
    /// Names of the visible columns, in order.
    visible: Vec<String>,
    /// Those of which nothing tells the type; there are no rows then.
    untyped: Vec<String>,
    versions: Versions,
}

#[derive(Debug, Clone)]
enum Versions {
    /// Text columns of [`member_column`] for these members, in this order, and [`PROVENANCE`].
    Computed(Vec<String>),
    /// The four version columns are columns of the relation.
    Carried,
}

impl Expected {
    /// The rows that `upstreams` (one per dep of `plan`, in order) ask for. Where none of them was ever written, the identifying
    /// columns have the types of `table`, the feature's own; Null if it has none.
    ///
    /// # Errors
    /// [`ErrorKind::FeatureNotFound`] if a required upstream was never written;
    /// [`ErrorKind::InvalidFrame`] and [`ErrorKind::InvalidFilter`] where the stored columns do not fit the
    /// deps: a renamed, selected or filtered column that is missing, or columns of two upstreams
    /// that collide.
    pub fn from_upstreams(
        plan: &FeaturePlan,
        upstreams: Vec<Upstream>,
        table: Option<&Schema>,
        hash: HashSpec,
    ) -> Result<Self> {
        let mut prepared = Vec::new();
        for (index, (dep, upstream)) in plan.deps.iter().zip(upstreams).enumerate() {
            let relation = match upstream {
                Some(relation) => prepare(plan, index, dep, relation, hash)
                    .map_err(|e| e.with_context("upstream", &dep.dep.feature))?,
                None if dep.dep.optional => Prepared::missing(dep),
                None => {
                    return Err(Error::new(
                        ErrorKind::FeatureNotFound,
                        format!(
                            "feature {} cannot be resolved: its upstream {} has never been written",
                            plan.key(),
                            dep.dep.feature
                        ),
                    )
                    .with_hint(format!(
                        "write {} first, or make the dependency optional",
                        dep.dep.feature
                    )));
                }
            };
            prepared.push(relation);
        }
        let known = |id: &String| table.is_some_and(|table| table.field_with_name(id).is_ok());
        let untyped = match prepared.iter().any(|p| p.relation.is_some()) {
            true => Vec::new(),
            false => {
                let ids = plan.identity_columns.iter();
                ids.filter(|id| !known(id)).cloned().collect()
            }
        };
        let joined = join_all(plan, prepared, table)?;
        let visible: Vec<String> = joined
            .schema()
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .filter(|name| !is_internal(name))
            .collect();
        let expected = hash_fields(plan, joined, visible, hash)?;
        Ok(Self {
            untyped,
            ..expected
        })
    }

    /// Samples that the caller gives, with all four version columns.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidFilter`] if a filter does not fit the columns.
    pub fn from_samples(samples: Relation, filters: &[Expr]) -> Result<Self> {
        let relation = filter_all(samples, filters)?;
        Ok(Self {
            visible: names(relation.schema()),
            untyped: Vec::new(),
            relation,
            versions: Versions::Carried,
        })
    }

    /// The columns of new and stale rows.
    pub(super) fn output_schema(&self) -> Result<SchemaRef> {
        let mut fields = self
            .visible
            .iter()
            .map(|name| match self.untyped.contains(name) {
                true => Ok(Field::new(name, DataType::Null, true)),
                false => Ok(self.relation.schema().field_with_name(name)?.clone()),
            })
            .collect::<Result<Vec<_>>>()?;
        if let Versions::Computed(members) = &self.versions {
            let by_field = DataType::Struct(text_members(members));
            fields.push(Field::new(
                columns::PROVENANCE_BY_FIELD,
                by_field.clone(),
                true,
            ));
            fields.push(Field::new(columns::PROVENANCE, DataType::Utf8, true));
            fields.push(Field::new(columns::DATA_VERSION_BY_FIELD, by_field, true));
            fields.push(Field::new(columns::DATA_VERSION, DataType::Utf8, true));
        }
        Ok(Arc::new(Schema::new(fields)))
    }

    /// Assembles the rows that leave: visible columns and versions.
    pub(super) fn assemble(&self, schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
        let column = |name: &str| -> Result<ArrayRef> {
            batch
                .column_by_name(name)
                .cloned()
                .ok_or_else(|| internal(format!("no column {name:?} in an increment")))
        };
        let mut arrays = self
            .visible
            .iter()
            .map(|name| match self.untyped.contains(name) {
                true => Ok(new_null_array(&DataType::Null, batch.num_rows())),
                false => column(name),
            })
            .collect::<Result<Vec<_>>>()?;
        if let Versions::Computed(members) = &self.versions {
            let by_field: ArrayRef = if members.is_empty() {
                Arc::new(StructArray::new_empty_fields(batch.num_rows(), None))
            } else {
                let values = (0..members.len())
                    .map(|i| column(&member_column(i)))
                    .collect::<Result<Vec<_>>>()?;
                Arc::new(StructArray::try_new(text_members(members), values, None)?)
            };
            let provenance = column(PROVENANCE)?;
            arrays.extend([by_field.clone(), provenance.clone(), by_field, provenance]);
        }
        Ok(RecordBatch::try_new(schema.clone(), arrays)?)
    }

    pub(super) fn provenance(&self) -> &'static str {
        match self.versions {
            Versions::Computed(_) => PROVENANCE,
            Versions::Carried => columns::PROVENANCE,
        }
    }
}

/// An upstream after renames, filters, selection and folding.
struct Prepared {
    feature: FeatureKey,
    optional: bool,
    /// The columns that identify its rows after lineage.
    input_ids: Vec<String>,
    /// `None`: never written.
    relation: Option<Relation>,
}

impl Prepared {
    fn missing(dep: &PlannedDep) -> Self {
        Self {
            feature: dep.dep.feature.clone(),
            optional: true,
            input_ids: dep.input_id_columns.clone(),
            relation: None,
        }
    }
}

fn prepare(
    plan: &FeaturePlan,
    index: usize,
    dep: &PlannedDep,
    upstream: Relation,
    hash: HashSpec,
) -> Result<Prepared> {
    let stored = upstream.schema().clone();
    let mut projected: Vec<(String, Scalar)> = Vec::new();
    for old in dep.dep.rename.iter().flat_map(|r| r.keys()) {
        if stored.field_with_name(old).is_err() {
            return Err(missing_column(plan, dep, old, "renames"));
        }
    }
    for name in names(&stored)
        .iter()
        .filter(|n| !n.starts_with(columns::SYSTEM_PREFIX))
    {
        let new = dep
            .dep
            .rename
            .as_ref()
            .and_then(|r| r.get(name))
            .unwrap_or(name);
        if projected.iter().any(|(taken, _)| taken == new) {
            return Err(Error::new(
                ErrorKind::InvalidFrame,
                format!(
                    "feature {} gets two columns named {new:?} from its upstream {}",
                    plan.key(),
                    dep.dep.feature
                ),
            )
            .with_hint("rename one of them to another name"));
        }
        projected.push((new.clone(), Scalar::column(name)));
    }
    let user_columns: Vec<String> = projected.iter().map(|(name, _)| name.clone()).collect();
    projected.push((
        versions_column(index),
        Scalar::column(columns::DATA_VERSION_BY_FIELD),
    ));
    let filters = dep.dep.filters.iter().flatten();
    let filters = filters
        .map(|text| Expr::parse(text))
        .collect::<Result<Vec<_>>>()?;
    let mut relation = filter_all(upstream.project(projected)?, &filters)?;

    let lineage_on = match &dep.dep.lineage {
        Lineage::Identity => None,
        Lineage::Aggregation { on } => on.clone(),
        Lineage::Expansion { on, .. } => Some(on.clone()),
    };
    for name in dep
        .input_id_columns
        .iter()
        .chain(lineage_on.iter().flatten())
    {
        if !user_columns.contains(name) {
            return Err(missing_column(plan, dep, name, "is identified by"));
        }
    }
    let fields: BTreeSet<String> = parents_of(plan, index);
    // Folding takes the versions of all fields.
    let taken = match &dep.dep.lineage {
        Lineage::Aggregation { .. } => dep
            .definition
            .spec
            .fields()
            .iter()
            .map(|f| f.key.struct_key())
            .collect(),
        _ => fields.clone(),
    };
    if let DataType::Struct(members) = stored
        .field_with_name(columns::DATA_VERSION_BY_FIELD)?
        .data_type()
        && let Some(unknown) = taken.iter().find(|f| members.find(f).is_none())
    {
        return Err(Error::new(
            ErrorKind::InvalidFrame,
            format!(
                "feature {} depends on field {unknown:?} of its upstream {}, whose stored rows have no such field",
                plan.key(),
                dep.dep.feature
            ),
        )
        .with_hint(format!("write {} under its current definition first", dep.dep.feature)));
    }
    let mut versions: Vec<(String, Scalar)> = vec![];
    if let Lineage::Aggregation { .. } = &dep.dep.lineage {
        let values = fields
            .iter()
            .map(|member| {
                (
                    folded_column(index, member),
                    Scalar::member(versions_column(index), member),
                )
            })
            .collect();
        relation = Relation::fold(Fold {
            input: relation,
            keys: dep.input_id_columns.clone(),
            order: dep.id_columns.clone(),
            values,
            hash,
        })?;
        versions.extend(fields.iter().map(|member| {
            let name = folded_column(index, member);
            (name.clone(), Scalar::Column(name))
        }));
    } else {
        let name = versions_column(index);
        versions.push((name.clone(), Scalar::Column(name)));
    }

    let selected = match &dep.dep.select {
        None => user_columns,
        Some(select) => {
            if let Some(unknown) = select.iter().find(|name| !user_columns.contains(name)) {
                return Err(missing_column(plan, dep, unknown, "selects"));
            }
            let needed = lineage_on.as_ref().unwrap_or(&dep.id_columns);
            let mut seen = HashSet::new();
            select
                .iter()
                .chain(needed)
                .chain(&dep.input_id_columns)
                .filter(|name| seen.insert((*name).clone()))
                .cloned()
                .collect()
        }
    };
    let projected = selected
        .into_iter()
        .map(|name| (name.clone(), Scalar::Column(name)))
        .chain(versions)
        .collect();
    Ok(Prepared {
        feature: dep.dep.feature.clone(),
        optional: dep.dep.optional,
        input_ids: dep.input_id_columns.clone(),
        relation: Some(relation.project(projected)?),
    })
}

/// Required upstreams are inner-joined in order, optional ones left-joined; if all are optional they are
/// fully joined. Each step joins on the input ID columns that both sides have.
fn join_all(
    plan: &FeaturePlan,
    prepared: Vec<Prepared>,
    table: Option<&Schema>,
) -> Result<Relation> {
    let all_optional = prepared.iter().all(|p| p.optional);
    let (optional, required): (Vec<_>, Vec<_>) = prepared.into_iter().partition(|p| p.optional);
    let mut joined: Option<(Relation, Vec<String>)> = None;
    let mut owners: Vec<(String, FeatureKey)> = Vec::new();
    let mut missing = Vec::new();
    for next in required.into_iter().chain(optional) {
        let Some(relation) = next.relation else {
            missing.push(next);
            continue;
        };
        let theirs: Vec<_> = names(relation.schema())
            .into_iter()
            .filter(|n| !is_internal(n))
            .collect();
        let Some((left, ids)) = joined.take() else {
            owners.extend(theirs.into_iter().map(|name| (name, next.feature.clone())));
            joined = Some((relation, next.input_ids));
            continue;
        };
        let on: Vec<String> = ids
            .iter()
            .filter(|id| next.input_ids.contains(id))
            .cloned()
            .collect();
        for name in theirs.iter().filter(|name| !on.contains(name)) {
            if let Some((_, owner)) = owners.iter().find(|(taken, _)| taken == name) {
                return Err(Error::new(
                    ErrorKind::InvalidFrame,
                    format!(
                        "column {name:?} comes to feature {} from both {owner} and {}",
                        plan.key(),
                        next.feature
                    ),
                )
                .with_hint("rename it in one of the dependencies, or leave it out with `select`"));
            }
        }
        let kind = match (next.optional, all_optional) {
            (false, _) => JoinKind::Inner,
            (true, false) => JoinKind::Left,
            (true, true) => JoinKind::Full,
        };
        owners.extend(
            theirs
                .into_iter()
                .filter(|n| !on.contains(n))
                .map(|n| (n, next.feature.clone())),
        );
        let mut union = ids;
        for id in next.input_ids {
            if !union.contains(&id) {
                union.push(id);
            }
        }
        joined = Some((
            left.join(relation, on, kind).map_err(|e| {
                e.with_context("feature", plan.key())
                    .with_context("upstream", &next.feature)
            })?,
            union,
        ));
    }
    let relation = match joined {
        Some((relation, _)) => relation,
        None => Relation::empty(Arc::new(Schema::new(
            plan.identity_columns
                .iter()
                .map(|name| {
                    let known = table.and_then(|table| table.field_with_name(name).ok());
                    // Any type that can be compared will do for what is not known.
                    let data_type = known.map_or(DataType::Utf8, |f| f.data_type().clone());
                    Field::new(name, data_type, true)
                })
                .collect::<Vec<_>>(),
        ))),
    };
    // What an upstream that was never written would have brought: identifying columns of nulls.
    let absent: Vec<String> = missing
        .iter()
        .flat_map(|m| &m.input_ids)
        .filter(|id| relation.schema().field_with_name(id).is_err())
        .cloned()
        .collect();
    if absent.is_empty() {
        return Ok(relation);
    }
    Err(Error::new(
        ErrorKind::FeatureNotFound,
        format!(
            "feature {} is identified by {absent:?}, which only an upstream has that was never written",
            plan.key()
        ),
    )
    .with_hint("write that upstream first; it may be empty"))
}

fn hash_fields(
    plan: &FeaturePlan,
    joined: Relation,
    visible: Vec<String>,
    hash: HashSpec,
) -> Result<Expected> {
    let fields = plan.recipe()?;
    let mut projected: Vec<(String, Scalar)> = visible
        .iter()
        .map(|name| (name.clone(), Scalar::column(name)))
        .collect();
    for (i, field) in fields.iter().enumerate() {
        let mut parts = Vec::new();
        for part in &field.parts {
            let part = match part {
                HashPartOf::Text(text) => Some(HashPart::Text(text.clone())),
                HashPartOf::Value(version, nulls) => {
                    let value = value_of(plan, version);
                    // An optional upstream that was never written, or a field that no row of it has.
                    let is_there = value.data_type(joined.schema()).is_ok();
                    if !is_there && *nulls == Nulls::Propagate {
                        return Err(internal(format!("no version for {version:?}")));
                    }
                    is_there.then_some(HashPart::Value(value, *nulls))
                }
            };
            part.into_iter().for_each(|part| push(&mut parts, part));
        }
        projected.push((member_column(i), Scalar::Hash { spec: hash, parts }));
    }
    let relation = joined.project(projected)?;
    let mut columns: Vec<(String, Scalar)> = names(relation.schema())
        .into_iter()
        .map(|name| (name.clone(), Scalar::Column(name)))
        .collect();
    let versions = (0..fields.len()).map(member_column).map(Scalar::Column);
    let parts = hashed_together(versions);
    columns.push((PROVENANCE.into(), Scalar::Hash { spec: hash, parts }));
    Ok(Expected {
        relation: relation.project(columns)?,
        visible,
        untyped: Vec::new(),
        versions: Versions::Computed(fields.into_iter().map(|field| field.member).collect()),
    })
}

/// Where the joined rows have a version.
fn value_of(plan: &FeaturePlan, version: &UpstreamVersion) -> Scalar {
    let UpstreamVersion { dep, member } = version;
    match plan.deps[*dep].dep.lineage {
        Lineage::Aggregation { .. } => Scalar::Column(folded_column(*dep, member)),
        _ => Scalar::member(versions_column(*dep), member),
    }
}

/// The struct keys of the fields of dep `index` that any field of the feature depends on.
fn parents_of(plan: &FeaturePlan, index: usize) -> BTreeSet<String> {
    plan.parents
        .values()
        .flatten()
        .filter(|parent| parent.dep == index)
        .map(|parent| parent.field.struct_key())
        .collect()
}

fn missing_column(plan: &FeaturePlan, dep: &PlannedDep, name: &str, verb: &str) -> Error {
    Error::new(
        ErrorKind::InvalidFrame,
        format!(
            "feature {} {verb} column {name:?} of its upstream {}, whose stored rows have no such column",
            plan.key(),
            dep.dep.feature
        ),
    )
    .with_hint("correct the dependency, or write the upstream with that column")
}

fn names(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|f| f.name().clone()).collect()
}

fn text_members(members: &[String]) -> Fields {
    members
        .iter()
        .map(|name| Field::new(name, DataType::Utf8, true))
        .collect()
}

fn versions_column(dep: usize) -> String {
    format!("{INTERNAL}d{dep}")
}

fn folded_column(dep: usize, member: &str) -> String {
    format!("{INTERNAL}f{dep}.{member}")
}

/// The text column of an increment that holds the provenance of the field at this position, by struct key.
pub fn member_column(field: usize) -> String {
    format!("{INTERNAL}p{field}")
}

/// Whether a column is one of a plan, and of no user.
pub(crate) fn is_internal(name: &str) -> bool {
    name.starts_with(INTERNAL)
}
