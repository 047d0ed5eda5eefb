//! What SQLite does beside the suite. One program: each takes seconds to link.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test panics where something is wrong

mod checksums;
mod files;
mod hostile;
mod limits;
mod maintain;
mod types;
