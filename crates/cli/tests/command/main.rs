//! The `metaxy` program itself, run on real folders and stores.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

#[cfg(feature = "sqlite")]
mod bad_inputs;
mod browser;
mod config;
mod data_frames;
mod deletes;
mod demo;
mod describe;
mod documented;
mod documents;
mod errors;
mod explain;
mod externals;
mod files;
mod formats;
mod graph;
mod interrupted;
mod maintain;
#[cfg(feature = "mcp")]
mod mcp;
mod metadata;
mod options;
mod page;
mod pushed;
mod schema;
mod shell;
mod status;
mod support;
mod terminal;
mod texts;
mod tour;
mod versions;
mod writes;
