//! CSV and TSV: RFC 4180, with any line ends.

pub(crate) mod read;
mod records;
pub(crate) mod write;
