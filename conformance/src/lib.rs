//! What a backend is held to.
//!
//! | module | what it holds |
//! |---|---|
//! | [`golden`] | replays what the reference answered (`golden/FORMAT.md`) against any backend |

pub mod golden;
