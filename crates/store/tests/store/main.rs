//! The store through its public interface, on real SQLite files.

#![allow(clippy::unwrap_used)] // a test panics where something is wrong

mod buffered;
mod copies;
mod fallback;
mod fixture;
mod history;
mod increments;
mod multi;
mod progress;
mod provenance;
mod rebases;
mod shapes;
mod writes;
