//! `#[derive(Feature)]`: definitions, columns and rows. What the compiler says of mistakes is tested where the derive is.

#![allow(clippy::unwrap_used)] // a test panics where something is wrong

mod definitions;
mod rows;
