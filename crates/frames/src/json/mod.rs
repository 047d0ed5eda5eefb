//! JSON, in lines and in one array.

pub(crate) mod parse;
pub(crate) mod read;
pub(crate) mod write;
