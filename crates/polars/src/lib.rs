//! Plans of metaxy on Polars.
//!
//! - [`query`] runs a plan on Polars' lazy, streaming engine: the engine of backends that only store. Such a backend implements
//!   [`Source`].

mod cross;
mod engine;
mod error;
mod files;
mod frames;
mod grouped;
mod hash;
mod latest;
mod moved;
mod numbered;
mod on_polars;
mod order;
mod relation;
mod runs;
mod scalar;
mod source;
mod types;

pub use engine::query;
pub use files::{ParquetColumn, ParquetFile, ParquetTable, Restore};
pub use frames::{IntoFrame, IntoPolars, PolarsIncrement};
pub use on_polars::on_polars;
pub use polars::prelude::LazyFrame;
pub use relation::Names;
pub use source::{ScanRequest, Scanned, Source};

use metaxy_core::engine::{EngineDescriptor, POLARS};

/// What the registry knows of this engine.
pub const DESCRIPTOR: EngineDescriptor = EngineDescriptor::new(POLARS, on_polars);

metaxy_core::registry::submit! { DESCRIPTOR }
