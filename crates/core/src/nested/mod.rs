//! Nested columns as JSON, for stores that keep text: structs of texts without a tree, other values through Arrow's own reader.
//!
//! Numbers that JSON lacks, and the zero that databases take for another, are written as text and read back as what they were. What has no
//! text that reads back is written as a count, or as bytes; [`json_holds`] says for which types that is possible.

mod texts;
mod values;

pub use texts::{for_each_member, push_string};
pub use values::{json_holds, parse_json, render_json, render_texts};
