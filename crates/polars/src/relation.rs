//! Relations as lazy frames: each step of the algebra in Polars' terms.
//!
//! A step is asked for the columns that the steps above it use, and asks its own inputs for no others.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{DataType, Schema};
use metaxy_core::expr::{Expr as Condition, Operand};
use metaxy_core::plan::{
    Compare, Fold, JoinKind, LABEL, Label, Leader, Node, Relation, STORED_PREFIX, Scalar, Scan,
};
use metaxy_core::{Result, columns};
use polars::prelude as pl;
use polars::prelude::{
    DataFrame, Expr, IntoLazy, JoinArgs, JoinCoalesce, JoinType, LazyFrame, coalesce, col, lit,
    when,
};

use crate::cross::to_polars;
use crate::error::{failed, internal};
use crate::grouped::{Folds, Leaders};
use crate::keys::{decimals, key, with_keys, without_keys};
use crate::order::{Ends, Meeting, Order, at, beside, both};
use crate::row_numbers::only;
use crate::scalar::{expression, inputs};
use crate::source::{ScanRequest, Scanned, Source};

/// Names of columns.
pub type Names = BTreeSet<String>;

/// What turns relations into lazy frames.
pub(crate) struct Lowering<'a> {
    pub(crate) source: &'a dyn Source,
    /// The frames of the plan, held in memory.
    pub(crate) frames: &'a [DataFrame],
}

/// Rows, and their order if it is known.
pub(crate) struct Lowered {
    pub(crate) rows: LazyFrame,
    order: Option<Order>,
}

impl Lowered {
    fn scanned(scanned: Scanned) -> Self {
        Self {
            rows: scanned.rows,
            order: scanned.ids.and_then(Order::of),
        }
    }
}

impl Lowered {
    /// How the rows meet those of another frame on the columns `on`, if that is known.
    fn meets(&self, other: &Self, on: &[String]) -> Result<Option<Meeting>> {
        match (&self.order, &other.order) {
            (Some(one), Some(other)) => one.meets(other, on).map_err(failed),
            _ => Ok(None),
        }
    }
}

impl From<LazyFrame> for Lowered {
    fn from(rows: LazyFrame) -> Self {
        Self { rows, order: None }
    }
}

/// The column that tells whether a row of a comparison has an expected side.
const EXPECTED: &str = "__mx.expected";
/// The column that tells whether it has a stored side.
const STORED: &str = "__mx.is_stored";
/// The column that tells whether a condition makes a stored row stale.
const STALE_IF: &str = "__mx.stale_if";
/// The time at which a row was written.
const STAMP: &str = "__mx.stamp";

impl Lowering<'_> {
    /// The rows of `relation`, with the columns `needed` and no others.
    pub(crate) fn relation(&self, relation: &Relation, needed: &Names) -> Result<LazyFrame> {
        Ok(self.ordered(relation, needed)?.rows)
    }

    /// The same, with what is known of their order.
    fn ordered(&self, relation: &Relation, needed: &Names) -> Result<Lowered> {
        // To count rows, one column has to be there.
        let some = match needed.is_empty() {
            true => BTreeSet::from_iter(cheapest(relation.schema())),
            false => BTreeSet::new(),
        };
        let needed = if needed.is_empty() { &some } else { needed };
        let lowered: Lowered = match relation.node() {
            Node::Scan(scan) => {
                let request = ScanRequest {
                    scan,
                    schema: relation.schema(),
                    columns: needed,
                    filters: &[],
                    alive: false,
                };
                Lowered::scanned(self.source.scan(&request)?)
            }
            Node::Frame(position) => {
                let frame = self.frames.get(*position);
                let frame = frame.ok_or_else(|| internal("a plan without one of its frames"))?;
                frame.clone().lazy().into()
            }
            Node::Empty => to_polars(relation.schema(), &[])?.lazy().into(),
            Node::Filter { input, condition } => match conditions(relation) {
                Some((scan, conditions)) => self.filtered(scan, relation, &conditions, needed)?,
                None => {
                    let mut used = needed.clone();
                    inputs(condition, &mut used);
                    let condition = expression(condition, input.schema())?;
                    self.relation(input, &used)?.filter(condition).into()
                }
            },
            Node::Project { input, columns } => return self.project(input, columns, needed),
            Node::Join {
                left,
                right,
                on,
                kind,
            } => self.join(left, right, on, *kind, needed)?,
            Node::Fold(fold) => self.fold(fold, needed)?,
            Node::Leader(leader) => self.leader(leader, needed)?.into(),
            Node::Compare(compare) => self.compare(compare, needed)?.into(),
            Node::Count { input, by } => self.count(input, by)?.into(),
            Node::Limit { input, rows } => {
                let rows = pl::IdxSize::try_from(*rows).unwrap_or(pl::IdxSize::MAX);
                self.relation(input, needed)?.limit(rows).into()
            }
        };
        Ok(Lowered {
            rows: lowered.rows.select(selected(needed)),
            ..lowered
        })
    }

    /// The rows of a stored table for which all conditions hold.
    fn filtered(
        &self,
        scan: &Scan,
        relation: &Relation,
        conditions: &[&Scalar],
        needed: &Names,
    ) -> Result<Lowered> {
        let mut used = needed.clone();
        let mut filters = Vec::new();
        for condition in conditions {
            inputs(condition, &mut used);
            let all = match condition {
                Scalar::Test(filter) => filter.conjuncts(),
                _ => &[],
            };
            let ids = scan.latest_per.as_ref();
            let is_id = |name: &&str| ids.is_none_or(|ids| ids.iter().any(|id| id == name));
            filters.extend(
                all.iter()
                    .filter(|filter| filter.columns().iter().all(is_id)),
            );
        }
        let schema = relation.schema();
        let scanned = self.source.scan(&ScanRequest {
            scan,
            schema,
            columns: &used,
            filters: &filters,
            alive: conditions.iter().any(|condition| is_alive(condition)),
        })?;
        let alive = scanned.alive;
        let mut lowered = Lowered::scanned(scanned);
        for condition in conditions {
            if !(alive && is_alive(condition)) {
                lowered = lowered.rows.filter(expression(condition, schema)?).into();
            }
        }
        Ok(lowered)
    }

    fn project(
        &self,
        input: &Relation,
        columns: &[(String, Scalar)],
        needed: &Names,
    ) -> Result<Lowered> {
        let wanted = columns.iter().filter(|(name, _)| needed.contains(name));
        let mut used = Names::new();
        let mut expressions = Vec::new();
        for (name, value) in wanted {
            inputs(value, &mut used);
            expressions.push(expression(value, input.schema())?.alias(name.as_str()));
        }
        let constant = used.is_empty();
        let input = self.ordered(input, &used)?;
        let name_of = |old: &str| {
            let is_it = |value: &Scalar| matches!(value, Scalar::Column(column) if column == old);
            let found = columns.iter().find(|(_, value)| is_it(value));
            found.map(|(name, _)| name.clone())
        };
        Ok(Lowered {
            order: input.order.and_then(|order| order.renamed(name_of)),
            rows: match constant {
                false => input.rows.select(expressions),
                // Constants alone would be one row.
                true => input
                    .rows
                    .with_columns(expressions)
                    .select(selected(needed)),
            },
        })
    }

    fn join(
        &self,
        left: &Relation,
        right: &Relation,
        on: &[String],
        kind: JoinKind,
        needed: &Names,
    ) -> Result<Lowered> {
        let keys: Names = on.iter().cloned().collect();
        let of = |side: &Relation| -> Names {
            let names = side.schema().fields().iter().map(|field| field.name());
            let names = names.filter(|name| needed.contains(*name) || keys.contains(*name));
            names.cloned().collect()
        };
        let (l, r) = (of(left), of(right));
        let decimals = decimals(on, left.schema())?;
        // Tables are looked at already, which reads files.
        let (left, right) = both(|| self.ordered(left, &l), || self.ordered(right, &r));
        let (left, right) = (left?, right?);
        if let Some(meeting) = left.meets(&right, on)?
            && serves(&meeting, kind)
        {
            return beside_each_other((left, &l), (right, &r), &keys, kind, meeting);
        }
        let kind = match kind {
            JoinKind::Inner => JoinType::Inner,
            JoinKind::Left => JoinType::Left,
            JoinKind::Full => JoinType::Full,
        };
        let args = JoinArgs::new(kind).with_coalesce(JoinCoalesce::CoalesceColumns);
        let on: Vec<Expr> = on.iter().map(|name| col(name.as_str())).collect();
        if on.is_empty() {
            return Err(internal("a join without columns"));
        }
        let (left, right) = (
            with_keys(left.rows, &decimals),
            with_keys(right.rows, &decimals),
        );
        let joined = left.join(right, on.clone(), on, args);
        Ok(without_keys(joined, &decimals).into())
    }

    fn fold(&self, fold: &Fold, needed: &Names) -> Result<Lowered> {
        let values = fold.values.iter().filter(|(name, _)| needed.contains(name));
        let values: Vec<_> = values.collect();
        let folded: Names = values.iter().map(|(name, _)| name.clone()).collect();
        let mut used: Names = needed.difference(&folded).cloned().collect();
        if values.is_empty() {
            return self.ordered(&fold.input, &used);
        }
        used.extend(fold.keys.iter().chain(&fold.order).cloned());
        let mut texts = Vec::new();
        for (name, value) in &values {
            inputs(value, &mut used);
            texts.push(expression(value, fold.input.schema())?.alias(name.as_str()));
        }
        let folds = Folds {
            keys: fold.keys.clone(),
            order: fold.order.clone(),
            columns: folded.into_iter().collect(),
            hash: fold.hash,
        };
        let input = self.ordered(&fold.input, &used)?;
        Ok(Lowered {
            rows: folds.of(input.rows.with_columns(texts)),
            ..input
        })
    }

    fn leader(&self, leader: &Leader, needed: &Names) -> Result<LazyFrame> {
        let mut used = needed.clone();
        used.remove(&leader.value_name);
        used.remove(&leader.flag_name);
        used.extend(leader.keys.iter().chain(&leader.order).cloned());
        used.insert(leader.value.clone());
        used.extend([columns::DELETED_AT, columns::UPDATED_AT].map(str::to_owned));
        let stamp = coalesce(&[col(columns::DELETED_AT), col(columns::UPDATED_AT)]).alias(STAMP);
        let leaders = Leaders {
            keys: leader.keys.clone(),
            stamp: STAMP.into(),
            order: leader.order.clone(),
            value: (leader.value.clone(), leader.value_name.clone()),
            flag: leader.flag_name.clone(),
        };
        Ok(leaders.of(self.relation(&leader.input, &used)?.with_column(stamp)))
    }

    fn count(&self, input: &Relation, by: &[String]) -> Result<LazyFrame> {
        let used: Names = by.iter().cloned().collect();
        let rows = self.relation(input, &used)?;
        let count = pl::len().cast(pl::DataType::Int64).alias("count");
        if by.is_empty() {
            return Ok(rows.select([count]));
        }
        let decimals = decimals(by, input.schema())?;
        let by: Vec<Expr> = by.iter().map(|name| col(name.as_str())).collect();
        let counted = with_keys(rows, &decimals).group_by(by).agg([count]);
        Ok(without_keys(counted, &decimals))
    }

    /// Expected rows meet stored ones in one full join that carries the columns `needed`.
    pub(crate) fn compare(&self, compare: &Compare, needed: &Names) -> Result<LazyFrame> {
        let wanted_of = |schema: &Schema, prefix: &str| -> Names {
            let names = schema.fields().iter().map(|field| field.name());
            let names = names.filter(|name| needed.contains(&format!("{prefix}{name}")));
            names.cloned().collect()
        };
        let mut expected = wanted_of(compare.expected.schema(), "");
        let stored_wanted = wanted_of(compare.stored.schema(), STORED_PREFIX);
        if matches!(compare.stored.node(), Node::Empty) {
            let nulls = self.null_stored(compare, &stored_wanted)?;
            let rows = self.relation(&compare.expected, &expected)?;
            return Ok(rows
                .with_columns(nulls)
                .with_column(label(Label::New).alias(LABEL)));
        }
        expected.extend(compare.on.iter().cloned());
        expected.insert(compare.expected_version.clone());
        let mut stored = stored_wanted;
        stored.extend(compare.on.iter().cloned());
        stored.insert(compare.stored_version.clone());
        if let Some(leader) = &compare.leader {
            stored.extend([&leader.flag, &leader.value, &leader.own].map(Clone::clone));
        }
        let mut read = stored.clone();
        if let Some(condition) = &compare.stale_if {
            inputs(condition, &mut read);
        }
        let (left, right) = both(
            || self.ordered(&compare.expected, &expected),
            || self.ordered(&compare.stored, &read),
        );
        let (left, right) = (left?, right?);
        let meeting = left.meets(&right, &compare.on)?;
        let left = left.rows.with_column(lit(true).alias(EXPECTED));
        let under = |name: &str| format!("{STORED_PREFIX}{name}");
        let mut list: Vec<Expr> = stored
            .iter()
            .map(|name| col(name.as_str()).alias(under(name)))
            .collect();
        list.push(lit(true).alias(STORED));
        if let Some(condition) = &compare.stale_if {
            let condition = expression(condition, compare.stored.schema())?;
            list.push(condition.alias(STALE_IF));
        }
        let right = right.rows.select(list);

        let joined = match meeting {
            Some(Meeting::Places(places)) => {
                let is_same = places.rest.is_empty();
                let rest = places.rest.into_iter().map(Some);
                let right = at(right, places.partners.into_iter().chain(rest).collect());
                beside(left, right, is_same).map_err(failed)?
            }
            Some(Meeting::InStep(ends)) => {
                beside(left, right, ends == Ends::Together).map_err(failed)?
            }
            None => {
                let decimals = decimals(&compare.on, compare.expected.schema())?;
                let as_key = |name: &String, column: String| match decimals
                    .iter()
                    .find(|(known, _)| known == name)
                {
                    Some((_, data_type)) => key(&column, data_type),
                    None => col(column),
                };
                let on = compare.on.iter().map(|name| as_key(name, name.clone()));
                let on: Vec<Expr> = on.collect();
                let theirs = compare.on.iter().map(|name| as_key(name, under(name)));
                let theirs: Vec<Expr> = theirs.collect();
                let args = JoinArgs::new(JoinType::Full).with_coalesce(JoinCoalesce::KeepColumns);
                left.join(right, on, theirs, args)
            }
        };

        let mut changed =
            col(compare.expected_version.as_str()).neq_missing(col(under(&compare.stored_version)));
        if compare.stale_if.is_some() {
            changed = changed.or(col(STALE_IF).fill_null(lit(false)));
        }
        let mut stale = label(Label::Stale);
        if let Some(leader) = &compare.leader {
            let leads = col(under(&leader.flag));
            let other = col(under(&leader.own)).neq_missing(col(under(&leader.value)));
            changed = when(leads.clone()).then(changed).otherwise(other);
            stale = when(leads).then(stale).otherwise(label(Label::Orphaned));
        }
        let labels = when(col(STORED).is_null())
            .then(label(Label::New))
            .when(col(EXPECTED).is_null())
            .then(label(Label::Orphaned))
            .when(changed)
            .then(stale)
            .otherwise(label(Label::Unchanged));
        let labelled = joined.with_column(labels.alias(LABEL));
        Ok(labelled.filter(col(LABEL).neq(label(Label::Unchanged))))
    }

    /// Columns of nulls in place of stored ones.
    pub(crate) fn null_stored(&self, compare: &Compare, names: &Names) -> Result<Vec<Expr>> {
        let schema = compare.stored.schema();
        let empty = to_polars(schema, &[])?;
        let nulls = names.iter().map(|name| {
            let data_type = empty.column(name).map_err(failed)?.dtype();
            let null = lit(pl::NULL).cast(data_type.clone());
            Ok(null.alias(format!("{STORED_PREFIX}{name}")))
        });
        nulls.collect()
    }
}

/// Whether the condition says that a row is no soft delete.
fn is_alive(condition: &Scalar) -> bool {
    matches!(condition, Scalar::Test(Condition::IsNull { operand: Operand::Column(name), negated: false })
        if name == columns::DELETED_AT)
}

/// The rows of a join whose partners' places are known. Beside each side: its columns.
fn beside_each_other(
    (left, lefts): (Lowered, &Names),
    (right, rights): (Lowered, &Names),
    keys: &Names,
    kind: JoinKind,
    meeting: Meeting,
) -> Result<Lowered> {
    let first = |rows: LazyFrame, count: usize| {
        rows.limit(pl::IdxSize::try_from(count).unwrap_or(pl::IdxSize::MAX))
    };
    // The side that has all rows also gives the columns in common; the other may have fewer.
    let (all, other, others, is_same) = match meeting {
        Meeting::InStep(Ends::Together) => (left, right.rows, rights, true),
        Meeting::InStep(Ends::Left(count)) => match kind {
            JoinKind::Inner | JoinKind::Left => (left, first(right.rows, count), rights, true),
            JoinKind::Full => (right, left.rows, lefts, false),
        },
        Meeting::InStep(Ends::Right(count)) => match kind {
            JoinKind::Left | JoinKind::Full => (left, right.rows, rights, false),
            JoinKind::Inner => {
                let left = Lowered {
                    rows: first(left.rows, count),
                    order: right.order,
                };
                (left, right.rows, rights, true)
            }
        },
        Meeting::Places(places) => {
            let left = match places.paired().filter(|_| kind == JoinKind::Inner) {
                None => left,
                Some(paired) => Lowered {
                    order: left
                        .order
                        .map(|order| order.filtered(&paired))
                        .transpose()?,
                    rows: only(left.rows, paired).select(selected(lefts)),
                },
            };
            let partners = places.partners.into_iter();
            let partners = partners.filter(|row| kind != JoinKind::Inner || row.is_some());
            (left, at(right.rows, partners.collect()), rights, true)
        }
    };
    let others: Names = others.difference(keys).cloned().collect();
    if others.is_empty() {
        return Ok(all);
    }
    let other = other.select(selected(&others));
    Ok(Lowered {
        rows: beside(all.rows, other, is_same).map_err(failed)?,
        order: all.order,
    })
}

/// Whether a join of this kind can use it: in a full join right rows without a partner would have to give the columns in common.
fn serves(meeting: &Meeting, kind: JoinKind) -> bool {
    match meeting {
        Meeting::InStep(_) => true,
        Meeting::Places(places) => kind != JoinKind::Full || places.rest.is_empty(),
    }
}

/// The conditions of filters right above a scan.
fn conditions(relation: &Relation) -> Option<(&Scan, Vec<&Scalar>)> {
    let mut conditions = Vec::new();
    let mut relation = relation;
    loop {
        match relation.node() {
            Node::Filter { input, condition } => {
                conditions.push(condition);
                relation = input;
            }
            Node::Scan(scan) => return Some((scan, conditions)),
            _ => return None,
        }
    }
}

/// The names of all columns.
pub(crate) fn names_of(schema: &Schema) -> Names {
    schema.fields().iter().map(|f| f.name().clone()).collect()
}

/// The columns of `names`.
pub(crate) fn selected(names: &Names) -> Vec<Expr> {
    names.iter().map(|name| col(name.as_str())).collect()
}

pub(crate) fn label(label: Label) -> Expr {
    // A plain number is of whatever type it is compared with.
    lit(label as i8).cast(pl::DataType::Int8)
}

/// The column that takes the least to read.
fn cheapest(schema: &Schema) -> Option<String> {
    let cost: BTreeMap<usize, &String> = schema
        .fields()
        .iter()
        .rev()
        .map(|field| {
            let cost = match field.data_type() {
                data_type if data_type.is_primitive() => 0,
                DataType::Utf8 | DataType::Boolean => 1,
                _ => 2,
            };
            (cost, field.name())
        })
        .collect();
    cost.into_values().next().cloned()
}
