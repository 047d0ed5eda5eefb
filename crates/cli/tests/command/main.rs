//! The `metaxy` program itself, run on real folders and stores.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod bad_inputs;
mod config;
mod demo;
mod describe;
mod documented;
mod documents;
mod errors;
mod explain;
mod externals;
mod formats;
mod interrupted;
mod maintain;
#[cfg(feature = "mcp")]
mod mcp;
mod metadata;
mod pushed;
mod shell;
mod status;
mod support;
mod tour;
