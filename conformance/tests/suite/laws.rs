//! The laws can fail: each fault of a backend is found by a history, shrunk, and shown with the seed that it comes from.

use std::sync::Arc;

use async_trait::async_trait;
use metaxy_conformance::mutants::{Fault, Mutant};
use metaxy_conformance::{Embedded, Suite};
use metaxy_store::backend::append::{Append, Stamp, Times};
use metaxy_store::backend::{Appended, Backend};
use metaxy_store::delete::DeleteSamples;
use metaxy_store::plan::{Compare, Fold, JoinKind, Node, Plan, Relation, Scan};
use metaxy_store::sqlite::{SqliteConfig, Synchronous};
use metaxy_store::{FeatureKey, Frame, Result};

#[test]
fn a_forgotten_deletion_is_shrunk_to_two_operations() {
    let text = broken("laws::model_agrees", || Box::new(ForgetsDeletions));
    let operations = text.lines().filter(|line| is_operation(line));
    assert_eq!(operations.count(), 2, "a write and a deletion: {text}");
    assert!(text.contains("\n  a/b (x); field f of code 1\n"), "{text}");
    assert!(text.contains(" soft where x in ["), "{text}");
    assert!(text.contains("rows of a/b: 1 found, 0 expected"), "{text}");
    let seed = "again with METAXY_LAWS_SEED=0x";
    assert!(text.contains(seed), "{text}");
    // The same histories each time, and the same way down.
    let again = broken("laws::model_agrees", || Box::new(ForgetsDeletions));
    assert_eq!(again, text);
}

#[test]
fn rows_of_other_definitions_are_noticed() {
    let text = broken("laws::model_agrees", || Box::new(Plans(any_version)));
    assert!(text.contains("define field "), "{text}");
}

#[test]
fn a_wrong_order_of_folding_is_noticed() {
    let text = broken("laws::model_agrees", || Box::new(Plans(ungrouped)));
    assert!(text.contains("aggregated by x"), "{text}");
}

#[test]
fn a_lost_optional_join_is_noticed() {
    let text = broken("laws::model_agrees", || Box::new(Plans(inner_joins)));
    assert!(text.contains("<- optional "), "{text}");
}

#[test]
fn a_child_that_is_compared_without_its_siblings_is_noticed() {
    let text = broken("laws::model_agrees", || Box::new(Plans(without_leaders)));
    assert!(text.contains("expanded by x"), "{text}");
}

#[test]
fn copies_that_are_stamped_anew_are_noticed() {
    broken("laws::a_copy_twice_is_a_copy_once", || {
        Box::new(StampsCopies)
    });
}

#[test]
fn copies_that_win_over_later_writes_are_noticed() {
    broken("laws::stores_that_copy_in_turns_agree", || {
        Box::new(StampsCopies)
    });
}

#[test]
fn filters_that_are_ignored_are_noticed() {
    broken("laws::id_filters_commute", || Box::new(Plans(unfiltered)));
}

#[test]
fn stale_samples_that_are_missed_are_noticed() {
    broken("laws::parts_are_disjoint_and_complete", || {
        Box::new(Plans(never_stale))
    });
}

#[test]
fn an_increment_that_never_empties_is_noticed() {
    broken("laws::applying_an_increment_empties_it", || {
        Box::new(Plans(always_stale))
    });
}

#[test]
fn writes_of_which_the_first_wins_are_noticed() {
    let law = "laws::row_order_batches_and_writes_do_not_matter";
    broken(law, || Box::new(Plans(all_rows)));
}

#[test]
fn a_row_that_a_delete_uncovers_is_noticed() {
    let text = broken("laws::deletes_uncover_nothing", || Box::new(DeletesRows));
    assert!(text.contains("a delete of "), "{text}");
}

#[test]
fn without_a_fault_they_hold() {
    let report = suite("laws::model_agrees", || Box::new(Plans(Ok))).run();
    assert!(report.is_success(), "{report}");
}

/// What a law says of a backend with this fault.
fn broken(law: &'static str, fault: fn() -> Box<dyn Fault>) -> String {
    let report = suite(law, fault).run();
    let mut failures = report.failures();
    let (_, why) = failures.next().expect("the law holds all the same");
    assert!(why.starts_with("the law does not hold"), "{why}");
    println!("{why}");
    why.to_owned()
}

fn suite(law: &'static str, fault: fn() -> Box<dyn Fault>) -> Suite {
    let stores = Embedded::new("sqlite", |directory, request| {
        let config = SqliteConfig::new(directory.join("store.db"));
        let config = config.with_synchronous(Synchronous::Normal);
        Ok(Arc::new(config.open(request.access)))
    });
    let stores = Arc::new(stores.expect("room for files"));
    let mutant = Mutant::new("faulty", "has a fault", fault);
    Suite::new(mutant.stores(stores)).with_only(&[law])
}

fn is_operation(line: &str) -> bool {
    let number = line.trim_start().split(". ").next().unwrap_or_default();
    line.starts_with("  ") && number.parse::<usize>().is_ok()
}

/// Removes rows that match, whatever the sample they are of.
struct DeletesRows;

#[async_trait]
impl Fault for DeletesRows {
    async fn delete_samples(
        &self,
        inner: &dyn Backend,
        table: &FeatureKey,
        samples: &DeleteSamples,
    ) -> Result<u64> {
        let rows = samples.looked_at_where(samples.condition.clone());
        inner.delete(table, Some(&rows)).await
    }
}

/// Stores no tombstones.
struct ForgetsDeletions;

#[async_trait]
impl Fault for ForgetsDeletions {
    async fn append(&self, inner: &dyn Backend, mut appends: Vec<Append>) -> Result<Appended> {
        appends.retain(|append| !matches!(append.times, Times::Tombstone(_)));
        inner.append(appends).await
    }
}

/// Copied rows are stamped as writes are.
struct StampsCopies;

#[async_trait]
impl Fault for StampsCopies {
    async fn append(&self, inner: &dyn Backend, mut appends: Vec<Append>) -> Result<Appended> {
        for append in &mut appends {
            if append.times == Times::Keep {
                append.times = Times::Write(Stamp::AfterAll(0));
            }
        }
        inner.append(appends).await
    }
}

/// Changes each step of a plan.
struct Plans(fn(Relation) -> Result<Relation>);

#[async_trait]
impl Fault for Plans {
    async fn query(&self, inner: &dyn Backend, mut plan: Plan) -> Result<Frame> {
        plan.relation = plan.relation.rewrite(&mut self.0.clone())?;
        inner.query(plan).await
    }
}

fn any_version(step: Relation) -> Result<Relation> {
    scans(step, |scan| scan.feature_version = None)
}

fn all_rows(step: Relation) -> Result<Relation> {
    scans(step, |scan| scan.latest_per = None)
}

fn scans(step: Relation, change: impl Fn(&mut Scan)) -> Result<Relation> {
    Ok(match step.node() {
        Node::Scan(scan) => {
            let mut scan = scan.clone();
            change(&mut scan);
            Relation::scan(scan, step.schema().clone())
        }
        _ => step,
    })
}

/// Every row is a group of its own.
fn ungrouped(step: Relation) -> Result<Relation> {
    match step.node() {
        Node::Fold(fold) => Relation::fold(Fold {
            keys: fold.order.clone(),
            ..fold.clone()
        }),
        _ => Ok(step),
    }
}

fn inner_joins(step: Relation) -> Result<Relation> {
    match step.node() {
        Node::Join {
            left, right, on, ..
        } => left
            .clone()
            .join(right.clone(), on.clone(), JoinKind::Inner),
        _ => Ok(step),
    }
}

fn without_leaders(step: Relation) -> Result<Relation> {
    compared(step, |compare| compare.leader = None)
}

fn never_stale(step: Relation) -> Result<Relation> {
    compared(step, |compare| {
        compare.stored_version = "x".into();
        compare.expected_version = "x".into();
    })
}

fn always_stale(step: Relation) -> Result<Relation> {
    compared(step, |compare| {
        compare.stored_version = "metaxy_feature_version".into();
    })
}

fn compared(step: Relation, change: impl Fn(&mut Compare)) -> Result<Relation> {
    match step.node() {
        Node::Compare(compare) => {
            let mut compare = compare.clone();
            change(&mut compare);
            Relation::compare(compare)
        }
        _ => Ok(step),
    }
}

/// Filters beside those that drop deleted samples are ignored.
fn unfiltered(step: Relation) -> Result<Relation> {
    match step.node() {
        Node::Filter { input, condition } if format!("{condition:?}").contains("\"x\"") => {
            Ok(input.clone())
        }
        _ => Ok(step),
    }
}
