//! What PostgreSQL does beside the suite. One program: each takes seconds to link.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test panics where something is wrong

mod planning;
mod server;
mod strangers;
#[path = "../support/mod.rs"]
mod support;
mod warnings;
