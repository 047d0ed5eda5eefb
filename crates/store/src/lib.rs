//! Metadata stores that tell a multimodal data pipeline which samples are new, stale or orphaned, before anything is computed.
//!
//! This is the crate that users depend on: the model and [`MetadataStore`] of [`metaxy_core`], and the backends that
//! Cargo features bring in (`sqlite` is the default). Enabling a feature makes a store available and changes nothing else.
//! The Cargo feature `derive`, which is off by default, adds `#[derive(Feature)]` and typed rows:
//! `cargo add metaxy-store --features derive`. The [guide] begins with the concepts and goes through a first pipeline, the stores, the
//! configuration, backends of your own and the way here from the Python package.
//!
//! ```
//! use metaxy_store::prelude::*;
//! # fn main() -> metaxy_store::Result<()> {
//! // Transcripts depend on the sound of a video, faces on its pictures.
//! let mut graph = FeatureGraph::new();
//! graph.add(FeatureDefinition::new(
//!     FeatureSpec::new("video/raw", ["video_id"])?
//!         .with_field(FieldSpec::new("audio")?)
//!         .with_field(FieldSpec::new("frames")?),
//!     "demo",
//! ))?;
//! graph.add(FeatureDefinition::new(
//!     FeatureSpec::new("video/transcript", ["video_id"])?
//!         .with_dep(FeatureDep::new("video/raw")?)
//!         .with_field(FieldSpec::new("text")?.with_dep(FieldDep::new("video/raw", ["audio"])?)),
//!     "demo",
//! ))?;
//! assert_eq!(graph.topological().len(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! # Cargo features
#![doc = document_features::document_features!()]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod config;
pub mod guide;
#[cfg(feature = "polars")]
mod polars_increment;
pub mod store;
pub mod system;

#[doc(inline)]
pub use metaxy_core::*;

pub use config::Config;
#[cfg(feature = "polars")]
pub use polars_increment::PolarsIncrement;
pub use store::{
    BufferOptions, BufferedWriter, CopyOptions, DeleteOptions, Increment, MaintainOptions,
    MaintainReport, MetadataStore, RebaseOptions, ResolveOptions, WriteOptions,
};

/// A type whose values are samples of a feature, and the derive that makes a struct one. Cargo feature `derive`.
///
/// ```
/// use metaxy_store::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// /// What is said in a video.
/// #[derive(Feature, Serialize, Deserialize)]
/// #[metaxy(key = "video/transcript", project = "demo", metadata(owner = "speech"))]
/// #[dep("video/raw", rename(path = "raw_path"), filters("duration > 1"))]
/// #[dep("audio/chunk", lineage = aggregation("video_id"), select("language"), optional)]
/// #[field("text", code_version = "2", deps("video/raw" = ["audio"], "audio/chunk"))]
/// #[field("language")]
/// struct Transcript {
///     #[metaxy(id)]
///     video_id: i64,
///     language: Option<String>,
///     words: Vec<Word>,
/// }
///
/// #[derive(ColumnType, Serialize, Deserialize)]
/// struct Word {
///     text: String,
///     seconds: f64,
/// }
///
/// # fn main() -> metaxy_store::Result<()> {
/// let mut graph = FeatureGraph::new();
/// graph.add(Transcript::definition()?)?;
/// assert_eq!(Transcript::schema().fields().len(), 3);
/// # Ok(())
/// # }
/// ```
///
/// The guide is in [`typed`].
#[cfg(feature = "derive")]
#[doc(inline)]
pub use metaxy_core::typed::Feature;
#[cfg(feature = "derive")]
#[doc(inline)]
pub use metaxy_core::typed::{ColumnType, Sample};
#[cfg(feature = "derive")]
pub use metaxy_macros::{ColumnType, Feature};

/// Delta Lake tables, on disks and in object stores; shared with Python.
#[cfg(feature = "delta")]
pub use metaxy_delta as delta;
/// The analytical embedded store: one DuckDB file, for millions of samples on one machine.
#[cfg(feature = "duckdb")]
pub use metaxy_duckdb as duckdb;
/// Plans on Polars, and Polars' frames in and out of a store.
#[cfg(feature = "polars")]
pub use metaxy_polars as polars;
/// A schema of a PostgreSQL database: a store that a team shares, also with Python.
#[cfg(feature = "postgres")]
pub use metaxy_postgres as postgres;
/// The embedded default store: one SQLite file.
#[cfg(feature = "sqlite")]
pub use metaxy_sqlite as sqlite;

/// What most programs need. `col`, `lit`, `Expr`, `Result` and `Clock` are not in it: Polars and the standard library have names like these.
pub mod prelude {
    pub use metaxy_core::definition::FeatureDefinition;
    pub use metaxy_core::spec::{
        FeatureDep, FeatureSpec, FieldDep, FieldDeps, FieldSpec, FieldsMapping, Lineage,
    };
    pub use metaxy_core::{
        Access, Error, ErrorKind, FeatureGraph, FeatureKey, FieldKey, Frame, HashAlgorithm,
        ReadOptions, Rows,
    };

    pub use crate::{
        Config, DeleteOptions, Increment, MetadataStore, ResolveOptions, WriteOptions,
    };

    #[cfg(feature = "polars")]
    pub use crate::PolarsIncrement;
    #[cfg(feature = "derive")]
    pub use crate::{ColumnType, Feature, Sample};
    #[cfg(feature = "delta")]
    pub use metaxy_delta::DeltaConfig;
    #[cfg(feature = "duckdb")]
    pub use metaxy_duckdb::DuckDbConfig;
    #[cfg(feature = "polars")]
    pub use metaxy_polars::{IntoFrame, IntoPolars};
    #[cfg(feature = "postgres")]
    pub use metaxy_postgres::PostgresConfig;
    #[cfg(feature = "sqlite")]
    pub use metaxy_sqlite::SqliteConfig;
}

// Names every backend that this build has, so that the linker keeps what they register.
#[cfg(feature = "sqlite")]
#[used]
static SQLITE: metaxy_core::backend::registry::Descriptor = metaxy_sqlite::DESCRIPTOR;
#[cfg(feature = "duckdb")]
#[used]
static DUCKDB: metaxy_core::backend::registry::Descriptor = metaxy_duckdb::DESCRIPTOR;
#[cfg(feature = "delta")]
#[used]
static DELTA: metaxy_core::backend::registry::Descriptor = metaxy_delta::DESCRIPTOR;
#[cfg(feature = "postgres")]
#[used]
static POSTGRES: metaxy_core::backend::registry::Descriptor = metaxy_postgres::DESCRIPTOR;
