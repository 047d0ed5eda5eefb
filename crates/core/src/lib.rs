//! The model and the algebra of metaxy: Arrow types, no database, no choice of a runtime.
//!
//! | module | what it holds |
//! |---|---|
//! | [`key`], [`spec`], [`definition`] | features |
//! | [`graph`] | how they depend on each other, their versions, and what one of them joins |
//! | [`toml_features`], [`json`] | definitions as text |
//! | [`hash`], [`expr`] | hash kernels; filters |
//! | [`plan`], [`sql`] | the algebra, and how it is written for SQL engines |
//! | [`backend`], [`delete`], [`frame`], [`cast`](mod@cast) | what a backend implements, and what it takes for that |
//! | [`options`] | what stores are told |
//! | `typed` (Cargo feature) | structs as features and rows |
//! | `nested`, `backend::runtime` (Cargo features) | what some backends share: nested columns as JSON, a runtime for asynchronous clients |
//!
//! # Cargo features
#![doc = document_features::document_features!()]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod backend;
pub mod calendar;
pub mod cast;
pub mod clock;
pub mod columns;
pub mod definition;
pub mod delete;
pub mod error;
pub mod expr;
pub mod frame;
pub mod graph;
pub mod hash;
pub mod json;
pub mod json_schema;
pub mod key;
mod macros;
#[cfg(feature = "nested")]
pub mod nested;
pub mod options;
pub mod plan;
pub mod spec;
pub mod sql;
pub mod toml_features;
#[cfg(feature = "typed")]
pub mod typed;

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
