//! Filters: the language, what it means, and the reference's answers.

#![allow(clippy::unwrap_used, clippy::panic)]

mod golden;
mod language;
mod meaning;
mod random;
mod table;
