//! What a backend is held to.
//!
//! | module | what it holds |
//! |---|---|
//! | [`suite`] | [`Suite`]: runs the cases against a backend, one outcome each |
//! | [`cases`] | the cases: one named function per behaviour |
//! | [`bed`] | [`TestBed`]: what a case works with |
//! | [`outcome`] | how a case ends |
//! | [`laws`] | the algebra's laws over random histories, against a model in memory |
//! | [`mutants`] | backends with one fault each: the suite must find it |
//! | [`golden`] | replays what the reference answered (`golden/FORMAT.md`) |
//! | [`processes`] | several processes on one store: their roles, and what each must find |
//! | `power` | power cuts and syncs that fail, on a file system in an image |
//! | [`second_opinion`] | two engines over the same rows, which must agree on every plan |
//! | [`tables`] | tables of random types and values |
//! | [`factory`] | where the stores come from |
//!
//! A backend's crate runs it in a test of its own, with `harness = false` in its manifest:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use std::sync::Arc;
//! use metaxy_conformance::{Embedded, Suite};
//! use metaxy_store::sqlite::SqliteConfig;
//!
//! fn main() -> ExitCode {
//!     let stores = Embedded::new("sqlite", |directory, request| {
//!         Ok(Arc::new(SqliteConfig::new(directory.join("store.db")).open(request.access)))
//!     });
//!     Suite::main(stores)
//! }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod bed;
pub mod cases;
#[cfg(all(unix, feature = "cluster"))]
#[doc(hidden)]
pub mod cluster;
pub mod factory;
pub mod golden;
pub mod growth;
pub mod hostile;
pub mod laws;
pub mod mutants;
pub mod outcome;
#[cfg(unix)]
pub mod power;
pub mod processes;
pub mod second_opinion;
pub mod suite;
pub mod tables;

pub use bed::TestBed;
pub use factory::{Availability, Embedded, Settings, StoreFactory, StoreRequest};
pub use second_opinion::SecondOpinion;
pub use suite::{Case, Part, Suite, SuiteReport};
