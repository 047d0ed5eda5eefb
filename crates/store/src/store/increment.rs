//! What a resolve gives: an increment in memory, or one that is yet to be computed.

use futures::StreamExt;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int8Type, Int64Type};

use super::MetadataStore;
use crate::backend::Explanation;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::{Frame, Rows};
use crate::key::FeatureKey;
use crate::plan::{IncrementPlan, LABEL, Label, Part, Plan, Relation, SplitBatch};

/// The samples of a feature that need work.
///
/// `new` and `stale` have the joined upstream columns and the four version columns, and can be written as they are once the work
/// is done; `orphaned` has the stored columns, and is what [`MetadataStore::delete_rows`] takes.
#[derive(Debug, Clone)]
pub struct Increment {
    /// Samples that upstream has and the feature has not.
    pub new: Rows,
    /// Samples whose upstream changed since they were written.
    pub stale: Rows,
    /// Samples that the feature has and upstream has not. None, while it [waits](Self::waits_for).
    pub orphaned: Rows,
    /// Upstream features of the feature that have rows of other feature versions and none of their current one, not even a
    /// deleted one. What they will have is not known yet, so no sample is orphaned for their sake (`semantics.md` §15), and new
    /// and stale ones may be computed in vain.
    pub waits_for: Vec<FeatureKey>,
}

impl Increment {
    /// Whether nothing is to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.stale.is_empty() && self.orphaned.is_empty()
    }

    /// How many rows each part has.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let rows = |rows: &Rows| rows.num_rows() as u64;
        Counts {
            new: rows(&self.new),
            stale: rows(&self.stale),
            orphaned: rows(&self.orphaned),
        }
    }

    /// New and stale rows, which have the same columns: what a write takes once the work is done.
    #[must_use]
    pub fn new_and_stale(&self) -> Rows {
        let batches = self.new.batches().iter().chain(self.stale.batches());
        Rows::new(self.new.schema().clone(), batches.cloned().collect())
    }
}

/// How many rows each part of an increment has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// New rows.
    pub new: u64,
    /// Stale rows.
    pub stale: u64,
    /// Orphaned rows.
    pub orphaned: u64,
}

impl Counts {
    /// Whether nothing is to be done.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// What was counted by [`LABEL`] ([`Relation::count`]).
    pub(super) fn of(rows: &Rows) -> Result<Self> {
        let broken = || {
            Error::new(
                ErrorKind::Internal,
                "an increment was counted without labels",
            )
        };
        let mut counts = Self::default();
        for batch in rows.batches() {
            let labels = batch.column_by_name(LABEL).ok_or_else(broken)?;
            let numbers = batch.column_by_name("count").ok_or_else(broken)?;
            let labels = labels.as_primitive_opt::<Int8Type>().ok_or_else(broken)?;
            let numbers = numbers.as_primitive_opt::<Int64Type>().ok_or_else(broken)?;
            for (label, number) in labels.iter().zip(numbers) {
                let number = u64::try_from(number.unwrap_or_default()).unwrap_or_default();
                match label {
                    Some(l) if l == Label::New as i8 => counts.new += number,
                    Some(l) if l == Label::Stale as i8 => counts.stale += number,
                    Some(l) if l == Label::Orphaned as i8 => counts.orphaned += number,
                    _ => {}
                }
            }
        }
        Ok(counts)
    }
}

/// An increment that is yet to be computed: to be collected, streamed or counted.
#[derive(Debug)]
pub struct LazyIncrement {
    pub(super) store: MetadataStore,
    pub(super) feature: FeatureKey,
    pub(super) plan: IncrementPlan,
    pub(super) frames: Vec<Frame>,
    /// The columns that the input is counted by; `None` for samples that were given.
    pub(super) units: Option<Vec<String>>,
    pub(super) waits_for: Vec<FeatureKey>,
    /// The store whose rows of the feature are compared.
    pub(super) compared_with: String,
}

impl LazyIncrement {
    /// The name of the store whose rows of the feature are compared: this one, or with
    /// [`ResolveOptions::compare_with_fallback`](super::ResolveOptions::compare_with_fallback) one of its chain.
    #[must_use]
    pub fn compared_with(&self) -> &str {
        &self.compared_with
    }

    /// The relation that is computed.
    #[must_use]
    pub fn plan(&self) -> &IncrementPlan {
        &self.plan
    }

    /// The upstream features that it [waits for](Increment::waits_for), as they were when it was made.
    #[must_use]
    pub fn waits_for(&self) -> &[FeatureKey] {
        &self.waits_for
    }

    /// Computes it and holds all rows.
    ///
    /// # Errors
    /// If the backend fails.
    pub async fn collect(self) -> Result<Increment> {
        let schemas =
            [Part::New, Part::Stale, Part::Orphaned].map(|part| self.plan.schema(part).clone());
        let mut parts: [Vec<RecordBatch>; 3] = Default::default();
        let waits_for = self.waits_for.clone();
        let mut stream = self.stream().await?;
        while let Some(split) = stream.next().await {
            let split = split?;
            for (part, batch) in parts
                .iter_mut()
                .zip([split.new, split.stale, split.orphaned])
            {
                if batch.num_rows() > 0 {
                    part.push(batch);
                }
            }
        }
        let [new, stale, orphaned] = parts;
        let [new_schema, stale_schema, orphaned_schema] = schemas;
        Ok(Increment {
            new: Rows::new(new_schema, new),
            stale: Rows::new(stale_schema, stale),
            orphaned: Rows::new(orphaned_schema, orphaned),
            waits_for,
        })
    }

    /// Computes it and yields the three parts batch by batch, in no particular order.
    ///
    /// # Errors
    /// If the backend fails.
    pub async fn stream(
        self,
    ) -> Result<impl futures::Stream<Item = Result<SplitBatch>> + Send + Unpin + 'static> {
        let relation = self.plan.relation().clone();
        let plan = self.plan.clone();
        let rows = self.query(relation).await?;
        Ok(rows.into_stream().map(move |batch| plan.split(&batch?)))
    }

    /// Computes only how many rows each part has.
    ///
    /// # Errors
    /// If the backend fails.
    pub async fn counts(self) -> Result<Counts> {
        let relation = self.plan.counts()?;
        let rows = self.query(relation).await?.collect().await?;
        Counts::of(&rows)
    }

    /// What becomes of it in the store's engine, without computing it.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn explain(self) -> Result<Explanation> {
        let Self {
            store,
            feature,
            plan,
            frames,
            ..
        } = self;
        // Nobody reads what a fallback store would send.
        drop(frames);
        let explained = store.inner.backend.explain(plan.relation()).await;
        explained.map_err(|e| store.about(e, &feature))
    }

    pub(super) async fn query(self, relation: Relation) -> Result<Frame> {
        let plan = Plan {
            relation,
            frames: self.frames,
        };
        let rows = self.store.inner.backend.query(plan).await;
        rows.map_err(|e| self.store.about(e, &self.feature))
    }
}
