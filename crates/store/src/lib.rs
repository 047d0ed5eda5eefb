//! Metadata stores that tell a multimodal data pipeline which samples are new, stale or orphaned, before anything is computed.
//!
//! This is the crate that users depend on: the model and [`MetadataStore`] of [`metaxy_core`], and the backends that
//! Cargo features bring in (`sqlite` is the default). Enabling a feature makes a store available and changes nothing else.
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

#[doc(inline)]
pub use metaxy_core::*;

/// The embedded default store: one SQLite file.
#[cfg(feature = "sqlite")]
pub use metaxy_sqlite as sqlite;

/// What most programs need.
pub mod prelude {
    pub use metaxy_core::definition::FeatureDefinition;
    pub use metaxy_core::spec::{
        FeatureDep, FeatureSpec, FieldDep, FieldDeps, FieldSpec, FieldsMapping, Lineage,
    };
    pub use metaxy_core::{
        Access, Clock, Config, DeleteOptions, Error, ErrorKind, Expr, FeatureGraph, FeatureKey,
        FieldKey, Frame, HashAlgorithm, Increment, MetadataStore, ReadOptions, ResolveOptions,
        Result, Rows, WriteOptions, col, lit,
    };

    #[cfg(feature = "sqlite")]
    pub use metaxy_sqlite::SqliteConfig;
}

/// Names every backend that this build has, so that the linker keeps what they register.
#[cfg(feature = "sqlite")]
#[used]
static SQLITE: metaxy_core::registry::Descriptor = metaxy_sqlite::DESCRIPTOR;
