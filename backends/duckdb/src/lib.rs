//! The analytical embedded store of metaxy: one DuckDB file.
//!
//! A resolve runs inside the database as one statement on all cores. The hash algorithms are functions of the engine, made of the
//! kernels in [`metaxy_core::hash`]; no extension is downloaded for them. Results stream out as Arrow batches.
//!
//! # How samples are kept
//!
//! One table per feature, named `{table_prefix}{table name}`, with the feature's columns as the Python package makes them: by-field
//! columns are STRUCTs of VARCHAR, system timestamps are TIMESTAMPTZ. Both programs may write to
//! one file in turns. The Arrow type of a column that DuckDB has no type of its own for, such as a duration, stands in the
//! table `metaxy.types`, which is made when the first such column is.
//!
//! # One process writes
//!
//! DuckDB lets one process write a file, or several read it. A store holds the file only while it works on it, and shortly
//! after; another process waits for it with growing pauses, up to `lock_timeout`. All stores of one process on one file
//! share an engine, whose settings are those of the store that opened it. An engine without a file stays for the life of the process.
//!
//! # Limits
//!
//! DuckDB ignores the case of names: two columns of a feature, or two members of a struct, that differ in case only are refused.
//! A write of a process waits while a store of it that was opened for reading still has a result open, up to `lock_timeout`.
//! Unions and year-month or day-time intervals are refused, so are intervals with fractions of a microsecond.

//!
//! # What was measured
//!
//! The graphs of the reference's benchmark, 1,000,000 samples, md5, two cores, release (`cargo xtask bench`): simple 0.26, 0.48 and
//! 0.31 s for new, stale and same, wide 0.69, 1.01 and 0.80 s, at most 350 MiB; the cheapest statement that was written by hand for the
//! same work with DuckDB's own functions takes 0.57 to 1.93 s. At 10,000 samples it is 17 to 47 ms, most of which is parsing, planning and
//! looking at the catalog. What was tried on the way, for a root of 1,100,000 rows of which a tenth was written twice:
//!
//! - The latest row per sample: grouping by ID, and joining the few IDs that have several rows, 0.13 to 0.16 s; a window 0.17 to 0.20;
//!   the row numbers of the latest 0.16; `NOT EXISTS` a later row 0.22; `arg_max` of the columns 0.29.
//! - Whether there is anything to replace: `count(DISTINCT id)` 0.05 s, a bit for each possible ID 0.005 s.
//! - A full join that carries all stored columns takes a twentieth longer than one that carries the version only.
//! - DuckDB starts in 10 ms, and makes its default views in another 10 when the catalog is first listed; to attach a file to an engine
//!   that has started takes half a millisecond.
//! - Most of a resolve was MD5, one text after the other; eight at a time take a fifth of that.

mod backend;
mod catalog;
mod config;
mod cross;
mod dialect;
mod engine;
mod error;
mod functions;
mod host;
mod once;
mod query;
mod raw;
mod stamp;
mod types;
mod write;

pub use backend::DuckDbBackend;
pub use config::{DuckDbConfig, Extension};

use metaxy_core::registry::Descriptor;

/// The type path under which a configuration names this store.
pub const TYPE_PATH: &str = "metaxy_duckdb::DuckDbBackend";

/// What the registry knows of this store.
pub const DESCRIPTOR: Descriptor = Descriptor::new("duckdb", TYPE_PATH, config::open)
    .with_aliases(metaxy_core::registry::DUCKDB_PATHS)
    .with_cargo_feature("duckdb")
    .with_summary("one DuckDB file, embedded; for millions of samples on one machine");

metaxy_core::registry::submit! { DESCRIPTOR }
