//! What the suite says of backends that are right, limited and wrong. One program: each takes seconds to link.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod golden_sqlite;
mod guide;
mod laws;
mod limited;
