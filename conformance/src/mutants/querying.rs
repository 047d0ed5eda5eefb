//! Faults of running plans.

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use async_trait::async_trait;
use metaxy_store::backend::Backend;
use metaxy_store::expr::Operand;
use metaxy_store::plan::{
    Compare, Fold, HashPart, HashSpec, JoinKind, Leader, Node, Nulls, Plan, Relation, Scalar, Scan,
};
use metaxy_store::{Expr, Frame, Result};

use super::{Fault, mutants};

mutants! {
    Rewrite(ignore_filters) => "ignores_filters": "returns rows that a filter excludes";
    Rewrite(null_passes) => "null_passes_filters": "lets rows through for which a filter is null";
    Rewrite(backwards) => "compares_columns_backwards": "takes the column on the right of a comparison for that on the left";
    Rewrite(in_any_case) => "ignores_the_case_of_patterns": "takes upper case for lower case where LIKE tells them apart";
    Rewrite(forget_tombstones) => "forgets_tombstones": "returns samples that were soft-deleted";
    Rewrite(across_versions) => "reads_across_versions": "returns samples of other feature versions";
    Rewrite(no_deduplication) => "returns_replaced_rows": "returns rows that a later write replaced";
    Rewrite(first_id_column) => "tells_samples_apart_by_one_column": "tells samples apart by the first of their ID columns";
    Rewrite(ignore_as_of) => "ignores_as_of": "returns what was written after the time that was asked for";
    Rewrite(ignore_limits) => "ignores_limits": "returns more rows than were asked for";
    Rewrite(any_version_will_do) => "finds_a_row_of_any_version": "finds a row of any version where one of the current version is looked for";
    Rewrite(no_first_tombstone) => "finds_no_tombstone": "finds no row that marks a deletion where any row is looked for";
    Rewrite(drop_without_optional) => "drops_rows_without_optional_upstream": "drops samples whose optional upstream is missing";
    Rewrite(full_is_left) => "joins_optional_upstreams_one_way": "drops samples that only the second optional upstream has";
    Rewrite(fold_unordered) => "folds_in_any_order": "folds the versions of a group in whatever order they come";
    Rewrite(fold_everything) => "folds_across_groups": "folds the versions of all groups into one";
    Rewrite(one_leader) => "one_leader_for_all": "takes one child's state for that of every parent";
    Rewrite(ignore_predicates) => "ignores_staleness_predicates": "ignores staleness predicates";
    Rewrite(compare_one_column) => "matches_on_one_column": "matches expected and stored rows on their first ID column";
    Rewrite(never_stale) => "never_stale": "compares a sample's version with itself";
    Rewrite(cut_hashes) => "cuts_hashes": "cuts hashes to seven characters";
    Rewrite(other_parts) => "hashes_parts_backwards": "hashes the parts of a version in another order";
    Rewrite(null_is_null) => "null_makes_a_hash_null": "gives a sample without its optional upstream no version";
    Rewrite(other_member) => "takes_the_wrong_member": "takes another member of a by-field column where there is one";
    Rewrite(one_type_of_ids) => "matches_ids_of_one_type": "finds no sample whose ID has another type on the other side";
    Results(lose_a_row) => "loses_a_result": "loses the last row of a result";
    Results(twice) => "yields_results_twice": "yields each row of a result twice";
    Results(count_more) => "miscounts": "counts one more than there are";
    FirstBatch => "yields_one_batch_of_many": "yields the first batch of a large result only";
}

/// Changes each step of a plan, then runs it as it should.
struct Rewrite(fn(Relation) -> Result<Relation>);

#[async_trait]
impl Fault for Rewrite {
    async fn query(&self, inner: &dyn Backend, mut plan: Plan) -> Result<Frame> {
        let mut change = self.0;
        plan.relation = plan.relation.rewrite(&mut change)?;
        inner.query(plan).await
    }
}

/// The relation with its scans changed.
pub(super) fn with_scans(
    relation: &Relation,
    change: &mut dyn FnMut(&mut Scan),
) -> Result<Relation> {
    relation.rewrite(&mut |step| {
        Ok(match step.node() {
            Node::Scan(scan) => {
                let mut scan = scan.clone();
                change(&mut scan);
                Relation::scan(scan, step.schema().clone())
            }
            _ => step,
        })
    })
}

fn on_scan(step: Relation, change: fn(&mut Scan)) -> Result<Relation> {
    match step.node() {
        Node::Scan(scan) => {
            let mut scan = scan.clone();
            change(&mut scan);
            Ok(Relation::scan(scan, step.schema().clone()))
        }
        _ => Ok(step),
    }
}

/// The condition of a filter that a user gave, and its input.
fn user_filter(step: &Relation) -> Option<(&Relation, &Expr)> {
    match step.node() {
        Node::Filter {
            input,
            condition: Scalar::Test(expr),
        } if !about_deletion(expr) => Some((input, expr)),
        _ => None,
    }
}

fn about_deletion(expr: &Expr) -> bool {
    expr.columns().contains("metaxy_deleted_at")
}

fn one_type_of_ids(step: Relation) -> Result<Relation> {
    let Node::Project { columns, .. } = step.node() else {
        return Ok(step);
    };
    let converts = |(_, value): &(String, Scalar)| matches!(value, Scalar::Converted { .. });
    Ok(match columns.iter().any(converts) {
        true => Relation::empty(step.schema().clone()),
        false => step,
    })
}

fn ignore_filters(step: Relation) -> Result<Relation> {
    Ok(match user_filter(&step) {
        Some((input, _)) => input.clone(),
        None => step,
    })
}

fn null_passes(step: Relation) -> Result<Relation> {
    let Some((input, expr)) = user_filter(&step) else {
        return Ok(step);
    };
    // Whatever is not false.
    let nullable = expr.columns().into_iter().map(str::to_owned);
    let null = nullable.map(|name| metaxy_store::col(name).is_null());
    let expr = null.fold(expr.clone(), Expr::or);
    let expr = expr.bind(input.schema())?;
    input.clone().filter(Scalar::Test(expr))
}

/// The filter of a user with each of its conditions changed.
fn with_conditions(step: Relation, change: fn(Expr) -> Expr) -> Result<Relation> {
    let Some((input, expr)) = user_filter(&step) else {
        return Ok(step);
    };
    let expr = expr.clone().map(&mut |node| change(node));
    input.clone().filter(Scalar::Test(expr))
}

fn backwards(step: Relation) -> Result<Relation> {
    with_conditions(step, |node| match node {
        Expr::Compare {
            left: left @ Operand::Column(_),
            op,
            right: right @ Operand::Column(_),
        } => Expr::Compare {
            left,
            op: op.flipped(),
            right,
        },
        other => other,
    })
}

fn in_any_case(step: Relation) -> Result<Relation> {
    with_conditions(step, |node| match node {
        Expr::Like {
            operand,
            pattern,
            negated,
        } => Expr::Like {
            operand,
            pattern: pattern.ignoring_case(),
            negated,
        },
        other => other,
    })
}

fn forget_tombstones(step: Relation) -> Result<Relation> {
    Ok(match step.node() {
        Node::Filter {
            input,
            condition: Scalar::Test(expr),
        } if about_deletion(expr) => input.clone(),
        _ => step,
    })
}

fn across_versions(step: Relation) -> Result<Relation> {
    on_scan(step, |scan| scan.feature_version = None)
}

fn no_deduplication(step: Relation) -> Result<Relation> {
    on_scan(step, |scan| scan.latest_per = None)
}

fn first_id_column(step: Relation) -> Result<Relation> {
    on_scan(step, |scan| {
        if let Some(ids) = &mut scan.latest_per {
            ids.truncate(1);
        }
    })
}

fn ignore_as_of(step: Relation) -> Result<Relation> {
    on_scan(step, |scan| scan.as_of = None)
}

fn ignore_limits(step: Relation) -> Result<Relation> {
    Ok(match step.node() {
        Node::Limit { input, .. } => input.clone(),
        _ => step,
    })
}

/// Where any row will do, as in a search for one, other rows are found than in a read.
fn on_search(step: Relation, change: fn(Relation) -> Result<Relation>) -> Result<Relation> {
    let Node::Limit { input, rows: 1 } = step.node() else {
        return Ok(step);
    };
    let changed = input.rewrite(&mut |step| match step.node() {
        Node::Scan(scan) if scan.latest_per.is_none() => change(step),
        _ => Ok(step),
    })?;
    Ok(changed.limit(1))
}

fn any_version_will_do(step: Relation) -> Result<Relation> {
    on_search(step, across_versions)
}

fn no_first_tombstone(step: Relation) -> Result<Relation> {
    on_search(step, |scan| {
        let alive = metaxy_store::col("metaxy_deleted_at").is_null();
        let alive = alive.bind(scan.schema())?;
        scan.filter(Scalar::Test(alive))
    })
}

fn with_kind(step: Relation, from: JoinKind, to: JoinKind) -> Result<Relation> {
    match step.node() {
        Node::Join {
            left,
            right,
            on,
            kind,
        } if *kind == from => left.clone().join(right.clone(), on.clone(), to),
        _ => Ok(step),
    }
}

fn drop_without_optional(step: Relation) -> Result<Relation> {
    with_kind(step, JoinKind::Left, JoinKind::Inner)
}

fn full_is_left(step: Relation) -> Result<Relation> {
    with_kind(step, JoinKind::Full, JoinKind::Left)
}

fn fold_unordered(step: Relation) -> Result<Relation> {
    match step.node() {
        Node::Fold(fold) => Relation::fold(Fold {
            order: Vec::new(),
            ..fold.clone()
        }),
        _ => Ok(step),
    }
}

fn fold_everything(step: Relation) -> Result<Relation> {
    match step.node() {
        Node::Fold(fold) => Relation::fold(Fold {
            keys: Vec::new(),
            ..fold.clone()
        }),
        _ => Ok(step),
    }
}

fn one_leader(step: Relation) -> Result<Relation> {
    match step.node() {
        Node::Leader(leader) => Relation::leader(Leader {
            keys: Vec::new(),
            ..leader.clone()
        }),
        _ => Ok(step),
    }
}

fn with_compare(step: Relation, change: fn(&mut Compare)) -> Result<Relation> {
    match step.node() {
        Node::Compare(compare) => {
            let mut compare = compare.clone();
            change(&mut compare);
            Relation::compare(compare)
        }
        _ => Ok(step),
    }
}

fn ignore_predicates(step: Relation) -> Result<Relation> {
    with_compare(step, |compare| compare.stale_if = None)
}

fn compare_one_column(step: Relation) -> Result<Relation> {
    with_compare(step, |compare| compare.on.truncate(1))
}

/// Its own version on both sides: stored rows are read as if they had what is expected.
fn never_stale(step: Relation) -> Result<Relation> {
    match step.node() {
        Node::Compare(compare) if compare.leader.is_none() => {
            let same = |relation: &Relation, name: &str| -> Result<Relation> {
                let columns = relation.schema().fields().iter().map(|field| {
                    let value = match field.name() == name {
                        true => Scalar::Text("same".into()),
                        false => Scalar::column(field.name()),
                    };
                    (field.name().clone(), value)
                });
                relation.clone().project(columns.collect())
            };
            Relation::compare(Compare {
                expected: same(&compare.expected, &compare.expected_version)?,
                stored: same(&compare.stored, &compare.stored_version)?,
                ..compare.clone()
            })
        }
        _ => Ok(step),
    }
}

/// The step with its hashes changed.
fn with_hashes(
    step: Relation,
    spec: fn(HashSpec) -> HashSpec,
    parts: fn(Vec<HashPart>) -> Vec<HashPart>,
) -> Result<Relation> {
    match step.node() {
        Node::Project { input, columns } => {
            let columns = columns.iter().map(|(name, value)| {
                let value = match value {
                    Scalar::Hash {
                        spec: given,
                        parts: all,
                    } => Scalar::Hash {
                        spec: spec(*given),
                        parts: parts(all.clone()),
                    },
                    other => other.clone(),
                };
                (name.clone(), value)
            });
            input.clone().project(columns.collect())
        }
        _ => Ok(step),
    }
}

fn cut_hashes(step: Relation) -> Result<Relation> {
    let shorter = |spec| HashSpec { length: 7, ..spec };
    with_hashes(step, shorter, |parts| parts)
}

fn other_parts(step: Relation) -> Result<Relation> {
    with_hashes(step, |spec| spec, |parts| parts.into_iter().rev().collect())
}

fn null_is_null(step: Relation) -> Result<Relation> {
    with_hashes(
        step,
        |spec| spec,
        |parts| {
            let strict = parts.into_iter().map(|part| match part {
                HashPart::Value(value, _) => HashPart::Value(value, Nulls::Propagate),
                text => text,
            });
            strict.collect()
        },
    )
}

fn other_member(step: Relation) -> Result<Relation> {
    match step.node() {
        Node::Project { input, columns } => {
            let schema = input.schema();
            let columns = columns
                .iter()
                .map(|(name, value)| (name.clone(), of_first_member(value, schema)));
            input.clone().project(columns.collect())
        }
        _ => Ok(step),
    }
}

/// The value with the first member of a struct in place of whichever it takes.
fn of_first_member(value: &Scalar, schema: &Schema) -> Scalar {
    match value {
        Scalar::Member { column, .. } => match schema.field_with_name(column).map(Field::data_type)
        {
            Ok(DataType::Struct(members)) if !members.is_empty() => {
                Scalar::member(column.clone(), members[0].name().clone())
            }
            _ => value.clone(),
        },
        Scalar::Hash { spec, parts } => Scalar::Hash {
            spec: *spec,
            parts: parts
                .iter()
                .map(|part| match part {
                    HashPart::Value(value, nulls) => {
                        HashPart::Value(of_first_member(value, schema), *nulls)
                    }
                    text => text.clone(),
                })
                .collect(),
        },
        other => other.clone(),
    }
}

/// Changes what a query returns.
struct Results(fn(&RecordBatch) -> Result<RecordBatch>);

#[async_trait]
impl Fault for Results {
    async fn query(&self, inner: &dyn Backend, plan: Plan) -> Result<Frame> {
        let rows = inner.query(plan).await?;
        let schema = rows.schema().clone();
        let change = self.0;
        Ok(rows.map(schema, move |batch| change(&batch)))
    }
}

fn lose_a_row(batch: &RecordBatch) -> Result<RecordBatch> {
    Ok(batch.slice(0, batch.num_rows().saturating_sub(1)))
}

fn twice(batch: &RecordBatch) -> Result<RecordBatch> {
    Ok(concat_batches(&batch.schema(), [batch, batch])?)
}

fn count_more(batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let columns = columns.map(|(field, column)| {
        match (
            field.name().as_str(),
            column.as_primitive_opt::<Int64Type>(),
        ) {
            ("count", Some(counts)) => {
                let more: Int64Array = counts.iter().map(|count| count.map(|n| n + 1)).collect();
                Arc::new(more) as arrow::array::ArrayRef
            }
            _ => column.clone(),
        }
    });
    Ok(RecordBatch::try_new(schema.clone(), columns.collect())?)
}

/// The first batch of a result.
struct FirstBatch;

#[async_trait]
impl Fault for FirstBatch {
    async fn query(&self, inner: &dyn Backend, plan: Plan) -> Result<Frame> {
        use futures::StreamExt;
        let rows = inner.query(plan).await?;
        let schema = rows.schema().clone();
        Ok(Frame::new(schema, rows.into_stream().take(1)))
    }
}
