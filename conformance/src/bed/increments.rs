//! Increments as cases look at them, and how they are applied.

use metaxy_store::hash::{HashPart, hash_rows};
use metaxy_store::store::Counts;
use metaxy_store::{Increment, MetadataStore, ResolveOptions};

use super::frames::Table;
use super::graphs::key;
use crate::outcome::{Outcome, Stop, check_eq};

/// The parts of an increment, each in the order of its `id` where it has one.
#[derive(Debug, Clone)]
pub struct Parts {
    /// New rows.
    pub new: Table,
    /// Stale rows.
    pub stale: Table,
    /// Orphaned rows.
    pub orphaned: Table,
}

/// What a feature's samples need, everything taken into account.
///
/// # Errors
/// If the resolve fails.
pub async fn resolve(store: &MetadataStore, feature: &str) -> Outcome<Parts> {
    resolve_with(store, feature, ResolveOptions::default()).await
}

/// What a feature's samples need.
///
/// # Errors
/// If the resolve fails.
pub async fn resolve_with(
    store: &MetadataStore,
    feature: &str,
    options: ResolveOptions,
) -> Outcome<Parts> {
    Parts::of(store.resolve_update(&key(feature)?, options).await?).await
}

/// Writes what is new and stale, as a step of a pipeline does.
///
/// # Errors
/// If resolving or writing fails.
pub async fn compute(store: &MetadataStore, feature: &str) -> Outcome {
    let feature = key(feature)?;
    let increment = store
        .resolve_update(&feature, ResolveOptions::default())
        .await?;
    store.write(&feature, increment.new_and_stale()).await?;
    Ok(())
}

/// Writes what is new and stale, and deletes what is orphaned.
///
/// # Errors
/// If resolving, writing or deleting fails.
pub async fn apply(store: &MetadataStore, feature: &str) -> Outcome {
    let feature = key(feature)?;
    let increment = store
        .resolve_update(&feature, ResolveOptions::default())
        .await?;
    store.write(&feature, increment.new_and_stale()).await?;
    if !increment.orphaned.is_empty() {
        store.delete_rows(&feature, increment.orphaned).await?;
    }
    Ok(())
}

impl Parts {
    /// All rows of an increment.
    ///
    /// # Errors
    /// If its batches do not fit together.
    pub async fn of(increment: Increment) -> Outcome<Self> {
        Ok(Self {
            new: Table::of(increment.new).await?,
            stale: Table::of(increment.stale).await?,
            orphaned: Table::of(increment.orphaned).await?,
        })
    }

    /// Fails unless these are the samples of the parts, by `id`, ascending.
    ///
    /// # Errors
    /// With what they are instead.
    #[track_caller]
    pub fn are(&self, new: &[i64], stale: &[i64], orphaned: &[i64]) -> Outcome {
        let found = (self.new.ids()?, self.stale.ids()?, self.orphaned.ids()?);
        let expected = (new.to_vec(), stale.to_vec(), orphaned.to_vec());
        check_eq(found, expected, "new, stale and orphaned samples")
    }

    /// How many rows each part has.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let rows = |table: &Table| table.len() as u64;
        Counts {
            new: rows(&self.new),
            stale: rows(&self.stale),
            orphaned: rows(&self.orphaned),
        }
    }

    /// Fails unless these are the numbers of new, stale and orphaned rows.
    ///
    /// # Errors
    /// With what they are instead.
    #[track_caller]
    pub fn count(&self, new: u64, stale: u64, orphaned: u64) -> Outcome {
        let counts = self.counts();
        let found = (counts.new, counts.stale, counts.orphaned);
        check_eq(
            found,
            (new, stale, orphaned),
            "numbers of new, stale and orphaned rows",
        )
    }

    /// Fails unless nothing is to be done.
    ///
    /// # Errors
    /// With how much is.
    #[track_caller]
    pub fn nothing(&self) -> Outcome {
        self.count(0, 0, 0)
    }
}

/// The store's hash of a text, cut to its length.
///
/// # Errors
/// None.
pub fn hashed(store: &MetadataStore, text: &str) -> Outcome<String> {
    let hash = store.hash();
    let hashes = hash_rows(
        hash.algorithm,
        hash.length,
        &[HashPart::Text(text.to_owned())],
        1,
    )?;
    let hash = hashes.iter().next().flatten();
    let hash = hash.ok_or_else(|| Stop::failed("a text has no hash"))?;
    Ok(hash.to_owned())
}
