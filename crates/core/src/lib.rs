//! The model and the algebra of metaxy: Arrow types, no database, no choice of a runtime.
//!
//! | module | what it holds |
//! |---|---|
//! | [`key`], [`spec`], [`definition`], [`graph`] | features, how they depend on each other |
//! | [`version`], [`feature_plan`] | versions of definitions; what one feature joins |
//! | [`toml_features`], [`json`] | definitions as text |
//! | [`hash`], [`expr`] | hash kernels; filters |
//! | [`plan`], [`sql`] | the algebra, and how it is written for SQL engines |
//! | [`backend`], [`append`], [`delete`], [`maintain`], [`frame`], [`pump`], [`cast`](mod@cast) | what a backend implements |
//! | [`registry`], [`options`] | type paths, and what stores are told |
//! | `typed` (Cargo feature) | structs as features and rows |
//! | `nested`, `threads` (Cargo features) | what some backends share: nested columns as JSON, a runtime for asynchronous clients |
//!
//! # Cargo features
#![doc = document_features::document_features!()]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod append;
pub mod backend;
pub mod blocking;
pub mod calendar;
pub mod cast;
pub mod clock;
pub mod columns;
pub mod definition;
pub mod delete;
pub mod engine;
pub mod error;
pub mod expr;
pub mod feature_plan;
pub mod frame;
pub mod graph;
pub mod hash;
pub mod json;
pub mod json_schema;
pub mod key;
mod macros;
pub mod maintain;
#[cfg(feature = "nested")]
pub mod nested;
pub mod options;
mod parents;
pub mod plan;
pub mod pump;
pub mod registry;
pub mod spec;
pub mod sql;
#[cfg(feature = "threads")]
pub mod threads;
pub mod toml_features;
#[cfg(feature = "typed")]
pub mod typed;
pub mod version;

pub use backend::{Access, Backend};
pub use clock::Clock;
pub use definition::FeatureDefinition;
pub use error::{Error, ErrorKind, Result};
pub use expr::{Expr, col, lit};
pub use frame::{Frame, Rows};
pub use graph::FeatureGraph;
pub use hash::HashAlgorithm;
pub use key::{FeatureKey, FieldKey};
pub use plan::ReadOptions;
pub use spec::{FeatureDep, FeatureSpec, FieldSpec};
