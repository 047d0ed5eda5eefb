//! The store of metaxy for teams: a schema of a PostgreSQL database.
//!
//! Plans run in the server, in one transaction that sees one moment; their rows leave by COPY, as they come. Any number of processes may
//! read and write, the Python package among them.
//!
//! # How samples are kept
//!
//! One table per feature, `{table_prefix}{table name}`, as the Python package makes it: versions by field are `jsonb`, times `timestamptz`,
//! text `varchar`, lists arrays, other nested columns `jsonb`. Where a column's own type does not tell the Arrow type that was written, a
//! comment on the column does; so nothing else has to be kept beside, and nothing is left behind when somebody drops the table. A name of
//! more than 63 bytes, which PostgreSQL would cut, ends with a hash; such a name of a column is refused.
//!
//! A table has two indexes: by feature version and stamp, from which a write learns the latest stamp, and by ID. Tables that the Python
//! package made get them with the first write of a role that owns them. Which members its by-field columns have is found by a look at
//! the newest row of each feature version.
//!
//! Of equal stamps the row that was stored later counts. That is the one with the greater `ctid`; where rows were removed and their room
//! is used again, a write puts the rows in question in order.
//!
//! # Hashes
//!
//! The server computes `md5` and `sha256` itself: then a resolve is one statement that sends nothing but its answer. Of the other
//! algorithms the server does all but the hashing. It joins, filters, finds the latest rows and the stored ones that match, and sends
//! the parts of the hashes in place of the hashes; they are hashed here, batch by batch, and rows that turn out to be unchanged are
//! dropped here. What a further step in the server needs (the folded versions of groups, counts of hashed rows) goes through
//! a temporary table. The event "a plan is run" of `tracing`, at the level of `debug`, says which of these it was.
//!
//! # Many writers
//!
//! An append first takes its rows from who produces them, and nobody waits for that: up to 64 MiB are held in memory, more are copied
//! into temporary tables. Then it waits for its turn (an advisory lock per
//! table, for the rest of the transaction), stamps the rows after all that is visible, and puts them into the tables, all in one
//! transaction. If the answer to a commit is lost, the server is asked what became of the transaction: a write that was committed is not
//! reported as failed, and one that was not is not reported as done.
//!
//! A write of 50 rows or more makes the statistics by which the server plans, where there are none, and one that is large beside its table
//! renews them, if the role owns the table. Where there are none, or where they do not know the feature version that is read, queries do
//! without joins by loops: of what it does not know, the server expects next to no rows.
//!
//! # Rights
//!
//! To read needs `SELECT`; to resolve with frames of the caller, or with an algorithm that needs temporary tables, also `TEMPORARY` on the
//! database. To write needs `INSERT` and `TEMPORARY`; to make tables `CREATE` on the schema; to add columns and indexes, and to maintain,
//! the ownership of the table. What is missing is named by the error, with the statement that grants it.
//!
//! # Others in the database
//!
//! Names are looked up among the server's own functions, types and operators only, and tables by their schema: what somebody makes in a schema
//! under the name of one of these is not called. A table of another role may have what runs with the rights of whoever uses it, and is refused
//! then: on reading a type of that role; on writing triggers, rules, checks, computed columns, indexes of expressions, partitions
//! (`code_of_others` allows it). Policies that would hide rows are an error (`row_security` allows them). Views and foreign tables are no tables
//! of a store. Superusers, and who owns the database, are trusted.
//!
//! # Limits
//!
//! A table has 1,600 columns at most, a row 8,160 bytes, of which a long text or list counts as 18, an answer 1,664 columns.
//!
//! Times reach from 4713 BC to the year 294276. Text has no character zero. Arrays have one dimension. The database is encoded in UTF-8.
//! `CLUSTER` by another index forgets the order of rows that have one stamp.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backend;
mod canonical;
mod catalog;
mod commit;
mod compare;
mod config;
mod decode;
mod dialect;
mod direct;
mod encode;
mod error;
mod fit;
mod frames;
mod maintain;
mod names;
mod order;
mod query;
mod residue;
mod rights;
mod session;
mod split;
mod strangers;
mod types;
mod write;

pub use backend::PostgresBackend;
pub use config::{PostgresConfig, Tls};

use metaxy_core::backend::registry::Descriptor;

/// The type path under which a configuration names this store.
pub const TYPE_PATH: &str = "metaxy_postgres::PostgresBackend";

/// What the registry knows of this store.
pub const DESCRIPTOR: Descriptor = Descriptor::new("postgres", TYPE_PATH, config::open)
    .with_aliases(metaxy_core::backend::registry::POSTGRES_PATHS)
    .with_cargo_feature("postgres")
    .with_summary("a schema of a PostgreSQL database; many processes may share it")
    .with_options(config::OPTIONS);

metaxy_core::backend::registry::submit! { DESCRIPTOR }
