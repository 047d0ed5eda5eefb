//! What projects that share a store tell each other (`semantics.md` §8, §10): pushed graphs, external features, lock files.
//!
//! A push records every feature of a project as it is defined now, in the system table `metaxy-system/feature_versions` that is
//! shared with the reference. What was pushed can be listed, and a graph rebuilt from it; where a project names no feature files,
//! the graph pushed last is the one that is used. Another project depends on such features by placeholders
//! ([`External`](crate::definition::External)), which a [sync](MetadataStore::sync_external) replaces, or by a [`LockFile`].
//!
//! Of each project the features count that were pushed last: one that a later push lacks was removed.

mod catalogue;
mod history;
mod lock;
mod push;
mod record;
mod sync;

pub use history::Snapshot;
pub(crate) use history::snapshots_of;
pub use lock::{LockChange, LockFile, LockOptions, LockReport, LockUpdate, LockedFeature};
pub use push::{PushOptions, PushReport};
pub use record::{PushedFeature, feature_versions_key};
pub use sync::{FieldMismatch, SyncOptions, SyncReport, VersionMismatch};

#[cfg(doc)]
use crate::store::MetadataStore;
