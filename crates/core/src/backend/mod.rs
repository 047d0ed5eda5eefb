//! What a backend implements: the few operations that everything a store does is made of.
//!
//! A backend keeps tables of samples. It appends rows, removes rows, drops tables, and runs [`Plan`]s. The rules of
//! versioning, fallback and deletion are not its business: `MetadataStore` turns them into plans and appends, so a new
//! backend gets them free.
//!
//! | module | what it holds |
//! |---|---|
//! | [`append`], [`maintain`] | what is written, and what keeps a store in order |
//! | [`registry`] | how a store of a type is opened |
//! | [`blocking`], [`pump`] | work of an engine that blocks, and rows that come out of it |
//! | `runtime` (Cargo feature) | a runtime for engines whose clients are asynchronous |

pub mod append;
pub mod blocking;
pub mod maintain;
pub mod pump;
pub mod registry;
#[cfg(feature = "runtime")]
pub mod runtime;

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;

use crate::backend::append::Append;
use crate::backend::maintain::{Damage, Maintenance, MaintenanceReport, Prune};
use crate::delete::DeleteSamples;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::Expr;
use crate::frame::Frame;
use crate::hash::HashAlgorithm;
use crate::key::FeatureKey;
use crate::plan::{Plan, Relation};

/// What a query fails with that reads a table which was there when its plan was made, and is not any more.
#[must_use]
pub fn table_is_gone(table: &FeatureKey) -> Error {
    Error::new(
        ErrorKind::TableNotFound,
        format!("the table of feature {table} is gone: somebody dropped it meanwhile"),
    )
    .with_hint("try again, to be told what is there now")
}

/// What a store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Reading only: nothing is created, nothing is changed.
    #[default]
    Read,
    /// Reading and writing; what does not exist is created.
    Write,
}

/// What a backend can do: [everything](Self::all), but for what is left out.
///
/// ```
/// use metaxy_core::backend::{Capabilities, Capability};
/// let appends_only = Capabilities::all().with_hard_delete(false);
/// assert!(appends_only.transactions && !appends_only.has(Capability::HardDelete));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Hash algorithms that plans compute inside the engine.
    pub hash_algorithms: &'static [HashAlgorithm],
    /// Appends to several tables are all done or none.
    pub transactions: bool,
    /// Several processes may append at the same time.
    pub concurrent_writers: bool,
    /// Rows can be removed.
    pub hard_delete: bool,
    /// [`Scan::as_of`](crate::plan::Scan::as_of) is honoured.
    pub as_of: bool,
}

impl Capabilities {
    /// Everything, with every hash algorithm.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            hash_algorithms: &HashAlgorithm::ALL,
            transactions: true,
            concurrent_writers: true,
            hard_delete: true,
            as_of: true,
        }
    }

    /// Sets the [hash algorithms](Self::hash_algorithms).
    #[must_use]
    pub const fn with_hash_algorithms(mut self, algorithms: &'static [HashAlgorithm]) -> Self {
        self.hash_algorithms = algorithms;
        self
    }

    /// Sets [`transactions`](Self::transactions).
    #[must_use]
    pub const fn with_transactions(mut self, can: bool) -> Self {
        self.transactions = can;
        self
    }

    /// Sets [`concurrent_writers`](Self::concurrent_writers).
    #[must_use]
    pub const fn with_concurrent_writers(mut self, can: bool) -> Self {
        self.concurrent_writers = can;
        self
    }

    /// Sets [`hard_delete`](Self::hard_delete).
    #[must_use]
    pub const fn with_hard_delete(mut self, can: bool) -> Self {
        self.hard_delete = can;
        self
    }

    /// Sets [`as_of`](Self::as_of).
    #[must_use]
    pub const fn with_as_of(mut self, can: bool) -> Self {
        self.as_of = can;
        self
    }

    /// Whether the backend has a capability; of hash algorithms, whether there is any.
    #[must_use]
    pub const fn has(&self, capability: Capability) -> bool {
        match capability {
            Capability::HashAlgorithms => !self.hash_algorithms.is_empty(),
            Capability::Transactions => self.transactions,
            Capability::ConcurrentWriters => self.concurrent_writers,
            Capability::HardDelete => self.hard_delete,
            Capability::AsOf => self.as_of,
        }
    }
}

/// The flags of [`Capabilities`]. Exhaustive on purpose: who has something to say of each, as the suite has, does not compile with a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Capability {
    /// [`Capabilities::hash_algorithms`].
    HashAlgorithms,
    /// [`Capabilities::transactions`].
    Transactions,
    /// [`Capabilities::concurrent_writers`].
    ConcurrentWriters,
    /// [`Capabilities::hard_delete`].
    HardDelete,
    /// [`Capabilities::as_of`].
    AsOf,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::HashAlgorithms,
        Self::Transactions,
        Self::ConcurrentWriters,
        Self::HardDelete,
        Self::AsOf,
    ];
}

/// How a backend shows itself to people. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// What kind of store it is, such as `SQLite`.
    pub kind: &'static str,
    /// Where it is: a path, or an address without credentials.
    pub location: String,
}

impl Description {
    /// A store of this kind at this place.
    #[must_use]
    pub fn new(kind: &'static str, location: impl Into<String>) -> Self {
        let location = location.into();
        Self { kind, location }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.kind, self.location)
    }
}

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Appended {
    /// Rows that were added, over all tables.
    pub rows: u64,
    /// Rows that the largest of the tables holds now, if the backend knows without counting.
    pub table_rows: Option<u64>,
}

/// What becomes of a relation in an engine: see [`Backend::explain`]. For people: the texts may change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Explanation {
    /// The engine, such as `SQLite`.
    pub engine: String,
    /// What the engine is given, in its own language and in this order. Frames of the plan are tables in it.
    pub statements: Vec<String>,
    /// How the engine says that it runs the last of them.
    pub engine_plan: Option<String>,
    /// What else is to be known, such as what is computed outside of the engine.
    pub notes: Vec<String>,
}

impl Explanation {
    /// Nothing but the engine's name.
    pub fn of(engine: impl Into<String>) -> Self {
        Self {
            engine: engine.into(),
            ..Self::default()
        }
    }

    /// Adds what the engine is given.
    #[must_use]
    pub fn with_statement(mut self, statement: impl Into<String>) -> Self {
        self.statements.push(statement.into());
        self
    }

    /// Sets how the engine says that it runs it.
    #[must_use]
    pub fn with_engine_plan(mut self, plan: impl Into<String>) -> Self {
        self.engine_plan = Some(plan.into());
        self
    }

    /// Adds what else is to be known.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

/// Where tables of samples are kept.
///
/// Every method may be called from several tasks at once. A future that is dropped leaves either everything of its
/// operation or nothing.
///
/// # Contract
/// - A table holds exactly the columns that were appended to it, with their Arrow types: what [`schema`](Self::schema)
///   gives is what [`query`](Self::query) yields.
/// - Of rows with equal stamps, the one that was appended later counts as later: by call, by batch, by row.
/// - A query sees one moment: no append is visible in part.
/// - A table of somebody else that has a feature's name is refused by appends, deletes and drops, and left as it is.
/// - What its [`Capabilities`] deny is refused with [`ErrorKind::Unsupported`], never done by
///   halves or ignored. A store asks for none of it.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// What the backend can do.
    fn capabilities(&self) -> Capabilities;

    /// How it shows itself.
    fn describe(&self) -> Description;

    /// The columns of a feature's table, `None` if it has none.
    async fn schema(&self, table: &FeatureKey) -> Result<Option<SchemaRef>>;

    /// Whether the table exists and holds at least one row, of whatever version.
    async fn has_rows(&self, table: &FeatureKey) -> Result<bool>;

    /// The names of all tables, as the backend calls them, sorted.
    async fn tables(&self) -> Result<Vec<String>>;

    /// Adds rows. See [`Append`] for what the backend does with them. All or nothing for each table, and for all of them
    /// where [`Capabilities::transactions`].
    async fn append(&self, appends: Vec<Append>) -> Result<Appended>;

    /// Removes the rows for which `condition` (bound to the table's columns) is true, or all; returns how many. Removes
    /// nothing where there is no table.
    async fn delete(&self, table: &FeatureKey, condition: Option<&Expr>) -> Result<u64>;

    /// Removes samples of a table with all their rows, all in one step; returns how many rows. See [`DeleteSamples`] for which are
    /// meant. Of a table that does not exist it removes none.
    ///
    /// What goes is found and removed in one transaction, or the whole is tried again. A row that is written meanwhile stays, whatever
    /// the condition says of it. Where [`Capabilities::hard_delete`] is not set it is refused.
    async fn delete_samples(&self, table: &FeatureKey, samples: &DeleteSamples) -> Result<u64>;

    /// Removes a table and all its rows; returns whether it existed.
    async fn drop_table(&self, table: &FeatureKey) -> Result<bool>;

    /// Removes superseded rows of a table, all in one step; returns how many. See [`Prune`] for which rows are meant. With
    /// [`Prune::dry_run`] it removes nothing, needs no [`Access::Write`], and returns how many it would remove. Of a table that does
    /// not exist it removes none.
    ///
    /// Where [`Capabilities::hard_delete`] is not set it is refused, dry runs too. A row that is written meanwhile is never removed
    /// in place of another: what is superseded is found and removed in one transaction, or the whole is tried again.
    async fn prune(&self, table: &FeatureKey, prune: &Prune) -> Result<u64>;

    /// Puts the storage in order: whatever makes it smaller or faster and changes no answer to any query, such as to merge small
    /// files, to write back a log, to remove files that are no longer part of a table. Returns what was done; nothing, where there
    /// is nothing to put in order. A backend that keeps all tables in one file puts the file in order whichever tables are asked for.
    ///
    /// Queries and appends may go on meanwhile. If it has to wait for them longer than it would for a write, it fails with
    /// [`ErrorKind::Locked`]; what was done until then stays done. With [`Maintenance::dry_run`] it changes
    /// nothing and needs no [`Access::Write`].
    async fn maintain(&self, maintenance: &Maintenance) -> Result<MaintenanceReport>;

    /// Looks for damage to a table that reading all of its rows would not show, such as broken checksums of what no read needs. It needs
    /// no [`Access::Write`] and changes nothing. Nothing for a table that does not exist, and by default: all rows are read besides.
    ///
    /// # Errors
    /// What keeps it from looking. Damage is no error.
    async fn verify(&self, table: &FeatureKey) -> Result<Vec<Damage>> {
        let _ = table;
        Ok(Vec::new())
    }

    /// Runs a plan. The batches of the result have the schema of the plan's relation.
    async fn query(&self, plan: Plan) -> Result<Frame>;

    /// What becomes of a relation in the engine, without running it. It needs no [`Access::Write`] and changes nothing that stays.
    ///
    /// Provided, because it is for people only and nothing else depends on it: a backend that does not override it, or a wrapper that
    /// does not pass it on, explains nothing but its name.
    async fn explain(&self, relation: &Relation) -> Result<Explanation> {
        let _ = relation;
        Ok(Explanation::of(self.describe().kind))
    }
}

impl fmt::Debug for dyn Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Backend({})", self.describe())
    }
}

/// A backend that is shared.
pub type SharedBackend = Arc<dyn Backend>;
