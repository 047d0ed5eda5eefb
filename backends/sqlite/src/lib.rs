//! The embedded default store of metaxy: one SQLite file.
//!
//! A resolve runs inside the database as one statement; hash functions are registered in the connection. Several processes may
//! use one file: readers see whole writes only, writers wait for each other up to `lock_timeout`.
//!
//! # How samples are kept
//!
//! One STRICT table per feature, named `{table_prefix}{table name}`, with the feature's columns, and an index by ID. System
//! timestamps are integers (UTC microseconds), `*_by_field` columns and nested columns are JSON text. The tables `metaxy.tables` and
//! `metaxy.versions` keep the Arrow types of the columns, so that they survive a round trip, the latest stamp of each table, and
//! which feature versions have samples that were written more than once.
//!
//! # Limits
//!
//! Unsigned integers above 2^63 - 1 are refused; decimals of more than 18 digits can be stored but not compared in filters.
//! NaN is kept and is greater than every number. A table has 1,999 columns at most, a result 2,000. SQLite joins 64 tables at once: a join of
//! more upstreams is divided.
//!
//! The write-ahead log beside the file (`…-wal`) starts again only when nobody reads what is in it. Once it has more than 64 MiB,
//! writes wait a moment for reads to end, so that reads which overlap all the time do not let it grow; it still grows for as long
//! as a single read goes on, and is cut back after that read has ended, by the next write.
//!
//! # What is promised
//!
//! With `synchronous = "full"` a write is on the disk when it is acknowledged. Pages have checksums, which are verified at every read, those in
//! the log by the checksums of their frames ([`SqliteConfig::with_checksums`]). Not found is what was never written: after a crash, SQLite
//! reads its log up to the first frame that is broken, whether the crash has broken it or the disk.
//!
//! A file is data of whoever wrote it: a table that is not defined word for word as this store defines it is refused. Triggers, views
//! and foreign keys are off, the schema is not trusted, and no function of this store can be called from it.
//!
//! Where the file or its folder cannot be written to, it is read with the log and the index that its writers keep, or if there is no log as it
//! lies there. Then it must not change meanwhile: a read that finds that it did fails with [`ErrorKind::Conflict`](metaxy_core::ErrorKind).
//! Otherwise readers open it as writers do, and whoever leaves last takes the log away.
//!
//! # Maintenance
//!
//! `maintain` writes the log back, renews the statistics of the planner, and makes the file as small as its rows. That writes the
//! file anew, so it needs as much free space as the rows take, and other writers wait meanwhile; readers do not. It fails as
//! locked if a read or a write keeps it waiting for longer than `lock_timeout`.
//!
//! # What was measured
//!
//! The wide graph of the reference's benchmark (two roots of four fields, a leaf of two), 1,000,000 samples, two cores, release:
//! 2.7 s and 146 MiB with everything new, 3.3 s and 109 MiB with a tenth stale, 2.7 s and 80 MiB with nothing changed. What was
//! tried on the way:
//!
//! - SQLite runs a FULL JOIN of subqueries as nested scans without an index: minutes. Hence a left join whose label function
//!   marks the stored rows that it meets, and a second arm for those without a mark.
//! - A search for a later row costs about a microsecond per row, so it is left out for feature versions of which every sample was
//!   written once; a write finds that out with one look into the index per row.
//! - A subquery with `LIMIT -1` is computed once per row; without it SQLite inlines it and hashes again for every use.
//! - Members of `*_by_field` columns are taken out of the JSON inside the hash function, in one pass over each text.
//! - Pages of 16 KiB instead of 4 write a third faster; reading through a memory map gave nothing and counts as memory.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backend;
mod catalog;
mod checksums;
mod codec;
mod compare;
mod config;
mod dialect;
mod error;
mod functions;
mod log;
mod maintain;
mod place;
mod query;
mod write;

pub use backend::SqliteBackend;
pub use config::SqliteConfig;
pub use metaxy_core::options::Synchronous;

use metaxy_core::backend::registry::Descriptor;

/// The type path under which a configuration names this store.
pub const TYPE_PATH: &str = "metaxy_sqlite::SqliteBackend";

/// What the registry knows of this store.
pub const DESCRIPTOR: Descriptor = Descriptor::new("sqlite", TYPE_PATH, config::open)
    .with_cargo_feature("sqlite")
    .with_summary("one SQLite file, embedded; several processes may share it")
    .with_options(config::OPTIONS);

metaxy_core::backend::registry::submit! { DESCRIPTOR }
