//! Values that are not nested, as text and from text, exactly.

pub(crate) mod number;
pub(crate) mod print;
pub(crate) mod read;
pub(crate) mod time;
