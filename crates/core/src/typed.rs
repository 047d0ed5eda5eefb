//! Rust structs as features, and their values as rows.
//!
//! `#[derive(Feature)]` makes a struct a [`Feature`]: its members are the columns, its attributes are the definition. It comes with
//! the Cargo feature `derive` of `metaxy-store`; this module alone is the Cargo feature `typed` of `metaxy-core`.
//!
//! ```
//! # extern crate metaxy_core as metaxy_store;
//! use metaxy_macros::Feature;
//! use metaxy_store::typed::Feature;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Feature, Serialize, Deserialize)]
//! #[metaxy(key = "video/raw", project = "demo")]
//! #[field("audio")]
//! #[field("frames")]
//! struct Video {
//!     #[metaxy(id)]
//!     video_id: i64,
//!     path: String,
//! }
//!
//! #[derive(Feature, Serialize, Deserialize)]
//! #[metaxy(key = "video/transcript", id = "video_id", project = "demo")]
//! #[dep("video/raw", rename(path = "raw_path"), select("raw_path"))]
//! #[field("text", code_version = "2", deps("video/raw" = ["audio"]))]
//! struct Transcript {
//!     video_id: i64,
//!     raw_path: String,
//!     text_length: Option<i64>,
//! }
//!
//! # fn main() -> metaxy_store::Result<()> {
//! let graph = metaxy_store::FeatureGraph::from_inventory()?;
//! assert!(graph.contains(Transcript::KEY));
//! assert_eq!(Transcript::schema().field(2).name(), "text_length");
//! # Ok(())
//! # }
//! ```
//!
//! # The definition
//!
//! [`Feature::definition`] calls the builders, so a feature has the same versions whichever way it is made. The JSON schema of the
//! columns, which is part of the definition version only, is [`json_schema`] of [`Feature::schema`].
//!
//! Every derived feature of a program registers itself. Nothing uses the collection until [`FeatureGraph::from_inventory`] or
//! [`registered`] is called; a graph may as well be made of single definitions. A library that nothing names is not linked, and its
//! features are not registered then: write `use the_library as _;`.
//!
//! # Rows
//!
//! [`Rows::serialize`] and [`Rows::deserialize`] convert between structs and rows by way of serde. Reading takes any type, such as one
//! that has some of the joined columns of an increment; columns it has no member for are left out, and an `Option` may lack its column.
//!
//! A row that is written needs its provenance. [`Sample`] is a row with its versions: [`Rows::samples`] takes them from an increment,
//! [`Sample::map`] turns the upstream columns into the feature's, and [`Rows::from_samples`] is what a write takes.
//!
//! ```
//! # extern crate metaxy_core as metaxy_store;
//! # use metaxy_macros::Feature;
//! # use metaxy_store::typed::{Feature, Sample};
//! # use metaxy_store::{Result, Rows};
//! # #[derive(Feature, serde::Serialize)]
//! # #[metaxy(key = "video/transcript", id = "video_id", project = "demo")]
//! # #[dep("video/raw", rename(path = "raw_path"))]
//! # struct Transcript { video_id: i64, raw_path: String, text_length: Option<i64> }
//! /// The columns of an increment that the work needs.
//! #[derive(serde::Deserialize)]
//! struct Input {
//!     video_id: i64,
//!     raw_path: String,
//! }
//!
//! /// Does the work: `to_do` are the new and stale rows of an increment, and what is returned is written.
//! fn transcribe(to_do: &Rows) -> Result<Rows> {
//!     let done: Vec<_> = to_do
//!         .samples::<Input>()?
//!         .into_iter()
//!         .map(|sample| sample.map(|input| Transcript {
//!             video_id: input.video_id,
//!             text_length: Some(input.raw_path.len() as i64),
//!             raw_path: input.raw_path,
//!         }))
//!         .collect();
//!     Rows::from_samples(&done)
//! }
//! # fn main() {}
//! ```
//!
//! [`FeatureGraph::from_inventory`]: crate::FeatureGraph::from_inventory
//! [`Rows::serialize`]: crate::Rows::serialize
//! [`Rows::deserialize`]: crate::Rows::deserialize
//! [`Rows::samples`]: crate::Rows::samples
//! [`Rows::from_samples`]: crate::Rows::from_samples

mod column;
mod register;
mod rows;

pub use column::{ColumnType, column, json_schema, schema_of, struct_of};
pub use register::{FeatureRegistration, registered};
pub use rows::Sample;

/// What the derives refer to.
#[doc(hidden)]
pub use arrow::datatypes::{DataType, SchemaRef};
#[doc(hidden)]
pub use inventory::submit;

use crate::definition::FeatureDefinition;
use crate::error::Result;
use crate::key::FeatureKey;

/// A Rust type whose values are samples of a feature. Derive it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a feature",
    note = "derive it: `#[derive(Feature)]`"
)]
pub trait Feature: Sized + 'static {
    /// The feature's key as text, such as `video/raw`.
    const KEY: &'static str;

    /// The feature as a graph takes it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidDefinition`](crate::ErrorKind::InvalidDefinition) for what the compiler cannot see, such as a project given as
    /// a constant that is empty.
    fn definition() -> Result<FeatureDefinition>;

    /// The columns, in the order of the members; system columns are not among them.
    fn schema() -> SchemaRef;

    /// The feature's key.
    ///
    /// # Errors
    /// None for a derived feature.
    fn key() -> Result<FeatureKey> {
        FeatureKey::new(Self::KEY)
    }
}
