//! Backends with one fault each: the suite must find every one of them.
//!
//! A mutant wraps a backend and breaks one rule. [`Mutant::stores`] makes the stores of any factory so; a suite that passes on
//! them has a hole. What each breaks is in its [`rule`](Mutant::rule).
//!
//! ```no_run
//! use std::sync::Arc;
//! use metaxy_conformance::mutants;
//! # fn stores() -> Arc<dyn metaxy_conformance::StoreFactory> { unimplemented!() }
//!
//! for mutant in mutants::all() {
//!     let report = metaxy_conformance::Suite::new(mutant.stores(stores())).run();
//!     assert!(!report.is_success(), "nothing notices a backend that {}", mutant.rule);
//! }
//! ```

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use metaxy_store::backend::append::Append;
use metaxy_store::backend::maintain::{Damage, Maintenance, MaintenanceReport, Prune};
use metaxy_store::backend::{Appended, Backend, Capabilities, Description};
use metaxy_store::delete::DeleteSamples;
use metaxy_store::plan::Plan;
use metaxy_store::{Access, Expr, FeatureKey, Frame, Result};

use crate::factory::{Availability, Settings, StoreFactory, StoreRequest};

mod appending;
mod deleting;
mod describing;
mod maintaining;
mod querying;

/// A fault that the suite must find.
#[derive(Clone, Copy)]
pub struct Mutant {
    /// Its name, such as `loses_the_last_row`.
    pub name: &'static str,
    /// What such a backend does, as the end of a sentence that starts with "a backend that".
    pub rule: &'static str,
    make: fn() -> Box<dyn Fault>,
}

impl Mutant {
    /// A mutant of one's own, whose backends have the fault that `make` gives.
    #[must_use]
    pub const fn new(name: &'static str, rule: &'static str, make: fn() -> Box<dyn Fault>) -> Self {
        Self { name, rule, make }
    }

    /// The stores of `stores`, with this fault.
    #[must_use]
    pub fn stores(&self, stores: Arc<dyn StoreFactory>) -> Arc<dyn StoreFactory> {
        Arc::new(FaultyStores {
            stores,
            make: self.make,
            opened: AtomicUsize::new(0),
        })
    }
}

impl fmt::Debug for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mutant({})", self.name)
    }
}

/// Lists mutants: name, what it does, and the value that does it.
macro_rules! mutants {
    ($($fault:expr => $name:literal: $rule:literal;)+) => {
        pub(super) const MUTANTS: &[super::Mutant] = &[$(
            super::Mutant::new($name, $rule, || Box::new($fault))
        ),+];
    };
}
use mutants;

/// Every mutant.
#[must_use]
pub fn all() -> Vec<Mutant> {
    [
        appending::MUTANTS,
        querying::MUTANTS,
        deleting::MUTANTS,
        maintaining::MUTANTS,
        describing::MUTANTS,
    ]
    .concat()
}

/// What a mutant does instead. Each method is that of [`Backend`] and is given the backend that it wraps; what is not written is
/// done by that one.
#[async_trait]
pub trait Fault: Send + Sync {
    /// What the store is asked for when it is opened; `nth` counts all openings of all stores.
    fn opening(&self, request: StoreRequest, nth: usize) -> StoreRequest {
        let _ = nth;
        request
    }

    /// What the backend says that it can do.
    fn capabilities(&self, true_ones: Capabilities) -> Capabilities {
        true_ones
    }

    /// What it says that it is.
    fn describe(&self, true_one: Description) -> Description {
        true_one
    }

    /// The table that is used for another.
    fn table(&self, table: &FeatureKey) -> FeatureKey {
        table.clone()
    }

    /// Instead of [`Backend::schema`].
    async fn schema(&self, inner: &dyn Backend, table: &FeatureKey) -> Result<Option<SchemaRef>> {
        inner.schema(table).await
    }

    /// Instead of [`Backend::has_rows`].
    async fn has_rows(&self, inner: &dyn Backend, table: &FeatureKey) -> Result<bool> {
        inner.has_rows(table).await
    }

    /// Instead of [`Backend::tables`].
    async fn tables(&self, inner: &dyn Backend) -> Result<Vec<String>> {
        inner.tables().await
    }

    /// Instead of [`Backend::append`].
    async fn append(&self, inner: &dyn Backend, appends: Vec<Append>) -> Result<Appended> {
        inner.append(appends).await
    }

    /// Instead of [`Backend::delete`].
    async fn delete(
        &self,
        inner: &dyn Backend,
        table: &FeatureKey,
        condition: Option<&Expr>,
    ) -> Result<u64> {
        inner.delete(table, condition).await
    }

    /// Instead of [`Backend::delete_samples`].
    async fn delete_samples(
        &self,
        inner: &dyn Backend,
        table: &FeatureKey,
        samples: &DeleteSamples,
    ) -> Result<u64> {
        inner.delete_samples(table, samples).await
    }

    /// Instead of [`Backend::drop_table`].
    async fn drop_table(&self, inner: &dyn Backend, table: &FeatureKey) -> Result<bool> {
        inner.drop_table(table).await
    }

    /// Instead of [`Backend::prune`].
    async fn prune(&self, inner: &dyn Backend, table: &FeatureKey, prune: &Prune) -> Result<u64> {
        inner.prune(table, prune).await
    }

    /// Instead of [`Backend::maintain`].
    async fn maintain(
        &self,
        inner: &dyn Backend,
        maintenance: &Maintenance,
    ) -> Result<MaintenanceReport> {
        inner.maintain(maintenance).await
    }

    /// Instead of [`Backend::query`].
    async fn query(&self, inner: &dyn Backend, plan: Plan) -> Result<Frame> {
        inner.query(plan).await
    }
}

/// Stores with a fault.
struct FaultyStores {
    stores: Arc<dyn StoreFactory>,
    make: fn() -> Box<dyn Fault>,
    opened: AtomicUsize,
}

#[async_trait]
impl StoreFactory for FaultyStores {
    fn name(&self) -> &str {
        self.stores.name()
    }

    async fn availability(&self) -> Availability {
        self.stores.availability().await
    }

    async fn open(&self, request: &StoreRequest) -> Result<Arc<dyn Backend>> {
        let fault = (self.make)();
        let nth = self.opened.fetch_add(1, Ordering::Relaxed);
        let request = fault.opening(request.clone(), nth);
        let inner = self.stores.open(&request).await?;
        Ok(Arc::new(Faulty { inner, fault }))
    }

    async fn discard(&self, request: &StoreRequest) -> Result<()> {
        self.stores.discard(request).await
    }

    fn settings(&self, request: &StoreRequest) -> Option<Settings> {
        self.stores.settings(request)
    }

    fn secrets(&self) -> Vec<String> {
        self.stores.secrets()
    }
}

/// A backend with a fault.
struct Faulty {
    inner: Arc<dyn Backend>,
    fault: Box<dyn Fault>,
}

#[async_trait]
impl Backend for Faulty {
    fn capabilities(&self) -> Capabilities {
        self.fault.capabilities(self.inner.capabilities())
    }

    fn describe(&self) -> Description {
        self.fault.describe(self.inner.describe())
    }

    async fn schema(&self, table: &FeatureKey) -> Result<Option<SchemaRef>> {
        let table = self.fault.table(table);
        self.fault.schema(&*self.inner, &table).await
    }

    async fn has_rows(&self, table: &FeatureKey) -> Result<bool> {
        let table = self.fault.table(table);
        self.fault.has_rows(&*self.inner, &table).await
    }

    async fn tables(&self) -> Result<Vec<String>> {
        self.fault.tables(&*self.inner).await
    }

    async fn append(&self, mut appends: Vec<Append>) -> Result<Appended> {
        for append in &mut appends {
            append.table = self.fault.table(&append.table);
        }
        self.fault.append(&*self.inner, appends).await
    }

    async fn delete(&self, table: &FeatureKey, condition: Option<&Expr>) -> Result<u64> {
        let table = self.fault.table(table);
        self.fault.delete(&*self.inner, &table, condition).await
    }

    async fn delete_samples(&self, table: &FeatureKey, samples: &DeleteSamples) -> Result<u64> {
        let table = self.fault.table(table);
        self.fault
            .delete_samples(&*self.inner, &table, samples)
            .await
    }

    async fn drop_table(&self, table: &FeatureKey) -> Result<bool> {
        let table = self.fault.table(table);
        self.fault.drop_table(&*self.inner, &table).await
    }

    async fn prune(&self, table: &FeatureKey, prune: &Prune) -> Result<u64> {
        let table = self.fault.table(table);
        self.fault.prune(&*self.inner, &table, prune).await
    }

    async fn maintain(&self, maintenance: &Maintenance) -> Result<MaintenanceReport> {
        let mut maintenance = maintenance.clone();
        for table in &mut maintenance.tables {
            *table = self.fault.table(table);
        }
        self.fault.maintain(&*self.inner, &maintenance).await
    }

    async fn verify(&self, table: &FeatureKey) -> Result<Vec<Damage>> {
        self.inner.verify(&self.fault.table(table)).await
    }

    async fn query(&self, mut plan: Plan) -> Result<Frame> {
        plan.relation = querying::with_scans(&plan.relation, &mut |scan| {
            scan.table = self.fault.table(&scan.table);
        })?;
        self.fault.query(&*self.inner, plan).await
    }
}

/// Whether it is opened for reading only.
fn for_reading(request: &StoreRequest) -> bool {
    request.access == Access::Read
}
