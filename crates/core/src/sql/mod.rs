//! Plans as SQL. What all engines share is here; what they do differently is a [`Dialect`].

mod condition;
mod dialect;
mod render;

pub use condition::condition;
pub use dialect::{Dialect, HashArg, Matching, literal_text, quote};
pub use render::{column_at, render};
