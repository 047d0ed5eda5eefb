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
//! share an engine, whose settings are those of the store that opened it. An engine without a file stays for the life of the process,
//! and so does what was read of the catalog of a file, as long as the file system says that the file was not changed since.
//!
//! # Limits
//!
//! DuckDB ignores the case of names: two columns of a feature, or two members of a struct, that differ in case only are refused.
//! A write of a process waits while a store of it that was opened for reading still has a result open, up to `lock_timeout`.
//! Unions and year-month or day-time intervals are refused, so are intervals with fractions of a microsecond.
//!
//! # Maintenance
//!
//! `maintain` renews the statistics of the planner, and writes the log into the file, which gives up unused blocks at its end. Blocks
//! between others are used again by later writes, so the file may stay larger than its rows.
//!
//! # What was measured
//!
//! The graphs of the reference's benchmark, md5, two cores, release (`cargo xtask bench`); the README has the times. What was tried
//! on the way, for 1,000,000 samples where nothing else is said:
//!
//! - The latest row per sample, of a root of which a tenth was written twice: grouping by ID, and joining the few IDs that have several
//!   rows, 0.09 s; a window, the row numbers of the latest, and `NOT EXISTS` a later row take longer, `arg_max` of the columns twice as
//!   long. Where each sample stands once up to some row, and what follows is later, only what follows is grouped: 0.03 s. To find out takes
//!   0.02 s, and 0.005 s whether there is anything to replace at all: a bit for each possible ID, where `count(DISTINCT id)` takes 0.05 s.
//! - Most of a resolve was MD5, one text after the other. Sixteen at a time, their texts put together part by part for all of them, they
//!   take a fifth of it.
//! - A full join that carries all stored columns takes a twentieth longer than one that carries the version only, and no longer than an
//!   inner join. A larger buffer of the result and perfect hash tables for the groups change nothing.
//! - DuckDB plans a statement that scans tables when it is prepared, and once more when it is run: with 10,000 samples a fifth of the time.
//!   Statements of our own that look at the catalog or the IDs are not prepared, and the others have a parameter that puts planning off.
//! - DuckDB starts in 10 ms, and makes its default views in another 10 when the catalog is first listed; to attach a file to an engine
//!   that has started takes half a millisecond. `SELECT * … LIMIT 0` takes half a millisecond too, a look into the catalog a hundredth of that.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backend;
mod catalog;
mod compare;
mod config;
mod cross;
mod dialect;
mod engine;
mod error;
mod exit;
mod functions;
mod host;
mod maintain;
mod query;
mod raw;
mod spill;
mod stamp;
mod strange;
mod superseded;
mod types;
mod write;

pub use backend::DuckDbBackend;
pub use config::{DuckDbConfig, Extension};

use metaxy_core::backend::registry::Descriptor;

/// The type path under which a configuration names this store.
pub const TYPE_PATH: &str = "metaxy_duckdb::DuckDbBackend";

/// What the registry knows of this store.
pub const DESCRIPTOR: Descriptor = Descriptor::new("duckdb", TYPE_PATH, config::open)
    .with_aliases(metaxy_core::backend::registry::DUCKDB_PATHS)
    .with_cargo_feature("duckdb")
    .with_summary("one DuckDB file, embedded; for millions of samples on one machine")
    .with_options(config::OPTIONS);

metaxy_core::backend::registry::submit! { DESCRIPTOR }
