//! The Delta Lake store of metaxy: one Delta table per feature, below a folder or an address of an object store.
//!
//! # How samples are kept
//!
//! A feature's table is `{root}/{part}/{part}.delta`, or `{root}/{table name}.delta` in the flat layout, as the Python package has it;
//! both programs may write to one store, at the same time. By-field columns are structs. Types that Delta lacks, such as unsigned
//! integers or durations, are kept in one that loses nothing, and the field's metadata tell the type that they had.
//!
//! Rows that were stored later come later: files are ordered by their modification time, which this store makes greater with each
//! commit, and then by the number in their name. Merging and rewriting files keeps the order.
//!
//! # Many writers
//!
//! An append stores its files, and then puts one commit into the log, if nobody else has put another of that number there; otherwise it
//! tries the next number. If the rows that came before have stamps that are not before its own, it first stores its rows once more, with a
//! later stamp. The commit that makes a table has its first rows; columns that a table lacks are added by a commit of their own,
//! after the files are stored and before the rows come, which adds files and nothing else: programs that append at the same time are in
//! nobody's way. If the writer ends between the two, the columns stay, without values. Each commit carries a random id, so that one that succeeded
//! although it was reported as failed is not repeated. Deletes start again when others have changed the same files. Each table is
//! written by commits of its own: an append to several tables may fail between them.
//!
//! # What outlives what
//!
//! On a disk of this machine, files and folders are synced before a write is acknowledged, in the order in which they name each other: files with
//! rows, their folder, the commit, the folder of the log ([`Synchronous`]). A sync that fails is an error, and the write is not acknowledged. What an
//! object store has answered for is as durable as it says; nothing can be synced there.
//!
//! Files with rows have checksums in the log, commits and checkpoints have their own, and each is verified when it is read from a disk: what
//! was damaged is an error ([`ErrorKind::Corrupt`](metaxy_core::ErrorKind::Corrupt)), and never another answer. What other programs write has none.
//!
//! # Tables of strangers
//!
//! A log names files. Those that are not in the folder of its table are not read, and not removed: no other folder, no address, no link that
//! leads out, no pipe and no device.
//!
//! # Dropped tables
//!
//! A table that is dropped keeps its log, marked by the property `metaxy.dropped`; to other programs it is empty.
//!
//! # Limits
//!
//! Object stores must refuse to put a file that exists, as S3, Azure and Google Cloud Storage do; one that does not is refused when a table is
//! made in it. Tables with deletion vectors or
//! column mapping are not read; partitioned tables, and those with constraints or generated columns, are not written to. Delta ignores
//! the case of names, so columns that differ in case only are refused.
//!
//! # Cargo features
#![doc = document_features::document_features!()]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backend;
mod checkpoint;
mod checksum;
mod config;
mod convert;
mod delete;
mod disk;
mod error;
mod file;
mod intact;
mod latest;
mod log;
mod maintain;
mod prune;
mod retry;
mod root;
mod samples;
mod scan;
mod skip;
mod snapshot;
mod stats;
mod table;
mod tables;
mod types;
mod vacuum;
mod verify;
mod write;

pub use backend::DeltaBackend;
pub use config::{Compression, DeltaConfig, Layout, WriteOptions};
pub use metaxy_core::options::Synchronous;

use metaxy_core::backend::registry::Descriptor;

/// The type path under which a configuration names this store.
pub const TYPE_PATH: &str = "metaxy_delta::DeltaBackend";

/// What the registry knows of this store.
pub const DESCRIPTOR: Descriptor = Descriptor::new("delta", TYPE_PATH, config::open)
    .with_aliases(metaxy_core::backend::registry::DELTA_PATHS)
    .with_cargo_feature("delta")
    .with_engine(metaxy_core::backend::registry::POLARS)
    .with_summary("Delta tables in a folder or an object store; many processes may share it")
    .with_options(config::OPTIONS);

metaxy_core::backend::registry::submit! { DESCRIPTOR }
