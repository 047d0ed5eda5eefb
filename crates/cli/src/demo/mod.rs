//! What `metaxy demo` is made of.
//!
//! [`files`] makes samples of real files, `pipeline` brings the features that depend on them up to date, and `folder` is
//! where all of it is kept, so that other commands can be tried on it afterwards.

pub mod files;
pub(crate) mod folder;
pub(crate) mod pipeline;
