//! Stores that copy from each other (`semantics.md` §15).

use std::collections::BTreeSet;

use metaxy_store::store::CopyOptions;
use metaxy_store::{MetadataStore, ReadOptions};

use super::generate::History;
use super::run::beside;
use super::world::World;
use crate::bed::TestBed;
use crate::bed::frames::{Table, stored};
use crate::outcome::{Outcome, check_eq};

/// What is copied a second time adds no row and changes none.
pub(super) async fn twice_is_once(bed: &TestBed, name: &str, history: &History) -> Outcome {
    let from = World::after(bed, name, history).await?;
    let to = World::new(bed, &beside(name), &from.model.graph)
        .await?
        .store;
    let latest = CopyOptions::default;
    for options in [
        latest().with_feature_history(false),
        latest(),
        latest().with_sample_history(true),
    ] {
        to.copy_from(&from.store, options.clone()).await?;
        let once = rows(&from, &to).await?;
        let again = to.copy_from(&from.store, options.clone()).await?;
        let what = |what| format!("{what} with {options:?}");
        check_eq(again.rows_copied, 0, what("rows that were copied again"))?;
        check_eq(rows(&from, &to).await?, once, what("every row"))?;
    }
    same_versions(&from, &from.store, &to).await
}

/// Two stores that each have a part of a history, and some of it both, have the same samples after they have copied from each other.
pub(super) async fn turns_agree(bed: &TestBed, name: &str, history: &History) -> Outcome {
    let half = history.operations.len() / 2;
    let (first, second) = history.operations.split_at(half);
    let mut one = World::new(bed, name, &history.graph).await?;
    let mut other = World::new(bed, &beside(name), &history.graph).await?;
    // The clock of the second store starts where that of the first did: stamps may be equal.
    let began = bed.clock().peek();
    for operation in history.operations.iter() {
        one.play(operation).await?;
    }
    bed.clock().set(began);
    for operation in second.iter().chain(first) {
        other.play(operation).await?;
    }
    let (here, there) = (
        &one.store,
        other.store.with_graph(one.store.graph().clone()),
    );
    let current = || CopyOptions::default().with_feature_history(false);
    here.copy_from(&there, current()).await?;
    there.copy_from(here, current()).await?;
    let versions = ReadOptions::default().with_soft_deleted(true);
    same(&one, here, &there, &versions).await?;

    let all = || CopyOptions::default().with_sample_history(true);
    there.copy_from(here, all()).await?;
    here.copy_from(&there, all()).await?;
    same_versions(&one, here, &there).await?;
    for (to, from) in [(here, &there), (&there, here)] {
        let again = to.copy_from(from, all()).await?;
        check_eq(again.rows_copied, 0, "rows that were copied once more")?;
    }
    Ok(())
}

/// Every row of each feature.
async fn rows(world: &World<'_>, store: &MetadataStore) -> Outcome<Vec<Vec<String>>> {
    let mut rows = Vec::new();
    for feature in &world.model.graph.features {
        rows.push(stored(store, feature.name).await?);
    }
    Ok(rows)
}

/// Fails unless both stores read the same of every version of each feature, what is deleted included.
async fn same_versions(world: &World<'_>, one: &MetadataStore, other: &MetadataStore) -> Outcome {
    for feature in 0..world.model.graph.features.len() {
        let key = world.key(feature)?;
        let mut known = BTreeSet::new();
        for store in [one, other] {
            let versions = store.rows_by_version(&key).await?.into_iter();
            known.extend(versions.filter_map(|(version, _)| version));
        }
        for version in known {
            let options = ReadOptions::default()
                .with_feature_history(true)
                .with_feature_version(version)
                .with_soft_deleted(true);
            same(world, one, other, &options).await?;
        }
    }
    Ok(())
}

/// Fails unless both stores read the same of every feature.
async fn same(
    world: &World<'_>,
    one: &MetadataStore,
    other: &MetadataStore,
    options: &ReadOptions,
) -> Outcome {
    for (at, feature) in world.model.graph.features.iter().enumerate() {
        let key = world.key(at)?;
        let mut found = Vec::new();
        for store in [one, other] {
            let rows = match store.feature_schema(&key).await? {
                None => Vec::new(),
                Some(_) => {
                    let rows = store.read(&key, options.clone()).await?;
                    let mut columns = vec!["x"];
                    columns.extend(feature.parts.then_some("y"));
                    columns.extend(["metaxy_provenance", "metaxy_data_version"]);
                    columns.extend(["metaxy_updated_at", "metaxy_deleted_at"]);
                    Table::of(rows).await?.lines(&columns)?
                }
            };
            found.push(rows);
        }
        let other = found.pop();
        check_eq(
            found.pop(),
            other,
            format!("{} as both stores have it", feature.name),
        )?;
    }
    Ok(())
}
