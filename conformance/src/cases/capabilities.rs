//! What a backend says it can do, it does; what it says it cannot, is refused clearly and changes nothing.
//!
//! One case per flag of [`Capabilities`](metaxy_store::backend::Capabilities), of the same name. A flag that is set runs what it promises, one that is not the refusal.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema};
use metaxy_store::backend::maintain::Prune;
use metaxy_store::backend::{Access, Backend, Capability};
use metaxy_store::plan::{HashPart, HashSpec, Plan, Relation, Scalar, Scan};
use metaxy_store::{
    DeleteOptions, Error, ErrorKind, Frame, HashAlgorithm, MetadataStore, ReadOptions, Result,
    Rows, WriteOptions, col,
};

use crate::bed::TestBed;
use crate::bed::frames::{read, samples, stored};
use crate::bed::gate::{Gate, failing_after};
use crate::bed::graphs::{key, pair};
use crate::bed::increments::{hashed, resolve};
use crate::outcome::{Outcome, Stop, check, check_eq, names, refused, report};

cases! { "capabilities":
    every_flag_has_a_case,
    hash_algorithms,
    transactions,
    concurrent_writers,
    hard_delete,
    as_of,
}

/// How long a second writer is given to be refused while a first one writes; one that waits for its turn is let on then.
const SOON: Duration = Duration::from_millis(500);

/// The name of a flag. With one that was added this does not compile.
fn name_of(flag: Capability) -> &'static str {
    match flag {
        Capability::HashAlgorithms => "hash_algorithms",
        Capability::Transactions => "transactions",
        Capability::ConcurrentWriters => "concurrent_writers",
        Capability::HardDelete => "hard_delete",
        Capability::AsOf => "as_of",
    }
}

fn is_case(name: &str) -> bool {
    CASES.iter().any(|case| case.name == name)
}

/// Each flag has a case of its name, and a store says the same of itself as its backend (`style.md` 6).
pub async fn every_flag_has_a_case(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let capabilities = store.capabilities();
    for flag in Capability::ALL {
        let case = format!("capabilities::{}", name_of(flag));
        check(is_case(&case), format!("there is a case {case}"))?;
    }
    check_eq(
        store.backend().capabilities(),
        capabilities,
        "what the backend can do",
    )
}

/// Each algorithm that is listed computes the versions of the reference; each that is not is refused when the store is built
/// (§4).
pub async fn hash_algorithms(bed: &TestBed) -> Outcome {
    let backend = bed.backend("main", Access::Write).await?;
    let listed = backend.capabilities().hash_algorithms;
    check(!listed.is_empty(), "there is an algorithm")?;
    for algorithm in HashAlgorithm::ALL {
        match listed.contains(&algorithm) {
            true => hashes_with(bed, algorithm).await?,
            false => refuses_to_hash_with(&backend, algorithm).await?,
        }
    }
    Ok(())
}

async fn hashes_with(bed: &TestBed, algorithm: HashAlgorithm) -> Outcome {
    let store = bed.builder(algorithm.as_str()).await?;
    let store = store
        .with_graph(pair()?)
        .with_hash_algorithm(algorithm)
        .build()?;
    store.write(&key("a")?, samples(&[(1, "x")])?).await?;
    let expected = hashed(&store, "default|1|a.default|x")?;
    let increment = resolve(&store, "b").await?;
    check_eq(
        increment.new.words("metaxy_provenance_by_field.default")?,
        [expected],
        format!("the version with {algorithm}"),
    )
}

async fn refuses_to_hash_with(backend: &Arc<dyn Backend>, algorithm: HashAlgorithm) -> Outcome {
    let build = || {
        MetadataStore::builder(backend.clone())
            .with_name("picky")
            .with_hash_algorithm(algorithm)
            .build()
    };
    let error = refused(build(), ErrorKind::Unsupported)?;
    names(&error, &["picky", algorithm.as_str()])?;
    for known in backend.capabilities().hash_algorithms {
        names(&error, &[known.as_str()])?;
    }
    let rows = Rows::empty(Arc::new(Schema::new(vec![Field::new(
        "id",
        DataType::Int64,
        true,
    )])));
    let spec = HashSpec {
        algorithm,
        length: 8,
    };
    let parts = vec![HashPart::Text("x".into())];
    let relation = Relation::frame(0, rows.schema().clone())
        .project(vec![("hash".into(), Scalar::Hash { spec, parts })])?;
    let plan = Plan {
        relation,
        frames: vec![Frame::from(rows)],
    };
    refused(answer(backend, plan).await, ErrorKind::Unsupported)?;
    Ok(())
}

/// With transactions a write of several features is done or not; without, a failure says which features were written (§5).
pub async fn transactions(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let (a, b) = (key("a")?, key("b")?);
    // Dependents come first, so `b` is done when the rows of `a` break off.
    let writes = vec![
        (a.clone(), failing_after(samples(&[(1, "x")])?)),
        (b.clone(), Frame::from(samples(&[(1, "y")])?)),
    ];
    let written = store.write_multi(writes, WriteOptions::default()).await;
    let error = refused(written, ErrorKind::Io)?;
    check_eq(stored(&store, "a").await?.len(), 0, "rows of a")?;
    let left = stored(&store, "b").await?.len();
    if store.capabilities().transactions {
        check_eq(left, 0, "rows of b, which was part of what failed")?;
    } else {
        names(&error, &["features written before: b", "main"])?;
        check_eq(left, 1, "rows of b, which was written before")?;
    }
    let writes = [("a", "x"), ("b", "y")]
        .into_iter()
        .map(|(feature, version)| Ok((key(feature)?, Frame::from(samples(&[(2, version)])?))));
    let writes = writes.collect::<Result<Vec<_>>>()?;
    store.write_multi(writes, WriteOptions::default()).await?;
    for feature in ["a", "b"] {
        let rows = read(&store, feature, ReadOptions::default()).await?;
        check(rows.ids()?.contains(&2), format!("{feature} was written"))?;
    }
    Ok(())
}

/// With concurrent writers a write in the middle of another is done as well; without, it may be refused as locked or as a
/// conflict, but need not: several handles of one process may share an engine. No row that was acknowledged is lost, and of a
/// write that was refused there is none (§5).
pub async fn concurrent_writers(bed: &TestBed) -> Outcome {
    let stores = [bed.store(pair()?).await?, bed.store(pair()?).await?];
    let a = key("a")?;
    let (rows, mut gate) = Gate::between(samples(&[(1, "x")])?, samples(&[(2, "x")])?);
    let (store, feature) = (stores[0].clone(), a.clone());
    let first = tokio::spawn(async move { store.write(&feature, rows).await });
    gate.reached().await;
    let (store, feature, rows) = (stores[1].clone(), a.clone(), samples(&[(3, "x")])?);
    let mut second = tokio::spawn(async move { store.write(&feature, rows).await });
    let early = tokio::time::timeout(SOON, &mut second).await;
    gate.open();
    let second = match early {
        Ok(second) => second,
        Err(_) => second.await,
    };
    let done = [first.await, second].map(|task| {
        task.unwrap_or_else(|e| Err(Error::new(ErrorKind::Internal, "a write died").with_source(e)))
    });
    let mut expected: Vec<i64> = Vec::new();
    for (write, ids) in done.iter().zip([&[1, 2][..], &[3]]) {
        match write {
            Ok(_) => expected.extend(ids),
            Err(e) if stores[0].capabilities().concurrent_writers => {
                return Err(Stop::failed(format!("a writer was refused: {}", report(e))));
            }
            Err(e) => check(
                matches!(e.kind(), ErrorKind::Locked | ErrorKind::Conflict),
                format!("refused as locked or as a conflict: {}", report(e)),
            )?,
        }
    }
    let rows = read(&stores[1], "a", ReadOptions::default()).await?;
    check_eq(rows.ids()?, expected, "the rows that were acknowledged")?;
    check(done.iter().any(Result::is_ok), "one of the two wrote")?;
    // Nobody is kept out for good.
    stores[1].write(&a, samples(&[(4, "x")])?).await?;
    Ok(())
}

/// Rows are removed for good with all their history; where that is impossible the refusal points to soft deletes (§5).
pub async fn hard_delete(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    let one = || DeleteOptions::hard().with_filters([col("id").eq(1)]);
    store
        .write(&a, samples(&[(1, "x"), (2, "x"), (3, "x")])?)
        .await?;
    store.write(&a, samples(&[(1, "y")])?).await?;
    if store.capabilities().hard_delete {
        check_eq(store.delete(&a, one()).await?, 2, "rows of the sample")?;
        check_eq(stored(&store, "a").await?.len(), 2, "rows that are left")?;
        let rows = read(&store, "a", ReadOptions::default()).await?;
        return check_eq(rows.ids()?, [2, 3], "samples that are left");
    }
    let before = stored(&store, "a").await?;
    for options in [one(), DeleteOptions::hard()] {
        let error = refused(store.delete(&a, options).await, ErrorKind::Unsupported)?;
        names(&error, &["main", "softly"])?;
    }
    let backend = store.backend();
    refused(backend.delete(&a, None).await, ErrorKind::Unsupported)?;
    let prune = Prune::default().with_id_columns(["id"]);
    refused(backend.prune(&a, &prune).await, ErrorKind::Unsupported)?;
    check_eq(stored(&store, "a").await?, before, "what is stored")?;
    let soft = DeleteOptions::soft().with_filters([col("id").eq(1)]);
    check_eq(store.delete(&a, soft).await?, 1, "samples marked")?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    check_eq(rows.ids()?, [2, 3], "samples after a soft delete")
}

/// A table is read as it was at a time, the latest row of each sample then; where that is impossible it is refused (§5).
pub async fn as_of(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    let mut times = Vec::new();
    for version in ["x", "y", "z"] {
        store.write(&a, samples(&[(1, version)])?).await?;
        times.push(bed.clock().peek());
        bed.clock().set(bed.clock().peek() + 1_000_000);
    }
    let version = "metaxy_provenance_by_field.default";
    let at = |time: i64| ReadOptions::default().with_as_of(time);
    if store.capabilities().as_of {
        for (time, expected) in times.iter().zip(["x", "y", "z"]) {
            let rows = read(&store, "a", at(*time)).await?;
            check_eq(rows.words(version)?, [expected], "the version then")?;
        }
        let rows = read(&store, "a", at(times[0] - 10_000_000)).await?;
        return check_eq(rows.len(), 0, "samples before the first write");
    }
    let reading = store.read(&a, at(times[0])).await;
    let error = refused(reading, ErrorKind::Unsupported)?;
    names(&error, &["main", "as of"])?;
    let backend = store.backend();
    let schema = backend.schema(&a).await?;
    let schema = schema.ok_or_else(|| Stop::failed("the table is gone"))?;
    let scan = Scan {
        table: a,
        feature_version: None,
        as_of: Some(times[0]),
        latest_per: None,
    };
    let plan = Plan::from(Relation::scan(scan, schema));
    refused(answer(backend, plan).await, ErrorKind::Unsupported)?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    check_eq(rows.words(version)?, ["z"], "the version now")
}

/// All rows of a plan: a backend may refuse it at once or with the first of them.
async fn answer(backend: &Arc<dyn Backend>, plan: Plan) -> Result<Rows> {
    backend.query(plan).await?.collect().await
}
