//! Plans of metaxy on Polars.
//!
//! - [`query`] runs a plan on Polars' lazy, streaming engine: the engine of backends that only store. Such a backend implements
//!   [`Source`]; one whose rows are in Parquet files hands in a [`ParquetTable`] for each.
//! - [`on_polars`] takes any backend and runs its plans here.
//! - [`IntoFrame`] and [`IntoPolars`] let frames of Polars into a store, and out of it.
//!
//! # Rows that meet without a join
//!
//! To find the latest row of each sample, a scan reads the IDs of its table. From them it is known where the rows of two tables meet:
//! where the IDs of both are the same, their rows are put beside each other; where they ascend in a few runs, the rows of one side are taken
//! in the order of the other; only where neither holds, they are joined by hashing. Tables stay in one order by themselves: a scan gives
//! samples that were written again at the places of their first writing, as long as they are few, and increments come in the order
//! of the upstreams, so that who writes what it gets has a table in that order.
//!
//! # What was measured
//!
//! The wide graph of the reference's benchmark, 1,000,000 samples in Delta tables on two cores: a third of the time goes into decompressing
//! and decoding Parquet, a third into hashing. What was tried on the way:
//!
//! - Hash joins took a quarter; those of rows in the same order are gone.
//! - XXH32 of one text waits for its own multiplications; sixteen texts at a time take less than half the time.
//! - Texts cross from views to one buffer in copies of twelve bytes, which is the room of a short one.
//! - Other allocators than that of the system gave nothing.
//!
//! # Cargo features
#![doc = document_features::document_features!()]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod cross;
mod engine;
mod error;
mod files;
mod frames;
mod grouped;
mod hash;
mod keys;
mod latest;
mod on_polars;
mod order;
mod parts;
mod relation;
mod row_numbers;
mod runs;
mod scalar;
mod selection;
mod source;
mod substitutes;
mod types;

pub use engine::query;
pub use files::{ParquetColumn, ParquetFile, ParquetTable, Restore};
pub use frames::{IntoFrame, IntoPolars, shown as to_polars};
pub use on_polars::{explain, on_polars};
pub use polars::prelude::{DataFrame, LazyFrame};
pub use relation::Names;
pub use source::{ScanRequest, Scanned, Source};
