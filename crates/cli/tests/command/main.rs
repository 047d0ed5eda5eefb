//! The `metaxy` program itself, run on real folders and stores.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod browser;
mod demo;
mod errors;
mod externals;
mod formats;
mod graph;
mod maintain;
mod page;
mod pushed;
mod support;
mod tour;
mod versions;
