//! Plans as SQL. What all engines share is here; what they do differently is a [`Dialect`].

mod block;
mod compare;
mod condition;
mod delete;
mod dialect;
mod prune;
mod render;

pub use block::column_at;
pub use condition::condition;
pub use delete::delete_samples;
pub use dialect::{
    Dialect, HashArg, Marks, Matching, Replacing, Side, literal_text, no_literal, quote,
};
pub use prune::{PruneSql, prune};
pub use render::render;
