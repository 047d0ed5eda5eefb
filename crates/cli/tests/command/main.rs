//! The `metaxy` program itself, run on real folders and stores.

mod demo;
mod errors;
mod formats;
mod pushed;
mod support;
mod tour;
