//! Writing several features at once (`semantics.md` §5).

use metaxy_store::backend::Access;
use metaxy_store::{
    ErrorKind, FeatureGraph, FeatureKey, Frame, MetadataStore, ReadOptions, Result, WriteOptions,
};

use crate::bed::TestBed;
use crate::bed::frames::{frame, ints, read, samples, stored};
use crate::bed::graphs::{feature, graph, key};
use crate::bed::observed::Observed;
use crate::outcome::{Outcome, check, check_eq, names, refused};

cases! { "multi":
    writes_dependents_first,
    orders_through_features_left_out,
    writes_nothing_if_one_frame_lacks_a_column,
    refuses_a_feature_twice,
    refuses_an_unknown_feature,
    writes_no_features,
    marks_every_feature_with_the_run,
}

/// `z` makes `m` makes `a`; `b` stands alone.
fn chain() -> Result<FeatureGraph> {
    graph([
        feature("z", &["default"], &[])?,
        feature("m", &["default"], &["z"])?,
        feature("a", &["default"], &["m"])?,
        feature("b", &["default"], &[])?,
    ])
}

fn writes(features: &[&str]) -> Result<Vec<(FeatureKey, Frame)>> {
    let one = |feature: &&str| Ok((key(feature)?, Frame::from(samples(&[(1, "x")])?)));
    features.iter().map(one).collect()
}

async fn write(store: &MetadataStore, features: &[&str]) -> Outcome<Vec<String>> {
    let order = store.write_multi(writes(features)?, WriteOptions::default());
    Ok(order.await?.iter().map(ToString::to_string).collect())
}

async fn nothing_stored(store: &MetadataStore) -> Outcome {
    for feature in ["a", "b", "m", "z"] {
        let rows = stored(store, feature).await?;
        check_eq(rows.len(), 0, format!("rows of {feature}"))?;
    }
    Ok(())
}

/// Each feature is written before all that it depends on, whatever the order it is given in, and the order is returned (§5).
pub async fn writes_dependents_first(bed: &TestBed) -> Outcome {
    let observed = Observed::new(bed.backend("main", Access::Write).await?);
    let store = bed.over(observed.clone()).with_graph(chain()?).build()?;
    for given in [["z", "m", "a"], ["a", "m", "z"], ["m", "z", "a"]] {
        check_eq(write(&store, &given).await?, ["a", "m", "z"], "the order")?;
    }
    let tables = observed.appends().concat();
    check_eq(tables[..3].to_vec(), ["a", "m", "z"], "what was appended")?;
    for feature in ["a", "m", "z"] {
        let rows = read(&store, feature, ReadOptions::default()).await?;
        check_eq(rows.ids()?, [1], format!("samples of {feature}"))?;
    }
    Ok(())
}

/// The order is also right where the feature between two others is not given (§10 (73)).
pub async fn orders_through_features_left_out(bed: &TestBed) -> Outcome {
    let store = bed.store(chain()?).await?;
    check_eq(write(&store, &["z", "a"]).await?, ["a", "z"], "the order")?;
    check_eq(write(&store, &["a", "z"]).await?, ["a", "z"], "the order")
}

/// A frame without the columns of a sample keeps all features from being written, with or without transactions (§5).
pub async fn writes_nothing_if_one_frame_lacks_a_column(bed: &TestBed) -> Outcome {
    let store = bed.store(chain()?).await?;
    let mut writes = writes(&["a", "b", "m"])?;
    writes.push((key("z")?, frame([("id", ints([1]))])?.into()));
    let written = store.write_multi(writes, WriteOptions::default()).await;
    let error = refused(written, ErrorKind::InvalidFrame)?;
    names(&error, &["feature z", "metaxy_provenance_by_field", "main"])?;
    nothing_stored(&store).await
}

/// A feature that is given twice is refused; nothing is written (§5).
pub async fn refuses_a_feature_twice(bed: &TestBed) -> Outcome {
    let store = bed.store(chain()?).await?;
    let written = store
        .write_multi(writes(&["a", "b", "a"])?, WriteOptions::default())
        .await;
    let error = refused(written, ErrorKind::InvalidArgument)?;
    names(&error, &["feature a", "twice", "main"])?;
    nothing_stored(&store).await
}

/// A feature that the graph does not have is refused; nothing is written (§5).
pub async fn refuses_an_unknown_feature(bed: &TestBed) -> Outcome {
    let store = bed.store(chain()?).await?;
    let written = store
        .write_multi(writes(&["a", "nope"])?, WriteOptions::default())
        .await;
    let error = refused(written, ErrorKind::FeatureNotFound)?;
    names(&error, &["nope"])?;
    nothing_stored(&store).await
}

/// A write of no features is fine and makes no table (§5).
pub async fn writes_no_features(bed: &TestBed) -> Outcome {
    let store = bed.store(chain()?).await?;
    let order = store.write_multi(Vec::new(), WriteOptions::default());
    check(order.await?.is_empty(), "an empty order")?;
    check_eq(store.backend().tables().await?.len(), 0, "tables")
}

/// The options of the write hold for each of its features (§5).
pub async fn marks_every_feature_with_the_run(bed: &TestBed) -> Outcome {
    let store = bed.store(chain()?).await?;
    let options = WriteOptions::default()
        .with_materialization_id("run-1")
        .with_at(5_000_000);
    store.write_multi(writes(&["a", "z"])?, options).await?;
    for feature in ["a", "z"] {
        let rows = read(&store, feature, ReadOptions::default()).await?;
        let run = rows.words("metaxy_materialization_id")?;
        check_eq(run, ["run-1"], format!("the run of {feature}"))?;
        let stamp = rows.times("metaxy_updated_at")?;
        check_eq(stamp, [Some(5_000_000)], format!("the stamp of {feature}"))?;
    }
    Ok(())
}
