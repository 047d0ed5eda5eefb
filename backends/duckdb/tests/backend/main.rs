//! What DuckDB does beside the suite. One program: each takes seconds to link.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test panics where something is wrong

#[path = "../common/mod.rs"]
mod common;
mod files;
mod foreign;
mod hashes;
mod hostile;
mod maintain;
mod settings;
mod types;
mod written;
