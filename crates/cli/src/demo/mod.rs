//! What `metaxy demo` is made of.

pub mod files;
