//! What the server plans by: statistics from the first write on, and joins that it can make by hashes.

use std::sync::Arc;

use crate::support::{appended, cluster, key, store, write};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use futures::executor::block_on;
use metaxy_store::Backend;
use metaxy_store::backend::append::{Stamp, Times};
use metaxy_store::hash::HashAlgorithm;
use metaxy_store::plan::{Fold, HashSpec, Plan, Relation, Scalar, Scan};

const NOON: i64 = 1_772_366_400_000_000;

#[test]
fn a_first_write_of_a_few_rows_makes_statistics() {
    let (backend, url) = store("statistics");
    let known = |table: &str| {
        let sql = format!("SELECT COUNT(*) > 0 FROM pg_stats WHERE tablename = '{table}'");
        cluster().sql(&url, &sql).unwrap()
    };
    let few: Vec<(i64, &str)> = (0..60).map(|id| (id, "x")).collect();
    write(&backend, "a", &few).unwrap();
    assert_eq!(known("a"), "t");
    // A table that was begun with one row has them with the first write that is worth it.
    write(&backend, "b", &few[..1]).unwrap();
    assert_eq!(known("b"), "f");
    write(&backend, "b", &few).unwrap();
    assert_eq!(known("b"), "t");
}

#[test]
fn groups_are_joined_by_hashes_and_null_is_a_group() {
    let (backend, url) = store("groups");
    let rows = 60;
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    let groups = (0..rows).map(|id| (id % 3 > 0).then(|| format!("g{}", id % 3)));
    let groups: ArrayRef = Arc::new(groups.collect::<StringArray>());
    let frame = RecordBatch::try_from_iter([("id", ids), ("group", groups)]).unwrap();
    let times = Times::Write(Stamp::AfterAll(NOON));
    block_on(backend.append(vec![appended("a", frame, times)])).unwrap();
    let schema = block_on(backend.schema(&key("a"))).unwrap().unwrap();
    let scan = Scan {
        table: key("a"),
        feature_version: None,
        as_of: None,
        latest_per: None,
    };
    let fold = Relation::fold(Fold {
        input: Relation::scan(scan, schema),
        keys: vec!["group".into()],
        order: vec!["id".into()],
        values: vec![("folded".into(), Scalar::Column("group".into()))],
        hash: HashSpec {
            algorithm: HashAlgorithm::Sha256,
            length: 20,
        },
    })
    .unwrap();
    let explanation = block_on(backend.explain(&fold)).unwrap();
    assert_eq!(explanation.statements.len(), 1, "{explanation:?}");
    let statement = &explanation.statements[0];
    let plan = format!("SET enable_nestloop = off; EXPLAIN {statement}");
    let plan = cluster().sql(&url, &plan).unwrap();
    assert!(!plan.contains("Nested Loop"), "{plan}");
    let answer = block_on(async { backend.query(Plan::from(fold)).await?.collect().await });
    assert_eq!(answer.unwrap().to_batch().unwrap().num_rows(), 60);
}
