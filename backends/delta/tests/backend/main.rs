//! What Delta does beside the suite. One program: each takes seconds to link.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test panics where something is wrong

#[path = "../common/mod.rs"]
mod common;
mod damage;
mod fallback;
mod faults;
mod log;
#[cfg(feature = "s3")]
mod s3;
#[cfg(unix)]
mod strangers;
mod types;
